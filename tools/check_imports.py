"""Check that imports go one way, that only backends name a backend, and that packages only re-export.

Layers from the lowest up; a module may import from its own layer's package and from lower layers::

    errors -> pytree, backends -> core -> recorders -> ops -> numpy, scipy, transforms
           -> compile, solvers, nn, optim, viz, testing, data, demo, bench, bridges -> cli, __main__
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LAYERS = (
    ("errors",),
    ("pytree", "backends"),
    ("core",),
    ("recorders",),
    ("ops",),
    ("numpy", "scipy", "transforms"),
    ("compile", "solvers", "nn", "optim", "viz", "testing", "data", "demo", "bench", "bridges"),
    ("cli", "__main__"),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# demo shows trace tables and reads the data sets, all of one layer.
SIDEWAYS = {("demo", "viz"), ("demo", "data"), ("__main__", "cli")}
FACADE = "tapeflow"


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield from ((node.lineno, f"{base}.{alias.name}" if base == FACADE else base) for alias in node.names)


def problems(package: Path) -> list[str]:
    """What is wrong in a package, a line each."""
    found = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        tree = ast.parse(path.read_text(), str(path))
        if "utils" in place.parts or place.stem == "utils":
            found.append(f"{place}: nothing may be called utils; a helper lives with its caller")
        if path.name == "__init__.py":
            found += [f"{place}:{line}: __init__.py may only re-export" for line in not_exports(tree)]
        found += direction(place, tree)
    return found


def direction(place: Path, tree: ast.AST) -> list[str]:
    """Imports of one module that go the wrong way."""
    layer = place.parts[0].removesuffix(".py")
    if place.parts == ("__init__.py",):
        return []
    if layer not in LEVEL:
        return [f"{place}: {layer!r} is in no layer; enter it in tools/check_imports.py"]
    found = []
    for line, name in sorted(set(imported(tree))):
        if name.startswith("."):
            found.append(f"{place}:{line}: relative import; write the full name")
        if name.split(".")[0] == "cupy" and layer != "backends":
            found.append(f"{place}:{line}: only backends/ may name a backend")
        parts = name.split(".")
        if parts[0] == FACADE and len(parts) > 1 and not allowed(layer, parts[1]):
            found.append(f"{place}:{line}: {layer} may not import {name}")
    return found


def allowed(layer: str, target: str) -> bool:
    """Whether a layer may import another, or a public name from the top."""
    if target not in LEVEL:
        return LEVEL[layer] >= LEVEL["viz"]  # a name of the facade, which is above ops and transforms
    return target == layer or LEVEL[target] < LEVEL[layer] or (layer, target) in SIDEWAYS


def not_exports(tree: ast.Module) -> list[int]:
    """Lines of statements that are neither docstring, import nor ``__all__``."""
    lines = []
    for node in tree.body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]
        if not (text or names or isinstance(node, (ast.Import, ast.ImportFrom))):
            lines.append(node.lineno)
    return lines


if __name__ == "__main__":
    bad = problems(Path(__file__).parent.parent / FACADE)
    print("\n".join(bad) or "imports go one way")
    sys.exit(bool(bad))
