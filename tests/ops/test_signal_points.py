"""Functions of signals at their special points: knots, jumps, zeros, ties, nan, and odd arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from tapeflow import ForwardAccumulator, GradientTape


def gradient(f: Any, *arrays: Any, g: Any = None) -> Any:
    with GradientTape() as tape:
        x = tape.watch(tuple(np.asarray(a, None if np.iscomplexobj(a) else float) for a in arrays))
        y = f(*x)
    found = tape.gradient(y, x, g, "zero")
    return found if len(found) > 1 else found[0]


def tangent(f: Any, x: Any, t: Any) -> Any:
    with ForwardAccumulator(np.asarray(x), np.asarray(t)) as acc:
        y = f(acc.primals)
    return acc.jvp(y)


def traced(f: Any, *arrays: Any) -> Any:
    with GradientTape() as tape:
        return f(*tape.watch(tuple(np.asarray(a) for a in arrays)))


def derivatives(f: Any, x: float, orders: int) -> list[float]:
    """Derivatives of a function of one number, of order 1 to `orders`, by nested tapes."""

    def slope(h: Any) -> Any:
        def dh(v: Any) -> Any:
            with GradientTape() as tape:
                w = tape.watch(v)
                y = h(w)
            return tape.gradient(y, w)

        return dh

    found = []
    for _ in range(orders):
        f = slope(f)
        found.append(float(f(np.float64(x))))
    return found


# ---- convolution


@pytest.mark.parametrize("f", [np.convolve, np.correlate])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_every_pair_of_lengths(f: Any, mode: str) -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 7):
        for m in range(1, 7):
            a, v = (rng.normal(size=k) + 1j * rng.normal(size=k) for k in (n, m))
            expected = f(a, v, mode)
            y = traced(lambda a, v: f(a, v, mode), a, v)
            np.testing.assert_allclose(y.numpy(), expected, atol=1e-14)
            g = rng.normal(size=expected.shape) + 1j * rng.normal(size=expected.shape)
            ga, gv = gradient(lambda a, v: f(a, v, mode), a, v, g=g)
            # Bilinear (over the reals), so the pairing with either operand is that with the value.
            pairing = np.vdot(g, expected).real
            np.testing.assert_allclose([np.vdot(ga, a).real, np.vdot(gv, v).real], pairing)


def test_long_signals_with_few_overlaps_stay_cheap() -> None:
    a = np.ones(200_000)  # all products of pairs would take minutes
    _, gv = gradient(lambda a, v: np.convolve(a, v, "valid"), a, a, g=np.ones(1))
    np.testing.assert_array_equal(gv, a)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.complex64])
@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_precision_of_convolution(f: Any, dtype: Any) -> None:
    a = np.ones(4, dtype)
    with GradientTape() as tape:
        w = tape.watch(a)
        y = f(w, w, "full")
    assert y.dtype == dtype
    assert tape.gradient(y, w, np.ones(7, dtype)).dtype == dtype


@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_errors_of_convolution_are_numpys(f: Any) -> None:
    one, none, matrix = np.ones(3), np.ones(0), np.ones((2, 2))
    for a, v, mode, text in (
        (none, one, "full", "cannot be empty"),
        (one, none, "full", "cannot be empty"),
        (matrix, one, "full", "object too deep for desired array"),
        (one, matrix, "full", "object too deep for desired array"),
        (one, one, "most", "one of 'valid', 'same', or 'full'"),
    ):
        with pytest.raises(ValueError, match=text):
            f(a, v, mode)
        with pytest.raises(ValueError, match=text):
            traced(lambda a, v, m=mode: f(a, v, m), a, v)
    with pytest.raises(ValueError, match="object of too small depth"):
        traced(lambda a: np.correlate(a, 2.0), one)


# ---- interpolation


def test_the_slope_at_a_knot_is_that_of_the_right_piece() -> None:
    knots, values = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    x = np.array([0.0, 1.0, 3.0])
    np.testing.assert_array_equal(gradient(lambda v: np.interp(v, knots, values), x), [2, 0.5, 0.5])
    np.testing.assert_array_equal(tangent(lambda v: np.interp(v, knots, values), x, np.ones(3)), [2, 0.5, 0.5])
    np.testing.assert_array_equal(gradient(lambda f: np.interp(x, knots, f), values), [1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda k: np.interp(x, k, values), knots), [-2, -0.5, -0.5])


def test_outside_the_knots_the_interpolant_is_constant() -> None:
    knots, values, x = np.array([0.0, 1.0]), np.array([3.0, 5.0]), np.array([-1.0, 4.0])
    gx, gk, gf = gradient(np.interp, x, knots, values)
    np.testing.assert_array_equal(gx, [0, 0])
    np.testing.assert_array_equal(gk, [0, 0])
    np.testing.assert_array_equal(gf, [1, 1])
    gx, gf = gradient(lambda v, f: np.interp(v, knots, f, left=7, right=8), x, values)
    np.testing.assert_array_equal(gx, [0, 0])
    np.testing.assert_array_equal(gf, [0, 0])


def test_knots_that_coincide_make_a_jump() -> None:
    knots, values = np.array([0.0, 1.0, 1.0, 2.0, 2.0]), np.array([0.0, 1.0, 5.0, 6.0, 9.0])
    x = np.array([0.5, 1.0, 2.0])
    np.testing.assert_array_equal(traced(lambda v: np.interp(v, knots, values), x).numpy(), [0.5, 5.0, 9.0])
    np.testing.assert_array_equal(gradient(lambda v: np.interp(v, knots, values), x), [1, 1, 0])
    np.testing.assert_array_equal(gradient(lambda f: np.interp(x, knots, f), values), [0.5, 0.5, 1, 0, 1])


def test_nan_is_interpolated_to_nan() -> None:
    y, g = (f(lambda v: np.interp(v, [0.0, 1.0], [2.0, 4.0]), [math.nan, 0.5]) for f in (traced, gradient))
    np.testing.assert_array_equal(y.numpy(), [math.nan, 3.0])
    np.testing.assert_array_equal(g, [0, 2])


def test_interpolation_of_single_precision_has_single_precision_gradients() -> None:
    x, knots, values = (np.array(v, np.float32) for v in ([0.5], [0.0, 1.0], [2.0, 4.0]))
    with GradientTape() as tape:
        w = tape.watch((x, knots, values))
        y = np.interp(*w)
    assert y.dtype == np.float64
    assert [g.dtype for g in tape.gradient(y, w)] == [np.float32] * 3


def test_errors_of_interpolation_are_numpys() -> None:
    for args, options, error, text in (
        (([0.5], [0.0, 1.0], [1.0]), {}, ValueError, "not of the same length"),
        (([0.5], [[0.0, 1.0]], [[1.0, 2.0]]), {}, ValueError, "too deep"),
        (([0.5], [], []), {}, ValueError, "array of sample points is empty"),
        (([0.5], [0.0, 1.0], [1.0, 2.0]), {"period": 0}, ValueError, "period must be a non-zero value"),
        (([0.5], [0.0, 1.0], [1.0, 2.0]), {"left": 1j}, TypeError, "must be real number, not complex"),
    ):
        with pytest.raises(error, match=text):
            np.interp(*args, **options)
        with pytest.raises(error, match=text):
            traced(lambda *a, o=options: np.interp(*a, **o), *args)


# ---- differences


def test_equal_distances_keep_the_derivative_of_each() -> None:
    # NumPy takes a shorter formula for an even grid; its derivative in the grid must be that of the long one.
    f, grid = np.array([1.0, 4.0, 2.0, 8.0]), np.arange(4.0)
    for order in (1, 2):
        even = gradient(lambda x, e=order: np.gradient(f, x, edge_order=e), grid, g=np.array([1.0, 2.0, 3.0, 4.0]))
        near = gradient(
            lambda x, e=order: np.gradient(f, x, edge_order=e),
            grid + 1e-8 * np.eye(4)[1],
            g=np.array([1.0, 2.0, 3.0, 4.0]),
        )
        np.testing.assert_allclose(even, near, atol=1e-6)
        assert np.any(even != 0)


def test_forms_of_results_of_gradient() -> None:
    x = np.ones((3, 4))
    assert isinstance(traced(np.gradient, x), tuple)
    assert traced(lambda v: np.gradient(v, axis=0), x).shape == (3, 4)
    assert traced(lambda v: np.gradient(v, axis=()), x) == () == np.gradient(x, axis=())


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        ((1.0, 2.0, 3.0), {}, TypeError, "invalid number of arguments"),
        (([0.0, 1.0], 1.0), {}, ValueError, "distances must match"),
        (([[0.0, 1.0, 2.0]], 1.0), {}, ValueError, "distances must be either scalars or 1d"),
        ((), {"edge_order": 3}, ValueError, "'edge_order' greater than 2 not supported"),
        ((), {"edge_order": 2}, ValueError, "Shape of array too small"),
        ((), {"axis": 2}, np.exceptions.AxisError, "axis 2 is out of bounds"),
        ((), {"axis": (0, 0)}, ValueError, "repeated axis"),
    ],
)
def test_errors_of_gradient_are_numpys(args: Any, options: Any, error: Any, text: str) -> None:
    for f in (np.gradient, lambda v, *a, **o: traced(lambda w: np.gradient(w, *a, **o), v)):
        with pytest.raises(error, match=text):
            f(np.ones((3, 2)), *args, **options)


def test_differences_of_little() -> None:
    for shape, n in (((0,), 1), ((1,), 1), ((1,), 3), ((2, 0), 2)):
        x = np.ones(shape)
        expected = np.diff(x, n)
        assert traced(lambda v, n=n: np.diff(v, n), x).shape == expected.shape
        np.testing.assert_array_equal(gradient(lambda v, n=n: np.diff(v, n), x, g=expected), np.zeros(shape))
    np.testing.assert_array_equal(gradient(lambda v: np.diff(v, prepend=0.0), np.ones(1)), [1])
    assert gradient(np.ediff1d, np.ones(0), g=np.ones(0)).shape == (0,)


def test_errors_of_differences_are_numpys() -> None:
    for f, x, error, text in (
        (lambda v: np.diff(v, -1), np.ones(2), ValueError, "order must be non-negative but got -1"),
        (np.diff, np.array(1.0), ValueError, "diff requires input that is at least one dimensional"),
        (lambda v: np.diff(v, axis=1), np.ones(2), np.exceptions.AxisError, "axis 1 is out of bounds"),
        (lambda v: np.ediff1d(v, to_end=1j), np.ones(2), TypeError, "dtype of `to_end` must be compatible"),
        (lambda v: np.ediff1d(v, to_begin=1j), np.ones(2), TypeError, "dtype of `to_begin` must be compatible"),
    ):
        with pytest.raises(error, match=text):
            f(x)
        with pytest.raises(error, match=text):
            traced(f, x)


def test_differences_keep_the_precision_of_the_gradient() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 3), np.float32))
        y = np.diff(x, 2)
    assert y.dtype == np.float32
    assert tape.gradient(y, x).dtype == np.float32


# ---- phases


def test_jumps_of_phases_add_constants() -> None:
    p = np.array([0.0, math.pi, 2.5 * math.pi, 2.5 * math.pi - 9])
    np.testing.assert_array_equal(gradient(np.unwrap, p, g=np.arange(4.0)), np.arange(4.0))
    turned = gradient(lambda v, t: np.unwrap(v, period=t), [0.0, 0.9, 0.1, 2.2], 1.0, g=np.eye(4)[2])[1]
    assert turned == 0
    turned = gradient(lambda v, t: np.unwrap(v, period=t), [0.0, 0.9, 0.1, 2.2], 1.0, g=np.eye(4)[1])[1]
    assert turned == -1


# ---- special values and functions


def test_derivatives_of_sinc_at_zero() -> None:
    # sinc(x) = 1 - (pi x)^2 / 6 + (pi x)^4 / 120 - ...
    expected = [0, -(math.pi**2) / 3, 0, math.pi**4 / 5]
    np.testing.assert_allclose(derivatives(np.sinc, 0.0, 4), expected, rtol=1e-14)
    assert tangent(np.sinc, 0.0, 1.0) == 0
    assert gradient(np.sinc, -0.0) == 0


@pytest.mark.parametrize("x", [1e-300, 1e-12, -1e-8, 1e-5, 3e-3])
def test_derivatives_of_sinc_near_zero_keep_their_digits(x: float) -> None:
    z = math.pi * x
    first = math.pi * (-z / 3 + z**3 / 30 - z**5 / 840)
    second = math.pi**2 * (-1 / 3 + z**2 / 10 - z**4 / 168)
    third = math.pi**3 * (z / 5 - z**3 / 42 + z**5 / 1080)
    np.testing.assert_allclose(derivatives(np.sinc, x, 3), [first, second, third], rtol=1e-13)


def test_derivatives_of_sinc_are_continuous_where_the_formula_changes() -> None:
    for order in range(1, 6):
        change = (order + 1) / 2 / math.pi
        below, above = (derivatives(np.sinc, change * (1 + d), order)[-1] for d in (-1e-14, 1e-14))
        assert below == pytest.approx(above, abs=1e-12 * math.pi**order)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.complex64])
def test_precision_of_sinc(dtype: Any) -> None:
    with np.errstate(invalid="ignore"):  # NumPy 2.0 has no sinc of zero in half precision
        first = 0.0 if np.isfinite(np.sinc(dtype(0))) else 0.3
    with GradientTape() as tape:
        x = tape.watch(np.array([first, 0.1, 2.5]).astype(dtype))
        y = np.sinc(x)
    assert y.dtype == dtype
    assert tape.gradient(y, x, np.ones(3, dtype)).dtype == dtype


@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-4, 0.7, -5.0, 9.0, 50.0])
def test_derivatives_of_i0(x: float) -> None:
    np.testing.assert_allclose(
        derivatives(np.i0, x, 3), [special.ivp(0, x, n) for n in (1, 2, 3)], rtol=1e-12, atol=1e-300
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_precision_of_i0(dtype: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([0.0, 0.5, 2.0], dtype))
        y = np.i0(x)
    assert y.dtype == dtype
    assert tape.gradient(y, x).dtype == dtype
    with pytest.raises(TypeError, match="i0 not supported for complex values"):
        traced(np.i0, 1j)


def test_numbers_in_place_of_nan_have_the_derivative() -> None:
    x = np.array([1.0, math.nan, math.inf, -math.inf])
    np.testing.assert_array_equal(gradient(np.nan_to_num, x), [1, 0, 0, 0])
    np.testing.assert_array_equal(tangent(np.nan_to_num, x, np.ones(4)), [1, 0, 0, 0])
    _, *instead = gradient(lambda v, a, b, c: np.nan_to_num(v, nan=a, posinf=b, neginf=c), x, 1.0, 2.0, 3.0)
    assert instead == [1, 1, 1]


def test_parts_of_a_complex_number_are_replaced_alone() -> None:
    z = np.array([complex(1, math.nan), complex(math.inf, 2), complex(math.nan, math.nan)])
    y = traced(lambda v: np.nan_to_num(v, posinf=math.inf), z)
    np.testing.assert_array_equal(y.numpy(), np.nan_to_num(z, posinf=math.inf))
    np.testing.assert_array_equal(gradient(np.nan_to_num, z, g=np.full(3, 3 + 4j)), [3, 4j, 0])


def test_nan_to_num_in_place_does_as_a_write_does() -> None:
    x = np.array([1.0, math.nan])
    with GradientTape() as tape:
        w = tape.watch(x)
        try:
            w[...] = 2 * w
        except TypeError:  # no writes: then none of this function's either
            with pytest.raises(TypeError, match="on a traced value would change what the tape recorded"):
                np.nan_to_num(w, copy=False)
            return
        y = np.nan_to_num(w, copy=False)
    np.testing.assert_array_equal(y.numpy(), [2, 0])
    np.testing.assert_array_equal(w.numpy(), [2, 0])
    np.testing.assert_array_equal(x, [1, math.nan])


def test_nearly_real_numbers_have_gradients_of_their_real_parts() -> None:
    np.testing.assert_array_equal(gradient(np.real_if_close, np.array([1 + 1e-16j, 2])), [1, 1])
    y = traced(lambda v: np.real_if_close(v, tol=2), np.array([1 + 1e-15j]))
    assert y.dtype == np.complex128


# ---- choices


def test_functions_of_pieces_see_only_their_piece() -> None:
    x = np.array([-1.0, 0.0, 4.0])
    found = gradient(lambda v: np.piecewise(v, [v > 0], [np.sqrt, 0]), x)
    np.testing.assert_array_equal(found, [0, 0, 0.25])

    def never(v: Any) -> Any:
        raise AssertionError("called on nothing")

    np.testing.assert_array_equal(gradient(lambda v: np.piecewise(v, [v > 9], [never, np.square]), x), 2 * x)
    np.testing.assert_array_equal(gradient(lambda v: np.piecewise(v, [v > 9], [never]), x), [0, 0, 0])
    np.testing.assert_array_equal(gradient(lambda v: np.piecewise(v, [v > 9, v > 9], [never, 1.0, 2.0]), x), [0, 0, 0])


def test_the_last_piece_that_holds_counts() -> None:
    x = np.array([1.0, 2.0, 3.0])
    found = gradient(lambda v, c: np.piecewise(v, [v > 0, v > 1, v > 2], [np.square, c, np.exp]), x, 7.0)
    np.testing.assert_array_equal(found[0], [2, 0, math.exp(3)])
    assert found[1] == 1


def test_conditions_may_be_traced() -> None:
    x = np.array([-1.0, 2.0])
    found = gradient(lambda v: np.piecewise(v, [np.heaviside(v, 0)], [np.square, 5.0]), x)
    np.testing.assert_array_equal(found, [0, 4])
    found = gradient(lambda v: np.select([v > 0], [v**2], -v), x)
    np.testing.assert_array_equal(found, [-1, 4])


def test_the_branch_that_is_not_taken_has_no_part() -> None:
    x = np.array([0.0, 4.0])
    with np.errstate(all="ignore"):
        found = gradient(lambda v: np.select([v > 0], [np.sqrt(v)], 0.0), x)
        np.testing.assert_array_equal(found, [0, 0.25])
        found = gradient(lambda v: np.choose([0, 1], [np.zeros(2), np.sqrt(v)]), x)
        np.testing.assert_array_equal(found, [0, 0.25])


def test_dtypes_of_choices_are_numpys() -> None:
    x = np.ones(2, np.float32)
    for choices in ([2.0], [2], [np.ones(2)], [np.float16(1)], [1j], [np.arange(2)]):
        expected = np.select([[True, False], [False, True]], [*choices, x], 1.5).dtype
        assert traced(lambda v, c=choices: np.select([[True, False], [False, True]], [*c, v], 1.5), x).dtype == expected
        expected = np.choose([0, 1], [*choices, x]).dtype
        assert traced(lambda v, c=choices: np.choose([0, 1], [*c, v]), x).dtype == expected


def test_errors_of_choices_are_numpys() -> None:
    x = np.array([1.0, 2.0])
    yes = np.array([True, False])
    for f, error, text in (
        (lambda v: np.select([yes], [v, v]), ValueError, "list of cases must be same length"),
        (lambda v: np.select([yes, 1], [v, v]), TypeError, "invalid entry 1 in condlist: should be boolean ndarray"),
        (lambda v: np.choose([0, 2], [v, v]), ValueError, "invalid entry in choice array"),
        (lambda v: np.choose([0, -1], [v, v]), ValueError, "invalid entry in choice array"),
        (lambda v: np.choose(x, [v, v]), TypeError, "according to the rule 'safe'"),
        (lambda v: np.choose([0, 1], [v, v], mode="most"), ValueError, "mode"),
        (lambda v: np.piecewise(v, [yes], [1, 2, 3]), ValueError, r"with 1 condition\(s\), either 1 or 2 functions"),
    ):
        with pytest.raises(error, match=text):
            f(x)
        with pytest.raises(error, match=text):
            traced(f, x)
    with pytest.raises(ValueError, match="empty condition list"):
        traced(lambda v: np.select([], []) if v is None else np.select([v > 5][:0], [v][:0]), x)
