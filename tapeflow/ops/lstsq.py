"""Least squares, and condition numbers.

Source:

[P] G. H. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate", SIAM J. Numer. Anal. 10, 1973, eq. 4.12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeflow.core.batch import each, leading
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import elementwise, general, nondifferentiable
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops import answers
from tapeflow.ops._spectral import conj, mH
from tapeflow.ops.arguments import as_array
from tapeflow.ops.decompositions import svdvals_jvp, svdvals_vjp

__all__ = ["cond", "lstsq"]


# ---- least squares: solution, residuals, rank and singular values; of constant rank, as the pseudo-inverse [P]


def _lstsq_evaluate(a: Any, b: Any, *, rcond: Any) -> tuple[Any, ...]:
    return tuple(np.linalg.lstsq(a, b, rcond))


def _pseudo_inverse(xp: Any, a: Any, rcond: Any) -> Any:
    """That of the rank that `lstsq` finds; NumPy computes in double precision."""
    if rcond is None or rcond < 0:
        rcond = float(np.finfo("float64").eps) * (max(a.shape) if rcond is None else 1)
    return xp.linalg.pinv(a, rcond)


def _squares(xp: Any, rate: Any, r: Any, residuals: Any) -> Any:
    """The change of the sums of squares, which NumPy gives only for more rows than columns and full rank."""
    if residuals.shape[0] != r.shape[-1]:
        return xp.zeros_like(residuals)
    return 2 * xp.real(xp.sum(conj(xp, r) * rate, axis=0))


def _lstsq_jvp_a(xp: Any, t: Any, x0: Any, x1: Any, y: Any, *, rcond: Any) -> tuple[Any, ...]:
    x, r, inverse = y[0], x1 - x0 @ y[0], _pseudo_inverse(xp, x0, rcond)
    change = mH(xp, t) @ (mH(xp, inverse) @ x)
    dx = inverse @ (mH(xp, inverse) @ (mH(xp, t) @ r) - t @ x - x0 @ change) + change
    return dx, _squares(xp, -(t @ x), r, y[1]), None, svdvals_jvp(xp, t, x0, y[3])


def _lstsq_jvp_b(xp: Any, t: Any, x0: Any, x1: Any, y: Any, *, rcond: Any) -> tuple[Any, ...]:
    return _pseudo_inverse(xp, x0, rcond) @ t, _squares(xp, t, x1 - x0 @ y[0], y[1]), None, None


def _of_right_side(xp: Any, g: Any, r: Any, inverse: Any) -> Any:
    """The adjoint of the right-hand side, by way of solution and residuals."""
    z = mH(xp, inverse) @ conj(xp, g[0])
    return z if g[1].shape[0] != r.shape[-1] else z + 2 * r * g[1]


def _lstsq_vjp_a(xp: Any, g: Any, x0: Any, x1: Any, y: Any, *, rcond: Any) -> Any:
    x, r, inverse, gx = y[0], x1 - x0 @ y[0], _pseudo_inverse(xp, x0, rcond), conj(xp, g[0])
    z = mH(xp, inverse) @ gx
    beyond = gx - inverse @ (x0 @ gx)
    adjoint = r @ mH(xp, inverse @ z) + mH(xp, inverse) @ x @ mH(xp, beyond)
    adjoint = adjoint - _of_right_side(xp, g, r, inverse) @ mH(xp, x)
    adjoint = conj(xp, adjoint)
    return adjoint + svdvals_vjp(xp, g[3], x0, y[3]) if anywhere(g[3] != 0) else adjoint


def _lstsq_vjp_b(xp: Any, g: Any, x0: Any, x1: Any, y: Any, *, rcond: Any) -> Any:
    inverse = _pseudo_inverse(xp, x0, rcond)
    return conj(xp, _of_right_side(xp, g, x1 - x0 @ y[0], inverse))


_lstsq = general("lstsq", _lstsq_evaluate, (_lstsq_jvp_a, _lstsq_jvp_b), (_lstsq_vjp_a, _lstsq_vjp_b), batch=each)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Least-squares solution of least norm, residuals, rank and singular values, where the rank does not change nearby.

    `rcond` only decides the rank, which is an integer, so no derivative passes through it.
    """
    a, b = as_array(a), as_array(b)
    if b.ndim != 1:
        return _lstsq(a, b, rcond=_number(rcond))
    x, *others = _lstsq(a, b[:, None], rcond=_number(rcond))
    return x[:, 0], *others


def _number(rcond: Any) -> float | None:
    return None if rcond is None else float(plain(rcond))


# ---- condition numbers: infinite at singular matrices, where the derivative is unknown


def _ratio_evaluate(x0: Any, x1: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(np.isnan(x0), x0, np.where(x1 == 0, np.inf, x0 / x1))[()]


def _unless_zero(xp: Any, x: Any) -> Any:
    return xp.where(x == 0, math.nan, x)


_ratio = elementwise(
    "ratio",
    _ratio_evaluate,
    lambda xp, x1: 1 / _unless_zero(xp, x1),
    lambda xp, x0, x1: -x0 / _unless_zero(xp, x1) ** 2,
)


_is_singular = Primitive(
    "is_singular",
    lambda x, *, p: np.isinf(np.linalg.cond(x, p)) & ~np.any(np.isinf(x), axis=(-2, -1)),
    reason="truth values",
    batch=leading,
)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Condition number: norm times norm of the inverse."""
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = np.linalg.svd(x, compute_uv=False)
        largest, smallest = s[..., 0], s[..., -1]
        return _ratio(smallest, largest) if p == -2 else _ratio(largest, smallest)
    regular, singular = x, _is_singular(plain(x), p=p)
    if anywhere(singular):
        regular = np.where(singular[..., None, None], np.eye(x.shape[-1], dtype=x.dtype), x)
    y = np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(regular), p, axis=(-2, -1))
    return _ratio(y, np.where(singular, 0, 1).astype(y.dtype)) if anywhere(singular) else y


nondifferentiable(np.linalg.matrix_rank, "integer valued", batch=answers.matrix_rank)
