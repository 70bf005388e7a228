"""Data types: conversion, promotion, and what the namespace says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.core.tracer import Tracer

__all__ = [
    "Info",
    "__array_api_version__",
    "__array_namespace_info__",
    "astype",
    "can_cast",
    "check_device",
    "finfo",
    "iinfo",
    "result_type",
]

__array_api_version__ = "2024.12"

KINDS = {
    "bool": (np.bool,),
    "signed integer": (np.int8, np.int16, np.int32, np.int64),
    "unsigned integer": (np.uint8, np.uint16, np.uint32, np.uint64),
    "real floating": (np.float32, np.float64),
    "complex floating": (np.complex64, np.complex128),
}
UNIONS = {
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}


def check_device(device: Any) -> None:
    """Refuse every device but the one that there is."""
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, (Tracer, np.ndarray, np.generic)) else x


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Convert to another dtype."""
    check_device(device)
    return x.astype(dtype, copy=copy)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether a dtype, or that of an array, can be converted to another without loss."""
    return np.can_cast(_dtype(from_), to)


def finfo(type: Any, /) -> Any:  # the standard's name
    """Limits of a floating-point dtype, or that of an array."""
    return np.finfo(_dtype(type))


def iinfo(type: Any, /) -> Any:  # the standard's name
    """Limits of an integer dtype, or that of an array."""
    return np.iinfo(_dtype(type))


def result_type(*arrays_and_dtypes: Any) -> Any:
    """Dtype of an operation on these; Python scalars are weak."""
    return np.result_type(*map(_dtype, arrays_and_dtypes))


class Info:
    """What ``__array_namespace_info__()`` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Abilities that the standard leaves open."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Device on which new arrays are made."""
        return "cpu"

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Dtypes of arrays made of Python numbers."""
        check_device(device)
        names = {"real floating": float, "complex floating": complex, "integral": int, "indexing": np.intp}
        return {name: np.dtype(kind) for name, kind in names.items()}

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, Any]:
        """Dtypes by name, of all kinds or some."""
        check_device(device)
        asked = tuple(KINDS) if kind is None else kind if isinstance(kind, tuple) else (kind,)
        kinds = [single for name in asked for single in UNIONS.get(name, (name,))]
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f"unsupported kind of dtype: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        return {np.dtype(t).name: np.dtype(t) for single in kinds for t in KINDS[single]}


__array_namespace_info__: Callable[[], Info] = Info
