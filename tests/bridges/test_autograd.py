"""HIPS autograd both ways, against the same functions written in one toolkit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeflow
from tapeflow.bridges.autograd import from_autograd, to_autograd
from tapeflow.errors import NotDifferentiableError

autograd = pytest.importorskip("autograd")
anp = pytest.importorskip("autograd.numpy")

pytestmark = pytest.mark.peer

RNG = np.random.default_rng(0)
W, X = RNG.normal(size=(4, 3)), RNG.normal(size=3)
Z = np.array([0.3 + 0.2j, -0.4j])


def close(a: Any, b: Any, rtol: float = 1e-9) -> None:
    for x, y in zip(tapeflow.pytree.flatten(a)[0], tapeflow.pytree.flatten(b)[0], strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol)


def here(x: Any) -> Any:
    return np.tanh(W @ x) * np.sum(x)


def there(x: Any) -> Any:
    return anp.tanh(anp.dot(W, x)) * anp.sum(x)


def loss_of(hidden: Any, xp: Any) -> Any:
    return lambda x: xp.sum(xp.sin(hidden(xp.exp(x / 2))) ** 2)


TRANSFORMS = {
    "value": lambda f: f,
    "grad": tapeflow.grad,
    "jvp": lambda f: lambda x: tapeflow.jvp(f, (x,), (np.cos(x),)),
    "hvp": lambda f: lambda x: tapeflow.hvp(f, (x,), (np.cos(x),)),
    "hessian": tapeflow.hessian,
    "reverse twice": lambda f: tapeflow.jacrev(tapeflow.jacrev(f)),
    "third order": lambda f: tapeflow.jacrev(tapeflow.jacrev(tapeflow.grad(f))),
    "vmap of grad": lambda f: lambda x: tapeflow.vmap(tapeflow.grad(f))(np.stack([x, np.cos(x)])),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_from_autograd_under_every_transform(name: str) -> None:
    transform = TRANSFORMS[name]
    close(transform(loss_of(from_autograd(there), np))(X), transform(loss_of(here, np))(X))


def test_trees_float32_integers_and_constants() -> None:
    def f(tree: Any, k: int) -> Any:
        return {"y": tree["x"][tree["index"]] ** k, "index": tree["index"], "name": "f", "one": 1.0}

    inner = from_autograd(f)
    tree = {"x": X.astype(np.float32), "index": np.array([0, 2, 2])}
    out = inner(tree, 2)
    assert (out["name"], out["y"].dtype, out["index"].dtype) == ("f", np.float32, np.int64)
    slope = tapeflow.grad(lambda x: np.sum(inner({**tree, "x": x}, 2)["y"]))(tree["x"])
    assert slope.dtype == np.float32
    close(slope, np.array([2, 0, 4]) * X, 1e-6)


def test_complex_conventions() -> None:
    def f(xp: Any) -> Any:
        return lambda z: xp.exp(1j * z) * xp.conj(z)

    def loss(f: Any, xp: Any) -> Any:
        return lambda z: xp.sum(xp.abs(f(z) - 1) ** 2)

    close(tapeflow.grad(loss(from_autograd(f(anp)), np))(Z), tapeflow.grad(loss(f(np), np))(Z))
    close(autograd.grad(loss(to_autograd(f(np)), anp))(Z), autograd.grad(loss(f(anp), anp))(Z))
    close(tapeflow.grad(loss(f(np), np))(Z), np.conj(autograd.grad(loss(f(anp), anp))(Z)))
    close(
        tapeflow.hvp(loss(from_autograd(f(anp)), np), (Z,), (1j * Z,)), tapeflow.hvp(loss(f(np), np), (Z,), (1j * Z,))
    )


OUTER = {
    "value": lambda f: f,
    "grad": autograd.grad,
    "hessian": autograd.hessian,
    "jacobian of grad": lambda f: autograd.jacobian(autograd.grad(f)),
    "third order": lambda f: autograd.jacobian(autograd.hessian(f)),
    "forward": lambda f: lambda x: autograd.make_jvp(f)(x)(np.cos(x)),
    "forward over reverse": lambda f: lambda x: autograd.make_jvp(autograd.grad(f))(x)(np.cos(x)),
}


@pytest.mark.parametrize("name", OUTER)
def test_to_autograd_under_every_transform(name: str) -> None:
    close(OUTER[name](loss_of(to_autograd(here), anp))(X), OUTER[name](loss_of(there, anp))(X))


def test_several_operands_and_results() -> None:
    f = to_autograd(lambda x, y, k: (x * y[k], np.argsort(x), "name"))

    def loss(x: Any, y: Any) -> Any:
        product, _, name = f(x, y, np.array([2, 0, 0]))
        assert name == "name"
        return anp.sum(product**2)

    close(autograd.grad(loss, 0)(X, X + 1), 2 * X * (X + 1)[[2, 0, 0]] ** 2)
    slope = tapeflow.grad(lambda y: np.sum((X * y[[2, 0, 0]]) ** 2))(X + 1)
    close(autograd.grad(loss, 1)(X, X + 1), slope)


def test_there_and_back_and_refusals() -> None:
    twice = from_autograd(to_autograd(lambda x: np.sin(x) * x))
    close(tapeflow.hessian(lambda x: np.sum(twice(x)))(X), tapeflow.hessian(lambda x: np.sum(np.sin(x) * x))(X))
    for bridge in (from_autograd, to_autograd):
        with pytest.raises(TypeError, match=f"{bridge.__name__}: expected a function"):
            bridge(3)

    with pytest.raises(NotDifferentiableError, match=r"follows a dict as a whole; take it apart"):
        autograd.grad(lambda p: to_autograd(lambda p: p["x"] ** 2)(p))({"x": 1.0})

    with pytest.raises(NotDifferentiableError, match="an argument is one that autograd differentiates"):
        autograd.grad(lambda x: from_autograd(anp.sin)(x))(1.0)

    def fails(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    for call in (tapeflow.grad(from_autograd(fails)), autograd.grad(to_autograd(fails))):
        with pytest.raises(ZeroDivisionError, match="mine"):
            call(1.0)


def test_writes_change_nothing() -> None:
    constant, x = X.copy(), X.copy()
    inner = from_autograd(lambda x, c: c * x**2)
    value, pull = tapeflow.vjp(lambda x: inner(x, constant), x)
    constant[:] = x[:] = 0
    value[:] = 7
    close(pull(np.ones(3))[0], 2 * X**2)
