"""PyTorch: its functions inside of tapeflow's derivatives, and NumPy code inside of its own."""

from __future__ import annotations

from tapeflow.bridges._torch_from import from_torch
from tapeflow.bridges._torch_to import to_torch

__all__ = ["from_torch", "to_torch"]
