"""The rows of evaluation trace tables, as formulas: what the tables of the survey show, in no notation yet.

Forms and numbering follow Tables 2 and 3 of Baydin, Pearlmutter, Radul, Siskind, "Automatic differentiation in machine
learning: a survey", JMLR 18 (2018), arXiv 1502.05767. Beside the survey's formulas each row also ends in its value.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TypeAlias

from tapeflow.viz.expression import Step, parse
from tapeflow.viz.nodes import Call, Chain, Node, Number, Symbol, replace, simplified, total, weighted
from tapeflow.viz.operations import OPERATIONS
from tapeflow.viz.trace import Contribution, Trace, dependent

__all__ = ["Row", "Section", "Table", "forward_table", "reverse_table", "template"]

Row: TypeAlias = tuple[Node, ...]  # what it is about, and all that this is equal to


@dataclass(frozen=True)
class Section:
    """A group of lines; the two sides stand beside each other, one of them may lack a row."""

    left: tuple[Row | None, ...]
    right: tuple[Row | None, ...]


@dataclass(frozen=True)
class Table:
    """A table of two traces.

    Attributes
    ----------
    seed : tuple of Node
        The equation that starts the derivative trace.
    gives : tuple of (Symbol, Symbol)
        The derivatives that it ends in, each of the first by the second.
    headings : tuple of str
        Over the left and over the right side.
    sections : tuple of Section
        Variables, steps, result.
    """

    mode: str
    seed: Row
    gives: tuple[tuple[Symbol, Symbol], ...]
    headings: tuple[str, str]
    sections: tuple[Section, ...]


@functools.cache
def template(op: str, position: int) -> Node | None:
    """Return the formula of a partial derivative in terms of operands ``a``, ``b`` and result ``y``, if there is one."""
    text = OPERATIONS[op].partials[position]
    return parse(text, functions={"sign": 1}) if text else None


def forward_table(trace: Trace, name: str) -> Table:
    """Lay out the trace in forward mode: values beside tangents (Table 2 of the survey).

    Parameters
    ----------
    trace : Trace
        From `tapeflow.viz.trace`.
    name : str
        The variable with respect to which the tangents are taken.

    Returns
    -------
    Table
        The rows, as formulas.
    """
    tangents = trace.tangents[name]
    inputs, steps, output = _primal_rows(trace)
    dots = [_row(trace.symbol(k).marked("dot"), Symbol(v).marked("dot"), tangents[k]) for k, v in _inputs(trace)]
    varying = dependent(trace.steps, (k for k, _ in _inputs(trace)))
    rows = [_tangent_row(trace, k, varying, tangents) for k in range(1, len(trace.steps) + 1)]
    end = _row(trace.output.marked("dot"), trace.symbol(trace.result).marked("dot"), tangents[trace.result])
    return Table(
        "forward",
        (Symbol(name).marked("dot"), Number(1.0)),
        ((trace.output, Symbol(name)),),
        ("Forward primal trace", "Forward tangent (derivative) trace"),
        (Section(inputs, tuple(dots)), Section(steps, tuple(rows)), Section(output, (end,))),
    )


def reverse_table(trace: Trace) -> Table:
    """Lay out the trace in reverse mode: values beside adjoints, which read upwards (Table 3 of the survey).

    Parameters
    ----------
    trace : Trace
        From `tapeflow.viz.trace`.

    Returns
    -------
    Table
        The rows, as formulas.
    """
    inputs, steps, output = _primal_rows(trace)
    bars = [
        _row(Symbol(v).marked("bar"), trace.symbol(k).marked("bar"), trace.adjoints[k]) if v in trace.wrt else None
        for k, v in _inputs(trace)
    ]
    adjoints = _adjoint_rows(trace)
    left: list[Row | None] = []
    right: list[Row | None] = []
    for k, row in enumerate(steps, 1):
        upwards: list[Row | None] = [*reversed(adjoints.get(k, []))]
        left += [row, *[None] * (len(upwards) - 1)]
        right += upwards or [None]
    start = _row(trace.symbol(trace.result).marked("bar"), trace.output.marked("bar"), 1.0)
    return Table(
        "reverse",
        (trace.output.marked("bar"), Number(1.0)),
        tuple((trace.output, Symbol(v)) for v in trace.wrt),
        ("Forward primal trace", "Reverse adjoint (derivative) trace, upwards"),
        (Section(inputs, tuple(bars)), Section(tuple(left), tuple(right)), Section(output, (start,))),
    )


def _row(subject: Node, formula: Node, value: float) -> Row:
    return subject, formula, Number(value)


def _inputs(trace: Trace) -> list[tuple[int, str]]:
    return [(trace.number(name), name) for name in trace.names]


def _primal_rows(trace: Trace) -> tuple[tuple[Row, ...], tuple[Row, ...], tuple[Row, ...]]:
    inputs = tuple(_row(trace.symbol(k), Symbol(v), trace.values[k]) for k, v in _inputs(trace))
    steps = tuple(_primal_row(trace, k, step) for k, step in enumerate(trace.steps, 1))
    output = _row(trace.output, trace.symbol(trace.result), trace.values[trace.result])
    return inputs, steps, (output,)


def _primal_row(trace: Trace, k: int, step: Step) -> Row:
    formula = Call(step.op, tuple(_operand(trace, o) for o in step.operands))
    return trace.symbol(k), formula, *_in_numbers(formula, trace, {}), Number(trace.values[k])


def _operand(trace: Trace, operand: Number | int) -> Node:
    return trace.symbol(operand) if isinstance(operand, int) else operand


def _in_numbers(formula: Node, trace: Trace, tangents: dict[int, float]) -> list[Node]:
    """The formula with numbers in the place of symbols, if that says more than the formula and its value do."""

    def number(leaf: Symbol | Chain) -> Node:
        assert isinstance(leaf, Symbol)
        assert leaf.index is not None
        return Number((tangents if leaf.mark else trace.values)[leaf.index])

    numbers = replace(formula, number)
    match numbers:
        case Number() | Call("negative" | "positive", (Number(),)):
            return []
    return [] if numbers == formula else [numbers]


def _tangent_row(trace: Trace, k: int, varying: set[int], tangents: dict[int, float]) -> Row:
    subject, step = trace.symbol(k).marked("dot"), trace.steps[k - 1]
    formula = total([_tangent_term(trace, k, step, i) for i, o in enumerate(step.operands) if o in varying])
    if isinstance(formula, Number):
        return subject, formula
    if _has_chain(formula):
        return _row(subject, formula, tangents[k])
    return subject, formula, *_in_numbers(formula, trace, tangents), Number(tangents[k])


def _has_chain(node: Node) -> bool:
    return isinstance(node, Chain) or (isinstance(node, Call) and any(map(_has_chain, node.args)))


def _tangent_term(trace: Trace, k: int, step: Step, position: int) -> Node:
    operand = step.operands[position]
    assert isinstance(operand, int)
    tangent = trace.symbol(operand).marked("dot")
    partial = _partial(trace, k, step, position)
    if partial is None:
        return Chain(tangent, trace.symbol(k), trace.symbol(operand))
    match partial:
        case Number(1.0, ""):
            return tangent
        case Number(-1.0, ""):
            return Call("negative", (tangent,))
    return weighted(tangent, partial)


def _partial(trace: Trace, k: int, step: Step, position: int) -> Node | None:
    """Formula of the partial derivative of a step by one of its operands."""
    formula = template(step.op, position)
    if formula is None:
        return None
    names: dict[str, Node] = {"y": trace.symbol(k)}
    names |= zip("ab", (_operand(trace, o) for o in step.operands), strict=False)

    def named(leaf: Symbol | Chain) -> Node:
        assert isinstance(leaf, Symbol)
        return names[leaf.base]

    return simplified(replace(formula, named))


def _adjoint_rows(trace: Trace) -> dict[int, list[Row]]:
    """Rows of each step in the order of the sweep: its contributions to the adjoints of its operands."""
    rows: dict[int, list[Row]] = {}
    so_far: dict[int, float] = {}
    remaining = {(c.step, c.to) for c in trace.contributions}
    for (k, to), group in itertools.groupby(trace.contributions, key=lambda c: (c.step, c.to)):
        parts = list(group)
        remaining.discard((k, to))
        value = so_far.get(to, 0.0) + sum(c.value for c in parts)
        if not any(to == other for _, other in remaining):
            value = trace.adjoints[to]  # complete: this is the engine's own sum
        rows.setdefault(k, []).append(_adjoint_row(trace, parts, value, first=to not in so_far))
        so_far[to] = value
    return rows


def _adjoint_row(trace: Trace, parts: list[Contribution], value: float, *, first: bool) -> Row:
    k, to = parts[0].step, parts[0].to
    subject, source = trace.symbol(to).marked("bar"), trace.symbol(k).marked("bar")
    before: list[Node] = [] if first else [subject]
    rule = total([*before, Chain(source, trace.symbol(k), trace.symbol(to))])
    partials = [_partial(trace, k, trace.steps[k - 1], c.operand) for c in parts]
    terms = [weighted(source, p) for p in partials if p is not None]
    if len(terms) < len(parts):
        return _row(subject, rule, value)
    return subject, rule, total([*before, *terms]), Number(value)
