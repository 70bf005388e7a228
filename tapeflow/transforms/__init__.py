"""Transforms: functions in, functions out."""

from tapeflow.transforms.derivatives import grad, value_and_grad
from tapeflow.transforms.jacobian import hessian, jacfwd, jacobian, jacrev
from tapeflow.transforms.products import hvp, jvp, vhp, vjp
from tapeflow.transforms.stop import stop_gradient
from tapeflow.transforms.vmap import vmap

__all__ = [
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "stop_gradient",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
