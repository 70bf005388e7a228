"""Reductions and shapes where they are not smooth, where nothing is left to reduce, and where NumPy answers plainly."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape


def gradient(f: Any, *args: Any, g: Any = None) -> Any:
    args = tuple(np.asarray(a) for a in args)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = f(*x)
    found = tape.gradient(y, x, g, "zero")
    return found[0] if len(args) == 1 else found


def tangent(f: Any, x: Any, t: Any) -> np.ndarray:
    with ForwardAccumulator(np.asarray(x), np.asarray(t)) as acc:
        return np.asarray(acc.jvp(f(acc.primals), "zero"))


def hessian(f: Any, x: Any) -> np.ndarray:
    """Reverse over reverse, a row each."""
    x = np.asarray(x)
    with GradientTape(persistent=True) as outer:
        w = outer.watch(x)
        with GradientTape() as inner:
            v = inner.watch(w)
            y = f(v)
        parts = list(inner.gradient(y, v))
    return np.stack([outer.gradient(p, w, unconnected_gradients="zero") for p in parts])


def hessian_by_forward(f: Any, x: Any) -> np.ndarray:
    """Forward over reverse, a column each."""
    columns = []
    for t in np.eye(len(x)):
        with ForwardAccumulator(np.asarray(x), t) as acc:
            with GradientTape() as tape:
                v = tape.watch(acc.primals)
                y = f(v)
            columns.append(np.asarray(acc.jvp(tape.gradient(y, v), "zero")))
    return np.stack(columns, axis=1)


def others(x: Any, *left_out: int) -> float:
    return math.prod(v for i, v in enumerate(x) if i not in left_out)


def product_hessian(x: Any) -> np.ndarray:
    n = range(len(x))
    return np.array([[0.0 if i == j else others(x, i, j) for j in n] for i in n])


ZEROS = [
    [2.0, 3.0, 5.0],
    [0.0, 3.0, 5.0],
    [2.0, 0.0, 5.0, 0.0],
    [0.0, 0.0, 0.0],
    [2.0, 0.0, 0.0, 4.0, 7.0],
    [0.0, -1.0],
]


@pytest.mark.parametrize("x", ZEROS)
def test_prod_with_zeros(x: list[float]) -> None:
    expected = [others(x, i) for i in range(len(x))]
    np.testing.assert_array_equal(gradient(np.prod, x), expected)
    np.testing.assert_array_equal([tangent(np.prod, x, t) for t in np.eye(len(x))], expected)
    np.testing.assert_array_equal(hessian(np.prod, x), product_hessian(x))
    np.testing.assert_array_equal(hessian_by_forward(np.prod, x), product_hessian(x))


def test_prod_with_zeros_to_third_order() -> None:
    x = np.array([0.0, 0.0, 0.0, 3.0])

    def entry(v: Any) -> Any:
        with GradientTape() as tape:
            w = tape.watch(v)
            y = np.prod(w)
        return tape.gradient(y, w)[0]

    np.testing.assert_array_equal(hessian(entry, x)[1], [0.0, 0.0, 3.0, 0.0])


def test_prod_of_several_axes_with_zeros() -> None:
    x = np.array([[[0.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 5.0]]])
    expected = np.empty_like(x)
    for i, j, k in np.ndindex(x.shape):
        expected[i, j, k] = math.prod(x[a, j, c] for a, c in itertools.product((0, 1), (0, 1)) if (a, c) != (i, k))
    np.testing.assert_array_equal(gradient(lambda v: np.prod(v, axis=(-1, 0)), x), expected)


@pytest.mark.parametrize("x", ZEROS)
def test_cumprod_with_zeros(x: list[float]) -> None:
    n = range(len(x))
    rows = np.array([[others(x[: k + 1], i) if i <= k else 0.0 for i in n] for k in n])
    np.testing.assert_array_equal([gradient(np.cumprod, x, g=g) for g in np.eye(len(x))], rows)
    np.testing.assert_array_equal([tangent(np.cumprod, x, t) for t in np.eye(len(x))], rows.T)
    total = sum(np.pad(product_hessian(x[: k + 1]), (0, len(x) - k - 1)) for k in n)
    np.testing.assert_array_equal(hessian(lambda v: np.sum(np.cumprod(v)), x), total)
    np.testing.assert_array_equal(hessian_by_forward(lambda v: np.sum(np.cumprod(v)), x), total)


# ---- extrema

SIGNS = [(np.max, 1.0), (np.min, -1.0)]


@pytest.mark.parametrize(("f", "sign"), SIGNS)
def test_ties_are_split_equally(f: Any, sign: float) -> None:
    x = sign * np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    np.testing.assert_array_equal(gradient(f, x), [[0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    by_row = [[0, 0.5, 0.5, 0], [0.25, 0.25, 0.25, 0.25]]
    np.testing.assert_array_equal(gradient(lambda v: f(v, axis=1), x), by_row)
    t = np.array([[8.0, 1.0, 2.0, 8.0], [4.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(tangent(lambda v: f(v, axis=1), x, t), [1.5, 1.0])


@pytest.mark.parametrize(("f", "sign"), SIGNS)
def test_second_derivative_through_ties_is_zero(f: Any, sign: float) -> None:
    x = sign * np.array([1.0, 2.0, 2.0])
    np.testing.assert_array_equal(hessian(f, x), np.zeros((3, 3)))
    np.testing.assert_array_equal(hessian_by_forward(f, x), np.zeros((3, 3)))
    expected = np.outer([0, 0.5, 0.5], [0, 0.5, 0.5]) * 2
    np.testing.assert_array_equal(hessian(lambda v: f(v) ** 2, x), expected)


@pytest.mark.parametrize(("f", "sign"), SIGNS)
def test_ties_with_what_a_mask_leaves_out_do_not_count(f: Any, sign: float) -> None:
    x, mask = sign * np.array([4.0, 4.0, 9.0, 1.0]), np.array([True, True, False, True])
    found = gradient(lambda v: f(v, initial=sign * 2.0, where=mask), x)
    np.testing.assert_array_equal(found, [0.5, 0.5, 0, 0])


def test_an_initial_value_that_wins_has_the_derivative() -> None:
    np.testing.assert_array_equal(gradient(lambda v: np.max(v, initial=7.0), [1.0, 2.0]), [0, 0])
    _, last = gradient(lambda v, c: np.max(v, initial=c), [1.0, 2.0], 7.0)
    assert last == 1
    np.testing.assert_array_equal(gradient(lambda v: np.max(v, initial=2.0), [1.0, 2.0]), [0, 0.5])


def test_infinities_and_nan_of_extrema() -> None:
    np.testing.assert_array_equal(gradient(np.max, [1.0, np.inf, -np.inf]), [0, 1, 0])
    np.testing.assert_array_equal(gradient(np.min, [-np.inf, -np.inf, 3.0]), [0.5, 0.5, 0])
    np.testing.assert_array_equal(gradient(np.max, [1.0, np.nan, 5.0]), [0, 1, 0])
    np.testing.assert_array_equal(tangent(np.max, [1.0, np.nan, 5.0], [1.0, 2.0, 3.0]), 2.0)


def test_ptp_of_a_constant_array_has_gradient_zero() -> None:
    np.testing.assert_array_equal(gradient(np.ptp, [3.0, 3.0]), [0, 0])
    np.testing.assert_array_equal(gradient(np.ptp, [3.0, 1.0, 3.0]), [0.5, -1, 0.5])


# ---- moments


def test_std_of_a_constant_array_has_subgradient_zero() -> None:
    x = np.full((3, 2), 4.0)
    for f in (np.std, lambda v: np.std(v, axis=0), lambda v: np.std(v, axis=1, where=[True, False])):
        np.testing.assert_array_equal(gradient(f, x), np.zeros((3, 2)))
    np.testing.assert_array_equal(tangent(np.std, x, np.eye(3, 2)), 0)
    np.testing.assert_array_equal(hessian(np.std, [4.0, 4.0]), np.zeros((2, 2)))
    np.testing.assert_array_equal(hessian_by_forward(np.std, [4.0, 4.0]), np.zeros((2, 2)))
    # One constant column beside one that is not.
    x = np.array([[1.0, 4.0], [3.0, 4.0]])
    np.testing.assert_array_equal(gradient(lambda v: np.std(v, axis=0), x), [[-0.5, 0], [0.5, 0]])


@pytest.mark.parametrize("ddof", [0, 1, 1.5, -1])
def test_var_and_std_with_ddof(ddof: float) -> None:
    x = np.array([1.0, 4.0, 6.0, 9.0])
    slope = 2 * (x - 5) / (4 - ddof)
    np.testing.assert_allclose(gradient(lambda v: np.var(v, ddof=ddof), x), slope)
    np.testing.assert_allclose(gradient(lambda v: np.std(v, ddof=ddof), x), slope / (2 * np.std(x, ddof=ddof)))
    np.testing.assert_allclose(
        hessian(lambda v: np.var(v, ddof=ddof), x), (np.eye(4) - 0.25) * 2 / (4 - ddof), atol=1e-15
    )


def test_var_far_from_zero_keeps_its_digits() -> None:
    x = 1e9 + np.array([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(gradient(np.var, x), np.array([-2.0, 0.0, 2.0]) / 3)


@pytest.mark.filterwarnings("ignore:Degrees of freedom:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_var_without_degrees_of_freedom_is_nan_in_the_derivative_too() -> None:
    assert np.isnan(gradient(lambda v: np.var(v, ddof=1), [3.0])).all()


def test_complex_variance_is_real() -> None:
    z = np.array([1 + 2j, 3 - 1j, -2j])
    for f in (np.var, np.std, lambda v: np.var(v, where=[True, True, False])):
        with GradientTape() as tape:
            w = tape.watch(z)
            y = f(w)
        assert y.dtype == np.float64
        assert tape.gradient(y, w).dtype == np.complex128
    np.testing.assert_allclose(gradient(np.var, z), 2 * (z - z.mean()) / 3)


def test_no_weight_is_numpys_error() -> None:
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        gradient(lambda v: np.average(v, weights=[1.0, -1.0]), [1.0, 2.0])


# ---- nothing to reduce


@pytest.mark.parametrize("f", [np.sum, np.prod, np.cumsum, np.cumprod])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_empty_arrays(f: Any, shape: tuple[int, ...], axis: int | None) -> None:
    x = np.zeros(shape)
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w, axis=axis)
    np.testing.assert_array_equal(y.numpy(), f(x, axis=axis))
    assert tape.gradient(y, w).shape == shape
    assert tangent(lambda v: f(v, axis=axis), x, x).shape == y.shape


@pytest.mark.parametrize("f", [np.max, np.min])
def test_extrema_of_empty_arrays(f: Any) -> None:
    with pytest.raises(ValueError, match="zero-size array to reduction operation"):
        gradient(f, np.zeros((0, 3)))
    assert gradient(lambda v: f(v, axis=1), np.zeros((0, 3))).shape == (0, 3)
    with GradientTape() as tape:
        w = tape.watch(np.zeros((0, 3)))
        y = f(w, axis=0, initial=2.0)
    np.testing.assert_array_equal(y.numpy(), [2.0, 2.0, 2.0])
    assert tape.gradient(y, w).shape == (0, 3)


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_mean_of_an_empty_array() -> None:
    assert gradient(np.mean, np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("f", [np.sum, np.prod, np.max, np.var, np.std, np.mean, np.cumprod])
def test_an_axis_that_is_not_there_is_numpys_error(f: Any) -> None:
    with pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds for array of dimension 1"):
        gradient(lambda v: f(v, axis=5), [1.0, 2.0])


def test_a_mask_without_an_initial_value_is_numpys_error() -> None:
    with pytest.raises(ValueError, match="'maximum' does not have an identity"):
        gradient(lambda v: np.max(v, where=[True, False]), [1.0, 2.0])


def test_what_a_mask_leaves_out_may_be_nan() -> None:
    x, mask = [1.0, np.nan, 3.0], [True, False, True]
    np.testing.assert_array_equal(gradient(lambda v: np.sum(v, where=mask) ** 2, x), [8, 0, 8])
    np.testing.assert_array_equal(gradient(lambda v: np.mean(v, where=mask), x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(gradient(lambda v: np.max(v, where=mask, initial=0), x), [0, 0, 1])
    np.testing.assert_array_equal(gradient(lambda v: np.var(v, where=mask), x), [-1, 0, 1])


@pytest.mark.parametrize("f", [np.sum, np.mean, np.prod, np.max, np.var, np.std, np.cumsum, np.cumprod, np.ptp])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_precision_is_kept(f: Any, dtype: Any) -> None:
    x = np.array([1.5, 0.5, 2.0], dtype)
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w)
    assert y.dtype == f(x).dtype
    assert tape.gradient(y, w).dtype == dtype


def test_mean_of_many_halves_has_a_gradient() -> None:
    found = gradient(np.mean, np.ones(70_000, np.float16))
    assert found[0] == pytest.approx(1 / 70_000, rel=1e-2)


# ---- shapes


def test_astype_to_integers_ends_the_derivative() -> None:
    np.testing.assert_array_equal(gradient(lambda v: v * v.astype(int), [1.7, -2.2]), [1, -2])
    np.testing.assert_array_equal(gradient(lambda v: v * (v > 0).astype(float), [1.7, -2.2]), [1, 0])


def test_astype_from_complex_warns_once_as_numpy_does() -> None:
    z = np.array([1 + 2j, 3 - 1j])
    with pytest.warns(np.exceptions.ComplexWarning) as seen:
        np.testing.assert_array_equal(gradient(lambda v: v.astype(float), z), [1, 1])
    assert len(seen) == 1


def test_astype_heeds_casting() -> None:
    with pytest.raises(TypeError, match="according to the rule 'safe'"):
        gradient(lambda v: v.astype(np.float32, casting="safe"), [1.0])
    with pytest.raises(TypeError, match="according to the rule 'same_kind'"):
        gradient(lambda v: np.concatenate([v, v], dtype=int), [1.0])


def test_order_in_memory() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for v in (x, np.asfortranarray(x), x.transpose(1, 2, 0), x[:, ::2], x[..., None], np.array(3.0)):
        with GradientTape() as tape:
            y = np.ravel(tape.watch(v), "K")
        np.testing.assert_array_equal(y.numpy(), np.ravel(v, "K"))
    with pytest.raises(ValueError, match="depends on memory layout"):
        gradient(lambda v: np.reshape(v, (3, 8), order="A"), x)


@pytest.mark.parametrize(
    ("mode", "options"),
    [("mean", {}), ("linear_ramp", {"end_values": 1.0}), ("reflect", {"reflect_type": "odd"}), ("empty", {})],
)
def test_modes_of_pad_that_are_missing_say_so(mode: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"mode='{mode}'.*not supported for traced values"):
        gradient(lambda v: np.pad(v, 1, mode, **options), [1.0, 2.0])


def test_pad_by_a_dictionary_of_axes() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    try:
        np.pad(x, {-1: (1, 2)})
    except TypeError:
        pytest.skip("this NumPy takes no dictionary")
    for mode in ("constant", "edge"):
        with GradientTape() as tape:
            y = np.pad(tape.watch(x), {-1: (1, 2)}, mode)
        np.testing.assert_array_equal(y.numpy(), np.pad(x, {-1: (1, 2)}, mode))


def test_new_arrays_like_a_traced_one_can_hold_traced_values() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 3), np.float32))
        for made in (np.zeros_like(x), np.ones_like(x), np.empty_like(x), np.full_like(x, np.float64(0.1))):
            made[0] = 2.0 * x[0]
            np.testing.assert_array_equal(made[0].numpy(), 2)
            assert made.dtype == np.float32
            assert made.shape == (2, 3)
        assert type(np.zeros_like(x, int, shape=(4,))) is np.ndarray
    assert type(np.zeros_like(x)) is np.ndarray  # the block is over


def test_joining_keeps_the_derivative_of_each_part() -> None:
    a, b = gradient(lambda a, b: np.concatenate([a, [7.0], b, a]), [1.0, 2.0], [3.0], g=np.arange(6.0))
    np.testing.assert_array_equal(a, [4, 6])
    np.testing.assert_array_equal(b, [3])
