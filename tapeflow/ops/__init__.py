"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import (
    arguments,
    contractions,
    decompositions,
    elementwise,
    indexing,
    linalg,
    nanfunctions,
    quantiles,
    reductions,
    sets,
    shapes,
    sorting,
    statistics,
)

__all__ = [
    "arguments",
    "contractions",
    "decompositions",
    "elementwise",
    "indexing",
    "linalg",
    "nanfunctions",
    "quantiles",
    "reductions",
    "sets",
    "shapes",
    "sorting",
    "statistics",
]
