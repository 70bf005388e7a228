"""Covariance, correlation, and counting in bins.

Counts are piecewise constant in the sample and in the edges of the bins, so their derivative there is zero; they are linear
in the weights. Edges that come from the extrema of the sample depend on it, and so does a density through the widths.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.batch import shifted
from tapeflow.core.primitive import Traced, implements
from tapeflow.core.rules import linear
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops.arguments import as_array, values_of
from tapeflow.ops.sorting import stepwise, sum_into

__all__ = [
    "bincount",
    "corrcoef",
    "cov",
    "histogram",
    "histogram2d",
    "histogram_bin_edges",
    "histogramdd",
]

_NOTHING: Any = np._NoValue


# ---- covariance


def _observations(m: Any, dtype: Any, rowvar: bool, transposed: bool) -> Any:
    x = np.atleast_2d(m).astype(dtype)
    return np.transpose(x) if not rowvar and transposed else x


def _joined(m: Any, y: Any, rowvar: bool, dtype: Any) -> Any:
    """Variables by rows."""
    arrays = [as_array(a) for a in (m, y) if a is not None]
    for a, name in zip(arrays, "my", strict=False):
        if a.ndim > 2:
            raise ValueError(f"{name} has more than 2 dimensions")
    dtype = np.result_type(*(a.dtype for a in arrays), np.float64) if dtype is None else np.dtype(dtype)
    x = _observations(arrays[0], dtype, rowvar, arrays[0].ndim != 1)
    if y is None or x.shape[0] == 0:
        return x
    more = _observations(arrays[1], dtype, rowvar, np.atleast_2d(arrays[1]).shape[0] != 1)
    return np.concatenate((x, more), axis=0)


def _checked_weights(weights: Any, name: str, length: int) -> Any:
    w = as_array(weights).astype(float)
    if name == "fweights" and anywhere(w != np.around(w)):
        raise TypeError("fweights must be integer")
    if w.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if w.shape[0] != length:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if anywhere(w < 0):
        raise ValueError(f"{name} cannot be negative")
    return w


def _degrees(n: int, ddof: int, w: Any, aweights: Any) -> Any:
    """What the sum of products is divided by."""
    if w is None:
        return n - ddof
    total = np.sum(w)
    if ddof == 0 or aweights is None:
        return total - ddof
    return total - ddof * np.sum(w * aweights) / total


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Covariance matrix, which has a derivative in both kinds of weights too."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    x = _joined(m, y, rowvar, dtype)
    if x.shape[0] == 0:
        return np.array([]).reshape(0, 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    length = x.shape[1]
    f = None if fweights is None else _checked_weights(fweights, "fweights", length)
    a = None if aweights is None else _checked_weights(aweights, "aweights", length)
    w = a if f is None else f if a is None else f * a
    average = np.average(x, axis=1, weights=w)
    degrees = _degrees(length, ddof, w, a)
    if anywhere(too_few := plain(degrees) <= 0):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        degrees = np.where(too_few, 0.0, degrees)
    x = (x - average[:, None]).astype(x.dtype, copy=False)
    other = np.transpose(x if w is None else x * w)
    c = np.dot(x, np.conjugate(other) if other.dtype.kind == "c" else other)
    return np.squeeze(c * np.true_divide(1, degrees).astype(np.real(c).dtype, copy=False))


@implements(np.corrcoef)
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = _NOTHING, ddof: Any = _NOTHING, *, dtype: Any = None
) -> Any:
    """Matrix of correlation coefficients."""
    if bias is not _NOTHING or ddof is not _NOTHING:
        warnings.warn("bias and ddof have no effect and are deprecated", DeprecationWarning, stacklevel=2)
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation
    if c.dtype.kind != "c":
        return np.clip(c, -1, 1)
    return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)


# ---- counting


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Sums of weights by number."""
    numbers = plain(x)
    counts = np.bincount(numbers, None, minlength)
    if weights is None:
        return counts
    w = as_array(weights).astype(np.float64, casting="safe")
    if w.shape != np.shape(numbers):
        raise ValueError("The weights and list don't have the same length.")
    return sum_into(w, np.asarray(numbers, np.intp), axis=0, length=len(counts))


# ---- bins

_uniform = linear(
    "uniform_edges",
    lambda low, high, *, count, dtype: np.linspace(low, high, count + 1, dtype=dtype, axis=-1),
    lambda xp, g, i, *, count, dtype: xp.sum(g * (xp.abs(1 - i - xp.arange(count + 1) / count)).astype(dtype), axis=-1),
    variadic=True,
    batch=shifted(),
)


def _edges(a: Any, bins: Any, range_: Any, values: Any) -> Any:
    """Edges along one axis, of which the plain values are known, traced if what they come from is."""
    if not isinstance(bins, str) and np.ndim(bins) == 1:
        return bins if isinstance(bins, Traced) else values
    if range_ is not None:
        low, high = range_
    elif a.size:
        low, high = np.min(a), np.max(a)
    else:
        return values
    if not isinstance(low, Traced) and not isinstance(high, Traced):
        return values
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _uniform(low, high, count=len(values) - 1, dtype=values.dtype)


def _bins_of(a: Any, edges: Any) -> tuple[Any, Any]:
    """For each element of a plain array its bin, of which the last is closed, and whether it is in none."""
    bins = np.searchsorted(edges, a, side="right") - 1
    last = len(edges) - 2
    bins = np.where(a == edges[-1], last, bins)
    return bins, (bins < 0) | (bins > last)


def _totals(weights: Any, bins: Any, outside: Any, count: int) -> Any:
    """Sums of weights in each of so many bins."""
    return sum_into(weights, np.where(outside, count, bins), axis=0, length=count + 1)[:count]


def _widths(edges: Any) -> Any:
    return edges[1:] - edges[:-1]


def _density(counts: Any, widths: Sequence[Any]) -> Any:
    total = np.sum(counts)
    for k, w in enumerate(widths):
        counts = counts / np.reshape(w, (-1,) + (1,) * (len(widths) - 1 - k))
    return counts / total


def _given(bins: Any) -> Any:
    return bins if isinstance(bins, str) or not np.iterable(bins) else as_array(bins)


def _shaped(weights: Any) -> Any:
    """What NumPy's check of the shape of weights needs to see."""
    return np.broadcast_to(0.0, weights.shape) if isinstance(weights, Traced) else weights


def _values(argument: Any) -> Any:
    """An argument without its derivatives."""
    return pytree.map_leaves(lambda x: values_of(x, "histogram"), argument)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Edges of the bins of a histogram."""
    bins = _given(bins)
    values = np.histogram_bin_edges(_values(a), _values(bins), _values(range), _shaped(weights))
    return _edges(as_array(a), bins, range, values)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> tuple[Any, Any]:
    """Counts, or sums of weights, in bins, and the edges."""
    a, bins = as_array(a), _given(bins)
    weights = None if weights is None else as_array(weights)
    sample = _values(a)
    given = _values(bins), _values(range)
    if isinstance(weights, Traced):
        values = np.histogram_bin_edges(sample, *given, _shaped(weights))
        counts = _weight_in_bins(np.ravel(sample), values, np.ravel(weights))
    else:
        counts, values = np.histogram(sample, *given, weights=weights)
    edges = _edges(a, bins, range, values)
    if density:
        counts = _density(counts, [_widths(edges).astype(float)])
    return stepwise(counts, a, edges), edges


def _weight_in_bins(a: Any, edges: Any, weights: Any) -> Any:
    wide = np.result_type(weights.dtype, np.float64)  # NumPy adds up in double precision
    totals = _totals(weights.astype(wide, copy=False), *_bins_of(a, edges), len(edges) - 1)
    return totals.astype(weights.dtype, copy=False)


def _table(sample: Any) -> Any:
    """Points by rows."""
    if getattr(sample, "ndim", 0) == 2:
        return sample
    return np.transpose(np.atleast_2d(as_array(sample)))


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any]:
    """Counts, or sums of weights, in boxes, and the edges along each axis."""
    points = _table(sample)
    d = points.shape[1]
    ranges = [None] * d if range is None else list(range)
    each = [_given(b) for b in bins] if np.iterable(bins) else [bins] * d
    weights = None if weights is None else as_array(weights)
    settled = None if isinstance(weights, Traced) else weights
    counts, values = np.histogramdd(_values(points), _values(each), _values(ranges), weights=settled)
    edges = [_edges(points[:, k], each[k], ranges[k], v) for k, v in enumerate(values)]
    if isinstance(weights, Traced):
        counts = _weight_in_boxes(_values(points), values, weights)
    if density:
        counts = _density(counts, [_widths(e) for e in edges])
    return stepwise(counts, points, *edges), type(values)(edges)


def _weight_in_boxes(points: Any, edges: Sequence[Any], weights: Any) -> Any:
    shape = tuple(len(e) - 1 for e in edges)
    bins, outside = zip(*(_bins_of(points[:, k], e) for k, e in enumerate(edges)), strict=True)
    boxes = np.ravel_multi_index(bins, shape, mode="clip")
    w = weights.astype(np.float64, casting="safe")
    return np.reshape(_totals(w, boxes, np.logical_or.reduce(outside), prod(shape)), shape)


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    """Counts, or sums of weights, in rectangles, and the edges along both axes."""
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    shared = np.iterable(bins) and len(list(bins)) not in (1, 2)
    bins = [as_array(bins)] * 2 if shared else bins
    counts, edges = np.histogramdd([as_array(x), as_array(y)], bins, range, density, weights)
    return counts, edges[0], edges[1]
