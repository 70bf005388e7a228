"""Basic and advanced indexing, and the scatter that transposes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.primitive import FUNCTIONS, Traced, implements
from tapeflow.core.rules import linear

__all__ = ["getitem", "plain_index", "scatter", "take"]


def _scatter_evaluate(*parts: Any, indices: tuple[Any, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    backend = next((b for b in map(backend_for, parts) if b is not None), NUMPY)
    buffer = backend.xp.zeros(shape, dtype)
    for index, part in zip(indices, parts, strict=True):
        backend.scatter_add(buffer, index, part)
    return buffer


scatter = linear(
    "scatter",
    _scatter_evaluate,
    lambda xp, g, i, *, indices, shape, dtype: g[indices[i]],
    variadic=True,
)
_getitem = linear(
    "getitem", lambda x, *, index: x[index], deposit=scatter, view=lambda params: ("getitem", params["index"])
)


def plain_index(index: Any) -> Any:
    """An index without traced values, which later writes by the user cannot change."""
    if isinstance(index, (int, slice)):
        return index
    return tuple(map(_plain_part, index)) if isinstance(index, tuple) else _plain_part(index)


def _plain_part(part: Any) -> Any:
    if isinstance(part, (int, slice)):
        return part
    if isinstance(part, Traced):
        part = part.numpy()  # type: ignore[attr-defined]
    if isinstance(part, list):
        part = np.asarray(part, dtype=None if part else np.intp)
    backend = backend_for(part)
    return part if backend is None else backend.guard(part)


@implements(np.ndarray.__getitem__)
def getitem(x: Any, index: Any) -> Any:
    """Select by integers, slices, ``None``, ``...``, masks, index arrays and their combinations, as NumPy does."""
    return _getitem(x, index=plain_index(index))


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
