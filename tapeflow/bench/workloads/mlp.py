"""A classifier 784-512-512-10 with rectified units, a batch of 128, cross-entropy of its softmax.

Source: the size of input and output of MNIST (Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied
to document recognition, Proceedings of the IEEE 86 (1998), 2278-2324); weights as in K. He and others, arXiv 1502.01852.
The images are random.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

WIDTHS = (784, 512, 512, 10)


def data(dtype: str, batch: int = 128, widths: tuple[int, ...] = WIDTHS) -> Data:
    """Weights, biases, images and labels."""
    rng = np.random.default_rng(6)
    variables: list[np.ndarray] = []
    for m, n in pairwise(widths):
        variables += [rng.standard_normal((m, n)) * np.sqrt(2.0 / m), 0.01 * rng.standard_normal(n)]
    images, labels = rng.random((batch, widths[0])), rng.integers(0, widths[-1], batch)
    return Data(tuple(v.astype(dtype) for v in variables), (images.astype(dtype), labels, np.arange(batch)))


def value(xp: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, images: Any, labels: Any, rows: Any) -> Any:
    """The mean cross-entropy."""
    h = xp.maximum(images @ w1 + b1, 0.0)
    h = xp.maximum(h @ w2 + b2, 0.0)
    z = h @ w3 + b3
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - z[rows, labels])


def torch_value(
    torch: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, images: Any, labels: Any, rows: Any
) -> Any:
    """The same with PyTorch's own layers and loss."""
    h = torch.relu(torch.addmm(b1, images, w1))
    h = torch.relu(torch.addmm(b2, h, w2))
    return torch.nn.functional.cross_entropy(torch.addmm(b3, h, w3), labels)


def by_hand(
    w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray, w3: np.ndarray, b3: np.ndarray,
    images: np.ndarray, labels: np.ndarray, rows: np.ndarray,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Backpropagation."""
    h1 = images @ w1
    h1 += b1
    np.maximum(h1, 0.0, out=h1)
    h2 = h1 @ w2
    h2 += b2
    np.maximum(h2, 0.0, out=h2)
    g = h2 @ w3
    g += b3
    g -= g.max(1, keepdims=True)
    np.exp(g, out=g)
    g /= g.sum(1, keepdims=True)
    g[rows, labels] -= 1.0
    g /= len(rows)
    g2 = g @ w3.T
    g2 *= h2 > 0.0
    g1 = g2 @ w2.T
    g1 *= h1 > 0.0
    return images.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g, g.sum(0)


WORKLOADS = (
    Workload(
        name="mlp",
        title="MLP 784-512-512-10, batch 128",
        source="LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 86 (1998), 2278-2324",
        data=data,
        value=value,
        torch_value=torch_value,
        by_hand=by_hand,
        cases={"float32": {"dtype": "float32"}, "float64": {"dtype": "float64"}},
        small={"dtype": "float64", "batch": 4, "widths": (5, 4, 3, 2)},
        kernel=lambda xp, w1, b1, w2, b2, w3, b3, images, labels, rows: images @ w1,
        kernel_name="matmul",
    ),
)
