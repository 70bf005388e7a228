"""Transforms: functions in, functions out."""

from tapeflow.transforms.curvature import (
    empirical_fisher_operator,
    empirical_fisher_product,
    fisher_operator,
    fisher_product,
    gauss_newton_operator,
    gauss_newton_product,
)
from tapeflow.transforms.custom import custom_gradient, custom_jvp, custom_vjp, primitive, wrap
from tapeflow.transforms.derivatives import grad, value_and_grad
from tapeflow.transforms.estimators import (
    Estimate,
    hessian_diagonal_estimate,
    hessian_trace,
    hutchinson_diagonal,
    hutchinson_trace,
)
from tapeflow.transforms.jacobian import hessian, jacfwd, jacobian, jacrev
from tapeflow.transforms.linearize import linear_transpose, linearize
from tapeflow.transforms.operators import JacobianOperator, hessian_operator, hessp, jacobian_operator
from tapeflow.transforms.products import hvp, jvp, vhp, vjp
from tapeflow.transforms.stop import stop_gradient
from tapeflow.transforms.taylor import hessian_diagonal, laplacian, nth_derivative, taylor
from tapeflow.transforms.vmap import vmap

__all__ = [
    "Estimate",
    "JacobianOperator",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "empirical_fisher_operator",
    "empirical_fisher_product",
    "fisher_operator",
    "fisher_product",
    "gauss_newton_operator",
    "gauss_newton_product",
    "grad",
    "hessian",
    "hessian_diagonal",
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
    "laplacian",
    "linear_transpose",
    "linearize",
    "nth_derivative",
    "primitive",
    "stop_gradient",
    "taylor",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
    "wrap",
]
