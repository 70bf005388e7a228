"""How time grows: with the length of a tape, the size of arrays, the number of sources, the order of a derivative."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import programs
from benchmarks.sizes import SMOKE, some
from tapeflow import GradientTape, grad, jvp


class TapeLength:
    """Scalar operations in a loop; must be linear."""

    params = ([10**k for k in range(2, 4 if SMOKE else 7)],)
    param_names = ("operations",)
    timeout = 300

    def time_record(self, n: int) -> None:
        """Record, and throw the tape away."""
        with GradientTape() as tape:
            y = tape.watch(1.0)
            for _ in range(n):
                y = y * 0.999999

    def time_gradient(self, n: int) -> None:
        """Record and sweep."""
        programs.long_chain(n)


class Loops:
    """Python loops over the elements of an array; must be linear."""

    params = (some([1_000, 10_000, 20_000]),)
    param_names = ("elements",)
    timeout = 300

    def time_read(self, n: int) -> None:
        """Index, square, add."""
        programs.sum_of_squares(n)

    def time_fill(self, n: int) -> None:
        """Write one element after another."""
        programs.filled(n)


def ten_operations(x: Any) -> Any:
    """Five sines and five products."""
    y = x
    for _ in range(5):
        y = np.sin(y) * x
    return y


def ten_by_hand(x: np.ndarray) -> np.ndarray:
    """The gradient, with the temporaries that anybody would leave in."""
    ys, sines = [x], []
    for _ in range(5):
        sines.append(np.sin(ys[-1]))
        ys.append(sines[-1] * x)
    g, total = np.ones_like(x), np.zeros_like(x)
    for y, s in zip(ys[-2::-1], sines[::-1], strict=True):
        total += g * s
        g = g * x * np.cos(y)
    return total + g


class ArraySize:
    """Ten operations on one array."""

    params = ([10**k for k in range(0, 4 if SMOKE else 8)],)
    param_names = ("size",)
    timeout = 300

    def setup(self, size: int) -> None:
        """Make the argument, and check the gradient by hand."""
        self.x = np.linspace(0.1, 0.9, size)
        self.number = max(1, 10_000 // size)
        if size <= 1_000:
            np.testing.assert_allclose(self._gradient(), ten_by_hand(self.x), rtol=1e-12)

    def _gradient(self) -> np.ndarray:
        with GradientTape() as tape:
            x = tape.watch(self.x)
            y = ten_operations(x)
        return tape.gradient(y, x)

    def time_numpy(self, size: int) -> None:
        """The function alone."""
        ten_operations(self.x)

    def time_by_hand(self, size: int) -> None:
        """The gradient written out."""
        ten_by_hand(self.x)

    def time_gradient(self, size: int) -> None:
        """The gradient by a tape."""
        self._gradient()


class Sources:
    """One gradient with respect to many small arrays, and to one of as many rows."""

    params = ([10**k for k in range(0, 3 if SMOKE else 5)],)
    param_names = ("sources",)
    timeout = 300

    def setup(self, n: int) -> None:
        """Make the arrays."""
        self.xs = [np.full(3, 0.5 + k / n) for k in range(n)]

    def time_arrays(self, n: int) -> None:
        """Each array used once."""
        with GradientTape() as tape:
            xs = tape.watch(self.xs)
            total = xs[0]
            for x in xs[1:]:
                total = total + x * x
        tape.gradient(total, xs)

    def time_stacked(self, n: int) -> None:
        """The same, put together by one operation."""
        with GradientTape() as tape:
            xs = tape.watch(self.xs)
            total = np.sum(np.stack(xs) ** 2)
        tape.gradient(total, xs)

    def time_targets(self, n: int) -> None:
        """As many targets as sources."""
        with GradientTape() as tape:
            xs = tape.watch(self.xs)
            ys = [x * x for x in xs]
        tape.gradient(ys, xs)


def twenty_operations(x: Any) -> Any:
    """A scalar function of twenty operations."""
    y = x
    for _ in range(10):
        y = np.sin(y) + x
    return y


def push(f: Callable[[Any], Any], x: Any) -> Any:
    """The derivative of a function of a number, by pushing forward."""
    return jvp(f, (x,), (np.float64(1.0),))[1]


def pushed(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The derivative as a function."""
    return partial(push, f)


class Order:
    """Derivatives of higher order of a function of one number, by nesting."""

    params = (["reverse", "forward", "forward over reverse"], [1, 2, 3] if SMOKE else [1, 2, 3, 4])
    param_names = ("mode", "depth")
    timeout = 300
    number = 1

    def setup(self, mode: str, depth: int) -> None:
        """Nest."""
        self.f = twenty_operations
        for k in range(depth):
            reverse = mode == "reverse" or (mode == "forward over reverse" and k == 0)
            self.f = grad(self.f) if reverse else pushed(self.f)

    def time_derivative(self, mode: str, depth: int) -> None:
        """Call the function that is the derivative."""
        self.f(np.float64(0.4))
