"""Linear algebra on random matrices of random shapes: identities that hold everywhere, and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tapeflow import ForwardAccumulator, GradientTape

STACKS = st.sampled_from([(), (2,), (1, 2), (0,)])
SEEDS = st.integers(0, 2**32 - 1)
COMPLEX = st.booleans()


def _mH(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def normal(rng: np.random.Generator, shape: tuple[int, ...], kind: bool) -> np.ndarray:
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind else x


def spread(rng: np.random.Generator, stack: tuple[int, ...], m: int, n: int, kind: bool) -> np.ndarray:
    """Matrices whose singular values are 1, 2, ... in some order, all well separated."""
    k = min(m, n)
    u = np.linalg.qr(normal(rng, (*stack, m, k), kind))[0]
    v = np.linalg.qr(normal(rng, (*stack, n, k), kind))[0]
    return (u * (1.0 + rng.permutation(k) + 0.2 * rng.random(k))) @ _mH(v)


def diagonalisable(rng: np.random.Generator, stack: tuple[int, ...], n: int, kind: bool) -> np.ndarray:
    """Matrices with separated eigenvalues and well-conditioned vectors, not Hermitian."""
    v = np.eye(n) + 0.3 * normal(rng, (*stack, n, n), kind) / n
    w = 1.0 + np.arange(n) + (1j * rng.random(n) if kind else 0.0)
    return v * w @ np.linalg.inv(v)


def pull(f: Any, x: Any, g: Any = None) -> Any:
    with GradientTape() as tape:
        v = tape.watch(x)
        y = f(v)
    return tape.gradient(y, v, output_gradients=g, unconnected_gradients="zero")


def push(f: Any, x: Any, t: Any) -> np.ndarray:
    with ForwardAccumulator(x, t) as acc:
        y = f(acc.primals)
    return np.asarray(acc.jvp(y, "zero"))


def slope(f: Any, x: np.ndarray, t: np.ndarray, h: float = 1e-4) -> Any:
    """Differences of fourth order."""
    return (f(x - 2 * h * t) - 8 * f(x - h * t) + 8 * f(x + h * t) - f(x + 2 * h * t)) / (12 * h)


def agrees(f: Any, x: np.ndarray, t: np.ndarray) -> None:
    """Hold both modes of a real function of one array against differences."""
    want = slope(f, x, t)
    np.testing.assert_allclose(push(f, x, t), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.sum(np.real(np.conjugate(pull(f, x)) * t)), want, rtol=1e-6, atol=1e-6)


# ---- identities


@given(SEEDS, STACKS, st.integers(1, 4), st.integers(1, 3), COMPLEX)
def test_solving_what_was_multiplied_gives_it_back(seed: int, stack: Any, n: int, k: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, x, t = spread(rng, stack, n, n, kind), normal(rng, (*stack, n, k), kind), normal(rng, (*stack, n, k), kind)
    da = normal(rng, a.shape, kind)
    np.testing.assert_allclose(push(lambda a: np.linalg.solve(a, a @ x), a, da), 0 * x, atol=1e-11)
    np.testing.assert_allclose(push(lambda x: np.linalg.solve(a, a @ x), x, t), t, atol=1e-11)
    np.testing.assert_allclose(pull(lambda a: np.linalg.solve(a, a @ x), a, t), 0 * a, atol=1e-11)


@given(SEEDS, st.integers(1, 5), st.integers(1, 4), COMPLEX)
def test_least_squares_of_an_exact_system(seed: int, m: int, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, x, da = spread(rng, (), m, n, kind), normal(rng, (n, 2), kind), normal(rng, (m, n), kind)

    def projected(a: Any) -> Any:
        return a @ np.linalg.lstsq(a, a @ x)[0]

    np.testing.assert_allclose(push(projected, a, da), da @ x, atol=1e-10)
    np.testing.assert_allclose(pull(projected, a, da @ x), da @ x @ _mH(x), atol=1e-10)


@given(SEEDS, STACKS, st.integers(0, 4), st.integers(0, 4), COMPLEX, st.booleans())
def test_factors_multiply_to_the_matrix(seed: int, stack: Any, m: int, n: int, kind: bool, full: bool) -> None:
    rng = np.random.default_rng(seed)
    a, da = spread(rng, stack, m, n, kind), normal(rng, (*stack, m, n), kind)

    def by_svd(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=full)
        k = s.shape[-1]
        return u[..., :k] * s[..., None, :] @ vh[..., :k, :]

    def by_qr(a: Any) -> Any:
        q, r = np.linalg.qr(a, "complete" if full else "reduced")
        return q @ r

    for f in (by_svd, by_qr):
        np.testing.assert_allclose(push(f, a, da), da, atol=1e-9)
        np.testing.assert_allclose(pull(f, a, da), da, atol=1e-9)


@given(SEEDS, STACKS, st.integers(0, 4), st.integers(0, 4), COMPLEX)
def test_columns_stay_orthonormal(seed: int, stack: Any, m: int, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, da = spread(rng, stack, m, n, kind), normal(rng, (*stack, m, n), kind)
    for f in (
        lambda a: np.linalg.svd(a)[0],
        lambda a: _mH(np.linalg.svd(a)[2]),
        lambda a: np.linalg.qr(a, "complete")[0],
    ):
        q, dq = f(a), push(f, a, da)
        np.testing.assert_allclose(_mH(dq) @ q + _mH(q) @ dq, 0 * (_mH(q) @ q), atol=1e-9)


@given(SEEDS, STACKS, st.integers(0, 4), COMPLEX)
def test_eigenvectors_stay_eigenvectors(seed: int, stack: Any, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, da = diagonalisable(rng, stack, n, kind), normal(rng, (*stack, n, n), kind)
    w, v = np.linalg.eig(a)
    dw, dv = push(lambda a: np.linalg.eig(a)[0], a, da), push(lambda a: np.linalg.eig(a)[1], a, da)
    np.testing.assert_allclose(da @ v + a @ dv, v * dw[..., None, :] + dv * w[..., None, :], atol=1e-9)
    np.testing.assert_allclose(np.sum(np.real(np.conjugate(v) * dv), axis=-2), np.zeros(w.shape), atol=1e-12)
    np.testing.assert_allclose(pull(lambda a: np.sum(np.real(np.linalg.eigvals(a))), a), np.eye(n) + 0 * a, atol=1e-9)


@given(SEEDS, STACKS, st.integers(1, 4), COMPLEX)
def test_logarithm_of_the_determinant_by_four_ways(seed: int, stack: Any, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    root = spread(rng, stack, n, n, kind)
    a = root @ _mH(root)
    want = _mH(np.linalg.inv(a))
    for f in (
        lambda a: np.linalg.slogdet(a)[1],
        lambda a: np.log(np.abs(np.linalg.det(a))),
        lambda a: 2 * np.sum(np.log(np.real(np.diagonal(np.linalg.cholesky(a), axis1=-2, axis2=-1))), axis=-1),
        lambda a: np.sum(np.log(np.linalg.eigvalsh(a)), axis=-1),
        lambda a: np.sum(np.log(np.linalg.svd(a, compute_uv=False)), axis=-1),
        lambda a: np.sum(np.log(np.abs(np.linalg.eigvals(a))), axis=-1),
    ):
        np.testing.assert_allclose(pull(lambda a, f=f: np.sum(f(a)), a), want, rtol=1e-8, atol=1e-8)


# ---- differences


def energy(f: Any) -> Any:
    """A real function of the spectral projectors alone: it depends on no phase and no order."""
    return lambda a: np.sum(np.abs(f(a)) ** 2 * np.arange(1, a.shape[-1] + 1))


def apart(values: np.ndarray) -> bool:
    """Whether no two values change places within the step of a difference quotient."""
    return bool(np.all(np.diff(np.sort(values)) > 0.05))


@given(SEEDS, st.integers(1, 4), COMPLEX)
def test_gauge_invariant_losses_against_differences(seed: int, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, t = diagonalisable(rng, (), n, kind), normal(rng, (n, n), kind)
    h, th = a + _mH(a), t + _mH(t)
    assume(apart(np.abs(np.linalg.eigvalsh(h))))
    agrees(energy(lambda a: (e := np.linalg.eig(a))[1] * np.cos(e[0]) @ np.linalg.inv(e[1])), a, t)
    # Not by columns: LAPACK gives the eigenvalues of neighbouring matrices in different orders.
    agrees(energy(lambda a: ((e := np.linalg.eig(a))[1] * np.abs(e[0])) @ _mH(e[1])), a, t)
    agrees(lambda a: np.sum(np.abs(np.linalg.eigvals(a)) ** 3), a, t)
    agrees(energy(lambda a: (e := np.linalg.eigh(a))[1] * np.cos(e[0])), h, th)
    agrees(energy(lambda a: (e := np.linalg.svd(a, hermitian=True))[0] * e[1]), h, th)


@given(SEEDS, st.integers(1, 4), st.integers(1, 4), COMPLEX)
def test_losses_of_any_shape_against_differences(seed: int, m: int, n: int, kind: bool) -> None:
    rng = np.random.default_rng(seed)
    a, t, b = spread(rng, (), m, n, kind), normal(rng, (m, n), kind), normal(rng, (m, 2), kind)
    agrees(energy(lambda a: np.linalg.pinv(a).T), a, t)
    agrees(lambda a: np.sum(np.abs(np.linalg.lstsq(a, b)[0]) ** 2), a, t)
    agrees(lambda a: np.sum(np.linalg.lstsq(a, b)[1]), a, t)
    agrees(lambda a: np.linalg.cond(a), a, t)
    agrees(energy(lambda a: np.linalg.qr(a)[1]), a, t)
    agrees(energy(lambda a: np.linalg.svd(a, full_matrices=False)[0].T[:, :1] + 0 * a[:1, :]), a, t)
    agrees(lambda a: np.linalg.norm(a, "nuc") + 0.5 * np.linalg.norm(a, 2), a, t)


@pytest.mark.parametrize("rank", [0, 1, 2])
@given(seed=SEEDS)
def test_determinants_at_any_rank_against_differences(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, t = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 3)), rng.normal(size=(3, 3))
    for order in range(1, 3):
        f: Any = np.linalg.det
        for _ in range(order - 1):
            f = lambda x, f=f: push_traced(f, x, t)  # noqa: E731
        np.testing.assert_allclose(push(f, a, t), slope(f, a, t, 1e-2), atol=1e-9)


def push_traced(f: Any, x: Any, t: Any) -> Any:
    with ForwardAccumulator(x, t) as acc:
        y = f(acc.primals)
    return acc.jvp(y, "zero")
