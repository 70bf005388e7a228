"""SciPy's array-API functions are differentiable as they stand, and so is SciPy's own special-function table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("scipy_program.py")
ROOT = Path(__file__).parents[2]


def run(*command: str) -> str:
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True, env=environment
    ).stdout


@pytest.mark.slow
def test_functions_of_scipy_have_right_gradients() -> None:
    outcomes = json.loads(run(str(PROGRAM)).splitlines()[-1])
    bad = {name: text for name, text in outcomes.items() if text != "right" and not text.startswith("missing: ")}
    assert not bad
    missing = {name: text for name, text in outcomes.items() if text.startswith("missing: ")}
    if missing:
        pytest.skip(
            f"{len(outcomes) - len(missing)} of {len(outcomes)} are right; no rules yet for {', '.join(missing)}"
        )


UNIFORM = """
import numpy as np
from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.core.tracer import Tracer
for recorder in (GradientTape(), ForwardAccumulator(np.array([1.0, -2.0]), np.ones(2))):
    with recorder as r:
        x = r.watch(np.array([1.0, -2.0])) if isinstance(r, GradientTape) else r.primals
        xp = x.__array_namespace__()
        mask = (x > 0) & ~xp.isnan(x)
        k = xp.argsort(x)
        for plain in (mask, ~mask, xp.asarray([1, 2]), xp.astype(x, xp.int64), xp.asarray([1, 2]) + 1, xp.asarray([True])):
            assert isinstance(plain, Tracer), plain
        assert np.asarray(mask).tolist() == [True, False]
        assert np.arange(2.0)[mask].tolist() == [0.0]
        assert [10, 20][xp.asarray(1)] == 20
        assert not mask[1]
        y = xp.sum(x[mask] ** 2) + xp.sum(xp.where(mask, x, 0.0))
    assert (r.gradient(y, x) if isinstance(r, GradientTape) else r.jvp(y)).tolist() in ([3.0, 0.0], 3.0)
"""


def test_masks_and_integers_are_of_the_namespace_when_scipys_switch_is_on() -> None:
    run("-W", "error", "-c", UNIFORM)
