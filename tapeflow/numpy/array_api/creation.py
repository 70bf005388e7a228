"""Functions that make arrays: `tapeflow.numpy`'s, with the standard's signatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.primitive import Traced
from tapeflow.numpy import creation
from tapeflow.numpy.array_api.dtypes import check_device

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Evenly spaced values."""
    check_device(device)
    start, stop = (0, start) if stop is None else (start, stop)
    return creation.buffer(creation.arange(start, stop, step, dtype=dtype))


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Convert to an array; traced values stay traced, and under a recorder plain ones become traced constants."""
    check_device(device)
    return creation.buffer(creation.asarray(obj, dtype, copy=copy))


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array with arbitrary elements."""
    check_device(device)
    return creation.empty(shape, float if dtype is None else dtype)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array with arbitrary elements in the shape of another."""
    check_device(device)
    return creation.empty_like(x, dtype)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Return a matrix with ones on a diagonal."""
    check_device(device)
    return creation.eye(n_rows, n_cols, k, float if dtype is None else dtype)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Take over an array of another library; a traced value is returned."""
    check_device(device)
    if isinstance(x, Traced):
        return np.copy(x) if copy else x
    return creation.buffer(np.array(np.from_dlpack(x)) if copy else np.from_dlpack(x))


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array filled with a value."""
    check_device(device)
    return creation.full(shape, fill_value, dtype)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array filled with a value in the shape of another."""
    check_device(device)
    return creation.full_like(x, fill_value, dtype)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Any:
    """Evenly spaced values between two ends."""
    check_device(device)
    return creation.buffer(np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype))


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinates of the points of a grid."""
    return [creation.buffer(x) for x in np.meshgrid(*arrays, indexing=indexing)]


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array of ones."""
    check_device(device)
    return creation.ones(shape, dtype)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array of ones in the shape of another."""
    check_device(device)
    return creation.ones_like(x, dtype)


def tril(x: Any, /, *, k: int = 0) -> Any:
    """Lower triangle."""
    return np.tril(x, k)


def triu(x: Any, /, *, k: int = 0) -> Any:
    """Upper triangle."""
    return np.triu(x, k)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array of zeros."""
    check_device(device)
    return creation.zeros(shape, float if dtype is None else dtype)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Return an array of zeros in the shape of another."""
    check_device(device)
    return creation.zeros_like(x, dtype)
