"""What `tapeflow.numpy` does not replace is NumPy's, looked up when it is asked for. Its array API is open in the same way.

By look-up, so that a name that a later NumPy adds is there, and that importing stays as cheap as importing NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tapeflow.numpy as ours

__all__ = ["__dir__", "__getattr__"]


def __getattr__(name: str) -> Any:
    """Return NumPy's attribute."""
    if (
        name.startswith("__") and name not in np.__all__ and name != "__version__"
    ):  # what modules are asked for: not NumPy's
        raise AttributeError(f"module 'tapeflow.numpy' has no attribute {name!r}")
    if name in ours.__all__:  # asked of the array API, which stands below
        return getattr(ours, name)
    try:
        return getattr(np, name)
    except AttributeError:
        raise AttributeError(f"neither tapeflow.numpy nor numpy has an attribute {name!r}") from None


def __dir__() -> list[str]:
    """All public names: NumPy's and ours."""
    return sorted({*dir(np), *ours.__all__})
