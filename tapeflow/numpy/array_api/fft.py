"""The extension ``fft`` of the standard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.numpy.array_api.dtypes import check_device
from tapeflow.numpy.creation import buffer

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def _along_one(numpys: Any) -> Callable[..., Any]:
    def transform(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
        return numpys(x, n, axis, norm)

    return _named(transform, numpys)


def _along_several(numpys: Any) -> Callable[..., Any]:
    def transform(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
        # NumPy wants the axes said; the standard lets s stand for the last ones.
        axes = range(-len(s), 0) if axes is None and s is not None else axes
        return numpys(x, s, axes, norm)

    return _named(transform, numpys)


def _named(transform: Callable[..., Any], numpys: Any) -> Callable[..., Any]:
    transform.__name__ = transform.__qualname__ = numpys.__name__
    transform.__doc__ = f"``numpy.fft.{numpys.__name__}`` with the standard's signature."
    return transform


fft, ifft, rfft, irfft, hfft, ihfft = map(
    _along_one, (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft)
)
fftn, ifftn, rfftn, irfftn = map(_along_several, (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of `fft`."""
    check_device(device)
    return buffer(np.fft.fftfreq(n, d).astype(dtype or float))


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of `rfft`."""
    check_device(device)
    return buffer(np.fft.rfftfreq(n, d).astype(dtype or float))


def fftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Move the zero frequency to the middle."""
    return np.fft.fftshift(x, axes)


def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Move the zero frequency to the front."""
    return np.fft.ifftshift(x, axes)
