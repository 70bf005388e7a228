"""Rows that the tests of the namespaces found missing."""

from __future__ import annotations

import numpy as np
from cases import case, cplx

case(np.sign, None, cplx(2, 3), note="complex")
