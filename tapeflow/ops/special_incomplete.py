"""The incomplete gamma and beta functions: derivatives in the variable, and in the shape parameters by quadrature.

The derivative of a distribution function P(x) in a shape parameter is the integral of the density's logarithmic slope,
log(t) - psi(a) for the gamma distribution, over t < x. Over all t that gives zero, and the slope changes its sign once: the
integral is taken over the side of x on which its sign is constant, so nothing cancels. It is scaled to its width and
evaluated by the double-exponential rule for half-infinite intervals (Takahasi and Mori 1974), which copes with
singularities at the end; for small x there is a power series. Against mpmath, over parameters from 1e-3 to 1e3, relative
errors stay below 2e-11; they are 1e-15 in the median.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeflow.ops.special_common import (
    BERNOULLI,
    HYPERGEOMETRIC_RADIUS,
    declare,
    horner,
    psi_gain,
    sf,
    special,
    weighted_sum,
)

__all__ = ["beta_density", "beta_shape", "beta_weight", "gamma_density", "gamma_shape"]

ROOT_TWO_PI = math.sqrt(2 * math.pi)

# ---- densities: logarithms of gamma cancel where the parameters are large; a saddle-point form does not (Loader 2000)


def _excess(xp: Any, u: Any, ratio: Any) -> Any:
    """U - log(ratio) for ratio = 1 + u."""
    near = xp.abs(u) < HYPERGEOMETRIC_RADIUS
    v, w = xp.where(near, u, 0.0), xp.where(near, 1.0, ratio)
    return xp.where(near, v * v / 2 * sf(xp).hyp2f1(1.0, 2.0, 3.0, -v), u - xp.log(w))


def _stirling_remainder(a: Any) -> Any:
    """What Stirling's formula for log(gamma(a)) leaves, for a of 10 and more (DLMF 5.11.1)."""
    return horner([c / (2 * k * (2 * k - 1)) for k, c in enumerate(BERNOULLI[:8], 1)], 1 / (a * a)) / a


def gamma_density(xp: Any, a: Any, x: Any) -> Any:
    """x**(a-1) exp(-x) / gamma(a)."""
    large = a >= 10
    b, small = xp.where(large, a, 10.0), xp.where(large, 1.0, a)
    positive = x > 0
    ratio = xp.where(large & positive, x, b) / b
    saddle = xp.exp(-b * _excess(xp, ratio - 1, ratio) - _stirling_remainder(b)) / (ROOT_TWO_PI * xp.sqrt(b) * ratio)
    direct = xp.exp(sf(xp).xlogy(small - 1, xp.where(large, 1.0, x)) - x - sf(xp).gammaln(small))
    return xp.where(large, xp.where(positive, saddle, 0.0), direct)


def beta_weight(xp: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """x**a y**b / beta(a, b) for y = 1 - x: both, so that neither end loses digits."""
    large = (a >= 10) & (b >= 10)
    inside = (x > 0) & (y > 0)
    c, d = xp.where(large, a, 10.0), xp.where(large, b, 10.0)
    u, v = xp.where(large & inside, x, 0.5), xp.where(large & inside, y, 0.5)
    n = c + d
    gap = xp.where(u < v, u - c / n, d / n - v)
    exponent = c * _excess(xp, gap * n / c, u * n / c) + d * _excess(xp, -gap * n / d, v * n / d)
    remainder = _stirling_remainder(c) + _stirling_remainder(d) - _stirling_remainder(n)
    saddle = xp.sqrt(c * d / n) / ROOT_TWO_PI * xp.exp(-exponent - remainder)
    c, d, u, v = (xp.where(large, 1.0, z) for z in (a, b, x, y))
    direct = xp.exp(sf(xp).xlogy(c, u) + sf(xp).xlogy(d, v) - sf(xp).betaln(c, d))
    return xp.where(large, xp.where(inside, saddle, 0.0), direct)


def beta_density(xp: Any, a: Any, b: Any, x: Any, y: Any = None) -> Any:
    """x**(a-1) y**(b-1) / beta(a, b) for y = 1 - x."""
    y = 1 - x if y is None else y
    inside = (x > 0) & (y > 0)
    u, v = xp.where(inside, x, 0.5), xp.where(inside, y, 0.5)
    ends = xp.exp(
        sf(xp).xlogy(a - 1, xp.where(inside, 1.0, x))
        + sf(xp).xlogy(b - 1, xp.where(inside, 1.0, y))
        - xp.where(inside, 0.0, sf(xp).betaln(a, b))
    )
    return xp.where(inside, beta_weight(xp, a, b, u, v) / (u * v), ends)


# ---- derivatives in shape parameters

_V = np.arange(-3.7, 8.0, 0.1)
_NODES = np.exp(_V - np.exp(-_V))
_WEIGHTS = 0.1 * _NODES * (1 + np.exp(-_V))


def _quadrature(xp: Any, width: Any, like: Any, integrand: Any) -> Any:
    """Integrate over s > 0 at nodes along a new last axis."""
    return weighted_sum(xp, _NODES, _WEIGHTS, like, lambda node, weight: width * weight * integrand(width * node))


def _column(x: Any) -> Any:
    """Make room for the nodes."""
    return x[..., None] if hasattr(x, "shape") else x


def gamma_shape(xp: Any, a: Any, x: Any) -> Any:
    """Derivative of gammainc in a."""
    inside = (x > 0) & xp.isfinite(x)
    small = inside & (x <= 1)
    x = xp.where(inside, x, 1.0)
    series = _gamma_series(xp, a, xp.where(small, x, 0.5))
    slope = sf(xp).psi(a) - xp.log(x)
    low, high = inside & ~small & (slope > 0), inside & ~small & (slope <= 0)
    below = _gamma_below(xp, xp.where(low, a, 2.0), xp.where(low, x, 1.0), xp.where(low, slope, 0.5))
    above = _gamma_above(xp, xp.where(high, a, 1.0), xp.where(high, x, 2.0), xp.where(high, slope, -0.5))
    tails = xp.where(low, below * x, above) * gamma_density(xp, a, x)
    return -xp.where(inside, xp.where(small, series, tails), 0.0)


def _gamma_series(xp: Any, a: Any, x: Any) -> Any:
    """Minus the derivative, from DLMF 8.7.1, with the pole of psi at a = 0 taken out."""
    term, total, slope = 1.0, 1.0, 0.0
    for n in range(1, 22):
        term = term * -x / n
        total, slope = total + a * term / (a + n), slope + n * term / (a + n) ** 2
    front = xp.exp(a * xp.log(x) - sf(xp).gammaln(a + 1))
    return front * ((sf(xp).psi(a + 1) - xp.log(x)) * total - slope)


def _gamma_below(xp: Any, a: Any, x: Any, slope: Any) -> Any:
    """Over t = x exp(-s)."""
    a, x, slope = (_column(z) for z in (a, x, slope))
    width = 1 / (xp.maximum(a - x, 0.0) + xp.sqrt(a))

    def integrand(s: Any) -> Any:
        return (slope + s) * xp.exp(-a * s - x * xp.expm1(-s))

    return _quadrature(xp, width, slope, integrand)


def _gamma_above(xp: Any, a: Any, x: Any, slope: Any) -> Any:
    """Over t = x + s."""
    a, x, slope = (_column(z) for z in (a, x, slope))
    width = xp.where(a < 1.5, 1.0, x / (xp.maximum(x - a, 0.0) + xp.sqrt(x)))

    def integrand(s: Any) -> Any:
        growth = xp.log1p(s / x)
        return (growth - slope) * xp.exp((a - 1) * growth - s)

    return _quadrature(xp, width, slope, integrand)


def beta_shape(xp: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Derivative of betainc(a, b, x) in a for y = 1 - x; minus the one of (b, a, y, x) is that in b."""
    inside = (x > 0) & (y > 0)
    small = inside & (x * xp.maximum(b, 1.0) <= 0.5)
    rest = inside & ~small
    u = xp.where(small, x, 0.25)
    series = _beta_series(xp, a, xp.where(small, b, 1.0), u)
    u, v = xp.where(rest, x, 0.5), xp.where(rest, y, 0.5)
    tails = _beta_tail(xp, a, b, u, v) * beta_weight(xp, a, b, u, v)
    return -xp.where(small, series, xp.where(rest, tails, 0.0))


def _beta_series(xp: Any, a: Any, b: Any, x: Any) -> Any:
    """Minus the derivative, from DLMF 8.17.7, with the pole of psi at a = 0 taken out."""
    term, total, slope = 1.0, 1.0, 0.0
    for n in range(1, 45):
        term = term * (n - b) * x / n
        total, slope = total + a * term / (a + n), slope + n * term / (a + n) ** 2
    front = xp.exp(a * xp.log(x) - sf(xp).betaln(a, b)) / a
    return front * (-(psi_gain(xp, a + 1, b - 1) + xp.log(x)) * total - slope)


def _beta_tail(xp: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Over t = x exp(-s), or 1 - t = y exp(-s); in units of the weight."""
    slope = -psi_gain(xp, a, b) - xp.log(x)
    low = slope > 0
    p, q = xp.where(low, a, b), xp.where(low, b, a)
    ratio = xp.where(low, x / y, y / x)
    side = xp.where(low, y, x)  # what is left of the weight when the density is multiplied by the moving end
    p, q, ratio, slope, low = (_column(z) for z in (p, q, ratio, slope, low))
    more = xp.where(q > 1, q - 1, 0.0)
    spread = xp.sqrt(xp.where(q > 1, more * ratio * (1 + ratio), 1.0))
    width = 1 / xp.where(q > 1, xp.maximum(p - more * ratio, 0.0) + spread, p)

    def integrand(s: Any) -> Any:
        growth = xp.log1p(-ratio * xp.expm1(-s))
        return xp.where(low, slope + s, growth - slope) * xp.exp(-p * s + (q - 1) * growth)

    return _quadrature(xp, width, slope, integrand) / side


# ---- the functions and their inverses

for _ufunc, _sign in ((special.gammainc, 1), (special.gammaincc, -1)):
    declare(
        _ufunc,
        lambda xp, x0, x1, sign=_sign: sign * gamma_shape(xp, x0, x1),
        lambda xp, x0, x1, sign=_sign: sign * gamma_density(xp, x0, x1),
    )
for _ufunc, _sign in ((special.gammaincinv, 1), (special.gammainccinv, -1)):
    declare(
        _ufunc,
        lambda xp, x0, y: -gamma_shape(xp, x0, y) / gamma_density(xp, x0, y),
        lambda xp, x0, y, sign=_sign: sign / gamma_density(xp, x0, y),
    )
for _ufunc, _sign in ((special.betainc, 1), (special.betaincc, -1)):
    declare(
        _ufunc,
        lambda xp, x0, x1, x2, sign=_sign: sign * beta_shape(xp, x0, x1, x2, 1 - x2),
        lambda xp, x0, x1, x2, sign=_sign: -sign * beta_shape(xp, x1, x0, 1 - x2, x2),
        lambda xp, x0, x1, x2, sign=_sign: sign * beta_density(xp, x0, x1, x2),
    )
for _ufunc, _sign in ((special.betaincinv, 1), (special.betainccinv, -1)):
    declare(
        _ufunc,
        lambda xp, x0, x1, y: -beta_shape(xp, x0, x1, y, 1 - y) / beta_density(xp, x0, x1, y),
        lambda xp, x0, x1, y: beta_shape(xp, x1, x0, 1 - y, y) / beta_density(xp, x0, x1, y),
        lambda xp, x0, x1, y, sign=_sign: sign / beta_density(xp, x0, x1, y),
    )
