"""Decompositions of matrices: Cholesky, QR, eigenvalues of Hermitian matrices, singular values.

Sources:

[G] M. B. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008.
[M] I. Murray, "Differentiation of the Cholesky decomposition", arXiv 1602.07527.
[T] J. Townsend, "Differentiating the singular value decomposition", 2016.
[W] S. F. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum
    experimental design", arXiv 1001.1654, section 4.
[Z] Z.-Q. Wan, S.-X. Zhang, "Automatic differentiation for complex valued SVD", arXiv 1909.02659.

None of these functions is holomorphic. A VJP here conjugates the cotangent that it gets, which makes it the adjoint of
the sources, and conjugates its result (see core/reverse.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeflow.core.primitive import implements
from tapeflow.core.rules import general
from tapeflow.errors import RuleError

__all__ = ["cholesky", "eigh", "eigvalsh", "qr", "svd"]

_EighResult: Any = type(np.linalg.eigh(np.eye(1)))
_QRResult: Any = type(np.linalg.qr(np.eye(1)))
_SVDResult: Any = type(np.linalg.svd(np.eye(1)))


def _conj(xp: Any, x: Any) -> Any:
    return xp.conjugate(x) if x.dtype.kind == "c" else x


def _mT(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


def _mH(xp: Any, x: Any) -> Any:
    return _conj(xp, _mT(xp, x))


def _hermitian(xp: Any, x: Any) -> Any:
    return 0.5 * (x + _mH(xp, x))


def _identity(xp: Any, x: Any) -> Any:
    return xp.eye(x.shape[-1], dtype=bool)


def _real_diagonal(xp: Any, x: Any) -> Any:
    return xp.real(xp.diagonal(x, axis1=-2, axis2=-1))


# ---- Cholesky decomposition [M, eqs. 8 and 10]; the argument counts as Hermitian, so its gradient is, too


def _lower_half(xp: Any, x: Any) -> Any:
    """Lower triangle, the diagonal halved."""
    return xp.where(_identity(xp, x), 0.5 * x, xp.tril(x))


def _lower(xp: Any, x: Any, upper: bool) -> Any:
    return _mH(xp, x) if upper else x


def _cholesky_jvp(xp: Any, t: Any, y: Any, *, upper: bool) -> Any:
    y = _lower(xp, y, upper)
    inner = xp.linalg.solve(y, _mH(xp, xp.linalg.solve(y, _hermitian(xp, t))))
    return _lower(xp, y @ _lower_half(xp, inner), upper)


def _cholesky_vjp(xp: Any, g: Any, y: Any, *, upper: bool) -> Any:
    up = y if upper else _mH(xp, y)
    p = _lower_half(xp, up @ _lower(xp, _conj(xp, g), upper))
    half = xp.linalg.solve(up, _hermitian(xp, p))
    return _conj(xp, xp.linalg.solve(up, _mH(xp, half)))


_cholesky = general("cholesky", lambda x, **upper: np.linalg.cholesky(x, **upper), _cholesky_jvp, _cholesky_vjp)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Triangular factor of Hermitian positive definite matrices."""
    return _cholesky(a, upper=bool(upper))


# ---- QR decomposition [W]: at least as many rows as columns, full column rank. The diagonal of R is real.


def _mirrored(xp: Any, x: Any) -> Any:
    """The Hermitian matrix of an upper triangle."""
    above = xp.triu(x, 1)
    return above + _mH(xp, above) + xp.where(_identity(xp, x), xp.real(x), 0)


def _qr_jvp(xp: Any, t: Any, y: Any) -> tuple[Any, Any]:
    q, r = y
    c = _mT(xp, xp.linalg.solve(_mT(xp, r), _mT(xp, t)))
    x = _mH(xp, q) @ c
    w = xp.triu(x, 1) + _mH(xp, xp.tril(x, -1)) + xp.where(_identity(xp, x), xp.real(x), 0)
    return c - q @ w, w @ r


def _qr_vjp(xp: Any, g: Any, y: Any) -> Any:
    q, r = y
    gq, gr = _conj(xp, g[0]), _conj(xp, g[1])
    c = gq + q @ _mirrored(xp, gr @ _mH(xp, r) - _mH(xp, q) @ gq)
    return _conj(xp, _mH(xp, xp.linalg.solve(r, _mH(xp, c))))


_qr = general("qr", lambda x: tuple(np.linalg.qr(x)), _qr_jvp, _qr_vjp, refuses=True)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Orthonormal columns and the triangular matrix that combines them, for matrices not wider than tall."""
    rows, columns = a.shape[-2:]
    if mode not in ("reduced", "r", "complete") or rows < columns or (mode == "complete" and rows != columns):
        raise ValueError(
            f"np.linalg.qr: mode={mode!r} has no derivative for matrices of shape {(rows, columns)}; use 'reduced' "
            "or 'r', and at least as many rows as columns"
        )
    q, r = _qr(a)
    return r if mode == "r" else _QRResult(q, r)


# ---- equal eigenvalues and singular values
#
# Where two are equal their vectors have no derivative. The reverse sweep may pass there if no cotangent reaches those
# vectors. If one does it must not: even for results that do not depend on the choice of vectors the limit cannot be told
# from the cotangent at that point (a spectral projector and a matrix function have the same one).


def _reciprocal(xp: Any, x: Any, absent: Any) -> Any:
    return xp.where(absent, 0, 1 / xp.where(absent, 1, x))


def _close(xp: Any, w: Any) -> Any:
    """Pairs of values whose difference is nothing but rounding."""
    bound = xp.max(xp.abs(w), axis=-1, initial=0) * (w.shape[-1] * float(np.finfo(w.dtype).eps))
    return xp.abs(w[..., None, :] - w[..., :, None]) <= bound[..., None, None]


def _refuse_if(xp: Any, name: str, reached: Any, singular: Any) -> None:
    if xp.any(reached & singular):
        raise RuleError(
            f"{name}: two values are equal (or a singular value is zero), and the result depends on their vectors, "
            "which have no derivative there. Functions of the values alone do; for the others separate the values, "
            "such as by adding a small diagonal matrix of different elements"
        )


def _columns_reached(xp: Any, g: Any) -> Any:
    return xp.any(g != 0, axis=-2)


# ---- eigenvalues and eigenvectors of Hermitian matrices [G, 3.1]; as for Cholesky, the argument counts as Hermitian


def _gaps(xp: Any, w: Any) -> tuple[Any, Any]:
    """The matrix of 1 / (w_j - w_i), and the mask of equal values, where it is 0."""
    close = _close(xp, w)
    return _reciprocal(xp, w[..., None, :] - w[..., :, None], close), close & ~_identity(xp, w)


def _eigh_jvp(xp: Any, t: Any, y: Any, *, lower: bool) -> tuple[Any, Any]:
    del lower
    w, v = y
    m = _mH(xp, v) @ _hermitian(xp, t) @ v
    gaps, equal = _gaps(xp, w)
    turn = m * gaps
    if xp.any(equal):  # the vectors have no derivative; the values may
        turn = xp.where(equal & (m != 0), math.nan, turn)
    return _real_diagonal(xp, m), v @ turn


def _eigh_vjp(xp: Any, g: Any, y: Any, *, lower: bool) -> Any:
    del lower
    w, v = y
    gaps, equal = _gaps(xp, w)
    _refuse_if(xp, "eigh", _columns_reached(xp, g[1]), xp.any(equal, axis=-1))
    m = _mH(xp, v) @ _conj(xp, g[1])
    inner = 0.5 * (m - _mH(xp, m)) * gaps
    return _conj(xp, (v * g[0][..., None, :] + v @ inner) @ _mH(xp, v))


_eigh = general(
    "eigh", lambda x, *, lower: tuple(np.linalg.eigh(x, "L" if lower else "U")), _eigh_jvp, _eigh_vjp, refuses=True
)


def _eigvalsh_vjp(xp: Any, g: Any, x: Any, *, lower: bool) -> Any:
    v = xp.linalg.eigh(x, "L" if lower else "U")[1]
    return _conj(xp, (v * g[..., None, :]) @ _mH(xp, v))


def _eigvalsh_jvp(xp: Any, t: Any, x: Any, *, lower: bool) -> Any:
    v = xp.linalg.eigh(x, "L" if lower else "U")[1]
    return xp.real(xp.sum(_conj(xp, v) * (_hermitian(xp, t) @ v), axis=-2))


_eigvalsh = general(
    "eigvalsh", lambda x, *, lower: np.linalg.eigvalsh(x, "L" if lower else "U"), _eigvalsh_jvp, _eigvalsh_vjp
)


def _is_lower(UPLO: str) -> bool:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return UPLO.upper() == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of Hermitian matrices; the vectors have derivatives if the values are distinct."""
    return _EighResult(*_eigh(a, lower=_is_lower(UPLO)))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of Hermitian matrices."""
    return _eigvalsh(a, lower=_is_lower(UPLO))


# ---- singular values and vectors [T], complex ones [Z]: distinct, and not zero unless the matrix is square. The phase of
# a pair of complex vectors is free, and so a result must not depend on it.


def _squared_gaps(xp: Any, s: Any) -> tuple[Any, Any]:
    """The matrix of 1 / (s_j**2 - s_i**2), and the mask of equal values, where it is 0."""
    close = _close(xp, s)
    difference = (s[..., None, :] - s[..., :, None]) * (s[..., None, :] + s[..., :, None])
    return _reciprocal(xp, difference, close), close & ~_identity(xp, s)


def _svd_jvp(xp: Any, t: Any, y: Any) -> tuple[Any, Any, Any]:
    u, s, vh = y
    v, row, column = _mH(xp, vh), s[..., None, :], s[..., :, None]
    gaps, equal = _squared_gaps(xp, s)
    inverse = _reciprocal(xp, row, row == 0)
    tv, tu = t @ v, _mH(xp, t) @ u
    p = _mH(xp, u) @ tv
    left = gaps * (p * row + column * _mH(xp, p))
    right = gaps * (column * p + _mH(xp, p) * row)
    if xp.any(equal):
        left, right = (xp.where(equal & (p != 0), math.nan, m) for m in (left, right))
    if t.dtype.kind == "c":
        left = left + xp.where(_identity(xp, p), 1j * xp.imag(p) * inverse, 0)
    du = u @ left + (tv - u @ p) * inverse
    dv = v @ right + (tu - v @ _mH(xp, p)) * inverse
    return du, _real_diagonal(xp, p), _mH(xp, dv)


def _svd_vjp(xp: Any, g: Any, y: Any) -> Any:
    u, s, vh = y
    v, row, column = _mH(xp, vh), s[..., None, :], s[..., :, None]
    gu, gv = _conj(xp, g[0]), _mT(xp, g[2])
    gaps, equal = _squared_gaps(xp, s)
    reached = _columns_reached(xp, gu) | _columns_reached(xp, gv)
    _refuse_if(xp, "svd", reached, xp.any(equal, axis=-1) | ((s == 0) & (u.shape[-2] != v.shape[-2])))
    inverse = _reciprocal(xp, row, row == 0)
    a, b = _mH(xp, u) @ gu, _mH(xp, v) @ gv
    p = gaps * (a - _mH(xp, a)) * row + column * (gaps * (b - _mH(xp, b)))
    if u.dtype.kind == "c":
        p = p + xp.where(_identity(xp, p), 1j * xp.imag(a) * inverse, 0)
    rest = (gu - u @ a) * inverse @ vh + u @ _mH(xp, (gv - v @ b) * inverse)
    return _conj(xp, (u @ p + u * g[1][..., None, :]) @ vh + rest)


_svd = general("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), _svd_jvp, _svd_vjp, refuses=True)


def _svdvals_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    u, _, vh = xp.linalg.svd(x, full_matrices=False)
    return xp.sign(y) * xp.real(xp.sum(_conj(xp, u) * (t @ _mH(xp, vh)), axis=-2))


def _svdvals_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    u, _, vh = xp.linalg.svd(x, full_matrices=False)
    return _conj(xp, (u * (g * xp.sign(y))[..., None, :]) @ vh)


# Where a singular value is zero it has a kink, as the absolute value; the subgradient is 0.
_svdvals = general("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), _svdvals_jvp, _svdvals_vjp)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular values and vectors; the vectors have derivatives if the values are distinct."""
    if hermitian:
        raise ValueError("np.linalg.svd: hermitian=True is not supported for traced values; leave it out, or use eigh")
    if not compute_uv:
        return _svdvals(a)
    if full_matrices and a.shape[-2] != a.shape[-1]:
        raise ValueError(
            f"np.linalg.svd: the vectors that full_matrices=True adds for shape {a.shape[-2:]} are arbitrary and have "
            "no derivative; use full_matrices=False"
        )
    return _SVDResult(*_svd(a))


if hasattr(np.linalg, "svdvals"):
    implements(np.linalg.svdvals)(lambda x, /: _svdvals(x))
