"""Functions and methods that change an array in place, each a write of a value that other functions compute.

A write into a traced array is recorded (see core/writes.py). A plain array cannot hold traced values: that is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.batch import Batched, leading, shifted
from tapeflow.core.primitive import FUNCTIONS, Primitive, Traced, implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import UFUNC_METHODS, Tracer, anywhere, plain
from tapeflow.core.writes import write, write_result
from tapeflow.errors import InPlaceError, written_out
from tapeflow.ops.arguments import as_array
from tapeflow.ops.assembly import assemble, holds_traced
from tapeflow.ops.indexing import getitem, plain_index
from tapeflow.ops.sorting import sum_into

__all__ = ["copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask", "setitem"]


def _target(x: Any, name: str) -> Any:
    """The array to write into, which must be a traced one."""
    if not isinstance(x, Tracer):
        raise written_out(f"np.{name}")
    if hasattr(x, "read"):
        raise InPlaceError(f"np.{name}: a Variable is not written in place; use v.assign(...)")
    return x


def _value(value: Any) -> Any:
    """What is to be written: a list may hold traced values, which NumPy could not stack."""
    return assemble(value) if isinstance(value, (list, tuple)) and holds_traced(value) else value


@implements(np.ndarray.__setitem__)
def setitem(x: Any, index: Any, value: Any) -> None:
    """Assign to elements, as NumPy does: of a repeated index the last value stays."""
    index, value = plain_index(index), _value(value)
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, Batched) for p in parts):
        _write_by_operands(_target(x, "ndarray.__setitem__"), parts, value)
    else:
        write(_target(x, "ndarray.__setitem__"), index, value)


# ---- index arrays that differ from element to element of a batch are operands


def _replace_evaluate(x: Any, values: Any, places: Any) -> Any:
    y = np.array(x)
    np.put_along_axis(y, places, values.astype(x.dtype), -1)
    return y


def _staying_evaluate(places: Any) -> Any:
    """Which of the values written stay: the last ones of each place."""
    order = np.argsort(places, axis=-1, kind="stable")
    ordered = np.take_along_axis(places, order, -1)
    last = np.ones(places.shape, bool)
    last[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    return np.take_along_axis(last, np.argsort(order, axis=-1), -1)


_staying = Primitive("staying", _staying_evaluate, reason="truth values", batch=leading)
_replace: Primitive = general(
    "replace",
    _replace_evaluate,
    (
        lambda xp, t, x1, x2: _replace(t, xp.zeros_like(x1), x2),
        lambda xp, t, x0, x2: _replace(xp.zeros_like(x0), t, x2),
        None,
    ),
    (
        lambda xp, g, x1, x2: _replace(g, xp.zeros_like(x1), x2),
        lambda xp, g, x2: xp.where(_staying(x2), xp.take_along_axis(g, x2, -1), 0),
        None,
    ),
    batch=shifted(),
)
"""Of one axis each: an array, what is written into it, and where."""


def _write_by_operands(x: Any, parts: tuple[Any, ...], value: Any) -> None:
    value = as_array(value)
    masks = [p for p in parts if isinstance(p, (Batched, np.ndarray)) and p.dtype.kind == "b"]
    if not masks:
        _write_flat(x, getitem(np.arange(x.size).reshape(x.shape), parts), value)
    elif len(parts) == 1 and value.ndim == 0:
        mask = np.reshape(masks[0], (*masks[0].shape, *(1,) * (x.ndim - masks[0].ndim)))
        write(x, ..., np.where(mask, value, x).astype(x.dtype))
    else:
        next(p for p in parts if isinstance(p, Batched))._guard(
            "x[mask] = values, with as many values as the mask selects,"
        )


# ---- functions that write


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Copy values from one array to another, where a mask allows it."""
    _target(dst, "copyto")
    src = _value(src)
    dtype = (
        src.dtype
        if hasattr(src, "dtype")
        else np.result_type(dst.dtype, np.asarray(src))
        if casting != "no"
        else dst.dtype
    )
    if not np.can_cast(dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {dtype!r} to {dst.dtype!r} according to the rule {casting!r}")
    if where is True:
        write(dst, ..., src)
    else:
        write(dst, ..., np.where(np.broadcast_to(plain(where), dst.shape), src, dst).astype(dst.dtype))


@implements(np.put, np.ndarray.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Assign to elements by their places in the flattened array; values are repeated as needed."""
    _target(a, "put")
    places = np.ravel(_plain_array(ind))
    if mode == "wrap":
        places = places % a.size
    elif mode == "clip":
        places = np.clip(places, 0, a.size - 1)
    elif anywhere((places < -a.size) | (places >= a.size)):
        raise IndexError(f"index {np.max(places)} is out of bounds for axis 0 with size {a.size}")
    if places.size:
        _write_flat(a, places % a.size, _cycled(v, places.size))


def _plain_array(x: Any) -> Any:
    x = plain(x)
    return x if isinstance(x, Batched) else np.asarray(x)


def _cycled(values: Any, n: int) -> Any:
    """As many values as are needed, from the beginning again if there are too few."""
    values = _value(values)
    values = values if hasattr(values, "shape") else np.asarray(values)
    flat = np.ravel(values)
    return flat[np.arange(n) % flat.shape[0]]


def _write_flat(a: Any, places: Any, values: Any) -> None:
    if values.dtype.kind == "c" and a.dtype.kind != "c":
        raise TypeError(f"Cannot cast array data from {values.dtype!r} to {a.dtype!r} according to the rule 'safe'")
    if isinstance(places, Batched):
        values = np.ravel(np.broadcast_to(values, places.shape)).astype(a.dtype)
        write(a, ..., np.reshape(_replace(np.ravel(a), values, np.ravel(places)), a.shape))
    else:
        write(a, np.unravel_index(places, a.shape), values)


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Assign values in turn to the elements that a mask selects."""
    _target(arr, "place")
    places = np.flatnonzero(np.broadcast_to(plain(mask), arr.shape))
    if places.size:
        if not np.size(vals):
            raise ValueError("Cannot insert from an empty array!")
        _write_flat(arr, places, _cycled(vals, places.size))


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Assign to the elements that a mask selects the values at their own places."""
    _target(a, "putmask")
    if isinstance(mask := plain(mask), Batched):
        write(a, ..., np.where(mask, np.reshape(_cycled(values, a.size), a.shape), a).astype(a.dtype))
        return
    places = np.flatnonzero(np.broadcast_to(plain(mask), a.shape))
    if places.size:
        _write_flat(a, places, _cycled(values, a.size)[places])


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    """Assign to elements that an array of indices names along an axis."""
    _target(arr, "put_along_axis")
    indices = _plain_array(indices)
    if axis is None:
        flat = getitem(np.arange(arr.size), indices)
        _write_flat(arr, flat, np.broadcast_to(_value(values), flat.shape))
        return
    axis = normalize_axis_index(axis, arr.ndim)
    if indices.ndim != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    index = tuple(
        indices if k == axis else np.reshape(np.arange(n), [-1 if j == k else 1 for j in range(arr.ndim)])
        for k, n in enumerate(arr.shape)
    )
    setitem(arr, index, values)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Assign to the main diagonal."""
    _target(a, "fill_diagonal")
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim == 2:
        step, end = a.shape[1] + 1, None if wrap else a.shape[1] * a.shape[1]
    else:
        if len(set(a.shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step, end = 1 + int(np.cumprod(a.shape[:-1]).sum()), None
    places = np.arange(a.size)[:end:step]
    _write_flat(a, places, _cycled(val, places.size))


# ---- methods


def _fill(self: Any, value: Any) -> None:
    write(self, ..., value)


def _resize(self: Any, *new_shape: Any, refcheck: bool = True) -> None:
    raise InPlaceError(
        "x.resize(...) would change the array under the tape; np.resize(x, shape) or np.pad makes a new one"
    )


def _setflags(self: Any, write: Any = None, align: Any = None, uic: Any = None) -> None:
    raise InPlaceError(
        "x.setflags(...): the flags of a traced array belong to the tape; x.numpy() gives an array of your own"
    )


def _setfield(self: Any, val: Any, dtype: Any, offset: int = 0) -> None:
    raise InPlaceError("x.setfield(...) writes bytes, which has no derivative; assign to x, x.real or x.imag")


for _name, _method in {
    "fill": _fill, "resize": _resize, "setflags": _setflags, "setfield": _setfield,
}.items():  # fmt: skip
    FUNCTIONS[getattr(np.ndarray, _name)] = _method


class Flat:
    """The elements of a traced array in C order; unlike ``np.ravel`` of a strided array it can be written through."""

    def __init__(self, array: Any) -> None:
        self.base = array

    def __len__(self) -> int:
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        return iter(np.ravel(self.base))

    def __getitem__(self, index: Any) -> Any:
        return np.ravel(self.base)[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        places = np.arange(self.base.size)[plain_index(index)]
        if places.size:
            _write_flat(self.base, np.ravel(places), _cycled(value, places.size))


def _set_flat(self: Any, value: Any) -> None:
    Flat(self)[...] = value


FUNCTIONS[np.ndarray.flat] = Flat
Tracer.flat = Tracer.flat.setter(_set_flat)  # type: ignore[attr-defined, method-assign]

# ---- out=


def _outs(out: Any, name: str) -> tuple[Any, ...]:
    outs = out if isinstance(out, tuple) else (out,)
    for y in outs:
        if y is not None:
            _target(y, name)
    return outs


def _inside(inputs: Any, where: Any) -> Any:
    """Repeat a chosen element where a mask leaves one out, for which the function may be undefined."""
    arrays = [as_array(x) for x in inputs]
    mask = plain(where)
    if isinstance(mask, Traced):
        return inputs
    mask = np.broadcast_to(mask, np.broadcast_shapes(np.shape(mask), *(x.shape for x in arrays)))
    if mask.all() or not mask.any():
        return inputs
    first = np.unravel_index(np.argmax(mask), mask.shape)
    return [
        y if x.ndim == 0 else np.where(mask, x, np.broadcast_to(x, mask.shape)[first])
        for x, y in zip(arrays, inputs, strict=True)
    ]


def _ufunc_out(out: Any, ufunc: Any, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """Evaluate a ufunc, or a method of one, and write its results."""
    outs = _outs(out, ufunc.__name__)
    where = kwargs.pop("where", True) if method == "__call__" else True
    inputs = inputs if where is True else _inside(inputs, where)
    results = getattr(ufunc, method)(*inputs, **kwargs)
    written = []
    for y, new in zip(outs, results if isinstance(results, tuple) else (results,), strict=True):
        if y is not None:
            new = new if where is True else np.where(plain(where), new, y)
            write_result(y, new if hasattr(new, "shape") else np.asarray(new), ufunc.__name__)
        written.append(new if y is None else y)
    return tuple(written) if isinstance(results, tuple) else written[0]


def _function_out(out: Any, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Evaluate a function, and write its result."""
    (y,) = _outs(out, function.__name__)
    write_result(y, function(*args, **kwargs), function.__name__)
    return y


UFUNC_METHODS[None, "out"] = _ufunc_out
FUNCTIONS["out"] = _function_out


# ---- ufunc.at


def _at(ufunc: Any, x: Any, indices: Any, *operands: Any) -> None:
    """Apply a ufunc to elements in place, again for each time that an index is repeated."""
    _target(x, f"{ufunc.__name__}.at")
    selected = getitem(np.arange(x.size).reshape(x.shape), indices)
    values = [np.ravel(np.broadcast_to(v, selected.shape)) for v in map(_value, operands)]
    places = np.ravel(selected)
    if ufunc in (np.add, np.subtract):
        dtype = np.result_type(x.dtype, values[0].dtype)
        summed = sum_into(values[0].astype(dtype), places, axis=0, length=x.size)
        write_result(x, ufunc(x, np.reshape(summed, x.shape)), ufunc.__name__)
        return
    for chosen in _rounds(places):
        where = np.unravel_index(places[chosen], x.shape)
        write(x, where, ufunc(x[where], *(v[chosen] for v in values)))


def _rounds(places: Any) -> list[Any]:
    """Positions of first occurrences, of second ones, and so on: in each round no place stands twice."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    start = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(ordered.size), 0))
    turn = np.arange(ordered.size) - start
    return [np.sort(order[turn == k]) for k in range(int(turn.max(initial=-1)) + 1)]


UFUNC_METHODS[None, "at"] = _at
