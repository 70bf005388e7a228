"""Properties of transforms and signal functions over drawn shapes, lengths, axes and norms.

Values are compared with plain NumPy, derivatives with what linearity says or with differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tapeflow import ForwardAccumulator, GradientTape

NORMS = st.sampled_from([None, "backward", "ortho", "forward"])
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
MODES = st.sampled_from(["full", "same", "valid"])


def normal(rng: Any, shape: Any, complex_: bool) -> Any:
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if complex_ else x


def pull(f: Any, x: Any, g: Any = None) -> tuple[Any, Any]:
    """Values, and the gradients with a cotangent (random if none is given) with that cotangent."""
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(*w)
    if g is None:
        g = normal(np.random.default_rng(0), y.shape, y.dtype.kind == "c")
    return y.numpy(), (tape.gradient(y, w, g, "zero"), g)


def push(f: Any, x: Any, t: Any) -> Any:
    with ForwardAccumulator(x, t) as acc:
        return acc.jvp(f(*acc.primals), "zero")


def inner(a: Any, b: Any) -> float:
    return float(np.sum((np.conj(a) * b).real))


def holds_for_linear(f: Any, x: Any) -> None:
    """A linear function is its own derivative, and its gradient is its adjoint."""
    y, ((gradient,), g) = pull(f, (x,))
    np.testing.assert_allclose(y, f(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(push(f, (x,), (x,)), y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(inner(gradient, x), inner(g, y), rtol=1e-9, atol=1e-9)
    assert gradient.dtype == x.dtype


@given(SHAPES, SEEDS, NORMS, st.data())
def test_transforms_along_an_axis(shape: Any, seed: int, norm: Any, data: Any) -> None:
    f = data.draw(st.sampled_from([np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft]))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.none() | st.integers(1, 8))
    if n is None and f in (np.fft.irfft, np.fft.hfft) and shape[axis] == 1:
        n = 1
    complex_ = f not in (np.fft.rfft, np.fft.ihfft) and data.draw(st.booleans())
    holds_for_linear(lambda x: f(x, n, axis, norm), normal(np.random.default_rng(seed), shape, complex_))


@given(SHAPES, SEEDS, NORMS, st.data())
def test_transforms_along_several_axes(shape: Any, seed: int, norm: Any, data: Any) -> None:
    f = data.draw(st.sampled_from([np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn]))
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=3))
    s = [data.draw(st.just(-1) | st.integers(1, 6)) for _ in axes]
    complex_ = f is not np.fft.rfftn and data.draw(st.booleans())
    holds_for_linear(lambda x: f(x, s, axes, norm), normal(np.random.default_rng(seed), shape, complex_))


@given(SHAPES, SEEDS, NORMS, st.data())
def test_a_round_trip_is_the_identity(shape: Any, seed: int, norm: Any, data: Any) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    forth, back, complex_ = data.draw(
        st.sampled_from(
            [
                (np.fft.fft, np.fft.ifft, True),
                (np.fft.ifft, np.fft.fft, True),
                (np.fft.rfft, np.fft.irfft, False),
                (np.fft.ihfft, np.fft.hfft, False),
            ]
        )
    )
    n = shape[axis]
    x = normal(rng, shape, complex_)
    y, ((gradient,), g) = pull(lambda v: back(forth(v, axis=axis, norm=norm), n, axis=axis, norm=norm), (x,))
    np.testing.assert_allclose(y, x, atol=1e-12)
    np.testing.assert_allclose(gradient, g, atol=1e-12)


@given(SHAPES, SEEDS, NORMS)
def test_a_round_trip_over_all_axes_is_the_identity(shape: Any, seed: int, norm: Any) -> None:
    x = np.random.default_rng(seed).normal(size=shape)
    axes = range(len(shape))

    def trip(v: Any) -> Any:
        half = np.fft.rfftn(np.fft.ifftshift(v), norm=norm)
        return np.fft.fftshift(np.fft.irfftn(half, v.shape, axes, norm=norm))

    y, ((gradient,), g) = pull(trip, (x,))
    np.testing.assert_allclose(y, x, atol=1e-12)
    np.testing.assert_allclose(gradient, g, atol=1e-12)


@given(st.integers(1, 9), st.integers(1, 9), MODES, st.booleans(), st.booleans(), st.booleans(), SEEDS)
def test_convolve_and_correlate(n: int, m: int, mode: str, left: bool, right: bool, which: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = np.convolve if which else np.correlate
    a, v, s, t = (normal(rng, k, c) for k, c in ((n, left), (m, right), (n, left), (m, right)))
    y, ((ga, gv), g) = pull(lambda a, v: f(a, v, mode), (a, v))
    np.testing.assert_allclose(y, f(a, v, mode), atol=1e-12)
    pushed = push(lambda a, v: f(a, v, mode), (a, v), (s, t))
    np.testing.assert_allclose(pushed, f(s, v, mode) + f(a, t, mode), atol=1e-12)
    np.testing.assert_allclose(inner(ga, s) + inner(gv, t), inner(g, pushed), atol=1e-9)


@st.composite
def interpolations(draw: Any) -> Any:
    """Points, knots and values, with the points well inside their cells so that differences are right."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(2, 7))
    knots = np.cumsum(rng.uniform(0.5, 2.0, n))
    shape = draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    cells = rng.integers(-1, n, shape)
    edges = np.concatenate([[knots[0] - 1], knots, [knots[-1] + 1]])
    x = edges[cells + 1] + rng.uniform(0.1, 0.9, shape) * (edges[cells + 2] - edges[cells + 1])
    return np.asarray(x), knots, normal(rng, n, draw(st.booleans()))


@given(interpolations(), st.booleans(), st.booleans(), st.booleans())
def test_interp(case: Any, left: bool, right: bool, periodic: bool) -> None:
    x, knots, values = case
    options: dict[str, Any] = {"left": 1.5 if left else None, "right": -2.5 if right else None}
    if periodic:
        options["period"] = 1.25 * (knots[-1] - knots[0])

    def f(*args: Any) -> Any:
        return np.interp(*args, **options)

    rng = np.random.default_rng(1)
    t = tuple(normal(rng, v.shape, v.dtype.kind == "c") for v in case)
    y, (gradients, g) = pull(f, case)
    np.testing.assert_allclose(y, f(x, knots, values), atol=1e-12)
    pushed = push(f, case, t)
    np.testing.assert_allclose(
        sum(inner(a, b) for a, b in zip(gradients, t, strict=True)), inner(g, pushed), rtol=1e-9, atol=1e-9
    )
    h = 1e-6
    up, down = (f(*(v + s * d for v, d in zip(case, t, strict=True))) for s in (h, -h))
    smooth = np.abs(up - 2 * y + down) < 1e-9  # a jump of the period lies between, elsewhere
    np.testing.assert_allclose(np.where(smooth, pushed, 0), np.where(smooth, (up - down) / (2 * h), 0), atol=1e-6)


@given(SHAPES, SEEDS, st.integers(0, 4), st.data())
def test_diff(shape: Any, seed: int, n: int, data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    holds_for_linear(lambda x: np.diff(x, n, axis), np.random.default_rng(seed).normal(size=shape))
    before, after = data.draw(st.integers(0, 2)), data.draw(st.booleans())
    wide = [before if k == axis % len(shape) else m for k, m in enumerate(shape)]
    options = {"prepend": np.zeros(wide)} | ({"append": 0.0} if after else {})
    holds_for_linear(lambda x: np.diff(x, n, axis, **options), np.random.default_rng(seed).normal(size=shape))


@given(
    st.integers(3, 6), st.integers(3, 5), SEEDS, st.sampled_from([1, 2]), st.sampled_from([0, -1, (0, 1), (1, 0), None])
)
def test_gradient_in_samples_and_grid(n: int, m: int, seed: int, order: int, axis: Any) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, m))
    axes = (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    grids = tuple(np.cumsum(rng.uniform(0.5, 1.5, (n, m)[k])) for k in axes)

    def f(x: Any, *grids: Any) -> Any:
        slopes = np.gradient(x, *grids, axis=axis, edge_order=order)
        return np.stack(slopes) if isinstance(slopes, tuple) else slopes

    case = (x, *grids)
    t = tuple(rng.normal(size=v.shape) for v in case)
    y, (gradients, g) = pull(f, case)
    np.testing.assert_allclose(y, f(*case), rtol=1e-10, atol=1e-12)
    h = 1e-6
    up, down = (f(*(v + s * d for v, d in zip(case, t, strict=True))) for s in (h, -h))
    pushed = push(f, case, t)
    np.testing.assert_allclose(pushed, (up - down) / (2 * h), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sum(inner(a, b) for a, b in zip(gradients, t, strict=True)), inner(g, pushed), rtol=1e-9)
