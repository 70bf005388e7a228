"""Check derivatives against numerical references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.errors import name_of
from tapeflow.testing.blame import blame, refuse
from tapeflow.testing.derivative import Options, Problem, first_problem
from tapeflow.testing.flat import Arrays, Flat, direction, inner
from tapeflow.testing.references import Reference, confirmed, largest

__all__ = ["check_grads", "check_problem"]

MODES = ("fwd", "rev")
REFERENCES = ("auto", "difference", "complex_step")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    rng: Any = None,
    reference: str = "auto",
) -> None:
    """Check the derivatives of a function against numerical references.

    Parameters
    ----------
    f : callable
        Plain NumPy code: pytrees of arrays in and out, real or complex. Integers and whatever else is no
        floating-point array is left alone.
    args : sequence of pytree
        The point, one entry for each argument of `f`.
    order : int
        Up to which order to check; order 2 is the derivatives of the first ones in every mode, and so on.
    modes : sequence of {"fwd", "rev"}
        Forward mode (JVP), reverse mode (VJP), or both.
    rtol, atol : float, optional
        Tolerances, relative to the derivative and absolute. By default the square root of the precision of the
        dtype, relative to the largest entry; the error of the reference and the rounding of the arguments come on top.
    eps : float, optional
        Step of the differences; see `central_difference`.
    rng : numpy.random.Generator or int, optional
        Draws the directions. By default they are the same in every call.
    reference : {"auto", "difference", "complex_step"}
        What to compare with. ``"auto"`` takes differences, and the complex step where they are not accurate enough
        and `f` is analytic.

    Raises
    ------
    CheckFailure
        An AssertionError that names argument, entry, result, both numbers, the tolerance, mode and order; also if
        the reference is too inaccurate to tell.
    StructureError
        If no argument is a floating-point array.
    ComplexStepError
        If the complex step was asked for and cannot be taken.
    ValueError
        If an option is unknown.

    Notes
    -----
    Single precision is checked twice: in double precision, strictly, with double-precision references; then as it
    stands, with the rounding that it must be allowed. A point on a kink fails, whatever the rule says there, and the
    message calls it one.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.testing import check_grads
    >>> check_grads(lambda p, x: np.tanh(x @ p["w"]), ({"w": np.ones((3, 2))}, np.arange(6.0).reshape(2, 3)))
    """
    __tracebackhide__ = True
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if order < 1 or not modes or not set(modes) <= set(MODES):
        raise ValueError(f"check_grads: order={order!r}, modes={modes!r}; order is at least 1, modes are of {MODES}")
    if reference not in REFERENCES:
        raise ValueError(f"check_grads: reference={reference!r}; choose one of {REFERENCES}")
    options = Options(rtol, atol, eps, reference)
    problem = first_problem(Flat(f, args), np.random.default_rng(0 if rng is None else rng), options)
    check_problem(name_of(f), problem, order, modes)


def check_problem(name: str, problem: Problem, order: int, modes: tuple[str, ...]) -> None:
    """Check argument by argument, and then the derivatives of the derivatives."""
    __tracebackhide__ = True
    weights = tuple(direction(np.ones_like(y), problem.rng) for y in problem.values)
    for k, x in enumerate(problem.wide):
        if x.size:
            vs, reference = _probe(name, problem, k)
            for mode in modes:
                _check_mode(name, problem, k, vs, weights, reference, mode)
    if order > 1:
        for mode in modes:
            check_problem(name, problem.derived(mode), order - 1, modes)


def _probe(name: str, problem: Problem, k: int) -> tuple[Arrays, Reference]:
    """A direction, and the reference along it; first a rough one, which may leave the domain of the function."""
    __tracebackhide__ = True
    for floor in (0.01, 0.0):
        vs = problem.along(k, floor)
        reference = problem.reference(vs)
        precision = problem.precision(problem.wide)
        j = reference.doubtful(problem.values, precision, 1000 * precision * largest(problem.wide[k]))
        if j is None:
            problem.magnitude = max(problem.magnitude, *map(largest, (*reference.sizes, *reference.values)))
            return vs, reference
    refuse(name, problem, k, vs, reference, j or 0)


def _check_mode(
    name: str, problem: Problem, k: int, vs: Arrays, weights: Arrays, reference: Reference, mode: str
) -> None:
    """Compare along one direction, in the precision of the reference and in the one that was asked about."""
    __tracebackhide__ = True

    def derivative(xs: Arrays) -> list[Any]:
        if mode == "fwd":
            return problem.push(xs, vs)
        return [inner(vs[k : k + 1], problem.pull(xs, weights)[k : k + 1])]

    for xs in (problem.wide, problem.xs)[: 1 + problem.narrow]:
        want, bounds = tolerances(problem, xs, reference, weights if mode == "rev" else None)
        got = derivative(xs)
        if any(found is not None for found in map(_excess, got, want, bounds)):
            # An alarm is raised only after the rounding of the arguments and other steps have been allowed for.
            sure = confirmed(problem.call, problem.wide, vs, reference)
            want, bounds = tolerances(problem, xs, sure, weights if mode == "rev" else None)
            bounds = [b + 64 * s for b, s in zip(bounds, problem.rounding(derivative, xs), strict=True)]
        for j, found in enumerate(map(_excess, got, want, bounds)):
            if found is not None:
                place = weights if mode == "rev" else (j, found)
                blame(name, problem, xs, k, vs, place, mode, float(np.ravel(bounds[j])[found]))


def _excess(got: Any, want: Any, bound: Any) -> int | None:
    """The entry that is furthest out of bounds, or ``None``; entries without a reference are passed over."""
    far = np.where(np.isfinite(bound), np.abs(np.nan_to_num(got - want, nan=np.inf)) - bound, 0)
    return int(np.argmax(far)) if np.any(far > 0) else None


def tolerances(problem: Problem, xs: Arrays, reference: Reference, weights: Arrays | None) -> tuple[Any, Any]:
    """What is expected and how far from it a derivative may be: for each output, or for their weighted sum."""
    rtol, atol = problem.rtol(xs), problem.options.atol or 0.0
    # What rounding leaves of values that cancel; the reference shows none of it for single precision.
    atol += 1000 * problem.precision(xs) * problem.magnitude
    atol += 10 * problem.precision(xs) * max(map(largest, xs)) if xs is not problem.wide else 0.0
    bounds = [
        atol + 10 * e + rtol * (np.abs(d) + (largest(d) if problem.options.rtol is None else 0))
        for d, e in zip(reference.values, reference.errors, strict=True)
    ]
    if weights is None:
        return reference.values, bounds
    known = [np.where(np.isfinite(b), w, 0) for w, b in zip(weights, bounds, strict=True)]
    safe = [np.nan_to_num(d) for d in reference.values]
    finite = [np.where(np.isfinite(b), b, 0) for b in bounds]
    infinite = any(np.any(~np.isfinite(b)) for b in bounds)
    bound = sum((np.sum(np.abs(w) * b) for w, b in zip(weights, finite, strict=True)), np.float64(0))
    return [inner(known, safe)], [np.inf if infinite else bound]
