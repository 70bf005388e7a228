"""Orthogonal polynomials of a fixed degree, associated Legendre functions and hypergeometric functions.

Derivatives raise the parameters instead of dividing by 1 - x**2, so they hold at the ends of the interval too
(DLMF 18.9.15 to 18.9.28 for polynomials, 13.3, 15.5, 16.3 for hypergeometric functions).
"""

from __future__ import annotations

from typing import Any

from tapeflow.ops.special_common import declare, lower, no_derivative, sf, special

__all__: list[str] = []


def _no(name: str, operand: str = "degree n") -> Any:
    return no_derivative(name, operand)


# ---- orthogonal polynomials: of the degree alone

for _ufunc, _slope in (
    (
        special.eval_legendre,
        lambda xp, x0, x1: (x0 + 1) / 2 * sf(xp).eval_jacobi(lower(xp, x0), 1.0, 1.0, x1) * _sign(x0),
    ),
    (special.eval_chebyt, lambda xp, x0, x1: x0 * sf(xp).eval_chebyu(lower(xp, x0), x1)),
    (special.eval_chebyu, lambda xp, x0, x1: 2 * _sign(x0) * sf(xp).eval_gegenbauer(lower(xp, x0), 2.0, x1)),
    (special.eval_chebyc, lambda xp, x0, x1: x0 * sf(xp).eval_chebys(lower(xp, x0), x1)),
    (special.eval_chebys, lambda xp, x0, x1: _sign(x0) * sf(xp).eval_gegenbauer(lower(xp, x0), 2.0, x1 / 2)),
    (special.eval_hermite, lambda xp, x0, x1: 2 * x0 * sf(xp).eval_hermite(lower(xp, x0), x1)),
    (special.eval_hermitenorm, lambda xp, x0, x1: x0 * sf(xp).eval_hermitenorm(lower(xp, x0), x1)),
    (special.eval_laguerre, lambda xp, x0, x1: -_sign(x0) * sf(xp).eval_genlaguerre(lower(xp, x0), 1.0, x1)),
    (
        special.eval_sh_legendre,
        lambda xp, x0, x1: (x0 + 1) * _sign(x0) * sf(xp).eval_jacobi(lower(xp, x0), 1.0, 1.0, 2 * x1 - 1),
    ),
    (special.eval_sh_chebyt, lambda xp, x0, x1: 2 * x0 * sf(xp).eval_sh_chebyu(lower(xp, x0), x1)),
    (
        special.eval_sh_chebyu,
        lambda xp, x0, x1: 4 * _sign(x0) * sf(xp).eval_gegenbauer(lower(xp, x0), 2.0, 2 * x1 - 1),
    ),
):
    declare(_ufunc, _no(_ufunc.__name__), _slope)


def _sign(n: Any) -> Any:
    """0 for a constant polynomial, 1 for all others."""
    return float(n != 0) if isinstance(n, (int, float)) else (n != 0) * 1.0


# ---- of the degree and of parameters

declare(
    special.eval_genlaguerre,
    _no("eval_genlaguerre"),
    _no("eval_genlaguerre", "parameter alpha"),
    lambda xp, x0, x1, x2: -_sign(x0) * sf(xp).eval_genlaguerre(lower(xp, x0), x1 + 1, x2),
)
declare(
    special.eval_gegenbauer,
    _no("eval_gegenbauer"),
    _no("eval_gegenbauer", "parameter alpha"),
    lambda xp, x0, x1, x2: 2 * x1 * _sign(x0) * sf(xp).eval_gegenbauer(lower(xp, x0), x1 + 1, x2),
)
declare(
    special.eval_jacobi,
    _no("eval_jacobi"),
    _no("eval_jacobi", "parameter alpha"),
    _no("eval_jacobi", "parameter beta"),
    lambda xp, x0, x1, x2, x3: (
        (x0 + x1 + x2 + 1) / 2 * _sign(x0) * sf(xp).eval_jacobi(lower(xp, x0), x1 + 1, x2 + 1, x3)
    ),
)
declare(
    special.eval_sh_jacobi,
    _no("eval_sh_jacobi"),
    _no("eval_sh_jacobi", "parameter p"),
    _no("eval_sh_jacobi", "parameter q"),
    lambda xp, x0, x1, x2, x3: (
        _sign(x0)
        * ((x0 + x1) / sf(xp).binom(2 * x0 + x1 - 1, x0))
        * sf(xp).eval_jacobi(lower(xp, x0), x1 - x2 + 1, x2, 2 * x3 - 1)
    ),
)
declare(
    special.lpmv,
    _no("lpmv", "order m"),
    _no("lpmv", "degree v"),
    lambda xp, x0, x1, x2, y: (x1 * x2 * y - (x1 + x0) * sf(xp).lpmv(x0, x1 - 1, x2)) / (x2 * x2 - 1),
)

# ---- hypergeometric functions: of the argument

declare(special.hyp0f1, _no("hyp0f1", "parameter v"), lambda xp, x0, x1: sf(xp).hyp0f1(x0 + 1.0, x1) / x0)
declare(
    special.hyp1f1,
    _no("hyp1f1", "parameter a"),
    _no("hyp1f1", "parameter b"),
    lambda xp, x0, x1, x2: x0 / x1 * sf(xp).hyp1f1(x0 + 1.0, x1 + 1.0, x2),
)
declare(
    special.hyperu,
    _no("hyperu", "parameter a"),
    _no("hyperu", "parameter b"),
    lambda xp, x0, x1, x2: -x0 * sf(xp).hyperu(x0 + 1.0, x1 + 1.0, x2),
)
declare(
    special.hyp2f1,
    _no("hyp2f1", "parameter a"),
    _no("hyp2f1", "parameter b"),
    _no("hyp2f1", "parameter c"),
    lambda xp, x0, x1, x2, x3: x0 * x1 / x2 * sf(xp).hyp2f1(x0 + 1.0, x1 + 1.0, x2 + 1.0, x3),
)
if hasattr(special, "wright_bessel"):
    declare(
        special.wright_bessel,
        _no("wright_bessel", "parameter a"),
        _no("wright_bessel", "parameter b"),
        lambda xp, x0, x1, x2: sf(xp).wright_bessel(x0, x0 + x1, x2),
    )
if hasattr(special, "log_wright_bessel"):
    declare(
        special.log_wright_bessel,
        _no("log_wright_bessel", "parameter a"),
        _no("log_wright_bessel", "parameter b"),
        lambda xp, x0, x1, x2, y: xp.exp(sf(xp).log_wright_bessel(x0, x0 + x1, x2) - y),
    )
