"""Check a primitive by the laws that tapeflow's own must obey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.errors import StructureError, name_of
from tapeflow.testing.laws import LAWS

__all__ = ["check_primitive"]


def check_primitive(p: Callable[..., Any], *args: Any, skip: Sequence[str] = (), **params: Any) -> None:
    """Check a primitive, or any function of arrays, by the laws that tapeflow's own primitives obey.

    Parameters
    ----------
    p : Primitive or callable
        What is checked; it returns an array or a tuple of arrays.
    *args : array
        A point at which it is smooth. Integers and whatever else is no floating-point array is bound.
    skip : sequence of str
        Laws that do not apply: of ``"primal"`` (the same value every time and with derivatives), ``"jvp"`` (against
        differences), ``"vjp"`` (against the JVP, by the adjoint identity), ``"second"`` (second order, forward and
        reverse over reverse), ``"dtype"`` (the results of single precision are single), ``"layout"`` (non-contiguous
        operands), ``"batch"`` (`vmap` against a loop), ``"mutation"`` (nothing that is passed in is written to).
    **params
        Static parameters of the primitive.

    Raises
    ------
    CheckFailure
        An AssertionError that names the law, the operand, the entry, and both numbers.
    StructureError
        If no argument is a floating-point array.
    ValueError
        If there is no such law.

    Notes
    -----
    An exception that a rule raises is passed on, with a note of the law at which it was raised.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow.testing import check_primitive
    >>> check_primitive(np.arctan2, np.array([1.0, 2.0]), np.array([3.0, -1.0]))
    """
    __tracebackhide__ = True
    unknown = set(skip) - set(LAWS)
    if unknown:
        raise ValueError(f"check_primitive: skip={sorted(unknown)}: the laws are {', '.join(LAWS)}")
    operands = [np.asarray(a) if isinstance(a, (float, complex, list)) else a for a in args]
    name = name_of(p)

    def call(*xs: Any) -> Any:
        return p(*xs, **params)

    for law, check in LAWS.items():
        if law not in skip:
            try:
                check(call, operands, name, **({"strict": True} if law == "dtype" else {}))
            except (AssertionError, StructureError):
                raise
            except Exception as error:
                error.add_note(f"check_primitive: {name}, while the law {law!r} was checked")
                raise
