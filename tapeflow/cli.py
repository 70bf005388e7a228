"""The command line: ``tapeflow trace``, ``tapeflow demo`` and ``tapeflow bench``.

Exit status: 0 if all is well, 1 if a check of the demo failed or tapeflow got a benchmark wrong, 2 if the command cannot
be carried out as given.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from tapeflow.viz import FORMATS, MODES, ExpressionError, read_values, render, trace

__all__ = ["main"]

# The parts of the demo by name; tapeflow.demo itself is imported only when it runs, for it needs the extra.
PARTS = ("survey", "logistic", "mixture", "network")
EXTRA = ("rich", "tqdm")
BENCH_EXTRA = ("rich", "matplotlib")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit status.
    """
    _use_utf8()
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments[:1] == ["bench"])
    options, rest = parser.parse_known_args([_shielded(a) for a in arguments])
    unknown = [a for a in rest if options.command != "trace" or a.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.command == "trace":
        return _trace(options, rest)
    return _demo(options) if options.command == "demo" else _bench(options)


def _use_utf8() -> None:
    """Write tables in UTF-8 even where the locale would not have their signs."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(encoding="utf-8")


def _shielded(argument: str) -> str:
    """Keep an expression such as ``-x**2`` from looking like an option; the blank does not matter to it."""
    return (
        f" {argument}" if argument.startswith("-") and not argument.startswith("--") and argument != "-h" else argument
    )


def _parser(bench: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapeflow", description="Derivatives of the NumPy code you already have.")
    parser.add_argument("--version", action="version", version=f"tapeflow {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{trace,demo,bench}")
    _add_trace(commands.add_parser("trace", help="show the evaluation trace of an expression, with its derivatives"))
    _add_demo(commands.add_parser("demo", help="fit three models to real data and check every result"))
    benchmarks = commands.add_parser("bench", help="race tapeflow against other toolkits on this machine")
    if bench:  # only then, for its choices come with the workloads
        _add_bench(benchmarks)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("tapeflow")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Evaluate an expression step by step, with its derivatives in forward and in reverse mode, as in the tables of "
        "Baydin et al., arXiv 1502.05767."
    )
    parser.epilog = 'example: tapeflow trace "ln(x1) + x1*x2 - sin(x2)" x1=2 x2=5'
    parser.add_argument("expression", help="numbers, names, + - * / **, parentheses and NumPy functions of scalars")
    parser.add_argument("values", nargs="*", metavar="name=value", help="a value for each variable, in their order")
    parser.add_argument("--mode", choices=MODES, default="both", help="which derivatives (default: both)")
    parser.add_argument("--wrt", metavar="NAME", help="differentiate by this variable alone (default: by each)")
    parser.add_argument("--format", choices=[*FORMATS], default="text", help="how to print (default: text)")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.description = "Fit three models to real data with derivatives from tapeflow, and check every result."
    parser.add_argument("--part", action="append", choices=PARTS, help="run this part; may be repeated (default: all)")
    parser.add_argument("--seed", type=_seed, default=0, help="of the random numbers (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    from tapeflow.bench import add_options

    parser.description = (
        "Race public workloads for about two minutes, on one core with one thread: the gradient by tapeflow, by hand in "
        "NumPy, and by whatever other toolkits are installed."
    )
    add_options(parser)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long, about (default: 120)")
    parser.add_argument("--small", action="store_true", help="only see that everything works, with small arrays")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was measured")


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise ValueError
    return seed


_seed.__name__ = "seed"  # argparse puts it into its message: invalid seed value: '-1'


def _trace(options: argparse.Namespace, rest: Sequence[str]) -> int:
    try:
        # Values that follow an option arrive in `rest`.
        found = trace(options.expression, read_values([*options.values, *rest]), options.wrt)
    except ExpressionError as error:
        print(f"tapeflow trace: error: {error}", file=sys.stderr)
        return 2
    print(render(found, options.mode, options.format), end="")
    return 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from tapeflow.demo import run
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        print(
            f'tapeflow demo: error: {error.name} is not installed; the demo needs it: pip install "tapeflow[demo]"',
            file=sys.stderr,
        )
        return 2
    wanted = [part for part in PARTS if options.part is None or part in options.part]
    return 0 if run(wanted, seed=options.seed, progress=not options.quiet) else 1


def _bench(options: argparse.Namespace) -> int:
    from tapeflow.bench import run

    try:
        return run(options)
    except ModuleNotFoundError as error:
        if error.name not in BENCH_EXTRA:
            raise
        print(
            f'tapeflow bench: error: {error.name} is not installed; this needs it: pip install "tapeflow[bench]"',
            file=sys.stderr,
        )
        return 2
