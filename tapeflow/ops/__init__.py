"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import (
    contractions,
    decompositions,
    elementwise,
    fft,
    indexing,
    inplace,
    linalg,
    reductions,
    shapes,
    signal,
)

__all__ = [
    "contractions",
    "decompositions",
    "elementwise",
    "fft",
    "indexing",
    "inplace",
    "linalg",
    "reductions",
    "shapes",
    "signal",
]
