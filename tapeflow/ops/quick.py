"""Ufuncs of one batch of plain arrays, without detours: most of what a function does inside vmap.

What these do not know goes the way of all primitives, which gives the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.batch import Batched, batched
from tapeflow.core.primitive import FUNCTIONS, Primitive
from tapeflow.core.tracer import BINARY_OPERATORS, COMPARISONS, Tracer

__all__: list[str] = []


def _is_aligned(ufunc: Any) -> bool:
    """Whether a ufunc stands for itself in a batch: it was declared by its derivatives, and gives one result."""
    primitive = next(iter(getattr(FUNCTIONS.get(ufunc), "args", ())), None)
    if not (isinstance(ufunc, np.ufunc) and ufunc.nout == 1 and ufunc.signature is None):
        return False
    return isinstance(primitive, Primitive) and primitive.elementwise and primitive.evaluate is ufunc


ALIGNED = {f for f in FUNCTIONS if _is_aligned(f)}


def _of_one(ufunc: Any, a: Any) -> Any:
    """What a ufunc of one operand gives, ``None`` if that is not known here."""
    value = a._value
    return _held(ufunc(value), a._batch) if type(value) is np.ndarray else None


def _held(out: Any, batch: Any) -> Any:
    return None if batch.limit is not None and out.nbytes > batch.limit else batched(out, batch)


def _is_fewer(constant: Any, value: Any) -> bool:
    """Whether a plain array has no more axes than an element; one of objects may hold traced scalars."""
    return bool(constant.ndim < value.ndim and constant.dtype.kind != "O")


def _of_two(ufunc: Any, a: Any, b: Any) -> Any:
    """What a ufunc of two operands gives: both of one batch, or one a number or a plain array of no more axes."""
    if type(a) is Batched:
        value, batch, kind = a._value, a._batch, type(b)
        if type(value) is np.ndarray:
            if kind is Batched and b._batch is batch:
                other = b._value
                if type(other) is np.ndarray and other.ndim == value.ndim:
                    return _held(ufunc(value, other), batch)
            elif kind is float or kind is int or (kind is np.ndarray and _is_fewer(b, value)):
                return _held(ufunc(value, b), batch)
    elif type(b) is Batched and type(b._value) is np.ndarray:
        kind = type(a)
        if kind is float or kind is int or (kind is np.ndarray and _is_fewer(a, b._value)):
            return _held(ufunc(a, b._value), b._batch)
    return None


def _array_ufunc(self: Batched, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Evaluate a ufunc."""
    quick = None
    if not kwargs and method == "__call__" and ufunc in ALIGNED:
        quick = _of_two(ufunc, *inputs) if len(inputs) == 2 else _of_one(ufunc, *inputs)
    return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs) if quick is None else quick


def _operator(ufunc: Any, slow: Any, swapped: bool) -> Any:
    def operator(self: Any, other: Any) -> Any:
        quick = _of_two(ufunc, other, self) if swapped else _of_two(ufunc, self, other)
        return slow(self, other) if quick is None else quick

    return operator


def _install() -> None:
    """Give batches what NumPy calls, and operators."""
    Batched.__array_ufunc__ = _array_ufunc  # type: ignore[method-assign]
    names = [(f, f"__{name}__", False) for f, name in (BINARY_OPERATORS | COMPARISONS).items()]
    names += [(f, f"__r{name}__", True) for f, name in BINARY_OPERATORS.items()]
    for ufunc, name, swapped in names:
        if ufunc in ALIGNED:
            setattr(Batched, name, _operator(ufunc, getattr(Tracer, name), swapped))


_install()
