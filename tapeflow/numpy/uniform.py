"""With ``SCIPY_ARRAY_API=1``, truth values and integers that come of traced values are of their namespace too.

Otherwise comparisons and the like give plain arrays. SciPy and scikit-learn refuse arrays of two namespaces, and in code
such as ``apply_where(x > 0, x, f)`` the mask meets the values again. Both want this variable set before they compute in
another namespace at all, so it is the switch here as well. What differs for other code: a mask or an index is a traced
constant, which converts freely, but is no ``numpy.ndarray`` and cannot be a key of a dict.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from tapeflow.core import wengert
from tapeflow.core.primitive import FUNCTIONS, Traced
from tapeflow.core.rules import call_plainly

__all__ = ["UNIFORM", "install"]

UNIFORM = os.environ.get("SCIPY_ARRAY_API", "0") not in ("", "0", "false", "False")


def _lifted(like: Any, out: Any) -> Any:
    """A plain result as a constant of the level of an argument."""
    if isinstance(out, tuple):
        return tuple(_lifted(like, part) for part in out)
    return like._lift(out) if wengert.makes_constant(out) and not isinstance(out, Traced) else out


def _innermost(args: Any) -> Any:
    found = [
        a for part in args for a in (part if isinstance(part, (list, tuple)) else (part,)) if isinstance(a, Traced)
    ]
    return max(found, key=lambda a: a._level, default=None)


def _call_lifted(plainly: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    out = plainly(*args, **kwargs)
    like = _innermost(args)
    return out if like is None else _lifted(like, out)


def install() -> None:
    """Turn it on, once all functions are declared; there is no way back."""
    wengert.CONSTANT_KINDS.update("iub")
    for function, ours in list(FUNCTIONS.items()):
        if isinstance(ours, partial) and ours.func is call_plainly:
            FUNCTIONS[function] = partial(_call_lifted, ours)
