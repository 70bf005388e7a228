"""Dense Jacobians and Hessians of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.primitive import Traced
from tapeflow.recorders import GradientTape
from tapeflow.transforms._args import is_value, pick, put
from tapeflow.transforms.derivatives import grad

__all__ = ["hessian", "jacobian"]


def jacobian(fun: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `fun`, by a reverse sweep for each element of its result.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of real arrays.
    argnums : int or sequence of int
        Positions of the arguments to differentiate; each a pytree of floating-point arrays.

    Returns
    -------
    callable
        With the arguments of `fun`; returns the structure of the result, with in place of each leaf the structure of
        the chosen argument (a tuple for several), of shape ``result.shape + argument.shape``.

    Raises
    ------
    NotDifferentiableError
        If a chosen argument is no floating-point array.
    SeedTypeError
        If a result is complex.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacobian
    >>> jacobian(lambda x: np.stack([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        with GradientTape() as tape:
            chosen = tape.watch(pick(args, argnums))
            out = fun(*put(args, argnums, chosen), **kwargs)
        leaves, spec = pytree.flatten(out)
        blocks = iter(tape.jacobian([y for y in leaves if isinstance(y, Traced)], chosen, "zero"))
        return pytree.unflatten(
            spec, [next(blocks) if isinstance(y, Traced) else _zero_block(y, chosen) for y in leaves]
        )

    return transformed


def _zero_block(result: Any, chosen: Any) -> Any:
    """The Jacobian of a result that does not depend on the arguments."""
    if not is_value(result) and not isinstance(result, (int, float)):
        raise TypeError(f"jacobian: the function returned a {type(result).__name__}; expected arrays")
    return pytree.map_leaves(lambda x: np.zeros((*np.shape(result), *x.shape), x.dtype), chosen)


def hessian(fun: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Make a function that returns the Hessian of a scalar function: the Jacobian of its gradient.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    argnums : int or sequence of int
        Positions of the arguments to differentiate.

    Returns
    -------
    callable
        With the arguments of `fun`; returns for an array of shape ``s`` an array of shape ``s + s``, for a pytree a
        tree of trees of such blocks.

    Raises
    ------
    TargetError, NotDifferentiableError
        As for `grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(fun, argnums), argnums)
