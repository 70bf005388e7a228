"""The workloads, one in each file."""

from tapeflow.bench.workloads.catalogue import CASES, SUBSET, WORKLOADS, select

__all__ = ["CASES", "SUBSET", "WORKLOADS", "select"]
