"""Eigenvalues and decompositions where vectors are not unique, values are equal or zero, or the rank is not full."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.errors import RuleError

EYE = np.eye(2)
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
RNG = np.random.default_rng(11)
TALL = RNG.normal(size=(4, 2))


def gradient(f: Any, x: np.ndarray, g: Any = None) -> np.ndarray:
    with GradientTape() as tape:
        v = tape.watch(x)
        y = f(v)
    return tape.gradient(y, v, output_gradients=g, unconnected_gradients="zero")


def pushed(f: Any, x: np.ndarray, t: np.ndarray) -> Any:
    with ForwardAccumulator(x, t) as acc:
        y = f(acc.primals)
    return acc.jvp(y, "zero")


def of_symmetric(f: Any) -> Any:
    def function(x: Any) -> Any:
        w, v = np.linalg.eigh(x)
        return v * f(w) @ np.swapaxes(v, -1, -2)

    return function


def of_general(f: Any) -> Any:
    def function(x: Any) -> Any:
        w, v = np.linalg.eig(x)
        return v * f(w) @ np.linalg.inv(v)

    return function


# ---- equal eigenvalues


@pytest.mark.parametrize("of", [of_symmetric, of_general], ids=["eigh", "eig"])
@pytest.mark.parametrize("f", [np.exp, np.log, lambda w: w - 1.0, np.sqrt], ids=["exp", "log", "zero", "sqrt"])
@pytest.mark.parametrize("pick", [np.sum, lambda y: y[0, 0], lambda y: y[0, 1]], ids=["sum", "diagonal", "off"])
def test_functions_of_a_matrix_at_the_identity_are_refused(of: Any, f: Any, pick: Any) -> None:
    # The derivative is f'(1) times that of `pick`, but no cotangent holds f'(1) times its elements off the diagonal. Where
    # f(1) is zero even the cotangent of the vectors is zero; it was there, though.
    with pytest.raises(RuleError, match="two values are equal"):
        gradient(lambda x: pick(of(f)(x)), EYE)
    assert np.all(np.isnan(pushed(of(f), EYE, np.ones((2, 2)))))


@pytest.mark.parametrize(
    "values", [np.linalg.eigvalsh, np.linalg.eigvals, np.linalg.svdvals, lambda a: np.linalg.eigh(a)[0]]
)
@pytest.mark.parametrize("f", [np.square, lambda w: (w - 1) ** 2], ids=["square", "flat"])
def test_second_derivatives_of_equal_values_are_refused(values: Any, f: Any) -> None:
    with GradientTape() as outer:
        v = outer.watch(EYE)
        g = gradient(lambda x: np.sum(f(values(x))), v)
    np.testing.assert_allclose(g.numpy(), 2 * EYE if f is np.square else 0 * EYE)
    with pytest.raises(RuleError, match="two values are equal"):
        outer.gradient(g, v, output_gradients=np.ones((2, 2)))
    with ForwardAccumulator(EYE, np.ones((2, 2))) as acc:
        g = gradient(lambda x: np.sum(f(values(x))), acc.primals)
    assert np.all(np.isnan(acc.jvp(g)))


@pytest.mark.parametrize("values", [np.linalg.eigvals, lambda a: np.linalg.eig(a)[0]], ids=["eigvals", "eig"])
@pytest.mark.parametrize("a", [EYE, np.diag([1.0, 1.0, 2.0]), np.zeros((2, 2))], ids=["one", "pair", "zero"])
def test_symmetric_functions_of_equal_eigenvalues(values: Any, a: np.ndarray) -> None:
    np.testing.assert_allclose(gradient(lambda x: np.sum(values(x)), a), np.eye(len(a)))
    np.testing.assert_allclose(gradient(lambda x: np.sum(values(x) ** 3), a), 3 * (a @ a).T, atol=1e-15)
    np.testing.assert_allclose(pushed(lambda x: np.sum(values(x)), a, np.ones(a.shape)), len(a))


@pytest.mark.parametrize("values", [np.linalg.eigvals, np.linalg.eigvalsh, np.linalg.svdvals])
def test_one_of_equal_values_shares_with_the_others(values: Any) -> None:
    np.testing.assert_allclose(gradient(lambda x: values(x)[0], EYE), EYE / 2)
    np.testing.assert_allclose(gradient(lambda x: np.max(values(x)), EYE), EYE / 2)
    np.testing.assert_allclose(pushed(values, EYE, np.diag([1.0, 3.0])), [2.0, 2.0])


def test_other_vectors_beside_equal_values() -> None:
    a = np.diag([1.0, 1.0, 2.0])
    got = gradient(lambda x: np.linalg.eig(x)[1][0, 2], a)
    np.testing.assert_allclose(got, [[0, 0, 1], [0, 0, 0], [0, 0, 0]], atol=1e-15)
    # Beside the values of the same call it cannot be told; beside those of another function it can.
    with pytest.raises(RuleError, match="take them from eigvalsh"):
        gradient(lambda x: np.sum((e := np.linalg.eigh(x))[0]) + e[1][0, 2], a)
    got = gradient(lambda x: np.sum(np.linalg.eigvalsh(x)) + np.linalg.eigh(x)[1][0, 2], a)
    np.testing.assert_allclose(got, np.eye(3) + np.array([[0, 0, 0.5], [0, 0, 0], [0.5, 0, 0]]), atol=1e-15)


def test_leading_components_of_deficient_data() -> None:
    data = RNG.normal(size=(3, 6))  # three rows, six columns: the covariance has equal eigenvalues, all zero

    def whitened(x: Any) -> Any:
        w, v = np.linalg.eigh(x.T @ x)
        return np.sum(np.abs(x @ v[:, -2:] / np.sqrt(w[-2:])))

    def by_svd(x: Any) -> Any:
        u = np.linalg.svd(x, full_matrices=False)[0]
        return np.sum(np.abs(u[:, :2]))

    np.testing.assert_allclose(gradient(whitened, data), gradient(by_svd, data), atol=1e-9)


# ---- phases


@pytest.mark.parametrize("name", ["eig", "eigh", "svd"])
def test_results_that_depend_on_a_phase_are_refused(name: str) -> None:
    a = np.array([[1.0, 0.5j], [-0.5j, 3.0]]) if name == "eigh" else RNG.normal(size=(2, 2)) * (1 + 0.5j) + TURN * 1j

    def vectors(x: Any) -> Any:
        return np.linalg.svd(x)[0] if name == "svd" else getattr(np.linalg, name)(x)[1]

    with pytest.raises(RuleError, match=f"{name}: the result depends on the phases"):
        gradient(lambda x: np.sum(np.real(vectors(x) * np.array([[1j + 0.3, 2.0], [1.0, 1j]]))), a)
    assert np.all(np.isfinite(gradient(lambda x: np.sum(np.abs(vectors(x))[0]), a)))


def test_sizes_of_the_vectors_of_a_rotation() -> None:
    t = np.array([[0.3, -0.2], [0.5, 0.1]])
    h = 1e-5

    def sizes(x: Any) -> Any:
        return np.abs(np.linalg.eig(x)[1][0, 0])

    want = (sizes(TURN + h * t) - sizes(TURN - h * t)) / (2 * h)
    np.testing.assert_allclose(np.sum(gradient(sizes, TURN) * t), want, atol=1e-9)
    np.testing.assert_allclose(pushed(sizes, TURN, t), want, atol=1e-9)


# ---- defective matrices


@pytest.mark.parametrize("a", [[[1.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
@pytest.mark.parametrize("values", [np.linalg.eigvals, lambda a: np.linalg.eig(a)[0]], ids=["eigvals", "eig"])
def test_defective_matrices_are_refused(values: Any, a: Any) -> None:
    with pytest.raises(RuleError, match="defective"):
        gradient(lambda x: np.sum(np.real(values(x))), np.array(a))
    with pytest.raises(RuleError, match="defective"):
        pushed(values, np.array(a), EYE)


# ---- added columns


def test_columns_that_complete_a_basis() -> None:
    projector = gradient(lambda x: (p := np.linalg.svd(x)[0][:, 2:])[0] @ p[1], TALL)
    by_first = gradient(lambda x: -((u := np.linalg.svd(x, full_matrices=False)[0])[0] @ u[1]), TALL)
    np.testing.assert_allclose(projector, by_first, atol=1e-14)
    np.testing.assert_allclose(
        gradient(lambda x: (q := np.linalg.qr(x, "complete").Q[:, 2:])[0] @ q[1], TALL), by_first, atol=1e-14
    )
    with pytest.raises(RuleError, match="svd: the result depends on a choice among the columns"):
        gradient(lambda x: np.linalg.svd(x)[0][0, 3], TALL)
    with pytest.raises(RuleError, match="svd: the result depends on a choice among the columns"):
        gradient(lambda x: np.linalg.svd(x)[2][3, 0], TALL.T)
    with pytest.raises(RuleError, match="qr: the result depends on a choice among the columns"):
        gradient(lambda x: np.linalg.qr(x, "complete")[0][0, 3], TALL)


# ---- rank


def test_zero_singular_values() -> None:
    outer = np.outer([1.0, 2.0, 3.0], [1.0, 0.5])
    u, _, vh = np.linalg.svd(outer, full_matrices=False)
    # The second value is not exactly zero, but rounding: the norm has its subgradient of least norm all the same.
    np.testing.assert_allclose(
        gradient(lambda x: np.linalg.norm(x, "nuc"), outer), np.outer(u[:, 0], vh[0]), atol=1e-14
    )
    np.testing.assert_array_equal(gradient(lambda x: np.sum(np.linalg.svd(x)[1]), np.zeros((2, 2))), 0)
    with pytest.raises(RuleError, match="a singular value is zero"):
        gradient(lambda x: np.sum((f := np.linalg.svd(x, full_matrices=False)).U * f.S @ f.Vh), outer)
    assert np.any(np.isnan(pushed(lambda x: np.linalg.svd(x, full_matrices=False).U, outer, np.ones((3, 2)))))


def test_product_of_the_factors_of_a_singular_square_matrix() -> None:
    a, weights = np.outer([1.0, 2.0], [1.0, 0.5]), np.array([[1.0, 2.0], [3.0, 4.0]])
    got = gradient(lambda x: np.sum(((f := np.linalg.svd(x)).U * f.S @ f.Vh) * weights), a)
    np.testing.assert_allclose(got, weights, atol=1e-13)
    # Forward mode does not know what the tangents of the factors are for.
    assert np.all(pushed(lambda x: np.linalg.svd(x)[1], np.zeros((2, 2)), np.ones((2, 2))) == 0)
    assert np.all(np.isnan(pushed(lambda x: (f := np.linalg.svd(x)).U * f.S @ f.Vh, a, np.ones((2, 2)))))


def test_qr_of_dependent_columns_is_refused() -> None:
    with pytest.raises(RuleError, match="first columns of the matrix are dependent"):
        gradient(lambda x: np.sum(np.linalg.qr(x)[1]), np.ones((3, 2)))


def test_least_squares_of_deficient_rank() -> None:
    a, b = np.outer([1.0, 2.0, 3.0], [1.0, 0.5]), np.array([1.0, 0.3, -0.2])
    x = np.linalg.lstsq(a, b)[0]
    with GradientTape() as tape:
        u, v, w = tape.watch((np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5]), b))
        got = np.linalg.lstsq(np.outer(u, v), w)
        y = np.sum(got[0] ** 2)
    assert (got[2], got[1].shape) == (1, (0,))
    np.testing.assert_allclose(got[0].numpy(), x)
    g = tape.gradient(y, w)
    np.testing.assert_allclose(g, 2 * np.linalg.pinv(a).T @ x, atol=1e-14)


def test_least_squares_takes_a_traced_tolerance_as_a_number() -> None:
    def solution(x: Any) -> Any:
        return np.sum(np.linalg.lstsq(x, np.ones(4), rcond=0.01 * x[0, 0] ** 2)[0])

    np.testing.assert_allclose(
        gradient(solution, TALL), gradient(lambda x: np.sum(np.linalg.pinv(x) @ np.ones(4)), TALL)
    )


@pytest.mark.parametrize("p", [None, 2, -2, "fro", 1, -1, np.inf, -np.inf])
def test_condition_of_a_singular_matrix(p: Any) -> None:
    a = np.diag([1.0, 0.0])
    with GradientTape() as tape:
        x = tape.watch(a)
        y = np.linalg.cond(x, p)
    assert y.numpy() == np.linalg.cond(a, p)
    if p != -2:
        assert np.any(np.isnan(tape.gradient(y, x)))


def test_condition_in_a_stack_with_a_singular_matrix() -> None:
    a = np.stack([np.diag([1.0, 0.0]), np.array([[2.0, 1.0], [0.5, 3.0]])])
    got = gradient(lambda x: np.linalg.cond(x, 1)[1], a)
    np.testing.assert_allclose(got[1], gradient(lambda x: np.linalg.cond(x, 1), a[1]))


def test_condition_of_what_has_none() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="not defined on empty"):
        gradient(np.linalg.cond, np.zeros((0, 2)))
    with GradientTape() as tape:
        x = tape.watch(np.full((2, 2), np.nan))
        assert np.isnan(np.linalg.cond(x, 1).numpy())


@pytest.mark.parametrize("f", [np.linalg.svd, np.linalg.qr, np.linalg.eig, np.linalg.eigvals, np.linalg.eigh])
def test_vectors_are_refused_as_numpy_does(f: Any) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="1-dimensional array given"):
        gradient(f, np.ones(3))


def test_shapes_are_refused_as_numpy_does() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="must be square"):
        gradient(lambda x: np.linalg.matrix_power(x, 2), TALL)
    with pytest.raises(np.linalg.LinAlgError, match="3-dimensional array given"):
        gradient(lambda x: np.linalg.multi_dot([x, np.ones((2, 2, 2)), np.ones(2)]), TALL)


# ---- plain answers, precisions, warnings


def test_rank_and_plan_are_plain() -> None:
    with GradientTape() as tape:
        x = tape.watch(TALL)
        assert np.linalg.matrix_rank(x) == 2
        assert np.linalg.matrix_rank(x, tol=1e9) == 0
        assert np.linalg.matrix_rank(x, rtol=1e-3) == 2
        assert np.einsum_path("ij,jk->ik", x, x.T)[0] == np.einsum_path("ij,jk->ik", TALL, TALL.T)[0]


@pytest.mark.parametrize("dtype", [np.longdouble, np.float16])
@pytest.mark.parametrize("f", [np.linalg.eig, np.linalg.eigvals, np.linalg.lstsq, np.linalg.qr, np.linalg.inv])
def test_precisions_that_numpy_refuses(f: Any, dtype: Any) -> None:
    x = EYE.astype(dtype)
    args = (np.ones(2, dtype),) if f is np.linalg.lstsq else ()
    with pytest.raises(TypeError, match="unsupported in linalg") as caught:
        gradient(lambda v: f(v, *args), x)
    assert any("arguments of shape (2, 2)" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("dtype", [np.longdouble, np.float16])
def test_precisions_that_norms_keep(dtype: Any) -> None:
    got = gradient(np.linalg.norm, np.array([3.0, 4.0], dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, [0.6, 0.8], rtol=1e-3)


def test_cross_products_of_two_components_warn_as_numpy_does() -> None:
    with pytest.warns(DeprecationWarning, match="2-dimensional vectors are deprecated") as caught:
        gradient(lambda v: np.cross(v, np.ones(2)), np.ones(2))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(gradient(lambda v: np.cross(v, np.array([1.0, 2.0])), np.ones(2)), [2, -1])


def test_one_tape_can_ask_again_after_a_refusal() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(EYE)
        w, v = np.linalg.eigh(x)
        bad, good = np.sum(v * w), np.sum(w)
    with pytest.raises(RuleError, match="two values are equal"):
        tape.gradient(bad, x)
    np.testing.assert_allclose(tape.gradient(good, x), EYE)
