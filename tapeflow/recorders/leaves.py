"""Trees as a tape takes them: leaves to differentiate, and others that stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import NoneType
from typing import Any

from tapeflow import pytree

__all__ = ["Leaves"]

# These may stand for an array that is missing, or a mistaken dtype.
SUSPECT = (NoneType, bool)


@cache
def _is_static(cls: type) -> bool:
    return issubclass(cls, pytree.STATIC) and not issubclass(cls, SUSPECT)


class Leaves:
    """The leaves of a tree that shall be differentiated, with their paths; strings, functions and their kin are kept.

    A tree that has no others is not excused: then they are leaves like any, for whoever takes them to refuse.
    """

    __slots__ = ("all", "paths", "spec", "values", "varying")

    def __init__(self, tree: Any, name: str) -> None:
        self.values, self.spec, self.paths = pytree.flatten_with_paths(tree, name)
        self.varying: list[bool] | None = None
        if self.spec is pytree.LEAF:
            return
        static = set(filter(_is_static, set(map(type, self.values))))
        if static and not all(type(x) in static for x in self.values):
            self.all = self.values
            self.varying = [type(x) not in static for x in self.values]
            self.values = [x for x, v in zip(self.all, self.varying, strict=True) if v]
            self.paths = [p for p, v in zip(self.paths, self.varying, strict=True) if v]

    def fill(self, new: Iterable[Any]) -> Any:
        """Return the tree with other leaves in place of those that are differentiated."""
        if self.varying is not None:
            replace = iter(new)
            new = [next(replace) if v else x for x, v in zip(self.all, self.varying, strict=True)]
        return pytree.unflatten(self.spec, new)
