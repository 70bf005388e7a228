"""NumPy's functions of polynomials with the highest power first: ``np.poly1d`` and what computes with it.

NumPy cuts off leading coefficients that happen to be zero. A traced one stays, since it has a derivative all the same: a
fit that starts from zeros would not move otherwise. The polynomial is the same one; only its array is longer.
"""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapeflow.core.batch import each, leading_ones
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.errors import RuleError
from tapeflow.ops.arguments import agreed, as_array

__all__ = [
    "convolve_full",
    "fit_report",
    "least_squares",
    "multiple_roots",
    "poly",
    "polyadd",
    "polyder",
    "polydiv",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "refuse_multiple",
    "roots",
    "trim_zeros",
    "vander",
]


def _as_given(y: Any, *args: Any) -> Any:
    """A `poly1d` if one was given."""
    return np.poly1d(y) if any(isinstance(a, np.poly1d) for a in args) else y


def _series(p: Any) -> Any:
    """Coefficients along at least one axis."""
    return np.atleast_1d(as_array(p))


# ---- arithmetic


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Sum of two polynomials."""
    c1, c2 = _same_length(_series(a1), _series(a2))
    return _as_given(c1 + c2, a1, a2)


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Difference of two polynomials."""
    c1, c2 = _same_length(_series(a1), _series(a2))
    return _as_given(c1 - c2, a1, a2)


def _same_length(c1: Any, c2: Any) -> tuple[Any, Any]:
    n = max(len(c1), len(c2))
    return _zeros_before(c1, n - len(c1)), _zeros_before(c2, n - len(c2))


def _zeros_before(c: Any, n: int) -> Any:
    return np.concatenate((np.zeros(n, c.dtype), c)) if n else c


def _reversed_product(xp: Any, g: Any, x: Any, n: int) -> Any:
    """Transpose of the product with a polynomial: the same with its coefficients reversed, of which a part is kept."""
    k = x.shape[0] - 1
    return convolve_full(g, xp.flip(x))[k : k + n]


convolve_full: Primitive = general(
    "convolve_full",
    np.convolve,
    (lambda xp, t, x1: convolve_full(t, x1), lambda xp, t, x0: convolve_full(x0, t)),
    (
        lambda xp, g, x1, shape0: _reversed_product(xp, g, x1, shape0[0]),
        lambda xp, g, x0, shape1: _reversed_product(xp, g, x0, shape1[0]),
    ),
    batch=each,
)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Product of two polynomials."""
    c1, c2 = _series(a1), _series(a2)
    if max(c1.ndim, c2.ndim) > 1:
        raise ValueError("Polynomial must be 1d only.")
    return _as_given(convolve_full(c1, c2), a1, a2)


# Rounding decides where NumPy's remainder begins, so inside a batch its length may differ.
_length_of_rest = Primitive(
    "length_of_remainder", lambda u, v: np.intp(len(np.polydiv(u, v)[1])), reason="integer valued", batch=each
)


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder, by long division."""
    c1, c2 = _series(u) + 0.0, _series(v) + 0.0
    m, n = len(c1) - 1, len(c2) - 1
    dtype = np.result_type(c1.dtype, c2.dtype)
    scale = 1.0 / c2[0]
    q, r = [], c1.astype(dtype)
    for k in range(m - n + 1):
        q.append(scale * r[k])
        r = np.concatenate((r[:k], r[k : k + n + 1] - q[-1] * c2, r[k + n + 1 :]))
    quotient = np.stack(q) if q else np.zeros(1, dtype)
    length = max(int(agreed(_length_of_rest(plain(c1), plain(c2)))), min(n, m + 1))
    return _as_given(quotient, u, v), _as_given(r[len(r) - length :], u, v)


# ---- powers


def _powers_jvp(xp: Any, t: Any, y: Any, *, n: int) -> Any:
    slopes = y[:, :-1] * xp.arange(1, n).astype(y.dtype)
    return xp.concatenate((xp.zeros_like(y[:, :1]), t[:, None] * slopes), axis=1)


def _powers_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    (x,) = values
    return np.reshape(primitive(np.ravel(x), **params), (*x.shape, params["n"]))


_powers: Primitive = general(
    "vander",
    lambda x, *, n: np.vander(x, n, increasing=True).astype(x.dtype, copy=False),
    _powers_jvp,
    lambda xp, g, y, *, n: (g[:, 1:] * y[:, :-1]) @ xp.arange(1, n).astype(y.dtype),
    batch=_powers_batch,
)


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Powers of points, a row each."""
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    v = _powers(x.astype(np.promote_types(x.dtype, int), copy=False), n=len(x) if N is None else int(N))
    return v if increasing else np.flip(v, 1)


# ---- values, derivatives, integrals


def _polyval_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """Horner's rule, with coefficients that differ from element to element."""
    c, x = values
    if not batched[0]:
        return primitive(c, x)
    x = x if batched[1] else x[None]
    y = np.zeros_like(x)
    for k in range(c.shape[1]):
        y = y * x + leading_ones(c[:, k], x.ndim - 1)
    return y


_polyval = general(
    "polyval",
    np.polyval,
    (
        lambda xp, t, x1: xp.polyval(t, x1),
        lambda xp, t, x0, x1: t * xp.polyval(xp.polyder(x0), x1),
    ),
    (
        lambda xp, g, x1, shape0: xp.flip(xp.ravel(g) @ _powers(xp.ravel(x1), n=shape0[0])),
        lambda xp, g, x0, x1: g * xp.polyval(xp.polyder(x0), x1),
    ),
    batch=_polyval_batch,
)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Values at points; a polynomial in place of points is put into the other."""
    c = as_array(p)
    composed = isinstance(x, np.poly1d)
    x = x if composed else as_array(x)
    if c.ndim == 1 and not composed:
        return _polyval(c, x if x.dtype.kind in "fc" else x.astype(np.result_type(x.dtype, c.dtype)))
    y = 0 if composed else np.zeros_like(x)
    for k in range(len(c)):
        y = y * x + c[k]
    return y


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    """Coefficients of a derivative."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    c = as_array(p)
    for _ in range(m):
        c = c[:-1] * np.arange(len(c) - 1, 0, -1)
    return _as_given(c, p)


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """Coefficients of an antiderivative, with constants of integration, which may be traced."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else _series(k)
    if len(constants) == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    c = as_array(p)
    for i in range(m):
        c = np.concatenate((c / np.arange(len(c), 0, -1), constants[i : i + 1]))
    return _as_given(c, p)


# ---- polynomials from their zeros

# The cofactors of x*I - A are the polynomial in x whose coefficients are B[0] = I, B[k] = A B[k-1] + c[k] I (Faddeev,
# Leverrier), and the derivative of a determinant is the trace of cofactors times the change, for equal eigenvalues too.


def _cofactors(xp: Any, x: Any, y: Any) -> Any:
    """Coefficients of the transposed cofactors, highest power first."""
    one = xp.eye(x.shape[0], dtype=x.dtype)
    b = [one]
    for k in range(1, x.shape[0]):
        b.append(x @ b[-1] + y[k] * one)
    return xp.swapaxes(xp.stack(b), 1, 2)


def _characteristic_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    change = -xp.sum(_cofactors(xp, x, y) * t, axis=(1, 2))
    return xp.concatenate((xp.zeros_like(change[:1]), change))


_characteristic = general(
    "characteristic",
    lambda x: np.poly(x).astype(x.dtype),
    _characteristic_jvp,
    lambda xp, g, x, y: -xp.tensordot(g[1:], _cofactors(xp, x, y), 1),
    batch=each,
)


_is_real = Primitive(
    "has_real_polynomial", lambda x: np.bool_(np.poly(x).dtype.kind != "c"), reason="a truth value", batch=each
)


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Polynomial with given zeros, or the characteristic polynomial of a matrix."""
    z = _series(seq_of_zeros)
    if z.ndim == 2 and z.shape[0] == z.shape[1] != 0:
        c = _characteristic(z)
        return np.real(c) if c.dtype.kind == "c" and agreed(_is_real(plain(z))) else c
    if z.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if not len(z):
        return 1.0
    z = z.astype(np.mintypecode(z.dtype.char))
    c, zero = np.ones(1, z.dtype), np.zeros(1, z.dtype)
    for k in range(len(z)):
        c = np.concatenate((c, zero)) - z[k] * np.concatenate((zero, c))
    return np.real(c) if c.dtype.kind == "c" and _is_closed(plain(z)) else c


def _is_closed(values: Any) -> bool:
    """Whether with each number there is its conjugate."""
    return bool(agreed(np.all(np.sort(values) == np.sort(np.conjugate(values)))))


# ---- zeros of polynomials: where p(r) = 0, the derivative of r is -dp(r) / p'(r); it needs a simple root


def multiple_roots(slope: Any, bend: Any, size: Any) -> Any:
    """Where a root cannot be told from another one.

    The rounding error of a root is about eps * size / slope, and changes the slope by that times the bend; where this is
    more than a hundredth of the slope, the slope is none.
    """
    eps = float(np.finfo(size.dtype).eps)
    return np.abs(slope) ** 2 <= 100 * eps * size * np.abs(bend)


def refuse_multiple(name: str, reached: Any) -> None:
    """Raise if a cotangent reaches a root that is not simple."""
    if anywhere(reached):
        raise RuleError(
            f"{name}: two roots are equal, or nearly so that rounding leaves no digit of their derivative, and the result "
            "depends on them. Roots are differentiable where they are simple; work with the coefficients instead, or "
            "leave those roots out"
        )


def _multiple(p: Any, r: Any) -> Any:
    slope, bend = (np.polyval(np.polyder(p, m), r) for m in (1, 2))
    return multiple_roots(slope, bend, np.polyval(np.abs(p), np.abs(r)))


def _slope_at_roots(xp: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Slopes at the roots, and where roots are multiple."""
    multiple = _multiple(plain(x), plain(y))
    return xp.where(multiple, 1, xp.polyval(xp.polyder(x), y)), multiple


def _roots_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    slope, multiple = _slope_at_roots(xp, x, y)
    return -xp.polyval(t, y) * xp.where(multiple, math.nan, 1 / slope)


def _roots_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    slope, multiple = _slope_at_roots(xp, x, y)
    refuse_multiple("roots", multiple & (plain(g) != 0))
    return -((g / slope) @ xp.vander(y, x.shape[0]))


_roots = general("roots", np.roots, _roots_jvp, _roots_vjp, refuses=True, batch=each)


@implements(np.roots)
def roots(p: Any) -> Any:
    """Zeros of a polynomial."""
    return _roots(_series(p))


# ---- least squares


def least_squares(a: Any, b: Any, rcond: Any) -> tuple[Any, int, Any]:
    """Solution and rank, as `np.linalg.lstsq` has them, and a matrix with the same singular values.

    By QR for full rank, which never makes a matrix of the number of rows squared; else by the pseudo-inverse, whose
    derivative exists where the rank stays.
    """
    rows, columns = a.shape
    q, r = np.linalg.qr(a) if rows >= columns else (a, a)
    s = np.linalg.svd(plain(r), compute_uv=False)
    found = s > rcond * s[0]
    rank = int(np.sum(found)) if anywhere(~found) else columns  # inside a batch there is no other one for all
    if rank == columns:
        return np.linalg.solve(r, np.conjugate(q.T) @ b), rank, r
    return np.linalg.pinv(a, rcond) @ b, rank, r


def fit_report(a: Any, b: Any, x: Any, rank: int, r: Any, rcond: Any) -> tuple[Any, int, Any, Any]:
    """What a fit tells beside its solution: squared residuals, rank, singular values, and the bound for them."""
    residuals = np.zeros(0, np.abs(plain(b)).dtype)
    if rank == a.shape[1] < a.shape[0]:
        off = np.abs(b - a @ x)
        residuals = np.atleast_1d(np.sum(off * off, axis=0))
    return residuals, rank, np.linalg.svd(r, compute_uv=False), rcond


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """Polynomial of least squared distance from points, with derivatives in the points and in the weights."""
    order = int(deg) + 1
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    _check_points(x, y, deg)
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    lhs, rhs = np.vander(x, order), y
    if w is not None:
        w = as_array(w) + 0.0
        if w.ndim != 1 or w.shape[0] != y.shape[0]:
            raise TypeError("expected a 1-d array for weights, of the same length as y")
        lhs, rhs = lhs * w[:, None], rhs * (w[:, None] if rhs.ndim == 2 else w)
    scale = np.sqrt(np.sum(lhs * lhs, axis=0))
    lhs = lhs / scale
    solution, rank, r = least_squares(lhs, rhs, rcond)
    c = (solution.T / scale).T
    if full:
        return c, *fit_report(lhs, rhs, solution, rank, r, rcond)
    if rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=4)
    if not cov:
        return c
    residuals = fit_report(lhs, rhs, solution, rank, r, rcond)[0]
    return c, _covariance(lhs, scale, residuals, y, cov)


def _check_points(x: Any, y: Any, deg: Any) -> None:
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim not in (1, 2):
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")


def _covariance(lhs: Any, scale: Any, residuals: Any, y: Any, cov: Any) -> Any:
    rows, order = lhs.shape
    base = np.linalg.inv(lhs.T @ lhs) / np.outer(scale, scale)
    if cov == "unscaled":
        factor: Any = 1
    elif rows <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = residuals / (rows - order)
    return base * factor if y.ndim == 1 else base[:, :, None] * factor


# ---- zeros at the ends


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Leave out zeros at the ends of axes."""
    trim = trim.lower()
    if trim not in ("fb", "bf", "b", "f"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim, argname="axis")
    if _called_by_poly1d():
        return filt
    places = np.nonzero(agreed(plain(filt) != 0))
    window = [slice(None)] * filt.ndim
    for k in axes:
        window[k] = slice(0, 0)  # what is left if all are zeros
        if len(places[k]):
            start, stop = int(places[k].min()), int(places[k].max()) + 1
            window[k] = slice(start if "f" in trim else None, stop if "b" in trim else None)
    return filt[tuple(window)]


def _called_by_poly1d() -> bool:
    """Whether `np.poly1d` wants to cut leading coefficients off."""
    frame = sys._getframe(2)
    for _ in range(3):  # the method that dispatches, and whoever may stand between
        if frame.f_back is None or frame.f_code is np.poly1d.__init__.__code__:
            break
        frame = frame.f_back
    return frame.f_code is np.poly1d.__init__.__code__
