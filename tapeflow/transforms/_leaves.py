"""Which leaves of a tree can be differentiated, and which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from numbers import Number
from typing import Any

import numpy as np
from optree import PyTreeAccessor

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import Tracer
from tapeflow.errors import NotDifferentiableError, SeedError, StructureError, TapeError
from tapeflow.recorders import Variable

__all__ = ["Partition", "Place", "as_array", "distinct"]

Unknown = Callable[[str], TapeError]  # makes the error for an object of an unknown class, of the beginning of its text

# What is known of a type: True if its values can be differentiated (or are refused for their dtype), False if static.
_kinds: dict[type, bool] = {}


def _varies(leaf: Any, where: Callable[[], str], unknown: Unknown) -> bool:
    """Say whether a leaf can be differentiated, rather than being static by nature; remembered for its type."""
    cls = type(leaf)
    if issubclass(cls, pytree.STATIC):
        _kinds[cls] = False
    elif issubclass(cls, (Traced, Number)) or backend_for(leaf) is not None:
        if not issubclass(cls, Variable):
            _kinds[cls] = True
        return True
    elif not (callable(leaf) and hasattr(leaf, "__wrapped__")):  # what wraps a function is one; others may hold arrays
        raise unknown(
            f"{where()} is of type {cls.__name__}, neither an array nor a container known to tapeflow. If it holds arrays, "
            f"register it: tapeflow.pytree.register({cls.__name__}, flatten, unflatten){_advice(leaf)}. If it holds none, "
        )
    return _kinds.get(cls, False)


def _advice(leaf: Any) -> str:
    return ", or pass np.asarray of it" if hasattr(leaf, "__array__") else ""


def _unknown(text: str) -> NotDifferentiableError:
    return NotDifferentiableError(
        f"{text}keep it out of the differentiated arguments, or in a dataclass field with metadata={{'static': True}}"
    )


class Partition:
    """The leaves of a tree that can be differentiated, apart from those that are static.

    Attributes
    ----------
    leaves : list
        What can be differentiated, in order; of a variable its value, since an argument is passed by value.
    statics : list
        The other leaves.
    """

    __slots__ = ("_all", "_varying", "leaves", "name", "spec", "statics")

    def __init__(self, tree: Any, name: Callable[[PyTreeAccessor], str], unknown: Unknown = _unknown) -> None:
        self.leaves, self.spec = pytree.flatten(tree)
        self.name = name
        self.statics: list[Any] = []
        self._varying: list[bool] | None = None
        if self.spec is pytree.LEAF:
            if isinstance(tree, Variable):
                self.leaves = [tree.read()]
        else:
            types = set(map(type, self.leaves))
            if not all(map(_kinds.get, types)):
                self._sort(types, unknown)

    def _sort(self, types: set[type], unknown: Unknown) -> None:
        leaves = self._all = self.leaves
        kinds = {}
        for cls in types:
            k = next(k for k, x in enumerate(leaves) if type(x) is cls)
            kinds[cls] = _varies(leaves[k], partial(self._expression, k), unknown)
        if not all(kinds.values()):
            varying = self._varying = [kinds[type(x)] for x in leaves]
            self.leaves = [x for x, v in zip(leaves, varying, strict=True) if v]
            self.statics = [x for x, v in zip(leaves, varying, strict=True) if not v]
        if any(issubclass(cls, Variable) for cls in types):
            self.leaves = [x.read() if isinstance(x, Variable) else x for x in self.leaves]

    def fill(self, new: Iterable[Any]) -> Any:
        """Return the tree with other leaves; what is static stays in its place."""
        if self._varying is not None:
            replace = iter(new)
            new = [next(replace) if v else x for x, v in zip(self._all, self._varying, strict=True)]
        return pytree.unflatten(self.spec, new)

    def split(self, tree: Any, name: str, like: str, error: type[TapeError] = StructureError) -> list[Any]:
        """Return the leaves of a tree of the same structure that stand where `leaves` stand here.

        In place of what is static it may hold the same, or ``None``.
        """
        leaves, spec = pytree.flatten(tree)
        if spec != self.spec:
            raise error(f"not the structure of the {like}: {pytree.mismatch(self.spec, spec, name)}")
        if self._varying is None:
            return leaves
        for k, (x, own, v) in enumerate(zip(leaves, self._all, self._varying, strict=True)):
            if not (v or x is None or x is own or (type(x) is type(own) and x == own)):
                raise SeedError(
                    f"{pytree.Path(spec, k, name)} is of type {type(x).__name__}, but {self._expression(k)} is static "
                    f"({own!r}): repeat it or pass None"
                )
        return [x for x, v in zip(leaves, self._varying, strict=True) if v]

    def place(self, position: int, name: str | None = None) -> Place:
        """Return where one of `leaves` stands, or what stands there in a tree of another name."""
        return Place(self, position, name)

    def expression(self, position: int, name: str | None = None) -> str:
        """Return the expression that reaches one of `leaves`."""
        if self._varying is not None:
            position = [k for k, v in enumerate(self._varying) if v][position]
        return self._expression(position) if name is None else self.spec.accessors()[position].codify(name)

    def _expression(self, k: int) -> str:
        return self.name(self.spec.accessors()[k])


class Place:
    """Where a leaf stands in a partitioned tree; the expression is made when it is printed."""

    __slots__ = ("name", "partition", "position")

    def __init__(self, partition: Partition, position: int, name: str | None) -> None:
        self.partition, self.position, self.name = partition, position, name

    def __str__(self) -> str:
        return self.partition.expression(self.position, self.name)


def distinct(leaves: list[Any]) -> list[Any]:
    """The leaves, with another handle in place of a traced value that is there already."""
    if len(leaves) == len(set(map(id, leaves))):
        return leaves
    seen: set[int] = set()
    found = []
    for x in leaves:
        found.append(x._twin() if id(x) in seen and isinstance(x, Tracer) else x)
        seen.add(id(x))
    return found


def as_array(x: Any) -> Any:
    """Python numbers as array scalars; everything else as it is."""
    return np.asarray(x)[()] if isinstance(x, (int, float, complex)) else x
