"""Functions written with `autograd.numpy` as functions that tapeflow differentiates by autograd's derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.bridges._foreign import Function, called
from tapeflow.errors import name_of

__all__ = ["from_autograd", "import_autograd"]


def import_autograd() -> Any:
    """HIPS autograd, or an error that says how to get it."""
    try:
        import autograd
    except ImportError as error:
        raise ImportError(
            "tapeflow.bridges.autograd needs HIPS autograd; install it with: pip install autograd"
        ) from error
    return autograd


class _Autograd:
    """HIPS autograd, as `Foreign` needs it. Its cotangents are those of the sweep, without conjugation."""

    name = "autograd"

    def __init__(self) -> None:
        import_autograd()
        from autograd import core, numpy, tracer
        from autograd.builtins import tuple as boxed_tuple

        self.core, self.tracer, self.numpy, self.tuple = core, tracer, numpy, boxed_tuple

    def array(self, x: Any) -> Any:
        return np.array(x)

    def is_array(self, x: Any) -> bool:
        return isinstance(x, (np.ndarray, np.generic, float, complex)) or self.tracer.isbox(x)

    def is_followed(self, x: Any) -> bool:
        return self.tracer.isbox(x)

    def plain(self, x: Any) -> Any:
        return np.array(x)[()]

    def evaluate(self, f: Function, xs: list[Any]) -> tuple[Any, ...]:
        return f(*xs)

    def linearize(self, f: Function, xs: list[Any], inside: Sequence[int]) -> tuple[Any, Function]:
        results: list[Any] = []

        def part(floats: Any) -> Any:
            ys = f(*_replaced(xs, inside, floats))
            results[:] = ys
            return self.tuple([y for y in ys if _is_float(y)])

        pull, found = self.core.make_vjp(part, self.tuple([xs[k] for k in inside]))
        outside = [k for k, y in enumerate(results) if _is_float(y)]
        return _replaced(results, outside, found), lambda *gs: tuple(pull(tuple(gs)))

    def vjp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, gs = values[:count], values[count:]
            pull = self.core.make_vjp(self._part(f, xs, inside, outside), self.tuple([xs[k] for k in inside]))[0]
            return tuple(pull(self.tuple(gs)))

        return derived

    def jvp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, ts = values[:count], values[count:]
            part, floats = self._part(f, xs, inside, outside), self.tuple([xs[k] for k in inside])
            # By two reverse passes: not all of autograd's functions have a forward mode.
            pull, ys = self.core.make_vjp(part, floats)
            zeros = self.tuple([self.numpy.zeros(np.shape(y), _dtype(y)) for y in ys])
            return tuple(self.core.make_vjp(pull, zeros)[0](self.tuple(ts)))

        return derived

    def vmap(self, f: Function, batched: Sequence[bool], fresh: bool) -> Function:
        def mapped(*xs: Any) -> tuple[Any, ...]:
            size = next(x.shape[0] for x, b in zip(xs, batched, strict=True) if b)
            rows = [f(*(x[k] if b else x for x, b in zip(xs, batched, strict=True))) for k in range(size)]
            return tuple(self.numpy.stack(column) for column in zip(*rows, strict=True))

        return mapped

    def replayed(self, f: Function) -> Function:
        return f

    def _part(self, f: Function, xs: Sequence[Any], inside: Sequence[int], outside: Sequence[int]) -> Any:
        """The function of the operands that can be differentiated alone, to the results that can."""

        def part(floats: Any) -> Any:
            ys = f(*_replaced(xs, inside, floats))
            return self.tuple([ys[k] for k in outside])

        return part


def _dtype(y: Any) -> Any:
    return y.dtype if hasattr(y, "dtype") else np.result_type(y)


def _is_float(y: Any) -> bool:
    return _dtype(y).kind in "fc"


def _replaced(values: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> tuple[Any, ...]:
    filled = list(values)
    for n, k in enumerate(places):
        filled[k] = new[n]
    return tuple(filled)


def from_autograd(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function written with `autograd.numpy` one that tapeflow can differentiate.

    Parameters
    ----------
    function : callable
        Takes and returns pytrees of arrays.

    Returns
    -------
    callable
        With the arguments of `function`: trees in which traced values and variables may stand for arrays. Returns trees of
        arrays.

    Raises
    ------
    ImportError
        If HIPS autograd is not installed.
    NotDifferentiableError
        When called: if an argument is one that autograd follows.

    Notes
    -----
    The derivatives are autograd's own, of every order; in forward mode by two of its reverse passes. `vmap` is a loop.
    Arrays are copied at the border. Gradients of complex arguments are directions of steepest ascent, as everywhere in
    tapeflow: conjugates of what `autograd.grad` gives.

    Examples
    --------
    ::

        energy = from_autograd(lambda x: autograd.numpy.sum(autograd.numpy.sin(x) ** 2))
        tapeflow.hessian(energy)(np.ones(3))
    """
    toolkit = _Autograd()
    if not callable(function):
        raise TypeError(f"from_autograd: expected a function, found {function!r:.60}")
    name = name_of(function)

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        return called(toolkit, function, name, args, kwargs)

    return bridged
