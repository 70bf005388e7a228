"""Values of several levels, as a tape meets them: taken apart, and put together again."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.forward import Dual, dual
from tapeflow.core.reverse import identity_edge
from tapeflow.core.tracer import Tracer
from tapeflow.core.wengert import Recorded
from tapeflow.recorders.variable import Variable

__all__ = ["joined", "lifted_like", "split", "still_traced", "with_value"]


def still_traced(value: Any) -> Any:
    """Strip levels that are over: their handles behave as their values."""
    while isinstance(value, Recorded) and not value._list.members:
        value = value._value
    return value


def with_value(value: Any, inner: Any) -> Any:
    """A copy of a traced value that holds another value of the outer level."""
    if not isinstance(value, Recorded):
        new = value._twin()
        new._value = inner
        return new
    wengert = value._list
    wengert.special = True
    return wengert.enter(inner, [wengert.tick(), value._entry[1], identity_edge, value._entry, None])


def split(value: Any, accumulator: Any) -> tuple[Any, Any]:
    """A value as primal and tangent of an accumulator."""
    if isinstance(value, Dual) and value._accumulator is accumulator:
        return value._value, value._tangent
    return value, None


def joined(primal: Any, tangent: Any, accumulator: Any) -> Any:
    """The dual number of a primal and a tangent, of which either may be missing."""
    if primal is None and tangent is None:
        return None
    if primal is None:
        primal = np.zeros(tangent.shape, tangent.dtype)
    return dual(primal, tangent, accumulator)


def lifted_like(g: Any, source: Any, level: int, others: Any) -> Any:
    """Give a plain result the outer levels of its source, so that an outer tape knows it for unconnected."""
    if isinstance(g, Tracer) or isinstance(source, Variable):
        return g
    while isinstance(source, Tracer) and source._level > level:
        source = source._value
    if isinstance(source, Recorded) and not others.isdisjoint(source._entry[1]):
        return source._lift(g)
    outer = getattr(source, "_value", None)
    return outer._lift(g) if isinstance(outer, Tracer) else g
