"""Rearranging, joining, splitting and repeating arrays: all linear, each the transpose of another."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import prod as product
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.core.batch import Batched, batched, leading, leading_ones, shifted
from tapeflow.core.primitive import FUNCTIONS, Traced, implements
from tapeflow.core.rules import linear
from tapeflow.core.tracer import Tracer, plain
from tapeflow.ops.arguments import as_array


def _lengths(shape: Any) -> tuple[int, ...]:
    """A shape as NumPy takes it: a number, or any sequence of numbers."""
    return tuple(map(operator.index, shape)) if np.iterable(shape) else (operator.index(shape),)


def _reversed(axes: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1 if k in axes else None) for k in range(max(axes, default=-1) + 1))


# ---- the same elements in another arrangement

_reshape = linear(
    "reshape",
    lambda x, *, shape: np.reshape(x, shape),
    lambda xp, g, shape0, *, shape: xp.reshape(g, shape0),
    view=lambda params: ("reshape", params["shape"]),
    batch=shifted(shape="shape"),
)
_transpose = linear(
    "transpose",
    lambda x, *, axes: np.transpose(x, axes),
    lambda xp, g, *, axes: xp.transpose(g, tuple(np.argsort(axes))),
    view=lambda params: ("transpose", params["axes"]),
    batch=shifted(axes="permutation"),
)
_flip = linear(
    "flip",
    lambda x, *, axes: np.flip(x, axes),
    lambda xp, g, *, axes: xp.flip(g, axes),
    view=lambda params: ("getitem", _reversed(params["axes"])),
    batch=shifted(axes="axes"),
)
_roll = linear(
    "roll",
    lambda x, *, shift, axes: np.roll(x, shift, axes),
    lambda xp, g, *, shift, axes: xp.roll(g, tuple(-s for s in shift), axes),
    batch=shifted(axes="axes"),
)
_copy = linear("copy", lambda x, *, order: np.array(x, order=order), lambda xp, g, *, order: g, batch=leading)
# The engine brings what a rule returns to the operand's shape and dtype, which is all that these two need.


def _broadcast_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    (x,), shape = values, params["shape"]
    return primitive(leading_ones(x, len(shape)), shape=(x.shape[0], *shape))


_broadcast = linear(
    "broadcast_to",
    lambda x, *, shape: np.broadcast_to(x, shape),
    lambda xp, g, *, shape: g,
    view=lambda params: ("broadcast_to", params["shape"]),
    batch=_broadcast_batch,
)
_astype = linear("astype", lambda x, *, dtype: x.astype(dtype), lambda xp, g, *, dtype: g, batch=leading)


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """Give the elements another shape."""
    del copy
    shape = _lengths(newshape if shape is None else shape)
    if order == "F":
        return transpose(reshape(transpose(a), shape[::-1]))
    if order not in ("C", None):
        raise ValueError(f"np.reshape: order={order!r} depends on memory layout; use 'C' or 'F' for traced values")
    known = product(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known and a.size % known == 0:
        shape = tuple(a.size // known if n == -1 else n for n in shape)
    return _reshape(a, shape=shape)


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    """One axis with all elements."""
    if order == "K":  # as they lie in memory
        strides = plain(a).strides
        a, order = transpose(a, sorted(range(a.ndim), key=lambda k: -abs(strides[k]))), "C"
    held = plain(a)
    if isinstance(held, np.ndarray) and not held.flags["F_CONTIGUOUS" if order == "F" else "C_CONTIGUOUS"]:
        a = copy(a)  # unlike reshape, which may be a view of an array with gaps
    return reshape(a, (a.size,), order)


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    """Permute axes."""
    if axes is None:
        return _transpose(a, axes=tuple(range(a.ndim))[::-1])
    axes = _lengths(axes)
    if len(axes) != a.ndim:
        raise ValueError("axes don't match array")
    return _transpose(a, axes=normalize_axis_tuple(axes, a.ndim))


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    axes = list(range(a.ndim))
    i, j = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    axes[i], axes[j] = j, i
    return _transpose(a, axes=tuple(axes))


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other places."""
    src = normalize_axis_tuple(source, a.ndim, "source")
    dst = normalize_axis_tuple(destination, a.ndim, "destination")
    if len(src) != len(dst):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [k for k in range(a.ndim) if k not in src]
    for to, of in sorted(zip(dst, src, strict=True)):
        order.insert(to, of)
    return _transpose(a, axes=tuple(order))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Move an axis to before another."""
    axis = normalize_axis_index(axis, a.ndim)
    if not -a.ndim <= start <= a.ndim:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-a.ndim} <= start < {a.ndim + 1}, but {start} was passed in"
        )
    start += a.ndim if start < 0 else 0
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Reverse the order along axes."""
    return _flip(m, axes=tuple(range(m.ndim)) if axis is None else normalize_axis_tuple(axis, m.ndim))


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """Reverse the first axis."""
    return flip(m, 0)


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """Reverse the second axis."""
    return flip(m, 1)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turn by quarters in the plane of two axes."""
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == m.ndim:
        raise ValueError("Axes must be different.")
    one, two = normalize_axis_tuple(axes, m.ndim)
    half = flip(m, one) if k % 4 in (2, 3) else m
    half = flip(half, two) if k % 4 in (1, 2) else half
    return swapaxes(half, one, two) if k % 2 else half if k % 4 else copy(m)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Shift elements around."""
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), a.shape)
    shifts, axes = np.broadcast_arrays(np.atleast_1d(shift), normalize_axis_tuple(axis, a.ndim, allow_duplicate=True))
    return _roll(a, shift=tuple(int(s) for s in shifts), axes=tuple(int(k) for k in axes))


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Copy, on the tape."""
    del subok
    return _copy(a, order=order)


def astype(
    x: Any, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True, **device: Any
) -> Any:
    """Convert; towards integers or booleans nothing can be differentiated, so the result is a constant."""
    del order, subok, device
    dtype = np.dtype(dtype)
    if not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {dtype!r} according to the rule {casting!r}",
        )
    if dtype == x.dtype and not copy:
        return x
    if dtype.kind not in "fc":
        value = plain(x)
        if isinstance(value, Batched):
            return batched(value._value.astype(dtype), value._batch)
        value = value.astype(dtype)
        return value if hasattr(x, "read") else x._lift(value)
    if x.dtype.kind == "c" and dtype.kind == "f":
        warnings.warn(
            "Casting complex values to real discards the imaginary part", np.exceptions.ComplexWarning, stacklevel=3
        )
        x = np.real(x)
    return _astype(x, dtype=dtype)


FUNCTIONS[np.ndarray.astype] = FUNCTIONS[np.astype] = astype


# ---- axes of length one, broadcasting


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Repeat along axes of length one, without a copy."""
    del subok
    return _broadcast(array, shape=_lengths(shape))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Repeat each along axes of length one to their common shape."""
    del subok
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Insert axes of length one."""
    axis = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = normalize_axis_tuple(axis, a.ndim + len(axis))
    lengths = iter(a.shape)
    return reshape(a, tuple(1 if k in axes else next(lengths) for k in range(a.ndim + len(axes))))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Remove axes of length one."""
    if axis is None:
        return reshape(a, tuple(n for n in a.shape if n != 1))
    axes = normalize_axis_tuple(axis, a.ndim)
    if any(a.shape[k] != 1 for k in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshape(a, tuple(n for k, n in enumerate(a.shape) if k not in axes))


def _at_least(ndim: int, fill: Any) -> Any:
    def atleast(*arys: Any) -> Any:
        out = tuple(x if x.ndim >= ndim else np.reshape(x, fill(x.shape)) for x in map(as_array, arys))
        return out[0] if len(out) == 1 else out

    return atleast


implements(np.atleast_1d)(_at_least(1, lambda s: (1,)))
implements(np.atleast_2d)(_at_least(2, lambda s: (1, *(s or (1,)))))
implements(np.atleast_3d)(_at_least(3, lambda s: (1, *s, 1) if len(s) == 1 else (*(s or (1, 1)), 1)))

# ---- joining and splitting


def _part(g: Any, i: int, axis: int, stops: tuple[int, ...]) -> Any:
    return g[(*(slice(None),) * axis, slice(stops[i - 1] if i else 0, stops[i]))]


# Where the operands end is a parameter, because to add lengths up for each of n operands would take n**2.
_concatenate = linear(
    "concatenate",
    lambda *xs, axis, stops: np.concatenate(xs, axis=axis),
    lambda xp, g, i, *, axis, stops: _part(g, i, axis, stops),
    variadic=True,
    batch=shifted(axis="axis"),
)


@implements(np.concatenate, np.concat)
def concatenate(
    arrays: Sequence[Any], /, axis: int | None = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join along an existing axis."""
    del out
    arrays = [as_array(a) for a in arrays]
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    if dtype is not None:
        arrays = [a.astype(dtype, casting=casting) for a in arrays]
    axis = normalize_axis_index(axis, arrays[0].ndim)
    lengths = (
        sum(a.shape[axis : axis + 1]) for a in arrays
    )  # none of an array that has no such axis, and does not fit
    return _concatenate(*arrays, axis=axis, stops=tuple(accumulate(lengths)))


@implements(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0, out: None = None, **options: Any) -> Any:
    """Join along a new axis."""
    arrays = [as_array(a) for a in arrays]
    if len({a.shape for a in arrays}) > 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis_index(axis, arrays[0].ndim + 1)
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis, **options)


@implements(np.vstack)
def vstack(tup: Sequence[Any], **options: Any) -> Any:
    """Join along the first axis, rows for vectors."""
    return concatenate([np.atleast_2d(as_array(a)) for a in tup], 0, **options)


@implements(np.hstack)
def hstack(tup: Sequence[Any], **options: Any) -> Any:
    """Join along the second axis, the first for vectors."""
    arrays = [np.atleast_1d(as_array(a)) for a in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, **options)


@implements(np.dstack)
def dstack(tup: Sequence[Any]) -> Any:
    """Join along the third axis."""
    return concatenate([np.atleast_3d(as_array(a)) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Any:
    """Join vectors as columns."""
    arrays = [as_array(a) for a in tup]
    return concatenate([a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in arrays], 1)


def _ends(length: int, indices_or_sections: Any) -> list[int]:
    """Where parts begin and end."""
    if np.iterable(indices_or_sections):
        return [0, *map(operator.index, indices_or_sections), length]
    sections = int(indices_or_sections)
    if sections <= 0:
        raise ValueError("number sections must be larger than 0.")
    each, longer = divmod(length, sections)
    return [0, *accumulate(each + (k < longer) for k in range(sections))]


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split into parts, nearly equal or at given places."""
    head = (slice(None),) * normalize_axis_index(axis, ary.ndim)
    return [ary[(*head, slice(i, j))] for i, j in pairwise(_ends(ary.shape[axis], indices_or_sections))]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split into equal parts, or at given places."""
    axis = normalize_axis_index(axis, ary.ndim)
    if not np.iterable(indices_or_sections) and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


def _split_along(name: str, axis: int, ndim: int) -> Callable[..., list[Any]]:
    def along(ary: Any, indices_or_sections: Any) -> list[Any]:
        if ary.ndim < ndim:
            raise ValueError(f"{name} only works on arrays of {ndim} or more dimensions")
        return split(ary, indices_or_sections, min(axis, ary.ndim - 1))

    return along


implements(np.hsplit)(_split_along("hsplit", 1, 1))  # vectors along their only axis
implements(np.vsplit)(_split_along("vsplit", 0, 2))
implements(np.dsplit)(_split_along("dsplit", 2, 3))


if hasattr(np, "unstack"):  # since NumPy 2.1

    @implements(np.unstack)
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """Take apart along an axis."""
        if x.ndim == 0:
            raise ValueError("Input array must be at least 1-d.")
        head = (slice(None),) * normalize_axis_index(axis, x.ndim)
        return tuple(x[(*head, k)] for k in range(x.shape[axis]))


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join values to the end."""
    arr, values = as_array(arr), as_array(values)
    return np.concatenate((np.ravel(arr), np.ravel(values)), 0) if axis is None else np.concatenate((arr, values), axis)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Leave out entries along an axis."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


# ---- repeating and padding

_repeat = linear(
    "repeat",
    lambda x, *, repeats, axis: np.repeat(x, repeats, axis),
    lambda xp, g, shape, *, repeats, axis: xp.sum(
        xp.reshape(g, (*shape[: axis + 1], repeats, *shape[axis + 1 :])), axis=axis + 1
    ),
    batch=shifted(axis="axis"),
)
_pad = linear(
    "pad",
    lambda x, *, widths: np.pad(x, widths),
    lambda xp, g, shape, *, widths: g[tuple(slice(w, w + n) for (w, _), n in zip(widths, shape, strict=True))],
    batch=shifted(widths="widths"),
)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat elements."""
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis_index(axis, a.ndim)
    if np.ndim(repeats) == 0:
        return _repeat(a, repeats=int(repeats), axis=axis)
    return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Repeat the whole array."""
    reps = _lengths(reps)
    ndim = max(len(reps), A.ndim)
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - A.ndim) + A.shape
    spread = tuple(n for pair in zip(reps, shape, strict=True) for n in pair)
    thin = tuple(n for length in shape for n in (1, length))
    whole = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return reshape(_broadcast(reshape(A, thin), shape=spread), whole)


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """Add margins: of constants, or of elements that the mode names."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, (0, 0))) for k in range(array.ndim)]
        pad_width = [(w, w) if np.ndim(w) == 0 else w for w in pad_width]
    if np.asarray(pad_width).dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    widths = tuple((int(a), int(b)) for a, b in np.broadcast_to(pad_width, (array.ndim, 2)))
    if not widths:
        return copy(array)
    if mode == "constant":
        return _framed(array, widths, options.pop("constant_values", 0), options)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or options.get("reflect_type", "even") != "even":
        raise ValueError(
            f"np.pad: mode={mode!r} with {options} is not supported for traced values; use constant, edge, wrap, "
            "or reflect or symmetric of the even type"
        )
    for axis, (n, width) in enumerate(zip(array.shape, widths, strict=True)):
        if width != (0, 0):
            array = np.take(array, np.pad(np.arange(n), width, mode, **options), axis)
    return array


def _framed(array: Any, widths: Any, constant_values: Any, unknown: dict[str, Any]) -> Any:
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode 'constant': {set(unknown)}")
    inside = _pad(array, widths=widths)
    if isinstance(constant_values, Traced):
        if constant_values.ndim:  # type: ignore[attr-defined]
            raise ValueError("np.pad: traced constant_values must be a single number")
        border = np.pad(np.zeros(array.shape, array.dtype), widths, constant_values=1) * constant_values
        return inside + border.astype(array.dtype)
    if not np.iterable(constant_values) and constant_values == 0:
        return inside
    return inside + np.pad(np.zeros(array.shape, array.dtype), widths, constant_values=constant_values)


# ---- arrays of the same shape


def constant_like(a: Any, value: Any) -> Any:
    """Make an array a constant of the level of a traced one, into which traced values can be written."""
    a = a.read() if hasattr(a, "read") else a
    while isinstance(a, Tracer) and not a._open:
        a = a._value  # of a level that is over
    return a._lift(value) if isinstance(a, Tracer) and value.dtype.kind in "fc" else value


def _template(a: Any) -> Any:
    """A plain array of the shape, dtype and layout of a traced one."""
    held = plain(a)
    return np.broadcast_to(np.zeros((), a.dtype), a.shape) if isinstance(held, Tracer) else held


def _new_like(name: str) -> Any:
    make = getattr(np, name)

    def like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **options: Any) -> Any:
        return constant_like(a, make(_template(a), dtype, order, subok, shape, **options))

    return like


for _name in ("zeros_like", "ones_like", "empty_like"):
    FUNCTIONS[getattr(np, _name)] = _new_like(_name)


@implements(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **options: Any
) -> Any:
    """Fill an array; the derivative flows from the fill value."""
    if not isinstance(fill_value, Traced):
        return constant_like(a, np.full_like(_template(a), fill_value, dtype, order, subok, shape, **options))
    fill_value = fill_value.astype(a.dtype if dtype is None else dtype)  # type: ignore[attr-defined]
    return np.copy(np.broadcast_to(fill_value, a.shape if shape is None else shape))
