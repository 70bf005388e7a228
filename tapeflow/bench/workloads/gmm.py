r"""Log-posterior of a Gaussian mixture with a Wishart prior, as in ADBench.

Source: F. Srajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools on some problems
in computer vision and machine learning, Optimization Methods and Software 33 (2018), 889-906, section 4.1. With weights
:math:`\alpha`, means :math:`\mu_k` and lower triangular :math:`Q_k`, whose diagonal is :math:`\exp q_k`,

.. math::

    \sum_i \log \sum_k \exp\bigl(\alpha_k + \textstyle\sum q_k - \tfrac12 \lVert Q_k (x_i - \mu_k) \rVert^2\bigr)
    - n \log \sum_k \exp \alpha_k - \tfrac12 n d \log 2\pi
    + \sum_k \bigl(\tfrac12 \gamma^2 \lVert Q_k \rVert^2 - m \textstyle\sum q_k\bigr) - K C,

with the signs of the prior as in the programs of ADBench, and its :math:`\gamma = 1`, :math:`m = 0`. The points are drawn
here from a fixed seed, of the sizes of ADBench's files. Here the product with all :math:`Q_k` is one matrix product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import multigammaln

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]

GAMMA, M = 1.0, 0


def places(d: int) -> np.ndarray:
    """For each entry of Q, its place in the row ``[exp q, l, 0]``; the lower triangle is stored by columns."""
    index = np.full((d, d), d + d * (d - 1) // 2)
    index[np.arange(d), np.arange(d)] = np.arange(d)
    below = d
    for column in range(d):
        index[column + 1 :, column] = np.arange(below, below + d - 1 - column)
        below += d - 1 - column
    return index


def data(d: int, k: int, n: int) -> Data:
    """Points, and parameters near those of their distribution."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((k, d))
    x = np.ascontiguousarray((centres[rng.integers(0, k, n)] + 0.5 * rng.standard_normal((n, d))).T)
    alpha = 0.1 * rng.standard_normal(k)
    means = centres + 0.1 * rng.standard_normal((k, d))
    icf = 0.1 * rng.standard_normal((k, d * (d + 1) // 2))
    size = d + M + 1
    c = size * d * (math.log(GAMMA) - 0.5 * math.log(2.0)) - float(multigammaln(0.5 * size, d))
    return Data((alpha, means, icf), (x, places(d), -0.5 * n * d * math.log(2.0 * math.pi) - k * c))


def log_sum_exp(xp: Any, a: Any) -> Any:
    """The logarithm of a sum of exponentials over the first axis."""
    top = xp.max(a, axis=0)
    return top + xp.log(xp.sum(xp.exp(a - top), axis=0))


def _objective(xp: Any, lse: Any, alpha: Any, means: Any, row: Any, log_diagonal: Any, x: Any, index: Any) -> Any:
    k, d = means.shape
    factors = row[:, index]
    shift = (factors @ means[:, :, None]).reshape((k * d, 1))
    centred = (factors.reshape((k * d, d)) @ x - shift).reshape((k, d, -1))
    inner = (alpha + log_diagonal)[:, None] - 0.5 * (centred**2).sum(1)
    prior = (0.5 * GAMMA**2) * (row**2).sum() - M * log_diagonal.sum()
    return lse(inner).sum() - x.shape[1] * lse(alpha) + prior


def value(xp: Any, alpha: Any, means: Any, icf: Any, x: Any, index: Any, constant: float) -> Any:
    """The log-posterior."""
    k, d = means.shape
    row = xp.concatenate([xp.exp(icf[:, :d]), icf[:, d:], xp.zeros((k, 1))], axis=1)
    log_diagonal = xp.sum(icf[:, :d], axis=1)
    return constant + _objective(xp, lambda a: log_sum_exp(xp, a), alpha, means, row, log_diagonal, x, index)


def torch_value(torch: Any, alpha: Any, means: Any, icf: Any, x: Any, index: Any, constant: float) -> Any:
    """The same with PyTorch's own `logsumexp`."""
    k, d = means.shape
    row = torch.cat([torch.exp(icf[:, :d]), icf[:, d:], icf.new_zeros((k, 1))], dim=1)
    log_diagonal = icf[:, :d].sum(1)
    return constant + _objective(torch, lambda a: torch.logsumexp(a, 0), alpha, means, row, log_diagonal, x, index)


def by_hand(
    alpha: np.ndarray, means: np.ndarray, icf: np.ndarray, x: np.ndarray, index: np.ndarray, constant: float
) -> tuple[np.ndarray, ...]:
    """Responsibilities, and their products with the centred points."""
    (k, d), n = means.shape, x.shape[1]
    row = np.concatenate([np.exp(icf[:, :d]), icf[:, d:], np.zeros((k, 1))], axis=1)
    factors = row[:, index]
    centred = factors.reshape(k * d, d) @ x
    centred -= (factors @ means[:, :, None]).reshape(k * d, 1)
    centred = centred.reshape(k, d, n)
    p = np.einsum("kdn,kdn->kn", centred, centred)
    p *= -0.5
    p += (alpha + icf[:, :d].sum(1))[:, None]
    p -= p.max(0)
    np.exp(p, out=p)
    p /= p.sum(0)
    total = p.sum(1)
    weights = np.exp(alpha - alpha.max())
    d_alpha = total - n * weights / weights.sum()
    centred *= -p[:, None, :]
    d_shift = centred.sum(2)
    d_factors = (centred.reshape(k * d, n) @ x.T).reshape(k, d, d) - d_shift[:, :, None] * means[:, None, :]
    d_means = -np.matmul(d_shift[:, None, :], factors)[:, 0]
    d_row = GAMMA**2 * row
    d_row[:, index.ravel()] += d_factors.reshape(k, d * d)
    d_icf = d_row[:, :-1]
    d_icf[:, :d] *= row[:, :d]
    d_icf[:, :d] += total[:, None] - M
    return d_alpha, d_means, d_icf


WORKLOADS = (
    Workload(
        name="gmm",
        title="GMM log-posterior (ADBench)",
        source="Srajer, Kukelova, Fitzgibbon, Optimization Methods and Software 33 (2018), 889-906",
        data=data,
        value=value,
        torch_value=torch_value,
        by_hand=by_hand,
        cases={
            "2,5,1000": {"d": 2, "k": 5, "n": 1000},
            "10,25,1000": {"d": 10, "k": 25, "n": 1000},
            "32,25,2500": {"d": 32, "k": 25, "n": 2500},
        },
        small={"d": 3, "k": 2, "n": 5},
        kernel=lambda xp, alpha, means, icf, x, index, constant: xp.exp(x),
        kernel_name="exp",
    ),
)
