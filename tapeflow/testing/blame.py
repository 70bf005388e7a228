"""From a disagreement along a direction to the one entry that is wrong, and the message about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tapeflow.testing.derivative import Problem
from tapeflow.testing.failures import CheckFailure, number, ratio_hint, report
from tapeflow.testing.flat import Arrays, inner, only, place
from tapeflow.testing.references import Reference, largest, one_sided

__all__ = ["blame", "refuse"]

NAMES = {"fwd": "forward", "rev": "reverse"}


@dataclass
class Case:
    """What is wrong: in a mode, with respect to argument `k`, in the precision of `xs`."""

    name: str
    problem: Problem
    xs: Arrays
    k: int
    mode: str

    def along(self, v: Any) -> Arrays:
        """A direction in the argument, with zeros for the others."""
        return tuple(v if i == self.k else np.zeros_like(x) for i, x in enumerate(self.problem.wide))

    def rule(self, v: Any, ws: Arrays) -> Any:
        """What the rule says of the weighted outputs along a direction."""
        if self.mode == "fwd":
            return inner(ws, self.problem.push(self.xs, self.along(v)))
        return inner([v], self.problem.pull(self.xs, ws)[self.k : self.k + 1])

    def mismatch(self, v: Any, ws: Arrays) -> float:
        """How far that is from the reference."""
        return _size(weighted(ws, self.problem.reference(self.along(v))) - self.rule(v, ws))

    def index(self, entry: int) -> str:
        """The argument and its entry, as an expression."""
        return self.problem.names[self.k] + _index(self.problem.wide[self.k], entry)

    def stage(self) -> str:
        """The mode, the order, and how it came about."""
        history = (self.mode, *reversed(self.problem.history))
        made = f" ({' over '.join(history)})" if len(history) > 1 else ""
        return f"{self.mode}, order {len(history)}{made}, {self.xs[self.k].dtype}"


def blame(
    name: str, problem: Problem, xs: Arrays, k: int, vs: Arrays, weights: Any, mode: str, tolerance: float
) -> NoReturn:
    """Raise a CheckFailure about the entries of argument `k` and of the result that disagree most along `vs`.

    `weights` is the cotangent along which a reverse derivative was wrong, or place and entry of the wrong output.
    """
    __tracebackhide__ = True
    case = Case(name, problem, xs, k, mode)
    j, row = weights if mode == "fwd" else _worst_output(case, vs, weights)
    ws, part = max(_units(problem.values, j, row), key=lambda pair: case.mismatch(vs[k], pair[0]))
    entry = _bisect(vs[k], lambda v: case.mismatch(v, ws))
    unit = max(_entry_units(problem.wide[k], entry), key=lambda v: case.mismatch(v, ws))
    reference = problem.reference(case.along(unit))
    got, want = case.rule(unit, ws), weighted(ws, reference)
    rows = {
        "argument": case.index(entry) + _imaginary(unit),
        "output": f"{problem.out_names[j]}{_index(problem.values[j], row)}{part}",
        "derivative": number(got),
    }
    details = {"argument": problem.names[k], "entry": place(problem.wide[k], entry), "mode": mode,
               "got": got, "expected": want, "order": len(problem.history) + 1, "output": problem.out_names[j]}  # fmt: skip
    kink = _kink(case, unit, ws)
    if kink:
        _say_kink(case, rows, kink, details)
    error = abs(inner([np.abs(w) for w in ws], _finite(reference.errors)))
    rows["reference"] = f"{number(want)}  ({reference.how}, error about {error:.0e})"
    rows["tolerance"] = f"{tolerance:.1e} along a direction of all entries"
    rows["mode"] = case.stage()
    headline = f"check_grads: {name}: the {NAMES[mode]} derivative is wrong"
    raise CheckFailure(report(headline, rows, ratio_hint(got, want)), **details, tolerance=tolerance, kink=None)


def refuse(name: str, problem: Problem, k: int, vs: Arrays, reference: Reference, j: int) -> NoReturn:
    """Raise a CheckFailure, since no reference is accurate enough; about a kink, if that is why."""
    __tracebackhide__ = True
    case = Case(name, problem, problem.wide, k, "fwd")
    errors = np.where(np.isfinite(problem.values[j]), reference.errors[j], 0)
    row = int(np.argmax(errors))
    ws, part = next(_units(problem.values, j, row))
    rows = {"argument": problem.names[k], "output": f"{problem.out_names[j]}{_index(problem.values[j], row)}{part}"}
    details = {"argument": problem.names[k], "order": len(problem.history) + 1, "output": problem.out_names[j]}
    if _kink(case, vs[k], ws):
        entry = _bisect(vs[k], lambda v: _break(case, v, ws))
        unit = max(_entry_units(problem.wide[k], entry), key=lambda v: _break(case, v, ws))
        kink = _kink(case, unit, ws)
        if kink:
            rows["argument"] = case.index(entry)
            _say_kink(case, rows, kink, {**details, "entry": place(problem.wide[k], entry)})
    size = largest(reference.values[j])
    rows["reference"] = f"{reference.how}, error about {np.max(errors):.0e} for a derivative of {size:.0e}"
    hint = "the function is noisy, not smooth, or at the edge of its domain: move the point, or pass eps="
    raise CheckFailure(report(f"check_grads: {name}: no reference is accurate enough to tell", rows, hint), **details)


def weighted(ws: Arrays, reference: Reference) -> Any:
    """The reference for the weighted outputs."""
    return inner(ws, _finite(reference.values))


def _finite(values: list[Any]) -> list[Any]:
    return [np.nan_to_num(d, posinf=0, neginf=0) for d in values]


def _size(difference: Any) -> float:
    size = float(abs(difference))
    return size if np.isfinite(size) else np.inf


def _worst_output(case: Case, vs: Arrays, weights: Arrays) -> tuple[int, int]:
    """The output whose cotangent is pulled back wrongly."""
    reference = case.problem.reference(vs)

    def mismatch(j: int, w: Any) -> float:
        ws = tuple(w if i == j else np.zeros_like(y) for i, y in enumerate(case.problem.values))
        return _size(weighted(ws, reference) - case.rule(vs[case.k], ws))

    j = int(np.argmax([mismatch(j, w) for j, w in enumerate(weights)]))
    return j, _bisect(weights[j], lambda w: mismatch(j, w))


def _units(values: list[Any], j: int, row: int) -> Iterator[tuple[Arrays, str]]:
    """The cotangents that select one entry of the outputs, and what of it."""
    for unit in _entry_units(values[j], row):
        yield tuple(unit if i == j else np.zeros_like(y) for i, y in enumerate(values)), _imaginary(unit)


def _entry_units(x: Any, entry: int) -> Iterator[Any]:
    """The unit directions of one entry: one, or two if it is complex."""
    yield only(np.ones_like(x), [entry])
    if x.dtype.kind == "c":
        yield only(np.full_like(x, 1j), [entry])


def _imaginary(unit: Any) -> str:
    return ".imag" if unit.dtype.kind == "c" and np.any(unit.imag) else ".real" if unit.dtype.kind == "c" else ""


def _bisect(vector: Any, mismatch: Callable[[Any], float]) -> int:
    """The entry of a vector that accounts for most of a mismatch, which is linear in it."""
    entries = np.arange(vector.size)
    while len(entries) > 1:
        halves = np.array_split(entries, 2)
        entries = halves[int(np.argmax([mismatch(only(vector, half)) for half in halves]))]
    return int(entries[0])


def _index(x: Any, entry: int) -> str:
    return f"[{', '.join(map(str, place(x, entry)))}]" if x.ndim else ""


# ---- kinks


def _sides(case: Case, v: Any, ws: Arrays, shrink: float) -> tuple[float, float]:
    below, above = one_sided(case.problem.call, case.problem.wide, case.along(v), shrink)
    return float(inner(ws, _finite(below))), float(inner(ws, _finite(above)))


SHRINK = (1.0, 0.1, 0.01)


def _break(case: Case, v: Any, ws: Arrays) -> float:
    """How far the one-sided derivatives are apart, or how large they are if the function jumps."""
    below, above = _sides(case, v, ws, SHRINK[1])
    return _size(max(abs(above - below), abs(above + below) / 2))


def _kink(case: Case, v: Any, ws: Arrays) -> tuple[float, float] | None:
    """The derivatives from below and above if they stay apart however small the step; infinite ones for a jump."""
    try:
        sides = np.array([_sides(case, v, ws, shrink) for shrink in SHRINK])
    except Exception:  # outside the domain there is nothing to say
        return None
    heights = np.max(np.abs(sides), axis=1) * SHRINK
    if heights[0] > 0 and np.ptp(heights) < 0.1 * heights[0]:
        return np.inf, np.inf
    below, above = sides[1]
    apart = abs(above - below)
    steady = bool(np.max(np.ptp(sides, axis=0)) < 0.2 * apart)
    return (float(below), float(above)) if steady and apart > 1e-2 * max(abs(below), abs(above)) else None


def _say_kink(case: Case, rows: dict[str, Any], kink: tuple[float, float], details: dict[str, Any]) -> NoReturn:
    __tracebackhide__ = True
    order = len(case.problem.history) + 1
    jumps = not np.isfinite(kink[0])
    sides = {} if jumps else {"from below": number(kink[0]), "from above": number(kink[1])}
    rows = {**rows, **sides, "mode": case.stage()}
    what = "the function" if order == 1 else f"its derivative of order {order - 1}"
    headline = f"check_grads: {case.name}: there is no derivative of order {order} at this point"
    hint = f"{what} has a {'jump' if jumps else 'kink'} here: move the point away from it"
    raise CheckFailure(report(headline, rows, hint), **details, kink=kink)
