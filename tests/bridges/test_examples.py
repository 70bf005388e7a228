"""The examples of the page on bridges that need another toolkit run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "bridges.md"


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(
    ("toolkit", "heading"), [("torch", "## PyTorch"), ("jax", "## JAX"), ("autograd", "## HIPS autograd")]
)
def test_examples_of_the_page(toolkit: str, heading: str) -> None:
    module = pytest.importorskip(toolkit)
    section = PAGE.read_text().split(heading + "\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```", section, flags=re.M | re.S)
    assert blocks
    try:
        namespace: dict[str, object] = {}
        for code in blocks:
            exec(compile(code, str(PAGE), "exec", dont_inherit=True), namespace)
    finally:
        if toolkit == "jax":
            module.config.update("jax_enable_x64", False)
