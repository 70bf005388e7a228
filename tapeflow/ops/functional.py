"""Functions that apply a function of the user's to parts of an array."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from itertools import starmap
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.primitive import Traced, implements
from tapeflow.ops.arguments import as_array

__all__ = ["apply_along_axis", "apply_over_axes", "vectorize"]


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply a function of vectors along an axis; the axes of its results take the axis' place."""
    arr = as_array(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    lines = np.moveaxis(arr, axis, -1)
    lead = lines.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [as_array(func1d(lines[k], *args, **kwargs)) for k in np.ndindex(lead)]
    dtype = results[0].dtype  # NumPy has its buffer from the first, and converts the others to it
    y = np.stack([x if x.dtype == dtype else x.astype(dtype) for x in results])
    own = tuple(range(len(lead), len(lead) + y.ndim - 1))
    return np.moveaxis(np.reshape(y, lead + y.shape[1:]), own, tuple(range(axis, axis + len(own))))


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Any) -> Any:
    """Apply a reduction over one axis after the other; the number of axes stays."""
    y = as_array(a)
    ndim = y.ndim
    for axis in map(operator.index, axes if np.iterable(axes) else (axes,)):
        axis = axis + ndim if axis < 0 else axis
        reduced = as_array(func(y, axis))
        if reduced.ndim != y.ndim:
            reduced = np.expand_dims(reduced, axis)
        if reduced.ndim != y.ndim:
            raise ValueError("function is not returning an array of the correct shape")
        y = reduced
    return y


class vectorize(np.vectorize):  # as NumPy spells it
    """``np.vectorize`` for traced values too: a loop over elements, the results of which are joined.

    NumPy's own converts its arguments to arrays of objects, which refuse traced values; this one leaves plain arguments
    to it.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import grad
    >>> from tapeflow.ops.functional import vectorize
    >>> bump = vectorize(lambda t: t * t if t > 0 else 0 * t)
    >>> grad(lambda x: np.sum(bump(x)))(np.array([-1.0, 2.0]))
    array([0., 4.])
    """

    def _vectorize_call(self, func: Callable[..., Any], args: Any) -> Any:
        if not any(isinstance(as_array(x), Traced) for x in args):
            return super()._vectorize_call(func, args)  # type: ignore[misc]
        args = [as_array(x) for x in args]
        split = [x.ndim - n for x, n in zip(args, self._core_axes(len(args)), strict=True)]
        lead = np.broadcast_shapes(*(x.shape[:k] for x, k in zip(args, split, strict=True)))
        if 0 in lead:
            raise ValueError("vectorize: traced arguments of size 0 leave the shape of the result open")
        args = [np.broadcast_to(x, lead + x.shape[k:]) for x, k in zip(args, split, strict=True)]
        results = list(starmap(func, ([x[index] for x in args] for index in np.ndindex(lead))))
        if not isinstance(results[0], tuple):
            return self._join(results, 0, lead)
        return tuple(self._join(parts, k, lead) for k, parts in enumerate(zip(*results, strict=True)))

    def _core_axes(self, count: int) -> list[int]:
        """How many axes of each argument the function takes as a whole."""
        signature = getattr(self, "signature", None)
        if signature is None:
            return [0] * count
        groups = re.findall(r"\(([^)]*)\)", signature.partition("->")[0])
        if len(groups) != count:
            raise TypeError(f"wrong number of positional arguments: expected {len(groups)}, got {count}")
        return [len(group.split(",")) if group.strip() else 0 for group in groups]

    def _join(self, parts: Any, k: int, lead: tuple[int, ...]) -> Any:
        """One array of the results; as with NumPy the first decides on the dtype, unless ``otypes`` does."""
        arrays = [as_array(x) for x in parts]
        dtype = np.dtype(self.otypes[k]) if self.otypes is not None else arrays[0].dtype
        y = np.stack([x if x.dtype == dtype else x.astype(dtype) for x in arrays])
        return np.reshape(y, lead + y.shape[1:])
