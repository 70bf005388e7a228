"""Bounds and constraints on trees, as SciPy wants them: on vectors, and with their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tapeflow.bridges._vectors import Layout, Unknowns, name_of
from tapeflow.errors import StructureError
from tapeflow.transforms import hessian_operator, jacobian

__all__ = ["as_bounds", "as_constraints"]

SIDES = {"eq": (0.0, 0.0), "ineq": (0.0, np.inf)}


def as_bounds(x: Unknowns, bounds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of all places, from a pair of trees or SciPy's `Bounds`."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = (bounds.lb, bounds.ub)
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        raise StructureError(
            f"{x.what}: bounds must be a pair (lower, upper) of trees like x0, of numbers, or None, not a "
            f"{type(bounds).__name__}; SciPy's list of pairs for a vector is (pairs[:, 0], pairs[:, 1])"
        )
    return x.spread(bounds[0], "lower", -np.inf), x.spread(bounds[1], "upper", np.inf)


def as_constraints(x: Unknowns, constraints: Any, *, curved: bool) -> list[Any]:
    """SciPy's constraints on vectors, with exact Jacobians, and if `curved` exact second derivatives."""
    from scipy.optimize import LinearConstraint

    if isinstance(constraints, Mapping) or hasattr(constraints, "lb"):
        constraints = (constraints,)
    return [
        _linear(x, c) if isinstance(c, LinearConstraint) else _nonlinear(x, *_parts(x, c), curved=curved)
        for c in constraints
    ]


def _parts(x: Unknowns, constraint: Any) -> tuple[Any, ...]:
    """Function, its further arguments, lower and upper limits, and whether to stay feasible."""
    if isinstance(constraint, Mapping):
        unknown = set(constraint) - {"type", "fun", "args"}
        if unknown or constraint.get("type") not in SIDES or not callable(constraint.get("fun")):
            raise StructureError(
                f"{x.what}: a constraint as a dict has 'type' ('eq' or 'ineq'), 'fun', a function, and perhaps 'args'; its "
                f"derivatives are found. This one has {dict(constraint)!r:.200}"
            )
        return constraint["fun"], tuple(constraint.get("args", ())), *SIDES[constraint["type"]], False
    if not callable(getattr(constraint, "fun", None)):
        raise StructureError(
            f"{x.what}: a constraint must be a dict, or SciPy's NonlinearConstraint or LinearConstraint, not a "
            f"{type(constraint).__name__}"
        )
    if callable(constraint.jac) or callable(constraint.hess):
        raise StructureError(f"{x.what}: leave jac and hess of a NonlinearConstraint out; they are found exactly")
    return constraint.fun, (), constraint.lb, constraint.ub, constraint.keep_feasible


def _nonlinear(
    x: Unknowns, fun: Callable[..., Any], args: tuple[Any, ...], lower: Any, upper: Any, feasible: Any, *, curved: bool
) -> Any:
    from scipy.optimize import NonlinearConstraint

    flat = x.vector(fun, args)
    out = x.values(fun, fun(x.result(x.start), *args))
    limits = Layout(out, [(tuple(y.shape), np.dtype(y.dtype)) for y in out.leaves])
    lower, upper = limits.spread(lower, "lb", -np.inf), limits.spread(upper, "ub", np.inf)
    jac = jacobian(flat)
    more = {"hess": lambda v, weights: _curvature(flat, v, weights)} if curved else {}
    return NonlinearConstraint(
        lambda v: flat(np.array(v)), lower, upper, lambda v: jac(np.array(v)), keep_feasible=feasible, **more
    )


def _curvature(flat: Callable[[Any], Any], v: Any, weights: Any) -> Any:
    """The Hessian of a weighted sum of constraints."""
    weights = np.array(weights)
    return hessian_operator(lambda u: np.sum(weights * flat(u)), np.array(v))


def _linear(x: Unknowns, constraint: Any) -> Any:
    columns = np.shape(constraint.A)[-1]
    if columns != x.size:
        raise StructureError(
            f"{x.what}: the matrix of a LinearConstraint has {columns} columns for the {x.size} numbers of x0 (of "
            f"{name_of(x.fun)}), leaf after leaf"
        )
    return constraint
