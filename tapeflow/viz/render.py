"""Print evaluation traces: plain text, Markdown, LaTeX, JSON."""

from __future__ import annotations

import itertools
import json
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tapeflow.viz.nodes import Number, Symbol
from tapeflow.viz.notation import LATEX, TEXT, Notation, significant
from tapeflow.viz.trace import Trace
from tapeflow.viz.trace_table import Row, Section, Table, forward_table, reverse_table

__all__ = ["FORMATS", "MODES", "render", "to_dict"]

MODES = ("forward", "reverse", "both")
GAP = "    "


def render(trace: Trace, mode: str = "both", format: str = "text") -> str:
    """Print a trace as tables.

    Parameters
    ----------
    trace : Trace
        From `tapeflow.viz.trace`.
    mode : {"forward", "reverse", "both"}
        Which derivatives to show: a table of tangents for each variable, a table of adjoints, or all of them.
    format : {"text", "markdown", "latex", "json"}
        Text for a terminal, a GitHub table, LaTeX for amsmath, or JSON as `to_dict` describes.

    Returns
    -------
    str
        The tables, ending in a newline.

    Raises
    ------
    ValueError
        If `mode` or `format` is none of these.

    Examples
    --------
    >>> from tapeflow.viz import render, trace
    >>> print(render(trace("x**2", {"x": 3.0}), "reverse"), end="")
    y = x**2 at x = 3
    <BLANKLINE>
    Reverse mode from ȳ = 1: ∂y/∂x
    <BLANKLINE>
    Forward primal trace    Reverse adjoint (derivative) trace, upwards
    ───────────────────────────────────────────────────────────────────
    v₀ = x        = 3       x̄  = v̄₀                       = 6
    ───────────────────────────────────────────────────────────────────
    v₁ = v₀² = 3² = 9       v̄₀ = v̄₁ ∂v₁/∂v₀ = v̄₁ × 2 × v₀ = 6
    ───────────────────────────────────────────────────────────────────
    y  = v₁       = 9       v̄₁ = ȳ                        = 1
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    return FORMATS[format](trace, mode)


def _tables(trace: Trace, mode: str) -> Iterator[Table]:
    if mode != "reverse":
        yield from (forward_table(trace, name) for name in trace.wrt)
    if mode != "forward":
        yield reverse_table(trace)


def _point(trace: Trace, notation: Notation, separator: str = ", ") -> str:
    return separator.join(
        f"{notation.write(Symbol(name))} = {notation.write(Number(trace.values[trace.number(name)]))}"
        for name in trace.names
    )


def _caption(table: Table, notation: Notation) -> tuple[str, str, str]:
    seed = " = ".join(notation.write(node) for node in table.seed)
    return table.mode.capitalize(), seed, ", ".join(notation.partial(of, by) for of, by in table.gives)


def _lines_of(section: Section) -> list[tuple[Row | None, Row | None]]:
    return list(itertools.zip_longest(section.left, section.right))


# ---- text


def _text(trace: Trace, mode: str) -> str:
    parts = [f"{TEXT.write(trace.output)} = {trace.text} at {_point(trace, TEXT)}"]
    for table in _tables(trace, mode):
        caption, seed, gives = _caption(table, TEXT)
        parts += [f"{caption} mode from {seed}: {gives}", "\n".join(_text_table(table))]
    return "\n\n".join(parts) + "\n"


def _text_table(table: Table) -> Iterator[str]:
    lines = [line for section in table.sections for line in _lines_of(section)]
    sides = [_aligned([line[side] for line in lines]) for side in (0, 1)]
    left = max(map(_width, [table.headings[0], *sides[0]]))
    rows = iter([f"{_padded(a, left)}{GAP}{b}".rstrip() for a, b in zip(*sides, strict=True)])
    rule = "─" * (left + len(GAP) + max(map(_width, [table.headings[1], *sides[1]])))
    yield f"{_padded(table.headings[0], left)}{GAP}{table.headings[1]}"
    for section in filter(_lines_of, table.sections):
        yield rule
        yield from itertools.islice(rows, len(_lines_of(section)))


def _aligned(rows: Sequence[Row | None]) -> list[str]:
    """Write rows so that subjects, formulas and values stand below each other."""
    cells = [[TEXT.write(node) for node in row or ()] for row in rows]
    subject = max((_width(c[0]) for c in cells if c), default=0)
    middles = [" = ".join(c[1:-1]) for c in cells]
    middle = max(map(_width, middles))
    written = []
    for c, formulas in zip(cells, middles, strict=True):
        body = f"= {_padded(formulas, middle)} = " if formulas else f"{' ' * (middle + 2)} = "
        written.append(f"{_padded(c[0], subject)} {body}{c[-1]}" if c else "")
    return written


def _width(text: str) -> int:
    """Columns on a terminal: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


# ---- Markdown


def _markdown(trace: Trace, mode: str) -> str:
    parts = [f"`{trace.text}` at {_escaped(_point(trace, TEXT))}"]
    for table in _tables(trace, mode):
        caption, seed, gives = _caption(table, TEXT)
        parts += [_escaped(f"{caption} mode from {seed}: {gives}"), "\n".join(_markdown_table(table))]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> Iterator[str]:
    yield f"| {table.headings[0]} | {table.headings[1]} |"
    yield "| --- | --- |"
    for section in table.sections:
        for line in _lines_of(section):
            left, right = (_escaped(" = ".join(TEXT.write(node) for node in row or ())) for row in line)
            yield f"| {left} | {right} |"


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\|*_`" else c for c in text)


# ---- LaTeX


def _latex(trace: Trace, mode: str) -> str:
    parts = [f"% {trace.text} at {_point(trace, TEXT)}; needs \\usepackage{{amsmath}}"]
    for table in _tables(trace, mode):
        caption, seed, gives = _caption(table, LATEX)
        parts += [f"{caption} mode from ${seed}$ at ${_point(trace, LATEX, ',$ $')}$: ${gives}$"]
        parts += ["\n".join(_latex_table(table))]
    return "\n".join(parts) + "\n"


def _latex_table(table: Table) -> Iterator[str]:
    lines = [line for section in table.sections for line in _lines_of(section)]
    widths = [max(len(line[side] or ()) for line in lines) for side in (0, 1)]
    columns = ["l" + "@{\\;}l" * (width - 1) for width in widths]
    headings = [rf"\multicolumn{{{w}}}{{l}}{{\text{{{h}}}}}" for w, h in zip(widths, table.headings, strict=True)]
    yield rf"\[ \begin{{array}}{{{columns[0]}@{{\qquad}}{columns[1]}}}"
    yield rf"{' & '.join(headings)} \\"
    for section in filter(_lines_of, table.sections):
        yield r"\hline"
        for line in _lines_of(section):
            cells = [c for row, width in zip(line, widths, strict=True) for c in _latex_cells(row, width)]
            yield rf"{' & '.join(cells)} \\"
    yield r"\end{array} \]"


def _latex_cells(row: Row | None, width: int) -> list[str]:
    """Cells of a row, the value in the last one."""
    if row is None:
        return [""] * width
    first, *rest = (LATEX.write(node) for node in row)
    equal = [f"= {formula}" for formula in rest]
    return [first, *equal[:-1], *[""] * (width - len(row)), equal[-1]]


# ---- JSON


def _json(trace: Trace, mode: str) -> str:
    return json.dumps(to_dict(trace, mode), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_dict(trace: Trace, mode: str = "both") -> dict[str, Any]:
    """Return a trace as plain data, for JSON.

    Parameters
    ----------
    trace : Trace
        From `tapeflow.viz.trace`.
    mode : {"forward", "reverse", "both"}
        Which derivatives to include.

    Returns
    -------
    dict
        ``schema``: ``"tapeflow/trace/1"``. ``expression``: the text. ``wrt``: the variables differentiated by.

        ``variables``: a list of quantities, each with its ``id`` and ``name``; ``steps``: a list of quantities in the
        order of evaluation, each with its ``id``, its ``op`` (name of a NumPy function) and ``operands`` (ids, or
        numbers for constants). The last variable has the id ``v0``, the one before it ``v-1``; steps are ``v1``, ``v2``.

        Every quantity has a ``value``; in forward mode ``tangents``, its derivative by each variable of ``wrt``; in
        reverse mode ``adjoint``, the derivative of the result by it (``null`` if it depends on none of ``wrt``). In
        reverse mode a step also has ``contributions``, in the order of the sweep, each with ``to`` (the id of an
        operand), ``operand`` (its position), ``partial`` (derivative of the step by it) and ``value`` (the step's
        adjoint times `partial`); an adjoint is the sum of the contributions to it.

        ``result``: the ``id`` of the quantity that the expression is, its ``value``, and its ``gradient`` by variable.

        Numbers that JSON cannot hold are the strings ``"inf"``, ``"-inf"`` and ``"nan"``.
    """
    variables = [
        {"id": f"v{trace.number(n)}", "name": n, **_quantity(trace, trace.number(n), mode)} for n in trace.names
    ]
    steps = [_step(trace, k, mode) for k in range(1, len(trace.steps) + 1)]
    return {
        "schema": "tapeflow/trace/1",
        "expression": trace.text,
        "wrt": list(trace.wrt),
        "variables": variables,
        "steps": steps,
        "result": {
            "id": f"v{trace.result}",
            "value": _json_number(trace.values[trace.result]),
            "gradient": {name: _json_number(_derivative(trace, name, mode)) for name in trace.wrt},
        },
    }


def _derivative(trace: Trace, name: str, mode: str) -> float:
    return trace.tangents[name][trace.result] if mode == "forward" else trace.adjoints[trace.number(name)]


def _quantity(trace: Trace, number: int, mode: str) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _json_number(trace.values[number])}
    if mode != "reverse":
        found["tangents"] = {name: _json_number(trace.tangents[name][number]) for name in trace.wrt}
    if mode != "forward":
        found["adjoint"] = _json_number(trace.adjoints[number]) if number in trace.adjoints else None
    return found


def _step(trace: Trace, k: int, mode: str) -> dict[str, Any]:
    step = trace.steps[k - 1]
    operands = [f"v{o}" if isinstance(o, int) else o.value for o in step.operands]
    found = {"id": f"v{k}", "op": step.op, "operands": operands, **_quantity(trace, k, mode)}
    if mode != "forward":
        found["contributions"] = [
            {
                "to": f"v{c.to}",
                "operand": c.operand,
                "partial": _json_number(c.partial),
                "value": _json_number(c.value),
            }
            for c in trace.contributions
            if c.step == k
        ]
    return found


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else significant(value)


FORMATS: dict[str, Callable[[Trace, str], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}
