"""The examples of README and docs run, and the reference names everything that is public."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tapeflow

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [p for p in PAGES if "```python" in p.read_text()]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda p: p.name)
def test_the_examples_of_a_page_run_in_order(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    for code in blocks(page):
        exec(compile(code, str(page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_block_of_a_page_is_closed(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(), flags=re.M)
    assert len(fences) % 2 == 0
    assert not any(fences[1::2])


def test_a_broken_example_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        exec("assert 1 == 2", {})


def test_the_reference_names_every_public_name() -> None:
    text = (ROOT / "docs/reference.md").read_text()
    missing = [name for name in tapeflow.__all__ if f"tapeflow.{name}" not in text]
    assert not missing


def test_public_names_exist() -> None:
    assert all(hasattr(tapeflow, name) for name in tapeflow.__all__)
