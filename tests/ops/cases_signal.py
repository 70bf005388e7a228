"""More rows of the table in cases.py: convolution, interpolation, differences, pieces. Importing this file adds them."""

import warnings

import numpy as np
from cases import case, cplx, fixed, real

MODES = ("full", "same", "valid")
DOUBLE = {"dtype": "NumPy interpolates in double precision"}

# ---- convolution

for _f in (np.convolve, np.correlate):
    for _mode in MODES:
        for _n, _m in ((5, 3), (5, 4), (6, 4), (3, 5), (4, 5), (4, 6), (4, 4), (5, 5), (3, 1), (1, 1)):
            case(_f, lambda a, v, f=_f, m=_mode: f(a, v, m), real(_n), real(_m), note=f"{_mode}-{_n}-{_m}")
        case(_f, lambda a, v, f=_f, m=_mode: f(a, v, mode=m), cplx(5), cplx(3), note=f"{_mode}-complex")
        case(_f, lambda a, v, f=_f, m=_mode: f(a, v, mode=m), cplx(3), cplx(6), note=f"{_mode}-complex-short")
        case(_f, lambda a, v, f=_f, m=_mode: f(a, v, m), real(5), cplx(2), note=f"{_mode}-real-complex")
        case(_f, lambda a, v, f=_f, m=_mode: f(a, v, m), cplx(5), real(2), note=f"{_mode}-complex-real")
        case(_f, lambda a, f=_f, m=_mode: f(a, np.float32([1.0, -2.0]), m), real(4), note=f"{_mode}-plain-right")
        case(_f, lambda v, f=_f, m=_mode: f(np.float32([1.0, -2.0]), v, m), real(4), note=f"{_mode}-plain-left")
    case(_f, None, real(5), real(3), note="default-mode")
    case(_f, lambda a, f=_f: f(a, a, "full"), real(4), note="with-itself")
    case(_f, lambda a, f=_f: f(a, [1, 2], 1), real(4), note="list-and-number", skip={"dtype": "a list of integers"})
case(np.convolve, None, real(), real(3), note="scalar")

# ---- interpolation

_KNOTS = fixed([0.0, 1.0, 2.5, 3.0, 4.5])
_POINTS = fixed([[0.3, 2.7, 5.2], [-0.6, 1.2, 4.4]])
case(np.interp, None, _POINTS, _KNOTS, real(5), skip=DOUBLE)
case(np.interp, None, _POINTS, _KNOTS, cplx(5), note="complex", skip=DOUBLE)
case(np.interp, None, fixed(1.7), _KNOTS, real(5), note="scalar", skip=DOUBLE)
case(np.interp, lambda x: np.interp(x, [0, 1, 3], [2, -1, 5]), _POINTS, note="points")
case(np.interp, lambda xp: np.interp([0.3, 1.1, 2.8], xp, [2.0, -1.0, 5.0]), fixed([0.0, 1.0, 3.0]), note="knots")
case(np.interp, lambda fp: np.interp([0.3, 9.0, 2.8], [0, 1, 3], fp), real(3), note="values")
case(np.interp, lambda fp: np.interp(0.3, [0, 1, 3], fp), real(3), note="number")
case(np.interp, lambda x, f: np.interp(x, [0, 1, 3], f, left=-7.0, right=8), _POINTS, real(3), note="outside")
case(
    np.interp,
    lambda x, xp, fp, a, b: np.interp(x, xp, fp, left=a, right=b),
    _POINTS, _KNOTS, real(5), fixed(1.5), fixed(-0.5),
    note="outside-traced", skip=DOUBLE,
)  # fmt: skip
case(
    np.interp,
    lambda x, xp, fp: np.interp(x, xp, fp, left=1j, right=2.0),
    _POINTS, _KNOTS, cplx(5),
    note="outside-complex", skip=DOUBLE,
)  # fmt: skip
case(
    np.interp,
    lambda x, xp, fp: np.interp(x, xp, fp, period=3.6),
    fixed([-1.1, 0.1, 3.4, 5.0, 8.3]), fixed([0.5, 4.0, 2.0, 8.0]), real(4),
    note="period", skip=DOUBLE,
)  # fmt: skip
case(
    np.interp,
    lambda x, xp, fp, p: np.interp(x, xp, fp, period=p),
    fixed([-1.1, 0.1, 3.4, 5.0]), fixed([0.5, 4.0, 2.0]), real(3), fixed(-3.6),
    note="period-traced", skip=DOUBLE,
)  # fmt: skip
case(np.interp, lambda fp: np.interp([0.5, -1.0], [1.0], fp), real(1), note="one-knot")

# ---- differences and integrals

case(np.diff, None, real(5))
case(np.diff, None, cplx(2, 4), note="complex")
for _n in (0, 1, 2, 3, 6):
    case(np.diff, lambda x, n=_n: np.diff(x, n), real(2, 4), note=f"order-{_n}")
case(np.diff, lambda x: np.diff(x, 2, 0), real(4, 3), note="axis")
case(np.diff, lambda x: np.diff(x, axis=-2), real(2, 3, 2), note="negative-axis")
case(np.diff, lambda x, a, b: np.diff(x, 2, 0, a, b), real(3, 2), real(2, 2), real(1, 2), note="before-after")
case(np.diff, lambda x, a: np.diff(x, prepend=a), real(3, 2), real(), note="before-scalar")
case(np.diff, lambda x: np.diff(x, append=1.0), real(3, 2), note="after-number", skip={"dtype": "a number is an array"})
case(np.diff, lambda a: np.diff(np.arange(3), append=a), real(2), note="after-plain", skip={"dtype": "integers"})
case(np.ediff1d, None, real(2, 3))
case(np.ediff1d, None, cplx(4), note="complex")
case(np.ediff1d, lambda x, a, b: np.ediff1d(x, a, b), real(2, 2), real(2, 1), real(), note="ends")
case(np.ediff1d, lambda x: np.ediff1d(x, to_begin=[1, 2]), real(3), note="begin")
case(np.ediff1d, lambda x: np.ediff1d(x, to_end=-1.0), real(1), note="end-of-one")
case(np.trapezoid, None, real(5))
case(np.trapezoid, None, cplx(2, 4), note="complex")
case(np.trapezoid, lambda y, d: np.trapezoid(y, dx=d, axis=0), real(4, 2), real(), note="spacing")
case(np.trapezoid, lambda y: np.trapezoid(y, dx=0.5), real(4), note="spacing-number")
case(np.trapezoid, lambda y, x: np.trapezoid(y, x), real(2, 4), real(4), note="points")
case(np.trapezoid, lambda y, x: np.trapezoid(y, x, axis=-2), real(2, 4, 3), real(4), note="points-axis")
case(np.trapezoid, lambda y, x: np.trapezoid(y, x, axis=1), real(2, 4, 3), real(2, 4, 3), note="points-each")
case(np.trapezoid, lambda y, x: np.trapezoid(y, x), real(2, 4), real(2, 4), note="points-both")
case(np.trapezoid, lambda x: np.trapezoid([1.0, 4.0, 2.0], x), real(3), note="points-alone", skip={"dtype": "a list"})

# ---- slopes of samples

_GRID = fixed([0.0, 0.7, 1.0, 2.2, 2.9])
_EVEN = fixed([0.5, 1.0, 1.5, 2.0])
for _order in (1, 2):
    case(np.gradient, lambda f, e=_order: np.gradient(f, edge_order=e), real(5), note=f"{_order}-vector")
    case(np.gradient, lambda f, e=_order: np.gradient(f, edge_order=e), cplx(3, 4), note=f"{_order}-complex")
    case(np.gradient, lambda f, e=_order: np.gradient(f, edge_order=e), real(3, 4, 3), note=f"{_order}-all-axes")
    case(np.gradient, lambda f, e=_order: np.gradient(f, 0.3, edge_order=e), real(3, 4), note=f"{_order}-number")
    case(np.gradient, lambda f, e=_order: np.gradient(f, 2, axis=1, edge_order=e), real(3, 4), note=f"{_order}-axis")
    case(
        np.gradient,
        lambda f, e=_order: np.gradient(f, 2.0, [0, 1, 3], axis=(-1, 0), edge_order=e),
        real(3, 4), note=f"{_order}-axes",
    )  # fmt: skip
    case(
        np.gradient,
        lambda f, h, e=_order: np.gradient(f, h, edge_order=e),
        real(4, 3),
        real(low=0.5),
        note=f"{_order}-traced",
    )
    case(np.gradient, lambda f, x, e=_order: np.gradient(f, x, edge_order=e), real(5), _GRID, note=f"{_order}-grid")
    case(
        np.gradient, lambda f, x, e=_order: np.gradient(f, x, edge_order=e), real(4), _EVEN, note=f"{_order}-even-grid"
    )
    case(np.gradient, lambda f, x, e=_order: np.gradient(f, x, edge_order=e), cplx(5), _GRID, note=f"{_order}-cgrid")
    case(
        np.gradient,
        lambda f, h, x, e=_order: np.gradient(f, h, x, edge_order=e),
        real(3, 5), real(low=0.5), _GRID, note=f"{_order}-mixed",
    )  # fmt: skip
    case(
        np.gradient,
        lambda x, e=_order: np.gradient(np.array([3, 1, 4, 1, 5]), x, edge_order=e),
        _GRID, note=f"{_order}-grid-alone", skip={"dtype": "the samples are integers"},
    )  # fmt: skip
    case(
        np.gradient,
        lambda f, e=_order: np.gradient(f, [0.0, 0.5, 1.0], edge_order=e),
        real(3),
        note=f"{_order}-even-list",
    )

# ---- phases

case(np.unwrap, None, fixed([0.3, 2.9, -2.8, -0.5, 3.0, 9.5]))
case(np.unwrap, lambda p: np.unwrap(p, axis=0), real(5, 2, low=-9.0, high=9.0), note="axis")
case(np.unwrap, lambda p: np.unwrap(p, 4.5, axis=-1), real(2, 6, low=-9.0, high=9.0), note="discont")
case(np.unwrap, lambda p: np.unwrap(p, period=1.0), real(6, low=-3.0, high=3.0), note="period")
case(np.unwrap, lambda p, t: np.unwrap(p, period=t), real(6, low=-3.0, high=3.0), fixed(1.1), note="period-traced")

# ---- special values and functions

_HUGE = {"jvp": "the largest number times 8 is infinite"}
_BOUNDED = {"posinf": 9.0, "neginf": -9.0}
_SPECIAL = fixed([1.5, np.nan, -np.inf, np.inf, -2.0])
_SPECIAL_COMPLEX = fixed([1 + 2j, complex(np.nan, 1), complex(2, np.inf), complex(-np.inf, np.nan)])
case(np.nan_to_num, None, _SPECIAL, note="real", skip=_HUGE)
case(np.nan_to_num, None, _SPECIAL_COMPLEX, note="complex", skip=_HUGE)
case(np.nan_to_num, lambda x: np.nan_to_num(x, True, 2, **_BOUNDED), _SPECIAL, note="real-bounded")
case(np.nan_to_num, lambda x: np.nan_to_num(x, nan=2, **_BOUNDED), _SPECIAL_COMPLEX, note="complex-bounded")
case(
    np.nan_to_num,
    lambda x, a, b, c: np.nan_to_num(x, nan=a, posinf=b, neginf=c),
    fixed([1.5, np.nan, -np.inf, np.inf, -2.0]), real(), real(), real(),
    note="traced",
)  # fmt: skip
case(
    np.nan_to_num,
    lambda x, a, b: np.nan_to_num(x, nan=a, posinf=b, neginf=2),
    fixed([1.5 + 2j, complex(np.nan, 1), complex(2, -np.inf), complex(np.inf, np.nan)]), real(4), real(),
    note="traced-complex",
)  # fmt: skip
case(np.nan_to_num, None, fixed(np.nan), note="scalar")
case(np.sinc, None, real(2, 3), note="real")
case(np.sinc, None, real(2, 3, low=5.0, high=9.0), note="far")
case(np.sinc, None, fixed([0.0, 1e-9, -1e-4, 0.02, -0.3, 0.318, 0.319, 0.64, -1.0, 2.0]), note="near")
case(np.sinc, None, cplx(3, low=0.1), note="complex")
case(np.sinc, None, fixed(0.0), note="scalar")
case(np.i0, None, real(2, 3), note="real")
case(np.i0, None, fixed([0.0, 1e-8, -1e-3, 7.9, 8.1, -12.0]), note="near-and-far")
case(np.i0, None, fixed(1.3), note="scalar")
_TINY = {"jvp": "differences leave what is nearly real", "second": "differences leave what is nearly real"}
case(np.real_if_close, None, fixed([1.0 + 1e-15j, -2.0 + 0j]), note="close", skip=_TINY)
case(np.real_if_close, lambda z: np.real_if_close(z, tol=1e-3), cplx(3), note="not-close")
case(np.real_if_close, None, real(3), note="real")
if "fix" in np.__dict__:

    def _fix(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return np.fix(x)

    case(np.fix, _fix, fixed([-1.3, 0.2, 2.7]))

# ---- choices

_SIGNS = fixed([[-1.5, 0.4, 2.2], [0.9, -0.3, -2.0]])
case(np.piecewise, lambda x: np.piecewise(x, [x < 0, x >= 0], [np.square, np.exp]), _SIGNS)
case(np.piecewise, lambda x: np.piecewise(x, [x < 0, x > 1], [np.square, np.exp, np.sin]), _SIGNS, note="otherwise")
case(np.piecewise, lambda x: np.piecewise(x, x < 0, [np.square, 3.0]), real(4), note="one-condition")
case(np.piecewise, lambda x: np.piecewise(x, [x < 0], [np.square]), _SIGNS, note="zero-elsewhere")
case(np.piecewise, lambda x: np.piecewise(x, [x > 0, x > 1], [np.square, np.exp]), _SIGNS, note="overlap")
case(
    np.piecewise,
    lambda x, a, b: np.piecewise(x, [x < 0, x > 1], [a, lambda v, k, c=1.0: c * v**k, b], 3, c=b),
    _SIGNS, real(), real(),
    note="values",
)  # fmt: skip
case(np.piecewise, lambda x: np.piecewise(x, [x < 0, x >= 0], [np.square, np.exp]), fixed(0.7), note="scalar")
case(np.piecewise, lambda z: np.piecewise(z, [np.abs(z) < 1], [np.exp, np.square]), cplx(4), note="complex")
case(np.piecewise, lambda x: np.piecewise(x, [[True, False, True]], [np.square, np.exp]), real(3), note="plain-lists")
case(np.select, lambda x: np.select([x < 0, x > 1], [x**2, np.exp(x)], x), _SIGNS)
case(np.select, lambda x: np.select([x < 0, x < 0.5], [x**2, 2.0 * x]), _SIGNS, note="no-default")
case(np.select, lambda x: np.select([x < 0, x > 1], [2, x], 7.5), _SIGNS, note="numbers")
case(
    np.select,
    lambda x, y, d: np.select((np.array([True, False, False]), np.array([[False], [True]])), (x, y), d),
    real(3), real(2, 1), real(),
    note="broadcast",
)  # fmt: skip
case(np.select, lambda x, z: np.select([x > 0], [z], x), _SIGNS, cplx(3), note="complex")
_NUMBERS = np.array([[0, 2], [1, 1]])
case(np.choose, lambda x: np.choose(_NUMBERS, x), real(3, 2, 2), note="array")
case(np.choose, lambda x, y: np.choose(_NUMBERS, [x, 3, y]), real(2, 2), real(2), note="list")
case(np.choose, lambda x, y: np.choose(_NUMBERS - 1, (x, y), mode="wrap"), real(2, 1), cplx(2), note="wrap")
case(np.choose, lambda x, y: np.choose(_NUMBERS - 1, (x, y), mode="clip"), real(), real(3, 2, 2), note="clip")
case(np.choose, lambda x: np.choose(0, [x]), real(2), note="one")
