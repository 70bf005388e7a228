"""Backends: which arrays the engine can work on, and how."""

from tapeflow.backends.numpy import NUMPY
from tapeflow.backends.registry import Backend, backend_for, get, is_array, names, register

__all__ = ["NUMPY", "Backend", "backend_for", "get", "is_array", "names", "register"]
