"""The reverse sweep: adjoints of all entries from those of the targets.

Inside the sweep adjoints are carried *conjugated*: what flows is the transpose of each derivative, not its adjoint, so
no rule ever conjugates anything, real or complex. `GradientTape.gradient` conjugates once at either end (see the
decision page "Conjugate at the ends").

An adjoint buffer belongs to the sweep (is *owned*) once the sweep has allocated it by an addition or a deposit; only
into those does it add in place. A first contribution may be the adjoint of another entry, or a view of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from sys import getrefcount
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.poles import Trap, at_pole, has_nan
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.core.writes import put, take
from tapeflow.errors import RuleError, described

if TYPE_CHECKING:
    from tapeflow.core.wengert import Entry, WengertList

__all__ = [
    "NODES",
    "fit",
    "general_edge",
    "hand_over",
    "identity_edge",
    "scatter_part",
    "select",
    "step_back",
    "sweep",
    "sweep_all",
    "write_edge",
]

Adjoints = dict[int, Any]

# For the edges of the fast recorders: where in the entry the node of each residual stands. 0 is the entry itself (the
# residual is its output), 3 and 6 are parents, -1 stands for an operand that nobody follows.
NODES: dict[Any, tuple[int, ...]] = {}


# ---- edges


def identity_edge(xp: Any, g: Any, residual: None) -> Any:
    """Pass the adjoint on: the edge of a watched handle and of the read of a variable."""
    del xp, residual
    return g


def general_edge(xp: Any, g: Any, residual: tuple[Any, ...]) -> Any:
    """Apply a rule of any kind, and bring its result to the operand's shape and dtype."""
    rule, kept, params = residual[:3]
    if g.__class__ is Parts:
        g = g.filled(xp)
    return _fitted(xp, rule.function(xp, g, *kept, **params), residual)


def again(xp: Any, g: Any, edge: Any, residual: Any, trap: Trap) -> Any:
    """Apply an edge that has sprung the trap once more, with infinite slopes looked after."""
    if edge is not general_edge:
        if type(residual) is tuple:
            return at_pole(xp, g, lambda xp, g, *r: edge(xp, g, r), residual, trap)
        return at_pole(xp, g, edge, (residual,), trap)
    rule, kept, params, primitive = residual[:4]
    if primitive.elementwise:
        return _fitted(xp, at_pole(xp, g, partial(rule.function, **params), kept, trap), residual)
    trap.clear()
    with trap.as_user():
        return general_edge(xp, g, residual)


def _fitted(xp: Any, c: Any, residual: tuple[Any, ...]) -> Any:
    _, _, _, primitive, shape, dtype, _, i, _ = residual
    if primitive.check is not None and (c := primitive.check(xp, c, shape, dtype, i)) is None:
        return None
    if c.shape != shape or c.dtype != dtype:
        c = fit(xp, c, shape, dtype, primitive.name)
    return c


def fit(xp: Any, c: Any, shape: tuple[int, ...], dtype: Any, name: str = "an operation") -> Any:
    """Bring a contribution to an operand's shape and dtype: the transpose of broadcasting and conversion."""
    if c.shape != shape:
        lead = len(c.shape) - len(shape)
        spread = [k + lead for k, n in enumerate(shape) if n == 1 and lead >= 0 and c.shape[k + lead] != 1]
        rest = [n for k, n in enumerate(c.shape) if k >= lead and k not in spread]
        if lead < 0 or rest != [n for k, n in enumerate(shape) if k + lead not in spread]:
            raise RuleError(f"the rule of {name} returned shape {c.shape} for an operand of shape {shape}")
        c = xp.reshape(xp.sum(c, axis=(*range(lead), *spread)), shape)
    if c.dtype != dtype:
        if c.dtype.kind == "c" and dtype.kind != "c":
            c = xp.real(c)
        c = c if c.dtype == dtype else c.astype(dtype)
    return c


# ---- adjoints that arrive in parts


class Parts:
    """The adjoints of an operation with several outputs, while they arrive; ``None`` stands for zero."""

    __slots__ = ("metas", "parts", "whole")

    def __init__(self, metas: tuple[tuple[tuple[int, ...], Any], ...]) -> None:
        self.metas = metas
        self.parts: list[Any] = [None] * len(metas)
        self.whole: tuple[Any, ...] | None = None

    def filled(self, xp: Any) -> tuple[Any, ...]:
        """All parts, with real zeros for those that did not arrive; the same tuple for the rules of all operands."""
        if self.whole is None:
            self.whole = tuple(
                xp.zeros(shape, dtype) if part is None else part
                for part, (shape, dtype) in zip(self.parts, self.metas, strict=True)
            )
        return self.whole


class Pending:
    """An adjoint scattered over many index expressions, collected while it is traced itself.

    Plain parts are added into one buffer at once; traced ones cannot be, and one scatter of all of them keeps a loop
    over ``x[i]`` linear at higher orders too.
    """

    __slots__ = ("dense", "indices", "meta", "scatter", "values")

    def __init__(self, scatter: Any, meta: tuple[Any, Any], dense: Any) -> None:
        self.scatter, self.meta, self.dense = scatter, meta, dense
        self.values: list[Any] = []
        self.indices: list[Any] = []

    def total(self) -> Any:
        """The whole adjoint."""
        shape, dtype = self.meta
        whole = self.scatter(*self.values, indices=tuple(self.indices), shape=shape, dtype=dtype)
        return whole if self.dense is None else self.dense + whole


def write_edge(xp: Any, g: Any, residual: tuple[Any, ...]) -> Any:
    """The share of what was written: the adjoint at its places, for the writes that stayed."""
    steps, index, stay, shape, dtype = residual
    c = take(g, steps, index)
    if ("imag", None) in steps:
        c = -c  # adjoints are conjugated
    c = c if stay is None else xp.where(stay, c, 0)
    if len(shape) > len(c.shape):  # a value may have more axes, of length one
        c = xp.reshape(c, (1,) * (len(shape) - len(c.shape)) + c.shape)
    # A copy, because `hand_over` is about to clear the places.
    return xp.array(fit(xp, c, shape, dtype, "assignment")) if c.__class__ is np.ndarray else fit(xp, c, shape, dtype)


def hand_over(xp: Any, adjoints: Adjoints, owned: set[int], k: int, g: Any, residual: tuple[Any, ...]) -> None:
    """Deposit the adjoint of an array before a write: the same, with nothing at the places that were written.

    The adjoint buffer of the array after the write has no other use any more, so it is passed on if the sweep owns it.
    """
    _, number, steps, index = residual
    if isinstance(g, Tracer):
        g = g if number in owned else g._twin()
        g._write(steps, index, 0)
    else:
        g = g if number in owned else xp.array(g)
        put(g, steps, index, 0)
    if k in adjoints:
        _accumulate(xp, adjoints, owned, k, g)
    else:
        adjoints[k] = g
        owned.add(k)


def step_back(xp: Any, adjoints: Adjoints, owned: set[int], k: int, g: Any, residual: tuple[Any, ...]) -> None:
    """Deposit the adjoint of a view that was taken again into that of its parent."""
    _, (name, parameter), shape, dtype = residual
    if name == "broadcast_to":
        whole = fit(xp, g, shape, dtype)
    elif name == "imag":
        whole = g * -1j
    elif name == "real":
        whole = g.astype(dtype)
    else:
        whole = xp.zeros_like(g, shape=shape)
        steps = ((name, parameter),)
        whole._write(steps, ..., g) if isinstance(whole, Tracer) else put(whole, steps, ..., g)
    if k in adjoints:
        _accumulate(xp, adjoints, owned, k, whole)
    else:
        adjoints[k] = whole


def select(xp: Any, adjoints: Adjoints, owned: set[int], k: int, g: Any, residual: tuple[Any, ...]) -> None:
    """Deposit the adjoint of one output of an operation with several."""
    del xp, owned
    _, place, metas = residual
    parts = adjoints.get(k)
    if parts is None:
        parts = adjoints[k] = Parts(metas)
    held = parts.parts[place]
    parts.parts[place] = g if held is None else held + g


def scatter_part(xp: Any, adjoints: Adjoints, owned: set[int], k: int, g: Any, residual: tuple[Any, ...]) -> None:
    """Deposit the adjoint of ``x[index]`` into that of ``x``."""
    _, scatter, params, shape, dtype = residual
    old = adjoints.get(k)
    if isinstance(g, Traced) or isinstance(old, Traced) or old.__class__ is Pending:
        index = params["index"]
        if k in owned and isinstance(old, Tracer) and isinstance(index, int) and getattr(g, "_level", 0) <= old._level:
            # A buffer that `hand_over` has passed on. Views of it are adjoints of others, so they are not made stale.
            old._write((), index, old[index] + g)
            return
        if old.__class__ is not Pending:
            old = adjoints[k] = Pending(scatter, (shape, dtype), old)
        old.values.append(g)
        old.indices.append(params["index"])
        return
    if k not in owned:
        old = adjoints[k] = xp.zeros(shape, dtype) if old is None else xp.array(old)
        owned.add(k)
    index = params["index"]
    if type(index) is slice or type(index) is int:  # no element twice
        assert old is not None
        old[index] += g
        return
    backend = backend_for(old)
    assert backend is not None
    backend.scatter_add(old, index, g)


def _calibrate() -> int:
    """What `getrefcount` says of an object that one local variable refers to; it depends on the interpreter."""
    entry: Any = [[]].pop()
    return getrefcount(entry)


SINGLE = _calibrate()


def _accumulate(xp: Any, adjoints: Adjoints, owned: set[int], k: int, c: Any) -> None:
    """Add a second or later contribution."""
    old = adjoints[k]
    if old.__class__ is Pending:
        old.dense = c if old.dense is None else old.dense + c
    elif k in owned and not isinstance(c, Traced) and not isinstance(old, Traced):
        xp.add(old, c, out=old)
    else:
        new = adjoints[k] = old + c
        if new.__class__ is np.ndarray:
            owned.add(k)
        else:
            owned.discard(k)


NODES[identity_edge] = NODES[write_edge] = ()

# ---- sweeps


def sweep_all(wengert: WengertList, adjoints: Adjoints, xp: Any, *, release: bool) -> None:
    """Sweep a list on plain values of which every leaf is a source, releasing entries as they are passed if asked.

    This is the common case and kept free of everything else. `adjoints` maps numbers of target entries to seeds, and
    afterwards numbers of leaves to their adjoints.
    """
    entries = wengert.entries if release else wengert.entries.copy()
    pop = adjoints.pop
    owned: set[int] = set()
    buffer = xp.ndarray  # what can be added into; array scalars cannot
    found: Adjoints = {}
    entry: Entry = []
    trap = Trap()
    try:
        with trap.set():
            while entries:
                if release and getrefcount(entry) > SINGLE:
                    del entry[2:]  # a handle is alive and must not keep the rest of the recording alive
                entry = entries.pop()
                g = pop(entry[0], None)
                if g is None:
                    continue
                fields = len(entry)
                i = 2
                while i < fields:
                    edge = entry[i]
                    k = entry[i + 1][0]
                    if edge is not None:
                        c = edge(xp, g, entry[i + 2])
                        if trap:
                            c = again(xp, g, edge, entry[i + 2], trap)
                        if k not in adjoints:
                            adjoints[k] = c
                        elif k in owned:
                            old = adjoints[k]
                            old += c
                        else:
                            new = adjoints[k] = adjoints[k] + c
                            if type(new) is buffer:
                                owned.add(k)
                    else:
                        entry[i + 2][0](xp, adjoints, owned, k, g, entry[i + 2])
                    i += 3
                if i == 2:
                    found[entry[0]] = g
    except BaseException as error:
        wengert.torn = release
        _explain(error, entry)
        raise
    adjoints.update(found)


def sweep(
    wengert: WengertList, adjoints: Adjoints, sources: set[int], token: int, xp: Any, *, wary: bool = False
) -> None:
    """Sweep only what leads from sources of one tape to the targets, recording on the other tapes of the list.

    A `wary` sweep looks for nan after each edge, which the trap does not catch where the residual was one.
    `adjoints` maps numbers of target entries to seeds, and afterwards numbers of sources to their adjoints.
    """
    window = _window(wengert.entries, sources)
    active = _leading_to(window, sources, token)
    owned: set[int] = set()
    entry: Entry = []
    trap = Trap()
    try:
        with trap.set():
            for entry in window:
                number = entry[0]
                if number not in adjoints or number not in active:
                    continue
                g = adjoints[number] if number in sources else adjoints.pop(number)
                if g.__class__ is Pending:
                    g = g.total()
                    if number in sources:
                        adjoints[number] = g
                if number in sources:
                    owned.discard(number)  # a result, which `hand_over` must not pass on
                _pass_on(wengert, entry, g, adjoints, active, owned, xp, trap, wary)
    except BaseException as error:
        _explain(error, entry)
        raise


def _window(entries: list[Entry], sources: set[int]) -> list[Entry]:
    """The entries from the newest down to the oldest source, newest first."""
    missing = len(sources)
    window = []
    for entry in reversed(entries):
        window.append(entry)
        if entry[0] in sources:
            missing -= 1
            if not missing:
                break
    return window


def _leading_to(window: list[Entry], sources: set[int], token: int) -> set[int]:
    """Numbers of the entries on a path from a source."""
    active = set(sources)
    for entry in reversed(window):
        if token in entry[1]:
            for i in range(3, len(entry), 3):
                if entry[i][0] in active:
                    active.add(entry[0])
                    break
    return active


def _pass_on(
    wengert: WengertList,
    entry: Entry,
    g: Any,
    adjoints: Adjoints,
    active: set[int],
    owned: set[int],
    xp: Any,
    trap: Trap,
    wary: bool,
) -> None:
    """Distribute the adjoint of one entry over the operands that lead to a source."""
    retrack = wengert.live is not None
    for i in range(2, len(entry), 3):
        edge, parent, residual = entry[i : i + 3]
        k = parent[0]
        if k not in active:
            continue
        if edge is None:
            residual[0](xp, adjoints, owned, k, g, residual)
            continue
        residual = _retracked(wengert, entry, edge, residual) if retrack else residual
        c = edge(xp, g, residual)
        if trap or (wary and has_nan(c)):
            c = again(xp, g, edge, residual, trap)
        if c is not None and k in adjoints:
            _accumulate(xp, adjoints, owned, k, c)
        elif c is not None:
            adjoints[k] = c


def _explain(error: BaseException, entry: Entry) -> None:
    """Note on an exception which primitive's rule was at work, for which operand and cotangent."""
    sweeps = (f.f_locals for f, _ in walk_tb(error.__traceback__) if {"edge", "i", "g"} <= f.f_locals.keys())
    at = next(sweeps, None)
    if at is not None and at["i"] + 2 < len(entry):
        edge, _, residual = entry[at["i"] : at["i"] + 3]
        name, operand, line = (edge or residual[0]).__name__, "", ""
        if edge is general_edge:
            name, operand = residual[3].name, f"operand {residual[7]} of shape {residual[4]} {residual[5]}, "
            line = f"; recorded at {residual[8]}" if residual[8] else ""
        error.add_note(f"in the reverse rule of {name}, {operand}cotangent of shape {described(at['g'])}{line}")


# ---- residuals as traced values


def _retracked(wengert: WengertList, entry: Entry, edge: Any, residual: Any) -> Any:
    """Residuals as handles on the list again, so that what a rule computes from them is recorded."""
    if edge is general_edge:
        rule, kept, params, primitive, shape, dtype, parents, i, site = residual
        again = [_general_node(wengert, entry, name, k, parents) for name, k in zip(rule.names, kept, strict=True)]
        return rule, again, params, primitive, shape, dtype, parents, i, site
    nodes = NODES[edge]
    if not nodes:
        return residual
    origins = [entry if k == 0 else None if k < 0 else entry[k] for k in nodes]
    if len(origins) == 1:
        return _as_handle(wengert, residual, origins[0])
    return tuple(_as_handle(wengert, r, node) for r, node in zip(residual, origins, strict=True))


def _general_node(wengert: WengertList, entry: Entry, name: str, value: Any, parents: Iterable[Any]) -> Any:
    if name == "xs":
        return tuple(_as_handle(wengert, v, p) for v, p in zip(value, parents, strict=True))
    if name[0] == "x":
        return _as_handle(wengert, value, tuple(parents)[int(name[1:] or 0)])
    if name != "y":
        return value
    if not isinstance(value, tuple):
        return _as_handle(wengert, value, entry)
    metas = tuple((np.shape(v), getattr(v, "dtype", None)) for v in value)
    parts = []
    for k, part in enumerate(value):
        node = [wengert.tick(), entry[1], None, entry, (select, k, metas)]
        wengert.append(node)
        parts.append(_as_handle(wengert, part, node))
    return tuple(parts)


def _as_handle(wengert: WengertList, value: Any, node: Entry | None) -> Any:
    if node is None or wengert.live is None or wengert.live.isdisjoint(node[1]):
        return value
    return wengert.wrap(value, node)
