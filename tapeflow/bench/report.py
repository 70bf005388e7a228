"""Tables of a race: for a terminal, for the documentation, and for programs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tapeflow.bench.contenders import CONTENDERS
from tapeflow.bench.race import ALWAYS, Entry, Result

__all__ = ["as_json", "as_markdown", "as_table", "machine", "memory_markdown", "troubles"]

STAR = "*: others had the core whenever it ran, and this is CPU time; all other times are wall time"
SHORT = {"missing": "none", "unsupported": "cannot"}


def machine(versions: Mapping[str, str], core: int | None) -> str:
    """Describe where a race was run.

    Parameters
    ----------
    versions : mapping
        From `race_all`.
    core : int or None
        To which everyone was pinned.

    Returns
    -------
    str
        One line.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.processor())
    place = "not pinned" if core is None else f"pinned to core {core}, one thread each"
    # Both names of NumPy are the same package; tapeflow is what this is about.
    found = [f"NumPy {versions.get('by hand', '?')}"] + [
        f"{name} {version}" for name, version in versions.items() if name not in ALWAYS
    ]
    return f"{cpu}, {place}; Python {platform.python_version()}, {', '.join(found)}"


def duration(seconds: float) -> str:
    """Seconds to three digits in a unit that suits them.

    Examples
    --------
    >>> duration(0.0012345), duration(1.5e-5), duration(2.0)
    ('1.23 ms', '15 us', '2 s')
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit or name == "us":
            break
    scaled = seconds / unit
    return f"{scaled:.0f} {name}" if scaled >= 100 else f"{scaled:.3g} {name}"


def factor(ratio: float | None) -> str:
    """A ratio to three digits, or nothing.

    Examples
    --------
    >>> factor(1.2345), factor(123.4), factor(None)
    ('1.23', '123', '')
    """
    if ratio is None:
        return ""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _cell(entry: Entry | None) -> str:
    """The time, with a star if it is CPU time; or why there is none."""
    if entry is None or entry.seconds is None:
        return "" if entry is None else SHORT.get(entry.trouble, entry.trouble)
    return duration(entry.seconds) + ("*" if entry.disturbed else "")


def _against(result: Result, peer: str) -> str:
    """Time of tapeflow over that of a peer, with the peer's own; or why there is none."""
    ratio = result.ratio("tapeflow", peer)
    cell = _cell(result.entries.get(peer))
    return f"{factor(ratio)} ({cell})" if ratio is not None else cell


def _kernel(result: Result) -> str:
    if not result.kernel:
        return ""
    return f"{factor(result.kernel['forward'] / result.kernel['torch'])} ({result.case.workload.kernel_name})"


def _peers(results: Sequence[Result]) -> list[str]:
    names = dict.fromkeys(name for result in results for name in result.entries)
    return [name for name in names if name not in ALWAYS]


def _header(results: Sequence[Result]) -> list[str]:
    return [
        "workload", "by hand", "tapeflow", "/ by hand", "/ forward", *(f"/ {peer}" for peer in _peers(results)),
        "NumPy / torch", "CPU/wall",
    ]  # fmt: skip


def _row(result: Result, peers: Sequence[str]) -> list[str]:
    cells = [_cell(result.entries.get(name)) for name in ("by hand", "tapeflow")]
    ratios = [factor(result.ratio("tapeflow", name)) for name in ("by hand", "forward")]
    return [
        result.case.name, *cells, *ratios, *(_against(result, peer) for peer in peers), _kernel(result),
        f"{result.share:.2f}",
    ]  # fmt: skip


def troubles(results: Sequence[Result]) -> list[str]:
    """Who did not race in which case, and why, a line for each reason; and what a star means, if there is one.

    Parameters
    ----------
    results : sequence of Result
        From `race_all`.

    Returns
    -------
    list of str
        Such as ``"autograd: not installed (all workloads)"``.
    """
    where: dict[str, list[str]] = {}
    starred = any(entry.disturbed for result in results for entry in result.entries.values())
    for result in results:
        for name, entry in result.entries.items():
            if entry.trouble:
                said = (
                    entry.reason if entry.trouble in ("missing", "unsupported") else f"{entry.trouble}: {entry.reason}"
                )
                where.setdefault(f"{name}: {said}", []).append(result.case.name)
    lines = [
        f"{what} ({'all workloads' if len(names) == len(results) else ', '.join(names)})"
        for what, names in where.items()
    ]
    return lines + [STAR] * starred


def as_table(results: Sequence[Result]) -> Any:
    """The table for a terminal.

    Parameters
    ----------
    results : sequence of Result
        From `race_all`.

    Returns
    -------
    rich.table.Table
        Of one row for each case; ratios of tapeflow's time are coloured.
    """
    from rich import box
    from rich.table import Table

    peers = _peers(results)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Time of tapeflow, and its ratio to that of others")
    for name in ["workload", "time by hand", "of tapeflow", "/ by hand", "/ forward", *peers, "CPU/wall"]:
        table.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    for result in results:
        times = [_cell(result.entries.get(name)) for name in ("by hand", "tapeflow")]
        ratios = [factor(result.ratio("tapeflow", name)) for name in ("by hand", "forward")]
        table.add_row(
            result.case.name, *times, *ratios, *(_coloured(result, peer) for peer in peers), f"{result.share:.2f}"
        )
    return table


def _coloured(result: Result, peer: str) -> str:
    """Green where tapeflow is faster; a word where the peer did not race."""
    ratio = result.ratio("tapeflow", peer)
    if ratio is None:
        return f"[dim]{_cell(result.entries.get(peer))}[/dim]"
    return f"[{'green' if ratio <= 1.0 else 'yellow'}]{factor(ratio)}[/]"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    return "\n".join(lines)


def as_markdown(results: Sequence[Result]) -> str:
    """The table for the documentation, with those who did not race below it.

    Parameters
    ----------
    results : sequence of Result
        From `race_all`.

    Returns
    -------
    str
        Markdown.
    """
    peers = _peers(results)
    table = _markdown([_header(results), *(_row(result, peers) for result in results)])
    notes = "\n".join(f"- {line}" for line in troubles(results))
    return f"{table}\n\n{notes}\n" if notes else f"{table}\n"


def memory_markdown(results: Sequence[Result]) -> str:
    """Peak memory of one call, as a table for the documentation.

    Parameters
    ----------
    results : sequence of Result
        From `race_all` with a plan that says ``memory=True``.

    Returns
    -------
    str
        Markdown.
    """
    names = [name for name in dict.fromkeys(n for r in results for n in r.entries) if name in CONTENDERS]
    rows = [["workload", *names, "tapeflow / torch"]]
    for result in results:
        peaks = [result.entries[name].peak if name in result.entries else None for name in names]
        cells = ["" if p is None else f"{p / 2**20:.1f} MiB" for p in peaks]
        rows.append([result.case.name, *cells, factor(result.peak_ratio("tapeflow", "torch"))])
    return _markdown(rows) + "\n"


def as_json(results: Sequence[Result], where: str) -> dict[str, Any]:
    """What a JSON file takes.

    Parameters
    ----------
    results : sequence of Result
        From `race_all`.
    where : str
        From `machine`.

    Returns
    -------
    dict
        The machine, and a row for each case with all that was measured.
    """
    rows: list[dict[str, Any]] = [
        {
            "workload": r.case.name,
            "title": r.case.workload.title,
            "source": r.case.workload.source,
            "rtol": r.case.rtol,
            "entries": {name: asdict(entry) for name, entry in r.entries.items()},
            "kernel": r.kernel,
        }
        for r in results
    ]
    for row, result in zip(rows, results, strict=True):
        for name, entry in row["entries"].items():
            entry["seconds"] = result.entries[name].seconds
            entry["error"] = min(entry["error"], 1e300)  # JSON has no infinity
            entry["over"] = {other: result.ratio(name, other) for other in ("by hand", "forward", "torch")}
    return {"machine": where, "rows": rows}
