"""What the files on `scipy.special` share: how its ufuncs are registered, and shapes that several rules are made of.

SciPy's ufuncs reach a traced value through `__array_ufunc__`, as NumPy's do. Most of its wrappers convert their argument
first, which no protocol can see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial as bind_first
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special

from tapeflow.core.batch import aligned
from tapeflow.core.forward import PUSHERS
from tapeflow.core.primitive import FUNCTIONS, Primitive, Rule, make_rule
from tapeflow.core.rules import Partial, call_ufunc, elementwise, unary
from tapeflow.core.tracer import Tracer, anywhere, plain
from tapeflow.core.wengert import RECORDERS
from tapeflow.errors import RuleError

__all__ = [
    "BERNOULLI",
    "HYPERGEOMETRIC_RADIUS",
    "declare",
    "declare_many",
    "declare_one",
    "enter",
    "horner",
    "inner_ufunc",
    "is_complex",
    "lower",
    "no_derivative",
    "psi_gain",
    "ratio_at_zero",
    "sf",
    "special",
    "weighted_sum",
]

# SciPy's own ufuncs, without what it wraps around them where SCIPY_ARRAY_API is set.
special: Any = SimpleNamespace(**{k: getattr(f, "__wrapped__", f) for k, f in vars(scipy.special).items()})

HYPERGEOMETRIC_RADIUS = 0.5
BLOCK = 1 << 22
BERNOULLI = [float(b) for b in special.bernoulli(24)[2::2]]  # B2, B4, ..., B24


def sf(xp: Any) -> Any:
    """Return the module of special functions that belongs to an array namespace."""
    del xp  # NumPy's are the only ones so far
    return special


def declare_one(ufunc: Any, partial: Partial, *, pole: bool = False, reason: str | None = None) -> Primitive:
    """Declare a function of one operand whose result and partial have the operand's dtype, with the fast recorder."""
    primitive = unary(ufunc, partial, pole=pole, reason=reason)
    slow = enter(ufunc, primitive)
    for table in (RECORDERS, PUSHERS):
        table[ufunc] = _unless_half(table[ufunc], slow)
    return primitive


def _unless_half(fast: Callable[[Any], Any], slow: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: slow(x) if plain(x).dtype.char == "e" else fast(x)


def enter(ufunc: Any, primitive: Primitive) -> Callable[..., Any]:
    """Make a primitive what the ufunc does for traced values."""
    FUNCTIONS[ufunc] = bind_first(_call, primitive)
    return FUNCTIONS[ufunc]


def _call(primitive: Primitive, *args: Any, **options: Any) -> Any:
    """Call a ufunc, with half precision converted beforehand, as SciPy does, so that rules see none."""
    if any(getattr(a, "dtype", None) == np.float16 for a in args):
        ufunc: Any = primitive.evaluate
        args = tuple(np.asarray(a) if isinstance(a, list) else a for a in args)
        given = [a.dtype if hasattr(a, "dtype") else type(a) for a in args]
        wanted = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
        args = tuple(a.astype(w) if hasattr(a, "dtype") else a for a, w in zip(args, wanted, strict=False))
    return call_ufunc(primitive, *args, **options)


def declare(ufunc: Any, *partials: Partial, pole: bool = False, reason: str | None = None) -> Primitive:
    """Declare an elementwise ufunc by a partial for each operand; those of `no_derivative` raise when they are asked."""
    primitive = elementwise(ufunc.__name__, ufunc, *partials, pole=pole, reason=reason)
    primitive.refuses = any(isinstance(p, Rule) and not p.names for p in partials)
    enter(ufunc, primitive)
    return primitive


def declare_many(ufunc: Any, *slopes: Callable[..., tuple[Any, ...]] | Rule) -> Primitive:
    """Declare a holomorphic ufunc with several outputs: for each operand, a tuple of the outputs' partials."""
    pairs = [(s, s) if isinstance(s, Rule) else _rules_of_many(s) for s in slopes]
    jvps, vjps = (tuple(pair[k] for pair in pairs) for k in (0, 1))
    refuses = any(isinstance(s, Rule) for s in slopes)
    primitive = Primitive(ufunc.__name__, ufunc, jvps, vjps, refuses=refuses, batch=aligned)
    enter(ufunc, primitive)
    return primitive


def _rules_of_many(slopes: Callable[..., tuple[Any, ...]]) -> tuple[Rule, Rule]:
    names = make_rule(slopes, skip=1).names

    def jvp(xp: Any, t: Any, *residuals: Any) -> tuple[Any, ...]:
        return tuple(_share(xp, t, k, s, slopes, residuals) for k, s in enumerate(slopes(xp, *residuals)))

    def vjp(xp: Any, g: Any, *residuals: Any) -> Any:
        found = slopes(xp, *residuals)
        return sum(_share(xp, part, k, s, slopes, residuals) for k, (part, s) in enumerate(zip(g, found, strict=True)))

    return Rule(jvp, names), Rule(vjp, names)


def _share(xp: Any, g: Any, k: int, slope: Any, slopes: Any, residuals: tuple[Any, ...]) -> Any:
    """Product with one output's partial, where zero times an infinite one is zero (as for `unary(..., pole=True)`)."""
    if anywhere(~xp.isfinite(slope)):
        masked = (g == 0) & ~xp.isfinite(slope)
        slope = slopes(xp, *(_elsewhere(xp, masked, r) for r in residuals))[k]
    return g * slope


def _elsewhere(xp: Any, masked: Any, x: Any) -> Any:
    return tuple(_elsewhere(xp, masked, part) for part in x) if isinstance(x, tuple) else xp.where(masked, 1, x)


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


def is_complex(x: Any) -> bool:
    """Whether a value is complex; NumPy's arithmetic can leave a Python number in a rule."""
    return x.dtype.kind == "c" if hasattr(x, "dtype") else isinstance(x, complex)


def lower(xp: Any, n: Any) -> Any:
    """Return the degree n - 1, and 0 for n = 0, where the factor n is zero anyway."""
    return max(n - 1, 0) if isinstance(n, int) else xp.where(n == 0, 0, n - 1)


def ratio_at_zero(xp: Any, x: Any, series: Callable[[Any], Any], ratio: Callable[[Any], Any]) -> Any:
    """Evaluate a ratio that loses digits near 0: by `series` there, by `ratio` elsewhere, neither on the other's ground."""
    near = xp.abs(x) < HYPERGEOMETRIC_RADIUS
    return xp.where(near, series(xp.where(near, x, 0.0)), ratio(xp.where(near, 1.0, x)))


def horner(coefficients: list[float], x: Any) -> Any:
    """Evaluate a polynomial, lowest coefficient first."""
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def psi_gain(xp: Any, a: Any, b: Any) -> Any:
    """psi(a + b) - psi(a), without cancellation where a and a + b are positive (DLMF 5.5.2, 5.11.2)."""
    good = (a > 0) & (a + b > 0)
    u, d = xp.where(good, a, 1.0), xp.where(good, b, 0.0)
    steps = sum(d / ((u + k) * (u + d + k)) for k in range(10))
    u = u + 10
    growth = xp.log1p(d / u)
    tail = sum(c / (2 * k) * u ** (-2 * k) * xp.expm1(-2 * k * growth) for k, c in enumerate(BERNOULLI[:8], 1))
    by_parts = steps + growth + d / (2 * u * (u + d)) - tail
    u, v = xp.where(good, 1.0, a), xp.where(good, 1.0, a + b)
    return xp.where(good, by_parts, sf(xp).psi(v) - sf(xp).psi(u))


def weighted_sum(xp: Any, nodes: Any, weights: Any, like: Any, term: Callable[[Any, Any], Any]) -> Any:
    """Sum ``term(node, weight)`` over nodes on a last axis, so many at a time that temporaries stay below 32 MB.

    A term is of the size of `like`, with all that a batch of it has.
    """
    while isinstance(like, Tracer):
        like = like._value
    step = max(1, min(len(nodes), BLOCK // max(like.size, 1)))
    blocks = (slice(k, k + step) for k in range(0, len(nodes), step))
    return sum(xp.sum(term(nodes[block], weights[block]), axis=-1) for block in blocks)
