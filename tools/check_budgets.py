"""Check sizes: code lines (with a token on them; no blanks, comments, docstrings) of core, files and functions.

Also that no rule of a primitive says ``np.`` on its arrays: rules are written against ``xp``, their first parameter.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from pathlib import Path

CORE = 2200  # see docs/decisions/2026-11-25-core-budget.md
FILE = 400
TABLE_FILE = 600  # declarations, in ops/
FUNCTION = 40
MEDIAN = 6
# A breach needs a page in docs/decisions that says why: "path::function" or "path" -> page.
ALLOWED = {
    "core/fast.py::_left_recorder": "2026-11-24-fast-recorders.md",
    "core/reverse.py::sweep_all": "2026-11-24-fast-recorders.md",
}
# In rules, these of NumPy's names are about shapes and constants, never about array values of a backend.
STATIC = {"argsort", "arange", "broadcast_shapes", "clip", "eye", "finfo", "newaxis", "shape", "tri", "zeros", "lib"}
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that carry code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node
        ):
            text = node.body[0]
            lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def functions(source: str) -> dict[str, int]:
    """Code lines of every function by its name, decorators not counted."""
    lines = code_lines(source)
    sizes = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            sizes[node.name] = len([n for n in lines if node.lineno <= n <= (node.end_lineno or 0)])
    return sizes


def numpy_in_rules(source: str) -> list[int]:
    """Lines on which a rule (a function whose first parameter is ``xp``) uses NumPy on array values."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and node.args.args and node.args.args[0].arg == "xp":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "np" and inner.attr not in STATIC:
                    found.append(inner.lineno)
    return sorted(set(found))


def problems(package: Path) -> list[str]:
    """What is over its budget in a package, a line each."""
    found = []
    core = 0
    sizes: list[int] = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        source = path.read_text()
        length = len(code_lines(source))
        core += length if place.startswith("core/") else 0
        limit = TABLE_FILE if place.startswith("ops/") else FILE
        if length > limit and place not in ALLOWED:
            found.append(f"{place}: {length} code lines, limit {limit}")
        for name, size in functions(source).items():
            sizes.append(size)
            if size > FUNCTION and f"{place}::{name}" not in ALLOWED:
                found.append(f"{place}: {name} has {size} code lines, limit {FUNCTION}")
        if place.startswith("ops/"):
            found += [f"{place}:{line}: a rule uses np on array values; use xp" for line in numpy_in_rules(source)]
    if core > CORE:
        found.append(f"core/: {core} code lines, limit {CORE}")
    if sizes and statistics.median(sizes) > MEDIAN:
        found.append(f"the median function has {statistics.median(sizes)} code lines, limit {MEDIAN}")
    print(
        f"core {core} code lines; {len(sizes)} functions, median {statistics.median(sizes or [0])}, max {max(sizes or [0])}"
    )
    return found


if __name__ == "__main__":
    root = Path(__file__).parent.parent
    bad = problems(root / "tapeflow")
    bad += [f"{page} is missing" for page in set(ALLOWED.values()) if not (root / "docs/decisions" / page).exists()]
    print("\n".join(bad) or "within budget")
    sys.exit(bool(bad))
