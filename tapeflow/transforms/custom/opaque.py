"""Rules that are foreign code: called on plain arrays, whatever level asks.

Such a rule is linear in its tangents or cotangents, so in these it has derivatives: it is its own JVP. A derivative
with respect to anything else is an error, raised when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from tapeflow import pytree
from tapeflow.core.batch import each
from tapeflow.core.primitive import Primitive, Rule
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError, NotDifferentiableError, TapeError, TracedConversionError
from tapeflow.transforms.custom.checks import meta
from tapeflow.transforms.custom.transpose import seeded

__all__ = ["attempted", "opaque"]


class _Opaque(Primitive):
    __slots__ = ("__weakref__",)


def attempted(what: str, function: Callable[..., Sequence[Any]], linear: Any, *rest: Any) -> Sequence[Any]:
    """Call a rule; if it cannot be called on traced values, on the plain ones that they stand for.

    Parameters
    ----------
    what : str
        For messages.
    function : callable
        ``function(linear, *rest)`` returns a sequence of arrays.
    linear : pytree
        Tangents or cotangents, in which it is linear.
    *rest : pytree
        Its other arguments.
    """
    if not any(isinstance(x, Tracer) for x in pytree.flatten((linear, rest))[0]):
        return function(linear, *rest)
    try:
        return function(linear, *rest)
    except Exception as error:
        if not _is_foreign(error):
            raise
        return opaque(what, f"it is foreign code ({type(error).__name__})", function, linear, *rest)


def opaque(what: str, why: str, function: Callable[..., Sequence[Any]], linear: Any, *rest: Any) -> Sequence[Any]:
    """Call a function on plain arrays; for the parameters see `attempted`."""
    first, _ = pytree.flatten(linear)
    leaves, spec = pytree.flatten((linear, *rest))
    places = [k for k, x in enumerate(leaves) if isinstance(x, Tracer) or (k < len(first) and hasattr(x, "shape"))]

    def evaluate(*values: Any) -> tuple[Any, ...]:
        filled = list(leaves)
        for k, v in zip(places, values, strict=True):
            filled[k] = v
        return tuple(function(*pytree.unflatten(spec, filled)))

    def at(t: Any, i: int, xs: Sequence[Any]) -> Any:
        """The value with one of the linear arguments, and nothing for the others."""
        if places[i] >= len(first):
            raise NotDifferentiableError(
                f"{what} is to be differentiated itself, for a derivative of higher order, but {why}. Give a rule that is "
                "written with NumPy's functions, or that calls primitives"
            )
        values = (np.zeros_like(x) if places[k] < len(first) else x for k, x in enumerate(xs))
        return itself()(*(t if k == i else v for k, v in enumerate(values)))

    def push(xp: Any, t: Any, i: int, xs: Sequence[Any]) -> Any:
        return at(t, i, xs)

    def pull(xp: Any, g: Any, i: int, xs: Sequence[Any]) -> Any:
        return seeded(xp, lambda t: at(t, i, xs), [meta(xs[i])], g, what)[0]

    jvps, vjps = (Rule(push, ("i", "xs")),), (Rule(pull, ("i", "xs")),)
    primitive = _Opaque(what, evaluate, jvps, vjps, variadic=True, refuses=True, batch=each)
    itself: Any = ref(primitive)  # weakly, so that it goes with the last entry that needs it
    return primitive(*(leaves[k] for k in places)) if places else function(linear, *rest)


def _is_foreign(error: Exception) -> bool:
    """Whether an exception is what code raises that is given a traced value and wants an array."""
    if isinstance(error, TapeError):
        return isinstance(error, (TracedConversionError, MissingRuleError))
    return isinstance(error, (TypeError, AttributeError)) or type(error).__name__ == "ArgumentError"
