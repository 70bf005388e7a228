"""Fourier transforms where a table of cases does not reach: precision, redundant parts, odd arguments, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape

ONE_AXIS = [np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft]
SEVERAL = [np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn]
PLANES = [np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2]


def traced(f: Any, x: Any) -> Any:
    with GradientTape() as tape:
        return f(tape.watch(x))


def gradient(f: Any, x: Any, g: Any = None) -> Any:
    with GradientTape() as tape:
        w = tape.watch(np.asarray(x))
        y = f(w)
    return tape.gradient(y, w, g)


def ones(x: Any) -> Any:
    return np.ones(x.shape, x.dtype)


@pytest.mark.parametrize("f", ONE_AXIS + SEVERAL + PLANES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_precision_is_numpys(f: Any, dtype: Any) -> None:
    x = np.ones((2, 4), dtype)
    expected = f(x)
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w)
    assert y.dtype == expected.dtype
    assert tape.gradient(y, w, ones(expected)).dtype == dtype
    with ForwardAccumulator(x, x) as acc:
        y = f(acc.primals)
        assert acc.jvp(y).dtype == expected.dtype


@pytest.mark.parametrize("f", [np.fft.fft, np.fft.ifft, np.fft.irfft, np.fft.hfft, np.fft.fft2, np.fft.irfftn])
def test_single_precision_complex_stays(f: Any) -> None:
    x = np.ones((2, 4), np.complex64)
    expected = f(x)
    assert gradient(f, x, ones(expected)).dtype == np.complex64


@pytest.mark.parametrize("f", [np.fft.irfft, np.fft.hfft])
@pytest.mark.parametrize(("n", "redundant"), [(6, [0, 3]), (5, [0]), (2, [0, 1]), (1, [0])])
def test_imaginary_parts_that_a_real_signal_has_not_are_ignored(f: Any, n: int, redundant: list[int]) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=n // 2 + 1) + 1j * rng.normal(size=n // 2 + 1)
    found = gradient(lambda v: f(v, n), z, rng.normal(size=n))
    needed = [k for k in range(n // 2 + 1) if k not in redundant]
    np.testing.assert_array_equal(found[redundant].imag, 0)
    assert np.all(found[needed].imag != 0)


def test_entries_past_the_end_have_no_part() -> None:
    np.testing.assert_array_equal(gradient(lambda x: np.fft.fft(x, 2).real, np.ones(4), np.eye(2)[0]), [1, 1, 0, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.fft.irfft(x, 2), np.ones(4) + 0j, np.ones(2)), [1, 0, 0, 0])


def test_the_power_is_that_of_the_signal() -> None:
    # Parseval: the sum of squared moduli of an orthonormal transform is that of the signal, so its gradient is 2 x.
    x = np.random.default_rng(1).normal(size=(3, 5))
    z = x + 1j * x[::-1]
    for f in (np.fft.fft, np.fft.ifft, np.fft.fft2, np.fft.ifftn):
        np.testing.assert_allclose(gradient(lambda v, f=f: np.sum(np.abs(f(v, norm="ortho")) ** 2), z), 2 * z)
    np.testing.assert_allclose(
        gradient(lambda v: np.sum(np.fft.hfft(v, 5) ** 2), np.fft.ihfft(x))[:, 0], 10 * x.mean(1)
    )


@pytest.mark.parametrize("f", ONE_AXIS)
def test_other_axes_may_be_empty(f: Any) -> None:
    x = np.zeros((0, 4))
    expected = f(x)
    assert traced(f, x).shape == expected.shape
    assert gradient(f, x, ones(expected)).shape == (0, 4)


@pytest.mark.parametrize("f", ONE_AXIS)
def test_errors_are_numpys(f: Any) -> None:
    x = np.ones((2, 3))
    for args, options, error, text in (
        ((0,), {}, ValueError, r"Invalid number of FFT data points \(0\)"),
        ((-3,), {}, ValueError, r"Invalid number of FFT data points \(-3\)"),
        ((), {"norm": "unitary"}, ValueError, "Invalid norm value unitary"),
        ((), {"norm": ""}, ValueError, "Invalid norm value"),
        ((), {"axis": 2}, IndexError, "tuple index out of range"),
        ((4, 2), {}, np.exceptions.AxisError, "axis 2 is out of bounds for array of dimension 2"),
        ((2.5,), {}, TypeError, "cannot be interpreted as an integer"),
    ):
        with pytest.raises(error, match=text):
            f(x, *args, **options)
        with pytest.raises(error, match=text):
            traced(lambda v, a=args, o=options: f(v, *a, **o), x)
    with pytest.raises(TypeError, match="write a traced value into a plain array"):
        traced(lambda v: f(v, out=np.zeros((2, 3), complex)), x)


def test_a_spectrum_of_nothing_is_an_error() -> None:
    for f in (np.fft.irfft, np.fft.hfft):
        with pytest.raises(ValueError, match="Invalid number of FFT data points"):
            traced(f, np.ones((2, 1)))


@pytest.mark.parametrize("f", [np.fft.rfft, np.fft.ihfft, np.fft.rfft2, np.fft.rfftn])
def test_transforms_of_real_signals_refuse_complex_ones(f: Any) -> None:
    with pytest.raises(TypeError, match="could not be safely coerced"):
        traced(f, np.ones((2, 3), complex))


@pytest.mark.parametrize("f", SEVERAL)
def test_lengths_without_axes_are_deprecated_as_in_numpy(f: Any) -> None:
    x = np.random.default_rng(2).normal(size=(2, 3, 4))
    for options in ({"s": (2, 5)}, {"s": (None, 4), "axes": (0, 2)}, {"s": (4, None), "axes": (1, 2)}):
        with pytest.warns(DeprecationWarning, match="`axes` should not be|an array containing `None`"):
            expected = f(x, **options)
        with pytest.warns(DeprecationWarning, match="`axes` should not be.*nor should `s` contain `None`") as seen:
            found = traced(lambda v, o=options: f(v, **o), x)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-14)
        assert seen[0].filename.endswith((".py",))


@pytest.mark.parametrize("f", SEVERAL + PLANES)
def test_lengths_and_axes_must_match(f: Any) -> None:
    for g in (f, lambda v, **o: traced(lambda w: f(w, **o), v)):
        with pytest.raises(ValueError, match="Shape and axes have different lengths"):
            g(np.ones((2, 3, 4)), s=(2, 3, 4), axes=(0, 1))


def test_transforms_of_plain_arrays_are_numpys_own() -> None:
    with GradientTape() as tape:
        tape.watch(1.0)
        assert type(np.fft.fft(np.ones(4))) is np.ndarray


def test_shifts_undo_each_other() -> None:
    x = np.random.default_rng(3).normal(size=(3, 5))
    for axes in (None, 0, (0, 1), [-1], (1, 1)):
        g = np.random.default_rng(4).normal(size=(3, 5))
        y = traced(lambda v, a=axes: np.fft.ifftshift(np.fft.fftshift(v, a), a), x)
        np.testing.assert_array_equal(y.numpy(), x)
        np.testing.assert_array_equal(
            gradient(lambda v, a=axes: np.fft.fftshift(v, a), x, g), np.fft.ifftshift(g, axes)
        )


def test_third_derivatives() -> None:
    # f(x) = sum |F x|^4 has a known third derivative along one direction: differences of the second agree.
    x = np.random.default_rng(5).normal(size=5)

    def value(v: Any) -> Any:
        return np.sum(np.abs(np.fft.rfft(v)) ** 4)

    def third(v: Any) -> Any:
        with GradientTape() as t3:
            a = t3.watch(v)
            with GradientTape() as t2:
                b = t2.watch(a)
                with GradientTape() as t1:
                    c = t1.watch(b)
                    y = value(c)
                g = np.sum(t1.gradient(y, c))
            h = np.sum(t2.gradient(g, b))
        return t3.gradient(h, a)

    # Along ones only the mean moves: |F_0|^4 = s^4, and the others stand still.
    np.testing.assert_allclose(third(x), 24 * np.sum(x) * 25 * np.ones(5))
