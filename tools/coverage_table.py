"""What tapeflow differentiates, as Markdown tables: read off the registry and the table of cases, never typed.

``python tools/coverage_table.py`` prints them; the documentation shows them.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(p) for p in (Path(__file__).parent.parent, Path(__file__).parent.parent / "tests/ops")]

from cases import CASES, Case
from classification import CONSTRUCTORS, members, plain_reason, primitives

import tapeflow
from tapeflow.core.primitive import FUNCTIONS, Primitive

NAMESPACES = ("numpy", "numpy.linalg", "numpy.fft", "scipy.special")
HEADER = ("function", "kind", "JVP", "VJP", "second order", "complex", "batching", "note")


@dataclass(frozen=True)
class Row:
    """One function, as the table shows it."""

    namespace: str
    names: tuple[str, ...]  # the function's, then its aliases'
    kind: str
    modes: tuple[bool, bool, bool]  # whether some case checks JVP, VJP, second order
    complex: bool
    batching: str
    note: str

    def cells(self) -> tuple[str, ...]:
        """What the columns of `HEADER` show."""
        names = ", ".join(f"`{n}`" for n in self.names)
        modes = ("yes" if checked else "unchecked" for checked in self.modes)
        return (names, self.kind, *modes, "yes" if self.complex else "no", self.batching, self.note)


def named() -> dict[int, tuple[str, list[str]]]:
    """Namespace and public names of every registered function, by its id; its own name first."""
    found: dict[int, tuple[str, list[str]]] = {}
    registered = {id(f) for f in FUNCTIONS}
    for namespace in NAMESPACES:
        for name, function in members(importlib.import_module(namespace)):
            if id(function) in registered:
                home, names = found.setdefault(id(function), (namespace, []))
                if home == namespace:
                    names.insert(0 if name == function.__name__ else len(names), name)
    for function in FUNCTIONS:
        name = getattr(function, "__qualname__", f"{function}=")  # a name where it stands for a keyword
        home = getattr(function, "__module__", None) or "numpy"
        if isinstance(function, str) or name.startswith("ndarray."):
            home = "methods and keywords"
        found.setdefault(id(function), (home, [name]))
    return found


def table() -> list[Row]:
    """A row for every function with a derivative, in order of namespaces and names."""
    names = named()
    cases: dict[int, list[Case]] = {}
    for c in CASES:
        cases.setdefault(id(c.function), []).append(c)
    rows = [row(f, *names[id(f)], cases[id(f)]) for f in FUNCTIONS if plain_reason(f) is None and id(f) in cases]
    order = {n: i for i, n in enumerate(NAMESPACES)}
    return sorted(rows, key=lambda r: (order.get(r.namespace, len(order)), r.namespace, r.names[0]))


def row(function: Any, namespace: str, names: list[str], cases: list[Case]) -> Row:
    """Put together what registry and cases say about one function."""
    used = primitives(function)
    skipped = {law: [c.skip[law] for c in cases if law in c.skip] for law in ("jvp", "vjp", "second", "dtype")}
    jvp, vjp, second = (len(skipped[law]) < len(cases) for law in ("jvp", "vjp", "second"))
    takes_complex = any(a.dtype.kind == "c" for c in cases if "jvp" not in c.skip for a in c.args())
    texts = [
        summary(FUNCTIONS[function]),
        *(p.reason or "" for p in used),
        *(f"{law}: {why}" for law, whys in skipped.items() for why in whys),
    ]
    note = "; ".join(dict.fromkeys(t.rstrip(".") for t in texts if t))
    return Row(namespace, tuple(names), kind(used), (jvp, vjp, second), takes_complex, batching(used), note)


def kind(used: list[Primitive]) -> str:
    """Kinds of the primitives that a function calls (see `tapeflow.core.rules`)."""
    return ", ".join(sorted({kind_of(p) for p in used})) or "composite"


def kind_of(primitive: Primitive) -> str:
    """Kind of one primitive."""
    if primitive.linear:
        return "linear"
    elementwise = getattr(primitive, "elementwise", primitive.jvps is primitive.vjps)
    return "elementwise" if elementwise else "general"


def batching(used: list[Primitive]) -> str:
    """How a function acts on a batch."""
    if not hasattr(tapeflow, "vmap"):
        return "not yet"
    return "rule" if all(p.batch for p in used) else "loop"


def summary(ours: Callable[..., Any]) -> str:
    """First sentence of what documents our function; nothing for ufuncs, which need no words."""
    doc = None if isinstance(ours, partial) else inspect.getdoc(ours)
    return (doc or "").split("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")


def plain_functions() -> dict[str, list[str]]:
    """Functions that give plain values, by the reason."""
    names = named()
    found: dict[str, list[str]] = {}
    for function in FUNCTIONS:
        reason = plain_reason(function)
        if reason is not None:
            namespace, (first, *_) = names[id(function)]
            found.setdefault(reason, []).append(f"{namespace}.{first}".removeprefix("numpy."))
    return {reason: sorted(functions) for reason, functions in sorted(found.items())}


def markdown() -> Iterator[str]:
    """The lines of the page below its introduction."""
    rows = table()
    for namespace in dict.fromkeys(r.namespace for r in rows):
        mine = [r for r in rows if r.namespace == namespace]
        yield from ("", f"## {namespace}", "", f"{len(mine)} functions.", "")
        yield from ("| " + " | ".join(HEADER) + " |", "| --- " * len(HEADER) + "|")
        yield from ("| " + " | ".join(r.cells()) + " |" for r in mine)
    yield from ("", "## Without a derivative", "", "These give plain values for traced arguments.", "")
    yield from ("| why | functions |", "| --- | --- |")
    yield from (f"| {why} | {code(names)} |" for why, names in plain_functions().items())
    with_rows = {n for r in rows for n in r.names}
    yield from (
        "",
        "## Constructors",
        "",
        f"These make arrays that depend on no traced value: {code(CONSTRUCTORS - with_rows)}.",
    )


def code(names: Any) -> str:
    """Names in order, as code."""
    return ", ".join(f"`{n}`" for n in sorted(names))


if __name__ == "__main__":
    print("\n".join(markdown()))
