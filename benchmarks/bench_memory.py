"""Memory: of the whole process (`peakmem_`), and counted by the allocator (`track_`), where NumPy's arrays count too."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.sizes import SMOKE
from tapeflow import GradientTape

VECTOR = 10_000 if SMOKE else 1_000_000  # elements
STEPS = 20
ENTRIES = 2_000 if SMOKE else 100_000


def chain(x: Any) -> Any:
    """Twenty steps on vectors; a step keeps one vector, of the sine."""
    y = x
    for _ in range(STEPS):
        y = np.sin(y) + x
    return y


def loop(x: Any) -> Any:
    """A loop on numbers: memory is that of entries."""
    y = x
    for _ in range(ENTRIES):
        y = y * 0.999
    return y


PROGRAMS: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "chain": (chain, lambda: np.linspace(0.1, 0.9, VECTOR)),
    "loop": (loop, lambda: np.float64(1.0)),
}


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Count what is allocated in a block; gives a function that says how much is held now."""
    gc.collect()
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        yield lambda: tracemalloc.get_traced_memory()[0] - base
    finally:
        tracemalloc.stop()


class Gradient:
    """A gradient with a plain tape, and with one that keeps everything for the next question."""

    params = (list(PROGRAMS), [False, True])
    param_names = ("program", "persistent")
    unit = "bytes"

    def setup(self, name: str, persistent: bool) -> None:
        """Make the argument."""
        self.program, argument = PROGRAMS[name]
        self.x = argument()

    def _record(self, persistent: bool) -> tuple[GradientTape, Any, Any]:
        with GradientTape(persistent=persistent) as tape:
            x = tape.watch(self.x)
            return tape, x, self.program(x)

    def peakmem_gradient(self, name: str, persistent: bool) -> None:
        """Of the process, with the interpreter and the libraries."""
        tape, x, y = self._record(persistent)
        tape.gradient(y, x)

    def track_recorded(self, name: str, persistent: bool) -> int:
        """Held when the recording is over."""
        with counting() as held:
            _keep = self._record(persistent)
            return held()

    def track_peak(self, name: str, persistent: bool) -> int:
        """Held at most, until the gradient is there."""
        with counting():
            tape, x, y = self._record(persistent)
            tape.gradient(y, x)
            return tracemalloc.get_traced_memory()[1]

    def track_peak_of_sweep(self, name: str, persistent: bool) -> int:
        """Held at most during the sweep, beyond what was recorded."""
        with counting() as held:
            tape, x, y = self._record(persistent)
            before = held()
            tracemalloc.reset_peak()
            tape.gradient(y, x)
            return tracemalloc.get_traced_memory()[1] - before

    def track_retained(self, name: str, persistent: bool) -> int:
        """Held after the gradient was asked for, while tape, target and source are still there."""
        with counting() as held:
            tape, x, y = self._record(persistent)
            tape.gradient(y, x)
            return held()

    def track_left(self, name: str, persistent: bool) -> int:
        """Held when all of them are gone, without a run of the garbage collector: anything is a leak."""
        with counting() as held:
            tape, x, y = self._record(persistent)
            tape.gradient(y, x)
            del tape, x, y
            return held()


def track_bytes_per_entry() -> float:
    """Bytes that a recorded scalar operation takes, its residual included."""
    n = 20_000
    with GradientTape() as tape, counting() as held:
        y = tape.watch(1.0)
        for _ in range(n):
            y = y * 0.999
        return held() / n


def track_bytes_per_entry_without_residuals() -> float:
    """Bytes that a recorded addition takes, which keeps no residual."""
    n = 20_000
    with GradientTape() as tape, counting() as held:
        y = tape.watch(1.0)
        for _ in range(n):
            y = y + 0.5
        return held() / n


for _track in (track_bytes_per_entry, track_bytes_per_entry_without_residuals):
    _track.unit = "bytes"  # type: ignore[attr-defined]


def track_vectors_held_by_additions() -> float:
    """Peak memory of a hundred additions, in operands."""
    x0 = np.ones(VECTOR)
    with GradientTape() as tape, counting() as held:
        x = tape.watch(x0)
        y = x
        base = held()
        tracemalloc.reset_peak()
        for _ in range(100):
            y = y + x
        return (tracemalloc.get_traced_memory()[1] - base) / x0.nbytes


track_vectors_held_by_additions.unit = "vectors"  # type: ignore[attr-defined]
