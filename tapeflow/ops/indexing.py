"""Basic and advanced indexing, and the scatter that transposes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import Batched, loop
from tapeflow.core.primitive import FUNCTIONS, implements
from tapeflow.core.rules import linear
from tapeflow.core.tracer import plain

__all__ = ["getitem", "plain_index", "scatter", "take"]


def _scatter_evaluate(*parts: Any, indices: tuple[Any, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    backend = next((b for b in map(backend_for, parts) if b is not None), NUMPY)
    buffer = backend.xp.zeros(shape, dtype)
    for index, part in zip(indices, parts, strict=True):
        backend.scatter_add(buffer, index, part)
    return buffer


def _in_batch(index: Any) -> tuple[Any, int]:
    """An index of one element as one of the batch, and the axis of the result along which the batch comes to lie.

    That is not the first where index arrays stand apart, for NumPy then puts their axes in front.
    """
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [k for k, p in enumerate(parts) if isinstance(p, np.ndarray)]
    if arrays:
        places = [k for k, p in enumerate(parts) if isinstance(p, (np.ndarray, int, np.integer))]
        if places[-1] - places[0] >= len(places):
            shapes = [
                np.shape(q) for k in arrays for q in (parts[k].nonzero() if parts[k].dtype == bool else (parts[k],))
            ]
            return (slice(None), *parts), len(np.broadcast_shapes(*shapes))
    return (slice(None), *parts), 0


def _getitem_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    index, place = _in_batch(params["index"])
    y = primitive(values[0], index=index)
    return np.moveaxis(y, place, 0) if place else y


def _scatter_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
    parts, indices = [], []
    for v, b, index in zip(values, batched, params["indices"], strict=True):
        index, place = _in_batch(index)
        whole = v if b else np.broadcast_to(v, (size, *np.shape(v)))
        parts.append(np.moveaxis(whole, 0, place) if place else whole)
        indices.append(index)
    return primitive(*parts, indices=tuple(indices), shape=(size, *params["shape"]), dtype=params["dtype"])


scatter = linear(
    "scatter",
    _scatter_evaluate,
    lambda xp, g, i, *, indices, shape, dtype: g[indices[i]],
    variadic=True,
    batch=_scatter_batch,
)
_getitem = linear(
    "getitem",
    lambda x, *, index: x[index],
    deposit=scatter,
    view=lambda params: ("getitem", params["index"]),
    batch=_getitem_batch,
)


def plain_index(index: Any) -> Any:
    """An index without traced values, which later writes by the user cannot change."""
    if isinstance(index, (int, slice)):
        return index
    return tuple(map(_plain_part, index)) if isinstance(index, tuple) else _plain_part(index)


def _plain_part(part: Any) -> Any:
    if isinstance(part, (int, slice)):
        return part
    part = plain(part)
    if isinstance(part, list):
        part = np.asarray(part, dtype=None if part else np.intp)
    backend = backend_for(part)
    return part if backend is None else backend.guard(part)


@implements(np.ndarray.__getitem__)
def getitem(x: Any, index: Any) -> Any:
    """Select by integers, slices, ``None``, ``...``, masks, index arrays and their combinations, as NumPy does."""
    index = plain_index(index)
    batched = [p for p in (index if isinstance(index, tuple) else (index,)) if isinstance(p, Batched)]
    if batched:  # an index that is not the same for all elements of a batch
        return loop(max(batched, key=lambda p: p._level)._batch, getitem, (x, index), {})
    return _getitem(x, index=index)


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    """Select entries along an axis."""
    del out
    indices = np.asarray(plain_index(indices))
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    length = a.shape[axis]
    if mode == "wrap":
        indices = indices % length
    elif mode == "clip":
        indices = np.clip(indices, 0, length - 1)
    return a[(*(slice(None),) * axis, indices)]


FUNCTIONS[np.ndarray.take] = take
