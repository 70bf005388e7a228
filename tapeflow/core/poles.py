"""Where an infinite slope meets a zero: products that the chain rule leaves open.

``np.where(x > 0, np.log(x), 0)`` has the gradient 0 at 0: no cotangent reaches the logarithm. But ``0 * inf`` is nan, and
a test of every product would cost more than the product. The processor makes that test anyway: NumPy reports it as a
floating-point error. So a sweep runs with those errors caught in a `Trap`, and only an edge that has sprung it is looked
at again.

- A cotangent of exactly zero stays zero, whatever the slope. (A slope that is nan springs no trap. Where something was
  selected, so that there can be such cotangents, the results of a sweep are looked at, and it is repeated warily.)
- A slope of exactly zero stays zero, whatever the cotangent: ``np.sqrt(x * x)`` has the subgradient 0 at 0. That is a
  choice, so it is reported as NumPy reports an invalid value: ``np.errstate(invalid="raise")`` makes it an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.core.tracer import Tracer, anywhere
from tapeflow.errors import SingularPointWarning

__all__ = ["Trap", "at_pole", "has_nan"]


class Trap(list[str]):
    """The floating-point errors since it was last emptied; the user's own settings are kept for `as_user`."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = np.geterr()
        self.settings_call: Any = np.geterrcall()

    def spring(self, kind: str, flag: int) -> None:
        """Note an error; NumPy calls this."""
        self.append(kind)

    def set(self) -> Any:
        """Catch errors for a block."""
        return np.errstate(divide="call", invalid="call", call=self.spring)

    def as_user(self) -> Any:
        """Treat errors as the user wants, for a block."""
        return np.errstate(**self.settings, call=self.settings_call)

    def report(self, text: str) -> None:
        """Report an invalid value that was resolved, as the user wants it."""
        if self.settings["invalid"] == "raise":
            raise FloatingPointError(text)
        if self.settings["invalid"] != "ignore":
            warnings.warn(text, SingularPointWarning, stacklevel=2)


def at_pole(xp: Any, g: Any, function: Callable[..., Any], residuals: tuple[Any, ...], trap: Trap) -> Any:
    """Evaluate the rule of an elementwise operation again, with the products settled that have sprung the trap."""
    with np.errstate(all="ignore"):
        slope = function(xp, xp.ones_like(g), *residuals)
        unreached = _is_zero(g) & ~xp.isfinite(slope)
        flat = (slope == 0) & xp.isinf(g)
    trap.clear()
    with trap.as_user():
        if not anywhere(unreached | flat):
            return function(xp, g, *residuals)
        if anywhere(flat):
            trap.report(
                "an infinite derivative met a factor of zero, as in np.sqrt(x * x) at 0; the product was taken as 0, a "
                "subgradient. np.errstate(invalid='raise') makes this an error"
            )
        # Evaluated elsewhere, not only replaced: the slope's own derivative must not meet the pole either.
        moved = [xp.where(unreached, 1, r) if hasattr(r, "shape") else r for r in residuals]
        return xp.where(unreached | flat, 0, function(xp, xp.where(flat, 0, g), *moved))


def has_nan(g: Any) -> bool:
    """Whether a cotangent, or a tangent of it, is not a number anywhere."""
    while isinstance(g, Tracer):
        tangent = getattr(g, "_tangent", None)
        if tangent is not None and has_nan(tangent):
            return True
        g = g._value
    if isinstance(g, np.ndarray) and g.dtype.char in "fd" and g.flags.c_contiguous:
        g = np.dot(g.reshape(-1), g.reshape(-1))  # not a number if an element is none, and quicker than to ask each
    return g is not None and bool(np.isnan(g).any())


def _is_zero(g: Any) -> Any:
    """Where a cotangent is zero, and its tangents of all levels as well."""
    tangent = getattr(g, "_tangent", None)
    return g == 0 if tangent is None else _is_zero(g._value) & _is_zero(tangent)
