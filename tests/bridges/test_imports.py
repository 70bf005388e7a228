"""Bridges are imported late, and say what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tapeflow.bridges.autograd import from_autograd, to_autograd
from tapeflow.bridges.jax import from_jax, to_jax
from tapeflow.bridges.torch import from_torch, to_torch


@pytest.mark.parametrize(
    "module",
    ["tapeflow", "tapeflow.bridges", "tapeflow.bridges.torch", "tapeflow.bridges.jax", "tapeflow.bridges.autograd"],
)
def test_importing_a_bridge_imports_no_other_toolkit(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'jax', 'autograd'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("bridge", "toolkit", "text"),
    [
        (from_torch, "torch", "needs PyTorch; install it with: pip install torch"),
        (to_torch, "torch", "needs PyTorch; install it with: pip install torch"),
        (from_jax, "jax", "needs JAX; install it with: pip install jax"),
        (to_jax, "jax", "needs JAX; install it with: pip install jax"),
        (from_autograd, "autograd", "needs HIPS autograd; install it with: pip install autograd"),
        (to_autograd, "autograd", "needs HIPS autograd; install it with: pip install autograd"),
    ],
)
def test_a_missing_toolkit_is_named(bridge, toolkit: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, toolkit, None)
    with pytest.raises(ImportError, match=text):
        bridge(abs)
