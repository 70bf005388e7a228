"""Functions of functions: gradients and products with Jacobians, with JAX's names and order of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from tapeflow import pytree
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import SeedError
from tapeflow.recorders import ForwardAccumulator, GradientTape
from tapeflow.transforms._args import pick, put, scalar_output

__all__ = ["grad", "hvp", "jvp", "stop_gradient", "value_and_grad", "vjp"]


def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the value of `fun` together with its gradient.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar, or a pair of one and anything if `has_aux`.
    argnums : int or sequence of int
        Positions of the arguments to differentiate; each a pytree of floating-point arrays.
    has_aux : bool
        Whether `fun` returns auxiliary output beside the scalar.

    Returns
    -------
    callable
        With the arguments of `fun`; returns ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient has
        the structure, shapes and dtypes of the chosen argument (a tuple for several), zeros where nothing depends on
        it. For complex arguments it is the direction of steepest ascent.

    Raises
    ------
    TargetError
        If the result is no real scalar.
    NotDifferentiableError
        If a chosen argument is no floating-point array.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import value_and_grad
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 3.0]))
    (np.float64(10.0), array([2., 6.]))
    """

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        with GradientTape() as tape:
            chosen = tape.watch(pick(args, argnums))
            out = fun(*put(args, argnums, chosen), **kwargs)
        value, aux = _split_aux(out) if has_aux else (out, None)
        scalar_output(fun, value, "value_and_grad")
        gradient = _gradient(tape, value, chosen)
        value = _outward(value, tape)
        return ((value, _outward(aux, tape)), gradient) if has_aux else (value, gradient)

    return transformed


def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the gradient of `fun`.

    Parameters
    ----------
    fun, argnums, has_aux
        As for `value_and_grad`.

    Returns
    -------
    callable
        With the arguments of `fun`; returns the gradient, or ``(gradient, aux)``.

    Raises
    ------
    TargetError, NotDifferentiableError
        As for `value_and_grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import grad
    >>> grad(np.sin)(0.0)
    np.float64(1.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """
    both = value_and_grad(fun, argnums, has_aux=has_aux)

    @wraps(fun)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Evaluate a function, and return with its value the function that pulls cotangents back.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated.
    has_aux : bool
        Whether `fun` returns auxiliary output.

    Returns
    -------
    value : pytree of array
        ``fun(*primals)``.
    pullback : callable
        Takes a cotangent of the structure of the value, as often as wanted; returns a tuple with the structure of
        `primals`.
    aux : Any
        Only if `has_aux`.

    Raises
    ------
    NotDifferentiableError
        If a primal is no floating-point array.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import vjp
    >>> y, pullback = vjp(np.multiply, 2.0, 5.0)
    >>> pullback(1.0)
    (np.float64(5.0), np.float64(2.0))
    """
    with GradientTape(persistent=True) as tape:
        watched = tape.watch(primals)
        out = fun(*watched)
    out, aux = _split_aux(out) if has_aux else (out, None)

    def pullback(cotangent: Any) -> Any:
        leaves, spec = pytree.flatten(out)
        seeds, seed_spec = pytree.flatten(cotangent)
        if seed_spec != spec:
            raise SeedError(f"the cotangent has the structure {seed_spec}, the value has {spec}")
        known = [(y, s) for y, s in zip(leaves, seeds, strict=True) if isinstance(y, Traced)]
        return tape.gradient([y for y, _ in known], watched, [s for _, s in known], "zero")

    value = _outward(out, tape)
    return (value, pullback, _outward(aux, tape)) if has_aux else (value, pullback)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """Evaluate a function, and its derivative in one direction, in one forward pass.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    primals, tangents : sequence of pytree of array
        Arguments of `fun`, and the direction: same structure and shapes.
    has_aux : bool
        Whether `fun` returns auxiliary output.

    Returns
    -------
    value, tangent : pytree of array
        ``fun(*primals)`` and its directional derivative, of the same structure.
    aux : Any
        Only if `has_aux`.

    Raises
    ------
    NotDifferentiableError, SeedError, StructureError
        If primals or tangents do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jvp
    >>> jvp(np.multiply, (2.0, 5.0), (1.0, 0.0))
    (np.float64(10.0), np.float64(5.0))
    """
    with ForwardAccumulator(tuple(primals), tuple(tangents)) as accumulator:
        out = fun(*accumulator.primals)
    out, aux = _split_aux(out) if has_aux else (out, None)
    tangent = accumulator.jvp(out, "zero")
    value = _outward(out, accumulator)
    return (value, tangent, _outward(aux, accumulator)) if has_aux else (value, tangent)


def hvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Multiply the Hessian of a scalar function by a vector, forward over reverse.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    primals, tangents : sequence of pytree of array
        Arguments of `fun`, and the vector: same structure and shapes.

    Returns
    -------
    pytree
        A tuple with the structure of `primals`; for a single argument its structure alone.

    Raises
    ------
    TargetError, NotDifferentiableError, SeedError, StructureError
        As for `grad` and `jvp`.

    Notes
    -----
    The directional derivative of the gradient (Baydin et al., arXiv 1502.05767, section 3.3): a small multiple of the
    cost of a gradient, without the Hessian.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hvp
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), primals, tangents)[1]


def stop_gradient(tree: Any) -> Any:
    """Return the same values, as constants: no derivative flows through them.

    Parameters
    ----------
    tree : pytree
        Traced leaves become constants of their own level; other leaves are returned as they are.

    Returns
    -------
    pytree
        The same structure.

    Examples
    --------
    >>> from tapeflow import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return pytree.map_leaves(_stopped, tree)


def _stopped(x: Any) -> Any:
    return x._lift(_stopped(x._value)) if isinstance(x, Tracer) else x


def _split_aux(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"has_aux=True: the function must return a pair (value, aux), not {type(out).__name__}")
    return out


def _gradient(tape: GradientTape, value: Any, chosen: Any) -> Any:
    # A result that is no traced value does not depend on the arguments: zeros for all of them.
    return tape.gradient([value] if isinstance(value, Traced) else [], chosen, unconnected_gradients="zero")


def _outward(tree: Any, recorder: Any) -> Any:
    """Results as values of the level outside a recorder."""

    def outward(x: Any) -> Any:
        while isinstance(x, Tracer) and x._level >= recorder.level and not recorder_shares(x, recorder):
            x = x._value
        return x

    return pytree.map_leaves(outward, tree)


def recorder_shares(x: Any, recorder: Any) -> bool:
    """Whether a value is on a list on which other tapes still record, so that it must stay a handle."""
    return isinstance(recorder, GradientTape) and x._level == recorder.level and recorder.shares_list
