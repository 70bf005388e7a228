"""Run parts of the demo and print their reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from tapeflow.demo import logistic, mixture, network, survey
from tapeflow.demo.report import Report

__all__ = ["run"]

PARTS: dict[str, Callable[[int, bool], Report]] = {
    "survey": survey.run,
    "logistic": logistic.run,
    "mixture": mixture.run,
    "network": network.run,
}


def run(parts: Sequence[str] = tuple(PARTS), *, seed: int = 0, progress: bool = True) -> bool:
    """Run parts of the demo, and print what they did.

    Parameters
    ----------
    parts : sequence of {"survey", "logistic", "mixture", "network"}
        Which, in this order.
    seed : int
        Seed of all random numbers.
    progress : bool
        Whether to show a progress bar while training.

    Returns
    -------
    bool
        Whether every check passed.
    """
    console = Console(highlight=False)
    start = time.perf_counter()
    reports = []
    for name in parts:
        began = time.perf_counter()
        report = PARTS[name](seed, progress)
        _show(console, name, report, time.perf_counter() - began)
        reports.append(report)
    failed = sum(not check.passed for report in reports for check in report.checks)
    passed = sum(check.passed for report in reports for check in report.checks)
    seconds = time.perf_counter() - start
    summary = (
        f"{len(reports)} part{'s' * (len(reports) != 1)}, {passed} checks passed, {failed} failed, {seconds:.1f} s"
    )
    console.print(f"\n{summary}", markup=False)
    return all(report.passed for report in reports)


def _show(console: Console, name: str, report: Report, seconds: float) -> None:
    console.rule(Text(f"{name}: {report.title}", style="bold"), align="left", style="none")
    for line in report.lines:
        # Tables are as wide as they are; wrapped, they could not be read.
        console.print(Text(line), soft_wrap=True)
    if report.loss_name:
        console.print(f"{report.loss_name}: {report.before:.6g} before, {report.after:.6g} after", markup=False)
    console.print(f"time: {seconds:.2f} s", markup=False)
    for check in report.checks:
        verdict = Text("check passed: ", "green") if check.passed else Text("check FAILED: ", "bold red")
        console.print(verdict + Text(check.statement), soft_wrap=True)
