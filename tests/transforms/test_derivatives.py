"""The functional layer: names, order and meaning of JAX, and errors that name the place."""

from __future__ import annotations

import gc
import inspect
import weakref
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeflow import (
    GradientTape,
    Variable,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vhp,
    vjp,
    vmap,
)
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
    np.testing.assert_array_equal(vjp(constant, X)[1](2.0)[0], [0.0, 0.0])
    np.testing.assert_array_equal(hvp(constant, (X,), (X,)), [0.0, 0.0])
    np.testing.assert_array_equal(vhp(constant, (X,), (X,)), [0.0, 0.0])
    assert jvp(constant, (X,), (X,))[1] == 0.0


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
    with pytest.raises(
        SeedError, match=r"not the structure of the value: cotangent is a list of 2, expected a dict of 2"
    ):
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


# ---- argnums and decorators


@pytest.mark.parametrize(
    ("argnums", "text"),
    [
        ((0, 0), r"argnums=\(0, 0\) names an argument twice"),
        ((1, -1), r"argnums=\(1, -1\) names an argument twice \(of 2 positional"),
        (-3, "argnums=-3, but the function was called with 2 positional"),
        ((0, 2), "argnums=2, but the function was called with 2 positional"),
        ("x", "argnums='x': expected an integer or a sequence of integers"),
        (1.5, "argnums=1.5: expected an integer"),
        ([None], r"argnums=\[None\]: expected an integer"),
    ],
)
def test_argnums_that_do_not_fit(argnums: Any, text: str) -> None:
    with pytest.raises(StructureError, match=text):
        grad(lambda a, b: np.sum(a), argnums)(X, X)


def test_argnums_may_be_numpy_integers_ranges_and_lists() -> None:
    f = lambda a, b: np.sum(a * b)  # noqa: E731
    np.testing.assert_array_equal(grad(f, np.int64(1))(X, 3 * X), X)
    for several in ([1, 0], range(1, -1, -1), np.array([1, 0])):
        gb, ga = grad(f, several)(X, 3 * X)
        np.testing.assert_array_equal(gb, X)
        np.testing.assert_array_equal(ga, 3 * X)
    assert grad(f, ())(X, X) == ()


def test_transforms_are_decorators_with_and_without_options() -> None:
    @grad(argnums=1)
    def by_b(a: Any, b: Any) -> Any:
        """Say what it is."""
        return np.sum(a * b)

    @value_and_grad(has_aux=True)
    def both(a: Any) -> Any:
        return np.sum(a**2), "aux"

    @value_and_grad
    def plain(a: Any) -> Any:
        return np.sum(a**2)

    np.testing.assert_array_equal(by_b(X, 3 * X), X)
    assert (by_b.__name__, by_b.__doc__) == ("by_b", "Say what it is.")
    assert list(inspect.signature(by_b).parameters) == ["a", "b"]
    (value, aux), gradient = both(X)
    assert (value, aux) == (5.0, "aux")
    np.testing.assert_array_equal(gradient, plain(X)[1])
    assert grad(fun=plain, has_aux=False).__name__ == "plain"
    assert grad(partial(np.multiply, 3.0))(2.0) == 3.0
    assert list(inspect.signature(grad).parameters) == ["fun", "argnums", "has_aux", "holomorphic"]


@pytest.mark.parametrize("transform", [grad, value_and_grad])
def test_what_is_no_function_is_refused(transform: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"{transform.__name__}: expected a function, got int.*@{transform.__name__}\("
    ):
        transform(1)
    with pytest.raises(TypeError, match="positional argument"):
        transform(cubic, 0, True)


# ---- holomorphic functions

Z = np.array([1.0 + 2.0j, -0.5j, 0.3 + 0j])
HOLOMORPHIC = {
    "z**3": (lambda z: z**3, lambda z: 3 * z**2, lambda z: 6 * z),
    "exp": (np.exp, np.exp, np.exp),
    "sin(z)/z": (
        lambda z: np.sin(z) / z,
        lambda z: np.cos(z) / z - np.sin(z) / z**2,
        lambda z: -np.sin(z) / z - 2 * np.cos(z) / z**2 + 2 * np.sin(z) / z**3,
    ),
    "log": (lambda z: np.log(z + 3), lambda z: 1 / (z + 3), lambda z: -1 / (z + 3) ** 2),
    "linear": (lambda z: (2 + 1j) * z, lambda z: np.full_like(z, 2 + 1j), np.zeros_like),
    "one": (lambda z: np.sin(z) ** 2 + np.cos(z) ** 2, np.zeros_like, np.zeros_like),
}


@pytest.mark.parametrize(("f", "first", "second"), HOLOMORPHIC.values(), ids=HOLOMORPHIC.keys())
def test_holomorphic_derivatives(f: Any, first: Any, second: Any) -> None:
    for dtype, rtol in ((np.complex64, 1e-4), (np.complex128, 1e-12)):
        z = Z.astype(dtype)
        total = lambda z: np.sum(f(z))  # noqa: E731
        value, derivative = value_and_grad(total, holomorphic=True)(z)
        assert derivative.dtype == dtype
        np.testing.assert_allclose(derivative, first(z), rtol=rtol, atol=rtol)
        np.testing.assert_allclose(value, total(z), rtol=rtol)
        each = vmap(grad(f, holomorphic=True))(z)
        np.testing.assert_allclose(each, first(z), rtol=rtol, atol=rtol)
        again = vmap(grad(grad(f, holomorphic=True), holomorphic=True))(z)
        np.testing.assert_allclose(again, second(z), rtol=rtol, atol=rtol)


def test_holomorphic_derivatives_of_trees_with_auxiliary_output() -> None:
    f = lambda p, k: (np.sum(p["a"] ** k * p["b"]), "aux")  # noqa: E731
    g, aux = grad(f, has_aux=True, holomorphic=True)({"a": Z, "b": 2j, "name": "n"}, 3)
    np.testing.assert_allclose(g["a"], 3 * Z**2 * 2j)
    np.testing.assert_allclose(g["b"], np.sum(Z**3))
    assert (g["name"], aux) == ("n", "aux")
    for constant in (1j, np.complex128(2.0)):
        np.testing.assert_array_equal(grad(lambda z, c=constant: c, holomorphic=True)(Z), np.zeros(3))
    assert grad(lambda z: np.sum(z) * 1j, holomorphic=True)(np.zeros(0, complex)).shape == (0,)


def test_holomorphic_matrix_functions_are_no_false_alarms() -> None:
    rng = np.random.default_rng(0)
    a = np.triu(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))
    np.testing.assert_allclose(grad(np.linalg.det, holomorphic=True)(a), np.linalg.det(a) * np.linalg.inv(a).T)
    minus = -(np.linalg.inv(a) @ np.linalg.inv(a)).T
    np.testing.assert_allclose(grad(lambda a: np.trace(np.linalg.inv(a)), holomorphic=True)(a), minus, atol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda z: np.sum(z * np.conj(z)),
        lambda z: np.sum(np.real(z) + 0j),
        lambda z: np.sum(np.abs(z) * z),
        lambda z: np.sum(z**2 + 1e-4 * np.conj(z)),
        lambda z: np.sum(np.conj(z)),
    ],
)
def test_functions_that_are_not_holomorphic_are_refused(f: Any) -> None:
    for transform in (grad, value_and_grad):
        with pytest.raises(TargetError, match=r"not holomorphic in p\['z'\] at this point.*leave holomorphic=True out"):
            transform(lambda p: f(p["z"]), holomorphic=True)({"z": Z})
    with pytest.raises(TargetError, match="not holomorphic"):
        vmap(grad(f, holomorphic=True))(Z)


def test_holomorphic_needs_complex_on_both_sides() -> None:
    with pytest.raises(NotDifferentiableError, match=r"needs complex arguments, but p\[1\] has dtype float64"):
        grad(lambda p: np.sum(p[0] * p[1]), holomorphic=True)([Z, X[0]])
    with pytest.raises(
        TargetError, match=r"value_and_grad: <lambda> returned a real scalar, but holomorphic=True needs"
    ):
        value_and_grad(lambda z: np.abs(z[0]), holomorphic=True)(Z)
    with pytest.raises(TargetError, match=r"complex scalar.*or holomorphic=True"):
        grad(np.sum)(Z)


# ---- products


def test_hvp_and_vhp_agree_with_the_hessian() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(3, 3))
    f = lambda x, y: np.sum(np.sin(a @ x) * y**2) + np.prod(x)  # noqa: E731
    x, y, v, w = rng.normal(size=(4, 3))
    h = hessian(f, (0, 1))(x, y)
    for product in (hvp, vhp):
        px, py = product(f, (x, y), (v, w))
        np.testing.assert_allclose(px, h[0][0] @ v + h[0][1] @ w)
        np.testing.assert_allclose(py, h[1][0] @ v + h[1][1] @ w)
        np.testing.assert_allclose(product(lambda x: f(x, y), [x], [v]), h[0][0] @ v)
        with pytest.raises(TargetError, match=rf"{product.__name__}: <lambda> returned an array of shape \(3,\)"):
            product(lambda x: x, (x,), (v,))


def test_hessians_of_complex_arguments_are_those_of_the_real_plane() -> None:
    f = lambda z: np.sum(np.abs(z) ** 4 + np.real(z**3))  # noqa: E731
    v = np.array([1j, 2.0 - 1j, 0.5])
    step = 1e-6
    slope = (grad(f)(Z + step * v) - grad(f)(Z - step * v)) / (2 * step)
    np.testing.assert_allclose(hvp(f, (Z,), (v,)), slope, rtol=1e-7)
    np.testing.assert_allclose(vhp(f, (Z,), (v,)), slope, rtol=1e-7)


def test_products_compose() -> None:
    v = np.array([1.0, -1.0])
    for product in (hvp, vhp):
        g = grad(lambda x, p=product: np.sum(p(cubic, (x,), (v,)) * x))(X)
        np.testing.assert_allclose(g, 12 * X * v)
        _, t = jvp(lambda x, p=product: p(cubic, (x,), (v,)), (X,), (X,))
        np.testing.assert_allclose(t, 6 * v * X)
        each = vmap(lambda x, p=product: p(cubic, (x,), (v,)))(np.stack([X, 2 * X]))
        np.testing.assert_allclose(each, [6 * X * v, 12 * X * v])
        np.testing.assert_allclose(product(lambda s, p=product: p(cubic, (s * X,), (v,))[0] ** 2, (2.0,), (1.0,)), 72.0)


def test_the_same_value_may_be_given_twice() -> None:
    square = lambda x: jvp(np.multiply, (x, x), (1.0, 0.0))[1]  # noqa: E731
    assert grad(square)(3.0) == 1.0
    assert jvp(square, (3.0,), (2.0,))[1] == 2.0
    np.testing.assert_array_equal(vmap(square)(X), X)
    assert grad(lambda x: vjp(np.multiply, x, x)[1](1.0)[0])(3.0) == 1.0
    assert grad(lambda x: hvp(lambda a, b: a**2 * b, (x, x), (1.0, 0.0))[0])(3.0) == 2.0


# ---- values on the way out


def test_functions_that_return_their_argument() -> None:
    assert value_and_grad(lambda x: x)(2.0) == (2.0, 1.0)
    big = np.ones(100_000)
    for x in (X.copy(), big):
        value, tangent = jvp(lambda x: x, (x,), (2 * x,))
        np.testing.assert_array_equal(tangent, 2 * x)
        value[0] = 7.0
        x[0] = 8.0
        value, pullback = vjp(lambda x: {"x": x}, x)
        assert value["x"][0] == 8.0
        np.testing.assert_array_equal(pullback({"x": x})[0], x)
        _, aux = grad(lambda x: (np.sum(x), x), has_aux=True)(x)
        aux[0] = 9.0
        assert x[0] == 8.0


def test_writing_to_results_does_not_change_the_pullback() -> None:
    def f(x: Any) -> Any:
        return x, x * x, np.exp(x), x[1:]

    ones = (np.ones(2), np.ones(2), np.ones(2), np.ones(1))

    def difference(x: Any) -> Any:
        value, pullback = vjp(f, x)
        before = pullback(ones)[0]
        for v in value:
            v[...] = 0.0
        return np.sum((before - pullback(ones)[0]) ** 2) + np.sum(before)

    before = np.sum(1 + 2 * X + np.exp(X)) + 1
    value, g = value_and_grad(difference)(X)
    np.testing.assert_allclose([difference(X), value, jvp(difference, (X,), (X,))[0]], before)
    np.testing.assert_allclose(g, 2 + np.exp(X))
    np.testing.assert_allclose(vmap(difference)(np.stack([X, X])), before)


def test_a_value_that_only_the_recording_holds_is_free_again() -> None:
    big = np.ones(100_000)
    value_and_grad(np.sum)(big)
    big[0] = 2.0
    jvp(np.sum, (big,), (big,))
    big[0] = 3.0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: value_and_grad(cubic)(x),
        lambda x: grad(lambda p: (cubic(p["x"]), p), has_aux=True)({"x": x, "s": None})[0],
        lambda x: vjp(cubic, x)[1](1.0),
        lambda x: jvp(cubic, (x,), (x,)),
        lambda x: hvp(cubic, (x,), (x,)),
        lambda x: vhp(lambda a, b: np.sum(a * b), (x, x), (x, x)),
        lambda x: grad(np.sum, holomorphic=True)(x * 1j),
    ],
)
def test_nothing_keeps_arguments_alive(call: Any) -> None:
    class Array(np.ndarray):
        pass

    x = X.copy().view(Array)
    alive = weakref.ref(x)
    gc.disable()
    try:
        result = call(x)
        del x
        assert alive() is None, result
    finally:
        gc.enable()


def test_pullbacks_are_linear_functions_that_can_be_transformed() -> None:
    _, pullback = vjp(lambda x: np.sin(x) * x[0], X)
    jac = jacobian(lambda x: np.sin(x) * x[0])(X)
    linear = lambda c: pullback(c)[0]  # noqa: E731
    v = np.array([2.0, -1.0])
    np.testing.assert_allclose(grad(lambda c: linear(c) @ v)(X), jac @ v)
    np.testing.assert_allclose(jvp(linear, (X,), (v,))[1], v @ jac)
    np.testing.assert_allclose(vmap(linear)(np.eye(2)), jac)
    np.testing.assert_allclose(jacobian(linear)(X), jac.T)


def test_keywords_and_closures_are_not_differentiated_but_by_outer_transforms() -> None:
    f = lambda x, *, k: np.sum(x**2) * k  # noqa: E731
    np.testing.assert_array_equal(grad(f)(X, k=3.0), 6 * X)
    assert grad(lambda k: np.sum(grad(f)(X, k=k)))(3.0) == np.sum(2 * X)
    assert jvp(lambda k: np.sum(grad(f)(X, k=k)), (3.0,), (1.0,))[1] == np.sum(2 * X)
    np.testing.assert_array_equal(vmap(lambda k: grad(f)(X, k=k))(X), np.outer(X, 2 * X))
    assert grad(lambda k: jvp(lambda x: f(x, k=k), (X,), (X,))[1])(3.0) == np.sum(2 * X**2)


def test_variables_that_a_function_reads_belong_to_outer_tapes() -> None:
    v = Variable(3.0)
    with GradientTape() as tape:
        g = grad(lambda x: x**2 * v)(2.0)
    assert g == 12.0
    assert tape.gradient(g, v) == 4.0


def test_variables_as_arguments_are_passed_by_value() -> None:
    v = Variable(3.0)
    assert grad(lambda x: x**2)(v) == 6.0
    assert grad(lambda x: x * v)(v) == 3.0
    assert grad(lambda x, y: x**2 * y, (0, 1))(v, v) == (18.0, 9.0)
    assert grad(lambda p: p["a"] * p["b"][0])({"a": v, "b": (v, None)}) == {"a": 3.0, "b": (3.0, None)}
    assert jvp(np.multiply, (v, v), (1.0, 0.0)) == (9.0, 3.0)
    with GradientTape() as tape:
        g = grad(lambda p: p["a"] ** 3)({"a": v})["a"]
    assert tape.gradient(g, v) == 18.0
    assert jvp(lambda x: x**2, (v,), (1.0,)) == (9.0, 6.0)
    assert vjp(lambda x: x**2, v)[1](1.0) == (6.0,)
    assert hvp(lambda x: x**3, (v,), (1.0,)) == 18.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_precision_is_kept(dtype: Any) -> None:
    x = X.astype(dtype)
    for result in (
        grad(cubic)(x),
        vjp(cubic, x)[1](dtype(1))[0],
        jvp(cubic, (x,), (x,))[1],
        hvp(cubic, (x,), (x,)),
        vhp(cubic, (x,), (x,)),
    ):
        assert result.dtype == dtype


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (2, 3)])
def test_all_shapes(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape) + 1.0
    np.testing.assert_array_equal(grad(cubic)(x), 3 * x**2)
    np.testing.assert_array_equal(vjp(np.sin, x)[1](x)[0], np.cos(x) * x)
    np.testing.assert_array_equal(jvp(np.sin, (x,), (x,))[1], np.cos(x) * x)
    np.testing.assert_array_equal(hvp(cubic, (x,), (x,)), 6 * x * x)
    np.testing.assert_array_equal(vhp(cubic, (x,), (x,)), 6 * x * x)


def test_integer_results_have_no_derivative_but_are_no_obstacle() -> None:
    f = lambda x: (np.argmax(x), np.sum(x))  # noqa: E731
    value, tangent = jvp(f, (X,), (X,))
    assert value == (1, 3.0)
    assert tangent == (0, 3.0)
    np.testing.assert_array_equal(vjp(f, X)[1]((0, 2.0))[0], [2.0, 2.0])
