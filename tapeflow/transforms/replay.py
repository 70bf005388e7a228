"""The arithmetic of tangents as a flat list of instructions, to be run again on other tangents.

A `Program` is a level. Its handles, `Direction`, stand for tangents that are not known yet: every operation on them is
appended to a list, as in a batch, and nothing can be decided by their values. A forward accumulator inside of that level,
with handles for tangents, computes primals plainly and leaves in the list what it did with the tangents alone. What
forward rules decide by tangents, such as the mask ``t == 0`` at a pole, is an instruction too, and so is decided anew for
each tangent: to replay is to do again, step by step, what the accumulator would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.primitive import Primitive, Traced, implementation, next_level
from tapeflow.core.rules import call_plainly
from tapeflow.core.tracer import Tracer, plain
from tapeflow.core.writes import Step, assigned, refreshes, relate, take, viewed
from tapeflow.errors import TapeStateError, TracedConversionError, missing_rule

__all__ = ["Direction", "Program", "Replay", "surely"]


class Instruction(NamedTuple):
    """One operation: `reads` says which operands are taken from which slots; the others stand in `operands`."""

    function: Callable[..., Any]
    operands: list[Any]
    reads: list[tuple[int, int]]
    params: dict[str, Any]
    writes: Any  # a slot, or a tuple of slots, or None for a result that nobody reads
    last: tuple[int, ...] = ()  # slots that nobody reads afterwards


class Program:
    """A level that records, and what it has recorded."""

    __slots__ = ("instructions", "level", "recording", "slots")

    def __init__(self) -> None:
        self.level = next_level()
        self.instructions: list[Instruction] = []
        self.slots = 0
        self.recording = True

    def new_slot(self) -> int:
        """Number a value."""
        self.slots += 1
        return self.slots - 1

    def input(self, shape: tuple[int, ...], dtype: Any) -> Direction:
        """Make the handle of an argument; all of them before anything is recorded."""
        return direction(np.ones(shape, dtype), self, self.new_slot())

    def operands(self, args: Iterable[Any]) -> tuple[list[Any], list[tuple[int, int]], list[Any]]:
        """Constants by position, positions and slots of the others, and for all what they look like."""
        if not self.recording:
            raise TapeStateError(
                "a tangent of a call of linearize that is over was used; it must not leave the function that is linearized"
            )
        constants: list[Any] = []
        reads: list[tuple[int, int]] = []
        shown: list[Any] = []
        for k, a in enumerate(args):
            mine = isinstance(a, Direction) and a._program is self
            shown.append(a._value if mine else plain(a))
            if mine and a._slot is not None:
                constants.append(None)
                reads.append((k, a._slot))
            else:
                constants.append(_kept(a._value if mine else a))
        return constants, reads, shown

    def record(self, function: Any, args: Sequence[Any], params: dict[str, Any], view: Any = None) -> Any:
        """Append an operation, and make the handles of its results."""
        constants, reads, shown = self.operands(args)
        with np.errstate(all="ignore"):
            out = function(*shown, **params)
        shared = False
        if view is not None:
            out, shared = viewed(args[0], shown[0], out)
        new = self._results(out)
        slots = tuple(x._slot for x in new) if isinstance(new, tuple) else new._slot
        self.instructions.append(Instruction(function, constants, reads, params, slots))
        if shared:
            relate(args[0], new, view(params))
        return new

    def _results(self, out: Any) -> Any:
        if isinstance(out, tuple):
            return tuple(self._results(part) for part in out)
        # Masks count as true: what looks at them to choose the way that is safe (`anywhere`) must find that one.
        return direction(np.ones_like(out) if out.dtype == bool else out, self, self.new_slot())

    def finish(self, results: Iterable[Any]) -> Replay:
        """End the recording; each result is a handle, or what does not depend on the tangents."""
        self.recording = False
        outputs = [_result(x) for x in results]
        needed = {slot for slot, _ in outputs}
        kept: list[Instruction] = []
        for step in reversed(self.instructions):
            alive = _alive(step.writes, needed)
            if alive is not None:
                last = tuple({slot for _, slot in step.reads} - needed)
                needed.update(last)
                kept.append(step._replace(writes=alive, last=last))
        kept.reverse()
        self.instructions = []  # handles that live on must not keep it
        return Replay(kept, self.slots, outputs)


def _kept(value: Any) -> Any:
    """A constant that later writes cannot change."""
    if isinstance(value, list):
        return np.asarray(value)
    if isinstance(value, Tracer):
        return value._twin()
    backend = backend_for(value)
    return value if backend is None else backend.guard(value)


def _result(x: Any) -> tuple[int, Any]:
    if isinstance(x, Direction) and x._slot is not None:
        return x._slot, None
    return -1, _kept(x._value if isinstance(x, Direction) else x)


def _alive(writes: Any, needed: set[int]) -> Any:
    """The slots that are written and read; ``None`` if there are none."""
    if not isinstance(writes, tuple):
        return writes if writes in needed else None
    slots = tuple(s if s in needed else None for s in writes)
    return slots if any(s is not None for s in slots) else None


class Replay:
    """A program that can be run."""

    __slots__ = ("instructions", "outputs", "slots")

    def __init__(self, instructions: list[Instruction], slots: int, outputs: list[tuple[int, Any]]) -> None:
        self.instructions = instructions
        self.slots = slots
        self.outputs = outputs

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on tangents, one for each input, which must belong to us alone."""
        held: list[Any] = [*inputs, *[None] * (self.slots - len(inputs))]
        del inputs
        for step in self.instructions:
            _execute(step, held)
        return [_kept(constant) if slot < 0 else held[slot] for slot, constant in self.outputs]


def _execute(step: Instruction, held: list[Any]) -> None:
    # A function of its own, so that no name of it keeps an array from being written in place by the next instruction.
    args = list(step.operands)
    for k, slot in step.reads:
        args[k] = held[slot]
    for slot in step.last:
        held[slot] = None
    out = _rewritten(args, **step.params) if step.function is _rewritten else step.function(*args, **step.params)
    if isinstance(step.writes, tuple):
        for slot, part in zip(step.writes, out, strict=True):
            if slot is not None:
                held[slot] = part
    else:
        held[step.writes] = out


class _Holder:
    __slots__ = ("held",)
    held: Any


def _rewritten(args: list[Any], steps: tuple[Step, ...], index: Any) -> Any:
    """An array with a part replaced: in place if it is held by `args` alone, of which it is taken."""
    holder = _Holder()
    holder.held, args[0] = args[0], None
    return assigned(holder, "held", steps, index, args[1])


def _part(x: Any, step: Step) -> Any:
    return take(x, (step,), ...)


# Functions that ask for shapes and dtypes alone.
OF_TYPES = {np.can_cast, np.common_type, np.iscomplexobj, np.isrealobj, np.ndim, np.result_type, np.shape, np.size}


class Direction(Tracer):
    """A tangent that is not known yet. Its value is another one of the same shape and dtype."""

    __slots__ = ("__weakref__", "_family", "_program", "_slot", "_value")

    _program: Program
    _slot: int | None  # None for a constant, which is the value

    @property
    def _level(self) -> int:
        return self._program.level

    @property
    def _live(self) -> bool:
        return True

    @property
    def _open(self) -> bool:
        return self._program.recording

    def _lift(self, value: Any) -> Direction:
        return direction(value, self._program, None)

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self._program.record(primitive, args, params, primitive.view)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> NoReturn:
        raise missing_rule(function)

    # ---- decisions: those of rules are recorded, all others are errors

    def _untracked(self) -> Direction:
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Record a ufunc, comparisons included."""
        if method == "__call__" and not kwargs and self._is_decision(ufunc, inputs):
            return self._program.record(ufunc, inputs, {})
        return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Record a NumPy function, but none whose result is found by looking at values."""
        if self._is_decision(function, args):
            if function in OF_TYPES:
                return function(*(a._value if isinstance(a, Direction) else a for a in args), **kwargs)
            if function in (np.any, np.all) and isinstance(args[0], Direction):
                return self._program.record(function, args, kwargs)
            self._guard(f"np.{function.__name__}")
        return Tracer.__array_function__(self, function, types, args, kwargs)

    def _is_decision(self, function: Any, args: Sequence[Any]) -> bool:
        ours = implementation(function)
        if not (isinstance(ours, partial) and ours.func is call_plainly):
            return False
        return all(a._level <= self._level for a in args if isinstance(a, Traced))

    def _guard(self, what: str) -> NoReturn:
        raise TracedConversionError(
            f"{what} was called on a tangent (of shape {self.shape}) inside linearize, which evaluates a function once for "
            "all tangents, so nothing can be decided by their values. Choose with np.where, or use jvp, which evaluates "
            "the function anew for each tangent"
        )

    def numpy(self) -> NoReturn:
        """Refuse: there are no values yet."""
        self._guard("x.numpy()")

    def __bool__(self) -> bool:
        self._guard("bool(x), as in an if,")

    def __contains__(self, item: Any) -> bool:
        self._guard("the operator in")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Direction(shape={self.shape}, dtype={self.dtype}, level={self._level})"

    # ---- what writes ask for (see core/writes.py)

    def _twin(self) -> Direction:
        return direction(self._value, self._program, self._slot)

    def _drop(self) -> None:
        self._value, self._slot = None, None

    def _become(self, new: Direction) -> None:
        self._value, self._program, self._slot = new._value, new._program, new._slot

    def _watched(self) -> None:
        return None

    def _derive(self, parent: Direction, step: Step) -> None:
        self._become(parent._program.record(_part, (parent,), {"step": step}))

    def _write(self, steps: tuple[Step, ...], index: Any, value: Any) -> None:
        program = self._program
        operands, reads, shown = program.operands((self, value))
        part = shown.pop()
        del shown
        self._value = assigned(self, "_value", steps, index, part)  # first: it refuses what does not fit
        self._slot = program.new_slot()
        params = {"steps": steps, "index": index}
        program.instructions.append(Instruction(_rewritten, operands, reads, params, self._slot))


refreshes(Direction, "_value", "_slot")
_new = object.__new__


def direction(value: Any, program: Program, slot: int | None) -> Direction:
    """Make a handle."""
    new: Direction = _new(Direction)
    new._value = value
    new._program = program
    new._slot = slot
    return new


def surely(mask: Any) -> bool:
    """Whether any element of a mask is known to be true, of any element of a batch: for what is an error then."""
    held = mask
    while isinstance(held, Tracer):
        if isinstance(held, Direction):
            return False
        held = held._value
    return bool(np.any(held))
