"""Rows of functions that write in place: each writes into a copy of its first argument, and returns that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import case, cplx, fixed, real


def written(statement: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, *others: Any) -> Any:
        y = x.copy()
        statement(y, *others)
        return y

    return call


def assign(y: Any, index: Any, value: Any) -> None:
    y[index] = value


for _label, _index, _shape in (
    ("integer", 1, (3,)), ("slice", slice(None, None, 2), (2, 3)), ("broadcast", slice(1, None), (1,)),
    ("element", (2, 1), ()), ("ellipsis", ..., (3, 3)), ("newaxis", (None, slice(1, 3)), (1, 2, 3)),
    ("pairs", ([0, 2], [1, 1]), (2,)), ("repeated", [1, 1, 0], (3, 3)), ("mask", np.array([True, False, True]), (2, 3)),
    ("full-mask", np.arange(9).reshape(3, 3) % 2 == 0, (5,)), ("scalar-to-mask", np.eye(3) > 0, ()),
    ("more-axes", 0, (1, 1, 3)), ("mixed", (slice(None), [0, 0]), (3, 2)),
):  # fmt: skip
    case(
        np.ndarray.__setitem__,
        written(lambda y, v, k=_index: assign(y, k, v)),
        real(3, 3),
        real(*_shape),
        note=_label,
    )
case(np.ndarray.__setitem__, written(lambda y, v: assign(y, 1, v)), cplx(3, 2), cplx(2), note="complex")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y, 1, v)), cplx(3, 2), real(2), note="real-into-complex")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y, 0, [v[0], 1.0])), real(3, 2), real(2), note="list")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y.T, 0, v)), real(3, 2), real(3), note="through-transpose")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y.reshape(-1), [4, 1], v)), real(3, 2), real(2), note="flat")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y.real, 0, v)), cplx(3), real(), note="real-part")
case(np.ndarray.__setitem__, written(lambda y, v: assign(y.imag, slice(0, 2), v)), cplx(3), real(2), note="imag-part")
case(np.ndarray.__setitem__, written(lambda y, v: assign(np.zeros_like(y), 0, v)), real(3), real(), note="elsewhere")
for _name, _function in (
    ("filled", lambda y, x: assign(y, ..., x * x)),
    ("recurrence", lambda y, x: [assign(y, k, y[k - 1] * x[k]) for k in (1, 2)]),
):
    case(np.ndarray.__setitem__, written(_function), real(3), real(3), note=_name)

case(np.ndarray.flat, written(lambda y, v: assign(y.flat, [4, 1], v)), real(3, 2), real(2))
case(np.ndarray.flat, lambda x: np.stack(list(x.flat[1::2])), real(3, 2), note="read")
case(np.ndarray.__setitem__, written(lambda y, v: setattr(y, "real", v)), cplx(2, 3), real(3), note="real-attribute")
case(np.ndarray.__setitem__, written(lambda y, v: setattr(y, "imag", v)), cplx(2, 3), real(3), note="imag-attribute")
case(np.ndarray.__setitem__, written(lambda y, v: setattr(y, "real", v)), real(2, 3), real(3), note="real-of-real")

case(np.copyto, written(lambda y, v: np.copyto(y, v)), real(2, 3), real(3))
case(
    np.copyto,
    written(lambda y, v: np.copyto(y, v, where=np.array([True, False, True]))),
    real(2, 3),
    real(3),
    note="where",
)
case(np.put, written(lambda y, v: np.put(y, [4, 0, -1], v)), real(2, 3), real(3))
case(np.put, written(lambda y, v: np.put(y, [4, 0, 7], v, mode="wrap")), real(2, 3), real(2), note="wrap-cycled")
case(np.put, written(lambda y, v: np.put(y, [4, 0, 7], v, mode="clip")), real(2, 3), real(3), note="clip")
case(np.ndarray.put, written(lambda y, v: y.put([1, 1, 2], v)), real(2, 3), real(3), note="repeated")
case(np.place, written(lambda y, v: np.place(y, np.eye(3) > 0, v)), real(3, 3), real(2))
case(np.putmask, written(lambda y, v: np.putmask(y, np.eye(3) > 0, v)), real(3, 3), real(3, 3))
case(np.putmask, written(lambda y, v: np.putmask(y, np.eye(3) > 0, v)), real(3, 3), real(2), note="cycled")
case(np.put_along_axis, written(lambda y, v: np.put_along_axis(y, np.array([[2], [0]]), v, 1)), real(2, 3), real(2, 1))
case(np.put_along_axis, written(lambda y, v: np.put_along_axis(y, np.array([[1, 0, 1]]), v, 0)), real(2, 3), real(1, 3))
case(np.put_along_axis, written(lambda y, v: np.put_along_axis(y, np.array([5, 2]), v, None)), real(2, 3), real(2))
case(np.fill_diagonal, written(lambda y, v: np.fill_diagonal(y, v)), real(3, 4), real(3))
case(np.fill_diagonal, written(lambda y, v: np.fill_diagonal(y, v)), real(5, 2), real(), note="number")
case(np.fill_diagonal, written(lambda y, v: np.fill_diagonal(y, v, wrap=True)), real(5, 2), real(2), note="wrap")
case(np.fill_diagonal, written(lambda y, v: np.fill_diagonal(y, v)), real(2, 2, 2), real(2), note="cube")
case(np.ndarray.fill, written(lambda y, v: y.fill(v)), real(2, 3), real())
for _ufunc in (np.add, np.subtract, np.multiply, np.divide):
    case(_ufunc, written(lambda y, v, f=_ufunc: f.at(y, [1, 1, 0], v)), real(3), real(3, low=0.5), note="at")
    case(_ufunc, written(lambda y, v, f=_ufunc: f(y, v, out=y)), real(2, 3), real(3, low=0.5), note="out")
    case(
        _ufunc,
        written(lambda y, v, f=_ufunc: f(y, v, out=y, where=np.array([True, False, True]))),
        real(2, 3),
        real(3, low=0.5),
        note="out-where",
    )
case(np.add, written(lambda y, v: np.add.at(y, (slice(None), [0, 0]), v)), real(2, 3), real(2, 2), note="at-slices")
case(
    np.maximum,
    written(lambda y, v: np.maximum.at(y, [1, 1, 0], v)),
    fixed([0.1, 0.2, 0.3]),
    fixed([0.4, 0.9, -1.0]),
    note="at",
)
case(np.negative, written(lambda y: np.negative.at(y, [1, 1, 0])), real(3), note="at")
case(np.sum, written(lambda y, v: np.sum(v, axis=0, out=y)), real(3), real(2, 3), note="out")
case(np.dot, written(lambda y, v: np.dot(v, v, y)), real(2, 2), real(2, 2), note="out-by-position")
