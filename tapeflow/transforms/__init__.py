"""Transforms: functions in, functions out."""

from tapeflow.transforms.derivatives import grad, value_and_grad
from tapeflow.transforms.jacobian import hessian, jacfwd, jacobian, jacrev
from tapeflow.transforms.products import hvp, jvp, vhp, vjp
from tapeflow.transforms.stop import stop_gradient
from tapeflow.transforms.taylor import hessian_diagonal, laplacian, nth_derivative, taylor
from tapeflow.transforms.vmap import vmap

__all__ = [
    "grad",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "laplacian",
    "nth_derivative",
    "stop_gradient",
    "taylor",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
