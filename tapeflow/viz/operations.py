"""The elementary operations that a trace may contain: how each is called, written and differentiated *in print*.

The templates of the partial derivatives are display text only, in the language of the expressions themselves: ``a`` and
``b`` are the operands, ``y`` is the result. No value is ever computed from them; values come from the engine, and a test
evaluates every template against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ALIASES", "CONSTANTS", "OPERATIONS", "Operation"]


@dataclass(frozen=True)
class Operation:
    """An elementary operation.

    Attributes
    ----------
    function : callable
        The NumPy function that computes it.
    partials : tuple of str
        A template for each operand; an empty one prints as the bare partial derivative.
    word : str
        How it is written before its operands in plain text.
    latex : str
        The same in LaTeX.
    """

    function: Any
    partials: tuple[str, ...]
    word: str
    latex: str

    @property
    def arity(self) -> int:
        """Number of operands."""
        return len(self.partials)


def _named(function: Any, *partials: str, word: str = "", latex: str = "") -> tuple[str, Operation]:
    name = function.__name__
    word = word or name
    return name, Operation(function, partials, word, latex or rf"\operatorname{{{word}}}")


def _standard(function: Any, *partials: str, word: str = "") -> tuple[str, Operation]:
    """Declare a function for which LaTeX has a command of the same name."""
    word = word or function.__name__
    return _named(function, *partials, word=word, latex=f"\\{word}")


OPERATIONS: dict[str, Operation] = dict(
    (
        _named(np.add, "1", "1"),
        _named(np.subtract, "1", "-1"),
        _named(np.multiply, "b", "a"),
        _named(np.divide, "1/b", "-(a/b**2)"),
        _named(np.power, "b*a**(b-1)", "y*ln(a)"),
        _named(np.negative, "-1"),
        _named(np.positive, "1"),
        _named(np.square, "2*a"),
        _named(np.reciprocal, "-(1/a**2)"),
        _named(np.sqrt, "1/(2*y)"),
        _named(np.cbrt, "1/(3*y**2)"),
        _named(np.absolute, "sign(a)"),
        _named(np.fabs, "sign(a)"),
        _standard(np.exp, "y"),
        _named(np.exp2, "y*ln(2)"),
        _named(np.expm1, "y+1"),
        _standard(np.log, "1/a", word="ln"),
        _named(np.log2, "1/(a*ln(2))", word="log₂", latex=r"\log_{2}"),
        _named(np.log10, "1/(a*ln(10))", word="log₁₀", latex=r"\log_{10}"),
        _named(np.log1p, "1/(1+a)"),
        _named(np.logaddexp, "exp(a-y)", "exp(b-y)"),
        _named(np.logaddexp2, "exp2(a-y)", "exp2(b-y)"),
        _standard(np.sin, "cos(a)"),
        _standard(np.cos, "-sin(a)"),
        _standard(np.tan, "1+y**2"),
        _standard(np.arcsin, "1/sqrt(1-a**2)"),
        _standard(np.arccos, "-(1/sqrt(1-a**2))"),
        _standard(np.arctan, "1/(1+a**2)"),
        _standard(np.sinh, "cosh(a)"),
        _standard(np.cosh, "sinh(a)"),
        _standard(np.tanh, "1-y**2"),
        _named(np.arcsinh, "1/sqrt(1+a**2)"),
        _named(np.arccosh, "1/sqrt(a**2-1)"),
        _named(np.arctanh, "1/(1-a**2)"),
        _named(np.hypot, "a/y", "b/y"),
        _named(np.arctan2, "b/(a**2+b**2)", "-(a/(a**2+b**2))"),
        _named(np.deg2rad, "pi/180"),
        _named(np.rad2deg, "180/pi"),
        # Which operand passes the derivative on depends on the values: no formula in one line.
        _named(np.maximum, "", "", word="max", latex=r"\max"),
        _named(np.minimum, "", "", word="min", latex=r"\min"),
        _named(np.fmax, "", ""),
        _named(np.fmin, "", ""),
    )
)

ALIASES = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "degrees": "rad2deg",
    "ln": "log",
    "pow": "power",
    "radians": "deg2rad",
    "true_divide": "divide",
}

CONSTANTS = {"pi": float(np.pi), "e": float(np.e)}
