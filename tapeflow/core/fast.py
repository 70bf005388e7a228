"""Fast ways to record ufuncs of one and two operands, and to push them forward.

`record` and `push_forward` can do all of this and more. These closures do the common case, one live tape and operands of
one shape and dtype, at a third of the cost, and hand everything else to them. They are the product's speed: no
``*args``, no dictionaries, no property, no second call but the ufunc itself.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from types import FunctionType
from typing import Any

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.forward import PUSHERS, Dual, fit_tangent
from tapeflow.core.primitive import Primitive, bind
from tapeflow.core.reverse import NODES, fitted_edge
from tapeflow.core.tracer import BINARY_OPERATORS, UNARY_OPERATORS, Tracer, is_operand
from tapeflow.core.wengert import RECORDERS, Recorded

__all__ = ["install_binary", "install_unary"]

_new = object.__new__

# Positions of residuals in the tuple (None, x0, x1, y) that recorders pick from.
PLACES = {"x": 1, "x0": 1, "x1": 2, "y": 3}


def install_unary(ufunc: Any, primitive: Primitive) -> None:
    """Make the fast ways for a ufunc of one operand, and the operator if it has one."""
    record, push = _unary_recorder(ufunc, primitive), _unary_pusher(ufunc, primitive)
    RECORDERS[ufunc], PUSHERS[ufunc] = record, push
    if ufunc in UNARY_OPERATORS:
        name = f"__{UNARY_OPERATORS[ufunc]}__"
        setattr(Recorded, name, record)
        setattr(Dual, name, push)


def install_binary(ufunc: Any, primitive: Primitive) -> None:
    """Make the fast ways for a ufunc of two operands, and the operators if it has any."""
    record, push = _binary_recorder(ufunc, primitive), _binary_pusher(ufunc, primitive)
    RECORDERS[ufunc], PUSHERS[ufunc] = record, push
    if ufunc in BINARY_OPERATORS:
        name = BINARY_OPERATORS[ufunc]
        for cls, way in ((Recorded, record), (Dual, push)):
            setattr(cls, f"__{name}__", way)
            setattr(cls, f"__r{name}__", _swapped(way))


def _swapped(way: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return way(other, self)

    return operator


def _slow(primitive: Primitive, *args: Any) -> Any:
    for a in args:
        if not is_operand(a):
            return NotImplemented
    return bind(primitive, args, {})


def _edge(function: Callable[..., Any], names: tuple[str, ...], nodes: dict[str, int]) -> Callable[..., Any]:
    """Turn a rule into an edge, which takes its residuals as one value, and note where their nodes stand.

    A rule of one residual is one already, and a second call would cost more than the rest of the edge; but each edge
    must be an object of its own, since it is the key to its nodes.
    """
    edge: Callable[..., Any]
    if len(names) <= 1:
        assert isinstance(function, FunctionType)
        edge = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
    else:

        def edge(xp: Any, g: Any, r: Any) -> Any:
            return function(xp, g, *r)

    NODES[edge] = tuple(nodes[n] for n in names)
    return edge


def _picker(names: tuple[str, ...]) -> tuple[int, Any]:
    """Where the residual stands in the tuple (None, x0, x1, y); for several, -1 and what picks them."""
    if len(names) > 1:
        return -1, itemgetter(*(PLACES[n] for n in names))
    return (PLACES[names[0]] if names else 0), None


def _unary_recorder(ufunc: Any, primitive: Primitive) -> Callable[[Any], Any]:
    (rule,) = primitive.vjps
    assert rule is not None
    edge = _edge(rule.function, rule.names, {"x": 3, "y": 0})
    place, pick = _picker(rule.names)

    def call(x: Any) -> Any:
        if type(x) is not Recorded:
            return _slow(primitive, x)
        wengert = x._list
        parent = x._entry
        trackers = parent[1]
        if trackers is not wengert.live:
            return bind(primitive, (x,), {})
        value = x._value
        out = ufunc(value)
        seen = (None, value, None, out)
        number = wengert.tick()
        entry = (number, trackers, edge, parent, seen[place] if place >= 0 else pick(seen))
        wengert.append(entry)
        if number >= wengert.limit:
            wengert.compact()
        new = _new(Recorded)
        new._value = out
        new._list = wengert
        new._entry = entry
        return new

    return call


def _binary_recorder(ufunc: Any, primitive: Primitive) -> Callable[[Any, Any], Any]:
    rule0, rule1 = primitive.vjps
    assert rule0 is not None
    assert rule1 is not None
    both0 = _edge(rule0.function, rule0.names, {"x0": 3, "x1": 6, "y": 0})
    both1 = _edge(rule1.function, rule1.names, {"x0": 3, "x1": 6, "y": 0})
    left = _edge(rule0.function, rule0.names, {"x0": 3, "x1": -1, "y": 0})
    right = _edge(rule1.function, rule1.names, {"x0": -1, "x1": 3, "y": 0})
    (place0, pick0), (place1, pick1) = _picker(rule0.names), _picker(rule1.names)
    guards0, guards1 = "x1" in rule0.names, "x0" in rule1.names

    def call(a: Any, b: Any) -> Any:
        ta = type(a)
        tb = type(b)
        entry: Any
        if ta is Recorded:
            wengert = a._list
            parent = a._entry
            trackers = parent[1]
            if trackers is not wengert.live:
                return _slow(primitive, a, b)
            x0 = a._value
            if tb is Recorded:
                other = b._entry
                x1 = b._value
                if b._list is not wengert or other[1] is not trackers:
                    return bind(primitive, (a, b), {})
                if x0.shape != x1.shape or x0.dtype is not x1.dtype:
                    return bind(primitive, (a, b), {})
                out = ufunc(x0, x1)
                seen = (None, x0, x1, out)
                residual = seen[place0] if place0 >= 0 else pick0(seen)
                residual1 = seen[place1] if place1 >= 0 else pick1(seen)
                number = wengert.tick()
                entry = (number, trackers, both0, parent, residual, both1, other, residual1)
            elif tb is float or tb is int:
                out = ufunc(x0, b)
                seen = (None, x0, b, out)
                number = wengert.tick()
                entry = (number, trackers, left, parent, seen[place0] if place0 >= 0 else pick0(seen))
            elif tb is type(x0):
                out = ufunc(x0, b)
                seen = (None, x0, _guarded(b) if guards0 else b, out)
                residual = seen[place0] if place0 >= 0 else pick0(seen)
                number = wengert.tick()
                entry = (number, trackers, *_fields(left, parent, residual, x0, out))
            else:
                return _slow(primitive, a, b)
        elif tb is Recorded:
            wengert = b._list
            parent = b._entry
            trackers = parent[1]
            if trackers is not wengert.live:
                return _slow(primitive, a, b)
            x1 = b._value
            if ta is float or ta is int:
                out = ufunc(a, x1)
                seen = (None, a, x1, out)
                number = wengert.tick()
                entry = (number, trackers, right, parent, seen[place1] if place1 >= 0 else pick1(seen))
            elif ta is type(x1):
                out = ufunc(a, x1)
                seen = (None, _guarded(a) if guards1 else a, x1, out)
                residual = seen[place1] if place1 >= 0 else pick1(seen)
                number = wengert.tick()
                entry = (number, trackers, *_fields(right, parent, residual, x1, out))
            else:
                return _slow(primitive, a, b)
        else:
            return _slow(primitive, a, b)
        wengert.append(entry)
        if number >= wengert.limit:
            wengert.compact()
        new = _new(Recorded)
        new._value = out
        new._list = wengert
        new._entry = entry
        return new

    return call


def _fields(edge: Any, parent: Any, residual: Any, x: Any, out: Any) -> tuple[Any, Any, Any]:
    """The fields of an operand that may have been broadcast or converted on the way to the output."""
    if out.shape == x.shape and out.dtype is x.dtype:
        return edge, parent, residual
    return fitted_edge, parent, (edge, residual, x.shape, x.dtype)


def _guarded(value: Any) -> Any:
    if isinstance(value, Tracer):
        return value
    backend = backend_for(value)
    return value if backend is None else backend.guard(value)


def _unary_pusher(ufunc: Any, primitive: Primitive) -> Callable[[Any], Any]:
    (rule,) = primitive.jvps
    assert rule is not None
    push = _edge(rule.function, rule.names, {"x": 3, "y": 0})
    place, pick = _picker(rule.names)

    def call(x: Any) -> Any:
        if type(x) is not Dual:
            return _slow(primitive, x)
        accumulator = x._accumulator
        tangent = x._tangent
        if tangent is None or not accumulator.entered:
            return bind(primitive, (x,), {})
        value = x._value
        out = ufunc(value)
        seen = (None, value, None, out)
        new = _new(Dual)
        new._value = out
        new._tangent = push(np, tangent, seen[place] if place >= 0 else pick(seen))
        new._accumulator = accumulator
        return new

    return call


def _binary_pusher(ufunc: Any, primitive: Primitive) -> Callable[[Any, Any], Any]:
    rule0, rule1 = primitive.jvps
    assert rule0 is not None
    assert rule1 is not None
    push0 = _edge(rule0.function, rule0.names, {"x0": 3, "x1": 6, "y": 0})
    push1 = _edge(rule1.function, rule1.names, {"x0": 3, "x1": 6, "y": 0})
    (place0, pick0), (place1, pick1) = _picker(rule0.names), _picker(rule1.names)

    def call(a: Any, b: Any) -> Any:
        ta = type(a)
        tb = type(b)
        if ta is Dual:
            accumulator = a._accumulator
            t0 = a._tangent
            if t0 is None or not accumulator.entered:
                return _slow(primitive, a, b)
            x0 = a._value
            if tb is Dual:
                x1 = b._value
                t1 = b._tangent
                if b._accumulator is not accumulator or t1 is None:
                    return bind(primitive, (a, b), {})
                out = ufunc(x0, x1)
                seen = (None, x0, x1, out)
                tangent = push0(np, t0, seen[place0] if place0 >= 0 else pick0(seen))
                tangent = tangent + push1(np, t1, seen[place1] if place1 >= 0 else pick1(seen))
            elif tb is float or tb is int or tb is type(x0):
                out = ufunc(x0, b)
                seen = (None, x0, b, out)
                tangent = push0(np, t0, seen[place0] if place0 >= 0 else pick0(seen))
            else:
                return _slow(primitive, a, b)
        elif tb is Dual:
            accumulator = b._accumulator
            t1 = b._tangent
            if t1 is None or not accumulator.entered:
                return _slow(primitive, a, b)
            x1 = b._value
            if ta is not float and ta is not int and ta is not type(x1):
                return _slow(primitive, a, b)
            out = ufunc(a, x1)
            seen = (None, a, x1, out)
            tangent = push1(np, t1, seen[place1] if place1 >= 0 else pick1(seen))
        else:
            return _slow(primitive, a, b)
        if tangent.shape != out.shape or tangent.dtype is not out.dtype:
            tangent = fit_tangent(tangent, out)
        new = _new(Dual)
        new._value = out
        new._tangent = tangent
        new._accumulator = accumulator
        return new

    return call
