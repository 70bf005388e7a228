"""Derivatives of the NumPy code you already have."""

from tapeflow import backends, errors, numpy, ops, pytree
from tapeflow.recorders import ForwardAccumulator, GradientTape, Variable
from tapeflow.transforms import (
    custom_gradient,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
    wrap,
)

__all__ = [
    "ForwardAccumulator",
    "GradientTape",
    "Variable",
    "backends",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "numpy",
    "ops",
    "primitive",
    "pytree",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
    "wrap",
]
