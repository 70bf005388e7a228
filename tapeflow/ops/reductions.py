"""Sums, products, extrema and moments along axes.

Each public function brings its arguments into one form (axes as a sorted tuple, no ``keepdims``), so that primitives and
rules see nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import inf, nan
from math import prod as product
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.core.batch import shifted
from tapeflow.core.primitive import Primitive, Traced, implements
from tapeflow.core.rules import elementwise, general, linear, nondifferentiable
from tapeflow.core.tracer import UFUNC_METHODS, anywhere
from tapeflow.ops import answers

__all__ = ["average", "cumprod", "cumsum", "maximum", "mean", "minimum", "prod", "ptp", "std", "sum_", "var"]

Axes = tuple[int, ...]
_NOTHING: Any = np._NoValue


# ---- one form of arguments


def _axes(axis: Any, ndim: int) -> Axes:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(normalize_axis_tuple(axis if isinstance(axis, tuple) else operator.index(axis), ndim)))


def _kept(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    return tuple(1 if k in axes else n for k, n in enumerate(shape))


def _reduce(primitive: Primitive, x: Any, axis: Any, keepdims: Any, **params: Any) -> Any:
    axes = _axes(axis, x.ndim)
    y = primitive(x, axes=axes, **params)
    return np.reshape(y, _kept(x.shape, axes)) if keepdims is not _NOTHING and keepdims else y


def _spread(xp: Any, y: Any, shape: tuple[int, ...], axes: Axes) -> Any:
    """Repeat a reduced array along the reduced axes."""
    if axes != tuple(range(len(axes))):  # else what is left has its axes where broadcasting wants them
        y = xp.reshape(y, _kept(shape, axes))
    return xp.broadcast_to(y, shape)


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    return product(shape[k] for k in axes)


def _converted(x: Any, dtype: Any) -> Any:
    return x if _absent(dtype) else x.astype(dtype, copy=False)


def _inexact(name: str, x: Any, dtype: Any) -> Any:
    """Convert what an average is taken of; in integers NumPy rounds on the way."""
    x = _converted(x, dtype)
    if not _absent(dtype) and x.dtype.kind not in "fc":
        raise TypeError(f"np.{name}: dtype={x.dtype} is not supported for traced values; convert the result instead")
    return x


def _chosen(x: Any, where: Any, neutral: Any) -> Any:
    """Put the neutral element in place of what a mask leaves out."""
    if where is _NOTHING or where is True:
        return x
    if np.ndim(where) > x.ndim:
        raise ValueError("input operand has more dimensions than allowed by the axis remapping")
    return np.where(where, x, neutral)


def _start(initial: Any, y: Any) -> Any:
    """A start value in the dtype of the result, which NumPy gives it."""
    return initial.astype(y.dtype) if isinstance(initial, Traced) else y.dtype.type(initial)  # type: ignore[attr-defined]


def _absent(option: Any) -> bool:
    return option is _NOTHING or option is None


# ---- sum and mean: linear

_sum = linear(
    "sum",
    lambda x, *, axes: np.sum(x, axis=axes),
    lambda xp, g, shape, *, axes: _spread(xp, g, shape, axes),
    batch=shifted(axes="axes"),
)
_mean = linear(
    "mean",
    lambda x, *, axes: np.mean(x, axis=axes),
    # Not g / count: a count of more than 65504 is infinite in half precision.
    lambda xp, g, shape, *, axes: _spread(xp, g * (1 / max(_count(shape, axes), 1)), shape, axes),
    batch=shifted(axes="axes"),
)


@implements(np.sum)
def sum_(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Sum of elements."""
    del out
    y = _reduce(_sum, _chosen(_converted(a, dtype), where, 0), axis, keepdims)
    return y if _absent(initial) else y + _start(initial, y)


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: Any = _NOTHING, *, where: Any = _NOTHING
) -> Any:
    """Mean of elements."""
    x = _inexact("mean", a, dtype)
    if where is _NOTHING or where is True:
        return _reduce(_mean, x, axis, keepdims)
    if x.dtype == np.float16:  # NumPy adds up in single precision
        return mean(x.astype(np.float32), axis, None, out, keepdims, where=where).astype(np.float16)
    total = sum_(x, axis, keepdims=keepdims, where=where)
    return total / _counted(x, axis, keepdims, where).astype(total.dtype.type(0).real.dtype)


def _counted(x: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """How many elements a mask chooses; a plain array."""
    mask = np.broadcast_to(where, x.shape)
    return np.sum(mask, axis=axis, keepdims=keepdims is not _NOTHING and keepdims)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _NOTHING) -> Any:
    """Weighted mean, which has a derivative in the weights too."""
    a = a if hasattr(a, "shape") else np.asarray(a)
    if weights is None:
        y = np.mean(a, axis, keepdims=keepdims)
        total = y.dtype.type(a.size / y.size)
    else:
        w = _along(weights if hasattr(weights, "shape") else np.asarray(weights), a, axis)
        dtype = np.result_type(a.dtype, w.dtype, *(() if a.dtype.kind in "fc" else (np.float64,)))
        total = np.sum(w, axis, dtype, keepdims=keepdims)
        if anywhere(total == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        y = np.sum(a.astype(dtype) * w, axis, keepdims=keepdims) / total
    if not returned:
        return y
    return y, total if total.shape == y.shape else np.copy(np.broadcast_to(total, y.shape))


def _along(weights: Any, a: Any, axis: Any) -> Any:
    """Weights in a shape that broadcasts against the array."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = normalize_axis_tuple(axis, a.ndim, "axis")
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    ordered = np.transpose(weights, np.argsort(axes))
    return np.reshape(ordered, tuple(n if k in axes else 1 for k, n in enumerate(a.shape)))


# ---- product


def _others(xp: Any, x: Any) -> Any:
    """For every element the product of all others along the last axis.

    By a tree of pairwise products, without a division: exact with any number of zeros, to every order, in linear time.
    """
    n = x.shape[-1]
    if n <= 1:
        return xp.ones_like(x)
    if n % 2:
        x = xp.concatenate([x, xp.ones_like(x[..., :1])], axis=-1)
    pairs = xp.reshape(x, (*x.shape[:-1], x.shape[-1] // 2, 2))
    rest = _others(xp, pairs[..., 0] * pairs[..., 1])
    partners = xp.flip(pairs, -1)
    return xp.reshape(partners * rest[..., None], x.shape)[..., :n]


def _cofactors(xp: Any, x: Any, axes: Axes) -> Any:
    """`_others` along several axes taken together, in the shape of x."""
    order = tuple(k for k in range(x.ndim) if k not in axes) + axes
    moved = xp.transpose(x, order)
    flat = xp.reshape(moved, (*moved.shape[: x.ndim - len(axes)], _count(x.shape, axes)))
    return xp.transpose(xp.reshape(_others(xp, flat), moved.shape), tuple(np.argsort(order)))


_prod = general(
    "prod",
    lambda x, *, axes: np.prod(x, axis=axes),
    lambda xp, t, x, *, axes: xp.sum(t * _cofactors(xp, x, axes), axis=axes),
    lambda xp, g, x, *, axes: _spread(xp, g, x.shape, axes) * _cofactors(xp, x, axes),
    batch=shifted(axes="axes"),
)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Product of elements."""
    del out
    y = _reduce(_prod, _chosen(_converted(a, dtype), where, 1), axis, keepdims)
    return y if _absent(initial) else y * _start(initial, y)


# ---- running sum and product


def _before(xp: Any, x: Any) -> Any:
    """Every element's predecessor along the last axis; 1 before the first."""
    return xp.concatenate([xp.ones_like(x[..., :1]), x[..., :-1]], axis=-1)


def _recurrence(xp: Any, a: Any, b: Any) -> Any:
    """Solve ``h[k] = a[k] * h[k - 1] + b[k]`` along the last axis, from 0, by odd-even reduction: in linear time.

    Without a division, so that a may be 0 anywhere, to every order.
    """
    n = b.shape[-1]
    if n <= 1:
        return b
    a0, a1, b0, b1 = a[..., ::2], a[..., 1::2], b[..., ::2], b[..., 1::2]
    half = n // 2
    odd = _recurrence(xp, a1 * a0[..., :half], a1 * b0[..., :half] + b1)
    before = xp.concatenate([xp.zeros_like(b0[..., :1]), odd[..., : n - half - 1]], axis=-1)
    even = a0 * before + b0
    pairs = xp.stack([even[..., :half], odd], axis=-1)
    flat = xp.reshape(pairs, (*pairs.shape[:-2], 2 * half))
    return xp.concatenate([flat, even[..., half:]], axis=-1) if n % 2 else flat


def _cumprod_jvp(xp: Any, t: Any, x: Any, y: Any, *, axis: int) -> Any:
    t, x, y = (xp.moveaxis(v, axis, -1) for v in (t, x, y))
    return xp.moveaxis(_recurrence(xp, x, _before(xp, y) * t), -1, axis)


def _cumprod_vjp(xp: Any, g: Any, x: Any, y: Any, *, axis: int) -> Any:
    g, x, y = (xp.moveaxis(v, axis, -1) for v in (g, x, y))
    from_behind = _recurrence(xp, _before(xp, xp.flip(x, -1)), xp.flip(g, -1))
    return xp.moveaxis(_before(xp, y) * xp.flip(from_behind, -1), -1, axis)


_cumsum = linear(
    "cumsum",
    lambda x, *, axis: np.cumsum(x, axis=axis),
    lambda xp, g, *, axis: xp.flip(xp.cumsum(xp.flip(g, axis), axis=axis), axis),
    batch=shifted(axis="axis"),
)
_cumprod = general(
    "cumprod", lambda x, *, axis: np.cumprod(x, axis=axis), _cumprod_jvp, _cumprod_vjp, batch=shifted(axis="axis")
)


def _running(primitive: Primitive, a: Any, axis: int | None, dtype: Any) -> Any:
    x = _converted(a, dtype)
    if axis is None or x.ndim == 0:
        normalize_axis_index(axis or 0, max(x.ndim, 1))
        return primitive(np.ravel(x), axis=0)
    return primitive(x, axis=normalize_axis_index(axis, x.ndim))


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum."""
    del out
    return _running(_cumsum, a, axis, dtype)


@implements(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product, with the right derivative at zeros."""
    del out
    return _running(_cumprod, a, axis, dtype)


def _cumulative(primitive: Primitive, first: int) -> Callable[..., Any]:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
    ) -> Any:
        x = np.atleast_1d(x)
        if axis is None and x.ndim != 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = normalize_axis_index(axis or 0, x.ndim)
        y = _running(primitive, x, axis, dtype)
        return (
            np.concatenate([np.full_like(y, first, shape=_kept(y.shape, (axis,))), y], axis) if include_initial else y
        )

    return cumulative


if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    implements(np.cumulative_sum)(_cumulative(_cumsum, 0))
    implements(np.cumulative_prod)(_cumulative(_cumprod, 1))


# ---- extrema: what is attained several times is split equally


def _attained(xp: Any, x: Any, y: Any, axes: Axes) -> tuple[Any, Any]:
    """Where the extremum is attained, and how often; a nan is attained where x is nan."""
    mask = (x == _spread(xp, y, x.shape, axes)) | (x != x)
    return mask, xp.sum(mask, axis=axes, dtype=x.dtype)


def _extremum_jvp(xp: Any, t: Any, x: Any, y: Any, *, axes: Axes) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.sum(xp.where(mask, t, 0), axis=axes) / count


def _extremum_vjp(xp: Any, g: Any, x: Any, y: Any, *, axes: Axes) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.where(mask, _spread(xp, g / count, x.shape, axes), 0)


_max = general(
    "max",
    lambda x, *, axes: np.max(x, axis=axes),
    _extremum_jvp,
    _extremum_vjp,
    selects=True,
    batch=shifted(axes="axes"),
)
_min = general(
    "min",
    lambda x, *, axes: np.min(x, axis=axes),
    _extremum_jvp,
    _extremum_vjp,
    selects=True,
    batch=shifted(axes="axes"),
)


def _extremum(
    primitive: Primitive, ufunc: Any, worst: float, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    if _absent(initial):
        if where is not _NOTHING and where is not True:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to "
                "specify 'initial'"
            )
        return _reduce(primitive, a, axis, keepdims)
    x = _chosen(a, where, worst if a.dtype.kind in "fc" else initial)
    if not _count(x.shape, _axes(axis, x.ndim)):
        nothing = sum_(x, axis, keepdims=keepdims)
        return nothing + _start(initial, nothing)
    y = _reduce(primitive, x, axis, keepdims)
    return ufunc(y, _start(initial, y))


@implements(np.max, np.amax)
def maximum(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Largest element."""
    return _extremum(_max, np.maximum, -inf, a, axis, keepdims, initial, where)


@implements(np.min, np.amin)
def minimum(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Smallest element."""
    return _extremum(_min, np.minimum, inf, a, axis, keepdims, initial, where)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: None = None, keepdims: Any = _NOTHING) -> Any:
    """Largest less smallest element."""
    return maximum(a, axis, out, keepdims) - minimum(a, axis, out, keepdims)


# ---- variance and standard deviation


def _conjugated(xp: Any, x: Any) -> Any:
    return xp.conjugate(x) if x.dtype.kind == "c" else x  # of real numbers it would be a copy


def _deviation(xp: Any, x: Any, axes: Axes) -> Any:
    return _conjugated(xp, x - xp.mean(x, axis=axes, keepdims=True))


def _per_degree(shape: tuple[int, ...], axes: Axes, ddof: float) -> float:
    """Derivative of the variance for a deviation of 1; not a number where NumPy divides by no degrees of freedom."""
    degrees = _count(shape, axes) - ddof
    return 2 / degrees if degrees > 0 else nan


_var = general(
    "var",
    lambda x, *, axes, ddof: np.var(x, axis=axes, ddof=ddof),
    lambda xp, t, x, *, axes, ddof: (
        xp.sum(xp.real(t * _deviation(xp, x, axes)), axis=axes) * _per_degree(x.shape, axes, ddof)
    ),
    lambda xp, g, x, *, axes, ddof: (
        _spread(xp, g * _per_degree(x.shape, axes, ddof), x.shape, axes) * _deviation(xp, x, axes)
    ),
    batch=shifted(axes="axes"),
)
# The square root, with subgradient 0 at 0: a standard deviation is 0 only where all deviations are.
_root = elementwise("root", np.sqrt, lambda xp, y: 0.5 / xp.where(y == 0, inf, y))


def _of_mean(x: Any, axis: Any, keepdims: Any, ddof: float, mean_: Any, where: Any) -> Any:
    """Variance about a given mean, or of the elements that a mask chooses."""
    if mean_ is _NOTHING:
        mean_ = mean(x, axis, keepdims=True, where=where)
    deviation = _chosen(x - mean_, where, 0)
    squares = deviation * _conjugated(np, deviation)
    total = sum_(np.real(squares) if squares.dtype.kind == "c" else squares, axis, keepdims=keepdims)
    count = _counted(x, axis, keepdims, True if where is _NOTHING else where)
    return total / np.maximum(count - ddof, 0).astype(total.dtype)


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = _NOTHING,
    *,
    where: Any = _NOTHING,
    mean: Any = _NOTHING,
    correction: Any = _NOTHING,
) -> Any:
    """Variance."""
    del out
    if correction is not _NOTHING:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    x = _inexact("var", a, dtype)
    if mean is _NOTHING and (where is _NOTHING or where is True):
        y = _reduce(_var, x, axis, keepdims, ddof=ddof)
    else:
        y = _of_mean(x, axis, keepdims, ddof, mean, where)
    return y if _absent(dtype) else y.astype(dtype, copy=False)


@implements(np.std)
def std(a: Any, *args: Any, **options: Any) -> Any:
    """Standard deviation; its subgradient is 0 where it is 0."""
    return _root(var(a, *args, **options))


# ---- methods of ufuncs


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
        if not array.ndim and function in (cumsum, cumprod):
            raise TypeError("cannot accumulate on a scalar")
        axis = None if not array.ndim and axis == 0 else axis  # NumPy lets a 0-d array have an axis 0
        return function(_converted(array, dtype), axis, **options)

    return method


for _ufunc, _function in ((np.add, sum_), (np.multiply, prod), (np.maximum, maximum), (np.minimum, minimum)):
    UFUNC_METHODS[_ufunc, "reduce"] = _method(_function)
UFUNC_METHODS[np.add, "accumulate"] = _method(cumsum)
UFUNC_METHODS[np.multiply, "accumulate"] = _method(cumprod)


def _outer(ufunc: Any, a: Any, b: Any, **options: Any) -> Any:
    a = a if hasattr(a, "shape") else np.asarray(a)
    return ufunc(np.reshape(a, (*a.shape, *(1,) * np.ndim(b))), b, **options)


UFUNC_METHODS[None, "outer"] = _outer

# ---- no derivative: plain values

for _function in (np.argmax, np.argmin):
    nondifferentiable(_function, "integer valued", batch=answers.along(_function, None, reduces=True))
nondifferentiable(np.argsort, "integer valued", batch=answers.along(np.argsort))
nondifferentiable(np.searchsorted, "integer valued", batch=answers.searchsorted)
for _function in (np.nonzero, np.flatnonzero):  # as many as there are: found for one element after another
    nondifferentiable(_function, "integer valued")
nondifferentiable(np.count_nonzero, "integer valued", batch=answers.over(np.count_nonzero))
for _function in (np.all, np.any):
    nondifferentiable(_function, "truth values", batch=answers.over(_function))
nondifferentiable(np.isclose, "truth values", batch=answers.is_close)
nondifferentiable(np.allclose, "truth values", batch=lambda *args, **kwargs: np.all(np.isclose(*args, **kwargs)))
nondifferentiable(np.array_equal, "truth values", batch=answers.array_equal)
for _function in (np.shape, np.ndim, np.size):
    nondifferentiable(_function, "shapes do not depend on values", batch=answers.of_shapes(_function))
