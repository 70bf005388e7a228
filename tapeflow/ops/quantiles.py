"""Medians, quantiles and percentiles: order statistics, interpolated.

An order statistic is picked by an index that carries no derivative; what is differentiated is the interpolation between
two of them, in the data and in the quantile that is asked for. Methods without interpolation are step functions of the
quantile, and all are step functions of the weights: the derivative there is zero.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import nan, prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapeflow.core.primitive import Traced, implements
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops.arguments import as_array, known, somewhere, values_of
from tapeflow.ops.reductions import _along
from tapeflow.ops.sorting import pick, stepwise

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

_NOTHING: Any = np._NoValue


# ---- one form of arguments


def _merged(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The array with the axes of the sample taken together as its last, and the shape that ``keepdims`` asks for."""
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    rest = tuple(k for k in range(a.ndim) if k not in axes)
    length = prod(a.shape[k] for k in axes)
    order = (*rest, *sorted(axes))
    moved = a if order == tuple(range(a.ndim)) else np.transpose(a, order)
    shape = (*(a.shape[k] for k in rest), length)
    return moved if moved.shape == shape else np.reshape(moved, shape), kept


def _asked(keepdims: Any) -> bool:
    return keepdims is not _NOTHING and bool(keepdims)


# ---- order statistics


def _statistic(x: Any, order: Any, rank: Any) -> Any:
    """Elements of the given ranks along the last axis, the axes of `rank` first.

    Parameters
    ----------
    x : array
        The sample along the last axis.
    order : array of int
        Indices that bring the elements of these ranks to their sorted places.
    rank : array of int
        Axes of its own, then those of the slices (of length one where all slices are treated alike).
    """
    slices = x.shape[:-1]
    own = rank.shape[: rank.ndim - len(slices)]
    ranks = np.moveaxis(rank.reshape(-1, *rank.shape[len(own) :]), 0, -1)
    ranks = np.broadcast_to(ranks, (*slices, ranks.shape[-1]))
    y = pick(x, np.take_along_axis(order, ranks, -1), axis=x.ndim - 1)
    return np.reshape(np.moveaxis(y, -1, 0), (*own, *slices))


def _arranged(x: Any, ranks: Any) -> Any:
    """Indices that bring the elements of some ranks, and the largest (a nan if there is one), to their places."""
    if isinstance(ranks, Traced):
        return np.argsort(x, axis=-1)
    return np.argpartition(x, np.unique([*np.ravel(ranks), x.shape[-1] - 1]), axis=-1)


def _with_nans(y: Any, x: Any, order: Any) -> Any:
    """A nan where the sample has one: NumPy sorts them to the end, and gives the last."""
    last = pick(x, order[..., -1:], axis=x.ndim - 1)[..., 0]
    return np.where(np.isnan(last), last, y) if somewhere(np.isnan(last)) else y


def _counted(x: Any) -> Any:
    """How many elements of each slice are numbers; a plain array. Warns of slices that have none."""
    count = np.sum(~np.isnan(x), axis=-1)
    if anywhere(count == 0):
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=4)
    return count


def _without_nans(x: Any) -> Any:
    """What is left of a single slice: partitioned several times as fast as a slice with nans is sorted."""
    mask = np.isnan(x)
    return x[~mask] if np.any(mask) else x


# ---- median


@implements(np.median)
def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """Median."""
    del out, overwrite_input
    x, kept = _merged(a, axis)
    n = x.shape[-1]
    if n:
        middle = np.unique([(n - 1) // 2, n // 2])
        order = _arranged(x, middle)
        y = np.mean(pick(x, order[..., middle], axis=x.ndim - 1), axis=-1)
        y = _with_nans(y, x, order)
    else:
        y = np.mean(x, axis=-1)
    return np.reshape(y, kept) if keepdims else y


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: Any = _NOTHING
) -> Any:
    """Median of what is not nan."""
    del out, overwrite_input
    if not a.size:
        return np.nanmean(a, axis, keepdims=keepdims)
    x, kept = _merged(a, axis)
    count = _counted(x)
    if x.ndim == 1 and not somewhere(count == 0):
        y = np.median(_without_nans(x))
        return np.reshape(y, kept) if _asked(keepdims) else y
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2])
    middle = np.minimum(middle, x.shape[-1] - 1)  # the second of an empty slice
    y = np.mean(_statistic(x, np.argsort(x, axis=-1), middle), axis=0)
    y = np.where(count == 0, nan, y) if somewhere(count == 0) else y
    return np.reshape(y, kept) if _asked(keepdims) else y


# ---- quantiles

# The place of a quantile among n elements, and how to interpolate there: by a function of the fractional part and the
# place, or not at all. Names and formulas are those of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The
# American Statistician 50 (1996), and, from `lower` on, NumPy's own.
_Place = Callable[[Any, Any], Any]


def _even(n: Any, q: Any, alpha: float, beta: float) -> Any:
    return n * q + (alpha + q * (1 - alpha - beta)) - 1


def _stepped(place: Any, down: Any) -> Any:
    return np.maximum(np.where(down, np.floor(place), np.floor(place) + 1), 0)


def _inverted(n: Any, q: Any) -> Any:
    place = n * q - 1
    return _stepped(place, place % 1 == 0)


def _closest(n: Any, q: Any) -> Any:
    place = n * q - 1 - 0.5
    return _stepped(place, (place % 1 == 0) & (np.floor(place) % 2 == 1))


_INTERPOLATED: dict[str, _Place] = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": lambda n, q: _even(n, q, 0, 1),
    "hazen": lambda n, q: _even(n, q, 0.5, 0.5),
    "weibull": lambda n, q: _even(n, q, 0, 0),
    "median_unbiased": lambda n, q: _even(n, q, 1 / 3, 1 / 3),
    "normal_unbiased": lambda n, q: _even(n, q, 3 / 8, 3 / 8),
}
_AVERAGED: dict[str, tuple[_Place, Callable[[Any], Any]]] = {
    "averaged_inverted_cdf": (lambda n, q: n * q - 1, lambda place: np.where(place % 1 == 0, 0.5, 1.0)),
    "midpoint": (
        lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
        lambda place: np.where(place % 1 == 0, 0.0, 0.5),
    ),
}
_DISCRETE: dict[str, _Place] = {
    "inverted_cdf": _inverted,
    "closest_observation": _closest,
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.around((n - 1) * q),
}


def _place(method: str, n: Any, q: Any) -> tuple[Any, Any]:
    """Where the quantile stands among n elements (a plain number), and how far it is from there to the next element."""
    if method == "linear" and q.dtype.kind in "bui":  # 0 or 1: an element
        return (n - 1) * plain(q), None
    if method in _DISCRETE:
        return _DISCRETE[method](n, plain(q)), None
    if method in _AVERAGED:
        where, share = _AVERAGED[method]
        place = where(n, plain(q))
        return place, share(place).astype(place.dtype if place.dtype.kind == "f" else np.float64)
    place = _INTERPOLATED[method](n, q)
    return plain(place), place - np.floor(plain(place))


def _interpolated(x: Any, order: Any, place: Any, share: Any, top: Any, weak: bool) -> Any:
    """The value between the order statistics around a place, of which `top` is the highest."""
    below = np.clip(np.floor(place), 0, top).astype(np.intp)
    if share is None:
        return _statistic(x, order, below)
    outside = (place < 0) | (place >= top)
    above = np.where(outside, below, below + 1)
    share = np.where(outside, 0.0, share)
    if weak:  # a Python number adapts to the data
        share = share.astype(x.dtype if x.dtype.kind == "f" else np.float64)
    a, b = _statistic(x, order, below), _statistic(x, order, above)
    step = b - a
    # From the nearer end, as NumPy does: exact at both.
    return np.where(share >= 0.5, b - step * (1 - share), a + step * share)


def _sorted_places(method: str, x: Any, q: Any, weak: bool) -> Any:
    """Quantiles of a sample without nans, or nan where it has some."""
    n = x.shape[-1]
    place, share = _place(method, n, q)
    place = np.reshape(place, q.shape + (1,) * (x.ndim - 1))
    share = None if share is None else np.reshape(share, place.shape)
    ranks = np.clip(np.floor(place), 0, n - 1).astype(np.intp)
    order = _arranged(x, np.stack([ranks, np.minimum(ranks + 1, n - 1)]))
    return _with_nans(_interpolated(x, order, place, share, n - 1, weak), x, order)


def _numbers_only(method: str, x: Any, q: Any, weak: bool) -> Any:
    """Quantiles of what is not nan, which may be another number of elements in each slice."""
    count = _counted(x)
    if x.ndim == 1 and not somewhere(count == 0):
        return _sorted_places(method, _without_nans(x), q, weak)
    n = np.maximum(count, 1)
    n = n.astype(q.dtype) if q.dtype.kind == "f" else n  # as a Python number would
    place, share = _place(method, n, np.reshape(q, q.shape + (1,) * count.ndim))
    y = _interpolated(x, np.argsort(x, axis=-1), place, share, np.maximum(count - 1, 0), weak)
    if not somewhere(count == 0):
        return y
    # NumPy takes the dtype of the first slice's result, and that of an empty slice is not promoted.
    y = np.where(count == 0, nan, y)
    return y.astype(x.dtype, copy=False) if known(np.ravel(count)[:1] == 0) else y


def _weighted(x: Any, q: Any, weights: Any, skip_nans: bool) -> Any:
    """Quantiles of a weighted sample.

    They are elements of it, and which ones depends on the order of the elements alone: what NumPy says of the elements'
    ranks picks them, by its own conventions about ties and weights of zero.
    """
    values = values_of(x, "quantile of a weighted sample")
    order = np.argsort(values, axis=-1)
    count = _counted(x) if skip_nans else x.shape[-1]
    if skip_nans:
        weights = np.where(np.isnan(values) & (count[..., None] > 0), 0, weights)
    ranks = np.argsort(order, axis=-1).astype(np.float64)
    rank = np.quantile(ranks, values_of(q, "quantile"), axis=-1, method="inverted_cdf", weights=weights)
    y = _statistic(x, order, np.asarray(rank).astype(np.intp))
    if skip_nans:
        return np.where(count == 0, nan, y) if somewhere(count == 0) else y
    return _with_nans(y, x, order)


def _checked(q: Any, weights: Any, method: str, what: str) -> None:
    value = plain(q)
    if anywhere(~((value >= 0) & (value <= 1))):
        raise ValueError(what)
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    if value.ndim > 2:
        raise ValueError("q must be a scalar or 1d")
    methods = {**_INTERPOLATED, **_AVERAGED, **_DISCRETE}
    if method not in methods:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {methods.keys()}")


def _quantile(
    a: Any, q: Any, axis: Any, method: str, keepdims: Any, weights: Any, *, skip_nans: bool, percent: bool
) -> Any:
    a = as_array(a)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    weak = type(q) in (int, float)
    q = as_array(q)
    q = np.asarray(q / 100) if percent and not isinstance(q, Traced) else q / 100 if percent else q
    _checked(
        q,
        weights,
        method,
        ("Quantiles must be in the range [0, 1]", "Percentiles must be in the range [0, 100]")[percent],
    )
    if not a.size:
        if skip_nans:
            return np.nanmean(a, axis, keepdims=keepdims)
        raise IndexError(f"a quantile of an array of shape {a.shape} is undefined: there is no element to pick")
    x, kept = _merged(a, axis)
    if weights is not None:
        weights = as_array(weights)
        w = _along(values_of(weights, "quantile"), a, axis)
        if np.any(w < 0):
            raise ValueError("Weights must be non-negative.")
        w, _ = _merged(np.broadcast_to(w, a.shape), axis)
        y = stepwise(_weighted(x, q, w, skip_nans), q, weights)
    else:
        y = stepwise((_numbers_only if skip_nans else _sorted_places)(method, x, q, weak), q)
    return np.reshape(y, (*q.shape, *kept)) if _asked(keepdims) else y


def _public(name: str, *, skip_nans: bool, percent: bool) -> Callable[..., Any]:
    def function(
        a: Any,
        q: Any,
        axis: Any = None,
        out: None = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = _NOTHING,
        *,
        weights: Any = None,
        interpolation: str | None = None,
    ) -> Any:
        del out, overwrite_input
        # `interpolation` is the former name of `method`; where NumPy does not know it any more, it never gets here.
        method = method if interpolation is None else interpolation
        return _quantile(a, q, axis, method, keepdims, weights, skip_nans=skip_nans, percent=percent)

    function.__name__ = name
    return implements(getattr(np, name))(function)


quantile = _public("quantile", skip_nans=False, percent=False)
percentile = _public("percentile", skip_nans=False, percent=True)
nanquantile = _public("nanquantile", skip_nans=True, percent=False)
nanpercentile = _public("nanpercentile", skip_nans=True, percent=True)
