"""Linear maps out of functions: the derivative at a point as a function of its own, and the transpose of a linear one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.forward import dual
from tapeflow.core.tracer import plain
from tapeflow.errors import NotDifferentiableError, SeedError, StructureError, name_of
from tapeflow.recorders import ForwardAccumulator
from tapeflow.recorders.checks import differentiable
from tapeflow.recorders.results import conjugate
from tapeflow.transforms._args import Chosen, is_value, split_aux
from tapeflow.transforms._leaves import Partition
from tapeflow.transforms._linear_map import LinearMap, Space
from tapeflow.transforms._results import output, outward
from tapeflow.transforms.products import vjp
from tapeflow.transforms.replay import Program, surely

__all__ = ["linear_transpose", "linearize"]


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, operator: bool = False) -> tuple[Any, ...]:
    """Evaluate a function, and return with its value its derivative there, as a linear function of tangents.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated, but for their static leaves: real or complex floating-point
        arrays of any shape.
    has_aux : bool
        Whether `fun` returns auxiliary output.
    operator : bool
        Whether to return the derivative as a `scipy.sparse.linalg.LinearOperator` (see `jacobian_operator`) instead of a
        function.

    Returns
    -------
    value : pytree of array
        ``fun(*primals)``.
    f_jvp : callable, or JacobianOperator
        ``f_jvp(*tangents)`` with tangents of the structures and shapes of `primals` returns the tangent of the value,
        with its structure, shapes and dtypes. It may be called as often as wanted and does not evaluate `fun` again.
    aux : Any
        Only if `has_aux`.

    Raises
    ------
    NotDifferentiableError
        If a primal is no floating-point array.
    TargetError
        If a result is no array.
    TracedConversionError
        If a rule of the user's decides by the values of tangents.
    StructureError, SeedError
        From `f_jvp`, if tangents do not fit the primals; names the leaf.

    Notes
    -----
    `fun` is evaluated once, in forward mode, and what is done with the tangents is written down as a list of operations
    (a linear program in the sense of Radul et al., arXiv 2204.10923); `f_jvp` runs that list. So it costs less than
    `jvp`, and keeps what the operations need: large arrays that `fun` took from outside are read-only as long as it
    lives. Masks by which rules decide, such as those that keep a tangent of zero at a pole, are part of the list and are
    evaluated for each tangent, so `f_jvp` does exactly what `jvp` would.

    Both `linearize` and `f_jvp` can be differentiated, batched and nested.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import linearize
    >>> value, f_jvp = linearize(lambda x: np.stack([x[0] * x[1], x[1] ** 2]), np.array([2.0, 3.0]))
    >>> value
    array([6., 9.])
    >>> f_jvp(np.array([1.0, 0.0])), f_jvp(np.array([0.0, 1.0]))
    (array([3., 0.]), array([2., 6.]))
    """
    chosen = Chosen(fun, tuple(primals), range(len(primals)))
    values = [differentiable(x, place) for x, place in zip(chosen.leaves, chosen.places, strict=True)]
    program = Program()
    tangents = [program.input(x.shape, x.dtype) for x in values]
    with ForwardAccumulator((), ()) as accumulator:
        duals = [dual(x, t, accumulator) for x, t in zip(values, tangents, strict=True)]
        out, aux = split_aux(fun, chosen.call(duals, {}), has_aux)
    outputs = output(fun, out, "linearize")
    replay = program.finish(accumulator.jvp(outputs.leaves, "zero"))
    value = outward(outputs.fill(outputs.leaves), accumulator, reused=True)
    name = f"derivative of {name_of(fun)}"
    f_jvp: Any = LinearMap(replay, Space(chosen.partition, "primals"), Space(outputs, "value"), name)
    if operator:
        from tapeflow.transforms.operators import as_operator  # which needs this module

        f_jvp = as_operator(f_jvp)
    return (value, f_jvp, outward(aux, accumulator, reused=True)) if has_aux else (value, f_jvp)


# ---- transposes


def linear_transpose(fun: Callable[..., Any], *primals: Any, check: bool = True) -> Callable[[Any], tuple[Any, ...]]:
    """Transpose a function that is linear in all its arguments together.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of a linear function, which returns a pytree of arrays.
    *primals : pytree of array, or of anything with a shape and a dtype
        What the arguments of `fun` look like; their values do not matter.
    check : bool
        Whether to test that `fun` is linear, which evaluates it three more times.

    Returns
    -------
    callable
        ``transposed(cotangent)``, with the structure, shapes and dtypes of the result of `fun`, returns a tuple with
        those of `primals`.

    Raises
    ------
    StructureError
        If `fun` is found not to be linear.
    NotDifferentiableError
        If a dtype is not floating-point.
    SeedError, StructureError, name_of
        From the transposed function, if a cotangent does not fit; names the leaf.

    Notes
    -----
    Nothing is conjugated, as in JAX: the transpose of ``x -> a * x`` is ``ct -> a * ct`` for complex ``a`` too, while the
    pullback of `vjp` multiplies by the conjugate of ``a``, being the adjoint.

    The test compares at random points ``sum(fun(u) * ct)`` with ``sum(u * transposed(ct))``: at ``u``, at a large negative
    multiple of it, and at zero, where `fun` must be zero. Functions that are linear on either
    side of a kink are found out; one that departs from being linear beyond the sizes tried, about 1 and 1000, is not.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import linear_transpose
    >>> difference = linear_transpose(np.diff, np.zeros(3))
    >>> difference(np.array([1.0, 10.0]))
    (array([-1., -9., 10.]),)
    """
    domain = Space(_described(primals), "primals")
    for (_, dtype), place in zip(domain.kinds, domain.places, strict=True):
        if dtype.kind not in "fc":
            raise NotDifferentiableError(
                f"linear_transpose: {place} has dtype {dtype}; a linear map needs real or complex floats"
            )
    rng = np.random.default_rng(0)
    value, pullback = vjp(fun, *domain.fill(domain.random(rng)))
    range_ = Space(output(fun, value, "linear_transpose"), "value")

    def flat(cotangent: list[Any]) -> list[Any]:
        pulled = pullback(range_.fill(list(map(conjugate, cotangent))))
        return list(map(conjugate, domain.partition.split(pulled, "primals", "primals")))

    def transposed(cotangent: Any) -> tuple[Any, ...]:
        return domain.fill(flat(range_.fitted(cotangent, "cotangent", SeedError)))

    if check:
        _check_linear(fun, flat, domain, range_, rng)
    return transposed


def _described(primals: tuple[Any, ...]) -> Partition:
    """Arguments with arrays in place of what only has a shape and a dtype."""

    def array(x: Any) -> Any:
        if is_value(x) or not (hasattr(x, "shape") and hasattr(x, "dtype")):
            return x
        return np.broadcast_to(np.zeros((), x.dtype), tuple(x.shape))

    return Partition(pytree.map_leaves(array, primals), lambda accessor: accessor.codify("primals"))


LARGE = -(2.0**10)


def _check_linear(
    fun: Callable[..., Any],
    transposed: Callable[[list[Any]], list[Any]],
    domain: Space,
    range_: Space,
    rng: np.random.Generator,
) -> None:
    """Raise unless a function is zero at zero, and at random points what its transpose says."""

    def call(leaves: list[Any]) -> list[Any]:
        return output(fun, fun(*domain.fill(leaves)), "linear_transpose").leaves

    if any(surely(y != 0) for y in call(domain.zeros())):
        raise _not_linear(fun, "it is not zero at zero")
    u, ct = domain.random(rng), range_.random(rng)
    pulled = transposed(ct)
    eps = max((np.finfo(dtype).eps for _, dtype in (*domain.kinds, *range_.kinds) if dtype.kind in "fc"), default=0)
    for scale in (1.0, LARGE):
        v = [(x * x.dtype.type(scale))[()] for x in u]
        left, size0 = _pairing(call(v), ct)
        right, size1 = _pairing(v, pulled)
        if surely(~(np.abs(left - right) <= (size0 + size1) * float(eps) ** 0.75)):
            raise _not_linear(fun, "at a random point it is not what its derivative at another one says")


def _pairing(a: list[Any], b: list[Any]) -> tuple[Any, Any]:
    """Real part of the sum of products of all elements, and the sum of their sizes."""
    products = [plain(x) * plain(y) for x, y in zip(a, b, strict=True)]
    total = sum((np.real(np.sum(p)) for p in products), np.float64(0))
    return total, sum((np.sum(np.abs(p)) for p in products), np.float64(0))


def _not_linear(fun: Callable[..., Any], why: str) -> StructureError:
    return StructureError(
        f"linear_transpose: {name_of(fun)} is not linear: {why}. For the derivative of a "
        "function that is not linear use vjp(fun, *primals), which takes it at a point; check=False skips this test"
    )
