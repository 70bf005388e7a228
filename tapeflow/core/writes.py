"""Writes into traced arrays, and the views that must see them.

Entries never refer to handles, so a write rebinds its handle to a new entry, and history stays as it was. Three things
make this behave as NumPy does:

- *Aliases* are the same handle, so they see the write.
- *Views* (``y = x[1:]``, ``x.T``, ``x.reshape(...)``) are handles of their own. A `Family` remembers of which handle, and
  how, a view was taken. A write through a view goes to the handle at the root. Afterwards every view is *stale*: its class
  says so, and its first use takes the view anew. Handles that nobody writes to pay nothing for that.
- *Buffers* are copied before a write unless nobody but the handle holds them (the tape may keep one as a residual, another
  handle may share it). So a loop that fills an array, element by element, takes linear time: forward the buffer changes
  in place, and backward `hand_over` passes one adjoint buffer on from write to write.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any
from weakref import ref

import numpy as np

from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import BINARY_OPERATORS, Tracer, is_operand, plain
from tapeflow.errors import written_across, written_read_only

__all__ = [
    "Step",
    "assigned",
    "derived",
    "last_writes",
    "overwrite",
    "put",
    "refreshes",
    "relate",
    "take",
    "viewed",
    "write",
    "write_result",
]

# How a view is taken: a name below, and its parameter.
Step = tuple[str, Any]

VIEWS: dict[str, Callable[[Any, Any], Any]] = {
    "getitem": lambda x, index: x[index],
    "transpose": lambda x, axes: x.transpose(axes),
    "reshape": lambda x, shape: x.reshape(shape),
    "real": lambda x, _: x.real,
    "imag": lambda x, _: x.imag,
    "diagonal": lambda x, offset: _diagonal(x, offset),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
}
READ_ONLY = {"diagonal", "broadcast_to"}


def _diagonal(x: Any, offset: int) -> Any:
    """Diagonal of the last two axes; unlike that of ``np.diagonal`` a view that can be added into."""
    if isinstance(x, Traced):
        return np.diagonal(x, offset, -2, -1)  # type: ignore[call-overload]
    square = x[..., max(-offset, 0) :, max(offset, 0) :]
    n = min(square.shape[-2:])
    return np.einsum("...ii->...i", square[..., :n, :n])


def _through(x: Any, steps: tuple[Step, ...]) -> Any:
    for name, parameter in steps:
        x = VIEWS[name](x, parameter)
    return x


# ---- families


class Family:
    """What a handle has to do with others that share its memory.

    Attributes
    ----------
    parent : traced value or None
        The handle of which this one is a view, taken by `step`.
    kids : list of weak references
        Views of this one.
    watched : entry or None
        For a watched handle that has been written to: what was watched.
    written : bool
        Whether it has been written to, and so will probably be again.
    """

    __slots__ = ("kids", "limit", "parent", "step", "watched", "written")

    def __init__(self, parent: Any = None, step: Any = None) -> None:
        self.parent = parent
        self.step = step
        self.kids: list[Any] = []
        self.limit = 16
        self.watched: Any = None
        self.written = False

    def add(self, kid: Any) -> None:
        """Remember a view; the dead are dropped when their number has doubled."""
        self.kids.append(ref(kid))
        if len(self.kids) > self.limit:
            self.kids = [r for r in self.kids if r() is not None]
            self.limit = 16 + 2 * len(self.kids)


def family_of(x: Any) -> Family | None:
    """The family of a handle, which most have none of."""
    try:
        found: Family = x._family
    except AttributeError:
        return None
    return found


def _own_family(x: Any) -> Family:
    found = family_of(x)
    if found is None:
        found = x._family = Family()
    return found


def relate(x: Any, out: Any, step: Step) -> None:
    """Note that a handle is a view of another."""
    _own_family(x).add(out)
    out._family = Family(x, step)


def viewed(x: Any, held: Any, out: Any) -> tuple[Any, bool]:
    """Say whether `out`, made of what the handle `x` holds, shares its memory.

    A small part of an array that is being written to is copied, so that whoever keeps it does not keep the buffer from
    being written in place.
    """
    whole, part = _memory(held), _memory(out)
    if type(part) is not np.ndarray or not (part is whole or _share(part, whole)):
        return out, False
    if part is out and family_of(x) is not None and 4 * part.nbytes <= whole.nbytes and part.flags.c_contiguous:
        out = part.copy() if _root(x)[0]._family.written else out
    return out, True


def _memory(held: Any) -> Any:
    """The array at the bottom of all levels, batches included."""
    while isinstance(held, Tracer):
        held = held._value
    return held


def _share(part: Any, whole: Any) -> bool:
    return part.base is not None and (part.base is whole or part.base is getattr(whole, "base", None))


def _root(x: Any) -> tuple[Any, tuple[Step, ...]]:
    """The handle that owns the memory, and the steps from there."""
    steps: list[Step] = []
    while (family := _own_family(x)).parent is not None:
        steps.append(family.step)
        x = family.parent
    return x, tuple(reversed(steps))


# ---- stale views

_STALE: dict[type, type] = {}


def refreshes(cls: Any, *slots: str) -> None:
    """Give a class of handles its stale twin: what it holds, in the given slots, is taken anew from its parent."""

    def refreshed(name: str) -> property:
        def get(self: Any) -> Any:
            stale, self.__class__ = self.__class__, cls
            try:
                self._derive(self._family.parent, self._family.step)
            except BaseException:
                self.__class__ = stale
                raise
            return getattr(self, name)

        return property(get)

    body: dict[str, Any] = {name: refreshed(name) for name in (*slots, "_level")}
    _STALE[cls] = type(cls.__name__, (cls,), {"__slots__": (), "__doc__": "A view before a write.", **body})


def _make_stale(family: Family) -> None:
    waiting = family.kids
    while waiting:
        later = []
        for kid in [r() for r in waiting]:
            if kid is not None:
                later += kid._family.kids
                if type(kid) in _STALE:
                    kid._drop()
                    kid.__class__ = _STALE[type(kid)]
        waiting = later


def derived(held: Any, step: Step) -> Any:
    """Take a view of what a handle holds: a plain array, or a handle of an outer level."""
    if not isinstance(held, Tracer):
        return _through(held, (step,))
    new = object.__new__(type(held))
    new._derive(held, step)
    return new


# ---- writes


def write(x: Any, index: Any, value: Any) -> None:
    """Do ``x[index] = value``. The index is plain, and does not change later; nor is the value a list."""
    if isinstance(value, Tracer):
        if hasattr(value, "read"):
            value = value.read()
        while isinstance(value, Tracer) and value._level > x._level and not value._open:
            value = value._value  # of a level that is over
        if isinstance(value, Tracer) and value._level > x._level:
            raise written_across(x.shape)
        if _is_done(x, index, value):
            return
    root, steps = _root(x)
    for name, _ in steps:
        if name in READ_ONLY:
            raise written_read_only(name)
    _prepare(root)
    root._write(steps, index, value)


def overwrite(x: Any, new: Any) -> None:
    """Do ``x[...] = new`` with what an operation has just computed; without a copy where nobody has to see the write."""
    family = family_of(x)
    if (
        type(new) is type(x)
        and new._level == x._level
        and new.dtype == x.dtype
        and (family is None or family.parent is None)
    ):
        _prepare(x)
        x._become(new)
    else:
        write(x, ..., new)


def _prepare(root: Any) -> None:
    family = _own_family(root)
    _make_stale(family)
    family.written = True
    if family.watched is None:
        family.watched = root._watched()


def _is_done(x: Any, index: Any, value: Any) -> bool:
    """Whether the operator in ``x[index] += v`` has written already, into the view ``x[index]``."""
    family = family_of(value)
    if family is None or family.parent is not x or family.step[0] != "getitem":
        return False
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(p, np.ndarray) for p in parts) and bool(family.step[1] == index)


def _calibrate() -> int:
    """What `getrefcount` says in `assigned` of an object that only a handle refers to; it depends on the interpreter."""
    holder = type("Holder", (), {"__slots__": ("held",)})()
    holder.held = []
    held = holder.held
    return getrefcount(held)


ALONE = _calibrate()


def assigned(holder: Any, slot: str, steps: tuple[Step, ...], index: Any, value: Any) -> Any:
    """What a handle holds, with a part replaced: the same object if nobody else refers to it, else a copy."""
    held = getattr(holder, slot)
    alone = getrefcount(held) == ALONE
    if isinstance(value, Tracer) and not (isinstance(held, Tracer) and held._level >= value._level):
        held, alone = value._lift(held), True
    if isinstance(held, Tracer):
        held = held if alone else held._twin()
        held._write(steps, index, value)
        return held
    if not (alone and type(held) is np.ndarray and held.base is None and held.flags.writeable):
        held = np.array(held)
    put(held, steps, index, value)
    return held


def take(array: Any, steps: tuple[Step, ...], index: Any) -> Any:
    """Select from a view of an array."""
    return _through(array, steps)[index]


def put(array: Any, steps: tuple[Step, ...], index: Any, value: Any) -> None:
    """Assign into a view of a plain array."""
    part = _through(array, steps)
    if not steps or np.may_share_memory(part, array):
        part[index] = value
    else:
        # The steps were views of another layout (an adjoint lies in C order, whatever its primal does).
        places = _through(np.arange(array.size).reshape(array.shape), steps)[index]
        np.put(array, places, np.broadcast_to(value, places.shape))


def last_writes(array: Any, steps: tuple[Step, ...], index: Any) -> Any:
    """For an index that may select an element twice: which of the values written stay; else ``None``."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(p, np.ndarray) and p.dtype.kind != "b" and p.size > 1 for p in parts):
        return None
    writer = np.empty(_through(np.broadcast_to(np.empty((), bool), array.shape), steps).shape, np.intp)
    order = np.arange(writer[index].size).reshape(writer[index].shape)
    writer[index] = order
    stay = writer[index] == order
    return None if stay.all() else stay


# ---- operators that write


def _in_place(ufunc: Any) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        if not is_operand(other):
            return NotImplemented
        new = ufunc(self, other)
        if not self.shape and not isinstance(plain(self), np.ndarray):
            return new  # a scalar: NumPy binds the name to a new one as well
        write_result(self, new, ufunc.__name__)
        return self

    return operator


def write_result(x: Any, new: Any, name: str) -> None:
    """Write what an operation gave into ``out``, under NumPy's conditions."""
    if new.shape != x.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {x.shape} doesn't match the broadcast shape {new.shape}"
        )
    if not np.can_cast(new.dtype, x.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast ufunc '{name}' output from {new.dtype!r} to {x.dtype!r} with casting rule 'same_kind'"
        )
    overwrite(x, new)


for _ufunc, _name in BINARY_OPERATORS.items():
    setattr(Tracer, f"__i{_name}__", _in_place(_ufunc))
