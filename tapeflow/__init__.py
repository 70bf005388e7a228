"""Derivatives of the NumPy code you already have."""

from tapeflow import backends, errors, numpy, ops, pytree
from tapeflow.recorders import ForwardAccumulator, GradientTape, Variable
from tapeflow.transforms import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    stop_gradient,
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
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "numpy",
    "ops",
    "pytree",
    "stop_gradient",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
