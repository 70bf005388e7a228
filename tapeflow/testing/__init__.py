"""Check derivatives of functions, and the laws that primitives obey."""

from tapeflow.testing.failures import CheckFailure
from tapeflow.testing.gradients import check_grads
from tapeflow.testing.laws import LAWS
from tapeflow.testing.primitives import check_primitive
from tapeflow.testing.references import ComplexStepError, central_difference, complex_step

__all__ = [
    "LAWS",
    "CheckFailure",
    "ComplexStepError",
    "central_difference",
    "check_grads",
    "check_primitive",
    "complex_step",
]
