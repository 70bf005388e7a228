"""What the files on `scipy.special` share: how its ufuncs are registered, and shapes that several rules are made of.

SciPy's ufuncs reach a traced value through `__array_ufunc__`, as NumPy's do. Most of its wrappers convert their argument
first, which no protocol can see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial as bind_first
from typing import Any

from scipy import special

from tapeflow.core.primitive import FUNCTIONS, Primitive, Rule, make_rule
from tapeflow.core.rules import Partial, call_ufunc, elementwise, unary
from tapeflow.core.tracer import plain
from tapeflow.core.wengert import RECORDERS
from tapeflow.errors import RuleError

__all__ = ["declare", "declare_many", "declare_one", "inner_ufunc", "lower", "no_derivative", "ratio_at_zero", "sf"]

HYPERGEOMETRIC_RADIUS = 0.5


def sf(xp: Any) -> Any:
    """Return the module of special functions that belongs to an array namespace."""
    del xp  # NumPy's are the only ones so far
    return special


def declare_one(ufunc: Any, partial: Partial, *, pole: bool = False, reason: str | None = None) -> Primitive:
    """Declare a function of one operand whose result has the operand's dtype, with the fast recorder."""
    primitive = unary(ufunc, partial, pole=pole, reason=reason)
    RECORDERS[ufunc] = _unless_converted(RECORDERS[ufunc], FUNCTIONS[ufunc])
    return primitive


def _unless_converted(fast: Callable[[Any], Any], slow: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # SciPy computes half precision in double, and the fast edges do not convert back.
    return lambda x: slow(x) if plain(x).dtype.char == "e" else fast(x)


def declare(ufunc: Any, *partials: Partial, pole: bool = False, reason: str | None = None) -> Primitive:
    """Declare an elementwise ufunc by a partial for each operand; those of `no_derivative` raise when they are asked."""
    primitive = elementwise(ufunc.__name__, ufunc, *partials, pole=pole, reason=reason)
    primitive.refuses = any(isinstance(p, Rule) and not p.names for p in partials)
    FUNCTIONS[ufunc] = bind_first(call_ufunc, primitive)
    return primitive


def declare_many(ufunc: Any, *slopes: Callable[..., tuple[Any, ...]] | Rule) -> Primitive:
    """Declare a holomorphic ufunc with several outputs: for each operand, a tuple of the outputs' partials."""
    pairs = [(s, s) if isinstance(s, Rule) else _rules_of_many(s) for s in slopes]
    jvps, vjps = (tuple(pair[k] for pair in pairs) for k in (0, 1))
    primitive = Primitive(ufunc.__name__, ufunc, jvps, vjps, refuses=any(isinstance(s, Rule) for s in slopes))
    FUNCTIONS[ufunc] = bind_first(call_ufunc, primitive)
    return primitive


def _rules_of_many(slopes: Callable[..., tuple[Any, ...]]) -> tuple[Rule, Rule]:
    names = make_rule(slopes, skip=1).names

    def jvp(xp: Any, t: Any, *residuals: Any) -> tuple[Any, ...]:
        return tuple(t * s for s in slopes(xp, *residuals))

    def vjp(xp: Any, g: Any, *residuals: Any) -> Any:
        return sum(part * s for part, s in zip(g, slopes(xp, *residuals), strict=True))

    return Rule(jvp, names), Rule(vjp, names)


def no_derivative(function: str, operand: str, why: str = "has no closed form") -> Rule:
    """Stand in the place of a partial that is not known: asking for it is an error, never zero."""

    def refuse(xp: Any, g: Any) -> Any:
        short = operand.split()[-1]
        raise RuleError(
            f"scipy.special.{function}: the derivative in the {operand} {why}; pass {short} as a plain number or array "
            f"({short}.numpy() if it is traced)"
        )

    return Rule(refuse, ())


class _Probe:
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return ufunc


def inner_ufunc(function: Callable[..., Any], *args: Any) -> Any:
    """Return the ufunc that a wrapper of SciPy hands its last argument to."""
    return function(*args, _Probe())


def lower(xp: Any, n: Any) -> Any:
    """Return the degree n - 1, and 0 for n = 0, where the factor n is zero anyway."""
    return max(n - 1, 0) if isinstance(n, int) else xp.where(n == 0, 0, n - 1)


def ratio_at_zero(xp: Any, x: Any, series: Callable[[Any], Any], ratio: Callable[[Any], Any]) -> Any:
    """Evaluate a ratio that loses digits near 0: by `series` there, by `ratio` elsewhere, neither on the other's ground."""
    near = xp.abs(x) < HYPERGEOMETRIC_RADIUS
    return xp.where(near, series(xp.where(near, x, 0.0)), ratio(xp.where(near, 1.0, x)))
