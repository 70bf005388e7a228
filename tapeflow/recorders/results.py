"""What a sweep hands out: arrays that belong to the caller alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tapeflow.core.tracer import Tracer

__all__ = ["conjugate", "own"]


def own(results: list[Any], others: Iterable[int] = ()) -> list[Any]:
    """Copy what shares memory with another result, or is one of the objects whose ids are given.

    Rules never hand out what was recorded.
    """
    seen = set(others)
    out = []
    for g in results:
        if isinstance(g, np.ndarray):
            if id(g) in seen or g.base is not None or not g.flags.writeable:
                g = np.array(g)
            seen.add(id(g))
            g = g if g.shape else g[()]
        elif isinstance(g, Tracer):
            g = g._twin() if id(g) in seen else g
            seen.add(id(g))
        elif g is not None and hasattr(g, "copy"):
            g = g.copy()
        out.append(g)
    return out


def conjugate(g: Any) -> Any:
    """The conjugate of a complex array; what is real, or ``None``, as it is."""
    return g if g is None or g.dtype.kind != "c" else np.conjugate(g)
