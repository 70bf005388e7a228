"""Series of polynomials, lowest degree first: what `numpy.polynomial` computes, for the six bases that it has.

NumPy dispatches almost none of these functions, so `tapeflow.numpy.polynomial` offers them under NumPy's names. Three are
primitives with NumPy's own function as their value: values of a series, values of all basis polynomials, and products.
The derivative of a basis polynomial is a combination of others with constant coefficients, which NumPy gives when it
differentiates a unit vector; that is all that the rules need of a basis.

NumPy cuts off coefficients at the end that happen to be zero. Traced ones stay, since they have derivatives all the same.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.batch import each, leading, leading_ones
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops.arguments import agreed, as_array
from tapeflow.ops.polynomials import fit_report, least_squares, multiple_roots, refuse_multiple

__all__ = ["BASES", "SERIES", "Basis", "value_from_roots"]

# ---- primitives; `basis` is the key in BASES


def _named(basis: str, name: str) -> Callable[..., Any]:
    return getattr(BASES[basis].module, BASES[basis].prefix + name)


def _differentiation(basis: str, n: int, like: Any) -> Any:
    """Matrix that takes n coefficients to those of the derivative."""
    return _named(basis, "der")(np.eye(n)).astype(like.dtype.type(0).real.dtype)


def _derivative(xp: Any, c: Any, basis: str) -> Any:
    return xp.tensordot(_differentiation(basis, c.shape[0], c), c, 1)


def _basis_first(xp: Any, x: Any, n: int, ndim: int, basis: str) -> Any:
    """Values of n basis polynomials along the first of `ndim` axes more than `x` is broadcast to."""
    v = xp.moveaxis(_values_of_basis(x, deg=n - 1, basis=basis), -1, 0)
    return xp.reshape(v, (n, *(1,) * (ndim - x.ndim), *x.shape))


def _value_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    x, c = values
    ndim = c.ndim - 1 - batched[1]
    x = leading_ones(x, ndim) if batched[0] else x
    c = np.moveaxis(c, 0, 1) if batched[1] else np.expand_dims(c, 1)
    return primitive(x, c, **params)


# Points and coefficients, the degree along the first axis; the others are as many as of the points, and broadcast.
_value: Primitive = general(
    "series_value",
    lambda x, c, *, basis: _named(basis, "val")(x, c, tensor=False),
    (
        lambda xp, t, x0, x1, *, basis: t * _value(x0, _derivative(xp, x1, basis), basis=basis),
        lambda xp, t, x0, *, basis: _value(x0, t, basis=basis),
    ),
    (
        lambda xp, g, x0, x1, *, basis: g * _value(x0, _derivative(xp, x1, basis), basis=basis),
        lambda xp, g, x0, shape1, *, basis: g * _basis_first(xp, x0, shape1[0], g.ndim, basis),
    ),
    batch=_value_batch,
)


def _basis_slopes(y: Any, basis: str) -> Any:
    d = _differentiation(basis, y.shape[-1], y)
    return y[..., : d.shape[0]] @ d


_values_of_basis: Primitive = general(
    "series_vander",
    lambda x, *, deg, basis: _named(basis, "vander")(x, deg).reshape((*x.shape, deg + 1)),
    lambda xp, t, y, *, deg, basis: t[..., None] * _basis_slopes(y, basis),
    lambda xp, g, y, *, deg, basis: xp.sum(g * _basis_slopes(y, basis), axis=-1),
    batch=leading,
)


def _product_evaluate(a: Any, b: Any, *, basis: str) -> Any:
    y = np.zeros(len(a) + len(b) - 1, np.result_type(a, b))
    c = _named(basis, "mul")(a, b)  # without zeros at the end
    y[: len(c)] = c
    return y


def _factors(xp: Any, n: int, x: Any, basis: str) -> Any:
    """Products of a series with n basis polynomials, a row each."""
    return xp.stack([_product(e, x, basis=basis) for e in xp.eye(n, dtype=x.dtype)])


_product: Primitive = general(
    "series_product",
    _product_evaluate,
    (
        lambda xp, t, x1, *, basis: _product(t, x1, basis=basis),
        lambda xp, t, x0, *, basis: _product(x0, t, basis=basis),
    ),
    (
        lambda xp, g, x1, shape0, *, basis: _factors(xp, shape0[0], x1, basis) @ g,
        lambda xp, g, x0, shape1, *, basis: _factors(xp, shape1[0], x0, basis) @ g,
    ),
    batch=each,
)


def _multiple(c: Any, r: Any, basis: str) -> Any:
    slope = _derivative(np, c[:, None], basis)
    size = np.abs(_values_of_basis(r, deg=len(c) - 1, basis=basis)) @ np.abs(c)
    slope, bend = (_value(r, d, basis=basis) for d in (slope, _derivative(np, slope, basis)))
    return multiple_roots(slope, bend, size)


def _roots_jvp(xp: Any, t: Any, x: Any, y: Any, *, basis: str) -> Any:
    multiple = _multiple(plain(x), plain(y), basis)
    slope = xp.where(multiple, 1, _value(y, _derivative(xp, x[:, None], basis), basis=basis))
    return -_value(y, t[:, None], basis=basis) * xp.where(multiple, math.nan, 1 / slope)


def _roots_vjp(xp: Any, g: Any, x: Any, y: Any, *, basis: str) -> Any:
    multiple = _multiple(plain(x), plain(y), basis)
    refuse_multiple(BASES[basis].prefix + "roots", multiple & (plain(g) != 0))
    slope = xp.where(multiple, 1, _value(y, _derivative(xp, x[:, None], basis), basis=basis))
    return -((g / slope) @ _values_of_basis(y, deg=x.shape[0] - 1, basis=basis))


# The derivative of a simple root, as in `tapeflow.ops.polynomials`.
_roots = general(
    "series_roots",
    lambda c, *, basis: _named(basis, "roots")(c),
    _roots_jvp,
    _roots_vjp,
    refuses=True,
    batch=each,
)

# ---- coefficients


def _series(c: Any) -> Any:
    """Coefficients as floating point numbers, along at least one axis."""
    c = np.atleast_1d(as_array(c))
    return c if c.dtype.kind in "fc" else c.astype(np.float64)


def _trimmed(c: Any, tolerance: float = 0) -> Any:
    """Without zeros at the end; one coefficient is left."""
    found = np.flatnonzero(agreed(np.abs(plain(c)) > tolerance))
    return c[: found[-1] + 1] if len(found) else c[:1] * 0


def _ones_like(c: Any) -> np.ndarray:
    """A plain array for NumPy's functions where they are asked for a dtype alone."""
    return np.ones(c.shape, c.dtype)


def _line_of(c: Any, axis: int) -> tuple[Any, int]:
    axis = normalize_axis_index(operator.index(axis), c.ndim)
    return np.moveaxis(c, axis, 0), axis


def _count(m: Any, what: str) -> int:
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"The order of {what} must be non-negative")
    return m


def _real_like(matrix: Any, c: Any) -> Any:
    return matrix.astype(c.dtype.type(0).real.dtype)


@dataclass(frozen=True)
class Basis:
    """A basis of polynomials with NumPy's functions for it, for traced points and coefficients.

    Attributes
    ----------
    prefix : str
        What NumPy's names begin with.
    module : module
        NumPy's.
    recurrence : callable
        a, b, c for each n such that the next polynomial is (a x + b) p[n] - c p[n-1].
    """

    prefix: str
    module: ModuleType
    recurrence: Callable[[int], tuple[float, float, float]]

    @property
    def x(self) -> Any:
        """The coefficients of x itself."""
        return getattr(self.module, self.prefix + "x").astype(np.float64)

    # ---- values

    def val(self, x: Any, c: Any, tensor: bool = True) -> Any:
        """Values of a series; a polynomial in place of points is put into it."""
        c = _series(c)
        if isinstance(x, SERIES):
            return self._composed(x, c)
        x = as_array(x)
        if tensor:
            c = np.reshape(c, c.shape + (1,) * x.ndim)
        elif c.ndim - 1 < x.ndim:
            c = np.reshape(c, (c.shape[0], *(1,) * (x.ndim + 1 - c.ndim), *c.shape[1:]))
        return _value(x, c, basis=self.prefix)

    def _composed(self, x: Any, c: Any) -> Any:
        """Clenshaw's rule, on anything that can be multiplied and added."""
        y, last = c[-1] + x * 0, 0
        for n in range(len(c) - 2, -1, -1):
            a, b, _ = self.recurrence(n)
            y, last = c[n] + (a * x + b) * y - self.recurrence(n + 1)[2] * last, y
        return y

    def valnd(self, *args: Any) -> Any:
        """Values of a series in several variables at points."""
        *points, c = args
        points = [as_array(x) for x in points]
        if len({x.shape for x in points}) > 1:
            raise ValueError(f"{', '.join('xyz'[: len(points)])} are incompatible")
        for k, x in enumerate(points):
            c = self.val(x, c, tensor=k == 0)
        return c

    def gridnd(self, *args: Any) -> Any:
        """Values of a series in several variables on the grid of their points."""
        *points, c = args
        for x in points:
            c = self.val(as_array(x), c)
        return c

    def vander(self, x: Any, deg: Any) -> Any:
        """Values of the basis polynomials at points, along the last axis."""
        deg = operator.index(deg)
        if deg < 0:
            raise ValueError("deg must be non-negative")
        return _values_of_basis(_series(x), deg=deg, basis=self.prefix)

    def vandernd(self, *args: Any) -> Any:
        """Values of the products of basis polynomials, one of each variable."""
        *points, deg = args
        if len(deg) != len(points):
            raise ValueError(f"Expected {len(points)} dimensions of degrees, got {len(deg)}")
        v = self.vander(points[0], deg[0])
        for x, d in zip(points[1:], deg[1:], strict=True):
            v = v[..., :, None] * self.vander(x, d)[..., None, :]
            v = np.reshape(v, (*v.shape[:-2], -1))
        return v

    # ---- arithmetic

    def add(self, c1: Any, c2: Any) -> Any:
        """Sum of two series."""
        a, b = _series(c1), _series(c2)
        n = max(len(a), len(b))
        return self._padded(a, n) + self._padded(b, n)

    def sub(self, c1: Any, c2: Any) -> Any:
        """Difference of two series."""
        return self.add(c1, -_series(c2))

    @staticmethod
    def _padded(c: Any, n: int) -> Any:
        return np.concatenate((c, np.zeros(n - len(c), c.dtype))) if n > len(c) else c

    def mul(self, c1: Any, c2: Any) -> Any:
        """Product of two series."""
        return _product(_series(c1), _series(c2), basis=self.prefix)

    def mulx(self, c: Any) -> Any:
        """Product with x."""
        c = _series(c)
        return self.mul(c, self.x.astype(c.dtype))

    def div(self, c1: Any, c2: Any) -> tuple[Any, Any]:
        """Quotient and remainder."""
        rest, divisor = _series(c1), _trimmed(_series(c2))
        if anywhere(plain(divisor[-1]) == 0):
            raise ZeroDivisionError("the series to divide by is zero")
        dtypes = [y.dtype for y in _named(self.prefix, "div")(_ones_like(rest), _ones_like(divisor))]
        quotient = []
        for k in range(len(rest) - len(divisor), -1, -1):
            p = _product(np.eye(k + 1)[k].astype(divisor.dtype), divisor, basis=self.prefix)
            quotient.append(rest[-1] / p[-1])
            rest = rest[:-1] - quotient[-1] * p[:-1]
        whole = np.stack(quotient[::-1]) if quotient else rest[:1] * 0
        rest = rest if len(rest) else divisor[:1] * 0
        return whole.astype(dtypes[0]), rest.astype(dtypes[1])

    def pow(self, c: Any, pow: Any, maxpower: Any = 16) -> Any:
        """Power of a series."""
        power = int(pow)
        if power != pow or power < 0:
            raise ValueError("Power must be a non-negative integer.")
        if maxpower is not None and power > maxpower:
            raise ValueError("Power is too large")
        c = _series(c)
        y = c if power else np.ones(1, c.dtype)
        for _ in range(power - 1):
            y = self.mul(y, c)
        return y

    def trim(self, c: Any, tol: float = 0) -> Any:
        """Without small coefficients at the end."""
        if tol < 0:
            raise ValueError("tol must be non-negative")
        return _trimmed(_series(c), tol)

    def der(self, c: Any, m: Any = 1, scl: Any = 1, axis: Any = 0) -> Any:
        """Derivative of a series."""
        m = _count(m, "derivation")
        c, axis = _line_of(_series(c), axis)
        if m:
            d = _named(self.prefix, "der")(np.eye(len(c)), m)
            c = (np.tensordot(_real_like(d, c), c, 1) * scl**m).astype(c.dtype, casting="same_kind")
        return np.moveaxis(c, 0, axis)

    def integ(self, c: Any, m: Any = 1, k: Any = (), lbnd: Any = 0, scl: Any = 1, axis: Any = 0) -> Any:
        """Integral of a series from a lower bound on, with constants of integration."""
        m = _count(m, "integration")
        constants = list(k) if np.iterable(k) else [k]
        if len(constants) > m:
            raise ValueError("Too many integration constants")
        c, axis = _line_of(_series(c), axis)
        lbnd = lbnd if hasattr(lbnd, "shape") else np.asarray(lbnd).astype(np.result_type(c, lbnd))
        for constant in constants + [0] * (m - len(constants)):
            shift = as_array(constant)
            c = (c * scl).astype(c.dtype, casting="same_kind")
            if len(c) > 1 or agreed(np.any(plain(c) != 0)):
                c = np.tensordot(_real_like(_named(self.prefix, "int")(np.eye(len(c))), c), c, 1)
                shift = shift - self.val(lbnd, c)
            c = np.concatenate((c[:1] + shift.astype(c.dtype, casting="same_kind"), c[1:]))
        return np.moveaxis(c, 0, axis)

    # ---- roots and fits

    def line(self, off: Any, scl: Any) -> Any:
        """Series of a straight line."""
        off, scl = as_array(off), as_array(scl)
        if agreed(plain(scl) == 0):
            return np.stack([off])
        return np.stack([off + float(self.x[0]) * scl, float(self.x[1]) * scl])

    def fromroots(self, roots: Any) -> Any:
        """Series with given roots, multiplied in pairs."""
        roots = _series(roots)
        if not len(roots):
            return np.ones(1)
        factors = [self.line(-r, 1) for r in np.sort(roots)]
        while len(factors) > 1:
            half = len(factors) // 2
            pairs = [self.mul(factors[k], factors[k + half]) for k in range(half)]
            if len(factors) % 2:
                pairs[0] = self.mul(pairs[0], factors[-1])
            factors = pairs
        return factors[0]

    def roots(self, c: Any) -> Any:
        """Roots of a series."""
        return _roots(_series(c), basis=self.prefix)

    def companion(self, c: Any) -> Any:
        """Matrix whose eigenvalues are the roots: affine in the coefficients divided by the last."""
        c = _trimmed(_series(c))
        if len(c) < 2:
            raise ValueError("Series must have maximum degree of at least 1.")
        one, n = np.eye(len(c)), len(c) - 1
        numpys = _named(self.prefix, "companion")
        offset = numpys(one[n])
        parts = np.stack([numpys(one[n] + one[k]) - offset for k in range(n)])
        return _real_like(offset, c) + np.tensordot(c[:-1] / c[-1], _real_like(parts, c), 1)

    def fit(self, x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None) -> Any:
        """Series of least squared distance from points, with derivatives in the points and in the weights."""
        x, y = as_array(x) + 0.0, as_array(y) + 0.0
        degrees = np.arange(deg + 1) if np.ndim(deg) == 0 else np.sort(np.asarray(deg))
        if degrees.dtype.kind not in "iu" or not degrees.size or degrees.ndim > 1 or degrees[0] < 0:
            raise ValueError(f"expected deg to be a non-negative int or a non-empty list of them, got {deg!r}")
        if x.ndim != 1 or y.ndim not in (1, 2) or x.size == 0 or len(x) != len(y):
            raise TypeError(f"expected vectors x and y of the same length, got shapes {x.shape} and {y.shape}")
        lhs, rhs = self.vander(x, degrees[-1])[:, degrees], y
        if w is not None:
            w = as_array(w) + 0.0
            if w.shape != x.shape:
                raise TypeError(f"expected weights of shape {x.shape}, got {w.shape}")
            lhs, rhs = lhs * w[:, None], rhs * (w[:, None] if y.ndim == 2 else w)
        rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
        scale = np.sqrt(np.sum(np.square(np.abs(lhs)), axis=0))
        scale = np.where(plain(scale) == 0, 1, scale)
        lhs = lhs / scale
        solution, rank, r = least_squares(lhs, rhs, rcond)
        c = np.tensordot(np.eye(degrees[-1] + 1)[:, degrees].astype(scale.dtype), (solution.T / scale).T, 1)
        if full:
            return c, list(fit_report(lhs, rhs, solution, rank, r, rcond))
        if rank != len(degrees):
            warnings.warn("The fit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
        return c

    # ---- to and from powers

    def _converted(self, name: str, c: Any) -> Any:
        c = _series(c)
        convert = getattr(self.module, name)
        matrix = np.stack([self._padded(convert(e), len(c)) for e in np.eye(len(c))], axis=1)
        return matrix.astype(convert(_ones_like(c)).real.dtype) @ c

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Ours by NumPy's names."""
        simple = "val vander add sub mul mulx div pow trim der line fromroots roots companion fit".split()
        found: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in simple} | {"int": self.integ}
        for n in "23":
            found |= {f"val{n}d": self.valnd, f"grid{n}d": self.gridnd, f"vander{n}d": self.vandernd}
        found = {self.prefix + name: f for name, f in found.items()}
        for name in (f"poly2{self.prefix}", f"{self.prefix}2poly"):
            found[name] = partial(self._converted, name)
        return found


def value_from_roots(x: Any, r: Any, tensor: bool = True) -> Any:
    """Values of the polynomial with given roots."""
    r, x = _series(r), as_array(x)
    if tensor:
        r = np.reshape(r, r.shape + (1,) * x.ndim)
    elif x.ndim >= r.ndim:
        raise ValueError("x.ndim must be < r.ndim when tensor == False")
    return np.prod(x - r, axis=0)


_P = np.polynomial
SERIES = (_P.Polynomial, _P.Chebyshev, _P.Legendre, _P.Hermite, _P.HermiteE, _P.Laguerre)
BASES: dict[str, Basis] = {
    basis.prefix: basis
    for basis in (
        Basis("poly", _P.polynomial, lambda n: (1, 0, 0)),
        Basis("cheb", _P.chebyshev, lambda n: (2 if n else 1, 0, 1)),
        Basis("leg", _P.legendre, lambda n: ((2 * n + 1) / (n + 1), 0, n / (n + 1))),
        Basis("herm", _P.hermite, lambda n: (2, 0, 2 * n)),
        Basis("herme", _P.hermite_e, lambda n: (1, 0, n)),
        Basis("lag", _P.laguerre, lambda n: (-1 / (n + 1), (2 * n + 1) / (n + 1), n / (n + 1))),
    )
}
# The only ones that NumPy dispatches, and only lately.
for _function, _ours in ((_P.polynomial.polyval2d, "valnd"), (_P.polynomial.polygrid2d, "gridnd")):
    if hasattr(_function, "_implementation"):
        implements(_function)(getattr(BASES["poly"], _ours))
