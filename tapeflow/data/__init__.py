"""Small real data sets, for the demo, the examples and your own experiments; README.md names sources and licences."""

from tapeflow.data.loaders import Dataset, breast_cancer, digits, iris

__all__ = ["Dataset", "breast_cancer", "digits", "iris"]
