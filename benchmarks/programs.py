"""The programs that both the asv suite and the comparison with peers time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow import ForwardAccumulator, GradientTape

STEPS = 200
OPS = 3 * STEPS


def chain(x: Any, sin: Any = np.sin) -> Any:
    """Six hundred small operations: y = sin(y) * 0.5 + x, two hundred times."""
    y = x
    for _ in range(STEPS):
        y = sin(y) * 0.5 + x
    return y


def gradient(x0: np.ndarray) -> Any:
    """Gradient of the chain by a tape."""
    with GradientTape() as tape:
        x = tape.watch(x0)
        y = chain(x)
    return tape.gradient(y, x)


def tangent(x0: np.ndarray) -> Any:
    """Directional derivative of the chain by an accumulator."""
    with ForwardAccumulator(x0, np.ones_like(x0)) as accumulator:
        y = chain(accumulator.primals)
    return accumulator.jvp(y)


def hessian_product(x0: np.ndarray) -> Any:
    """Hessian-vector product of the chain, forward over reverse."""
    with ForwardAccumulator(x0, np.ones_like(x0)) as accumulator:
        with GradientTape() as tape:
            x = tape.watch(accumulator.primals)
            y = chain(x)
        g = tape.gradient(y, x)
    return accumulator.jvp(g)


def by_hand(x0: np.ndarray) -> np.ndarray:
    """The same gradient written out in NumPy, with the temporaries that anybody would leave in."""
    y = x0
    kept = []
    for _ in range(STEPS):
        kept.append(y)
        y = np.sin(y) * 0.5 + x0
    g = np.ones_like(x0)
    total = np.zeros_like(x0)
    for v in reversed(kept):
        total += g
        g = (g * 0.5) * np.cos(v)
    return total + g


def sum_of_squares(n: int) -> Any:
    """Gradient of a loop over the elements of an array."""
    with GradientTape() as tape:
        x = tape.watch(np.linspace(0.0, 1.0, n))
        s: Any = 0.0
        for i in range(n):
            s = s + x[i] ** 2
    return tape.gradient(s, x)


def recurrence(x: Any) -> Any:
    """Fill an array element by element."""
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, x.shape[0]):
        y[i] = 0.9 * y[i - 1] + x[i]
    return np.sum(y)


def filled(n: int) -> Any:
    """Gradient of a loop that fills an array."""
    with GradientTape() as tape:
        x = tape.watch(np.linspace(0.0, 1.0, n))
        y = recurrence(x)
    return tape.gradient(y, x)


def long_chain(n: int) -> Any:
    """Gradient of a chain of n scalar operations."""
    with GradientTape() as tape:
        x = tape.watch(1.0)
        y = x
        for _ in range(n):
            y = y * 0.999999
    return tape.gradient(y, x)
