r"""Hessian-vector product of a logistic regression with 20,000 examples of 200 features.

Source: B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994), 147-160, of
:math:`\tfrac1n \sum_i \log(1 + \exp(-y_i x_i^T w)) + \tfrac\lambda2 \lVert w \rVert^2`, as in C.-J. Lin, R. C. Weng,
S. S. Keerthi, Trust region Newton method for large-scale logistic regression, JMLR 9 (2008), 627-650. The examples are
random.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

RIDGE = 1e-3


def data(n: int = 20_000, features: int = 200) -> Data:
    """Examples, signs, weights, and the vector."""
    rng = np.random.default_rng(7)
    x, signs = rng.standard_normal((n, features)), np.where(rng.random(n) < 0.5, -1.0, 1.0)
    return Data((0.1 * rng.standard_normal(features),), (x, signs), (rng.standard_normal(features),))


def value(xp: Any, w: Any, x: Any, signs: Any) -> Any:
    """The regularised loss."""
    return xp.mean(xp.logaddexp(0.0, -signs * (x @ w))) + 0.5 * RIDGE * xp.sum(w * w)


def torch_value(torch: Any, w: Any, x: Any, signs: Any) -> Any:
    """The same with PyTorch's own `softplus`."""
    return torch.nn.functional.softplus(-signs * (x @ w)).mean() + 0.5 * RIDGE * (w * w).sum()


def by_hand(w: np.ndarray, x: np.ndarray, signs: np.ndarray, v: np.ndarray) -> tuple[np.ndarray]:
    """The Hessian is ``x.T @ diag(p * (1 - p)) @ x / n``, and the ridge."""
    p = 1.0 / (1.0 + np.exp(-(x @ w)))
    p *= 1.0 - p
    p *= x @ v
    p /= len(signs)
    return (p @ x + RIDGE * v,)


WORKLOADS = (
    Workload(
        name="logistic",
        title="logistic regression 20,000 x 200, Hessian-vector product",
        source="Pearlmutter, Neural Computation 6 (1994), 147-160; Lin, Weng, Keerthi, JMLR 9 (2008), 627-650",
        data=data,
        value=value,
        torch_value=torch_value,
        by_hand=by_hand,
        cases={"": {}},
        small={"n": 8, "features": 3},
        wanted="hvp",
        kernel=lambda xp, w, x, signs: x @ w,
        kernel_name="matrix-vector product",
    ),
)
