"""The public workloads, and how far their figures are from the goals; `compare.py` prints both."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks.racing import Table
from tapeflow.bench import CASES, Entry, Plan, Result
from tapeflow.bench import compare as race

SMALLEST = ("chain/1", "chain/100", "rosenbrock/100", "fill")
NO_GOAL = "no goal"
WITHOUT_GOAL = ("rosenbrock-hessian/500", "gmm/2,5,1000")  # by hand it is three diagonals; arrays of 10,000 at most
PER_OP = {"torch": "at most 0.4", "autograd": "at most 0.16", "advect": "at most 0.2"}
TURN = 0.05  # seconds


def compare(table: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Race, print the table of the workloads and that of the goals, and return all that was measured."""
    plan = Plan(
        options.workloads or list(CASES.values()), options.peers, options.rounds, TURN,
        pythons=dict(options.python), memory=options.memory, keep=options.keep_memory, small=options.small,
    )  # fmt: skip
    results, measured = race(options, plan)
    if options.small:
        return measured  # the goals are about the full sizes
    table.heading()
    for goals in (per_operation, against_hand, against_torch, against_forward, memory):
        goals(table, results)
    return measured


def line(table: Table, result: Result, other: str, what: str, goal: str) -> None:
    """A ratio of times of tapeflow and another."""
    pair = {name: entry for name in ("tapeflow", other) if (entry := result.entries.get(name)) and entry.wall}
    detail = "; ".join(f"{name} {said(entry)}" for name, entry in pair.items())
    times = {name: (entry.wall or 0.0, entry.share) for name, entry in pair.items()}
    reasons = [f"{name} {e.reason}" for name in (other, "tapeflow") if (e := result.entries.get(name)) and e.reason]
    absent = reasons[0] if reasons and reasons[0] != f"{other} not installed" else "not installed"
    table.line(f"{result.case.name}, {what}", result.ratio("tapeflow", other), goal, detail, times, absent)


def said(entry: Entry) -> str:
    """Times of a contender."""
    clock = "CPU " if entry.disturbed else ""
    return f"{clock}{(entry.seconds or 0.0) * 1e3:.3f} ms, CPU/wall {entry.share:.2f}"


def per_operation(table: Table, results: Sequence[Result]) -> None:
    """The chain of 600 operations, forward and sweep."""
    for result in results:
        if result.case.name in ("chain/1", "chain/100"):
            for peer, goal in PER_OP.items():
                if peer in result.entries:
                    line(table, result, peer, f"one operation against {peer}", goal)


def against_hand(table: Table, results: Sequence[Result]) -> None:
    """The gradient written by hand."""
    for result in results:
        name = result.case.name
        goal = "at most 6" if name in SMALLEST else NO_GOAL if name in WITHOUT_GOAL else "at most 1.2"
        line(table, result, "by hand", "against NumPy by hand", goal)


def against_torch(table: Table, results: Sequence[Result]) -> None:
    """PyTorch, workload by workload."""
    faster: dict[str, bool] = {}
    for result in results:
        ratio = result.ratio("tapeflow", "torch")
        if ratio is not None:
            line(table, result, "torch", "against torch", "at most 1.5")
            family = result.case.workload.name.removesuffix("-hessian")
            faster[family] = faster.get(family, True) and ratio < 1.0
    if faster:
        detail = ", ".join(name for name, won in faster.items() if won)
        table.line("workloads faster than torch in each case", float(sum(faster.values())),
                   f"at least 7 of {len(faster)}", detail)  # fmt: skip


def against_forward(table: Table, results: Sequence[Result]) -> None:
    """The plain forward pass: the cheap-gradient ratio."""
    for result in results:
        if result.case.workload.wanted == "gradient" and result.case.name not in (*SMALLEST, *WITHOUT_GOAL):
            line(table, result, "forward", "gradient against plain forward pass", "at most 3")


def memory(table: Table, results: Sequence[Result]) -> None:
    """Peak memory of one call, where it is more than noise."""
    for result in results:
        peaks = {name: result.entries[name].peak for name in ("tapeflow", "torch") if name in result.entries}
        if all(peak is not None and peak > 2**20 for peak in peaks.values()) and len(peaks) == 2:
            detail = "; ".join(f"{name} {(peak or 0) / 2**20:.1f} MiB" for name, peak in peaks.items())
            ratio = result.peak_ratio("tapeflow", "torch")
            table.line(f"{result.case.name}, peak memory against torch", ratio, "at most 1", detail)
