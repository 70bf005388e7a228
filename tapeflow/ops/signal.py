"""Signals and sampled functions: convolution, interpolation, differences, and functions given piece by piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.core.batch import aligned, each, leading, shifted, stacked
from tapeflow.core.primitive import Primitive, Traced, implements
from tapeflow.core.rules import general, linear
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops.arguments import agreed, as_array
from tapeflow.ops.indexing import scatter
from tapeflow.ops.sorting import pick, sum_into

__all__ = [
    "choose",
    "convolve",
    "correlate",
    "diff",
    "ediff1d",
    "gradient",
    "i0",
    "interp",
    "nan_to_num",
    "piecewise",
    "real_if_close",
    "select",
    "sinc",
    "trapezoid",
    "unwrap",
]

_NOTHING: Any = np._NoValue


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    """Index of a part of one axis, which is counted from the front."""
    return (*(slice(None),) * axis, part)


# ---- convolution: bilinear, and its transpose in one operand is a correlation with the other


def _convolve_left(xp: Any, g: Any, x1: Any, *, mode: str) -> Any:
    return _convolve(g, xp.flip(x1, -1), mode="valid" if mode == "full" else "full")


def _convolve_right(xp: Any, g: Any, x0: Any, *, mode: str) -> Any:
    if mode == "full":
        return _convolve(g, xp.flip(x0, -1), mode="valid")
    return xp.flip(_convolve(x0, xp.flip(g, -1), mode="valid"), -1)


def _convolve_evaluate(a: Any, v: Any, *, mode: str) -> Any:
    """Convolve sequences, or stacks of them along the last axis by adding up shifted multiples."""
    if a.ndim == v.ndim == 1:
        return np.convolve(a, v, mode)
    n, m = a.shape[-1], v.shape[-1]
    shape = (*np.broadcast_shapes(a.shape[:-1], v.shape[:-1]), n + m - 1)
    full = np.zeros(shape, np.result_type(a, v))
    longer, shorter = (a, v) if n >= m else (v, a)
    for k in range(min(n, m)):
        full[..., k : k + max(n, m)] += longer * shorter[..., k : k + 1]
    return full if mode == "full" else full[..., m - 1 : n]


# In mode "valid" the first operand is the longer one.
_convolve: Primitive = general(
    "convolve",
    _convolve_evaluate,
    (
        lambda xp, t, x1, *, mode: _convolve(t, x1, mode=mode),
        lambda xp, t, x0, *, mode: _convolve(x0, t, mode=mode),
    ),
    (_convolve_left, _convolve_right),
    batch=stacked(1, 1),
)


def _mode(mode: Any) -> str:
    """Name a mode by one of its three names; what others there are, NumPy says."""
    np.correlate([1.0], [1.0], mode)
    return mode if isinstance(mode, str) else ("valid", "same", "full")[mode]


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Convolution of two sequences."""
    a, v = np.atleast_1d(as_array(a), as_array(v))
    for name, x in (("a", a), ("v", v)):
        if x.ndim != 1:
            raise ValueError("object too deep for desired array")
        if x.size == 0:
            raise ValueError(f"{name} cannot be empty")
    if v.size > a.size:
        a, v = v, a
    mode = _mode(mode)
    if mode != "same":
        return _convolve(a, v, mode=mode)
    start = (v.size - 1) // 2
    return _convolve(a, v, mode="full")[start : start + a.size]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Correlation of two sequences, the second conjugated."""
    a, v = as_array(a), as_array(v)
    mode = _mode(mode)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size:
        return np.correlate(np.zeros(a.shape), np.zeros(v.shape), mode)  # an error, in NumPy's words
    v = np.flip(np.conjugate(v) if v.dtype.kind == "c" else v)
    if mode != "same" or v.size <= a.size:
        return convolve(a, v, mode)
    start = a.size // 2  # NumPy exchanges the two and reverses the result, so the middle is rounded the other way
    return _convolve(v, a, mode="full")[start : start + v.size]


# ---- linear interpolation


def _cell(x: Any, xs: Any) -> tuple[Any, Any]:
    """Numbers of the knots to the left and to the right: the cell that begins at a knot, the last one for the last."""
    last = len(xs) - 1
    left = np.clip(np.searchsorted(xs, x, "right") - 1, 0, max(last - 1, 0))
    return left, np.minimum(left + 1, last)


def _at(values: Any, places: Any) -> Any:
    """Elements at places, which inside a batch differ from element to element."""
    return np.reshape(pick(values, np.ravel(places), axis=0), np.shape(places))


def _interp_slope(xp: Any, x: Any, xs: Any, fs: Any) -> Any:
    """Slope of the interpolant: 0 outside, and where two last knots coincide."""
    i, j = _cell(x, xs)
    width = _at(xs, j) - _at(xs, i)
    inside = (x >= xs[0]) & (x <= xs[-1]) & (width != 0)
    return xp.where(inside, (_at(fs, j) - _at(fs, i)) / xp.where(width == 0, 1, width), 0)


def _interp_spread(xp: Any, g: Any, x: Any, xs: Any) -> Any:
    """Transpose of the interpolation as a function of the values at the knots."""
    i, j = _cell(x, xs)
    left = _at(xs, i)
    width = _at(xs, j) - left
    share = xp.where(width == 0, 1, (x - left) / xp.where(width == 0, 1, width))
    share = xp.where(x < xs[0], 0, xp.where(x > xs[-1], 1, share))
    parts, places = (xp.concatenate([xp.ravel(a) for a in two]) for two in ((g * (1 - share), g * share), (i, j)))
    return sum_into(parts, places, axis=0, length=xs.shape[0])


def _interp_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """All points at once where the knots are the same for all."""
    return primitive(*values) if batched == [True, False, False] else each(primitive, values, batched, params)


# Moving a knot by d moves the interpolant as lowering it by slope * d does.
_interp = general(
    "interp",
    np.interp,
    (
        lambda xp, t, x0, x1, x2: t * _interp_slope(xp, x0, x1, x2),
        lambda xp, t, x0, x1, x2: -_interp_slope(xp, x0, x1, x2) * xp.interp(x0, x1, t),
        lambda xp, t, x0, x1: xp.interp(x0, x1, t),
    ),
    (
        lambda xp, g, x0, x1, x2: g * _interp_slope(xp, x0, x1, x2),
        lambda xp, g, x0, x1, x2: _interp_spread(xp, -g * _interp_slope(xp, x0, x1, x2), x0, x1),
        lambda xp, g, x0, x1: _interp_spread(xp, g, x0, x1),
    ),
    batch=_interp_batch,
)


def _double(x: Any) -> Any:
    """NumPy interpolates in double precision."""
    dtype = np.complex128 if np.iscomplexobj(plain(x)) else np.float64
    return x.astype(dtype, copy=False) if isinstance(x, Traced) else np.asarray(x, dtype)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear interpolation; at a knot its derivative is that of the piece to the right."""
    x, knots, fp = _double(x), _double(xp), _double(fp)
    if knots.ndim != 1 or fp.ndim != 1 or knots.shape != fp.shape or not knots.size:
        return np.interp(0.0, np.zeros(knots.shape), np.zeros(fp.shape))  # an error, in NumPy's words
    if period is not None:
        if anywhere(plain(period) == 0):
            raise ValueError("period must be a non-zero value")
        x, knots, fp = _periodic(x, knots, fp, abs(period))
        left = right = None
    y = _interp(x, knots, fp)
    for value, outside in ((left, x < knots[0]), (right, x > knots[-1])):
        if value is not None:
            if np.iscomplexobj(plain(value)) and fp.dtype.kind != "c":
                raise TypeError("must be real number, not complex")
            y = np.where(outside, _double(value), y)
    return y


def _periodic(x: Any, knots: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """Bring all into one period, and add a knot to the left and to the right of it."""
    x, knots = np.remainder(x, period), np.remainder(knots, period)
    order = np.argsort(knots)
    knots, fp = _at(knots, order), _at(fp, order)
    knots = np.concatenate((knots[-1:] - period, knots, knots[:1] + period))
    return x, knots, np.concatenate((fp[-1:], fp, fp[:1]))


# ---- differences and the integral of samples

_diff = linear(
    "diff",
    lambda x, *, axis: np.diff(x, axis=axis),
    lambda xp, g, *, axis: -xp.diff(g, axis=axis, prepend=g.dtype.type(0), append=g.dtype.type(0)),
    batch=shifted(axis="axis"),
)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _NOTHING, append: Any = _NOTHING) -> Any:
    """Differences of neighbours, of any order."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_array(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, a.ndim)
    border = tuple(1 if k == axis else m for k, m in enumerate(a.shape))
    parts = [as_array(p) for p in (prepend, a, append) if p is not _NOTHING]
    if len(parts) > 1:
        a = np.concatenate([p if p.ndim else np.broadcast_to(p, border) for p in parts], axis)
    for _ in range(min(n, a.shape[axis])):
        a = _diff(a, axis=axis)
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in one sequence, with values before and after."""
    ary = np.ravel(as_array(ary))
    parts = [ary[1:] - ary[:-1]]
    for name, value in (("to_begin", to_begin), ("to_end", to_end)):
        if value is None:
            continue
        value = np.ravel(as_array(value))
        if not np.can_cast(value.dtype, ary.dtype, casting="same_kind"):
            raise TypeError(
                f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.",
            )
        parts.insert(0 if name == "to_begin" else len(parts), value.astype(ary.dtype))
    return np.concatenate(parts)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral of samples by the trapezoidal rule."""
    y = as_array(y)
    own = normalize_axis_index(axis, y.ndim)
    width = dx
    if x is not None:
        x = as_array(x)
        width = np.diff(x, axis=0 if x.ndim == 1 else axis)  # of more axes than y, perhaps, so that -1 is another
        if x.ndim == 1:
            width = np.reshape(width, tuple(-1 if k == own else 1 for k in range(y.ndim)))
    means = y[_along(own, slice(1, None))] + y[_along(own, slice(None, -1))]
    return np.sum(width * means / 2.0, axis=axis)


# ---- derivative of a sampled function


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Differences of second order in the interior, of first or second order at the ends; also in the spacing."""
    f = as_array(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    spacings = _spacings(f, varargs, axes)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    f = f if f.dtype.kind in "fc" else f.astype(np.float64)
    slopes = []
    for k, h in zip(axes, spacings, strict=True):
        if f.shape[k] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
                "required."
            )
        slope = (_slope_even if np.ndim(h) == 0 else _slope_uneven)(f, h, k, edge_order)
        slopes.append(slope.astype(f.dtype, copy=False))
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _spacings(f: Any, given: Sequence[Any], axes: tuple[int, ...]) -> list[Any]:
    """For every axis one distance for all, or the distances between neighbours."""
    if not given:
        return [1.0] * len(axes)
    if len(given) == 1 and np.ndim(given[0]) == 0:
        return [given[0]] * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    return [x if np.ndim(x) == 0 else _distances(as_array(x), f.shape[k]) for x, k in zip(given, axes, strict=True)]


def _distances(x: Any, n: int) -> Any:
    if x.ndim != 1:
        raise ValueError("distances must be either scalars or 1d")
    if len(x) != n:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    h = np.diff(x if x.dtype.kind in "fc" else x.astype(np.float64))
    # Equal distances have a shorter formula, but it would lose the derivative of each.
    return h[0] if not isinstance(h, Traced) and np.all(h == h[0]) else h


def _slope_even(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    def at(part: Any) -> Any:
        return f[_along(axis, part)]

    inside = (at(slice(2, None)) - at(slice(None, -2))) / (2.0 * h)
    if edge_order == 1:
        first, last = (at(slice(1, 2)) - at(slice(0, 1))) / h, (at(slice(-1, None)) - at(slice(-2, -1))) / h
    else:
        a, b, c = 1.5 / h, 2.0 / h, 0.5 / h
        first = -a * at(slice(0, 1)) + b * at(slice(1, 2)) - c * at(slice(2, 3))
        last = c * at(slice(-3, -2)) - b * at(slice(-2, -1)) + a * at(slice(-1, None))
    return np.concatenate([first, inside, last], axis)


def _slope_uneven(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    def at(*parts: slice) -> list[Any]:
        return [f[_along(axis, part)] for part in parts]

    def weighted(weights: Any, values: Any) -> Any:
        shape = tuple(-1 if k == axis else 1 for k in range(f.ndim))
        a, b, c = (np.reshape(w, shape) * v for w, v in zip(weights, values, strict=True))
        return a + b + c

    p, q = h[:-1], h[1:]  # before and after an inner point
    middle = -q / (p * (p + q)), (q - p) / (p * q), p / (q * (p + q))
    inside = weighted(middle, at(slice(None, -2), slice(1, -1), slice(2, None)))
    if edge_order == 1:
        f0, f1, f2, f3 = at(slice(0, 1), slice(1, 2), slice(-2, -1), slice(-1, None))
        first, last = (f1 - f0) / h[0], (f3 - f2) / h[-1]
    else:
        p, q = h[:1], h[1:2]
        start = -(2.0 * p + q) / (p * (p + q)), (p + q) / (p * q), -p / (q * (p + q))
        first = weighted(start, at(slice(0, 1), slice(1, 2), slice(2, 3)))
        p, q = h[-2:-1], h[-1:]
        end = q / (p * (p + q)), -(q + p) / (p * q), (2.0 * q + p) / (q * (p + q))
        last = weighted(end, at(slice(-3, -2), slice(-2, -1), slice(-1, None)))
    return np.concatenate([first, inside, last], axis)


# ---- phases: what is added is a multiple of the period, and so constant between jumps

_unwrap = general(
    "unwrap",
    lambda x, *, discont, axis, period: np.unwrap(x, discont, axis, period=period),
    lambda xp, t, **options: t,
    lambda xp, g, **options: g,
    batch=shifted(axis="axis"),
)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    """Phases without jumps between neighbours."""
    p = as_array(p)
    axis, length = normalize_axis_index(axis, p.ndim), agreed(period)
    y = _unwrap(p, discont=agreed(discont), axis=axis, period=length)
    if isinstance(period, Traced):
        turns = np.rint((plain(y) - plain(p)) / length)
        y = y + turns * (period - length)  # type: ignore[operator]
    return y


# ---- special values


def _complex_evaluate(real: Any, imag: Any) -> Any:
    y = np.empty_like(real, dtype=np.result_type(real, 1j))
    y.real, y.imag = real, imag
    return y[()]


# Not real + 1j * imag, in which an infinite part spoils the other.
_complex = linear(
    "complex",
    _complex_evaluate,
    lambda xp, g, i: -xp.imag(g) if i else xp.real(g),
    variadic=True,
    batch=aligned,
)


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Put numbers in place of nan and infinities; the derivative goes to what takes their place."""
    x = as_array(x)
    if x.dtype.kind not in "fc":
        return np.nan_to_num(x, copy)
    part = plain(x).real.dtype
    limits = np.finfo(part)
    instead = [nan, limits.max if posinf is None else posinf, limits.min if neginf is None else neginf]
    instead = [as_array(v).astype(part) for v in instead]
    if x.dtype.kind == "c":
        y = _complex(_finite(np.real(x), *instead), _finite(np.imag(x), *instead))
    else:
        y = _finite(x, *instead)
    if copy:
        return y
    x[...] = y
    return x


def _finite(x: Any, nan: Any, posinf: Any, neginf: Any) -> Any:
    value = plain(x)
    for mask, instead in ((np.isnan(value), nan), (value == math.inf, posinf), (value == -math.inf, neginf)):
        x = np.where(mask, instead, x)
    return x


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Real part, if all imaginary parts are nearly zero."""
    a = as_array(a)
    if a.dtype.kind != "c":
        return a
    bound = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return np.real(a) if agreed(np.all(np.abs(np.imag(plain(a))) < bound)) else a


# ---- functions whose derivatives of all orders form a family


def _sinc_evaluate(x: Any, *, order: int) -> Any:
    """Evaluate a derivative of ``sin(pi x) / (pi x)`` to full precision everywhere, in the precision of x.

    With z = pi x and f(z) = sin(z) / z, which is an integral of cos(z t) over t in [0, 1]: near 0 by the Taylor series of
    f, elsewhere by z f^(n) = sin^(n) - n f^(n-1), which follows from z f = sin by Leibniz' rule and loses digits only for
    z below n / 2.
    """
    if order == 0:
        return np.sinc(x)
    z = np.pi * x
    small = np.abs(z) <= (order + 1) / 2
    far, near = np.where(small, 1, z), np.where(small, z, 0)
    cycle = (np.sin(far), np.cos(far), -np.sin(far), -np.cos(far))
    f = cycle[0] / far
    for n in range(1, order + 1):
        f = (cycle[n % 4] - n * f) / far
    series = np.zeros_like(z)
    for m in range(28 + 2 * order + 2 * (order // 2), order - 1, -2):
        # Horner in near**2, the term z**(m - order) / ((m + 1) (m - order)!) with the sign of (-1)**(m / 2).
        series = series * near * near + (-1) ** (m // 2) / ((m + 1) * math.factorial(m - order))
    series = series * near if order % 2 else series
    return (np.where(small, series, f) * np.pi**order).astype(x.dtype)


_sinc: Primitive = general(
    "sinc",
    _sinc_evaluate,
    lambda xp, t, x, *, order: t * _sinc(x, order=order + 1),
    lambda xp, g, x, *, order: g * _sinc(x, order=order + 1),
    batch=leading,
)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """Normalised sine cardinal, smooth at 0."""
    return _sinc(as_array(x), order=0)


def _bessel_evaluate(x: Any, *, order: int) -> Any:
    """Modified Bessel function of the first kind; NumPy's own for order 0."""
    if order == 0:
        return np.i0(x)[()]
    from scipy import special  # here, for importing it takes longer than all of tapeflow

    return special.iv(order, x.astype(np.float64)).astype(x.dtype)


def _bessel_slope(x: Any, order: int) -> Any:
    """DLMF 10.29.1: sums of positive terms, so without cancellation."""
    above = _bessel(x, order=order + 1)
    return above if order == 0 else 0.5 * (_bessel(x, order=order - 1) + above)


_bessel: Primitive = general(
    "i0",
    _bessel_evaluate,
    lambda xp, t, x, *, order: t * _bessel_slope(x, order),
    lambda xp, g, x, *, order: g * _bessel_slope(x, order),
    batch=leading,
)


@implements(np.i0)
def i0(x: Any) -> Any:
    """Modified Bessel function of order 0."""
    x = as_array(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    return _bessel(x, order=0)


# ---- choices


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Evaluate each function where its condition holds, and nowhere else."""
    x = as_array(x)
    masks = _conditions(x, condlist, len(funclist))
    parts, indices, taken = [], [], np.zeros(x.shape, bool)
    for mask, function in zip(masks[::-1], funclist[::-1], strict=True):  # the last condition that holds counts
        count = int(np.count_nonzero(mask))
        if count == 0:
            continue
        part = as_array(function(x[mask], *args, **kw) if callable(function) else function)
        part = np.broadcast_to(part, (count,))
        fresh = mask & ~taken
        part = part if np.count_nonzero(fresh) == count else part[fresh[mask]]
        parts.append(part.astype(x.dtype, copy=False))
        indices.append(fresh)
        taken = taken | mask
    y = scatter(*parts, indices=tuple(indices), shape=x.shape, dtype=x.dtype)
    # Where all pieces are constant the derivative in x is zero, not missing.
    return y if isinstance(y, Traced) else np.where(True, y, x)


def _conditions(x: Any, given: Any, count: int) -> np.ndarray:
    """Masks for all functions, with that of what no condition holds for."""
    given = [agreed(c) for c in given] if isinstance(given, (list, tuple)) else agreed(given)
    if np.isscalar(given) or (not isinstance(given[0], (list, np.ndarray)) and x.ndim != 0):
        given = [given]
    masks = np.asarray(given, bool)
    if len(masks) == count - 1:
        return np.concatenate([masks, ~np.any(masks, axis=0, keepdims=True)])
    if len(masks) != count:
        raise ValueError(
            f"with {len(masks)} condition(s), either {len(masks)} or {len(masks) + 1} functions are expected"
        )
    return masks


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Choose elements by the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    conditions = [plain(as_array(c)) for c in condlist]
    for i, c in enumerate(conditions):
        if c.dtype != np.bool:
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray")
    *choices, y = _of_one_dtype([*choicelist, default])
    for c, choice in zip(conditions[::-1], choices[::-1], strict=True):
        y = np.where(c, choice, y)
    return y


def _of_one_dtype(values: Sequence[Any]) -> list[Any]:
    """Convert to a common dtype, to which Python's numbers adapt."""
    values = [v if type(v) in (int, float, complex) else as_array(v) for v in values]
    dtype = np.result_type(*(getattr(v, "dtype", v) for v in values))
    return [as_array(v).astype(dtype) for v in values]


@implements(np.choose)
def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """Choose elements from several arrays by their numbers."""
    del out
    number = plain(as_array(a))
    if not np.can_cast(number.dtype, np.intp, "safe"):
        raise TypeError(f"Cannot cast array data from {number.dtype!r} to dtype('int64') according to the rule 'safe'")
    choices = _of_one_dtype(list(choices))
    number = _checked(number, len(choices), mode)
    y = np.broadcast_to(choices[0], np.broadcast_shapes(number.shape, *(c.shape for c in choices)))
    for k, choice in enumerate(choices[1:], 1):
        y = np.where(number == k, choice, y)
    return y


def _checked(number: Any, n: int, mode: str) -> Any:
    """Numbers below n, by whatever `mode` says of others."""
    if not isinstance(number, Traced):
        return np.choose(number, np.arange(n), mode=mode)
    if mode == "wrap":
        return np.remainder(number, n)
    if mode == "raise" and anywhere(np.logical_or(np.less(number, 0), np.greater_equal(number, n))):
        raise ValueError("invalid entry in choice array")
    return np.clip(number, 0, n - 1)


# ---- rounding towards zero, which later NumPys call np.trunc alone

if "fix" in np.__dict__:
    implements(np.__dict__["fix"])(lambda x, out=None: np.trunc(x))
