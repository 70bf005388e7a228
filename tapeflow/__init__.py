"""Derivatives of the NumPy code you already have."""

from tapeflow import backends, errors, numpy, ops, pytree
from tapeflow.recorders import ForwardAccumulator, GradientTape, Variable
from tapeflow.transforms import grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp, vmap
from tapeflow.transforms.linearize import linear_transpose, linearize

__all__ = [
    "ForwardAccumulator",
    "GradientTape",
    "Variable",
    "backends",
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linear_transpose",
    "linearize",
    "numpy",
    "ops",
    "pytree",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
