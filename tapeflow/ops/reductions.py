"""Sums, products, extrema and moments along axes.

Each public function brings its arguments into one form (axes as a sorted tuple, no ``keepdims``), so that primitives and
rules see nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import general, linear, nondifferentiable
from tapeflow.core.tracer import UFUNC_METHODS

__all__ = ["cumsum", "maximum", "mean", "minimum", "prod", "std", "sum_", "var"]

Axes = tuple[int, ...]
_NOTHING: Any = np._NoValue


# ---- one form of arguments


def _axes(axis: Any, ndim: int) -> Axes:
    return tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _kept(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    return tuple(1 if k in axes else n for k, n in enumerate(shape))


def _reduce(primitive: Primitive, x: Any, axis: Any, keepdims: Any, **params: Any) -> Any:
    axes = _axes(axis, x.ndim)
    y = primitive(x, axes=axes, **params)
    return np.reshape(y, _kept(x.shape, axes)) if keepdims is not _NOTHING and keepdims else y


def _spread(xp: Any, y: Any, shape: tuple[int, ...], axes: Axes) -> Any:
    """Repeat a reduced array along the reduced axes."""
    return xp.broadcast_to(xp.reshape(y, _kept(shape, axes)), shape)


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    return product(shape[k] for k in axes)


def _converted(x: Any, dtype: Any) -> Any:
    return x if dtype is None or dtype is _NOTHING else x.astype(dtype)


def _chosen(x: Any, where: Any, neutral: Any) -> Any:
    """Put the neutral element in place of what a mask leaves out."""
    return x if where is _NOTHING or where is True else np.where(where, x, neutral)


# ---- sum and mean: linear

_sum = linear("sum", lambda x, *, axes: np.sum(x, axis=axes), lambda xp, g, shape, *, axes: _spread(xp, g, shape, axes))
_mean = linear(
    "mean",
    lambda x, *, axes: np.mean(x, axis=axes),
    lambda xp, g, shape, *, axes: _spread(xp, g / _count(shape, axes), shape, axes),
)
_cumsum = linear(
    "cumsum",
    lambda x, *, axis: np.cumsum(x, axis=axis),
    lambda xp, g, *, axis: xp.flip(xp.cumsum(xp.flip(g, axis), axis=axis), axis),
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
    return y if initial is _NOTHING else y + initial


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: Any = _NOTHING, *, where: Any = _NOTHING
) -> Any:
    """Mean of elements."""
    x = _converted(a, dtype)
    if where is _NOTHING or where is True:
        return _reduce(_mean, x, axis, keepdims)
    count = np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=keepdims is True)
    return sum_(x, axis, keepdims=keepdims, where=where) / count.astype(x.real.dtype)


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum."""
    del out
    x = _converted(a, dtype)
    if axis is None:
        return _cumsum(np.ravel(x), axis=0)
    return _cumsum(x, axis=normalize_axis_index(axis, x.ndim))


# ---- product


def _others(xp: Any, x: Any) -> Any:
    """For every element the product of all others along the last axis.

    By a tree of pairwise products, without a division: exact with any number of zeros, to every order, in linear time.
    """
    n = x.shape[-1]
    if n <= 1:
        return xp.ones_like(x)
    lead = x.shape[:-1]
    if n % 2:
        x = xp.concatenate([x, xp.ones((*lead, 1), x.dtype)], axis=-1)
    pairs = xp.reshape(x, (*lead, -1, 2))
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
    return y if initial is _NOTHING else y * initial


# ---- extrema: what is attained several times is split equally


def _attained(xp: Any, x: Any, y: Any, axes: Axes) -> tuple[Any, Any]:
    """Where the extremum is attained, and how often."""
    mask = x == _spread(xp, y, x.shape, axes)
    return mask, xp.sum(mask, axis=axes, dtype=x.dtype)


def _extremum_jvp(xp: Any, t: Any, x: Any, y: Any, *, axes: Axes) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.sum(xp.where(mask, t, 0), axis=axes) / count


def _extremum_vjp(xp: Any, g: Any, x: Any, y: Any, *, axes: Axes) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.where(mask, _spread(xp, g / count, x.shape, axes), 0)


_max = general("max", lambda x, *, axes: np.max(x, axis=axes), _extremum_jvp, _extremum_vjp)
_min = general("min", lambda x, *, axes: np.min(x, axis=axes), _extremum_jvp, _extremum_vjp)


def _extremum(primitive: Primitive, between: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
    if initial is _NOTHING:
        if where is not _NOTHING and where is not True:
            raise ValueError(f"reduction operation {primitive.name!r} has no identity: where= needs initial=")
        return _reduce(primitive, a, axis, keepdims)
    return between(_reduce(primitive, _chosen(a, where, initial), axis, keepdims), initial)


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
    return _extremum(_max, np.maximum, a, axis, keepdims, initial, where)


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
    return _extremum(_min, np.minimum, a, axis, keepdims, initial, where)


# ---- variance and standard deviation


def _slope(xp: Any, x: Any, axes: Axes, ddof: float) -> Any:
    """Derivative of the variance, conjugated."""
    deviation = x - xp.mean(x, axis=axes, keepdims=True)
    return xp.conjugate(deviation) * (2 / (_count(x.shape, axes) - ddof))


_var = general(
    "var",
    lambda x, *, axes, ddof: np.var(x, axis=axes, ddof=ddof),
    lambda xp, t, x, *, axes, ddof: xp.sum(xp.real(t * _slope(xp, x, axes, ddof)), axis=axes),
    lambda xp, g, x, *, axes, ddof: _spread(xp, g, x.shape, axes) * _slope(xp, x, axes, ddof),
)


def _twice(xp: Any, y: Any) -> Any:
    """Twice the deviation; where it is 0 so are all slopes, and any other number gives the subgradient 0."""
    return 2 * xp.where(y == 0, 1, y)


_std = general(
    "std",
    lambda x, *, axes, ddof: np.std(x, axis=axes, ddof=ddof),
    lambda xp, t, x, y, *, axes, ddof: xp.sum(xp.real(t * _slope(xp, x, axes, ddof)), axis=axes) / _twice(xp, y),
    lambda xp, g, x, y, *, axes, ddof: _spread(xp, g / _twice(xp, y), x.shape, axes) * _slope(xp, x, axes, ddof),
)


def _moment(
    primitive: Primitive, name: str, a: Any, axis: Any, dtype: Any, ddof: float, keepdims: Any, more: Any
) -> Any:
    if more.pop("correction", _NOTHING) is not _NOTHING:
        raise TypeError(f"np.{name}: use ddof= instead of correction= for traced values")
    more = {k: v for k, v in more.items() if v is not _NOTHING}
    if more:
        raise TypeError(f"np.{name}: {', '.join(more)} is not supported for traced values")
    return _reduce(primitive, _converted(a, dtype), axis, keepdims, ddof=ddof)


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = _NOTHING,
    **more: Any,
) -> Any:
    """Variance."""
    return _moment(_var, "var", a, axis, dtype, ddof, keepdims, more)


@implements(np.std)
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = _NOTHING,
    **more: Any,
) -> Any:
    """Standard deviation; its subgradient is 0 where it is 0."""
    return _moment(_std, "std", a, axis, dtype, ddof, keepdims, more)


# ---- methods of ufuncs


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
        return function(array, axis, **({} if dtype is None else {"dtype": dtype}), **options)

    return reduce


for _ufunc, _function in ((np.add, sum_), (np.multiply, prod), (np.maximum, maximum), (np.minimum, minimum)):
    UFUNC_METHODS[_ufunc, "reduce"] = _method(_function)
UFUNC_METHODS[np.add, "accumulate"] = _method(cumsum)


def _outer(ufunc: Any, a: Any, b: Any, **options: Any) -> Any:
    ndim = np.ndim(b)
    a = a if hasattr(a, "shape") else np.asarray(a)
    return ufunc(np.reshape(a, (*a.shape, *(1,) * ndim)), b, **options)


UFUNC_METHODS[None, "outer"] = _outer

# ---- no derivative: plain values

for _function in (np.argmax, np.argmin, np.argsort, np.count_nonzero, np.nonzero, np.flatnonzero, np.searchsorted):
    nondifferentiable(_function, "integer valued")
for _function in (np.all, np.any, np.isclose, np.allclose, np.array_equal):
    nondifferentiable(_function, "truth values")
for _function in (np.shape, np.ndim, np.size):
    nondifferentiable(_function, "shapes do not depend on values")
