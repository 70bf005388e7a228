"""SciPy's optimizers on trees, with exact derivatives of every order that they ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.bridges._constraints import as_bounds, as_constraints
from tapeflow.bridges._vectors import Unknowns
from tapeflow.errors import StructureError
from tapeflow.transforms import grad, hessian, jacobian, jacobian_operator, linearize, value_and_grad

__all__ = ["least_squares", "minimize", "root"]

# What SciPy's methods take (its documentation of `minimize` and `root`); those in neither set take a gradient.
WITHOUT_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
WITH_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
WITH_HESSIAN = {"dogleg", "trust-exact"}
ROOT_WITH_JACOBIAN = {"hybr", "lm"}


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    method: str | Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Minimize a scalar function of a tree with `scipy.optimize.minimize` and exact derivatives.

    Parameters
    ----------
    fun : callable
        Plain NumPy code ``fun(x, *args)`` that returns a real scalar.
    x0 : pytree of array
        Where to start: floating-point or complex arrays of any shape and dtype, and Python floats.
    *args : Any
        Further arguments of `fun`.
    method : str or callable, optional
        As for SciPy. The gradient is computed in one pass with the value. Methods that use second derivatives get exact
        ones: ``Newton-CG``, ``trust-ncg``, ``trust-krylov`` and ``trust-constr`` products, ``dogleg`` and ``trust-exact``
        the Hessian.
    bounds : (lower, upper), optional
        Each a tree like `x0`, whose leaves are broadcast and may be ``None``, or a number for all, or ``None``; or SciPy's
        `Bounds`.
    constraints : dict, NonlinearConstraint, LinearConstraint, or sequence of them
        As for SciPy, with functions of trees that return trees, and without derivatives: those are found. The limits of a
        `NonlinearConstraint` are broadcast as bounds are. The matrix of a `LinearConstraint` is for the vector.
    tol, options
        As for SciPy.
    callback : callable, optional
        As for SciPy; it gets trees.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with ``x`` in the structure, shapes and dtypes of `x0`. All else is about the vector: of the leaves one
        after the other, each in C order.

    Raises
    ------
    NotDifferentiableError
        If a leaf of `x0` is no floating-point array.
    TargetError
        If `fun` does not return a real scalar.
    StructureError
        If bounds or constraints do not fit.
    TracedConversionError
        If `x0` or an argument is itself being differentiated.

    Notes
    -----
    SciPy computes in float64. Leaves of other dtypes are converted when `fun` is called, so a function of float32 is
    evaluated in float32, and tolerances should be chosen for that. Complex numbers are pairs of real ones to SciPy.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.bridges.optimize import minimize
    >>> def loss(p):
    ...     return (p["a"] - 1) ** 2 + np.sum((p["b"] - p["a"]) ** 2)
    >>> found = minimize(loss, {"a": 0.0, "b": np.zeros(2)}, method="trust-krylov")
    >>> found.x["a"].round(6), found.x["b"].round(6)
    (np.float64(1.0), array([1., 1.]))
    """
    from scipy import optimize  # takes long

    x = Unknowns("minimize", fun, x0, args)
    known = method.lower() if isinstance(method, str) else None
    derivatives = _derivatives(x, "" if method is None else known or "callable")
    if bounds is not None:
        derivatives["bounds"] = optimize.Bounds(*as_bounds(x, bounds))
    curved = known == "trust-constr"
    found = optimize.minimize(
        x0=x.start,
        method=method,
        constraints=as_constraints(x, constraints, curved=curved),
        tol=tol,
        callback=_callback(x, callback),
        options=options,
        **derivatives,
    )
    return _with_tree(x, found)


def _derivatives(x: Unknowns, method: str) -> dict[str, Any]:
    """Value and derivatives, as keyword arguments of SciPy's function."""
    flat = x.scalar()
    both = value_and_grad(flat)

    def value_and_slope(v: Any) -> tuple[float, Any]:
        value, slope = both(np.array(v))
        return float(value), slope

    if method in WITHOUT_GRADIENT:
        return {"fun": lambda v: float(flat(np.array(v)))}
    more: dict[str, Any] = {"fun": value_and_slope, "jac": True}
    if method in WITH_PRODUCTS or method == "callable":
        more["hessp"] = _products(flat)
    if method in WITH_HESSIAN:
        dense = hessian(flat)
        more["hess"] = lambda v: dense(np.array(v))
    return more


def _products(flat: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Products with the Hessian; what is computed at a point serves all of them there."""
    seen: list[Any] = []
    slope = grad(flat)

    def product(v: Any, p: Any) -> Any:
        if not seen or not np.array_equal(seen[0], v):
            at = np.array(v)
            seen[:] = at, linearize(slope, at.copy())[1]
        return seen[1](np.ravel(p))

    return product


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    bounds: Any = None,
    operator: bool = False,
    x_scale: Any = None,
    callback: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """Minimize a sum of squares of residuals with `scipy.optimize.least_squares` and exact Jacobians.

    Parameters
    ----------
    fun : callable
        Plain NumPy code ``fun(x, *args)`` that returns a tree of residuals.
    x0, *args, bounds, callback
        As for `minimize`.
    operator : bool
        Whether to give SciPy products with the Jacobian instead of the matrix; not for ``method="lm"``.
    x_scale : "jac", number, or pytree, optional
        As for SciPy; a tree is broadcast as bounds are.
    **options
        Further arguments of SciPy's function: `method`, `loss`, `ftol`, `max_nfev`, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with ``x`` in the structure of `x0`; all else is about vectors.

    Raises
    ------
    NotDifferentiableError, StructureError, TracedConversionError
        As for `minimize`.
    TargetError
        If `fun` returns something that is no array of numbers.

    Notes
    -----
    The Jacobian is computed by columns or by rows, whichever takes fewer passes. Dtypes are treated as in `minimize`; the
    real and imaginary parts of a complex residual are two residuals.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.bridges.optimize import least_squares
    >>> t = np.linspace(0, 1, 20)
    >>> data = 2 * np.exp(-3 * t)
    >>> found = least_squares(lambda p: p["scale"] * np.exp(-p["rate"] * t) - data, {"scale": 1.0, "rate": 1.0})
    >>> found.x["rate"].round(6), found.x["scale"].round(6)
    (np.float64(3.0), np.float64(2.0))
    """
    from scipy import optimize  # takes long

    x = Unknowns("least_squares", fun, x0, args)
    _refuse_derivatives("least_squares", options)
    flat = x.vector()
    dense = jacobian(flat)
    if bounds is not None:
        options["bounds"] = as_bounds(x, bounds)
    if x_scale is not None:
        options["x_scale"] = x_scale if isinstance(x_scale, str) else x.spread(x_scale, "x_scale", 1.0)
    if callback is not None:
        options["callback"] = _callback(x, callback)
    found = optimize.least_squares(
        lambda v: flat(np.array(v)),
        x.start,
        jac=(lambda v: jacobian_operator(flat, np.array(v))) if operator else (lambda v: dense(np.array(v))),
        **options,
    )
    return _with_tree(x, found)


def root(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    method: str = "hybr",
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Solve a system of equations with `scipy.optimize.root` and exact Jacobians.

    Parameters
    ----------
    fun : callable
        Plain NumPy code ``fun(x, *args)`` that returns a tree with as many numbers as `x0` has, all zero at the solution.
    x0, *args, tol, callback, options
        As for `minimize`.
    method : str
        As for SciPy. ``hybr`` and ``lm`` use the Jacobian, the others do without.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with ``x`` in the structure of `x0`; all else is about vectors.

    Raises
    ------
    NotDifferentiableError, TracedConversionError
        As for `minimize`.
    TargetError
        If `fun` returns something that is no array of numbers.
    StructureError
        If there are not as many equations as unknowns.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.bridges.optimize import root
    >>> found = root(lambda p: (p["x"] + p["y"] - 3, p["x"] * p["y"] - 2), {"x": 0.0, "y": 5.0})
    >>> found.success, found.x["x"].round(6), found.x["y"].round(6)
    (True, np.float64(1.0), np.float64(2.0))
    """
    from scipy import optimize  # takes long

    x = Unknowns("root", fun, x0, args)
    flat = x.vector()
    dense = jacobian(flat)

    def equations(v: Any) -> Any:
        out = flat(np.array(v))
        if out.shape[0] != x.size and method != "lm":
            raise StructureError(f"root: {flat.__name__} returned {out.shape[0]} numbers for {x.size} unknowns")
        return out

    found = optimize.root(
        equations,
        x.start,
        method=method,
        jac=(lambda v: dense(np.array(v))) if method.lower() in ROOT_WITH_JACOBIAN else None,
        tol=tol,
        callback=None if method.lower() in ROOT_WITH_JACOBIAN else _callback(x, callback),
        options=options,
    )
    return _with_tree(x, found)


# ---- what they have in common


def _with_tree(x: Unknowns, found: Any) -> Any:
    found.x = x.result(found.x)
    return found


def _refuse_derivatives(what: str, options: dict[str, Any]) -> None:
    for name in ("jac", "args", "jac_sparsity"):
        if name in options:
            way = "give them by position, after x0" if name == "args" else "leave it out; derivatives are found exactly"
            raise TypeError(f"{what}: {name}= is for SciPy's own function; {way}")


def _callback(x: Unknowns, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """A callback that is shown trees; SciPy looks at the names of its parameters to choose what to pass."""
    if callback is None:
        return None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

        def with_result(intermediate_result: Any) -> Any:
            shown = type(intermediate_result)(intermediate_result)
            return callback(intermediate_result=_with_tree(x, shown))

        return with_result

    def with_point(vector: Any, *more: Any) -> Any:
        return callback(x.result(vector), *more)

    return with_point
