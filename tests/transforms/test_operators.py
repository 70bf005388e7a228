"""Linear operators: against dense matrices, and inside of SciPy's solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg, eigsh, gmres, lsqr, svds

from tapeflow import (
    JacobianOperator,
    grad,
    hessian,
    hessian_operator,
    hessp,
    jacobian,
    jacobian_operator,
    linearize,
    vjp,
)
from tapeflow.errors import NotDifferentiableError, SeedError, StructureError, TargetError

RNG = np.random.default_rng(3)
M = RNG.normal(size=(4, 6))
X = RNG.normal(size=6)


@dataclass
class Model:
    w: Any
    b: Any


def model(x: Any) -> Any:
    return np.tanh(M @ x) * x[0]


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_products_are_those_of_the_dense_jacobian() -> None:
    operator, dense = jacobian_operator(model, X), jacobian(model)(X)
    assert isinstance(operator, LinearOperator)
    assert isinstance(operator, JacobianOperator)
    assert operator.shape == (4, 6)
    assert operator.dtype == np.float64
    columns, rows = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 5))
    np.testing.assert_allclose(operator @ columns[:, 0], dense @ columns[:, 0])
    np.testing.assert_allclose(operator @ columns, dense @ columns)
    np.testing.assert_allclose(operator.H @ rows[:, 0], dense.T @ rows[:, 0])
    np.testing.assert_allclose(operator.T @ rows, dense.T @ rows)
    np.testing.assert_allclose(operator.H @ rows, dense.T @ rows)
    np.testing.assert_allclose(operator.matvec(columns[:, :1]), dense @ columns[:, :1])
    assert (operator @ columns[:, :0]).shape == (4, 0)
    np.testing.assert_allclose((operator.H @ operator) @ columns, dense.T @ dense @ columns)


def test_columns_are_treated_in_one_sweep() -> None:
    calls = []

    def fun(x: Any) -> Any:
        calls.append(1)
        return model(x)

    operator = jacobian_operator(fun, X)
    pushed = []
    push = operator._push
    operator._push = lambda t: (pushed.append(1), push(t))[1]
    np.testing.assert_allclose(operator @ np.eye(6), jacobian(model)(X))
    np.testing.assert_allclose(operator.H @ np.eye(4), jacobian(model)(X).T)
    assert len(pushed) == 1
    assert len(calls) == 1


def test_a_real_operator_takes_complex_vectors() -> None:
    operator, dense = jacobian_operator(model, X), jacobian(model)(X)
    v, u = X + 1j * X[::-1], np.arange(4) + 1j
    np.testing.assert_allclose(operator @ v, dense @ v)
    np.testing.assert_allclose(operator.H @ u, dense.T @ u)
    np.testing.assert_allclose(operator.T @ u, dense.T @ u)


def test_trees_are_ravelled_in_the_order_of_leaves() -> None:
    params = {"m": Model(RNG.normal(size=(2, 3)), RNG.normal(size=2)), "scale": 2.0}

    def fun(p: Any, x: Any) -> Any:
        return {"y": (p["m"].w @ x + p["m"].b) * p["scale"], "n": np.sum(x**2)}

    x = RNG.normal(size=3)
    operator = jacobian_operator(fun, params, x)
    assert operator.shape == (3, 12)
    t = {"m": Model(RNG.normal(size=(2, 3)), RNG.normal(size=2)), "scale": 0.5}
    vector = operator.ravel_input(t, x)
    np.testing.assert_array_equal(vector, [*np.ravel(t["m"].w), *t["m"].b, 0.5, *x])
    back, x_back = operator.unravel_input(vector)
    np.testing.assert_array_equal(back["m"].w, t["m"].w)
    np.testing.assert_array_equal(x_back, x)
    want = linearize(fun, params, x)[1](t, x)
    got = operator.unravel_output(operator @ vector)
    np.testing.assert_allclose(got["y"], want["y"])
    np.testing.assert_allclose(operator.ravel_output(got), operator @ vector)
    u = RNG.normal(size=3)
    assert np.isclose(u @ (operator @ vector), (operator.H @ u) @ vector)
    np.testing.assert_allclose(operator @ np.eye(12), (operator.H @ np.eye(3)).T)
    with pytest.raises(StructureError, match=r"tree is a tuple of 1, expected a tuple of 2"):
        operator.ravel_input(t)
    with pytest.raises(SeedError, match=r"tree\['n'\] has shape \(2,\), but .* shape \(\)"):
        operator.ravel_output({"y": np.ones(2), "n": np.ones(2)})
    with pytest.raises(SeedError, match=r"a vector of shape \(2,\) does not fit primals: expected 12 elements"):
        operator.unravel_input(np.ones(2))
    with pytest.raises(SeedError, match="the vector is complex, but there are real leaves in primals"):
        operator.unravel_input(1j * vector)
    np.testing.assert_array_equal(operator.unravel_input(vector + 0j)[1], x)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_dtypes(dtype: Any) -> None:
    x = X.astype(dtype)
    operator = jacobian_operator(lambda x: np.sin(x) * x[0], x)
    assert operator.dtype == dtype
    assert (operator @ x).dtype == dtype
    assert (operator.H @ x).dtype == dtype


def test_holomorphic_functions() -> None:
    a = RNG.normal(size=(3, 2)) + 1j * RNG.normal(size=(3, 2))
    z = np.array([1 + 1j, 0.5 - 2j])
    operator = jacobian_operator(lambda z: np.exp(a @ z), z)
    dense = np.exp(a @ z)[:, None] * a
    v, u = np.array([1j, 2.0 - 1j]), np.array([1.0, 1j, 2 + 2j])
    np.testing.assert_allclose(operator @ v, dense @ v)
    np.testing.assert_allclose(operator.H @ u, dense.conj().T @ u)
    np.testing.assert_allclose(operator.T @ u, dense.T @ u)
    np.testing.assert_allclose(operator.H @ np.eye(3), dense.conj().T)


def test_real_arguments_with_complex_results() -> None:
    x = np.array([0.3, 0.7])
    operator = jacobian_operator(lambda x: {"c": np.exp(1j * x) * x[0], "r": x[:1] * x[1]}, x)
    assert operator.dtype == np.complex128
    dense = operator @ np.eye(2)
    u = np.array([1 + 1j, 2.0, -1j])
    np.testing.assert_allclose(operator.H @ u, dense.conj().T @ u)
    np.testing.assert_allclose(operator.H @ np.eye(3), dense.conj().T)
    np.testing.assert_allclose(operator @ (x + 1j * x[::-1]), dense @ (x + 1j * x[::-1]))


@pytest.mark.parametrize("fun", [np.conj, lambda z: z * np.abs(z), lambda z: np.abs(z) ** 2, np.real])
def test_what_is_not_holomorphic_is_refused(fun: Any) -> None:
    with pytest.raises(StructureError, match=r"not holomorphic .* write the function of real and imaginary parts"):
        jacobian_operator(fun, np.array([1 + 2j, 3.0]))
    with pytest.raises(StructureError, match="real next to complex arguments"):
        jacobian_operator(lambda x, z: x * z, np.ones(2), np.array([1j, 2]))


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_empty_and_scalar_arguments(shape: Any) -> None:
    x = np.full(shape, 2.0)
    operator = jacobian_operator(lambda x: x**2, x)
    n = x.size
    assert operator.shape == (n, n)
    np.testing.assert_array_equal(operator @ np.eye(n), 4 * np.eye(n))
    np.testing.assert_array_equal(operator.H @ np.eye(n), 4 * np.eye(n))


def test_the_hessian() -> None:
    operator, dense = hessian_operator(rosenbrock, X), hessian(rosenbrock)(X)
    np.testing.assert_allclose(operator @ np.eye(6), dense, atol=1e-10)
    assert operator.H is operator
    np.testing.assert_allclose(operator.rmatvec(X), dense @ X)
    np.testing.assert_allclose(operator.T @ X, dense @ X)


def test_the_hessian_of_several_trees() -> None:
    fun = lambda p, s: np.sum(p["a"] ** 3) * s + s**3 * np.sum(p["b"])  # noqa: E731
    p = {"a": np.array([1.0, 2.0]), "b": np.array([[3.0]])}
    operator = hessian_operator(fun, p, 2.0)
    dense = operator @ np.eye(4)
    want = [[12, 0, 0, 3], [0, 24, 0, 12], [0, 0, 0, 12], [3, 12, 12, 36]]
    np.testing.assert_allclose(dense, want)


def test_the_hessian_of_a_complex_argument() -> None:
    a = np.array([[2.0, 1j], [-1j, 3.0]])
    operator = hessian_operator(lambda z: np.real(np.sum(np.conj(z) * (a @ z))), np.array([1 + 1j, 2.0]))
    np.testing.assert_allclose(operator @ np.eye(2), 2 * a)
    np.testing.assert_allclose(operator.H @ np.eye(2), 2 * a)
    with pytest.raises(StructureError, match="not holomorphic"):
        hessian_operator(lambda z: np.sum(np.real(z) ** 3), np.array([1 + 1j, 2.0]))


def test_linearize_returns_an_operator_on_request() -> None:
    value, operator, aux = linearize(lambda x: (model(x), "text"), X, has_aux=True, operator=True)
    np.testing.assert_array_equal(value, model(X))
    assert aux == "text"
    np.testing.assert_allclose(operator @ np.eye(6), jacobian(model)(X))


def test_static_leaves_stay_out() -> None:
    fun = lambda p: {"y": p["w"] * 2, "label": p["label"]}  # noqa: E731
    p = {"w": np.array([1.0, 2.0]), "label": "text"}
    operator = jacobian_operator(fun, p)
    np.testing.assert_array_equal(operator @ np.eye(2), 2 * np.eye(2))
    np.testing.assert_array_equal(operator.H @ np.eye(2), 2 * np.eye(2))
    np.testing.assert_array_equal(operator.ravel_input(p), p["w"])
    assert operator.unravel_input(np.ones(2))["label"] == "text"
    assert operator.unravel_output(np.ones(2))["label"] == "text"
    hessian = hessian_operator(lambda p: np.sum(p["w"] ** 3), p)
    np.testing.assert_array_equal(hessian @ np.eye(2), np.diag(6 * p["w"]))


def test_writes_in_place_and_poles_inside() -> None:
    def fun(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1] ** 2
        y[0] += np.sqrt(x[2] * x[2]) + x[3]
        return y

    x = np.array([1.0, 2.0, 3.0, 4.0])
    operator = jacobian_operator(fun, x)
    np.testing.assert_allclose(operator @ np.eye(4), jacobian(fun)(x))
    np.testing.assert_allclose(operator.H @ np.eye(4), jacobian(fun)(x).T)


# ---- SciPy's solvers


def convex(x: Any) -> Any:
    return np.sum(np.logaddexp(0, M @ x)) + 0.05 * np.sum(x**4) + 0.5 * np.sum(x**2)


def test_cg_solves_with_the_hessian() -> None:
    g = grad(convex)(X)
    step, info = cg(hessian_operator(convex, X), g, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(step, np.linalg.solve(hessian(convex)(X), g), rtol=1e-8)


def test_gmres_makes_newton_steps() -> None:
    x = np.full(5, 0.5)
    equations = lambda x: x + 0.3 * np.sin(np.roll(x, 1)) - 1.0  # noqa: E731
    for _ in range(6):
        value, operator = linearize(equations, x, operator=True)
        step, info = gmres(operator, value, rtol=1e-10)
        assert info == 0
        x = x - step
    np.testing.assert_allclose(equations(x), 0, atol=1e-12)


def test_lsqr_solves_the_linearized_least_squares_problem() -> None:
    fun = lambda x: np.concatenate([np.exp(M @ x), x**2])  # noqa: E731
    operator, dense = jacobian_operator(fun, X), jacobian(fun)(X)
    right = RNG.normal(size=10)
    got = lsqr(operator, right, atol=1e-13, btol=1e-13)[0]
    np.testing.assert_allclose(got, np.linalg.lstsq(dense, right, rcond=None)[0], rtol=1e-6)


def test_eigsh_and_svds() -> None:
    w = eigsh(hessian_operator(rosenbrock, X), 2, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(w), np.linalg.eigvalsh(hessian(rosenbrock)(X))[-2:], rtol=1e-9)
    s = svds(jacobian_operator(model, X), 2, return_singular_vectors=False, v0=np.ones(4))
    np.testing.assert_allclose(np.sort(s), np.sort(np.linalg.svd(jacobian(model)(X))[1])[-2:], rtol=1e-9)


@pytest.mark.parametrize("method", ["trust-krylov", "trust-ncg", "Newton-CG"])
def test_minimize_with_exact_hessian_products(method: str) -> None:
    calls = []

    def fun(x: Any, scale: float) -> Any:
        calls.append(1)
        return scale * rosenbrock(x)

    product = hessp(fun)
    found = minimize(
        lambda x, scale: float(scale * rosenbrock(x)),
        np.zeros(4),
        args=(2.0,),
        jac=lambda x, scale: scale * grad(rosenbrock)(x),
        hessp=product,
        method=method,
        options={"maxiter": 300},
    )
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3)
    assert 0 < len(calls) < found.nhev  # what is computed at a point serves all products there


def test_hessp_forgets_when_the_point_or_other_arguments_change() -> None:
    product = hessp(lambda x, a: a * np.sum(x**3))
    x, p = np.array([1.0, 2.0]), np.ones(2)
    np.testing.assert_allclose(product(x, p, 1.0), 6 * x)
    np.testing.assert_allclose(product(x, p, 2.0), 12 * x)
    x[0] = 5.0
    np.testing.assert_allclose(product(x, p, 2.0), 12 * x)
    with pytest.raises(TargetError, match="a gradient needs a scalar"):
        hessp(lambda x: x)(x, p)


def test_bad_input() -> None:
    with pytest.raises(NotDifferentiableError, match="x has dtype int64, which has no derivative"):
        jacobian_operator(lambda x: x, np.arange(3))
    with pytest.raises(TargetError, match=r"value\['i'\] has dtype int64, of which no linear operator"):
        jacobian_operator(lambda x: {"y": x, "i": np.arange(3)}, X)
    with pytest.raises(TargetError, match="a gradient needs a scalar"):
        hessian_operator(lambda x: x, X)
    with pytest.raises(ValueError, match="dimension mismatch"):
        jacobian_operator(model, X) @ np.ones(5)


def test_vjp_gives_the_adjoint_as_an_operator() -> None:
    def f(p: Any) -> Any:
        return {"u": np.tanh(p["a"] @ p["a"].T), "v": p["b"] * 2}, "aux"

    p = {"a": np.arange(6.0).reshape(2, 3) / 5, "b": np.float64(0.5)}
    value, adjoint, aux = vjp(f, p, has_aux=True, operator=True)
    plain, pullback, _ = vjp(f, p, has_aux=True)
    assert adjoint.shape == (7, 5)
    assert aux == "aux"
    np.testing.assert_array_equal(value["u"], plain["u"])
    w = np.arange(5.0)
    pulled = pullback({"u": w[:4].reshape(2, 2), "v": w[4]})[0]
    np.testing.assert_allclose(adjoint @ w, [*pulled["a"].ravel(), pulled["b"]])
    np.testing.assert_allclose(adjoint @ np.eye(5), (adjoint.H @ np.eye(7)).T)


def test_the_adjoint_of_a_complex_function() -> None:
    z = np.array([1.0 + 2.0j, 0.5 - 1.0j])
    f = lambda z: np.exp(z) * z[0]  # noqa: E731
    _, adjoint = vjp(f, z, operator=True)
    w = np.array([1.0 - 1.0j, 2.0j])
    np.testing.assert_allclose(adjoint @ w, vjp(f, z)[1](w)[0])
