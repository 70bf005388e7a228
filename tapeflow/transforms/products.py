"""Products of vectors with Jacobians and Hessians, with JAX's names and order of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.errors import NotDifferentiableError, SeedError, SeedTypeError, StructureError
from tapeflow.recorders import ForwardAccumulator, GradientTape
from tapeflow.recorders.checks import fit_seed
from tapeflow.transforms._args import Chosen, scalar_output, split_aux
from tapeflow.transforms._leaves import Partition, as_array, distinct
from tapeflow.transforms._results import output, outward, pull, watch

__all__ = ["hvp", "jvp", "require_arguments", "vhp", "vjp"]


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, operator: bool = False) -> tuple[Any, ...]:
    """Evaluate a function, and return with its value the function that pulls cotangents back.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated, but for their static leaves.
    has_aux : bool
        Whether `fun` returns auxiliary output.
    operator : bool
        Whether to return the pullback as a `scipy.sparse.linalg.LinearOperator` on vectors, of the shape (elements of the
        primals, elements of the value): the adjoint ``J.H`` of `jacobian_operator`, under whose conditions.

    Returns
    -------
    value : pytree of array
        ``fun(*primals)``.
    pullback : callable, or LinearOperator
        Takes a cotangent of the structure, shapes and dtypes of the value (in place of a static leaf the same or
        ``None``), as often as wanted; returns a tuple with the structure of `primals`.
    aux : Any
        Only if `has_aux`.

    Raises
    ------
    NotDifferentiableError
        If a primal is no floating-point array.
    TargetError
        If a result is no array.
    SeedError
        By the pullback, if a cotangent does not fit; names the leaf.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import vjp
    >>> y, pullback = vjp(np.multiply, 2.0, 5.0)
    >>> pullback(1.0)
    (np.float64(5.0), np.float64(2.0))
    >>> import numpy as np
    >>> value, adjoint = vjp(lambda x: x[:2] * x[2], np.array([1.0, 2.0, 3.0]), operator=True)
    >>> adjoint @ np.array([1.0, 1.0])
    array([3., 3., 3.])
    """
    if operator:
        from tapeflow.transforms.linearize import linearize  # which needs this module

        value, jacobian, *rest = linearize(fun, *primals, has_aux=has_aux, operator=True)
        return (value, jacobian.H, *rest)
    chosen = _all(fun, primals)
    with GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        watched = chosen.watch(tape)
        out, aux = split_aux(fun, chosen.call(watched, {}), has_aux)
    outputs = output(fun, out, "vjp")

    def pullback(cotangent: Any) -> Any:
        seeds = outputs.split(cotangent, "cotangent", "value", SeedError)
        _check(seeds, outputs.leaves, outputs, "cotangent")
        filled = chosen.fill(pull(tape, outputs.leaves, watched, seeds))
        return (filled,) if chosen.single else filled

    value = outward(out, tape, reused=True)
    return (value, pullback, outward(aux, tape, reused=True)) if has_aux else (value, pullback)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """Evaluate a function, and its derivative in one direction, in one forward pass.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    primals, tangents : sequence of pytree of array
        Arguments of `fun`, and the direction: same structure and shapes. ``None`` for a tangent is zero; in place of a
        static leaf the same is repeated, or ``None``.
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
        If primals or tangents do not fit; names the leaf.
    TargetError
        If a result is no array.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jvp
    >>> jvp(np.multiply, (2.0, 5.0), (1.0, 0.0))
    (np.float64(10.0), np.float64(5.0))
    """
    chosen, accumulator = _forward(fun, primals, tangents, "jvp")
    with accumulator:
        out, aux = split_aux(fun, chosen.call(_twins(accumulator, chosen), {}), has_aux)
    outputs = output(fun, out, "jvp")
    tangent = outputs.fill(_tangents(accumulator, outputs.leaves))
    value = outward(out, accumulator)
    return (value, tangent, outward(aux, accumulator)) if has_aux else (value, tangent)


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
    chosen, accumulator = _forward(fun, primals, tangents, "hvp")
    with accumulator:
        gradient = _gradient(chosen, _twins(accumulator, chosen), "hvp")
    return chosen.fill(_tangents(accumulator, gradient))


def vhp(fun: Callable[..., Any], primals: Sequence[Any], cotangents: Sequence[Any]) -> Any:
    """Multiply a vector by the Hessian of a scalar function, reverse over reverse.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    primals, cotangents : sequence of pytree of array
        Arguments of `fun`, and the vector: same structure and shapes.

    Returns
    -------
    pytree
        A tuple with the structure of `primals`; for a single argument its structure alone.

    Raises
    ------
    TargetError, NotDifferentiableError, SeedError, StructureError
        As for `hvp`.

    Notes
    -----
    The Hessian is symmetric, so this is the same vector as that of `hvp`, by another way: for functions whose rules have
    no forward mode, and to check one by the other. It costs more time and memory than `hvp`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import vhp
    >>> vhp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    require_arguments("vhp", primals, cotangents, "cotangents")
    chosen = _all(fun, primals)
    vectors, where = _split(chosen, cotangents, "cotangents")
    with GradientTape(watch_accessed_variables=False) as tape:
        watched = chosen.watch(tape)
        gradient = _gradient(chosen, watched, "vhp")
    _check(vectors, watched, chosen.partition, where)
    return chosen.fill(pull(tape, gradient, watched, vectors))


def _gradient(chosen: Chosen, leaves: list[Any], name: str) -> list[Any]:
    """The gradient at traced leaves."""
    with GradientTape(watch_accessed_variables=False) as tape:
        watched = watch(tape, leaves)
        value = chosen.call(watched, {})
    scalar_output(chosen.fun, value, name)
    return pull(tape, [value], watched)


def _all(fun: Callable[..., Any], primals: Sequence[Any]) -> Chosen:
    """All arguments; a single one is flattened by itself, which is cheaper."""
    return Chosen(fun, tuple(primals), 0 if len(primals) == 1 else range(len(primals)))


def _split(chosen: Chosen, vectors: Sequence[Any], what: str) -> tuple[list[Any], str]:
    """The leaves of vectors, one for each argument, and by what name to call the tree of them."""
    name = f"{what}[0]" if chosen.single else what
    return chosen.partition.split(vectors[0] if chosen.single else tuple(vectors), name, "primals"), name


def _tangents(accumulator: ForwardAccumulator, values: list[Any]) -> list[Any]:
    return [accumulator.jvp(values[0], "zero")] if len(values) == 1 else accumulator.jvp(values, "zero")


def _forward(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], name: str
) -> tuple[Chosen, ForwardAccumulator]:
    """The arguments, and an accumulator for their leaves and tangents."""
    require_arguments(name, primals, tangents, "tangents")
    chosen = _all(fun, primals)
    directions, where = _split(chosen, tangents, "tangents")
    leaves = distinct(chosen.leaves)
    alone = len(leaves) == 1
    try:
        return chosen, ForwardAccumulator(leaves[0], directions[0]) if alone else ForwardAccumulator(leaves, directions)
    except (NotDifferentiableError, SeedError):
        chosen.refuse()
        _check(directions, leaves, chosen.partition, where, optional=True)
        raise


def _check(seeds: list[Any], likes: list[Any], partition: Partition, name: str, optional: bool = False) -> None:
    """Check cotangents or tangents against the values they belong to, and name the one that does not fit."""
    for k, (seed, like) in enumerate(zip(seeds, likes, strict=True)):
        like = as_array(like)
        if seed is None and not optional:
            raise SeedTypeError(
                f"{partition.place(k, name)} is None; pass an array of shape {like.shape}, zeros for zero"
            )
        if type(seed) is not np.ndarray or seed.shape != like.shape or seed.dtype != like.dtype:
            fit_seed(seed, like, partition.place(k, name))


def require_arguments(name: str, primals: Any, vectors: Any, what: str) -> None:
    """Check that primals and vectors are tuples of arguments, one for each.

    Raises
    ------
    StructureError
        If they are not.
    """
    for given, called in ((primals, "primals"), (vectors, what)):
        if not isinstance(given, (tuple, list)):
            raise StructureError(
                f"{name}: {called} must be a tuple of arguments, not {type(given).__name__}: ({called},)"
            )
    if len(primals) != len(vectors):
        raise StructureError(f"{name}: {len(primals)} primals, but {len(vectors)} {what}")


def _twins(accumulator: ForwardAccumulator, chosen: Chosen) -> list[Any]:
    twins = [accumulator.primals] if len(chosen.leaves) == 1 else accumulator.primals
    accumulator.primals = None  # a cycle, which would hold the arguments until the next garbage collection
    return twins
