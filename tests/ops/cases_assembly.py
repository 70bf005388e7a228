"""Rows for the functions of `tapeflow/ops/assembly.py`, and for what NumPy's protocols cannot see."""

from __future__ import annotations

import numpy as np
from cases import case, cplx

case(np.sign, None, cplx(2, 3), note="complex")
