"""Order statistics, nan-functions, sets and histograms on arguments that hypothesis draws.

The value is NumPy's own, nans and ties included. The derivative is the difference quotient where elements are apart.
"""

from __future__ import annotations

import warnings
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from tapeflow import ForwardAccumulator, GradientTape

METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()
DTYPES = (np.float64, np.float32, np.float16, np.longdouble)
quick = settings(max_examples=25)


def arrays(nans: bool = False, ties: bool = True, min_side: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Small arrays of few different values, or of values apart, with or without nans."""

    @st.composite
    def draw(get: Any) -> np.ndarray:
        shape = get(hnp.array_shapes(min_dims=1, max_dims=3, min_side=min_side, max_side=5))
        n = int(np.prod(shape))
        if ties:
            flat = np.array(get(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), np.float64) / 2
        else:
            flat = (np.array(get(st.permutations(range(n)))) - n / 2) * 0.7 + 0.1
        if nans:
            flat[np.array(get(st.lists(st.booleans(), min_size=n, max_size=n)))] = np.nan
        return flat.reshape(shape).astype(get(st.sampled_from(DTYPES)) if ties else np.float64)

    return draw()


def axes(ndim: int) -> st.SearchStrategy[Any]:
    one = st.integers(-ndim, ndim - 1)
    several = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).map(tuple)
    return st.none() | one | several


def both(f: Any, *args: Any) -> tuple[Any, Any]:
    """What NumPy gives and warns of, and what it gives on a tape."""
    found = []
    for traced in (False, True):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if traced:
                    with GradientTape() as tape:
                        out = f(*tape.watch(args))
                else:
                    out = f(*args)
            except (ValueError, TypeError, IndexError) as error:
                out = error
        out = [out] if not isinstance(out, (tuple, list)) else list(out)
        out = [o.numpy() if hasattr(o, "numpy") else o for o in out]
        found.append((out, {w.category for w in caught}))
    return found[0], found[1]


def check_value(f: Any, *args: Any) -> None:
    (want, warned), (got, warned_traced) = both(f, *args)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        if isinstance(w, Exception):
            assert type(g) is type(w), (g, w)
            continue
        assert not isinstance(g, Exception), g
        assert g.shape == np.shape(w)
        assert g.dtype == w.dtype
        eps = float(np.finfo(w.dtype).eps) if w.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(g, w, rtol=max(8 * eps, 1e-15), atol=8 * eps)
    assert warned_traced == warned


def check_slope(f: Any, *args: np.ndarray) -> None:
    """Forward mode against differences, and reverse mode against forward mode."""
    rng = np.random.default_rng(7)
    t = tuple(rng.normal(size=a.shape) for a in args)
    h = 1e-5
    moved = [f(*(np.where(np.isnan(a), a, a + s * h * d) for a, d in zip(args, t, strict=True))) for s in (1, -1)]
    quotient = (np.asarray(moved[0]) - moved[1]) / (2 * h)
    with ForwardAccumulator(args, t) as acc:
        pushed = np.asarray(acc.jvp(f(*acc.primals), "zero"))
    np.testing.assert_allclose(np.where(np.isnan(quotient), np.nan, pushed), quotient, rtol=1e-6, atol=1e-6)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = f(*x)
    g = np.where(np.isnan(quotient), 0.0, rng.normal(size=quotient.shape))
    pulled = tape.gradient(y, x, g, "zero")
    for p, a in zip(pulled, args, strict=True):
        assert not np.any(p[np.isnan(a)])
    left = np.sum(g * np.where(np.isnan(quotient), 0, pushed))
    right = sum(np.sum(p * d) for p, d in zip(pulled, t, strict=True))
    np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-9)


# ---- sorting


@quick
@given(arrays(nans=True), st.data())
def test_sort_and_partition_are_numpys(x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    kind = data.draw(st.sampled_from([None, "quicksort", "heapsort", "stable"]))
    check_value(lambda v: np.sort(v, axis, kind), x)
    n = x.size if axis is None else x.shape[axis]
    kth = data.draw(st.integers(-n, n - 1) | st.lists(st.integers(0, n - 1), min_size=1, max_size=3))
    check_value(lambda v: np.partition(v, kth, axis), x)
    check_value(np.sort_complex, x)


@quick
@given(arrays(ties=False), st.data())
def test_slopes_of_sort_and_partition(x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    check_slope(lambda v: np.sort(v, axis), x)
    n = x.size if axis is None else x.shape[axis]
    kth = data.draw(st.integers(-n, n - 1))
    check_slope(lambda v: np.partition(v, kth, axis) ** 2, x)


@quick
@given(arrays(), st.data())
def test_take_along_axis_is_numpys(x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = x.shape[axis]
    shape = list(x.shape)
    shape[axis] = data.draw(st.integers(0, 4))
    for k in range(x.ndim):
        if k != axis % x.ndim and data.draw(st.booleans()):
            shape[k] = 1
    indices = data.draw(hnp.arrays(np.intp, tuple(shape), elements=st.integers(-n, n - 1)))
    check_value(lambda v: np.take_along_axis(v, indices, axis), x)
    check_slope(lambda v: np.take_along_axis(v, indices, axis) ** 2, x.astype(np.float64))


# ---- quantiles


@settings(max_examples=100)
@given(arrays(nans=True), st.data())
@pytest.mark.parametrize("nan", [False, True])
def test_quantiles_are_numpys(nan: bool, x: np.ndarray, data: Any) -> None:
    axis = data.draw(axes(x.ndim))
    keepdims = data.draw(st.booleans())
    method = data.draw(st.sampled_from(METHODS))
    percent = data.draw(st.booleans())
    full = 100 if percent else 1
    number = st.floats(0, full) | st.sampled_from([0, full, 0.5 * full, 0.25 * full])
    q = data.draw(number | st.lists(number, min_size=1, max_size=3) | st.just(np.array([[0.25, 1.0]]) * full))
    if nan and isinstance(axis, tuple) and np.ndim(q) == 2:
        q = q[0]  # NumPy puts the axes of such results in the wrong order
    f = getattr(np, ("nan" if nan else "") + ("percentile" if percent else "quantile"))
    check_value(lambda v: f(v, q, axis, method=method, keepdims=keepdims), x)
    g = np.nanmedian if nan else np.median
    check_value(lambda v: g(v, axis, keepdims=keepdims), x)


@quick
@given(arrays(nans=True), st.data())
@pytest.mark.parametrize("nan", [False, True])
def test_weighted_quantiles_are_numpys(nan: bool, x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    weights = data.draw(hnp.arrays(np.float64, x.shape, elements=st.sampled_from([0.5, 1.0, 2.25])))
    q = data.draw(st.floats(0, 1) | st.lists(st.floats(0, 1), min_size=1, max_size=3))
    f = np.nanquantile if nan else np.quantile
    check_value(lambda v: f(v, q, axis, method="inverted_cdf", weights=weights), x)


@settings(max_examples=50)
@given(arrays(ties=False), st.data())
@pytest.mark.parametrize("nan", [False, True])
def test_slopes_of_quantiles(nan: bool, x: np.ndarray, data: Any) -> None:
    axis = data.draw(axes(x.ndim))
    method = data.draw(st.sampled_from(METHODS))
    if nan:
        x = np.where(data.draw(hnp.arrays(np.bool_, x.shape)), np.nan, x)
        x[np.all(np.isnan(x), axis=axis, keepdims=True) & np.ones(x.shape, bool)] = 1.0
        x = x + np.arange(x.size).reshape(x.shape) * 1e-3
    # Places of quantiles are rational numbers of small denominators, where some methods have a kink.
    q = np.array(data.draw(st.lists(st.integers(1, 38), min_size=1, max_size=3))) / 39.17
    f = np.nanquantile if nan else np.quantile
    check_slope(lambda v, p: f(v, p, axis, method=method), x, q)
    check_slope(lambda v: (np.nanmedian if nan else np.median)(v, axis), x)


# ---- nan-functions

NAN_REDUCTIONS = (np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd)


@quick
@given(arrays(nans=True), st.data())
@pytest.mark.parametrize("f", NAN_REDUCTIONS, ids=lambda f: f.__name__)
def test_nan_reductions_are_numpys(f: Any, x: np.ndarray, data: Any) -> None:
    options = {"axis": data.draw(axes(x.ndim)), "keepdims": data.draw(st.booleans())}
    if data.draw(st.booleans()):
        options["where"] = data.draw(hnp.arrays(np.bool_, x.shape))
    if f in (np.nansum, np.nanprod, np.nanmax, np.nanmin) and data.draw(st.booleans()):
        options["initial"] = data.draw(st.sampled_from([-1.0, 0.5, 7.0]))
    if f in (np.nanvar, np.nanstd):
        options["ddof"] = data.draw(st.integers(0, 2))
    check_value(lambda v: f(v, **options), x)


@quick
@given(arrays(ties=False), st.data())
@pytest.mark.parametrize("f", NAN_REDUCTIONS, ids=lambda f: f.__name__)
def test_slopes_of_nan_reductions(f: Any, x: np.ndarray, data: Any) -> None:
    axis = data.draw(axes(x.ndim))
    x = np.where(data.draw(hnp.arrays(np.bool_, x.shape)), np.nan, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if f is np.nanstd:  # where all deviations vanish it has a kink
            check_slope(lambda v: np.where(np.nanvar(v, axis) > 0, f(v, axis), 0.0), x)
        else:
            check_slope(lambda v: f(v, axis), x)


@quick
@given(arrays(nans=True), st.data())
@pytest.mark.parametrize("f", [np.nancumsum, np.nancumprod], ids=lambda f: f.__name__)
def test_nan_accumulations(f: Any, x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    check_value(lambda v: f(v, axis), x)
    check_slope(lambda v: f(v, axis), x.astype(np.float64))


# ---- sets


@quick
@given(arrays(nans=True), arrays(nans=True), st.data())
def test_sets_are_numpys(x: np.ndarray, y: np.ndarray, data: Any) -> None:
    flags = [data.draw(st.booleans()) for _ in range(3)]
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    equal_nan = data.draw(st.booleans())
    check_value(lambda v: np.unique(v, *flags, axis, equal_nan=equal_nan), x)
    y = y.astype(x.dtype) if np.longdouble in (x.dtype, y.dtype) else y  # NumPy warns when it converts a nan
    for f in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d):
        check_value(f, x, y)
    for f in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
        check_value(f, x)


@quick
@given(arrays(), st.data())
def test_insert_is_numpys(x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    n = x.size if axis is None else x.shape[axis]
    obj = data.draw(st.integers(-n, n) | st.lists(st.integers(-n, n), max_size=3) | st.slices(n))
    check_value(lambda v: np.insert(v, obj, 7.5, axis), x)
    check_slope(lambda v: np.insert(v, obj, v.ravel()[0] ** 2, axis), x.astype(np.float64))


# ---- histograms


@quick
@given(arrays(), st.data())
def test_histograms_are_numpys(x: np.ndarray, data: Any) -> None:
    bins = data.draw(st.integers(1, 5) | st.sampled_from(["sqrt", "sturges", [-1.0, -0.5, 0.5, 0.5, 2.0]]))
    range_ = data.draw(st.none() | st.just((-1.0, 1.25)))
    density = data.draw(st.booleans())
    density = density and not isinstance(bins, list)  # of an empty bin the density is 0 / 0
    check_value(lambda v: np.histogram(v, bins, range_, density), x)
    check_value(lambda v: np.histogram_bin_edges(v, bins, range_), x)
    w = data.draw(hnp.arrays(np.float64, x.shape, elements=st.sampled_from([0.5, 1.0, 1.25, 2.0])))
    if not isinstance(bins, str):
        check_value(lambda v, u: np.histogram(v, bins, range_, density, u), x, w)
    if not isinstance(bins, str):
        check_value(lambda v, u: np.histogram2d(v, v**2, bins, density=density, weights=u), x.ravel(), w.ravel())
