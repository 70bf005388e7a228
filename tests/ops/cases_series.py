"""Rows for series of polynomials in six bases, by the names of tapeflow.numpy.polynomial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import case, cplx, fixed, real

from tapeflow.numpy import polynomial as P

MODULES = {
    "poly": P.polynomial, "cheb": P.chebyshev, "leg": P.legendre,
    "herm": P.hermite, "herme": P.hermite_e, "lag": P.laguerre,
}  # fmt: skip
POINTS = [-0.9, -0.4, 0.1, 0.6, 1.0]


def rows(prefix: str, module: Any) -> None:
    """The rows of one basis."""

    def get(name: str) -> Any:
        return getattr(module, prefix + name)

    values(get)
    coefficients(get)
    fit = get("fit")
    case(fit, lambda x, y: fit(x, y, 2), fixed(POINTS), real(5))
    case(fit, lambda x, y, w: fit(x, y, [0, 3], w=w), fixed(POINTS), real(5, 2), real(5, low=0.5), note="degrees")
    case(fit, lambda x, y: fit(x, y, 1), cplx(4), cplx(4), note="complex")
    case(fit, lambda y: fit(POINTS, y, 2, full=True)[0], real(5), note="full")
    if prefix != "poly":
        for name in (f"poly2{prefix}", f"{prefix}2poly"):
            case(getattr(module, name), None, real(4))


def values(get: Callable[[str], Any]) -> None:
    val, vander = get("val"), get("vander")
    case(val, None, real(2, 3), real(4), note="points-and-coefficients")
    case(val, None, real(2), real(3, 2), note="several-series")
    case(val, lambda x, c: val(x, c, tensor=False), real(2), real(3, 2), note="no-tensor")
    case(val, lambda x, c: val(x, c, tensor=False), real(2, 2), real(3, 2), note="no-tensor-broadcast")
    case(val, None, cplx(2), cplx(3), note="complex")
    case(val, lambda x: val(x, [1, 2]), real(2), note="plain-coefficients")
    case(val, lambda c: val(0.5, [c[0], 1.0, c[1]]), real(2), note="list-of-traced")
    case(val, None, real(2), real(1), note="constant")
    case(vander, lambda x: vander(x, 3), real(2, 2))
    case(vander, lambda x: vander(x, 0), cplx(2), note="constant")
    for shape in ((2, 3), (2, 3, 2)):
        n, points = f"{len(shape)}d", [real(2) for _ in shape]
        many = get("vander" + n)
        case(get("val" + n), None, *points, real(*shape))
        case(get("grid" + n), None, *points, real(*shape))
        case(many, lambda *x, many=many: many(*x, [2, 1, 2][: len(x)]), *points)


def coefficients(get: Callable[[str], Any]) -> None:
    div, der, integ = get("div"), get("der"), get("int")
    for f in (get("add"), get("sub"), get("mul")):
        case(f, None, real(3), real(2))
        case(f, lambda c, f=f: f(c, [1.0, 2.0, 3.0, 4.0]), cplx(3), note="complex")
        case(f, lambda c, f=f: f(2.0, c), real(3), note="number")
    case(get("mulx"), None, real(3))
    case(div, None, real(5), real(3, low=0.5))
    case(div, lambda c: div([1.0, 2.0], c), real(3, low=0.5), note="short")
    case(div, lambda c: div(c, 2.0), real(3), note="number")
    case(get("pow"), lambda c: get("pow")(c, 3), real(2))
    case(get("pow"), lambda c: get("pow")(c, 1), real(2), note="one")
    case(der, None, real(4))
    case(der, lambda c, s: der(c, 2, s, axis=1), real(2, 5), real(), note="scale-axis")
    case(der, lambda c: der(c, 3), real(2), note="nothing-left")
    case(der, lambda c: der(c, m=0), real(2), note="none")
    case(integ, None, real(3))
    case(integ, lambda c, k, b, s: integ(c, 2, k, b, s), real(3), real(2), real(), real(), note="all-traced")
    case(integ, lambda c: integ(c, 1, [2.0], axis=-1), cplx(2, 3), note="axis-complex")
    case(get("line"), None, real(), real(low=0.5))
    case(get("fromroots"), None, fixed([0.3, -1.0, 2.0, 0.7, 0.1]))
    case(get("fromroots"), None, cplx(3), note="complex")
    case(get("roots"), None, fixed([1.0, -0.3, 2.0, 1.5]))
    case(get("roots"), None, cplx(3), note="complex")
    case(get("roots"), None, fixed([1.0, 2.0]), note="linear")
    case(get("companion"), None, real(4, low=0.5))
    case(get("companion"), None, real(2, low=0.5), note="linear")
    case(get("trim"), lambda c: get("trim")([c[0], c[1], 0.0, 1e-3], 0.01), real(2, low=0.5))


for _prefix, _module in MODULES.items():
    rows(_prefix, _module)

_from_roots = P.polynomial.polyvalfromroots
case(_from_roots, None, real(2), real(3))
case(_from_roots, lambda x, r: _from_roots(x, r, False), real(2), real(3, 2), note="no-tensor")
case(P.chebyshev.chebinterpolate, lambda a: P.chebyshev.chebinterpolate(lambda x: np.sin(a * x), 4), real())
case(P.chebyshev.chebweight, None, real(2, low=-0.8, high=0.8))
if hasattr(np.polynomial.polynomial.polyval2d, "_implementation"):  # NumPy dispatches it
    case(np.polynomial.polynomial.polyval2d, None, real(2), real(2), real(2, 3), note="numpys")
    case(np.polynomial.polynomial.polygrid2d, None, real(2), real(3), real(2, 3), note="numpys")

# ---- classes

for _class in (P.Polynomial, P.Chebyshev, P.Legendre, P.Hermite, P.HermiteE, P.Laguerre):
    case(_class, lambda c, x, k=_class: k(c)(x), real(3), real(2))
    case(_class, lambda c, d, x, k=_class: k(c, d)(x), real(3), fixed([-1.5, 2.0]), real(2), note="domain")
    case(_class, lambda c, k=_class: (k(c) * k([1.0, 2.0]) + c[0] - k(c) ** 2).coef, real(3), note="arithmetic")
    case(_class, lambda c, k=_class: (k(c) / c[1] // k([1.0, 2.0])).coef, real(4, low=0.5), note="division")
    case(_class, lambda c, k=_class: k(c, [0, 4]).deriv(2).integ(1, c[0], c[1]).coef, real(4), note="calculus")
    case(_class, lambda c, k=_class: k(c, [0, 4]).roots(), fixed([1.0, 0.3, 2.0, 1.5]), note="roots")
    case(_class, lambda r, k=_class: k.fromroots(r)(0.3), fixed([1.0, 0.3, 2.0]), note="from-roots")
    case(_class, lambda x, y, k=_class: k.fit(x, y, 2).coef, fixed(POINTS), real(5), note="fit")
    case(_class, lambda x, k=_class: k.fit(x, x * x * x, 2, [-1, 1], full=True)[0](0.2), fixed(POINTS), note="fit-full")
    case(_class, lambda c, k=_class: k(c).convert(kind=P.Polynomial).coef, real(3), note="convert")
    case(_class, lambda c, k=_class: k(c)(k([0.5, 2.0])).coef, real(3), note="composition")
    case(_class, lambda c, k=_class: k(c).linspace(4)[1], real(3), note="linspace")
    case(_class, lambda c, k=_class: k(c).trim().truncate(2).copy().coef, real(3), note="truncated")
