"""All of NumPy, with replacements for what its protocols cannot see.

Plain ``import numpy as np`` is enough for most programs. ``import tapeflow.numpy as np`` adds: arrays built of traced
scalars (``np.array([x, y])``), filled with them (``np.full(3, x)``) or ranging between them (``np.arange(x)``), and buffers
into which traced values can be written (``np.zeros(3)``). Everything else is NumPy's own.
"""

from tapeflow.numpy import array_api, fft, linalg, polynomial, protocol, random
from tapeflow.numpy.creation import (
    arange,
    array,
    asanyarray,
    asarray,
    asarray_chkfinite,
    ascontiguousarray,
    asfortranarray,
    c_,
    empty,
    empty_like,
    eye,
    fromiter,
    full,
    full_like,
    geomspace,
    identity,
    linspace,
    logspace,
    ones,
    ones_like,
    r_,
    require,
    zeros,
    zeros_like,
)
from tapeflow.numpy.fallback import __dir__ as __dir__
from tapeflow.numpy.fallback import __getattr__ as __getattr__
from tapeflow.numpy.selection import take

__all__ = [
    "arange",
    "array",
    "array_api",
    "asanyarray",
    "asarray",
    "asarray_chkfinite",
    "ascontiguousarray",
    "asfortranarray",
    "c_",
    "empty",
    "empty_like",
    "eye",
    "fft",
    "fromiter",
    "full",
    "full_like",
    "geomspace",
    "identity",
    "linalg",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "polynomial",
    "protocol",
    "r_",
    "random",
    "require",
    "take",
    "zeros",
    "zeros_like",
]
