"""Higher derivatives along a path, by truncated Taylor series: one pass instead of nested ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from operator import index
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core import stack
from tapeflow.core.batch import Batch, Batched, batched
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import (
    BatchDecisionError,
    BatchLoopWarning,
    NotDifferentiableError,
    SeedError,
    StructureError,
    TargetError,
)
from tapeflow.recorders.checks import differentiable, fit_seed
from tapeflow.transforms import taylor_recurrences as taylor_recurrences
from tapeflow.transforms._args import is_value
from tapeflow.transforms.taylor_series import Coefficients, Expansion, Series
from tapeflow.transforms.taylor_series import series as make_series

__all__ = ["hessian_diagonal", "laplacian", "nth_derivative", "taylor"]


def taylor(
    fun: Callable[..., Any], x: Any, v: Any, order: int, *, series: Sequence[Any] = ()
) -> tuple[Any, list[Any]]:
    """Evaluate a function, and its derivatives up to an order along a line or a curve.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of one argument, that returns a pytree of arrays.
    x : pytree of array
        Where: real or complex floating-point arrays.
    v : pytree of array
        The direction: structure and shapes of `x`; ``None`` for a leaf stands for zero.
    order : int
        How many derivatives, 0 or more.
    series : sequence of pytree
        Derivatives of orders 2, 3, ... of a curved path, as `v` is its first one. What is missing is zero, so that by
        default the path is the line ``x + t v``.

    Returns
    -------
    value : pytree of array
        ``fun(x)``.
    derivatives : list of pytree of array
        Derivatives of ``t -> fun(path(t))`` at ``t = 0``, of orders 1 to `order`, each with the structure, shapes and
        dtypes of `value`. Divided by factorials they are the coefficients of the Taylor polynomial.

    Raises
    ------
    NotDifferentiableError
        If a leaf of `x` is no floating-point array.
    SeedError, StructureError
        If `v` or `series` do not fit `x`, or `order`.
    TargetError
        If a result is no array.
    MissingRuleError
        If `fun` calls something that has no derivative rule.

    Notes
    -----
    Nesting ``jvp`` costs ``2**order`` evaluations, a series ``order**2`` (A. Griewank, A. Walther, Evaluating
    Derivatives, 2nd ed., chapter 13). ``jax.experimental.jet.jet(f, (x,), ((v, s2, s3),))`` is
    ``taylor(f, x, v, 3, series=(s2, s3))``.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import taylor
    >>> taylor(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]), 3)
    (np.float64(9.0), [np.float64(3.0), np.float64(6.0), np.float64(6.0)])
    """
    order = _order(order, "order")
    leaves, spec, paths = _leaves(x)
    rows = [_directions(v, spec, paths, leaves, "v")] if order else []
    rows += [_directions(s, spec, paths, leaves, f"series[{k}]") for k, s in enumerate(_later(series, order))]
    rows += [[None] * len(leaves)] * (order - len(rows))
    scaled = [[None if c is None else c / _factorial(k + 1) for c in row] for k, row in enumerate(rows)]
    own = [[row[j] for row in scaled] for j in range(len(leaves))]
    values, coefficients, out_spec = _expand(fun, leaves, own, spec, "taylor")
    derivatives = [
        pytree.unflatten(out_spec, [_derivative(y, c[k], k + 1) for y, c in zip(values, coefficients, strict=True)])
        for k in range(order)
    ]
    return pytree.unflatten(out_spec, values), derivatives


def nth_derivative(fun: Callable[..., Any], x: Any, n: int) -> Any:
    """Differentiate a function of one number `n` times, at one or many points.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that works element by element: an element of the result depends on the same element of the
        argument alone.
    x : array or number
        The points; of any shape.
    n : int
        The order, 0 or more.

    Returns
    -------
    array
        The n-th derivative at each point. For complex points along the real axis, which for holomorphic functions is
        the complex derivative.

    Raises
    ------
    NotDifferentiableError
        If `x` is no floating-point array.
    StructureError
        If the result has another shape than `x`, so that `fun` does not work element by element.

    Notes
    -----
    If elements do depend on others of the same array, the result is the derivative in the direction of ones.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import nth_derivative
    >>> nth_derivative(lambda x: x**4, np.array([1.0, 2.0]), 3)
    array([24., 48.])
    """
    n = _order(n, "n")
    x = differentiable(x, "x")
    value, derivatives = taylor(fun, x, np.ones_like(x), n)
    if not is_value(value) or value.shape != x.shape:
        raise StructureError(
            f"nth_derivative: {_name(fun)} gives {_what(value)} for an argument of shape {x.shape}; it must work "
            "element by element. For other functions use taylor, in a direction"
        )
    return derivatives[-1] if n else value


def hessian_diagonal(fun: Callable[..., Any], x: Any, *, chunk_size: int | None = None) -> Any:
    """Compute the diagonal of the Hessian of a function: its second derivatives along the axes.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of one argument, that returns a pytree of arrays.
    x : pytree of array
        Where: real floating-point arrays.
    chunk_size : int, optional
        How many axes to go along at once; all by default. Less needs less memory.

    Returns
    -------
    pytree
        The structure of the result, with in place of each leaf the structure of `x`, of shape ``result.shape +
        x.shape``: for a scalar function of an array, an array of the same shape.

    Raises
    ------
    NotDifferentiableError
        If a leaf of `x` is no real floating-point array.
    TargetError
        If a result is no array.

    Notes
    -----
    By Taylor series of order 2, whose coefficients are batched while the values themselves are computed once for all
    axes. The cost grows with the number of axes as that of a Jacobian in forward mode; no Hessian is formed.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hessian_diagonal
    >>> hessian_diagonal(lambda x: x[0] ** 3 * x[1] ** 2, np.array([1.0, 2.0]))
    array([24.,  2.])
    """
    leaves, spec = _real_leaves(x, "hessian_diagonal")
    parts: list[list[Any]] = []
    for values, seconds, out_spec in _along_axes(fun, leaves, spec, chunk_size, "hessian_diagonal"):
        parts.append(seconds)
    diagonals = []
    for y, pieces in zip(values, zip(*parts, strict=True), strict=True):
        whole = np.moveaxis(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), 0, -1)
        stops = np.cumsum([leaf.size for leaf in leaves])
        blocks = [whole[..., stop - leaf.size : stop] for leaf, stop in zip(leaves, stops, strict=True)]
        shapes = [(*np.shape(y), *leaf.shape) for leaf in leaves]
        diagonals.append(pytree.unflatten(spec, map(np.reshape, blocks, shapes)))
    return pytree.unflatten(out_spec, diagonals)


def laplacian(fun: Callable[..., Any], x: Any, *, chunk_size: int | None = None) -> Any:
    """Compute the Laplacian of a function: the sum of its second derivatives along the axes.

    Parameters
    ----------
    fun, x, chunk_size
        As for `hessian_diagonal`.

    Returns
    -------
    pytree
        Structure, shapes and dtypes of the result: the Laplacian of each of its elements, with respect to all elements
        of `x` together.

    Raises
    ------
    NotDifferentiableError, TargetError
        As for `hessian_diagonal`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import laplacian
    >>> laplacian(lambda x: np.sum(x**2) ** 2, np.array([1.0, 2.0, 3.0]))
    np.float64(280.0)
    """
    leaves, spec = _real_leaves(x, "laplacian")
    totals: list[Any] | None = None
    for _, seconds, out_spec in _along_axes(fun, leaves, spec, chunk_size, "laplacian"):
        sums = [np.sum(s, axis=0) for s in seconds]
        totals = sums if totals is None else [a + b for a, b in zip(totals, sums, strict=True)]
    assert totals is not None
    return pytree.unflatten(out_spec, totals)


# ---- one pass


def _expand(
    fun: Callable[..., Any], leaves: list[Any], own: list[Coefficients], spec: Any, name: str
) -> tuple[list[Any], list[Coefficients], Any]:
    """Call a function on series; values, coefficients and structure of what it returns."""
    order = len(own[0]) if own else 0
    with Expansion() as expansion:
        inside = [make_series(x, list(c), expansion) for x, c in zip(leaves, own, strict=True)]
        out = fun(pytree.unflatten(spec, inside))
    results, out_spec, paths = pytree.flatten_with_paths(out, "result")
    values, coefficients = [], []
    for y, path in zip(results, paths, strict=True):
        # Levels further in are over; a constant of this level may be any of its handles.
        while isinstance(y, Tracer) and y._level >= expansion.level and type(y) is not Series:
            y = y._value
        if not is_value(y) and not isinstance(y, (int, float, complex)):
            raise TargetError(f"{name}: {path} of {_name(fun)} is a {type(y).__name__}, not an array")
        mine = type(y) is Series and y._expansion is expansion
        values.append(y._value if mine else y)
        coefficients.append(y._coefficients if mine else [None] * order)
    return values, coefficients, out_spec


def _derivative(value: Any, coefficient: Any, order: int) -> Any:
    if coefficient is None:
        return np.zeros_like(value)[()]
    if order == 1:  # of its own memory: it may be a view, or a direction that was passed through
        return coefficient if isinstance(coefficient, Traced) else np.array(coefficient)[()]
    return coefficient * _factorial(order)


def _factorial(k: int) -> float:
    return float(math.factorial(k))


# ---- second derivatives along all axes


def _along_axes(
    fun: Callable[..., Any], leaves: list[Any], spec: Any, chunk_size: int | None, name: str
) -> Iterator[tuple[list[Any], list[Any], Any]]:
    """Values and second derivatives, for a chunk of axes after the other; the derivatives have an axis for them."""
    total = sum(leaf.size for leaf in leaves)
    step = max(total, 1) if chunk_size is None else _chunk(chunk_size)
    for start in range(0, max(total, 1), step):
        units = _unit_vectors(leaves, start, min(start + step, total))
        try:
            values, seconds, out_spec = _batched_seconds(fun, leaves, units, spec, name)
        except BatchDecisionError:
            warnings.warn(
                f"{name}: {_name(fun)} needs values of each direction, so it is called for one after another",
                BatchLoopWarning,
                stacklevel=3,
            )
            values, seconds, out_spec = _looped_seconds(fun, leaves, units, spec, name)
        yield values, seconds, out_spec


def _unit_vectors(leaves: list[Any], start: int, stop: int) -> list[Any]:
    """Rows of the identity, in the shape of the leaves; ``None`` for a leaf of which there is nothing but zeros."""
    units: list[Any] = []
    offset = 0
    for leaf in leaves:
        first, last = max(start, offset), min(stop, offset + leaf.size)
        if first < last:
            rows = np.zeros((stop - start, leaf.size), leaf.dtype)
            rows[np.arange(first - start, last - start), np.arange(first - offset, last - offset)] = 1
            units.append(rows.reshape(stop - start, *leaf.shape))
        else:
            units.append(None)
        offset += leaf.size
    return units


def _batched_seconds(
    fun: Callable[..., Any], leaves: list[Any], units: list[Any], spec: Any, name: str
) -> tuple[list[Any], list[Any], Any]:
    size = next((len(u) for u in units if u is not None), 0)
    batch = Batch(size)
    with stack.inside(batch):
        own = [[None if u is None else batched(u, batch), None] for u in units]
        values, coefficients, out_spec = _expand(fun, leaves, own, spec, name)

    def second(y: Any, c: Coefficients) -> Any:
        if len(c) < 2 or c[1] is None:
            return np.zeros((size, *np.shape(y)), np.result_type(y))
        mine = isinstance(c[1], Batched) and c[1]._batch is batch
        return 2 * (c[1]._value if mine else np.broadcast_to(c[1], (size, *np.shape(y))))

    return values, list(map(second, values, coefficients)), out_spec


def _looped_seconds(
    fun: Callable[..., Any], leaves: list[Any], units: list[Any], spec: Any, name: str
) -> tuple[list[Any], list[Any], Any]:
    rows = []
    for k in range(next(len(u) for u in units if u is not None)):
        own = [[None if u is None else u[k], None] for u in units]
        values, coefficients, out_spec = _expand(fun, leaves, own, spec, name)
        rows.append([_derivative(y, c[1], 2) for y, c in zip(values, coefficients, strict=True)])
    return values, [np.stack(column) for column in zip(*rows, strict=True)], out_spec


# ---- arguments


def _order(order: Any, name: str) -> int:
    try:
        whole = index(order)
    except TypeError:
        whole = -1
    if whole < 0 or isinstance(order, bool):
        raise ValueError(f"{name}={order!r}: expected an int of at least 0, the number of derivatives")
    return whole


def _chunk(chunk_size: Any) -> int:
    if not isinstance(chunk_size, int) or isinstance(chunk_size, bool) or chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size!r}: expected an int of at least 1, or None for all at once")
    return chunk_size


def _leaves(x: Any) -> tuple[list[Any], Any, list[Any]]:
    leaves, spec, paths = pytree.flatten_with_paths(x, "x")
    return [differentiable(leaf, path) for leaf, path in zip(leaves, paths, strict=True)], spec, paths


def _real_leaves(x: Any, name: str) -> tuple[list[Any], Any]:
    leaves, spec, paths = _leaves(x)
    for leaf, path in zip(leaves, paths, strict=True):
        if leaf.dtype.kind == "c":
            raise NotDifferentiableError(
                f"{name}: {path} is complex ({leaf.dtype}); second derivatives along the axes are those of real "
                "variables. Pass real and imaginary parts, or use taylor in a direction"
            )
    return leaves, spec


def _later(series: Any, order: int) -> list[Any]:
    if not isinstance(series, (list, tuple)):
        raise StructureError(f"taylor: series is a {type(series).__name__}; expected a list of derivatives of the path")
    if len(series) > max(order - 1, 0):
        raise SeedError(
            f"taylor: series has {len(series)} entries, but beside v only {max(order - 1, 0)} count for order={order}"
        )
    return list(series)


def _directions(v: Any, spec: Any, paths: list[Any], leaves: list[Any], name: str) -> list[Any]:
    """Leaves of a derivative of the path, checked against the point."""
    found, own_spec = pytree.flatten(v)
    if own_spec != spec:
        raise StructureError(f"taylor: x and {name} differ in structure: {spec} and {own_spec}")
    return [fit_seed(d, x, p.renamed(name)) for d, x, p in zip(found, leaves, paths, strict=True)]


def _name(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", repr(fun))


def _what(value: Any) -> str:
    return f"an array of shape {value.shape}" if is_value(value) else f"a {type(value).__name__}"
