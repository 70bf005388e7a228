"""Forward mode: dual numbers, and how primitives push tangents forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.core.primitive import Primitive
from tapeflow.core.tracer import Tracer, call_unwrapped
from tapeflow.core.wengert import evaluate, keep, makes_constant
from tapeflow.core.writes import Step, assigned, derived, refreshes, relate, viewed
from tapeflow.errors import described, missing_rule

__all__ = ["PUSHERS", "Dual", "dual", "fit_tangent", "push_forward"]

# Fast ways to push ufuncs forward, entered by core/rules.py.
PUSHERS: dict[Any, Callable[..., Any]] = {}


class Dual(Tracer):
    """A primal value with its tangent; a tangent of ``None`` is zero."""

    __slots__ = ("__weakref__", "_accumulator", "_family", "_tangent", "_value")

    _accumulator: Any  # has `level` and `entered`
    _tangent: Any

    @property
    def _level(self) -> int:
        return self._accumulator.level

    @property
    def _live(self) -> bool:
        return self._accumulator.entered and self._tangent is not None

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return push_forward(self._accumulator, primitive, args, params)

    @property
    def _open(self) -> bool:
        return bool(self._accumulator.entered)

    def _lift(self, value: Any) -> Any:
        return dual(value, None, self._accumulator)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        if self._live:
            raise missing_rule(function)
        return call_unwrapped(function, args, kwargs, lambda x: x._value if isinstance(x, Dual) else x)

    def _state(self) -> str:
        return "accumulating" if self._accumulator.entered else "accumulator closed"

    # ---- what writes ask for (see core/writes.py)

    def _twin(self) -> Dual:
        return dual(self._value, self._tangent, self._accumulator)

    def _drop(self) -> None:
        self._value = self._tangent = None

    def _become(self, new: Dual) -> None:
        self._value, self._tangent = new._value, new._tangent

    def _watched(self) -> None:
        return None

    def _derive(self, parent: Dual, step: Step) -> None:
        self._accumulator = parent._accumulator
        self._value = derived(parent._value, step)
        tangent = parent._tangent
        self._tangent = None if tangent is None else derived(tangent, step)

    def _write(self, steps: tuple[Step, ...], index: Any, value: Any) -> None:
        tangent = None
        if isinstance(value, Dual) and value._accumulator is self._accumulator:
            value, tangent = value._value, value._tangent
        if tangent is not None or self._tangent is not None:
            if self._tangent is None:
                self._tangent = np.zeros_like(self._value)
            tangent = 0 if tangent is None else tangent
            self._tangent = assigned(self, "_tangent", steps, index, tangent)
        self._value = assigned(self, "_value", steps, index, value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Push a ufunc forward."""
        if not kwargs and method == "__call__":
            push = PUSHERS.get(ufunc)
            if push is not None:
                return push(*inputs)
        return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)


refreshes(Dual, "_value", "_tangent")
_new = object.__new__


def dual(primal: Any, tangent: Any, accumulator: Any) -> Dual:
    """Make a dual number."""
    new: Dual = _new(Dual)
    new._value = primal
    new._tangent = tangent
    new._accumulator = accumulator
    return new


def push_forward(accumulator: Any, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Evaluate a primitive on the primals, and its derivative on the tangents."""
    primals: list[Any] = []
    tangents: list[Any] = []
    for a in args:
        mine = type(a) is Dual and a._accumulator is accumulator
        primals.append(a._value if mine else np.asarray(a) if type(a) is list else a)
        tangents.append(a._tangent if mine else None)
    out = evaluate(primitive, primals, params)
    if not accumulator.entered:
        return out
    if primitive.view is not None:
        out, shared = viewed(args[0], primals[0], out)
        if shared and makes_constant(out):
            tangent = None if tangents[0] is None else primitive(tangents[0], **params)
            new: Dual = _wrap(accumulator, out, tangent)
            relate(args[0], new, primitive.view(params))
            return new
    if primitive.push is not None:
        return _wrap(accumulator, out, primitive.push(primals, tangents, out, {**params, "level": accumulator.level}))
    if primitive.linear:
        return _wrap(accumulator, out, _push_linear(primitive, primals, tangents, params))
    total: Any = None
    for i, t in enumerate(tangents):
        if t is not None:
            c = _contribution(primitive, i, t, primals, out, params)
            total = c if total is None else _add(total, c)
    return _wrap(accumulator, out, total)


def _push_linear(primitive: Primitive, primals: list[Any], tangents: list[Any], params: dict[str, Any]) -> Any:
    """All operands at once: one by one, joining n arrays would take n**2."""
    if all(t is None for t in tangents):
        return None
    zeros = (np.zeros_like(x) if t is None else t for x, t in zip(primals, tangents, strict=True))
    return primitive(*zeros, **params)


def _contribution(primitive: Primitive, i: int, t: Any, primals: list[Any], out: Any, params: dict[str, Any]) -> Any:
    rule = primitive.jvps[0 if primitive.variadic else i]
    if rule is None:
        raise TypeError(f"{primitive.name} has no derivative with respect to operand {i}")
    try:
        return rule.function(np, t, *keep(rule, i, primals, out), **params)
    except Exception as error:
        what = f"operand {i} of shape {described(primals[i])}, tangent of shape {described(t)}"
        error.add_note(f"in the forward rule of {primitive.name}, {what}")
        raise


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(_add(x, y) for x, y in zip(a, b, strict=True))
    return b if a is None else a if b is None else a + b


def _wrap(accumulator: Any, out: Any, tangent: Any) -> Any:
    if isinstance(out, tuple):
        tangents = [None] * len(out) if tangent is None else tangent
        return tuple(_wrap(accumulator, y, t) for y, t in zip(out, tangents, strict=True))
    if not makes_constant(out):
        return out
    return dual(out, None if tangent is None else fit_tangent(tangent, out), accumulator)


def fit_tangent(tangent: Any, primal: Any) -> Any:
    """Bring a tangent to the shape and dtype of its primal (an operand may have been broadcast or converted)."""
    if tangent.shape != primal.shape:
        tangent = np.broadcast_to(tangent, primal.shape)
    if tangent.dtype != primal.dtype:
        tangent = tangent.astype(primal.dtype)
    return tangent
