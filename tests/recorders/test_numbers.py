"""Complex numbers, dtypes, ties and singular points (TAPE_SEMANTICS 2.13 and docs/conventions.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, grad, hessian, jvp

DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]


def test_complex_gradients_are_directions_of_steepest_ascent() -> None:
    assert grad(lambda z: np.real(z * z))(1 + 2j) == 2 - 4j
    assert grad(lambda z: np.abs(z) ** 2)(1 + 2j) == 2 + 4j
    assert grad(lambda z: np.imag(z))(1 + 2j) == 1j
    assert grad(lambda x: np.real((1 + 2j) * x * (3 - 1j)))(2.0) == np.real((1 + 2j) * (3 - 1j))


def test_a_complex_target_needs_a_seed() -> None:
    with GradientTape() as tape:
        z = tape.watch(1 + 2j)
        y = z * z
    with pytest.raises(TypeError, match="target is complex, so its gradient needs output_gradients"):
        tape.gradient(y, z)
    # <s, 2 z dz> = <conj(2 z) s, dz>
    assert tape.gradient(y, z, 3 - 1j) == np.conj(2 * (1 + 2j)) * (3 - 1j)


def test_a_step_along_the_gradient_ascends() -> None:
    f = lambda z: np.abs(np.exp(z) + z**2) ** 2  # noqa: E731
    z = 0.3 - 0.7j
    g = grad(f)(z)
    step = 1e-6
    np.testing.assert_allclose((f(z + step * g) - f(z)) / step, abs(g) ** 2, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_stays_itself(dtype: Any) -> None:
    x0 = np.array([0.5, 1.5], dtype)
    f = lambda x: np.sum(np.exp(-x * x / 2) * 3 + 1.5 * np.sin(x) / (1 + x))  # noqa: E731
    with GradientTape() as tape:
        x = tape.watch(x0)
        y = np.abs(f(x))
        assert y.dtype == np.abs(x0).dtype
    assert tape.gradient(y, x).dtype == dtype
    with ForwardAccumulator(x0, np.ones_like(x0)) as acc:
        y = f(acc.primals)
    assert acc.jvp(y).dtype == dtype


def test_gradients_have_the_dtype_of_their_source_through_conversions() -> None:
    with GradientTape() as tape:
        a, b = tape.watch((np.ones(2, np.float32), np.ones(2)))
        y = a.astype(np.float64) * b + a * b
    ga, gb = tape.gradient(y, (a, b))
    assert ga.dtype == np.float32
    assert gb.dtype == np.float64


def test_ties_are_split_equally() -> None:
    np.testing.assert_array_equal(grad(np.max)(np.array([1.0, 1.0, 0.0])), [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(grad(np.min)(np.array([1.0, 1.0, 1.0, 1.0])), [0.25] * 4)
    for choose in (np.maximum, np.minimum, np.fmax, np.fmin):
        assert grad(choose, (0, 1))(2.0, 2.0) == (0.5, 0.5)
    assert grad(lambda x: np.maximum(x, 0))(0.0) == 0.5


@pytest.mark.parametrize(
    ("f", "x", "want"),
    [
        (np.abs, 0.0, 0.0),
        (lambda x: np.clip(x, 0.0, 1.0), 1.0, 1.0),
        (lambda x: np.clip(x, 0.0, 1.0), 0.0, 1.0),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x ** np.float64(0.0), 0.0, 0.0),
        (lambda p: 0.0**p, 2.0, 0.0),
        (lambda p: np.float64(0.0) ** p, 2.0, 0.0),
        (lambda x: np.hypot(x, 0.0), 0.0, 0.0),
        (lambda x: np.arctan2(x, 0.0), 0.0, 0.0),
        (lambda x: np.linalg.norm(x * np.ones(3)), 0.0, 0.0),
        (lambda x: np.std(x * np.ones(3)), 2.0, 0.0),
        (lambda x: np.prod(np.stack([x, x, 3.0])), 0.0, 0.0),
    ],
)
def test_singular_points(f: Any, x: float, want: float) -> None:
    assert grad(f)(x) == want
    assert jvp(f, (x,), (1.0,))[1] == want


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_zero_cotangent_stays_zero_where_the_slope_is_infinite() -> None:
    x = np.array([0.0, 4.0])
    assert grad(np.sqrt)(0.0) == np.inf
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))(x), [0.0, 0.25])
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.where(x > 0, np.log(x), 0)))(x), [0.0, 0.25])
    h = hessian(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))(x)
    np.testing.assert_array_equal(h, np.diag([0.0, -1 / 32]))
    np.testing.assert_array_equal(jvp(lambda x: np.where(x > 0, np.sqrt(x), 0), (x,), (np.ones(2),))[1], [0.0, 0.25])


def test_products_with_zeros_are_exact() -> None:
    x = np.array([0.0, 2.0, 3.0])
    np.testing.assert_array_equal(grad(np.prod)(x), [6.0, 0.0, 0.0])
    np.testing.assert_array_equal(grad(np.prod)(np.array([0.0, 0.0, 3.0])), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(hessian(np.prod)(x), [[0, 3, 2], [3, 0, 0], [2, 0, 0]])


def test_python_numbers_are_weak() -> None:
    x = np.ones(2, np.float32)
    for f in (lambda x: 2.0 * x, lambda x: x / 3, lambda x: x**2, lambda x: 2.0**x, lambda x: np.hypot(x, 1.0)):
        with GradientTape() as tape:
            w = tape.watch(x)
            y = f(w)
            assert y.dtype == np.float32
        assert tape.gradient(y, w).dtype == np.float32
