"""Transforms: functions in, functions out."""

from tapeflow.transforms.custom_primitive import primitive
from tapeflow.transforms.custom_rules import custom_gradient, custom_jvp, custom_vjp
from tapeflow.transforms.derivatives import grad, hvp, jvp, stop_gradient, value_and_grad, vjp
from tapeflow.transforms.jacobian import hessian, jacobian
from tapeflow.transforms.vmap import vmap
from tapeflow.transforms.wrap import wrap

__all__ = [
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "primitive",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
    "wrap",
]
