"""Messages along the edges of a graph: gather by 100,000 indices, and sums of segments by as many.

Source: the message passing of J. Gilmer and others, Neural message passing for quantum chemistry, arXiv 1704.01212, with
scalars at the nodes and ``w * tanh(x)`` for a message. In NumPy's namespace, sums of segments are `numpy.add.at`; JAX has
`jax.ops.segment_sum`, PyTorch `index_add`; for HIPS autograd, which has none, it is a primitive defined as its manual
tells users to.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]


def data(nodes: int = 10_000, edges: int = 100_000) -> Data:
    """Numbers at nodes, weights of edges; what each edge leaves and enters, and what is observed."""
    rng = np.random.default_rng(9)
    ends = rng.integers(0, nodes, edges), rng.integers(0, nodes, edges)
    return Data((rng.standard_normal(nodes), rng.standard_normal(edges)), (*ends, rng.standard_normal(nodes)))


def value(xp: Any, x: Any, w: Any, source: Any, target: Any, observed: Any) -> Any:
    """Squares of what is left after the sums of messages."""
    received = xp.zeros_like(x)
    xp.add.at(received, target, w * xp.tanh(x[source]))
    return 0.5 * xp.sum((received - observed) ** 2)


def jax_value(jnp: Any, x: Any, w: Any, source: Any, target: Any, observed: Any) -> Any:
    """The same with `jax.ops.segment_sum`."""
    messages = w * jnp.tanh(x[source])
    received = import_module("jax").ops.segment_sum(messages, target, num_segments=x.shape[0])
    return 0.5 * jnp.sum((received - observed) ** 2)


def autograd_value(anp: Any, x: Any, w: Any, source: Any, target: Any, observed: Any) -> Any:
    """The same with a primitive of one's own."""
    received = _autograd_primitive()(w * anp.tanh(x[source]), target, x.shape[0])
    return 0.5 * anp.sum((received - observed) ** 2)


def _autograd_primitive(made: list[Any] = []) -> Any:  # noqa: B006  made once
    if not made:
        extend = import_module("autograd.extend")
        made.append(extend.primitive(lambda m, target, n: np.bincount(target, m, n)))
        extend.defvjp(made[0], lambda ans, m, target, n: lambda g: g[target], None, None)
    return made[0]


def torch_value(torch: Any, x: Any, w: Any, source: Any, target: Any, observed: Any) -> Any:
    """The same with `index_add`."""
    received = torch.zeros_like(x).index_add(0, target, w * torch.tanh(x[source]))
    return 0.5 * ((received - observed) ** 2).sum()


def by_hand(
    x: np.ndarray, w: np.ndarray, source: np.ndarray, target: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The transpose of a gather is a sum of segments, and the other way round."""
    t = np.tanh(x)
    gathered = t[source]
    received = np.bincount(target, w * gathered, x.size)
    received -= observed
    g = received[target]
    gathered *= g
    g *= w
    slope = np.bincount(source, g, x.size)
    slope *= 1.0 - t * t
    return slope, gathered


WORKLOADS = (
    Workload(
        name="segments",
        title="gather and segment sums, 100,000 indices",
        source="Gilmer and others, arXiv 1704.01212",
        data=data,
        value=value,
        torch_value=torch_value,
        by_hand=by_hand,
        cases={"": {}},
        small={"nodes": 4, "edges": 9},
        idioms={"jax": jax_value, "autograd": autograd_value},
        kernel=lambda xp, x, w, source, target, observed: x[source],
        kernel_name="gather",
    ),
)
