"""Functions about places in arrays and plans of work: they depend on shapes or integers, not on values."""

from __future__ import annotations

import numpy as np

from tapeflow.core.rules import nondifferentiable

for _function in (
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.ravel_multi_index, np.unravel_index,
):  # fmt: skip
    nondifferentiable(_function, "integer valued")
nondifferentiable(np.einsum_path, "shapes do not depend on values")
