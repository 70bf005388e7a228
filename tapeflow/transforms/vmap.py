"""Functions of one element made functions of a batch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import optree

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.batch import UNBOUND, Batch, Batched, batched, one_by_one, spread
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import BatchDecisionError, StructureError, name_of, warn_of_loop
from tapeflow.recorders.chunks import positive
from tapeflow.recorders.results import own
from tapeflow.transforms._args import decorator

__all__ = ["vmap"]


@decorator
def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_size: int | None = None,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that maps `fun` over an axis of its arguments, evaluating it once for all elements.

    Parameters
    ----------
    fun : callable, optional
        Plain NumPy code for one element. It may branch on shapes, not on values of its mapped arguments. Without it
        `vmap` returns a decorator, so that ``@vmap`` and ``@vmap(in_axes=...)`` both work.
    in_axes : int, None, or sequence of pytree of int or None
        For each positional argument the axis to map over, ``None`` for one that is the same for all elements; one number
        for all. A pytree may be a prefix of its argument. Keyword arguments are mapped over their first axis.
    out_axes : int, None or pytree of int or None
        Where the axis comes to lie in the results; ``None`` for a result that is the same for all elements.
    axis_size : int, optional
        Number of elements; needed if no argument is mapped.
    chunk_size : int, optional
        Most elements to evaluate at once, to bound memory; the results of the pieces are joined.

    Returns
    -------
    callable
        With the arguments of `fun`, each mapped leaf with one axis more; its results have one axis more. Leaves that
        are ``None`` stay, in arguments and results.

    Raises
    ------
    StructureError
        If mapped axes differ in length, a leaf has no such axis, axes do not fit the arguments or results, or a result
        is no array.
    TracedConversionError
        If `fun` branches on a mapped value, or converts one by ``float(x)``, ``int(x)`` and the like.

    Notes
    -----
    A function that decides by values inside (a rank, a number of zeros, ...) is called element by element, with a
    warning. Composes with itself and with the other transforms in any order, as in ``grad(vmap(grad(f)))``.
    In-place writes work on arrays made inside `fun`. Random numbers drawn inside are drawn once, the same for all
    elements. Over an axis of length 0 the results have one too; where their shape cannot be told otherwise, `fun` is
    called with ones.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import grad, vmap
    >>> vmap(np.dot)(np.ones((3, 2)), np.arange(6.0).reshape(3, 2))
    array([1., 5., 9.])
    >>> vmap(grad(lambda w, x: np.dot(w, x) ** 2), in_axes=(None, 0))(np.ones(2), np.eye(2))
    array([[2., 0.],
           [0., 2.]])
    """
    _check_axes(in_axes, "in_axes")
    _check_axes(out_axes, "out_axes")
    given, most = _length(axis_size), positive(chunk_size, "chunk_size", "vmap")

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, spec, places, size = _arguments(args, kwargs, in_axes, given)
        step = size if most is None else most
        pieces = [
            _evaluate(fun, spec, [_piece(x, k, i, min(i + step, size)) for x, k in zip(leaves, places, strict=True)],
                      places, min(step, size - i), out_axes)
            for i in range(0, max(size, 1), max(step, 1))
        ]  # fmt: skip
        return pieces[0] if len(pieces) == 1 else _joined(pieces, out_axes)

    return mapped


# ---- what is given


def _check_axes(axes: Any, name: str) -> None:
    for axis, path in zip(*pytree.flatten_with_paths(axes, name)[::2], strict=True):
        if axis is not None and (isinstance(axis, bool) or not hasattr(axis, "__index__")):
            raise StructureError(f"vmap: {path} is {axis!r}; an axis is an integer, or None for what is not mapped")


def _length(axis_size: Any) -> int | None:
    if axis_size is None:
        return None
    if isinstance(axis_size, bool) or not hasattr(axis_size, "__index__") or axis_size < 0:
        raise StructureError(f"vmap: axis_size={axis_size!r}: expected an integer of at least 0, or None")
    return operator.index(axis_size)


def _arguments(args: Any, kwargs: Any, in_axes: Any, given: int | None) -> tuple[list[Any], Any, list[Any], int]:
    """Leaves of the arguments, their structure, the axis of each that is mapped, and how long they are."""
    axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    if len(axes) != len(args):
        raise StructureError(f"vmap: in_axes has {len(axes)} entries for {len(args)} positional arguments")
    leaves, spec = pytree.flatten((args, kwargs))
    paths = pytree.flatten_with_paths(args, "args")[2]
    by_position = len(paths)
    paths += pytree.flatten_with_paths(kwargs, "kwargs")[2]
    leaf_axes = _prefix(axes, args, "in_axes") + [0] * (len(paths) - by_position)
    by_name = [k >= by_position for k in range(len(paths))]
    places = list(map(_place, leaves, leaf_axes, paths, by_name))
    return leaves, spec, places, _size(leaves, places, paths, given)


def _prefix(axes: Any, tree: Any, name: str) -> list[Any]:
    """An axis for each leaf of a tree, of a prefix of it."""
    leaves, spec = pytree.flatten(tree)
    try:
        return optree.broadcast_prefix(
            axes, pytree.unflatten(spec, map(_Leaf, leaves)), none_is_leaf=True, namespace=pytree.NAMESPACE
        )
    except ValueError as error:
        what = "; ".join(str(error).split("; ")[:2])  # the rest repeats both structures
        raise StructureError(f"vmap: {name}={axes!r} does not fit the structure that it speaks of: {what}") from None


class _Leaf:
    """Stands for a leaf, whose values have no place in a message."""

    def __init__(self, x: Any) -> None:
        self._type = type(x)

    def __repr__(self) -> str:
        return "an array" if issubclass(self._type, Traced | np.ndarray) else f"a {self._type.__name__}"


def _place(x: Any, axis: int | None, path: object, by_name: bool) -> int | None:
    """The axis to map over, counted from the front."""
    if axis is None or x is None:
        return None
    if not isinstance(x, Traced) and backend_for(x) is None:
        way = (
            "keyword arguments are mapped over their first axis; bind this one with functools.partial, or give it by "
            "position with in_axes=None"
            if by_name
            else "pass in_axes=None for it"
        )
        raise StructureError(f"vmap: {path} is a {type(x).__name__}, not an array; {way}")
    ndim = len(x.shape)
    if not -ndim <= axis < ndim:
        raise StructureError(
            f"vmap: {path} of shape {x.shape} has no axis {axis}; pass in_axes=None for what is not mapped"
        )
    return axis % ndim


def _size(leaves: list[Any], places: list[int | None], paths: list[Any], given: int | None) -> int:
    found = {p: x.shape[k] for x, k, p in zip(leaves, places, paths, strict=True) if k is not None}
    if given is not None:
        found["axis_size"] = given
    if not found:
        raise StructureError("vmap: no argument is mapped, so axis_size must be given")
    if len(set(found.values())) > 1:
        raise StructureError("vmap: mapped axes differ in length: " + ", ".join(f"{p}: {n}" for p, n in found.items()))
    return int(next(iter(found.values())))


def _piece(x: Any, place: int | None, start: int, stop: int) -> Any:
    whole = place is None or (start, stop) == (0, x.shape[place])
    return x if whole else x[(*(slice(None),) * place, slice(start, stop))]  # type: ignore[operator]


# ---- evaluation


def _evaluate(
    fun: Callable[..., Any], spec: Any, leaves: list[Any], places: list[Any], size: int, out_axes: Any
) -> Any:
    """Call a function with values of a batch, and give its results the axis of the batch."""
    batch = Batch(size)
    inside = [x if k is None else batched(_moved(x, k, 0), batch) for x, k in zip(leaves, places, strict=True)]
    try:
        args, kwargs = pytree.unflatten(spec, inside)
        with stack.inside(batch):
            result = fun(*args, **kwargs)
    except BatchDecisionError:
        if not size:
            return _of_nothing(fun, spec, leaves, places, out_axes)
        warn_of_loop(f"vmap: {name_of(fun)} needs values of each element, so it is called for one after another")
        result = _one_by_one(fun, spec, inside, batch)
    outs, out_spec, paths = pytree.flatten_with_paths(result, "result")
    axes = _prefix(out_axes, pytree.unflatten(out_spec, outs), "out_axes")
    left = [_leave(y, a, p, batch) for y, a, p in zip(outs, axes, paths, strict=True)]
    return pytree.unflatten(out_spec, own(left, map(id, leaves)))


def _one_by_one(fun: Callable[..., Any], spec: Any, leaves: list[Any], batch: Batch) -> Any:
    """Call a function for each element, and put the results together."""

    @wraps(fun)
    def call(*leaves: Any) -> Any:
        args, kwargs = pytree.unflatten(spec, leaves)
        return fun(*args, **kwargs)

    return one_by_one(batch, call, leaves, {}, inside=False)


def _of_nothing(fun: Callable[..., Any], spec: Any, leaves: list[Any], places: list[Any], out_axes: Any) -> Any:
    """The results for a batch without elements, from those for one of ones."""
    ones = [
        x if k is None else np.ones((*x.shape[:k], 1, *x.shape[k + 1 :]), x.dtype)
        for x, k in zip(leaves, places, strict=True)
    ]
    try:
        result = _evaluate(fun, spec, ones, places, 1, out_axes)
    except Exception as error:
        error.add_note(
            "vmap: the mapped axis has length 0, so the function was called with ones to learn what it gives"
        )
        raise
    axes = _prefix(out_axes, result, "out_axes")
    outs, spec = pytree.flatten(result)
    return pytree.unflatten(
        spec, [y if _is_whole(y, a) else np.take(y, [], a) for y, a in zip(outs, axes, strict=True)]
    )


# ---- results


def _leave(y: Any, axis: int | None, path: object, batch: Batch) -> Any:
    """Give a result the axis of the batch."""
    y = _outside(y, batch)
    mine = isinstance(y, Batched) and y._batch is batch
    if axis is None:
        if mine:
            raise StructureError(
                f"vmap: out_axes=None for a result that differs from element to element: {path}, of shape {y.shape}"
            )
        return y
    if y is None:
        return None
    if not mine and not isinstance(y, Traced | bool | int | float | complex) and backend_for(y) is None:
        raise StructureError(
            f"vmap: {path} is a {type(y).__name__}, not an array; out_axes=None keeps a result that is the same for all"
        )
    whole = y._value if mine else np.copy(spread(y, batch.size))
    if not -whole.ndim <= axis < whole.ndim:
        raise StructureError(f"vmap: out_axes={axis} for {path}, which has shape {whole.shape} with the mapped axis")
    return _moved(whole, 0, axis)


def _moved(x: Any, axis: int, place: int) -> Any:
    return x if axis == place else np.moveaxis(x, axis, place)


def _outside(y: Any, batch: Batch) -> Any:
    """A result without the levels that began inside the function, which are over."""
    while isinstance(y, Tracer) and batch.level < y._level:
        if y._level >= UNBOUND:
            y = y.read()  # type: ignore[attr-defined]
        elif y._live:
            y._guard("returning a value from a function inside vmap while a tape still records it")
        else:
            y = y._value
    return y


def _is_whole(y: Any, axis: int | None) -> bool:
    """Whether a result has no axis of the batch."""
    return axis is None or y is None


def _joined(pieces: list[Any], out_axes: Any) -> Any:
    """The results of a batch from those of its pieces."""
    axes = iter(_prefix(out_axes, pieces[0], "out_axes"))

    def join(*parts: Any) -> Any:
        axis = next(axes)
        return parts[0] if _is_whole(parts[0], axis) else np.concatenate(parts, axis)

    return pytree.map_leaves(join, *pieces)
