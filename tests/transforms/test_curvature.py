"""Gauss-Newton and Fisher products, against matrices written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import cg

from tapeflow import (
    empirical_fisher_operator,
    empirical_fisher_product,
    fisher_operator,
    fisher_product,
    gauss_newton_operator,
    gauss_newton_product,
    grad,
    hessian,
    jacobian,
    jvp,
    vmap,
)
from tapeflow.errors import NotDifferentiableError, SeedError, StructureError, TargetError

RNG = np.random.default_rng(5)
INPUTS = RNG.normal(size=(7, 3))
W = RNG.normal(size=(4, 3))
V = RNG.normal(size=(4, 3))


def network(w: Any) -> Any:
    """Outputs of 7 examples, 4 each."""
    return np.tanh(INPUTS @ w.T) * 2


def dense(fun: Any, w: Any) -> Any:
    """Jacobian as a matrix."""
    return np.reshape(jacobian(fun)(w), (-1, w.size))


def test_without_a_loss_it_is_the_jacobian_squared() -> None:
    J = dense(network, W)
    got = gauss_newton_product(network, (W,), (V,))
    assert got.shape == W.shape
    np.testing.assert_allclose(np.ravel(got), J.T @ J @ np.ravel(V))
    operator = gauss_newton_operator(network, W)
    np.testing.assert_allclose(operator @ np.eye(12), J.T @ J)
    np.testing.assert_allclose(operator.H @ np.ravel(V), J.T @ J @ np.ravel(V))
    squares = lambda y: 0.5 * np.sum(y**2)  # noqa: E731
    np.testing.assert_allclose(gauss_newton_product(network, (W,), (V,), loss=squares), got)


def test_for_linear_models_it_is_the_hessian() -> None:
    linear = lambda w: INPUTS @ w.T  # noqa: E731
    loss = lambda y: np.sum(np.logaddexp(0, y) ** 2)  # noqa: E731
    got = gauss_newton_operator(linear, W, loss=loss) @ np.eye(12)
    np.testing.assert_allclose(got, np.reshape(hessian(lambda w: loss(linear(w)))(W), (12, 12)), atol=1e-12)


def test_with_a_loss_it_is_the_congruence_of_its_hessian() -> None:
    loss = lambda y: np.sum(np.cosh(y)) + np.sum(y) ** 2  # noqa: E731
    J = dense(network, W)
    H = np.reshape(hessian(loss)(network(W)), (28, 28))
    got = gauss_newton_operator(network, W, loss=loss)
    np.testing.assert_allclose(got @ np.eye(12), J.T @ H @ J)
    assert np.linalg.eigvalsh(got @ np.eye(12))[0] > 0


def test_trees_and_several_arguments() -> None:
    def model(p: Any, b: Any) -> Any:
        return {"mean": INPUTS @ p["w"] + b, "rest": [p["w"] ** 2]}

    p, b = {"w": RNG.normal(size=3)}, 0.5
    tp, tb = gauss_newton_product(model, (p, b), ({"w": np.ones(3)}, 1.0))
    full = lambda x: np.concatenate([INPUTS @ x[:3] + x[3], x[:3] ** 2])  # noqa: E731
    J = jacobian(full)(np.append(p["w"], b))
    np.testing.assert_allclose(np.append(tp["w"], tb), J.T @ J @ np.ones(4))
    loss = lambda y: np.sum(y["mean"] ** 4) + np.sum(y["rest"][0])  # noqa: E731
    got = gauss_newton_operator(model, p, b, loss=loss) @ np.ones(4)
    H = np.diag(np.append(12 * (INPUTS @ p["w"] + b) ** 2, np.zeros(3)))
    np.testing.assert_allclose(got, J.T @ H @ J @ np.ones(4))


def test_it_can_be_differentiated_and_batched() -> None:
    along = lambda w: np.sum(gauss_newton_product(network, (w,), (V,)) * V)  # noqa: E731
    squared = lambda w: np.sum(jvp(network, (w,), (V,))[1] ** 2)  # noqa: E731
    np.testing.assert_allclose(grad(along)(W), grad(squared)(W))
    many = np.stack([V, W])
    got = vmap(lambda v: gauss_newton_product(network, (W,), (v,)))(many)
    np.testing.assert_allclose(got, [gauss_newton_product(network, (W,), (v,)) for v in many])


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_dtypes(dtype: Any) -> None:
    x = np.array([1.0, 2.0], dtype) * dtype(1 if dtype is np.float32 else 1 + 0.5j)
    J = np.array([[2 * x[0], 0], [x[1], x[0]]])
    operator = gauss_newton_operator(lambda x: np.stack([x[0] ** 2, x[0] * x[1]]), x)
    assert operator.dtype == dtype
    np.testing.assert_allclose(operator @ np.eye(2), J.conj().T @ J, rtol=1e-6)


def test_gauss_newton_fits_a_curve() -> None:
    t = np.linspace(0, 1, 20)
    data = 2.0 * np.exp(-1.5 * t)
    residuals = lambda p: p[0] * np.exp(-p[1] * t) - data  # noqa: E731
    p = np.array([1.0, 1.0])
    for _ in range(8):
        step, info = cg(
            gauss_newton_operator(residuals, p), grad(lambda p: 0.5 * np.sum(residuals(p) ** 2))(p), rtol=1e-10
        )
        assert info == 0
        p = p - step
    np.testing.assert_allclose(p, [2.0, 1.5], rtol=1e-9)


# ---- Fisher


def softmax(y: Any) -> Any:
    e = np.exp(y - y.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def expected_outer(w: Any, log_likelihood: Any, labels: Any, probability: Any) -> Any:
    """The definition: for each example the mean of the squared gradient over all labels it can have."""
    total = np.zeros((12, 12))
    for k in range(7):
        for label in labels:
            g = np.ravel(grad(lambda w, k=k, label=label: log_likelihood(network(w)[k], label))(w))
            total += probability(network(w)[k], label) * np.outer(g, g)
    return total


def test_categorical_by_its_definition() -> None:
    log = lambda y, c: y[c] - np.log(np.sum(np.exp(y)))  # noqa: E731
    want = expected_outer(W, log, range(4), lambda y, c: softmax(y)[c])
    np.testing.assert_allclose(fisher_operator(network, W, likelihood="categorical") @ np.eye(12), want, atol=1e-12)


def test_bernoulli_by_its_definition() -> None:
    single = lambda w: network(w)[:, 0]  # noqa: E731
    want = np.zeros((12, 12))
    for k in range(7):
        p = 1 / (1 + np.exp(-single(W)[k]))
        for label in (0, 1):
            log = lambda w, k=k, label=label: label * single(w)[k] - np.logaddexp(0, single(w)[k])  # noqa: E731
            g = np.ravel(grad(log)(W))
            want += (p if label else 1 - p) * np.outer(g, g)
    np.testing.assert_allclose(fisher_operator(single, W, likelihood="bernoulli") @ np.eye(12), want, atol=1e-12)


def test_gaussian_and_poisson() -> None:
    J = dense(network, W)
    got = fisher_product(network, (W,), (V,), likelihood="gaussian")
    np.testing.assert_allclose(np.ravel(got), J.T @ J @ np.ravel(V))
    got = fisher_product(network, (W,), (V,), likelihood="poisson")
    np.testing.assert_allclose(np.ravel(got), J.T @ (np.ravel(np.exp(network(W))) * (J @ np.ravel(V))))


def test_another_exponential_family_and_large_logits() -> None:
    exponential = lambda eta: -np.sum(np.log(-eta))  # rate -eta, variance of the label 1 / eta**2  # noqa: E731
    eta = np.array([-1.0, -2.0])
    got = fisher_operator(lambda e: e, eta, likelihood=exponential) @ np.eye(2)
    np.testing.assert_allclose(got, np.diag(1 / eta**2))
    large = np.array([1000.0, 0.0, 1000.0])
    got = fisher_operator(lambda e: e, large, likelihood="categorical") @ np.eye(3)
    np.testing.assert_allclose(got, [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]])
    both = fisher_operator(lambda e: {"a": e, "b": 2 * e}, large, likelihood="gaussian") @ np.eye(3)
    np.testing.assert_allclose(both, 5 * np.eye(3))


def test_empirical_fisher_is_the_sum_of_squared_gradients() -> None:
    labels = RNG.integers(0, 4, 7)

    def loss(w: Any, x: Any, hot: Any) -> Any:
        y = np.tanh(w @ x)
        return np.log(np.sum(np.exp(y))) - np.sum(hot * y)

    hot = np.eye(4)[labels]
    gradients = np.reshape(vmap(grad(loss), in_axes=(None, 0, 0))(W, INPUTS, hot), (7, 12))
    got = empirical_fisher_operator(loss, W, examples=(INPUTS, hot)) @ np.eye(12)
    np.testing.assert_allclose(got, gradients.T @ gradients, atol=1e-12)
    product = empirical_fisher_product(loss, (W,), (V,), examples=(INPUTS, hot))
    np.testing.assert_allclose(np.ravel(product), gradients.T @ (gradients @ np.ravel(V)), atol=1e-12)
    as_tree = empirical_fisher_product(
        lambda w, e: loss(w, e["x"], e["y"]), (W,), (V,), examples=({"x": INPUTS, "y": hot},)
    )
    np.testing.assert_allclose(as_tree, product)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"likelihood='cauchy': expected one of 'gaussian', .* log-partition function"):
        fisher_product(network, (W,), (V,), likelihood="cauchy")
    with pytest.raises(StructureError, match="examples is ndarray; expected a tuple"):
        empirical_fisher_product(lambda w, x: w @ x, (W,), (V,), examples=INPUTS)
    with pytest.raises(StructureError, match=r"the loss of one example has shape \(4,\); expected a scalar"):
        empirical_fisher_product(lambda w, x: w @ x, (W,), (V,), examples=(INPUTS,))
    for product, options in ((gauss_newton_product, {}), (fisher_product, {"likelihood": "gaussian"})):
        with pytest.raises(
            StructureError, match=f"{product.__name__}: primals must be a tuple of arguments, not ndarray"
        ):
            product(lambda w: w, np.ones(2), (np.ones(2),), **options)
    with pytest.raises(StructureError, match="mapped axes differ in length"):
        empirical_fisher_product(lambda w, x, y: np.sum(w @ x), (W,), (V,), examples=(INPUTS, INPUTS[:3]))
    with pytest.raises(TargetError, match="a gradient needs a scalar"):
        gauss_newton_product(network, (W,), (V,), loss=lambda y: y)
    with pytest.raises(SeedError, match=r"tangents\[0\] has shape \(2,\)"):
        gauss_newton_product(network, (W,), (np.ones(2),))
    with pytest.raises(NotDifferentiableError, match="w has dtype int64"):
        gauss_newton_product(network, (np.ones((4, 3), int),), (V,))
    with pytest.raises(StructureError, match="not holomorphic"):
        gauss_newton_operator(np.abs, np.array([1j, 2.0]))
