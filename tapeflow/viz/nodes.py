"""Expressions as trees: what the parser reads, what the derivative templates are made of, what the renderers print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Call", "Chain", "Node", "Number", "Symbol", "replace", "simplified", "total", "weighted"]


@dataclass(frozen=True)
class Number:
    """A constant; `name` is set for those that have one, such as pi."""

    value: float
    name: str = ""


@dataclass(frozen=True)
class Symbol:
    """A quantity: ``Symbol("x1")`` a variable, ``Symbol("v", 3, "dot")`` the tangent of the third step."""

    base: str
    index: int | None = None
    mark: str = ""  # "dot" for a tangent, "bar" for an adjoint

    def marked(self, mark: str) -> Symbol:
        """Return the tangent or the adjoint of this quantity."""
        return Symbol(self.base, self.index, mark)


@dataclass(frozen=True)
class Chain:
    """A tangent or adjoint times the partial derivative of one quantity by another, as in the chain rule."""

    factor: Symbol
    of: Symbol
    by: Symbol


@dataclass(frozen=True)
class Call:
    """An elementary operation, by its NumPy name, of some operands."""

    op: str
    args: tuple[Node, ...]


Node: TypeAlias = Number | Symbol | Chain | Call
ONE = Number(1.0)


def replace(node: Node, leaf: Callable[[Symbol | Chain], Node]) -> Node:
    """Replace every symbol and chain of a tree by what a function says."""
    if isinstance(node, Call):
        return Call(node.op, tuple(replace(a, leaf) for a in node.args))
    return node if isinstance(node, Number) else leaf(node)


def simplified(node: Node) -> Node:
    """Drop what does not change a formula: ``x**(2 - 1)`` is ``x``, and ``1 * x`` as well."""
    if not isinstance(node, Call):
        return node
    args = tuple(simplified(a) for a in node.args)
    if node.op == "subtract" and all(isinstance(a, Number) and not a.name for a in args):
        return Number(args[0].value - args[1].value)  # type: ignore[union-attr]
    if node.op == "power" and args[1] == ONE:
        return args[0]
    if node.op == "multiply" and args[0] == ONE:
        return args[1]
    return Call(node.op, args)


def weighted(factor: Node, partial: Node) -> Node:
    """Multiply a tangent or adjoint by a partial derivative, written as one would by hand."""
    match partial:
        case Call("negative", (inner,)):
            return Call("negative", (weighted(factor, inner),))
        case Call("divide", (top, bottom)):
            return Call("divide", (factor if top == ONE else weighted(factor, top), bottom))
        case Call("multiply", (left, right)):
            return Call("multiply", (weighted(factor, left), right))
    return Call("multiply", (factor, partial))


def total(terms: list[Node]) -> Node:
    """Add terms up; a negative one is subtracted, and the sum of none is zero."""
    if not terms:
        return Number(0.0)
    result = terms[0]
    for term in terms[1:]:
        match term:
            case Call("negative", (inner,)):
                result = Call("subtract", (result, inner))
            case _:
                result = Call("add", (result, term))
    return result
