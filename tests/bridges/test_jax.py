"""JAX both ways, against the same functions written in one toolkit."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapeflow
from tapeflow.bridges.jax import from_jax, to_jax
from tapeflow.errors import NotDifferentiableError, StructureError, TargetError, TracedConversionError

jax = pytest.importorskip("jax")
jnp = jax.numpy

pytestmark = pytest.mark.peer

RNG = np.random.default_rng(0)
W, V = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 4))
X = RNG.normal(size=3)
Z = np.array([0.3 + 0.2j, -0.4j])
Pair = namedtuple("Pair", "first second")


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def single_precision(double_precision: None) -> None:
    jax.config.update("jax_enable_x64", False)


def close(a: Any, b: Any, rtol: float = 1e-9) -> None:
    a, b = tapeflow.pytree.flatten(a), tapeflow.pytree.flatten(b)
    assert a[1] == b[1]
    for x, y in zip(a[0], b[0], strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=rtol)


# ---- tapeflow over JAX


def hidden_numpy(x: Any) -> Any:
    return np.tanh(W @ x) * np.sum(x)


def hidden_jax(x: Any) -> Any:
    return jnp.tanh(W @ x) * jnp.sum(x)


def loss_of(hidden: Any) -> Any:
    return lambda x: np.sum(np.sin(V @ hidden(np.exp(x / 2))) ** 2)


TRANSFORMS = {
    "value": lambda f: f,
    "grad": tapeflow.grad,
    "jacfwd": tapeflow.jacfwd,
    "jvp": lambda f: lambda x: tapeflow.jvp(f, (x,), (np.cos(x),)),
    "linearize": lambda f: lambda x: tapeflow.linearize(f, x)[1](np.cos(x)),
    "hvp": lambda f: lambda x: tapeflow.hvp(f, (x,), (np.cos(x),)),
    "vhp": lambda f: lambda x: tapeflow.vhp(f, (x,), (np.cos(x),)),
    "hessian": tapeflow.hessian,
    "reverse twice": lambda f: tapeflow.jacrev(tapeflow.jacrev(f)),
    "forward twice": lambda f: tapeflow.jacfwd(tapeflow.jacfwd(f)),
    "third order": lambda f: tapeflow.jacfwd(tapeflow.jacrev(tapeflow.jacrev(f))),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("jit", [False, True])
def test_from_jax_under_every_transform(name: str, jit: bool) -> None:
    inner = from_jax(jax.jit(hidden_jax) if jit else hidden_jax)
    close(TRANSFORMS[name](loss_of(inner))(X), TRANSFORMS[name](loss_of(hidden_numpy))(X))


@pytest.mark.parametrize("name", ["value", "grad", "hvp", "hessian"])
def test_float32_stays_float32(name: str, single_precision: None) -> None:
    w, x = W.astype(np.float32), X.astype(np.float32)
    inner = from_jax(lambda x: jnp.tanh(w @ x))
    found = TRANSFORMS[name](lambda x: np.sum(inner(x) ** 2))(x)
    assert found.dtype == np.float32
    close(found, TRANSFORMS[name](lambda x: np.sum(np.tanh(w @ x) ** 2))(x), 1e-4)


@pytest.mark.parametrize("name", ["value", "grad", "jvp", "hvp", "hessian"])
def test_from_jax_under_vmap(name: str) -> None:
    batch = RNG.normal(size=(5, 3))
    transform, inner = TRANSFORMS[name], from_jax(hidden_jax)
    close(tapeflow.vmap(transform(loss_of(inner)))(batch), tapeflow.vmap(transform(loss_of(hidden_numpy)))(batch))


def test_batches_are_one_call_unless_values_decide() -> None:
    calls = []
    inner = from_jax(lambda x: calls.append(1) or hidden_jax(x))
    batch = RNG.normal(size=(5, 3))
    found = tapeflow.grad(lambda b: np.sum(tapeflow.vmap(inner)(b) ** 2))(batch)
    assert len(calls) == 1
    close(found, tapeflow.grad(lambda b: np.sum(tapeflow.vmap(hidden_numpy)(b) ** 2))(batch))
    decides = from_jax(lambda x: x**2 if x > 0 else -x)
    batch = np.array([1.0, -2.0, 3.0])
    close(tapeflow.vmap(decides)(batch), np.array([1.0, 2.0, 9.0]))
    close(tapeflow.grad(decides)(3.0), np.float64(6))


def test_layers_of_jax_inside_a_model_of_numpy() -> None:
    def layer(p: Any, x: Any) -> Any:
        return jax.nn.softplus(x @ p["w"] + p["b"])

    params = [{"w": RNG.normal(size=(3, 4)), "b": np.zeros(4)}, {"w": RNG.normal(size=(4, 2)), "b": np.ones(2)}]
    inputs, layers = RNG.normal(size=(6, 3)), from_jax(jax.jit(layer))

    def model(layer: Any, xp: Any) -> Any:
        return lambda p: xp.mean(layer(p[1], xp.tanh(layer(p[0], inputs))) ** 2)

    close(tapeflow.grad(model(layers, np))(params), jax.grad(model(layer, jnp))(params))


def test_trees_static_leaves_and_integers() -> None:
    def f(tree: Any, k: int, *, label: str) -> Any:
        assert label == "mine"
        assert type(k) is int
        return Pair({"y": tree["x"][tree["index"]] ** k, "count": tree["index"]}, (label, None))

    inner = from_jax(f)
    tree = {"x": X, "index": np.array([0, 2, 2]), "nothing": None}
    out = inner(tree, 2, label="mine")
    assert isinstance(out, Pair)
    assert out.second == ("mine", None)
    assert out.first["count"].dtype == np.int64

    def loss(x: Any) -> Any:
        return np.sum(inner({**tree, "x": x}, 2, label="mine").first["y"])

    close(tapeflow.grad(loss)(X), np.array([2, 0, 4]) * X)
    close(tapeflow.hessian(loss)(X), np.diag([2.0, 0, 4]))


def test_complex_gradients_are_steepest_ascent_here_and_its_conjugate_there() -> None:
    def there(z: Any) -> Any:
        return jnp.exp(1j * z) * jnp.conj(z)

    def here(z: Any) -> Any:
        return np.exp(1j * z) * np.conj(z)

    def loss(f: Any, xp: Any) -> Any:
        return lambda z: xp.sum(xp.abs(f(z) - 1) ** 2)

    inner, outer = from_jax(there), to_jax(here)
    close(tapeflow.grad(loss(inner, np))(Z), tapeflow.grad(loss(here, np))(Z))
    close(tapeflow.grad(loss(inner, np))(Z), np.conj(jax.grad(loss(there, jnp))(Z)))
    close(tapeflow.hvp(loss(inner, np), (Z,), (1j * Z,)), tapeflow.hvp(loss(here, np), (Z,), (1j * Z,)))
    close(tapeflow.jvp(inner, (Z,), (1j * Z,))[1], tapeflow.jvp(here, (Z,), (1j * Z,))[1])
    close(jax.grad(loss(outer, jnp))(Z), jax.grad(loss(there, jnp))(Z))
    close(jax.jit(jax.grad(loss(outer, jnp)))(Z), jax.grad(loss(there, jnp))(Z))
    close(jax.vjp(outer, jnp.array(Z))[1](jnp.array(Z)), jax.vjp(there, jnp.array(Z))[1](jnp.array(Z)))
    close(jax.jvp(outer, (Z,), (1j * Z,))[1], jax.jvp(there, (Z,), (1j * Z,))[1])
    close(tapeflow.grad(lambda z: np.sum(np.abs(from_jax(jnp.abs)(z)) ** 2))(Z), 2 * Z)
    close(jax.grad(lambda z: jnp.sum(to_jax(np.abs)(z) ** 2))(jnp.array(Z)), 2 * np.conj(Z))


def test_functions_without_forward_mode() -> None:
    @jax.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))
    inner = from_jax(cube)
    close(tapeflow.jvp(inner, (X,), (X,))[1], 3 * X**3)
    close(tapeflow.hvp(lambda x: np.sum(inner(x)), (X,), (X,)), 6 * X**2)


def test_the_function_runs_once_for_a_gradient_and_writes_change_nothing() -> None:
    calls, constant, x = [], X.copy(), X.copy()
    inner = from_jax(lambda x, c: calls.append(1) or c * x**2)
    value, pull = tapeflow.vjp(lambda x: inner(x, constant), x)
    constant[:] = 0
    x[:] = 0
    value[:] = 7
    close(pull(np.ones(3))[0], 2 * X**2)
    assert len(calls) == 1


def test_precision_is_never_lowered(single_precision: None) -> None:
    inner = from_jax(lambda x: x**2)
    for call in (inner, tapeflow.grad(lambda x: np.sum(inner(x)))):
        with pytest.raises(
            NotDifferentiableError, match=r"make float32 of an array of float64.*jax_enable_x64.*astype"
        ):
            call(X)
    with pytest.raises(NotDifferentiableError, match="make complex64 of an array of complex128"):
        inner(Z)
    close(inner(np.array([1, 2])), np.array([1, 4]))
    with pytest.raises(NotDifferentiableError, match="int32 of an array of int64, and its integers do not fit"):
        inner(np.array([2**40]))
    widens = to_jax(lambda x: x.astype(np.float64))
    x = jnp.ones(2)
    for call in (widens, jax.jit(widens), jax.grad(lambda x: widens(x).sum())):
        with pytest.raises(NotDifferentiableError, match="make float32 of an array of float64"):
            call(x)
    assert to_jax(np.argsort)(x).dtype == jnp.int32
    assert jax.jit(to_jax(np.argsort))(x).dtype == jnp.int32
    with pytest.raises(NotDifferentiableError, match="integers do not fit"):
        to_jax(lambda x: np.array([2**40]))(x)


def test_what_cannot_cross_is_refused() -> None:
    with pytest.raises(NotDifferentiableError, match=r"JAX has no dtype (longdouble|float128)"):
        from_jax(jnp.sin)(np.ones(2, np.longdouble))
    with pytest.raises(NotDifferentiableError, match="NumPy has no dtype bfloat16"):
        from_jax(lambda x: x.astype(jnp.bfloat16))(X)
    with pytest.raises(TargetError, match="returned a ndarray, of which JAX knows no derivative"):
        tapeflow.grad(from_jax(lambda x: np.ones(2)))(X)
    with pytest.raises(NotDifferentiableError, match="an argument is one that JAX differentiates"):
        jax.grad(from_jax(jnp.sin))(1.0)
    for bridge in (from_jax, to_jax):
        with pytest.raises(TypeError, match=f"{bridge.__name__}: expected a function"):
            bridge(3)
    with pytest.raises(TracedConversionError):
        tapeflow.grad(lambda c: float(to_jax(lambda x: x * c)(jnp.array(X)).sum()))(1.0)


def test_exceptions_inside_come_through_with_a_note() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    for call in (from_jax(fails), tapeflow.grad(from_jax(fails))):
        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            call(1.0)
        assert any("in fails, code of JAX that tapeflow called" in n for n in caught.value.__notes__)
    with pytest.raises(ZeroDivisionError, match="mine"):
        to_jax(fails)(jnp.ones(2))
    with pytest.raises(StructureError, match=r"fails was called with made-up numbers under jax.jit.*mine"):
        jax.jit(to_jax(fails))(jnp.ones(2))


# ---- JAX over tapeflow


def outer_loss(hidden: Any) -> Any:
    return lambda x: jnp.sum(jnp.sin(V @ hidden(jnp.exp(x / 2))) ** 2)


JAX_TRANSFORMS = {
    "value": lambda f: f,
    "grad": jax.grad,
    "jacfwd": jax.jacfwd,
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.cos(x),)),
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.cos(x)),
    "hessian": jax.hessian,
    "reverse twice": lambda f: jax.jacrev(jax.jacrev(f)),
    "forward twice": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "forward inside reverse": lambda f: jax.jacrev(jax.jacfwd(f)),
    "third order": lambda f: jax.jacrev(jax.jacrev(jax.grad(f))),
    "vmap": lambda f: lambda x: jax.vmap(f)(jnp.stack([x, jnp.cos(x)])),
    "vmap of grad": lambda f: lambda x: jax.vmap(jax.grad(f))(jnp.stack([x, jnp.cos(x)])),
    "vmap of hessian": lambda f: lambda x: jax.vmap(jax.hessian(f))(jnp.stack([x, jnp.cos(x)])),
    "grad of vmap": lambda f: jax.grad(lambda x: jnp.sum(jax.vmap(f)(jnp.stack([x, jnp.cos(x)])))),
    "vmap of vmap": lambda f: lambda x: jax.vmap(jax.vmap(f))(jnp.stack([x, jnp.cos(x)])[None]),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(f)),
}


@pytest.mark.parametrize("name", JAX_TRANSFORMS)
@pytest.mark.parametrize("jit", [False, True])
def test_to_jax_under_every_transform(name: str, jit: bool) -> None:
    transform, x = JAX_TRANSFORMS[name], jnp.array(X)
    found = transform(outer_loss(to_jax(hidden_numpy)))
    close((jax.jit(found) if jit else found)(x), transform(outer_loss(hidden_jax))(x))


def test_loops_of_jax() -> None:
    step = to_jax(lambda x: np.sin(x) + 0.5 * x)

    def loop(step: Any) -> Any:
        return lambda x: jnp.sum(jax.lax.scan(lambda c, _: (step(c), step(c)), x, None, length=3)[1])

    pure = loop(lambda x: jnp.sin(x) + 0.5 * x)
    close(jax.grad(loop(step))(jnp.array(X)), jax.grad(pure)(jnp.array(X)))
    close(jax.hessian(loop(step))(jnp.array(X)), jax.hessian(pure)(jnp.array(X)))


def test_numpy_layers_inside_a_model_of_jax() -> None:
    params = {"w": jnp.array(RNG.normal(size=(3, 4))), "scale": jnp.ones(4)}
    inputs = jnp.array(RNG.normal(size=(6, 3)))

    def middle(tree: Any, power: int) -> Any:
        return {"y": np.tanh(tree["x"] * tree["scale"]) ** power, "name": "middle"}

    def pure(tree: Any, power: int) -> Any:
        return {"y": jnp.tanh(tree["x"] * tree["scale"]) ** power}

    def loss(middle: Any) -> Any:
        return lambda p: jnp.mean(middle({"x": inputs @ p["w"], "scale": p["scale"]}, 2)["y"] ** 2)

    for transform in (jax.grad, jax.hessian, lambda f: jax.jit(jax.grad(f))):
        close(transform(loss(to_jax(middle)))(params), transform(loss(pure))(params))


def test_float32_integers_several_results_and_python_floats(single_precision: None) -> None:
    f = to_jax(lambda x, k: (x[k], np.argsort(x), "label", k + 1))
    x, k = jnp.array(X.astype(np.float32)), jnp.array([0, 0, 2])
    picked, order, label, more = f(x, k)
    assert (picked.dtype, order.dtype, more.dtype, label) == (jnp.float32, jnp.int32, jnp.int32, "label")
    slope = jax.grad(lambda x: jnp.sum(f(x, k)[0]))(x)
    assert slope.dtype == jnp.float32
    close(slope, np.array([2.0, 0, 1]))
    close(jax.jvp(lambda x: f(x, k)[0], (x,), (x,))[1], picked)
    close(jax.grad(lambda x: jnp.sum(f(x, k)[1]) * x[0])(x)[1:], np.zeros(2))
    close(jax.vmap(lambda x, k: f(x, k)[0], (None, 0))(x, jnp.array([[0], [2]])), picked[1:, None])
    close(jax.vmap(lambda x, k: f(x, k)[0], (1, None), 1)(jnp.stack([x, x], 1), k), jnp.stack([picked, picked], 1))


def test_a_batch_that_some_operands_do_not_have() -> None:
    f = to_jax(lambda x, y: np.sin(x) * np.sum(y**2))
    x, ys = jnp.array(X), jnp.array(RNG.normal(size=(5, 2)))

    def loss(f: Any) -> Any:
        return lambda x: jnp.sum(jax.vmap(f, (None, 0))(x, ys) ** 2)

    def pure(x: Any, y: Any) -> Any:
        return jnp.sin(x) * jnp.sum(y**2)

    for transform in (jax.grad, jax.hessian):
        close(transform(loss(f))(x), transform(loss(pure))(x))
    close(jax.vmap(jax.grad(lambda y: jnp.sum(f(x, y))))(ys), jax.vmap(jax.grad(lambda y: jnp.sum(pure(x, y))))(ys))
    with_g = jax.vmap(lambda g: jax.vjp(lambda x: f(x, ys[0]), x)[1](g)[0])
    pure_g = jax.vmap(lambda g: jax.vjp(lambda x: pure(x, ys[0]), x)[1](g)[0])
    close(with_g(jnp.eye(3)), pure_g(jnp.eye(3)))


def test_a_batch_of_numpy_code_that_decides_by_values() -> None:
    f = to_jax(lambda x: x**2 if x > 0 else -x)
    batch = jnp.array([1.0, -2.0, 3.0])
    close(jax.vmap(f)(batch), np.array([1.0, 2, 9]))
    close(jax.vmap(jax.grad(f))(batch), np.array([2.0, -1, 6]))


def test_shapes_that_depend_on_values_under_jit() -> None:
    f = to_jax(lambda x: x[x > 0])
    assert f(jnp.array([1.0, -1.0])).shape == (1,)
    with pytest.raises(Exception, match="these must not depend on the numbers"):
        jax.block_until_ready(jax.jit(f)(jnp.array([1.0, -1.0])))


def test_nothing_shares_memory() -> None:
    keep = X.copy()

    def writes(x: Any) -> Any:
        x[0] = 5
        return keep

    x = jnp.array(X)
    out = to_jax(writes)(x)
    jitted = jax.jit(to_jax(writes))(x)
    keep[:] = 0
    close(x, X)
    close(out, X)
    close(jitted, X)
    source = X.copy()
    held = []
    from_jax(lambda x: held.append(x) or x)(source)
    source[:] = 0
    close(held[0], X)


def test_tapeflow_inside_and_there_and_back() -> None:
    slope = to_jax(tapeflow.grad(lambda x: np.sum(np.sin(x) * x)))
    close(jax.grad(lambda x: jnp.sum(slope(x)))(jnp.array(X)), 2 * np.cos(X) - X * np.sin(X))

    def f(x: Any) -> Any:
        return np.sin(x) * x

    twice = from_jax(to_jax(f))
    for name in ("grad", "hvp", "hessian"):
        close(TRANSFORMS[name](lambda x: np.sum(twice(x)))(X), TRANSFORMS[name](lambda x: np.sum(f(x)))(X))
    back = to_jax(from_jax(lambda x: jnp.sin(x) * x))
    for name in ("grad", "hessian", "vmap of grad"):
        transform = JAX_TRANSFORMS[name]
        close(
            transform(lambda x: back(x).sum())(jnp.array(X)), transform(lambda x: jnp.sum(jnp.sin(x) * x))(jnp.array(X))
        )
