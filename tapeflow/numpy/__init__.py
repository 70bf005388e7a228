"""NumPy's namespaces for what its protocols cannot see."""

from tapeflow.numpy import polynomial

__all__ = ["polynomial"]
