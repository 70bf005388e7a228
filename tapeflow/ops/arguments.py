"""Array arguments as NumPy takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.primitive import Traced

__all__ = ["as_array"]


def as_array(argument: Any) -> Any:
    """Make an array of what a caller may pass for one: an array, a number, or nested lists, also of traced values."""
    if hasattr(argument, "shape"):
        return argument
    if isinstance(argument, (list, tuple)) and any(isinstance(x, Traced) for x in pytree.flatten(argument)[0]):
        return np.stack([as_array(x) for x in argument])
    return np.asarray(argument)
