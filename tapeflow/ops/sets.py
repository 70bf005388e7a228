"""Sets, insertion and repetition: gathers by indices that NumPy finds on the plain values.

Of equal elements the first occurrence carries the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.primitive import implements
from tapeflow.core.rules import nondifferentiable
from tapeflow.core.tracer import plain
from tapeflow.ops import answers
from tapeflow.ops.arguments import as_array, values_of
from tapeflow.ops.sorting import pick

__all__ = ["insert", "intersect1d", "resize", "setdiff1d", "setxor1d", "union1d", "unique"]


# ---- unique elements


def _as_given(given: Any, other: Any, first: Any) -> Any:
    """Indices of first occurrences for unique values in the order given, from those for another order of the same.

    A hash table gives them unsorted, and nans can stand in any order.
    """
    to, of = np.argsort(given), np.argsort(other)
    assert np.array_equal(given[to], other[of], equal_nan=True)
    indices = np.empty_like(first)
    indices[to] = first[of]
    return indices


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    **options: Any,
) -> Any:
    """Unique elements, or slices along an axis."""
    ar = as_array(ar)
    values = values_of(ar, "unique")
    wanted = return_index, return_inverse, return_counts
    found = np.unique(values, *wanted, axis, equal_nan=equal_nan, **options)
    found = list(found) if isinstance(found, tuple) else [found]
    if return_index:
        first = found[1]
    else:  # asked apart: it would make NumPy sort otherwise, and number nans that are not equal in another order
        in_order, first = np.unique(values, True, axis=axis, equal_nan=equal_nan)
        first = first if in_order.ndim > 1 else _as_given(found[0], in_order, first)
    found[0] = pick(np.ravel(ar), first, axis=0) if axis is None else np.take(ar, first, axis)
    return tuple(found) if len(found) > 1 else found[0]


def _named(function: Any) -> Any:
    """A function of the array API: its result has named parts, of which the values carry the derivative."""

    def named(x: Any, /) -> Any:
        values = values_of(x, function.__name__)
        found = function(values)
        in_order, first = np.unique(values, return_index=True, equal_nan=False)
        if not isinstance(found, tuple):
            return pick(np.ravel(x), _as_given(found, in_order, first), axis=0)
        return found._replace(values=pick(np.ravel(x), first, axis=0))

    return named


for _function in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
    implements(_function)(_named(_function))


# ---- sets


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Elements of either array."""
    return np.unique(np.concatenate((ar1, ar2), axis=None))


@implements(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """Elements of both arrays, as they stand in the first."""
    values, first, second = np.intersect1d(
        *(values_of(a, "intersect1d") for a in (ar1, ar2)), assume_unique, return_indices=True
    )
    common = np.ravel(as_array(ar1))[first].astype(values.dtype, copy=False)
    return (common, first, second) if return_indices else common


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Elements of the first array that are not in the second."""
    one = np.ravel(as_array(ar1)) if assume_unique else np.unique(ar1)
    values, other = values_of(one, "setdiff1d"), values_of(ar2, "setdiff1d")
    other = other if assume_unique else np.unique(other)
    return one[np.isin(values, other, assume_unique=True, invert=True)]


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Elements of one array only."""
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate((ar1, ar2), axis=None))
    if both.size == 0:
        return both
    values = values_of(both, "setxor1d")
    differs = np.concatenate(([True], values[1:] != values[:-1], [True]))
    return both[differs[1:] & differs[:-1]]


nondifferentiable(np.isin, "truth values", batch=answers.isin)


# ---- other lengths


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Insert values before places along an axis."""
    arr = as_array(arr)
    if arr.dtype.kind not in "fc":  # NumPy converts the values, which ends their derivatives
        return np.insert(plain(arr), plain(obj), plain(as_array(values)), axis)
    obj = plain(obj)
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, normalize_axis_index(axis, arr.ndim))
    n = arr.shape[axis]
    places = len(np.insert(np.arange(n), obj, -1)) - n
    values = as_array(values).astype(arr.dtype, copy=False)
    if places == 1:  # as many as there are values
        values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
        values = values if isinstance(obj, slice) or np.ndim(obj) else np.moveaxis(values, 0, axis)
        places = values.shape[axis]
    values = np.broadcast_to(values, (*arr.shape[:axis], places, *arr.shape[axis + 1 :]))
    order = np.insert(np.arange(n), obj, np.arange(n, n + places))
    return np.take(np.concatenate((arr, values), axis), order, axis)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Elements over and over, as many as there is room for."""
    shape = tuple(new_shape) if np.iterable(new_shape) else (new_shape,)
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    size = int(np.prod(shape, dtype=np.intp))
    if a.size == 0 or size == 0:
        return np.zeros_like(a, shape=shape)
    # Not by broadcasting, which would give a view where NumPy gives an array of its own.
    return np.reshape(pick(np.ravel(a), np.arange(size) % a.size, axis=0), shape)
