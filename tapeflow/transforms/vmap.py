"""Functions of one element made functions of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import optree

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.batch import Batch, Batched, batched, loop
from tapeflow.core.primitive import Traced
from tapeflow.errors import BatchDecisionError, BatchLoopWarning, StructureError

__all__ = ["vmap"]


def vmap(
    fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, *, axis_size: int | None = None
) -> Callable[..., Any]:
    """Make a function that maps `fun` over an axis of its arguments, evaluating it once for all elements.

    Parameters
    ----------
    fun : callable
        Plain NumPy code for one element. It may branch on shapes, not on values of its mapped arguments.
    in_axes : int, None, or tuple of pytree of int or None
        For each positional argument the axis to map over, ``None`` for one that is the same for all elements; one number
        for all. A pytree may be a prefix of its argument. Keyword arguments are mapped over their first axis.
    out_axes : int, None or pytree of int or None
        Where the axis comes to lie in the results; ``None`` for a result that is the same for all elements.
    axis_size : int, optional
        Number of elements; needed if no argument is mapped.

    Returns
    -------
    callable
        With the arguments of `fun`, each mapped leaf with one axis more; its results have one axis more.

    Raises
    ------
    StructureError
        If mapped axes differ in length, a leaf has no such axis, or axes do not fit the arguments.

    Notes
    -----
    A function that decides by values inside (a rank, a permutation with ties, ...) is called element by element, with a
    warning. Composes with itself and with the other transforms in any order, as in ``grad(vmap(grad(f)))``.
    In-place writes work on arrays made from mapped ones.

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

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise StructureError(f"vmap: in_axes has {len(axes)} entries for {len(args)} positional arguments")
        leaves, spec, paths = pytree.flatten_with_paths((args, kwargs), "args")
        leaf_axes = _prefix((axes, dict.fromkeys(kwargs, 0)), (args, kwargs), "in_axes")
        places = [_place(x, a, p) for x, a, p in zip(leaves, leaf_axes, paths, strict=True)]
        batch = Batch(_size(leaves, places, paths, axis_size))
        inside = [_enter(x, k, batch) for x, k in zip(leaves, places, strict=True)]
        try:
            args, kwargs = pytree.unflatten(spec, inside)
            with stack.inside(batch):
                result = fun(*args, **kwargs)
        except BatchDecisionError:
            warnings.warn(f"vmap: {_name(fun)} needs values of each element, so it is called for one after another",
                          BatchLoopWarning, stacklevel=2)  # fmt: skip
            result = _one_by_one(fun, spec, inside, batch)
        outs, out_spec = pytree.flatten(result)
        out_leaf_axes = _prefix(out_axes, pytree.unflatten(out_spec, outs), "out_axes")
        return pytree.unflatten(out_spec, [_leave(y, a, batch) for y, a in zip(outs, out_leaf_axes, strict=True)])

    return mapped


def _name(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", repr(fun))


def _one_by_one(fun: Callable[..., Any], spec: Any, leaves: list[Any], batch: Batch) -> Any:
    """Call a function for each element, and put the results together."""

    @wraps(fun)
    def call(*leaves: Any) -> Any:
        args, kwargs = pytree.unflatten(spec, leaves)
        return fun(*args, **kwargs)

    return loop(batch, call, leaves, {})


def _prefix(axes: Any, tree: Any, name: str) -> list[Any]:
    """An axis for each leaf of a tree, of a prefix of it."""
    pytree.flatten(tree)  # which registers dataclasses
    try:
        return optree.broadcast_prefix(axes, tree, none_is_leaf=True, namespace=pytree.NAMESPACE)
    except ValueError as error:
        raise StructureError(f"vmap: {name}={axes!r} does not fit the structure that it speaks of: {error}") from None


def _place(x: Any, axis: int | None, path: object) -> int | None:
    """The axis to map over, counted from the front."""
    if axis is None:
        return None
    if not isinstance(x, Traced) and backend_for(x) is None:
        raise StructureError(f"vmap: {path} is a {type(x).__name__}, not an array; pass in_axes=None for it")
    ndim = len(x.shape)
    if not -ndim <= axis < ndim:
        raise StructureError(
            f"vmap: {path} of shape {x.shape} has no axis {axis}; pass in_axes=None for what is not mapped"
        )
    return axis % ndim


def _size(leaves: list[Any], places: list[int | None], paths: list[Any], given: int | None) -> int:
    found = {str(p): x.shape[k] for x, k, p in zip(leaves, places, paths, strict=True) if k is not None}
    if given is not None:
        found["axis_size"] = given
    if not found:
        raise StructureError("vmap: no argument is mapped, so axis_size must be given")
    if len(set(found.values())) > 1:
        raise StructureError("vmap: mapped axes differ in length: " + ", ".join(f"{p}: {n}" for p, n in found.items()))
    return int(next(iter(found.values())))


def _enter(x: Any, place: int | None, batch: Batch) -> Any:
    return x if place is None else batched(np.moveaxis(x, place, 0), batch)


def _leave(y: Any, axis: int | None, batch: Batch) -> Any:
    """Give a result the axis of the batch."""
    mine = isinstance(y, Batched) and y._batch is batch
    if axis is None:
        if mine:
            raise StructureError("vmap: out_axes=None for a result that differs from element to element")
        return y
    whole = y._value if mine else np.copy(np.broadcast_to(y, (batch.size, *np.shape(y))))
    return np.moveaxis(whole, 0, axis)
