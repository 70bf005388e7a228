"""Trees as the vectors of float64 that SciPy's solvers work with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import StructureError, TargetError, TracedConversionError
from tapeflow.recorders.checks import differentiable
from tapeflow.transforms._args import Chosen
from tapeflow.transforms._leaves import Partition
from tapeflow.transforms._results import output
from tapeflow.transforms.custom.calls import followed

__all__ = ["Layout", "Unknowns", "name_of", "raveled"]

Kind = tuple[tuple[int, ...], Any]


def name_of(fun: Callable[..., Any]) -> str:
    """What to call a function in messages."""
    return str(getattr(fun, "__name__", "the function"))


class Layout:
    """Where the leaves of a tree lie in a vector of float64; a complex number takes two places.

    Parameters
    ----------
    partition : Partition
        The tree.
    kinds : list of (shape, dtype)
        Of its leaves.
    """

    def __init__(self, partition: Partition, kinds: list[Kind]) -> None:
        self.partition, self.kinds = partition, kinds
        self.sizes = [math.prod(shape) * _width(dtype) for shape, dtype in kinds]
        ends = np.cumsum([0, *self.sizes]).tolist()
        self.spans = [slice(a, b) for a, b in pairwise(ends)]
        self.size = int(ends[-1])

    def tree(self, vector: Any) -> Any:
        """Rebuild the tree from a vector, traced or not."""
        alone = len(self.kinds) == 1
        parts = ((vector if alone else vector[span]) for span in self.spans)
        return self.partition.fill([_leaf(part, *kind) for part, kind in zip(parts, self.kinds, strict=True)])

    def spread(self, tree: Any, what: str, missing: float) -> np.ndarray:
        """A number for each place: of a scalar for all, or of a tree whose leaves are broadcast; ``None`` is `missing`.

        Raises
        ------
        StructureError
            If structure or shapes do not fit, or a complex leaf is given a number.
        """
        vector = np.full(self.size, missing)
        if tree is None:
            return vector
        if np.ndim(tree) == 0 and isinstance(tree, (int, float, np.number)):
            leaves = [tree] * len(self.kinds)
        else:
            leaves = self.partition.split(tree, what, "x0")
        for k, (value, span, (shape, dtype)) in enumerate(zip(leaves, self.spans, self.kinds, strict=True)):
            if value is not None:
                vector[span] = _broadcast(value, shape, dtype, partial(self.partition.expression, k, what)).ravel()
        return vector


def _width(dtype: Any) -> int:
    return 2 if dtype.kind == "c" else 1


def _leaf(part: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if dtype.kind == "c":
        half = part.shape[0] // 2
        part = part[:half] + 1j * part[half:]
    if part.dtype != dtype:
        part = part.astype(dtype)
    return part if part.shape == shape else np.reshape(part, shape)[()]


def _broadcast(value: Any, shape: tuple[int, ...], dtype: Any, where: Callable[[], str]) -> np.ndarray:
    if dtype.kind == "c":
        raise StructureError(f"{where()} is for a complex number, which has no order; pass None there")
    found = np.asarray(value)
    if found.dtype.kind not in "fiub" or np.any(np.isnan(found)):
        raise StructureError(f"{where()} is {value!r:.60}; expected real numbers, or None")
    try:
        return np.broadcast_to(found, shape).astype(float)
    except ValueError:
        raise StructureError(f"{where()} has shape {found.shape}, which does not go with the shape {shape}") from None


def raveled(leaves: Sequence[Any]) -> Any:
    """Leaves, traced or not, as one vector of float64; complex ones as their real and imaginary parts."""
    parts = [
        np.ravel(part)
        for x in map(_as_value, leaves)
        for part in ((np.real(x), np.imag(x)) if x.dtype.kind == "c" else (x,))
    ]
    parts = [x if x.dtype == np.float64 else x.astype(np.float64) for x in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0)


def _as_value(x: Any) -> Any:
    return x if isinstance(x, Traced) or backend_for(x) is not None else np.asarray(x)


class Unknowns(Layout):
    """The argument `x0` of a function as a vector, and functions of it as functions of vectors.

    Attributes
    ----------
    start : array
        The vector of `x0`.

    Raises
    ------
    NotDifferentiableError, StructureError
        If `x0` holds something that is no floating-point array, or nothing at all.
    TracedConversionError
        If `x0` or an argument is being differentiated.
    """

    def __init__(self, what: str, fun: Callable[..., Any], x0: Any, args: tuple[Any, ...]) -> None:
        self.what, self.fun, self.args = what, fun, args
        chosen = Chosen(fun, (x0, *args), 0)
        if any(map(followed, (*chosen.leaves, *pytree.flatten(args)[0]))):
            raise _followed(what)
        values = [differentiable(x, place) for x, place in zip(chosen.leaves, chosen.places, strict=True)]
        values = [x.numpy() if isinstance(x, Tracer) else x for x in values]
        super().__init__(chosen.partition, [(tuple(x.shape), x.dtype) for x in values])
        if not self.size:
            raise StructureError(f"{what}: x0 holds no numbers, so there is nothing to find")
        self.start = np.array(raveled(values))

    def result(self, vector: Any) -> Any:
        """The tree of a vector, whose arrays are nobody else's."""
        return self.tree(np.array(vector))

    def scalar(self) -> Callable[[Any], Any]:
        """The function of a vector, as it is: a scalar, or what its caller will refuse."""

        def flat(vector: Any) -> Any:
            return self.fun(self.tree(vector), *self.args)

        flat.__name__ = name_of(self.fun)
        return flat

    def vector(
        self, fun: Callable[..., Any] | None = None, args: tuple[Any, ...] | None = None
    ) -> Callable[[Any], Any]:
        """A function of trees to trees as one of vectors to vectors."""
        fun = self.fun if fun is None else fun
        args = self.args if args is None else args

        def flat(vector: Any) -> Any:
            return raveled(self.values(fun, fun(self.tree(vector), *args)).leaves)

        flat.__name__ = name_of(fun)
        return flat

    def values(self, fun: Callable[..., Any], out: Any) -> Partition:
        """The leaves of what a function returned.

        Raises
        ------
        TargetError
            If one is no array of floats.
        """
        found = output(fun, out, self.what)
        for k, y in enumerate(found.leaves):
            if y.dtype.kind not in "fciub":
                raise TargetError(f"{self.what}: {found.place(k)} has dtype {y.dtype}; expected numbers")
        return found


def _followed(what: str) -> TracedConversionError:
    return TracedConversionError(
        f"{what}: x0 or an argument is being differentiated, but the iterations of SciPy's solvers are not recorded, so "
        "the solution would lose its derivative. Pass stop_gradient of it, or differentiate the conditions that hold at "
        "the solution, in a custom_vjp around this call"
    )
