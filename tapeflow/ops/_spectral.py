"""What the rules of all decompositions share: adjoints of matrices, equal values, and freedom in the choice of vectors.

Where two values are equal their vectors have no derivative. The reverse sweep may pass there if the result depends on the
values alone, or on vectors of other values alone. Otherwise it must not: the limit cannot be told from the cotangent at
that point. For f(A) = V f(W) V^H in particular the cotangent of the vectors of equal values holds f, and that of the values
holds f' times the diagonal of a matrix, in the basis that happens to be there; its other elements are part of the
derivative and nowhere to be seen. So what decides is not only whether cotangents are zero but whether vectors were used
at all, and every decomposition has a last output that tells (see `use`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from tapeflow.core.batch import leading, shifted
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.errors import RuleError

__all__ = [
    "VALUES",
    "VECTORS",
    "average",
    "close",
    "conj",
    "hermitian",
    "identity",
    "mH",
    "mT",
    "marked",
    "matrices",
    "mirrored",
    "negligible",
    "real_diagonal",
    "reciprocal",
    "refuse_equal",
    "refuse_phase",
    "use",
    "use_both",
    "was_used",
]

VALUES, VECTORS = 0, 1


def conj(xp: Any, x: Any) -> Any:
    """Conjugate of complex arrays; real ones as they are."""
    return xp.conjugate(x) if x.dtype.kind == "c" else x


def mT(xp: Any, x: Any) -> Any:
    """Transpose of each matrix."""
    return xp.swapaxes(x, -1, -2)


def mH(xp: Any, x: Any) -> Any:
    """Conjugate transpose of each matrix."""
    return conj(xp, mT(xp, x))


def hermitian(xp: Any, x: Any) -> Any:
    """Hermitian part of each matrix."""
    return 0.5 * (x + mH(xp, x))


def identity(xp: Any, x: Any) -> Any:
    """Mask of the diagonal of square matrices, or of as many values."""
    return xp.eye(x.shape[-1], dtype=bool)


def real_diagonal(xp: Any, x: Any) -> Any:
    """Real parts of the diagonal of each matrix."""
    return xp.real(xp.diagonal(x, axis1=-2, axis2=-1))


def reciprocal(xp: Any, x: Any, absent: Any) -> Any:
    """Reciprocals, and 0 where a mask says so."""
    return xp.where(absent, 0, 1 / xp.where(absent, 1, x))


def matrices(a: Any) -> Any:
    """Check, as NumPy does, that an argument is a matrix or a stack of them."""
    if a.ndim < 2:
        raise LinAlgError(f"{a.ndim}-dimensional array given. Array must be at least two-dimensional")
    return a


# ---- which outputs were used

use = general(
    "use",
    lambda x, marks, *, which: x,
    (lambda xp, t, *, which: t, lambda xp, t, y, *, which: xp.zeros_like(y)),
    (lambda xp, g, *, which: g, lambda xp, g, shape1, *, which: xp.broadcast_to(xp.eye(2)[which], shape1)),
    batch=shifted(),
)
"""Pass values or vectors on, and note in the cotangent of `marks` that they were used, even if theirs is zero."""


def marked(x: Any, factors: tuple[Any, ...]) -> tuple[Any, ...]:
    """The factors of a stack of matrices, and their marks, a pair for each matrix."""
    return *factors, np.zeros((*x.shape[:-2], 2), np.real(x[..., :0]).dtype)


def was_used(xp: Any, marks: Any, which: int) -> Any:
    """Whether values or vectors were used, by the cotangent of their marks; one answer for each matrix."""
    return plain(marks)[..., which, None] > 0


def use_both(x: Any, marks: Any) -> Any:
    """Pass vectors on to a rule that multiplies them with a function of the values."""
    return use(use(x, marks, which=VALUES), marks, which=VECTORS)


# ---- equal values


def _rounding(xp: Any, w: Any, n: int) -> Any:
    return xp.max(xp.abs(w), axis=-1, initial=0, keepdims=True) * (n * float(np.finfo(w.dtype).eps))


def close(xp: Any, w: Any) -> Any:
    """Pairs of values whose difference is nothing but rounding."""
    w = plain(w)
    return xp.abs(w[..., None, :] - w[..., :, None]) <= _rounding(xp, w, w.shape[-1])[..., None]


def negligible(xp: Any, s: Any, n: int) -> Any:
    """Singular values of matrices with n rows or columns that are zero but for rounding."""
    s = plain(s)
    return s <= _rounding(xp, s, n)


def average(xp: Any, near: Any, x: Any) -> Any:
    """Averages over equal values: ties share equally, which is exact where the result is symmetric in them."""
    if not anywhere(near & ~identity(xp, near)):
        return x
    weights = near / xp.sum(near, axis=-1, keepdims=True)
    return (weights.astype(xp.real(x).dtype) @ x[..., None])[..., 0]


def refuse_equal(xp: Any, name: str, singular: Any, g: tuple[Any, Any, Any], v: Any) -> None:
    """Raise if a cotangent reaches vectors of `singular` values, or may have to.

    `g` holds the cotangents of values, vectors and marks. With exact zeros among the elements of `v` even a cotangent of
    zero proves nothing, since it may be one element of a function that is zero for these values.
    """
    if not anywhere(singular):
        return
    values, vectors, marks = g
    reached = xp.any(vectors != 0, axis=-2)
    ambiguous = (values != 0) | (was_used(xp, marks, VALUES) & xp.any(v == 0, axis=-2))
    reached = reached | (was_used(xp, marks, VECTORS) & ambiguous)
    if anywhere(reached & singular):
        raise RuleError(
            f"{name}: two values are equal (or a singular value is zero), and the result depends on their vectors, "
            "which have no derivative there. Functions of the values alone do (take them from eigvalsh, eigvals or "
            "svdvals if the result depends on other vectors as well); for the others separate the values, such as by "
            "adding a small diagonal matrix of different elements"
        )


def refuse_phase(xp: Any, name: str, turn: Any, *cotangents: Any) -> None:
    """Raise if a result depends on the free phases of complex vectors; `turn` is its derivative with respect to them."""
    squares = (xp.sum(xp.abs(plain(g)) ** 2, axis=-2) for g in cotangents)
    scale = sum(xp.max(x, axis=-1, initial=0, keepdims=True) for x in squares) ** 0.5
    if anywhere(xp.abs(plain(turn)) > scale * float(np.finfo(turn.dtype).eps) ** 0.5):
        raise RuleError(
            f"{name}: the result depends on the phases of complex vectors, which are arbitrary, so it has no derivative. "
            "Use what does not depend on them, such as abs(v) or v[:, i, None] * conj(v[:, i])"
        )


# ---- arguments of which one triangle is read

mirrored = general(
    "mirrored",
    lambda x, *, lower: _mirror(x if lower else mH(np, x)),
    lambda xp, t, *, lower: hermitian(xp, t),
    lambda xp, g, *, lower: hermitian(xp, g),
    batch=leading,
)
"""The Hermitian matrix of one triangle; the argument counts as Hermitian, so the gradient is, too."""


def _mirror(x: Any) -> Any:
    below = np.tril(x, -1)
    return below + mH(np, below) + np.where(identity(np, x), np.real(x), 0).astype(x.dtype)
