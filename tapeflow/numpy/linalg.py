"""``numpy.linalg``, under the name by which ported code imports it."""

from __future__ import annotations

from typing import Any

import numpy as np


def __getattr__(name: str) -> Any:
    return getattr(np.linalg, name)


def __dir__() -> list[str]:
    return dir(np.linalg)
