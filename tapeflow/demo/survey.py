"""The example of the AD survey, as its Tables 2 and 3."""

from __future__ import annotations

import math

from tapeflow.demo.report import Report
from tapeflow.viz import render, trace

__all__ = ["run"]

EXPRESSION = "ln(x1) + x1*x2 - sin(x2)"
X1, X2 = 2.0, 5.0


def run(seed: int = 0, progress: bool = False) -> Report:
    """Print the evaluation traces of the survey's example, and check them against the derivatives worked out by hand.

    Parameters
    ----------
    seed, progress
        Not used: nothing is random and nothing takes long.

    Returns
    -------
    Report
        The tables and the checks.
    """
    del seed, progress
    report = Report("Tables 2 and 3 of Baydin et al., arXiv 1502.05767")
    found = trace(EXPRESSION, {"x1": X1, "x2": X2})
    report.say(render(trace(EXPRESSION, {"x1": X1, "x2": X2}, wrt="x1"), "forward").rstrip("\n"))
    report.say("")
    report.say(render(found, "reverse").partition("\n\n")[2].rstrip("\n"))
    value = math.log(X1) + X1 * X2 - math.sin(X2)
    gradient = {"x1": 1 / X1 + X2, "x2": X1 - math.cos(X2)}
    report.check(
        f"y = {found.values[found.result]:.6g}, by hand {value:.6g}", _close(found.values[found.result], value)
    )
    for name, exact in gradient.items():
        forward = found.tangents[name][found.result]
        reverse = found.adjoints[found.number(name)]
        report.check(
            f"dy/d{name} = {forward:.6g} forward, {reverse:.6g} reverse, by hand {exact:.6g}",
            _close(forward, exact) and _close(reverse, exact),
        )
    return report


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-14)
