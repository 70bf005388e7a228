"""The rows of the table of cases as calls to time, at the size of the row and larger.

The table is that of the tests, imported from the checkout beside this folder: a function that gets rules and a row gets
its benchmarks with them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tapeflow import ForwardAccumulator, GradientTape, pytree
from tapeflow.core.tracer import Tracer
from tapeflow.errors import RuleError

ROOT = Path(__file__).resolve().parent.parent
sys.path += [p for p in (str(ROOT / "tools"), str(ROOT / "tests/ops")) if p not in sys.path]

import coverage_table
from cases import CASES, Case, Draw, Sized
from classification import plain_reason

from tapeflow.core.primitive import FUNCTIONS

__all__ = ["OWN_SIZE", "Call", "NotThatLarge", "functions", "sized_call"]

OWN_SIZE = 10  # stands for the row as it is, a handful of elements
PATIENCE = 1.0  # seconds that record and sweep may take; keeps the slowest functions from becoming the whole suite
# What NumPy and SciPy raise, and rules at points without a derivative.
REFUSALS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuleError)

Grow = Callable[[tuple[int, ...], int, int], tuple[int, ...]]


class NotThatLarge(NotImplementedError):
    """The row cannot be made so large, or only so that it takes too long; asv then shows no figure."""


@cache
def functions() -> dict[str, list[Case]]:
    """The rows of every function with derivative rules, by its public name."""
    names = coverage_table.named()
    rows: dict[str, list[Case]] = {}
    for case in CASES:
        if case.function in FUNCTIONS and plain_reason(case.function) is None:
            namespace, (name, *_) = names[id(case.function)]
            if name.startswith("<ufunc"):  # one of our own, behind a function of SciPy that is none
                namespace, name = "scipy.special", case.function.__name__
            prefix = "" if " " in namespace else f"{namespace}."
            rows.setdefault(prefix + name, []).append(case)
    return dict(sorted(rows.items()))


@dataclass
class Call:
    """A call with its arguments, in the four ways that are compared."""

    plain: Callable[..., Any]
    args: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        out = [np.asarray(y) for y in pytree.flatten(self.plain(*self.args))[0]]
        self.size = max(a.size for a in (*self.args, *out))
        self.ones = tuple(np.ones_like(a) for a in self.args)
        self.seeds = [np.ones_like(y) for y in out if y.dtype.kind in "fc"]

    def numpy(self) -> Any:
        """NumPy alone."""
        return self.plain(*self.args)

    def forward(self) -> list[Any]:
        """Record on a new tape."""
        with GradientTape() as tape:
            return targets(self.plain(*tape.watch(self.args)))

    def vjp(self) -> Any:
        """Record on a new tape, and sweep."""
        with GradientTape() as tape:
            xs = tape.watch(self.args)
            ys = targets(self.plain(*xs))
        return tape.gradient(ys, xs, self.seeds if len(ys) == len(self.seeds) else None)

    def jvp(self) -> Any:
        """Push tangents forward."""
        with ForwardAccumulator(self.args, self.ones) as accumulator:
            ys = targets(self.plain(*accumulator.primals))
            return accumulator.jvp(ys)


def targets(out: Any) -> list[Any]:
    """The results that have a derivative."""
    return [y for y in pytree.flatten(out)[0] if isinstance(y, Tracer) and y.dtype.kind in "fc"]


# ---- larger arguments


def all_axes(shape: tuple[int, ...], factor: int, ndim: int) -> tuple[int, ...]:
    """Every axis but those of one element; what must agree in length still does."""
    return tuple(n * factor if n > 1 else n for n in shape)


def last_axis(shape: tuple[int, ...], factor: int, ndim: int) -> tuple[int, ...]:
    """The last axis."""
    return (*shape[:-1], shape[-1] * factor) if shape and shape[-1] > 1 else shape


def first_axis(shape: tuple[int, ...], factor: int, ndim: int) -> tuple[int, ...]:
    """The first axis."""
    return (shape[0] * factor, *shape[1:]) if shape and shape[0] > 1 else shape


def stacked(shape: tuple[int, ...], factor: int, ndim: int) -> tuple[int, ...]:
    """A stack of what there is, of the operands of most axes."""
    return (factor, *shape) if len(shape) == ndim else shape


WAYS: tuple[Grow, ...] = (all_axes, stacked, last_axis, first_axis)


def larger(case: Case, grow: Grow, factor: int) -> tuple[np.ndarray, ...]:
    """The arguments of a row, drawn again larger where the row says how, else repeated."""
    rng = case.rng()
    ndim = max(a.ndim for a in case.args())

    def draw(own: Draw) -> np.ndarray:
        if isinstance(own, Sized):
            return own.make(rng, grow(own.shape, factor, ndim))
        value = own(rng)
        return np.resize(value, grow(value.shape, factor, ndim))

    return tuple(draw(own) for own in case.draws)


def grown(case: Case, grow: Grow, factor: int) -> Call:
    """The call of a row on larger arguments."""
    return Call(case.call, larger(case, grow, factor) if factor > 1 else case.args())


def works(case: Case, grow: Grow) -> bool:
    """Whether a row is larger when its arguments are, and still has derivatives."""
    try:
        call = grown(case, grow, 4)
        call.vjp()
        call.jvp()
    except REFUSALS:
        return False
    return 2 <= call.size / max(1, grown(case, grow, 1).size) <= 4**4  # not one that grows exponentially


@cache
def way_to_grow(name: str) -> tuple[Case, Grow | None]:
    """The first row of a function that can be made larger, and how; else its first row that is not empty."""
    rows = functions()[name]
    with np.errstate(all="ignore"):
        found: Iterator[tuple[Case, Grow]] = ((c, grow) for c in rows for grow in WAYS if works(c, grow))
        return next(found, None) or (next((c for c in rows if grown(c, WAYS[0], 1).size), rows[0]), None)


@cache
def sized_call(name: str, size: int) -> Call:
    """The call of a function whose largest operand or result has about so many elements, and no more.

    Raises
    ------
    NotThatLarge
        If no row of the function can be made so large, or its gradient then takes too long.
    """
    case, grow = way_to_grow(name)
    call = grown(case, WAYS[0], 1)
    if size <= OWN_SIZE:
        return call
    if grow is None:
        raise NotThatLarge(name)
    factor, power, took = 1, 1.0, seconds(call)
    while (step := (size / call.size) ** (1 / power)) > 1.1 and took * min(step, 2) ** 2 < PATIENCE:
        try:
            larger_call = grown(case, grow, new := max(factor + 1, int(factor * min(step, 2))))
            if larger_call.size > size:
                break
            took = seconds(larger_call)
        except REFUSALS:
            break
        power = max(0.2, np.log(larger_call.size / call.size) / np.log(new / factor))
        factor, call = new, larger_call
    if call.size < size / 10:
        raise NotThatLarge(name)
    return call


def seconds(call: Call) -> float:
    """How long record and sweep take."""
    start = time.perf_counter()
    call.vjp()
    return time.perf_counter() - start
