"""Order statistics, nan-functions, sets and counts where they are not smooth, and where they refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, Variable

NAN = np.nan


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


# ---- ties follow NumPy's permutation


def test_gradient_of_sort_follows_the_permutation() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0])
    g = np.array([10.0, 20.0, 30.0, 40.0])
    np.testing.assert_array_equal(gradient(lambda v: np.sort(v, kind="stable"), x, g=g), [30, 10, 40, 20])
    t = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(tangent(lambda v: np.sort(v, stable=True), x, t), [2, 4, 1, 3])


@pytest.mark.parametrize("f", [np.median, np.nanmedian, lambda v: np.quantile(v, 0.4), lambda v: np.partition(v, 2)[2]])
def test_weights_of_an_order_statistic_sum_to_one_at_ties(f: Any) -> None:
    g = gradient(f, [3.0, 1.0, 3.0, 3.0, 3.0, 7.0])
    assert np.sum(g) == pytest.approx(1)
    assert np.all(g >= 0)
    assert g[1] == g[5] == 0


def test_partition_is_numpys_also_between_the_given_places() -> None:
    rng = np.random.default_rng(0)
    for n in (50, 700, 3000):
        x = rng.integers(0, 40, n) / 2
        with GradientTape() as tape:
            w = tape.watch(x)
            y = np.partition(w, [n // 3, -2])
        np.testing.assert_array_equal(y.numpy(), np.partition(x, [n // 3, -2]))
        np.testing.assert_array_equal(tape.gradient(y, w, np.ones(n)), np.ones(n))


def test_repeated_indices_add_up() -> None:
    x = np.array([[1.0, 2.0, 3.0]])
    g = gradient(lambda v: np.take_along_axis(v, np.array([[2, -1, 2, 0]]), 1), x, g=np.array([[1.0, 2.0, 4.0, 8.0]]))
    np.testing.assert_array_equal(g, [[8, 0, 7]])


def test_sort_refuses_as_numpy_does() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([2.0, 1.0]))
        with pytest.raises(ValueError, match="order"):
            np.sort(x, order="f")
        with pytest.raises(np.exceptions.AxisError):
            np.sort(x, axis=1)
        with pytest.raises(np.exceptions.AxisError):
            np.sort(x[0])
        with pytest.raises(ValueError, match="out of bounds"):
            np.partition(x, 5)
        with pytest.raises(ValueError, match="same number of dimensions"):
            np.take_along_axis(x, np.array([[0]]), 0)
        with pytest.raises(IndexError, match="integer"):
            np.take_along_axis(x, np.array([0.0]), 0)
        with pytest.raises(ValueError, match="single dimension"):
            np.take_along_axis(x, np.array([[0]]), None)
        with pytest.raises(ValueError, match="1-d"):
            np.compress([[True, False]], x)


def test_functions_without_a_derivative_give_plain_values() -> None:
    x = np.array([3.0, NAN, 1.0, 2.0])
    with GradientTape() as tape:
        w = tape.watch(x)
        v = w[[0, 2, 3]]
        found = (
            np.argwhere(v > 1.5), np.lexsort((v, v)), np.argpartition(v, 1), np.digitize(v, [1.5, 2.5]),
            np.nanargmax(w), np.nanargmin(w), np.isin(v, [1.0, 2.0]),
        )  # fmt: skip
    p = x[[0, 2, 3]]
    expected = (
        np.argwhere(p > 1.5), np.lexsort((p, p)), np.argpartition(p, 1), np.digitize(p, [1.5, 2.5]),
        np.nanargmax(x), np.nanargmin(x), np.isin(p, [1.0, 2.0]),
    )  # fmt: skip
    for got, want in zip(found, expected, strict=True):
        assert type(got) is type(want)
        np.testing.assert_array_equal(got, want)


def test_extract_with_a_traced_condition() -> None:
    np.testing.assert_array_equal(
        gradient(lambda v: np.extract(v, v) ** 2, [0.0, 2.0, 0.0, -1.0], g=np.ones(2)), [0, 4, 0, -2]
    )


# ---- quantiles


def test_a_nan_takes_the_gradient_of_a_median_and_none_of_a_nanmedian() -> None:
    x = np.array([[1.0, NAN, 5.0], [2.0, 4.0, 3.0]])
    for f in (np.median, lambda v, k: np.quantile(v, 0.5, k)):
        np.testing.assert_array_equal(gradient(lambda v, f=f: f(v, 1), x, g=np.ones(2)), [[0, 1, 0], [0, 0, 1]])
    for f in (np.nanmedian, lambda v, k: np.nanquantile(v, 0.5, k)):
        np.testing.assert_array_equal(gradient(lambda v, f=f: f(v, 1), x, g=np.ones(2)), [[0.5, 0, 0.5], [0, 0, 1]])


@pytest.mark.parametrize(
    "f",
    [
        np.nanmedian,
        lambda v, k: np.nanquantile(v, [0.2, 0.5], k),
        lambda v, k: np.nanquantile(v, 0.3, k, weights=np.ones((2, 3)), method="inverted_cdf"),
        np.nanmean,
        np.nanmax,
        np.nanmin,
        np.nanvar,
        np.nanstd,
    ],
)
def test_slices_of_nans_warn_and_have_no_gradient(f: Any) -> None:
    x = np.array([[NAN, NAN, NAN], [1.0, NAN, 4.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = f(x, 1)
    with GradientTape() as tape:
        w = tape.watch(x)
        with pytest.warns(RuntimeWarning, match=r"All-NaN slice|Mean of empty slice|Degrees of freedom"):
            y = f(w, 1)
    np.testing.assert_array_equal(y.numpy(), want)
    g = tape.gradient(y, w, np.ones(want.shape))
    np.testing.assert_array_equal(g[np.isnan(x)], 0)
    assert np.all(np.isfinite(g))


@pytest.mark.parametrize("method", ["inverted_cdf", "closest_observation", "lower", "higher", "nearest", "midpoint"])
def test_steps_have_the_derivative_zero_in_the_quantile(method: str) -> None:
    with GradientTape() as tape:
        q = tape.watch(np.array([0.3, 0.6]))
        y = np.quantile(np.arange(6.0), q, method=method)
    np.testing.assert_array_equal(tape.gradient(y, q, np.ones(2)), [0, 0])
    np.testing.assert_array_equal(tangent(lambda p: np.quantile(np.arange(6.0), p, method=method), [0.3], [1.0]), [0])


def test_weights_of_a_quantile_have_the_derivative_zero() -> None:
    with GradientTape() as tape:
        w = tape.watch(np.array([1.0, 2.0, 1.5]))
        y = np.quantile(np.array([3.0, 1.0, 2.0]), 0.5, weights=w, method="inverted_cdf")
    assert y.numpy() == 2
    np.testing.assert_array_equal(tape.gradient(y, w), [0, 0, 0])


def test_derivative_in_the_quantile_is_the_distance_of_neighbours() -> None:
    x = np.array([5.0, 1.0, 2.0])
    assert gradient(lambda q: np.quantile(x, q), 0.25) == 2 * (2 - 1)
    assert gradient(lambda q: np.percentile(x, q), 75.0) == pytest.approx(0.02 * (5 - 2))
    assert gradient(lambda q: np.quantile(x, q, method="hazen"), 0.01) == 0  # below the smallest


def test_quantiles_refuse_as_numpy_does() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([2.0, 1.0, 3.0]))
        z = tape.watch(np.array([1j, 2.0]))
        with pytest.raises(ValueError, match=r"Quantiles must be in the range \[0, 1\]"):
            np.quantile(x, [0.5, 1.5])
        with pytest.raises(ValueError, match=r"Percentiles must be in the range \[0, 100\]"):
            np.nanpercentile(x, -1)
        with pytest.raises(ValueError, match="Quantiles must be"):
            np.quantile(np.arange(3.0), x)
        with pytest.raises(ValueError, match="not a valid method"):
            np.quantile(x, 0.5, method="best")
        with pytest.raises(TypeError, match="real numbers"):
            np.percentile(z, 50)
        with pytest.raises(ValueError, match="Only method 'inverted_cdf' supports weights"):
            np.quantile(x, 0.5, weights=[1.0, 1.0, 1.0])
        with pytest.raises(ValueError, match="non-negative"):
            np.quantile(x, 0.5, weights=[1.0, -1.0, 1.0], method="inverted_cdf")
        with pytest.raises(TypeError, match="Axis must be specified"):
            np.quantile(x, 0.5, weights=[1.0, 1.0], method="inverted_cdf")
        with pytest.raises(ValueError, match="1d"):
            np.quantile(x, [[[0.5]]])
        with pytest.raises(IndexError, match="undefined"):
            np.quantile(x[:0], 0.5)
        with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
            assert np.isnan(np.nanquantile(x[:0], 0.5).numpy())


def test_overwrite_input_overwrites_nothing() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([3.0, 1.0, 2.0]))
        y = np.median(x, overwrite_input=True) + np.quantile(x, 0.25, overwrite_input=True)
    np.testing.assert_array_equal(x.numpy(), [3, 1, 2])
    np.testing.assert_allclose(tape.gradient(y, x), [0, 0.5, 1.5])


def test_quantiles_in_lists_of_traced_numbers() -> None:
    def f(x: Any, q: Any) -> Any:
        return np.quantile(x, [q, 0.5])

    g, h = gradient(f, [0.0, 1.0, 4.0], 0.75, g=np.array([1.0, 1.0]))
    np.testing.assert_allclose(g, [0, 1.5, 0.5])
    assert h == 6


def test_infinities_interpolate_as_in_numpy() -> None:
    x = np.array([-np.inf, 1.0, 2.0, np.inf])
    with np.errstate(invalid="ignore"), GradientTape() as tape:
        w = tape.watch(x)
        y = np.median(w), np.quantile(w, [0.4, 0.9]), np.nanmedian(w)
        want = np.median(x), np.quantile(x, [0.4, 0.9]), np.nanmedian(x)
    for got, value in zip(y, want, strict=True):
        np.testing.assert_array_equal(got.numpy(), value)
    np.testing.assert_array_equal(tape.gradient(y[0], w), [0, 0.5, 0.5, 0])


# ---- nan-functions


@pytest.mark.parametrize(("f", "sign"), [(np.nanmax, 1.0), (np.nanmin, -1.0)])
def test_ties_of_nan_extrema_are_split_among_numbers(f: Any, sign: float) -> None:
    x = sign * np.array([NAN, 2.0, 2.0, 1.0])
    np.testing.assert_array_equal(gradient(f, x), [0, 0.5, 0.5, 0])
    assert tangent(f, x, [7.0, 1.0, 2.0, 7.0]) == 1.5
    worst = sign * np.array([NAN, -np.inf, -np.inf])
    np.testing.assert_array_equal(gradient(f, worst), [0, 0.5, 0.5])


def test_nan_extrema_with_initial_and_where() -> None:
    x = np.array([NAN, 2.0, 3.0])
    np.testing.assert_array_equal(gradient(lambda v: np.nanmax(v, initial=5.0), x), [0, 0, 0])
    mask = np.array([True, True, False])
    np.testing.assert_array_equal(gradient(lambda v: np.nanmax(v, initial=0.0, where=mask), x), [0, 1, 0])
    np.testing.assert_array_equal(gradient(lambda b: np.nanmax(x + b, initial=3 * b), 4.0), 3)
    with GradientTape() as tape:
        w = tape.watch(x)
        assert np.nanmin(w[:1], initial=5.0).numpy() == 5
        assert np.nanmin(w[:0], initial=5.0).numpy() == 5
        with pytest.raises(ValueError, match="identity"):
            np.nanmax(w, where=mask)
        with pytest.raises(ValueError, match="zero-size"):
            np.nanmax(w[:0])


def test_nan_moments_of_constants_and_of_few() -> None:
    x = np.array([2.0, NAN, 2.0])
    np.testing.assert_array_equal(gradient(np.nanstd, x), [0, 0, 0])
    with GradientTape() as tape:
        w = tape.watch(x)
        with pytest.raises(TypeError, match="dtype must be inexact"):
            np.nanmean(w, dtype=int)
        with pytest.raises(ValueError, match="ddof and correction"):
            np.nanvar(w, ddof=1, correction=1)


def test_nan_products_with_zeros() -> None:
    np.testing.assert_array_equal(gradient(np.nanprod, [0.0, NAN, 3.0, 5.0]), [15, 0, 0, 0])
    np.testing.assert_array_equal(gradient(np.nancumprod, [0.0, NAN, 3.0], g=np.array([0, 0, 1.0])), [3, 0, 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_precision_stays(dtype: Any) -> None:
    x = np.array([3.0, NAN, 1.0, 2.0], dtype)
    for f in (np.nanmean, np.nanvar, np.nanmedian, np.nanmax, np.nansum, lambda v: np.nanquantile(v, 0.3), np.sort):
        with GradientTape() as tape:
            w = tape.watch(x)
            y = f(w)
        assert y.dtype == f(x).dtype == dtype
        assert tape.gradient(y, w, np.ones_like(y.numpy())).dtype == dtype


# ---- sets


def test_the_first_of_equal_elements_takes_the_gradient() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0, 3.0])
    g = np.array([1.0, 2.0, 4.0])
    for f in (np.unique, lambda v: np.unique_counts(v).values, lambda v: np.union1d(v, v)):
        np.testing.assert_array_equal(gradient(f, x, g=g), [2, 1, 0, 0, 4])
    one, two = gradient(np.union1d, [1.0, 2.0], [2.0, 3.0], g=g)
    np.testing.assert_array_equal(one, [1, 2])
    np.testing.assert_array_equal(two, [0, 4])


def test_common_elements_are_those_of_the_first_array() -> None:
    one, two = gradient(np.intersect1d, [5.0, 1.0, 2.0], [2.0, 3.0, 5.0], g=np.array([1.0, 2.0]))
    np.testing.assert_array_equal(one, [2, 0, 1])
    np.testing.assert_array_equal(two, [0, 0, 0])


def test_unique_results_are_numpys() -> None:
    x = np.array([[2.0, 1.0], [2.0, 1.0], [0.0, NAN]])
    with GradientTape() as tape:
        w = tape.watch(x)
        got = np.unique_all(w)
        rows = np.unique(w, axis=0, return_index=True, return_inverse=True, return_counts=True)
    want = np.unique_all(x)
    assert type(got) is type(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(getattr(a, "numpy", lambda a=a: a)(), b)
    for a, b in zip(rows, np.unique(x, True, True, True, 0), strict=True):
        np.testing.assert_array_equal(getattr(a, "numpy", lambda a=a: a)(), b)


# ---- other lengths


def test_insert_converts_as_numpy_does() -> None:
    with GradientTape() as tape:
        v = tape.watch(np.array([1.7, 2.7]))
        whole = np.insert(np.array([5, 6]), 1, v)
        mixed = np.insert(v, 1, [v[0] * v[1], 3.0])
        with pytest.raises(IndexError, match="out of bounds"):
            np.insert(v, 7, 1.0)
    np.testing.assert_array_equal(whole, [5, 1, 2, 6])
    np.testing.assert_allclose(tape.gradient(mixed, v, np.array([1.0, 1.0, 1.0, 1.0])), [3.7, 2.7])


def test_resized_to_nothing() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.zeros(3))
        assert np.resize(x, (2, 0)).shape == (2, 0)
        assert np.resize(x[:0], (2, 2)).shape == (2, 2)
        with pytest.raises(ValueError, match="non-negative"):
            np.resize(x, (2, -1))


# ---- statistics


def test_covariance_refuses_and_warns_as_numpy_does() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.arange(6.0).reshape(2, 3) ** 2)
        with pytest.raises(TypeError, match="fweights must be integer"):
            np.cov(x, fweights=[0.5, 1.0, 1.0])
        with pytest.raises(ValueError, match="aweights cannot be negative"):
            np.cov(x, aweights=[-1.0, 1.0, 1.0])
        with pytest.raises(RuntimeError, match="incompatible numbers of samples and fweights"):
            np.cov(x, fweights=[1, 1])
        with pytest.raises(RuntimeError, match="multidimensional aweights"):
            np.cov(x, aweights=[[1, 1, 1]])
        with pytest.raises(ValueError, match="ddof must be integer"):
            np.cov(x, ddof=0.5)
        with pytest.raises(ValueError, match="m has more than 2 dimensions"):
            np.cov(x[None])
        with pytest.raises(ValueError, match="y has more than 2 dimensions"):
            np.cov(x, x[None])
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom"):
            assert np.isinf(np.cov(x, ddof=3).numpy()).all()
        assert np.cov(x[:0]).shape == (0, 0)
        assert np.cov(x, dtype=np.float32).dtype == np.float32
        assert np.corrcoef(x[0]).numpy() == 1


def test_covariance_is_differentiated_in_frequencies() -> None:
    x = np.array([[1.0, 2.0, 4.0]])
    f = np.array([2.0, 1.0, 3.0])
    # The variance is (s2 - s1**2 / n) / (n - 1) of the weighted sums, whose slopes in the weights are x**k.
    n, s1, s2 = np.sum(f), np.sum(f * x), np.sum(f * x**2)
    want = (x[0] ** 2 - 2 * s1 * x[0] / n + (s1 / n) ** 2) / (n - 1) - (s2 - s1**2 / n) / (n - 1) ** 2
    np.testing.assert_allclose(gradient(lambda w: np.cov(x, fweights=w), f), want)


def test_correlation_of_a_line_is_at_its_maximum() -> None:
    x = np.array([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]])
    np.testing.assert_allclose(gradient(np.corrcoef, x, g=np.ones((2, 2))), np.zeros((2, 3)), atol=1e-14)


def test_bincount_refuses_as_numpy_does() -> None:
    with GradientTape() as tape:
        w = tape.watch(np.array([1.0, 2.0]))
        z = tape.watch(np.array([1j, 2.0]))
        with pytest.raises(ValueError, match="don't have the same length"):
            np.bincount([0, 1, 1], w)
        with pytest.raises(TypeError, match="Cannot cast"):
            np.bincount([0, 1], z)
        with pytest.raises(TypeError, match="Cannot cast"):
            np.bincount(w)
        with pytest.raises(ValueError, match="negative"):
            np.bincount([-1, 1], w)
        assert np.bincount([0, 2], w).dtype == np.float64


def test_counts_are_plain_and_sums_of_weights_are_constant_in_the_sample() -> None:
    x = np.array([0.1, 0.5, 0.9, 0.95])
    with GradientTape(persistent=True) as tape:
        v = tape.watch(x)
        counts, edges = np.histogram(v, 3, (0.0, 1.0))
        sums, _ = np.histogram(v, 3, (0.0, 1.0), weights=[1.0, 2.0, 3.0, 4.0])
        moving, ends = np.histogram(v, 2, density=True)
    assert type(counts) is np.ndarray
    assert counts.dtype.kind == "i"
    assert type(edges) is np.ndarray
    np.testing.assert_array_equal(sums.numpy(), [1, 2, 7])
    np.testing.assert_array_equal(tape.gradient(sums, v, np.ones(3)), np.zeros(4))
    np.testing.assert_allclose(tape.gradient(ends, v, np.ones(3)), [1.5, 0, 0, 1.5])
    # A density of two equal bins is their share over half of the range.
    slope = np.sum(moving.numpy() / 0.85)
    np.testing.assert_allclose(tape.gradient(moving, v, np.ones(2)), [slope, 0, 0, -slope])


def test_edges_of_a_single_value_and_of_nothing() -> None:
    with GradientTape() as tape:
        v = tape.watch(np.array([2.0, 2.0]))
        _, edges = np.histogram(v, 2)
        assert np.histogram_bin_edges(v[:0], 2).tolist() == [0, 0.5, 1]
    np.testing.assert_array_equal(edges.numpy(), [1.5, 2, 2.5])
    np.testing.assert_array_equal(tape.gradient(edges, v, np.ones(3)), [1.5, 1.5])


def test_histograms_take_lists_of_traced_numbers() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.histogram(np.array([0.2, 0.4, 0.8]) + 0 * a, [0.0, a, b], density=True, weights=[a, b, 1.0])[0]

    def written_out(a: float, b: float) -> np.ndarray:
        return np.array([(a + b) / a, 1 / (b - a)]) / (a + b + 1)

    a, b, h = 0.5, 1.5, 1e-6
    np.testing.assert_allclose(f(a, b), written_out(a, b))
    g = gradient(f, a, b, g=np.array([1.0, 2.0]))
    for k, step in enumerate(np.eye(2) * h):
        moved = written_out(a + step[0], b + step[1]) - written_out(a - step[0], b - step[1])
        assert g[k] == pytest.approx(moved @ [1, 2] / (2 * h), rel=1e-6)


def test_histograms_refuse_as_numpy_does() -> None:
    with GradientTape() as tape:
        v = tape.watch(np.array([0.5, NAN]))
        w = tape.watch(np.ones(3))
        with pytest.raises(ValueError, match="not finite"):
            np.histogram(v, 2)
        with pytest.raises(ValueError, match="same shape"):
            np.histogram(v, 2, (0, 1), weights=w)
        with pytest.raises(ValueError, match="same length"):
            np.histogram2d(v, w)
        with pytest.raises(ValueError, match="dimension of bins"):
            np.histogramdd(np.stack([w, w], 1), [2, 2, 2])
        with pytest.raises(TypeError, match="weighted data"):
            np.histogram(np.arange(3.0), "auto", weights=w)
        np.testing.assert_array_equal(np.histogram(v, 2, (0.0, 1.0))[0], [0, 1])


# ---- other recorders


def test_variables_and_nesting() -> None:
    v = Variable(np.array([3.0, 1.0, NAN, 2.0]))
    with GradientTape() as tape:
        y = np.nanmedian(v) * np.nansum(np.sort(v)) + np.histogram(np.arange(4.0), 2, weights=v)[0][0]
    np.testing.assert_allclose(tape.gradient(y, v), [2 + 1, 2 + 1, 0, 2 + 6])

    def f(x: Any) -> Any:
        return np.median(x) * np.max(np.sort(x)[:2])

    with ForwardAccumulator(np.array([3.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0])) as acc:
        with GradientTape() as tape:
            x = tape.watch(acc.primals)
            y = f(x)
        g = tape.gradient(y, x)
    np.testing.assert_array_equal(acc.jvp(g), [0, 0, 2])
