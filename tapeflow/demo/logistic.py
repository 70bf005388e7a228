"""Logistic regression by Newton's method, with the Hessian from nested tapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from tapeflow import GradientTape
from tapeflow.data import breast_cancer
from tapeflow.demo.report import Report

__all__ = ["loss", "newton", "run", "value_gradient_hessian"]

RIDGE = 1e-3  # without it classes that a plane can separate would push the weights to infinity
Array = NDArray[np.float64]


def loss(w: Any, x: Array, side: Array) -> Any:
    """Mean logistic loss with a ridge: plain NumPy, for tapeflow and for SciPy alike.

    Parameters
    ----------
    w : array, shape (columns,)
        The weights.
    x : array, shape (rows, columns)
        The features.
    side : array, shape (rows,)
        The classes, as 1 and -1.

    Returns
    -------
    scalar
        The loss.
    """
    return np.mean(np.logaddexp(0.0, -side * (x @ w))) + RIDGE / 2 * np.sum(w * w)


def value_gradient_hessian(function: Callable[[Any], Any], w: Array) -> tuple[float, Array, Array]:
    """Evaluate a scalar function with its first two derivatives, by two nested tapes.

    Parameters
    ----------
    function : callable
        Plain NumPy code that maps a vector to a scalar.
    w : array, shape (n,)
        Where.

    Returns
    -------
    value : float
        The value.
    gradient : array, shape (n,)
        From the inner tape.
    hessian : array, shape (n, n)
        The Jacobian of the gradient, from the outer tape, which recorded the inner one's sweep.
    """
    with GradientTape() as outer:
        w_outer = outer.watch(w)
        with GradientTape() as inner:
            w_inner = inner.watch(w_outer)
            value = function(w_inner)
        gradient = inner.gradient(value, w_inner)
    hessian = outer.jacobian(gradient, w_outer)
    return float(value), np.asarray(gradient), hessian


def newton(function: Callable[[Any], Any], w: Array, report: Report) -> tuple[Array, Array, Array]:
    """Minimise a convex function by Newton's method with step halving.

    Parameters
    ----------
    function : callable
        Plain NumPy code that maps a vector to a scalar.
    w : array
        The start.
    report : Report
        Is told about every iteration.

    Returns
    -------
    w, gradient, hessian : array
        The minimum, and the derivatives there.
    """
    for iteration in range(50):
        value, gradient, hessian = value_gradient_hessian(function, w)
        size = float(np.linalg.norm(gradient))
        report.say(f"  iteration {iteration}: loss {value:.12f}, gradient norm {size:.1e}")
        if size < 1e-10:
            break
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while function(w - length * step) > value and length > 1e-4:
            length /= 2
        w = w - length * step
    return w, gradient, hessian


def run(seed: int = 0, progress: bool = False) -> Report:
    """Fit a logistic regression to the tumours, and check it against SciPy and the closed form of the Hessian.

    Parameters
    ----------
    seed, progress
        Not used: nothing is random and nothing takes long.

    Returns
    -------
    Report
        The iterations and the checks.
    """
    del seed, progress
    report = Report("logistic regression by Newton's method, Hessian from nested tapes")
    x, side = _table()
    report.say(f"Breast Cancer Wisconsin (Diagnostic): {x.shape[0]} tumours, {x.shape[1] - 1} features and a constant")

    def objective(w: Any) -> Any:
        return loss(w, x, side)

    start = np.zeros(x.shape[1])
    w, gradient, hessian = newton(objective, start, report)
    report.loss_name = "mean logistic loss with ridge"
    report.before, report.after = float(objective(start)), float(objective(w))
    report.say(f"{np.mean((x @ w > 0) == (side > 0)):.1%} of the tumours are on their side of the plane")
    _compare(report, objective, w, gradient)
    chance = 1 / (1 + np.exp(-(x @ w)))
    exact = (x.T * (chance * (1 - chance))) @ x / len(x) + RIDGE * np.eye(len(w))
    error = float(np.max(np.abs(hessian - exact)))
    report.check(f"Hessian equals its closed form: largest difference {error:.1e}", error < 1e-12)
    return report


def _table() -> tuple[Array, Array]:
    data = breast_cancer()
    x = (data.features - data.features.mean(axis=0)) / data.features.std(axis=0)
    return np.column_stack([np.ones(len(x)), x]), np.where(data.labels == 1, 1.0, -1.0)


def _compare(report: Report, objective: Callable[[Any], Any], w: Array, gradient: Array) -> None:
    """Check the optimum against SciPy's, which takes differences and never sees our derivatives."""
    theirs = optimize.minimize(objective, np.zeros_like(w), method="BFGS", options={"gtol": 1e-6})
    ours = float(objective(w))
    size = float(np.linalg.norm(gradient))
    report.check(f"gradient norm at the optimum is {size:.1e}", size < 1e-10)
    report.check(
        f"loss {ours:.10f}, scipy.optimize from differences {theirs.fun:.10f}",
        -1e-7 < ours - theirs.fun < 1e-10,
    )
    distance = float(np.max(np.abs(w - theirs.x)))
    report.check(f"weights differ from scipy.optimize's by at most {distance:.1e}", distance < 1e-2)
