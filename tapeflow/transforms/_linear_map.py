"""Linear functions of trees, flat inside: what `linearize` returns, and what operators are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from optree import PyTreeAccessor

from tapeflow.errors import SeedError, StructureError, TapeError
from tapeflow.recorders.checks import fit_seed
from tapeflow.recorders.results import own
from tapeflow.transforms._leaves import Partition, Place, as_array

__all__ = ["LinearMap", "Space"]

Kind = tuple[tuple[int, ...], Any]
Flat = Callable[[list[Any]], list[Any]]


class Space:
    """The space in which a tree lies: structure, places, shapes and dtypes of its leaves, without their values.

    Parameters
    ----------
    partition : Partition
        A tree of the space. It is not kept.
    name : str
        What to call it in messages.
    """

    __slots__ = ("kinds", "name", "partition", "sizes")

    def __init__(self, partition: Partition, name: str) -> None:
        self.kinds: list[Kind] = [(tuple(x.shape), np.dtype(x.dtype)) for x in map(as_array, partition.leaves)]
        self.sizes = [math.prod(shape) for shape, _ in self.kinds]
        self.name = name
        # Arrays of one element that look like the others, so that they do not stay alive.
        likes = [np.broadcast_to(np.zeros((), dtype), shape) for shape, dtype in self.kinds]

        def codify(accessor: PyTreeAccessor) -> str:
            return accessor.codify(name)

        self.partition = Partition(partition.fill(likes), codify)

    @property
    def size(self) -> int:
        """Number of all elements."""
        return sum(self.sizes)

    @property
    def is_complex(self) -> bool:
        """Whether any leaf is complex."""
        return any(dtype.kind == "c" for _, dtype in self.kinds)

    @property
    def places(self) -> list[Place]:
        """Where each leaf stands."""
        return [self.partition.place(k) for k in range(len(self.kinds))]

    def fill(self, new: list[Any]) -> Any:
        """The tree with these leaves."""
        return self.partition.fill(new)

    def fitted(self, tree: Any, name: str, error: type[TapeError]) -> list[Any]:
        """The leaves of a tree of this structure, copied and converted to these dtypes; zeros for ``None``."""
        leaves = self.partition.split(tree, name, self.name, error)
        return [
            np.zeros(*kind) if x is None else fit_seed(x, like, self.partition.place(k, name))
            for k, (x, like, kind) in enumerate(zip(leaves, self.partition.leaves, self.kinds, strict=True))
        ]

    def random(self, rng: np.random.Generator) -> list[Any]:
        """Leaves of normally distributed numbers."""
        return [_normal(rng, *kind) for kind in self.kinds]

    def zeros(self) -> list[Any]:
        """Leaves of zeros."""
        return [np.zeros(*kind)[()] for kind in self.kinds]

    # ---- vectors

    def ravel(self, tree: Any) -> Any:
        """Put the elements of a tree of this structure into a vector."""
        leaves = [np.ravel(x) for x in self.fitted(tree, "tree", StructureError)]
        return np.concatenate(leaves) if leaves else np.zeros(0)

    def tree(self, vector: Any) -> Any:
        """Rebuild a tree from a vector.

        Raises
        ------
        SeedError
            If the vector has another length, or an element for a real leaf has an imaginary part.
        """
        vector = np.asarray(vector)
        leaves = self.unravel(vector)
        if vector.dtype.kind == "c" and np.any(np.concatenate([np.ravel(x) for x in leaves]) != vector):
            raise SeedError(f"the vector is complex, but there are real leaves in {self.name}; take its real part")
        return self.fill([x[()] for x in leaves])

    def unravel(self, vectors: Any) -> list[Any]:
        """Leaves, with the leading axes of an array of vectors; the real parts where they are real."""
        if vectors.shape[-1:] != (self.size,):
            raise SeedError(
                f"a vector of shape {vectors.shape} does not fit {self.name}: expected {self.size} elements"
            )
        ends = np.cumsum(self.sizes)
        parts = [vectors[..., end - size : end] for end, size in zip(ends, self.sizes, strict=True)]
        return [
            np.reshape(_as_kind(x, dtype), (*vectors.shape[:-1], *shape))
            for x, (shape, dtype) in zip(parts, self.kinds, strict=True)
        ]


def _as_kind(x: Any, dtype: Any) -> Any:
    return (x.real if x.dtype.kind == "c" and dtype.kind != "c" else x).astype(dtype)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    x = rng.standard_normal(shape)
    x = x + 1j * rng.standard_normal(shape) if dtype.kind == "c" else x
    return np.asarray(x).astype(dtype)[()]


class LinearMap:
    """A linear function of trees.

    Parameters
    ----------
    flat : callable
        Takes the leaves of a tuple of arguments, and returns those of the result; both are lists.
    domain, range_ : Space
        Those of the tuple of arguments and of the result.
    """

    def __init__(self, flat: Flat, domain: Space, range_: Space, name: str = "linear map") -> None:
        self.flat, self.domain, self.range = flat, domain, range_
        self.__name__ = name

    def __call__(self, *tangents: Any) -> Any:
        """Apply the map to tangents of the structures, shapes and dtypes of the arguments."""
        outs = self.flat(self.domain.fitted(tangents, "tangents", StructureError))
        return self.range.fill(own(outs))

    def __repr__(self) -> str:
        return f"<{self.__name__}: {self.domain.size} elements to {self.range.size}>"
