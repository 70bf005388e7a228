"""Public workloads, raced against other toolkits and the gradient written by hand. Needs ``tapeflow[bench]``."""

from tapeflow.bench.command import add_options, compare, run
from tapeflow.bench.contenders import CONTENDERS, PEERS, arrays
from tapeflow.bench.race import Entry, Plan, Result, race_all
from tapeflow.bench.workload import Case, Data, Workload
from tapeflow.bench.workloads import CASES, SUBSET, WORKLOADS, select

__all__ = [
    "CASES",
    "CONTENDERS",
    "PEERS",
    "SUBSET",
    "WORKLOADS",
    "Case",
    "Data",
    "Entry",
    "Plan",
    "Result",
    "Workload",
    "add_options",
    "arrays",
    "compare",
    "race_all",
    "run",
    "select",
]
