"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import (
    constructors,
    contractions,
    decompositions,
    domain,
    elementwise,
    functional,
    indexing,
    linalg,
    methods,
    polynomials,
    queries,
    reductions,
    series,
    shapes,
)

__all__ = [
    "constructors",
    "contractions",
    "decompositions",
    "domain",
    "elementwise",
    "functional",
    "indexing",
    "linalg",
    "methods",
    "polynomials",
    "queries",
    "reductions",
    "series",
    "shapes",
]
