"""Random programs of views and writes do what they do in plain NumPy, and have its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow import ForwardAccumulator, GradientTape, grad, jacfwd, jacrev, jvp

Array = Any


def view(rng: np.random.Generator, a: Array) -> Array:
    """Some view of an array, or a copy where NumPy makes one."""
    ways: list[Callable[[], Array]] = [
        lambda: a.T,
        lambda: a.reshape(-1),
        lambda: a[::-1],
        lambda: np.expand_dims(a, 0),
    ]
    if a.ndim and a.shape[0] > 1:
        k = int(rng.integers(1, a.shape[0]))
        ways += [lambda: a[k:], lambda: a[:k], lambda: a[::2], lambda: np.split(a, [k])[1]]
    if a.ndim > 1:
        i = int(rng.integers(a.shape[0]))
        ways += [lambda: a[i], lambda: a[..., 0], lambda: np.swapaxes(a, 0, 1), lambda: a[:, ::-1]]
    return ways[rng.integers(len(ways))]()


def index(rng: np.random.Generator, a: Array) -> Any:
    """Some index of an array."""
    n = a.shape[0]
    ways: list[Any] = [
        int(rng.integers(-n, n)),
        slice(int(rng.integers(n)), None),
        slice(None, None, -1),
        ...,
        rng.integers(-n, n, size=3),
        rng.random(a.shape) < 0.5,
        rng.random(n) < 0.5,
        [0, 0, n - 1],
    ]
    if a.ndim > 1:
        ways += [(slice(None), int(rng.integers(a.shape[1]))), ([0, n - 1], [0, 0]), (0, slice(0, None))]
    return ways[rng.integers(len(ways))]


def step(rng: np.random.Generator, pool: list[Array]) -> None:
    """One statement."""
    a, b = pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]
    kind = rng.integers(9)
    if kind <= 1:
        pool.append(view(rng, a))
    elif kind == 2:
        pool.append(np.sin(a) * np.mean(b))
    elif kind == 3:
        a[index(rng, a)] = np.cos(np.mean(b))
    elif kind == 4:
        a[index(rng, a)] *= 1.25
    elif kind == 5:
        i = index(rng, a)
        a[i] = np.sin(a[i]) + np.mean(b) * np.arange(1.0, 1 + np.size(a[i])).reshape(np.shape(a[i]))
    elif kind == 6:
        a += np.mean(b) * 0.5
    elif kind == 7:
        i = index(rng, a)
        np.add.at(a, i, 0.3 * np.mean(b) * np.ones(np.shape(a[i])))
    else:
        a[...] = a[::-1].copy() if rng.random() < 0.5 else np.sin(a) * a
    del pool[: max(0, len(pool) - 6)]


def program(seed: int, x: Array, y: Array) -> Array:
    """A function of two arrays that is made of such statements, all of whose results count."""
    rng = np.random.default_rng(seed)
    pool = [np.sin(x), y * 1.0, np.zeros_like(x)]
    for _ in range(int(rng.integers(2, 9))):
        step(rng, pool)
    return sum((np.sum(np.sin(p) * (k + 1.0)) for k, p in enumerate(pool)), 0.0)


X = np.linspace(-0.8, 0.9, 6).reshape(3, 2)
Y = np.linspace(0.2, 1.1, 4)


def difference(function: Callable[..., Any], direction: tuple[Array, ...]) -> Any:
    h = 1e-4
    f = [function(X + k * h * direction[0], Y + k * h * direction[1]) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


@given(st.integers(0, 2**32 - 1))
def test_values_and_first_derivatives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    direction = (rng.normal(size=X.shape), rng.normal(size=Y.shape))
    want = program(seed, X, Y)
    slope = difference(lambda x, y: program(seed, x, y), direction)
    with GradientTape() as tape:
        x, y = tape.watch((X, Y))
        out = program(seed, x, y)
    np.testing.assert_allclose(out.numpy(), want, rtol=1e-12)
    gx, gy = tape.gradient(out, (x, y), unconnected_gradients="zero")
    np.testing.assert_allclose(np.sum(gx * direction[0]) + np.sum(gy * direction[1]), slope, rtol=1e-6, atol=1e-7)
    with ForwardAccumulator((X, Y), direction) as acc:
        out = program(seed, *acc.primals)
    np.testing.assert_allclose(out.numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(acc.jvp(out, "zero"), slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", ["forward over reverse", "reverse over reverse", "reverse over forward"])
@given(seed=st.integers(0, 2**32 - 1))
def test_second_derivatives(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    direction = (rng.normal(size=X.shape), rng.normal(size=Y.shape))
    first = grad(lambda x, y: program(seed, x, y), (0, 1))
    want = [difference(lambda x, y, k=k: first(x, y)[k], direction) for k in (0, 1)]
    if mode == "forward over reverse":
        with ForwardAccumulator((X, Y), direction) as acc:
            got = acc.jvp(first(*acc.primals), "zero")
    elif mode == "reverse over reverse":
        got = grad(lambda x, y: sum(np.sum(g * d) for g, d in zip(first(x, y), direction, strict=True)), (0, 1))(X, Y)
    else:

        def slope(x: Array, y: Array) -> Array:
            with ForwardAccumulator((x, y), direction) as acc:
                out = program(seed, *acc.primals)
            return acc.jvp(out, "zero")

        got = grad(slope, (0, 1))(X, Y)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_derivatives_in_batches(seed: int) -> None:
    """Batched cotangents and tangents, and third derivatives by a batched sweep over two that were recorded."""
    rng = np.random.default_rng(seed)
    v, w = ((rng.normal(size=X.shape), rng.normal(size=Y.shape)) for _ in range(2))
    first = grad(lambda x, y: program(seed, x, y), (0, 1))

    def along(x: Array, y: Array) -> Array:
        return sum(np.sum(g * d) for g, d in zip(first(x, y), v, strict=True))

    def slope(x: Array, y: Array) -> Array:
        return jvp(lambda x, y: program(seed, x, y), (x, y), v)[1]

    rows, columns = jacrev(first, (0, 1))(X, Y), jacfwd(first, (0, 1), chunk_size=3)(X, Y)
    third = jacrev(grad(along, (0, 1)), (0, 1))(X, Y)
    want = jvp(lambda x, y: jvp(slope, (x, y), w)[1], (X, Y), w)[1]
    got = sum(np.sum(w[k] * np.tensordot(third[k][j], w[j], w[j].ndim)) for k in (0, 1) for j in (0, 1))
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-7)
    for k in (0, 1):
        for j in (0, 1):
            np.testing.assert_allclose(rows[k][j], columns[k][j], rtol=1e-7, atol=1e-8)
