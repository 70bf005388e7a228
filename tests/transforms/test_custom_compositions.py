"""Functions with rules of their own, under every composition of transforms, against the same functions without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import (
    ForwardAccumulator,
    GradientTape,
    custom_gradient,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    vjp,
    vmap,
)

pytestmark = pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")


def natural(x: Any, w: Any) -> Any:
    return np.sin(x) * w + np.exp(w) * x**2


def by_vjp() -> Callable[..., Any]:
    f = custom_vjp(lambda x, w: natural(x, w))
    f.defvjp(
        lambda x, w: (natural(x, w), (x, np.exp(w), w)),
        lambda r, g: (g * (np.cos(r[0]) * r[2] + 2 * r[1] * r[0]), np.sum(g * (np.sin(r[0]) + r[1] * r[0] ** 2))),
    )
    return f


def by_vjp_that_calls_itself() -> Callable[..., Any]:
    f = custom_vjp(lambda x, w: natural(x, w))

    def backward(r: Any, g: Any) -> Any:
        x, w, y = r
        e = y - np.sin(x) * w  # through the result, which the rule takes from the function itself
        return g * (np.cos(x) * w + 2 * np.exp(w) * x), np.sum(g * (np.sin(x) + e))

    f.defvjp(lambda x, w: (f(x, w), (x, w, f(x, w))), backward)
    return f


def by_vjp_with_jvp() -> Callable[..., Any]:
    f = custom_vjp(lambda x, w: natural(x, w))
    f.defvjp(
        lambda x, w: (natural(x, w), (x, w)),
        lambda r, g: (
            g * (np.cos(r[0]) * r[1] + 2 * np.exp(r[1]) * r[0]),
            np.sum(g * (np.sin(r[0]) + np.exp(r[1]) * r[0] ** 2)),
        ),
        jvp=lambda r, t: (
            t[0] * (np.cos(r[0]) * r[1] + 2 * np.exp(r[1]) * r[0]) + t[1] * (np.sin(r[0]) + np.exp(r[1]) * r[0] ** 2)
        ),
    )
    return f


def by_jvp() -> Callable[..., Any]:
    f = custom_jvp(lambda x, w: natural(x, w))

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, w), (dx, dw) = primals, tangents
        y = f(x, w)
        return y, (np.cos(x) * w + 2 * np.exp(w) * x) * dx + (np.sin(x) + y - np.sin(x) * w) * dw

    return f


def by_jvps() -> Callable[..., Any]:
    f = custom_jvp(lambda x, w: natural(x, w))
    f.defjvps(
        lambda t, y, x, w: t * (np.cos(x) * w + 2 * np.exp(w) * x),
        lambda t, y, x, w: t * (np.sin(x) + np.exp(w) * x**2),
    )
    return f


def by_gradient() -> Callable[..., Any]:
    @custom_gradient
    def f(x: Any, w: Any) -> Any:
        e, s = np.exp(w), np.sin(x)
        return s * w + e * x**2, lambda g: (g * (np.cos(x) * w + 2 * e * x), np.sum(g * (s + e * x**2)))

    return f


def evaluated(x: Any, w: Any) -> Any:
    assert all(isinstance(a, (np.ndarray, np.floating, float)) for a in (x, w))
    return natural(x, w)


def by_primitive_jvp() -> Callable[..., Any]:
    return primitive(evaluated).def_jvp(
        lambda xp, t, x0, x1: t * (xp.cos(x0) * x1 + 2 * xp.exp(x1) * x0),
        lambda xp, t, x0, x1: t * (xp.sin(x0) + xp.exp(x1) * x0**2),
    )


def by_primitive_vjp() -> Callable[..., Any]:
    return primitive(evaluated).def_vjp(
        lambda xp, g, x0, x1: g * (xp.cos(x0) * x1 + 2 * xp.exp(x1) * x0),
        lambda xp, g, x0, x1: xp.sum(g * (xp.sin(x0) + xp.exp(x1) * x0**2)),
    )


def by_primitive_both() -> Callable[..., Any]:
    return by_primitive_jvp().def_vjp(  # type: ignore[attr-defined]
        lambda xp, g, x0, x1: g * (xp.cos(x0) * x1 + 2 * xp.exp(x1) * x0),
        lambda xp, g, x0, x1: xp.sum(g * (xp.sin(x0) + xp.exp(x1) * x0**2)),
    )


def by_elementwise() -> Callable[..., Any]:
    return primitive(elementwise=True)(evaluated).def_vjp(
        lambda xp, g, x0, x1: g * (xp.cos(x0) * x1 + 2 * xp.exp(x1) * x0),
        lambda xp, g, x0, x1: g * (xp.sin(x0) + xp.exp(x1) * x0**2),  # the sum over elements is the engine's
    )


WAYS = [
    by_vjp,
    by_vjp_that_calls_itself,
    by_vjp_with_jvp,
    by_jvp,
    by_jvps,
    by_gradient,
    by_primitive_jvp,
    by_primitive_vjp,
    by_primitive_both,
    by_elementwise,
]

X = np.array([0.3, -0.7, 1.1])
W = np.float64(0.4)
XS = np.array([[0.3, -0.7, 1.1], [0.2, 0.5, -0.4]])
WS = np.array([0.4, -0.2])
T = np.array([1.0, -2.0, 0.5])


def loss(f: Any) -> Callable[[Any, Any], Any]:
    return lambda x, w: np.sum(np.tanh(f(x, w)))


def outer_tape_inner_accumulator(f: Any) -> Any:
    with GradientTape() as tape:
        x, w = tape.watch((X, W))
        with ForwardAccumulator((x, w), (T, np.float64(0.3))) as acc:
            y = loss(f)(*acc.primals)
        slope = acc.jvp(y)
    return tape.gradient(slope, (x, w))


def gradient_inside_the_accumulator(f: Any) -> Any:
    with GradientTape() as tape:
        x = tape.watch(X)
        with ForwardAccumulator(x, T) as acc:
            y = loss(f)(acc.primals, W)
            g = tape.gradient(y, x)
        return g, acc.jvp(g)


def persistent_tape_in_its_own_block(f: Any) -> Any:
    with GradientTape(persistent=True) as tape:
        x, w = tape.watch((X, W))
        y = loss(f)(x, w)
        g = tape.gradient(y, (x, w))
        s = np.sum(g[0] ** 2) + g[1] ** 2
    return g, tape.gradient(s, (x, w))


def two_tapes(f: Any) -> Any:
    with GradientTape() as outer:
        x, w = outer.watch((X, W))
        with GradientTape() as inner:
            u, v = inner.watch((x, w))
            y = loss(f)(u, v)
        gx, gw = inner.gradient(y, (u, v))
        s = np.sum(gx**2) * gw
    return outer.gradient(s, (x, w))


def third(f: Any) -> Any:
    return grad(lambda x: np.sum(hvp(loss(f), (x, W), (T, W))[0] ** 2))(X)


def many_cotangents(f: Any) -> Any:
    with GradientTape(persistent=True) as tape:
        x, w = tape.watch((X, W))
        y = f(x, w)
    return vmap(lambda g: tape.gradient(y, (x, w), g))(np.array([[1.0, 0, 2], [3, 1, 0]]))


def many_cotangents_of_a_batch(f: Any) -> Any:
    with GradientTape(persistent=True) as tape:
        x, w = tape.watch((XS, W))
        y = vmap(f, (0, None))(x, w)
    return vmap(vmap(lambda g: tape.gradient(y, (x, w), g)))(np.arange(24.0).reshape(2, 2, 2, 3))


def many_tangents(f: Any) -> Any:
    return vmap(lambda t: jvp(lambda x: f(x, W), (X,), (t,))[1])(np.eye(3))


def many_cotangents_recorded(f: Any) -> Any:
    return grad(lambda z: np.sum(many_cotangents_at(f, z) ** 2))(X)


def many_cotangents_at(f: Any, z: Any) -> Any:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(z)
        y = f(x, W)
    return vmap(lambda g: tape.gradient(y, x, g))(np.array([[1.0, 0, 2], [3, 1, 0]]))


COMPOSITIONS: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: f(X, W),
    "grad": lambda f: grad(loss(f), (0, 1))(X, W),
    "jvp": lambda f: jvp(f, (X, W), (T, np.float64(2.0))),
    "jvp of one": lambda f: jvp(lambda x: f(x, W), (X,), (T,)),
    "vjp": lambda f: vjp(f, X, W)[1](T),
    "hessian": lambda f: hessian(loss(f))(X, W),
    "mixed hessian": lambda f: hessian(loss(f), (0, 1))(X, W),
    "hvp": lambda f: hvp(loss(f), (X, W), (T, np.float64(0.5))),
    "grad of jvp": lambda f: grad(lambda x, w: np.sum(jvp(f, (x, w), (T, w))[1] ** 2), (0, 1))(X, W),
    "jvp of jvp": lambda f: jvp(lambda x: jvp(lambda z: f(z, W), (x,), (x,))[1], (X,), (T,)),
    "third": third,
    "jacobian": lambda f: jacobian(f, (0, 1))(X, W),
    "vmap": lambda f: vmap(f)(XS, WS),
    "vmap grad": lambda f: vmap(grad(loss(f), (0, 1)))(XS, WS),
    "vmap grad, shared": lambda f: vmap(grad(loss(f), (0, 1)), in_axes=(0, None))(XS, W),
    "grad vmap": lambda f: grad(lambda x, w: np.sum(vmap(f)(x, w) ** 2), (0, 1))(XS, WS),
    "grad vmap, shared": lambda f: grad(lambda x, w: np.sum(vmap(f, (0, None))(x, w) ** 2), (0, 1))(XS, W),
    "jvp vmap, shared": lambda f: jvp(lambda x, w: vmap(f, (0, None))(x, w), (XS, W), (XS, W)),
    "hvp vmap": lambda f: hvp(lambda x, w: np.sum(vmap(f, (0, None))(x, w) ** 2), (XS, W), (XS, W)),
    "vmap vmap": lambda f: grad(lambda x, w: np.sum(vmap(vmap(f, (None, 0)), (0, None))(x, w) ** 2), (0, 1))(XS, WS),
    "vmap hessian": lambda f: vmap(hessian(loss(f)))(XS, WS),
    "grad vmap grad": lambda f: grad(lambda x, w: np.sum(vmap(grad(loss(f)), (0, None))(x, w) ** 2), (0, 1))(XS, W),
    "grad over accumulator": outer_tape_inner_accumulator,
    "gradient inside an accumulator": gradient_inside_the_accumulator,
    "a persistent tape in its own block": persistent_tape_in_its_own_block,
    "two tapes": two_tapes,
    "mixed, two tapes": lambda f: grad(lambda w: np.sum(grad(lambda x: np.sum(f(x, w)))(X) ** 2))(W),
    "mixed, forward over reverse": lambda f: jvp(lambda w: grad(lambda x: np.sum(f(x, w)))(X), (W,), (W,))[1],
    "mixed, reverse over forward": lambda f: grad(lambda w: np.sum(jvp(lambda x: f(x, w), (X,), (T,))[1] ** 2))(W),
    "mixed, batch around": lambda f: vmap(lambda w: grad(lambda x: np.sum(f(x, w)))(X))(WS),
    "mixed, batch inside": lambda f: grad(lambda w: np.sum(vmap(lambda x: f(x, w))(XS) ** 2))(W),
    "mixed, batch between": lambda f: grad(
        lambda w: np.sum(vmap(lambda x: grad(lambda z: np.sum(f(z, w)))(x))(XS) ** 2)
    )(W),
    "many cotangents": many_cotangents,
    "many cotangents of a batch": many_cotangents_of_a_batch,
    "many cotangents, recorded": many_cotangents_recorded,
    "many tangents": many_tangents,
}


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
        return
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_a_right_rule_changes_nothing(way: Any, composition: str) -> None:
    assert_same(COMPOSITIONS[composition](way()), COMPOSITIONS[composition](natural))
