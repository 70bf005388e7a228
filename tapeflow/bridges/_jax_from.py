"""Functions of JAX's arrays as functions of NumPy's, which tapeflow differentiates by JAX's derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tapeflow.bridges._foreign import Function, called
from tapeflow.bridges._jax_arrays import array_of, import_jax, jax_array_of
from tapeflow.errors import name_of

__all__ = ["from_jax"]


class _Jax:
    """JAX, as `Foreign` needs it. Its cotangents are those of the sweep, without conjugation."""

    name = "JAX"

    def __init__(self) -> None:
        self.jax = import_jax()

    def array(self, x: Any) -> Any:
        return x if self.is_array(x) else jax_array_of(x)

    def is_array(self, x: Any) -> bool:
        return isinstance(x, self.jax.Array)

    def is_followed(self, x: Any) -> bool:
        return isinstance(x, self.jax.core.Tracer)

    def plain(self, x: Any) -> Any:
        return array_of(x)[()]

    def evaluate(self, f: Function, xs: list[Any]) -> tuple[Any, ...]:
        return f(*xs)

    def linearize(self, f: Function, xs: list[Any], inside: Sequence[int]) -> tuple[Any, Function]:
        outside: list[int] = []

        def part(*floats: Any) -> Any:
            ys = f(*_replaced(xs, inside, floats))
            outside[:] = [k for k, y in enumerate(ys) if y.dtype.kind in "fc"]
            return tuple([ys[k] for k in outside]), ys

        found, pull, ys = self.jax.vjp(part, *[xs[k] for k in inside], has_aux=True)
        return _replaced(ys, outside, found), lambda *gs: pull(gs)

    def vjp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, gs = values[:count], values[count:]
            return self.jax.vjp(_part(f, xs, inside, outside), *[xs[k] for k in inside])[1](gs)

        return derived

    def jvp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, ts = values[:count], values[count:]
            part = _part(f, xs, inside, outside)
            floats = tuple(xs[k] for k in inside)
            try:
                return self.jax.jvp(part, floats, tuple(ts))[1]
            except TypeError as error:
                if "custom_vjp" not in str(error):
                    raise
            ys, pull = self.jax.vjp(part, *floats)
            zeros = tuple(map(self.jax.numpy.zeros_like, ys))
            return self.jax.vjp(lambda *gs: pull(gs), *zeros)[1](tuple(ts))

        return derived

    def vmap(self, f: Function, batched: Sequence[bool], fresh: bool) -> Function:
        errors = self.jax.errors
        decides = (errors.ConcretizationTypeError, errors.TracerArrayConversionError)

        def mapped(*xs: Any) -> tuple[Any, ...]:
            try:
                return self.jax.vmap(f, tuple(0 if b else None for b in batched))(*xs)
            except decides:  # by values
                size = next(x.shape[0] for x, b in zip(xs, batched, strict=True) if b)
                rows = [f(*(x[k] if b else x for x, b in zip(xs, batched, strict=True))) for k in range(size)]
                return tuple(map(self.jax.numpy.stack, zip(*rows, strict=True)))

        return mapped

    def replayed(self, f: Function) -> Function:
        return f  # random numbers come from keys


def _replaced(values: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> tuple[Any, ...]:
    filled = list(values)
    for k, v in zip(places, new, strict=True):
        filled[k] = v
    return tuple(filled)


def _part(f: Function, xs: Sequence[Any], inside: Sequence[int], outside: Sequence[int]) -> Function:
    """The function of the operands that can be differentiated alone, to the results that can."""

    def part(*floats: Any) -> tuple[Any, ...]:
        ys = f(*_replaced(xs, inside, floats))
        return tuple([ys[k] for k in outside])

    return part


def from_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of JAX's arrays one of NumPy's, which tapeflow can differentiate.

    Parameters
    ----------
    function : callable
        Takes and returns pytrees of JAX's arrays; ``jax.jit`` of a function, for example, which is faster.

    Returns
    -------
    callable
        With the arguments of `function`: trees in which arrays, traced values and variables stand for JAX's arrays;
        Python numbers and all else are passed as they are. Returns trees of arrays.

    Raises
    ------
    ImportError
        If JAX is not installed.
    NotDifferentiableError
        When called: if JAX would lower the precision of an array, which it does by default with float64, or has no such
        dtype; if an argument is one that JAX traces.
    TargetError
        When called with traced values: if `function` returns a Python float or an array of NumPy.

    Notes
    -----
    The derivatives are JAX's own (`jax.vjp`, `jax.jvp`), in both modes and of every order; a `jax.custom_vjp` is
    differentiated in forward mode by two reverse passes. `vmap` is `jax.vmap`. Arrays are copied at the border. Gradients
    of complex arguments are directions of steepest ascent, as everywhere in tapeflow: conjugates of what `jax.grad` gives.

    Examples
    --------
    ::

        layer = from_jax(jax.jit(lambda w, x: jnp.tanh(w @ x)))
        tapeflow.grad(lambda w: np.sum(layer(w, x)))(w)
    """
    toolkit = _Jax()
    if not callable(function):
        raise TypeError(f"from_jax: expected a function, found {function!r:.60}")
    name = name_of(function) if hasattr(function, "__name__") else type(function).__name__

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        return called(toolkit, function, name, args, kwargs)

    return bridged
