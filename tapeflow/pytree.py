"""Pytrees: nested containers of leaves, by way of `optree`.

``None`` is a leaf here, so that a missing array is reported instead of vanishing. Dataclasses and attrs classes are
registered when they first appear: their fields are children, except those with ``metadata={"static": True}``, which
belong to the structure. Classes that are registered with `optree` for all namespaces are known too.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import numpy as np
import optree

from tapeflow.errors import StructureError

__all__ = ["Path", "PyTreeSpec", "flatten", "flatten_with_paths", "map_leaves", "mismatch", "register", "unflatten"]

# Types whose values can hold no array: leaves that stay as they are where others are differentiated.
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, np.ufunc, type(np.sum), partial)
STATIC = (NoneType, bool, str, bytes, Enum, type, np.dtype, slice, range, EllipsisType, ModuleType, *FUNCTIONS)

PyTreeSpec = optree.PyTreeSpec
NAMESPACE = "tapeflow"

# A tree that is one of these is its own leaf: most questions to a tape are about a single array.
LEAF_TYPES: set[type] = set()
_A_LEAF: Any = 0
LEAF = optree.tree_structure(_A_LEAF, none_is_leaf=True, namespace=NAMESPACE)
_automatic: set[type] = set()  # registered by us, so that the user may still register them
_lock = threading.Lock()


def flatten(tree: Any) -> tuple[list[Any], PyTreeSpec]:
    """Return the leaves of a tree, and what is needed to rebuild it."""
    if type(tree) in LEAF_TYPES:
        return [tree], LEAF
    leaves, spec = optree.tree_flatten(tree, none_is_leaf=True, namespace=NAMESPACE)
    new = [cls for cls in set(map(type, leaves)) - LEAF_TYPES if _fields(cls) is not None]
    if not new:
        return leaves, spec
    for cls in new:
        _register_fields(cls)
    return flatten(tree)


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
    if spec is LEAF:
        (leaf,) = leaves
        return leaf
    return optree.tree_unflatten(spec, leaves)


def mismatch(spec: PyTreeSpec, other: PyTreeSpec, name: str) -> str:
    """Return where the second structure first differs from the first, and how; empty if it does not."""
    if spec == other:
        return ""
    children = [(e, a, b) for e, a, b in zip(spec.entries(), spec.children(), other.children(), strict=False) if a != b]
    if spec.type is not other.type or spec.entries() != other.entries() or not children:
        found, expected = _described(other), _described(spec)
        return f"{name} has other static parts" if found == expected else f"{name} is {found}, expected {expected}"
    entry, a, b = children[0]
    if isinstance(entry, int):
        entry = getattr(spec.type, "_fields", range(entry + 1))[entry]
    attribute = isinstance(entry, str) and spec.type not in (dict, OrderedDict, defaultdict)
    return mismatch(a, b, f"{name}.{entry}" if attribute else f"{name}[{entry!r}]")


def _described(spec: PyTreeSpec) -> str:
    if spec.type is None:
        return "a leaf"
    entries = spec.entries()
    what = f"a {spec.type.__name__} of {len(entries)}"
    named = 0 < len(entries) <= 8 and not all(isinstance(e, int) for e in entries)
    return f"{what} ({', '.join(map(repr, entries))})" if named else what


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
            raise StructureError(f"structures differ: {mismatch(spec, other_spec, 'the other')}")
        columns.append(more)
    return unflatten(spec, [function(*row) for row in zip(*columns, strict=True)])


def register(cls: type, flatten: Callable[[Any], tuple[Any, ...]], unflatten: Callable[[Any, Any], Any]) -> type:
    """Make a class a container, for every function of tapeflow.

    Parameters
    ----------
    cls : type
        The class. Its subclasses are not meant.
    flatten : callable
        Takes an object and returns ``(children, aux)``, or ``(children, aux, names)``: the parts that are or hold
        arrays, what else is needed to rebuild it, and names for the children, which messages use (attributes as strings).
        `aux` is compared with ``==`` and should be hashable.
    unflatten : callable
        Takes ``aux`` and the children, and returns an object. The children may be anything (traced values, ``None``), so
        it should neither convert nor check them.

    Returns
    -------
    type
        The class.

    Raises
    ------
    TypeError
        If `cls` is no class.
    ValueError
        If the class is registered already, or is one of Python's containers.

    Examples
    --------
    >>> from tapeflow import grad, pytree
    >>> class Line:
    ...     def __init__(self, slope, label):
    ...         self.slope, self.label = slope, label
    >>> cls = pytree.register(Line, lambda x: ((x.slope,), x.label, ("slope",)), lambda aux, c: Line(c[0], aux))
    >>> g = grad(lambda line: line.slope**2)(Line(3.0, "a"))
    >>> g.slope, g.label
    (np.float64(6.0), 'a')
    """
    if not isinstance(cls, type):
        raise TypeError(f"pytree.register: expected a class, got {cls!r}")
    if cls in _automatic:
        optree.unregister_pytree_node(cls, namespace=NAMESPACE)
        _automatic.discard(cls)
    optree.register_pytree_node(cls, flatten, unflatten, namespace=NAMESPACE, path_entry_type=_Entry)
    return cls


class _Entry(optree.PyTreeEntry):
    """A step into a registered container: an attribute if it has a name, else the number of the child."""

    def __call__(self, obj: Any) -> Any:
        raise TypeError(f"{self.type.__name__} is registered without access to its children")

    def codify(self, /, node: str = "") -> str:
        return f"{node}.{self.entry}" if isinstance(self.entry, str) else f"{node}[{self.entry}]"


def _fields(cls: type) -> tuple[Any, ...] | None:
    """The fields of a dataclass or attrs class, else ``None``; attrs is recognised by what it leaves on the class."""
    if issubclass(cls, Enum):
        return None  # a member, whatever else it is
    if hasattr(cls, "__dataclass_fields__"):
        return dataclasses.fields(cls)  # type: ignore[arg-type]
    return getattr(cls, "__attrs_attrs__", None)


def _register_fields(cls: type) -> None:
    fields = _fields(cls) or ()
    static = tuple(f.name for f in fields if f.metadata.get("static", False))
    names = tuple(f.name for f in fields if f.name not in static)

    def flatten(x: Any) -> tuple[Any, ...]:
        aux = tuple([_hashable(getattr(x, f), cls, f) for f in static]) if static else ()
        return tuple([getattr(x, f) for f in names]), aux, names

    def unflatten(aux: Any, children: Iterable[Any]) -> Any:
        # Not by the constructor: it may convert or refuse what a transform puts in place of an array.
        new: Any = object.__new__(cls)
        for name, value in zip((*names, *static), (*children, *aux), strict=True):
            object.__setattr__(new, name, value)
        return new

    with _lock:
        if cls not in _automatic:  # by another thread
            optree.register_pytree_node(cls, flatten, unflatten, namespace=NAMESPACE, path_entry_type=_Entry)
            _automatic.add(cls)


def _hashable(value: Any, cls: type, field: str) -> Any:
    try:
        hash(value)
    except TypeError:
        raise StructureError(
            f"{cls.__name__}.{field} is static, so it belongs to the structure and must be hashable, but it is of type "
            f"{type(value).__name__}. Make it hashable (a tuple instead of a list), or a field that is not static"
        ) from None
    return value
