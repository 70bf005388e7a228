"""More rows of the table in cases.py: order, nan-functions, sets and statistics. Importing this file adds them.

Data are drawn well apart, so that no difference step exchanges two elements.
"""

import numpy as np
from cases import case, cplx, fixed, real


def apart(*shape, nans=0, imaginary=False):
    """Numbers that differ by 0.3 and more, in random order, some of them nan."""

    def draw(rng):
        n = int(np.prod(shape))
        x = (rng.permutation(n) - n / 2 + 0.1) * 0.4 + rng.uniform(0, 0.1, n)
        x = x + 1j * rng.uniform(-2, 2, n) if imaginary else x
        x[rng.permutation(n)[:nans]] = np.nan
        return x.reshape(shape)

    return draw


VARIES = {"batch": "what is picked or counted depends on plain values"}

# ---- sorting

case(np.sort, None, apart(2, 5))
case(np.sort, lambda x: np.sort(x, axis=0, kind="stable"), apart(4, 3), note="axis-kind")
case(np.sort, lambda x: np.sort(x, axis=None, stable=True), apart(2, 3, 2), note="flat-stable")
case(np.sort, lambda x: np.sort(x, 1, "heapsort"), apart(2, 4, 2), note="middle")
case(np.sort, lambda x: np.sort(x) ** 2, apart(2, 3, imaginary=True), note="complex")
case(np.sort, lambda x: np.sort(x)[:4], apart(6, nans=2), note="nan")
case(np.sort, lambda x: np.sort(np.concatenate([x, x[::-1]])), apart(4), note="ties")
case(np.sort, lambda x: np.sort(x, axis=0), real(0, 3), note="empty")
case(np.sort_complex, None, apart(2, 4, imaginary=True), note="complex")
case(np.sort_complex, None, apart(5), note="real", skip={"dtype": "NumPy converts to double"})
for _kth in (2, [1, -2], np.array([0, 4])):
    case(np.partition, lambda x, k=_kth: np.partition(x, k) ** 2, apart(3, 6))
case(np.partition, lambda x: np.partition(x, 1, axis=0, kind="introselect"), apart(4, 3), note="axis")
case(np.partition, lambda x: np.partition(x, (3, 1), axis=None), apart(2, 4, imaginary=True), note="flat-complex")
case(np.partition, lambda x: np.sort(np.partition(x, 4)[:5]), apart(7, nans=2), note="nan")
case(np.partition, lambda x: np.partition(x, 17), apart(40), note="long")


def _in_place(method):
    """The array after a method has changed it, and what a view of it then shows."""

    def call(x):
        y = x * 1.0
        view = y[1:]
        method(y)
        return y**2, view * 1.0

    return call


case(np.ndarray.sort, _in_place(lambda y: y.sort()), apart(2, 4))
case(np.ndarray.sort, _in_place(lambda y: y.sort(0, kind="stable")), apart(4, 2, imaginary=True), note="axis-complex")
case(np.ndarray.sort, _in_place(lambda y: y[::-1].sort(axis=0)), apart(5), note="through-a-view")
case(np.ndarray.partition, _in_place(lambda y: y.partition([2, 0])), apart(2, 5))
case(np.ndarray.partition, _in_place(lambda y: y.partition(1, axis=0)), apart(4, 2), note="axis")
_indices = np.array([[0, 2, 2], [1, -1, 0]])
case(np.take_along_axis, lambda x: np.take_along_axis(x, _indices, 1), real(2, 3), note="repeated")
case(np.take_along_axis, lambda x: np.take_along_axis(x, _indices, axis=-1), cplx(2, 4), note="complex")
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([3, 0, 3]), None), real(2, 3), note="flat")
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[1, 0, 1]]), 0), real(2, 3), note="axis")
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[[1], [0]]]), 2), real(3, 2, 2), note="broadcast")
case(np.take_along_axis, lambda x: np.take_along_axis(x, _indices[:, :, None], 1), real(1, 3, 4), note="both")
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.argsort(x, 0), 0), apart(4, 2), note="argsort")
_some = np.array([True, False, True])
case(np.compress, lambda x: np.compress(_some, x), real(2, 3), note="flat")
case(np.compress, lambda x: np.compress([0, 1], x, axis=-1), real(2, 3), note="short-axis")
case(np.compress, lambda x: np.compress(x[:, 0] > -5, x, axis=0), cplx(2, 3), note="traced-condition", skip=VARIES)
case(np.compress, lambda x: x.compress([True, False, True], axis=1), real(2, 3), note="method")
case(np.extract, lambda x: np.extract(np.eye(3) > 0, x), real(3, 3))
case(np.extract, lambda x: np.extract(x > 0, x) ** 2, apart(2, 4), note="traced-condition", skip=VARIES)

# ---- quantiles

METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()
SMOOTH = {"interpolated_inverted_cdf", "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased"}
for _f in (np.median, np.nanmedian):
    case(_f, None, apart(5), note="odd")
    case(_f, None, apart(2, 3), note="even")
    case(_f, lambda x, f=_f: f(x, axis=-1), apart(3, 4), note="axis")
    case(_f, lambda x, f=_f: f(x, axis=0, keepdims=True), apart(3, 4), note="keepdims")
    case(_f, lambda x, f=_f: f(x, axis=(0, -1), keepdims=True), apart(3, 2, 4), note="axes-keepdims")
    case(_f, lambda x, f=_f: f(x, axis=(2, 0), overwrite_input=False), apart(3, 2, 2), note="axes")
    case(_f, None, real(), note="0-d")
    case(_f, lambda x, f=_f: f(x**2, axis=1), apart(2, 3), note="square")
case(np.median, lambda x: np.median(x, axis=0) ** 2, apart(4, 2, imaginary=True), note="complex")
case(np.median, lambda x: np.median(x, axis=1)[1:], fixed([[1.0, np.nan, 2.0], [3.0, 0.5, 1.0]]), note="nan")
case(np.nanmedian, lambda x: np.nanmedian(x, axis=1), apart(3, 5, nans=4), note="nan")
case(np.nanmedian, lambda x: np.nanmedian(x, axis=(0, 2), keepdims=True), apart(3, 2, 4, nans=7), note="nan-axes")
case(np.nanmedian, None, apart(3, 3, nans=2), note="nan-flat")
for _f, _q in (
    (np.quantile, 0.37), (np.percentile, 37.0), (np.nanquantile, 0.37), (np.nanpercentile, 37.0),
):  # fmt: skip
    _nans = 3 if _f.__name__.startswith("nan") else 0
    _full = 100.0 if "percent" in _f.__name__ else 1.0
    for _m in METHODS:
        case(_f, lambda x, f=_f, q=_q, m=_m: f(x, q, method=m), apart(2, 4, nans=_nans), note=_m)
        case(
            _f,
            lambda x, f=_f, s=_full, m=_m: f(x, np.array([[0.0, 0.21], [0.63, 1.0]]) * s, axis=1, method=m),
            apart(2, 7, nans=_nans),
            note=f"{_m}-several",
        )
    for _m in METHODS:
        case(
            _f,
            lambda x, q, f=_f, m=_m: f(x, q, 0, method=m),
            apart(5, 2, nans=_nans // 2),
            fixed(np.array([0.23, 0.66]) * _full),
            note=f"{_m}-traced",
        )
    case(
        _f,
        lambda x, f=_f, s=_full: f(x, [0.2 * s, 0.83 * s], (0, -1), None, False, "linear", True),
        apart(3, 2, 3, nans=_nans),
        note="axes-keepdims",
    )
    case(_f, lambda x, f=_f, s=_full: f(x, int(s), keepdims=True), apart(2, 4, nans=_nans), note="whole")
    case(_f, lambda q, f=_f: f(np.arange(7.0) ** 2, q), fixed(0.4 * _full), note="only-q")
    case(_f, lambda x, q, f=_f, s=_full: f(x**2, q**2 / s), apart(6), fixed(0.3 * _full), note="squares")
    _weights = np.array([0.5, 0.0, 2.0, 1.5, 0.3])
    _weighted = {"method": "inverted_cdf", "weights": np.stack([_weights, _weights[::-1]]) if _nans else _weights}
    case(
        _f,
        lambda x, f=_f, q=[0.0, _q, _full], w=_weighted: f(x, q, -1, **w),
        apart(2, 5, nans=_nans),
        note="weights",
        skip=VARIES,
    )
    case(
        _f,
        lambda x, w, f=_f, q=_q: f(x, q, weights=w, method="inverted_cdf", keepdims=True),
        apart(3, 4, nans=_nans),
        real(3, 4, low=0.5),
        note="weights-traced",
        skip=VARIES,
    )

# ---- nan-functions

for _f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin):
    case(_f, None, apart(2, 3), note="no-nan")
    case(_f, None, apart(2, 4, nans=3), note="all")
    case(_f, lambda x, f=_f: f(x, axis=-1), apart(2, 5, nans=3), note="axis")
    case(_f, lambda x, f=_f: f(x, axis=(0, 2), keepdims=True), apart(2, 2, 3, nans=3), note="axes-keepdims")
    case(_f, lambda x, f=_f: f(x, axis=1), apart(2, 4, nans=2, imaginary=True), note="complex")
for _f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd):
    case(
        _f,
        lambda x, f=_f: f(x, axis=0, dtype=np.float64),
        apart(4, 2, nans=2),
        note="dtype",
        skip={"dtype": "converts"},
    )
    case(
        _f,
        lambda x, f=_f: f(x, 0, where=np.array([[True], [False], [True], [True]])),
        apart(4, 2, nans=2),
        note="where",
    )
for _f in (np.nansum, np.nanprod):
    case(_f, lambda x, f=_f: f(x, initial=1.5, where=np.eye(3) == 0), apart(3, 3, nans=2), note="initial-where")
for _f in (np.nanmax, np.nanmin):
    case(_f, lambda x, f=_f: f(x, axis=0, initial=0.11), apart(3, 3, nans=3), note="initial")
    _mask = np.array([[True, False, True], [True, False, False], [True, False, True]])
    case(_f, lambda x, f=_f, m=_mask: f(x, axis=0, initial=0.11, where=m), apart(3, 3, nans=3), note="initial-where")
    case(_f, lambda x, f=_f: f(np.concatenate([x, x]), axis=0), apart(3, 2, nans=1), note="ties")
for _f in (np.nanvar, np.nanstd):
    case(_f, lambda x, f=_f: f(x, axis=0, ddof=1, keepdims=True), apart(5, 2, nans=2), note="ddof")
    case(_f, lambda x, f=_f: f(x, axis=0, correction=0.5), apart(5, 2, nans=2), note="correction")
    case(_f, lambda x, m, f=_f: f(x, axis=0, mean=m), apart(4, 2, nans=2), real(1, 2), note="mean")
for _f in (np.nancumsum, np.nancumprod):
    case(_f, None, apart(2, 3, nans=2), note="flat")
    case(_f, lambda x, f=_f: f(x, axis=1), apart(2, 4, nans=2, imaginary=True), note="axis-complex")
    case(_f, lambda x, f=_f: f(x, 0, np.float64), apart(3, 2, nans=1), note="dtype", skip={"dtype": "converts"})

# ---- sets

_twice = {
    "index": {"return_index": True},
    "all": dict.fromkeys(("return_index", "return_inverse", "return_counts"), True),
}
case(np.unique, None, apart(2, 3), skip=VARIES)
case(np.unique, lambda x: np.unique(np.concatenate([x, x[::-1]])) ** 2, apart(4), note="ties", skip=VARIES)
for _label, _options in _twice.items():
    case(np.unique, lambda x, o=_options: np.unique(np.concatenate([x, x]), **o), apart(4), note=_label, skip=VARIES)
case(
    np.unique,
    lambda x: np.unique(np.stack([x, x]), return_inverse=True, return_counts=True),
    apart(4),
    note="counts",
    skip=VARIES,
)
case(np.unique, lambda x: np.unique(x[[2, 0, 1, 0]], axis=0, return_index=True), apart(3, 2), note="axis", skip=VARIES)
case(
    np.unique,
    lambda x: np.unique(x[:, [1, 0, 1]], axis=-1),
    apart(3, 2, imaginary=True),
    note="axis-complex",
    skip=VARIES,
)
case(np.unique, lambda x: np.unique(x)[:4], apart(6, nans=2), note="nan", skip=VARIES)
case(np.unique, lambda x: np.unique(x, equal_nan=False)[:4], apart(6, nans=2), note="nans-apart", skip=VARIES)
for _f in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
    case(_f, lambda x, f=_f: f(np.concatenate([x, x[:2]])), apart(4), note="ties", skip=VARIES)
    case(_f, None, apart(2, 3), note="apart", skip=VARIES)
case(np.union1d, lambda x, y: np.union1d(x, np.append(y, x[1])), apart(2, 2), apart(3), skip=VARIES)
case(np.intersect1d, lambda x: np.intersect1d(x[:4], x[2:]), apart(6), skip=VARIES)
case(np.intersect1d, lambda x: np.intersect1d(x[1:], x[:4], return_indices=True), apart(5), note="indices", skip=VARIES)
case(np.intersect1d, lambda x: np.intersect1d(x[1:], x[:4], assume_unique=True), apart(5), note="unique", skip=VARIES)
case(np.setdiff1d, lambda x, y: np.setdiff1d(x, np.append(y, x[1])), apart(5), apart(3), skip=VARIES)
case(np.setdiff1d, lambda x: np.setdiff1d(x, x[1], assume_unique=True), apart(5), note="unique", skip=VARIES)
case(np.setxor1d, lambda x: np.setxor1d(x[1:], x[:4]), apart(6), skip=VARIES)
case(np.setxor1d, lambda x: np.setxor1d(x[1:], x[:4], assume_unique=True), apart(6), note="unique", skip=VARIES)

# ---- other lengths

for _label, _obj in (("integer", 1), ("negative", -1), ("end", 3), ("single", [2])):
    case(np.insert, lambda x, v, o=_obj: np.insert(x, o, v), real(3), real(2), note=_label)
    case(np.insert, lambda x, v, o=_obj: np.insert(x, o, v, axis=1), real(2, 3), real(2, 1), note=f"{_label}-axis")
case(np.insert, lambda x, v: np.insert(x, 1, v, axis=1), real(2, 3), real(2), note="row")
case(np.insert, lambda x, v: np.insert(x, 1, v, axis=0), real(2, 3), real(), note="number")
case(np.insert, lambda x, v: np.insert(x, [0, 2, 2], v, axis=0), cplx(3, 2), cplx(3, 2), note="several")
case(np.insert, lambda x, v: np.insert(x, [0, 2], v, axis=-1), real(3, 2), real(3, 1), note="several-broadcast")
case(np.insert, lambda x, v: np.insert(x, slice(0, 4, 2), v), real(2, 2), real(2), note="slice")
case(np.insert, lambda x, v: np.insert(x, slice(1, 2), v), real(4), real(3), note="slice-of-one")
if np.lib.NumpyVersion(np.__version__) >= "2.4.0":  # older ones take a mask for numbers, and warn
    case(np.insert, lambda x, v: np.insert(x, np.array([True, False, True]), v), real(3), real(2), note="mask")
case(np.insert, lambda x: np.insert(x, [], []), real(3), note="nothing")
case(np.insert, lambda x: np.insert(x, 1, 5.0), real(3), note="constant")
case(np.insert, lambda v: np.insert(np.arange(3.0), 1, v), real(2), note="into-constant", skip={"dtype": "double"})
case(np.resize, lambda x: np.resize(x, (2, 4)), real(2, 3), note="longer")
case(np.resize, lambda x: np.resize(x, 3), cplx(2, 3), note="shorter")
case(np.resize, lambda x: np.resize(x, (2, 3)), real(), note="0-d")

# ---- statistics

_half = {"dtype": "NumPy works in double precision"}
_f4 = np.array([1, 3, 2, 1])
case(np.cov, None, real(3, 4))
case(np.cov, None, cplx(3, 5), note="complex")
case(np.cov, None, real(4), note="vector")
case(np.cov, lambda x, y: np.cov(x, y), real(2, 4), real(4), note="two")
case(np.cov, lambda x, y: np.cov(x, y, rowvar=False), real(4, 2), real(4, 1), note="columns")
case(np.cov, lambda x, y: np.cov(x, y, False, True), real(4), real(4), note="vectors-bias")
case(np.cov, lambda x: np.cov(x, ddof=0), real(2, 4), note="ddof")
case(np.cov, lambda x: np.cov(x, ddof=2, fweights=_f4), real(2, 4), note="fweights")
case(np.cov, lambda x, w: np.cov(x, aweights=w), real(2, 4), real(4, low=0.5), note="aweights", skip=_half)
case(np.cov, lambda x, w: np.cov(x, aweights=w, bias=True), cplx(2, 4), real(4, low=0.5), note="aweights-bias")
case(np.cov, lambda x, w: np.cov(x, fweights=_f4, aweights=w), real(2, 4), real(4, low=0.5), note="weights", skip=_half)
case(np.cov, lambda x: np.cov(x, dtype=np.longdouble), real(2, 4), note="dtype", skip={"dtype": "converts"})
case(np.corrcoef, None, real(3, 4))
case(np.corrcoef, None, cplx(3, 5), note="complex")
case(np.corrcoef, lambda x, y: np.corrcoef(x, y, rowvar=False), real(5, 2), real(5, 1), note="columns")
case(np.corrcoef, lambda x, y: np.corrcoef(x, y), real(4), real(4), note="vectors")
case(np.bincount, lambda w: np.bincount([0, 3, 3, 1], w), real(4))
case(np.bincount, lambda w: np.bincount(np.array([0, 3, 3]), weights=w, minlength=7) ** 2, real(3), note="minlength")
_x6 = np.array([0.1, 0.35, 0.4, 0.77, 0.9, 1.3])
case(np.histogram, lambda w: np.histogram(_x6, 4, weights=w), real(6), note="weights")
case(np.histogram, lambda w: np.histogram(_x6, [0.0, 0.3, 0.8, 1.0], weights=w), cplx(6), note="weights-complex")
case(
    np.histogram,
    lambda w: np.histogram(_x6, 3, (0.2, 1.0), True, w),
    real(6, low=0.5),
    note="weights-density",
    skip=_half,
)
case(np.histogram, None, apart(8), note="sample", skip=VARIES)
case(np.histogram, lambda x: np.histogram(x, 4, density=True), apart(9), note="density", skip=VARIES)
case(np.histogram, lambda x: np.histogram(x, "sturges", density=True), apart(9), note="rule", skip=VARIES)
case(np.histogram, lambda x: np.histogram(x, 3, (-1.0, 0.5), density=True), apart(9), note="range", skip=VARIES)
case(
    np.histogram,
    lambda x, e: np.histogram(x, e, density=True),
    apart(9),
    fixed([-2.0, -0.3, 0.4, 1.2]),
    note="edges",
    skip=VARIES,
)
case(
    np.histogram,
    lambda x, w: np.histogram(x, 3, weights=w, density=True),
    apart(3, 3),
    real(3, 3, low=0.5),
    note="both",
    skip=VARIES,
)
for _bins in (5, "fd", [0.0, 1.0, 2.0]):
    case(
        np.histogram_bin_edges, lambda x, b=_bins: np.histogram_bin_edges(x, b), apart(8), note=f"{_bins}", skip=VARIES
    )
case(
    np.histogram_bin_edges,
    lambda e: np.histogram_bin_edges(np.arange(3.0), e),
    fixed([0.2, 0.5, 3.1]),
    note="edges",
    skip=VARIES,
)
case(
    np.histogram_bin_edges,
    lambda x: np.histogram_bin_edges(x, 3, (x[0] - 9.0, 7.0)),
    apart(4),
    note="range",
    skip=VARIES,
)


def _flat(out):
    counts, edges = out
    return (counts, *edges)


_points = np.stack([_x6, _x6[::-1] ** 2, _x6 - 1], axis=1)
case(np.histogramdd, lambda w: _flat(np.histogramdd(_points, 2, weights=w)), real(6), note="weights")
case(
    np.histogramdd,
    lambda w: _flat(np.histogramdd(_points[:, :2], ([0.0, 0.5, 1.0], 3), [None, (0.0, 1.0)], True, w)),
    real(6, low=0.5),
    note="weights-density",
)
case(np.histogramdd, lambda x: _flat(np.histogramdd(x, bins=3)), apart(7, 2), note="sample", skip=VARIES)
case(np.histogramdd, lambda x: _flat(np.histogramdd(x, (2, 3), density=True)), apart(7, 2), note="density", skip=VARIES)
case(np.histogramdd, lambda x: _flat(np.histogramdd(x, 3, density=True)), apart(7), note="vector", skip=VARIES)
case(
    np.histogramdd,
    lambda x, y: _flat(np.histogramdd((x, y), 3, density=True)),
    apart(7),
    apart(7),
    note="list",
    skip=VARIES,
)
case(
    np.histogram2d, lambda x, y: np.histogram2d(x, y, 3, density=True), apart(8), apart(8), note="density", skip=VARIES
)
case(np.histogram2d, lambda w: np.histogram2d(_x6, _x6**2, [0.0, 0.3, 0.7, 2.0], weights=w), real(6), note="weights")
case(
    np.histogram2d,
    lambda x, y, e, w: np.histogram2d(x, y, [4, e], [(-3.0, 3.0), None], True, w),
    apart(8),
    apart(8),
    fixed([-1.5, 0.31, 1.9]),
    real(8, low=0.5),
    note="all",
    skip=VARIES,
)
