"""Timing contenders in turn on one core, and the table of the outcome."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported: afterwards it has no effect

Contenders = dict[str, Callable[[], Any]]
Times = dict[str, tuple[float, float]]
QUIET = 0.97  # of the wall time on the core; below, others had part of it, and the figure says little


def pin(core: int | None = None) -> int | None:
    """Stay on one core, where the system can; threads started from now on stay there too."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = min(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {core})
    return core


def race(contenders: Contenders, rounds: int, repeats: int) -> Times:
    """Wall seconds of one call in the fastest round, and CPU over wall time of that round, for each contender.

    There are up to three times as many rounds if others had the core in every round of some contender.
    """
    best = dict.fromkeys(contenders, (float("inf"), 0.0))
    for k in range(3 * rounds):
        if k >= rounds and all(share > QUIET for _, share in best.values()):
            break
        for name, call in contenders.items():
            t0, c0 = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                call()
            t1, c1 = time.perf_counter(), time.process_time()
            best[name] = min(best[name], ((t1 - t0) / repeats, (c1 - c0) / (t1 - t0)))
    return best


@dataclass
class Row:
    """One line of the table; `measured` is ``None`` for a peer that did not run, and `absent` says why."""

    what: str
    measured: float | None
    goal: str
    detail: str = ""
    times: Times = field(default_factory=dict)
    absent: str = "not installed"

    def __str__(self) -> str:
        measured = self.absent if self.measured is None else f"{self.measured:.3f}"
        return f"| {self.what} | {measured} | {self.goal} | {self.detail} |"


class Table:
    """Rows, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def heading(self) -> None:
        """Print the names of the columns."""
        print("\n| what | measured | to reach | detail |\n| --- | --- | --- | --- |")

    def line(
        self,
        what: str,
        ratio: float | None,
        goal: str,
        detail: str = "",
        times: Times | None = None,
        absent: str = "not installed",
    ) -> None:
        """Add one row."""
        self.rows.append(Row(what, ratio, goal, detail, times or {}, absent))
        print(self.rows[-1], flush=True)

    def against(self, what: str, times: Times, mine: str, theirs: str, goal: str) -> None:
        """Add the time of one contender over that of another; a rival that did not run is said to be missing."""
        if theirs not in times:
            self.line(f"{what}, {mine} against {theirs}", None, goal)
            return
        pair = {name: times[name] for name in (mine, theirs)}
        detail = "; ".join(f"{name} {t * 1e3:.3f} ms, CPU/wall {share:.2f}" for name, (t, share) in pair.items())
        if min(share for _, share in pair.values()) < QUIET:
            detail = f"disturbed, measure again: {detail}"
        self.line(f"{what}, {mine} against {theirs}", times[mine][0] / times[theirs][0], goal, detail, pair)

    def plain(self) -> list[dict[str, Any]]:
        """What a JSON file takes."""
        return [asdict(row) for row in self.rows]


def machine(core: int | None) -> str:
    """Describe where this ran."""
    info = Path("/proc/cpuinfo")
    names = (
        [x.split(":")[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        if info.exists()
        else []
    )
    cpu = names[0] if names else platform.processor()
    versions = [f"{name} {found}" for name in ("numpy", "torch", "jax", "autograd") if (found := _version(name))]
    kernels = os.environ.get("OPENBLAS_CORETYPE")  # makes NumPy's matrix products, not the peers', use other kernels
    forced = f"; OPENBLAS_CORETYPE={kernels}" if kernels else ""
    place = "not pinned" if core is None else f"pinned to core {core}"
    return f"{cpu}, {place}; Python {platform.python_version()}, {', '.join(versions)}{forced}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
