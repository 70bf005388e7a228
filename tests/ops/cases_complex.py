"""Complex arguments for functions whose other rows are real. Importing this file adds them to the table in cases.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import case, cplx, fixed, real


def complex_case(function: Any, call: Any, *draws: Any, **options: Any) -> None:
    case(function, call, *draws, note=options.pop("note", "complex"), **options)


# ---- shapes

for _f in (
    np.ravel, np.flip, np.flipud, np.fliplr, np.squeeze, np.copy, np.atleast_1d, np.atleast_2d, np.atleast_3d,
    np.matrix_transpose, np.linalg.matrix_transpose, np.rot90, np.tril, np.triu, np.diagonal, np.linalg.diagonal,
    np.trace, np.linalg.trace, np.diag, np.diagflat,
):  # fmt: skip
    complex_case(_f, None, cplx(2, 2))
for _f in (np.append, np.column_stack, np.dstack, np.hstack, np.vstack, np.stack, np.concatenate, np.broadcast_arrays):
    if _f is np.append:
        complex_case(_f, None, cplx(2, 2), cplx(3))
    elif _f is np.broadcast_arrays:
        complex_case(_f, lambda x, y: tuple(np.broadcast_arrays(x, y)), cplx(2, 1), cplx(3))
    else:
        complex_case(_f, lambda x, y, f=_f: f([x, y]), cplx(2, 2), real(2, 2), note="complex-real")
for _f in (np.array_split, np.split, np.hsplit, np.vsplit):
    complex_case(_f, lambda x, f=_f: tuple(f(x, 2)), cplx(2, 4))
complex_case(np.dsplit, lambda x: tuple(np.dsplit(x, 2)), cplx(2, 1, 4))
if hasattr(np, "unstack"):
    complex_case(np.unstack, lambda x: tuple(np.unstack(x)), cplx(2, 3))
complex_case(np.reshape, lambda x: np.reshape(x, (3, 2)), cplx(2, 3))
complex_case(np.swapaxes, lambda x: np.swapaxes(x, 0, 1), cplx(2, 3))
complex_case(np.moveaxis, lambda x: np.moveaxis(x, 0, 1), cplx(2, 3))
complex_case(np.rollaxis, lambda x: np.rollaxis(x, 1), cplx(2, 3))
complex_case(np.expand_dims, lambda x: np.expand_dims(x, 1), cplx(2, 3))
complex_case(np.broadcast_to, lambda x: np.broadcast_to(x, (4, 2, 3)), cplx(2, 1))
complex_case(np.roll, lambda x: np.roll(x, 1, axis=1), cplx(2, 3))
complex_case(np.repeat, lambda x: np.repeat(x, [1, 0, 3], axis=1), cplx(2, 3))
complex_case(np.tile, lambda x: np.tile(x, (2, 1)), cplx(2, 3))
complex_case(np.pad, lambda x: np.pad(x, 1, mode="reflect"), cplx(2, 3))
complex_case(np.delete, lambda x: np.delete(x, 1, axis=1), cplx(2, 3))
complex_case(np.full_like, lambda x: np.full_like(x, x[0] * x[1]), cplx(3))
complex_case(np.ndarray.astype, lambda x: x.astype(np.clongdouble), cplx(3), skip={"dtype": "converts"})
case(np.astype, lambda x: np.astype(x, np.complex128), real(3), note="widened", skip={"dtype": "converts"})
complex_case(np.astype, lambda x: np.astype(x, np.clongdouble), cplx(3), skip={"dtype": "converts"})

# ---- indexing and choices

for _label, _index in (("slice", (slice(None), 1)), ("repeated", [0, 1, 0]), ("mask", np.eye(2, 3) > 0)):
    complex_case(np.ndarray.__getitem__, lambda x, k=_index: x[k], cplx(2, 3), note=f"complex-{_label}")
complex_case(np.take, lambda x: np.take(x, [0, 0, 2], axis=1), cplx(2, 3))
complex_case(np.ndarray.take, lambda x: x.take([1, 1]), cplx(3))
complex_case(np.where, lambda x, y: np.where(np.array([True, False, True]), x, y), cplx(2, 3), real(3))

# ---- sums, products, powers; NumPy orders complex numbers by their real parts first

if hasattr(np, "cumulative_sum"):
    for _f in (np.cumulative_sum, np.cumulative_prod):
        complex_case(_f, lambda x, f=_f: f(x, axis=1), cplx(2, 3))
complex_case(np.amax, None, cplx(2, 3))
complex_case(np.amin, None, cplx(2, 3))
for _f in (np.maximum, np.minimum, np.fmax, np.fmin):
    complex_case(_f, None, fixed([1 + 1j, -2.0, 0.5j]), fixed([0.3, 1.0 - 1j, -0.9 + 2j]))
complex_case(np.float_power, None, cplx(3, low=0.5), cplx(3), skip={"dtype": "float_power works in double precision"})
for _f in (np.round, np.around, np.rint):
    complex_case(_f, None, fixed([1.3 - 0.7j, -0.2 + 2.2j]))

# ---- products of matrices

complex_case(np.linalg.matmul, None, cplx(2, 3), cplx(3, 2))
complex_case(np.linalg.outer, None, cplx(2), cplx(3))
complex_case(np.outer, None, cplx(2), cplx(3))
complex_case(np.linalg.tensordot, None, cplx(2, 3, 4), cplx(3, 4, 2))
complex_case(np.linalg.cross, None, cplx(2, 3), cplx(2, 3))
complex_case(np.linalg.matrix_norm, None, cplx(2, 3))
complex_case(np.linalg.tensorinv, lambda a: np.linalg.tensorinv(a, 1), cplx(2, 2, 1, low=0.9))
complex_case(np.linalg.tensorsolve, None, cplx(2, 2, 2, 2, low=0.9), cplx(2, 2))
