"""Linear algebra.

Sources of the formulas:

[G] M. B. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008.
[M] I. Murray, "Differentiation of the Cholesky decomposition", arXiv 1602.07527.

The collections give adjoints with conjugate transposes. Cotangents arrive conjugated here (see core/reverse.py), which
turns those into plain transposes for holomorphic functions; rules of the others say what they do.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapeflow.core.primitive import implements
from tapeflow.core.rules import general
from tapeflow.errors import RuleError

_SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))
_EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _mT(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


def _mH(xp: Any, x: Any) -> Any:
    return xp.conjugate(xp.swapaxes(x, -1, -2))


def _hermitian(xp: Any, x: Any) -> Any:
    return 0.5 * (x + _mH(xp, x))


def _each(scalar: Any) -> Any:
    """A stack of scalars, to be multiplied with a stack of matrices."""
    return np.reshape(scalar, (*np.shape(scalar), 1, 1))


# ---- inverse and solution [G, 2.2.3, 2.3.1]

_inv = general(
    "inv",
    np.linalg.inv,
    lambda xp, t, y: -(y @ t @ y),
    lambda xp, g, y: -(_mT(xp, y) @ g @ _mT(xp, y)),
)
implements(np.linalg.inv)(lambda a: _inv(a))

# Of matrices on both sides.
_solve = general(
    "solve",
    np.linalg.solve,
    (lambda xp, t, x0, y: -xp.linalg.solve(x0, t @ y), lambda xp, t, x0: xp.linalg.solve(x0, t)),
    (
        lambda xp, g, x0, y: -(xp.linalg.solve(_mT(xp, x0), g) @ _mT(xp, y)),
        lambda xp, g, x0: xp.linalg.solve(_mT(xp, x0), g),
    ),
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solve linear systems; a vector on the right-hand side is one column."""
    if b.ndim == 1:
        return _solve(a, np.reshape(b, (-1, 1)))[..., 0]
    return _solve(a, b)


# ---- determinants [G, 2.2.4]


def _cofactor_evaluate(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), 1, s[..., None, :]), axis=-1)
    adjugate = (_mH(np, vh) * others[..., None, :]) @ _mH(np, u)
    return _mT(np, adjugate * _each(np.linalg.det(u) * np.linalg.det(vh))).astype(x.dtype)


# The derivative of the determinant, by singular values, so that singular matrices have it too. Its own derivative needs
# the inverse, whose error says so where there is none.
_cofactor = general(
    "cofactor",
    _cofactor_evaluate,
    lambda xp, t, x, y: (z := _mT(xp, xp.linalg.inv(x))) * _each(xp.sum(y * t, axis=(-2, -1))) - y @ _mT(xp, t) @ z,
    lambda xp, g, x, y: y * _each(xp.sum(g * (z := _mT(xp, xp.linalg.inv(x))), axis=(-2, -1))) - z @ _mT(xp, g) @ y,
)
_det = general(
    "det",
    np.linalg.det,
    lambda xp, t, x: xp.sum(_cofactor(x) * t, axis=(-2, -1)),
    lambda xp, g, x: _each(g) * _cofactor(x),
)
implements(np.linalg.det)(lambda a: _det(a))


def _slogdet_jvp(xp: Any, t: Any, x: Any, y: Any) -> tuple[Any, Any]:
    rate = xp.sum(_mT(xp, xp.linalg.inv(x)) * t, axis=(-2, -1))
    turn = 1j * xp.imag(rate) * y[0] if x.dtype.kind == "c" else xp.zeros_like(y[0])
    return turn, xp.real(rate)


def _slogdet_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    # log|det| is the real part of log det, and the sign turns with its imaginary part.
    rate = g[1]
    if x.dtype.kind == "c":
        rate = rate - 1j * xp.real(1j * g[0] * y[0])
    return xp.reshape(rate, (*x.shape[:-2], 1, 1)) * _mT(xp, xp.linalg.inv(x))


_slogdet = general("slogdet", lambda x: tuple(np.linalg.slogdet(x)), _slogdet_jvp, _slogdet_vjp)
implements(np.linalg.slogdet)(lambda a: _SlogdetResult(*_slogdet(a)))

# ---- Cholesky decomposition [M, eqs. 8 and 10]; the argument counts as Hermitian, so its gradient is, too


def _lower_half(xp: Any, x: Any) -> Any:
    """Lower triangle, the diagonal halved."""
    n = x.shape[-1]
    half = (np.tri(n) - 0.5 * np.eye(n)).astype(x.real.dtype)
    return x * half


def _cholesky_jvp(xp: Any, t: Any, y: Any) -> Any:
    inner = xp.linalg.solve(y, _mH(xp, xp.linalg.solve(y, _hermitian(xp, t))))
    return y @ _lower_half(xp, inner)


def _cholesky_vjp(xp: Any, g: Any, y: Any) -> Any:
    p = _lower_half(xp, _mH(xp, y) @ xp.conjugate(g))
    up = _mH(xp, y)
    inner = xp.linalg.solve(up, p + _mH(xp, p))
    return xp.conjugate(0.5 * _mH(xp, xp.linalg.solve(up, _mH(xp, inner))))


_cholesky = general("cholesky", np.linalg.cholesky, _cholesky_jvp, _cholesky_vjp)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Triangular factor of Hermitian positive definite matrices."""
    return _mH(np, _cholesky(_mH(np, a))) if upper else _cholesky(a)


# ---- eigenvalues of Hermitian matrices [G, 3.1]: distinct ones, or a function that does not depend on the choice of
# eigenvectors within an eigenspace


class _Gaps(NamedTuple):
    inverse: Any  # 1 / (w_j - w_i), and 0 where that is not finite
    equal: Any  # where two eigenvalues are equal, off the diagonal


def _gaps(xp: Any, w: Any) -> _Gaps:
    difference = w[..., None, :] - w[..., :, None]
    equal = difference == 0
    inverse = xp.where(equal, 0, 1 / xp.where(equal, 1, difference))
    return _Gaps(inverse, equal & ~np.eye(w.shape[-1], dtype=bool))


def _mixes(xp: Any, m: Any, equal: Any) -> Any:
    """Where eigenvectors of equal eigenvalues would turn into each other, beyond rounding."""
    size = xp.abs(m)
    return equal & (size > xp.max(size, initial=0) * float(np.finfo(m.dtype).eps) ** 0.5)


def _eigh_jvp(xp: Any, t: Any, y: Any, *, lower: bool) -> tuple[Any, Any]:
    w, v = y
    m = _mH(xp, v) @ _hermitian(xp, t) @ v
    gaps = _gaps(xp, w)
    turn = m * gaps.inverse
    mixing = _mixes(xp, m, gaps.equal)
    if xp.any(mixing):
        turn = xp.where(mixing, math.nan, turn)  # the eigenvectors have no derivative; the eigenvalues may
    return xp.real(xp.diagonal(m, axis1=-2, axis2=-1)), v @ turn


def _eigh_vjp(xp: Any, g: Any, y: Any, *, lower: bool) -> Any:
    w, v = y
    m = _mH(xp, v) @ xp.conjugate(g[1])
    gaps = _gaps(xp, w)
    if xp.any(_mixes(xp, 0.5 * (m - _mH(xp, m)), gaps.equal)):
        raise RuleError(
            "eigh: two eigenvalues are equal and the result depends on which eigenvectors were chosen in their "
            "eigenspace, so it has no derivative there"
        )
    inner = m * gaps.inverse + g[0][..., None] * np.eye(w.shape[-1], dtype=w.dtype)
    return xp.conjugate(_hermitian(xp, v @ inner @ _mH(xp, v)))


_eigh = general(
    "eigh",
    lambda x, *, lower: tuple(np.linalg.eigh(x, "L" if lower else "U")),
    _eigh_jvp,
    _eigh_vjp,
)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of Hermitian matrices."""
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return _EighResult(*_eigh(a, lower=UPLO.upper() == "L"))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of Hermitian matrices."""
    return eigh(a, UPLO)[0]


# ---- singular values, by eigenvectors of the smaller Gram matrix


def _right_vectors(xp: Any, x: Any) -> Any:
    """Right singular vectors of tall matrices, in the order of descending singular values."""
    return xp.flip(xp.linalg.eigh(_mH(xp, x) @ x)[1], -1)


def _svdvals_jvp(xp: Any, t: Any, x: Any, y: Any) -> Any:
    if x.shape[-2] < x.shape[-1]:
        return _svdvals_jvp(xp, _mH(xp, t), _mH(xp, x), y)
    v = _right_vectors(xp, x)
    rates = xp.real(xp.sum(xp.conjugate(x @ v) * (t @ v), axis=-2))
    return rates / xp.where(y == 0, 1, y)


def _svdvals_vjp(xp: Any, g: Any, x: Any, y: Any) -> Any:
    if x.shape[-2] < x.shape[-1]:
        return _mT(xp, xp.conjugate(_svdvals_vjp(xp, g, _mH(xp, x), y)))
    v = _right_vectors(xp, x)
    return xp.conjugate((x @ (v * (g / xp.where(y == 0, 1, y))[..., None, :])) @ _mH(xp, v))


_svdvals = general("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), _svdvals_jvp, _svdvals_vjp)
implements(np.linalg.svdvals)(lambda x, /: _svdvals(x))

# ---- norms


def _size_squared(x: Any) -> Any:
    return x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x


def _spread(xp: Any, y: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return xp.reshape(y, tuple(1 if k in axes else n for k, n in enumerate(shape)))


# Where the norm is 0 every slope is 0 / 0; the subgradient of least norm is 0.
_norm2 = general(
    "norm",
    lambda x, *, axes: np.sqrt(np.sum(_size_squared(x), axis=axes)),
    lambda xp, t, x, y, *, axes: xp.sum(xp.real(xp.conjugate(x) * t), axis=axes) / xp.where(y == 0, 1, y),
    lambda xp, g, x, y, *, axes: _spread(xp, g / xp.where(y == 0, 1, y), x.shape, axes) * xp.conjugate(x),
)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of vectors or matrices."""
    if axis is None and (ord is None or (x.ndim == 2 and ord == "fro") or (x.ndim == 1 and ord == 2)):
        axes = tuple(range(x.ndim))
        y = _norm2(x, axes=axes)
        return np.reshape(y, (1,) * x.ndim) if keepdims else y
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    if len(axes) == 1:
        y = _vector_norm(x, axes[0], ord)
    elif len(axes) == 2:
        y = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord)
    else:
        raise ValueError("Improper number of dimensions to norm.")
    return np.expand_dims(y, tuple(sorted(axes))) if keepdims else y


def _vector_norm(x: Any, axis: int, ord: Any) -> Any:
    if ord is None or ord == 2:
        return _norm2(x, axes=(axis,))
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord == math.inf:
        return np.max(np.abs(x), axis=axis)
    if ord == -math.inf:
        return np.min(np.abs(x), axis=axis)
    if ord == 0:
        return np.sum((x != 0) + 0 * x.real, axis=axis)
    if ord == 1:
        return np.sum(np.abs(x), axis=axis)
    return np.sum(np.abs(x) ** ord, axis=axis) ** (1 / ord)


def _matrix_norm(x: Any, ord: Any) -> Any:
    if ord in (None, "fro", "f"):
        return _norm2(x, axes=(x.ndim - 2, x.ndim - 1))
    if ord == "nuc":
        return np.sum(_svdvals(x), axis=-1)
    if ord in (2, -2):
        return (np.max if ord > 0 else np.min)(_svdvals(x), axis=-1)
    if ord in (1, -1, math.inf, -math.inf):
        lines = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
        return (np.max if ord > 0 else np.min)(lines, axis=-1)
    raise ValueError("Invalid norm order for matrices.")


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of matrices."""
    return norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norm of vectors; without an axis, or with several, of all their elements."""
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    kept = tuple(k for k in range(x.ndim) if k not in axes)
    flat = np.reshape(np.transpose(x, kept + axes), (*(x.shape[k] for k in kept), -1))
    y = _vector_norm(flat, flat.ndim - 1, ord)
    return np.expand_dims(y, tuple(sorted(axes))) if keepdims else y
