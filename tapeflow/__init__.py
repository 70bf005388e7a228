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
from tapeflow.transforms.curvature import (
    empirical_fisher_operator,
    empirical_fisher_product,
    fisher_operator,
    fisher_product,
    gauss_newton_operator,
    gauss_newton_product,
)
from tapeflow.transforms.estimators import (
    Estimate,
    hessian_diagonal_estimate,
    hessian_trace,
    hutchinson_diagonal,
    hutchinson_trace,
)
from tapeflow.transforms.linearize import linear_transpose, linearize
from tapeflow.transforms.operators import JacobianOperator, hessian_operator, hessp, jacobian_operator

__all__ = [
    "Estimate",
    "ForwardAccumulator",
    "GradientTape",
    "JacobianOperator",
    "Variable",
    "backends",
    "empirical_fisher_operator",
    "empirical_fisher_product",
    "errors",
    "fisher_operator",
    "fisher_product",
    "gauss_newton_operator",
    "gauss_newton_product",
    "grad",
    "hessian",
    "hessian_diagonal_estimate",
    "hessian_operator",
    "hessian_trace",
    "hessp",
    "hutchinson_diagonal",
    "hutchinson_trace",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacobian_operator",
    "jacrev",
    "jvp",
    "linear_transpose",
    "linearize",
    "numpy",
    "ops",
    "pytree",
    "stop_gradient",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
