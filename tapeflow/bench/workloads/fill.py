"""A Python loop that fills an array: ``y[i] = 0.9 * y[i - 1] + x[i]``.

Source: a first-order autoregressive filter (G. E. P. Box, G. M. Jenkins, Time Series Analysis, Holden-Day 1970). JAX takes
its own `lax.scan`. HIPS autograd cannot write into arrays, and PyTorch can, but is faster with a list: for these the loop
fills a list, which is stacked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

FACTOR = 0.9


def data(n: int = 1_000) -> Data:
    """What drives the filter."""
    return Data((np.random.default_rng(10).standard_normal(n),))


def value(xp: Any, x: Any) -> Any:
    """The energy of the output."""
    y = xp.zeros_like(x)
    y[0] = x[0]
    for i in range(1, x.shape[0]):
        y[i] = FACTOR * y[i - 1] + x[i]
    return 0.5 * xp.sum(y * y)


def listed(xp: Any, x: Any) -> Any:
    """The same by a list."""
    y = [x[0]]
    for i in range(1, x.shape[0]):
        y.append(FACTOR * y[-1] + x[i])
    out = xp.stack(y)
    return 0.5 * xp.sum(out * out)


def jax_value(jnp: Any, x: Any) -> Any:
    """The same by a scan."""

    def step(last: Any, new: Any) -> tuple[Any, Any]:
        y = FACTOR * last + new
        return y, y

    out = import_module("jax").lax.scan(step, jnp.zeros((), x.dtype), x)[1]
    return 0.5 * jnp.sum(out * out)


def by_hand(x: np.ndarray) -> tuple[np.ndarray]:
    """The filter, and the filter backwards."""
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, x.size):
        y[i] = FACTOR * y[i - 1] + x[i]
    for i in range(x.size - 1, 0, -1):
        y[i - 1] += FACTOR * y[i]
    return (y,)


WORKLOADS = (
    Workload(
        name="fill",
        title="Python loop that fills an array of 1,000",
        source="Box, Jenkins, Time Series Analysis (1970)",
        data=data,
        value=value,
        torch_value=listed,
        by_hand=by_hand,
        cases={"": {}},
        small={"n": 5},
        idioms={"jax": jax_value, "autograd": listed},
    ),
)
