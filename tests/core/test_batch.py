"""Batches: vmap in its forms, with the other transforms, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, Variable, grad, hessian, jacobian, jvp, vmap
from tapeflow.errors import BatchLoopWarning, StructureError, TracedConversionError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=(3, 3))


def loop(function: Any, *args: Any) -> np.ndarray:
    return np.stack([function(*row) for row in zip(*args, strict=True)])


def quadratic(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w @ x) ** 2)


def test_axes_in_and_out() -> None:
    f = lambda a, b: np.outer(a, b)  # noqa: E731
    want = loop(f, X, X)
    np.testing.assert_allclose(vmap(f)(X, X), want)
    np.testing.assert_allclose(vmap(f, in_axes=(1, -1), out_axes=2)(X.T, X.T), np.moveaxis(want, 0, 2))
    np.testing.assert_allclose(vmap(f, in_axes=(0, None))(X, X[0]), loop(lambda a: f(a, X[0]), X))


def test_structures() -> None:
    def f(p: Any) -> Any:
        return {"y": p["a"] * p["b"], "c": 1.5 * np.ones(2)}

    got = vmap(f, in_axes=({"a": 0, "b": None},), out_axes={"y": 1, "c": None})({"a": X, "b": X[0]})
    np.testing.assert_allclose(got["y"], (X * X[0]).T)
    np.testing.assert_array_equal(got["c"], [1.5, 1.5])


def test_nested() -> None:
    got = vmap(vmap(np.dot, in_axes=(None, 0)), in_axes=(0, None))(X, X)
    np.testing.assert_allclose(got, X @ X.T)
    np.testing.assert_allclose(vmap(lambda a: vmap(lambda b: a @ b)(X))(X), X @ X.T)


def test_with_gradients() -> None:
    per_example = vmap(grad(quadratic), in_axes=(None, 0))(W, X)
    np.testing.assert_allclose(per_example, loop(lambda x: grad(quadratic)(W, x), X))
    whole = grad(lambda w: np.sum(vmap(quadratic, in_axes=(None, 0))(w, X)))(W)
    np.testing.assert_allclose(whole, per_example.sum(0))
    np.testing.assert_allclose(vmap(lambda x: hessian(lambda x: quadratic(W, x))(x))(X),
                               loop(lambda x: hessian(lambda x: quadratic(W, x))(x), X), atol=1e-12)  # fmt: skip
    np.testing.assert_allclose(vmap(lambda x: jacobian(lambda x: np.sin(W @ x))(x))(X),
                               loop(lambda x: jacobian(lambda x: np.sin(W @ x))(x), X))  # fmt: skip


def test_with_tangents() -> None:
    slope = lambda x: jvp(lambda x: quadratic(W, x), (x,), (x * 2,))[1]  # noqa: E731
    np.testing.assert_allclose(vmap(slope)(X), loop(slope, X))
    with ForwardAccumulator(X, np.ones_like(X)) as acc:
        y = vmap(lambda x: quadratic(W, x))(acc.primals)
    np.testing.assert_allclose(acc.jvp(y), loop(lambda x: jvp(lambda x: quadratic(W, x), (x,), (np.ones(3),))[1], X))


def fill(x: Any) -> Any:
    y = np.zeros_like(x)
    view = y[1:]
    y[0] = x[2]
    view[...] = x[:2] * 3
    y[[0, 0]] += 1.0
    y[x > 0] *= 2
    y += x
    return np.sum(np.sin(y) * np.arange(1.0, 4.0))


def test_writes_inside() -> None:
    simple = lambda x: fill(np.abs(x))  # noqa: E731  (the mask is then the same for all)
    with pytest.warns(BatchLoopWarning):  # what the mask selects is read, and may be of any length
        np.testing.assert_allclose(vmap(simple)(X), loop(simple, X))
    with pytest.warns(BatchLoopWarning):
        np.testing.assert_allclose(vmap(grad(simple))(X), loop(grad(simple), X))

    def views(x: Any) -> Any:
        y = x * 1.0
        tail = y[1:]
        y[...] = y[::-1] * 2
        tail[0] = x[0]
        y += x
        return np.sum(y * x) + np.sum(tail)

    np.testing.assert_allclose(vmap(views)(X), loop(views, X))
    np.testing.assert_allclose(vmap(grad(views))(X), loop(grad(views), X))


def test_indices_that_differ() -> None:
    largest = lambda x: x[np.argmax(x)] ** 2 + x[np.argsort(x)][0]  # noqa: E731
    np.testing.assert_allclose(vmap(largest)(X), loop(largest, X))
    np.testing.assert_allclose(vmap(grad(largest))(X), loop(grad(largest), X))


def test_variables() -> None:
    v = Variable(W)
    f = lambda x: quadratic(v, x)  # noqa: E731
    np.testing.assert_allclose(vmap(f)(X), loop(lambda x: quadratic(W, x), X))


def test_the_batch_may_be_given() -> None:
    np.testing.assert_array_equal(vmap(lambda x: x + 1, in_axes=None, axis_size=2)(X[0]), [X[0] + 1] * 2)


def test_branches_on_values_are_refused() -> None:
    with pytest.raises(TracedConversionError, match=r"Python cannot branch on it.*np\.where"):
        vmap(lambda x: x if x[0] > 0 else -x)(X)
    with pytest.raises(TracedConversionError, match=r"float\(x\).*inside vmap.*in_axes=None"):
        vmap(lambda x: float(x[0]))(X)
    with pytest.raises(TracedConversionError, match=r"x\.numpy\(\) was called inside vmap"):
        vmap(lambda x: x.numpy())(X)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: vmap(np.add)(X, X[:2]), r"differ in length: args\[0\]: 4, args\[1\]: 2"),
        (lambda: vmap(np.sin, in_axes=2)(X), r"of shape \(4, 3\) has no axis 2"),
        (lambda: vmap(np.sin)(1.0), "is a float, not an array; pass in_axes=None"),
        (lambda: vmap(np.add, in_axes=(0,))(X, X), "in_axes has 1 entries for 2 positional arguments"),
        (lambda: vmap(np.sin, in_axes=({"a": 0},))(X), "does not fit the structure"),
        (lambda: vmap(np.sin, out_axes=None)(X), "out_axes=None for a result that differs"),
        (lambda: vmap(lambda x: x, in_axes=None)(X), "axis_size must be given"),
    ],
)
def test_bad_axes(call: Any, text: str) -> None:
    with pytest.raises(StructureError, match=text):
        call()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sum(x * np.exp(x)), lambda x: np.prod(x), lambda x: np.max(x), lambda x: np.std(x), np.cumsum,
        lambda x: np.sign(x) * np.abs(x), lambda x: x @ W, lambda x: np.dot(W, x), lambda x: np.outer(x, x),
        lambda x: np.inner(x, x), lambda x: np.vdot(x, x), lambda x: np.tensordot(W, x, 1),
        lambda x: np.einsum("ij,j->i", W, x), lambda x: np.linalg.solve(W, x), lambda x: np.linalg.inv(W + np.diag(x)),
        lambda x: np.linalg.norm(x), lambda x: np.linalg.slogdet(W + np.diag(x))[1], lambda x: np.concatenate([x, x[::-1]]),
        lambda x: np.stack([x, 2 * x]).T.reshape(-1), lambda x: np.where(x > 0, x, 0), lambda x: np.roll(x, 1)[[0, 2]],
        lambda x: np.pad(x, 1), lambda x: np.trace(np.outer(x, x)), lambda x: np.clip(x, -0.5, 0.5), lambda x: np.sort(x),
    ],
)  # fmt: skip
def test_common_functions_are_evaluated_on_the_whole_batch(function: Any) -> None:
    """A loop would warn, and warnings are errors."""
    np.testing.assert_allclose(vmap(function)(X), loop(function, X))
    scalar = lambda x: np.sum(np.cos(function(x)))  # noqa: E731
    np.testing.assert_allclose(vmap(grad(scalar))(X), loop(grad(scalar), X))


def test_a_tape_around_a_batch_around_a_tape() -> None:
    """The inner tape must not record on the outer one's list: a level lies between them."""
    inner = lambda w, x: np.sum(np.tanh(w @ x) ** 2)  # noqa: E731
    outer = lambda w: np.sum(vmap(grad(inner), in_axes=(None, 0))(w, X) ** 2)  # noqa: E731
    one_by_one = lambda w: sum(np.sum(grad(inner)(w, x) ** 2) for x in X)  # noqa: E731
    np.testing.assert_allclose(grad(outer)(W), grad(one_by_one)(W), rtol=1e-12)
