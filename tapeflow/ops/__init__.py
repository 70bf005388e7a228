"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import (
    contractions,
    decompositions,
    elementwise,
    indexing,
    linalg,
    reductions,
    shapes,
    special,
    special_bessel,
    special_distributions,
    special_elliptic,
    special_incomplete,
    special_polynomials,
)

__all__ = [
    "contractions",
    "decompositions",
    "elementwise",
    "indexing",
    "linalg",
    "reductions",
    "shapes",
    "special",
    "special_bessel",
    "special_distributions",
    "special_elliptic",
    "special_incomplete",
    "special_polynomials",
]
