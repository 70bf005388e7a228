"""Evaluate an expression step by step with the engine, and keep every value, tangent and adjoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeflow import ForwardAccumulator, GradientTape, vjp
from tapeflow.viz.expression import ExpressionError, Step, linearize, parse, variables
from tapeflow.viz.nodes import Symbol
from tapeflow.viz.operations import OPERATIONS

__all__ = ["Contribution", "Trace", "dependent", "trace"]


@dataclass(frozen=True)
class Contribution:
    """What the reverse sweep passes from a step to one of its operands.

    Attributes
    ----------
    step, operand : int
        The step, and the position among its operands.
    to : int
        Number of the step or variable that receives it.
    partial : float
        Partial derivative of the step's value with respect to that operand.
    value : float
        Adjoint of the step times `partial`.
    """

    step: int
    operand: int
    to: int
    partial: float
    value: float


@dataclass(frozen=True)
class Trace:
    """The evaluation trace of an expression, forwards and backwards.

    Quantities are numbered as in Baydin et al., arXiv 1502.05767, section 3: variables 1 - n, ..., 0, steps 1, 2, ...

    Attributes
    ----------
    text : str
        The expression.
    names : tuple of str
        The variables.
    wrt : tuple of str
        Those of them with respect to which derivatives are shown.
    steps : tuple of Step
        The elementary steps.
    result : int
        Number of the quantity that the expression is.
    values : dict of int to float
        Value of each quantity.
    tangents : dict of str to dict of int to float
        For each variable of `wrt`, the derivative of each quantity with respect to it: forward mode.
    adjoints : dict of int to float
        Derivative of the result with respect to each quantity that depends on a variable of `wrt`: reverse mode.
    contributions : tuple of Contribution
        The parts of which the adjoints are sums, in the order of the sweep.
    """

    text: str
    names: tuple[str, ...]
    wrt: tuple[str, ...]
    steps: tuple[Step, ...]
    result: int
    values: dict[int, float]
    tangents: dict[str, dict[int, float]]
    adjoints: dict[int, float]
    contributions: tuple[Contribution, ...]

    @property
    def letter(self) -> str:
        """Letter of the numbered quantities: the first that no variable looks like."""
        return _first_free("vwutsrq", {name.rstrip("0123456789") for name in self.names})

    @property
    def output(self) -> Symbol:
        """Name of the result."""
        return Symbol(_first_free("yfzgh", {*self.names, self.letter}))

    def number(self, name: str) -> int:
        """Return the number of a variable."""
        return _numbers(self.names)[name]

    def symbol(self, number: int) -> Symbol:
        """Return the symbol of a numbered quantity."""
        return Symbol(self.letter, number)


def _first_free(letters: str, taken: set[str]) -> str:
    doubled = (letters[0] * k for k in itertools.count(2))
    return next(c for c in itertools.chain(letters, doubled) if c not in taken)


def trace(text: str, values: Mapping[str, float], wrt: str | None = None) -> Trace:
    """Evaluate an expression step by step, with its derivatives in forward and in reverse mode.

    Parameters
    ----------
    text : str
        The expression: numbers, names, ``+ - * / **``, parentheses and NumPy functions of scalars.
    values : mapping of str to float
        The values of the variables; their order is that of the trace.
    wrt : str, optional
        The variable to differentiate with respect to; all of them by default.

    Returns
    -------
    Trace
        Values, tangents and adjoints of every step.

    Raises
    ------
    ExpressionError
        If the expression is none, or does not fit the values.

    Examples
    --------
    >>> from tapeflow.viz import trace
    >>> table = trace("ln(x1) + x1*x2 - sin(x2)", {"x1": 2.0, "x2": 5.0})
    >>> round(table.adjoints[table.number("x1")], 6)
    5.5
    """
    tree = parse(text)
    names = tuple(values)
    _check_names(variables(tree), names, wrt)
    result, steps = linearize(tree, _numbers(names))
    assert isinstance(result, int)  # with a variable in it, an expression is not a constant
    seeds = names if wrt is None else (wrt,)
    inputs = [np.float64(v) for v in values.values()]
    active = dependent(steps, {_numbers(names)[name] for name in seeds})
    with np.errstate(all="ignore"):  # inf and nan are shown in the table
        tangents = {name: _tangents(steps, inputs, names.index(name)) for name in seeds}
        primals, adjoints = _adjoints(steps, inputs, result, active)
        contributions = _contributions(steps, primals, adjoints, active)
    return Trace(" ".join(text.split()), names, seeds, steps, result, primals, tangents, adjoints, contributions)


def _check_names(used: Sequence[str], given: Sequence[str], wrt: str | None) -> None:
    if not used:
        raise ExpressionError("the expression has no variable, so there is nothing to differentiate")
    missing = [name for name in used if name not in given]
    if missing:
        raise ExpressionError(
            f"no value for {', '.join(missing)}: add {' '.join(f'{name}=NUMBER' for name in missing)}"
        )
    unused = [name for name in given if name not in used]
    if unused:
        raise ExpressionError(f"{', '.join(unused)} does not occur in the expression")
    if wrt is not None and wrt not in used:
        raise ExpressionError(f"{wrt} does not occur in the expression, whose variables are {', '.join(used)}")


def _numbers(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names, 1 - len(names))}


def dependent(steps: Sequence[Step], numbers: Iterable[int]) -> set[int]:
    """Return the numbers of all quantities that depend on those of some variables."""
    found = set(numbers)
    for k, step in enumerate(steps, 1):
        if found.intersection(o for o in step.operands if isinstance(o, int)):
            found.add(k)
    return found


def _evaluate(steps: Sequence[Step], inputs: Sequence[Any]) -> dict[int, Any]:
    """Value of every quantity, traced if the inputs are."""
    values = dict(enumerate(inputs, 1 - len(inputs)))
    for k, step in enumerate(steps, 1):
        values[k] = OPERATIONS[step.op].function(*_operands(step, values))
    return values


def _operands(step: Step, values: Mapping[int, Any]) -> list[Any]:
    return [values[o] if isinstance(o, int) else np.float64(o.value) for o in step.operands]


def _tangents(steps: Sequence[Step], inputs: Sequence[np.float64], seed: int) -> dict[int, float]:
    directions = [np.float64(i == seed) for i in range(len(inputs))]
    with ForwardAccumulator(list(inputs), directions) as accumulator:
        values = _evaluate(steps, accumulator.primals)
    return {k: float(accumulator.jvp(v, "zero")) for k, v in values.items()}


def _adjoints(
    steps: Sequence[Step], inputs: Sequence[np.float64], result: int, active: set[int]
) -> tuple[dict[int, float], dict[int, float]]:
    """Value of every quantity, and adjoint of every active one."""
    with GradientTape(persistent=True) as tape:
        values = _evaluate(steps, tape.watch(list(inputs)))
    adjoints = tape.gradient(values[result], {k: values[k] for k in active}, unconnected_gradients="zero")
    return {k: float(v) for k, v in values.items()}, {k: float(v) for k, v in adjoints.items()}


def _contributions(
    steps: Sequence[Step], values: Mapping[int, float], adjoints: Mapping[int, float], active: set[int]
) -> tuple[Contribution, ...]:
    """Pull each adjoint back through its step alone, from the last step to the first."""
    found = []
    for k in range(len(steps), 0, -1):
        step = steps[k - 1]
        if k in active:
            _, pull = vjp(OPERATIONS[step.op].function, *map(np.float64, _operands(step, values)))
            pulled = zip(step.operands, pull(np.float64(1.0)), pull(np.float64(adjoints[k])), strict=True)
            for position, (to, partial, value) in enumerate(pulled):
                if isinstance(to, int) and to in active:
                    found.append(Contribution(k, position, to, float(partial), float(value)))
    return tuple(found)
