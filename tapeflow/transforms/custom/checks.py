"""What rules of users return, checked against what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.errors import RuleError

__all__ = ["as_outputs", "fitted", "meta", "spread_over"]


def meta(x: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of an array or traced value."""
    return tuple(x.shape), x.dtype


def fitted(value: Any, shape: tuple[int, ...], dtype: Any, what: str, *, broadcasts: bool = False) -> Any:
    """Check the shape and dtype of what a rule returned, and convert it among reals or among complex numbers.

    Returns ``None`` for ``None``. With `broadcasts` the value may have any shape that goes with the one expected.

    Raises
    ------
    RuleError
        If it does not fit: says what was expected and what was found.
    """
    if value is None:
        return None
    if not isinstance(value, Traced) and backend_for(value) is None:
        value = np.asarray(value)
    if value.dtype.kind not in "fciub":
        raise RuleError(f"{what}: expected an array of shape {shape} and dtype {dtype}, or None; found {value!r:.60}")
    if tuple(value.shape) != shape and not (broadcasts and _goes_with(tuple(value.shape), shape)):
        raise RuleError(f"{what}: expected shape {shape}, found {tuple(value.shape)}")
    if value.dtype.kind == "c" and dtype.kind != "c":
        raise RuleError(
            f"{what}: expected the real dtype {dtype}, found {value.dtype}; take xp.real of it if that is meant"
        )
    return value if value.dtype == dtype else value.astype(dtype)


def _goes_with(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(shape, other)
    except ValueError:
        return False
    return True


def as_outputs(out: Any, count: int, single: bool, what: str) -> list[Any]:
    """The tangents that a JVP rule returned, one for each output.

    Raises
    ------
    RuleError
        If there are too few or too many.
    """
    if single:
        if isinstance(out, (tuple, list)):
            raise RuleError(f"{what}: expected one array, found a {type(out).__name__} of {len(out)}")
        return [out]
    if out is None:
        return [None] * count
    if not isinstance(out, (tuple, list)) or len(out) != count:
        found = f"{len(out)}" if isinstance(out, (tuple, list)) else f"a {type(out).__name__}"
        raise RuleError(f"{what}: expected a tuple of {count} tangents, one for each output, found {found}")
    return list(out)


def spread_over(value: Any, spec: Any, what: str) -> list[Any]:
    """The leaves of what a rule returned for an argument of a structure; ``None`` stands for all of them.

    Raises
    ------
    RuleError
        If the structure is another one.
    """
    if value is None:
        return [None] * spec.num_leaves
    leaves, found = pytree.flatten(value)
    if found != spec:
        raise RuleError(f"{what}: {pytree.mismatch(spec, found, 'the result')}")
    return leaves
