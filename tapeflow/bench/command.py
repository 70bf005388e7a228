"""What ``tapeflow bench`` and ``benchmarks/compare.py`` have in common: options, and where the outcome goes."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tapeflow.bench.contenders import CONTENDERS, PEERS
from tapeflow.bench.crew import pin
from tapeflow.bench.picture import draw
from tapeflow.bench.race import ALWAYS, Plan, Result, race_all
from tapeflow.bench.report import as_json, as_markdown, as_table, machine, memory_markdown, troubles
from tapeflow.bench.workload import Case
from tapeflow.bench.workloads import SUBSET, select

__all__ = ["add_options", "compare", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who races in what, and where the outcome goes.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Gets ``--peers``, ``--workloads``, ``--python``, ``--core``, ``--markdown`` and ``--picture``.
    """
    others = ", ".join(name for name in CONTENDERS if name not in ALWAYS)
    parser.add_argument("--peers", type=_peers, default=list(PEERS), metavar="NAME,...",
                        help=f"who races beside tapeflow, of {others}")  # fmt: skip
    parser.add_argument("--workloads", type=_cases, metavar="NAME,...", help="which workloads, or cases of them")
    parser.add_argument("--python", type=_python, action="append", default=[], metavar="NAME=PATH",
                        help="an interpreter for a contender that is installed elsewhere; may be repeated")  # fmt: skip
    parser.add_argument(
        "--keep-memory", action="store_true",
        help="let malloc keep what is freed, for everyone, so that no page faults are timed (glibc)",
    )  # fmt: skip
    parser.add_argument("--core", type=int, help="run on this core (default: the first)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="where to write the tables as Markdown")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where to draw the picture; .png or .svg")


def _peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    wrong = [name for name in names if name not in CONTENDERS or name in ALWAYS]
    if wrong:
        raise argparse.ArgumentTypeError(
            f"no peer {wrong[0]!r}; there are {', '.join(n for n in CONTENDERS if n not in ALWAYS)}"
        )
    return names


def _cases(text: str) -> list[Case]:
    # Commas stand in names of cases too: gmm/2,5,1000.
    names: list[str] = []
    for part in text.split(","):
        if part.isdigit() and names:
            names[-1] += f",{part}"
        else:
            names.append(part)
    try:
        return select(names)
    except KeyError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


def _python(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in CONTENDERS or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a contender, =, and the path of a Python")
    return name, path


def compare(options: argparse.Namespace, plan: Plan) -> tuple[list[Result], dict[str, Any]]:
    """Race, print the table, and write what the options ask for.

    Parameters
    ----------
    options : argparse.Namespace
        Of a parser with `add_options`.
    plan : Plan
        Who races, and for how long.

    Returns
    -------
    results : list of Result
        One for each case.
    measured : dict
        All that was measured, for a JSON file.
    """
    from rich.console import Console  # from the extra; before the race, so that its absence is noticed at once

    if options.picture is not None:
        importlib.import_module("matplotlib")
    console = Console(highlight=False)
    console.width = max(console.width, 160)
    core = pin(options.core)

    done: list[str] = []

    def tell(result: Result) -> None:
        done.append(result.case.name)
        print(f"{len(done)} of {len(plan.cases)}: {result.case.name}", file=sys.stderr, flush=True)

    results, versions = race_all(plan, tell)
    where = machine(versions, core) + "; malloc keeps what is freed" * plan.keep
    console.print(where, soft_wrap=True)
    console.print(as_table(results))
    for line in troubles(results):
        console.print(f"- {line}", markup=False, soft_wrap=True)
    if options.markdown is not None:
        peaks = f"\n{memory_markdown(results)}" if plan.memory else ""
        options.markdown.write_text(f"{where}\n\n{as_markdown(results)}{peaks}")
    if options.picture is not None:
        draw(results, options.picture, where)
    return results, as_json(results, where)


def run(options: argparse.Namespace) -> int:
    """Carry out ``tapeflow bench``.

    Parameters
    ----------
    options : argparse.Namespace
        Those of `add_options`, and `seconds`, `small` and `json`.

    Returns
    -------
    int
        1 if tapeflow failed or disagreed with the gradient by hand somewhere, else 0.
    """
    cases = options.workloads or select(SUBSET)
    plan = Plan(
        cases, options.peers, 1000, 0.05, options.seconds, dict(options.python),
        keep=options.keep_memory, small=options.small,
    )  # fmt: skip
    results, measured = compare(options, plan)
    if options.json is not None:
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    return int(any(result.entries["tapeflow"].seconds is None for result in results))
