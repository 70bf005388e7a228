"""Time and memory of recording, sweeping and pushing forward."""

from __future__ import annotations

import tracemalloc

import numpy as np

from benchmarks import programs
from tapeflow import GradientTape
from tapeflow.backends import NUMPY


class Chain:
    """Six hundred operations on arrays of three sizes."""

    params = ([1, 100, 100_000],)  # compare.py has a million
    param_names = ("size",)
    timeout = 300

    def setup(self, size: int) -> None:
        """Make the argument."""
        self.x = np.linspace(0.1, 0.9, size)

    def time_gradient(self, size: int) -> None:
        """Record and sweep."""
        programs.gradient(self.x)

    def time_jvp(self, size: int) -> None:
        """Push a tangent forward."""
        programs.tangent(self.x)

    def time_hessian_product(self, size: int) -> None:
        """Forward over reverse."""
        programs.hessian_product(self.x)

    def time_by_hand(self, size: int) -> None:
        """The NumPy calls alone."""
        programs.by_hand(self.x)


class Loop:
    """Python loops over the elements of an array; must be linear."""

    params = ([1_000, 10_000, 20_000],)
    param_names = ("n",)

    def time_sum_of_squares(self, n: int) -> None:
        """Index, square, add."""
        programs.sum_of_squares(n)

    def time_scalar_chain(self, n: int) -> None:
        """Multiply a scalar again and again."""
        programs.long_chain(n)


class FixedCost:
    """What a tape costs before it records anything."""

    def time_tape(self) -> None:
        """Open, watch, one operation, gradient."""
        with GradientTape() as tape:
            x = tape.watch(1.0)
            y = x * 2.0
        tape.gradient(y, x)


class ForeignOperand:
    """Protecting a plain array against later writes: copies up to the limit, holds above it."""

    params = ([8, 64, 128, 512, 2048],)
    param_names = ("KiB",)

    def setup(self, kib: int) -> None:
        """Make the array."""
        self.array = np.ones(kib * 128)

    def time_guard(self, kib: int) -> None:
        """Take and release a guard."""
        NUMPY.guard(self.array)


def track_bytes_per_entry() -> float:
    """Bytes that a recorded scalar operation takes, its residual included."""
    n = 20_000
    tracemalloc.start()
    try:
        with GradientTape() as tape:
            x = tape.watch(1.0)
            y = x
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(n):
                y = y * 0.999
            return (tracemalloc.get_traced_memory()[0] - before) / n
    finally:
        tracemalloc.stop()


track_bytes_per_entry.unit = "bytes"  # type: ignore[attr-defined]


def track_vectors_held_by_additions() -> float:
    """Peak memory of a hundred additions, in operands."""
    x0 = np.ones(1_000_000)
    tracemalloc.start()
    try:
        with GradientTape() as tape:
            x = tape.watch(x0)
            y = x
            base = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(100):
                y = y + x
            return (tracemalloc.get_traced_memory()[1] - base) / x0.nbytes
    finally:
        tracemalloc.stop()


track_vectors_held_by_additions.unit = "vectors"  # type: ignore[attr-defined]


class Writes:
    """Loops that fill an array."""

    params = (1_000, 2_000, 4_000)
    param_names = ("elements",)

    def setup(self, n: int) -> None:
        """Check once."""
        assert programs.filled(3).shape == (3,)

    def time_fill(self, n: int) -> None:
        """One element at a time."""
        programs.filled(n)
