"""A thousand systems of four equations, solved as a stack.

Source: the adjoint of a linear solve, M. B. Giles, An extended collection of matrix derivative results for forward and
reverse mode algorithmic differentiation, Oxford 2008, section 2.3.1. Stacks of systems of four are the size of rigid
transformations and of per-voxel fits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]


def data(count: int = 1_000, size: int = 4) -> Data:
    """Matrices with a dominant diagonal, and right-hand sides."""
    rng = np.random.default_rng(11)
    a = rng.standard_normal((count, size, size)) + 2.0 * size * np.eye(size)
    return Data((a, rng.standard_normal((count, size, 1))))


def value(xp: Any, a: Any, b: Any) -> Any:
    """Half the squares of all solutions."""
    x = xp.linalg.solve(a, b)
    return 0.5 * xp.sum(x * x)


def by_hand(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """A second solve, with the transposes."""
    x = np.linalg.solve(a, b)
    g = np.linalg.solve(a.swapaxes(1, 2), x)
    return g * -x.swapaxes(1, 2), g


WORKLOADS = (
    Workload(
        name="solves",
        title="1,000 solves of 4 x 4",
        source="Giles, An extended collection of matrix derivative results (2008), section 2.3.1",
        data=data,
        value=value,
        torch_value=value,
        by_hand=by_hand,
        cases={"": {}},
        small={"count": 2, "size": 3},
        kernel=lambda xp, a, b: xp.linalg.solve(a, b),
        kernel_name="solve",
    ),
)
