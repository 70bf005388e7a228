"""The checks of the house hold on the real tree, and fail on trees that break them."""

from __future__ import annotations

from pathlib import Path

import check_budgets
import check_imports
import check_published
import pytest

PACKAGE = Path(__file__).parent.parent / "tapeflow"


def write(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_imports_of_the_package_go_one_way() -> None:
    assert check_imports.problems(PACKAGE) == []


def test_the_package_is_within_budget() -> None:
    assert check_budgets.problems(PACKAGE) == []


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("core/a.py", "from tapeflow.ops import shapes\n", "core may not import tapeflow.ops"),
        ("ops/a.py", "from tapeflow import GradientTape\n", "ops may not import tapeflow.GradientTape"),
        ("core/a.py", "import cupy\n", "only backends/"),
        ("core/a.py", "from . import b\n", "relative import"),
        ("core/__init__.py", "x = 1\n", "may only re-export"),
        ("core/utils.py", "", "nothing may be called utils"),
        ("strange/a.py", "", "is in no layer"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, place: str, text: str, complaint: str) -> None:
    write(tmp_path, place, text)
    assert any(complaint in line for line in check_imports.problems(tmp_path))


def test_breaches_of_budgets_are_found(tmp_path: Path) -> None:
    long = "def f():\n" + "    x = 1\n" * 50
    write(tmp_path, "core/a.py", long)
    write(tmp_path, "core/b.py", "x = 1\n" * check_budgets.CORE)
    found = "\n".join(check_budgets.problems(tmp_path))
    assert "f has 51 code lines" in found
    assert f"core/b.py: {check_budgets.CORE} code lines" in found
    assert f"core/: {check_budgets.CORE + 51} code lines" in found


def test_blank_lines_comments_and_docstrings_do_not_count() -> None:
    source = '"""Text.\n\nMore.\n"""\n\n# why\nx = 1\n\n\ndef f():\n    """Text."""\n    return x\n'
    assert len(check_budgets.code_lines(source)) == 3


def test_numpy_on_arrays_in_a_rule_is_found() -> None:
    assert check_budgets.numpy_in_rules("unary(np.sin, lambda xp, x: np.cos(x))\n") == [1]
    assert check_budgets.numpy_in_rules("unary(np.sin, lambda xp, x: xp.cos(x))\n") == []


def test_a_benchmark_that_was_not_published_is_found(tmp_path: Path) -> None:
    assert "run asv publish" in check_published.problems(tmp_path)[0]
    write(tmp_path, "index.html", "<html>")
    write(tmp_path, "index.json", '{"benchmarks": {"a.time_a": {}, "a.time_b": {}, "a.time_c": {}}}')
    write(tmp_path, "graphs/summary/a.time_a.json", "[[1, 0.5]]")
    write(tmp_path, "graphs/summary/a.time_b.json", "[[1, null]]")
    assert check_published.problems(tmp_path) == [
        "a.time_b has a graph without a figure",
        "a.time_c has no graph",
    ]
    write(tmp_path, "index.json", '{"benchmarks": {}}')
    assert check_published.problems(tmp_path) == ["no benchmark was published"]
