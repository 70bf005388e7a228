"""The short ways to record selections, sums and products are the long ones, only shorter."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape, grad, hvp, jvp
from tapeflow.core.tracer import Tracer
from tapeflow.core.wengert import RECORDERS, Recorded
from tapeflow.ops import contractions, shortcuts

X = np.linspace(-1.0, 2.0, 24).reshape(4, 6)
INDICES = [
    1, -2, slice(1, 3), slice(None, None, -1), (1, 2), (slice(None), 0), (..., slice(2)), (None, slice(1, 2), -1), ...,
    None, np.int64(2), slice(np.int64(1), None), np.array([0, 0, 3]), [1, 1], X > 0, (slice(None), np.array([1, 1])), True,
]  # fmt: skip


def long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "__getitem__", Tracer.__getitem__)
    monkeypatch.setitem(shortcuts.FUNCTIONS, np.sum, shortcuts._SUM)
    monkeypatch.setitem(RECORDERS, np.matmul, contractions.matmul)


def answers(f: Any) -> list[Any]:
    gradient = grad(lambda x: np.sum(np.sin(f(x))))
    product = hvp(lambda x: np.sum(np.sin(f(x))), (X,), (np.cos(X),))
    second = jvp(gradient, (X,), (X,))[1]
    return [f(X), gradient(X), product, second]


FUNCTIONS: list[Any] = [
    *(lambda x, k=k: x[k] * 2 for k in INDICES),
    np.sum, lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=1, keepdims=True), lambda x: x.sum(),
    lambda x: np.sum(x, where=X > 0), lambda x: np.sum(x[0] * x), lambda x: x @ x.T, lambda x: x[0] @ X.T,
    lambda x: X @ x[1], lambda x: x[0] @ x[1], lambda x: np.matmul(X.T, x),
    lambda x: x[:, None] @ x.T[None], lambda x: [[1.0] * 4] @ x,
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(FUNCTIONS)))
def test_both_ways_give_the_same(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    short = answers(FUNCTIONS[k])
    long_way(monkeypatch)
    for a, b in zip(short, answers(FUNCTIONS[k]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_views_made_the_short_way_are_views() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        part = y[1:3]
        y[2] = x[0] ** 2
        part[0] = x[3]
        return np.sum(part**2) + np.sum(y)

    def plain(x: Any) -> Any:
        y = x.copy()
        y[2] = x[0] ** 2
        y[1] = x[3]
        return np.sum(y[1:3] ** 2) + np.sum(y)

    assert f(X) == plain(X)
    np.testing.assert_allclose(grad(f)(X), grad(plain)(X))


def test_an_object_array_of_traced_values_is_no_plain_operand() -> None:
    def f(x: Any) -> Any:
        row = np.empty(4, object)
        row[1:3] = [1.0, 2.0]
        row[0], row[3] = x[0, 0], x[1, 1]
        return np.sum(row @ x)

    want = np.ones((4, 1)) * np.array([X[0, 0], 1.0, 2.0, X[1, 1]])[:, None] * np.ones(6)
    want[0, 0] += np.sum(X[0])
    want[1, 1] += np.sum(X[3])
    np.testing.assert_allclose(grad(f)(X), want)


def test_joining_many_arrays_takes_linear_memory() -> None:
    def held(n: int) -> int:
        with GradientTape() as tape:
            parts = [tape.watch(np.ones(2)) for _ in range(n)]
            tracemalloc.start()
            y = np.concatenate(parts)
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        tape.gradient(y, parts)
        return size

    assert held(3200) < 8 * held(800)  # 16 times if every operand kept something of every other
