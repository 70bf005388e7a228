"""Truncated Taylor series: values along a path ``x(t)``, and how primitives carry them along.

A `Series` holds a primal value ``x_0`` and the coefficients ``x_1, x_2, ...`` of ``x(t) = x_0 + x_1 t + x_2 t**2 + ...``;
``None`` stands for a coefficient that is zero. The rule of every primitive follows from its JVP rules: along the path

    ``dy/dt = sum_i jvp_i(dx_i/dt; x(t), y(t))``, so that ``k y_k`` is the coefficient ``k - 1`` of the right-hand side

(A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., section 13.2). Rules are code over arrays, so they can be called
with series that are truncated one order earlier. Three kinds of share of an operand are told apart, by the residuals
that its rule asks for:

- residuals that do not depend on t: the derivative is constant, and acts coefficient by coefficient;
- residuals that do, without the output: one evaluation gives all coefficients;
- the output among them: a coefficient at a time, since each needs those before.

Primitives in `RECURRENCES` have something better, see :mod:`tapeflow.transforms.taylor_recurrences`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from tapeflow.core import stack
from tapeflow.core.forward import fit_tangent
from tapeflow.core.primitive import Primitive, Rule, next_level
from tapeflow.core.tracer import Tracer, anywhere, call_unwrapped
from tapeflow.core.wengert import evaluate, keep, makes_constant
from tapeflow.core.writes import Step, assigned, derived, refreshes, relate, viewed
from tapeflow.errors import described, missing_rule

__all__ = ["RECURRENCES", "Coefficients", "Expansion", "Recurrence", "Series", "plus", "series"]

# Orders 1, 2, ...; None is zero.
Coefficients = list[Any]

# recurrence(primals, coefficients of each operand or None for a constant, output, order, params), or NotImplemented.
Recurrence = Callable[[list[Any], list[Coefficients | None], Any, int, dict[str, Any]], Any]
RECURRENCES: dict[Primitive, Recurrence] = {}


class Expansion:
    """A level: the block in which values are series."""

    __slots__ = ("_place", "entered", "level")

    def __init__(self) -> None:
        self.level = next_level()
        self.entered = False

    def __enter__(self) -> Self:
        self.entered = True
        self._place = stack.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False
        stack.leave(self, self._place)

    def read(self, variable: Any, value: Any) -> Any:
        """Return the value of a variable, which is a constant here."""
        return value


class Series(Tracer):
    """A value along a path, as a truncated Taylor series."""

    __slots__ = ("__weakref__", "_coefficients", "_expansion", "_family", "_value")

    _expansion: Expansion
    _coefficients: Coefficients

    @property
    def _level(self) -> int:
        return self._expansion.level

    @property
    def _live(self) -> bool:
        return self._expansion.entered and not _is_constant(self._coefficients)

    @property
    def _open(self) -> bool:
        return self._expansion.entered

    @property
    def _tangent(self) -> Any:
        """The derivative along the path, ``None`` for zero: what core/poles.py asks before it takes a zero for one."""
        return None if _is_constant(self._coefficients) else _rate(self, len(self._coefficients) - 1)

    def _lift(self, value: Any) -> Series:
        return series(value, [None] * len(self._coefficients), self._expansion)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        if self._live:
            raise missing_rule(function)
        return call_unwrapped(function, args, kwargs, lambda x: x._value if isinstance(x, Series) else x)

    def _state(self) -> str:
        return f"order {len(self._coefficients)}" if self._expansion.entered else "expansion closed"

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return _propagate(self._expansion, primitive, args, params)

    # ---- what writes ask for (see core/writes.py)

    def _twin(self) -> Series:
        return series(self._value, list(self._coefficients), self._expansion)

    def _drop(self) -> None:
        self._value = None
        self._coefficients = []

    def _become(self, new: Series) -> None:
        self._value, self._coefficients = new._value, list(new._coefficients)

    def _watched(self) -> None:
        return None

    def _derive(self, parent: Series, step: Step) -> None:
        self._expansion = parent._expansion
        self._value = derived(parent._value, step)
        self._coefficients = [None if c is None else derived(c, step) for c in parent._coefficients]

    def _write(self, steps: tuple[Step, ...], index: Any, value: Any) -> None:
        mine = self._coefficients
        theirs: Coefficients = [None] * len(mine)
        if isinstance(value, Series) and value._expansion is self._expansion:
            value, theirs = value._value, value._coefficients
            del mine[len(theirs) :]
        cell = _Cell()
        for k in range(len(mine)):
            if mine[k] is not None or theirs[k] is not None:
                # Nobody but the cell may refer to the coefficient, or it is copied.
                cell.held, mine[k] = np.zeros_like(self._value) if mine[k] is None else mine[k], None
                mine[k] = assigned(cell, "held", steps, index, 0 if theirs[k] is None else theirs[k])
        self._value = assigned(self, "_value", steps, index, value)


class _Cell:
    """A place for one array while it is written to."""

    __slots__ = ("held",)
    held: Any


refreshes(Series, "_value", "_coefficients")
_new = object.__new__


def series(primal: Any, coefficients: Coefficients, expansion: Expansion) -> Series:
    """Make a series."""
    new: Series = _new(Series)
    new._value = primal
    new._coefficients = coefficients
    new._expansion = expansion
    return new


def plus(a: Any, b: Any) -> Any:
    """Sum of two coefficients, of each output of several."""
    if a is None or b is None:
        return b if a is None else a
    return tuple(map(plus, a, b)) if isinstance(a, tuple) else a + b


def _is_constant(coefficients: Coefficients) -> bool:
    return all(c is None for c in coefficients)


def _propagate(expansion: Expansion, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Evaluate a primitive on the primals, and its series on the coefficients."""
    primals: list[Any] = []
    moving: list[Coefficients | None] = []
    order = None
    for a in args:
        if type(a) is Series and a._expansion is expansion:
            own = a._coefficients
            primals.append(a._value)
            moving.append(None if _is_constant(own) else own)
            order = len(own) if order is None else min(order, len(own))
        else:
            primals.append(np.asarray(a) if type(a) is list else a)
            moving.append(None)
    out = evaluate(primitive, primals, params)
    if not expansion.entered or order is None:
        return out
    if primitive.view is not None:
        out, shared = viewed(args[0], primals[0], out)
        if shared and makes_constant(out):
            parts = [None if c is None else primitive(c, **params) for c in args[0]._coefficients]
            new = series(out, parts, expansion)
            relate(args[0], new, primitive.view(params))
            return new
    return _wrap(expansion, out, _coefficients(expansion, primitive, primals, moving, out, order, params))


def _wrap(expansion: Expansion, out: Any, coefficients: Coefficients) -> Any:
    if isinstance(out, tuple):
        columns = ([None if c is None else c[j] for c in coefficients] for j in range(len(out)))
        return tuple(_wrap(expansion, y, c) for y, c in zip(out, columns, strict=True))
    if not makes_constant(out):
        return out
    return series(out, [None if c is None else fit_tangent(c, out) for c in coefficients], expansion)


def _coefficients(
    expansion: Expansion,
    primitive: Primitive,
    primals: list[Any],
    moving: list[Coefficients | None],
    out: Any,
    order: int,
    params: dict[str, Any],
) -> Coefficients:
    """Coefficients of orders 1, 2, ... of what a primitive gives."""
    if all(m is None for m in moving):
        return [None] * order
    if primitive.linear:
        return [_linear(primitive, primals, [m and m[k] for m in moving], params) for k in range(order)]
    recurrence = RECURRENCES.get(primitive)
    if recurrence is not None:
        found = recurrence(primals, moving, out, order, params)
        if found is not NotImplemented:
            return found
    operation = _Operation(expansion, primitive, primals, moving, out, params)
    if primitive.push is not None:
        return operation.pushed(primitive.push, order)
    found = operation.coefficients(order)
    return operation.settled(found) if primitive.elementwise and order > 1 else found


def _linear(primitive: Primitive, primals: list[Any], tangents: list[Any], params: dict[str, Any]) -> Any:
    """One coefficient of all operands at once: one by one, joining n arrays would take n**2."""
    if all(t is None for t in tangents):
        return None
    return primitive(*(np.zeros_like(x) if t is None else t for x, t in zip(primals, tangents, strict=True)), **params)


class _Operation:
    """One evaluation of a primitive, whose series follows from its JVP rules."""

    __slots__ = ("expansion", "moving", "out", "params", "primals", "primitive")

    def __init__(
        self,
        expansion: Expansion,
        primitive: Primitive,
        primals: list[Any],
        moving: list[Coefficients | None],
        out: Any,
        params: dict[str, Any],
    ) -> None:
        self.expansion = expansion
        self.primitive = primitive
        self.primals = primals
        self.moving = moving
        self.out = out
        self.params = params

    def coefficients(self, order: int) -> Coefficients:
        total: Coefficients = [None] * order
        late = []
        for i, m in enumerate(self.moving):
            if m is None:
                continue
            rule = self._rule(i)
            if self._is_affine(rule):
                shares = [None if t is None else self._call(rule, i, t, self.primals, self.out) for t in m[:order]]
            elif "y" in rule.names:
                late.append((i, rule))
                continue
            else:
                shares = _integral(self._rates(i, rule, total, order - 1))
            total = list(map(plus, total, shares))
        for k in range(order if late else 0):
            for i, rule in late:
                rate = self._rates(i, rule, total, k)[k]
                total[k] = plus(total[k], _over(rate, k + 1))
        return total

    def pushed(self, push: Callable[..., Any], order: int) -> Coefficients:
        """Coefficients by the rule of a user, which is given all operands at once, and always the output."""
        total: Coefficients = [None] * order
        params = {**self.params, "level": self.expansion.level}
        for k in range(order):
            operands = [self._truncated(x, m, k) for x, m in zip(self.primals, self.moving, strict=True)]
            rates = [None if m is None else self._rate(i, k) for i, m in enumerate(self.moving)]
            found = push(operands, rates, self._output(total, k), params)
            total[k] = _over(self._parts(found, k)[k], k + 1)
        return total

    def _rule(self, i: int) -> Rule:
        rule = self.primitive.jvps[0 if self.primitive.variadic else i]
        if rule is None:
            raise TypeError(f"{self.primitive.name} has no derivative with respect to operand {i}")
        return rule

    def _is_affine(self, rule: Rule) -> bool:
        """Whether nothing that the rule is given besides the tangent depends on t."""
        still = [m is None for m in self.moving]
        return all(
            name[0] in "si" or (name[0] == "x" and name != "xs" and still[int(name[1:] or 0)]) for name in rule.names
        )

    def _rates(self, i: int, rule: Rule, known: Coefficients, order: int) -> Coefficients:
        """Coefficients of orders 0, 1, ..., `order` of what an operand contributes to dy/dt."""
        operands = [self._truncated(x, m, order) for x, m in zip(self.primals, self.moving, strict=True)]
        y = self._output(known, order) if "y" in rule.names else self.out
        return self._parts(self._call(rule, i, self._rate(i, order), operands, y), order)

    def _rate(self, i: int, order: int) -> Any:
        own = self.moving[i]
        assert own is not None
        return _rate(series(self.primals[i], own, self.expansion), order)

    def _truncated(self, primal: Any, own: Coefficients | None, order: int) -> Any:
        return primal if own is None or order == 0 else series(primal, own[:order], self.expansion)

    def _output(self, known: Coefficients, order: int) -> Any:
        return self.out if order == 0 else _wrap(self.expansion, self.out, known[:order])

    def _call(self, rule: Rule, i: int, tangent: Any, operands: list[Any], out: Any) -> Any:
        try:
            return rule.function(np, tangent, *keep(rule, i, operands, out), **self.params)
        except Exception as error:
            what = f"operand {i} of shape {described(self.primals[i])}"
            error.add_note(f"in the Taylor series by the forward rule of {self.primitive.name}, {what}")
            raise

    def _parts(self, rates: Any, order: int) -> Coefficients:
        if isinstance(rates, tuple):
            return [tuple(column) for column in zip(*(self._parts(r, order) for r in rates), strict=True)]
        if type(rates) is Series and rates._expansion is self.expansion:
            return [rates._value, *rates._coefficients[:order]]
        return [rates] + [None] * order

    def settled(self, coefficients: Coefficients) -> Coefficients:
        """Mark what is not known where a slope is infinite, and the path begins with a zero derivative.

        Up to there a zero stays zero, as in JVPs (see `unary`); a later coefficient that is not zero meets the pole.
        """
        for i, m in enumerate(self.moving):
            if m is None or (m[0] is not None and not anywhere(m[0] == 0)):
                continue
            flat = True if m[0] is None else m[0] == 0
            slope = self._call(self._rule(i), i, np.ones_like(self.primals[i]), self.primals, self.out)
            pole = ~np.isfinite(slope) & flat
            if not anywhere(pole):
                continue
            reached: Any = False
            for k in range(1, len(coefficients)):
                reached = reached if m[k] is None else reached | (m[k] != 0)
                if anywhere(pole & reached):
                    value = 0.0 if coefficients[k] is None else coefficients[k]
                    coefficients[k] = np.where(pole & reached, np.nan, value)
        return coefficients


def _rate(x: Series, order: int) -> Any:
    """The derivative of a series, truncated; of order 0 the plain value."""
    own = x._coefficients
    first = np.zeros_like(x._value) if own[0] is None else own[0]
    if order == 0:
        return first
    return series(first, [None if own[k] is None else (k + 1) * own[k] for k in range(1, order + 1)], x._expansion)


def _integral(rates: Coefficients) -> Coefficients:
    return [_over(r, k + 1) for k, r in enumerate(rates)]


def _over(rate: Any, k: int) -> Any:
    """A coefficient, of each output of several, divided by its order."""
    if isinstance(rate, tuple):
        return tuple(_over(r, k) for r in rate)
    return rate if rate is None or k == 1 else rate / k
