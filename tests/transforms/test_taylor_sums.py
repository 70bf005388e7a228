"""Derivatives of functions of one number, Hessian diagonals and Laplacians by Taylor series."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tapeflow import grad, hessian, hessian_diagonal, jacobian, laplacian, nth_derivative, stop_gradient, vmap
from tapeflow.core.batch import Batched
from tapeflow.core.rules import general
from tapeflow.errors import BatchLoopWarning, NotDifferentiableError, StructureError, TargetError
from tapeflow.transforms.taylor_series import Series

X = np.array([0.3, 0.7, -0.4])
W = np.array([[0.3, -0.5, 0.2], [0.8, 0.1, -0.6]])


def scalar(x: Any) -> Any:
    return np.sum(np.tanh(W @ x) ** 2) + np.exp(x[0]) * np.prod(x) + x[2] ** 4 / (2 + np.sin(x[1]))


def several(x: Any) -> Any:
    return np.sin(W @ x) * np.sum(x**3)


# ---- nth_derivative


@pytest.mark.parametrize("n", range(7))
def test_nth_derivative_of_known_functions(n: int) -> None:
    x = np.linspace(0.2, 1.5, 6).reshape(2, 3)
    np.testing.assert_allclose(nth_derivative(np.sin, x, n), np.sin(x + n * np.pi / 2), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(nth_derivative(lambda x: np.exp(-2 * x), x, n), (-2.0) ** n * np.exp(-2 * x))
    factor = np.prod(np.arange(1, n + 1)) * (-1.0) ** n
    np.testing.assert_allclose(nth_derivative(lambda x: 1 / x, x, n), factor * x ** -(n + 1.0), rtol=1e-12)


def test_nth_derivative_of_numbers_and_other_dtypes() -> None:
    assert nth_derivative(lambda x: x**5, 2.0, 3) == 240.0
    assert nth_derivative(np.exp, np.float32(0.5), 3).dtype == np.float32
    z = np.array([0.3 + 1j])
    np.testing.assert_allclose(nth_derivative(np.sin, z, 3), -np.cos(z))
    np.testing.assert_array_equal(nth_derivative(lambda x: 5.0 + 0 * x, X, 2), np.zeros(3))
    assert nth_derivative(np.sin, np.zeros((0, 2)), 2).shape == (0, 2)


def test_nth_derivative_nests() -> None:
    np.testing.assert_allclose(grad(lambda x: np.sum(nth_derivative(np.sin, x, 2)))(X), -np.cos(X))
    np.testing.assert_allclose(vmap(lambda x: nth_derivative(np.sin, x, 2))(X), -np.sin(X))
    np.testing.assert_allclose(nth_derivative(lambda x: nth_derivative(np.sin, x, 2), X, 3), np.cos(X))


def test_nth_derivative_wants_elements_one_by_one() -> None:
    with pytest.raises(StructureError, match=r"scalar gives an array of shape \(\) for an argument of shape \(3,\)"):
        nth_derivative(scalar, X, 2)
    with pytest.raises(StructureError, match="gives a tuple"):
        nth_derivative(lambda x: (x, x), X, 2)
    with pytest.raises(ValueError, match="n=-2: expected an int of at least 0"):
        nth_derivative(np.sin, X, -2)
    with pytest.raises(NotDifferentiableError, match="x has dtype int64"):
        nth_derivative(np.sin, np.arange(3), 1)
    with pytest.raises(NotDifferentiableError, match="x is of type list"):
        nth_derivative(np.sin, [1.0], 1)


# ---- hessian_diagonal and laplacian


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 3, 100])
def test_diagonal_and_trace_of_the_hessian(chunk_size: int | None) -> None:
    want = np.diag(hessian(scalar)(X))
    np.testing.assert_allclose(hessian_diagonal(scalar, X, chunk_size=chunk_size), want, rtol=1e-12)
    got = laplacian(scalar, X, chunk_size=chunk_size)
    np.testing.assert_allclose(got, np.sum(want), rtol=1e-12)
    assert type(got) is np.float64


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_of_a_function_with_several_results(chunk_size: int | None) -> None:
    full = jacobian(jacobian(several))(X)
    want = np.einsum("kii->ki", full)
    np.testing.assert_allclose(hessian_diagonal(several, X, chunk_size=chunk_size), want, rtol=1e-12)
    np.testing.assert_allclose(laplacian(several, X, chunk_size=chunk_size), want.sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("chunk_size", [None, 1, 4])
def test_structures_on_both_sides(chunk_size: int | None) -> None:
    x = {"w": W, "b": (np.array([0.2, -0.3]), 1.5)}

    def f(p: Any) -> Any:
        y = np.tanh(p["w"] @ X + p["b"][0]) * p["b"][1] ** 2
        return {"y": y, "loss": np.sum(y**2), "constant": np.ones(2)}

    got = hessian_diagonal(f, x, chunk_size=chunk_size)
    total = laplacian(f, x, chunk_size=chunk_size)
    assert got.keys() == total.keys() == {"y", "loss", "constant"}
    np.testing.assert_array_equal(got["constant"]["w"], np.zeros((2, 2, 3)))
    np.testing.assert_array_equal(total["constant"], np.zeros(2))
    flat = np.concatenate([W.ravel(), x["b"][0], [1.5]])

    def whole(v: Any, name: str) -> Any:
        return f({"w": v[:6].reshape(2, 3), "b": (v[6:8], v[8])})[name]

    for name, shape in (("y", (2,)), ("loss", ())):
        want = np.einsum("...ii->...i", jacobian(jacobian(lambda v, n=name: whole(v, n)))(flat))
        assert got[name]["w"].shape == (*shape, 2, 3)
        assert got[name]["b"][1].shape == shape
        np.testing.assert_allclose(got[name]["w"], want[..., :6].reshape(*shape, 2, 3), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got[name]["b"][0], want[..., 6:8], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got[name]["b"][1], want[..., 8], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(total[name], want.sum(axis=-1), rtol=1e-11, atol=1e-13)


def test_harmonic_functions_have_none() -> None:
    np.testing.assert_allclose(laplacian(lambda x: 1 / np.linalg.norm(x), X), 0, atol=1e-12)
    np.testing.assert_allclose(laplacian(lambda x: np.real((x[0] + 1j * x[1]) ** 5), X[:2]), 0, atol=1e-13)


def test_linear_algebra_inside() -> None:
    def f(x: Any) -> Any:
        a = np.outer(x, x) + 2 * np.eye(3)
        return np.linalg.slogdet(a)[1] + np.sum(np.linalg.solve(a, x)) + np.trace(np.linalg.inv(a)) + a[0] @ a[1]

    np.testing.assert_allclose(hessian_diagonal(f, X), np.diag(hessian(f)(X)), rtol=1e-10)
    g = lambda x: np.sum(np.linalg.cholesky(np.outer(x, x) + np.eye(3)))  # noqa: E731
    np.testing.assert_allclose(hessian_diagonal(g, X), np.diag(hessian(g)(X)), rtol=1e-10)


def test_values_are_computed_once_for_all_directions() -> None:
    seen = []

    def f(x: Any) -> Any:
        y = np.exp(x) * np.sin(x)
        assert type(y) is Series
        seen.append((type(y._value), [type(c) for c in y._coefficients]))
        return np.sum(y)

    hessian_diagonal(f, X)
    laplacian(f, X, chunk_size=2)
    assert seen == [(np.ndarray, [Batched, Batched])] * 3


def test_dtypes_and_empty_arrays() -> None:
    narrow = X.astype(np.float32)
    assert hessian_diagonal(several, narrow).dtype == np.float64  # W is double
    assert hessian_diagonal(lambda x: np.sum(x**3), narrow).dtype == np.float32
    assert laplacian(lambda x: np.sum(x**3), narrow).dtype == np.float32
    assert hessian_diagonal(np.sum, np.zeros((0, 2))).shape == (0, 2)
    assert laplacian(np.sum, np.zeros((0, 2))) == 0
    assert hessian_diagonal(lambda x: x**3, 2.0) == 12.0


def test_in_place_writes_inside() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[1] ** 3 * x[0]
        y[1:] = x[:-1] ** 2
        y *= x
        return np.sum(y)

    np.testing.assert_allclose(hessian_diagonal(f, X), np.diag(hessian(f)(X)), rtol=1e-13)


def test_nesting() -> None:
    f = lambda x: np.sum(x**4) * x[0]  # noqa: E731
    third = jacobian(lambda x: np.diag(hessian(f)(x)))(X)
    np.testing.assert_allclose(jacobian(lambda x: hessian_diagonal(f, x))(X), third, rtol=1e-12)
    np.testing.assert_allclose(grad(lambda x: laplacian(f, x))(X), third.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(vmap(lambda x: laplacian(f, x))(np.stack([X, X + 1]))[1], laplacian(f, X + 1))
    twice = laplacian(lambda x: laplacian(lambda x: np.sum(x**2) ** 3, x), X)
    # The Laplacian of r**p in three dimensions is p (p + 1) r**(p - 2).
    np.testing.assert_allclose(twice, 6 * 7 * 4 * 5 * np.sum(X**2))
    assert laplacian(lambda x: x @ stop_gradient(x), X) == 0


def test_a_rule_that_decides_by_tangents_is_called_for_one_direction_after_another() -> None:
    def push(xp: Any, t: Any, x: Any) -> Any:
        return 3 * x**2 * t if float(np.sum(stop_gradient(t))) else xp.zeros_like(t)

    push.__module__ = "tapeflow.ops.made_up"
    push.__globals__["__name__"], own = "tapeflow.ops.made_up", push.__globals__["__name__"]
    cube = general("cube", lambda x: x**3, push, push)

    def named(x: Any) -> Any:
        return np.sum(cube(x))

    try:
        with pytest.warns(BatchLoopWarning, match="named needs values of each direction"):
            got = hessian_diagonal(named, X)
    finally:
        push.__globals__["__name__"] = own
    np.testing.assert_allclose(got, 6 * X)


def test_bad_input() -> None:
    with pytest.raises(NotDifferentiableError, match=r"laplacian: x\[0\] is complex \(complex128\)"):
        laplacian(lambda x: np.sum(x[0]), [X + 1j])
    with pytest.raises(NotDifferentiableError, match="x has dtype int64"):
        hessian_diagonal(np.sum, np.arange(3))
    for size in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=r"hessian_diagonal: chunk_size=.*: expected a positive integer"):
            hessian_diagonal(np.sum, X, chunk_size=size)
    with pytest.raises(TargetError, match="laplacian: output is a str, not an array"):
        laplacian(lambda x: "text", X)


def test_no_warnings_on_the_way() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hessian_diagonal(scalar, X)
