"""Sorting, partitioning and picking along an axis: each is a gather whose indices carry no derivative.

At ties a gradient follows the permutation that NumPy chose.
"""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import shifted
from tapeflow.core.primitive import FUNCTIONS, Primitive, Traced, implements
from tapeflow.core.rules import general, nondifferentiable
from tapeflow.core.tracer import Tracer, plain
from tapeflow.core.writes import write
from tapeflow.ops import answers
from tapeflow.ops.arguments import as_array, values_of

__all__ = [
    "compress",
    "extract",
    "partition",
    "pick",
    "sort",
    "sort_complex",
    "stepwise",
    "sum_into",
    "take_along_axis",
]


# ---- gather along an axis, and the scatter that transposes it


def _sum_into_evaluate(x: Any, indices: Any, *, axis: int, length: int) -> Any:
    backend = backend_for(x) or NUMPY
    xp = backend.xp
    if x.ndim == 1:
        total = xp.zeros(length, x.dtype)
        backend.scatter_add(total, indices, x)
        return total
    last = xp.moveaxis(x, axis, -1)
    count = prod(last.shape[:-1])
    rows = xp.moveaxis(indices, axis, -1).reshape(count, last.shape[-1])
    rows = xp.where(rows < 0, rows + length, rows) + length * xp.arange(count)[:, None]
    total = xp.zeros(count * length, x.dtype)
    backend.scatter_add(total, rows.ravel(), last.ravel())  # of one axis: several are an order of magnitude slower
    return xp.moveaxis(total.reshape(*last.shape[:-1], length), -1, axis)


# The indices are an operand, not a parameter: under a batch they have an axis more, as what is picked from has.
pick: Primitive = general(
    "take_along_axis",
    lambda x, indices, *, axis: x[indices] if x.ndim == 1 else np.take_along_axis(x, indices, axis),
    (lambda xp, t, x1, *, axis: pick(t, x1, axis=axis), None),
    (lambda xp, g, x1, shape0, *, axis: sum_into(g, x1, axis=axis, length=shape0[axis]), None),
    batch=shifted(axis="axis"),
)
sum_into: Primitive = general(
    "sum_into",
    _sum_into_evaluate,
    (lambda xp, t, x1, *, axis, length: sum_into(t, x1, axis=axis, length=length), None),
    (lambda xp, g, x1, *, axis, length: pick(g, x1, axis=axis), None),
    batch=shifted(axis="axis"),
)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Select along an axis by an array of indices."""
    indices = plain(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    if indices.ndim != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if not np.issubdtype(indices.dtype, np.integer):
        raise IndexError("`indices` must be an integer array")
    rest = np.broadcast_shapes(*((*s[:axis], 1, *s[axis + 1 :]) for s in (arr.shape, indices.shape)))
    whole = ((*rest[:axis], s[axis], *rest[axis + 1 :]) for s in (arr.shape, indices.shape))
    arr, indices = (a if a.shape == s else np.broadcast_to(a, s) for a, s in zip((arr, indices), whole, strict=True))
    return pick(arr, indices, axis=axis)


# ---- what is constant between jumps

_stepwise = general(
    "stepwise",
    lambda y, x: y,
    (lambda xp, t: t, lambda xp, t, y: xp.zeros(y.shape, y.dtype)),
    (lambda xp, g: g, lambda xp, g, shape1: xp.zeros(shape1)),
    batch=shifted(),
)


def stepwise(y: Any, *sources: Any) -> Any:
    """Give a value that is constant almost everywhere in other ones the derivative zero with respect to these."""
    for x in sources:
        y = _stepwise(y, x) if isinstance(x, Traced) else y
    return y


# ---- sorting


def _flat(a: Any, axis: int | None) -> tuple[Any, int]:
    if axis is None:
        return np.ravel(a), 0
    return a, normalize_axis_index(axis, a.ndim)


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    """Elements in increasing order."""
    a, axis = _flat(a, axis)
    return pick(a, np.argsort(a, axis=axis, kind=kind, order=order, stable=stable), axis=axis)


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Elements in increasing order, as complex numbers."""
    y = np.sort(a)
    return y if y.dtype.kind == "c" else y.astype(np.clongdouble if y.dtype.char == "g" else np.complex128)


def _order_of_partition(x: Any, kth: Any, axis: int, kind: Any, order: Any) -> Any:
    """Indices that arrange an array exactly as `np.partition` does."""
    y = np.partition(x, kth, axis, kind, order)
    indices = np.argpartition(x, kth, axis, kind, order)
    if np.array_equal(np.take_along_axis(x, indices, axis), y, equal_nan=True):
        return indices
    # Between the given places the two arrange elements as they please: match elements of equal rank.
    ranks = np.argsort(np.argsort(y, axis, "stable"), axis, "stable")
    return np.take_along_axis(np.argsort(x, axis, "stable"), ranks, axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """Elements with those of given ranks in their sorted places."""
    a, axis = _flat(a, axis)
    values = plain(a)
    # Of a batch the values are not known, and any indices do that bring the given ranks to their places.
    indices = np.argpartition if isinstance(values, Traced) else _order_of_partition
    return pick(a, indices(values, kth, axis, kind, order), axis=axis)


# ---- in place


def _sort_in_place(
    self: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None
) -> None:
    write(self, ..., sort(self, index(axis), kind, order, stable=stable))


def _partition_in_place(self: Any, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None) -> None:
    write(self, ..., partition(self, kth, index(axis), kind, order))


FUNCTIONS[np.ndarray.sort] = _sort_in_place
FUNCTIONS[np.ndarray.partition] = _partition_in_place


# ---- selection by conditions: what is selected depends on values, so its length does


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Any:
    """Slices along an axis where a condition holds."""
    del out
    condition = np.asarray(values_of(condition, "compress"))
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return np.take(as_array(a), np.flatnonzero(condition), axis)


def _compress_method(self: Any, condition: Any, axis: int | None = None, out: None = None) -> Any:
    """Call ``np.compress`` with this array as the second argument."""
    return compress(condition, self, axis, out)


Tracer.compress = _compress_method  # the one method whose array is not its function's first argument


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Elements where a condition holds."""
    return np.take(np.ravel(as_array(arr)), np.flatnonzero(values_of(condition, "extract")))


nondifferentiable(np.argpartition, "integer valued", batch=answers.along(np.argpartition))
for _function in (np.nanargmax, np.nanargmin):
    nondifferentiable(_function, "integer valued", batch=answers.along(_function, None, reduces=True))
nondifferentiable(np.digitize, "integer valued", batch=answers.digitize)
nondifferentiable(np.lexsort, "integer valued", batch=answers.lexsort)
nondifferentiable(np.argwhere, "integer valued")  # as many as there are: found for one element after another
