"""``reduce``, ``accumulate`` and ``reduceat`` of every binary ufunc that has a derivative.

They are made of calls of the ufunc itself, so that they have derivatives of every order. NumPy checks the arguments and
says the dtype and the shape of the result, by its own method on an array of ones. The methods that have a primitive
(``add.reduce`` and the like) are registered beside it and go before these.
"""

from __future__ import annotations

from functools import reduce
from math import inf, nan
from math import prod as product
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapeflow.core.primitive import Traced, implementation
from tapeflow.core.tracer import UFUNC_METHODS, Tracer, plain

__all__: list[str] = []

_NOTHING: Any = np._NoValue
_TRUTHS = {
    np.less, np.less_equal, np.equal, np.not_equal, np.greater_equal, np.greater,
    np.logical_and, np.logical_or, np.logical_xor,
}  # fmt: skip
# Pairs may be taken in any order, and NumPy's value is that of a fold to rounding.
_ASSOCIATIVE = {np.hypot, np.logaddexp, np.logaddexp2}
_NUMBERS = {np.fmax: (np.max, -inf), np.fmin: (np.min, inf)}


# ---- what NumPy would give


def _model(ufunc: Any, method: str, x: Any, *args: Any, **options: Any) -> Any:
    """The result for ones in place of x, or NumPy's error."""
    with np.errstate(all="ignore"):
        return np.asarray(getattr(ufunc, method)(np.broadcast_to(np.ones((), x.dtype), x.shape), *args, **options))


def _instead(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[bool, Any]:
    """Whether there is nothing to differentiate, and what is returned then."""
    if implementation(ufunc) is None:
        traced = next(x for x in inputs if isinstance(x, Tracer))
        return True, traced._unknown(getattr(ufunc, method), inputs, options)
    bare = tuple(map(plain, inputs))
    if (ufunc in _TRUTHS or not isinstance(inputs[0], Tracer)) and not any(isinstance(x, Tracer) for x in bare):
        options = {k: plain(v) for k, v in options.items()}
        return True, getattr(ufunc, method)(*bare, **options)
    return False, None


def _rows(x: Any, axis: Any, dtype: Any) -> tuple[Any, tuple[int, ...]]:
    """The array with what is reduced along the first axis, and which axes these were."""
    every = axis is None or (not x.ndim and axis == 0)  # NumPy lets a 0-d array have an axis 0
    axes = tuple(range(x.ndim)) if every else tuple(sorted(normalize_axis_tuple(axis, x.ndim)))
    kept = tuple(k for k in range(x.ndim) if k not in axes)
    ordered = np.transpose(x.astype(dtype, copy=False), axes + kept)
    shape = (product(x.shape[k] for k in axes), *(x.shape[k] for k in kept))
    return np.reshape(ordered, shape), axes


# ---- along the first axis


def _fold(ufunc: Any, x: Any, mask: Any, start: Any) -> Any:
    def step(y: Any, k: int) -> Any:
        if mask is True:
            return ufunc(y, x[k])
        # The 1 keeps what is left out from making a nan in the derivative.
        return np.where(mask[k], ufunc(y, np.where(mask[k], x[k], 1)), y)

    return reduce(step, range(x.shape[0]), start) if start is not None else reduce(step, range(1, x.shape[0]), x[0])


def _tree(ufunc: Any, x: Any) -> Any:
    """By pairs of neighbours: as many operations as the logarithm of the length."""
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pairs = ufunc(x[: 2 * half : 2], x[1 : 2 * half : 2])
        x = np.concatenate([pairs, x[2 * half :]]) if x.shape[0] % 2 else pairs
    return x[0]


def _of_numbers(ufunc: Any, x: Any, mask: Any, start: Any) -> Any:
    """Largest or smallest of what is not nan, nan if there is none; ties are split equally."""
    extremum, neutral = _NUMBERS[ufunc]
    out = np.isnan(x) if mask is True else np.isnan(x) | ~mask
    y = np.where(np.all(out, axis=0), nan, extremum(np.where(out, neutral, x), axis=0))
    return y if start is None else ufunc(start, y)


def _combine(ufunc: Any, x: Any, mask: Any = True, start: Any = None) -> Any:
    """Reduce along the first axis; there must be an element or a start."""
    if not x.shape[0]:
        return np.sum(x, axis=0, dtype=x.dtype) + start if x.dtype.kind != "b" else np.all(x, axis=0) & start
    if x.shape[0] == 1 and start is None:
        return x[0].copy()  # not a view, through which x could be written to
    if ufunc in _NUMBERS and x.dtype.kind == "f":
        return _of_numbers(ufunc, x, mask, start)
    if ufunc in _ASSOCIATIVE and mask is True:
        y = _tree(ufunc, x)
        return y if start is None else ufunc(start, y)
    return _fold(ufunc, x, mask, start)


# ---- the methods


def _reduce(
    ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = _NOTHING,
    where: Any = True, **options: Any,
) -> Any:  # fmt: skip
    given: dict[str, Any] = {"axis": axis, "dtype": dtype, "keepdims": keepdims, "initial": initial, "where": where}
    given.update(options)
    done, result = _instead(ufunc, "reduce", (array,), given)
    if done:
        return result
    if where is not True:
        where = plain(where)
        given["where"] = np.ones(np.shape(where), bool) if isinstance(where, Tracer) else where
    if isinstance(initial, Traced):
        given["initial"] = 1
    model = _model(ufunc, "reduce", array, **given)
    x, _ = _rows(array, axis, model.dtype)
    mask = where if where is True else _rows(np.broadcast_to(where, array.shape), axis, bool)[0]
    start = ufunc.identity if initial is _NOTHING else initial
    if start is not None:
        start = start.astype(model.dtype) if isinstance(start, Traced) else model.dtype.type(start)
    return np.reshape(_combine(ufunc, x, mask, start), model.shape)


def _accumulate(ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
    done, result = _instead(ufunc, "accumulate", (array,), {"axis": axis, "dtype": dtype, **options})
    if done:
        return result
    model = _model(ufunc, "accumulate", array, axis=axis, dtype=dtype, **options)
    x, axes = _rows(array, axis, model.dtype)
    if not array.size:
        return np.reshape(x, model.shape).copy()
    parts = [x[0]]
    for k in range(1, x.shape[0]):
        parts.append(ufunc(parts[-1], x[k]))
    return np.stack(parts, axis=axes[0])


def _reduceat(ufunc: Any, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
    done, result = _instead(ufunc, "reduceat", (array, indices), {"axis": axis, "dtype": dtype, **options})
    if done:
        return result
    indices = plain(indices)
    model = _model(ufunc, "reduceat", array, indices, axis=axis, dtype=dtype, **options)
    x, axes = _rows(array, axis, model.dtype)
    starts = np.asarray(indices).astype(np.intp)
    if not starts.size:
        return np.moveaxis(x[:0], 0, axes[0])
    ends = [*starts[1:], x.shape[0]]
    parts = [x[i : max(i + 1, j)] for i, j in zip(starts, ends, strict=True)]
    own = (ufunc, "reduce") in UFUNC_METHODS
    return np.stack([ufunc.reduce(p) if own else _combine(ufunc, p) for p in parts], axis=axes[0])


UFUNC_METHODS[None, "reduce"] = _reduce
UFUNC_METHODS[None, "accumulate"] = _accumulate
UFUNC_METHODS[None, "reduceat"] = _reduceat
