"""Pytrees: nested containers of leaves, by way of `optree`.

``None`` is a leaf here, so that a missing array is reported instead of vanishing. Dataclasses are registered when they
first appear: their fields are children.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import optree

from tapeflow.errors import StructureError

__all__ = ["Path", "PyTreeSpec", "flatten", "flatten_with_paths", "map_leaves", "unflatten"]

PyTreeSpec = optree.PyTreeSpec
NAMESPACE = "tapeflow"

# A tree that is one of these is its own leaf: most questions to a tape are about a single array.
LEAF_TYPES: set[type] = set()
_A_LEAF: Any = 0
_LEAF = optree.tree_structure(_A_LEAF, none_is_leaf=True, namespace=NAMESPACE)


def flatten(tree: Any) -> tuple[list[Any], PyTreeSpec]:
    """Return the leaves of a tree, and what is needed to rebuild it."""
    if type(tree) in LEAF_TYPES:
        return [tree], _LEAF
    leaves, spec = optree.tree_flatten(tree, none_is_leaf=True, namespace=NAMESPACE)
    for leaf in leaves:
        if hasattr(leaf.__class__, "__dataclass_fields__"):
            _register_dataclass(leaf)
            return flatten(tree)
    return leaves, spec


class Path:
    """Where a leaf stands in a tree. As a string it is the expression that reaches it, such as ``params['w'][0]``.

    The expression is made when it is printed: for a tree of a thousand leaves, paths would cost more than the leaves.
    """

    __slots__ = ("name", "place", "spec")

    def __init__(self, spec: PyTreeSpec, place: int, name: str) -> None:
        self.spec, self.place, self.name = spec, place, name

    def __str__(self) -> str:
        return self.spec.accessors()[self.place].codify(self.name)

    def renamed(self, name: str) -> Path:
        """The same place in a tree of another name."""
        return Path(self.spec, self.place, name)


def flatten_with_paths(tree: Any, name: str) -> tuple[list[Any], PyTreeSpec, list[Path]]:
    """Return leaves, structure, and for each leaf where it stands."""
    leaves, spec = flatten(tree)
    return leaves, spec, [Path(spec, k, name) for k in range(len(leaves))]


def unflatten(spec: PyTreeSpec, leaves: Iterable[Any]) -> Any:
    """Rebuild a tree from its structure and new leaves."""
    if spec is _LEAF:
        (leaf,) = leaves
        return leaf
    return optree.tree_unflatten(spec, leaves)


def map_leaves(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to the leaves of a tree, and of others of the same structure.

    Raises
    ------
    StructureError
        If a structure differs from the first.
    """
    leaves, spec = flatten(tree)
    columns = [leaves]
    for other in rest:
        more, other_spec = flatten(other)
        if other_spec != spec:
            raise StructureError(f"structures differ: {spec} and {other_spec}")
        columns.append(more)
    return unflatten(spec, [function(*row) for row in zip(*columns, strict=True)])


def _register_dataclass(leaf: Any) -> None:
    cls: Any = type(leaf)
    fields = tuple(f.name for f in dataclasses.fields(cls))
    optree.register_pytree_node(
        cls,
        lambda x: (tuple(getattr(x, f) for f in fields), None, fields),
        lambda _, children: _rebuild(cls, fields, children),
        namespace=NAMESPACE,
        path_entry_type=optree.GetAttrEntry,
    )


def _rebuild(cls: type, fields: tuple[str, ...], children: Iterable[Any]) -> Any:
    # Not by the constructor: it may convert or refuse what a transform puts in place of an array.
    new: Any = object.__new__(cls)
    for name, value in zip(fields, children, strict=True):
        object.__setattr__(new, name, value)
    return new
