"""Rosenbrock's function of n variables: its gradient, and its dense Hessian.

Source: H. H. Rosenbrock, An automatic method for finding the greatest or least value of a function, The Computer Journal
3 (1960), 175-184; the sum over neighbours as in ``scipy.optimize.rosen``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

_SOURCE = "Rosenbrock, The Computer Journal 3 (1960), 175-184"


def data(n: int) -> Data:
    """Points on both sides of the valley."""
    return Data((np.linspace(-1.5, 1.5, n),))


def value(xp: Any, x: Any) -> Any:
    """The sum over neighbours."""
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def gradient_by_hand(x: np.ndarray) -> tuple[np.ndarray]:
    """Both halves of each pair."""
    left = x[:-1]
    slope = x[1:] - left * left
    slope *= 200.0
    g = np.empty_like(x)
    g[0] = 0.0
    g[1:] = slope
    slope *= 2.0
    slope *= left
    g[:-1] -= slope
    g[:-1] -= 2.0 * (1.0 - left)
    return (g,)


def hessian_by_hand(x: np.ndarray) -> tuple[np.ndarray]:
    """Three diagonals."""
    n = x.size
    h = np.zeros((n, n))
    flat = h.ravel()
    flat[: -n : n + 1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    flat[n + 1 :: n + 1] += 200.0
    flat[1 :: n + 1] = flat[n :: n + 1] = -400.0 * x[:-1]
    return (h,)


WORKLOADS = (
    Workload(
        name="rosenbrock",
        title="Rosenbrock, gradient",
        source=_SOURCE,
        data=data,
        value=value,
        torch_value=value,
        by_hand=gradient_by_hand,
        cases={"100": {"n": 100}, "100000": {"n": 100_000}},
        small={"n": 7},
        kernel=lambda xp, x: x[1:] - x[:-1],
        kernel_name="subtract",
    ),
    Workload(
        name="rosenbrock-hessian",
        title="Rosenbrock, Hessian (by hand: three diagonals)",
        source=_SOURCE,
        data=data,
        value=value,
        torch_value=value,
        by_hand=hessian_by_hand,
        cases={"500": {"n": 500}},
        small={"n": 7},
        wanted="hessian",
    ),
)
