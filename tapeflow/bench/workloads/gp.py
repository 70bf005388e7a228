r"""Negative log marginal likelihood of a Gaussian process with 500 points: a Cholesky factor, and a solution with it.

Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press 2006, algorithm 2.1 and
equation 5.9, with a squared exponential kernel that has a length for each of eight features. NumPy has no triangular
solve, and `value` uses `numpy.linalg.solve`; PyTorch uses its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import lapack

from tapeflow.bench.workload import Data, Workload

__all__ = ["WORKLOADS"]


def data(n: int = 500, features: int = 8) -> Data:
    """Logarithms of lengths, of amplitude and of noise; points and observations."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((n, features))
    y = np.sin(x[:, 0]) + 0.1 * rng.standard_normal(n)
    return Data((0.1 * rng.standard_normal(features), np.array(0.1), np.array(-1.0)), (x, y, np.eye(n)))


def value(xp: Any, log_lengths: Any, log_amplitude: Any, log_noise: Any, x: Any, y: Any, eye: Any) -> Any:
    """Half of ``y K^-1 y``, the logarithm of half the determinant, and the constant."""
    z = x * xp.exp(-log_lengths)
    square = xp.sum(z * z, axis=1)
    distance = square[:, None] + square - 2.0 * (z @ z.T)
    k = xp.exp(2.0 * log_amplitude - 0.5 * distance) + xp.exp(2.0 * log_noise) * eye
    factor = xp.linalg.cholesky(k)
    a = xp.linalg.solve(factor, y)
    half = xp.sum(xp.log(xp.diag(factor)))
    return 0.5 * xp.sum(a * a) + half + 0.5 * len(y) * math.log(2.0 * math.pi)


def torch_value(torch: Any, log_lengths: Any, log_amplitude: Any, log_noise: Any, x: Any, y: Any, eye: Any) -> Any:
    """The same with a triangular solve."""
    z = x * torch.exp(-log_lengths)
    square = (z * z).sum(1)
    distance = square[:, None] + square - 2.0 * (z @ z.T)
    k = torch.exp(2.0 * log_amplitude - 0.5 * distance) + torch.exp(2.0 * log_noise) * eye
    factor = torch.linalg.cholesky(k)
    a = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
    half = torch.log(torch.diagonal(factor)).sum()
    return 0.5 * (a * a).sum() + half + 0.5 * len(y) * math.log(2.0 * math.pi)


def by_hand(
    log_lengths: np.ndarray, log_amplitude: np.ndarray, log_noise: np.ndarray, x: np.ndarray, y: np.ndarray,
    eye: np.ndarray,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Half the trace of ``(K^-1 - a a^T) dK``, with the inverse from the Cholesky factor by LAPACK."""
    z = x * np.exp(-log_lengths)
    square = np.einsum("ij,ij->i", z, z)
    k = z @ z.T
    k *= 2.0
    k -= square
    k -= square[:, None]
    k *= 0.5
    k += 2.0 * log_amplitude
    np.exp(k, out=k)
    noise = np.exp(2.0 * log_noise)
    covariance = k.copy()
    covariance.ravel()[:: len(y) + 1] += noise
    factor, _ = lapack.dpotrf(covariance.T, lower=1, overwrite_a=1, clean=0)
    a, _ = lapack.dpotrs(factor, y, lower=1)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    g = np.tril(inverse, -1)
    g += g.T
    g.ravel()[:: len(y) + 1] = inverse.diagonal()
    g -= a[:, None] * a
    d_noise = noise * np.trace(g)
    g *= k
    row = g.sum(1)
    d_lengths = row @ (z * z) - np.einsum("ij,ij->j", z, g @ z)
    return d_lengths, np.array(row.sum()), np.array(d_noise)


WORKLOADS = (
    Workload(
        name="gp",
        title="Gaussian process, marginal likelihood, n = 500",
        source="Rasmussen, Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1",
        data=data,
        value=value,
        torch_value=torch_value,
        by_hand=by_hand,
        cases={"": {}},
        small={"n": 6, "features": 2},
        kernel=lambda xp, log_lengths, log_amplitude, log_noise, x, y, eye: xp.linalg.cholesky(eye),
        kernel_name="cholesky",
    ),
)
