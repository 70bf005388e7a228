"""The primitives: one family a file, declarations only. Importing a module registers its functions."""

from tapeflow.ops import elementwise, indexing, reductions, shapes

__all__ = ["elementwise", "indexing", "reductions", "shapes"]
