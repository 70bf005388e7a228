"""NumPy code as functions of flat arrays, with derivatives that are such functions again, for other toolkits to call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.tracer import Tracer
from tapeflow.errors import TracedConversionError
from tapeflow.transforms import jvp, vjp, vmap

__all__ = ["Call", "Local"]

Flat = Callable[..., Sequence[Any]]


class Local:
    """A function of arrays that returns a sequence of arrays, made for one call.

    Parameters
    ----------
    function : callable
        Plain NumPy code.
    inside : sequence of int
        Positions of the arguments with respect to which a derivative is wanted right after the call.

    Notes
    -----
    Cotangents are gradients in the convention of `GradientTape`.
    """

    name = "a function"

    def __init__(self, function: Flat, inside: Sequence[int] = ()) -> None:
        self.function = function
        self.inside = list(inside)
        self._held: list[Callable[[list[Any]], list[Any]]] = []

    def __call__(self, *xs: Any) -> list[Any]:
        """Evaluate on arrays; if a derivative is wanted, keep what it needs."""
        if not self.inside:
            return _arrays(self.function(*xs))
        results: list[Any] = []

        def part(*floats: Any) -> Any:
            ys = self.function(*_replaced(xs, self.inside, floats))
            outside[:] = _floats(ys)
            return [ys[k] for k in outside], ys

        outside: list[int] = []
        found, pull, results = vjp(part, *(xs[k] for k in self.inside), has_aux=True)
        self._held.append(lambda gs: _arrays(pull(gs)) if outside else [])
        return _arrays(_replaced(results, outside, found))

    def held(self) -> Callable[[list[Any]], list[Any]] | None:
        """What the call kept: takes cotangents of the floating-point results to those of `inside`."""
        return self._held[0] if len(self._held) == 1 else None

    def vjp(self, count: int, inside: Sequence[int], outside: Sequence[int], wanted: Sequence[int] = ()) -> Local:
        """The function of `count` arguments and the cotangents that returns the cotangents of the arguments."""

        def derived(*values: Any) -> Any:
            xs, gs = values[:count], values[count:]
            pull = vjp(self._part(xs, inside, outside), *(xs[k] for k in inside))[1]
            return pull(list(gs))

        return Local(derived, wanted)

    def transpose(self, count: int, inside: Sequence[int], outside: Sequence[int]) -> Local:
        """The same in the convention of JAX and autograd, without conjugation: the plain transpose."""
        pulled = self.vjp(count, inside, outside)

        def derived(*values: Any) -> Any:
            found = pulled.function(*values[:count], *map(np.conj, values[count:]))
            return [np.conj(c) for c in found]

        return Local(derived)

    def jvp(self, count: int, inside: Sequence[int], outside: Sequence[int], wanted: Sequence[int] = ()) -> Local:
        """The function of `count` arguments and the tangents that returns the tangents of the results."""

        def derived(*values: Any) -> Any:
            xs, ts = values[:count], values[count:]
            return jvp(self._part(xs, inside, outside), [xs[k] for k in inside], list(ts))[1]

        return Local(derived, wanted)

    def vmap(self, batched: Sequence[bool], wanted: Sequence[int] = ()) -> Local:
        """The function of batches, along the first axes of those arguments that have them."""

        def derived(*values: Any) -> Any:
            try:
                axes = tuple(0 if b else None for b in batched)
                return vmap(lambda *xs: list(self.function(*xs)), in_axes=axes)(*values)
            except TracedConversionError:  # the function decides by values
                size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
                rows = [
                    self.function(*(v[k] if b else v for v, b in zip(values, batched, strict=True)))
                    for k in range(size)
                ]
                return [np.stack(column) for column in zip(*rows, strict=True)]

        return Local(derived, wanted)

    def _part(self, xs: Sequence[Any], inside: Sequence[int], outside: Sequence[int]) -> Flat:
        """The function of the arguments that can be differentiated alone, to the results that can."""

        def part(*floats: Any) -> Any:
            ys = self.function(*_replaced(xs, inside, floats))
            return [ys[k] for k in outside]

        return part


def _arrays(values: Sequence[Any]) -> list[Any]:
    return [np.asarray(y) for y in values]


def _floats(values: Sequence[Any]) -> list[int]:
    return [k for k, x in enumerate(values) if x.dtype.kind in "fc"]


def _replaced(values: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> list[Any]:
    filled = list(values)
    for k, v in zip(places, new, strict=True):
        filled[k] = v
    return filled


class Call:
    """A call of NumPy code with a tree of another toolkit's arrays, flat.

    Attributes
    ----------
    operands : list
        The arrays of the toolkit among the leaves of the arguments. Arrays of NumPy are constants, and copied.
    """

    def __init__(
        self, function: Callable[..., Any], is_array: Callable[[Any], bool], args: Any, kwargs: dict[str, Any]
    ) -> None:
        self._function = function
        leaves, self._spec = pytree.flatten((args, kwargs))
        self._places = [k for k, x in enumerate(leaves) if is_array(x)]
        self.operands = [leaves[k] for k in self._places]
        self._leaves = [np.array(x) if isinstance(x, np.ndarray) else x for x in leaves]
        self._shape: tuple[Any, ...] = ()

    def flat(self, *arrays: Any) -> list[Any]:
        """The function of arrays; notes the structure of the result."""
        args, kwargs = pytree.unflatten(self._spec, _replaced(self._leaves, self._places, arrays))
        outs, spec = pytree.flatten(self._function(*args, **kwargs))
        found = [k for k, y in enumerate(outs) if _is_value(y)]
        self._shape = spec, outs, found
        return [outs[k] if isinstance(outs[k], Tracer) else np.asarray(outs[k]) for k in found]

    def filled(self, results: Sequence[Any]) -> Any:
        """The result with the toolkit's arrays in it."""
        spec, outs, found = self._shape
        return pytree.unflatten(spec, _replaced(outs, found, results))


def _is_value(y: Any) -> bool:
    return type(y) in (float, complex) or isinstance(y, Tracer) or backend_for(y) is not None
