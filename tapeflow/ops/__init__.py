"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import assembly, contractions, decompositions, elementwise, indexing, linalg, reductions, shapes

__all__ = ["assembly", "contractions", "decompositions", "elementwise", "indexing", "linalg", "reductions", "shapes"]
