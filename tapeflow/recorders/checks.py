"""Checks of what users hand to tapes and accumulators, with messages that name the place."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.errors import NotDifferentiableError, SeedError, SeedTypeError, TapeStateError, UnconnectedError

__all__ = [
    "check_unconnected",
    "differentiable",
    "errors_are_quiet",
    "fit_seed",
    "no_copy",
    "require_paths",
    "seed_for",
]


def check_unconnected(choice: Any) -> str:
    """Say what stands for a source without a path; accepts an enum whose value is one of the three words."""
    word = getattr(choice, "value", choice)
    if word not in ("none", "zero", "raise"):
        raise ValueError(f"unconnected_gradients={choice!r}: expected 'none', 'zero' or 'raise'")
    return str(word)


def require_paths(found: Sequence[Any], followed: Sequence[bool], paths: Sequence[object]) -> None:
    """Raise for the first source that nothing leads to."""
    for g, f, path in zip(found, followed, paths, strict=True):
        if g is None:
            why = (
                "it is watched, but no target was computed from it by recorded operations; a cast to integers, a "
                "comparison, stop_gradient, x.numpy() and stop_recording cut a path"
                if f
                else "this tape does not follow it: it was watched by another one, or computed from constants, outside of "
                "the block or while recording was paused"
            )
            raise UnconnectedError(f"there is no path from {path} to the target: {why}")


def differentiable(value: Any, path: object) -> Any:
    """Return a value with respect to which a derivative can be taken, Python numbers as array scalars.

    Raises
    ------
    NotDifferentiableError
        If it is no floating-point array; names the type or dtype, the position and the way out.
    """
    if isinstance(value, (float, complex)) and not isinstance(value, np.generic):
        value = np.asarray(value)[()]
    backend = backend_for(value)
    if not isinstance(value, Traced) and backend is None:
        raise NotDifferentiableError(
            f"{path} is of type {type(value).__name__}; expected an array (or scalar) of real or complex floats"
        )
    if value.dtype.kind not in "fc":
        raise NotDifferentiableError(
            f"{path} has dtype {value.dtype}, which has no derivative; convert it first: x.astype(float)"
        )
    return backend.guard(value) if backend is not None else value


def fit_seed(seed: Any, like: Any, path: object, rows: int | None = None) -> Any:
    """Check an output gradient or tangent against the value it belongs to, and convert its dtype.

    Returns ``None`` for ``None``. A batch of seeds has `rows` of them along an axis in front.

    Raises
    ------
    SeedError
        If the shape differs (exactly: nothing is broadcast), or a complex seed is given for a real value.
    """
    if seed is None:
        return None
    if not isinstance(seed, Traced):
        if backend_for(seed) is None:
            seed = np.asarray(seed)
        if seed.dtype.kind not in "fciub":
            raise SeedTypeError(f"{path} has dtype {seed.dtype}; expected numbers")
    shape = like.shape if rows is None else (rows, *like.shape)
    if seed.shape != shape:
        batch = "" if rows is None else f" (and there are {rows} rows)"
        raise SeedError(f"{path} has shape {seed.shape}, but the value it belongs to has shape {like.shape}{batch}")
    if seed.dtype.kind == "c" and like.dtype.kind != "c":
        raise SeedTypeError(f"{path} is complex ({seed.dtype}), but the value it belongs to is real ({like.dtype})")
    # A copy even where the dtype fits: what comes back must not share memory with what the caller gave.
    return seed.astype(like.dtype)


def seed_for(seed: Any, target: Any, path: pytree.Path) -> Any:
    """The seed of a target, checked; a complex target needs one."""
    if seed is None and target.dtype.kind == "c":
        raise SeedTypeError(
            f"{path} is complex, so its gradient needs output_gradients (or take np.real or np.abs first)"
        )
    return fit_seed(seed, target, path.renamed("output_gradients"))


def no_copy(self: Any, *args: Any) -> NoReturn:
    """Refuse to copy or pickle a recorder."""
    raise TapeStateError(f"a {type(self).__name__} cannot be copied or pickled: what it recorded belongs to it alone")


def errors_are_quiet() -> bool:
    """Whether rules cannot raise floating-point errors; if they can, a failed sweep must leave the list whole."""
    for action, message, category, module, _ in warnings.filters:
        if issubclass(RuntimeWarning, category):
            if action == "error":
                return False
            if message is None and module is None:
                break  # this one hides all that follow
    return not {"raise", "call"} & set(np.geterr().values())
