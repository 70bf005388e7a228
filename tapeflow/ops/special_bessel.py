"""Bessel, Airy, Kelvin, Struve and parabolic cylinder functions, Mathieu functions, and integrals of some of them.

Sources are chapters 9 to 12 and 28 of the NIST Digital Library of Mathematical Functions (DLMF). Derivatives are in the
argument; those in the order are refused.
"""

from __future__ import annotations

import math
from typing import Any

from tapeflow.core.batch import aligned
from tapeflow.core.rules import general
from tapeflow.errors import RuleError
from tapeflow.ops.special_common import (
    declare,
    declare_many,
    declare_one,
    enter,
    is_complex,
    no_derivative,
    ratio_at_zero,
    sf,
    special,
)

__all__: list[str] = []

DEGREE = math.pi / 180.0


def _no_order(name: str, operand: str = "order v") -> Any:
    return no_derivative(name, operand)


# ---- Bessel functions by the recurrences for derivatives (DLMF 10.6.1, 10.29.1)


def _half(xp: Any, name: str, v: Any, x: Any, sign: int) -> Any:
    """(f(v-1, x) + sign f(v+1, x)) / 2."""
    f = getattr(sf(xp), name)
    return (f(v - 1, x) + f(v + 1, x)) / 2 if sign > 0 else (f(v - 1, x) - f(v + 1, x)) / 2


for _name, _ufunc, _by, _sign, _front in (
    ("jv", special.jv, "jv", -1, 1),
    ("yv", special.yv, "yv", -1, 1),
    ("yn", special.yn, "yv", -1, 1),
    ("iv", special.iv, "iv", 1, 1),
    ("kv", special.kv, "kv", 1, -1),
    ("kn", special.kn, "kv", 1, -1),
    ("hankel1", special.hankel1, "hankel1", -1, 1),
    ("hankel2", special.hankel2, "hankel2", -1, 1),
):
    declare(
        _ufunc,
        _no_order(_name, "order n" if _name in ("yn", "kn") else "order v"),
        lambda xp, x0, x1, by=_by, sign=_sign, front=_front: front * _half(xp, by, x0, x1, sign),
    )

declare_one(special.j0, lambda xp, x: -sf(xp).j1(x))
declare_one(special.j1, lambda xp, x: (sf(xp).j0(x) - sf(xp).jv(2.0, x)) / 2)
declare_one(special.y0, lambda xp, x: -sf(xp).y1(x))
declare_one(special.y1, lambda xp, x, y: sf(xp).y0(x) - y / x)
declare_one(special.i0, lambda xp, x: sf(xp).i1(x))
declare_one(special.i1, lambda xp, x: (sf(xp).i0(x) + sf(xp).iv(2.0, x)) / 2)
declare_one(special.k0, lambda xp, x: -sf(xp).k1(x))
declare_one(special.k1, lambda xp, x, y: -sf(xp).k0(x) - y / x)

# ---- scaled ones, whose recurrences cancel where the argument is large


def _asymptotic_slope(xp: Any, v: Any, x: Any, y: Any, c: Any) -> Any:
    """Logarithmic slope of x**(-1/2) sum of a_k(v) (c/x)**k, times y (DLMF 10.17.1, 10.40)."""
    term: Any = 1.0
    total, slope = 1.0, 0.5
    for k in range(1, 19):
        term = term * ((4 * v * v - (2 * k - 1) ** 2) / (8 * k)) * (c / x)
        total, slope = total + term, slope + (k + 0.5) * term
    return -y / x * slope / total


def _scaled_slope(xp: Any, v: Any, x: Any, y: Any, near: Any, c: Any) -> Any:
    """Slope by `near` for arguments of moderate size, by the asymptotic series for large ones."""
    size = xp.abs(x)
    far = (size > 30) & (size > v * v)
    u = x if is_complex(x) else size
    u, w = xp.where(far, u, 1.0), xp.where(far, v, 0.5)
    slope = _asymptotic_slope(xp, w, u, xp.where(far, y, 0.0), c)
    if not is_complex(x):
        slope = slope * xp.where(x < 0, -1.0, 1.0)
    return xp.where(far, slope, near(xp.where(far, 1.0, x)))


def _ive_real(xp: Any, v: Any, x: Any, y: Any) -> Any:
    return _scaled_slope(xp, v, x, y, lambda u: _half(xp, "ive", v, u, 1) - xp.sign(u) * sf(xp).ive(v, u), -1.0)


def _kve_slope(xp: Any, v: Any, x: Any, y: Any) -> Any:
    return _scaled_slope(xp, v, x, y, lambda u: sf(xp).kve(v, u) - _half(xp, "kve", v, u, 1), 1.0)


def _hankel_slope(xp: Any, v: Any, x: Any, y: Any, name: str, sign: int) -> Any:
    """For hankel1e and hankel2e; real arguments have complex values too."""

    def near(u: Any) -> Any:
        return _half(xp, name, v, u, -1) - sign * 1j * getattr(sf(xp), name)(v, u)

    right = xp.where(xp.real(x) > 0, x, 1.0)  # the series is for the right half plane
    slope = _scaled_slope(xp, v, right + 0j, y, near, sign * 1j)
    return xp.where(xp.real(x) > 0, slope, near(x))


declare(special.kve, _no_order("kve"), lambda xp, x0, x1, y: _kve_slope(xp, x0, x1, y))
declare(special.k0e, lambda xp, x, y: _kve_slope(xp, 0.0, x, y))
declare(special.k1e, lambda xp, x, y: _kve_slope(xp, 1.0, x, y))
declare(special.i0e, lambda xp, x, y: _ive_real(xp, 0.0, x, y))
declare(special.i1e, lambda xp, x, y: _ive_real(xp, 1.0, x, y))
declare(special.hankel1e, _no_order("hankel1e"), lambda xp, x0, x1, y: _hankel_slope(xp, x0, x1, y, "hankel1e", 1))
declare(special.hankel2e, _no_order("hankel2e"), lambda xp, x0, x1, y: _hankel_slope(xp, x0, x1, y, "hankel2e", -1))


def _declare_by_modulus(ufunc: Any, name: str, sign: int, part: str) -> None:
    """Declare a Bessel function times exp(-abs(part of x)), which is not holomorphic: jve, yve, ive."""
    refuse: Any = _no_order(name).function

    def slopes(xp: Any, v: Any, x: Any, y: Any) -> tuple[Any, Any]:
        return _half(xp, name, v, x, sign), -xp.sign(getattr(xp, part)(x)) * y

    def real_slope(xp: Any, v: Any, x: Any, y: Any) -> Any:
        return _ive_real(xp, v, x, y) if part == "real" else _half(xp, name, v, x, sign)

    def jvp(xp: Any, t: Any, x0: Any, x1: Any, y: Any) -> Any:
        if not is_complex(x1):
            return t * real_slope(xp, x0, x1, y)
        holomorphic, modulus = slopes(xp, x0, x1, y)
        return t * holomorphic + getattr(xp, part)(t) * modulus

    def vjp(xp: Any, g: Any, x0: Any, x1: Any, y: Any) -> Any:
        if not is_complex(x1):
            return g * real_slope(xp, x0, x1, y)
        holomorphic, modulus = slopes(xp, x0, x1, y)
        return g * holomorphic + (1 if part == "real" else -1j) * xp.real(g * modulus)

    primitive = general(ufunc.__name__, ufunc, (refuse, jvp), (refuse, vjp), refuses=True, batch=aligned)
    enter(ufunc, primitive)


_declare_by_modulus(special.jve, "jve", -1, "imag")
_declare_by_modulus(special.yve, "yve", -1, "imag")
_declare_by_modulus(special.ive, "ive", 1, "real")

# ---- Airy functions (DLMF 9.2)

declare_many(special.airy, lambda xp, x, y: (y[1], x * y[0], y[3], x * y[2]))


def _airye_slopes(xp: Any, x: Any, y: Any) -> tuple[Any, ...]:
    if is_complex(x):
        raise RuleError(
            "scipy.special.airye: the derivative at complex arguments is not implemented (the scaling is not "
            "holomorphic); use scipy.special.airy, or a real argument"
        )
    root = xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, 1.0)), 0.0)
    return y[1] + root * y[0], x * y[0] + root * y[1], y[3] - root * y[2], x * y[2] - root * y[3]


declare_many(special.airye, _airye_slopes)
declare_many(special.itairy, lambda xp, x: (*sf(xp).airy(x)[::2], *sf(xp).airy(-x)[::2]))

# ---- Kelvin functions: be = ber + i bei and ke = ker + i kei solve f'' + f'/x = i f (DLMF 10.61.4)


def _second(xp: Any, x: Any, slope: Any, other: Any) -> Any:
    """Return f'' = other - f'/x, half of `other` at 0, where the terms are equal in size."""
    return xp.where(x == 0, 0.5 * other, other - slope / xp.where(x == 0, 1.0, x))


declare_one(special.ber, lambda xp, x: sf(xp).berp(x))
declare_one(special.bei, lambda xp, x: sf(xp).beip(x))
declare_one(special.ker, lambda xp, x: sf(xp).kerp(x))
declare_one(special.kei, lambda xp, x: sf(xp).keip(x))
declare_one(special.berp, lambda xp, x, y: _second(xp, x, y, -sf(xp).bei(x)))
declare_one(special.beip, lambda xp, x, y: _second(xp, x, y, sf(xp).ber(x)))
declare_one(special.kerp, lambda xp, x, y: _second(xp, x, y, -sf(xp).kei(x)))
declare_one(special.keip, lambda xp, x, y: _second(xp, x, y, sf(xp).ker(x)))
declare_many(
    special.kelvin,
    lambda xp, x, y: (y[2], y[3], _second(xp, x, y[2], y[0] * 1j), _second(xp, x, y[3], y[1] * 1j)),
)

# ---- integrals of Bessel functions


def _bessel_gap(xp: Any, x: Any, sign: int) -> Any:
    """(1 - J0(x)) / x, or (I0(x) - 1) / x for a positive sign, by its power series near 0."""

    def series(u: Any) -> Any:
        w, total = sign * u * u / 4, 1.0
        for k in range(12, 1, -1):
            total = 1 + w / (k * k) * total
        return u / 4 * total

    return ratio_at_zero(xp, x, series, lambda u: (sf(xp).i0(u) - 1 if sign > 0 else 1 - sf(xp).j0(u)) / u)


declare_many(special.itj0y0, lambda xp, x: (sf(xp).j0(x), sf(xp).y0(x)))
declare_many(special.iti0k0, lambda xp, x: (sf(xp).i0(x), sf(xp).k0(x)))
declare_many(special.it2j0y0, lambda xp, x: (_bessel_gap(xp, x, -1), -sf(xp).y0(x) / x))
declare_many(special.it2i0k0, lambda xp, x: (_bessel_gap(xp, x, 1), -sf(xp).k0(x) / x))
declare(
    special.besselpoly,
    lambda xp, x0, x1, x2: sf(xp).besselpoly(x0, x1 + 1, x2 - 1) - sf(xp).besselpoly(x0, x1 + 1, x2 + 1),
    no_derivative("besselpoly", "exponent lmb"),
    no_derivative("besselpoly", "order nu"),
)

# ---- Struve functions (DLMF 11.4.29, 11.4.30) and their integrals


def _struve_slope(xp: Any, v: Any, x: Any, name: str, sign: int) -> Any:
    extra = (0.5 * x) ** v * sf(xp).rgamma(v + 1.5) / (2 * math.sqrt(math.pi))
    return _half(xp, name, v, x, sign) + extra


declare(special.struve, _no_order("struve"), lambda xp, x0, x1: _struve_slope(xp, x0, x1, "struve", -1))
declare(special.modstruve, _no_order("modstruve"), lambda xp, x0, x1: _struve_slope(xp, x0, x1, "modstruve", 1))
declare(special.itstruve0, lambda xp, x: sf(xp).struve(0.0, x))
declare(special.it2struve0, lambda xp, x: -sf(xp).struve(0.0, x) / x)
declare(special.itmodstruve0, lambda xp, x: sf(xp).modstruve(0.0, x))

# ---- pairs of a function and its derivative, by their differential equations (DLMF 12.2, 28.2.1, 28.20.1)

for _name in ("pbdv", "pbvv"):
    declare_many(
        getattr(special, _name),
        _no_order(_name),
        lambda xp, x0, x1, y: (y[1], (0.25 * x1 * x1 - x0 - 0.5) * y[0]),
    )
declare_many(
    special.pbwa,
    no_derivative("pbwa", "parameter a"),
    lambda xp, x0, x1, y: (y[1], (x0 - 0.25 * x1 * x1) * y[0]),
)


def _mathieu_slopes(xp: Any, m: Any, q: Any, x: Any, y: Any, even: bool) -> tuple[Any, Any]:
    """SciPy takes degrees, and its second output is the derivative in radians."""
    a = (sf(xp).mathieu_a if even else sf(xp).mathieu_b)(m, q)
    return DEGREE * y[1], -DEGREE * (a - 2 * q * xp.cos(2 * DEGREE * x)) * y[0]


def _modified_mathieu_slopes(xp: Any, m: Any, q: Any, x: Any, y: Any, even: bool) -> tuple[Any, Any]:
    a = (sf(xp).mathieu_a if even else sf(xp).mathieu_b)(m, q)
    return y[1], (a - 2 * q * xp.cosh(2 * x)) * y[0]


for _name, _slopes, _even in (
    ("mathieu_cem", _mathieu_slopes, True),
    ("mathieu_sem", _mathieu_slopes, False),
    ("mathieu_modcem1", _modified_mathieu_slopes, True),
    ("mathieu_modcem2", _modified_mathieu_slopes, True),
    ("mathieu_modsem1", _modified_mathieu_slopes, False),
    ("mathieu_modsem2", _modified_mathieu_slopes, False),
):
    declare_many(
        getattr(special, _name),
        _no_order(_name, "order m"),
        no_derivative(_name, "parameter q"),
        lambda xp, x0, x1, x2, y, slopes=_slopes, even=_even: slopes(xp, x0, x1, x2, y, even),
    )
