"""The gamma, beta, zeta, error, logistic, entropy and exponential-integral families of `scipy.special`.

Unless a source stands beside it, a derivative is the one in the NIST Digital Library of Mathematical Functions (DLMF):
chapters 5 (gamma), 6 and 7 (exponential integral, error function), 25 (zeta). Rules call
only functions that have rules themselves, so all of them differentiate again.
"""

from __future__ import annotations

import math
from typing import Any

from tapeflow.core.rules import share
from tapeflow.errors import RuleError
from tapeflow.ops.special_common import (
    BERNOULLI,
    HYPERGEOMETRIC_RADIUS,
    declare,
    declare_many,
    declare_one,
    horner,
    inner_ufunc,
    is_complex,
    no_derivative,
    psi_gain,
    ratio_at_zero,
    sf,
    special,
)

__all__ = ["erfcx_bend", "erfcx_slope", "exprel_slope", "log1p_ratio_slope"]

ROOT_PI = math.sqrt(math.pi)
ROOT_TWO = math.sqrt(2.0)
ROOT_TWO_PI = math.sqrt(2 * math.pi)
LN2 = math.log(2.0)
LN10 = math.log(10.0)
DEGREE = math.pi / 180.0

# ---- gamma


def _rgamma_slope(xp: Any, x: Any, y: Any) -> Any:
    # 1/gamma is entire; by reflection there are no poles on the left.
    left = xp.real(x) < 0.5
    u = xp.where(left, 1 - x, 1.0)
    by_reflection = sf(xp).gamma(u) * (xp.cos(math.pi * u) + sf(xp).psi(u) * xp.sin(math.pi * u) / math.pi)
    return xp.where(left, -by_reflection, -y * sf(xp).psi(xp.where(left, 1.0, x)))


def _trigamma(xp: Any, x: Any) -> Any:
    return sf(xp).zeta(2.0, x) if not is_complex(x) else _complex_trigamma(xp, x)


def _complex_trigamma(xp: Any, z: Any) -> Any:
    """Twelve steps of the recurrence, then the asymptotic series; by reflection on the left (DLMF 5.5, 5.15)."""
    left = xp.real(z) < 0.5
    a = xp.where(left, 1 - z, z)
    steps = sum(1 / (a + k) ** 2 for k in range(12))
    w = 1 / (a + 12)
    tail = w + w * w / 2 + w**3 * horner(BERNOULLI[:10], w * w)
    reflected = (math.pi / xp.sin(math.pi * xp.where(left, z, 0.5))) ** 2
    return xp.where(left, reflected - steps - tail, steps + tail)


declare_one(special.gamma, lambda xp, x, y: y * sf(xp).psi(x))
declare_one(special.gammaln, lambda xp, x: sf(xp).psi(x))
declare_one(special.loggamma, lambda xp, x: sf(xp).psi(x))
declare_one(special.rgamma, _rgamma_slope)
declare_one(special.psi, _trigamma)
declare_one(special.gammasgn, 0, reason="piecewise constant")
declare(
    special.beta,
    lambda xp, x0, x1, y: -y * psi_gain(xp, x0, x1),
    lambda xp, x0, x1, y: -y * psi_gain(xp, x1, x0),
)
declare(special.betaln, lambda xp, x0, x1: -psi_gain(xp, x0, x1), lambda xp, x0, x1: -psi_gain(xp, x1, x0))
declare(
    special.binom,
    lambda xp, x0, x1, y: y * psi_gain(xp, x0 - x1 + 1, x1),
    lambda xp, x0, x1, y: y * psi_gain(xp, x1 + 1, x0 - 2 * x1),
)
declare(
    special.poch,
    lambda xp, x0, x1, y: y * psi_gain(xp, x0, x1),
    lambda xp, x0, x1, y: y * sf(xp).psi(x0 + x1),
)

# ---- zeta


def _zeta_slope(xp: Any, s: Any, q: Any) -> Any:
    """Derivative of the Hurwitz zeta function in s, by Euler-Maclaurin summation term by term (DLMF 25.11.5)."""
    if is_complex(s):
        raise RuleError(
            "scipy.special.zeta: the derivative at complex s is not implemented; pass s as a plain number or array"
        )
    total: Any = 0
    for k in range(14):
        total = total - xp.log(q + k) * (q + k) ** -s
    a = q + 14
    log, power = xp.log(a), a**-s
    total = total - a * power / (s - 1) * (log + 1 / (s - 1)) - log * power / 2
    rising, slope, factor = s, 1.0, power / a
    for j, b in enumerate(BERNOULLI, 1):
        total = total + b / math.factorial(2 * j) * factor * (slope - log * rising)
        for m in (2 * j - 1, 2 * j):
            rising, slope = rising * (s + m), slope * (s + m) + rising
        factor = factor / (a * a)
    return total


def _riemann_slope(xp: Any, x: Any) -> Any:
    """Derivative of the Riemann zeta function; on the left by the functional equation (DLMF 25.4.1)."""
    if is_complex(x):
        raise RuleError("scipy.special.zeta: the derivative at complex s is not implemented; pass s as a plain number")
    left = x < 0
    s = xp.where(left, 1 - x, x)
    slope = _zeta_slope(xp, s, 1.0)
    s = xp.where(left, s, 3.0)
    factor = 2 * (2 * math.pi) ** -s * sf(xp).gamma(s)
    angle = 0.5 * math.pi * s
    # zeta(1 - s) = factor cos(angle) zeta(s), and d/dx = -d/ds.
    growth = xp.cos(angle) * (sf(xp).psi(s) - math.log(2 * math.pi)) - 0.5 * math.pi * xp.sin(angle)
    reflected = -factor * (growth * sf(xp).zeta(s) + xp.cos(angle) * xp.where(left, slope, 0.0))
    return xp.where(left, reflected, slope)


_zeta = inner_ufunc(special.zeta, 2.0)
_riemann_zeta = inner_ufunc(special.zeta)
declare(_zeta, lambda xp, x0, x1: _zeta_slope(xp, x0, x1), lambda xp, x0, x1: -x0 * sf(xp).zeta(x0 + 1, x1))
declare(_riemann_zeta, _riemann_slope)
declare(special.zetac, _riemann_slope)

# ---- error function


def _mills_series(w: Any) -> Any:
    """Sum of (2k+1)!! w**k, the asymptotic series behind the slopes below (DLMF 7.12.1)."""
    total: Any = 1.0
    for k in range(22, 0, -1):
        total = 1 + (2 * k + 1) * w * total
    return total


FAR = 8.0  # where the series has reached double precision, and the plain formula has lost two digits


def erfcx_slope(xp: Any, x: Any, y: Any) -> Any:
    """2 x erfcx(x) - 2/sqrt(pi), whose terms cancel at large x."""
    far = xp.abs(x) > FAR if is_complex(x) else x > FAR
    near = xp.where(far, 0.0, x)
    w = -0.5 / xp.where(far, x, FAR) ** 2
    tail = w * _mills_series(w)
    slope = 2 * near * xp.where(far, 0.0, y) + 2 / ROOT_PI * xp.where(far, tail, -1.0)
    if is_complex(x):  # erfcx(x) = 2 exp(x**2) - erfcx(-x)
        left = xp.where(far & (xp.real(x) < 0), x, 0.0)
        slope = slope + 4 * left * xp.exp(left * left)
    return slope


def erfcx_bend(xp: Any, x: Any, y: Any) -> Any:
    """Second derivative of erfcx in the right half plane."""
    far = xp.abs(x) > FAR
    v = 1 / xp.where(far, x, FAR)
    series: Any = 0.0
    for k in range(22, -1, -1):
        series = (k + 1) + (2 * k + 3) * (-0.5 * v * v) * series
    near = 2 * y + 2 * xp.where(far, 0.0, x) * erfcx_slope(xp, x, y)
    return xp.where(far, 2 / ROOT_PI * v**3 * series, near)


def _dawsn_slope(xp: Any, x: Any, y: Any) -> Any:
    if is_complex(x):  # dawsn(z) = i sqrt(pi)/2 (exp(-z**2) - wofz(z)), and the slope is even
        z = xp.where(xp.imag(x) < 0, -x, x)
        far = xp.abs(x) > FAR
        u = xp.where(far, z, FAR)
        slope = erfcx_slope(xp, u * -1j, sf(xp).wofz(u)) * -1j
        return xp.where(far, 0.5j * ROOT_PI * (-2 * u * xp.exp(-u * u) - slope), 1 - 2 * x * y)
    far = xp.abs(x) > FAR
    w = 0.5 / xp.where(far, x, FAR) ** 2
    return xp.where(far, -w * _mills_series(w), 1 - 2 * xp.where(far, 0.0, x) * y)


def _log_ndtr_slope(xp: Any, x: Any) -> Any:
    # Each form where it neither overflows nor cancels.
    left = xp.real(x) <= 0
    u, v = xp.where(left, x, 0.0), xp.where(left, 0.0, x)
    by_ratio = math.sqrt(2 / math.pi) / sf(xp).erfcx(-u / ROOT_TWO)
    return xp.where(left, by_ratio, xp.exp(-0.5 * v * v) / (ROOT_TWO_PI * sf(xp).ndtr(v)))


declare_one(special.erf, lambda xp, x: 2 / ROOT_PI * xp.exp(-x * x))
declare_one(special.erfc, lambda xp, x: -2 / ROOT_PI * xp.exp(-x * x))
declare_one(special.erfcx, erfcx_slope)
declare_one(special.erfi, lambda xp, x: 2 / ROOT_PI * xp.exp(x * x))
declare_one(special.erfinv, lambda xp, y: 0.5 * ROOT_PI * xp.exp(y * y), pole=True)
declare_one(special.erfcinv, lambda xp, y: -0.5 * ROOT_PI * xp.exp(y * y), pole=True)
declare_one(special.dawsn, _dawsn_slope)
declare(special.wofz, lambda xp, x, y: erfcx_slope(xp, x * -1j, y) * -1j)
declare_one(special.ndtr, lambda xp, x: xp.exp(-0.5 * x * x) / ROOT_TWO_PI)
declare_one(special.log_ndtr, _log_ndtr_slope)
declare_one(special.ndtri, lambda xp, y: ROOT_TWO_PI * xp.exp(0.5 * y * y), pole=True)
declare_one(special.ndtri_exp, lambda xp, y: ROOT_TWO_PI / 2 * sf(xp).erfcx(-y / ROOT_TWO), pole=True)
declare_many(special.fresnel, lambda xp, x: (xp.sin(math.pi / 2 * x * x), xp.cos(math.pi / 2 * x * x)))


def _modified_fresnel(xp: Any, x: Any, sign: int) -> tuple[Any, Any]:
    # K is erfcx(exp(-+ i pi/4) x) / 2.
    turn = complex(math.sqrt(0.5), -sign * math.sqrt(0.5))
    z = x * turn
    return -xp.exp(x * x * (sign * 1j)), 0.5 * turn * erfcx_slope(xp, z, sf(xp).erfcx(z))


declare_many(special.modfresnelp, lambda xp, x: _modified_fresnel(xp, x, 1))
declare_many(special.modfresnelm, lambda xp, x: _modified_fresnel(xp, x, -1))

# ---- logistic, logarithms, exponentials


def exprel_slope(xp: Any, x: Any) -> Any:
    """Derivative of (exp(x) - 1) / x, each form where it neither cancels nor overflows."""
    y = sf(xp).exprel(x)
    near = xp.abs(x) < 1
    u = xp.where(near, x, 0.0)
    series = horner([1 / ((k + 2) * math.factorial(k)) for k in range(20)], u)
    u = xp.where(near, 1.0, x)
    low = (xp.exp(xp.where(u < 0, u, 0.0)) - y) / u
    return xp.where(near, series, xp.where(u < 0, low, y * (1 - 1 / u) + 1 / u))


def log1p_ratio_slope(xp: Any, u: Any) -> Any:
    """Derivative of log1p(u) / u."""
    return ratio_at_zero(
        xp,
        u,
        lambda v: -0.5 * sf(xp).hyp2f1(2.0, 2.0, 3.0, -v),
        lambda v: (v / (1 + v) - xp.log1p(v)) / (v * v),
    )


declare_one(special.expit, lambda xp, x, y: y * sf(xp).expit(-x))
declare_one(special.log_expit, lambda xp, x: sf(xp).expit(-x))
# At a pole a zero stays zero; the substitute of `pole` would be the other pole.
declare_one(special.logit, share(lambda xp, g, x: g / (x * (1 - x) + ((g == 0) & ((x == 0) | (x == 1))))))
declare_one(special.log1p, lambda xp, x: 1 / (1 + x), pole=True)
declare_one(special.expm1, lambda xp, x: xp.exp(x))
declare_one(special.exprel, exprel_slope)
declare_one(special.exp2, lambda xp, y: y * LN2)
declare_one(special.exp10, lambda xp, y: y * LN10)
declare_one(special.cbrt, lambda xp, y: 1 / (3 * y * y), pole=True)
declare_one(special.cosm1, lambda xp, x: -xp.sin(x))
declare_one(special.sindg, lambda xp, x: DEGREE * sf(xp).cosdg(x))
declare_one(special.cosdg, lambda xp, x: -DEGREE * sf(xp).sindg(x))
declare_one(special.tandg, lambda xp, y: DEGREE * (1 + y * y))
declare_one(special.cotdg, lambda xp, y: -DEGREE * (1 + y * y))
declare(special.radian, DEGREE, DEGREE / 60, DEGREE / 3600)
declare_one(special.round, 0, reason="piecewise constant")
declare(
    special.powm1,
    lambda xp, x0, x1: x1 * x0 ** xp.where(x1 == 0, 1.0, x1 - 1),
    lambda xp, x0, x1: x0**x1 * xp.log(xp.where(x0 == 0, 1.0, x0)),  # as for np.power
)

# 0 log 0 is 0, and so is its slope: as in PyTorch, so that a vanishing probability does not poison a sum.


def _but_where_both_vanish(xp: Any, x0: Any, x1: Any) -> Any:
    return xp.where((x0 == 0) & (x1 == 0), 1.0, x1)


declare(
    special.xlogy,
    lambda xp, x0, x1: xp.log(_but_where_both_vanish(xp, x0, x1)),
    lambda xp, x0, x1: x0 / _but_where_both_vanish(xp, x0, x1),
    pole=True,
)
declare(
    special.xlog1py,
    lambda xp, x0, x1: xp.log1p(xp.where((x0 == 0) & (x1 == -1), 0.0, x1)),
    lambda xp, x0, x1: x0 / _but_where_both_vanish(xp, x0, 1 + x1),
    pole=True,
)

# ---- entropies and losses


def _log_ratio(xp: Any, x0: Any, x1: Any) -> Any:
    """log(x0 / x1), by the difference where that is small."""
    near = abs(x0 - x1) < 0.5 * x1
    u = xp.where(near, x0 - x1, 0.0) / xp.where(near, x1, 1.0)
    return xp.where(near, xp.log1p(u), xp.log(xp.where(near, 1.0, x0)) - xp.log(xp.where(near, 1.0, x1)))


declare_one(special.entr, lambda xp, x: -1 - xp.log(x), pole=True)
declare(special.rel_entr, lambda xp, x0, x1: _log_ratio(xp, x0, x1) + 1, lambda xp, x0, x1: -x0 / x1, pole=True)
declare(special.kl_div, lambda xp, x0, x1: _log_ratio(xp, x0, x1), lambda xp, x0, x1: (x1 - x0) / x1, pole=True)
declare(
    special.huber,
    share(lambda xp, g, x0, x1: g * xp.where(abs(x1) <= x0, 0.0, abs(x1) - x0)),
    share(lambda xp, g, x0, x1: g * xp.where(abs(x1) <= x0, x1, x0 * xp.sign(x1))),
)


def _pseudo_huber(xp: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    r = xp.hypot(x0, x1)
    r = xp.where(r == 0, 1.0, r)
    return (x1 / (r + x0)) ** 2 * (x1 * x1 / r), x0 * x1 / r


declare(
    special.pseudo_huber,
    lambda xp, x0, x1: _pseudo_huber(xp, x0, x1)[0],
    lambda xp, x0, x1: _pseudo_huber(xp, x0, x1)[1],
)

# ---- Box and Cox's transformations and their inverses


def _boxcox_in_lambda(xp: Any, log: Any, lam: Any) -> Any:
    return log * log * exprel_slope(xp, lam * log)


declare(
    special.boxcox,
    lambda xp, x0, x1: x0 ** (x1 - 1),
    lambda xp, x0, x1: _boxcox_in_lambda(xp, xp.log(x0), x1),
)
declare(
    special.boxcox1p,
    lambda xp, x0, x1: (1 + x0) ** (x1 - 1),
    lambda xp, x0, x1: _boxcox_in_lambda(xp, xp.log1p(x0), x1),
)
declare(
    special.inv_boxcox,
    lambda xp, x1, y: y ** (1 - x1),
    lambda xp, x0, x1, y: y * x0 * x0 * log1p_ratio_slope(xp, x0 * x1),
)
declare(
    special.inv_boxcox1p,
    lambda xp, x1, y: (1 + y) ** (1 - x1),
    lambda xp, x0, x1, y: (1 + y) * x0 * x0 * log1p_ratio_slope(xp, x0 * x1),
)

# ---- exponential, sine and cosine integrals, dilogarithm, Lambert's W


def _sine_ratio(xp: Any, x: Any, sign: float) -> Any:
    """sin(x) / x, or sinh(x) / x for a positive sign (DLMF 10.16.9)."""
    sine = xp.sin if sign < 0 else xp.sinh
    return ratio_at_zero(xp, x, lambda v: sf(xp).hyp0f1(1.5, sign / 4 * v * v), lambda v: sine(v) / v)


def _spence_slope(xp: Any, x: Any) -> Any:
    near = xp.abs(x - 1) < HYPERGEOMETRIC_RADIUS
    u = xp.where(near, 2.0, x)
    return -xp.where(near, sf(xp).hyp2f1(1.0, 1.0, 2.0, 1 - xp.where(near, x, 1.0)), xp.log(u) / (u - 1))


def _expn_slope(xp: Any, n: Any, x: Any) -> Any:
    ends = n == 0
    return xp.where(ends, -xp.exp(-x) / x * (1 + 1 / x), -sf(xp).expn(xp.where(ends, 0, n - 1), x))


declare_one(special.expi, lambda xp, x: xp.exp(x) / x)
declare_one(special.exp1, lambda xp, x: -xp.exp(-x) / x)
declare(special.expn, no_derivative("expn", "order n"), lambda xp, x0, x1: _expn_slope(xp, x0, x1))
declare_many(special.sici, lambda xp, x: (_sine_ratio(xp, x, -1.0), xp.cos(x) / x))
declare_many(special.shichi, lambda xp, x: (_sine_ratio(xp, x, 1.0), xp.cosh(x) / x))
declare(special.spence, _spence_slope, pole=True)
declare(
    inner_ufunc(special.lambertw),
    lambda xp, y: xp.exp(-y) / (1 + y),
    no_derivative("lambertw", "branch k", "does not exist"),
    0,  # the tolerance
    pole=True,
)
declare_one(special.wrightomega, lambda xp, y: y / (1 + y))
