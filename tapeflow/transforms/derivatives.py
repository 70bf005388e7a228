"""Gradients of scalar functions, with JAX's names and order of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from tapeflow.recorders import GradientTape
from tapeflow.transforms._args import Chosen, decorator, scalar_output, split_aux
from tapeflow.transforms._holomorphic import complex_derivative, require_complex
from tapeflow.transforms._results import outward, pull

__all__ = ["grad", "value_and_grad"]


@decorator
def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the value of `fun` together with its gradient.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar, or a pair of one and anything if `has_aux`. Without it a decorator
        is returned: ``@value_and_grad(has_aux=True)``.
    argnums : int or sequence of int
        Positions of the arguments to differentiate, counted from the end if negative; each a pytree of floating-point
        arrays (of a `Variable` its value). Leaves that are static by nature (``None``, booleans, strings, functions,
        types, ...) are left alone.
    has_aux : bool
        Whether `fun` returns auxiliary output beside the scalar.
    holomorphic : bool
        Whether `fun` is a holomorphic function of complex arguments, so that it has a complex derivative.

    Returns
    -------
    callable
        With the arguments of `fun`; returns ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient has
        the structure, shapes and dtypes of the chosen argument (a tuple for several), zeros where nothing depends on
        it, and static leaves unchanged. For complex arguments it is the direction of steepest ascent; if `holomorphic`
        it is the derivative df/dz.

    Raises
    ------
    TargetError
        If the result is no real scalar (complex, if `holomorphic`); if `holomorphic`, and the function is not.
    NotDifferentiableError
        If a leaf of a chosen argument is no floating-point array (complex, if `holomorphic`) and not static, or all are
        static; if it is an object of a class that is not registered (`tapeflow.pytree.register`).
    StructureError
        If `argnums` does not fit the arguments.

    Notes
    -----
    With ``holomorphic=True`` the Cauchy-Riemann equations are checked at the point: the imaginary part of the result is
    differentiated too, so the sweep runs twice (the function once).

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import value_and_grad
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 3.0]))
    (np.float64(10.0), array([2., 6.]))
    >>> value_and_grad(lambda z: z**3, holomorphic=True)(1j)
    (np.complex128(-0-1j), np.complex128(-3+0j))
    """
    both = _differentiated(fun, argnums, has_aux, holomorphic, "value_and_grad")

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        tape, value, aux, gradient = both(args, kwargs)
        value = outward(value, tape)
        return ((value, outward(aux, tape)), gradient) if has_aux else (value, gradient)

    return transformed


@decorator
def grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the gradient of `fun`.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic
        As for `value_and_grad`. Without `fun` a decorator is returned: ``@grad(argnums=1)``.

    Returns
    -------
    callable
        With the arguments of `fun`; returns the gradient, or ``(gradient, aux)``.

    Raises
    ------
    TargetError, NotDifferentiableError, StructureError
        As for `value_and_grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import grad
    >>> grad(np.sin)(0.0)
    np.float64(1.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    >>> @grad(argnums=1)
    ... def slope(x, params):
    ...     return x * params["w"] ** 2
    >>> slope(2.0, {"w": 3.0, "name": "first"})
    {'w': np.float64(12.0), 'name': 'first'}
    """
    both = _differentiated(fun, argnums, has_aux, holomorphic, "grad")

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        tape, _, aux, gradient = both(args, kwargs)
        return (gradient, outward(aux, tape)) if has_aux else gradient

    return transformed


def _differentiated(
    fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, holomorphic: bool, name: str
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[GradientTape, Any, Any, Any]]:
    """What value_and_grad and grad have in common: tape, value and auxiliary output still traced, gradient."""

    def both(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[GradientTape, Any, Any, Any]:
        chosen = Chosen(fun, args, argnums)
        with GradientTape(persistent=holomorphic, watch_accessed_variables=False) as tape:
            watched = chosen.watch(tape)
            value, aux = split_aux(fun, chosen.call(watched, kwargs), has_aux)
        if holomorphic:
            require_complex(watched, chosen, name)
        scalar_output(fun, value, name, holomorphic)
        pulled = complex_derivative(tape, value, watched, chosen, name) if holomorphic else pull(tape, [value], watched)
        return tape, value, aux, chosen.fill(pulled)

    return both
