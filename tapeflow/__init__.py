"""Derivatives of the NumPy code you already have."""

from tapeflow import backends, errors, numpy, ops, pytree
from tapeflow.recorders import ForwardAccumulator, GradientTape, Variable
from tapeflow.transforms import (
    grad,
    hessian,
    hessian_diagonal,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    laplacian,
    nth_derivative,
    stop_gradient,
    taylor,
    value_and_grad,
    vhp,
    vjp,
    vmap,
)

__all__ = [
    "ForwardAccumulator",
    "GradientTape",
    "Variable",
    "backends",
    "errors",
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
    "numpy",
    "ops",
    "pytree",
    "stop_gradient",
    "taylor",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
