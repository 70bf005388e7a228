"""Sums, products, extrema and moments of what is not nan. Where an element is nan, the derivative is zero."""

from __future__ import annotations

import warnings
from math import nan
from typing import Any

import numpy as np

from tapeflow.core.batch import shifted
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops.arguments import as_array, somewhere
from tapeflow.ops.reductions import _absent, _axes, _conjugated, _count, _reduce, _root, _spread, _start, sum_

__all__ = ["nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar"]

_NOTHING: Any = np._NoValue


def _filled(a: Any, value: Any) -> Any:
    """The array with a value in place of nans."""
    a = as_array(a)
    mask = np.isnan(a)
    return np.where(mask, a.dtype.type(value), a) if somewhere(mask) else a


# ---- sums and products


@implements(np.nansum)
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Sum of what is not nan."""
    return np.sum(_filled(a, 0), axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Product of what is not nan."""
    return np.prod(_filled(a, 1), axis, dtype, out, keepdims, initial, where)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum of what is not nan."""
    return np.cumsum(_filled(a, 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product of what is not nan."""
    return np.cumprod(_filled(a, 1), axis, dtype, out)


# ---- extrema: what is attained several times is split equally


def _attained(xp: Any, x: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Where the extremum is attained, and how often; at no nan."""
    mask = x == _spread(xp, y, x.shape, axes)
    return mask, xp.maximum(xp.sum(mask, axis=axes, dtype=x.dtype), 1)


def _jvp(xp: Any, t: Any, x: Any, y: Any, *, axes: tuple[int, ...]) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.sum(xp.where(mask, t, 0), axis=axes) / count


def _vjp(xp: Any, g: Any, x: Any, y: Any, *, axes: tuple[int, ...]) -> Any:
    mask, count = _attained(xp, x, y, axes)
    return xp.where(mask, _spread(xp, g / count, x.shape, axes), 0)


_nanmax = general("nanmax", lambda x, *, axes: np.fmax.reduce(x, axis=axes), _jvp, _vjp, batch=shifted(axes="axes"))
_nanmin = general("nanmin", lambda x, *, axes: np.fmin.reduce(x, axis=axes), _jvp, _vjp, batch=shifted(axes="axes"))


def _extremum(primitive: Primitive, ufunc: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
    a = as_array(a)
    masked = where is not _NOTHING and where is not True
    if masked and _absent(initial):
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to "
            "specify 'initial'"
        )
    x = np.where(where, a, a.dtype.type(nan)) if masked else a  # a nan is what these pass over
    if _absent(initial):
        y = _reduce(primitive, x, axis, keepdims)
    elif not _count(x.shape, _axes(axis, x.ndim)):
        nothing = sum_(x, axis, keepdims=keepdims)
        return nothing + _start(initial, nothing)
    else:
        y = _reduce(primitive, x, axis, keepdims)
        y = ufunc(y, _start(initial, y))
    if anywhere(np.isnan(y)):
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return y


@implements(np.nanmax)
def nanmax(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Largest element that is not nan."""
    del out
    return _extremum(_nanmax, np.fmax, a, axis, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: Any = _NOTHING,
    initial: Any = _NOTHING,
    where: Any = _NOTHING,
) -> Any:
    """Smallest element that is not nan."""
    del out
    return _extremum(_nanmin, np.fmin, a, axis, keepdims, initial, where)


# ---- moments


def _inexact(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")


def _chosen(a: Any, where: Any) -> Any:
    """What counts: neither nan nor left out by the mask; a plain array."""
    mask = ~np.isnan(plain(a))
    return mask if where is _NOTHING else mask & where


def _over(total: Any, count: Any) -> Any:
    """Divide by how many there are; nan where that is none, without a derivative."""
    if total.dtype == np.float16:  # counts may be beyond its range
        return _over(total.astype(np.float32), count).astype(np.float16)
    few = count <= 0
    ratio = total / np.where(few, 1, count).astype(total.dtype.type(0).real.dtype)
    empty = total.dtype.type(complex(nan, nan) if total.dtype.kind == "c" else nan)
    return np.where(few, empty, ratio) if somewhere(few) else ratio


def _numbers(mask: Any, axis: Any, keepdims: Any) -> Any:
    return np.sum(mask, axis=axis, dtype=np.intp, keepdims=keepdims is not _NOTHING and keepdims)


@implements(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: Any = _NOTHING, *, where: Any = _NOTHING
) -> Any:
    """Mean of what is not nan."""
    del out
    a = as_array(a)
    _inexact(dtype)
    mask = _chosen(a, where)
    count = _numbers(mask, axis, keepdims)
    if anywhere(count == 0):
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    return _over(np.sum(np.where(mask, a, a.dtype.type(0)), axis, dtype, None, keepdims), count)


@implements(np.nanvar)
def nanvar(
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
    """Variance of what is not nan."""
    del out
    if correction is not _NOTHING:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    a = as_array(a)
    _inexact(dtype)
    mask = _chosen(a, where)
    zero = a.dtype.type(0)
    if mean is _NOTHING:
        total = np.sum(np.where(mask, a, zero), axis, dtype, None, True)
        mean = _over(total, np.maximum(_numbers(mask, axis, True), 1))
    deviation = np.where(mask, a - mean, zero).astype(a.dtype, copy=False)
    squares = deviation * _conjugated(np, deviation)
    total = np.sum(np.real(squares) if squares.dtype.kind == "c" else squares, axis, dtype, None, keepdims)
    degrees = _numbers(mask, axis, keepdims) - ddof
    if anywhere(degrees <= 0):
        warnings.warn("Degrees of freedom <= 0 for slice.", RuntimeWarning, stacklevel=2)
    return _over(total, degrees)


@implements(np.nanstd)
def nanstd(a: Any, *args: Any, **options: Any) -> Any:
    """Standard deviation of what is not nan; its subgradient is 0 where it is 0."""
    return _root(nanvar(a, *args, **options))
