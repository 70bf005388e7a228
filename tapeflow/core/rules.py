"""The kinds of primitive, and what the engine derives from each declaration.

============== ============================================= ==========================================
kind           a declaration gives                           the engine derives
============== ============================================= ==========================================
elementwise    one local partial for each operand            JVP, VJP, batching, fast recorders
linear         the transpose                                 JVP (itself on the tangent), VJP
general        a JVP and a VJP for each operand              --
non-diff.      the reason                                    plain values, or zeros
============== ============================================= ==========================================

Rules take the array namespace ``xp`` first; the names of their other parameters say what they need (see `Rule`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial as bind_first
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.batch import Batched, loop
from tapeflow.core.fast import install_binary, install_unary
from tapeflow.core.primitive import FUNCTIONS, Primitive, Rule, bind, make_rule
from tapeflow.core.tracer import anywhere, plain
from tapeflow.errors import undefined_elements

__all__ = ["Partial", "binary", "elementwise", "general", "linear", "nondifferentiable", "share", "unary"]

Partial = Callable[..., Any] | Rule | float | int


def unary(ufunc: Any, partial: Partial, *, pole: bool = False, reason: str | None = None) -> Primitive:
    """Declare an elementwise function of one operand by its derivative.

    Parameters
    ----------
    ufunc : NumPy ufunc
        The function.
    partial : callable or number
        ``partial(xp, x)``, ``partial(xp, y)`` with the output, or both; or a constant.
    pole : bool
        Whether the derivative can be infinite where the function is defined. There a zero tangent stays zero, so that
        ``np.sqrt(x * x)`` has the derivative 0 at 0. (Reverse sweeps look after their cotangents themselves.)
    reason : str, optional
        Why the derivative is zero, for step functions.
    """
    primitive = elementwise(ufunc.__name__, ufunc, partial, pole=pole, reason=reason)
    install_unary(ufunc, primitive)
    FUNCTIONS[ufunc] = bind_first(call_ufunc, primitive)
    return primitive


def binary(
    ufunc: Any,
    partial0: Partial,
    partial1: Partial,
    *,
    pole: bool = False,
    selects: bool = False,
    reason: str | None = None,
) -> Primitive:
    """Declare an elementwise function of two operands by its two partial derivatives.

    The partials see the operands as ``x0``, ``x1`` and the output as ``y``.
    """
    primitive = elementwise(ufunc.__name__, ufunc, partial0, partial1, pole=pole, selects=selects, reason=reason)
    install_binary(ufunc, primitive)
    FUNCTIONS[ufunc] = bind_first(call_ufunc, primitive)
    return primitive


def elementwise(
    name: str,
    evaluate: Callable[..., Any],
    *partials: Partial | None,
    pole: bool = False,
    selects: bool = False,
    reason: str | None = None,
) -> Primitive:
    """Declare an elementwise function of any number of operands; ``None`` for one without a derivative.

    `selects` says that the function chooses between its operands (see `Primitive`).
    """
    vjps = tuple(None if p is None else _product_rule(p) for p in partials)
    jvps = tuple(None if p is None else _product_rule(p, pole) for p in partials)
    return Primitive(name, evaluate, jvps, vjps, elementwise=True, selects=selects, reason=reason)


def share(function: Callable[..., Any]) -> Rule:
    """Declare an operand's share by ``function(xp, g, ...)`` instead of a partial; it must be linear in ``g``."""
    return make_rule(function, skip=2)


def _product_rule(partial: Partial, pole: bool = False) -> Rule:
    """Partial times tangent, which is also partial times (conjugated) cotangent."""
    if isinstance(partial, Rule):
        return partial
    if not callable(partial):
        return Rule(_number_rule(partial), ())
    names = make_rule(partial, skip=1).names
    if pole:
        return Rule(lambda xp, g, *residuals: _product_at_poles(xp, g, partial, residuals), names)
    if len(names) == 1:
        return Rule(lambda xp, g, residual: g * partial(xp, residual), names)
    return Rule(lambda xp, g, *residuals: g * partial(xp, *residuals), names)


def _number_rule(partial: float) -> Callable[..., Any]:
    # The unused residual makes these rules edges as they stand.
    if partial == 1:
        return lambda xp, g, residual=None: g
    if partial == -1:
        return lambda xp, g, residual=None: -g
    if partial == 0:
        return lambda xp, g, residual=None: xp.zeros_like(g)
    return lambda xp, g, residual=None: g * partial


def _product_at_poles(xp: Any, g: Any, partial: Callable[..., Any], residuals: Any) -> Any:
    slope = partial(xp, *residuals)
    if anywhere(~xp.isfinite(slope)):
        # Evaluated elsewhere, not only replaced: the slope's own derivative must not meet the pole either.
        bad = (g == 0) & ~xp.isfinite(slope)
        return xp.where(bad, 0, g * partial(xp, *(xp.where(bad, 1, r) for r in residuals)))
    return g * slope


def linear(
    name: str,
    evaluate: Callable[..., Any],
    transpose: Callable[..., Any] | None = None,
    *,
    deposit: Primitive | None = None,
    variadic: bool = False,
    view: Callable[[dict[str, Any]], Any] | None = None,
    batch: Callable[..., Any] | None = None,
) -> Primitive:
    """Declare a function that is linear in all its operands together.

    Parameters
    ----------
    name : str
        Name of the primitive.
    evaluate : callable
        ``evaluate(x, **params)``, or ``evaluate(*xs, **params)`` for a variadic one.
    transpose : callable
        ``transpose(xp, g, ..., **params)``, for a variadic one of the operand ``i``.
    deposit : Primitive, optional
        See `Primitive`; stands in place of the transpose.
    variadic : bool
        Whether the number of operands is open.
    view, batch : callable, optional
        See `Primitive`, and :mod:`tapeflow.core.batch`.
    """
    vjp = None if transpose is None else make_rule(transpose, skip=2)
    return Primitive(
        name, evaluate, vjps=(vjp,), variadic=variadic, deposit=deposit, linear=True, view=view, batch=batch
    )


def general(
    name: str,
    evaluate: Callable[..., Any],
    jvp: Callable[..., Any] | tuple[Callable[..., Any] | None, ...],
    vjp: Callable[..., Any] | tuple[Callable[..., Any] | None, ...],
    *,
    variadic: bool = False,
    refuses: bool = False,
    selects: bool = False,
    view: Callable[[dict[str, Any]], Any] | None = None,
    batch: Callable[..., Any] | None = None,
) -> Primitive:
    """Declare a function by its rules: ``jvp(xp, t, ...)`` and ``vjp(xp, g, ...)``, one of each for every operand.

    A rule for one operand gives that operand's share; the engine adds the shares up. With several outputs a JVP returns
    a tuple, and the VJP's ``g`` is one. `refuses` says that a VJP may raise where there is no derivative.
    For `selects`, `view` and `batch` see `Primitive`.
    """
    jvps = jvp if isinstance(jvp, tuple) else (jvp,)
    vjps = vjp if isinstance(vjp, tuple) else (vjp,)
    return Primitive(
        name,
        evaluate,
        tuple(f and make_rule(f, skip=2) for f in jvps),
        tuple(f and make_rule(f, skip=2) for f in vjps),
        variadic=variadic,
        refuses=refuses,
        selects=selects,
        view=view,
        batch=batch,
    )


def nondifferentiable(function: Any, reason: str, *, batch: Callable[..., Any] | None = None) -> Primitive:
    """Declare a function whose results carry no derivative (comparisons, indices), and say why.

    Inside a batch it is called once for each element, unless it is a ufunc, or `batch` is called in its place.
    """
    primitive = Primitive(
        function.__name__, function, elementwise=isinstance(function, np.ufunc), reason=reason, batch=batch
    )
    FUNCTIONS[function] = bind_first(call_plainly, primitive)
    return primitive


def call_plainly(primitive: Primitive, *args: Any, **kwargs: Any) -> Any:
    """Call on the values without their derivatives, since what comes out has none."""
    batch: Batched | None = None

    def unwrap(x: Any) -> Any:
        nonlocal batch
        x = plain(x)
        if isinstance(x, Batched) and (batch is None or x._level > batch._level):
            batch = x
        return x

    args, kwargs = pytree.map_leaves(unwrap, (args, kwargs))
    if batch is None:
        return primitive.evaluate(*args, **kwargs)
    if primitive.batch is not None:
        return primitive.batch(*args, **kwargs)
    if primitive.elementwise and not kwargs:
        return bind(primitive, args, {})
    return loop(batch._batch, primitive.evaluate, args, kwargs)


def call_ufunc(primitive: Primitive, *args: Any, where: Any = True, dtype: Any = None, **options: Any) -> Any:
    """Call a ufunc with keywords; `casting`, `order` and `subok` change nothing for values that a tape makes."""
    if where is not True:
        raise undefined_elements(primitive.name)
    for name in set(options) - {"casting", "order", "subok"}:
        raise TypeError(f"np.{primitive.name}: {name!r} is not supported for traced values")
    if dtype is not None:
        args = tuple(a.astype(dtype) if hasattr(a, "astype") else a for a in args)
    return bind(primitive, args, {})
