"""Where the time of a gradient goes: ``python -m benchmarks.layers`` prints a table of layers by size.

The program is that of `programs.chain`, three operations a step. Each layer is the difference of two loops that are the
same but for it::

    NumPy that keeps what the rules need  -  NumPy alone            =  memory for residuals
    the recorders called directly  -  NumPy that keeps              =  entry building
    forward as users write it  -  the recorders called directly     =  dispatch, through NumPy and Python's operators
    the sweep  -  the arithmetic of its rules alone                 =  sweep bookkeeping

All loops take turns, each first in its turn; figures are minima of wall time for one operation of the program. With
``--profile`` cProfile says which functions take the time of a small gradient.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow import GradientTape
from tapeflow.core.wengert import RECORDERS

OPERATIONS = 3  # a step


def plain(x: Any, steps: int) -> Any:
    """NumPy alone, or as users write it."""
    y = x
    for _ in range(steps):
        y = np.sin(y) * 0.5 + x
    return y


def recorders_alone(x: Any, steps: int) -> Any:
    """What NumPy's dispatch and the operators lead to, called directly."""
    sin, multiply, add = RECORDERS[np.sin], type(x).__mul__, type(x).__add__
    y = x
    for _ in range(steps):
        y = add(multiply(sin(y), 0.5), x)
    return y


def rules_alone(x: np.ndarray, kept: list[np.ndarray]) -> np.ndarray:
    """The arithmetic of the sweep as the rules do it, on residuals that it lets go of."""
    half = np.array(0.5)
    g = np.ones_like(x)
    total = first = g
    while kept:
        if total is first:
            total = g if g is first else total + g
        else:
            total += g
        g = (g * half) * np.cos(kept.pop())
    return total + g


def timed(call: Callable[[], Any]) -> float:
    """Wall time of one call, in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def kept_values(x: np.ndarray, steps: int) -> list[np.ndarray]:
    """What the rule of the sine keeps in each step."""
    kept, y = [], x
    for _ in range(steps):
        kept.append(y)
        y = np.sin(y) * 0.5 + x
    return kept


def recorded(x0: np.ndarray, steps: int, program: Callable[[Any, int], Any]) -> tuple[float, float]:
    """Time of the forward pass, and of the sweep."""
    with GradientTape() as tape:
        x = tape.watch(x0)
        start = time.perf_counter()
        y = program(x, steps)
        forward = time.perf_counter() - start
    return forward, timed(lambda: tape.gradient(y, x))


def one_round(x0: np.ndarray, steps: int, first: int) -> dict[str, float]:
    """Each loop once, beginning with another in each round, since what went before leaves its mark on the allocator."""

    def rules() -> float:
        kept = kept_values(x0, steps)
        return timed(lambda: rules_alone(x0, kept))

    loops: list[tuple[str, Callable[[], Any]]] = [
        ("numpy", lambda: timed(lambda: plain(x0, steps))),
        ("kept", lambda: timed(lambda: kept_values(x0, steps))),
        ("rules", rules),
        ("recorders", lambda: recorded(x0, steps, recorders_alone)[0]),
        ("whole", lambda: recorded(x0, steps, plain)),
    ]
    found = {name: loop() for name, loop in loops[first:] + loops[:first]}
    found["forward"], found["sweep"] = found.pop("whole")
    return found


def layers(size: int, steps: int, rounds: int) -> dict[str, float]:
    """Microseconds for one operation, by layer."""
    x0 = np.linspace(0.1, 0.9, size)
    every = [one_round(x0, steps, k % 5) for k in range(rounds)]
    least = {name: min(r[name] for r in every) / (steps * OPERATIONS) * 1e6 for name in every[0]}
    return {
        "ufuncs, forward": least["numpy"],
        "memory for residuals": least["kept"] - least["numpy"],
        "entry building": least["recorders"] - least["kept"],
        "dispatch": least["forward"] - least["recorders"],
        "rule arithmetic": least["rules"],
        "sweep bookkeeping": least["sweep"] - least["rules"],
        "whole gradient": least["forward"] + least["sweep"],
    }


def profile(steps: int = 200, repeats: int = 200) -> None:
    """Print what cProfile finds in small gradients; it makes every call of Python look dearer than it is."""

    def run() -> None:
        for _ in range(repeats):
            with GradientTape() as tape:
                x = tape.watch(np.ones(1))
                y = plain(x, steps)
            tape.gradient(y, x)

    run()
    profiler = cProfile.Profile()
    profiler.runcall(run)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(10)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="rounds at sizes 1 and 100; fewer at the larger ones")
    parser.add_argument("--profile", action="store_true", help="run cProfile instead")
    options = parser.parse_args()
    if options.profile:
        return profile()
    sizes = {1: (200, 1), 100: (200, 1), 10_000: (100, 4), 1_000_000: (10, 8)}
    tables = {n: layers(n, steps, max(5, options.rounds // few)) for n, (steps, few) in sizes.items()}
    print("| layer, us for one operation | " + " | ".join(f"size {n:,}" for n in tables) + " |")
    print("| --- " * (len(tables) + 1) + "|")
    for layer in tables[1]:
        cells = (f"{t[layer]:.3g} ({t[layer] / t['whole gradient']:.0%})" for t in tables.values())
        print(f"| {layer} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
