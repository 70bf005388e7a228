"""One derivative of one function at one point, by a rule and by a reference, along directions that can be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapeflow.testing.flat import Arrays, direction, real_dtype, widened
from tapeflow.testing.references import ComplexStepError, Reference, differences, imaginary_step, largest
from tapeflow.transforms import jvp, vjp

__all__ = ["Options", "Problem", "first_problem"]

Call = Callable[..., Arrays]


@dataclass(frozen=True)
class Options:
    """What the caller has chosen."""

    rtol: float | None = None
    atol: float | None = None
    eps: float | None = None
    reference: str = "auto"


@dataclass
class Problem:
    """A function of arrays at a point, and what is needed to differentiate it.

    Attributes
    ----------
    call : callable
        Floating-point arrays in, a tuple of floating-point arrays out; can be traced.
    xs : tuple of array
        The point, in the precision that was asked about.
    wide : tuple of array
        The same in the precision in which references are taken.
    names, out_names : list of str
        What messages call arguments and results.
    history : tuple of str
        Modes of the derivatives that `call` is itself made of, innermost first.
    magnitude : float
        The largest value and derivative so far, which sets the scale of rounding: directions are relative to the point.
    """

    call: Call
    xs: Arrays
    wide: Arrays
    names: list[str]
    out_names: list[str]
    rng: np.random.Generator
    options: Options
    history: tuple[str, ...] = ()
    magnitude: float = 0.0
    values: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values = [np.asarray(y) for y in self.call(*self.wide)]
        self.magnitude = max(self.magnitude, *map(largest, self.values), 0.0)

    @property
    def narrow(self) -> bool:
        """Whether the reference has more precision than what was asked about."""
        return any(x.dtype != w.dtype for x, w in zip(self.xs, self.wide, strict=True))

    def push(self, xs: Arrays, vs: Arrays) -> list[Any]:
        """Forward mode: the derivative of each output along a direction."""
        return [np.asarray(t) for t in jvp(self.call, xs, fitted(vs, xs))[1]]

    def pull(self, xs: Arrays, ws: Arrays) -> list[Any]:
        """Reverse mode: the gradient for each argument of the outputs weighted by `ws`."""
        ys, pullback = vjp(self.call, *xs)
        return [np.asarray(g) for g in pullback(fitted(ws, ys))]

    def reference(self, vs: Arrays) -> Reference:
        """Derivative along a direction by differences, or by the complex step where that is asked for or needed."""
        vs = fitted(vs, self.wide)
        found = differences(self.call, self.wide, vs, self.options.eps)
        wanted = self.options.reference
        if wanted == "complex_step" or (wanted == "auto" and self._poor(found)):
            try:
                return imaginary_step(self.call, self.wide, vs, found)
            except ComplexStepError as error:
                if wanted == "complex_step":
                    raise
                found.how += f"; no complex step: {error}"
        return found

    def _poor(self, found: Reference) -> bool:
        pairs = zip(found.values, found.errors, strict=True)
        return any(bool(np.any(10 * e > self.rtol(self.wide) * largest(d))) for d, e in pairs if np.any(d != 0))

    def rtol(self, xs: Arrays) -> float:
        """Relative tolerance: the square root of the precision, unless it was given."""
        if self.options.rtol is not None:
            return self.options.rtol
        return float(self.precision(xs) ** 0.5)

    @staticmethod
    def precision(xs: Arrays) -> float:
        """The spacing of numbers at one."""
        return float(max(np.finfo(real_dtype(x.dtype)).eps for x in xs))

    def along(self, k: int, floor: float = 0.01) -> Arrays:
        """A direction in argument `k` alone."""
        return tuple(direction(x, self.rng, floor) if i == k else np.zeros_like(x) for i, x in enumerate(self.wide))

    def rounding(self, derivative: Callable[[Arrays], list[Any]], xs: Arrays) -> list[Any]:
        """How much a derivative changes when the arguments are rounded to the precision of `xs`."""
        still = derivative(self.wide)
        spread = [np.zeros(np.shape(y)) for y in still]
        for _ in range(2):
            moved = []
            for x, w in zip(xs, self.wide, strict=True):
                eps = float(np.finfo(real_dtype(x.dtype)).eps)
                moved.append(np.asarray(w * (1 + eps * self.rng.uniform(-1, 1, w.shape))).astype(w.dtype))
            with np.errstate(all="ignore"):
                changed = derivative(tuple(moved))
            spread = [np.fmax(s, np.abs(c - y)) for s, c, y in zip(spread, changed, still, strict=True)]
        return spread

    def derived(self, mode: str) -> Problem:
        """The derivative in one mode, along one direction that stays the same, as a function to be differentiated."""
        if mode == "fwd":
            vs = tuple(direction(x, self.rng) for x in self.wide)

            def call(*xs: Any) -> Arrays:
                return tuple(jvp(self.call, xs, fitted(vs, xs))[1])

            names = [f"tangent of {n}" for n in self.out_names]
        else:
            ws = tuple(direction(np.ones_like(y), self.rng) for y in self.values)

            def call(*xs: Any) -> Arrays:
                ys, pullback = vjp(self.call, *xs)
                return tuple(pullback(fitted(ws, ys)))

            names = [f"gradient of {n}" for n in self.names]
        made = (*self.history, mode)
        return Problem(call, self.xs, self.wide, self.names, names, self.rng, self.options, made, self.magnitude)


def fitted(vs: Arrays, xs: Arrays) -> Arrays:
    """Directions in the dtypes of what they belong to."""
    return tuple(np.asarray(v).astype(x.dtype) for v, x in zip(vs, xs, strict=True))


def first_problem(flat: Any, rng: np.random.Generator, options: Options, *, widen: bool = True) -> Problem:
    """The function itself, with a wider point for references where the function permits it."""
    plain = flat(*flat.xs)
    xs, wide = flat.xs, widened(flat.xs) if widen else flat.xs
    if any(x.dtype != w.dtype for x, w in zip(xs, wide, strict=True)):
        outs = _tried(flat, wide)
        if outs is None or [np.shape(y) for y in outs] != [np.shape(y) for y in plain]:
            wide = xs
        elif any(np.finfo(y.dtype).eps > 1e-10 for y in outs):
            wide = xs  # it goes back to single precision by itself
        elif any(np.any(np.isfinite(w) & ~np.isfinite(y)) for w, y in zip(outs, plain, strict=True)):
            xs = wide  # it has no values in single precision, so no derivatives either
        flat(*xs)
    return Problem(flat, xs, wide, flat.names, flat.out_names, rng, options)


def _tried(flat: Any, xs: Arrays) -> Arrays | None:
    """The results, or ``None`` for a function that insists on another precision."""
    try:
        with np.errstate(all="ignore"):
            return tuple(flat(*xs))
    except Exception:
        return None
