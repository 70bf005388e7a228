"""Products of vectors, matrices and tensors, and their diagonals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.core.primitive import implements
from tapeflow.core.rules import general, linear

# ---- matmul: of stacks of matrices, to which everything else is brought


def _mT(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


_matmul = general(
    "matmul",
    np.matmul,
    (lambda xp, t, x1: xp.matmul(t, x1), lambda xp, t, x0: xp.matmul(x0, t)),
    (lambda xp, g, x1: xp.matmul(g, _mT(xp, x1)), lambda xp, g, x0: xp.matmul(_mT(xp, x0), g)),
)


def _array(x: Any) -> Any:
    return x if hasattr(x, "shape") else np.asarray(x)


@implements(np.matmul, np.linalg.matmul)
def matmul(x1: Any, x2: Any, /, **options: Any) -> Any:
    """Matrix product; vectors count as a row on the left and a column on the right."""
    del options
    a, b = _array(x1), _array(x2)
    if a.ndim >= 2 and b.ndim >= 2:
        return _matmul(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: operands of shapes {a.shape} and {b.shape}; a scalar needs np.multiply or *")
    if a.ndim == 1 and b.ndim == 1:
        return _dot(a, b)
    if a.ndim == 1:
        y = _matmul(np.reshape(a, (1, -1)), b)
        return np.reshape(y, (*y.shape[:-2], y.shape[-1]))
    return np.reshape(_matmul(a, np.reshape(b, (-1, 1))), (*np.broadcast_shapes(a.shape[:-2]), a.shape[-2]))


# ---- dot of two vectors

_dot = general(
    "dot",
    np.dot,
    (lambda xp, t, x1: xp.dot(t, x1), lambda xp, t, x0: xp.dot(x0, t)),
    (lambda xp, g, x1: g * x1, lambda xp, g, x0: g * x0),
)


@implements(np.dot)
def dot(a: Any, b: Any, out: None = None) -> Any:
    """Sum product over the last axis of the first and the last but one of the second array."""
    del out
    a, b = _array(a), _array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.ndim == 1 and b.ndim == 1:
        return _dot(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, axes=((a.ndim - 1,), (max(b.ndim - 2, 0),)))


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Inner product of all elements, the first conjugated."""
    return _dot(np.conjugate(np.ravel(a)), np.ravel(b))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum product over the last axes."""
    a, b = _array(a), _array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any, out: None = None) -> Any:
    """Products of all pairs of elements."""
    del out
    return np.reshape(_array(a), (-1, 1)) * np.reshape(_array(b), (1, -1))


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum product over the given axes, as one matrix product."""
    a, b = _array(a), _array(b)
    if isinstance(axes, (int, np.integer)):
        left, right = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        left, right = (normalize_axis_tuple(k, x.ndim) for k, x in zip(axes, (a, b), strict=True))
    if [a.shape[k] for k in left] != [b.shape[k] for k in right]:
        raise ValueError(f"shape-mismatch for sum: axes {left} of {a.shape} and {right} of {b.shape}")
    rows = tuple(k for k in range(a.ndim) if k not in left)
    columns = tuple(k for k in range(b.ndim) if k not in right)
    length = int(np.prod([a.shape[k] for k in left]))
    row_shape, column_shape = [a.shape[k] for k in rows], [b.shape[k] for k in columns]
    first = np.reshape(np.transpose(a, rows + left), (int(np.prod(row_shape)), length))
    second = np.reshape(np.transpose(b, right + columns), (length, int(np.prod(column_shape))))
    return np.reshape(_matmul(first, second), (*row_shape, *column_shape))[()]


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, **options: Any) -> Any:
    """Inner product along an axis, the first conjugated."""
    del options
    return np.sum(np.conjugate(x1) * x2, axis=axis)


# ---- einsum


def _einsum_transpose(xp: Any, g: Any, i: int, xs: Any, shapes: Any, *, spec: tuple[Any, ...]) -> Any:
    """Exchange the roles of operand and output: the transpose of a product of the other operands.

    Letters of the operand that stand nowhere else were summed, so the cotangent is repeated along them; a letter that
    stands twice in the operand picks a diagonal, into which the cotangent is put back.
    """
    inputs, output = spec
    mine = inputs[i]
    others = [k for k in range(len(inputs)) if k != i]
    unique = "".join(dict.fromkeys(mine))
    known = set(output).union(*(inputs[k] for k in others))
    reached = "".join(c for c in unique if c in known)
    y = xp.einsum(f"{','.join([output, *(inputs[k] for k in others)])}->{reached}", g, *(xs[k] for k in others))
    lengths = {c: n for c, n in zip(mine, shapes[i], strict=True) if n != 1}
    shape = tuple(lengths.get(c, 1) for c in unique)
    y = xp.reshape(y, tuple(y.shape[reached.index(c)] if c in reached else 1 for c in unique))
    y = xp.broadcast_to(y, np.broadcast_shapes(y.shape, shape))
    for c in unique:
        places = [k for k, d in enumerate(mine) if d == c]
        if len(places) > 1:
            y = _on_diagonal(xp, y, mine, unique, c)
            unique = unique.replace(c, "") + c * len(places)
    if unique == mine:
        return y
    # What is left is the order of the axes; equal letters are interchangeable on a diagonal.
    free = list(unique)
    order = []
    for c in mine:
        order.append(free.index(c))
        free[order[-1]] = ""
    return xp.transpose(y, tuple(order))


def _on_diagonal(xp: Any, y: Any, mine: str, unique: str, letter: str) -> Any:
    """Move an axis last and repeat it, zero off the diagonal."""
    place, count = unique.index(letter), mine.count(letter)
    n = y.shape[place]
    y = xp.moveaxis(y, place, -1)
    for _ in range(count - 1):
        y = y[..., None] * np.eye(n, dtype=y.real.dtype)
    return y


_einsum = general(
    "einsum",
    lambda *xs, spec: np.einsum(f"{','.join(spec[0])}->{spec[1]}", *xs, optimize=len(xs) > 2),
    lambda xp, t, i, xs, *, spec: xp.einsum(
        f"{','.join(spec[0])}->{spec[1]}", *(t if k == i else x for k, x in enumerate(xs))
    ),
    _einsum_transpose,
    variadic=True,
)


@implements(np.einsum)
def einsum(*operands: Any, out: None = None, optimize: Any = False, **options: Any) -> Any:
    """Einstein summation, in any of the forms that NumPy accepts."""
    del out, optimize
    if set(options) - {"dtype", "order", "casting"}:
        raise TypeError(f"einsum() got an unexpected keyword argument {next(iter(options))!r}")
    subscripts, arrays = _subscripts(operands)
    return _einsum(*arrays, spec=_explicit(subscripts, arrays))


def _subscripts(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The string form of the arguments."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), [_array(x) for x in operands[1:]]
    pairs = len(operands) // 2
    arrays = [_array(operands[2 * k]) for k in range(pairs)]
    text = ",".join(_letters(operands[2 * k + 1]) for k in range(pairs))
    return text + (f"->{_letters(operands[-1])}" if len(operands) % 2 else ""), arrays


def _letters(labels: Any) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join("..." if k is Ellipsis else alphabet[k] for k in labels)


def _explicit(subscripts: str, arrays: list[Any]) -> tuple[tuple[str, ...], str]:
    """Letters for all axes of operands and output: no ellipsis, no implied output."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"einsum: {len(terms)} terms in {subscripts!r} for {len(arrays)} operands")
    spare = [c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in subscripts]
    hidden = [x.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, arrays, strict=True)]
    dots = "".join(spare[: max(hidden, default=0)])
    inputs = tuple(t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, hidden, strict=True))
    for t, x in zip(inputs, arrays, strict=True):
        if len(t) != x.ndim:
            raise ValueError(f"einsum: term {t!r} of {subscripts!r} for an operand of shape {x.shape}")
    if arrow:
        return inputs, right.replace("...", dots)
    letters = "".join(inputs)
    return inputs, dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))


# ---- diagonals


def _diagonal_mask(n: int, m: int, offset: int) -> Any:
    return np.eye(n, m, offset, dtype=bool)


def _diagonal_transpose(xp: Any, g: Any, shape: Any, *, offset: int) -> Any:
    n, m = shape[-2:]
    rows = np.arange(n)[:, None]
    place = np.clip(rows + min(offset, 0), 0, max(g.shape[-1] - 1, 0)) + np.zeros((1, m), int)
    if not g.shape[-1]:
        return xp.broadcast_to(xp.zeros((), g.dtype), shape)
    return xp.where(_diagonal_mask(n, m, offset), xp.take(g, place, axis=-1), 0)


# Of the last two axes; other axes are moved there first.
_diagonal = linear("diagonal", lambda x, *, offset: np.diagonal(x, offset, -2, -1), _diagonal_transpose)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonals of the matrices that two axes span."""
    i, j = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    if (i, j) != (a.ndim - 2, a.ndim - 1):
        a = np.moveaxis(a, (i, j), (-2, -1))
    return _diagonal(a, offset=offset)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    """Sum of a diagonal."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


implements(np.linalg.diagonal)(lambda x, /, *, offset=0: diagonal(x, offset, -2, -1))
implements(np.linalg.trace)(lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype))


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Diagonal of a matrix, or the matrix of a diagonal."""
    if v.ndim == 2:
        return _diagonal(v, offset=k)
    if v.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = v.shape[0] + abs(k)
    rows = np.clip(np.arange(n) + min(k, 0), 0, v.shape[0] - 1)
    return np.where(_diagonal_mask(n, n, k), np.reshape(v[rows], (-1, 1)), 0)


def _masked(mask: Callable[..., Any]) -> Callable[..., Any]:
    def triangle(m: Any, k: int = 0) -> Any:
        return np.where(mask(m.shape[-2:], k), m, 0)

    return triangle


implements(np.tril)(_masked(lambda shape, k: np.tri(*shape, k=k, dtype=bool)))
implements(np.triu)(_masked(lambda shape, k: ~np.tri(*shape, k=k - 1, dtype=bool)))
