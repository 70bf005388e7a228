"""Estimates of traces and diagonals: exact where they should be, within their standard errors elsewhere, at stated cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator

from tapeflow import (
    grad,
    hessian,
    hessian_diagonal_estimate,
    hessian_operator,
    hessian_trace,
    hutchinson_diagonal,
    hutchinson_trace,
    linearize,
)
from tapeflow.errors import StructureError, TargetError

A = np.random.default_rng(0).normal(size=(20, 20))
S = A @ A.T
X = np.random.default_rng(1).normal(size=5)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Counted(LinearOperator):
    """An operator that counts products and sweeps."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self.matrix, self.products, self.sweeps = matrix, 0, 0

    def _matmat(self, X: Any) -> Any:
        self.products += X.shape[1]
        self.sweeps += 1
        return self.matrix @ X


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_signs_are_exact_for_diagonal_matrices(samples: int) -> None:
    d = np.arange(1.0, 6.0)
    found = hutchinson_trace(np.diag(d), rng=rng(), samples=samples)
    assert found.value == 15.0
    assert np.isnan(found.standard_error) if samples == 1 else found.standard_error == 0
    diagonal = hutchinson_diagonal(np.diag(d), rng=rng(), samples=samples)
    np.testing.assert_array_equal(diagonal.value, d)
    assert np.all(np.isnan(diagonal.standard_error) if samples == 1 else diagonal.standard_error == 0)


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
@pytest.mark.parametrize(
    "matrix", [A, S, A + 1j * S, A.astype(np.float32)], ids=["general", "spd", "complex", "single"]
)
def test_traces_lie_within_their_standard_errors(matrix: Any, distribution: str) -> None:
    trace, repeats = np.trace(matrix), 40
    scores = []
    for seed in range(repeats):
        found = hutchinson_trace(matrix, rng=rng(seed), samples=60, distribution=distribution)
        scores.append((found.value - trace) / found.standard_error)
    assert abs(np.mean(scores)) < 4 / np.sqrt(repeats)
    assert 0.6 < np.sqrt(np.mean(np.abs(scores) ** 2)) < 1.5


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_diagonals_lie_within_their_standard_errors(distribution: str) -> None:
    scores = []
    for seed in range(20):
        found = hutchinson_diagonal(S, rng=rng(seed), samples=200, distribution=distribution)
        scores.append((found.value - np.diag(S)) / found.standard_error)
    assert abs(np.mean(scores)) < 4 / np.sqrt(400)
    assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.2


def test_the_variance_is_what_theory_says() -> None:
    for distribution, variance in (
        ("rademacher", 2 * (np.sum(S**2) - np.sum(np.diag(S) ** 2))),
        ("gaussian", 2 * np.sum(S**2)),
    ):
        found = hutchinson_trace(S, rng=rng(7), samples=20_000, distribution=distribution, chunk_size=5000)
        np.testing.assert_allclose(found.standard_error, np.sqrt(variance / 20_000), rtol=0.05)
        assert abs(found.value - np.trace(S)) < 4 * found.standard_error


def test_the_same_generator_gives_the_same_estimate_and_nothing_global_changes() -> None:
    before = np.random.get_state()[1].copy()
    one, two = (hutchinson_trace(S, rng=rng(3), samples=9, chunk_size=c) for c in (2, 100))
    np.testing.assert_allclose(one, two)
    assert one.value != hutchinson_trace(S, rng=rng(4), samples=9).value
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
@pytest.mark.parametrize(("samples", "chunk_size"), [(3, 32), (30, 4), (30, 30)])
def test_the_cost_is_the_number_of_samples(method: str, samples: int, chunk_size: int) -> None:
    operator = Counted(S)
    hutchinson_trace(operator, rng=rng(), samples=samples, chunk_size=chunk_size, method=method)
    assert operator.products == samples
    if method == "hutchinson":
        assert operator.sweeps == -(-samples // chunk_size)
    operator = Counted(S)
    hutchinson_diagonal(operator, rng=rng(), samples=samples, chunk_size=chunk_size)
    assert operator.products == samples


def test_hutch_plus_plus_is_exact_for_small_rank_and_better_for_fast_decay() -> None:
    low = A[:, :3] @ A[:, :3].T
    found = hutchinson_trace(low, rng=rng(), samples=12, method="hutch++")
    np.testing.assert_allclose(found.value, np.trace(low))
    q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(100, 100)))
    decaying = (q * np.arange(1.0, 101.0) ** -2) @ q.T
    errors = {
        m: [hutchinson_trace(decaying, rng=rng(s), samples=60, method=m).value - np.trace(decaying) for s in range(20)]
        for m in ("hutchinson", "hutch++")
    }
    assert np.std(errors["hutch++"]) < 0.2 * np.std(errors["hutchinson"])
    assert abs(np.mean(errors["hutch++"])) < 4 * np.std(errors["hutch++"]) / np.sqrt(20)


def test_hutch_plus_plus_of_general_and_complex_matrices() -> None:
    for matrix in (A, A + 1j * S):
        values = [hutchinson_trace(matrix, rng=rng(s), samples=15, method="hutch++").value for s in range(200)]
        assert abs(np.mean(values) - np.trace(matrix)) < 4 * np.std(values) / np.sqrt(200)


def test_functions_sparse_matrices_and_derivatives_are_operators_too() -> None:
    want = hutchinson_trace(S, rng=rng(), samples=8)
    np.testing.assert_allclose(hutchinson_trace(lambda v: S @ v, 20, rng=rng(), samples=8), want)
    assert hutchinson_trace(diags_array(np.arange(4.0)), rng=rng(), samples=2).value == 6.0
    _, f_jvp = linearize(grad(rosenbrock), X)
    via_linearize = hutchinson_trace(f_jvp, rng=rng(), samples=8)
    np.testing.assert_allclose(via_linearize, hutchinson_trace(hessian_operator(rosenbrock, X), rng=rng(), samples=8))


def test_trace_and_diagonal_of_a_hessian() -> None:
    dense = hessian(rosenbrock)(X)
    found = hessian_trace(rosenbrock, X, rng=rng(), samples=400)
    assert 0 < found.standard_error
    assert abs(found.value - np.trace(dense)) < 4 * found.standard_error
    better = hessian_trace(rosenbrock, X, rng=rng(), samples=30, method="hutch++")
    np.testing.assert_allclose(better.value, np.trace(dense))
    diagonal = hessian_diagonal_estimate(rosenbrock, X, rng=rng(), samples=400)
    assert np.all(np.abs(diagonal.value - np.diag(dense)) <= 4 * diagonal.standard_error + 1e-9)


def test_hessians_of_trees() -> None:
    fun = lambda p, s: np.sum(p["a"] ** 3) + s**4  # noqa: E731
    p = {"a": np.array([[1.0, 2.0]])}
    (diagonal, last), (error, _) = hessian_diagonal_estimate(fun, p, 1.0, rng=rng(), samples=3)
    np.testing.assert_allclose(diagonal["a"], [[6.0, 12.0]])
    assert last == 12.0
    np.testing.assert_array_equal(error["a"], [[0.0, 0.0]])
    np.testing.assert_allclose(hessian_trace(fun, p, 1.0, rng=rng(), samples=3).value, 30.0)


def test_the_gradient_is_evaluated_once() -> None:
    calls = []

    def fun(x: Any) -> Any:
        calls.append(1)
        return rosenbrock(x)

    hessian_trace(fun, X, rng=rng(), samples=100)
    assert len(calls) == 1


def test_an_empty_matrix() -> None:
    assert hutchinson_trace(np.zeros((0, 0)), rng=rng(), samples=4).value == 0
    assert hutchinson_diagonal(np.zeros((0, 0)), rng=rng(), samples=4).value.shape == (0,)


def test_bad_input() -> None:
    with pytest.raises(TypeError, match=r"rng is int; expected a generator: np.random.default_rng\(seed\)"):
        hutchinson_trace(S, rng=0)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'rng'"):
        hutchinson_trace(S)
    with pytest.raises(ValueError, match="distribution='cauchy': expected one of 'rademacher', 'gaussian'"):
        hutchinson_trace(S, rng=rng(), distribution="cauchy")
    with pytest.raises(ValueError, match="method='lanczos': expected 'hutchinson' or"):
        hutchinson_trace(S, rng=rng(), method="lanczos")
    with pytest.raises(ValueError, match=r"samples=2: expected at least 3 for 'hutch\+\+'"):
        hutchinson_trace(S, rng=rng(), samples=2, method="hutch++")
    with pytest.raises(ValueError, match="samples=0: expected at least 1"):
        hutchinson_diagonal(S, rng=rng(), samples=0)
    with pytest.raises(ValueError, match="hutchinson_trace: chunk_size=0: expected a positive integer"):
        hutchinson_trace(S, rng=rng(), chunk_size=0)
    with pytest.raises(StructureError, match="without its size: pass size=n"):
        hutchinson_trace(lambda v: v, rng=rng())
    with pytest.raises(StructureError, match=r"needs a square operator, not one of shape \(20, 3\)"):
        hutchinson_trace(A[:, :3], rng=rng())
    with pytest.raises(TargetError, match="a gradient needs a scalar"):
        hessian_trace(lambda x: x, X, rng=rng())
