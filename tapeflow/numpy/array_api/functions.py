"""Functions of whole arrays: NumPy's, which dispatch on traced values, with the standard's signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.tracer import plain

__all__ = [
    "argmax",
    "argmin",
    "argsort",
    "ceil",
    "clip",
    "concat",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "expand_dims",
    "flip",
    "floor",
    "max",
    "mean",
    "min",
    "nonzero",
    "prod",
    "repeat",
    "reshape",
    "roll",
    "round",
    "searchsorted",
    "sort",
    "squeeze",
    "stack",
    "std",
    "sum",
    "take",
    "take_along_axis",
    "tensordot",
    "tile",
    "trunc",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "var",
    "vecdot",
    "where",
]

Axis = int | tuple[int, ...] | None

# ---- elementwise, where NumPy's function differs


def _whole(ufunc: Any) -> Callable[..., Any]:
    def function(x: Any, /) -> Any:
        return ufunc(x) if x.dtype.kind == "f" else +x  # before 2.1 NumPy makes floats of integers

    function.__name__ = function.__qualname__ = ufunc.__name__
    function.__doc__ = f"Elementwise ``{ufunc.__name__}``; integers stay what they are."
    return function


ceil, floor, trunc = _whole(np.ceil), _whole(np.floor), _whole(np.trunc)


def round(x: Any, /) -> Any:
    """Nearest integers; to the even one from the middle."""
    return np.round(x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Limit values to an interval; the dtype stays that of `x`."""
    if min is None and max is None:
        return np.copy(x)
    out = np.clip(x, min, max)
    return out if out.dtype == x.dtype else out.astype(x.dtype)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Choose elements by a condition."""
    return np.where(condition, x1, x2)


# ---- rearranging and joining


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Join along an existing axis."""
    return np.concatenate(tuple(arrays), axis=axis)


def expand_dims(x: Any, /, *, axis: int = 0) -> Any:
    """Insert an axis of length one."""
    return np.expand_dims(x, axis)


def flip(x: Any, /, *, axis: Axis = None) -> Any:
    """Reverse the order along axes."""
    return np.flip(x, axis)


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Repeat elements."""
    return np.repeat(x, plain(repeats), axis)


def reshape(x: Any, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """Give the elements another shape."""
    out = np.reshape(x, shape)
    return np.copy(out) if copy else out


def roll(x: Any, /, shift: int | tuple[int, ...], *, axis: Axis = None) -> Any:
    """Shift elements around."""
    return np.roll(x, shift, axis)


def squeeze(x: Any, /, axis: int | tuple[int, ...]) -> Any:
    """Remove axes of length one."""
    return np.squeeze(x, axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Join along a new axis."""
    return np.stack(tuple(arrays), axis)


def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Repeat the whole array."""
    return np.tile(x, repetitions)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Take apart along an axis."""
    before = (slice(None),) * normalize_axis_index(axis, x.ndim)
    return tuple(x[(*before, k)] for k in range(x.shape[axis]))


# ---- selecting


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Select entries along an axis; only for vectors may the axis be left out."""
    if axis is None and x.ndim != 1:
        raise ValueError("take: axis is needed for an array with several axes")
    return np.take(x, plain(indices), 0 if axis is None else axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Select one entry along an axis for each of the indices."""
    return np.take_along_axis(x, plain(indices), axis)


# ---- products


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Contract axes of two arrays."""
    return np.tensordot(x1, x2, axes)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Inner products along an axis, the first factor conjugated."""
    return np.vecdot(x1, x2, axis=axis)


# ---- searching and sorting: integers


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the largest element."""
    return np.asarray(np.argmax(plain(x), axis, keepdims=keepdims))


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the smallest element."""
    return np.asarray(np.argmin(plain(x), axis, keepdims=keepdims))


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Indices that sort; equal elements keep their order."""
    del stable
    values = plain(x)
    if not descending:
        return np.argsort(values, axis, stable=True)
    # From the last one backwards, twice: so equal elements stay in order in descending order too.
    order = np.flip(np.argsort(np.flip(values, axis), axis, stable=True), axis)
    return values.shape[axis] - 1 - order


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sorted elements."""
    out = np.sort(x, axis, stable=stable or None)
    return np.flip(out, axis) if descending else out


def count_nonzero(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements are not zero."""
    return np.asarray(np.count_nonzero(plain(x), axis=axis, keepdims=keepdims))


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Indices of the elements that are not zero."""
    if x.ndim == 0:
        raise ValueError("nonzero: a zero-dimensional array has no indices")
    return np.nonzero(plain(x))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Places where elements would have to be inserted."""
    return np.searchsorted(plain(x1), plain(x2), side, plain(sorter))


# ---- sets


def unique_all(x: Any, /) -> Any:
    """Different elements, where each comes first, which each element is, and how often each occurs."""
    return np.unique_all(x)


def unique_counts(x: Any, /) -> Any:
    """Different elements, and how often each occurs."""
    return np.unique_counts(x)


def unique_inverse(x: Any, /) -> Any:
    """Different elements, and which of them each element is."""
    return np.unique_inverse(x)


def unique_values(x: Any, /) -> Any:
    """Different elements."""
    return np.unique(x, equal_nan=False)  # np.unique_values may leave the order open


# ---- sums, moments, extrema


def _reduction(numpys: Any) -> Callable[..., Any]:
    def reduction(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
        return numpys(x, axis=axis, keepdims=keepdims)

    reduction.__name__ = reduction.__qualname__ = numpys.__name__
    reduction.__doc__ = f"``numpy.{numpys.__name__}`` along axes."
    return reduction


all, any, max, mean, min = map(_reduction, (np.all, np.any, np.max, np.mean, np.min))


def sum(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Sum of elements."""
    return np.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def prod(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Product of elements."""
    return np.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)


def std(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation, with ``n - correction`` degrees of freedom."""
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdims)


def var(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance, with ``n - correction`` degrees of freedom."""
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)


def _cumulative(numpys: Any, name: str, neutral: int) -> Callable[..., Any]:
    def cumulative(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None and x.ndim != 1:
            raise ValueError(f"{name}: axis is needed for an array with {x.ndim} axes")
        axis = normalize_axis_index(axis or 0, x.ndim)
        y = numpys(x, axis, dtype)
        if not include_initial:
            return y
        first = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), neutral, y.dtype)
        return np.concatenate([first, y], axis)

    cumulative.__name__ = cumulative.__qualname__ = name
    cumulative.__doc__ = f"``numpy.{numpys.__name__}``, which can begin with {neutral}."
    return cumulative


cumulative_sum = _cumulative(np.cumsum, "cumulative_sum", 0)
cumulative_prod = _cumulative(np.cumprod, "cumulative_prod", 1)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, taken n times."""
    ends = [part for part in (prepend, x, append) if part is not None]
    x = x if len(ends) == 1 else np.concatenate(ends, axis)
    before = (slice(None),) * normalize_axis_index(axis, x.ndim)
    for _ in range(n):
        ahead, behind = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = np.not_equal(ahead, behind) if x.dtype == bool else ahead - behind
    return x
