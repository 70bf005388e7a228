"""Elliptic integrals, Jacobi's elliptic functions and the arithmetic-geometric mean.

Derivatives are written with Carlson's symmetric integrals, which do not cancel (DLMF 19.18, 19.25): the usual ones in K
and E lose all digits at m = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeflow.core.tracer import anywhere
from tapeflow.ops.special_common import declare, declare_many, declare_one, sf, special, weighted_sum

__all__: list[str] = []

# ---- Carlson's integrals
#
# Each is c times the integral over t > 0 of a product of (t + x)**-p, so its derivatives are integrals of that form. By
# partial fractions they are divided differences of R_D and R_J; where two arguments nearly agree those cancel, and the
# integral is taken numerically: t = exp(2v) makes the integrand decay exponentially on both sides and the trapezoidal
# rule converges geometrically (Trefethen and Weideman 2014, section 5).

_STEP = 0.25
_NODES = np.exp(2 * np.arange(-40.0, 12.0, _STEP))
_WEIGHTS = np.full_like(_NODES, 2 * _STEP)
NEARLY = 0.2


def _integral(xp: Any, *factors: tuple[Any, float]) -> Any:
    """Integral over t > 0 of the product of (t + x)**-p; the first x sets the scale."""
    scale = xp.abs(factors[0][0])[..., None]

    def term(node: Any, weight: Any) -> Any:
        t = scale * node
        total = weight * t
        for x, power in factors:
            total = total * (t + x[..., None]) ** -power
        return total

    return weighted_sum(xp, _NODES, _WEIGHTS, scale, term)


def _divided(xp: Any, x: Any, p: Any, difference: Any, *factors: tuple[Any, float]) -> Any:
    """Integral of 1 / ((t + x) (t + p)) times factors: by a divided difference, or by quadrature where x is near p."""
    near = xp.abs(x - p) < NEARLY * xp.abs(p)
    gap = xp.where(near, 1.0, p - x)
    by_difference = difference / gap
    if not anywhere(near):
        return by_difference
    u, w = xp.where(near, x, 1.0), xp.where(near, p, 1.0)
    others = ((xp.where(near, z, 1.0), power) for z, power in factors)
    return xp.where(near, _integral(xp, (w, 1.0), (u, 1.0), *others, (u, 0.5)), by_difference)


def _rj_in_x(xp: Any, x: Any, others: tuple[Any, Any], p: Any, rj: Any) -> Any:
    """Derivative of R_J in one of its symmetric arguments; with p for the last of the others, of R_D."""
    gap = (sf(xp).elliprd(*others, x) - rj) * (2 / 3)
    return -0.75 * _divided(xp, x, p, gap, (others[0], 0.5), (others[1], 0.5))


def _times_slope(xp: Any, x: Any, slope: Any) -> Any:
    """Return x times slope(x), and 0 at 0, where the slope is infinite."""
    if isinstance(x, (int, float)) and x == 0:
        return 0.0
    return xp.where(x == 0, 0.0, x * slope(xp.where(x == 0, 1.0, x)))


def _rd_in_z(xp: Any, x: Any, y: Any, z: Any, rd: Any) -> Any:
    """By homogeneity of degree -3/2."""
    by_x = _times_slope(xp, x, lambda u: _rj_in_x(xp, u, (y, z), z, sf(xp).elliprd(u, y, z)))
    by_y = _times_slope(xp, y, lambda u: _rj_in_x(xp, u, (x, z), z, sf(xp).elliprd(x, u, z)))
    return -(1.5 * rd + by_x + by_y) / z


def _rj_in_p(xp: Any, x: Any, y: Any, z: Any, p: Any, rj: Any) -> Any:
    rest = (
        _times_slope(xp, x, lambda u: _rj_in_x(xp, u, (y, z), p, sf(xp).elliprj(u, y, z, p))),
        _times_slope(xp, y, lambda u: _rj_in_x(xp, u, (z, x), p, sf(xp).elliprj(x, u, z, p))),
        _times_slope(xp, z, lambda u: _rj_in_x(xp, u, (x, y), p, sf(xp).elliprj(x, y, u, p))),
    )
    return -(1.5 * rj + sum(rest)) / p


def _rg_slope(xp: Any, x: Any, y: Any, z: Any) -> Any:
    """Derivative of R_G in x: (3 R_F - x R_D(y, z, x)) / 12 (from DLMF 19.23.7)."""
    return (3 * sf(xp).elliprf(x, y, z) - _times_slope(xp, x, lambda u: sf(xp).elliprd(y, z, u))) / 12


def _rc_slopes(xp: Any, x: Any, y: Any, rc: Any) -> tuple[Any, Any]:
    """R_C(x, y) = R_F(x, y, y); at negative y, Cauchy's principal value, by homogeneity."""
    negative = (xp.imag(y) == 0) & (xp.real(y) <= 0)
    u, v = xp.where(negative, 1.0, x), xp.where(negative, 1.0, y)
    w, q = xp.where(negative, x, 2.0), xp.where(negative, y, 1.0)
    by_x = (rc - 1 / xp.sqrt(w)) / (2 * (q - w))
    return (
        xp.where(negative, by_x, -sf(xp).elliprd(v, v, u) / 6),
        xp.where(negative, -(0.5 * rc + w * by_x) / q, -sf(xp).elliprd(u, v, v) / 3),
    )


declare(
    special.elliprf,
    lambda xp, x0, x1, x2: -sf(xp).elliprd(x1, x2, x0) / 6,
    lambda xp, x0, x1, x2: -sf(xp).elliprd(x2, x0, x1) / 6,
    lambda xp, x0, x1, x2: -sf(xp).elliprd(x0, x1, x2) / 6,
)
declare(
    special.elliprd,
    lambda xp, x0, x1, x2, y: _rj_in_x(xp, x0, (x1, x2), x2, y),
    lambda xp, x0, x1, x2, y: _rj_in_x(xp, x1, (x0, x2), x2, y),
    lambda xp, x0, x1, x2, y: _rd_in_z(xp, x0, x1, x2, y),
)
declare(
    special.elliprg,
    lambda xp, x0, x1, x2: _rg_slope(xp, x0, x1, x2),
    lambda xp, x0, x1, x2: _rg_slope(xp, x1, x2, x0),
    lambda xp, x0, x1, x2: _rg_slope(xp, x2, x0, x1),
)
declare(
    special.elliprj,
    lambda xp, x0, x1, x2, x3, y: _rj_in_x(xp, x0, (x1, x2), x3, y),
    lambda xp, x0, x1, x2, x3, y: _rj_in_x(xp, x1, (x2, x0), x3, y),
    lambda xp, x0, x1, x2, x3, y: _rj_in_x(xp, x2, (x0, x1), x3, y),
    lambda xp, x0, x1, x2, x3, y: _rj_in_p(xp, x0, x1, x2, x3, y),
)
declare(
    special.elliprc,
    lambda xp, x0, x1, y: _rc_slopes(xp, x0, x1, y)[0],
    lambda xp, x0, x1, y: _rc_slopes(xp, x0, x1, y)[1],
)

# ---- Legendre's integrals


def _incomplete(xp: Any, phi: Any, m: Any, complete: Any, integral: Any) -> Any:
    """Derivative in m of an incomplete integral: a Carlson integral on the nearest half period, and whole periods."""
    n = xp.rint(phi / math.pi)
    s = xp.sin(phi - math.pi * n)
    c2, d2 = 1 - s * s, 1 - m * s * s
    periods = xp.where(n == 0, 0.0, 2 * n * complete(xp.where(n == 0, 0.5, m)))
    return s**3 * integral(c2, d2) / 6 + periods


def _first_in_m(xp: Any, phi: Any, m: Any) -> Any:
    return _incomplete(
        xp,
        phi,
        m,
        lambda u: sf(xp).elliprd(0.0, 1.0, 1 - u) / 6,
        lambda c2, d2: sf(xp).elliprd(c2, 1.0, d2),
    )


def _second_in_m(xp: Any, phi: Any, m: Any) -> Any:
    return _incomplete(
        xp,
        phi,
        m,
        lambda u: -sf(xp).elliprd(0.0, 1 - u, 1.0) / 6,
        lambda c2, d2: -sf(xp).elliprd(c2, d2, 1.0),
    )


def _delta(xp: Any, phi: Any, m: Any) -> Any:
    return xp.sqrt(1 - m * xp.sin(phi) ** 2)


declare_one(special.ellipk, lambda xp, x: sf(xp).elliprd(0.0, 1.0, 1 - x) / 6)
declare_one(special.ellipkm1, lambda xp, x: -sf(xp).elliprd(0.0, 1.0, x) / 6)
declare_one(special.ellipe, lambda xp, x: -sf(xp).elliprd(0.0, 1 - x, 1.0) / 6)
declare(
    special.ellipkinc,
    lambda xp, x0, x1: 1 / _delta(xp, x0, x1),
    lambda xp, x0, x1: _first_in_m(xp, x0, x1),
)
declare(
    special.ellipeinc,
    lambda xp, x0, x1: _delta(xp, x0, x1),
    lambda xp, x0, x1: _second_in_m(xp, x0, x1),
)

# ---- Jacobi's functions of u and m, where F(ph, m) = u; and the arithmetic-geometric mean


def _jacobi_in_m(xp: Any, m: Any, y: tuple[Any, ...]) -> tuple[Any, ...]:
    sn, cn, dn, ph = y
    turn = -dn * _first_in_m(xp, ph, m)
    return cn * turn, -sn * turn, -sn * (0.5 * sn + m * cn * turn) / dn, turn


declare_many(
    special.ellipj,
    lambda xp, x1, y: (y[1] * y[2], -y[0] * y[2], -x1 * y[0] * y[1], y[2]),
    lambda xp, x1, y: _jacobi_in_m(xp, x1, y),
)


def _agm_slope(xp: Any, a: Any, b: Any, y: Any) -> Any:
    """agm(a, b) = pi / (2 R_F(0, a**2, b**2)) (DLMF 19.22.8)."""
    return 2 / (3 * math.pi) * (y / a) ** 2 * sf(xp).elliprd(0.0, (b / a) ** 2, 1.0)


declare(
    special.agm,
    lambda xp, x0, x1, y: _agm_slope(xp, x0, x1, y),
    lambda xp, x0, x1, y: _agm_slope(xp, x1, x0, y),
)
