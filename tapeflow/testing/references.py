"""Directional derivatives without any rule: five-point differences and the complex step, with their errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.testing.flat import Arrays, Flat, real_dtype, scale

__all__ = [
    "ComplexStepError",
    "Reference",
    "central_difference",
    "complex_step",
    "differences",
    "imaginary_step",
    "largest",
    "one_sided",
]

Call = Callable[..., Arrays]

# Steps to try, in units of the best one for a function that varies on the scale of its arguments.
FACTORS = (1.0, 2.0**-4, 2.0**3, 2.0**-8, 2.0**-12, 2.0**-16, 2.0**-20, 2.0**-26)


class ComplexStepError(ValueError):
    """The complex step cannot give the derivative of a function, for the reason that the message states."""


def central_difference(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, eps: float | None = None
) -> tuple[Any, Any]:
    """Derivative of a function in one direction, by a five-point stencil.

    Parameters
    ----------
    fun : callable
        Plain code that returns a pytree of arrays.
    primals, tangents : sequence of pytree of array
        Arguments of `fun`, and the direction: same structure and shapes. Leaves that are no floating-point arrays stay
        as they are.
    eps : float, optional
        The step, in units of the tangents. By default the step that balances truncation against rounding for the dtype
        and the scale of the primals, or others around it where that one gives no accurate result.

    Returns
    -------
    derivative, error : pytree of array
        Of the structure and shapes of the result; zeros for leaves that are not floating-point. `error` bounds the
        error of `derivative` by the look of it; it is infinite where no step gave a finite result.

    Raises
    ------
    StructureError
        If tangents do not fit primals, or no primal is a floating-point array.

    Notes
    -----
    ``(f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12 h`` (Abramowitz and Stegun, 25.3.6), whose truncation is of order
    ``h**4`` and whose best step is the fifth root of the precision. The error estimate compares it with the stencil of
    twice the step, and adds the noise that the fourth difference shows.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.testing import central_difference
    >>> derivative, error = central_difference(np.sin, (np.array(0.0),), (np.array(1.0),))
    >>> bool(abs(derivative - 1.0) <= error < 1e-9)
    True
    """
    flat = Flat(fun, primals)
    vs = flat.matching(tuple(tangents), "tangents")
    found = differences(flat, flat.xs, vs, eps)
    return _rebuilt(flat, found.values), _rebuilt(flat, found.errors)


def complex_step(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Derivative of a real-analytic function in one direction, by a tiny imaginary step: exact to rounding.

    Parameters
    ----------
    fun : callable
        Plain code that works for complex arguments too.
    primals, tangents : sequence of pytree of array
        As for `central_difference`, all real.

    Returns
    -------
    derivative, error : pytree of array
        As for `central_difference`.

    Raises
    ------
    ComplexStepError
        If `fun` is not analytic (it uses ``abs``, ``conj``, ``real``, a comparison), or does not take complex numbers:
        found by comparing its values and its derivative with those on real arguments. Says which.
    StructureError
        As for `central_difference`.

    Notes
    -----
    ``imag(f(x + ihv)) / h`` (Squire and Trapp, SIAM Review 40 (1998) 110): no difference is taken, so the step can be
    so small that truncation vanishes.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.testing import complex_step
    >>> complex_step(np.exp, (np.array(0.0),), (np.array(1.0),))[0]
    array(1.)
    """
    flat = Flat(fun, primals)
    vs = flat.matching(tuple(tangents), "tangents")
    found = imaginary_step(flat, flat.xs, vs, differences(flat, flat.xs, vs))
    return _rebuilt(flat, found.values), _rebuilt(flat, found.errors)


def _rebuilt(flat: Flat, values: Sequence[Any]) -> Any:
    with quiet():
        leaves, spec, paths = pytree.flatten_with_paths(flat.apply(flat.xs), "out")
    found = dict(zip(flat.out_names, values, strict=True))
    zeros = (np.zeros(np.shape(y)) for y in leaves)
    return pytree.unflatten(spec, [found.get(str(p), z) for p, z in zip(paths, zeros, strict=True)])


# ---- on flat lists of arrays


@contextmanager
def quiet() -> Iterator[None]:
    """Steps may leave the domain of a function, which is no news."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@dataclass
class Reference:
    """A derivative along a direction, without rules.

    For each output its value, its error, and the size of the function around the point; how it was found, and by which
    step if by differences.
    """

    values: list[Any]
    errors: list[Any]
    sizes: list[Any]
    how: str
    step: float = 0.0

    def score(self, precision: float, unit: float) -> float:
        """The largest error against the size of the derivative; that of the function stands in for tiny ones."""
        worst = 0.0
        for d, e, size in zip(self.values, self.errors, self.sizes, strict=True):
            if np.max(e, initial=0):
                worst = max(worst, float(np.max(e) / (largest(d) + precision**0.5 * largest(size) / unit)))
        return worst

    def settled(self, precision: float, unit: float) -> bool:
        """Whether no other step is worth trying: accurate enough, or as accurate as rounding lets the best one be."""
        return all(
            bool(np.all(e <= max(0.05 * precision**0.5 * largest(d), 30 * precision**0.8 * largest(size) / unit)))
            for d, e, size in zip(self.values, self.errors, self.sizes, strict=True)
        )

    def doubtful(self, ys: Sequence[Any], precision: float, nothing: float) -> int | None:
        """The output of which something cannot be told, if there is one; a size of `nothing` passes as zero."""
        for j, (d, e, size, y) in enumerate(zip(self.values, self.errors, self.sizes, ys, strict=True)):
            large = precision**0.5 * max(largest(d), largest(size))
            bad = np.isfinite(y) & (e > 1e-2 * np.abs(d)) & (e > 1e-3 * size) & (e > large) & (size > nothing)
            if np.any(bad | (np.isfinite(y) & ~np.isfinite(e))):
                return j
        return None


def largest(y: Any) -> float:
    """The largest modulus of what is finite."""
    return float(np.max(np.abs(np.nan_to_num(y, posinf=0, neginf=0)), initial=0))


def differences(call: Call, xs: Arrays, vs: Arrays, eps: float | None = None) -> Reference:
    """Derivative along `vs` for each output, by the best of several steps."""
    with quiet():
        middle = [np.asarray(y) for y in call(*xs)]
        precision, unit, sizes = _precision(xs, middle), _unit(xs, vs), [np.abs(y) for y in middle]
        how = "five-point differences"
        if unit is None:
            return Reference([np.zeros_like(y) for y in middle], [np.zeros(y.shape) for y in middle], sizes, how)
        nothing = [np.full_like(y, np.nan) for y in middle], [np.full(y.shape, np.inf) for y in middle]
        best, least = Reference(*nothing, sizes, how), np.inf
        for factor in FACTORS[: 1 if eps is not None else None]:
            h = precision**0.2 * unit * factor if eps is None else eps
            points = _points(call, xs, vs, middle, h)
            if points is not None:
                sizes = (
                    sizes if least < np.inf else [np.max(np.abs(p), axis=0) for p in zip(*points.values(), strict=True)]
                )
                found = Reference(*_five_points(points, middle, h, unit, precision), sizes, how, h)
                # Not the best at any price: between two steps of rounding every function is smooth.
                score = found.score(precision, unit) / min(1, factor) ** 0.5
                if score < least or least == np.inf:
                    best, least = found, score
                if found.settled(precision, unit):
                    break
    return best


def confirmed(call: Call, xs: Arrays, vs: Arrays, first: Reference) -> Reference:
    """The same differences, with errors that no lucky step has made small: the spread over several steps."""
    errors = [np.full_like(e, np.max(e, initial=0)) for e in first.errors]
    for factor in (0.6, 0.8, 1.3, 1.7) if first.step else ():
        other = differences(call, xs, vs, first.step * factor)
        spread = (np.max(np.abs(a - b), initial=0) for a, b in zip(first.values, other.values, strict=True))
        errors = [np.fmax(e, s) for e, s in zip(errors, spread, strict=True)]
    return replace(first, errors=errors)


def _precision(xs: Arrays, ys: Sequence[Any]) -> float:
    return float(max((np.finfo(real_dtype(a.dtype)).eps for a in (*xs, *ys)), default=1e-16))


def _unit(xs: Arrays, vs: Arrays) -> float | None:
    """The multiple of the direction that moves some element by its scale and none by more."""
    ratios = [np.min((scale(x) / np.abs(v))[v != 0]) for x, v in zip(xs, vs, strict=True) if np.any(v != 0)]
    return float(min(ratios)) if ratios else None


def _at(call: Call, xs: Arrays, vs: Arrays, h: float) -> list[Any]:
    moved = (np.asarray(x + h * v).astype(x.dtype) for x, v in zip(xs, vs, strict=True))
    return [np.asarray(y) for y in call(*moved)]


def _points(call: Call, xs: Arrays, vs: Arrays, middle: list[Any], h: float) -> dict[int, list[Any]] | None:
    """The outputs around the point; ``None`` if the step leads out of the domain."""
    try:
        points = {k: _at(call, xs, vs, k * h) for k in (-4, -2, -1, 1, 2, 4)}
    except Exception:
        return None
    shapes = [y.shape for y in middle]
    return points if all([y.shape for y in outs] == shapes for outs in points.values()) else None


def _five_points(
    points: dict[int, list[Any]], middle: list[Any], h: float, unit: float, precision: float
) -> tuple[list[Any], list[Any]]:
    """The derivative by one step, and its error."""
    values, errors = [], []
    for k, y in enumerate(middle):
        f = {step: outs[k] for step, outs in points.items()}
        near = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
        far = (f[-4] - 8 * f[-2] + 8 * f[2] - f[4]) / (24 * h)
        noise = np.abs(f[-2] - 4 * f[-1] + 6 * y - 4 * f[1] + f[2]) / (8 * h)
        rounding = precision * (np.abs(y) + np.abs(near) * unit) / h
        error = np.abs(near - far) + noise + rounding
        values.append(near)
        errors.append(np.where(np.isfinite(error), error, np.inf))
    return values, errors


def one_sided(call: Call, xs: Arrays, vs: Arrays, shrink: float = 1.0) -> tuple[list[Any], list[Any]]:
    """Derivatives from below and from above."""
    with quiet():
        middle = [np.asarray(y) for y in call(*xs)]
        h = shrink * _precision(xs, middle) ** 0.3 * (_unit(xs, vs) or 1.0)
        sides = []
        for s in (-h, h):
            one, two = _at(call, xs, vs, s), _at(call, xs, vs, 2 * s)
            sides.append([(4 * b - c - 3 * a) / (2 * s) for a, b, c in zip(middle, one, two, strict=True)])
    return sides[0], sides[1]


def imaginary_step(call: Call, xs: Arrays, vs: Arrays, known: Reference) -> Reference:
    """Derivative by the complex step, after comparing it with differences that are `known`."""
    if any(x.dtype.kind == "c" for x in xs):
        raise ComplexStepError("an argument is complex itself")
    with quiet():
        plain = [np.asarray(y) for y in call(*xs)]
        unit, precision = _unit(xs, vs) or 1.0, _precision(xs, plain)
        h = precision**2 * unit
        zs = tuple(x.astype(np.result_type(x.dtype, np.complex64)) for x in xs)
        try:
            still = [np.asarray(y) for y in call(*zs)]
            moved = [np.asarray(y) for y in call(*(z + 1j * h * v for z, v in zip(zs, vs, strict=True)))]
        except Exception as error:
            raise ComplexStepError(f"the function does not take complex numbers: {type(error).__name__}") from error
    _same_values(plain, still, precision)
    values = [np.asarray(np.imag(y) / h) for y in moved]
    errors = [16 * precision * (np.abs(d) + largest(d) + largest(y) / unit) for d, y in zip(values, plain, strict=True)]
    for d, want, e in zip(values, known.values, known.errors, strict=True):
        if np.any(~(e <= 1e-3 * largest(want))):
            raise ComplexStepError("differences are too inaccurate to see whether the function is analytic")
        if np.any(~(np.abs(d - want) <= 10 * e + precision**0.5 * (np.abs(want) + largest(want)))):
            raise ComplexStepError("the function is not analytic (abs, conj, real, imag?): the derivatives disagree")
    return Reference(values, errors, known.sizes, "complex step")


def _same_values(plain: list[Any], still: list[Any], precision: float) -> None:
    for y, z in zip(plain, still, strict=True):
        if z.dtype.kind != "c":
            raise ComplexStepError("the function returns real numbers for complex arguments")
        bound = 64 * precision * (np.abs(y) + largest(y))
        if y.dtype.kind == "c" or y.shape != z.shape or np.any(~(np.abs(z - y) <= bound)):
            raise ComplexStepError("f(x + 0j) differs from f(x)")
