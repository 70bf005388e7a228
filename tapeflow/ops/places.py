"""Functions about places in arrays: they depend on shapes or integers, not on values."""

from __future__ import annotations

import numpy as np

from tapeflow.core.rules import nondifferentiable
from tapeflow.ops import answers

for _function in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
    nondifferentiable(_function, "integer valued", batch=answers.of_shapes(_function))
nondifferentiable(np.unravel_index, "integer valued", batch=answers.unravel_index)
nondifferentiable(np.ravel_multi_index, "integer valued", batch=answers.ravel_multi_index)
