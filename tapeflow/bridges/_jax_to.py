"""NumPy code as functions of JAX's arrays, which JAX transforms by tapeflow's derivatives.

A call is one primitive of JAX, ``local_call``, evaluated on the host. Its operands are *residuals*, on which it may depend
in any way, and behind them *tangents*, in which it is linear; `forward` evaluates it, and `backward` is its transpose in
the tangents. The JVP of a call is a call whose tangents have been added, and the transpose of one is a call in which
`forward` and `backward` have changed places; so there are derivatives of every order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.bridges._jax_arrays import array_of, fitting, import_jax, jax_array_of, require_kept
from tapeflow.bridges._local import Call, Local
from tapeflow.errors import StructureError, name_of

__all__ = ["to_jax"]

Kind = tuple[tuple[int, ...], Any]


def to_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make NumPy code a function of JAX's arrays that JAX can transform.

    Parameters
    ----------
    function : callable
        Plain NumPy code of pytrees, which may use tapeflow's transforms. It must be deterministic. Under `jax.jit` it is
        called once, with made-up numbers, to learn what it returns.

    Returns
    -------
    callable
        With the arguments of `function`: trees in which JAX's arrays stand for NumPy's; arrays of NumPy are constants, and
        all else is passed as it is. Returns trees of JAX's arrays.

    Raises
    ------
    ImportError
        If JAX is not installed.
    NotDifferentiableError
        When called: if JAX would lower the precision of a result, which it does by default with float64.
    StructureError
        Under `jax.jit`: if `function` fails with made-up numbers.

    Notes
    -----
    `jax.jit`, `jax.grad`, `jax.jvp`, `jax.vmap` and what is made of them work, in any nesting. The code runs on the host
    (`jax.pure_callback`); a batch is one call, by tapeflow's `vmap`. Gradients of complex arguments are in JAX's
    convention.

    Examples
    --------
    ::

        energy = to_jax(lambda x: np.sum(np.sin(x) ** 2))
        jax.jit(jax.grad(energy))(jnp.ones(3))
    """
    jax = import_jax()
    if not callable(function):
        raise TypeError(f"to_jax: expected a function, found {function!r:.60}")

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        call = Call(function, lambda x: isinstance(x, jax.Array), args, kwargs)
        local = Local(call.flat)
        local.name = name_of(function)
        return call.filled(_call(call.operands, local, None, len(call.operands), None))

    return bridged


def _call(operands: Sequence[Any], forward: Local, backward: Any, residuals: int, kinds: Sequence[Kind] | None) -> Any:
    return _primitive().bind(
        *operands,
        forward=forward,
        backward=backward,
        residuals=residuals,
        kinds=None if kinds is None else tuple(kinds),
    )


@functools.cache
def _primitive() -> Any:
    """The primitive; made late, since it belongs to JAX."""
    import_jax()
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    primitive = Primitive("local_call")
    primitive.multiple_results = True
    primitive.def_impl(_evaluated)
    primitive.def_abstract_eval(_abstract)
    ad.primitive_jvps[primitive] = _pushed
    ad.primitive_transposes[primitive] = _transposed
    batching.primitive_batchers[primitive] = _mapped
    mlir.register_lowering(primitive, mlir.lower_fun(_lowered, multiple_results=True))
    return primitive


def _evaluated(*xs: Any, forward: Local, **params: Any) -> list[Any]:
    return list(map(jax_array_of, forward(*map(array_of, xs))))


def _abstract(*xs: Any, forward: Local, kinds: Any, **params: Any) -> list[Any]:
    jax = import_jax()
    kinds = _probed(forward, xs) if kinds is None else kinds
    return [jax.core.ShapedArray(shape, dtype) for shape, dtype in kinds]


def _probed(forward: Local, xs: Sequence[Any]) -> list[Kind]:
    """Shapes and dtypes of the results, from a call with numbers that have nothing special about them."""
    probes = [_probe(tuple(x.shape), x.dtype) for x in xs]
    try:
        with np.errstate(all="ignore"):
            ys = forward(*probes)
    except Exception as error:
        raise StructureError(
            f"to_jax: {forward.name} was called with made-up numbers under jax.jit, to learn what it returns, and failed "
            f" ({type(error).__name__}: {error}). Make it accept all numbers of these shapes, or call "
            "it outside of jax.jit"
        ) from error
    return [(tuple(y.shape), require_kept(y.dtype)) for y in ys]


def _probe(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    k = np.arange(1, int(np.prod(shape)) + 1)
    values = 1 + np.sin(k) / 2 if dtype.kind in "fc" else np.zeros(k.shape)
    return values.astype(dtype).reshape(shape)


def _lowered(*xs: Any, forward: Local, kinds: Any, **params: Any) -> Any:
    jax = import_jax()
    kinds = _probed(forward, xs) if kinds is None else kinds

    def on_host(*arrays: Any) -> list[np.ndarray]:
        ys = forward(*map(np.array, arrays))
        found = [(tuple(y.shape), require_kept(y.dtype)) for y in ys]
        if found != list(kinds):
            raise StructureError(
                f"to_jax: {forward.name} returned arrays of {found}, but for made-up numbers of "
                f"the same shapes it had returned {list(kinds)}; under jax.jit these must not depend on the numbers"
            )
        return [fitting(y, dtype) for y, (_, dtype) in zip(ys, kinds, strict=True)]

    return jax.pure_callback(on_host, [jax.ShapeDtypeStruct(*kind) for kind in kinds], *xs)


# ---- derivatives


def _kinds(values: Sequence[Any]) -> list[Kind]:
    return [(tuple(x.shape), np.dtype(x.dtype)) for x in values]


def _pushed(primals: Any, tangents: Any, *, forward: Local, backward: Any, residuals: int, kinds: Any) -> Any:
    from jax.interpreters import ad

    ys = _call(primals, forward, backward, residuals, kinds)
    results = _kinds(ys)
    inside = [k for k, t in enumerate(tangents) if type(t) is not ad.Zero and primals[k].dtype.kind in "fc"]
    outside = [k for k, (_, dtype) in enumerate(results) if dtype.kind in "fc"]
    ts = [tangents[k] for k in inside]
    if not inside or not outside:
        return ys, list(map(_nothing, ys))
    if inside[0] >= residuals:  # linear in what moves
        whole = [ad.instantiate_zeros(t) for t in tangents[residuals:]]
        return ys, _call([*primals[:residuals], *whole], forward, backward, residuals, results)
    count = len(primals)
    pushed = forward.jvp(count, inside, outside)
    pulled = forward.transpose(count, inside, outside)
    found = iter(_call([*primals, *ts], pushed, pulled, count, [results[k] for k in outside]))
    return ys, [next(found) if k in outside else _nothing(y) for k, y in enumerate(ys)]


def _nothing(y: Any) -> Any:
    """The tangent of a result that can have none."""
    from jax.interpreters import ad

    return ad.Zero(import_jax().typeof(y).to_tangent_aval())


def _transposed(cts: Any, *operands: Any, forward: Local, backward: Any, residuals: int, kinds: Any) -> Any:
    from jax.interpreters import ad

    gs = list(map(ad.instantiate_zeros, cts))
    given, linear = operands[:residuals], operands[residuals:]
    shapes = [x.aval if ad.is_undefined_primal(x) else x for x in linear]
    shares = _call([*given, *gs], backward, forward, residuals, _kinds(shapes))
    return [None] * residuals + [
        share if ad.is_undefined_primal(x) else None for x, share in zip(linear, shares, strict=True)
    ]


def _mapped(operands: Any, dims: Any, *, forward: Local, backward: Any, residuals: int, kinds: Any) -> Any:
    jax = import_jax()
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    moved = [x if d is None else jax.numpy.moveaxis(x, d, 0) for x, d in zip(operands, dims, strict=True)]
    for k in range(residuals, len(moved)):  # so that each element gets a cotangent of its own
        if dims[k] is None:
            moved[k] = jax.numpy.broadcast_to(moved[k], (size, *moved[k].shape))
    mask = [d is not None for d in dims[:residuals]]
    pushed = forward.vmap(mask + [True] * (len(operands) - residuals))
    pulled = None if backward is None else _late_vmap(backward, mask)
    whole = None if kinds is None else [((size, *shape), dtype) for shape, dtype in kinds]
    found = _call(moved, pushed, pulled, residuals, whole)
    return found, [0] * len(found)


def _late_vmap(backward: Local, mask: list[bool]) -> Local:
    """A batch of a transpose, of which all cotangents are batched, however many there are."""

    def derived(*values: Any) -> Any:
        return backward.vmap(mask + [True] * (len(values) - len(mask))).function(*values)

    return Local(derived)
