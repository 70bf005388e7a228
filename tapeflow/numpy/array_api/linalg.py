"""The extension ``linalg`` of the standard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import det, eigh, eigvalsh, inv, matmul, matrix_transpose, outer, slogdet, solve, svdvals

from tapeflow.numpy.array_api.functions import Axis, tensordot, vecdot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """Triangular factor of a positive definite matrix."""
    # NumPy's upper= reads the other triangle; of the standard's Hermitian argument that is the same.
    lower = np.linalg.cholesky(x)
    return np.conjugate(np.swapaxes(lower, -1, -2)) if upper else lower


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Vector product of vectors of length three."""
    return np.linalg.cross(x1, x2, axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonals of matrices."""
    return np.linalg.diagonal(x, offset=offset)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of matrices."""
    return np.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)


def matrix_power(x: Any, n: int, /) -> Any:
    """Integer power of a matrix."""
    return np.linalg.matrix_power(x, n)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """Number of singular values above a tolerance, relative to the largest."""
    s = np.linalg.svdvals(x)
    s = s.numpy() if hasattr(s, "numpy") else s
    tolerance = max(x.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else np.asarray(rtol)[..., None]
    return np.count_nonzero(s > tolerance * np.max(s, axis=-1, keepdims=True), axis=-1)


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Pseudo-inverse."""
    if rtol is None:
        rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps
    return np.linalg.pinv(x, rtol)


def qr(x: Any, /, *, mode: Any = "reduced") -> Any:
    """Orthogonal and triangular factor."""
    return np.linalg.qr(x, mode)


def svd(x: Any, /, *, full_matrices: bool = True) -> Any:
    """Singular vectors and values."""
    return np.linalg.svd(x, full_matrices)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum along diagonals."""
    return np.linalg.trace(x, offset=offset, dtype=dtype)


def vector_norm(x: Any, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Norm of vectors, or of all elements."""
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)  # type: ignore[arg-type]
