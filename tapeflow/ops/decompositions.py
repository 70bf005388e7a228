"""Decompositions of matrices: Cholesky, QR, singular values.

Sources:

[M] I. Murray, "Differentiation of the Cholesky decomposition", arXiv 1602.07527.
[R] D. A. O. Roberts, L. R. Roberts, "QR and LQ decomposition matrix backpropagation algorithms for square, wide, and
    deep matrices", arXiv 2009.10071.
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

from tapeflow.core.batch import stacked
from tapeflow.core.primitive import implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.errors import RuleError
from tapeflow.ops._spectral import (
    VALUES,
    VECTORS,
    average,
    close,
    conj,
    hermitian,
    identity,
    marked,
    matrices,
    mH,
    mT,
    negligible,
    real_diagonal,
    reciprocal,
    refuse_equal,
    refuse_phase,
    use,
    use_both,
    was_used,
)
from tapeflow.ops.eigen import eigh, eigvalsh
from tapeflow.ops.triangular import solve_triangular

__all__ = ["cholesky", "qr", "svd"]

_QRResult: Any = type(np.linalg.qr(np.eye(1)))
_SVDResult: Any = type(np.linalg.svd(np.eye(1)))


# ---- Cholesky decomposition [M, eqs. 8 and 10]; the argument counts as Hermitian, so its gradient is, too


def _lower_half(xp: Any, x: Any) -> Any:
    """Lower triangle, the diagonal halved."""
    return xp.where(identity(xp, x), 0.5 * x, xp.tril(x))


def _lower(xp: Any, x: Any, upper: bool) -> Any:
    return mH(xp, x) if upper else x


def _cholesky_jvp(xp: Any, t: Any, y: Any, *, upper: bool) -> Any:
    y = _lower(xp, y, upper)
    inner = solve_triangular(y, mH(xp, solve_triangular(y, hermitian(xp, t), lower=True)), lower=True)
    return _lower(xp, y @ _lower_half(xp, inner), upper)


def _cholesky_vjp(xp: Any, g: Any, y: Any, *, upper: bool) -> Any:
    up = y if upper else mH(xp, y)
    p = _lower_half(xp, up @ _lower(xp, conj(xp, g), upper))
    half = solve_triangular(up, hermitian(xp, p), lower=False)
    return conj(xp, solve_triangular(up, mH(xp, half), lower=False))


_cholesky = general(
    "cholesky", lambda x, **upper: np.linalg.cholesky(x, **upper), _cholesky_jvp, _cholesky_vjp, batch=stacked(2)
)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Triangular factor of Hermitian positive definite matrices."""
    return _cholesky(a, upper=bool(upper))


# ---- columns that complete a basis. They are orthonormal, and else arbitrary: NumPy's vary smoothly, in a way that depends
# on its algorithm, and so a result must not depend on a rotation among them. Then the change orthogonal to them is all.


def _parts(q: Any, n: int) -> tuple[Any, Any]:
    return q[..., :n], q[..., n:]


def _completed_jvp(xp: Any, t: Any, q: Any, n: int) -> Any:
    """The change of a whole basis, given that of its first n columns."""
    first, added = _parts(q, n)
    return t if added.shape[-1] == 0 else xp.concatenate((t, -(first @ (mH(xp, t) @ added))), axis=-1)


def _completed_vjp(xp: Any, g: Any, q: Any, n: int, name: str) -> Any:
    """The cotangent of the first n columns, given that of a whole basis."""
    (first, added), (g, g_added) = _parts(q, n), _parts(g, n)
    if added.shape[-1] == 0 or not anywhere(g_added != 0):
        return g
    m = mH(xp, plain(added)) @ plain(g_added)
    scale = xp.max(xp.abs(m), axis=(-2, -1), initial=0, keepdims=True)
    if anywhere(xp.abs(m - mH(xp, m)) > scale * float(np.finfo(q.dtype).eps) ** 0.5):
        raise RuleError(
            f"{name}: the result depends on a choice among the columns that complete the basis, which are arbitrary, so "
            "it has no derivative. Use what depends on their span alone, such as the projector on it"
        )
    return g - added @ mH(xp, g_added) @ first


# ---- QR decomposition [W], of wide matrices [R]: the first columns are independent. The diagonal of R is real.


def _from_upper(xp: Any, x: Any) -> Any:
    """The Hermitian matrix of an upper triangle."""
    above = xp.triu(x, 1)
    return above + mH(xp, above) + xp.where(identity(xp, x), xp.real(x), 0)


def _square(xp: Any, r: Any) -> Any:
    """The square part of the triangle, which must have an inverse."""
    r = r[..., : r.shape[-1], :]
    size = xp.abs(xp.diagonal(plain(r), axis1=-2, axis2=-1))
    bound = xp.max(size, axis=-1, initial=0, keepdims=True) * (r.shape[-1] * float(np.finfo(r.dtype).eps))
    if anywhere(size <= bound):
        raise RuleError("qr: the first columns of the matrix are dependent, where its factors have no derivative")
    return r


def _qr_jvp(xp: Any, t: Any, y: Any, *, mode: str) -> tuple[Any, Any]:
    r = _square(xp, y[1])
    n = r.shape[-1]
    q = y[0][..., :n]
    c = mT(xp, xp.linalg.solve(mT(xp, r), mT(xp, t)))
    x = mH(xp, q) @ c
    w = xp.triu(x, 1) + mH(xp, xp.tril(x, -1)) + xp.where(identity(xp, x), xp.real(x), 0)
    below = xp.zeros_like(y[1][..., n:, :])
    return _completed_jvp(xp, c - q @ w, y[0], n), xp.concatenate((w @ r, below), axis=-2)


def _qr_vjp(xp: Any, g: Any, y: Any, *, mode: str) -> Any:
    r = _square(xp, y[1])
    n = r.shape[-1]
    q = y[0][..., :n]
    gq, gr = _completed_vjp(xp, conj(xp, g[0]), y[0], n, "qr"), conj(xp, g[1])[..., :n, :]
    c = gq + q @ _from_upper(xp, gr @ mH(xp, r) - mH(xp, q) @ gq)
    return conj(xp, mH(xp, xp.linalg.solve(r, mH(xp, c))))


_qr = general("qr", lambda x, *, mode: tuple(np.linalg.qr(x, mode)), _qr_jvp, _qr_vjp, refuses=True, batch=stacked(2))


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Orthonormal columns and the triangular matrix that combines them."""
    if mode not in ("reduced", "r", "complete"):
        raise ValueError(
            f"np.linalg.qr: mode={mode!r} gives LAPACK's own form of the factors, which has no derivative here; use "
            "'reduced', 'complete' or 'r'"
        )
    rows, columns = matrices(a).shape[-2:]
    if rows >= columns:
        q, r = _qr(a, mode="reduced" if mode == "r" else mode)
    else:  # the first columns determine Q, and the rest of R follows
        q, r = _qr(a[..., :rows], mode="reduced")
        rest = np.swapaxes(np.conjugate(q) if q.dtype.kind == "c" else q, -1, -2) @ a[..., rows:]
        r = np.concatenate((r, rest), axis=-1)
    return r if mode == "r" else _QRResult(q, r)


# ---- singular values and vectors [T], complex ones [Z]: distinct, and not zero unless the matrix is square and real. The
# phase of a pair of complex vectors is free, and so a result must not depend on it.


def _squared_gaps(xp: Any, s: Any, near: Any) -> Any:
    """The matrix of 1 / (s_j**2 - s_i**2), 0 for equal values."""
    difference = (s[..., None, :] - s[..., :, None]) * (s[..., None, :] + s[..., :, None])
    return reciprocal(xp, difference, near)


def _factors(y: Any) -> tuple[Any, Any, Any]:
    """The factors, noting that they were used."""
    u, s, vh, marks = y
    return use(u, marks, which=VECTORS), use(s, marks, which=VALUES), use(vh, marks, which=VECTORS)


def _zeros_of(xp: Any, s: Any, u: Any, v: Any) -> tuple[Any, Any]:
    """Masks of the values that are zero, and of those whose vectors have no derivative for that reason."""
    zero = negligible(xp, s, max(u.shape[-2], v.shape[-2]))
    return zero, zero if u.shape[-2] != v.shape[-2] or u.dtype.kind == "c" else zero & False


def _svd_jvp(xp: Any, t: Any, y: Any, *, full: bool) -> tuple[Any, Any, Any, None]:
    whole_u, s, vh = _factors(y)
    whole_v, n = mH(xp, vh), s.shape[-1]
    u, v, row, column = whole_u[..., :n], whole_v[..., :n], s[..., None, :], s[..., :, None]
    near, zero = close(xp, s), negligible(xp, s, max(t.shape[-2:]))
    equal = near & ~identity(xp, s)
    gaps, inverse = _squared_gaps(xp, s, near), reciprocal(xp, row, zero[..., None, :])
    tv, tu = t @ v, mH(xp, t) @ u
    p = mH(xp, u) @ tv
    left = gaps * (p * row + column * mH(xp, p))
    right = gaps * (column * p + mH(xp, p) * row)
    if anywhere(equal):
        left, right = (xp.where(equal & (p != 0), math.nan, m) for m in (left, right))
    if t.dtype.kind == "c":
        left = left + xp.where(identity(xp, p), 1j * xp.imag(p) * inverse, 0)
    du = u @ left + (tv - u @ p) * inverse
    dv = v @ right + (tu - v @ mH(xp, p)) * inverse
    if anywhere(zero):  # values have a kink and the subgradient 0, which would be wrong beside these vectors
        du, dv = (xp.where(zero[..., None, :], math.nan, d) for d in (du, dv))
    du, dv = _completed_jvp(xp, du, whole_u, n), _completed_jvp(xp, dv, whole_v, n)
    return du, average(xp, near, xp.where(zero, 0, real_diagonal(xp, p))), mH(xp, dv), None


def _svd_vjp(xp: Any, g: Any, y: Any, *, full: bool) -> Any:
    u, s, vh = _factors(y)
    v, n = mH(xp, vh), s.shape[-1]
    gu, gv = _completed_vjp(xp, conj(xp, g[0]), u, n, "svd"), _completed_vjp(xp, mT(xp, g[2]), v, n, "svd")
    u, v, vh, row, column = u[..., :n], v[..., :n], vh[..., :n, :], s[..., None, :], s[..., :, None]
    near, (zero, singular) = close(xp, s), _zeros_of(xp, s, u, v)
    singular = singular | xp.any(near & ~identity(xp, s), axis=-1)
    refuse_equal(xp, "svd", singular, (g[1], xp.concatenate((gu, gv), axis=-2), g[3]), xp.concatenate((u, v), axis=-2))
    gaps, inverse = _squared_gaps(xp, s, near), reciprocal(xp, row, zero[..., None, :])
    a, b = mH(xp, u) @ gu, mH(xp, v) @ gv
    p = gaps * (a - mH(xp, a)) * row + column * (gaps * (b - mH(xp, b)))
    if u.dtype.kind == "c":
        refuse_phase(xp, "svd", xp.imag(xp.diagonal(a + b, axis1=-2, axis2=-1)), gu, gv)
        p = p + xp.where(identity(xp, p), 1j * xp.imag(a) * inverse, 0)
    rest = (gu - u @ a) * inverse @ vh + u @ mH(xp, (gv - v @ b) * inverse)
    gs = average(xp, near, xp.where(zero & ~was_used(xp, g[3], VECTORS), 0, g[1]))
    return conj(xp, (u @ p + u * gs[..., None, :]) @ vh + rest)


_svd = general(
    "svd",
    lambda x, *, full: marked(x, np.linalg.svd(x, full_matrices=full)),
    _svd_jvp,
    _svd_vjp,
    refuses=True,
    batch=stacked(2),
)


def _slope(xp: Any, y: Any, x: Any) -> Any:
    """1, and 0 where a singular value is zero: there it has a kink, as the absolute value, and the subgradient is 0."""
    return xp.where(negligible(xp, y, max(x.shape[-2:])), 0, xp.ones_like(y))


def svdvals_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    u, _, vh, marks = _svd(x, full=False)
    u, vh = use_both(u, marks), use_both(vh, marks)
    rates = xp.real(xp.sum(conj(xp, u) * (t @ mH(xp, vh)), axis=-2))
    return _slope(xp, y, x) * average(xp, close(xp, y), rates)


def svdvals_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    u, _, vh, marks = _svd(x, full=False)
    u, vh = use_both(u, marks), use_both(vh, marks)
    return conj(xp, (u * average(xp, close(xp, y), g * _slope(xp, y, x))[..., None, :]) @ vh)


_svdvals = general("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), svdvals_jvp, svdvals_vjp, batch=stacked(2))


def _reordered(x: Any, order: Any) -> Any:
    """Elements along the last axis in another order, for each row of the stack its own."""
    places = [np.arange(n).reshape((-1, *(1,) * (order.ndim - 1 - k))) for k, n in enumerate(order.shape[:-1])]
    return x[(*places, order)]


def _hermitian_svd(a: Any, compute_uv: bool) -> Any:
    """By eigenvalues, as NumPy does it."""
    if not compute_uv:
        s = np.abs(eigvalsh(a))
        return _reordered(s, np.argsort(s)[..., ::-1])
    w, v = eigh(a)
    order = np.argsort(np.abs(w))[..., ::-1]
    w, v = _reordered(w, order), _reordered(np.swapaxes(v, -1, -2), order)
    vh = v * np.copysign(1.0, plain(w)).astype(w.dtype)[..., None]
    return _SVDResult(np.swapaxes(v, -1, -2), np.abs(w), np.conjugate(vh) if vh.dtype.kind == "c" else vh)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular values and vectors; the vectors have derivatives if the values are distinct."""
    if hermitian:
        return _hermitian_svd(a, compute_uv)
    if not compute_uv:
        return _svdvals(a)
    return _SVDResult(*_factors(_svd(a, full=bool(full_matrices) and matrices(a).shape[-2] != a.shape[-1])))


if hasattr(np.linalg, "svdvals"):
    implements(np.linalg.svdvals)(lambda x, /: _svdvals(x))
