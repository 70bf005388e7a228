"""Maximum likelihood for a mixture of Gaussians, the gradient given to SciPy's optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from tapeflow import value_and_grad
from tapeflow.data import iris
from tapeflow.demo.report import Report

__all__ = ["log_likelihoods", "loss", "run", "unpack"]

COMPONENTS = 3
STARTS = 5
Array = NDArray[np.float64]


def unpack(theta: Any, columns: int) -> tuple[Any, Any, Any]:
    """Split the vector of parameters.

    Parameters
    ----------
    theta : array
        What the optimizer moves.
    columns : int
        Number of features.

    Returns
    -------
    logits : array, shape (components,)
        Logarithms of the weights, up to a constant.
    means : array, shape (components, columns)
        Centres of the components.
    factor : array, shape (columns, columns)
        Lower triangular; the diagonal holds logarithms, so that any values give a covariance.
    """
    split = COMPONENTS + COMPONENTS * columns
    means = np.reshape(theta[COMPONENTS:split], (COMPONENTS, columns))
    return theta[:COMPONENTS], means, np.reshape(theta[split:], (columns, columns))


def precision_factor(raw: Any) -> Any:
    """Make the triangular matrix P with ``P @ P.T`` the inverse of the covariance."""
    eye = np.eye(len(raw))
    return raw * np.tri(len(raw), k=-1) + np.exp(raw * eye) * eye


def log_likelihoods(theta: Any, x: Array) -> Any:
    """Return the logarithm of weight times density, of each row under each component.

    The components share one covariance, as in Fisher's own analysis of these flowers; with one for each the likelihood
    would have no maximum, for a component could shrink onto a single flower.

    Parameters
    ----------
    theta : array
        Parameters, as `unpack` splits them.
    x : array, shape (rows, columns)
        The data.

    Returns
    -------
    array, shape (rows, components)
        The logarithms.
    """
    columns = x.shape[1]
    logits, means, raw = unpack(theta, columns)
    scaled = (x[:, None, :] - means) @ precision_factor(raw)
    log_determinant = np.sum(raw * np.eye(columns))
    densities = log_determinant - 0.5 * np.sum(scaled**2, axis=2) - 0.5 * columns * math.log(2 * math.pi)
    return logits - log_sum_exp(logits) + densities


def log_sum_exp(a: Any) -> Any:
    """Return ``log(sum(exp(a)))`` over the last axis, without overflow."""
    top = np.max(a, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(a - top), axis=-1, keepdims=True)) + top


def loss(theta: Any, x: Array) -> Any:
    """Return the mean negative log-likelihood: plain NumPy.

    Parameters
    ----------
    theta : array
        Parameters, as `unpack` splits them.
    x : array, shape (rows, columns)
        The data.

    Returns
    -------
    scalar
        The loss.
    """
    return -np.mean(log_sum_exp(log_likelihoods(theta, x)))


def run(seed: int = 0, progress: bool = False) -> Report:
    """Fit the mixture to the flowers, and check the gradient, the optimum and the likelihood.

    Parameters
    ----------
    seed : int
        For the first guess of the centres.
    progress
        Not used: nothing takes long.

    Returns
    -------
    Report
        What was found, and the checks.
    """
    del progress
    report = Report("mixture of Gaussians by maximum likelihood with scipy.optimize")
    data = iris()
    x = (data.features - data.features.mean(axis=0)) / data.features.std(axis=0)
    report.say(f"Iris: {len(x)} flowers, {x.shape[1]} measurements; {COMPONENTS} components with one covariance")
    both = value_and_grad(lambda theta: loss(theta, x))
    rng = np.random.default_rng(seed)
    # The likelihood has several maxima; the highest of a few is taken.
    starts = [first_guess(x, rng) for _ in range(STARTS)]
    fits = [optimize.minimize(both, s, jac=True, method="BFGS", options={"gtol": 1e-7}) for s in starts]
    start, found = min(zip(starts, fits, strict=True), key=lambda pair: pair[1].fun)
    report.say(f"BFGS from {STARTS} starts: {sum(fit.nfev for fit in fits)} values with gradients")
    report.say(_agreement(np.argmax(log_likelihoods(found.x, x), axis=1), data.labels))
    report.loss_name = "mean negative log-likelihood"
    report.before, report.after = float(loss(start, x)), float(loss(found.x, x))
    _check(report, lambda theta: loss(theta, x), start, both(start)[1], both(found.x)[1])
    moved = em_step_moves(found.x, x)
    report.check(f"a step of expectation maximisation moves nothing by more than {moved:.1e}", moved < 1e-4)
    return report


def first_guess(x: Array, rng: np.random.Generator) -> Array:
    """Centres at flowers far from each other (k-means++ seeding), unit covariance, equal weights."""
    means = [x[rng.integers(len(x))]]
    while len(means) < COMPONENTS:
        squared = np.min([np.sum((x - m) ** 2, axis=1) for m in means], axis=0)
        means.append(x[rng.choice(len(x), p=squared / squared.sum())])
    return np.concatenate([np.zeros(COMPONENTS), np.ravel(means), np.zeros(x.shape[1] ** 2)])


def _check(report: Report, function: Callable[[Any], Any], start: Array, at_start: Array, at_end: Array) -> None:
    differences = optimize.approx_fprime(start, function, 1e-7)
    error = float(np.max(np.abs(at_start - differences)))
    report.check(f"gradient at the start equals differences: largest difference {error:.1e}", error < 1e-5)
    size = float(np.max(np.abs(at_end)))
    report.check(f"largest derivative at the optimum is {size:.1e}", size < 1e-5)
    report.check(f"likelihood increased, by {report.before - report.after:.4f} a flower", report.after < report.before)


def em_step_moves(theta: Array, x: Array) -> float:
    """Return how far expectation maximisation, which needs no derivatives, would move weights, means, covariance."""
    logits, means, raw = unpack(theta, x.shape[1])
    factor = precision_factor(raw)
    joint = log_likelihoods(theta, x)
    share = np.exp(joint - log_sum_exp(joint))
    counts = share.sum(axis=0)
    new_means = share.T @ x / counts[:, None]
    apart = x[:, None, :] - new_means
    covariance = np.einsum("nk,nki,nkj->ij", share, apart, apart) / len(x)
    weights = np.exp(logits - log_sum_exp(logits))
    changes = (counts / len(x) - weights, new_means - means, covariance - np.linalg.inv(factor @ factor.T))
    return max(float(np.max(np.abs(change))) for change in changes)


def _agreement(component: NDArray[np.int64], species: NDArray[np.int64]) -> str:
    same = sum(int(np.bincount(species[component == k], minlength=1).max()) for k in range(COMPONENTS))
    return f"components agree with the species, which the fit never saw, for {same} of {len(species)} flowers"
