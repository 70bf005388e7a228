"""Transforms: functions in, functions out."""

from tapeflow.transforms.derivatives import grad, hvp, jvp, stop_gradient, value_and_grad, vjp
from tapeflow.transforms.jacobian import hessian, jacobian

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"]
