"""Elementwise functions, each declared by its local partial derivatives.

`share` marks a rule that is given the tangent or cotangent itself, where multiplying by a partial would lose accuracy,
cost a temporary or need an array of a certain dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeflow.core.batch import aligned
from tapeflow.core.primitive import bind, implements
from tapeflow.core.rules import binary, elementwise, general, nondifferentiable, share, unary
from tapeflow.core.tracer import anywhere, plain

LN2 = math.log(2.0)
LN10 = math.log(10.0)
DEGREE = math.pi / 180.0

# ---- arithmetic

binary(np.add, 1, 1)
binary(np.subtract, 1, -1)
# By shares, which spare a call for each operand: this is the operation that programs have most of.
binary(np.multiply, share(lambda xp, g, x1: g * x1), share(lambda xp, g, x0: g * x0))
binary(np.divide, share(lambda xp, g, x1: g / x1), share(lambda xp, g, x1, y: -(g / x1) * y))
unary(np.negative, -1)
unary(np.positive, 1)
unary(np.reciprocal, lambda xp, y: -(y * y))
unary(np.square, lambda xp, x: 2 * x)
unary(np.sqrt, lambda xp, y: 0.5 / y, pole=True)
unary(np.cbrt, lambda xp, y: 1 / (3 * y * y), pole=True)
binary(np.remainder, 1, lambda xp, x0, x1: -xp.floor_divide(x0, x1))
binary(np.fmod, 1, lambda xp, x0, x1: -xp.trunc(x0 / x1))


def _power_base(xp: Any, x0: Any, x1: Any) -> Any:
    if isinstance(x1, (int, float)):
        return 2 * x0 if x1 == 2 else x1 * x0 ** (x1 - 1) if x1 != 0 else xp.zeros_like(x0)
    # x**0 is 1 everywhere, so its slope is 0 even at x = 0, where x**-1 is not finite.
    return x1 * x0 ** xp.where(x1 == 0, 1, x1 - 1)


def _power_exponent(xp: Any, x0: Any, y: Any) -> Any:
    # 0**p stays 0 (or 1 at p = 0) as p moves, so the infinite log(0) must not take part.
    if isinstance(x0, (int, float)):
        return y * (math.log(x0) if x0 > 0 else 0.0 if x0 == 0 else math.nan)
    return y * xp.log(xp.where(x0 == 0, 1, x0))


binary(np.power, _power_base, _power_exponent, pole=True)
_float_power = elementwise(
    "float_power",
    np.float_power,
    lambda xp, x0, x1: _power_base(xp, xp.float_power(x0, 1), x1),  # to the power 1: in double precision
    lambda xp, x0, y: _power_exponent(xp, x0, y),
)
implements(np.float_power)(lambda x1, x2, **options: _float_power(x1, x2))

# ---- exponentials and logarithms

unary(np.exp, lambda xp, y: y)
unary(np.exp2, lambda xp, y: y * LN2)
unary(np.expm1, lambda xp, y: y + 1)
unary(np.log, lambda xp, x: 1 / x, pole=True)
unary(np.log2, lambda xp, x: 1 / (x * LN2), pole=True)
unary(np.log10, lambda xp, x: 1 / (x * LN10), pole=True)
unary(np.log1p, lambda xp, x: 1 / (1 + x), pole=True)
# Where both operands are -inf so is the result, and -inf - -inf would be nan.
binary(
    np.logaddexp,
    lambda xp, x0, y: xp.exp(x0 - xp.where(y == -math.inf, 0, y)),
    lambda xp, x1, y: xp.exp(x1 - xp.where(y == -math.inf, 0, y)),
)
binary(
    np.logaddexp2,
    lambda xp, x0, y: xp.exp2(x0 - xp.where(y == -math.inf, 0, y)),
    lambda xp, x1, y: xp.exp2(x1 - xp.where(y == -math.inf, 0, y)),
)

# ---- trigonometric and hyperbolic


def _half_width(xp: Any, x: Any) -> Any:
    """sqrt(1 - x**2); on a branch cut on the side that the sign of the imaginary part names, which 1 - x would lose."""
    return xp.sqrt(-(x - 1)) * xp.sqrt(-(-x - 1)) if x.dtype.kind == "c" else xp.sqrt(1 - x * x)


unary(np.sin, lambda xp, x: xp.cos(x))
unary(np.cos, lambda xp, x: -xp.sin(x))
unary(np.tan, lambda xp, y: 1 + y * y)
unary(np.arcsin, lambda xp, x: 1 / _half_width(xp, x), pole=True)
unary(np.arccos, lambda xp, x: -1 / _half_width(xp, x), pole=True)
unary(np.arctan, lambda xp, x: 1 / (1 + x * x))
unary(np.sinh, lambda xp, x: xp.cosh(x))
unary(np.cosh, lambda xp, x: xp.sinh(x))
unary(np.tanh, lambda xp, y: 1 - y * y)
unary(np.arcsinh, lambda xp, x: 1 / xp.sqrt(x * x + 1))
unary(np.arccosh, lambda xp, x: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1)), pole=True)
unary(np.arctanh, lambda xp, x: 1 / (1 - x * x), pole=True)
unary(np.deg2rad, DEGREE)
unary(np.radians, DEGREE)
unary(np.rad2deg, 1 / DEGREE)
unary(np.degrees, 1 / DEGREE)


def _radius(xp: Any, x0: Any, x1: Any) -> Any:
    """Squared distance from the origin, 1 at the origin, where the minimal subgradient is 0."""
    r = x0 * x0 + x1 * x1
    return xp.where(r == 0, 1, r)


binary(np.hypot, lambda xp, x0, y: x0 / xp.where(y == 0, 1, y), lambda xp, x1, y: x1 / xp.where(y == 0, 1, y))
binary(np.arctan2, lambda xp, x0, x1: x1 / _radius(xp, x0, x1), lambda xp, x0, x1: -x0 / _radius(xp, x0, x1))

# ---- choices: a tie is split equally


def _of_larger(xp: Any, g: Any, mine: Any, other: Any) -> Any:
    return _split_ties(xp, g, mine == other, xp.where(mine > other, g, 0))


def _of_smaller(xp: Any, g: Any, mine: Any, other: Any) -> Any:
    return _split_ties(xp, g, mine == other, xp.where(mine < other, g, 0))


def _split_ties(xp: Any, g: Any, tie: Any, share: Any) -> Any:
    return xp.where(tie, 0.5 * g, share) if anywhere(tie) else share


def _of_larger_number(xp: Any, g: Any, mine: Any, other: Any) -> Any:
    return xp.where(xp.isnan(other), g, _of_larger(xp, g, mine, other))


def _of_smaller_number(xp: Any, g: Any, mine: Any, other: Any) -> Any:
    return xp.where(xp.isnan(other), g, _of_smaller(xp, g, mine, other))


for _ufunc, _rule in (
    (np.maximum, _of_larger),
    (np.minimum, _of_smaller),
    (np.fmax, _of_larger_number),
    (np.fmin, _of_smaller_number),
):
    binary(
        _ufunc,
        share(lambda xp, g, x0, x1, rule=_rule: rule(xp, g, x0, x1)),
        share(lambda xp, g, x0, x1, rule=_rule: rule(xp, g, x1, x0)),
        selects=True,
    )

_where = elementwise(
    "where",
    np.where,
    None,
    share(lambda xp, g, x0: xp.where(x0, g, 0)),
    share(lambda xp, g, x0: xp.where(x0, 0, g)),
    selects=True,
)


@implements(np.where)
def where(condition: Any, *branches: Any) -> Any:
    """Choose by a condition, to which there is no derivative."""
    condition = plain_condition(condition)
    return _where(condition, *branches) if branches else np.where(condition)


def plain_condition(condition: Any) -> Any:
    """The truth values behind a condition that may be traced."""
    return plain(condition)


# On the bounds the derivative goes to x, as in the interior; if they cross, NumPy returns the upper one.
_clip = elementwise(
    "clip",
    np.clip,
    share(lambda xp, g, x0, x1, x2: xp.where((x0 >= x1) & (x0 <= x2), g, 0)),
    share(lambda xp, g, x0, x1, x2: xp.where((x0 < x1) & (x1 <= x2), g, 0)),
    share(lambda xp, g, x0, x1, x2: xp.where((x0 > x2) | (x1 > x2), g, 0)),
    selects=True,
)


@implements(np.clip)
def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *, min: Any = None, max: Any = None, **options: Any
) -> Any:
    """Limit values to an interval."""
    del out
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    options.pop("dtype", None) if options.get("dtype") is None else None
    if options:
        raise TypeError(f"np.clip: {', '.join(options)} is not supported for traced values")
    return _clip(a, -math.inf if low is None else low, math.inf if high is None else high)


# ---- not holomorphic: real and imaginary parts, modulus, argument


def _direction(xp: Any, x: Any, y: Any) -> Any:
    """Conjugate of x / abs(x), 0 at 0."""
    return xp.conjugate(x) / xp.where(y == 0, 1, y) if x.dtype.kind == "c" else xp.sign(x)


_absolute = general(
    "absolute",
    np.absolute,
    lambda xp, t, x, y: xp.real(t * _direction(xp, x, y)),
    lambda xp, g, x, y: g * _direction(xp, x, y),
    batch=aligned,
)
implements(np.absolute)(lambda x, **options: bind(_absolute, (x,), {}))
unary(np.fabs, lambda xp, x: xp.sign(x))

_conjugate = general(
    "conjugate", np.conjugate, lambda xp, t: xp.conjugate(t), lambda xp, g: xp.conjugate(g), batch=aligned
)
implements(np.conjugate)(lambda x, **options: _conjugate(x))
_real = general(
    "real", np.real, lambda xp, t: xp.real(t), lambda xp, g: g, view=lambda params: ("real", None), batch=aligned
)
implements(np.real)(lambda val: _real(val))
# The scalar stands on the right: a Python number on the left makes a Python number of a NumPy scalar.
_imag = general(
    "imag", np.imag, lambda xp, t: xp.imag(t), lambda xp, g: g * -1j, view=lambda params: ("imag", None), batch=aligned
)
implements(np.imag)(lambda val: _imag(val) if val.dtype.kind == "c" else np.zeros_like(val))
_angle = general("angle", np.angle, lambda xp, t, x: xp.imag(t / x), lambda xp, g, x: g * -1j / x, batch=aligned)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Argument of complex numbers; a step function for real ones."""
    if z.dtype.kind != "c":
        phase = np.where(z < 0, math.pi, 0.0).astype(z.dtype) + 0 * z
    else:
        phase = _angle(z)
    return phase * (180 / math.pi) if deg else phase


def _turning(xp: Any, t: Any, y: Any, x: Any) -> Any:
    """Part of t across the direction y of x, over the modulus of x; 0 at 0, as for the modulus."""
    if x.dtype.kind != "c":
        return xp.zeros_like(t)
    return (t - y * xp.real(xp.conjugate(y) * t)) / xp.where(x == 0, math.inf, xp.absolute(x))


_sign = general(
    "sign",
    np.sign,
    lambda xp, t, x, y: _turning(xp, t, y, x),
    lambda xp, g, x, y: _turning(xp, g, xp.conjugate(y), x),
    batch=aligned,
)
implements(np.sign)(lambda x, **options: _sign(x))

# ---- parts of a number

binary(
    np.copysign,
    lambda xp, x0, x1: xp.copysign(1, x0) * xp.copysign(1, x1) * xp.ones_like(x0),
    0,
)
binary(np.heaviside, 0, share(lambda xp, g, x0: xp.where(x0 == 0, g, 0)), reason="piecewise constant")
binary(np.nextafter, 1, 0)
_ldexp = elementwise("ldexp", np.ldexp, share(lambda xp, g, x1: xp.ldexp(g, x1)), None)
implements(np.ldexp)(lambda x1, x2, **options: _ldexp(x1, x2))
_frexp = general(
    "frexp",
    np.frexp,
    lambda xp, t, y: (xp.ldexp(t, -y[1]), None),
    lambda xp, g, y: xp.ldexp(g[0], -y[1]),
    batch=aligned,
)
implements(np.frexp)(lambda x, **options: _frexp(x))
_modf = general("modf", np.modf, lambda xp, t: (t, xp.zeros_like(t)), lambda xp, g: g[0], batch=aligned)
implements(np.modf)(lambda x, **options: _modf(x))
implements(np.divmod)(lambda x1, x2, **options: (np.floor_divide(x1, x2), np.remainder(x1, x2)))

# ---- step functions: zero derivative in both modes

for _ufunc in (np.floor, np.ceil, np.rint, np.trunc, np.spacing):
    unary(_ufunc, 0, reason="piecewise constant")
binary(np.floor_divide, 0, 0, reason="piecewise constant")
_round = general(
    "round",
    lambda x, *, decimals: np.round(x, decimals),
    lambda xp, t, *, decimals: xp.zeros_like(t),
    lambda xp, g, *, decimals: xp.zeros_like(g),
    batch=aligned,
)
implements(np.round, np.around)(lambda a, decimals=0, out=None: _round(a, decimals=decimals))

# ---- no derivative: plain values

for _function in (
    np.less, np.less_equal, np.equal, np.not_equal, np.greater_equal, np.greater,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isfinite, np.isinf, np.isnan, np.signbit,
):  # fmt: skip
    nondifferentiable(_function, "truth values")
