"""Read an expression that a user typed: a white list over Python's syntax tree. Nothing is ever compiled or evaluated."""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tapeflow.errors import TapeError
from tapeflow.viz.nodes import Call, Node, Number, Symbol
from tapeflow.viz.operations import ALIASES, CONSTANTS, OPERATIONS

__all__ = ["ExpressionError", "Step", "linearize", "parse", "read_values", "variables"]

MAX_LENGTH = 1000
MAX_DEPTH = 100
ALLOWED = "an expression consists of numbers, names, + - * / **, parentheses and NumPy functions"
MODULES = ("np", "numpy")

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.USub: "negative",
    ast.UAdd: "positive",
}
REFUSED: dict[type[ast.AST], str] = {
    ast.Attribute: "attribute access",
    ast.BoolOp: "and, or",
    ast.Compare: "a comparison",
    ast.Dict: "a dictionary",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "if ... else",
    ast.JoinedStr: "a string",
    ast.Lambda: "lambda",
    ast.List: "a list",
    ast.ListComp: "a comprehension",
    ast.NamedExpr: "an assignment (:=)",
    ast.Set: "a set",
    ast.SetComp: "a comprehension",
    ast.Starred: "a starred argument",
    ast.Subscript: "an index",
    ast.Tuple: "a tuple",
}


class ExpressionError(TapeError, ValueError):
    """An expression, or the values of its variables, cannot be used.

    Parameters
    ----------
    message : str
        What is wrong.
    text : str
        The expression, if a place in it is to be shown.
    column : int
        That place, counted from 1.
    """

    WIDTH = 60  # of a long expression, this much is shown

    def __init__(self, message: str, text: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.column = column

    def __str__(self) -> str:
        message = super().__str__()
        if not self.column:
            return message
        start = max(0, self.column - 1 - self.WIDTH // 2)
        shown = self.text[start : start + self.WIDTH]
        return f"{message} (column {self.column})\n    {shown}\n    {' ' * (self.column - 1 - start)}^"


@dataclass(frozen=True)
class Step:
    """An elementary step; an operand is a constant or the number of an earlier step, variables being 0 and below."""

    op: str
    operands: tuple[Number | int, ...]


def parse(text: str, *, functions: Mapping[str, int] | None = None) -> Node:
    """Read an expression into a tree.

    Parameters
    ----------
    text : str
        Numbers, names, the operators ``+ - * / **``, parentheses, and calls of functions by name or as ``np.name``.
    functions : mapping of str to int, optional
        Functions allowed beside the standard ones, with their number of arguments.

    Returns
    -------
    Node
        The tree; names of variables are symbols.

    Raises
    ------
    ExpressionError
        If the text contains anything else, naming the place.

    Examples
    --------
    >>> from tapeflow.viz.expression import parse
    >>> parse("x * 2")
    Call(op='multiply', args=(Symbol(base='x', index=None, mark=''), Number(value=2.0, name='')))
    """
    text = re.sub(r"\s", " ", text).strip()
    _check_text(text)
    return _Reader(text, dict(functions or {})).read(_syntax_tree(text), 0)


def _check_text(text: str) -> None:
    if not text:
        raise ExpressionError("the expression is empty")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    for position, character in enumerate(text, 1):
        if not character.isprintable():
            raise ExpressionError(f"the unprintable character {character!a} is not allowed")
        if character == "#":
            raise ExpressionError("a comment is not allowed", text, position)


def _syntax_tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about Python style is not for people who type formulas
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = error.offset if error.offset and error.offset <= len(text) else len(text) + 1
        reason = (error.msg or "invalid syntax").split(".")[0]
        raise ExpressionError(f"not a valid expression: {reason}", text, column) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deeply") from None
    except ValueError as error:
        raise ExpressionError(f"not a valid expression: {error}") from None


@dataclass
class _Reader:
    """Turns a syntax tree of one text into ours, node type by node type."""

    text: str
    functions: dict[str, int] = field(default_factory=dict)

    def read(self, node: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.refuse(node, f"the expression is nested or chained more than {MAX_DEPTH} levels deep")
        handler = READERS.get(type(node))
        if handler is None:
            self.refuse(node, f"{REFUSED.get(type(node), 'this')} is not allowed: {ALLOWED}")
        return handler(self, node, depth + 1)

    def refuse(self, node: ast.expr, message: str) -> NoReturn:
        raise ExpressionError(message, self.text, self.column(node.col_offset))

    def column(self, offset: int | None) -> int:
        # The parser counts bytes of UTF-8, people count characters.
        return len(self.text.encode()[:offset].decode(errors="ignore")) + 1

    def number(self, node: ast.Constant, depth: int) -> Node:
        del depth
        if type(node.value) not in (int, float):
            self.refuse(node, f"{_kind(node.value)} is not allowed: {ALLOWED}")
        try:
            value = float(node.value)  # type: ignore[arg-type]
        except OverflowError:
            value = math.inf
        if math.isinf(value):
            self.refuse(node, "the number is too large for double precision")
        return Number(value)

    def name(self, node: ast.Name, depth: int) -> Node:
        del depth
        if node.id in CONSTANTS:
            return Number(CONSTANTS[node.id], node.id)
        if self.arity(node.id) is not None:
            self.refuse(node, f"{node.id} is a function; it needs its arguments in parentheses")
        if node.id in MODULES:
            self.refuse(node, f"{node.id} is a module; only its functions can be used")
        return Symbol(node.id)

    def attribute(self, node: ast.Attribute, depth: int) -> Node:
        if _is_module(node.value) and node.attr in CONSTANTS:
            return Number(CONSTANTS[node.attr], node.attr)
        del depth
        self.refuse(node, f"attribute access is not allowed: {ALLOWED}")

    def unary(self, node: ast.UnaryOp, depth: int) -> Node:
        op = self.operator(node.op, self.column(node.col_offset))
        operand = self.read(node.operand, depth)
        if op == "negative" and isinstance(operand, Number) and not operand.name:
            return Number(-operand.value)
        return Call(op, (operand,))

    def binary(self, node: ast.BinOp, depth: int) -> Node:
        column = self.column(node.left.end_col_offset)
        while self.text[column - 1] in " )":  # the operator stands behind blanks and closing parentheses
            column += 1
        return Call(self.operator(node.op, column), (self.read(node.left, depth), self.read(node.right, depth)))

    def operator(self, operator: ast.AST, column: int) -> str:
        op = OPERATORS.get(type(operator))
        if op is None:
            hint = "a power is written **" if isinstance(operator, ast.BitXor) else ALLOWED
            raise ExpressionError(f"this operator is not allowed: {hint}", self.text, column)
        return op

    def call(self, node: ast.Call, depth: int) -> Node:
        name = self.function(node.func)
        if node.keywords:
            self.refuse(node.keywords[0].value, f"{name}: keyword arguments are not allowed")
        args = tuple(self.read(a, depth) for a in node.args)
        arity = self.arity(name)
        if len(args) != arity:
            self.refuse(node, f"{name} takes {arity} argument{'s' * (arity != 1)}, not {len(args)}")
        return Call(ALIASES.get(name, name), args)

    def function(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute) and _is_module(node.value):
            name = node.attr
        elif isinstance(node, ast.Name):
            name = node.id
        else:
            self.refuse(node, f"only functions called by name are allowed: {ALLOWED}")
        if self.arity(name) is None:
            near = difflib.get_close_matches(name, [*OPERATIONS, *ALIASES], n=1)
            self.refuse(node, f"there is no function {name} here{f'; did you mean {near[0]}?' if near else ''}")
        return name

    def arity(self, name: str) -> int | None:
        operation = OPERATIONS.get(ALIASES.get(name, name))
        return self.functions.get(name) if operation is None else operation.arity


READERS: dict[type[ast.AST], Callable[[_Reader, Any, int], Node]] = {
    ast.Constant: _Reader.number,
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.Call: _Reader.call,
}


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in MODULES


def _kind(value: object) -> str:
    kinds = {str: "a string", bytes: "a string", bool: "a truth value", complex: "an imaginary number"}
    return kinds.get(type(value), repr(value))


def variables(node: Node) -> tuple[str, ...]:
    """Return the names of the variables of an expression, in the order in which they first appear."""
    if isinstance(node, Symbol):
        return (node.base,)
    if isinstance(node, Call):
        return tuple(dict.fromkeys(name for a in node.args for name in variables(a)))
    return ()


def linearize(node: Node, numbers: Mapping[str, int]) -> tuple[Number | int, tuple[Step, ...]]:
    """Break an expression into elementary steps, every occurrence a step of its own.

    As in the survey, steps come level by level: first those of variables and constants alone, then those of these.

    Parameters
    ----------
    node : Node
        The expression.
    numbers : mapping of str to int
        The number of each variable, 0 and below.

    Returns
    -------
    result : Number or int
        The constant or the number of the step or variable that the expression is.
    steps : tuple of Step
        They are numbered from 1.
    """
    found: list[tuple[int, Step]] = []  # with the level of each

    def visit(node: Node) -> tuple[Number | int, int]:
        if isinstance(node, Number):
            return node, 0
        if isinstance(node, Call):
            visited = [visit(a) for a in node.args]
            level = 1 + max(below for _, below in visited)
            found.append((level, Step(node.op, tuple(operand for operand, _ in visited))))
            return len(found), level
        assert isinstance(node, Symbol)
        return numbers[node.base], 0

    result, _ = visit(node)
    order = sorted(range(len(found)), key=lambda i: found[i][0])
    place = {old + 1: new for new, old in enumerate(order, 1)}

    def moved(operand: Number | int) -> Number | int:
        return place.get(operand, operand) if isinstance(operand, int) else operand

    steps = (found[i][1] for i in order)
    return moved(result), tuple(Step(step.op, tuple(map(moved, step.operands))) for step in steps)


def read_values(items: Iterable[str]) -> dict[str, float]:
    """Read ``name=value`` items.

    Parameters
    ----------
    items : iterable of str
        As typed; a value is what Python's ``float`` reads.

    Returns
    -------
    dict of str to float
        In the order given.

    Raises
    ------
    ExpressionError
        If an item has another form, a name comes twice or is taken, or a value is no real number.

    Examples
    --------
    >>> from tapeflow.viz.expression import read_values
    >>> read_values(["x=2", "y=1e-3"])
    {'x': 2.0, 'y': 0.001}
    """
    values: dict[str, float] = {}
    for item in items:
        name, sign, value = (part.strip() for part in item.partition("="))
        if not sign:
            raise ExpressionError(f"{item!r} is not of the form name=value")
        name = unicodedata.normalize("NFKC", name)  # as Python's parser does with the names in the expression
        _check_name(name)
        if name in values:
            raise ExpressionError(f"{name} is given twice")
        values[name] = _real(name, value)
    return values


def _check_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ExpressionError(f"{name!r} cannot be the name of a variable")
    if name in CONSTANTS:
        raise ExpressionError(f"{name} is the constant {CONSTANTS[name]:.6g}; choose another name for the variable")
    if name in OPERATIONS or name in ALIASES or name in MODULES:
        raise ExpressionError(f"{name} belongs to NumPy; choose another name for the variable")


def _real(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ExpressionError(f"{name}: {value!r} is not a real number (a trace is about scalars)") from None
