"""Functions about places, which give plain values. Importing this file enters them in cases.py."""

import numpy as np
from cases import PLAIN

PLAIN.update(
    {
        np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.ravel_multi_index, np.unravel_index,
        np.einsum_path,
    }
)  # fmt: skip
