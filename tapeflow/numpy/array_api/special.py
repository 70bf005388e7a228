"""An extension ``special``, which the standard does not have yet, but for which SciPy looks.

With ``SCIPY_ARRAY_API=1`` the functions of `scipy.special` convert what is not NumPy's, unless its namespace brings them
along: https://github.com/data-apis/array-api/issues/725. SciPy's own ufuncs do, since they dispatch on traced values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.primitive import FUNCTIONS

# What SciPy can also write in terms of the standard's functions, which it does if the namespace has no such name.
GENERIC = {"betaincc", "chdtr", "chdtrc", "rel_entr", "stdtr", "stdtrit", "xlogy"}

__all__ = ["__dir__", "__getattr__"]


def __getattr__(name: str) -> Any:
    """Return SciPy's ufunc of that name, without what SciPy wraps around it."""
    import scipy.special  # when it is asked for: importing tapeflow alone must not take the time

    function = getattr(scipy.special, name, None)
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, np.ufunc) or (name in GENERIC and function not in FUNCTIONS):
        raise AttributeError(f"scipy.special has no ufunc {name!r}")
    return function


def __dir__() -> list[str]:
    """Names of the ufuncs."""
    import scipy.special

    return [n for n in dir(scipy.special) if isinstance(getattr(scipy.special, n), np.ufunc)]
