"""Arguments and results of functions with custom rules: trees of which some leaves are differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.tracer import Tracer
from tapeflow.errors import RuleError
from tapeflow.recorders import Variable
from tapeflow.transforms.custom.calls import guarded
from tapeflow.transforms.custom.checks import fitted, meta, spread_over

__all__ = [
    "Tree",
    "flat_shares_of",
    "is_result",
    "is_traced",
    "normal",
    "shares_of",
    "tangents_of",
    "zeros_for_missing",
]


class Tree:
    """A tuple of trees, some leaves of which (the *slots*) are differentiable; the others are constants."""

    def __init__(self, trees: Sequence[Any], is_slot: Callable[[Any], bool], *, guard: bool = False) -> None:
        self.leaves, self.spec = pytree.flatten(tuple(trees))
        self.places = [k for k, x in enumerate(self.leaves) if is_slot(x)]
        self.slots = [self.leaves[k] for k in self.places]
        self.metas = [meta(x) for x in self.slots]
        slots = set(self.places)
        self.leaves = [None if k in slots else guarded(x) if guard else x for k, x in enumerate(self.leaves)]

    @property
    def specs(self) -> list[Any]:
        """The structure of each of the trees."""
        return list(self.spec.children())

    def filled(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The trees with other values in the slots."""
        leaves = list(self.leaves)
        for k, v in zip(self.places, values, strict=True):
            leaves[k] = v
        return pytree.unflatten(self.spec, leaves)

    def marked(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Trees of tangents with values in the slots; zero for constant floats, and ``None`` for what has no tangent."""
        spread = self.spread(values)
        slots = set(self.places)
        return pytree.unflatten(
            self.spec, [v if k in slots else _zero(x) for k, (v, x) in enumerate(zip(spread, self.leaves, strict=True))]
        )

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """A leaf each: values for the slots, ``None`` for the constants."""
        leaves: list[Any] = [None] * len(self.leaves)
        for k, v in zip(self.places, values, strict=True):
            leaves[k] = v
        return leaves

    def fitted(self, leaves: Sequence[Any], what: str, where: Callable[[int], str]) -> list[Any]:
        """What a rule gives for the slots, checked; what it gives for constants is of no consequence."""
        return [
            fitted(leaves[k], shape, dtype, f"{what}, {where(k)}")
            for k, (shape, dtype) in zip(self.places, self.metas, strict=True)
        ]


def _zero(x: Any) -> Any:
    if type(x) in (float, complex):
        return 0.0
    return np.zeros_like(x) if backend_for(x) is not None and x.dtype.kind in "fc" else None


def is_traced(x: Any) -> bool:
    """Whether an argument can be differentiated."""
    return isinstance(x, Tracer) and x.dtype.kind in "fc"


def is_result(x: Any) -> bool:
    """Whether a result can be differentiated: also a plain array, to which a rule may give a gradient."""
    return (isinstance(x, Tracer) or backend_for(x) is not None) and x.dtype.kind in "fc"


def normal(out: Any) -> Any:
    """Results with Python's floats as array scalars, so that they can have a derivative."""

    def convert(y: Any) -> Any:
        if isinstance(y, Variable):
            return y.read()
        return np.asarray(y)[()] if type(y) in (float, complex) else y

    return pytree.map_leaves(convert, out)


def zeros_for_missing(tangents: Sequence[Any], metas: Sequence[Any]) -> list[Any]:
    """Tangents as arrays."""
    return [np.zeros(*m) if t is None else t for t, m in zip(tangents, metas, strict=True)]


# ---- what rules return


def tangents_of(found: Any, results: Tree, what: str) -> list[Any]:
    """Tangents of the results, from a tree of their structure."""
    leaves = spread_over(found, results.specs[0], what)
    return results.fitted(leaves, what, lambda k: f"result {k}")


def shares_of(found: Any, arguments: Tree, places: list[int], what: str) -> list[Any]:
    """Cotangents of the arguments, from a tuple with one for each."""
    if not isinstance(found, (tuple, list)):
        if len(places) != 1:
            raise RuleError(f"{what}: expected a tuple of {len(places)}, found a {type(found).__name__}")
        found = (found,)
    if len(found) != len(places):
        raise RuleError(f"{what}: {len(places)} differentiable argument(s), but {len(found)} cotangent(s)")
    leaves: list[Any] = []
    for k, value, spec in zip(places, found, arguments.specs, strict=True):
        leaves += spread_over(value, spec, f"{what}, argument {k}")
    return _fit_leaves(leaves, arguments, what)


def flat_shares_of(found: Any, arguments: Tree, what: str) -> list[Any]:
    """Cotangents of the arguments in TensorFlow's form, or in the structure of the arguments."""
    if not isinstance(found, (tuple, list)) or (len(arguments.specs) == 1 and _fits(found, arguments.specs[0])):
        found = (found,)
    if len(found) == len(arguments.leaves) and all(x is None or _is_leaf(x) for x in found):
        return _fit_leaves(list(found), arguments, what)
    if len(found) != len(arguments.specs):
        raise RuleError(f"{what}: {len(arguments.leaves)} argument(s), but {len(found)} gradient(s)")
    return shares_of(found, arguments, list(range(len(arguments.specs))), what)


def _fit_leaves(leaves: list[Any], arguments: Tree, what: str) -> list[Any]:
    paths = arguments.spec.accessors()
    return arguments.fitted(leaves, what, lambda k: f"argument {paths[k].codify('args')}")


def _fits(tree: Any, spec: Any) -> bool:
    return spec.num_leaves != 1 and bool(pytree.flatten(tree)[1] == spec)


def _is_leaf(x: Any) -> bool:
    return pytree.flatten(x)[1].num_nodes == 1
