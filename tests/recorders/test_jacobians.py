"""Jacobians and Hessians asked of a tape (TAPE_SEMANTICS 2.6), and batches of tangents."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from scipy.special import smirnov  # which has no rule

import tapeflow
from tapeflow import ForwardAccumulator, GradientTape, Variable
from tapeflow.core.primitive import Primitive, Rule
from tapeflow.errors import IndependenceError, MissingRuleError, SeedError, SeedTypeError, StructureError, TargetError

RNG = np.random.default_rng(11)
X = RNG.normal(size=4)
W = RNG.normal(size=(3, 4))


def network(x: Any) -> Any:
    return np.tanh(W @ x) * x[1]


def ask(make: Any, x: Any = X, what: str = "jacobian", **options: Any) -> Any:
    with GradientTape() as tape:
        w = tape.watch(x)
        y = make(w)
    return getattr(tape, what)(y, w, **options)


def by_differences(f: Any, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    columns = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = h
        step = step.reshape(x.shape)
        columns.append((np.asarray(f(x + step)) - np.asarray(f(x - step))) / (2 * h))
    out = np.stack(columns, axis=-1)
    return out.reshape(*out.shape[:-1], *x.shape)


PROGRAMS = [
    network,
    lambda x: np.sin(x[::-1]) / (1 + x**2),
    lambda x: np.cumsum(np.exp(x)),
    lambda x: np.linalg.solve(np.outer(x, x) + 3 * np.eye(4), x),
    lambda x: np.stack([x[i] * x[j] for i in range(4) for j in range(i)]).reshape(2, 3),
    lambda x: np.sort(x) * np.where(x > 0, x, 1.0),
    lambda x: np.fft.rfft(x).real + np.fft.rfft(x).imag ** 2,
    lambda x: np.max(x) * x,
    lambda x: np.einsum("i,j,k->ijk", x, x, x)[0],
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("options", [{}, {"chunk_size": 1}, {"chunk_size": 2}, {"vectorize": False},
                                     {"memory_budget": 100}])  # fmt: skip
def test_every_way_of_computing_gives_the_same(program: Any, options: dict[str, Any]) -> None:
    got = ask(program, **options)
    np.testing.assert_allclose(got, by_differences(program, X), rtol=1e-6, atol=1e-7)
    assert got.flags.writeable


def test_names_that_tensorflow_uses() -> None:
    want = ask(network)
    np.testing.assert_array_equal(ask(network, parallel_iterations=2), want)
    np.testing.assert_allclose(ask(network, experimental_use_pfor=False), want, rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"chunk_size": 0}, "chunk_size=0: expected a positive integer"),
        ({"chunk_size": True}, "chunk_size=True: expected a positive integer"),
        ({"memory_budget": -5}, "memory_budget=-5: expected a positive integer"),
        ({"unconnected_gradients": "nothing"}, "expected .none., .zero. or .raise."),
    ],
)
def test_options_that_make_no_sense_do_not_spend_the_tape(options: dict[str, Any], text: str) -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x**2
    with pytest.raises(ValueError, match=text):
        tape.jacobian(y, x, **options)
    np.testing.assert_allclose(tape.jacobian(y, x), np.diag(2 * X))


def test_a_memory_budget_bounds_the_arrays_of_a_pass() -> None:
    """The intermediate array is much larger than arguments and results, so it is met only on the way."""
    sizes = []

    def evaluate(x: Any) -> Any:
        return np.copy(x)

    def watching(xp: Any, g: Any) -> Any:
        sizes.append(g._value.size if hasattr(g, "_batch") else g.size)
        return g

    spy = Primitive("spy", evaluate, (), (Rule(watching, ()),), batch=lambda p, v, b, params: p(*v, **params))

    def program(x: Any) -> Any:
        return np.sum(spy(np.outer(x, np.ones(1000))), axis=1)

    budget = 8 * 2 * 4000 * 8  # two rows of 4000 numbers in each of eight arrays
    np.testing.assert_allclose(ask(program, memory_budget=budget), 1000 * np.eye(4))
    assert 4000 < max(sizes) <= 8000


def test_structures_on_both_sides() -> None:
    with GradientTape() as tape:
        p = tape.watch({"w": W, "b": X[:3]})
        y = (p["w"] @ X, {"s": np.sum(p["b"] ** 2)})
    j = tape.jacobian(y, p, "zero")
    assert {k: v.shape for k, v in j[0].items()} == {"w": (3, 3, 4), "b": (3, 3)}
    np.testing.assert_allclose(j[0]["w"], np.einsum("ij,k->ijk", np.eye(3), X))
    np.testing.assert_array_equal(j[0]["b"], np.zeros((3, 3)))
    np.testing.assert_allclose(j[1]["s"]["b"], 2 * X[:3])


def test_blocks_do_not_share_memory() -> None:
    with GradientTape() as tape:
        a, b = tape.watch((X, X))
        y = a + b
    j, k = tape.jacobian(y, (a, b))
    assert not np.shares_memory(j, k)


def test_what_is_empty() -> None:
    assert ask(lambda x: x[:0]).shape == (0, 4)
    assert ask(lambda x: np.outer(x, x)[:, :0], x=X).shape == (4, 0, 4)
    assert ask(lambda x: x * 2, x=np.zeros((0, 3))).shape == (0, 3, 0, 3)
    assert ask(lambda x: np.sum(x) * np.ones(2), x=np.zeros(0)).shape == (2, 0)
    assert ask(lambda x: x[:0], vectorize=False).shape == (0, 4)


def test_a_rule_that_uses_plain_numpy_falls_back_to_rows() -> None:
    def opaque(xp: Any, g: Any, x: Any) -> Any:
        return np.asarray(g, dtype=float) * np.cos(np.asarray(x))

    sine = Primitive("sine", np.sin, (), (Rule(opaque, ("x",)),))
    np.testing.assert_allclose(ask(sine), np.diag(np.cos(X)))


def test_a_missing_rule_is_named() -> None:
    with pytest.raises(MissingRuleError, match="smirnov has no derivative rule"):
        ask(lambda x: x * smirnov(2, np.abs(x)))


def test_a_jacobian_of_a_jacobian_and_other_nestings() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        with GradientTape() as inner:
            x = inner.watch(x)
            y = network(x)
        j = inner.jacobian(y, x)
    second = outer.jacobian(j, x)
    rows = [tapeflow.hessian(lambda x, k=k: network(x)[k])(X) for k in range(3)]
    np.testing.assert_allclose(second, rows, atol=1e-14)
    with ForwardAccumulator(X, X) as acc:
        with GradientTape() as tape:
            x = tape.watch(acc.primals)
            y = network(x)
        j = tape.jacobian(y, x)
    np.testing.assert_allclose(acc.jvp(j), second @ X)


def test_a_jacobian_inside_the_block_of_a_persistent_tape_is_recorded() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        j = tape.jacobian(np.sin(x), x)
        s = np.sum(j**3)
    np.testing.assert_allclose(tape.gradient(s, x), -3 * np.cos(X) ** 2 * np.sin(X))


# ---- batches


def elementwise(x: Any) -> Any:
    return np.cumprod(x, axis=1)[:, 1:] * np.sum(x, axis=1, keepdims=True)


def test_batch_jacobian() -> None:
    x = RNG.normal(size=(5, 3))
    want = np.stack([by_differences(lambda r: elementwise(r[None])[0], row) for row in x])
    np.testing.assert_allclose(ask(elementwise, x, "batch_jacobian", check=True), want, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ask(elementwise, x, "batch_jacobian", chunk_size=1), want, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ask(elementwise, x, "batch_jacobian", vectorize=False), want, rtol=1e-6, atol=1e-8)


def test_batch_jacobian_of_structures() -> None:
    with GradientTape() as tape:
        s = tape.watch([np.ones((2, 3)), np.ones((2, 4, 1))])
        y = {"y": s[0][:, :2] * np.sum(s[1], axis=(1, 2))[:, None]}
    j = tape.batch_jacobian(y, s)
    assert [b.shape for b in j["y"]] == [(2, 2, 3), (2, 2, 4, 1)]
    np.testing.assert_array_equal(j["y"][1], np.ones((2, 2, 4, 1)))


@pytest.mark.parametrize("shape", [(0, 3), (1, 0), (0, 0)])
def test_batch_jacobian_of_nothing(shape: tuple[int, int]) -> None:
    assert ask(lambda x: x * 2, np.zeros(shape), "batch_jacobian").shape == (*shape, shape[1])


def test_batch_jacobian_without_a_path() -> None:
    with GradientTape(persistent=True) as tape:
        x, z = tape.watch((np.ones((2, 3)), np.ones((2, 3))))
        y = x * 2
    assert tape.batch_jacobian(y, z) is None
    np.testing.assert_array_equal(tape.batch_jacobian(y, z, "zero"), np.zeros((2, 3, 3)))


def test_rows_that_depend_on_others_are_found_if_asked() -> None:
    coupled = lambda x: x - np.mean(x, axis=0)  # noqa: E731
    with pytest.raises(IndependenceError, match=r"element \d of target depends on element \d of sources.*use jacobian"):
        ask(coupled, RNG.normal(size=(3, 2)), "batch_jacobian", check=True)
    summed = ask(coupled, RNG.normal(size=(3, 2)), "batch_jacobian")
    np.testing.assert_allclose(summed, np.zeros((3, 2, 2)), atol=1e-15)  # the documented sum over the batch


@pytest.mark.parametrize(
    ("make", "x", "text"),
    [
        (lambda x: np.sum(x, axis=1), np.ones((2, 3)), r"target has shape \(2,\); expected two axes or more"),
        (lambda x: np.outer(x, x), np.ones(2), r"sources has shape \(2,\); expected two axes or more"),
        (lambda x: x[:1], np.ones((2, 3)), "batches differ in length"),
    ],
)
def test_batches_that_do_not_fit(make: Any, x: Any, text: str) -> None:
    with pytest.raises(StructureError, match=text):
        ask(make, x, "batch_jacobian")


# ---- Hessians


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_hessian(persistent: bool, inside: bool) -> None:
    f = lambda x: np.sum(network(x) ** 2) * x[0]  # noqa: E731
    with GradientTape(persistent) as tape:
        x = tape.watch(X)
        y = f(x)
        if inside:
            h = tape.hessian(y, x)
    if not inside:
        h = tape.hessian(y, x)
    np.testing.assert_allclose(h, by_differences(tapeflow.grad(f), X), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(h, tapeflow.hessian(f)(X), rtol=1e-12, atol=1e-14)
    assert not tape.recording
    if persistent:
        np.testing.assert_allclose(tape.gradient(y, x), tapeflow.grad(f)(X))


def test_hessian_of_structures_and_of_linear_functions() -> None:
    v = Variable(np.array([1.0, 2.0]), name="v")
    with GradientTape(persistent=True) as tape:
        p = tape.watch({"a": X, "b": np.float64(3.0)})
        y = np.sum(p["a"] ** 2) * p["b"] + np.sum(v)
    h = tape.hessian(y, {"p": p, "v": v}, "zero")
    np.testing.assert_allclose(h["p"]["a"]["p"]["a"], 6 * np.eye(4))
    np.testing.assert_allclose(h["p"]["a"]["p"]["b"], 2 * X)
    np.testing.assert_allclose(h["p"]["b"]["p"]["a"], 2 * X)
    assert h["p"]["b"]["p"]["b"] == 0
    np.testing.assert_array_equal(h["v"]["v"], np.zeros((2, 2)))
    assert tape.hessian(y, v) is None


def test_what_has_no_hessian() -> None:
    with pytest.raises(TargetError, match=r"hessian: the target must be one scalar, not of shape\(s\) \(4,\)"):
        ask(lambda x: x**2, what="hessian")
    with pytest.raises(SeedTypeError, match="hessian: sources is complex"):
        ask(lambda z: np.sum(np.abs(z) ** 2), X + 1j, "hessian")


# ---- progress


class Bar:
    """Stands for tqdm's."""

    made: list[Bar] = []  # noqa: RUF012

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.steps = total, []
        Bar.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, count: int) -> None:
        self.steps.append(count)


def test_progress_counts_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest.importorskip("tqdm.auto"), "tqdm", Bar)
    x = RNG.normal(size=60)
    np.testing.assert_allclose(ask(lambda x: x**2, x, progress=True), np.diag(2 * x))
    (bar,) = Bar.made
    assert bar.total == sum(bar.steps) == 60
    assert len(bar.steps) == 20


def test_progress_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="progress=True needs the package tqdm: pip install tqdm"):
        ask(network, progress=True)


# ---- batches of tangents


def test_tangents_in_batches() -> None:
    directions = RNG.normal(size=(6, 4))
    with ForwardAccumulator(X, directions, batched=True) as acc:
        y = network(acc.primals)
    want = []
    for d in directions:
        with ForwardAccumulator(X, d) as single:
            z = network(single.primals)
        want.append(single.jvp(z))
    np.testing.assert_allclose(acc.jvp(y), want)
    np.testing.assert_array_equal(acc.jvp(acc.primals), directions)
    np.testing.assert_array_equal(acc.jvp(np.ones(2), "zero"), np.zeros((6, 2)))


def test_tangents_in_batches_of_structures_with_variables() -> None:
    v = Variable(np.array(2.0))
    with ForwardAccumulator((v, X), (np.ones(2), None), batched=True) as acc:
        y = v**2 * acc.primals[1]
    np.testing.assert_allclose(acc.jvp(y), np.stack([4 * X, 4 * X]))


@pytest.mark.parametrize(
    ("tangents", "text"),
    [
        ((np.ones((2, 4)), np.ones((3, 2))), r"tangents\[1\] has shape \(3, 2\); expected one axis more, as long in all"),
        ((np.ones(4), np.ones((4, 2))), r"tangents\[0\] has shape \(4,\), but .* \(4,\) \(and there are 4 rows\)"),
        ((None, None), "there is no tangent that could say how many"),
    ],
)  # fmt: skip
def test_tangents_in_batches_that_do_not_fit(tangents: Any, text: str) -> None:
    with pytest.raises(SeedError, match=text):
        ForwardAccumulator((X, np.ones(2)), tangents, batched=True)
