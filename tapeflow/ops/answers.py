"""Functions without derivatives inside a batch: what they answer for each element, found for all at once.

Each function here takes the arguments of NumPy's, of which some are values of a batch, brings axes into one form, and
hands over to a primitive with a batch rule. `nondifferentiable` calls it in place of NumPy's function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapeflow import pytree
from tapeflow.core.batch import aligned, leading, shifted, stacked
from tapeflow.core.primitive import Primitive
from tapeflow.core.tracer import Tracer, anywhere

__all__ = [
    "along",
    "array_equal",
    "array_equiv",
    "digitize",
    "elements",
    "is_close",
    "isin",
    "lexsort",
    "matrix_rank",
    "of_shapes",
    "over",
    "ravel_multi_index",
    "searchsorted",
    "unravel_index",
]

_NOTHING: Any = np._NoValue


def _primitive(name: str, evaluate: Callable[..., Any], batch: Callable[..., Any]) -> Primitive:
    return Primitive(name, evaluate, reason="no derivative", batch=batch)


def _arrays(*arguments: Any) -> list[Any]:
    return [a if isinstance(a, Tracer) else np.asarray(a) for a in arguments]


# ---- families


def along(function: Callable[..., Any], whole: int | None = -1, *, reduces: bool = False) -> Callable[..., Any]:
    """Functions of one array along one axis; `whole` is the axis by default, ``None`` for all elements in a row.

    `reduces` says that the result has one axis less, which `keepdims` keeps.
    """
    primitive = _primitive(
        function.__name__,
        lambda x, *, axis, arguments, options: function(x, *arguments, axis=axis, **dict(options)),
        shifted(axis="axis"),
    )

    def answer(a: Any, *arguments: Any, axis: Any = whole, keepdims: Any = False, out: None = None, **kw: Any) -> Any:
        if reduces and arguments:
            axis, arguments = arguments[0], ()
        elif len(arguments) > extra:
            arguments, (axis, *rest) = arguments[:extra], arguments[extra:]
            kw.update(zip(("kind", "order"), rest, strict=False))
        (x,), ndim = _arrays(a), np.ndim(a)
        x, axis = (np.ravel(x), 0) if axis is None else (x, normalize_axis_index(axis, ndim))
        y = primitive(x, axis=axis, arguments=arguments, options=tuple(kw.items()))
        if not reduces or keepdims is _NOTHING or not keepdims:
            return y
        return np.expand_dims(y, tuple(range(ndim)) if x.ndim < ndim else axis)

    extra = 1 if function is np.argpartition else 0
    return answer


def over(function: Callable[..., Any]) -> Callable[..., Any]:
    """Reductions over any axes, such as of truth values."""
    primitive = _primitive(function.__name__, lambda x, *, axes: function(x, axis=axes), shifted(axes="axes"))

    def answer(
        a: Any, axis: Any = None, out: None = None, keepdims: Any = False, *, where: Any = True, **other: Any
    ) -> Any:
        (x,) = _arrays(a)
        if where is not True and where is not _NOTHING:
            x = np.where(where, x, function is np.all)
        axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
        y = primitive(x, axes=axes)
        return np.expand_dims(y, axes) if keepdims is not _NOTHING and keepdims else y

    return answer


def elements(function: Callable[..., Any]) -> Callable[..., Any]:
    """Functions of each element alone; what is given by name is the same for all."""
    primitive = _primitive(function.__name__, lambda *xs, options: _tuple(function(*xs, **dict(options))), aligned)

    def answer(x: Any, *more: Any, **options: Any) -> Any:
        return primitive(*_arrays(x, *more), options=tuple(options.items()))

    return answer


def _tuple(y: Any) -> Any:
    return tuple(y) if isinstance(y, (tuple, list)) else y


def of_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Functions that ask arrays for nothing but their shapes: the answer is one for the whole batch."""

    def outline(x: Any) -> Any:
        return np.broadcast_to(np.zeros((), x.dtype), x.shape) if isinstance(x, Tracer) else x

    def answer(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = pytree.map_leaves(outline, (args, kwargs))
        return function(*args, **kwargs)

    return answer


# ---- comparison of arrays

_is_close = elements(np.isclose)


def is_close(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Answer ``np.isclose``."""
    return _is_close(a, b, rtol, atol, equal_nan=equal_nan)


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Answer ``np.array_equal``."""
    a, b = _arrays(a1, a2)
    if a.shape != b.shape:
        return False
    same = a == b
    return np.all(same | ((a != a) & (b != b)) if equal_nan else same)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Answer ``np.array_equiv``."""
    a, b = _arrays(a1, a2)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return np.all(a == b)


# ---- places in sorted arrays


def _before(x: Any, y: Any) -> Any:
    """Whether x is sorted before y: nans are last."""
    return (x < y) | ((y != y) & (x == x))


def _search_evaluate(a: Any, v: Any, *, side: str) -> Any:
    if a.ndim == 1:
        return np.searchsorted(a, v, side)
    rows = np.broadcast_to(v, np.broadcast_shapes(a.shape[:-1], v.shape[:-1]) + v.shape[-1:])
    a = np.broadcast_to(a, (*rows.shape[:-1], a.shape[-1]))
    low, high = np.zeros(rows.shape, np.intp), np.full(rows.shape, a.shape[-1], np.intp)
    for _ in range(a.shape[-1].bit_length()):  # as many halvings, of all rows at once
        open_ = low < high
        middle = np.where(open_, (low + high) // 2, 0)
        found = np.take_along_axis(a, middle, -1)
        right = open_ & (_before(found, rows) if side == "left" else ~_before(rows, found))
        low, high = np.where(right, middle + 1, low), np.where(open_ & ~right, middle, high)
    return low


_search = _primitive("searchsorted", _search_evaluate, stacked(1, 1))


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Answer ``np.searchsorted``."""
    a, v = _arrays(a, v)
    if a.ndim != 1:
        raise ValueError("object too deep for desired array")
    a = a if sorter is None else a[sorter]
    return np.reshape(_search(a, np.ravel(v), side=side), v.shape)


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Answer ``np.digitize``; bins may increase for one element of a batch and decrease for another."""
    x, bins = _arrays(x, bins)
    rising, falling = (np.all(bins[1:] >= bins[:-1]), np.all(bins[1:] <= bins[:-1]))
    if anywhere(~(rising | falling)):
        raise ValueError("bins must be monotonically increasing or decreasing")
    side: Any = "left" if right else "right"
    up, down = np.searchsorted(bins, x, side), bins.shape[0] - np.searchsorted(np.flip(bins), x, side)
    return np.where(rising, up, down)


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    """Answer ``np.isin``."""
    x, among = _arrays(element, test_elements)
    if among.size == 0:
        return np.logical_not(np.zeros(x.shape, bool)) if invert else np.zeros(x.shape, bool)
    among = np.sort(np.ravel(among))
    place = np.minimum(np.searchsorted(among, np.ravel(x)), among.shape[0] - 1)
    found = np.reshape(np.take_along_axis(among, place, 0), x.shape) == x
    return ~found if invert else found


_lexsort = _primitive("lexsort", lambda *keys, axis: np.lexsort(keys, axis), shifted(axis="axis"))


def lexsort(keys: Sequence[Any], axis: int = -1) -> Any:
    """Answer ``np.lexsort``."""
    rows = [keys[k] for k in range(len(keys))]
    return _lexsort(*_arrays(*rows), axis=normalize_axis_index(axis, np.ndim(rows[0])))


# ---- others

_ravel_multi = _primitive(
    "ravel_multi_index", lambda *xs, dims, options: np.ravel_multi_index(xs, dims, **dict(options)), aligned
)


def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: Any = "C") -> Any:
    """Answer ``np.ravel_multi_index``."""
    parts = np.broadcast_arrays(*[multi_index[k] for k in range(len(multi_index))])
    return _ravel_multi(*parts, dims=tuple(dims), options=(("mode", mode), ("order", order)))


_rank = _primitive("matrix_rank", lambda x, *, options: np.linalg.matrix_rank(x, **dict(options)), leading)
_rank_with = _primitive(
    "matrix_rank", lambda x, limit, *, name, options: np.linalg.matrix_rank(x, **{name: limit}, **dict(options)),
    stacked(2, 0),
)  # fmt: skip


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Answer ``np.linalg.matrix_rank``."""
    (x,) = _arrays(A)
    if x.ndim < 2:
        return np.any(x != 0).astype(int)
    options = (("hermitian", hermitian),)
    if isinstance(tol, Tracer) or isinstance(rtol, Tracer):
        name = "tol" if rtol is None else "rtol"
        return _rank_with(x, tol if rtol is None else rtol, name=name, options=options)
    given = (("tol", tol),) if tol is not None else (("rtol", rtol),) if rtol is not None else ()
    return _rank(x, options=(*options, *given))


def unravel_index(indices: Any, shape: Any, order: Any = "C") -> Any:
    """Answer ``np.unravel_index``."""
    return _unravel(indices, shape=shape, order=order)


_unravel = elements(np.unravel_index)
