"""Products of vectors, matrices and tensors, and their diagonals.

All products are bilinear, so that their JVPs are the products themselves. VJPs are the same for real and complex
operands (cotangents arrive conjugated, see core/reverse.py), except that of products which conjugate an operand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import leading, leading_ones, refuse_element, stacked
from tapeflow.core.primitive import Primitive, Traced, implements
from tapeflow.core.rules import general, linear, nondifferentiable
from tapeflow.core.writes import VIEWS
from tapeflow.ops import answers
from tapeflow.ops.arguments import as_array

__all__ = ["cross", "diag", "diagonal", "dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "trace"]


def _mT(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


def _bilinear(
    name: str, left: Callable[..., Any], right: Callable[..., Any], batch: Callable[..., Any] | None = None
) -> Primitive:
    """Declare one of NumPy's products by the VJPs of its two operands."""
    return general(
        name,
        getattr(np, name),
        (
            lambda xp, t, x1, **params: getattr(xp, name)(t, x1, **params),
            lambda xp, t, x0, **params: getattr(xp, name)(x0, t, **params),
        ),
        (left, right),
        batch=batch or _summed_batch,
    )


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _summed_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """The products of a batch, as products of matrices: free axes by summed axes, and summed axes by free ones."""
    name, (x0, x1) = primitive.name, values
    if name == "vdot":
        x0 = np.conjugate(x0) if x0.dtype.kind == "c" else x0
    if name in ("outer", "vdot"):  # of ravelled operands
        x0, x1 = (np.reshape(x, (*x.shape[:b], prod(x.shape[b:]))) for x, b in zip((x0, x1), batched, strict=True))
    ndims = [np.ndim(x) - b for x, b in zip((x0, x1), batched, strict=True)]
    left, right = _summed_axes(name, ndims, params)
    free0, free1 = _free(ndims[0], left), _free(ndims[1], right)
    shape0, shape1 = (np.shape(x)[b:] for x, b in zip((x0, x1), batched, strict=True))
    if [shape0[k] for k in left] != [shape1[k] for k in right]:
        refuse_element(primitive, (shape0, shape1), params)
    rows, columns, terms = (prod(s[k] for k in axes) for s, axes in ((shape0, free0), (shape1, free1), (shape0, left)))
    if left:
        x0 = _arranged(x0, batched[0], (*free0, *left), (rows, terms) if free0 else (terms,))
        x1 = _arranged(x1, batched[1], (*right, *free1), (terms, columns) if free1 else (terms,))
        y = _matmul_batch(product, (x0, x1), batched, {})
    elif type(x0) is type(x1) is np.ndarray and all(batched):
        # A product with broadcasting takes half as long again.
        y = np.einsum("bi,bj->bij", _arranged(x0, True, free0, (rows,)), _arranged(x1, True, free1, (columns,)))
    else:
        y = _arranged(x0, batched[0], free0, (rows, 1)) * _arranged(x1, batched[1], free1, (1, columns))
    shape = (y.shape[0], *(shape0[k] for k in free0), *(shape1[k] for k in free1))
    return y if y.shape == shape else np.reshape(y, shape)  # not a view, which would be copied as a result


def _arranged(x: Any, batched: bool, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """An operand with its axes in another order, some taken together."""
    if axes != tuple(range(len(axes))):
        x = np.transpose(x, (0, *(k + 1 for k in axes)) if batched else axes)
    shape = (x.shape[0], *shape) if batched else shape
    return x if np.shape(x) == shape else np.reshape(x, shape)


def _summed_axes(name: str, ndims: list[int], params: dict[str, Any]) -> Any:
    """The axes of both operands over which a product sums."""
    if name == "tensordot":
        return params["axes"]
    if name == "outer" or 0 in ndims:
        return (), ()
    return (ndims[0] - 1,), (max(ndims[1] - 2, 0) if name == "dot" else ndims[1] - 1,)


def _matmul_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    """Vectors of a batch are rows on the left and columns on the right; what is the same for all is not repeated."""
    ndims = [np.ndim(v) - b for v, b in zip(values, batched, strict=True)]
    x0, x1 = values
    if 0 in ndims:
        refuse_element(primitive, [np.shape(v)[b:] for v, b in zip(values, batched, strict=True)], params)
    if not batched[1] and ndims[1] <= 2:  # the batch and the rows of each element are the rows of one matrix
        return _long_product(primitive, x0, x1)
    if not batched[0] and ndims[1] == 1 and ndims[0] <= 2:  # the columns of a batch are the rows of one matrix
        return primitive(x1, _mT(np, x0) if ndims[0] == 2 else x0)
    if ndims == [1, 1]:
        if x0.shape[-1] != x1.shape[-1]:  # which einsum would broadcast
            refuse_element(primitive, (x0.shape[-1:], x1.shape[-1:]), params)
        return _einsum(x0, x1, spec=(("Za", "Za"), "Z"), optimize=False)
    row, column = (b and n == 1 for b, n in zip(batched, ndims, strict=True))
    x0, x1 = x0[:, None, :] if row else x0, x1[:, :, None] if column else x1
    most = max(2, *ndims)
    x0, x1 = (leading_ones(x, most) if b else x for x, b in zip((x0, x1), batched, strict=True))
    y = primitive(x0, x1)
    return y[..., 0] if column else y[..., 0, :] if row else y


def _long_product(primitive: Primitive, x0: Any, x1: Any) -> Any:
    """A stack of matrices times one, as a product of two."""
    if x0.ndim == 2:
        return primitive(x0, x1)
    return np.reshape(primitive(_rows(np, x0), x1), (*x0.shape[:-1], *x1.shape[1:]))


def _operands(name: str, options: dict[str, Any], dtype: Any, *arrays: Any) -> tuple[Any, ...]:
    """Convert the operands of a product to arrays of a dtype, and refuse keywords that would change the product."""
    allowed = {"casting", "order", "subok", *(("axes", "axis", "keepdims") if name in _CORE else ())}
    given = [k for k, v in options.items() if k not in allowed and v not in (None, False)]
    if given:
        raise TypeError(f"np.{name}: {', '.join(map(repr, given))} is not supported for traced values")
    return tuple(x if dtype is None else x.astype(dtype) for x in map(as_array, arrays))


# Core axes of the operands and of the result of products that take `axes`.
_CORE = {"matmul": (2, 2, 2), "vecdot": (1, 1, 0), "matvec": (2, 1, 1), "vecmat": (1, 2, 1)}


def _core_axes(name: str, options: dict[str, Any], x1: Any, x2: Any) -> tuple[Any, Any, Callable[..., Any]]:
    """Bring the axes that `axes`, `axis` and `keepdims` name to the end, and say where those of the result go."""
    axes, axis, keepdims = options.get("axes"), options.get("axis"), bool(options.get("keepdims"))
    counts = _CORE[name]
    if (axis is not None or keepdims) and counts[2]:
        raise TypeError(f"np.{name}: axis and keepdims are only allowed where all operands have one core axis")
    if axes is not None and axis is not None:
        raise TypeError("cannot specify both 'axis' and 'axes'")
    if axis is not None:
        axes = [(axis,)] * (3 if keepdims else 2)
    if axes is None:
        return x1, x2, lambda y: np.expand_dims(y, -1) if keepdims else y
    places = [(k,) if isinstance(k, int) else tuple(k) for k in axes]
    if len(places) != (3 if counts[2] or keepdims else 2) and places[2:] != [()]:
        raise ValueError(f"np.{name}: 'axes' should be a list with an entry for each operand and for the result")
    x1, x2 = (np.moveaxis(x, k, tuple(range(-len(k), 0))) for x, k in zip((x1, x2), places, strict=False))

    def place(y: Any) -> Any:
        y = np.expand_dims(y, -1) if keepdims else y
        k = places[2] if len(places) > 2 else ()
        return np.moveaxis(y, tuple(range(-len(k), 0)), k) if k else y

    return x1, x2, place


def _rows(xp: Any, x: Any) -> Any:
    """A stack of matrices as one long matrix."""
    return xp.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))


# ---- matmul: vectors count as a row on the left and a column on the right


def _pairs(xp: Any, left: Any, right: Any) -> Any:
    """Products of all pairs along the last axes."""
    if left.ndim == right.ndim == 1 and (isinstance(left, Traced) or isinstance(right, Traced)):
        return xp.outer(left, right)  # which has a faster rule for batches
    return left[..., None] * right[..., None, :]


def _matmul_left(xp: Any, g: Any, x1: Any, shape0: Any) -> Any:
    rows = len(shape0) > 1
    if x1.ndim == 1:
        return _pairs(xp, g, x1) if rows else g * x1
    if not rows:
        return xp.matmul(x1, g) if x1.ndim == 2 else xp.matmul(x1, g[..., None])[..., 0]
    return xp.matmul(g, _mT(xp, x1))


def _matmul_right(xp: Any, g: Any, x0: Any, shape1: Any) -> Any:
    columns = len(shape1) > 1
    if x0.ndim == 1:
        return _pairs(xp, x0, g) if columns else g * x0
    if not columns:
        return xp.matmul(g if g.ndim == 1 else xp.ravel(g), x0 if x0.ndim == 2 else _rows(xp, x0))
    if len(shape1) == 2 < x0.ndim:  # one product of long matrices instead of a sum over a stack of products
        x0, g = _rows(xp, x0), _rows(xp, g)
    return xp.matmul(_mT(xp, x0), g)


product = _bilinear("matmul", _matmul_left, _matmul_right, _matmul_batch)


@implements(np.matmul, np.linalg.matmul)
def matmul(x1: Any, x2: Any, /, *, dtype: Any = None, **options: Any) -> Any:
    """Matrix product; vectors count as a row on the left and a column on the right."""
    x1, x2, place = _core_axes("matmul", options, *_operands("matmul", options, dtype, x1, x2))
    return place(product(x1, x2))


# ---- products over chosen axes: the transpose is the product of the cotangent and the other operand


def _dot_left(xp: Any, g: Any, x1: Any, shape0: Any) -> Any:
    if len(shape0) == 0 or x1.ndim == 0:
        return g * x1
    if len(shape0) <= 2 and x1.ndim <= 2:
        return _matmul_left(xp, g, x1, shape0)
    free = [k for k in range(x1.ndim) if k != max(x1.ndim - 2, 0)]
    return xp.tensordot(g, x1, axes=(tuple(range(g.ndim - len(free), g.ndim)), tuple(free)))


def _dot_right(xp: Any, g: Any, x0: Any, shape1: Any) -> Any:
    if len(shape1) == 0 or x0.ndim == 0:
        return g * x0
    if len(shape1) <= 2 and x0.ndim <= 2:
        return _matmul_right(xp, g, x0, shape1)
    free = tuple(range(x0.ndim - 1))
    return xp.moveaxis(xp.tensordot(x0, g, axes=(free, free)), 0, max(len(shape1) - 2, 0))


def _inner_left(xp: Any, g: Any, x1: Any, shape0: Any) -> Any:
    if len(shape0) == 0 or x1.ndim == 0:
        return g * x1
    n = x1.ndim - 1
    return xp.tensordot(g, x1, axes=(tuple(range(g.ndim - n, g.ndim)), tuple(range(n))))


def _inner_right(xp: Any, g: Any, x0: Any, shape1: Any) -> Any:
    if len(shape1) == 0 or x0.ndim == 0:
        return g * x0
    free = tuple(range(x0.ndim - 1))
    return xp.tensordot(g, x0, axes=(free, free))


def _free(ndim: int, summed: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(k for k in range(ndim) if k not in summed)


def _places(summed: tuple[int, ...], partners: tuple[int, ...]) -> tuple[int, ...]:
    """Where summed axes go that come back in the order of their partners."""
    return tuple(axis for _, axis in sorted(zip(partners, summed, strict=True)))


def _tensordot_left(xp: Any, g: Any, x1: Any, shape0: Any, *, axes: Any) -> Any:
    left, right = axes
    free = _free(x1.ndim, right)
    y = xp.tensordot(g, x1, axes=(tuple(range(g.ndim - len(free), g.ndim)), free))
    return xp.transpose(y, tuple(np.argsort((*_free(len(shape0), left), *_places(left, right)))))


def _tensordot_right(xp: Any, g: Any, x0: Any, shape1: Any, *, axes: Any) -> Any:
    left, right = axes
    free = _free(x0.ndim, left)
    y = xp.tensordot(x0, g, axes=(free, tuple(range(len(free)))))
    return xp.transpose(y, tuple(np.argsort((*_places(right, left), *_free(len(shape1), right)))))


_dot = _bilinear("dot", _dot_left, _dot_right)
_inner = _bilinear("inner", _inner_left, _inner_right)
_tensordot = _bilinear("tensordot", _tensordot_left, _tensordot_right)
_outer = _bilinear(
    "outer",
    lambda xp, g, x1, shape0: xp.reshape(xp.matmul(g, xp.ravel(x1)), shape0),
    lambda xp, g, x0, shape1: xp.reshape(xp.matmul(xp.ravel(x0), g), shape1),
)


@implements(np.dot)
def dot(a: Any, b: Any, out: None = None) -> Any:
    """Sum product over the last axis of the first and the last but one of the second array."""
    del out
    return _dot(as_array(a), as_array(b))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum product over the last axes."""
    return _inner(as_array(a), as_array(b))


@implements(np.outer)
def outer(a: Any, b: Any, out: None = None) -> Any:
    """Products of all pairs of elements."""
    del out
    return _outer(as_array(a), as_array(b))


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """Products of all pairs of elements of two vectors."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={np.ndim(x1)}, {np.ndim(x2)}.")
    return outer(x1, x2)


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum product over the given axes, as one matrix product."""
    a, b = as_array(a), as_array(b)
    try:
        left, right = axes
    except TypeError:
        left, right = range(-axes, 0), range(axes)
    return _tensordot(a, b, axes=(normalize_axis_tuple(left, a.ndim), normalize_axis_tuple(right, b.ndim)))


implements(np.linalg.tensordot)(lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes))

# ---- products that conjugate their first operand: J^T g of it is the conjugate of what it would be otherwise

_vdot = _bilinear(
    "vdot",
    lambda xp, g, x1, shape0: xp.reshape(xp.conjugate(g * x1), shape0),
    lambda xp, g, x0, shape1: xp.reshape(g * xp.conjugate(x0), shape1),
)


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Inner product of all elements, the first conjugated."""
    return _vdot(as_array(a), as_array(b))


def _declare_vector_products() -> None:
    """NumPy's ufuncs for stacks of vectors; the last two came with 2.2."""
    products: dict[str, tuple[Any, Any]] = {
        "vecdot": (
            lambda xp, g, x1: xp.conjugate(g[..., None] * x1),
            lambda xp, g, x0: g[..., None] * xp.conjugate(x0),
        ),
        "matvec": (
            lambda xp, g, x1: g[..., :, None] * x1[..., None, :],
            lambda xp, g, x0: xp.matvec(_mT(xp, x0), g),
        ),
        "vecmat": (
            lambda xp, g, x1: xp.conjugate(xp.matvec(x1, g)),
            lambda xp, g, x0: xp.conjugate(x0)[..., :, None] * g[..., None, :],
        ),
    }
    for name, (left, right) in products.items():
        if hasattr(np, name):
            implements(getattr(np, name))(
                _vector_product(name, _bilinear(name, left, right, stacked(*_CORE[name][:2])))
            )


def _vector_product(name: str, primitive: Primitive) -> Callable[..., Any]:
    def ours(x1: Any, x2: Any, /, *, dtype: Any = None, **options: Any) -> Any:
        x1, x2, place = _core_axes(name, options, *_operands(name, options, dtype, x1, x2))
        return place(primitive(x1, x2))

    return ours


_declare_vector_products()
implements(np.linalg.vecdot)(lambda x1, x2, /, *, axis=-1: np.vecdot(x1, x2, axis=axis))

# ---- products made of others


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Kronecker product."""
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    shape0, shape1 = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    y = np.reshape(a, [n for k in shape0 for n in (k, 1)]) * np.reshape(b, [n for k in shape1 for n in (1, k)])
    return np.reshape(y, tuple(n * m for n, m in zip(shape0, shape1, strict=True)))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Cross product; a vector of two components has none along the third axis, which NumPy deprecates."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = (np.moveaxis(x, k, -1) for x, k in ((as_array(a), axisa), (as_array(b), axisb)))
    counts = {a.shape[-1], b.shape[-1]}
    if not counts <= {2, 3}:
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if 2 in counts:
        text = "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors instead."
        warnings.warn(text + " (deprecated in NumPy 2.0)", DeprecationWarning, stacklevel=3)
    x, y = ([v[..., k] for k in range(v.shape[-1])] for v in (a, b))
    last = x[0] * y[1] - x[1] * y[0]
    if counts == {2}:
        return last
    first = x[1] * y[2] if len(x) == 2 else -(x[2] * y[1]) if len(y) == 2 else x[1] * y[2] - x[2] * y[1]
    second = -(x[0] * y[2]) if len(x) == 2 else x[2] * y[0] if len(y) == 2 else x[2] * y[0] - x[0] * y[2]
    return np.stack([first, second, last], axisc)


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross product of vectors of three components."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return cross(x1, x2, axis=axis)


# ---- diagonals of the last two axes, and their transpose


def _length(shape: Any, offset: int) -> int:
    n, m = shape[-2:]
    return max(0, min(n + min(offset, 0), m - max(offset, 0)))


def _embed_evaluate(x: Any, *, offset: int, shape: tuple[int, int]) -> Any:
    n, m = shape
    flat = (backend_for(x) or NUMPY).xp.zeros((*x.shape[:-1], n * m), x.dtype)
    start = max(offset, 0) + max(-offset, 0) * m
    flat[..., start : start + x.shape[-1] * (m + 1) : m + 1] = x
    return flat.reshape((*x.shape[:-1], n, m))


_embed = linear(
    "embed_diagonal", _embed_evaluate, lambda xp, g, *, offset, shape: _diagonal(g, offset=offset), batch=leading
)
_diagonal: Primitive = linear(
    "diagonal",
    lambda x, *, offset: np.diagonal(x, offset, -2, -1),
    lambda xp, g, shape, *, offset: _embed(g, offset=offset, shape=shape[-2:]),
    view=lambda params: ("diagonal", params["offset"]),
    batch=leading,
)


def _spread_trace(xp: Any, g: Any, shape: Any, *, offset: int) -> Any:
    every = xp.broadcast_to(g[..., None], (*g.shape, _length(shape, offset)))
    return _embed(every, offset=offset, shape=shape[-2:])


_trace = linear("trace", lambda x, *, offset: np.trace(x, offset, -2, -1), _spread_trace, batch=leading)


def _planes_last(a: Any, axis1: int, axis2: int) -> Any:
    i, j = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    return a if (i, j) == (a.ndim - 2, a.ndim - 1) else np.moveaxis(a, (i, j), (-2, -1))


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonals of the matrices that two axes span."""
    return _diagonal(_planes_last(a, axis1, axis2), offset=int(offset))


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    """Sum of a diagonal."""
    del out
    return _trace(_planes_last(a if dtype is None else a.astype(dtype), axis1, axis2), offset=int(offset))


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
    return _embed(v, offset=k, shape=(n, n))


implements(np.diagflat)(lambda v, k=0: diag(np.ravel(v), k))


def _masked(mask: Callable[..., Any]) -> Callable[..., Any]:
    def triangle(m: Any, k: int = 0) -> Any:
        return np.where(mask(m.shape[-2:], k), m, 0)

    return triangle


implements(np.tril)(_masked(lambda shape, k: np.tri(*shape, k=k, dtype=bool)))
implements(np.triu)(_masked(lambda shape, k: ~np.tri(*shape, k=k - 1, dtype=bool)))

# ---- einsum

Spec = tuple[tuple[str, ...], str]
LARGE = 10_000  # so many products are done faster by matrix products than by loops, plan included


def _contract(xp: Any, spec: Spec, arrays: Sequence[Any], optimize: Any) -> Any:
    return xp.einsum(f"{','.join(spec[0])}->{spec[1]}", *arrays, optimize=optimize)


def _einsum_transpose(xp: Any, g: Any, i: int, xs: Any, shapes: Any, *, spec: Spec, optimize: Any) -> Any:
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
    exchanged = ((output, *(inputs[k] for k in others)), reached)
    lengths = {c: n for term, shape in zip(inputs, shapes, strict=True) for c, n in zip(term, shape, strict=True)}
    fast = bool(optimize) or len(others) > 1 or (len(others) == 1 and prod(lengths.values()) > LARGE)
    y = _contract(xp, exchanged, (g, *(xs[k] for k in others)), fast)
    if reached != unique or y.shape != tuple(shapes[i][mine.index(c)] for c in unique):
        own = dict(zip(mine, shapes[i], strict=True))
        y = xp.reshape(y, tuple(y.shape[reached.index(c)] if c in reached else 1 for c in unique))
        y = xp.broadcast_to(y, np.broadcast_shapes(y.shape, tuple(own[c] for c in unique)))
    return y if unique == mine else _undiagonal(xp, y, unique, mine)


def _undiagonal(xp: Any, y: Any, unique: str, mine: str) -> Any:
    """Put back the diagonals that repeated letters picked: from axes named by `unique` to those named by `mine`."""
    for c in unique:
        for _ in range(mine.count(c) - 1):
            y = xp.moveaxis(y, unique.index(c), -1)
            unique = unique.replace(c, "", 1) + c + c
            y = _embed(y, offset=0, shape=(y.shape[-1], y.shape[-1]))
    # What is left is the order of the axes; equal letters are interchangeable on a diagonal.
    free = list(unique)
    order = []
    for c in mine:
        order.append(free.index(c))
        free[order[-1]] = ""
    return xp.transpose(y, tuple(order))


def _einsum_batch(primitive: Primitive, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    inputs, output = params["spec"]
    letter = next(c for c in LETTERS[::-1] if c not in "".join(inputs))
    terms = tuple(letter * b + t for t, b in zip(inputs, batched, strict=True))
    params = {**params, "spec": (terms, letter + output)}
    if "optimize" in params and len(values) > 1:
        lengths = {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, v.shape, strict=True)}
        params["optimize"] = params["optimize"] or prod(lengths.values()) > LARGE
    return primitive(*values, **params)


_einsum = general(
    "einsum",
    lambda *xs, spec, optimize: _contract(np, spec, xs, optimize),
    lambda xp, t, i, xs, *, spec, optimize: _contract(
        xp, spec, [t if k == i else x for k, x in enumerate(xs)], optimize
    ),
    _einsum_transpose,
    variadic=True,
    batch=_einsum_batch,
)


# One operand of which nothing is summed: NumPy gives a view, which can be written through.
VIEWS["einsum"] = lambda x, spec: _contract(np, spec, (x,), False)
_rearrange = linear(
    "rearrange",
    lambda x, *, spec: _contract(np, spec, (x,), False),
    lambda xp, g, shape, *, spec: _einsum_transpose(xp, g, 0, (None,), (shape,), spec=spec, optimize=False),
    view=lambda params: ("einsum", params["spec"]),
    batch=_einsum_batch,
)


@implements(np.einsum)
def einsum(*operands: Any, out: None = None, optimize: Any = False, dtype: Any = None, **options: Any) -> Any:
    """Einstein summation, in any of the forms that NumPy accepts."""
    del out
    subscripts, arrays = _subscripts(operands)
    arrays = _operands("einsum", options, dtype, *arrays)
    optimize = tuple(optimize) if isinstance(optimize, list) else optimize
    spec = _explicit(subscripts, arrays)
    if len(arrays) == 1 and set(spec[0][0]) == set(spec[1]):
        return _rearrange(*arrays, spec=spec)
    return _einsum(*arrays, spec=spec, optimize=optimize)


def _subscripts(operands: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The string form of the arguments."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), [as_array(x) for x in operands[1:]]
    pairs = len(operands) // 2
    arrays = [as_array(operands[2 * k]) for k in range(pairs)]
    text = ",".join(_letters(operands[2 * k + 1]) for k in range(pairs))
    return text + (f"->{_letters(operands[-1])}" if len(operands) % 2 else ""), arrays


def _letters(labels: Any) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join("..." if k is Ellipsis else alphabet[k] for k in labels)


def _explicit(subscripts: str, arrays: Sequence[Any]) -> Spec:
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
        if dots and "..." not in right:
            raise ValueError(f"einsum: the output of {subscripts!r} must contain '...', which broadcasts axes")
        return inputs, right.replace("...", dots)
    letters = "".join(inputs)
    return inputs, dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))


nondifferentiable(np.einsum_path, "a plan", batch=answers.of_shapes(np.einsum_path))
