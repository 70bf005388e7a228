"""Distribution functions of `scipy.special` and their inverses, by their densities.

Derivatives in shape parameters come from the incomplete gamma and beta functions; those in counts are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tapeflow.ops.special import erfcx_bend, erfcx_slope
from tapeflow.ops.special_common import declare, declare_one, no_derivative, sf, special
from tapeflow.ops.special_incomplete import beta_density, beta_shape, beta_weight, gamma_density, gamma_shape

__all__: list[str] = []

ROOT_TWO_PI = math.sqrt(2 * math.pi)

Density = Callable[..., Any]


def _no(name: str, operand: str) -> Any:
    return no_derivative(name, operand, "is not implemented")


def _family(density: Density, slopes: tuple[Density | str, ...], **members: int) -> None:
    """Declare functions of parameters and a variable, and their inverses in the variable.

    `slopes` are the derivatives of a distribution function in its parameters (the name of one stands for a refusal) and
    `density` is the one in the variable. `members` gives each function its sign, doubled for an inverse.
    """
    for name, kind in members.items():
        of_parameter, of_variable = (_value, _value) if abs(kind) == 1 else (_implicit, _reciprocal)
        sign = 1 if kind > 0 else -1
        rules = [_no(name, s) if isinstance(s, str) else of_parameter(s, density, sign) for s in slopes]
        declare(getattr(special, name), *rules, of_variable(density, density, sign))


def _value(slope: Density, density: Density, sign: int) -> Any:
    return lambda xp, xs: sign * slope(xp, *xs)


def _implicit(slope: Density, density: Density, sign: int) -> Any:
    return lambda xp, xs, y: -slope(xp, *xs[:-1], y) / density(xp, *xs[:-1], y)


def _reciprocal(slope: Density, density: Density, sign: int) -> Any:
    return lambda xp, xs, y: sign / density(xp, *xs[:-1], y)


# ---- Student's t, chi-squared, F


def _t_density(xp: Any, df: Any, t: Any) -> Any:
    # The gamma functions of large degrees of freedom cancel: by their ratio's expansion instead (DLMF 5.11.13).
    large = df >= 20
    a = xp.where(large, 0.5 * df, 10.0)
    w = 1 / (a * a)
    ratio = xp.exp((-1 / 8 + w * (1 / 192 + w * (-1 / 640 + w * (17 / 14336 - w * 31 / 18432)))) / a) / ROOT_TWO_PI
    small = xp.where(large, 1.0, df)
    front = xp.where(large, ratio, 1 / (xp.sqrt(small) * sf(xp).beta(0.5, 0.5 * small)))
    return front * xp.exp(-0.5 * (df + 1) * xp.log1p(t * t / df))


def _f_density(xp: Any, n: Any, d: Any, x: Any) -> Any:
    scale = d + n * x
    return beta_density(xp, 0.5 * n, 0.5 * d, n * x / scale) * n * d / (scale * scale)


def _t_shape(xp: Any, df: Any, t: Any) -> Any:
    """From the incomplete beta function of df / (df + t**2), at the parameters df/2 and 1/2."""
    square = t * t
    scale = df + square
    x, y = df / scale, square / scale
    in_a = beta_shape(xp, 0.5 * df, 0.5, x, y)
    return -xp.sign(t) * (0.25 * in_a + 0.5 * beta_weight(xp, 0.5 * df, 0.5, x, y) / df)


def _f_in_n(xp: Any, n: Any, d: Any, x: Any) -> Any:
    u, v = n * x / (d + n * x), d / (d + n * x)
    return 0.5 * beta_shape(xp, 0.5 * n, 0.5 * d, u, v) + beta_weight(xp, 0.5 * n, 0.5 * d, u, v) / n


def _f_in_d(xp: Any, n: Any, d: Any, x: Any) -> Any:
    u, v = n * x / (d + n * x), d / (d + n * x)
    return -0.5 * beta_shape(xp, 0.5 * d, 0.5 * n, v, u) - beta_weight(xp, 0.5 * n, 0.5 * d, u, v) / d


def _chi_density(xp: Any, v: Any, x: Any) -> Any:
    return 0.5 * gamma_density(xp, 0.5 * v, 0.5 * x)


def _chi_shape(xp: Any, v: Any, x: Any) -> Any:
    return 0.5 * gamma_shape(xp, 0.5 * v, 0.5 * x)


_family(_t_density, (_t_shape,), stdtr=1, stdtrit=2)
_family(_chi_density, (_chi_shape,), chdtr=1, chdtrc=-1, chdtri=-2)
_family(_f_density, (_f_in_n, _f_in_d), fdtr=1, fdtrc=-1, fdtri=2)

# ---- gamma, whose rate a is elementary: gdtr(a, b, x) is a function of a x

_family(
    lambda xp, a, b, x: a * gamma_density(xp, b, a * x),
    (
        lambda xp, a, b, x: x * gamma_density(xp, b, a * x),
        lambda xp, a, b, x: gamma_shape(xp, b, a * x),
    ),
    gdtr=1,
    gdtrc=-1,
    gdtrix=2,
)

# ---- inverses in a parameter, by the implicit function theorem

declare(
    special.stdtridf,
    lambda xp, x1, y: 1 / _t_shape(xp, y, x1),
    lambda xp, x1, y: -_t_density(xp, y, x1) / _t_shape(xp, y, x1),
)
declare(
    special.chdtriv,
    lambda xp, x1, y: 1 / _chi_shape(xp, y, x1),
    lambda xp, x1, y: -_chi_density(xp, y, x1) / _chi_shape(xp, y, x1),
)
declare(
    special.fdtridfd,
    lambda xp, x0, x2, y: -_f_in_n(xp, x0, y, x2) / _f_in_d(xp, x0, y, x2),
    lambda xp, x0, x2, y: 1 / _f_in_d(xp, x0, y, x2),
    lambda xp, x0, x2, y: -_f_density(xp, x0, y, x2) / _f_in_d(xp, x0, y, x2),
)
declare(
    special.gdtria,
    lambda xp, x1, x2, y: 1 / (x2 * gamma_density(xp, x1, x2 * y)),
    lambda xp, x1, x2, y: -gamma_shape(xp, x1, x2 * y) / (x2 * gamma_density(xp, x1, x2 * y)),
    lambda xp, x2, y: -y / x2,
)
declare(
    special.gdtrib,
    lambda xp, x0, x2, y: -x2 * gamma_density(xp, y, x0 * x2) / gamma_shape(xp, y, x0 * x2),
    lambda xp, x0, x2, y: 1 / gamma_shape(xp, y, x0 * x2),
    lambda xp, x0, x2, y: -x0 * gamma_density(xp, y, x0 * x2) / gamma_shape(xp, y, x0 * x2),
)
declare(
    special.pdtrik,
    lambda xp, x1, y: -1 / gamma_shape(xp, y + 1, x1),
    lambda xp, x1, y: -gamma_density(xp, y + 1, x1) / gamma_shape(xp, y + 1, x1),
)
if hasattr(special, "btdtria"):
    declare(
        special.btdtria,
        lambda xp, x1, x2, y: 1 / beta_shape(xp, y, x1, x2, 1 - x2),
        lambda xp, x1, x2, y: beta_shape(xp, x1, y, 1 - x2, x2) / beta_shape(xp, y, x1, x2, 1 - x2),
        lambda xp, x1, x2, y: -beta_density(xp, y, x1, x2) / beta_shape(xp, y, x1, x2, 1 - x2),
    )
    declare(
        special.btdtrib,
        lambda xp, x0, x2, y: beta_shape(xp, x0, y, x2, 1 - x2) / beta_shape(xp, y, x0, 1 - x2, x2),
        lambda xp, x0, x2, y: -1 / beta_shape(xp, y, x0, 1 - x2, x2),
        lambda xp, x0, x2, y: beta_density(xp, x0, y, x2) / beta_shape(xp, y, x0, 1 - x2, x2),
    )

# ---- noncentral chi-squared


def _noncentral_density(xp: Any, x: Any, df: Any, nc: Any) -> Any:
    """By a scaled Bessel function of sqrt(nc x), or a hypergeometric one where that is small."""
    far = nc * x > 1
    u, v = xp.where(far, 1.0, x), xp.where(far, 0.0, nc)
    near = _chi_density(xp, df, u) * xp.exp(-0.5 * v) * sf(xp).hyp0f1(0.5 * df, 0.25 * u * v)
    u, v = xp.sqrt(xp.where(far, x, 1.0)), xp.sqrt(xp.where(far, nc, 1.0))
    order = 0.5 * df - 1
    gauss = 0.5 * xp.exp(-0.5 * (u - v) ** 2) * (u / v) ** order * sf(xp).ive(order, u * v)
    return xp.where(far, gauss, near)


def _noncentral_slope(xp: Any, x: Any, df: Any, nc: Any) -> Any:
    """Derivative of chndtr in the noncentrality: minus the density of two degrees more."""
    return -_noncentral_density(xp, x, df + 2.0, nc)


declare(
    special.chndtr,
    lambda xp, x0, x1, x2: _noncentral_density(xp, x0, x1, x2),
    no_derivative("chndtr", "degrees of freedom df"),
    lambda xp, x0, x1, x2: _noncentral_slope(xp, x0, x1, x2),
)
declare(
    special.chndtrix,
    lambda xp, x1, x2, y: 1 / _noncentral_density(xp, y, x1, x2),
    no_derivative("chndtrix", "degrees of freedom df"),
    lambda xp, x1, x2, y: -_noncentral_slope(xp, y, x1, x2) / _noncentral_density(xp, y, x1, x2),
)
declare(
    special.chndtrinc,
    lambda xp, x0, x1, y: -_noncentral_density(xp, x0, x1, y) / _noncentral_slope(xp, x0, x1, y),
    no_derivative("chndtrinc", "degrees of freedom df"),
    lambda xp, x0, x1, y: 1 / _noncentral_slope(xp, x0, x1, y),
)

# ---- binomial, negative binomial, Poisson: in the probability or the mean


def _binomial_density(xp: Any, k: Any, n: Any, p: Any) -> Any:
    whole = xp.floor(k)
    below = whole < n
    return xp.where(below, beta_density(xp, xp.where(below, n - whole, 1.0), whole + 1.0, 1 - p), 0.0)


_family(_binomial_density, ("count k", "count n"), bdtr=-1, bdtrc=1, bdtri=-2)
_family(
    lambda xp, k, n, p: beta_density(xp, n * 1.0, xp.floor(k) + 1.0, p),
    ("count k", "count n"),
    nbdtr=1,
    nbdtrc=-1,
    nbdtri=2,
)
_family(lambda xp, k, m: gamma_density(xp, xp.floor(k) + 1.0, m), ("count k",), pdtr=-1, pdtrc=1, pdtri=-2)

# ---- normal


def _normal_slope(xp: Any, p: Any) -> Any:
    return ROOT_TWO_PI * xp.exp(0.5 * sf(xp).ndtri(p) ** 2)


declare(
    special.nrdtrimn,
    lambda xp, x0, x1: -x1 * _normal_slope(xp, x0),
    lambda xp, x0: -sf(xp).ndtri(x0),
    1,
)
declare(
    special.nrdtrisd,
    lambda xp, x1: -1 / sf(xp).ndtri(x1),
    lambda xp, x1, y: -y / sf(xp).ndtri(x1) * _normal_slope(xp, x1),
    lambda xp, x1: 1 / sf(xp).ndtri(x1),
)
# Owen 1956.
declare(
    special.owens_t,
    lambda xp, x0, x1: -xp.exp(-0.5 * x0 * x0) * sf(xp).erf(x0 * x1 / math.sqrt(2)) / (2 * ROOT_TWO_PI),
    lambda xp, x0, x1: xp.exp(-0.5 * x0 * x0 * (1 + x1 * x1)) / (2 * math.pi * (1 + x1 * x1)),
)

# ---- Kolmogorov


def _kolmogorov_slope(xp: Any, x: Any) -> Any:
    """Term by term, of the theta series on either side of 0.82 (Kolmogorov 1933)."""
    large = x > 0.82
    u, v = xp.where(large, x, 1.0), xp.where(large | (x <= 0), 0.82, x)
    right = sum((-1) ** k * k * k * xp.exp(-2 * k * k * u * u) for k in range(1, 7)) * 8 * u
    odd = [(2 * k - 1) ** 2 * math.pi**2 / 8 for k in range(1, 6)]
    left = sum((1 - 2 * c / (v * v)) * xp.exp(-c / (v * v)) for c in odd) * ROOT_TWO_PI / (v * v)
    return xp.where(large, right, xp.where(x <= 0, 0.0, left))


declare_one(special.kolmogorov, _kolmogorov_slope)
declare_one(special.kolmogi, lambda xp, y: 1 / _kolmogorov_slope(xp, y))

# ---- Tukey's lambda: the inverse of (p**lam - (1-p)**lam) / lam


def _tukey_slope(xp: Any, x: Any, lam: Any, p: Any) -> Any:
    inside = (lam <= 0) | (abs(x) * lam < 1)
    q = sf(xp).tklmbda(-x, lam)  # 1 - p without cancellation
    u, v = xp.where(inside, p, 0.5), xp.where(inside, q, 0.5)
    return xp.where(inside, 1 / (u ** (lam - 1) + v ** (lam - 1)), 0.0)


declare(
    special.tklmbda,
    lambda xp, x0, x1, y: _tukey_slope(xp, x0, x1, y),
    _no("tklmbda", "shape parameter lmbda"),
)

# ---- Voigt's profile, the real part of erfcx(u) / (sigma sqrt(2 pi)) at u = (gamma - i x) / (sigma sqrt(2))


def _voigt_slope(xp: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    """Derivative along gamma, and in the imaginary part that along x."""
    u = (gamma + x * -1j) / (sigma * math.sqrt(2))
    return erfcx_slope(xp, u, sf(xp).erfcx(u)) / (2 * math.sqrt(math.pi) * sigma * sigma)


def _voigt_in_sigma(xp: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    """Sigma times the second derivative along x: the profile solves the heat equation in sigma**2 / 2."""
    u = (gamma + x * -1j) / (sigma * math.sqrt(2))
    return -xp.real(erfcx_bend(xp, u, sf(xp).erfcx(u))) / (2 * ROOT_TWO_PI * sigma * sigma)


declare(
    special.voigt_profile,
    lambda xp, x0, x1, x2: xp.imag(_voigt_slope(xp, x0, x1, x2)),
    lambda xp, x0, x1, x2: _voigt_in_sigma(xp, x0, x1, x2),
    lambda xp, x0, x1, x2: xp.real(_voigt_slope(xp, x0, x1, x2)),
)
