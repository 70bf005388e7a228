"""Values with a derivative that is not their own: the result of a function, grafted onto its arguments by a rule.

A `Graft` is a primitive of the arguments, the residuals, and the results, which are without derivatives already; it
returns the results. At each level its derivative with respect to the arguments is the rule, and with respect to the rest
there is none. Since residuals are operands, they come to the rule as values of the level at which it serves, recorded
again if somebody records the sweep: so derivatives of any order go through the rule and through its residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import numpy as np

from tapeflow.core import stack
from tapeflow.core.batch import Batch, Batched, batched, spread
from tapeflow.core.forward import Dual
from tapeflow.core.primitive import Primitive, Rule, Traced, bind
from tapeflow.core.tracer import Tracer, plain

__all__ = ["Graft", "Once", "graft", "raw"]

# A batch that an operand has passed through, and which of the operands had its axis.
Layer = tuple[Batch, tuple[bool, ...]]


class Joint(Protocol):
    """A derivative with respect to all arguments at once; both methods see elements, not batches."""

    def pull(self, xp: Any, kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
        """Contributions to the arguments, ``None`` for none."""

    def push(self, kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
        """Tangents of the results, ``None`` for zero."""


class Once:
    """Remembers what a joint rule gave for a cotangent, since the sweep asks for each operand by itself.

    Each answer is handed out once: a second question for the same operand comes from a sweep that repeats the rule on
    purpose.
    """

    def __init__(self) -> None:
        self._held: tuple[tuple[Any, ...], dict[int, Any]] | None = None

    def __call__(self, asked: tuple[Any, ...], i: int, rule: Callable[[], Sequence[Any]]) -> Any:
        """Share of operand `i`."""
        held = self._held  # replaced as a whole, since other threads may ask too
        if held is None or i not in held[1] or not all(map(_same, asked, held[0])):
            held = self._held = (asked, dict(enumerate(rule())))
        share = held[1].pop(i)
        if not held[1]:
            self._held = None
        return share


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is int and a == b)


def raw(value: Any) -> Any:
    """The plain array inside all levels."""
    while isinstance(value, Tracer):
        value = value._value
    return value


def graft(name: str, rule: Joint, keeps: str, xs: list[Any], residuals: list[Any], ys: list[Any]) -> tuple[Any, ...]:
    """Return the results `ys` with the derivative that a rule gives them.

    Parameters
    ----------
    name : str
        For messages.
    rule : Joint
        The derivative.
    keeps : {"xs", "residuals"}
        What `rule` is called with; the other may be released.
    xs, residuals, ys : list of traced value or array
        Arguments, residuals, results. The results' own derivatives are dropped.
    """
    out = Graft(name, _Work(rule, keeps, len(xs), len(residuals)))(*xs, *residuals, *map(plain, ys))
    return out if isinstance(out, tuple) else (out,)


class Graft(Primitive):
    """See the module; made for one call of a function."""

    def __init__(self, name: str, work: _Work) -> None:
        pull = Rule(work.pull, ("i", *(f"x{k}" for k in work.kept)))
        super().__init__(
            name, work.results, vjps=(pull,), variadic=True, refuses=True, push=work.push, check=_unchecked
        )
        self._inputs = work.inputs

    def __call__(self, *operands: Any, layers: tuple[Layer, ...] = ()) -> Any:
        """Evaluate, through the innermost level among the operands."""
        inner = max((a for a in operands if isinstance(a, Traced)), key=lambda a: a._level, default=None)
        if isinstance(inner, Batched):
            return self._map(inner._batch, operands, layers)
        return bind(self, operands, {"layers": layers})

    def _map(self, batch: Batch, operands: tuple[Any, ...], layers: tuple[Layer, ...]) -> Any:
        """Go through a batch: the rule will see elements of it again, the same as the code that it closes over."""
        mask = tuple(isinstance(a, Batched) and a._batch is batch for a in operands)
        values = [a._value if m else a for a, m in zip(operands, mask, strict=True)]
        values[self._inputs :] = [
            v if m else spread(v, batch.size) for v, m in zip(values[self._inputs :], mask[self._inputs :], strict=True)
        ]
        out = self(*values, layers=(*layers, (batch, mask)))
        return tuple(batched(y, batch) for y in out) if isinstance(out, tuple) else batched(out, batch)


class _Work:
    """What a graft does. Not its own methods, since objects that refer to themselves are freed late."""

    def __init__(self, rule: Joint, keeps: str, arguments: int, residuals: int) -> None:
        self.rule = rule
        self.arguments = arguments
        self.inputs = arguments + residuals
        self.kept = range(arguments) if keeps == "xs" else range(arguments, self.inputs)
        self.once = Once()

    def results(self, *operands: Any, layers: tuple[Layer, ...]) -> Any:
        """The value: the results as they are."""
        ys = operands[self.inputs :]
        return ys if len(ys) > 1 else ys[0]

    def pull(self, xp: Any, g: Any, i: int, *kept: Any, layers: tuple[Layer, ...], level: int) -> Any:
        """Contribution to an operand, ``None`` for residuals and results."""
        if i >= self.arguments:
            return None

        def shares() -> list[Any]:
            with _inside(layers):
                operands = [_element(v, layers, k) for v, k in zip(kept, self.kept, strict=True)]
                gs = [_element(v, layers, None) for v in (g if isinstance(g, tuple) else (g,))]
                known = _depths([*operands, *gs])
                found = self.rule.pull(xp, operands, gs)
                return [c if c is None else _whole(_outside(c, level, known), layers, k) for k, c in enumerate(found)]

        return self.once((g, level), i, shares)

    def push(self, primals: list[Any], tangents: list[Any], out: Any, params: dict[str, Any]) -> Any:
        """Tangents of the results."""
        layers, level = params["layers"], params["level"]
        if all(t is None for t in tangents[: self.arguments]):
            return None
        with _inside(layers):
            operands = [_element(primals[k], layers, k) for k in self.kept]
            ts = [t if t is None else _element(t, layers, k) for k, t in enumerate(tangents[: self.arguments])]
            known = _depths([*operands, *ts])
            found = self.rule.push(operands, ts)
            shares = [c if c is None else _whole(_outside(c, level, known), layers, None) for c in found]
        return tuple(shares) if isinstance(out, tuple) else shares[0]


def _unchecked(xp: Any, c: Any, shape: tuple[int, ...], dtype: Any, i: int) -> Any:
    return c  # `Joint` rules check what they return, element by element


@contextmanager
def _inside(layers: tuple[Layer, ...]) -> Iterator[None]:
    with ExitStack() as blocks:
        for batch, _ in reversed(layers):
            blocks.enter_context(stack.inside(batch))
        yield


def _element(value: Any, layers: tuple[Layer, ...], k: int | None) -> Any:
    """A value of whole batches as one of their elements; ``None`` for a result, which has the axes of all."""
    for batch, mask in reversed(layers):
        if k is None or mask[k]:
            value = _entered(value, batch)
    return value


def _entered(value: Any, batch: Batch) -> Any:
    if isinstance(value, Batched) and value._level > batch.level:  # many cotangents at once
        return batched(_entered(np.moveaxis(value._value, 1, 0), batch), value._batch)
    return batched(value, batch)


def _whole(value: Any, layers: tuple[Layer, ...], k: int | None) -> Any:
    """The reverse of `_element`: what all elements share gets the sum of what each contributes."""
    for batch, mask in layers:
        value = _left(value, batch, k is None or mask[k])
    return value


def _left(value: Any, batch: Batch, own: bool) -> Any:
    if isinstance(value, Batched) and value._level > batch.level:
        inner = _left(value._value, batch, own)
        return batched(np.moveaxis(inner, 0, 1) if own else inner, value._batch)
    mine = isinstance(value, Batched) and value._batch is batch
    if own:
        return value._value if mine else spread(value, batch.size)
    return np.sum(value._value, axis=0) if mine else value * batch.size


def _outside(value: Any, level: int, known: set[int]) -> Any:
    """A value without the levels further in, which code that closes over values brings in.

    At the level itself a handle stays one if another tape of its list records it. Levels that are `known`, since what the
    rule was given has them, stay as well.
    """
    if not isinstance(value, Tracer) or value._level < level:
        return value
    if value._level == level and not isinstance(value, Dual) and value._live:
        return value
    inner = _outside(value._value, level, known)
    if not isinstance(value, Batched):
        return inner
    # A batch further in cannot matter at this level: if there is one, all its elements are the same.
    return batched(inner, value._batch) if value._level in known else inner[0]


def _depths(values: Sequence[Any]) -> set[int]:
    """The levels of values."""
    found = set()
    for value in values:
        while isinstance(value, Tracer):
            found.add(value._level)
            value = value._value
    return found
