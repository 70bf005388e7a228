"""Write expressions down, in Unicode text or in LaTeX."""

from __future__ import annotations

import math
import re
import unicodedata
from abc import ABC, abstractmethod

from tapeflow.viz.nodes import Call, Chain, Node, Number, Symbol
from tapeflow.viz.operations import OPERATIONS

__all__ = ["LATEX", "TEXT", "Notation", "significant"]

# How tightly a formula holds together; where more is asked for, it gets parentheses.
SUM, PRODUCT, APPLICATION, POWER, ATOM = range(5)
SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ACCENTS = {"": "", "dot": "\u0307", "bar": "\u0304"}
GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
    "omega".split()
)


def significant(value: float) -> str:
    """Format a number to six significant digits."""
    return f"{value + 0.0:.6g}"  # adding 0 turns -0 into 0


class Notation(ABC):
    """Writes trees as formulas; a subclass says how the parts look."""

    times: str

    def write(self, node: Node, least: int = SUM, last: bool = True) -> str:
        """Write an expression.

        Parameters
        ----------
        node : Node
            The expression.
        least : int
            How tightly it has to hold together in its place.
        last : bool
            Whether no factor follows, so that the operand of a function can do without parentheses.

        Returns
        -------
        str
            The formula.
        """
        match node:
            case Number():
                formula, holds = self.number(node)
            case Symbol():
                formula, holds = self.symbol(node), ATOM
            case Chain():
                formula, holds = f"{self.symbol(node.factor)} {self.partial(node.of, node.by)}", PRODUCT
            case Call():
                formula, holds = self._call(_familiar(node), last)
        return formula if holds >= least else self.enclosed(formula)

    def _call(self, node: Call, last: bool) -> tuple[str, int]:
        match node:
            case Call("add" | "subtract" as op, (a, b)):
                return f"{self.write(a)} {'+' if op == 'add' else '-'} {self.write(b, PRODUCT, last)}", SUM
            case Call("multiply", (a, b)):
                return f"{self.write(a, PRODUCT, last=False)} {self.times} {self.write(b, APPLICATION, last)}", PRODUCT
            case Call("divide", (a, b)):
                return self.quotient(a, b, last)
            case Call("negative" | "positive" as op, (a,)):
                return f"{'-' if op == 'negative' else '+'}{self.write(a, PRODUCT, last)}", SUM
            case Call("power", (a, b)):
                return self.power(a, b), POWER
            case Call("sqrt" | "cbrt" as op, (a,)):
                return self.root(op, a), POWER
            case Call("absolute" | "fabs", (a,)):
                return self.modulus(a), ATOM
        return self._application(node, last)

    def _application(self, node: Call, last: bool) -> tuple[str, int]:
        operands = ", ".join(self.write(a) for a in node.args)
        if last and len(node.args) == 1 and _is_single(node.args[0]):
            return f"{self.word(node.op)} {operands}", APPLICATION
        return f"{self.word(node.op)}{self.enclosed(operands)}", ATOM

    @abstractmethod
    def number(self, node: Number) -> tuple[str, int]:
        """Write a number, and say how tightly it holds together."""

    @abstractmethod
    def symbol(self, node: Symbol) -> str:
        """Write the name of a quantity."""

    @abstractmethod
    def partial(self, of: Symbol, by: Symbol) -> str:
        """Write a partial derivative."""

    @abstractmethod
    def enclosed(self, formula: str) -> str:
        """Put a formula in parentheses."""

    @abstractmethod
    def quotient(self, top: Node, bottom: Node, last: bool) -> tuple[str, int]:
        """Write a quotient, and say how tightly it holds together."""

    @abstractmethod
    def power(self, base: Node, exponent: Node) -> str:
        """Write a power."""

    @abstractmethod
    def root(self, op: str, radicand: Node) -> str:
        """Write a square or cube root."""

    @abstractmethod
    def modulus(self, operand: Node) -> str:
        """Write an absolute value."""

    @abstractmethod
    def word(self, op: str) -> str:
        """Write the name of a function."""


class Text(Notation):
    """Unicode text for a terminal."""

    times = "×"

    def number(self, node: Number) -> tuple[str, int]:
        text = {"pi": "π"}.get(node.name, node.name) or significant(node.value)
        return text, SUM if text.startswith("-") else APPLICATION if "e-" in text or "e+" in text else ATOM

    def symbol(self, node: Symbol) -> str:
        base, digits = _split(node)
        return unicodedata.normalize("NFC", base + ACCENTS[node.mark]) + digits.translate(SUBSCRIPTS)

    def partial(self, of: Symbol, by: Symbol) -> str:
        return f"∂{self.symbol(of)}/∂{self.symbol(by)}"

    def enclosed(self, formula: str) -> str:
        return f"({formula})"

    def quotient(self, top: Node, bottom: Node, last: bool) -> tuple[str, int]:
        return f"{self.write(top, PRODUCT, last=False)} / {self.write(bottom, APPLICATION, last)}", PRODUCT

    def power(self, base: Node, exponent: Node) -> str:
        written = self.write(base, ATOM)
        if isinstance(exponent, Number) and not exponent.name and re.fullmatch(r"-?\d+", significant(exponent.value)):
            return written + significant(exponent.value).translate(SUPERSCRIPTS)
        return f"{written}^{self.write(exponent, ATOM)}"

    def root(self, op: str, radicand: Node) -> str:
        return ("√" if op == "sqrt" else "∛") + self.write(radicand, ATOM)

    def modulus(self, operand: Node) -> str:
        return f"|{self.write(operand)}|"

    def word(self, op: str) -> str:
        return OPERATIONS[op].word if op in OPERATIONS else op


class Latex(Notation):
    """LaTeX mathematics, for the standard commands and those of amsmath."""

    times = r"\times"

    def number(self, node: Number) -> tuple[str, int]:
        if node.name:
            return {"pi": r"\pi"}.get(node.name, node.name), ATOM
        if not math.isfinite(node.value):
            text = r"\mathrm{nan}" if math.isnan(node.value) else r"\infty" if node.value > 0 else r"-\infty"
            return text, SUM if node.value < 0 else ATOM
        mantissa, _, exponent = significant(node.value).partition("e")
        text = rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa
        return text, SUM if node.value < 0 else PRODUCT if exponent else ATOM

    def symbol(self, node: Symbol) -> str:
        base, digits = _split(node)
        if base in GREEK:
            base = f"\\{base}"
        elif len(base) > 1:
            base = rf"\mathit{{{base}}}".replace("_", r"\_")
        marked = rf"\{node.mark}{{{base}}}" if node.mark else base
        return f"{marked}_{{{digits}}}" if digits else marked

    def partial(self, of: Symbol, by: Symbol) -> str:
        return rf"\frac{{\partial {self.symbol(of)}}}{{\partial {self.symbol(by)}}}"

    def enclosed(self, formula: str) -> str:
        return rf"\left({formula}\right)"

    def quotient(self, top: Node, bottom: Node, last: bool) -> tuple[str, int]:
        del last  # what stands in a fraction has its end marked
        return rf"\frac{{{self.write(top)}}}{{{self.write(bottom)}}}", APPLICATION

    def power(self, base: Node, exponent: Node) -> str:
        return f"{self.write(base, ATOM)}^{{{self.write(exponent)}}}"

    def root(self, op: str, radicand: Node) -> str:
        return rf"\sqrt{{{self.write(radicand)}}}" if op == "sqrt" else rf"\sqrt[3]{{{self.write(radicand)}}}"

    def modulus(self, operand: Node) -> str:
        return rf"\left|{self.write(operand)}\right|"

    def word(self, op: str) -> str:
        return OPERATIONS[op].latex if op in OPERATIONS else rf"\operatorname{{{op}}}"


TEXT = Text()
LATEX = Latex()


def _familiar(node: Call) -> Call:
    """Write functions that only rename arithmetic as arithmetic."""
    match node:
        case Call("square", (a,)):
            return Call("power", (a, Number(2.0)))
        case Call("reciprocal", (a,)):
            return Call("divide", (Number(1.0), a))
        case Call("exp2", (a,)):
            return Call("power", (Number(2.0), a))
    return node


def _is_single(node: Node) -> bool:
    """Whether the operand of a function is plain enough to stand without parentheses."""
    return isinstance(node, Symbol) or (isinstance(node, Number) and node.value >= 0)


def _split(node: Symbol) -> tuple[str, str]:
    """Letters and subscript: a variable such as x1 is a letter with a subscript too."""
    if node.index is not None:
        return node.base, str(node.index)
    found = re.fullmatch(r"([^\W\d_])(\d+)", node.base)
    if found is None or not found[2].isascii():
        return node.base, ""
    return found[1], found[2]
