"""vmap: axes and chunks, what it refuses, compositions with the other transforms, and random programs against loops."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow.numpy as tnp
from tapeflow import ForwardAccumulator, GradientTape, Variable, grad, hessian, jacobian, jvp, value_and_grad, vmap
from tapeflow.core import batch as core
from tapeflow.errors import BatchLoopWarning, InPlaceError, StructureError, TracedConversionError

RNG = np.random.default_rng(8)
X = RNG.normal(size=(5, 3))
W = RNG.normal(size=(3, 3))
PLACES = RNG.integers(-3, 3, size=(5, 2))


@pytest.fixture(autouse=True)
def every_loop_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop warns once in a process; here once in a test."""
    monkeypatch.setattr(core, "_warned", set())


def loop(function: Any, *args: Any) -> np.ndarray:
    return np.stack([function(*row) for row in zip(*args, strict=True)])


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


# ---- axes


@dataclasses.dataclass
class Model:
    w: Any
    b: Any
    name: str = "linear"


class Pair(NamedTuple):
    first: Any
    second: Any


def test_dataclasses_and_tuples_with_static_leaves() -> None:
    f = lambda m, x: Model(m.w * x, m.b + np.sum(x), m.name)  # noqa: E731
    got = vmap(f, in_axes=(Model(None, 0, None), 0), out_axes=Model(1, 0, None))(Model(X[0], X[:, 0], "n"), X)
    close(got.w, (X[0] * X).T)
    close(got.b, X[:, 0] + X.sum(1))
    assert got.name == "n"
    pair = vmap(lambda p: Pair(p.second, p.first), in_axes=(Pair(0, None),))(Pair(X, 2.0))
    np.testing.assert_array_equal(pair.first, np.full(5, 2.0))
    np.testing.assert_array_equal(pair.second, X)


def test_axes_of_lists_keywords_and_nothing() -> None:
    close(vmap(lambda p: p[0] @ p[1], in_axes=([0, None],))([X, X[0]]), X @ X[0])
    close(vmap(lambda x, *, y: x * y)(X, y=X), X * X)
    got = vmap(lambda x, y, z=None: (np.sum(x), y, z))(X, None)
    close(got[0], X.sum(1))
    assert got[1:] == (None, None)
    np.testing.assert_array_equal(vmap(lambda: 1.5, axis_size=3)(), [1.5] * 3)


def test_scalars_are_results() -> None:
    one, two, yes, z = vmap(lambda x: (1.0, 2, True, 1j))(X)
    assert [a.dtype.kind for a in (one, two, yes, z)] == ["f", "i", "b", "c"]
    assert all(a.shape == (5,) and a.flags.writeable for a in (one, two, yes, z))


def test_it_decorates() -> None:
    @vmap
    def norm(x: Any) -> Any:
        return np.sum(x**2)

    @vmap(in_axes=1, out_axes=-1)
    def double(x: Any) -> Any:
        """Twice."""
        return 2 * x

    close(norm(X), (X**2).sum(1))
    close(double(X), 2 * X)
    assert double.__doc__ == "Twice."


@pytest.mark.parametrize("size", [1, 2, 4, 5, 100])
def test_chunks(size: int) -> None:
    f = lambda x, c: {"a": np.outer(x, x), "b": (np.sum(x), None, c, 7.0)}  # noqa: E731
    whole, parts = (
        vmap(f, in_axes=(0, None), out_axes={"a": -1, "b": (0, 0, None, 0)}, chunk_size=k)(X, X[0])
        for k in (None, size)
    )
    assert parts["b"][1] is None
    for place in (lambda r: r["a"], lambda r: r["b"][0], lambda r: r["b"][2], lambda r: r["b"][3]):
        np.testing.assert_allclose(place(parts), place(whole), rtol=1e-15)
    close(vmap(grad(lambda x: np.sum(np.sin(x) ** 2)), in_axes=1, chunk_size=size)(X.T), np.sin(2 * X))
    total = lambda x: np.sum(vmap(lambda r: np.prod(r), chunk_size=size)(x))  # noqa: E731
    close(grad(total)(X), np.prod(X, 1)[:, None] / X)
    sizes: list[int] = []
    vmap(lambda x: [sizes.append(x._batch.size), x][1], chunk_size=size)(X)
    assert max(sizes) <= size
    assert sum(sizes) == 5


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: vmap(np.sin, in_axes=1.5), r"in_axes is 1\.5; an axis is an integer, or None"),
        (lambda: vmap(np.sin, in_axes=(True,)), r"in_axes\[0\] is True"),
        (lambda: vmap(np.sin, out_axes="a"), "out_axes is 'a'"),
        (lambda: vmap(np.sin, out_axes=2)(X), r"out_axes=2 for result, which has shape \(5, 3\) with the mapped axis"),
        (lambda: vmap(np.sin, axis_size=3)(X), r"args\[0\]: 5, axis_size: 3"),
        (lambda: vmap(np.sin, axis_size=-1), "axis_size=-1: expected an integer of at least 0"),
        (lambda: vmap(lambda x, *, mode: x)(X, mode="a"), r"kwargs\['mode'\] is a str.*functools\.partial"),
        (lambda: vmap(lambda m: m.w)(Model(X, X)), r"args\[0\]\.name is a str, not an array; pass in_axes=None"),
        (lambda: vmap(lambda x: {"a": x, "b": "text"})(X), r"result\['b'\] is a str.*out_axes=None keeps"),
        (lambda: vmap(lambda x: {"a": x}, out_axes={"a": None})(X), r"out_axes=None.*result\['a'\], of shape \(3,\)"),
        (lambda: vmap(lambda x: {"a": x}, out_axes={"b": 0})(X), r"does not fit.*expected key\(s\): \['b'\]"),
        (lambda: vmap(lambda x, y: x, in_axes=(0, 0))(X, X[:2]), r"args\[0\]: 5, args\[1\]: 2"),
    ],
)
def test_bad_axes(call: Any, text: str) -> None:
    with pytest.raises(StructureError, match=text):
        call()


@pytest.mark.parametrize("size", [0, 2.0, True])
def test_bad_chunk_size(size: Any) -> None:
    with pytest.raises(ValueError, match=f"vmap: chunk_size={size}: expected a positive integer, or None"):
        vmap(np.sin, chunk_size=size)


def test_it_wants_a_function() -> None:
    with pytest.raises(TypeError, match="expected a function, got ndarray"):
        vmap(X)


# ---- nothing


E = np.zeros((0, 3))


def test_a_batch_of_nothing() -> None:
    f = lambda x: (np.sum(x), np.outer(x, x), x > 1, x.reshape(-1, 1), np.linalg.norm(x), 1.0, np.vdot(x, x))  # noqa: E731
    shapes = [y.shape for y in vmap(f)(E)]
    assert shapes == [(0,), (0, 3, 3), (0, 3), (0, 3, 1), (0,), (0,), (0,)]
    assert vmap(f)(E)[2].dtype == bool
    assert vmap(np.sin, out_axes=1, chunk_size=2)(E).shape == (3, 0)
    assert grad(lambda x: np.sum(vmap(lambda r: np.sum(r**2))(x)))(E).shape == (0, 3)


def test_a_batch_of_nothing_of_what_is_gone_through() -> None:
    convolve = lambda x: np.polymul(x, x)  # noqa: E731
    assert vmap(convolve)(E).shape == (0, 5)
    assert vmap(grad(lambda x: np.sum(convolve(x) ** 2)))(E).shape == (0, 3)
    assert vmap(lambda x: (np.roots(x), None), out_axes=1)(E)[0].shape == (2, 0)
    with pytest.raises(IndexError) as error:
        vmap(lambda x: convolve(x)[7])(E)
    assert "called with ones" in error.value.__notes__[0]


# ---- decisions


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: x if x[0] > 0 else -x, r"cannot branch on it.*np\.where"),
        (lambda x: x[0] > 0 and x[1] > 0, r"cannot branch on it.*np\.where"),
        (lambda x: max(x), r"cannot branch on it"),
        (
            lambda x: [x := x / 2 for _ in iter(lambda: bool(x[0] > 0), False)],
            "fixed number of steps if it was a while",
        ),
        (lambda x: int(x[0]), r"int\(x\) was called inside vmap.*in_axes=None"),
        (lambda x: [1.0, 2.0][np.argmax(x)], r"tapeflow\.numpy\.take\(a, i, 0\) for a\[i\] of a plain array or list"),
        (lambda x: sum(range(np.argmax(x))), r"operator\.index\(x\) was called inside vmap"),
        (lambda x: np.array([x[0], x[1]]), r"np\.stack for np\.array"),
        (lambda x: 3.0 in x, "cannot branch on it"),
    ],
)
def test_decisions_by_values_are_refused_with_advice(function: Any, text: str) -> None:
    for f in (function, lambda x: vmap(function)(np.outer(x, x))):
        with pytest.raises(TracedConversionError, match=text):
            vmap(f)(X)


def test_a_value_of_a_batch_can_be_printed() -> None:
    texts: list[str] = []
    vmap(lambda x: [texts.extend((str(x), f"{x[0]:.2f}")), x][1])(X)
    assert all("Batched" in t for t in texts)


def test_masks() -> None:
    with pytest.warns(BatchLoopWarning), pytest.raises(StructureError, match=r"np\.where\(mask, x, 0\) stands in for"):
        vmap(lambda x: x[x > 0])(X)
    picked = lambda x: np.sum(x[x > 0] ** 2)  # noqa: E731
    with pytest.warns(BatchLoopWarning):
        close(vmap(picked)(X), loop(picked, X))
    with pytest.warns(BatchLoopWarning):
        close(vmap(grad(picked))(X), loop(grad(picked), X))
    chosen = lambda x: np.sum(np.where(x > 0, x, 0) ** 2)  # noqa: E731
    close(vmap(grad(chosen))(X), loop(grad(picked), X))


def test_random_numbers_are_drawn_once() -> None:
    got = vmap(lambda x: x + np.random.default_rng(1).normal(size=3))(X)
    close(got - X, np.broadcast_to(np.random.default_rng(1).normal(size=3), X.shape))


# ---- writes


def written(body: Callable[[Any, Any, Any], Any]) -> Any:
    def f(x: Any, i: Any) -> Any:
        y = np.zeros_like(x)
        body(x, i, y)
        return np.sum(np.sin(y) * np.arange(1.0, 4.0))

    return f


def _at(y: Any, i: Any, v: Any) -> None:
    y[i] = v


def _view(x: Any, i: Any, y: Any) -> None:
    square = np.zeros((3, 3), like=x)
    diagonal = np.einsum("ii->i", square)
    square[...] = np.outer(x, x)
    diagonal[1:] *= x[0]
    square.T[[0, 2], 1] = x[:2]
    square[i[0], :] += x
    y[...] = square[1] + diagonal + tnp.zeros(3)


WRITES = {
    "mask-number": lambda x, i, y: _at(y, x > 0, 1.0),
    "mask-value": lambda x, i, y: _at(y, x > 0, x[0]),
    "index": lambda x, i, y: _at(y, i, x[:2]),
    "index-number": lambda x, i, y: _at(y, i, 2.0),
    "index-one": lambda x, i, y: _at(y, i[0], x[1] ** 2),
    "index-broadcast": lambda x, i, y: _at(y, i, x[2]),
    "static-index": lambda x, i, y: _at(y, [0, 2], x[1:]),
    "static-repeated": lambda x, i, y: _at(y, [1, 1], x[1:]),
    "read-and-write": lambda x, i, y: y.__setitem__(i, y[i[::-1]] + x[:2] ** 2),
    "twice": lambda x, i, y: [_at(y, i, x[1:]), _at(y, i[::-1], x[0])],
    "add-at": lambda x, i, y: np.add.at(y, i, x[:2]),
    "put": lambda x, i, y: np.put(y, i, x[:2]),
    "put-along-axis": lambda x, i, y: np.put_along_axis(y, i, x[:2], 0),
    "copyto": lambda x, i, y: np.copyto(y, x * 2, where=x > 0),
    "putmask": lambda x, i, y: np.putmask(y, x > 0, x * 2),
    "view": lambda x, i, y: _at(y[1:], i[0] % 2, x[0]),
    "sorted": lambda x, i, y: [_at(y, ..., np.sort(x)), _at(y, np.argsort(x), x**2)],
    "views": _view,
}


@pytest.mark.parametrize("name", WRITES)
def test_writes(name: str) -> None:
    """Evaluated at once: a loop would warn, and warnings are errors."""
    f = written(WRITES[name])
    for g in (f, grad(f), hessian(f), lambda x, i: jvp(lambda x: f(x, i), (x,), (x[::-1],))[1]):
        close(vmap(g)(X, PLACES), loop(g, X, PLACES))
    close(grad(lambda x: np.sum(vmap(f)(x, PLACES)))(X), loop(grad(f), X, PLACES))
    nested = vmap(vmap(grad(f), in_axes=(None, 0)), in_axes=(0, None))(X, PLACES)
    close(nested, [[grad(f)(x, i) for i in PLACES] for x in X])


def test_arrays_from_outside_are_not_written_to() -> None:
    buffer = np.zeros(3)

    def number(x: Any) -> Any:
        buffer[0] = x[0]

    def all_of_it(x: Any) -> Any:
        buffer[...] = x

    def add(x: Any) -> Any:
        b = buffer
        b += x

    for f, error, text in (
        (number, ValueError, "setting an array element"),
        (all_of_it, TracedConversionError, r"make it inside, with np\.zeros_like\(x\)"),
        (add, InPlaceError, r"make the array one that can hold traced values: np\.zeros_like\(x\)"),
    ):
        with pytest.raises(error, match=text):
            vmap(f)(X)
        np.testing.assert_array_equal(buffer, 0)
    with pytest.raises(InPlaceError, match="belongs to an outer derivative computation"):
        vmap(lambda x: [y := x * 1, vmap(lambda z: [_at(y, 0, z), z][1])(X[0])][1])(X)


# ---- indices that differ


PICKS = {
    "first": lambda x, i: x[i],
    "second": lambda x, i: x[:, i],
    "both": lambda x, i: x[i, i[::-1]],
    "dots": lambda x, i: x[..., i],
    "number": lambda x, i: x[i[0]],
    "table": lambda x, i: x[i[:, None], i],
    "apart": lambda x, i: x[i, None, i],
    "with-number": lambda x, i: x[1, i],
    "with-slices": lambda x, i: x[None, i, 1:3],
    "with-array": lambda x, i: x[np.array([[0], [1]]), i],
    "take": lambda x, i: np.take(x, i, axis=1),
    "along": lambda x, i: np.take_along_axis(x, i[None, :], axis=1),
    "largest": lambda x, i: x[np.argmax(x, axis=0), i[0]],
}


@pytest.mark.parametrize("name", PICKS)
def test_indices(name: str) -> None:
    a = RNG.normal(size=(5, 3, 3))
    f = PICKS[name]
    np.testing.assert_array_equal(vmap(f)(a, PLACES), loop(f, a, PLACES))
    h = lambda x, i: np.sum(np.sin(f(x, i)))  # noqa: E731
    for g in (h, grad(h), hessian(h), lambda x, i: jvp(lambda x: h(x, i), (x,), (x,))[1]):
        close(vmap(g)(a, PLACES), loop(g, a, PLACES))
        if g is not h:
            close(vmap(lambda i, g=g: g(a[0], i))(PLACES), loop(lambda i, g=g: g(a[0], i), PLACES))
    close(
        vmap(vmap(grad(h), in_axes=(None, 0)), in_axes=(0, None))(a, PLACES),
        [[grad(h)(x, i) for i in PLACES] for x in a],
    )


def test_plain_arrays_and_lists_are_taken_from() -> None:
    f = lambda i: tnp.take(W, i, 0) * tnp.take([1.0, 2.0, 4.0], i[0])  # noqa: E731
    close(vmap(f)(PLACES), loop(f, PLACES))
    with pytest.warns(BatchLoopWarning):  # of which NumPy tells nobody
        close(vmap(lambda i: np.take(W, i, 0))(PLACES), W[PLACES])
    with pytest.raises(TracedConversionError, match=r"tapeflow\.numpy\.take\(a, i, 0\) for a\[i\] of a plain array"):
        vmap(lambda i: W[i])(PLACES)


# ---- with the other transforms


def energy(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w @ x) ** 2) * np.max(x) + x[np.argmin(x)]


def test_stacks_of_transforms() -> None:
    f = lambda x: energy(W, x)  # noqa: E731
    close(vmap(hessian(f))(X), loop(hessian(f), X))
    inner = lambda x: np.sum(vmap(lambda c: f(c * x))(np.arange(1.0, 3.0)))  # noqa: E731
    flat = lambda x: f(x) + f(2 * x)  # noqa: E731
    close(vmap(grad(inner))(X), loop(grad(flat), X))
    close(vmap(vmap(grad(inner)))(X[None]), loop(grad(flat), X)[None])
    slopes = lambda x: np.sum(vmap(grad(lambda c: f(c * x)))(np.arange(1.0, 3.0)))  # noqa: E731
    plain = lambda x: sum(grad(lambda c: f(c * x))(np.float64(k)) for k in (1, 2))  # noqa: E731
    close(grad(slopes)(X[0]), grad(plain)(X[0]))
    close(vmap(grad(slopes))(X), loop(grad(plain), X))
    close(jacobian(lambda x: vmap(f)(x))(X), np.stack([np.eye(5)[k][:, None] * grad(f)(X[k]) for k in range(5)]))
    close(vmap(jacobian(lambda x: np.sin(W @ x)))(X), loop(jacobian(lambda x: np.sin(W @ x)), X))
    close(jvp(vmap(f), (X,), (X,))[1], np.sum(loop(grad(f), X) * X, axis=1))


def test_hessian_products_both_ways() -> None:
    f = lambda x: energy(W, x)  # noqa: E731
    want = np.einsum("kij,kj->ki", loop(hessian(f), X), X[::-1])
    close(vmap(lambda x, v: jvp(grad(f), (x,), (v,))[1])(X, X[::-1]), want)
    close(vmap(lambda x, v: grad(lambda x: jvp(f, (x,), (v,))[1])(x))(X, X[::-1]), want)
    close(vmap(lambda v: jvp(grad(f), (X[0],), (v,))[1])(X), X @ hessian(f)(X[0]))


def test_three_deep_over_different_axes() -> None:
    a, b, c = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=(6,))
    f = lambda x, y, z: np.sum(np.sin(x) * y[0]) * z  # noqa: E731
    g = vmap(vmap(vmap(grad(f), in_axes=(0, None, None)), in_axes=(None, 1, None)), in_axes=(None, None, 0), out_axes=2)
    want = np.stack([[[grad(f)(x, y, z) for x in a] for y in b.T] for z in c], axis=2)
    close(g(a, b, c), want)


def test_tapes_and_accumulators_inside() -> None:
    v = Variable(X[0])

    def f(x: Any) -> Any:
        with ForwardAccumulator(x, np.ones_like(x)) as acc, GradientTape(persistent=True) as tape:
            y = tape.watch(acc.primals * 1.0)
            z = np.sum(np.sin(y) * v)
        return z, tape.gradient(z, y), acc.jvp(z), tape.gradient(z, v), v

    got = vmap(f)(X)
    close(got[0], np.sin(X) @ X[0])
    close(got[1], np.cos(X) * X[0])
    close(got[2], np.cos(X) @ X[0])
    close(got[3], np.sin(X))
    close(np.asarray(got[4]), np.broadcast_to(X[0], X.shape))


def test_dtypes_stay() -> None:
    f = lambda x: np.sum(np.tanh(np.float32(2) * x @ x[:2].T))  # noqa: E731
    rows = RNG.normal(size=(4, 3, 3)).astype(np.float32)
    assert vmap(f)(rows).dtype == np.float32
    assert vmap(grad(f))(rows).dtype == np.float32
    z = rows + 1j
    h = lambda x: np.sum(np.abs(np.linalg.inv(x)) ** 2)  # noqa: E731
    np.testing.assert_allclose(vmap(grad(h))(z), loop(grad(h), z), rtol=1e-3)
    assert vmap(grad(h))(z).dtype == np.complex64


def test_stacks_of_convolutions() -> None:
    long, short = RNG.normal(size=(4, 7)), RNG.normal(size=(4, 3)) + 1j
    for mode in ("full", "same", "valid"):
        for a, v in ((long, short), (short, long)):
            f = lambda a, v, m=mode: np.sum(np.abs(np.convolve(a, v, m)) ** 3)  # noqa: E731
            for g in (f, grad(f), grad(f, 1), lambda a, v, f=f: jvp(grad(f), (a, v), (a, v))[1]):
                close(vmap(g)(a, v), loop(g, a, v))
                close(vmap(g, in_axes=(0, None))(a, v[0]), loop(lambda a, g=g, v=v: g(a, v[0]), a))
            close(grad(lambda v, f=f, a=a: np.sum(vmap(f, in_axes=(0, None))(a, v)))(v[0]),
                  sum(grad(f, 1)(row, v[0]) for row in a))  # fmt: skip


# ---- random programs


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda x, c: np.sin(x),
    "exp": lambda x, c: np.exp(-np.abs(x)),
    "tanh": lambda x, c: np.tanh(x) + c,
    "square": lambda x, c: x * x / (1 + x * x),
    "matmul": lambda x, c: x @ np.cos(np.outer(c, c)),
    "dot": lambda x, c: np.dot(np.cos(np.outer(c, x)), x),
    "outer": lambda x, c: np.sum(np.outer(x, c), axis=1),
    "einsum": lambda x, c: np.einsum("i,j,j->i", x, c, x),
    "inner": lambda x, c: x + np.inner(x, c),
    "tensordot": lambda x, c: np.tensordot(np.outer(x, c), x, 1),
    "solve": lambda x, c: np.linalg.solve(4 * np.eye(3) + np.outer(x, c), x),
    "inv": lambda x, c: np.linalg.inv(4 * np.eye(3) + np.outer(x, c)) @ c,
    "det": lambda x, c: x * np.linalg.det(4 * np.eye(3) + np.outer(x, c)) / 64,
    "eigh": lambda x, c: np.linalg.eigvalsh(np.diag(np.arange(3.0)) + 0.1 * (np.outer(x, c) + np.outer(c, x))),
    "svd": lambda x, c: np.linalg.svd(np.diag(np.arange(1.0, 4.0)) + 0.1 * np.outer(x, c), compute_uv=False),
    "norm": lambda x, c: x / (1 + np.linalg.norm(x - 9 * c)),
    "sort": lambda x, c: np.sort(x) * c,
    "argsort": lambda x, c: tnp.take(c, np.argsort(x)) * x,
    "cumsum": lambda x, c: np.cumsum(x) / 3,
    "cumprod": lambda x, c: np.cumprod(np.cos(x)),
    "max": lambda x, c: x - np.max(x * c),
    "median": lambda x, c: x - np.median(x),
    "std": lambda x, c: x / (1 + np.std(x)),
    "where": lambda x, c: np.where(x > c, x, c * x),
    "clip": lambda x, c: np.clip(x, -0.5, 0.5) + x,
    "roll": lambda x, c: np.roll(x, 1) - x,
    "concatenate": lambda x, c: np.concatenate([x[1:], c[:1]]),
    "stack": lambda x, c: np.stack([x, c]).T.reshape(-1)[1:4],
    "fft": lambda x, c: np.abs(np.fft.fft(x + 3)) / 4,
    "pad": lambda x, c: np.pad(x, 1)[1:-1] + np.pad(c, (0, 2))[2:],
    "index": lambda x, c: x[[2, 0, 0]] * x[1],
    "take": lambda x, c: np.take_along_axis(x, np.argsort(c), 0),
    "searchsorted": lambda x, c: x * (1 + np.searchsorted(np.sort(c), x)),
    "interp": lambda x, c: np.interp(x, np.arange(3.0), np.cos(np.arange(3.0))),
    "diff": lambda x, c: np.diff(x, prepend=0.0),
    "trace": lambda x, c: x * np.trace(np.outer(x, c)),
    "kron": lambda x, c: np.kron(x, c)[2:5],
    "convolve": lambda x, c: np.convolve(x, c, "same"),
    "write": lambda x, c: [y := np.zeros_like(x), _at(y, slice(1, 3), x[:2] * c[1:]), y + x][2],
    "mean": lambda x, c: x - np.mean(x, keepdims=True),
    "polyval": lambda x, c: np.polyval(x / 3, c / 3),
    "cross": lambda x, c: np.cross(x, c),
}


@given(
    names=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    both=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_random_programs_are_loops(names: list[str], both: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xs, cs = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))

    def f(x: Any, c: Any) -> Any:
        for name in names:
            x = STEPS[name](x, c)
        return np.sum(np.sin(x) * np.arange(1.0, 4.0))

    axes = (0, 0) if both else (0, None)
    rows = list(zip(xs, cs if both else [cs[0]] * 3, strict=True))
    second = cs if both else cs[0]
    for function in (f, grad(f, (0, 1)), lambda x, c: jvp(f, (x, c), (c, x))[1]):
        got = vmap(function, in_axes=axes)(xs, second)
        want = [function(*row) for row in rows]
        if isinstance(got, tuple):
            for k, g in enumerate(got):
                np.testing.assert_allclose(g, [w[k] for w in want], rtol=1e-7, atol=1e-9)
        else:
            np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)
    total = grad(lambda x, c: np.sum(vmap(f, in_axes=axes)(x, c)))(xs, second)
    np.testing.assert_allclose(total, [grad(f)(*row) for row in rows], rtol=1e-7, atol=1e-9)


# ---- per-example gradients


def cross_entropy(params: Any, x: Any, y: Any) -> Any:
    hidden = np.tanh(params["w1"] @ x + params["b1"])
    z = params["w2"] @ hidden + params["b2"]
    return np.log(np.sum(np.exp(z - np.max(z)))) + np.max(z) - z[y]


def test_per_example_gradients_do_not_repeat_the_weights() -> None:
    size, n, hidden, classes = 300, 2, 400, 3
    params = {
        "w1": RNG.normal(size=(hidden, n)), "b1": RNG.normal(size=hidden),
        "w2": RNG.normal(size=(classes, hidden)) / 20, "b2": np.zeros(classes),
    }  # fmt: skip
    x, y = RNG.normal(size=(size, n)), RNG.integers(0, classes, size)
    value, got = vmap(value_and_grad(cross_entropy), in_axes=(None, 0, 0))(params, x, y)
    for k in range(3):
        one = grad(cross_entropy)(params, x[k], y[k])
        for name in params:
            close(got[name][k], one[name])
    # Of the bias alone nothing has to be as large as the weights of the whole batch.
    of_bias = grad(lambda b, p, x, y: cross_entropy({**p, "b2": b}, x, y))
    tracemalloc.start()
    close(vmap(of_bias, in_axes=(None, None, 0, 0))(params["b2"], params, x, y), got["b2"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size * params["w2"].nbytes * 2
    assert value.shape == (size,)


def test_products_with_shared_weights_are_products_of_two_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[Any] = []
    from tapeflow.ops import contractions

    primitive = contractions.product
    evaluate = primitive.evaluate
    monkeypatch.setattr(primitive, "evaluate", lambda *xs: [shapes.append([x.ndim for x in xs]), evaluate(*xs)][1])
    matrices = RNG.normal(size=(5, 4, 3))
    for f in (lambda x: W @ x, lambda x: x @ W, lambda x: np.dot(W, x), lambda x: np.inner(x, W)):
        close(vmap(f)(X), loop(f, X))
        close(vmap(grad(lambda x, f=f: np.sum(f(x) ** 2)))(X), loop(grad(lambda x, f=f: np.sum(f(x) ** 2)), X))
    for f in (lambda a: a @ W, lambda a: a @ W[0], lambda a: np.tensordot(a, W, 1)):
        close(vmap(f)(matrices), loop(f, matrices))
    assert shapes
    assert all(max(ndims) <= 2 for ndims in shapes)
