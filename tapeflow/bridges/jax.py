"""JAX: its functions inside of tapeflow's derivatives, and NumPy code inside of its transforms."""

from __future__ import annotations

from tapeflow.bridges._jax_from import from_jax
from tapeflow.bridges._jax_to import to_jax

__all__ = ["from_jax", "to_jax"]
