"""Array arguments as NumPy takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.batch import Batched
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer, plain, settled
from tapeflow.ops.assembly import assemble, holds_traced

__all__ = ["agreed", "as_array", "known", "somewhere", "values_of"]


def as_array(argument: Any) -> Any:
    """Make an array of what a caller may pass for one: an array, a number, or nested lists, also of traced values."""
    if hasattr(argument, "shape"):
        return argument
    if isinstance(argument, np.poly1d):
        return argument.coeffs
    return assemble(argument) if holds_traced(argument) else np.asarray(argument)


def agreed(values: Any) -> Any:
    """Plain values to decide by. Those of a batch must be the same for all its elements; else it is gone through."""
    values = held = plain(values)
    while isinstance(held, Batched):
        held = held._value
    if isinstance(held, Tracer):
        return settled(held)
    if held is values:
        return values
    each = np.reshape(held, (-1, *values.shape))
    return each[0] if len(each) and np.array_equal(each, np.broadcast_to(each[0], each.shape)) else settled(values)


def somewhere(condition: Any) -> bool:
    """Whether a condition may hold for some element; of values that are not known, such as those of a batch, it may."""
    return isinstance(condition, Traced) or bool(np.any(condition))


def known(condition: Any) -> bool:
    """Whether a condition is known to hold for some element, so that it can be warned of or refused."""
    return not isinstance(condition, Traced) and bool(np.any(condition))


def values_of(argument: Any, name: str) -> Any:
    """Values without their derivatives, for a function that finds by them what it picks or counts."""
    value = plain(argument)
    if isinstance(value, Tracer):
        value._guard(f"np.{name}, whose result has as many elements as it finds,")
    return value
