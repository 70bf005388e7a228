"""Linear algebra where it is not smooth, or where the usual formula divides by zero."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, vjp
from tapeflow.errors import RuleError
from tapeflow.ops.triangular import solve_triangular

OUTER = np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 3.0])


def gradient(f: Any, x: np.ndarray, g: Any = None) -> np.ndarray:
    with GradientTape() as tape:
        v = tape.watch(x)
        y = f(v)
    return tape.gradient(y, v, output_gradients=g, unconnected_gradients="zero")


def hessian_product(f: Any, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    with ForwardAccumulator(x, t) as acc:
        got = acc.jvp(gradient(f, acc.primals), "zero")
    return got


def minors(a: np.ndarray) -> np.ndarray:
    """Cofactors by their definition."""
    n = len(a)
    c = np.empty((n, n), a.dtype)
    for i, j in itertools.product(range(n), repeat=2):
        rest = np.delete(np.delete(a, i, 0), j, 1)
        c[i, j] = (-1) ** (i + j) * np.linalg.det(rest)
    return c


# ---- determinants


@pytest.mark.parametrize(
    "a",
    [
        np.array([[1.0, 2.0], [2.0, 4.0]]),
        np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
        np.diag([2.0, -3.0, 0.0]),
        OUTER,
        np.zeros((3, 3)),
        np.diag([1.0, 1e-12, 3.0]),
        np.ones((1, 1)) * 0,
    ],
    ids=["rank-1-of-2", "rank-2-of-3", "diagonal", "rank-1-of-3", "zero", "nearly", "one"],
)
def test_det_gradient_is_the_cofactors_for_any_rank(a: np.ndarray) -> None:
    np.testing.assert_allclose(gradient(np.linalg.det, a), minors(a), atol=1e-13)
    t = np.random.default_rng(0).normal(size=a.shape)
    with ForwardAccumulator(a, t) as acc:
        y = np.linalg.det(acc.primals)
    np.testing.assert_allclose(acc.jvp(y), np.sum(minors(a) * t), atol=1e-12)


@pytest.mark.parametrize("a", [OUTER, np.zeros((3, 3)), np.diag([2.0, -3.0, 0.0]), np.diag([2.0, -3.0, 1.0])])
def test_det_has_second_derivatives_for_any_rank(a: np.ndarray) -> None:
    t = np.random.default_rng(1).normal(size=a.shape)
    want = (minors(a + 1e-3 * t) - minors(a - 1e-3 * t)) / 2e-3  # minors of 3 x 3 matrices are quadratic: exact
    np.testing.assert_allclose(hessian_product(np.linalg.det, a, t), want, atol=1e-11)
    with GradientTape() as outer:
        v = outer.watch(a)
        g = gradient(np.linalg.det, v)
    np.testing.assert_allclose(outer.gradient(g, v, output_gradients=t), want, atol=1e-11)


def test_det_of_complex_singular_matrix() -> None:
    a = np.outer([1.0, 2.0j, -1.0], [0.5, 1.0 - 1j, 3.0]) + np.diag([0, 1j, 0])
    got = gradient(np.linalg.det, a, np.complex128(1))
    np.testing.assert_allclose(got, np.conjugate(minors(a)), atol=1e-13)


def test_det_of_a_stack_of_different_ranks() -> None:
    a = np.stack([np.eye(3), OUTER, np.diag([1.0, 2.0, 0.0])])
    got = gradient(np.linalg.det, a, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(got, [minors(a[0]), 2 * minors(a[1]), 3 * minors(a[2])], atol=1e-13)


def test_third_derivative_of_det_at_a_regular_matrix() -> None:
    a = np.array([[2.0, 0.5, 0.1], [0.3, 1.5, -0.4], [0.2, 0.7, 3.0]])
    t = np.random.default_rng(2).normal(size=(3, 3))
    with ForwardAccumulator(a, t) as acc:
        got = acc.jvp(hessian_product(np.linalg.det, acc.primals, t))
    want = [2 * (minors(t)[i, j]) for i in range(3) for j in range(3)]  # cofactors are quadratic forms
    np.testing.assert_allclose(np.ravel(got), want, atol=1e-10)


@pytest.mark.parametrize("a", [OUTER, np.zeros((3, 3)), np.diag([2.0, -3.0, 0.0])], ids=["rank-1", "zero", "rank-2"])
def test_third_derivative_of_det_at_a_singular_matrix(a: np.ndarray) -> None:
    t = np.random.default_rng(2).normal(size=(3, 3))
    with ForwardAccumulator(a, t) as acc:
        got = acc.jvp(hessian_product(np.linalg.det, acc.primals, t), "zero")
    np.testing.assert_allclose(got, 2 * minors(t), atol=1e-12)
    with GradientTape() as outer:
        v = outer.watch(a)
        g = hessian_product(np.linalg.det, v, t)
    np.testing.assert_allclose(outer.gradient(g, v, output_gradients=t), 2 * minors(t), atol=1e-12)


def test_fourth_derivative_of_det_at_a_singular_matrix() -> None:
    a, t = np.diag([1.0, 0.0, 0.0, 0.0]), np.random.default_rng(2).normal(size=(4, 4))
    with ForwardAccumulator(a, t) as outer:
        with ForwardAccumulator(outer.primals, t) as acc:
            got = acc.jvp(hessian_product(np.linalg.det, acc.primals, t), "zero")
        got = outer.jvp(got, "zero")
    np.testing.assert_allclose(got, 6 * minors(t), atol=1e-12)


def test_slogdet_of_a_negative_determinant() -> None:
    a = np.array([[0.0, 1.0, 0.2], [1.0, 0.3, 0.0], [0.1, 0.0, 2.0]])
    assert np.linalg.det(a) < 0
    np.testing.assert_allclose(gradient(lambda x: np.linalg.slogdet(x)[1], a), np.linalg.inv(a).T)
    np.testing.assert_array_equal(gradient(lambda x: np.linalg.slogdet(x).sign, a), np.zeros((3, 3)))


def test_slogdet_of_complex_matrices_is_the_logarithm_of_det() -> None:
    a = np.random.default_rng(3).normal(size=(3, 3)) + 1j * np.random.default_rng(4).normal(size=(3, 3))
    from_parts = gradient(lambda x: np.real(np.linalg.slogdet(x)[0] * np.exp(np.linalg.slogdet(x)[1])), a)
    np.testing.assert_allclose(from_parts, gradient(lambda x: np.real(np.linalg.det(x)), a), atol=1e-13)


def test_imaginary_parts_of_scalars_keep_being_arrays() -> None:
    # Found by the sign of slogdet, reverse over forward: 1j * float64 is a Python number.
    got = gradient(lambda z: 1j * np.imag(z * z), np.complex128(1 + 2j), np.complex128(1j))
    np.testing.assert_allclose(got, 4 + 2j)
    a, t = np.array([[1 + 1j, 2], [3, 1j]]), np.ones((2, 2), complex)
    with GradientTape() as outer:
        v = outer.watch(a)
        with ForwardAccumulator(v, t) as acc:
            y = np.linalg.slogdet(acc.primals)[0]
        rate = acc.jvp(y)
    assert outer.gradient(rate, v, output_gradients=np.complex128(1)).shape == (2, 2)


# ---- norms


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 0.5, 1.5, np.inf, -np.inf, 0])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_norm_of_the_zero_vector_has_subgradient_zero(ord: Any, dtype: Any) -> None:
    x = np.zeros(3, dtype)
    np.testing.assert_array_equal(gradient(lambda v: np.linalg.norm(v, ord), x), x)
    with ForwardAccumulator(x, np.ones(3, dtype)) as acc:
        y = np.linalg.norm(acc.primals, ord)
    np.testing.assert_array_equal(acc.jvp(y), 0)
    np.testing.assert_array_equal(hessian_product(lambda v: np.linalg.norm(v, ord), x, np.ones(3, dtype)), x)


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norm_of_the_zero_matrix_has_subgradient_zero(ord: Any) -> None:
    np.testing.assert_array_equal(gradient(lambda v: np.linalg.norm(v, ord), np.zeros((2, 3))), np.zeros((2, 3)))


def test_one_zero_row_among_others() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    got = gradient(lambda v: np.sum(np.linalg.norm(v, axis=1)), x)
    np.testing.assert_allclose(got, [[0.6, 0.8], [0.0, 0.0]])


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 3])
def test_a_zero_element_of_a_vector(p: float) -> None:
    x = np.array([3.0, 0.0, -4.0])
    got = gradient(lambda v: np.linalg.norm(v, p), x)
    assert got[1] == 0
    np.testing.assert_allclose(got[[0, 2]], gradient(lambda v: np.linalg.norm(v, p), x[[0, 2]]))


def test_largest_elements_share() -> None:
    np.testing.assert_array_equal(
        gradient(lambda v: np.linalg.norm(v, np.inf), np.array([2.0, -2.0, 1.0])), [0.5, -0.5, 0]
    )


def test_nuclear_norm_of_a_deficient_matrix() -> None:
    x = np.diag([2.0, 0.0])
    np.testing.assert_allclose(gradient(lambda v: np.linalg.norm(v, "nuc"), x), np.diag([1.0, 0.0]), atol=1e-15)


# ---- equal eigenvalues and singular values


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0]], ids=["eigvalsh", "eigh"])
@pytest.mark.parametrize("a", [np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0]), np.ones((3, 3))])
def test_sums_over_equal_eigenvalues(values: Any, a: np.ndarray) -> None:
    np.testing.assert_allclose(gradient(lambda x: np.sum(values(x)), a), np.eye(3), atol=1e-14)
    np.testing.assert_allclose(gradient(lambda x: np.sum(values(x) ** 2), a), 2 * a, atol=1e-14)
    with ForwardAccumulator(a, np.ones((3, 3))) as acc:
        y = np.sum(values(acc.primals))
    np.testing.assert_allclose(acc.jvp(y), 3.0)


def test_the_vector_of_a_single_eigenvalue_among_equal_ones() -> None:
    a = np.diag([1.0, 1.0, 2.0])
    weights = np.array([0.3, -0.2, 0.5])
    got = gradient(lambda x: np.sum(weights * np.linalg.eigh(x)[1][:, 2] ** 2), a)
    np.testing.assert_allclose(got, np.zeros((3, 3)), atol=1e-14)
    tilted = gradient(lambda x: np.linalg.eigh(x)[1][0, 2] * np.linalg.eigh(x)[1][2, 2], a)
    np.testing.assert_allclose(tilted, [[0, 0, 0.5], [0, 0, 0], [0.5, 0, 0]], atol=1e-14)


def test_vectors_of_equal_eigenvalues_are_refused() -> None:
    # The square root has a derivative at the identity, half of the identity map; but the cotangents of values and vectors
    # do not determine it, and a number that is wrong would be worse than an error.
    def square_root(x: Any) -> Any:
        w, v = np.linalg.eigh(x)
        return v * np.sqrt(w) @ np.swapaxes(v, -1, -2)

    with pytest.raises(RuleError, match="two values are equal"):
        gradient(lambda x: np.sum(square_root(x)), np.eye(2))
    with ForwardAccumulator(np.eye(2), np.ones((2, 2))) as acc:
        y = square_root(acc.primals)
    assert np.all(np.isnan(acc.jvp(y)))


def test_singular_values_that_are_equal() -> None:
    q = np.array([[0.6, 0.8], [-0.8, 0.6]])
    np.testing.assert_allclose(gradient(lambda x: np.sum(np.linalg.svd(x, compute_uv=False)), 2 * q), q, atol=1e-14)
    np.testing.assert_allclose(gradient(lambda x: np.sum(np.linalg.svd(x)[1]), 2 * q), q, atol=1e-14)
    with pytest.raises(RuleError, match="two values are equal"):
        gradient(lambda x: np.sum(np.linalg.svd(x)[0]), 2 * q)


# ---- what has no derivative says so


def test_refusals_name_the_way_out() -> None:
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="use 'reduced', 'complete' or 'r'"):
        gradient(lambda v: np.linalg.qr(v, "raw")[0], x)
    with pytest.raises(ValueError, match="must be 2 or 3"):
        gradient(lambda v: np.cross(v, v), np.ones(4))
    with pytest.raises(ValueError, match="3-dimensional vectors"):
        gradient(lambda v: np.linalg.cross(v, v), np.ones(2))
    with pytest.raises(ValueError, match="an entry for each operand"):
        gradient(lambda v: np.matmul(v, v.T, axes=[(0, 1), (0, 1)]), x)
    with pytest.raises(TypeError, match="where all operands have one core axis"):
        gradient(lambda v: np.matmul(v, v.T, keepdims=True), x)
    with pytest.raises(TypeError, match="exponent must be an integer"):
        gradient(lambda v: np.linalg.matrix_power(v @ v.T, 2.5), x)
    with pytest.raises(ValueError, match=r"must contain '\.\.\.'"):
        gradient(lambda v: np.einsum("...i->i", v), x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("shape", [(80,), (80, 3)])
@pytest.mark.parametrize("triangle", [np.tril, np.triu, np.diag, lambda a: a])
def test_large_triangular_systems_are_solved_as_such_in_the_reverse_rule(triangle: Any, shape: Any, dtype: Any) -> None:
    rng = np.random.default_rng(4)
    square = rng.normal(size=(80, 80)) / 20 + 2 * np.eye(80)
    a = (np.diag(np.diag(square)) if triangle is np.diag else triangle(square)).astype(dtype)
    b, g = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    y, pullback = vjp(np.linalg.solve, a, b)
    back = np.linalg.solve(a.conj().T, g)
    want = -(np.outer(back, y.conj()) if len(shape) == 1 else back @ y.conj().T)
    tolerance = 1e-3 if dtype is np.float32 else 1e-10
    np.testing.assert_allclose(pullback(g)[0], want, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(pullback(g)[1], back, rtol=tolerance, atol=tolerance)
    assert pullback(g)[0].dtype == pullback(g)[1].dtype == dtype


def test_a_large_triangular_system_that_is_singular() -> None:
    a = np.tril(np.ones((80, 80)))
    y, pullback = vjp(np.linalg.solve, a, np.ones(80))
    np.testing.assert_allclose(pullback(y)[1], np.linalg.solve(a.T, y))
    a[3, 3] = 0
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        solve_triangular(a, np.ones((80, 1)), lower=True)
