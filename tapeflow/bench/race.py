"""The race: contenders in processes of their own take turns on one core; what counts is the fastest call of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapeflow.bench.contenders import PEERS
from tapeflow.bench.crew import KEEPING_MALLOC, PLAIN_MALLOC, Member, TroubleError
from tapeflow.bench.turn import Turn
from tapeflow.bench.workload import Case

__all__ = ["ALWAYS", "QUIET", "Entry", "Plan", "Result", "difference", "race_all"]

ALWAYS = ("by hand", "forward", "tapeflow")
QUIET = 0.97  # of the wall time on the core; below, others had part of it, and CPU time counts instead
KERNELS = ("forward", "torch")
ENOUGH = 6.0  # seconds for one contender in one case, after three rounds


@dataclass(frozen=True)
class Plan:
    """Who races, and for how long.

    Attributes
    ----------
    cases : sequence of Case
        In this order.
    peers : sequence of str
        Beside tapeflow, the gradient by hand and the plain forward pass, who always race.
    rounds : int
        How often everyone has a turn; up to three times as often if others had the core in all rounds of someone.
    turn : float
        Seconds of a turn; one call at least.
    seconds : float
        For all cases together; there is one round of each at least.
    pythons : mapping
        Interpreters of contenders that are installed elsewhere.
    memory : bool
        Whether to measure peak memory too.
    keep : bool
        Whether the allocator of the C library keeps what is freed, for everyone (glibc; elsewhere it has no effect).
        Otherwise it may give large arrays back to the system and get them anew, page fault by page fault, depending on
        what the process did before.
    small : bool
        Whether to race with small parameters, to see that everything works.
    """

    cases: Sequence[Case]
    peers: Sequence[str] = PEERS
    rounds: int = 20
    turn: float = 0.05
    seconds: float = float("inf")
    pythons: Mapping[str, str] = field(default_factory=dict)
    memory: bool = False
    keep: bool = False
    small: bool = False

    @property
    def contenders(self) -> list[str]:
        """Everyone, in the order of the turns."""
        return [*ALWAYS, *self.peers]


@dataclass
class Entry:
    """How a contender did in a case.

    Attributes
    ----------
    wall : float or None
        Seconds of the fastest call.
    share : float
        CPU over wall time while it ran.
    cpu : float
        The least CPU seconds of any call.
    faults : float
        Page faults of a call, in the turn that had fewest; a fault takes about a microsecond or several.
    first : float
        Seconds of the first call, compilation included.
    error : float
        Largest difference from what is right, relative to the tolerance.
    peak : int or None
        Bytes by which a call raises resident memory.
    trouble, reason : str
        If it did not race: ``"missing"``, ``"unsupported"``, ``"failed"``, ``"died"`` or ``"disagrees"``, and why.
    """

    wall: float | None = None
    share: float = 0.0
    cpu: float = 0.0
    faults: float = 0.0
    first: float = 0.0
    error: float = 0.0
    peak: int | None = None
    trouble: str = ""
    reason: str = ""

    def take(self, turn: Turn) -> None:
        """Note a turn: keep the best that there was."""
        first = self.wall is None
        if self.wall is None or turn.wall < self.wall:
            self.wall, self.share = turn.wall, turn.share
        self.cpu = turn.cpu if first else min(self.cpu, turn.cpu)
        self.faults = turn.faults if first else min(self.faults, turn.faults)

    def give_up(self, trouble: TroubleError) -> None:
        """Note why it does not race, or no longer."""
        self.trouble, self.reason, self.wall = trouble.kind, trouble.reason, None

    @property
    def disturbed(self) -> bool:
        """Whether others had part of the core whenever it ran."""
        return self.wall is not None and self.share <= QUIET

    @property
    def seconds(self) -> float | None:
        """The fastest call: wall time, or CPU time if others had the core."""
        return self.cpu if self.disturbed else self.wall


@dataclass
class Result:
    """How all did in a case.

    Attributes
    ----------
    case : Case
        What was raced.
    entries : dict of str to Entry
        By contender.
    kernel : dict of str to float
        Seconds of the operation that takes most of the time, in NumPy (``"forward"``) and in PyTorch.
    """

    case: Case
    entries: dict[str, Entry]
    kernel: dict[str, float] = field(default_factory=dict)

    def ratio(self, one: str, other: str) -> float | None:
        """Time of one contender over that of another, if both raced."""
        a, b = (self.entries[name].seconds if name in self.entries else None for name in (one, other))
        return a / b if a is not None and b is not None else None

    def peak_ratio(self, one: str, other: str) -> float | None:
        """Peak memory of one over that of another, if both were measured."""
        a, b = (self.entries[name].peak if name in self.entries else None for name in (one, other))
        return a / b if a is not None and b else None

    @property
    def share(self) -> float:
        """The lowest CPU over wall time of those who raced."""
        return min((e.share for e in self.entries.values() if e.wall is not None), default=0.0)


def difference(got: Sequence[np.ndarray], want: Sequence[np.ndarray], rtol: float) -> float:
    """How far results are from what they should be, in units of what is tolerated; at most 1 is right.

    Parameters
    ----------
    got, want : sequence of array
        Results.
    rtol : float
        Relative tolerance of each entry. To differ by a thousandth of it from the largest entry is tolerated too.

    Returns
    -------
    float
        Infinity for other shapes, or not-a-number.

    Examples
    --------
    >>> difference([np.array([1.0, 2.0])], [np.array([1.0, 2.000004])], 1e-6) <= 2.0
    True
    >>> difference([np.array([1.0, 2.0])], [np.array([1.0])], 1e-6)
    inf
    """
    if [np.shape(a) for a in got] != [np.shape(b) for b in want]:
        return float("inf")
    worst = 0.0
    for a, b in zip(got, want, strict=True):
        tolerated = rtol * np.abs(b) + 1e-3 * rtol * np.max(np.abs(b), initial=0.0) + np.finfo(float).tiny
        worst = max(worst, float(np.max(np.nan_to_num(np.abs(a - b) / tolerated, nan=np.inf), initial=0.0)))
    return worst


class _Crew(AbstractContextManager["_Crew"]):
    """Processes of all contenders; one that died is started again for the next case."""

    def __init__(self, plan: Plan, environment: Mapping[str, str] | None = None) -> None:
        self.plan, self.environment = plan, environment
        self.members = {name: self._start(name) for name in plan.contenders}
        self.trouble: dict[str, TroubleError] = {}
        for member in self.members.values():
            self._greet(member)

    def _start(self, name: str) -> Member:
        return Member(name, self.plan.pythons.get(name), self.environment)

    def _greet(self, member: Member) -> None:
        try:
            member.hello()
        except TroubleError as trouble:
            self.trouble[member.name] = trouble

    def order(self, name: str, what: str, *arguments: Any) -> Any:
        """Give an order; a dead member is replaced at once, so that its end is that of one case."""
        if name in self.trouble:
            raise self.trouble[name]
        try:
            return self.members[name].order(what, *arguments)
        except TroubleError as trouble:
            if trouble.kind == "died":
                self.members[name].close()
                self.members[name] = self._start(name)
                self._greet(self.members[name])
            raise

    def versions(self) -> dict[str, str]:
        """What is installed, by contender."""
        return {name: m.version for name, m in self.members.items() if m.version}

    def __exit__(self, *_: object) -> None:
        for member in self.members.values():
            member.close()


def race_all(plan: Plan, tell: Callable[[Result], None] = lambda result: None) -> tuple[list[Result], dict[str, str]]:
    """Race every case of a plan.

    Parameters
    ----------
    plan : Plan
        Who races, and for how long.
    tell : callable, optional
        Called with each result as it comes.

    Returns
    -------
    results : list of Result
        One for each case.
    versions : dict of str to str
        What is installed, by contender.
    """
    results: list[Result] = []
    end = time.perf_counter() + plan.seconds
    with _Crew(plan, KEEPING_MALLOC if plan.keep else None) as crew:
        versions = crew.versions()
        for case in plan.cases:
            left = (end - time.perf_counter()) / (len(plan.cases) - len(results))
            results.append(_race(crew, plan, case, time.perf_counter() + left))
            tell(results[-1])
    if plan.memory:
        with _Crew(plan, PLAIN_MALLOC) as crew:
            for result in results:
                _weigh(crew, plan, result)
    return results, versions


def _race(crew: _Crew, plan: Plan, case: Case, end: float) -> Result:
    kernel = _kernels(crew, plan, case)
    result = Result(case, _line_up(crew, plan, case), kernel)
    ready = [name for name, entry in result.entries.items() if not entry.trouble]
    _take_turns(crew, plan, result.entries, ready, end)
    return result


def _line_up(crew: _Crew, plan: Plan, case: Case) -> dict[str, Entry]:
    """Prepare everyone, and look at their numbers before they race."""
    entries: dict[str, Entry] = {}
    want: list[np.ndarray] = []
    for name in plan.contenders:
        entry = entries[name] = Entry()
        try:
            numbers, entry.first = crew.order(name, "prepare", case.name, plan.small, False)
        except TroubleError as trouble:
            entry.give_up(trouble)
            continue
        want = numbers if name == "by hand" else want
        if name != "forward":
            entry.error = difference(numbers, want, case.rtol)
        if not entry.error <= 1.0:
            entry.trouble = "disagrees"
            entry.reason = f"differs by {entry.error:.2g} times the tolerance of {case.rtol:g}"
    return entries


def _take_turns(crew: _Crew, plan: Plan, entries: dict[str, Entry], ready: list[str], end: float) -> None:
    """Time everyone round by round, until there were enough rounds or no time is left."""
    spent = dict.fromkeys(ready, 0.0)
    for k in range(3 * plan.rounds):
        quiet = k >= plan.rounds and not any(entries[name].disturbed for name in ready)
        if k and (quiet or time.perf_counter() > end):
            return
        for name in [n for n in ready if k < 3 or spent[n] < ENOUGH]:
            t0 = time.perf_counter()
            try:
                entries[name].take(crew.order(name, "time", plan.turn))
            except TroubleError as trouble:
                entries[name].give_up(trouble)
                ready = [n for n in ready if n != name]
            spent[name] += time.perf_counter() - t0


def _kernels(crew: _Crew, plan: Plan, case: Case) -> dict[str, float]:
    """Time the operation that takes most of the time, where there is one."""
    names = [name for name in KERNELS if name in plan.contenders]
    if case.workload.kernel is None or len(names) < len(KERNELS):
        return {}
    try:
        for name in names:
            crew.order(name, "prepare", case.name, plan.small, True)
        turns = [[crew.order(name, "time", plan.turn) for name in names] for _ in range(min(plan.rounds, 5))]
    except TroubleError:
        return {}
    return {name: min(turn[k].cpu for turn in turns) for k, name in enumerate(names)}  # CPU time: they are short


def _weigh(crew: _Crew, plan: Plan, result: Result) -> None:
    """Measure the peak memory of those who raced."""
    for name, entry in result.entries.items():
        if entry.seconds is not None:
            try:
                crew.order(name, "prepare", result.case.name, plan.small, False)
                entry.peak = crew.order(name, "peak")
            except TroubleError:  # it ran without being watched; then its memory is not known
                entry.peak = None
