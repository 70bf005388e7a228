"""The functional layer: names, order and meaning of JAX, and errors that name the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeflow import grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from tapeflow.errors import NotDifferentiableError, SeedError, StructureError, TargetError

X = np.array([1.0, 2.0])


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Model:
    w: Any
    b: Any


def cubic(x: Any) -> Any:
    return np.sum(x**3)


def test_grad_and_value() -> None:
    value, gradient = value_and_grad(cubic)(X)
    assert value == 9.0
    assert type(value) is np.float64
    np.testing.assert_array_equal(gradient, 3 * X**2)
    np.testing.assert_array_equal(grad(cubic)(X), gradient)


def test_argnums_pick_one_or_several_also_from_the_end() -> None:
    f = lambda a, b, c=1.0: np.sum(a * b) * c  # noqa: E731
    np.testing.assert_array_equal(grad(f, 1)(X, 3 * X), X)
    np.testing.assert_array_equal(grad(f, -1)(X, 3 * X), X)
    ga, gb = grad(f, (0, 1))(X, 3 * X, c=2.0)
    np.testing.assert_array_equal(ga, 6 * X)
    np.testing.assert_array_equal(gb, 2 * X)
    with pytest.raises(StructureError, match=r"argnums=2, but the function was called with 2 positional"):
        grad(f, 2)(X, X)


def test_auxiliary_output() -> None:
    f = lambda x: (cubic(x), {"seen": x * 2, "n": 3})  # noqa: E731
    g, aux = grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(g, 3 * X**2)
    assert isinstance(aux["seen"], np.ndarray)
    assert aux["n"] == 3
    (value, _), _ = value_and_grad(f, has_aux=True)(X)
    assert value == 9.0
    value, _pullback, aux = vjp(f, X, has_aux=True)
    assert value == 9.0
    _value, tangent, aux = jvp(f, (X,), (X,), has_aux=True)
    assert tangent == np.sum(3 * X**3)
    with pytest.raises(TypeError, match="must return a pair"):
        grad(cubic, has_aux=True)(X)


def test_structures() -> None:
    f = lambda m, p: np.sum(m.w * p.x) * m.b + p.y[0]  # noqa: E731
    gm, gp = grad(f, (0, 1))(Model(X, 2.0), Point(X, [1.0]))
    assert isinstance(gm, Model)
    assert isinstance(gp, Point)
    np.testing.assert_array_equal(gm.w, 2 * X)
    assert gm.b == 5.0
    assert gp.y == [1.0]


@pytest.mark.parametrize("constant", [lambda x: 3.0, lambda x: np.float64(3.0), lambda x: stop_gradient(np.sum(x))])
def test_a_constant_function_has_zeros(constant: Any) -> None:
    np.testing.assert_array_equal(grad(constant)(X), [0.0, 0.0])
    assert jvp(constant, (X,), (X,))[1] == 0.0 if not isinstance(constant(X), float) else True


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x * 2, r"returned an array of shape \(2,\); a gradient needs a scalar.*jacobian"),
        (lambda x: np.sum(x) * 1j, "complex scalar"),
        (lambda x: [np.sum(x)], "returned a list"),
        (lambda x: None, "returned a NoneType"),
    ],
)
def test_results_that_have_no_gradient(f: Any, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        grad(f)(X)


@pytest.mark.parametrize(("bad", "text"), [(3, "of type int"), (np.arange(2), r"dtype int64.*astype\(float\)")])
def test_arguments_that_have_no_derivative(bad: Any, text: str) -> None:
    for call in (lambda: grad(np.sum)(bad), lambda: jvp(np.sum, (bad,), (bad,)), lambda: vjp(np.sum, bad)):
        with pytest.raises(NotDifferentiableError, match=text):
            call()


def test_vjp_pulls_back_as_often_as_wanted() -> None:
    value, pullback = vjp(lambda a, b: {"p": a * b, "s": np.sum(a)}, X, 3 * X)
    np.testing.assert_array_equal(value["p"], 3 * X**2)
    for _ in range(2):
        ga, gb = pullback({"p": np.ones(2), "s": 2.0})
        np.testing.assert_array_equal(ga, 3 * X + 2)
        np.testing.assert_array_equal(gb, X)
    with pytest.raises(SeedError, match=r"cotangent is a list of 2.*expected a dict of 2"):
        pullback([np.ones(2), 1.0])


def test_jvp_of_several_arguments() -> None:
    value, tangent = jvp(lambda a, b: (a * b, a), (X, 3 * X), (np.ones(2), np.zeros(2)))
    np.testing.assert_array_equal(tangent[0], 3 * X)
    np.testing.assert_array_equal(tangent[1], [1.0, 1.0])
    assert all(isinstance(v, np.ndarray) for v in (*value, *tangent))


def test_jacobian_and_hessian() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: x**2)(X), np.diag(2 * X))
    j = jacobian(lambda x, y: {"a": x * y, "c": 3.0}, (0, 1))(X, 2.0)
    np.testing.assert_array_equal(j["a"][0], 2 * np.eye(2))
    np.testing.assert_array_equal(j["a"][1], X)
    np.testing.assert_array_equal(j["c"][0], [0.0, 0.0])
    np.testing.assert_array_equal(hessian(cubic)(X), np.diag(6 * X))
    h = hessian(lambda p: np.sum(p["a"] ** 2 * p["b"]))({"a": X, "b": 2.0})
    np.testing.assert_array_equal(h["a"]["b"], 2 * X)
    np.testing.assert_array_equal(h["b"]["b"], 0.0)


def test_hvp() -> None:
    np.testing.assert_array_equal(hvp(cubic, (X,), (np.ones(2),)), 6 * X)
    ha, hb = hvp(lambda a, b: np.sum(a * b**2), (X, 3 * X), (np.ones(2), np.zeros(2)))
    np.testing.assert_array_equal(ha, [0.0, 0.0])
    np.testing.assert_array_equal(hb, 6 * X)


@pytest.mark.parametrize("linear", [np.sum, lambda x: 3.0 * x[0]])
def test_second_derivatives_of_linear_functions_are_zeros(linear: Any) -> None:
    np.testing.assert_array_equal(hessian(linear)(X), np.zeros((2, 2)))
    np.testing.assert_array_equal(hvp(linear, (X,), (X,)), [0.0, 0.0])


def test_compositions() -> None:
    f = lambda x: np.sum(np.sin(x))  # noqa: E731
    np.testing.assert_allclose(grad(lambda x: np.sum(grad(f)(x)))(X), -np.sin(X))
    np.testing.assert_allclose(jvp(grad(f), (X,), (X,))[1], -np.sin(X) * X)
    np.testing.assert_allclose(grad(lambda x: jvp(f, (x,), (X,))[1])(X), -np.sin(X) * X)
    np.testing.assert_allclose(jacobian(jacobian(np.sin))(X)[0, 0, 0], -np.sin(X[0]))
    np.testing.assert_allclose(grad(lambda x: vjp(np.sin, x)[1](np.ones(2))[0][0])(X), [-np.sin(X[0]), 0.0])


def test_a_gradient_of_a_closed_over_variable() -> None:
    def outer(x: Any) -> Any:
        return grad(lambda y: np.sum(x * y**2))(X)[1]

    np.testing.assert_array_equal(grad(outer)(X), [0.0, 4.0])


def test_gradients_work_as_decorators_and_keep_the_name() -> None:
    @grad
    def slope(x: Any) -> Any:
        """Say what it is."""
        return x**2

    assert slope(3.0) == 6.0
    assert slope.__name__ == "slope"
    assert slope.__doc__ == "Say what it is."


def test_messages_name_the_leaf() -> None:
    with pytest.raises(NotDifferentiableError, match=r"p\['w'\]\[0\] has dtype int64"):
        grad(lambda p: np.sum(p["w"][0]))({"w": [np.arange(3)]})
