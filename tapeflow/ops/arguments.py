"""Array arguments as NumPy takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.primitive import Traced

__all__ = ["as_array", "known", "somewhere"]


def as_array(argument: Any) -> Any:
    """Make an array of what a caller may pass for one: an array, a number, or nested lists, also of traced values."""
    if hasattr(argument, "shape"):
        return argument
    if isinstance(argument, (list, tuple)) and any(isinstance(x, Traced) for x in pytree.flatten(argument)[0]):
        return np.stack([as_array(x) for x in argument])
    return np.asarray(argument)


def somewhere(condition: Any) -> bool:
    """Whether a condition may hold for some element; of values that are not known, such as those of a batch, it may."""
    return isinstance(condition, Traced) or bool(np.any(condition))


def known(condition: Any) -> bool:
    """Whether a condition is known to hold for some element, so that it can be warned of or refused."""
    return not isinstance(condition, Traced) and bool(np.any(condition))
