"""Rows for the functions of scipy.special."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from cases import Draw, case, cplx, fixed, real
from scipy import special

from tapeflow.ops.late import declare_special
from tapeflow.ops.special_common import inner_ufunc

declare_special()

MODERN = tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 15)
POSITIVE = {"low": 0.3, "high": 3.0}
UNIT = {"low": 0.1, "high": 0.9}
ROUGH = {"jvp": "SciPy's values have few digits; test_special_points.py compares the derivative with exact ones"}


def positive(*shape: int) -> Draw:
    return real(*shape, **POSITIVE)


def unit(*shape: int) -> Draw:
    return real(*shape, **UNIT)


def split(*shape: int) -> Draw:
    """Complex numbers in the right half plane."""
    return lambda rng: rng.uniform(0.4, 2.0, shape) + 1j * rng.uniform(-1.5, 1.5, shape)


def at(f: Any, *before: Any) -> Any:
    """The function with its first arguments, orders or parameters, fixed."""
    return lambda x: f(*before, x)


# ---- gamma, beta, zeta

for _f in (special.gamma, special.loggamma, special.rgamma, special.psi):
    case(_f, None, positive(2, 3), note="real")
    case(_f, None, split(2, 3), note="complex")
for _f in (special.gamma, special.gammaln, special.rgamma, special.psi):
    case(_f, None, fixed([-2.3, -0.7, -5.5, 12.0]), note="negative")
case(special.gamma, None, fixed([-1.3 + 0.7j, -0.4 - 1.1j]), note="left")
case(special.rgamma, None, fixed([-1.3 + 0.7j, -0.4 - 1.1j]), note="left")
case(special.psi, None, fixed([-1.3 + 0.7j, -0.4 - 1.1j]), note="left")
case(special.gammaln, None, positive(2, 3))
case(special.gammasgn, None, fixed([-2.3, -0.7, 2.0]))
for _f in (special.beta, special.betaln, special.poch):
    case(_f, None, positive(2, 3), positive(3))
    case(_f, None, fixed([-0.4, 2.3, -1.7]), fixed([0.9, -0.3, 2.2]), note="negative")
    case(_f, lambda x, f=_f: f(x, 2), positive(3), note="constant-right")
    case(_f, lambda x, f=_f: f(0.7, x), positive(3), note="constant-left")
case(special.binom, None, real(2, 3, low=3.0, high=6.0), real(2, 3, low=0.4, high=2.5))
case(special.binom, lambda n: special.binom(n, 2), real(3, low=3.0, high=6.0), note="whole")
_zeta, _riemann = inner_ufunc(special.zeta, 2.0), inner_ufunc(special.zeta)
case(_zeta, special.zeta, real(2, 3, low=1.3, high=4.0), positive(2, 3), note="both")
case(_zeta, lambda q: special.zeta(3, q), positive(3), note="argument")
case(_riemann, special.zeta, fixed([1.4, 2.0, 0.3, -0.7, -2.5, 7.0]))
case(special.zetac, None, fixed([1.4, 2.0, 0.3, -0.7, -2.5, 7.0]))

# ---- incomplete gamma and beta

for _f in (special.gammainc, special.gammaincc):
    case(_f, at(_f, np.array([[0.5], [1.0], [3.2], [25.0]])), positive(4, 3))
for _f in (special.gammaincinv, special.gammainccinv):
    case(_f, at(_f, np.array([[0.7], [1.0], [3.2], [25.0]])), unit(4, 3))
for _f in (special.betainc, special.betaincc):
    case(_f, at(_f, np.array([[0.5], [3.2]]), 1.7), unit(2, 3))
for _f in (special.betaincinv, special.betainccinv):
    case(_f, at(_f, np.array([[0.8], [3.2]]), 1.7), unit(2, 3))

for _f in (special.gammainc, special.gammaincc):
    case(_f, None, fixed([[0.4], [1.7], [6.0], [30.0]]), fixed([0.3, 5.0, 27.0]), note="shape")
for _f in (special.gammaincinv, special.gammainccinv):
    case(_f, None, fixed([[0.8], [1.7], [6.0]]), unit(3, 3), note="shape")
for _f in (special.betainc, special.betaincc):
    case(_f, None, fixed([[0.7], [1.8], [12.0]]), fixed([0.6, 2.3, 15.0]), unit(3, 3), note="shape")
for _f in (special.betaincinv, special.betainccinv):
    case(_f, None, fixed([[0.9], [1.8]]), fixed([0.8, 2.3]), real(2, 2, low=0.2, high=0.8), note="shape")

# ---- error functions

for _f in (special.erf, special.erfc, special.erfcx, special.erfi, special.dawsn, special.ndtr, special.log_ndtr):
    case(_f, None, real(2, 3), note="real")
    case(_f, None, split(2, 3), note="complex")
case(special.erfcx, None, fixed([9.0, 30.0, 7.9, -3.0]), note="tail")
case(special.erfcx, None, fixed([9.0 + 2j, -3.0 + 9j, 1 - 20j]), note="complex-tail")
case(special.dawsn, None, fixed([9.0, -30.0, 7.9]), note="tail")
case(special.dawsn, None, fixed([9.0 + 2j, -3.0 + 3.5j, 12 - 1j]), note="complex-tail")
case(special.log_ndtr, None, fixed([-40.0, -5.0, 6.0, 0.0]), note="tail")
case(special.wofz, None, split(2, 3), note="complex")
case(special.wofz, None, real(2, 3), note="real")
for _f in (special.erfinv,):
    case(_f, None, real(2, 3, low=-0.9, high=0.9))
case(special.erfcinv, None, real(2, 3, low=0.1, high=1.9))
case(special.ndtri, None, unit(2, 3))
case(special.ndtri_exp, None, real(2, 3, low=-4.0, high=-0.1))
case(special.fresnel, None, real(2, 3))
case(special.fresnel, None, cplx(2, 3, high=1.2), note="complex")
# SciPy's values of the first output are wrong at negative arguments.
case(
    special.modfresnelp,
    None,
    positive(2, 3),
    skip=None if MODERN else {"jvp": "this SciPy conjugates the second output"},
)
case(special.modfresnelm, None, positive(2, 3))

# ---- logistic, exponentials, logarithms

for _f in (
    special.expit, special.log_expit, special.expm1, special.exprel, special.exp2, special.exp10, special.cosm1,
    special.sindg, special.cosdg,
):  # fmt: skip
    case(_f, None, real(2, 3))
case(special.exprel, None, fixed([0.0, 1e-3, 5.0, -5.0, 0.99, -1.01]), note="regions")
case(special.tandg, None, real(2, 3, low=-70.0, high=70.0))
case(special.cotdg, None, real(2, 3, low=20.0, high=70.0))
case(special.logit, None, unit(2, 3))
case(special.log1p, None, positive(2, 3))
case(special.log1p, None, split(2, 3), note="complex")
case(special.expm1, None, split(2, 3), note="complex")
case(special.cbrt, None, positive(2, 3))
case(special.radian, None, positive(2, 3), positive(3), positive(2, 1))
case(special.round, None, fixed([0.2, 1.7, -0.6]))
case(special.powm1, None, positive(2, 3), real(3))
for _f in (special.xlogy, special.xlog1py):
    case(_f, None, real(2, 3), positive(2, 3), note="real")
    case(_f, None, cplx(2, 3), split(2, 3), note="complex")
    case(_f, lambda x, f=_f: f(x, 0.7), real(3), note="constant-right")

# ---- entropies and losses

case(special.entr, None, positive(2, 3))
for _f in (special.rel_entr, special.kl_div):
    case(_f, None, positive(2, 3), positive(3))
    case(_f, None, fixed([0.7, 0.7, 0.3]), fixed([0.7, 0.701, 5.0]), note="near")
case(special.huber, None, fixed([1.0, 1.5, 0.4]), fixed([[0.3, -0.9, 2.0], [-3.0, 1.9, -0.5]]))
case(special.pseudo_huber, None, positive(2, 3), real(2, 3))
for _f in (special.boxcox, special.boxcox1p):
    case(_f, None, positive(2, 3), real(3))
    case(_f, None, fixed([0.4, 2.5]), fixed([0.0, 1e-4]), note="small-power")
for _f in (special.inv_boxcox, special.inv_boxcox1p):
    case(_f, None, positive(2, 3), unit(3))
    case(_f, None, fixed([0.4, 2.5, 0.7]), fixed([0.0, 1e-4, 1.5]), note="small-power")

# ---- integrals of exponentials and trigonometric functions; Lambert's W

for _f in (special.expi, special.exp1):
    case(_f, None, positive(2, 3))
    case(_f, None, split(2, 3), note="complex")
case(special.expn, at(special.expn, np.array([[0], [1], [2], [5]])), positive(4, 3))
case(special.expn, at(special.expn, 3), positive(3), note="number")
for _f in (special.sici, special.shichi):
    case(_f, None, positive(2, 3))
    case(_f, None, split(2, 3), note="complex")
case(special.spence, None, positive(2, 3))
case(special.spence, None, split(2, 3), note="complex")
_lambertw = inner_ufunc(special.lambertw)
case(_lambertw, special.lambertw, positive(2, 3), note="real")
case(_lambertw, special.lambertw, cplx(2, 3), note="complex")
case(_lambertw, lambda z: special.lambertw(z, -1), cplx(2, 3), note="branch")
case(_lambertw, lambda z: special.lambertw(z, np.array([0, 1, 2])), cplx(2, 3), note="branches")
case(special.wrightomega, None, real(2, 3))
case(special.wrightomega, None, split(2, 3), note="complex")

# ---- Bessel functions

for _f in (
    special.j0, special.j1, special.y0, special.y1, special.i0, special.i1, special.k0, special.k1,
    special.i0e, special.i1e, special.k0e, special.k1e,
):  # fmt: skip
    case(_f, None, positive(2, 3))
for _f in (special.i0e, special.i1e):
    case(_f, None, fixed([-2.0, 29.0, 31.0, -80.0]), note="large")
for _f in (special.k0e, special.k1e):
    case(_f, None, fixed([29.0, 31.0, 80.0]), note="large")
_orders = np.array([[0.0], [0.3], [1.0], [2.5]])
for _f in (special.jv, special.yv, special.iv, special.kv, special.hankel1, special.hankel2):
    case(_f, at(_f, _orders), positive(4, 3), note="orders")
    case(_f, at(_f, 2), positive(3), note="whole")
    case(_f, at(_f, 1.5), split(2, 3), note="complex")
for _f in (special.jve, special.yve, special.ive, special.kve, special.hankel1e, special.hankel2e):
    case(_f, at(_f, _orders), positive(4, 3), note="orders")
    case(_f, at(_f, 1), fixed([29.0, 31.0, 80.0]), note="large")
    case(_f, at(_f, 1.5), split(2, 3), note="complex")
case(special.hankel1e, at(special.hankel1e, 2), fixed([40.0 + 3j, 2 - 35j, -40 + 1j]), note="complex-large")
case(special.kve, at(special.kve, 2), fixed([40.0 + 3j, 2 - 35j]), note="complex-large")
for _f in (special.yn, special.kn):
    case(_f, at(_f, 2), positive(2, 3), note="number")
    case(_f, at(_f, np.array([0, 1, 3])), positive(2, 3), note="array")
case(special.airy, None, real(2, 3), note="real")
case(special.airy, None, split(2, 3), note="complex")
case(special.airye, None, positive(2, 3))
case(special.airye, lambda x: special.airye(x)[2:], fixed([-1.3, -0.4]), note="left")
case(special.itairy, None, positive(2, 3), skip=ROUGH)
for _f in (special.ber, special.bei, special.ker, special.kei, special.berp, special.beip, special.kerp, special.keip):
    case(_f, None, positive(2, 3))
case(special.kelvin, None, positive(2, 3))
for _f in (special.itj0y0, special.iti0k0, special.it2j0y0, special.it2i0k0):
    case(_f, None, positive(2, 3), skip=ROUGH)
for _f in (special.itstruve0, special.it2struve0, special.itmodstruve0):
    case(_f, None, positive(2, 3), skip=ROUGH)
case(special.besselpoly, lambda a: special.besselpoly(a, 1.0, 2.0), positive(2, 3))
for _f in (special.struve, special.modstruve):
    case(_f, at(_f, np.array([[0.0], [1.0], [1.5]])), positive(3, 3))
for _f in (special.pbdv, special.pbvv):
    case(_f, at(_f, 1.5), positive(2, 3))
case(special.pbwa, at(special.pbwa, 1.5), positive(2, 3))
for _f in (special.mathieu_cem, special.mathieu_sem):
    case(_f, at(_f, 2, 1.5), real(2, 3, low=10.0, high=70.0))
for _f in (special.mathieu_modcem1, special.mathieu_modcem2, special.mathieu_modsem1, special.mathieu_modsem2):
    case(_f, at(_f, 2, 1.5), unit(2, 3))

# ---- polynomials and hypergeometric functions

_degrees = np.array([[0], [1], [2], [5]])
for _f in (
    special.eval_legendre, special.eval_chebyt, special.eval_chebyu, special.eval_chebyc, special.eval_chebys,
    special.eval_laguerre, special.eval_sh_legendre, special.eval_sh_chebyt, special.eval_sh_chebyu,
):  # fmt: skip
    case(_f, at(_f, _degrees), unit(4, 3), note="degrees")
    case(_f, at(_f, 3), unit(3), note="number")
    case(_f, at(_f, 1.5), unit(3), note="fraction")
    case(_f, at(_f, 3.0), split(3), note="complex")
for _f in (special.eval_hermite, special.eval_hermitenorm):
    case(_f, at(_f, _degrees), unit(4, 3), note="degrees")
    case(_f, at(_f, 3), unit(3), note="number")
for _f in (special.eval_genlaguerre, special.eval_gegenbauer):
    case(_f, at(_f, _degrees, 0.7), unit(4, 3), note="degrees")
    case(_f, at(_f, 3, 0.7), unit(3), note="number")
for _f, _args in ((special.eval_jacobi, (0.7, 0.4)), (special.eval_sh_jacobi, (1.7, 0.9))):
    case(_f, at(_f, _degrees, *_args), unit(4, 3), note="degrees")
    case(_f, at(_f, 3, *_args), unit(3), note="number")
case(special.lpmv, at(special.lpmv, 1, np.array([[2.0], [2.5], [1.0]])), unit(3, 3))
case(special.hyp0f1, at(special.hyp0f1, 1.3), real(2, 3), note="real")
case(special.hyp0f1, at(special.hyp0f1, 1.3), split(2, 3), note="complex")
case(special.hyp1f1, at(special.hyp1f1, 0.7, 1.3), real(2, 3), note="real")
if MODERN:  # older versions have few digits
    case(special.hyp1f1, at(special.hyp1f1, 0.7, 1.3), cplx(2, 3, high=0.8), note="complex")
case(special.hyp2f1, at(special.hyp2f1, 0.7, 1.3, 2.1), real(2, 3, low=-2.0, high=0.8), note="real")
case(special.hyp2f1, at(special.hyp2f1, 0.7, 1.3, 2.1), cplx(2, 3, high=0.8), note="complex")
case(special.hyperu, at(special.hyperu, 0.7, 1.3), positive(2, 3))
for _name in ("wright_bessel", "log_wright_bessel"):
    if hasattr(special, _name):
        case(getattr(special, _name), at(getattr(special, _name), 0.7, 1.3), positive(2, 3))

# ---- elliptic integrals and functions

for _f in (special.ellipk, special.ellipe):
    case(_f, None, real(2, 3, low=-2.0, high=0.9))
case(special.ellipkm1, None, unit(2, 3))
for _f in (special.ellipkinc, special.ellipeinc):
    case(_f, None, real(2, 3, low=0.2, high=1.3), real(3, low=-1.0, high=0.9))
    case(_f, None, fixed([4.0, -5.0, 0.4, 2.0]), fixed([0.3, 0.6, 0.0, 1e-3]), note="periods")
case(special.ellipj, None, real(2, 3), unit(2, 3))
case(special.agm, None, positive(2, 3), positive(3))
case(special.agm, None, fixed([1.0, 2.0]), fixed([1.0, 2.01]), note="near")
for _f, _n in (
    (special.elliprc, 2),
    (special.elliprf, 3),
    (special.elliprd, 3),
    (special.elliprg, 3),
    (special.elliprj, 4),
):
    case(_f, None, *(positive(2, 3) for _ in range(_n)), note="real")
    case(_f, None, *(split(2, 3) for _ in range(_n)), note="complex")
    case(_f, None, *(fixed([1.0, 2.0, 3.0]) for _ in range(_n)), note="equal")
case(special.elliprc, None, positive(3), fixed([-0.4, -1.0, -3.0]), note="principal-value")

# ---- distributions

for _f in (special.stdtr,):
    case(_f, at(_f, np.array([[1.0], [2.5], [30.0]])), real(3, 3))
case(special.stdtrit, at(special.stdtrit, np.array([[1.0], [2.5], [30.0]])), unit(3, 3))
for _f in (special.chdtr, special.chdtrc):
    case(_f, at(_f, np.array([[1.0], [2.5], [30.0]])), positive(3, 3))
case(special.chdtri, at(special.chdtri, np.array([[1.0], [2.5], [30.0]])), unit(3, 3))
for _f in (special.fdtr, special.fdtrc):
    case(_f, at(_f, 3.0, 4.5), positive(3, 3))
case(special.fdtri, at(special.fdtri, 3.0, 4.5), unit(3, 3))
for _f in (special.gdtr, special.gdtrc):
    case(_f, lambda a, x, f=_f: f(a, 2.5, x), positive(2, 3), positive(3))
case(special.gdtrix, lambda a, p: special.gdtrix(a, 2.5, p), positive(2, 3), unit(3))
case(special.gdtria, lambda p, x: special.gdtria(p, 2.5, x), unit(2, 3), positive(3))
for _f in (special.bdtr, special.bdtrc):
    case(_f, at(_f, np.array([[0.0], [2.0], [5.0]]), 5), unit(3, 3))
case(special.stdtr, None, fixed([1.0, 2.5, 30.0]), real(2, 3), note="shape")
case(special.stdtrit, None, fixed([1.5, 2.5, 30.0]), real(2, 3, low=0.15, high=0.4), note="shape")
for _f in (special.chdtr, special.chdtrc):
    case(_f, None, fixed([1.0, 2.5, 30.0]), positive(2, 3), note="shape")
case(special.chdtri, None, fixed([1.4, 2.5, 30.0]), unit(2, 3), note="shape")
for _f in (special.fdtr, special.fdtrc):
    case(_f, None, fixed([3.0, 1.2, 30.0]), fixed([4.5, 9.0, 22.0]), positive(2, 3), note="shape")
case(special.fdtri, None, fixed([3.0, 2.2]), fixed([4.5, 9.0]), unit(2), note="shape")
for _f in (special.gdtr, special.gdtrc):
    case(_f, None, positive(2, 3), positive(3), positive(3), note="shape")
case(special.gdtrix, None, positive(3), fixed([0.9, 2.5, 4.0]), unit(3), note="shape")
case(special.gdtria, None, unit(3), fixed([0.9, 2.5, 4.0]), positive(3), note="shape")
case(special.gdtrib, None, positive(3), fixed([0.3, 0.6, 0.8]), positive(3))
case(special.pdtrik, None, fixed([0.5, 0.6, 0.8]), real(3, low=3.0, high=6.0))
case(special.chdtriv, None, fixed([0.3, 0.6, 0.8]), positive(3))
case(special.stdtridf, None, fixed([0.8, 0.85, 0.82]), fixed([1.0, 1.1, 1.05]))
case(special.fdtridfd, None, fixed([3.0, 4.0]), fixed([0.5, 0.6]), fixed([1.0, 1.2]))
case(special.chndtr, lambda x, nc: special.chndtr(x, 2.5, nc), fixed([1.2, 0.7, 4.0]), fixed([0.2, 3.0, 9.0]))
case(special.chndtr, lambda x: special.chndtr(x, 2.5, [0.0, 0.4, 3.0]), positive(3), note="central")
case(special.chndtrix, lambda p: special.chndtrix(p, 2.5, 0.7), unit(3))
case(special.chndtrinc, lambda x, p: special.chndtrinc(x, 2.5, p), fixed([4.0, 5.0]), fixed([0.3, 0.4]))
if hasattr(special, "btdtria"):
    case(special.btdtria, None, fixed([0.3, 0.6]), fixed([1.5, 2.5]), fixed([0.4, 0.6]))
    case(special.btdtrib, None, fixed([1.5, 2.5]), fixed([0.3, 0.6]), fixed([0.4, 0.6]))
case(special.bdtri, at(special.bdtri, np.array([[0.0], [2.0], [4.0]]), 5), unit(3, 3))
for _f in (special.nbdtr, special.nbdtrc, special.nbdtri):
    case(_f, at(_f, np.array([[0], [2], [5]]), 4), unit(3, 3))
for _f in (special.pdtr, special.pdtrc):
    case(_f, at(_f, np.array([[0.0], [2.0], [5.0]])), positive(3, 3))
case(special.pdtri, at(special.pdtri, np.array([[0], [2], [5]])), unit(3, 3))
case(special.nrdtrimn, None, unit(2, 3), positive(2, 3), real(3))
case(special.nrdtrisd, None, real(2, 3, low=-1.0, high=0.0), real(2, 3, low=0.6, high=0.9), real(3, low=0.5))
case(special.owens_t, None, real(2, 3), real(2, 3))
case(special.voigt_profile, None, real(2, 3), positive(2, 3), positive(2, 3))
case(special.voigt_profile, None, fixed([20.0, -3.0]), fixed([0.5, 0.1]), fixed([0.2, 2.0]), note="wings")
case(special.kolmogorov, None, positive(2, 3))
case(special.kolmogi, None, unit(2, 3))
case(special.tklmbda, lambda x: special.tklmbda(x, np.array([-0.5, 0.0, 0.4])), real(2, 3))
