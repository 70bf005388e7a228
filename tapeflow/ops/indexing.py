"""Basic and advanced indexing, and the scatter that transposes it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import Batched, axes_in_front, leading_ones, loop
from tapeflow.core.primitive import FUNCTIONS, Primitive, implements
from tapeflow.core.rules import general, linear
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
    return (slice(None), *parts), axes_in_front(parts)


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
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, Batched) for p in parts):  # an index that is not the same for all elements of a batch
        return _by_operands(x, parts)
    return _getitem(x, index=index)


# ---- index arrays that differ from element to element of a batch are operands


def _gather_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """The place in the batch is one index more, if what is selected from differs as well."""
    (x, *arrays), size = values, next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
    most = max(np.ndim(a) - b for a, b in zip(arrays, batched[1:], strict=True))
    arrays = [leading_ones(a, most) if b else a for a, b in zip(arrays, batched[1:], strict=True)]
    number = np.reshape(np.arange(size), (size, *(1,) * most))
    if primitive is gather:
        return primitive(x, number, *arrays) if batched[0] else primitive(x, *arrays)
    if not batched[0]:
        x = np.broadcast_to(x, (size, *np.shape(x)))
    return primitive(x, number, *arrays, shape=(size, *params["shape"]))


def _deposit_evaluate(g: Any, *arrays: Any, shape: tuple[int, ...]) -> Any:
    backend = backend_for(g) or NUMPY
    k, total = len(arrays), backend.xp.zeros(shape, g.dtype)
    arrays = tuple(backend.xp.where(a < 0, a + n, a) for a, n in zip(arrays, shape[:k], strict=True))
    places = backend.xp.ravel_multi_index(arrays, shape[:k]) if prod(shape) else arrays[0]
    backend.scatter_add(total.reshape(prod(shape[:k]), *shape[k:]), places, g)  # of one axis: several are slower
    return total


gather: Primitive = general(
    "gather",
    lambda x, *arrays: x[arrays],
    lambda xp, t, i, xs: gather(t, *xs[1:]) if i == 0 else None,
    lambda xp, g, i, xs, shape0: _deposit(g, *xs[1:], shape=shape0),
    variadic=True,
    batch=_gather_batch,
)
_deposit: Primitive = general(
    "deposit",
    _deposit_evaluate,
    lambda xp, t, i, xs, *, shape: _deposit(t, *xs[1:], shape=shape),
    lambda xp, g, i, xs, *, shape: gather(g, *xs[1:]),
    variadic=True,
    batch=_gather_batch,
)


def _by_operands(x: Any, parts: tuple[Any, ...]) -> Any:
    """Select by slices first, and then, with the axes in front that they name, by index arrays."""
    if any(p.dtype.kind == "b" for p in parts if isinstance(p, (Batched, np.ndarray))):
        return _by_mask(x, parts)
    used = sum(p is not None and p is not Ellipsis for p in parts)
    dots = next((k for k, p in enumerate(parts) if p is Ellipsis), len(parts))
    parts = (*parts[:dots], *(slice(None),) * (x.ndim - used), *parts[dots + 1 :])
    places = [k for k, p in enumerate(parts) if not isinstance(p, slice) and p is not None]
    whole = _getitem(x, index=tuple(slice(None) if k in places else p for k, p in enumerate(parts)))
    y = gather(
        np.moveaxis(whole, places, range(len(places))),
        *(parts[k] if isinstance(parts[k], Batched) else np.asarray(parts[k]) for k in places),
    )
    ndim = y.ndim - (whole.ndim - len(places))
    apart = places[-1] - places[0] >= len(places)
    return y if apart or places[0] == 0 else np.moveaxis(y, range(ndim), range(places[0], places[0] + ndim))


def _by_mask(x: Any, parts: tuple[Any, ...]) -> Any:
    """Masks that differ select as many elements as there are, for each element of the batch its own number."""
    batched = [p for p in parts if isinstance(p, Batched)]
    return loop(max(batched, key=lambda p: p._level)._batch, getitem, (x, parts), {})


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    """Select entries along an axis."""
    del out
    indices = plain_index(indices)
    indices = indices if isinstance(indices, Batched) else np.asarray(indices)
    a = a if hasattr(a, "shape") else np.asarray(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    length = a.shape[axis]
    if mode == "wrap":
        indices = indices % length
    elif mode == "clip":
        indices = np.clip(indices, 0, length - 1)
    return getitem(a, (*(slice(None),) * axis, indices))


FUNCTIONS[np.ndarray.take] = take
