"""Rules of users: primitives, functions with a derivative of their own, and foreign code."""

from tapeflow.transforms.custom.gradient import custom_gradient
from tapeflow.transforms.custom.jvp import custom_jvp
from tapeflow.transforms.custom.primitive import primitive
from tapeflow.transforms.custom.vjp import custom_vjp
from tapeflow.transforms.custom.wrap import wrap

__all__ = ["custom_gradient", "custom_jvp", "custom_vjp", "primitive", "wrap"]
