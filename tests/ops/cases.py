"""THE table of cases: one or more rows for every function that has derivative rules.

A row names the NumPy function it covers, calls it on arrays (everything else is bound in the lambda), and gives the
arrays. Arrays are drawn where the function is smooth: choose the domain, not the tolerance. Points where it is not have
tests of their own in test_special_points.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CASES", "REFUSED", "Case", "Sized", "case", "cplx", "fixed", "real", "spd"]

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Sized:
    """A draw of arrays of one shape, which benchmarks repeat for larger ones."""

    shape: tuple[int, ...]
    make: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        return self.make(rng, self.shape)


@dataclass(frozen=True)
class Case:
    """A row: `function` is what it covers, `call` what is differentiated, `draws` make its arguments."""

    function: Any
    call: Callable[..., Any]
    draws: tuple[Draw, ...]
    label: str
    skip: dict[str, str] = field(default_factory=dict)  # law -> why it does not apply

    @property
    def id(self) -> str:
        return self.label

    def rng(self) -> np.random.Generator:
        """What draws the arguments."""
        return np.random.default_rng(zlib.crc32(self.label.encode()))

    def args(self) -> tuple[np.ndarray, ...]:
        """The arguments, the same in every run."""
        rng = self.rng()
        return tuple(draw(rng) for draw in self.draws)


# Methods that are an error on traced values, which test_bad_input.py looks at.
REFUSED = {np.ndarray.resize, np.ndarray.setflags, np.ndarray.setfield}

CASES: list[Case] = []
_counts: dict[str, int] = {}


def case(
    function: Any, call: Callable[..., Any] | None, *draws: Draw, note: str = "", skip: dict[str, str] | None = None
) -> None:
    """Add a row; `call` of None stands for the function itself."""
    name = getattr(function, "__name__", str(function))
    _counts[name] = _counts.get(name, 0) + 1
    label = f"{name}-{note or _counts[name]}"
    CASES.append(Case(function, call or function, draws, label, skip or {}))


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> Draw:
    """Uniform real numbers."""
    return Sized(shape, lambda rng, shape: rng.uniform(low, high, shape))


def cplx(*shape: int, low: float = 0.3, high: float = 2.0) -> Draw:
    """Complex numbers of modulus in [low, high], off the negative real axis."""
    return Sized(shape, lambda rng, shape: rng.uniform(low, high, shape) * np.exp(1j * rng.uniform(-2.8, 2.8, shape)))


def spd(*shape: int) -> Draw:
    """Symmetric positive definite matrices with separated eigenvalues; the shape ends in (n, n)."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        q, _ = np.linalg.qr(rng.normal(size=shape))
        return (q * np.arange(1.0, shape[-1] + 1)) @ np.swapaxes(q, -1, -2)

    return Sized(shape, draw)


def fixed(value: Any) -> Draw:
    """A given array."""
    return lambda rng: np.array(value)


# ---- elementwise, one operand

for _f in (
    np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh, np.exp, np.exp2, np.expm1, np.arctan, np.arcsinh, np.square,
    np.negative, np.positive,
):  # fmt: skip
    case(_f, None, real(2, 3, low=-1.2, high=1.2), note="real")
    case(_f, None, cplx(2, 3, high=0.9), note="complex")
for _f in (np.deg2rad, np.radians, np.rad2deg, np.degrees):
    case(_f, None, real(2, 3))
for _f in (np.log, np.log2, np.log10, np.log1p, np.sqrt, np.reciprocal):
    case(_f, None, real(2, 3, low=0.5), note="real")
    case(_f, None, cplx(2, 3, low=0.5, high=0.9), note="complex")
case(np.cbrt, None, real(2, 3, low=0.5))
for _f in (np.arcsin, np.arccos, np.arctanh):
    case(_f, None, real(2, 3, low=-0.8, high=0.8), note="real")
    case(_f, None, cplx(2, 3, high=0.8), note="complex")
case(np.arccosh, None, real(2, 3, low=1.5, high=3.0), note="real")
case(np.arccosh, None, cplx(2, 3, low=1.5, high=3.0), note="complex")
for _f in (np.absolute, np.fabs):
    case(_f, None, real(2, 3, low=0.3), note="positive")
    case(_f, None, real(2, 3, low=-2.0, high=-0.3), note="negative")
case(np.absolute, None, cplx(2, 3), note="complex")
for _f in (np.conjugate, np.real, np.imag):
    case(_f, None, cplx(2, 3), note="complex")
    case(_f, None, real(2, 3), note="real")
case(np.angle, None, cplx(2, 3), note="complex")
case(np.angle, lambda z: np.angle(z, deg=True), cplx(3), note="degrees")
case(np.angle, None, real(3), note="real")
for _f in (np.floor, np.ceil, np.rint, np.trunc, np.sign):
    case(_f, None, fixed([-1.3, 0.2, 2.7]), note="real")
for _f in (np.round, np.around):
    case(_f, lambda x, f=_f: f(x, 1), fixed([-1.33, 0.24, 2.71]), note="decimals")
case(np.spacing, None, fixed([1.3, 2.7]), skip={"jvp": "steps are smaller than any difference"})
case(np.modf, None, fixed([-1.3, 0.2, 2.7]))
case(np.frexp, None, fixed([-1.3, 0.2, 2.7]))

# ---- elementwise, two operands

for _f in (np.add, np.subtract, np.multiply, np.divide):
    case(_f, None, real(2, 3, low=0.5), real(2, 3, low=0.5), note="real")
    case(_f, None, cplx(2, 3), cplx(2, 3), note="complex")
    case(_f, None, real(2, 1, low=0.5), cplx(3), note="mixed-broadcast")
    case(_f, lambda x, f=_f: f(2.0, x), real(3, low=0.5), note="number-left")
    case(_f, lambda x, f=_f: f(x, 3), real(3, low=0.5), note="number-right")
    case(_f, lambda x, f=_f: f(np.array([[2.0], [3.0]]), x), real(3, low=0.5), note="constant-left")
    case(_f, lambda x, f=_f: f(x, np.array([[2.0], [3.0]])), real(3, low=0.5), note="constant-right")
for _f in (np.hypot, np.arctan2, np.logaddexp, np.logaddexp2):
    case(_f, None, real(2, 3, low=0.5), real(3, low=0.5))
for _f in (np.maximum, np.minimum, np.fmax, np.fmin):
    case(_f, None, fixed([1.0, -2.0, 0.5]), fixed([[0.3, 1.0, 0.9]]))
case(np.power, None, real(2, 3, low=0.5), real(3), note="real")
case(np.power, None, cplx(3, low=0.5), cplx(3), note="complex")
case(np.power, lambda x: x**3, real(3), note="integer")
case(np.power, lambda x: x**-1.5, real(3, low=0.5), note="number")
case(np.power, lambda x: 2.0**x, real(3), note="exponent")
case(np.power, lambda x: x ** np.array([1.0, 2.0, 3.0]), real(3, low=0.5), note="constant-exponent")
case(np.float_power, None, real(3, low=0.5), real(3), skip={"dtype": "float_power works in double precision"})
case(np.remainder, None, fixed([5.3, -5.3, 4.1]), fixed([2.0, 2.2, -1.7]))
case(np.fmod, None, fixed([5.3, -5.3, 4.1]), fixed([2.0, 2.2, -1.7]))
case(np.floor_divide, None, fixed([5.3, -5.3, 4.1]), fixed([2.0, 2.2, -1.7]))
case(np.divmod, None, fixed([5.3, -5.3, 4.1]), fixed([2.0, 2.2, -1.7]))
case(np.copysign, None, fixed([1.3, -0.4, 2.0]), fixed([-1.0, -1.0, 1.0]))
case(np.heaviside, None, fixed([1.3, -0.4]), fixed([0.3, 0.4]))
case(np.nextafter, None, fixed([1.3, -0.4]), fixed([2.0, -3.0]))
case(np.ldexp, lambda x: np.ldexp(x, np.array([1, -2, 3])), real(3))
case(np.where, lambda x, y: np.where(np.array([True, False, True]), x, y), real(2, 3), real(3))
case(np.where, lambda x: np.where(x > 0, x * x, 1.0), fixed([0.7, -0.8]))
case(np.clip, lambda x: np.clip(x, -0.5, 0.7), fixed([-1.0, 0.2, 1.5]))
case(np.clip, lambda x: np.clip(x, None, 0.7), fixed([-1.0, 0.2, 1.5]))
case(np.clip, lambda x, lo, hi: np.clip(x, lo, hi), fixed([-1.0, 0.2, 1.5]), fixed(-0.4), fixed([0.9, 0.8, 0.7]))

# ---- indexing

for _label, _index in (
    ("integer", 1),
    ("negative", -1),
    ("slice", slice(None, None, -2)),
    ("tuple", (slice(1, None), 0)),
    ("element", (1, 2)),
    ("ellipsis", (..., 1)),
    ("newaxis", (None, slice(None), None, 1)),
    ("repeated", [0, 2, 0, 0]),
    ("pairs", ([0, 2, 0], [1, 1, 1])),
    ("mixed", (slice(None), [0, 0, 2])),
    ("mask", np.array([True, False, True])),
    ("full-mask", np.arange(9).reshape(3, 3) % 2 == 0),
    ("empty", []),
    ("separated", ([0, 1], None, [1, 0])),
):
    case(np.ndarray.__getitem__, lambda x, k=_index: x[k], real(3, 3), note=_label)
case(np.take, lambda x: np.take(x, [0, 0, 2], axis=1), real(2, 3))
case(np.take, lambda x: np.take(x, [[5, -1]]), real(2, 3))
case(np.take, lambda x: np.take(x, [7, -9], axis=0, mode="wrap"), real(4))
case(np.take, lambda x: np.take(x, [7, -9], axis=0, mode="clip"), real(4))
case(np.ndarray.take, lambda x: x.take([1, 1]), real(4))

# ---- reductions

for _f in (np.sum, np.mean, np.prod, np.var, np.std):
    _more = {"var": 0.5, "std": 0.5}.get(_f.__name__, -2.0)
    case(_f, None, real(2, 3), note="all")
    case(_f, lambda x, f=_f: f(x, axis=-1), real(2, 3), note="axis")
    case(_f, lambda x, f=_f: f(x, axis=(0, 2), keepdims=True), real(2, 3, 4), note="axes-keepdims")
    case(_f, lambda x, f=_f: f(x, axis=1), cplx(2, 3), note="complex")
    case(_f, None, real(), note="0-d") if _f is not np.std else None
    case(_f, lambda x, f=_f: getattr(x, f.__name__)(0), real(3, 2), note="method")
for _f in (np.sum, np.prod):
    case(
        _f,
        lambda x, f=_f: f(x, axis=0, initial=2.0, where=np.array([[True, False], [True, True]])),
        real(2, 2),
        note="initial-where",
    )
case(np.mean, lambda x: np.mean(x, axis=0, where=np.array([[True], [False], [True]])), real(3, 2), note="where")
case(np.sum, lambda x: np.add.reduce(x, axis=1), real(2, 3), note="ufunc")
case(np.prod, lambda x: np.multiply.reduce(x), real(3, 2), note="ufunc")
case(np.multiply, lambda x, y: np.multiply.outer(x, y), real(2), real(3, 2), note="outer")
case(np.var, lambda x: np.var(x, axis=0, ddof=1), real(4, 2), note="ddof")
case(np.std, lambda x: np.std(x, axis=0, ddof=1), real(4, 2), note="ddof")
for _f in (np.max, np.min, np.amax, np.amin):
    case(_f, None, fixed([[1.0, -2.0, 0.5], [0.3, 1.7, -0.9]]), note="all")
    case(_f, lambda x, f=_f: f(x, axis=1, keepdims=True), fixed([[1.0, -2.0, 0.5], [0.3, 1.7, -0.9]]), note="axis")
    case(_f, lambda x, f=_f: f(x, axis=0, initial=0.4), fixed([[1.0, -2.0, 0.5], [0.3, 1.7, -0.9]]), note="initial")
case(np.max, lambda x: np.maximum.reduce(x), fixed([[1.0, -2.0, 0.5], [0.3, 1.7, -0.9]]), note="ufunc")
case(np.cumsum, lambda x: np.cumsum(x, axis=1), real(2, 3), note="axis")
case(np.cumsum, None, cplx(2, 3), note="ravelled")
case(np.cumsum, lambda x: np.add.accumulate(x), real(3, 2), note="ufunc")

# ---- shapes

case(np.reshape, lambda x: np.reshape(x, (3, -1)), real(2, 3, 2))
case(np.reshape, lambda x: x.reshape(4, 3, order="F"), real(2, 6), note="fortran")
case(np.ravel, None, real(2, 3))
case(np.ravel, lambda x: np.ravel(x, order="F"), real(2, 3), note="fortran")
case(np.transpose, None, cplx(2, 3))
case(np.transpose, lambda x: np.transpose(x, (1, 2, 0)), real(2, 3, 4), note="axes")
case(np.transpose, lambda x: x.T @ x if False else x.T, real(2, 3), note="attribute")
case(np.swapaxes, lambda x: np.swapaxes(x, 0, -1), real(2, 3, 4))
case(np.matrix_transpose, None, real(2, 3, 4))
case(np.linalg.matrix_transpose, None, real(2, 3))
case(np.moveaxis, lambda x: np.moveaxis(x, [0, 1], [-1, 0]), real(2, 3, 4))
case(np.flip, None, real(2, 3))
case(np.flip, lambda x: np.flip(x, -1), real(2, 3), note="axis")
case(np.flipud, None, real(2, 3))
case(np.fliplr, None, real(2, 3))
case(np.roll, lambda x: np.roll(x, 4), real(2, 3))
case(np.roll, lambda x: np.roll(x, (1, -2), axis=(0, 1)), real(2, 3), note="axes")
case(np.copy, None, real(2, 3))
case(np.ndarray.astype, lambda x: x.astype(np.complex128), real(2, 3), note="complex", skip={"dtype": "converts"})
_single = dict.fromkeys(("jvp", "vjp", "second"), "single precision") | {"dtype": "converts"}
case(np.astype, lambda x: np.astype(x, np.complex64), real(2, 3), note="function", skip=_single)
case(np.broadcast_to, lambda x: np.broadcast_to(x, (4, 2, 3)), real(2, 1))
case(np.broadcast_arrays, lambda x, y: tuple(np.broadcast_arrays(x, y)), real(2, 1), real(3))
case(np.expand_dims, lambda x: np.expand_dims(x, (0, -1)), real(2, 3))
case(np.squeeze, None, real(2, 1, 3, 1))
case(np.squeeze, lambda x: np.squeeze(x, axis=1), real(2, 1, 3, 1), note="axis")
for _f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    case(_f, None, real(), note="0-d")
    case(_f, None, real(3), note="1-d")
    case(_f, lambda x, y, f=_f: tuple(f(x, y)), real(2, 3), real(), note="several")
case(np.concatenate, lambda x, y: np.concatenate([x, y, x], axis=1), real(2, 3), real(2, 1))
case(np.concatenate, lambda x, y: np.concatenate((x, y), axis=None), real(2, 2), real(3), note="flat")
case(np.concatenate, lambda x: np.concatenate([x, np.ones((2, 2))]), real(2, 2), note="constant")
case(np.stack, lambda x, y: np.stack([x, y], axis=-1), real(2, 3), real(2, 3))
case(np.vstack, lambda x, y: np.vstack([x, y]), real(3), real(2, 3))
case(np.hstack, lambda x, y: np.hstack([x, y]), real(2), real(3))
case(np.dstack, lambda x, y: np.dstack([x, y]), real(2, 3), real(2, 3))
case(np.column_stack, lambda x, y: np.column_stack([x, y]), real(3), real(3, 2))
case(np.split, lambda x: tuple(np.split(x, 3, axis=1)), real(2, 6))
case(np.split, lambda x: tuple(np.split(x, [1, 3])), real(5), note="places")
case(np.array_split, lambda x: tuple(np.array_split(x, 3)), real(7))
case(np.hsplit, lambda x: tuple(np.hsplit(x, 2)), real(2, 4))
case(np.vsplit, lambda x: tuple(np.vsplit(x, 2)), real(4, 2))
case(np.repeat, lambda x: np.repeat(x, 2, axis=1), real(2, 3))
case(np.repeat, lambda x: np.repeat(x, [1, 0, 3], axis=1), real(2, 3), note="counts")
case(np.repeat, lambda x: np.repeat(x, 2), real(2, 3), note="flat")
case(np.tile, lambda x: np.tile(x, (2, 1, 3)), real(2, 3))
case(np.tile, lambda x: np.tile(x, 2), real(2, 3), note="number")
case(np.pad, lambda x: np.pad(x, ((1, 2), (0, 1))), real(2, 3), note="zeros")
case(np.pad, lambda x: np.pad(x, 1, constant_values=2.0), real(2, 3), note="constant")
for _mode in ("edge", "reflect", "symmetric", "wrap"):
    case(np.pad, lambda x, m=_mode: np.pad(x, ((2, 1), (0, 2)), mode=m), real(3, 3), note=_mode)
case(np.full_like, lambda x: np.full_like(x, x[0, 1]), real(2, 3))

# ---- contractions

for _label, _a, _b in (
    ("matrices", (2, 3), (3, 4)), ("vector-matrix", (3,), (3, 4)), ("matrix-vector", (2, 3), (3,)),
    ("vectors", (3,), (3,)), ("stacks", (5, 2, 3), (3, 4)), ("broadcast", (5, 1, 2, 3), (4, 3, 2)),
    ("stack-vector", (5, 2, 3), (3,)), ("vector-stack", (2,), (5, 2, 3)),
):  # fmt: skip
    case(np.matmul, None, real(*_a), real(*_b), note=_label)
    case(np.matmul, lambda a, b: a @ b, cplx(*_a), cplx(*_b), note=_label + "-complex")
for _label, _a, _b in (
    ("scalar", (), (2, 3)), ("vectors", (3,), (3,)), ("matrices", (2, 3), (3, 2)), ("high", (2, 3), (4, 3, 5)),
    ("vector-high", (3,), (4, 3, 5)), ("high-vector", (4, 5, 3), (3,)),
):  # fmt: skip
    case(np.dot, None, real(*_a), real(*_b), note=_label)
case(np.dot, lambda a: a.dot(np.ones((3, 2))), real(2, 3), note="method-constant")
case(np.matmul, lambda b: np.ones((2, 3)) @ b, real(3, 2), note="constant-left")
case(np.linalg.matmul, None, real(2, 3), real(3, 2))
case(np.vdot, None, cplx(2, 3), cplx(2, 3))
case(np.inner, None, real(2, 3), real(4, 3))
case(np.inner, None, real(3), real(3), note="vectors")
case(np.outer, None, real(2, 2), real(3))
case(np.linalg.outer, None, real(2), real(3))
case(np.tensordot, None, real(2, 3, 4), real(3, 4, 2))
case(np.tensordot, lambda a, b: np.tensordot(a, b, axes=([0, 2], [1, 0])), cplx(2, 3, 4), cplx(4, 2, 5), note="axes")
case(np.tensordot, lambda a, b: np.tensordot(a, b, axes=0), real(2), real(3), note="outer")
case(np.linalg.tensordot, None, real(2, 3, 4), real(3, 4, 2))
case(np.vecdot, None, cplx(2, 3), cplx(3))
case(np.linalg.vecdot, lambda a, b: np.linalg.vecdot(a, b, axis=-1), real(2, 3), real(2, 3))
for _spec, _shapes in (
    ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("ii->i", ((3, 3),)), ("ii", ((3, 3),)),
    ("iij->j", ((3, 3, 2),)), ("iji->ij", ((3, 2, 3),)), ("ij->", ((2, 3),)), ("ij->ji", ((2, 3),)),
    ("i,i,i->i", ((3,), (3,), (3,))), ("ij,kj,k->i", ((2, 3), (4, 3), (4,))), ("...ij,...jk->...ik", ((5, 2, 3), (3, 4))),
    ("...i->...", ((2, 3),)), ("i...->...", ((2, 3),)), ("ij,k->k", ((2, 3), (4,))), ("ii,ij->j", ((3, 3), (3, 2))),
    ("ij,ij->ij", ((2, 1), (2, 3))), ("iii->i", ((2, 2, 2),)),
):  # fmt: skip
    case(np.einsum, lambda *xs, s=_spec: np.einsum(s, *xs), *(real(*s) for s in _shapes), note=_spec)
case(np.einsum, lambda a, b: np.einsum("ij,jk->ik", a, b), cplx(2, 3), cplx(3, 2), note="complex")
case(np.einsum, lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), real(2, 3), real(3, 4), note="interleaved")
case(np.diagonal, None, real(3, 4))
case(np.diagonal, lambda x: np.diagonal(x, 1, 0, 2), real(3, 2, 4), note="axes")
case(np.diagonal, lambda x: np.diagonal(x, -2), real(3, 4), note="offset")
case(np.linalg.diagonal, None, real(2, 3, 3))
case(np.trace, None, real(3, 4))
case(np.trace, lambda x: np.trace(x, -1, 1, 2), real(2, 3, 3), note="axes")
case(np.linalg.trace, None, real(2, 3, 3))
case(np.diag, None, real(3, 3), note="matrix")
case(np.diag, lambda x: np.diag(x, 1), real(3, 4), note="matrix-offset")
case(np.diag, lambda x: np.diag(x, -1), real(3), note="vector")
case(np.tril, lambda x: np.tril(x, 1), real(2, 3, 3))
case(np.triu, lambda x: np.triu(x, 1), real(3, 4))

# ---- linear algebra


def _sym(a: Any) -> Any:
    return 0.5 * (a + np.conjugate(np.swapaxes(a, -1, -2)))


for _make, _label in ((spd, "real"), (lambda *s: cplx(*s, low=0.9), "complex")):
    case(np.linalg.inv, None, _make(3, 3), note=_label)
    case(np.linalg.inv, None, _make(2, 3, 3), note=_label + "-stack")
    case(np.linalg.det, None, _make(3, 3), note=_label)
    case(np.linalg.det, None, _make(2, 3, 3), note=_label + "-stack")
    case(np.linalg.slogdet, None, _make(3, 3), note=_label)
    case(np.linalg.slogdet, None, _make(2, 2, 2), note=_label + "-stack")
case(np.linalg.det, None, fixed([[1.0, 2.0], [2.0, 4.0]]), note="singular")
case(np.linalg.slogdet, None, fixed([[1.0, 2.0], [3.0, 1.0]]), note="negative")
case(np.linalg.solve, None, spd(3, 3), real(3), note="vector")
case(np.linalg.solve, None, spd(3, 3), real(3, 2), note="matrix")
case(np.linalg.solve, None, spd(2, 3, 3), real(3, 2), note="broadcast")
case(np.linalg.solve, None, cplx(2, 2), cplx(2, 1), note="complex")
case(np.linalg.cholesky, lambda a: np.linalg.cholesky(_sym(a)), spd(3, 3))
case(np.linalg.cholesky, lambda a: np.linalg.cholesky(_sym(a)), spd(2, 3, 3), note="stack")
case(np.linalg.cholesky, lambda a: np.linalg.cholesky(_sym(a), upper=True), spd(3, 3), note="upper")
case(np.linalg.cholesky, lambda a: np.linalg.cholesky(a @ np.conjugate(a.T) + np.eye(3)), cplx(3, 3), note="complex")
case(np.linalg.eigh, lambda a: np.linalg.eigh(_sym(a)), spd(3, 3))
case(np.linalg.eigh, lambda a: np.linalg.eigh(_sym(a), "U")[0], spd(2, 3, 3), note="values-stack")
case(
    np.linalg.eigh, lambda a: np.abs((e := np.linalg.eigh(_sym(a)))[1]) ** 2 * e[0], cplx(3, 3, low=1.0), note="complex"
)
case(np.linalg.eigvalsh, lambda a: np.linalg.eigvalsh(_sym(a)), spd(3, 3))
case(np.linalg.svdvals, None, real(3, 2), note="tall")
case(np.linalg.svdvals, None, cplx(2, 3), note="wide-complex")
for _ord in (None, 1, 2, 3, 0.5, np.inf, -np.inf, 0):
    case(np.linalg.norm, lambda x, o=_ord: np.linalg.norm(x, o), fixed([0.7, -1.2, 2.0]), note=f"vector-{_ord}")
for _ord in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    case(
        np.linalg.norm,
        lambda x, o=_ord: np.linalg.norm(x, o),
        fixed([[0.7, -1.2, 2.0], [0.4, 1.1, -0.6]]),
        note=f"matrix-{_ord}",
    )
case(np.linalg.norm, lambda x: np.linalg.norm(x, axis=1, keepdims=True), cplx(2, 3), note="axis-complex")
case(np.linalg.norm, lambda x: np.linalg.norm(x, "fro", axis=(0, 2)), real(2, 3, 2), note="axes")
case(np.linalg.norm, None, real(2, 3, 2), note="all")
case(np.linalg.matrix_norm, None, real(2, 3, 2))
case(np.linalg.vector_norm, lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True), real(2, 3, 2))
case(np.linalg.vector_norm, None, real(2, 3), note="all")
