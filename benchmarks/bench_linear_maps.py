"""Maps that are never formed, what is read off them, and derivatives of higher order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapeflow as tf
from benchmarks.sizes import some

Make = Callable[[np.ndarray], Callable[[], Any]]
ORDER = 5


def rosenbrock(x: Any) -> Any:
    """Rosenbrock's function of n variables."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def residuals(x: Any) -> Any:
    """As many residuals as variables, with a map between them."""
    return np.tanh(_mixing(x.shape[0]) @ x) - 0.5


def _mixing(n: int) -> np.ndarray:
    return np.cos(np.arange(n * n).reshape(n, n)) / np.sqrt(n)


def _linear(x: Any) -> Any:
    return np.cumsum(x) - 2.0 * np.roll(x, 1)


def _examples(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(np.arange(32.0 * n)).reshape(32, n), np.linspace(0.0, 1.0, 32)


def _square_loss(w: Any, x: Any, y: Any) -> Any:
    return 0.5 * (w @ x - y) ** 2


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def _applied(operator: Any, v: np.ndarray) -> Callable[[], Any]:
    """The product alone; the operator was made before."""
    return lambda: operator @ v


def _pulled(x: np.ndarray) -> Callable[[], Any]:
    transpose = tf.linear_transpose(_linear, x, check=False)
    return lambda: transpose(x)


def _linearized(x: np.ndarray) -> Callable[[], Any]:
    push = tf.linearize(residuals, x)[1]
    return lambda: push(x)


PRODUCTS: dict[str, Make] = {
    "hvp": lambda x: lambda: tf.hvp(rosenbrock, (x,), (x,)),
    "hessp": lambda x: lambda: tf.hessp(rosenbrock)(x, x),
    "hessian_operator @ v": lambda x: _applied(tf.hessian_operator(rosenbrock, x), x),
    "jacobian_operator @ v": lambda x: _applied(tf.jacobian_operator(residuals, x), x),
    "jacobian_operator.T @ v": lambda x: _applied(tf.jacobian_operator(residuals, x).T, x),
    "gauss_newton_product": lambda x: lambda: tf.gauss_newton_product(residuals, (x,), (x,)),
    "gauss_newton_operator @ v": lambda x: _applied(tf.gauss_newton_operator(residuals, x), x),
    "fisher_product": lambda x: lambda: tf.fisher_product(residuals, (x,), (x,), likelihood="categorical"),
    "fisher_operator @ v": lambda x: _applied(tf.fisher_operator(residuals, x, likelihood="categorical"), x),
    "empirical_fisher_product": lambda x: (
        lambda: tf.empirical_fisher_product(_square_loss, (x,), (x,), examples=_examples(x.size))
    ),
    "empirical_fisher_operator @ v": lambda x: _applied(
        tf.empirical_fisher_operator(_square_loss, x, examples=_examples(x.size)), x
    ),
    "linearize": lambda x: lambda: tf.linearize(residuals, x),
    "linearized map": _linearized,
    "linear_transpose": lambda x: lambda: tf.linear_transpose(_linear, x, check=False),
    "transposed map": _pulled,
}

SUMMARIES: dict[str, Make] = {
    "hessian_diagonal": lambda x: lambda: tf.hessian_diagonal(rosenbrock, x),
    "laplacian": lambda x: lambda: tf.laplacian(rosenbrock, x),
    "hessian_diagonal_estimate": lambda x: lambda: tf.hessian_diagonal_estimate(rosenbrock, x, rng=_rng(), samples=32),
    "hessian_trace": lambda x: lambda: tf.hessian_trace(rosenbrock, x, rng=_rng(), samples=32),
    "hutchinson_trace": lambda x: (
        lambda: tf.hutchinson_trace(tf.hessian_operator(rosenbrock, x), rng=_rng(), samples=32)
    ),
    "hutchinson_diagonal": lambda x: (
        lambda: tf.hutchinson_diagonal(tf.hessian_operator(rosenbrock, x), rng=_rng(), samples=32)
    ),
}


class _Calls:
    """Calls that a table makes."""

    table: dict[str, Make]
    param_names = ("call", "n")
    number = 1
    timeout = 120

    def setup(self, name: str, n: int) -> None:
        """Make the call, and do it once, so that nothing is done for the first time."""
        self.call = self.table[name](np.linspace(0.3, 0.9, n))
        self.call()


class Products(_Calls):
    """Products with Jacobians, Hessians and their kin."""

    table = PRODUCTS
    params = (list(PRODUCTS), some([10, 300]))

    def time_product(self, name: str, n: int) -> None:
        """One product, or what makes a map."""
        self.call()


class Summaries(_Calls):
    """Diagonals and traces."""

    table = SUMMARIES
    params = (list(SUMMARIES), some([10, 300]))

    def time_summary(self, name: str, n: int) -> None:
        """Exact, or estimated by 32 samples."""
        self.call()


def series_by_grad(x: Any) -> Any:
    """The fifth derivative by nesting `grad`."""
    f = _bump
    for _ in range(ORDER):
        f = tf.grad(f)
    return f(x)


def _bump(x: Any) -> Any:
    return np.sin(x) * np.exp(-x * x)


class HigherOrder:
    """The fifth derivative of a function of one number, with four operations."""

    def time_taylor(self) -> None:
        """All coefficients in one pass."""
        tf.taylor(_bump, np.float64(0.3), np.float64(1.0), ORDER)

    def time_nth_derivative(self) -> None:
        """The last of them."""
        tf.nth_derivative(_bump, np.float64(0.3), ORDER)

    def time_nested_grad(self) -> None:
        """By nesting, which doubles with each order."""
        series_by_grad(np.float64(0.3))
