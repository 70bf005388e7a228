"""A chain of six hundred small operations: what an operation costs when its arithmetic costs nothing.

Source: the program by which tapeflow has been raced from the start, ``y = sin(y) * 0.5 + x``, two hundred times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

STEPS = 200


def data(size: int) -> Data:
    """Points in the unit interval."""
    return Data((np.linspace(0.1, 0.9, size),))


def value(xp: Any, x: Any) -> Any:
    """The sum of the last link."""
    y = x
    for _ in range(STEPS):
        y = xp.sin(y) * 0.5 + x
    return xp.sum(y)


def by_hand(x: np.ndarray) -> tuple[np.ndarray]:
    """The chain rule, backwards through the links."""
    return (_anew(x) if x.size < 100 else _in_place(x),)


def _anew(x: np.ndarray) -> np.ndarray:
    """With a new array for each result: on a single element, NumPy takes thrice as long in place."""
    links, y = [], x
    for _ in range(STEPS):
        links.append(y)
        y = np.sin(y) * 0.5 + x
    g, total = np.ones_like(x), np.zeros_like(x)
    for y in reversed(links):
        total = total + g
        g = g * 0.5 * np.cos(y)
    return np.asarray(total + g)


def _in_place(x: np.ndarray) -> np.ndarray:
    links, y = [], x
    for _ in range(STEPS):
        links.append(y)
        y = np.sin(y)
        y *= 0.5
        y += x
    g, total = np.ones_like(x), np.zeros_like(x)
    for y in reversed(links):
        total += g
        g *= 0.5
        g *= np.cos(y)
    total += g
    return total


WORKLOADS = (
    Workload(
        name="chain",
        title="chain of 600 small operations",
        source="y = sin(y) * 0.5 + x, two hundred times",
        data=data,
        value=value,
        torch_value=value,
        by_hand=by_hand,
        cases={"1": {"size": 1}, "100": {"size": 100}, "100000": {"size": 100_000}},
        small={"size": 3},
        kernel=lambda xp, x: xp.sin(x),
        kernel_name="sin",
    ),
)
