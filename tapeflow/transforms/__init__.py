"""Transforms: functions in, functions out."""

from tapeflow.transforms.derivatives import grad, hvp, jvp, stop_gradient, value_and_grad, vjp
from tapeflow.transforms.jacobian import hessian, jacobian
from tapeflow.transforms.linearize import linear_transpose, linearize
from tapeflow.transforms.vmap import vmap

__all__ = [
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linear_transpose",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
