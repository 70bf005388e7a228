"""Higher derivatives along a path, by truncated Taylor series: one pass instead of nested ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import index
from typing import Any

import numpy as np

from tapeflow.core import stack
from tapeflow.core.batch import Batch, Batched, batched
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import (
    BatchDecisionError,
    NotDifferentiableError,
    SeedError,
    StructureError,
    name_of,
    warn_of_loop,
)
from tapeflow.recorders.checks import differentiable, fit_seed
from tapeflow.recorders.chunks import positive
from tapeflow.transforms import taylor_recurrences as taylor_recurrences  # enters its recurrences in the table
from tapeflow.transforms._args import is_value
from tapeflow.transforms._columns import unit_tangents
from tapeflow.transforms._leaves import Partition
from tapeflow.transforms._results import output, outward
from tapeflow.transforms.taylor_series import Coefficients, Expansion, Series
from tapeflow.transforms.taylor_series import series as make_series

__all__ = ["hessian_diagonal", "laplacian", "nth_derivative", "taylor"]


def taylor(fun: Callable[..., Any], x: Any, v: Any, order: int, *, series: Sequence[Any] = ()) -> tuple[Any, list[Any]]:
    """Evaluate a function, and its derivatives up to an order along a line or a curve.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of one argument, that returns a pytree of arrays.
    x : pytree of array
        Where: real or complex floating-point arrays. Static leaves (strings, functions, ``None``) stay as they are.
    v : pytree of array
        The direction: structure and shapes of `x`; ``None`` for a leaf stands for zero, and for a static one.
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
    order = _order(order, "order", "taylor")
    point = _Point(x)
    rows = [point.directions(v, "v")] if order else []
    rows += [point.directions(s, f"series[{k}]") for k, s in enumerate(_later(series, order))]
    rows += [[None] * len(point.leaves)] * (order - len(rows))
    scaled = [[None if c is None else c / _factorial(k) for c in row] for k, row in enumerate(rows, 1)]
    result = _expand(fun, point, [[row[j] for row in scaled] for j in range(len(point.leaves))], order, "taylor")
    derivatives = [result.fill(result.derivatives(k)) for k in range(1, order + 1)]
    return result.fill(result.values), derivatives


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
    n = _order(n, "n", "nth_derivative")
    x = differentiable(x, "x")
    value, derivatives = taylor(fun, x, np.ones_like(x), n)
    if not is_value(value) or value.shape != x.shape:
        raise StructureError(
            f"nth_derivative: {name_of(fun)} gives {_what(value)} for an argument of shape {x.shape}; it must work "
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
    point = _Point(x).real("hessian_diagonal")
    chunks = list(_along_axes(fun, point, chunk_size, "hessian_diagonal"))
    result = chunks[0][0]
    stops = np.cumsum([leaf.size for leaf in point.leaves], dtype=int)
    diagonals = []
    for y, pieces in zip(result.values, zip(*(seconds for _, seconds in chunks), strict=True), strict=True):
        whole = np.moveaxis(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), 0, -1)
        blocks = (whole[..., stop - x.size : stop] for x, stop in zip(point.leaves, stops, strict=True))
        shapes = ((*np.shape(y), *x.shape) for x in point.leaves)
        diagonals.append(point.fill(map(np.reshape, blocks, shapes)))
    return result.fill(diagonals)


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
    point = _Point(x).real("laplacian")
    totals: list[Any] = []
    for result, seconds in _along_axes(fun, point, chunk_size, "laplacian"):
        sums = [np.sum(s, axis=0) for s in seconds]
        totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
        fill = result.fill
    return fill(totals)


# ---- one pass


class _Point:
    """Where a function is expanded: the leaves that can be differentiated, in their structure."""

    __slots__ = ("fill", "leaves", "partition")

    def __init__(self, x: Any) -> None:
        self.partition = Partition(
            x, lambda accessor: accessor.codify("x"), lambda text: NotDifferentiableError(f"{text}keep it out of x")
        )
        self.leaves = [differentiable(leaf, self.partition.place(k)) for k, leaf in enumerate(self.partition.leaves)]
        self.fill = self.partition.fill

    def real(self, name: str) -> _Point:
        for k, leaf in enumerate(self.leaves):
            if leaf.dtype.kind == "c":
                raise NotDifferentiableError(
                    f"{name}: {self.partition.place(k)} is complex ({leaf.dtype}); second derivatives along the axes are "
                    "those of real variables. Pass real and imaginary parts, or use taylor in a direction"
                )
        return self

    def directions(self, v: Any, name: str) -> list[Any]:
        """Leaves of a derivative of the path, checked against the point."""
        found = self.partition.split(v, name, "argument x")
        return [
            fit_seed(d, x, self.partition.place(k, name))
            for k, (d, x) in enumerate(zip(found, self.leaves, strict=True))
        ]


class _Result:
    """What a function gives: values and Taylor coefficients of its leaves, in their structure."""

    __slots__ = ("coefficients", "fill", "values")

    def __init__(self, outputs: Partition, expansion: Expansion, order: int) -> None:
        self.fill = outputs.fill
        self.values: list[Any] = []
        self.coefficients: list[Coefficients] = []
        for y in outputs.leaves:
            # Levels further in are over; a constant of this level may be any of its handles.
            while isinstance(y, Tracer) and y._level >= expansion.level and type(y) is not Series:
                y = y._value
            mine = type(y) is Series and y._expansion is expansion
            self.values.append(outward(y, expansion))
            self.coefficients.append(y._coefficients if mine else [None] * order)

    def derivatives(self, k: int) -> list[Any]:
        return [_derivative(y, c[k - 1], k) for y, c in zip(self.values, self.coefficients, strict=True)]


def _expand(fun: Callable[..., Any], point: _Point, own: list[Coefficients], order: int, name: str) -> _Result:
    """Call a function on series with given coefficients."""
    with Expansion() as expansion:
        out = fun(point.fill(make_series(x, list(c), expansion) for x, c in zip(point.leaves, own, strict=True)))
    return _Result(output(fun, out, name), expansion, order)


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
    fun: Callable[..., Any], point: _Point, chunk_size: int | None, name: str
) -> Iterator[tuple[_Result, list[Any]]]:
    """Results and their second derivatives, for a chunk of axes after the other; the latter have an axis for them."""
    total = sum(leaf.size for leaf in point.leaves)
    step = positive(chunk_size, "chunk_size", name) or max(total, 1)
    for start in range(0, max(total, 1), step):
        size = min(step, total - start)
        units = unit_tangents(point.leaves, start, start + size)
        try:
            yield _batched_seconds(fun, point, units, size, name)
        except BatchDecisionError:
            warn_of_loop(
                f"{name}: {name_of(fun)} needs values of each direction, so it is called for one after another"
            )
            yield _looped_seconds(fun, point, units, size, name)


def _batched_seconds(
    fun: Callable[..., Any], point: _Point, units: list[Any], size: int, name: str
) -> tuple[_Result, list[Any]]:
    batch = Batch(size)
    with stack.inside(batch):
        own = [[None if u is None else batched(u, batch), None] for u in units]
        result = _expand(fun, point, own, 2, name)

    def second(y: Any, c: Coefficients) -> Any:
        if c[1] is None:
            return np.zeros((size, *y.shape), y.dtype)
        mine = isinstance(c[1], Batched) and c[1]._batch is batch
        return 2 * (c[1]._value if mine else np.broadcast_to(c[1], (size, *y.shape)))

    return result, list(map(second, result.values, result.coefficients))


def _looped_seconds(
    fun: Callable[..., Any], point: _Point, units: list[Any], size: int, name: str
) -> tuple[_Result, list[Any]]:
    rows = []
    for k in range(size):
        result = _expand(fun, point, [[None if u is None else u[k], None] for u in units], 2, name)
        rows.append(result.derivatives(2))
    return result, [np.stack(column) for column in zip(*rows, strict=True)]


# ---- arguments


def _order(order: Any, option: str, name: str) -> int:
    try:
        whole = index(order)
    except TypeError:
        whole = -1
    if whole < 0 or isinstance(order, bool):
        raise ValueError(f"{name}: {option}={order!r}: expected an int of at least 0, the number of derivatives")
    return whole


def _later(series: Any, order: int) -> list[Any]:
    if not isinstance(series, (list, tuple)):
        raise StructureError(f"taylor: series is a {type(series).__name__}; expected a list of derivatives of the path")
    if len(series) > max(order - 1, 0):
        raise SeedError(
            f"taylor: series has {len(series)} entries, but beside v only {max(order - 1, 0)} count for order={order}"
        )
    return list(series)


def _what(value: Any) -> str:
    return f"an array of shape {value.shape}" if is_value(value) else f"a {type(value).__name__}"
