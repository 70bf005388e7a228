"""Discrete Fourier transforms: all linear, each the transpose of another.

The primitives transform a whole axis. Cropping, padding and transforms over several axes are made of them and of slices.
Transforms of real (or to real) signals keep half of a Hermitian spectrum: their transposes are each other up to a
factor of 2 for the entries that stand for two, which are all but those of frequency 0 and, for an even length, Nyquist's.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapeflow.core.batch import shifted
from tapeflow.core.primitive import Primitive, implements
from tapeflow.core.rules import linear
from tapeflow.ops.arguments import as_array

__all__ = ["fft", "hfft", "ifft", "ihfft", "irfft", "rfft"]


# ---- whole axes


def _weighted(xp: Any, x: Any, n: int, axis: int, weight: float) -> Any:
    """Multiply those entries of a half spectrum that stand for two of the whole one, of length n."""
    weights = xp.full(x.shape[axis], weight, x.dtype.type(0).real.dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return x * xp.reshape(weights, (-1, *(1,) * (len(x.shape) - axis - 1)))


# The matrix of the transform is symmetric.
_fft = linear(
    "fft",
    lambda x, *, axis, norm: np.fft.fft(x, axis=axis, norm=norm),
    lambda xp, g, *, axis, norm: xp.fft.fft(g, axis=axis, norm=norm),
    batch=shifted(axis="axis"),
)
_ifft = linear(
    "ifft",
    lambda x, *, axis, norm: np.fft.ifft(x, axis=axis, norm=norm),
    lambda xp, g, *, axis, norm: xp.fft.ifft(g, axis=axis, norm=norm),
    batch=shifted(axis="axis"),
)
_rfft = linear(
    "rfft",
    lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    lambda xp, g, shape, *, axis, norm: xp.fft.hfft(
        _weighted(xp, g, shape[axis], axis, 0.5), shape[axis], axis=axis, norm=norm
    ),
    batch=shifted(axis="axis"),
)
_hfft = linear(
    "hfft",
    lambda x, *, n, axis, norm: np.fft.hfft(x, n, axis=axis, norm=norm),
    lambda xp, g, *, n, axis, norm: _weighted(xp, xp.fft.rfft(g, axis=axis, norm=norm), n, axis, 2),
    batch=shifted(axis="axis"),
)
_ihfft = linear(
    "ihfft",
    lambda x, *, axis, norm: np.fft.ihfft(x, axis=axis, norm=norm),
    lambda xp, g, shape, *, axis, norm: xp.fft.irfft(
        _weighted(xp, g, shape[axis], axis, 0.5), shape[axis], axis=axis, norm=norm
    ),
    batch=shifted(axis="axis"),
)
_irfft = linear(
    "irfft",
    lambda x, *, n, axis, norm: np.fft.irfft(x, n, axis=axis, norm=norm),
    lambda xp, g, *, n, axis, norm: _weighted(xp, xp.fft.ihfft(g, axis=axis, norm=norm), n, axis, 2),
    batch=shifted(axis="axis"),
)


# ---- one axis, of any length


def _resized(x: Any, n: int, axis: int) -> Any:
    """Crop an axis, or pad it with zeros, at its end."""
    length = x.shape[axis]
    if n < length:
        return x[(*(slice(None),) * axis, slice(n))]
    return np.pad(x, [(0, n - length if k == axis else 0) for k in range(x.ndim)]) if n > length else x


def _length(n: Any) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def _from_whole(primitive: Primitive) -> Callable[..., Any]:
    """Make the public function of a transform that reads n entries."""

    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: None = None) -> Any:
        del out
        a = as_array(a)
        n = _length(a.shape[axis] if n is None else n)
        axis = normalize_axis_index(axis, a.ndim)
        return primitive(_resized(a, n, axis), axis=axis, norm="backward" if norm is None else norm)

    return transform


def _from_half(primitive: Primitive) -> Callable[..., Any]:
    """Make the public function of a transform that reads half of the spectrum of n real entries."""

    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: None = None) -> Any:
        del out
        a = as_array(a)
        n = _length((a.shape[axis] - 1) * 2 if n is None else n)
        axis = normalize_axis_index(axis, a.ndim)
        return primitive(_resized(a, n // 2 + 1, axis), n=n, axis=axis, norm="backward" if norm is None else norm)

    return transform


fft = implements(np.fft.fft)(_from_whole(_fft))
ifft = implements(np.fft.ifft)(_from_whole(_ifft))
rfft = implements(np.fft.rfft)(_from_whole(_rfft))
ihfft = implements(np.fft.ihfft)(_from_whole(_ihfft))
irfft = implements(np.fft.irfft)(_from_half(_irfft))
hfft = implements(np.fft.hfft)(_from_half(_hfft))

# ---- several axes: one after the other, in NumPy's order


def _lengths(shape: tuple[int, ...], s: Any, axes: Any, *, half: bool = False) -> tuple[list[Any], Sequence[int]]:
    """Axes and the lengths to transform them at; `half` where the last axis holds half of a spectrum."""
    given = s is not None
    if not given:
        s = [shape[k] for k in (range(len(shape)) if axes is None else axes)]
    elif axes is None or any(n is None for n in s):
        warnings.warn(
            "`axes` should not be `None` if `s` is not `None`, nor should `s` contain `None` values (Deprecated in NumPy "
            "2.0)",
            DeprecationWarning,
            stacklevel=4,
        )
    axes = range(-len(s), 0) if axes is None else axes
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    lengths = [shape[k] if n == -1 else n for n, k in zip(s, axes, strict=True)]
    if half and not given:
        lengths[-1] = (shape[axes[-1]] - 1) * 2
    return lengths, axes


def _in_turn(transform: Callable[..., Any], a: Any, lengths: Any, axes: Any, norm: Any) -> Any:
    for n, axis in zip(lengths, axes, strict=True):
        a = transform(a, n, axis, norm)
    return a


def _several(transform: Callable[..., Any], planes: Any) -> Callable[..., Any]:
    def transform_all(a: Any, s: Any = None, axes: Any = planes, norm: Any = None, out: None = None) -> Any:
        del out
        a = as_array(a)
        lengths, axes = _lengths(a.shape, s, axes)
        return _in_turn(transform, a, lengths[::-1], axes[::-1], norm)

    return transform_all


def _several_to_half(planes: Any) -> Callable[..., Any]:
    def transform_all(a: Any, s: Any = None, axes: Any = planes, norm: Any = None, out: None = None) -> Any:
        del out
        a = as_array(a)
        lengths, axes = _lengths(a.shape, s, axes)
        a = rfft(a, lengths[-1], axes[-1], norm)
        return _in_turn(fft, a, lengths[-2::-1], axes[-2::-1], norm)

    return transform_all


def _several_from_half(planes: Any) -> Callable[..., Any]:
    def transform_all(a: Any, s: Any = None, axes: Any = planes, norm: Any = None, out: None = None) -> Any:
        del out
        a = as_array(a)
        lengths, axes = _lengths(a.shape, s, axes, half=True)
        a = _in_turn(ifft, a, lengths[:-1], axes[:-1], norm)
        return irfft(a, lengths[-1], axes[-1], norm)

    return transform_all


PLANE = (-2, -1)
implements(np.fft.fftn)(_several(fft, None))
implements(np.fft.fft2)(_several(fft, PLANE))
implements(np.fft.ifftn)(_several(ifft, None))
implements(np.fft.ifft2)(_several(ifft, PLANE))
implements(np.fft.rfftn)(_several_to_half(None))
implements(np.fft.rfft2)(_several_to_half(PLANE))
implements(np.fft.irfftn)(_several_from_half(None))
implements(np.fft.irfft2)(_several_from_half(PLANE))

# ---- the zero frequency in the middle


def _shifted(sign: int) -> Callable[..., Any]:
    def shift(x: Any, axes: Any = None) -> Any:
        x = as_array(x)
        if axes is None:
            axes = tuple(range(x.ndim))
        axes = axes if np.iterable(axes) else (axes,)
        return np.roll(x, tuple(sign * (x.shape[k] // 2) for k in axes), tuple(axes))

    return shift


implements(np.fft.fftshift)(_shifted(1))
implements(np.fft.ifftshift)(_shifted(-1))
