"""Solution of linear systems, determinants and norms.

Sources:

[G] M. B. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008.
[P] G. H. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate", SIAM J. Numer. Anal. 10, 1973, eq. 4.12.

The collections give adjoints with conjugate transposes. Cotangents arrive conjugated here (see core/reverse.py), which
turns those into plain transposes for holomorphic functions; rules of the others say what they do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapeflow.core.batch import stacked
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import general
from tapeflow.core.tracer import anywhere, plain
from tapeflow.ops._spectral import matrices, mirrored
from tapeflow.ops.arguments import as_array
from tapeflow.ops.triangular import is_lower, solve_triangular

__all__ = [
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "pinv",
    "solve",
    "tensorinv",
    "tensorsolve",
    "vector_norm",
]

_NOTHING: Any = np._NoValue
_SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


def _mT(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


def _mH(xp: Any, x: Any) -> Any:
    return xp.conjugate(_mT(xp, x)) if x.dtype.kind == "c" else _mT(xp, x)


def _each(scalar: Any) -> Any:
    """A stack of scalars, to be multiplied with a stack of matrices."""
    return scalar[..., None, None]


# ---- inverse and solution [G, 2.2.3, 2.3.1]; the right-hand side may be one vector

_inv = general(
    "inv",
    np.linalg.inv,
    lambda xp, t, y: -(y @ t @ y),
    lambda xp, g, y: -(_mT(xp, y) @ g @ _mT(xp, y)),
    batch=stacked(2),
)
implements(np.linalg.inv)(lambda a: _inv(a))


def _solve_each(xp: Any, a: Any, b: Any, vector: bool) -> Any:
    """Solve for a stack of vectors or of matrices."""
    lower = is_lower(a, b)
    if lower is not None:
        return solve_triangular(a, b, lower=lower)
    return xp.linalg.solve(a, b[..., None])[..., 0] if vector and b.ndim > 1 else xp.linalg.solve(a, b)


def _solve_jvp(xp: Any, t: Any, x0: Any, y: Any, shape1: Any) -> Any:
    if len(shape1) == 1:
        return -_solve_each(xp, x0, (t @ y[..., None])[..., 0], True)
    return -xp.linalg.solve(x0, t @ y)


def _solve_vjp(xp: Any, g: Any, x0: Any, y: Any, shape1: Any) -> Any:
    vector = len(shape1) == 1
    back = _solve_each(xp, _mT(xp, x0), g, vector)
    return -(back[..., :, None] * y[..., None, :]) if vector else -(back @ _mT(xp, y))


def _solve_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """A right-hand side of one axis is a vector, and a stack of vectors is none for NumPy."""
    a, b = values
    if np.ndim(b) - batched[1] == 1:
        return stacked(2, 2)(primitive, (a, b[..., None]), batched, params)[..., 0]
    return stacked(2, 2)(primitive, values, batched, params)


_solve = general(
    "solve",
    np.linalg.solve,
    (_solve_jvp, lambda xp, t, x0: xp.linalg.solve(x0, t)),
    (_solve_vjp, lambda xp, g, x0, shape1: _solve_each(xp, _mT(xp, x0), g, len(shape1) == 1)),
    batch=_solve_batch,
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solve linear systems; a right-hand side with one axis is a vector."""
    return _solve(as_array(a), as_array(b))


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Inverse with respect to a product over the last `ind` axes."""
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    rows, columns = a.shape[:ind], a.shape[ind:]
    return np.reshape(_inv(np.reshape(a, (math.prod(rows), math.prod(columns)))), (*columns, *rows))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Solve a tensor equation; `axes` of the first operand go last."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        moved = [k % a.ndim for k in axes]
        a = np.transpose(a, [k for k in range(a.ndim) if k not in moved] + moved)
    shape = a.shape[b.ndim :]
    return np.reshape(_solve(np.reshape(a, (b.size, math.prod(shape))), np.ravel(b)), shape)


# ---- pseudo-inverse [P]: of constant rank


def _pinv_jvp(xp: Any, t: Any, x: Any, y: Any, **options: Any) -> Any:
    th, yh = _mH(xp, t), _mH(xp, y)
    left, right = y @ (yh @ th), (th @ yh) @ y
    return left - left @ x @ y + right - y @ (x @ right) - y @ t @ y


def _pinv_vjp(xp: Any, g: Any, x: Any, y: Any, **options: Any) -> Any:
    # The adjoint of each term; the two projectors are Hermitian.
    gh, yh = _mT(xp, g), _mH(xp, y)
    left, right = gh @ y @ yh, yh @ y @ gh
    adjoint = left - x @ (y @ left) + right - right @ y @ x - yh @ _mH(xp, gh) @ yh
    return xp.conjugate(adjoint)


_pinv = general("pinv", lambda x, **options: np.linalg.pinv(x, **options), _pinv_jvp, _pinv_vjp, batch=stacked(2))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = _NOTHING) -> Any:
    """Pseudo-inverse; its derivative exists where the rank does not change nearby.

    The tolerances only decide the rank, which is an integer, so no derivative passes through them.
    """
    tolerance = {} if rtol is _NOTHING else {"rtol": plain(rtol)}
    a = mirrored(a, lower=True) if hermitian else a
    return _pinv(a, rcond=plain(rcond), hermitian=hermitian, **tolerance)


# ---- determinants [G, 2.2.4]: the derivative of the determinant is the matrix of cofactors, for any rank


def _is_regular(x: Any) -> bool:
    """Whether the inverse of all matrices has at least half of the digits."""
    if x.shape[-1] == 0:
        return True  # the norm of nothing is an error in older versions of NumPy
    try:
        inverse = np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return False
    condition = np.linalg.norm(x, 1, axis=(-2, -1)) * np.linalg.norm(inverse, 1, axis=(-2, -1))
    return not anywhere(~(condition < float(np.finfo(x.dtype).eps) ** -0.5))


def _products_of_others(s: Any, left_out: Any) -> Any:
    """Products along the last axis of those that a mask does not leave out; a mask for each result."""
    return np.prod(np.where(left_out, 1, s[(..., *(None,) * (left_out.ndim - 1), slice(None))]), axis=-1)


def _by_singular_values(x: Any) -> tuple[Any, Any, Any]:
    """Factors of x = u * s @ vh, s taken out, and s: for u.conj() and vh.conj() are their own cofactors but for a phase."""
    u, s, vh = np.linalg.svd(x)
    u = np.conjugate(u) * _each(np.linalg.det(u) * np.linalg.det(vh))
    return u, s, np.conjugate(vh)


def _cofactor_evaluate(x: Any) -> Any:
    if _is_regular(x):
        return _each(np.linalg.det(x)) * _mT(np, np.linalg.inv(x))
    u, s, vh = _by_singular_values(x)
    return (u * _products_of_others(s, np.eye(s.shape[-1], dtype=bool))[..., None, :]) @ vh


def _cofactor_change_evaluate(x: Any, t: Any) -> Any:
    """Derivative of the cofactors in a direction.

    cof(u s vh) = cof(u) cof(s) cof(vh), and cofactors of a diagonal matrix change with elements on the diagonal by
    products of all but two elements, and with one off the diagonal only at the transposed place.
    """
    u, s, vh = _by_singular_values(x)
    n = s.shape[-1]
    one = np.eye(n, dtype=bool)
    pairs = np.where(one, 0, _products_of_others(s, one[:, None, :] | one[None, :, :]))
    u0, _, vh0 = np.linalg.svd(x)
    t = _mH(np, u0) @ t @ _mH(np, vh0)
    on_diagonal = np.sum(pairs * np.diagonal(t, axis1=-2, axis2=-1)[..., None, :], axis=-1)
    return (u @ (one * on_diagonal[..., None, :] - pairs * _mT(np, t)) @ vh).astype(x.dtype)


def _circle(x: Any, t: Any) -> list[Any]:
    """As many numbers as rows, on a circle in the complex plane on which x and their multiples of t are of one size."""
    n = max(x.shape[-1], 1)
    sizes = (np.max(np.abs(v), initial=0) for v in (x, t))
    radius = np.divide(*(np.where(size == 0, 1, size) for size in sizes))
    return list((radius * np.exp(2j * np.pi * np.arange(n) / n)).astype(np.result_type(x.dtype, np.complex64)))


def _cofactor_curvature(xp: Any, s: Any, x0: Any, x1: Any) -> Any:
    """Derivative of that change, again in a direction.

    It is the coefficient of r in a polynomial in r of degree less than n, the change at x0 + r * x1, and so a Fourier
    coefficient of its values on a circle. Like all derivatives of the determinant it is symmetric.
    """
    circle = _circle(plain(x0), plain(x1))
    total = sum(_cofactor_change(x0 + r * x1, s + 0 * r) / (len(circle) * r) for r in circle)
    return total if x0.dtype.kind == "c" else xp.real(total)


_cofactor_change: Primitive = general(
    "cofactor_change",
    _cofactor_change_evaluate,
    (_cofactor_curvature, lambda xp, t, x0: _cofactor_change(x0, t)),
    (_cofactor_curvature, lambda xp, g, x0: _cofactor_change(x0, g)),
    batch=stacked(2, 2),
)


def _cofactor_rate(xp: Any, t: Any, x: Any, y: Any) -> Any:
    """Derivative of the cofactors in a direction. It is symmetric, being a second derivative, so its own transpose."""
    if not _is_regular(plain(x)):
        return _cofactor_change(x, t)
    z = _mT(xp, xp.linalg.inv(x))
    return _each(xp.sum(z * t, axis=(-2, -1))) * y - y @ _mT(xp, t) @ z


_cofactor = general("cofactor", _cofactor_evaluate, _cofactor_rate, _cofactor_rate, batch=stacked(2))
_det = general(
    "det",
    np.linalg.det,
    lambda xp, t, x: xp.sum(_cofactor(x) * t, axis=(-2, -1)),
    lambda xp, g, x: _each(g) * _cofactor(x),
    batch=stacked(2),
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
    return _each(rate) * _mT(xp, xp.linalg.inv(x))


_slogdet = general(
    "slogdet", lambda x: tuple(np.linalg.slogdet(x)), _slogdet_jvp, _slogdet_vjp, refuses=True, batch=stacked(2)
)
implements(np.linalg.slogdet)(lambda a: _SlogdetResult(*_slogdet(a)))

# ---- norms of vectors, and that of Frobenius; where one is 0 or has a kink the subgradient of least norm is taken,
# except that ties of the largest elements share equally


def _reciprocal(xp: Any, x: Any) -> Any:
    """Reciprocals, and 0 of 0."""
    return xp.where(x == 0, 0, 1 / xp.where(x == 0, 1, x))


def _direction(xp: Any, x: Any, size: Any) -> Any:
    """Conjugate of x / abs(x), 0 at 0."""
    return xp.conjugate(x) * _reciprocal(xp, size) if x.dtype.kind == "c" else xp.sign(x)


def _spread(xp: Any, y: Any, shape: tuple[int, ...], axis: Any) -> Any:
    return xp.reshape(y, tuple(1 if axis is None or k in axis else n for k, n in enumerate(shape)))


def _norm_slope(xp: Any, x: Any, y: Any, ord: Any, axis: Any) -> Any:
    """The derivative of a norm, conjugated."""
    y = _spread(xp, y, x.shape, axis)
    if ord in (None, "fro", "f", 2):
        return xp.conjugate(x) * _reciprocal(xp, y)
    if ord == 0:
        return xp.zeros_like(x)
    size = xp.abs(x)
    slope = _direction(xp, x, size)
    if ord == 1:
        return slope
    if abs(ord) == math.inf:
        largest = size == y
        return xp.where(largest, slope / xp.sum(largest, axis=axis, keepdims=True, dtype=y.dtype), 0)
    return slope * (xp.where(size == 0, 1, size) / xp.where(y == 0, 1, y)) ** (ord - 1)


def _norm_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    (x,), axis = values, params["axis"]
    if axis is None:
        x, axis = np.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), (0,)
    return primitive(x, ord=params["ord"], axis=tuple(k + 1 for k in axis))


_norm = general(
    "norm",
    lambda x, *, ord, axis: np.linalg.norm(x, ord, axis),
    lambda xp, t, x, y, *, ord, axis: xp.sum(xp.real(_norm_slope(xp, x, y, ord, axis) * t), axis=axis),
    lambda xp, g, x, y, *, ord, axis: _spread(xp, g, x.shape, axis) * _norm_slope(xp, x, y, ord, axis),
    batch=_norm_batch,
)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of vectors or matrices."""
    if axis is None and (ord is None or (ord in ("fro", "f") and x.ndim == 2)):
        y = _norm(x, ord=None, axis=None)
        return np.reshape(y, (1,) * x.ndim) if keepdims else y
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    if len(axes) not in (1, 2):
        raise ValueError("Improper number of dimensions to norm.")
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"Invalid norm order '{ord}' for vectors")
        y = _norm(x, ord=ord, axis=axes if axis is not None else None)
    else:
        y = _matrix_norm(x, ord, axes)
    return np.expand_dims(y, tuple(sorted(axes))) if keepdims else y


def _extreme(x: Any, ord: Any) -> Any:
    """The largest, 0 if there is none, or the least."""
    if ord < 0:
        return np.min(x, axis=-1)
    return np.max(x, axis=-1) if x.shape[-1] else np.sum(x, axis=-1)


def _matrix_norm(x: Any, ord: Any, axes: Any) -> Any:
    if ord in (None, "fro", "f"):
        return _norm(x, ord=ord, axis=axes)
    x = np.moveaxis(x, axes, (-2, -1))
    if ord == "nuc":
        return np.sum(np.linalg.svd(x, compute_uv=False), axis=-1)
    if ord in (2, -2):
        return _extreme(np.linalg.svd(x, compute_uv=False), ord)
    if ord in (1, -1, math.inf, -math.inf):
        lines = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
        return _extreme(lines, ord)
    raise ValueError("Invalid norm order for matrices.")


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of matrices."""
    return norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norm of vectors; without an axis, or with several, of all their elements."""
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    flat = x
    if axis is None or isinstance(axis, tuple):
        kept = tuple(k for k in range(x.ndim) if k not in axes)
        lengths = tuple(x.shape[k] for k in kept)
        flat = np.reshape(np.transpose(x, axes + kept), (math.prod(x.shape[k] for k in axes), *lengths))
    y = _norm(flat, ord=ord, axis=axes if flat is x else (0,))
    return np.expand_dims(y, tuple(sorted(axes))) if keepdims else y


# ---- products of many


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Power of square matrices, by squaring."""
    try:
        n = index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if matrices(a).shape[-2] != a.shape[-1]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    if n < 0:
        return matrix_power(np.linalg.inv(a), -n)
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    if n == 3:
        return (a @ a) @ a  # as NumPy associates it
    square, result = a, None
    while True:
        n, bit = divmod(n, 2)
        if bit:
            result = square if result is None else result @ square
        if not n:
            return result
        square = square @ square


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any], *, out: None = None) -> Any:
    """Product of several matrices, in the cheapest order; the first and the last may be vectors."""
    del out
    chain = [as_array(a) for a in arrays]
    if len(chain) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(chain) == 2:
        return np.dot(*chain)
    rows, columns = chain[0].ndim == 1, chain[-1].ndim == 1
    chain[0] = np.reshape(chain[0], (1, -1)) if rows else chain[0]
    chain[-1] = np.reshape(chain[-1], (-1, 1)) if columns else chain[-1]
    for a in chain:
        if a.ndim != 2:
            raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    y = _product(chain, _splits([a.shape[0] for a in chain] + [chain[-1].shape[-1]]), 0, len(chain) - 1)
    if not (rows or columns):
        return y
    return y[0, 0] if rows and columns else np.ravel(y)


def _splits(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each part of a chain of matrices, to need the fewest multiplications."""
    n = len(lengths) - 1
    cost = {(i, i): 0 for i in range(n)}
    splits: dict[tuple[int, int], int] = {}
    for span in range(1, n):
        for i in range(n - span):
            j = i + span
            costs = [cost[i, k] + cost[k + 1, j] + lengths[i] * lengths[k + 1] * lengths[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            splits[i, j] = i + costs.index(cost[i, j])
    return splits


def _product(chain: list[Any], splits: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return chain[i]
    k = splits[i, j]
    return np.dot(_product(chain, splits, i, k), _product(chain, splits, k + 1, j))
