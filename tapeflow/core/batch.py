"""Batches: values that stand for many, one for each element of a leading axis that nobody sees.

A `Batched` handle has the shape of one element. What it holds has one axis more, the first. A primitive evaluates on the
whole batch at once by its *batch rule*::

    batch(primitive, values, batched, params)

``values`` are what the operands hold, ``batched`` says which of them have the leading axis, ``params`` are for one
element. The rule returns the result with the leading axis. Elementwise primitives need none: their operands are only
aligned. The factories below make most of the others. A primitive without a rule is evaluated element by element, which
always works and is slow, so it warns once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tapeflow import errors, pytree
from tapeflow.core.primitive import Primitive, next_level
from tapeflow.core.tracer import Tracer, call_unwrapped
from tapeflow.core.writes import Step, assigned, derived, refreshes, relate, take, viewed

__all__ = [
    "Batch",
    "Batched",
    "aligned",
    "axes_in_front",
    "batched",
    "each",
    "leading",
    "leading_ones",
    "loop",
    "one_by_one",
    "refuse_element",
    "shifted",
    "spread",
    "stacked",
]


UNBOUND = 1 << 60  # levels above are no levels: a variable is read anew in each expression


class Batch:
    """A level: its number, and how many elements its batch has.

    Arrays may be limited in their size in bytes; a quiet batch does not warn of loops.
    """

    __slots__ = ("level", "limit", "quiet", "size")

    def __init__(self, size: int, limit: int | None = None, quiet: bool = False) -> None:
        self.level = next_level()
        self.size = size
        self.limit = limit
        self.quiet = quiet


class Batched(Tracer):
    """A value of a batch, in the shape of one element."""

    __slots__ = ("__weakref__", "_batch", "_family", "_value")

    _batch: Batch

    @property
    def _level(self) -> int:
        return self._batch.level

    @property
    def _live(self) -> bool:
        return True

    @property
    def _open(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of one element."""
        return self._value.shape[1:]

    @property
    def ndim(self) -> int:
        """Number of axes of one element."""
        return len(self._value.shape) - 1

    @property
    def size(self) -> int:
        """Number of elements of one."""
        return int(np.prod(self.shape))

    def _lift(self, value: Any) -> Batched:
        return batched(spread(value, self._batch.size), self._batch)

    def _untracked(self) -> Batched:
        value = self._value
        return batched(value._untracked() if isinstance(value, Tracer) else value, self._batch)

    def _guard(self, what: str) -> NoReturn:
        raise errors.batched_value(what, self.shape, _is_inside())

    def numpy(self) -> NoReturn:
        """Refuse: a value of a batch has no plain values of its own."""
        raise errors.batched_value("x.numpy()", self.shape, _is_inside())

    def __bool__(self) -> bool:
        raise errors.batched_truth(self.shape, _is_inside())

    def __len__(self) -> int:
        return int(self.shape[0])

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Batched(shape={self.shape}, dtype={self.dtype}, level={self._level}, holding {self._value!r})"

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        batch = self._batch
        mine = [isinstance(a, Batched) and a._batch is batch for a in args]
        values = [a._value if m else np.asarray(a) if type(a) is list else a for a, m in zip(args, mine, strict=True)]
        rule = primitive.batch or (aligned if primitive.elementwise else None)
        if rule is None:
            return loop(batch, primitive, args, params)
        out = rule(primitive, values, mine, params)
        if batch.limit is not None:
            _check_memory(out, batch.limit)
        if primitive.view is not None:
            out, shared = viewed(self, self._value, out)
            if shared:
                new = batched(out, batch)
                relate(self, new, primitive.view(params))
                return new
        return _wrap(out, batch)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        return loop(self._batch, function, args, kwargs)

    # ---- what writes ask for (see core/writes.py)

    def _twin(self) -> Batched:
        return batched(self._value, self._batch)

    def _drop(self) -> None:
        self._value = None

    def _become(self, new: Batched) -> None:
        self._value = new._value

    def _watched(self) -> None:
        return None

    def _derive(self, parent: Batched, step: Step) -> None:
        self._batch = parent._batch
        self._value = derived(parent._value, _shifted_step(step, parent._batch.size))

    def _write(self, steps: tuple[Step, ...], index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if isinstance(value, Batched) and value._batch is self._batch:
            ndim = take(np.broadcast_to(np.empty(()), self.shape), steps, index).ndim
            value = leading_ones(value._value, ndim)
            value = np.reshape(value, (value.shape[0], *value.shape[value.ndim - ndim :]))  # it may have more axes
            value = np.moveaxis(value, 0, axes_in_front(parts))
        steps = tuple(_shifted_step(step, self._batch.size) for step in steps)
        self._value = assigned(self, "_value", steps, (slice(None), *parts), value)


refreshes(Batched, "_value")
_new = object.__new__


def batched(value: Any, batch: Batch) -> Batched:
    """Make a handle of a value with the axis of the batch in front."""
    new: Batched = _new(Batched)
    new._value = value
    new._batch = batch
    return new


def axes_in_front(parts: tuple[Any, ...]) -> int:
    """How many axes NumPy puts in front of all others, because the index arrays of which they come stand apart."""
    picks = [k for k, p in enumerate(parts) if isinstance(p, np.ndarray | int | np.integer)]
    if not picks or picks[-1] - picks[0] < len(picks) or not any(isinstance(p, np.ndarray) for p in parts):
        return 0
    arrays = (np.atleast_1d(parts[k]).nonzero()[0] if np.asarray(parts[k]).dtype == bool else parts[k] for k in picks)
    return len(np.broadcast_shapes(*map(np.shape, arrays)))


def _is_inside() -> bool:
    """Whether the first caller outside of the core is tapeflow's or NumPy's, and not the user's."""
    frame = sys._getframe(2)
    while (module := frame.f_globals.get("__name__", "")).startswith("tapeflow.core") and frame.f_back is not None:
        frame = frame.f_back
    return module.startswith(("tapeflow.", "numpy.", "scipy."))


def _wrap(out: Any, batch: Batch) -> Any:
    return tuple(_wrap(part, batch) for part in out) if isinstance(out, tuple) else batched(out, batch)


def _check_memory(out: Any, limit: int) -> None:
    for part in out if isinstance(out, tuple) else (out,):
        needed = part.size * part.dtype.itemsize
        if needed > limit:
            raise errors.BatchMemoryError(limit / needed)


def _shifted_step(step: Step, size: int) -> Step:
    """A step of one element as a step of the batch."""
    name, parameter = step
    if name == "einsum":  # of all axes but the last
        return name, ((f"...{parameter[0][0].lstrip('.')}",), f"...{parameter[1].lstrip('.')}")
    if name == "getitem":
        return name, (slice(None), *(parameter if isinstance(parameter, tuple) else (parameter,)))
    if name == "transpose":
        return name, (0, *(a + 1 for a in parameter))
    return (name, (size, *parameter)) if name in ("reshape", "broadcast_to") else step


# ---- rules


def spread(value: Any, size: int) -> Any:
    """Repeat a value along the axis of a batch."""
    return np.broadcast_to(value, (size, *np.shape(value)))


def leading_ones(value: Any, ndim: int) -> Any:
    """Give each element of a batch `ndim` axes."""
    missing = ndim - (len(value.shape) - 1)
    return np.reshape(value, (value.shape[0], *(1,) * missing, *value.shape[1:])) if missing > 0 else value


def aligned(primitive: Primitive, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """The rule of elementwise primitives: operands of fewer axes are stretched behind the axis of the batch."""
    return _stacked(primitive, values, batched, params, (0,) * len(values))


def stacked(*core: int) -> Callable[..., Any]:
    """The rule of primitives of stacks; `core` says how many axes of each operand, at the end, are not the stack's."""

    def rule(primitive: Primitive, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        return _stacked(primitive, values, batched, params, core)

    return rule


def _stacked(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any], core: Sequence[int]) -> Any:
    loops = [np.ndim(v) - b - c for v, b, c in zip(values, batched, core, strict=True)]
    if min(loops) < 0:  # or the axis of the batch would pass for one of the element's
        primitive.evaluate(
            *(np.ones(np.shape(v)[b:]) for v, b in zip(values, batched, strict=True)), **params
        )  # raises
        raise ValueError(f"vmap: an operand of {primitive.name} has too few axes")
    most = max(loops)
    operands = (leading_ones(v, most + c) if b else v for v, b, c in zip(values, batched, core, strict=True))
    return primitive(*operands, **params)


def refuse_element(primitive: Primitive, shapes: Sequence[Any], params: dict[str, Any]) -> NoReturn:
    """Raise what the primitive raises for one element of shapes that do not fit, which the batch would hide."""
    primitive.evaluate(*map(np.ones, shapes), **params)
    raise ValueError(f"vmap: shapes of one element that {primitive.name} does not take: {', '.join(map(str, shapes))}")


def leading(primitive: Primitive, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """The rule of primitives of one operand that do not touch, or name, any axis in front."""
    return primitive(*values, **params)


SHIFTS: dict[str, Callable[[Any, int], Any]] = {
    "axis": lambda axis, size: axis + 1,
    "axes": lambda axes, size: tuple(a + 1 for a in axes),
    "permutation": lambda axes, size: (0, *(a + 1 for a in axes)),
    "shape": lambda shape, size: (size, *shape),
    "widths": lambda widths, size: ((0, 0), *widths),
}


def shifted(**names: str) -> Callable[..., Any]:
    """The rule of primitives whose parameters name axes: how each is changed, by a name in `SHIFTS`.

    Operands that are not batched are repeated.
    """

    def rule(primitive: Primitive, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
        whole = (v if b else spread(v, size) for v, b in zip(values, batched, strict=True))
        changed = {k: SHIFTS[how](params[k], size) for k, how in names.items() if k in params}
        return primitive(*whole, **{**params, **changed})

    return rule


def each(primitive: Primitive, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """The rule of primitives for which there is nothing better than to go through the batch."""
    size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
    if not size:
        raise errors.batched_empty(primitive.name)
    outs = [primitive(*(v[k] if b else v for v, b in zip(values, batched, strict=True)), **params) for k in range(size)]
    if isinstance(outs[0], tuple):
        return tuple(_stack(parts, primitive.name) for parts in zip(*outs, strict=True))
    return _stack(outs, primitive.name)


def _stack(parts: Sequence[Any], name: str, inside: bool = True) -> Any:
    shapes = list(dict.fromkeys(map(np.shape, parts)))
    if len(shapes) > 1:
        raise errors.batched_shapes(name, shapes, inside)
    return np.stack(parts)


def loop(batch: Batch, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function without a batch rule element by element, with a warning."""
    if not batch.quiet:
        _warn(errors.name_of(function))
    return one_by_one(batch, function, args, kwargs)


def one_by_one(batch: Batch, function: Callable[..., Any], args: Any, kwargs: Any, inside: bool = True) -> Any:
    """Call any function element by element; `inside` another one that can be called so instead."""

    def element(k: int) -> Callable[[Any], Any]:
        def choose(x: Any) -> Any:
            if isinstance(x, Batched) and x._batch is batch:
                return x._value[k]
            if isinstance(x, Tracer) and batch.level < x._level < UNBOUND:
                raise errors.batched_value(name, x.shape, inside=True)  # batches inside it
            return x

        return choose

    def together(*parts: Any) -> Batched:
        for part in parts:
            if isinstance(part, Batched) and part._batch is batch:  # a function that is an argument brought it in
                raise errors.batched_value(name, part.shape, inside=True)
        return batched(_stack(parts, name, inside), batch)

    name = errors.name_of(function)
    if not batch.size:
        raise errors.batched_empty(name)
    outs = [call_unwrapped(function, args, kwargs, element(k)) for k in range(batch.size)]
    return pytree.map_leaves(together, *outs)


_warned: set[str] = set()


def _warn(name: str) -> None:
    if name not in _warned:
        _warned.add(name)
        errors.warn_of_loop(f"vmap: {name} has no batching rule, so it is evaluated once for each element of the batch")
