"""Rules that are foreign code: called on plain arrays, whatever level asks; a derivative of theirs is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapeflow import pytree
from tapeflow.core.batch import each
from tapeflow.core.primitive import Primitive, Rule
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError, NotDifferentiableError, TapeError, TracedConversionError

__all__ = ["attempted", "opaque"]


def attempted(what: str, function: Callable[..., Sequence[Any]], *trees: Any) -> Sequence[Any]:
    """Call a rule; if it cannot be called on traced values, on the plain ones that they stand for.

    Parameters
    ----------
    what : str
        For messages.
    function : callable
        Returns a sequence of arrays.
    *trees : pytree
        Its arguments.
    """
    if not any(isinstance(x, Tracer) for x in pytree.flatten(trees)[0]):
        return function(*trees)
    try:
        return function(*trees)
    except Exception as error:
        if not _is_foreign(error):
            raise
        return opaque(what, f"it is foreign code ({type(error).__name__}: {error!s:.200})", function, *trees)


def opaque(what: str, why: str, function: Callable[..., Sequence[Any]], *trees: Any) -> Sequence[Any]:
    """Call a function on plain arrays: a primitive without rules, made for the occasion."""
    leaves, spec = pytree.flatten(trees)
    places = [k for k, x in enumerate(leaves) if isinstance(x, Tracer)]

    def evaluate(*values: Any) -> tuple[Any, ...]:
        filled = list(leaves)
        for k, v in zip(places, values, strict=True):
            filled[k] = v
        return tuple(function(*pytree.unflatten(spec, filled)))

    def refuse(xp: Any, g: Any, **params: Any) -> Any:
        raise NotDifferentiableError(
            f"{what} is to be differentiated itself, for a derivative of higher order, but {why}. Give a rule that is "
            "written with NumPy's functions, or that calls primitives"
        )

    rules = (Rule(refuse, ()),)
    primitive = Primitive(what, evaluate, rules, rules, variadic=True, refuses=True, batch=each)
    return primitive(*(leaves[k] for k in places)) if places else function(*trees)


def _is_foreign(error: Exception) -> bool:
    """Whether an exception is what code raises that is given a traced value and wants an array."""
    if isinstance(error, TapeError):
        return isinstance(error, (TracedConversionError, MissingRuleError))
    return isinstance(error, (TypeError, AttributeError)) or type(error).__name__ == "ArgumentError"
