"""What all transforms need of their arguments: which to differentiate, and what they must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.errors import StructureError, TargetError

__all__ = ["is_value", "pick", "put", "scalar_output"]


def pick(args: tuple[Any, ...], argnums: int | Sequence[int]) -> Any:
    """Return the arguments to differentiate: one, or a tuple.

    Raises
    ------
    StructureError
        If there is no such argument.
    """
    if isinstance(argnums, int):
        return args[_position(argnums, args)]
    return tuple(args[_position(k, args)] for k in argnums)


def put(args: tuple[Any, ...], argnums: int | Sequence[int], chosen: Any) -> list[Any]:
    """Return all arguments with the chosen ones replaced."""
    new = list(args)
    for k, value in [(argnums, chosen)] if isinstance(argnums, int) else zip(argnums, chosen, strict=True):
        new[_position(k, args)] = value
    return new


def _position(k: int, args: tuple[Any, ...]) -> int:
    if not -len(args) <= k < len(args):
        raise StructureError(
            f"argnums={k}, but the function was called with {len(args)} positional argument(s); arguments to "
            "differentiate must be given by position"
        )
    return k % len(args)


def is_value(x: Any) -> bool:
    """Say whether something is an array or a traced value."""
    return isinstance(x, Traced) or backend_for(x) is not None


def scalar_output(function: Callable[..., Any], out: Any, name: str) -> None:
    """Check that the result of a function is a real scalar.

    Raises
    ------
    TargetError
        If it is not; says the way out.
    """
    what = getattr(function, "__name__", "the function")
    if not is_value(out) and not isinstance(out, (int, float)):
        raise TargetError(f"{name}: {what} returned a {type(out).__name__}; expected a scalar array (or has_aux=True)")
    shape = getattr(out, "shape", ())
    if shape != ():
        raise TargetError(
            f"{name}: {what} returned an array of shape {shape}; a gradient needs a scalar. Reduce it with np.sum, or "
            "use jacobian, or vjp with a cotangent"
        )
    if getattr(out, "dtype", None) is not None and out.dtype.kind == "c":
        raise TargetError(
            f"{name}: {what} returned a complex scalar; take np.real or np.abs, or use vjp with a cotangent"
        )
