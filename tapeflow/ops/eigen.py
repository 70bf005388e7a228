"""Eigenvalues and eigenvectors.

Sources:

[G] M. B. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008, sections 2.3.1 and 3.1.
[B] C. Boeddeker, P. Hanebrink, L. Drude, J. Heymann, R. Haeb-Umbach, "On the computation of complex-valued gradients
    with application to statistically optimum beamforming", arXiv 1701.00392: vectors of unit norm.

Tangents of complex vectors are those without a change of phase (the real vectors of real values have none to change). A
VJP here conjugates the cotangent that it gets, which makes it the adjoint of the sources, and conjugates its result (see
core/reverse.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

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
    mH,
    mT,
    real_diagonal,
    reciprocal,
    refuse_equal,
    refuse_phase,
    use,
    use_both,
)

__all__ = ["eig", "eigh", "eigvals", "eigvalsh"]

_EigResult: Any = type(np.linalg.eig(np.eye(1)))
_EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _gaps(xp: Any, w: Any, near: Any) -> Any:
    """The matrix of 1 / (w_j - w_i), 0 for equal values."""
    return reciprocal(xp, w[..., None, :] - w[..., :, None], near)


def _unknown_if_equal(xp: Any, near: Any, m: Any, turn: Any) -> Any:
    """Vectors of equal values have no derivative in directions that separate them; a tangent says so by nan."""
    equal = near & ~identity(xp, near)
    return xp.where(equal & (m != 0), math.nan, turn) if anywhere(equal) else turn


def _used(y: Any) -> tuple[Any, Any]:
    return use(y[0], y[2], which=VALUES), use(y[1], y[2], which=VECTORS)


# ---- Hermitian matrices [G, 3.1]; one triangle is read, and the argument counts as Hermitian, so its gradient is, too


def _eigh_jvp(xp: Any, t: Any, y: Any, *, lower: bool) -> tuple[Any, Any, None]:
    w, v = _used(y)
    m = mH(xp, v) @ hermitian(xp, t) @ v
    near = close(xp, w)
    turn = _unknown_if_equal(xp, near, m, m * _gaps(xp, w, near))
    return average(xp, near, real_diagonal(xp, m)), v @ turn, None


def _eigh_vjp(xp: Any, g: Any, y: Any, *, lower: bool) -> Any:
    w, v = _used(y)
    near = close(xp, w)
    refuse_equal(xp, "eigh", xp.any(near & ~identity(xp, near), axis=-1), g, v)
    m = mH(xp, v) @ conj(xp, g[1])
    if v.dtype.kind == "c":
        refuse_phase(xp, "eigh", xp.imag(xp.diagonal(m, axis1=-2, axis2=-1)), g[1])
    inner = 0.5 * (m - mH(xp, m)) * _gaps(xp, w, near)
    return conj(xp, (v * average(xp, near, g[0])[..., None, :] + v @ inner) @ mH(xp, v))


_eigh = general(
    "eigh",
    lambda x, *, lower: marked(x, np.linalg.eigh(x, "L" if lower else "U")),
    _eigh_jvp,
    _eigh_vjp,
    refuses=True,
    batch=stacked(2),
)


def _eigvalsh_jvp(xp: Any, t: Any, x: Any, y: Any, *, lower: bool) -> Any:
    _, v, marks = _eigh(x, lower=lower)
    v = use_both(v, marks)
    return average(xp, close(xp, y), xp.real(xp.sum(conj(xp, v) * (hermitian(xp, t) @ v), axis=-2)))


def _eigvalsh_vjp(xp: Any, g: Any, x: Any, y: Any, *, lower: bool) -> Any:
    _, v, marks = _eigh(x, lower=lower)
    v = use_both(v, marks)
    return conj(xp, (v * average(xp, close(xp, y), g)[..., None, :]) @ mH(xp, v))


_eigvalsh = general(
    "eigvalsh",
    lambda x, *, lower: np.linalg.eigvalsh(x, "L" if lower else "U"),
    _eigvalsh_jvp,
    _eigvalsh_vjp,
    batch=stacked(2),
)


def _is_lower(UPLO: str) -> bool:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return UPLO.upper() == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of Hermitian matrices; the vectors have derivatives if the values are distinct."""
    return _EighResult(*_used(_eigh(a, lower=_is_lower(UPLO))))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of Hermitian matrices."""
    return _eigvalsh(a, lower=_is_lower(UPLO))


# ---- general matrices [G, 2.3.1], [B, section 4.4]; distinct values, or equal ones with independent vectors


def _inverse(xp: Any, v: Any) -> Any:
    """Left eigenvectors; they grow beyond all bounds where a matrix becomes defective."""
    try:
        inverse = xp.linalg.inv(v)
    except LinAlgError:
        inverse = None
    if inverse is None or anywhere(~(xp.abs(plain(inverse)) < float(np.finfo(v.dtype).eps) ** -0.75)):
        raise RuleError(
            "eig: the matrix is defective (it has fewer independent eigenvectors than rows), and its eigenvalues have "
            "no derivative there: they change like roots of what is added to it"
        )
    return inverse


def _eig_jvp(xp: Any, t: Any, y: Any) -> tuple[Any, Any, None]:
    w, v = _used(y)
    m = _inverse(xp, v) @ t @ v
    near = close(xp, w)
    change = v @ _unknown_if_equal(xp, near, m, m * _gaps(xp, w, near))
    values = average(xp, near, xp.diagonal(m, axis1=-2, axis2=-1))
    return values, change - v * xp.sum(conj(xp, v) * change, axis=-2)[..., None, :], None


def _eig_vjp(xp: Any, g: Any, y: Any) -> Any:
    w, v = _used(y)
    near = close(xp, w)
    refuse_equal(xp, "eig", xp.any(near & ~identity(xp, near), axis=-1), g, v)
    m = mH(xp, v) @ conj(xp, g[1])
    size = xp.diagonal(m, axis1=-2, axis2=-1)
    if v.dtype.kind == "c":
        refuse_phase(xp, "eig", xp.imag(size), g[1])
    turn = (m - mH(xp, v) @ v * size[..., None, :]) * conj(xp, _gaps(xp, w, near))
    turn = turn + xp.where(identity(xp, m), conj(xp, average(xp, near, g[0]))[..., None, :], 0)
    return conj(xp, mH(xp, _inverse(xp, v)) @ turn @ mH(xp, v))


_eig = general("eig", lambda x: marked(x, np.linalg.eig(x)), _eig_jvp, _eig_vjp, refuses=True, batch=stacked(2))


def _same(xp: Any, y: Any, w: Any) -> Any:
    """For each of values `y` its shares in values `w`, which are the same but for order and rounding."""
    y, w = plain(y), plain(w)
    distance = xp.abs(y[..., :, None] - w[..., None, :])
    bound = xp.max(xp.abs(w), axis=-1, initial=0)[..., None, None] * (w.shape[-1] * float(np.finfo(w.dtype).eps))
    near = distance <= xp.min(distance, axis=-1, keepdims=True, initial=math.inf) + bound
    return (near / xp.sum(near, axis=-1, keepdims=True)).astype(xp.real(w).dtype)


def _eigvals_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    w, v, marks = _eig(x)
    v = use_both(v, marks)
    m = _inverse(xp, v) @ t @ v
    return (_same(xp, y, w) @ xp.diagonal(m, axis1=-2, axis2=-1)[..., None])[..., 0]


def _eigvals_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    w, v, marks = _eig(x)
    v = use_both(v, marks)
    shares = (mT(xp, _same(xp, y, w)) @ g[..., None])[..., 0]
    return (mT(xp, _inverse(xp, v)) * shares[..., None, :]) @ mT(xp, v)


_eigvals = general("eigvals", np.linalg.eigvals, _eigvals_jvp, _eigvals_vjp, refuses=True, batch=stacked(2))


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of unit norm; the vectors have derivatives if the values are distinct."""
    return _EigResult(*_used(_eig(a)))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Eigenvalues of general matrices."""
    return _eigvals(a)
