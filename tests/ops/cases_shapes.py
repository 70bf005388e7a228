"""More rows of the table in cases.py: reductions and shapes. Importing this file adds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import case, cplx, fixed, real

# ---- reductions

_MASK = np.array([[True, False, True], [True, True, False]])
_MIXED = [[1.0, -2.0, 0.5], [0.3, 1.7, -0.9]]

for _f in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std):
    case(_f, lambda x, f=_f: f(x, axis=(-1, 0)), real(2, 3, 2), note="negative-axes")
    case(_f, lambda x, f=_f: f(x, axis=()), real(2, 3), note="no-axes") if _f is not np.std else None
    case(_f, lambda x, f=_f: f(x, keepdims=True), real(2, 3), note="keepdims")
for _f in (np.sum, np.mean, np.prod, np.var, np.std):
    case(_f, lambda x, f=_f: f(x, axis=1, dtype=np.complex128), real(2, 3), note="dtype", skip={"dtype": "converts"})
    case(_f, lambda x, f=_f: f(x, axis=1, where=_MASK, keepdims=True), real(2, 3), note="where-keepdims")
    case(_f, lambda x, f=_f: f(x, where=_MASK), cplx(2, 3), note="where-complex")
for _f in (np.max, np.min):
    case(_f, lambda x, f=_f: f(x, axis=1, initial=0.4, where=_MASK), fixed(_MIXED), note="initial-where")
    case(_f, lambda x, f=_f: f(x, axis=0, initial=x[0, 0] * x[0, 2] + 0.1), fixed(_MIXED), note="initial-traced")
    case(_f, None, cplx(2, 3), note="complex")
    case(_f, lambda x, f=_f: getattr(x, f.__name__[-3:])(axis=1), real(2, 3), note="method")
for _f in (np.sum, np.prod):
    case(_f, lambda x, f=_f: f(x[1:], initial=x[0]), real(4), note="initial-traced")
case(np.min, lambda x: np.minimum.reduce(x, axis=None, initial=3.0), real(2, 3), note="ufunc")
case(np.sum, lambda x: np.add.reduce(x, axis=(0, 1), keepdims=True, initial=1.5), real(2, 3), note="ufunc-options")
case(np.prod, lambda x: np.prod(x, axis=1), fixed([[0.0, 2.0, -3.0], [1.5, 0.0, 0.0]]), note="zeros")
case(np.prod, lambda x: np.prod(x, axis=1), real(2, 7), note="odd")
case(np.prod, lambda x: np.prod(x, axis=1), cplx(2, 8), note="even-complex")
for _f in (np.var, np.std):
    case(_f, lambda x, f=_f: f(x, axis=0, correction=1, keepdims=True), real(4, 2), note="correction")
    case(_f, lambda x, m, f=_f: f(x, axis=1, mean=m), real(2, 3), real(2, 1), note="mean")
    case(_f, lambda x, f=_f: f(x, axis=(0, 1), ddof=1.5), cplx(2, 3), note="complex-ddof")
case(np.ptp, None, fixed(_MIXED))
case(np.ptp, lambda x: np.ptp(x, axis=1, keepdims=True), fixed(_MIXED), note="axis")
case(np.average, None, real(2, 3), note="unweighted")
case(np.average, lambda x, w: np.average(x, weights=w), real(2, 3), real(2, 3, low=0.5))
case(np.average, lambda x, w: np.average(x, 1, w, True), cplx(2, 3), real(3, low=0.5), note="axis-returned")
case(np.average, lambda x, w: np.average(x, (2, 0), w, keepdims=True), real(2, 3, 4), real(4, 2, low=0.5), note="axes")
case(np.cumsum, lambda x: np.cumsum(x, -1, np.complex128), real(2, 3), note="dtype", skip={"dtype": "converts"})
case(np.cumsum, None, real(), note="0-d")
case(np.cumprod, None, real(2, 3), note="ravelled")
case(np.cumprod, lambda x: np.cumprod(x, axis=0), real(6, 2), note="axis")
case(np.cumprod, lambda x: x.cumprod(-1), cplx(2, 5), note="complex-method")
case(np.cumprod, lambda x: np.cumprod(x, axis=1), fixed([[0.7, 0.0, 1.3, -2.0], [0.0, 0.4, 0.0, 1.1]]), note="zeros")
case(np.cumprod, lambda x: np.multiply.accumulate(x), real(3, 2), note="ufunc")
if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    for _f in (np.cumulative_sum, np.cumulative_prod):
        case(_f, None, real(4), note="vector")
        case(_f, lambda x, f=_f: f(x, axis=1, include_initial=True), real(2, 3), note="initial")
case(np.subtract, lambda x, y: np.subtract.outer(x, y), real(2, 2), real(3), note="outer")
case(np.divide, lambda x: np.divide.outer([1.0, 2.0], x), real(3, low=0.5), note="outer-constant")

# ---- shapes

case(np.reshape, lambda x: np.reshape(x, -1), real(2, 3), note="number")
case(np.ravel, lambda x: x.flatten(), real(2, 3), note="flatten")
case(np.permute_dims, lambda x: np.permute_dims(x, (-1, 0, 1)), real(2, 3, 4))
case(np.rollaxis, lambda x: np.rollaxis(x, 2), real(2, 3, 4), note="first")
case(np.rollaxis, lambda x: np.rollaxis(x, 0, -1), real(2, 3, 4), note="start")
for _k in range(-1, 4):
    case(np.rot90, lambda x, k=_k: np.rot90(x, k), real(2, 3), note=f"{_k}")
case(np.rot90, lambda x: np.rot90(x, axes=(-1, 0)), real(2, 3, 4), note="axes")
case(np.flip, lambda x: np.flip(x, (0, -1)), cplx(2, 3, 2), note="axes")
case(np.roll, lambda x: np.roll(x, (1, 3), (1, 1)), real(2, 5), note="twice")
case(np.roll, lambda x: np.roll(x, 2, (0, 1)), real(2, 3), note="one-shift")
case(np.copy, lambda x: x.copy(), real(2, 3), note="method")
case(np.ndarray.astype, lambda x: x.astype(float, copy=False) * x, real(3), note="same", skip={"dtype": "converts"})
case(np.ndarray.astype, lambda x: x * x.astype(int).astype(float), fixed([1.3, -2.6]), note="integers",
     skip={"dtype": "converts"})  # fmt: skip
case(np.broadcast_to, lambda x: np.broadcast_to(x, 4), cplx(), note="0-d")
case(np.broadcast_arrays, lambda x: tuple(np.broadcast_arrays(x, np.ones((2, 1)))), real(3), note="constant")
case(np.expand_dims, lambda x: np.expand_dims(x, 1), real(2, 3), note="number")
case(np.atleast_2d, lambda x: tuple(np.atleast_2d(x, [1.0, 2.0], 3.0)), real(3), note="constants")
case(np.concat, lambda x, y: np.concat([x, y], axis=-1), cplx(2, 3), real(2, 1), note="mixed")
case(np.concatenate, lambda x, y: np.concatenate([x, y], dtype=np.complex128), real(2), real(3), note="dtype",
     skip={"dtype": "converts"})  # fmt: skip
case(
    np.concatenate,
    lambda x: np.concatenate([x, np.arange(3), [1.5]]),
    real(2),
    note="integers",
    skip={"dtype": "mixed"},
)
case(np.stack, lambda x, y: np.stack((x, y, [1.0, 2.0])), real(2), real(2), note="constant")
case(np.stack, lambda x: np.stack([x[0], x[1] * 2, x[0] * x[1]]), real(2), note="scalars")
case(np.hstack, lambda x, y: np.hstack([x, y]), real(2, 1), real(2, 3), note="matrices")
case(np.dstack, lambda x, y: np.dstack((x, y)), real(3), real(3), note="vectors")
case(np.array_split, lambda x: tuple(np.array_split(x, np.int64(4), -1)), real(2, 6), note="axis")
case(np.split, lambda x: tuple(np.split(x, np.array([4, 2, 9, -1]))), real(6), note="odd-places")
case(np.hsplit, lambda x: tuple(np.hsplit(x, [1])), real(3), note="vector")
case(np.dsplit, lambda x: tuple(np.dsplit(x, 2)), real(2, 1, 4))
if hasattr(np, "unstack"):  # since NumPy 2.1
    case(np.unstack, lambda x: np.unstack(x, axis=-1), real(2, 3))
case(np.append, lambda x, y: np.append(x, y), real(2, 2), real(3), note="flat")
case(np.append, lambda x: np.append([[1.0, 2.0]], x, axis=0), real(2, 2), note="axis")
case(np.delete, lambda x: np.delete(x, [0, -1], axis=1), real(2, 4))
case(np.delete, lambda x: np.delete(x, slice(1, 4, 2)), real(2, 3), note="flat")
case(np.repeat, lambda x: np.repeat(x, [2], axis=-1), real(2, 3), note="one-count")
case(np.repeat, lambda x: x.repeat(0, 0), real(2, 3), note="none")
case(np.repeat, lambda x: np.repeat(x, 3), real(), note="0-d")
case(np.tile, lambda x: np.tile(x, (2, 2)), real(), note="0-d")
case(np.tile, lambda x: np.tile(x, (2,)), cplx(3, 2), note="last")
case(np.pad, lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=-1.0), real(2, 3), note="one-axis")
case(np.pad, lambda x: np.pad(x, (1, 2), constant_values=((1.0, 2.0), (3.0, 4.0))), real(2, 3), note="constants")
case(np.pad, lambda x, c: np.pad(x, 1, constant_values=c), real(2, 3), real(), note="constant-traced")
for _mode in ("edge", "reflect", "symmetric", "wrap"):
    case(np.pad, lambda x, m=_mode: np.pad(x, ((5, 7), (0, 4)), m), cplx(3, 2), note=f"{_mode}-wide")


def _fill(x: Any) -> Any:
    return np.full_like(x, x[0, 1] * x[1, 2], shape=(4,)), np.full_like(x, 2.0) * x, np.ones_like(x) * x


case(np.full_like, _fill, real(2, 3), note="several")
