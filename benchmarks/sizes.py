"""How much of the suite is run: all, or with ``TAPEFLOW_BENCH=smoke`` in the environment enough to see that it works."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

__all__ = ["SMOKE", "some"]

SMOKE = os.environ.get("TAPEFLOW_BENCH") == "smoke"


def some(values: Sequence[Any], smoke: int = 1) -> list[Any]:
    """The values of a parameter; of a smoke run the first few."""
    return list(values[:smoke] if SMOKE else values)
