"""The Wengert list, its entries, and the values recorded on it.

An entry is a flat list, written once; when the recording is over it is cut down to its first two fields::

    [number, trackers]                                              a leaf: a watched value
    [number, trackers, edge, parent, residual, edge, parent, ...]   an operation: three fields for each tracked operand

``number`` names the entry's adjoint during a sweep. ``trackers`` is the set of tapes whose watched values it depends on.
``parent`` is the operand's entry, so what nothing refers to any more frees itself. ``edge(xp, g, residual)`` gives the
operand's share of the adjoint ``g``; an edge of ``None`` marks an operand into which the sweep deposits only a part
(see :mod:`tapeflow.core.reverse`). An entry never refers to a handle.

Tapes that nest directly share one list: an operation is recorded once however many tapes follow it, and the backward
sweep of one is recorded by the others. Recording order is topological order, so nothing is ever sorted.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from functools import cache
from sys import getrefcount
from typing import Any

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.collector import hasten, slow_down
from tapeflow.core.primitive import Primitive, Rule, Traced, next_level
from tapeflow.core.reverse import general_edge, hand_over, identity_edge, scatter_part, select, step_back, write_edge
from tapeflow.core.sites import CallSite
from tapeflow.core.tracer import Tracer, call_unwrapped
from tapeflow.core.writes import Step, assigned, derived, last_writes, refreshes, relate, viewed
from tapeflow.errors import described, missing_rule

__all__ = [
    "CONSTANT",
    "OUTSIDE",
    "PAUSED",
    "RECORDERS",
    "RECORDING",
    "Entry",
    "Recorded",
    "WengertList",
    "evaluate",
    "keep",
    "record",
]

Entry = list[Any]
NOBODY: frozenset[int] = frozenset()
CONSTANT: Entry = [0, NOBODY]
OBJECT = np.dtype(object)
OUTSIDE, PAUSED, RECORDING = range(3)  # what a tape is doing

# Fast ways to record ufuncs, entered by core/rules.py.
RECORDERS: dict[Any, Callable[..., Any]] = {}

# Compaction looks at every entry, so the list must at least double between two of them; but it starts early, because
# the entries that it frees may hold large arrays.
FIRST_COMPACTION = 32
LONG = 4096


class WengertList:
    """Entries in order of recording, and the tapes that record on it.

    Attributes
    ----------
    entries : list of Entry
        The operations and leaves, oldest first.
    live : frozenset of int or None
        Tokens of the tapes that are recording; ``None`` if there is none, which sends every operation to the slow path.
    entered : bool
        Whether a tape of this list is inside its block, recording or paused.
    long : bool
        Whether so much has been recorded that the collector of cycles was slowed down.
    members : dict of int to int
        Tokens of the tapes that may still ask something, and what each is doing.
    selective : bool
        Whether a part of something was selected, so that some cotangents may be exactly zero in places.
    torn : bool
        Whether a sweep that released entries was interrupted, so that no other question can be answered.
    special : bool
        Whether the tight sweep does not apply: some value is itself traced, or some rule may raise.
    """

    __slots__ = tuple(
        "append entered entries leaves level limit live lock long members selective sets special tick torn".split()
    )

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.append = self.entries.append
        self.tick = itertools.count(1).__next__
        self.level = next_level()
        self.limit = FIRST_COMPACTION
        self.live: frozenset[int] | None = None
        self.entered = False
        self.special = False
        self.selective = self.torn = self.long = False
        self.leaves = 0
        self.lock = threading.RLock()
        self.members: dict[int, int] = {}
        self.sets: dict[frozenset[int], frozenset[int]] = {}

    def update(self, token: int, state: int) -> None:
        """Note what a tape is doing: `RECORDING`, `PAUSED` inside its block, or `OUTSIDE` of it."""
        self.members[token] = state
        self._refresh()

    def remove(self, token: int, since: int) -> None:
        """Drop a tape for good, and what was entered `since` it joined that no other tape follows."""
        with self.lock:
            self.members.pop(token, None)
            if self.members:
                self.sets = {s: s for s in self.sets if token not in s}
                # Not all: a tape may hold a long recording, and have thousands of tapes open and close inside it.
                start = next((i for i in range(len(self.entries), 0, -1) if self.entries[i - 1][0] < since), 0)
                self.entries[start:] = [e for e in self.entries[start:] if not self.members.keys().isdisjoint(e[1])]
            else:
                for entry in self.entries:
                    del entry[2:]  # handles may outlive the recording, and must not keep it alive
                self.entries.clear()
        self._refresh()

    def _refresh(self) -> None:
        recording = [t for t, state in self.members.items() if state == RECORDING]
        self.entered = bool(recording) or PAUSED in self.members.values()
        self.live = self.intern(frozenset(recording)) if recording else None
        if self.long and not self.entered:
            self.long = False
            hasten()

    def intern(self, tokens: frozenset[int]) -> frozenset[int]:
        """Return the one object that stands for this set of tapes, so that the fast path can compare by identity."""
        return self.sets.setdefault(tokens, tokens)

    def leaf(self, value: Any, tokens: frozenset[int]) -> Recorded:
        """Watch a value: a new leaf, and the handle that stands for it."""
        self.leaves += 1
        self.special = self.special or isinstance(value, Tracer)
        return self.enter(value, [self.tick(), self.intern(tokens)])

    def enter(self, value: Any, entry: Entry) -> Recorded:
        """Append an entry, and make the handle of its value."""
        return handle(value, self, self.push(entry))

    def push(self, entry: Entry) -> Entry:
        """Append an entry."""
        self.append(entry)
        if entry[0] >= self.limit:
            self.compact()
        return entry

    def wrap(self, value: Any, entry: Entry) -> Recorded:
        """Make a handle for a value that has an entry already."""
        return handle(value, self, entry)

    def compact(self) -> None:
        """Drop, newest first, the entries that nothing but the list refers to."""
        with self.lock:
            entries = self.entries
            length = len(entries)  # other threads may append meanwhile
            if ALONE_IN_MAP in map(getrefcount, entries):  # at the speed of C, since usually there is none
                kept: list[Entry] = []
                for i in range(length - 1, -1, -1):
                    if getrefcount(entries[i]) > ALONE:
                        kept.append(entries[i])
                    else:
                        entries[i] = None  # type: ignore[call-overload]  # freed here, and its parents may be next
                kept.reverse()
                entries[:length] = kept
            self.limit = self.tick() + max(FIRST_COMPACTION, 2 * len(entries))
            if len(entries) > LONG and self.entered and not self.long:
                self.long = True
                slow_down()


def _calibrate() -> tuple[int, int]:
    """What `getrefcount` says of an object that only a list refers to; it depends on the interpreter."""
    alone = [(object(),)]
    return getrefcount(alone[0]), next(map(getrefcount, alone))


ALONE, ALONE_IN_MAP = _calibrate()


class Recorded(Tracer):
    """A value on a Wengert list. What it holds is a plain array, or a traced value of an outer level."""

    __slots__ = ("__weakref__", "_entry", "_family", "_list", "_value")

    _list: WengertList
    _entry: Entry

    @property
    def _level(self) -> int:
        return self._list.level

    @property
    def _live(self) -> bool:
        live = self._list.live
        return live is not None and not live.isdisjoint(self._entry[1])

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return record(self._list, primitive, args, params)

    @property
    def _open(self) -> bool:
        return self._list.entered

    def _lift(self, value: Any) -> Any:
        return handle(value, self._list, CONSTANT)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        return record_unknown(self._list, function, args, kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Record a ufunc."""
        if not kwargs and method == "__call__":
            fast = RECORDERS.get(ufunc)
            if fast is not None:
                return fast(inputs[0]) if len(inputs) == 1 else fast(*inputs)
        return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)

    def _state(self) -> str:
        return "recording" if self._live else "constant" if self._list.entered else "tape closed"

    # ---- what writes ask for (see core/writes.py)

    def _twin(self) -> Recorded:
        return handle(self._value, self._list, self._entry)

    def _drop(self) -> None:
        self._value, self._entry = None, CONSTANT

    def _become(self, new: Recorded) -> None:
        self._value, self._list, self._entry = new._value, new._list, new._entry

    def _watched(self) -> Entry | None:
        entry = self._entry
        return entry if len(entry) == 2 or entry[2] is identity_edge else None

    def _derive(self, parent: Recorded, step: Step) -> None:
        wengert = self._list = parent._list
        self._value = derived(parent._value, step)
        source = self._entry = parent._entry
        if source[1]:
            wengert.special = wengert.special or isinstance(self._value, Tracer)
            residual = (step_back, step, parent.shape, parent.dtype)
            self._entry = wengert.push([wengert.tick(), source[1], None, source, residual])

    def _write(self, steps: tuple[Step, ...], index: Any, value: Any) -> None:
        wengert = self._list
        live = wengert.live or NOBODY
        entry: Entry = [wengert.tick(), NOBODY]
        tokens = self._entry[1] & live
        if isinstance(value, Recorded) and value._list is wengert:
            value, node = value._value, value._entry
            if followed := node[1] & live:
                stay = last_writes(self, steps, index)
                entry += [write_edge, node, (steps, index, stay, np.shape(value), value.dtype)]
                tokens |= followed
        if self._entry[1] & live:
            entry += [None, self._entry, (hand_over, entry[0], steps, index)]
        self._value = assigned(self, "_value", steps, index, value)
        self._entry = CONSTANT
        if tokens:
            entry[1] = wengert.intern(tokens)
            wengert.special = wengert.special or isinstance(self._value, Tracer)
            wengert.selective = True
            self._entry = wengert.push(entry)


refreshes(Recorded, "_value", "_entry")


_new = object.__new__


def handle(value: Any, wengert: WengertList, entry: Entry) -> Recorded:
    """Make a handle. Three stores on a bare object: an ``__init__`` would cost half as much again as all of recording."""
    new: Recorded = _new(Recorded)
    new._value = value
    new._list = wengert
    new._entry = entry
    return new


def record(wengert: WengertList, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Evaluate a primitive one level further out, and enter it into the list if a recording tape follows an operand."""
    values: list[Any] = []
    parents: list[Entry | None] = []
    tokens = NOBODY
    live = wengert.live or NOBODY
    raw = True  # nothing dispatches any further
    for a in args:
        parent = None
        if type(a) is Recorded and a._list is wengert:
            parent, a = a._entry, a._value
            followed = parent[1] & live
            tokens |= followed
            parent = parent if followed else None
        elif type(a) is list:
            a = np.asarray(a)
        values.append(a)
        parents.append(parent)
        raw = raw and (a.dtype is not OBJECT if type(a) is np.ndarray else not isinstance(a, Traced))
    out = evaluate(primitive, values, params, raw)
    if primitive.view is not None and not (raw and getattr(out, "base", None) is None and out is not values[0]):
        out, shared = viewed(args[0], values[0], out)
        if shared:
            return _view(wengert, primitive, args[0], out, params, tokens)
    if not tokens:
        return constants(wengert, out)
    trackers = wengert.intern(tokens)
    wengert.special = wengert.special or primitive.refuses or not raw
    wengert.selective = wengert.selective or primitive.selects
    params = params if primitive.push is None else {**params, "level": wengert.level}
    fields: list[Any] = [wengert.tick(), trackers]
    nodes = tuple(parents)  # one for all operands, of which a variadic primitive may have thousands
    for i, parent in enumerate(nodes):
        if parent is not None:
            fields += _edge(primitive, i, values, nodes, out, params)
    return _enter(wengert, fields, trackers, out)


def _view(wengert: WengertList, primitive: Primitive, x: Any, out: Any, params: dict[str, Any], tokens: Any) -> Any:
    """Enter a view: as any output, and as one of the family."""
    if tokens:
        wengert.special = wengert.special or isinstance(out, Tracer)
        wengert.selective = wengert.selective or primitive.selects
        edge = _edge(primitive, 0, [x._value], (x._entry,), out, params)
        fields = [wengert.tick(), wengert.intern(tokens), *edge]
        new: Any = wengert.enter(out, fields)
    else:
        new = constants(wengert, out)
    if isinstance(new, Recorded):
        assert primitive.view is not None
        relate(x, new, primitive.view(params))
    return new


def evaluate(primitive: Primitive, values: list[Any], params: dict[str, Any], raw: bool = False) -> Any:
    """Call a primitive one level further out, where values may be `raw`; what it raises gets a note that names it."""
    try:
        return primitive.evaluate(*values, **params) if raw else primitive(*values, **params)
    except Exception as error:
        if not hasattr(error, "__notes__"):
            error.add_note(f"in {primitive.name} of arguments of shape {described(*values)}")
        raise


def _edge(
    primitive: Primitive, i: int, values: list[Any], parents: tuple[Entry | None, ...], out: Any, params: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """The three fields for one tracked operand."""
    x = values[i]
    if primitive.deposit is not None:
        return None, parents[i], (scatter_part, primitive.deposit, params, x.shape, x.dtype)
    rule = primitive.vjps[0 if primitive.variadic else i]
    if rule is None:
        raise TypeError(f"{primitive.name} has no derivative with respect to operand {i}")
    kept = keep(rule, i, values, out, parents)
    # Looking for the line costs as much as a small operation, so only where a rule may raise.
    site = CallSite(sys._getframe(1)) if primitive.refuses or primitive.check is not None else None
    return general_edge, parents[i], (rule, kept, params, primitive, x.shape, x.dtype, parents, i, site)


def keep(rule: Rule, i: int, values: Any, out: Any, parents: Any = None) -> list[Any]:
    """Collect the residuals that a rule asks for.

    Foreign arrays (operands that are not traced) are guarded against later writes if `parents` are given.
    """
    kept: list[Any] = []
    for stem, k in _wants(rule.names):
        if stem == "x":
            kept.append(values[k] if parents is None else _guarded(values[k], parents[k]))
        elif stem == "y":
            kept.append(out)
        elif stem == "shape":
            kept.append(_shape(values[k]))
        elif stem == "i":
            kept.append(i)
        elif stem == "xs":
            kept.append(tuple(_guarded(v, p) for v, p in zip(values, parents or values, strict=True)))
        else:
            kept.append(tuple(map(_shape, values)))
    return kept


@cache
def _wants(names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """What names of residuals say: what is wanted, and of which operand."""
    stems = (name.rstrip("0123456789") for name in names)
    return tuple((stem, int(name[len(stem) :] or 0)) for stem, name in zip(stems, names, strict=True))


def _shape(value: Any) -> Any:
    try:
        return value.shape  # np.shape would take three times as long
    except AttributeError:
        return np.shape(value)


def _guarded(value: Any, parent: Any) -> Any:
    if parent is None:
        backend = backend_for(value)
        if backend is not None:
            return backend.guard(value)
    return value


def constants(wengert: WengertList, out: Any) -> Any:
    """What an operation gives that nobody records: inside a block a handle without a path, outside the value itself."""
    if not wengert.entered:
        return out
    if isinstance(out, tuple):
        return tuple(constants(wengert, part) for part in out)
    return handle(out, wengert, CONSTANT) if makes_constant(out) else out


def is_inexact(value: Any) -> bool:
    """Say whether a value has a dtype that can carry a derivative: real or complex floating point."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in "fc"


# Kinds of dtype of which traced constants are made; tapeflow.numpy.uniform adds truth values and integers.
CONSTANT_KINDS = set("fc")


def makes_constant(value: Any) -> bool:
    """Say whether a result without a derivative becomes a traced constant, not a plain array."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in CONSTANT_KINDS


def can_be_followed(out: Any) -> bool:
    """Whether the results of a function without a rule can say so when their derivative is asked for."""
    parts = out if isinstance(out, tuple) else (out,)
    return all(getattr(part, "dtype", None) is not None and part.dtype != object for part in parts)


def record_unknown(wengert: WengertList, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function without a rule; a derivative through it is an error when it is asked for, not before."""
    found: list[Recorded] = []
    wengert.special = True

    def unwrap(x: Any) -> Any:
        if not isinstance(x, Recorded) or x._list is not wengert:
            return x
        found.append(x)
        return x._value

    def raise_missing(xp: Any, g: Any) -> Any:
        raise missing_rule(function)

    out = call_unwrapped(function, args, kwargs, unwrap)
    if wengert.entered and not can_be_followed(out):
        raise missing_rule(function)
    primitive = Primitive(
        function.__name__, lambda *xs: out, (), (Rule(raise_missing, ()),), variadic=True, refuses=True
    )
    return record(wengert, primitive, tuple(found), {})


def _enter(wengert: WengertList, entry: Entry, trackers: frozenset[int], out: Any) -> Any:
    """Append an entry and wrap the output; several outputs get an entry each that selects from the operation's."""
    if not isinstance(out, tuple):
        if not is_inexact(out):
            return out
        return wengert.enter(out, entry)
    wengert.append(entry)
    metas = tuple((np.shape(part), getattr(part, "dtype", None)) for part in out)
    parts = []
    for k, part in enumerate(out):
        if is_inexact(part):
            selected = [wengert.tick(), trackers, None, entry, (select, k, metas)]
            part = wengert.enter(part, selected)
        parts.append(part)
    return tuple(parts)
