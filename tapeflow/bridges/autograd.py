"""HIPS autograd: its functions inside of tapeflow's derivatives, and NumPy code inside of its own."""

from __future__ import annotations

from tapeflow.bridges._autograd_from import from_autograd
from tapeflow.bridges._autograd_to import to_autograd

__all__ = ["from_autograd", "to_autograd"]
