"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import contractions, decompositions, eigen, elementwise, indexing, linalg, lstsq, reductions, shapes

__all__ = [
    "contractions",
    "decompositions",
    "eigen",
    "elementwise",
    "indexing",
    "linalg",
    "lstsq",
    "reductions",
    "shapes",
]
