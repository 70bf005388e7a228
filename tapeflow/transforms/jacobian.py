"""Dense Jacobians and Hessians of functions, in batched passes of either mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from tapeflow.recorders.chunks import Chunks
from tapeflow.transforms._args import decorator
from tapeflow.transforms._blocks import Blocks
from tapeflow.transforms.derivatives import grad

__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]


@decorator
def jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    memory_budget: int | None = None,
    progress: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `fun`, in the mode that takes fewer passes.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    argnums : int or sequence of int
        Positions of the arguments to differentiate; each a pytree of floating-point arrays.
    has_aux : bool
        Whether `fun` returns auxiliary output.
    holomorphic : bool
        Whether `fun` is a complex-differentiable function of complex arguments.
    chunk_size : int, optional
        How many rows (or columns) are computed in one batched pass; if not given, as many as a cache holds.
    memory_budget : int, optional
        Bytes for one pass, in place of `chunk_size`; 256 MiB by default.
    progress : bool
        Whether to show a progress bar; needs `tqdm`.

    Returns
    -------
    callable
        With the arguments of `fun`; returns the structure of the result, with in place of each leaf the structure of
        the chosen argument (a tuple for several), of shape ``result.shape + argument.shape``. With `has_aux`, a pair of
        that and the auxiliary output.

    Raises
    ------
    NotDifferentiableError
        If a chosen argument is no floating-point array.
    SeedTypeError
        If arguments are complex, without `holomorphic`.
    TargetError
        If a result is no array.

    Notes
    -----
    Forward mode takes a pass for each element of the arguments, reverse mode for each element of the result. The
    function is evaluated to learn the size of the result, and again if forward mode is the better one.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacobian
    >>> jacobian(lambda x: np.stack([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    chunks = Chunks("jacobian", chunk_size, memory_budget, True, progress)
    return _transformed("jacobian", fun, argnums, has_aux, holomorphic, chunks)


@decorator
def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    memory_budget: int | None = None,
    progress: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `fun`, column by column in forward mode.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, chunk_size, memory_budget, progress
        As for `jacobian`.

    Returns
    -------
    callable
        As for `jacobian`.

    Raises
    ------
    NotDifferentiableError, SeedTypeError, TargetError
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacfwd
    >>> jacfwd(lambda t: np.stack([np.cos(t), np.sin(t)]))(0.0)
    array([-0.,  1.])
    """
    chunks = Chunks("jacfwd", chunk_size, memory_budget, True, progress)
    return _transformed("jacfwd", fun, argnums, has_aux, holomorphic, chunks)


@decorator
def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    memory_budget: int | None = None,
    progress: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `fun`, row by row in reverse mode.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, chunk_size, memory_budget, progress
        As for `jacobian`. Arguments may be complex where results are real; then a row is the direction of steepest
        ascent of that element.

    Returns
    -------
    callable
        As for `jacobian`.

    Raises
    ------
    NotDifferentiableError, TargetError
        As for `jacobian`.
    SeedTypeError
        If a result is complex, without `holomorphic`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacrev
    >>> jacrev(lambda x: np.sum(x**2))(np.array([2.0, 3.0]))
    array([4., 6.])
    """
    chunks = Chunks("jacrev", chunk_size, memory_budget, True, progress)
    return _transformed("jacrev", fun, argnums, has_aux, holomorphic, chunks)


@decorator
def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    memory_budget: int | None = None,
    progress: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the Hessian of a scalar function, forward over reverse.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar (a complex one if `holomorphic`), or a pair if `has_aux`.
    argnums, has_aux, holomorphic, chunk_size, memory_budget, progress
        As for `jacobian`.

    Returns
    -------
    callable
        With the arguments of `fun`; returns the structure of the chosen argument, with in place of each leaf that
        structure again, of shape ``leaf.shape + other.shape``. For several arguments a tuple of tuples.

    Raises
    ------
    TargetError
        If the result is no scalar.
    NotDifferentiableError, SeedTypeError
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    gradient = grad(fun, argnums, has_aux=has_aux, holomorphic=holomorphic)
    chunks = Chunks("hessian", chunk_size, memory_budget, True, progress)
    return _transformed("hessian", gradient, argnums, has_aux, holomorphic, chunks)


def _transformed(
    what: str,
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    chunks: Chunks,
) -> Callable[..., Any]:
    mode = {"jacobian": Blocks.shorter, "jacrev": Blocks.reverse}.get(what, Blocks.forward)

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = Blocks(what, fun, argnums, args, kwargs, has_aux=has_aux, holomorphic=holomorphic, chunks=chunks)
        blocks = mode(call)
        return (blocks, call.aux) if has_aux else blocks

    return transformed
