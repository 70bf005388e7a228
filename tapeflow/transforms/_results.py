"""Results of transformed functions: what they must be, and as what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from optree import PyTreeAccessor

from tapeflow import pytree
from tapeflow.core.tracer import Tracer
from tapeflow.errors import TargetError, name_of
from tapeflow.recorders import GradientTape
from tapeflow.transforms._leaves import Partition, as_array

__all__ = ["output", "outward", "pull", "watch"]


def output(fun: Callable[..., Any], out: Any, name: str) -> Partition:
    """Partition a result; its leaves become arrays where they are Python numbers.

    Raises
    ------
    TargetError
        If a leaf is an object that may hold arrays, or there are leaves but no array.
    """
    result = Partition(out, _output_name, lambda text: TargetError(f"{name}: {text}return it by has_aux=True"))
    if result.statics and not result.leaves:
        where = _output_name(result.spec.accessors()[0])
        what = type(result.statics[0]).__name__
        raise TargetError(f"{name}: {where} is a {what}, not an array (of {name_of(fun)})")
    result.leaves = list(map(as_array, result.leaves))
    return result


def _output_name(accessor: PyTreeAccessor) -> str:
    return accessor.codify("output")


def outward(tree: Any, recorder: Any, reused: bool = False) -> Any:
    """Results as values of the level outside a recorder; copies if what it recorded is `reused` after that."""
    level = recorder.level
    # A value on a list on which other tapes still record must stay a handle.
    shared = level if isinstance(recorder, GradientTape) and recorder.shares_list else None

    def leave(x: Any) -> Any:
        if not isinstance(x, Tracer) or x._level < level:
            return x
        while isinstance(x, Tracer) and x._level >= level and x._level != shared:
            x = x._value
        if isinstance(x, Tracer):
            return x._twin() if reused else x
        # What is read-only is the caller's own array, held while it was recorded.
        return x.copy() if isinstance(x, np.ndarray) and (reused or not x.flags.writeable) else x

    return leave(tree) if isinstance(tree, Tracer) else pytree.map_leaves(leave, tree)


def watch(tape: GradientTape, leaves: list[Any]) -> list[Any]:
    """Watch leaves; one alone takes the short way."""
    return [tape.watch(leaves[0])] if len(leaves) == 1 else tape.watch(leaves)


def pull(tape: GradientTape, values: list[Any], sources: list[Any], seeds: list[Any] | None = None) -> list[Any]:
    """Pull seeds (a one for a scalar) back to the sources; zeros where nothing depends on them."""
    # A result that is no traced value does not depend on the arguments.
    known = [k for k, y in enumerate(values) if isinstance(y, Tracer) and y.dtype.kind in "fc"]
    targets: Any = [values[k] for k in known]
    given: Any = seeds and [seeds[k] for k in known]
    if len(known) == 1:
        targets, given = targets[0], given and given[0]
    if len(sources) != 1:
        return tape.gradient(targets, sources, given, "zero")
    return [tape.gradient(targets, sources[0], given, "zero")]
