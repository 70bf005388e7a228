"""Families that are declared when they are first met, because what they import takes longer than all of tapeflow."""

from __future__ import annotations

from importlib import import_module

from tapeflow.core.primitive import LATE

__all__ = ["declare_special"]

SPECIAL = (
    "special",
    "special_bessel",
    "special_distributions",
    "special_elliptic",
    "special_incomplete",
    "special_polynomials",
)


def declare_special() -> None:
    """Declare the ufuncs of scipy.special."""
    for name in SPECIAL:
        import_module(f"tapeflow.ops.{name}")


LATE["scipy.special"] = declare_special
