"""``np.emath``: functions of real numbers whose results are complex where there is no real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.core.primitive import implements
from tapeflow.core.tracer import anywhere
from tapeflow.ops.arguments import as_array

__all__ = ["log", "logn", "power", "sqrt"]


def _complex(x: Any) -> Any:
    """The same numbers in the complex dtype of the same precision."""
    return x.astype(np.result_type(x.dtype, np.complex64)) if x.dtype.kind != "c" else x


def _complex_below_zero(x: Any) -> Any:
    x = as_array(x)
    return _complex(x) if x.dtype.kind != "c" and anywhere(x < 0) else x


def _complex_beyond_one(x: Any) -> Any:
    x = as_array(x)
    return _complex(x) if x.dtype.kind != "c" and anywhere(np.abs(x) > 1) else x


def _extended(function: Any, extend: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def emath(x: Any) -> Any:
        return function(extend(x))

    emath.__doc__ = f"Call ``np.{function.__name__}`` on complex numbers if there are any without a real result."
    return emath


sqrt = implements(np.emath.sqrt)(_extended(np.sqrt, _complex_below_zero))
log = implements(np.emath.log)(_extended(np.log, _complex_below_zero))
implements(np.emath.log2)(_extended(np.log2, _complex_below_zero))
implements(np.emath.log10)(_extended(np.log10, _complex_below_zero))
implements(np.emath.arccos)(_extended(np.arccos, _complex_beyond_one))
implements(np.emath.arcsin)(_extended(np.arcsin, _complex_beyond_one))
implements(np.emath.arctanh)(_extended(np.arctanh, _complex_beyond_one))


@implements(np.emath.logn)
def logn(n: Any, x: Any) -> Any:
    """Logarithm to any base."""
    return log(x) / log(n)


@implements(np.emath.power)
def power(x: Any, p: Any) -> Any:
    """Power, complex if a base is negative; negative integers as exponents are taken as floating point."""
    x, p = _complex_below_zero(x), as_array(p)
    return np.power(x, p.astype(np.float64) if p.dtype.kind in "iu" and anywhere(p < 0) else p)
