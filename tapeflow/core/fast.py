"""Fast ways to record ufuncs of one and two operands, and to push them forward.

`record` and `push_forward` can do all of this and more. These closures do the common case, one live tape and operands of
one shape and dtype, at a third of the cost, and hand everything else to them. They are the product's speed: no
``*args``, no dictionaries, no property, no second call but the ufunc itself.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from types import FunctionType
from typing import Any, cast

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.forward import PUSHERS, Dual, fit_tangent
from tapeflow.core.primitive import Primitive, Rule, bind
from tapeflow.core.reverse import NODES
from tapeflow.core.tracer import BINARY_OPERATORS, UNARY_OPERATORS, Tracer, is_operand
from tapeflow.core.wengert import RECORDERS, Recorded

__all__ = ["install_binary", "install_unary"]

_new = object.__new__

# Python numbers as arrays of no dimension: NumPy converts a number anew in every call, which takes as long as the rest of
# a small multiplication (measured: 320 ns against 195), forward and backward. Zero stands for two numbers: left out.
NUMBERS: dict[float, np.ndarray] = {}
MANY = 1024  # programs have few constants; more than that are data
FLOAT64 = np.dtype(np.float64)
NUMERIC = {float, int}
ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide}


def as_array(number: float) -> Any:
    """A Python number as an array, to be computed with arrays of float64."""
    new = np.array(number, FLOAT64)
    if number and len(NUMBERS) < MANY:
        new.flags.writeable = False
        NUMBERS[number] = new
    return new


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
    for cls, table, (left, right) in (
        (Recorded, RECORDERS, _binary_recorders(ufunc, primitive)),
        (Dual, PUSHERS, _binary_pushers(ufunc, primitive)),
    ):
        table[ufunc] = _either(cls, primitive, left, right)
        if ufunc in BINARY_OPERATORS:
            setattr(cls, f"__{BINARY_OPERATORS[ufunc]}__", left)
            setattr(cls, f"__r{BINARY_OPERATORS[ufunc]}__", right)


def _either(cls: type, primitive: Primitive, left: Any, right: Any) -> Callable[[Any, Any], Any]:
    def call(a: Any, b: Any) -> Any:
        if type(a) is cls:
            return left(a, b)
        if type(b) is cls:
            return right(b, a)
        return _slow(primitive, a, b)

    def slow(a: Any, b: Any) -> Any:
        return _slow(primitive, a, b)

    return slow if primitive.selects and cls is Recorded else call  # `record` notes that there was a selection


def _slow(primitive: Primitive, *args: Any) -> Any:
    for a in args:
        if not is_operand(a):
            return NotImplemented
    return bind(primitive, args, {})


def _edge(primitive: Primitive, rule: Rule, nodes: dict[str, int]) -> Callable[..., Any]:
    """Turn a rule into an edge, which takes its residuals as one value, and note where their nodes stand.

    A rule of one residual is one already, and a second call would cost more than the rest of the edge; but each edge
    must be an object of its own, since it is the key to its nodes.
    """
    edge: Callable[..., Any]
    function, names = rule
    if len(names) <= 1:
        assert isinstance(function, FunctionType)
        edge = FunctionType(function.__code__, function.__globals__, None, function.__defaults__, function.__closure__)
    else:

        def edge(xp: Any, g: Any, r: Any) -> Any:
            return function(xp, g, *r)

    edge.__name__ = primitive.name  # what is noted on exceptions
    NODES[edge] = tuple(nodes[n] for n in names)
    return edge


def _picker(names: tuple[str, ...]) -> tuple[int, Any]:
    """Where the residual stands in the tuple (None, x0, x1, y); for several, -1 and what picks them."""
    if len(names) > 1:
        return -1, itemgetter(*(PLACES[n] for n in names))
    return (PLACES[names[0]] if names else 0), None


def _unary_recorder(ufunc: Any, primitive: Primitive) -> Callable[[Any], Any]:
    (rule,) = cast("tuple[Rule]", primitive.vjps)
    edge = _edge(primitive, rule, {"x": 3, "y": 0})
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
        number = wengert.tick()
        residual = value if place == 1 else out if place == 3 else pick and pick((None, value, None, out))
        entry = [number, trackers, edge, parent, residual]
        wengert.append(entry)
        if number >= wengert.limit:
            wengert.compact()
        new = _new(Recorded)
        new._value = out
        new._list = wengert
        new._entry = entry
        return new

    return call


def _binary_recorders(ufunc: Any, primitive: Primitive) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """The ways for a handle on the left, and for one on the right of something that is none."""
    rule0, rule1 = cast("tuple[Rule, Rule]", primitive.vjps)
    return _left_recorder(ufunc, primitive, rule0, rule1), _right_recorder(ufunc, primitive, rule1)


def _left_recorder(ufunc: Any, primitive: Primitive, rule0: Rule, rule1: Rule) -> Callable[[Any, Any], Any]:
    both0 = _edge(primitive, rule0, {"x0": 3, "x1": 6, "y": 0})
    both1 = _edge(primitive, rule1, {"x0": 3, "x1": 6, "y": 0})
    left = _edge(primitive, rule0, {"x0": 3, "x1": -1, "y": 0})
    (place0, pick0), (place1, pick1) = _picker(rule0.names), _picker(rule1.names)
    guards = "x1" in rule0.names
    arithmetic = ufunc in ARITHMETIC

    def call(a: Any, b: Any) -> Any:
        entry: Any
        wengert = a._list
        parent = a._entry
        trackers = parent[1]
        if trackers is not wengert.live:
            return _slow(primitive, a, b)
        x0 = a._value
        kind = type(b)
        if kind is Recorded:
            other = b._entry
            x1 = b._value
            if other[1] is not trackers or x0.shape != x1.shape or x0.dtype is not x1.dtype:
                return bind(primitive, (a, b), {})
            out = ufunc(x0, x1)
            seen = (None, x0, x1, out)
            residual = seen[place0] if place0 >= 0 else pick0(seen)
            residual1 = seen[place1] if place1 >= 0 else pick1(seen)
            number = wengert.tick()
            entry = [number, trackers, both0, parent, residual, both1, other, residual1]
        elif kind is float or kind is int:
            if arithmetic and x0.dtype is FLOAT64 and type(x0) is np.ndarray:
                try:
                    b = NUMBERS[b]
                except KeyError:
                    b = as_array(b)
            out = ufunc(x0, b)
            number = wengert.tick()
            if place0 == 2:  # a number that multiplies; the rest is rare
                residual = b
            else:
                seen = (None, x0, b, out)
                residual = seen[place0] if place0 >= 0 else pick0(seen)
            entry = [number, trackers, left, parent, residual]
        elif (
            kind is type(x0)
            and not isinstance(b, Tracer)
            and (b.shape == x0.shape or not b.shape)
            and b.dtype is x0.dtype
        ):
            out = ufunc(x0, b)
            seen = (None, x0, _guarded(b) if guards else b, out)
            number = wengert.tick()
            entry = [number, trackers, left, parent, seen[place0] if place0 >= 0 else pick0(seen)]
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


def _right_recorder(ufunc: Any, primitive: Primitive, rule: Rule) -> Callable[[Any, Any], Any]:
    right = _edge(primitive, rule, {"x0": -1, "x1": 3, "y": 0})
    place, pick = _picker(rule.names)
    guards = "x0" in rule.names
    arithmetic = ufunc in ARITHMETIC

    def call(b: Any, a: Any) -> Any:
        wengert = b._list
        parent = b._entry
        trackers = parent[1]
        x1 = b._value
        kind = type(a)
        if trackers is not wengert.live:
            return _slow(primitive, a, b)
        if kind is float or kind is int:
            if arithmetic and x1.dtype is FLOAT64 and type(x1) is np.ndarray:
                a = NUMBERS[a] if a in NUMBERS else as_array(a)
            seen = (None, a, x1, ufunc(a, x1))
        elif (
            kind is type(x1)
            and not isinstance(a, Tracer)
            and (a.shape == x1.shape or not a.shape)
            and a.dtype is x1.dtype
        ):
            seen = (None, _guarded(a) if guards else a, x1, ufunc(a, x1))
        else:
            return _slow(primitive, a, b)
        residual = seen[place] if place >= 0 else pick(seen)
        return wengert.enter(seen[3], [wengert.tick(), trackers, right, parent, residual])

    return call


def _guarded(value: Any) -> Any:
    if isinstance(value, Tracer) or (value.dtype is FLOAT64 and not value.shape and NUMBERS.get(float(value)) is value):
        return value
    backend = backend_for(value)
    return value if backend is None else backend.guard(value)


def _unary_pusher(ufunc: Any, primitive: Primitive) -> Callable[[Any], Any]:
    (rule,) = cast("tuple[Rule]", primitive.jvps)
    push = _edge(primitive, rule, {"x": 3, "y": 0})
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
        return _dual(out, push(np, tangent, seen[place] if place >= 0 else pick(seen)), accumulator)

    return call


def _binary_pushers(ufunc: Any, primitive: Primitive) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """The ways for a dual number on the left, and for one on the right of something that is none."""
    rule0, rule1 = cast("tuple[Rule, Rule]", primitive.jvps)
    push0 = _edge(primitive, rule0, {"x0": 3, "x1": 6, "y": 0})
    push1 = _edge(primitive, rule1, {"x0": 3, "x1": 6, "y": 0})
    (place0, pick0), (place1, pick1) = _picker(rule0.names), _picker(rule1.names)

    def left(a: Any, b: Any) -> Any:
        accumulator = a._accumulator
        t0 = a._tangent
        x0 = a._value
        kind = type(b)
        t1 = None
        if t0 is None or not accumulator.entered:
            return _slow(primitive, a, b)
        if kind is Dual and b._accumulator is accumulator:
            x1 = b._value
            t1 = b._tangent
        elif kind in NUMERIC or (kind is type(x0) and not isinstance(b, Tracer) and b.shape in (x0.shape, ())):
            x1 = b
        else:
            return _slow(primitive, a, b)
        out = ufunc(x0, x1)
        seen = (None, x0, x1, out)
        tangent = push0(np, t0, seen[place0] if place0 >= 0 else pick0(seen))
        if t1 is not None:
            tangent = tangent + push1(np, t1, seen[place1] if place1 >= 0 else pick1(seen))
        return _dual(out, tangent, accumulator)

    def right(b: Any, a: Any) -> Any:
        accumulator = b._accumulator
        t1 = b._tangent
        x1 = b._value
        kind = type(a)
        if t1 is None or not accumulator.entered or not (kind is float or kind is int):
            return _slow(primitive, a, b)
        out = ufunc(a, x1)
        seen = (None, a, x1, out)
        return _dual(out, push1(np, t1, seen[place1] if place1 >= 0 else pick1(seen)), accumulator)

    return left, right


def _dual(out: Any, tangent: Any, accumulator: Any) -> Dual:
    if tangent.shape != out.shape or tangent.dtype is not out.dtype:
        tangent = fit_tangent(tangent, out)
    new: Dual = _new(Dual)
    new._value = out
    new._tangent = tangent
    new._accumulator = accumulator
    return new
