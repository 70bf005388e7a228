"""Rows for polynomials, arrays made from numbers, and functions that apply functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import case, cplx, fixed, real

# ---- polynomials of np.poly1d

case(np.poly, None, real(4))
case(np.poly, None, cplx(3), note="complex")
case(np.poly, None, fixed([0.5, 0.5, 0.5]), note="multiple")
case(np.poly, None, fixed([[1.0, 2.0, 0.5], [0.3, -1.0, 0.7], [2.0, 0.1, 0.4]]), note="matrix")
case(np.poly, None, fixed([[1.0, 0.0], [0.0, 1.0]]), note="equal-eigenvalues")
case(np.poly, None, cplx(3, 3), note="complex-matrix")
for _f in (np.polyadd, np.polysub, np.polymul):
    case(_f, None, real(3), real(5), note="longer-right")
    case(_f, None, cplx(4), real(2), note="complex")
    case(_f, lambda x, f=_f: f([1.0, 2.0], x), real(3), note="list-left")
    case(_f, lambda x, f=_f: f(x, 2.0), real(3), note="number")
    case(_f, lambda x, f=_f: f(x, [x[0], 1.0]), real(3), note="list-of-traced")
    case(_f, lambda x, f=_f: f(x, np.poly1d([1.0, 2.0])).coeffs, real(3), note="poly1d")
case(np.polydiv, None, real(5), real(3, low=0.5))
case(np.polydiv, None, cplx(4), cplx(2), note="complex")
case(np.polydiv, lambda u: np.polydiv(u, [2.0]), real(3), note="by-number")
case(np.polydiv, lambda v: np.polydiv([1.0, 2.0], v), real(3), note="short")
case(np.polyval, None, real(4), real(2, 3))
case(np.polyval, None, cplx(3), cplx(2), note="complex")
case(np.polyval, lambda x: np.polyval([1.0, -2.0, 3.0], x), real(3), note="points")
case(np.polyval, lambda p: np.polyval(p, 1.5), real(3), note="coefficients")
case(np.polyval, lambda p: np.polyval(p, np.poly1d([1.0, 2.0])).coeffs, real(3), note="composition")
case(np.polyval, lambda x: np.polyval([x[0], 2.0, x[1]], x), real(2), note="list-of-traced")
case(np.polyder, None, real(4))
case(np.polyder, lambda p: np.polyder(p, 2), real(5), note="second-derivative")
case(np.polyder, lambda p: np.polyder(p, m=0), real(3), note="none")
case(np.polyint, None, real(3))
case(np.polyint, lambda p, k: np.polyint(p, 2, k), real(3), real(2), note="constants")
case(np.polyint, lambda p, k: np.polyint(p, m=3, k=k), cplx(2), real(), note="constant")
case(np.polyint, lambda p: np.polyint(p, 2, [p[0], 1.0]), real(3), note="list-of-traced")
case(np.roots, None, fixed([1.0, -6.1, 11.3, -6.2]))
case(np.roots, None, fixed([1.0, 0.3, 2.0, 0.7, -1.5]), note="complex-roots")
case(np.roots, None, cplx(4), note="complex")
case(np.roots, None, fixed([2.0, 3.0]), note="linear")
case(np.vander, None, real(3))
case(np.vander, lambda x: np.vander(x, 5, increasing=True), real(3), note="increasing")
case(np.vander, lambda x: np.vander(x, N=4), fixed([0.0, 1.5, -2.0]), note="zero")
case(np.vander, lambda x: np.vander(x, 1), real(3), note="one")
case(np.vander, lambda x: np.vander(x, 4), cplx(3), note="complex")
_POINTS = [-1.0, -0.4, 0.1, 0.7, 1.2, 2.0]
case(np.polyfit, lambda x, y: np.polyfit(x, y, 2), fixed(_POINTS), real(6))
case(np.polyfit, lambda x, y, w: np.polyfit(x, y, 1, w=w), fixed(_POINTS), real(6, 2), real(6, low=0.5), note="weights")
case(np.polyfit, lambda y: np.polyfit(_POINTS, y, 3), cplx(6), note="complex")
case(np.polyfit, lambda x, y: np.polyfit(x, y, 2), cplx(6), cplx(6), note="complex-points")
case(np.polyfit, lambda x, y: np.polyfit(x, y, 2, cov=True), fixed(_POINTS), real(6), note="covariance")
case(np.polyfit, lambda x, y: np.polyfit(x, y, 1, cov="unscaled"), fixed(_POINTS), real(6, 2), note="unscaled")
case(np.polyfit, lambda x, y: np.polyfit(x, y, 2, full=True)[:2], fixed(_POINTS), real(6), note="full")
case(np.polyfit, lambda x: np.polyfit(x, _POINTS, 2, full=True)[3], fixed(_POINTS), note="singular-values")
case(np.polyfit, lambda x, y: np.polyfit(x, y, 5), fixed(_POINTS), real(6), note="interpolation")
case(np.trim_zeros, None, fixed([0.0, 1.2, 0.0, 3.0, 0.0]), skip=dict.fromkeys(("jvp", "second"), "zeros are cut"))
case(np.trim_zeros, lambda x: np.trim_zeros(x, "f"), real(3), note="front")

# ---- arrays made from numbers

for _f in (np.linspace, np.logspace):
    case(_f, lambda a, b, f=_f: f(a, b, 5), real(low=0.5), real(), note="numbers")
    case(_f, lambda a, b, f=_f: f(a, b, num=4, endpoint=False), real(3), real(2, 1), note="arrays-open")
    case(_f, lambda a, b, f=_f: f(a, b, 3, axis=-1), real(2), cplx(2), note="axis-complex")
    case(_f, lambda a, f=_f: f(a, 2.0, 3), real(), note="stop-number")
    case(_f, lambda b, f=_f: f([1.0, b], b, 3, axis=1), real(), note="list")
    case(_f, lambda a, b, f=_f: f(a, b, 1), real(), real(), note="one")
    case(_f, lambda a, b, f=_f: f(a, b, 0), real(2), real(2), note="none")
    case(_f, lambda a, f=_f: f(a, 1, 4, dtype=np.complex128), real(), note="dtype", skip={"dtype": "converts"})
case(np.linspace, lambda a, b: np.linspace(a, b, 4, retstep=True), real(2), real(2), note="step")
case(np.linspace, lambda a, b: np.linspace(a, b, 4, False, True), real(), real(), note="step-open")
case(np.logspace, lambda a, b, c: np.logspace(a, b, 3, base=c), real(2), real(2), real(2, low=0.5), note="base")
case(np.logspace, lambda c: np.logspace(0, [1, 2], 3, base=c, axis=-1), real(low=0.5), note="base-number")
case(np.geomspace, lambda a, b: np.geomspace(a, b, 4), real(low=0.5), real(low=0.5))
case(
    np.geomspace,
    lambda a, b: np.geomspace(a, b, 4, False, axis=1),
    real(2, high=-0.5),
    real(2, high=-0.5),
    note="negative",
)
case(np.geomspace, lambda a, b: np.geomspace(a, b, 3), cplx(2), cplx(2), note="complex")
case(np.geomspace, lambda a: np.geomspace(a, 1000, 1), real(low=0.5), note="one")
case(np.geomspace, lambda a: np.geomspace(a, [1, 2], 3, dtype=complex), real(low=0.5), note="dtype")
case(np.full_like, lambda x, v: np.full_like(x, v), real(2, 3), real())
case(np.meshgrid, None, real(3), real(2))
case(np.meshgrid, lambda x, y, z: np.meshgrid(x, y, z, indexing="ij"), real(3), real(2), real(2), note="matrix")
case(np.meshgrid, lambda x, y: np.meshgrid(x, y, sparse=True, copy=False), real(3), cplx(2), note="sparse")
case(np.meshgrid, lambda x: np.meshgrid(x, [1.0, 2.0], x[0]), real(3), note="mixed")
case(np.meshgrid, lambda x: np.meshgrid(x), real(3), note="one")
case(np.ix_, lambda x: np.ix_(x, [1, 2])[0], real(3))
case(np.block, lambda x, y: np.block([[x, y], [np.ones((1, 2)), 2.0]]), real(2, 2), real(2, 1))
case(np.block, lambda x: np.block([x, 1.0, x[0]]), real(3), note="vectors")
case(np.block, lambda x: np.block(x), real(2, 2), note="array")
case(np.block, lambda x, y: np.block([[[x]], [[y]]]), cplx(2), real(2), note="deep")
case(np.array, lambda x: np.array([[x[0], 1.0], [x[1] * x[0], x[2]]], like=x), real(3))
case(np.array, lambda x: np.array(x, complex, ndmin=2, like=x), real(3), note="dtype", skip={"dtype": "converts"})
for _f in (np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.require):
    case(_f, lambda x, f=_f: f(x, like=x) * x[0], real(3))
case(np.full, lambda x: np.full((2, 2), x[0] * x[1], like=x), real(2))
for _f, _args in (
    (np.zeros, (3,)), (np.ones, ((1, 3),)), (np.arange, (3.0,)), (np.eye, (3,)), (np.identity, (3,)), (np.tri, (2, 3)),
    (np.fromfunction, (lambda i: 2.0 * i, (3,))),
):  # fmt: skip
    case(_f, lambda x, f=_f, args=_args: f(*args, like=x) + x * x, real(3))

# ---- functions of parts


def _scaled(v: Any, factor: Any = 1.0) -> Any:
    return v * np.sum(v) * factor


case(np.apply_along_axis, lambda x: np.apply_along_axis(_scaled, 1, x), real(2, 3, 2))
case(np.apply_along_axis, lambda x: np.apply_along_axis(_scaled, -1, x, factor=x[0, 0]), real(2, 3), note="keyword")
case(np.apply_along_axis, lambda x: np.apply_along_axis(np.sum, 0, x), real(2, 3), note="scalar")
case(np.apply_along_axis, lambda x: np.apply_along_axis(np.outer, 0, x, [1.0, 2.0]), cplx(3, 2), note="matrix")
case(np.apply_over_axes, lambda x: np.apply_over_axes(np.sum, x, (0, -1)), real(2, 3, 2))
case(np.apply_over_axes, lambda x: np.apply_over_axes(np.cumsum, x, 1), real(2, 3), note="same-shape")

# ---- complex where there is no real result

for _f in (np.emath.sqrt, np.emath.log, np.emath.log2, np.emath.log10):
    case(_f, None, real(3, low=0.5), note="positive")
    case(_f, None, fixed([-0.7, 1.2, -2.0]), note="negative")
    case(_f, None, cplx(3), note="complex")
for _f in (np.emath.arccos, np.emath.arcsin, np.emath.arctanh):
    case(_f, None, real(3, low=-0.8, high=0.8), note="inside")
    case(_f, None, fixed([-1.7, 0.3, 2.0]), note="outside")
    case(_f, None, cplx(3, high=0.8), note="complex")
case(np.emath.logn, None, real(2, low=1.5), real(2, low=0.5), note="positive")
case(np.emath.logn, None, real(low=1.5), fixed([-0.7, 1.2]), note="negative")
case(np.emath.power, None, real(2, low=0.5), real(2), note="positive")
case(np.emath.power, None, fixed([-0.7, 1.2]), fixed([1.3, 0.4]), note="negative")
case(np.emath.power, lambda x: np.emath.power(x, -2), fixed([-0.7, 1.2]), note="integer")
case(np.emath.power, lambda x: np.emath.power([-2, 3], x), fixed([0.7, 1.2]), note="exponent")
