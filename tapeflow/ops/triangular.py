"""Solution of triangular systems, for rules of factorizations whose factors are triangular.

NumPy has no function for them; a general solver factorizes the triangle once more, which takes three times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import stacked
from tapeflow.core.primitive import Primitive
from tapeflow.core.rules import general
from tapeflow.ops._spectral import mT

__all__ = ["is_lower", "solve_triangular"]


# From this size on it pays to look whether a matrix is triangular, as a factor of Cholesky's is, before it is factorized.
LARGE = 64


def is_lower(a: Any, b: Any) -> bool | None:
    """Whether a large plain matrix of a system is lower triangular, not upper; ``None`` if it is neither, or not large."""
    if not (type(a) is type(b) is np.ndarray and a.ndim == 2 and len(a) >= LARGE and 0 in (a[0, -1], a[-1, 0])):
        return None
    lower = bool(a[0, -1] == 0)
    return None if (np.triu(a, 1) if lower else np.tril(a, -1)).any() else lower


def _evaluate(a: Any, b: Any, *, lower: bool) -> Any:
    backend = backend_for(a) or NUMPY
    if (
        backend is not NUMPY
        or a.ndim > 2
        or b.ndim > 2
        or a.dtype.char not in "fdFD"
        or a.dtype != b.dtype
        or not a.size
    ):
        return backend.xp.linalg.solve(a, b)
    from scipy.linalg.lapack import get_lapack_funcs  # late: SciPy's linear algebra takes long to import

    # LAPACK stores by columns, so an array by rows is handed over as its transpose, without a copy.
    by_rows = a.flags.c_contiguous
    (trtrs,) = get_lapack_funcs(("trtrs",), (a, b))
    y, info = trtrs(a.T if by_rows else a, b, lower=lower != by_rows, trans=int(by_rows))
    if info:
        raise np.linalg.LinAlgError("Singular matrix")
    return y


def _triangle(xp: Any, x: Any, lower: bool) -> Any:
    return xp.tril(x) if lower else xp.triu(x)


def _a_jvp(xp: Any, t: Any, x0: Any, y: Any, *, lower: bool) -> Any:
    return -solve_triangular(x0, _triangle(xp, t, lower) @ y, lower=lower)


def _a_vjp(xp: Any, g: Any, x0: Any, y: Any, *, lower: bool) -> Any:
    return -_triangle(xp, solve_triangular(mT(xp, x0), g, lower=not lower) @ mT(xp, y), lower)


# Of matrices, or of stacks of them, on both sides; the other triangle of `a` must be zero.
solve_triangular: Primitive = general(
    "solve_triangular",
    _evaluate,
    (_a_jvp, lambda xp, t, x0, *, lower: solve_triangular(x0, t, lower=lower)),
    (_a_vjp, lambda xp, g, x0, *, lower: solve_triangular(mT(xp, x0), g, lower=not lower)),
    batch=stacked(2, 2),
)
