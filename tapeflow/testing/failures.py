"""How a failed check reads: what disagrees, where, both numbers, and how far apart they may be."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CheckFailure", "number", "ratio_hint", "report"]


class CheckFailure(AssertionError):
    """A derivative, or a law that a primitive must obey, does not hold.

    Attributes
    ----------
    details : dict
        What the message says, by name: for derivatives ``argument``, ``entry``, ``got``, ``expected``, ``tolerance``,
        ``mode`` and ``order``; for laws ``law``.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


def number(value: Any) -> str:
    """A number with enough digits to see a difference, and not more."""
    value = np.asarray(value)[()]
    if np.iscomplexobj(value) and value.imag == 0:
        value = value.real
    return f"{value:.9g}"


def report(headline: str, rows: dict[str, Any], hint: str = "") -> str:
    """A headline, a short table, and a hint."""
    width = max(map(len, rows), default=0)
    lines = [headline, *(f"  {name:<{width}}  {text}" for name, text in rows.items())]
    return "\n".join([*lines, f"  {hint}"] if hint else lines)


RATIOS = {2.0: "twice", 0.5: "half", -1.0: "minus", -2.0: "minus twice", -0.5: "minus half"}


def ratio_hint(got: Any, expected: Any) -> str:
    """What a wrong factor suggests, if it is one of the usual ones."""
    if not np.isfinite(got) or not np.isfinite(expected):
        return ""
    if expected == 0 or abs(got) <= 1e-6 * abs(expected):
        return "the derivative is zero and should not be: is an operand missing?" if abs(expected) > 0 else ""
    for ratio, name in RATIOS.items():
        if abs(got / expected - ratio) < 1e-4:
            return f"the derivative is {name} the reference"
    return ""
