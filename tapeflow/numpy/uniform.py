"""With ``SCIPY_ARRAY_API=1``, truth values and integers that come of traced values are of their namespace too.

Otherwise comparisons and the like give plain arrays. SciPy and scikit-learn refuse arrays of two namespaces, and in code
such as ``apply_where(x > 0, x, f)`` the mask meets the values again. Both want this variable set before they compute in
another namespace at all, so it is the switch here as well. What differs for other code: a mask or an index is a traced
constant, which converts freely, but is no ``numpy.ndarray`` and cannot be a key of a dict.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from tapeflow.core import forward, wengert
from tapeflow.core.primitive import FUNCTIONS, Traced
from tapeflow.core.rules import call_plainly
from tapeflow.core.tracer import Tracer, plain

__all__ = ["KINDS", "install"]

UNIFORM = os.environ.get("SCIPY_ARRAY_API", "0") not in ("", "0", "false", "False")
KINDS = "fciub" if UNIFORM else "fc"  # dtypes of which constants are made


def _is_array(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in KINDS


def _lifted(like: Any, out: Any) -> Any:
    """A plain result as a constant of the level of an argument."""
    if isinstance(out, tuple):
        return tuple(_lifted(like, part) for part in out)
    return like._lift(out) if _is_array(out) and not isinstance(out, Traced) else out


def _innermost(args: Any) -> Any:
    found = [
        a for part in args for a in (part if isinstance(part, (list, tuple)) else (part,)) if isinstance(a, Traced)
    ]
    return max(found, key=lambda a: a._level, default=None)


def _call_lifted(plainly: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    out = plainly(*args, **kwargs)
    like = _innermost(args)
    return out if like is None else _lifted(like, out)


def _constants(wengert_list: Any, out: Any) -> Any:
    """What `tapeflow.core.wengert.constants` gives, for arrays of every kind."""
    if isinstance(out, tuple):
        return tuple(_constants(wengert_list, part) for part in out)
    if not wengert_list.entered or not _is_array(out):
        return out
    return wengert.handle(out, wengert_list, wengert.CONSTANT)


def _operator(function: Callable[..., Any], swapped: bool) -> Callable[..., Any]:
    def on_constants(self: Any, *other: Any) -> Any:
        operands = [plain(self), *map(plain, other)]
        return self._lift(function(*(operands[::-1] if swapped else operands)))

    return on_constants


def install() -> None:
    """Turn it on, once all functions are declared; there is no way back."""
    for function, ours in list(FUNCTIONS.items()):
        if isinstance(ours, partial) and ours.func is call_plainly:
            FUNCTIONS[function] = partial(_call_lifted, ours)
    for name in ("and", "or", "xor", "lshift", "rshift"):
        function = getattr(operator, f"__{name}__")
        setattr(Tracer, f"__{name}__", _operator(function, swapped=False))
        setattr(Tracer, f"__r{name}__", _operator(function, swapped=True))
    setattr(Tracer, "__invert__", _operator(operator.invert, swapped=False))  # noqa: B010  # for mypy
    wengert.constants = _constants
    forward.is_inexact = _is_array
