"""Jacobians and Hessians of functions, in both modes, in batches, of structures and of complex functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, grad, hessian, jacfwd, jacobian, jacrev, jvp, vmap
from tapeflow.errors import NotDifferentiableError, SeedTypeError, StructureError, TargetError

RNG = np.random.default_rng(5)
X = RNG.normal(size=4)
W = RNG.normal(size=(3, 4))
MODES = [jacobian, jacfwd, jacrev]


def tall(x: Any) -> Any:
    return np.tanh(W.T @ (W @ x))[:, None] * np.sin(x)


def wide(x: Any) -> Any:
    return np.cumsum(x * x)[::2]


def by_differences(f: Any, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    columns = [(np.asarray(f(x + s)) - np.asarray(f(x - s))) / (2 * h) for s in steps]
    return np.stack(columns, axis=-1).reshape(*np.shape(f(x)), *x.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", [tall, wide, np.sum, lambda x: np.outer(x, x)[1:], lambda x: np.max(x) + x[0] * W])
@pytest.mark.parametrize("options", [{}, {"chunk_size": 3}, {"chunk_size": 1}, {"memory_budget": 1}])
def test_modes_and_chunks(mode: Any, f: Any, options: dict[str, Any]) -> None:
    got = mode(f, **options)(X)
    np.testing.assert_allclose(got, by_differences(f, X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", MODES)
def test_dtypes_and_ranks(mode: Any) -> None:
    assert mode(lambda x: x * 2)(np.float32([1, 2])).dtype == np.float32
    assert mode(lambda x: x[0] * x)(np.longdouble([1, 2])).dtype == np.longdouble
    np.testing.assert_allclose(mode(np.sin)(0.5), np.cos(0.5))
    assert mode(lambda x: x)(np.zeros((2, 0))).shape == (2, 0, 2, 0)
    assert mode(lambda x: x[:, :0])(np.zeros((2, 3))).shape == (2, 0, 2, 3)
    np.testing.assert_array_equal(mode(lambda x: x)(X), np.eye(4))


class Pair(NamedTuple):
    w: Any
    kind: Any


@pytest.mark.parametrize("mode", MODES)
def test_structures_with_static_leaves(mode: Any) -> None:
    def f(p: Any, scale: float, q: Any = 1.0) -> Any:
        assert p.kind == "linear"
        return {"y": p.w["a"] * scale * q, "z": [np.sum(p.w["b"]), 3.0]}

    p = Pair({"a": X[:2], "b": X}, "linear")
    j = mode(f)(p, 2.0, q=3.0)
    np.testing.assert_allclose(j["y"].w["a"], 6 * np.eye(2))
    np.testing.assert_array_equal(j["y"].w["b"], np.zeros((2, 4)))
    np.testing.assert_array_equal(j["z"][0].w["b"], np.ones(4))
    np.testing.assert_array_equal(j["z"][1].w["a"], np.zeros(2))
    assert j["y"].kind == j["z"][0].kind == "linear"
    both = mode(f, argnums=(1, 0))(p, 2.0)
    np.testing.assert_allclose(both["y"][0], X[:2])
    np.testing.assert_allclose(both["y"][1].w["a"], 2 * np.eye(2))


@pytest.mark.parametrize("mode", [*MODES, hessian])
def test_auxiliary_output(mode: Any) -> None:
    j, aux = mode(lambda x: (np.sum(x**3), {"x": x * 2, "n": "note"}), has_aux=True)(X)
    np.testing.assert_allclose(j, np.diag(6 * X) if mode is hessian else 3 * X**2)
    assert type(aux["x"]) is np.ndarray
    assert aux["n"] == "note"
    with pytest.raises(StructureError, match="must return a pair"):
        mode(np.sum, has_aux=True)(X)


@pytest.mark.parametrize("mode", [*MODES, hessian])
def test_decorators(mode: Any) -> None:
    @mode
    def plain(x: Any) -> Any:
        """Sum the cubes."""
        return np.sum(x**3)

    @mode(argnums=1, chunk_size=2)
    def second(a: Any, x: Any) -> Any:
        return np.sum(a * x**3)

    want = np.diag(6 * X) if mode is hessian else 3 * X**2
    np.testing.assert_allclose(plain(X), want)
    np.testing.assert_allclose(second(2.0, X), 2 * want)
    assert plain.__doc__ == "Sum the cubes."
    with pytest.raises(TypeError):
        mode(np.sum, 0, True)  # options are keywords


def test_jacobian_takes_the_mode_with_fewer_passes() -> None:
    calls = []

    def counted(f: Any) -> Any:
        def g(x: Any) -> Any:
            calls.append(type(x).__name__)
            return f(x)

        return g

    jacobian(counted(tall))(X)
    assert calls == ["Recorded", "Dual"]
    calls.clear()
    jacobian(counted(wide))(X)
    assert calls == ["Recorded"]
    calls.clear()
    jacobian(counted(lambda t: t * X))(1.0)
    assert calls == ["Dual"]


@pytest.mark.parametrize("mode", MODES)
def test_compositions(mode: Any) -> None:
    want = np.stack([by_differences(grad(lambda x, k=k: tall(x).ravel()[k]), X) for k in range(16)])
    for outer in MODES:
        second = outer(mode(tall))(X).reshape(16, 4, 4)
        np.testing.assert_allclose(second, want, rtol=1e-6, atol=1e-7)
    _, t = jvp(mode(tall), (X,), (X,))
    np.testing.assert_allclose(t.reshape(16, 4), want @ X, rtol=1e-6, atol=1e-7)
    g = grad(lambda x: np.sum(mode(wide)(x) ** 2))(X)
    np.testing.assert_allclose(g, by_differences(lambda x: np.sum(mode(wide)(x) ** 2), X), rtol=1e-6)
    batch = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(vmap(mode(tall))(batch), [mode(tall)(x) for x in batch], atol=1e-14)
    np.testing.assert_allclose(mode(lambda x: vmap(tall)(x))(batch)[1, :, :, 1], mode(tall)(batch[1]), atol=1e-14)


def test_around_tapes_and_accumulators() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        s = np.sum(hessian(lambda y: np.sum(y**4) * x[0])(x))
    np.testing.assert_allclose(tape.gradient(s, x), 24 * X * X[0] + np.array([12 * np.sum(X**2), 0, 0, 0]), rtol=1e-12)
    with ForwardAccumulator(X, np.ones(4)) as acc:
        h = hessian(lambda y: np.sum(y**3))(acc.primals)
    np.testing.assert_allclose(acc.jvp(h), 6 * np.eye(4))


# ---- Hessians


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("options", [{}, {"chunk_size": 1}, {"chunk_size": 3}])
def test_hessian(options: dict[str, Any]) -> None:
    h = hessian(rosenbrock, **options)(X)
    np.testing.assert_allclose(h, by_differences(grad(rosenbrock), X), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(h, jacrev(jacrev(rosenbrock))(X), rtol=1e-12)


def test_hessian_of_structures() -> None:
    f = lambda p, s: np.sum(p["a"] ** 2) * p["b"] * s  # noqa: E731
    h = hessian(f, argnums=(0, 1))({"a": X, "b": 3.0, "tag": "t"}, 2.0)
    np.testing.assert_allclose(h[0]["a"][0]["a"], 12 * np.eye(4))
    np.testing.assert_allclose(h[0]["a"][0]["b"], 4 * X)
    np.testing.assert_allclose(h[0]["b"][0]["a"], 4 * X)
    np.testing.assert_allclose(h[1][0]["a"], 6 * X)
    assert h[0]["b"][0]["b"] == h[1][1] == 0
    assert h[0]["tag"] == h[0]["a"][0]["tag"] == "t"
    with pytest.raises(TargetError, match=r"returned an array of shape \(4,\); a gradient needs a scalar"):
        hessian(np.sin)(X)


# ---- complex functions

Z = RNG.normal(size=3) + 1j * RNG.normal(size=3)


@pytest.mark.parametrize("mode", MODES)
def test_holomorphic(mode: Any) -> None:
    j = mode(lambda z: np.exp(z) * z[0], holomorphic=True)(Z)
    want = np.diag(np.exp(Z) * Z[0])
    want[:, 0] += np.exp(Z)
    np.testing.assert_allclose(j, want, rtol=1e-12)
    with pytest.raises(TargetError, match=r"is not holomorphic at this point .*Cauchy-Riemann"):
        mode(lambda z: z * np.conj(z[0]), holomorphic=True)(Z)
    with pytest.raises(
        NotDifferentiableError, match="holomorphic=True needs complex arguments, but x has dtype float64"
    ):
        mode(lambda x: x * 1j, holomorphic=True)(X)
    with pytest.raises(TargetError, match="output is real, but holomorphic=True needs complex results"):
        mode(lambda z: np.abs(z) ** 2, holomorphic=True)(Z)


def test_holomorphic_hessian() -> None:
    np.testing.assert_allclose(hessian(lambda z: np.sum(z**3), holomorphic=True)(Z), np.diag(6 * Z))


def test_complex_results_of_real_arguments() -> None:
    f = lambda x: np.exp(1j * x)  # noqa: E731
    want = np.diag(1j * np.exp(1j * X))
    np.testing.assert_allclose(jacfwd(f)(X), want)
    np.testing.assert_allclose(jacobian(f)(X), want)
    with pytest.raises(SeedTypeError, match="jacrev: output is complex; use jacfwd for real arguments"):
        jacrev(f)(X)


def test_real_results_of_complex_arguments() -> None:
    f = lambda z: np.abs(z) ** 2  # noqa: E731
    np.testing.assert_allclose(jacrev(f)(Z), np.diag(2 * Z))
    np.testing.assert_allclose(jacobian(f)(Z), np.diag(2 * Z))
    with pytest.raises(SeedTypeError, match="jacfwd: z is complex; pass holomorphic=True"):
        jacfwd(f)(Z)


# ---- bad input


@pytest.mark.parametrize("mode", MODES)
def test_bad_input(mode: Any) -> None:
    with pytest.raises(NotDifferentiableError, match=r"p\['w'\]\[0\] has dtype int64"):
        mode(lambda p: p["w"][0])({"w": [np.arange(3)]})
    with pytest.raises(StructureError, match="argnums=2, but the function was called with 1"):
        mode(np.sin, argnums=2)(X)
    with pytest.raises(TargetError, match="output is a str, not an array"):
        mode(lambda x: "nothing")(X)
    with pytest.raises(ValueError, match="chunk_size=0: expected a positive integer"):
        mode(np.sin, chunk_size=0)


# ---- results that depend on some of the arguments, in chunks that hold none of these


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [1, 2, 3, None])
def test_columns_on_which_a_result_does_not_depend_are_zero(mode: Any, chunk_size: int | None) -> None:
    def f(p: Any) -> Any:
        return {"a": p["a"] * 2, "b": np.sum(p["b"] ** 2), "both": p["a"][0] * p["b"], "none": np.ones(2)}

    for junk in range(3):
        np.full(6, 1e300 * junk)  # what an array that nobody fills may hold
        j = mode(f, chunk_size=chunk_size)({"a": X[:2], "b": X[2:]})
        np.testing.assert_array_equal(j["a"]["a"], 2 * np.eye(2))
        np.testing.assert_array_equal(j["a"]["b"], np.zeros((2, 2)))
        np.testing.assert_array_equal(j["b"]["a"], np.zeros(2))
        np.testing.assert_array_equal(j["b"]["b"], 2 * X[2:])
        np.testing.assert_array_equal(j["both"]["a"], np.stack([X[2:], [0, 0]], axis=1))
        np.testing.assert_array_equal(j["none"]["b"], np.zeros((2, 2)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [1, 2, 3])
def test_chunks_of_which_some_depend_on_an_outer_value(mode: Any, chunk_size: int) -> None:
    def norm(t: Any) -> Any:
        def f(a: Any, b: Any, c: Any) -> Any:
            return a * 3 + b * t + c * 5

        blocks = mode(f, argnums=(0, 1, 2), chunk_size=chunk_size)(X[:2], X[:2], X[:2])
        return sum(np.sum(block**2) for block in blocks)

    np.testing.assert_allclose(norm(2.0), 2 * (9 + 4 + 25))
    np.testing.assert_allclose(grad(norm)(2.0), 8)
    np.testing.assert_allclose(jvp(norm, (2.0,), (1.0,))[1], 8)
