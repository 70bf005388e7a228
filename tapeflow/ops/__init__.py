"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import (
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
