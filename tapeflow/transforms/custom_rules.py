"""Functions with derivatives of their own: JAX's `custom_jvp` and `custom_vjp`, TensorFlow's `custom_gradient`.

A file for each; here they come together.
"""

from tapeflow.transforms.custom_gradient import custom_gradient
from tapeflow.transforms.custom_jvp import custom_jvp
from tapeflow.transforms.custom_vjp import custom_vjp

__all__ = ["custom_gradient", "custom_jvp", "custom_vjp"]
