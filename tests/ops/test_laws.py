"""The laws that every row of the table of cases must obey."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

from tapeflow import ForwardAccumulator, GradientTape, vmap

for _file in sorted(Path(__file__).parent.glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

STEP = 1e-5
PARAMS = [pytest.param(c, id=c.id) for c in CASES]


def leaves(out: Any) -> list[Any]:
    """Differentiable outputs, in order."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [p for p in parts if (p if hasattr(p, "dtype") else np.asarray(p)).dtype.kind in "fc"]


def arrays(out: Any) -> list[np.ndarray]:
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [p.numpy() if hasattr(p, "numpy") else np.asarray(p) for p in parts]


def direction(args: tuple[np.ndarray, ...], seed: int) -> list[np.ndarray]:
    """A direction of the shapes and dtypes of the arguments; zero for integers."""
    rng = np.random.default_rng(seed)
    out = []
    for a in args:
        d = rng.normal(size=a.shape)
        d = d + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else d
        out.append(d.astype(a.dtype))
    return out


def inner(a: Any, b: Any) -> float:
    """Real inner product."""
    return float(np.sum(np.real(np.conj(np.asarray(a)) * np.asarray(b))))


def push(case: Case, args: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    with ForwardAccumulator(tuple(args), tuple(tangents)) as acc:
        outs = leaves(case.call(*acc.primals))
        return outs, [np.asarray(acc.jvp(y, "zero")) for y in outs]


def pull(case: Case, args: Any, cotangents: Any) -> list[np.ndarray]:
    with GradientTape() as tape:
        x = tape.watch(tuple(args))
        outs = leaves(case.call(*x))
    known = [(y, g) for y, g in zip(outs, cotangents, strict=True) if hasattr(y, "numpy")]
    return list(tape.gradient([y for y, _ in known], x, [g for _, g in known], "zero"))


def moved(args: Any, tangents: Any, step: float) -> list[Any]:
    return [a + step * t for a, t in zip(args, tangents, strict=True)]


def difference(function: Any, args: Any, tangents: Any) -> list[np.ndarray]:
    """Central differences of fourth order (five points without the middle one)."""
    h = STEP * 20
    f = [[np.asarray(y) for y in function(*moved(args, tangents, k * h))] for k in (-2, -1, 1, 2)]
    return [(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in zip(*f, strict=True)]


def plain_leaves(case: Case) -> Any:
    return lambda *args: [np.asarray(y) for y in leaves(case.call(*args))]


def law(name: str, case: Case) -> None:
    if name in case.skip:
        pytest.skip(case.skip[name])


@pytest.mark.parametrize("case", PARAMS)
def test_primal_is_numpys(case: Case) -> None:
    args = case.args()
    expected = case.call(*args)
    before = [a.copy() for a in args]
    with GradientTape() as tape:
        out = case.call(*tape.watch(args))
    got_parts, parts = (p if isinstance(p, (tuple, list)) else [p] for p in (out, expected))
    assert type(out) is type(expected) or not isinstance(expected, (tuple, list))
    for got, want in zip(got_parts, parts, strict=True):
        assert got.shape == np.shape(want)
        assert got.dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got.numpy() if hasattr(got, "numpy") else got, want, rtol=1e-13, atol=1e-14)
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", PARAMS)
def test_jvp_is_the_difference_quotient(case: Case) -> None:
    law("jvp", case)
    args = case.args()
    tangents = direction(args, 1)
    outs, got = push(case, args, tangents)
    for y, t, want in zip(outs, got, difference(plain_leaves(case), args, tangents), strict=True):
        assert t.shape == y.shape
        assert t.dtype == y.dtype
        np.testing.assert_allclose(t, want, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("case", PARAMS)
def test_vjp_is_the_adjoint_of_jvp(case: Case) -> None:
    law("vjp", case)
    args = case.args()
    tangents = direction(args, 2)
    _, pushed = push(case, args, tangents)
    cotangents = direction(tuple(np.asarray(p) for p in pushed), 3)
    pulled = pull(case, args, cotangents)
    for g, a in zip(pulled, args, strict=True):
        assert np.shape(g) == a.shape
        assert g.dtype == a.dtype
    left = sum(inner(c, p) for c, p in zip(cotangents, pushed, strict=True))
    right = sum(inner(g, t) for g, t in zip(pulled, tangents, strict=True))
    np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-9)


def gradient_of_weighted_sum(case: Case, weights: Any) -> Any:
    return lambda *args: pull(case, args, weights)


@pytest.mark.parametrize("case", PARAMS)
def test_second_order_forward_over_reverse(case: Case) -> None:
    law("second", case)
    args = case.args()
    tangents = direction(args, 4)
    weights = direction(tuple(np.asarray(y) for y in plain_leaves(case)(*args)), 5)
    with ForwardAccumulator(args, tuple(tangents)) as acc:
        got = acc.jvp(pull(case, acc.primals, weights), "zero")
    want = difference(gradient_of_weighted_sum(case, weights), args, tangents)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", PARAMS)
def test_second_order_reverse_over_reverse(case: Case) -> None:
    law("second", case)
    args = case.args()
    tangents = direction(args, 6)
    weights = direction(tuple(np.asarray(y) for y in plain_leaves(case)(*args)), 7)
    with GradientTape() as outer:
        x = outer.watch(args)
        gradients = pull(case, x, weights)
    got = outer.gradient(gradients, x, tangents, "zero")
    # The Hessian of a real function is symmetric, so its product with the direction is the derivative along it.
    want = difference(gradient_of_weighted_sum(case, weights), args, tangents)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", PARAMS)
def test_single_precision_stays(case: Case) -> None:
    law("dtype", case)
    narrow = {"f": np.float32, "c": np.complex64}
    args = tuple(a.astype(narrow[a.dtype.kind]) if a.dtype.kind in narrow else a for a in case.args())
    expected = [np.asarray(y) for y in plain_leaves(case)(*args)]
    tangents = direction(args, 8)
    outs, pushed = push(case, args, tangents)
    for y, t, want in zip(outs, pushed, expected, strict=True):
        assert y.dtype == want.dtype
        assert t.dtype == want.dtype
    for g, a in zip(pull(case, args, [np.ones_like(e) for e in expected]), args, strict=True):
        assert g.dtype == a.dtype


@pytest.mark.parametrize("case", PARAMS)
def test_layout_of_arguments_does_not_matter(case: Case) -> None:
    args = case.args()
    weights = direction(tuple(np.asarray(y) for y in plain_leaves(case)(*args)), 9)
    want = pull(case, args, weights)
    strange = tuple(odd_layout(a) for a in args)
    for g, w in zip(pull(case, strange, weights), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


def batch_of(case: Case) -> list[np.ndarray]:
    """Two elements, of which the second is a little larger."""
    with np.errstate(invalid="ignore"):  # complex infinities
        return [np.stack([a, (a * 1.01).astype(a.dtype)]) for a in case.args()]


def mapped_over(function: Any, args: list[np.ndarray]) -> list[np.ndarray]:
    """What a loop over the batch gives."""
    rows = [[np.asarray(y) for y in function(*(a[k] for a in args))] for k in range(2)]
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


@pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")
@pytest.mark.parametrize("case", PARAMS)
def test_batching_is_a_loop(case: Case) -> None:
    law("batch", case)
    args = batch_of(case)
    call = lambda *xs: tuple(leaves(case.call(*xs)))  # noqa: E731
    for got, want in zip(vmap(call)(*args), mapped_over(plain_leaves(case), args), strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
    weights = direction(tuple(np.asarray(y) for y in plain_leaves(case)(*case.args())), 10)
    gradients = lambda *xs: tuple(pull(case, xs, weights))  # noqa: E731
    for got, want in zip(vmap(gradients)(*args), mapped_over(gradients, args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)


def odd_layout(a: np.ndarray) -> np.ndarray:
    """The same values, read-only, in Fortran order and with gaps."""
    if a.ndim == 0:
        return np.array(a)
    wide = np.zeros([2 * n for n in a.shape], a.dtype, order="F")
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    view.flags.writeable = False
    return view
