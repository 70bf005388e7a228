"""Arrays made from numbers: grids, joined blocks, and what ``like=`` makes.

``np.zeros(3, like=x)`` gives a constant of the level of `x`, into which traced values can be written.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.core.batch import aligned
from tapeflow.core.primitive import CREATORS, Traced, implements
from tapeflow.core.rules import general, linear
from tapeflow.ops.arguments import agreed, as_array
from tapeflow.ops.assembly import assemble, holds_traced
from tapeflow.ops.shapes import constant_like

__all__ = ["array", "block", "geomspace", "linspace", "logspace", "meshgrid"]

# ---- arrays of traced numbers


def _lifted(x: Any, like: Any) -> Any:
    """The array as a constant of the level of `like`; integers stay plain, and so does what is like a variable."""
    return x if isinstance(x, Traced) else constant_like(like, x)


def _converted(x: Any, dtype: Any, copy: bool | None) -> Any:
    x = assemble(x) if holds_traced(x) else as_array(x)
    if dtype is None or x.dtype == np.dtype(dtype):
        return np.copy(x) if copy and isinstance(x, Traced) else x.copy() if copy else x
    if isinstance(x, Traced) and np.dtype(dtype) == object:
        raise TypeError("array: dtype=object would take traced values off the tape; leave it out")
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return x.astype(dtype)


def _creator(*functions: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    CREATORS.update(functions)
    return implements(*functions)


@_creator(np.array)
def array(object: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, like: Any = None, **layout: Any) -> Any:
    """An array of numbers, traced ones among them; nested lists are joined."""
    del layout
    x = _converted(object, dtype, copy)
    if x.ndim < ndmin:
        x = np.reshape(x, (1,) * (ndmin - x.ndim) + x.shape)
    return _lifted(x, like)


@_creator(np.asarray, np.asanyarray)
def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, like: Any = None, **device: Any) -> Any:
    """An array of what is given; a traced one stays as it is."""
    del order, device
    return _lifted(_converted(a, dtype, copy), like)


@_creator(np.ascontiguousarray, np.asfortranarray)
def ascontiguousarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """As `asarray`, with at least one axis; layout in memory is no matter of traced values."""
    return array(a, dtype, copy=None, ndmin=1, like=like)


@_creator(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """As `asarray`; requirements are about memory, of which a traced value shows nothing."""
    del requirements
    return asarray(a, dtype, like=like)


@_creator(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, like: Any = None, **device: Any) -> Any:
    """An array of one value, through which the derivative flows."""
    fill_value = _converted(fill_value, dtype, None)
    return _lifted(np.copy(np.broadcast_to(fill_value, shape)), like)


def _plain_creator(make: Callable[..., Any]) -> Callable[..., Any]:
    def create(*args: Any, like: Any = None, **options: Any) -> Any:
        return _lifted(make(*args, **options), like)

    create.__name__ = make.__name__
    create.__doc__ = f"Call ``np.{make.__name__}``, which takes no traced arguments."
    return create


for _function in (
    np.zeros, np.ones, np.empty, np.arange, np.eye, np.identity, np.tri, np.fromfunction, np.frombuffer, np.fromiter,
    np.fromfile, np.fromstring, np.loadtxt, np.genfromtxt,
):  # fmt: skip
    _creator(_function)(_plain_creator(_function))

# ---- sequences between two ends


def _share(xp: Any, i: int, num: int, endpoint: bool, like: Any) -> Any:
    """How much of an end each member has: the start has it for i = 0, the stop for i = 1."""
    del xp
    stop = np.arange(num) / max(num - 1 if endpoint else num, 1)
    share = stop if i else 1 - stop
    return share.astype(like.dtype.type(0).real.dtype)


def _ends_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    return np.moveaxis(aligned(primitive, values, batched, params), 1, 0)


_linspace = linear(
    "linspace",
    lambda *ends, num, endpoint: np.linspace(*ends, num, endpoint),
    lambda xp, g, i, *, num, endpoint: xp.tensordot(_share(xp, i, num, endpoint, g), g, 1),
    variadic=True,
    batch=_ends_batch,
)


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    **device: Any,
) -> Any:
    """Evenly spaced numbers between two ends."""
    del device
    num, endpoint = operator.index(num), bool(endpoint)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = _ends(start, stop)
    y = _moved(_linspace(start, stop, num=num, endpoint=endpoint), axis)
    if dtype is not None:
        y = (np.floor(y) if np.issubdtype(dtype, np.integer) else y).astype(dtype)
    if not retstep:
        return y
    steps = num - 1 if endpoint else num
    return y, (stop - start) / steps if steps > 0 else np.asarray(np.nan)[()]


def _ends(*ends: Any) -> tuple[Any, ...]:
    """Arrays, but numbers as they are: they adapt to the dtype of the other."""
    return tuple(x if isinstance(x, (int, float, complex)) else as_array(x) for x in ends)


def _moved(y: Any, axis: int) -> Any:
    return np.moveaxis(y, 0, axis) if axis else y


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """Powers of a base with evenly spaced exponents."""
    start, stop, base = _ends(start, stop, base)
    if np.ndim(base):
        ndim = max(np.ndim(start), np.ndim(stop), np.ndim(base))
        start, stop, base = (_at_least(ndim, as_array(x)) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    y = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


def _at_least(ndim: int, x: Any) -> Any:
    return np.reshape(x, (1,) * (ndim - x.ndim) + x.shape)


# Members are start**(1 - share) * stop**share on a branch that the ends choose, so their logarithms are linear.
_geomspace = general(
    "geomspace",
    lambda x0, x1, *, num, endpoint: np.geomspace(x0, x1, num, endpoint),
    (
        lambda xp, t, x0, y, *, num, endpoint: _grown(xp, 0, num, endpoint, y, t / x0),
        lambda xp, t, x1, y, *, num, endpoint: _grown(xp, 1, num, endpoint, y, t / x1),
    ),
    (
        lambda xp, g, x0, y, *, num, endpoint: xp.tensordot(_share(xp, 0, num, endpoint, g), g * y, 1) / x0,
        lambda xp, g, x1, y, *, num, endpoint: xp.tensordot(_share(xp, 1, num, endpoint, g), g * y, 1) / x1,
    ),
    batch=_ends_batch,
)


def _grown(xp: Any, i: int, num: int, endpoint: bool, y: Any, rate: Any) -> Any:
    share = _share(xp, i, num, endpoint, y)
    return xp.reshape(share, (num, *(1,) * (y.ndim - 1))) * rate * y


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Numbers between two ends of which each is the same multiple of the one before it."""
    start, stop = map(as_array, (start, stop))
    y = _moved(_geomspace(start, stop, num=operator.index(num), endpoint=bool(endpoint)), axis)
    return y if dtype is None else y.astype(dtype)


# ---- grids


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Sequence[Any]:
    """Coordinates of the points of a grid."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    arrays = [np.ravel(as_array(x)) for x in xi]
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        axes[:2] = 1, 0
    mesh = [
        np.reshape(x, tuple(-1 if k == a else 1 for k in range(len(axes)))) for x, a in zip(arrays, axes, strict=True)
    ]
    whole = mesh if sparse else np.broadcast_arrays(*mesh)
    return tuple(map(np.copy, whole)) if copy else whole


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """An open mesh; traced values are no indices, but keep their derivative."""
    mesh = []
    for k, x in enumerate(map(as_array, args)):
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        x = np.nonzero(agreed(x))[0] if x.dtype == bool else x.astype(np.intp) if x.size == 0 else x
        mesh.append(np.reshape(x, tuple(-1 if k == j else 1 for j in range(len(args)))))
    return tuple(mesh)


# ---- blocks


@implements(np.block)
def block(arrays: Any) -> Any:
    """Join nested lists of blocks: the innermost along the last axis, the next along the one before, and so on."""
    depth = _depth(arrays, "arrays")
    ndim = max(depth, _largest_ndim(arrays))
    y = _joined(arrays, depth, ndim)
    return y if isinstance(arrays, list) else np.copy(y)


def _depth(arrays: Any, place: str) -> int:
    if isinstance(arrays, tuple):
        raise TypeError(f"{place} is a tuple. Only lists can be used to arrange blocks")
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError(f"List at {place} cannot be empty")
    depths = [_depth(x, f"{place}[{k}]") for k, x in enumerate(arrays)]
    if len(set(depths)) > 1:
        raise ValueError(f"List depths are mismatched: those of the members of {place} are {depths}")
    return 1 + depths[0]


def _largest_ndim(arrays: Any) -> int:
    return max(map(_largest_ndim, arrays)) if isinstance(arrays, list) else np.ndim(arrays)


def _joined(arrays: Any, depth: int, ndim: int) -> Any:
    if not isinstance(arrays, list):
        return _at_least(ndim, as_array(arrays))
    return np.concatenate([_joined(x, depth - 1, ndim) for x in arrays], axis=-depth)
