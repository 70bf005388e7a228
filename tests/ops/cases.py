"""THE table of cases: one or more rows for every function that has derivative rules.

A row names the NumPy function it covers, calls it on arrays (everything else is bound in the lambda), and gives the
arrays. Arrays are drawn where the function is smooth: choose the domain, not the tolerance. Points where it is not have
tests of their own in test_special_points.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CASES", "Case", "case", "cplx", "fixed", "real", "spd"]

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A row: `function` is what it covers, `call` what is differentiated, `draws` make its arguments."""

    function: Any
    call: Callable[..., Any]
    draws: tuple[Draw, ...]
    label: str
    skip: dict[str, str] = field(default_factory=dict)  # law -> why it does not apply

    @property
    def id(self) -> str:
        return self.label

    def args(self) -> tuple[np.ndarray, ...]:
        """The arguments, the same in every run."""
        rng = np.random.default_rng(zlib.crc32(self.label.encode()))
        return tuple(draw(rng) for draw in self.draws)


CASES: list[Case] = []
_counts: dict[str, int] = {}


def case(function: Any, call: Callable[..., Any] | None, *draws: Draw, note: str = "", skip: dict[str, str] | None = None) -> None:
    """Add a row; `call` of None stands for the function itself."""
    name = getattr(function, "__name__", str(function))
    _counts[name] = _counts.get(name, 0) + 1
    label = f"{name}-{note or _counts[name]}"
    CASES.append(Case(function, call or function, draws, label, skip or {}))


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> Draw:
    """Uniform real numbers."""
    return lambda rng: rng.uniform(low, high, shape)


def cplx(*shape: int, low: float = 0.3, high: float = 2.0) -> Draw:
    """Complex numbers of modulus in [low, high], off the negative real axis."""
    return lambda rng: rng.uniform(low, high, shape) * np.exp(1j * rng.uniform(-2.8, 2.8, shape))


def spd(*shape: int) -> Draw:
    """Symmetric positive definite matrices with separated eigenvalues; the shape ends in (n, n)."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        q, _ = np.linalg.qr(rng.normal(size=shape))
        return (q * np.arange(1.0, shape[-1] + 1)) @ np.swapaxes(q, -1, -2)

    return draw


def fixed(value: Any) -> Draw:
    """A given array."""
    return lambda rng: np.array(value)
