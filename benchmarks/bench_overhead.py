"""What tapeflow adds to an operation, a tape, a variable, a program: everything that does not depend on the rules.

Programs are loops of a thousand operations, so a millisecond in a figure is a microsecond for one operation.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks import programs
from benchmarks.sizes import some
from tapeflow import ForwardAccumulator, GradientTape, Variable, grad, value_and_grad
from tapeflow.backends import NUMPY

OPERATIONS = range(1_000)


def protocol_of_one(x: Any) -> Any:
    """Through `__array_ufunc__`."""
    y = x
    for _ in OPERATIONS:
        y = np.sin(y)
    return y


def protocol_of_two(x: Any) -> Any:
    """Through `__array_ufunc__`, with two traced operands."""
    y = x
    for _ in OPERATIONS:
        y = np.multiply(y, x)
    return y


def operator(x: Any) -> Any:
    """The same by the operator, which does not pass NumPy on the way in."""
    y = x
    for _ in OPERATIONS:
        y = y * x
    return y


def operator_of_one(x: Any) -> Any:
    """One operand, by its operator."""
    y = x
    for _ in OPERATIONS:
        y = -y
    return y


def operator_with_number(x: Any) -> Any:
    """A number as the other operand."""
    y = x
    for _ in OPERATIONS:
        y = y * 0.9999
    return y


def operator_with_array(x: Any) -> Any:
    """A plain array as the other operand, which is guarded against later writes."""
    y, other = x, np.ones(x.shape)
    for _ in OPERATIONS:
        y = y * other
    return y


def addition(x: Any) -> Any:
    """No residual, and two contributions to each adjoint."""
    y = x
    for _ in OPERATIONS:
        y = y + x
    return y


def element(x: Any) -> Any:
    """A selection, whose adjoint is scattered."""
    y = x[0]
    for _ in OPERATIONS:
        y = x[0]
    return y


def function(x: Any) -> Any:
    """Through `__array_function__`, and recorded in the general way."""
    y = x
    for _ in OPERATIONS:
        y = np.flip(y)
    return y


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "np.sin(y)": protocol_of_one,
    "np.multiply(y, x)": protocol_of_two,
    "y * x": operator,
    "-y": operator_of_one,
    "y * number": operator_with_number,
    "y * array": operator_with_array,
    "y + x": addition,
    "x[0]": element,
    "np.flip(y)": function,
}


class PerOperation:
    """A thousand operations, each in all ways."""

    params = (list(PROGRAMS), some([1, 100, 10_000]))
    param_names = ("operation", "size")

    def setup(self, name: str, size: int) -> None:
        """Make the argument; near one, so that products stay there."""
        self.program = PROGRAMS[name]
        self.x = np.linspace(0.999, 1.001, size)

    def time_numpy(self, name: str, size: int) -> None:
        """NumPy alone."""
        self.program(self.x)

    def time_forward(self, name: str, size: int) -> None:
        """Record, and throw the tape away."""
        with GradientTape() as tape:
            self.program(tape.watch(self.x))

    def time_gradient(self, name: str, size: int) -> None:
        """Record and sweep."""
        with GradientTape() as tape:
            x = tape.watch(self.x)
            y = self.program(x)
        tape.gradient(y, x)

    def time_jvp(self, name: str, size: int) -> None:
        """Push a tangent forward."""
        with ForwardAccumulator(self.x, np.ones_like(self.x)) as accumulator:
            accumulator.jvp(self.program(accumulator.primals))


class Sweep:
    """The sweep alone, over a thousand operations that were recorded before."""

    params = (list(PROGRAMS), some([1, 100, 10_000]), [False, True])
    param_names = ("operation", "size", "persistent")
    number = 1

    def setup(self, name: str, size: int, persistent: bool) -> None:
        """Record."""
        with GradientTape(persistent=persistent) as self.tape:
            self.x = self.tape.watch(np.linspace(0.999, 1.001, size))
            self.y = PROGRAMS[name](self.x)

    def time_sweep(self, name: str, size: int, persistent: bool) -> None:
        """Ask for the gradient; a tape that is not persistent releases its entries on the way."""
        self.tape.gradient(self.y, self.x)


class Mixed:
    """Six hundred operations of three kinds, the program of the comparison with peers."""

    params = (some([1, 100, 100_000]),)
    param_names = ("size",)
    timeout = 300

    def setup(self, size: int) -> None:
        """Make the argument."""
        self.x = np.linspace(0.1, 0.9, size)

    def time_by_hand(self, size: int) -> None:
        """The NumPy calls of the gradient alone."""
        programs.by_hand(self.x)

    def time_gradient(self, size: int) -> None:
        """Record and sweep."""
        programs.gradient(self.x)

    def time_jvp(self, size: int) -> None:
        """Push a tangent forward."""
        programs.tangent(self.x)

    def time_hessian_product(self, size: int) -> None:
        """Forward over reverse."""
        programs.hessian_product(self.x)


class Untraced:
    """A thousand calls of NumPy on plain arrays: what having tapeflow around costs them."""

    params = (["no tape", "after a tape", "inside a tape", "inside an accumulator"],)
    param_names = ("where",)

    def setup(self, where: str) -> None:
        """Open, or have opened, what is named."""
        self.x, self.open = np.ones(1), ExitStack()
        if where == "after a tape":
            programs.gradient(self.x)
        elif where == "inside a tape":
            self.open.enter_context(GradientTape())
        elif where == "inside an accumulator":
            self.open.enter_context(ForwardAccumulator(self.x, self.x))

    def teardown(self, where: str) -> None:
        """Close it."""
        self.open.close()

    def time_sin(self, where: str) -> None:
        """Through the dispatch of ufuncs."""
        protocol_of_one(self.x)

    def time_flip(self, where: str) -> None:
        """Through the dispatch of functions."""
        function(self.x)


class Nesting:
    """A thousand operations inside several recorders that all follow their operand."""

    params = (["tapes", "accumulators", "both in turn"], some([1, 2, 3, 4], 2))
    param_names = ("recorders", "depth")

    def time_forward(self, recorders: str, depth: int) -> None:
        """Without any question."""
        x: Any = np.float64(1.0)
        with ExitStack() as blocks:
            for k in range(depth):
                if recorders == "tapes" or (recorders == "both in turn" and k % 2 == 0):
                    x = blocks.enter_context(GradientTape()).watch(x)
                else:
                    x = blocks.enter_context(ForwardAccumulator(x, np.float64(1.0))).primals
            operator_of_one(x)


class Watch:
    """Handing sources to a tape, and getting nothing back from them."""

    params = (some([1, 1_000]),)
    param_names = ("leaves",)

    def setup(self, leaves: int) -> None:
        """Make the arrays."""
        self.tree = {f"w{k}": np.ones(3) for k in range(leaves)}

    def time_watch(self, leaves: int) -> None:
        """A dict of them."""
        with GradientTape() as tape:
            tape.watch(self.tree)

    def time_unconnected(self, leaves: int) -> None:
        """And ask for a gradient that is zero for all."""
        with GradientTape() as tape:
            tree = tape.watch(self.tree)
            y = tape.watch(1.0) * 2.0
        tape.gradient(y, tree)


class VariableReads:
    """A thousand reads of a variable inside several tapes."""

    params = ([0, 1, 2],)
    param_names = ("tapes",)

    def setup(self, tapes: int) -> None:
        """Make the variable."""
        self.variable = Variable(np.ones(3))

    def time_read(self, tapes: int) -> None:
        """By `read`."""
        with ExitStack() as blocks:
            for _ in range(tapes):
                blocks.enter_context(GradientTape())
            for _ in OPERATIONS:
                self.variable.read()

    def time_expression(self, tapes: int) -> None:
        """As an operand."""
        with ExitStack() as blocks:
            for _ in range(tapes):
                blocks.enter_context(GradientTape())
            for _ in OPERATIONS:
                np.sin(self.variable)


def _twice(x: Any) -> Any:
    return x * 2.0


_grad, _value_and_grad = grad(_twice), value_and_grad(_twice)


class FixedCost:
    """What a derivative costs before there is anything to differentiate: one operation on a number."""

    def time_tape(self) -> None:
        """Open, watch, one operation, gradient."""
        with GradientTape() as tape:
            x = tape.watch(1.0)
            y = x * 2.0
        tape.gradient(y, x)

    def time_accumulator(self) -> None:
        """Open, one operation, tangent."""
        with ForwardAccumulator(1.0, 1.0) as accumulator:
            accumulator.jvp(accumulator.primals * 2.0)

    def time_grad(self) -> None:
        """The function that `grad` makes."""
        _grad(1.0)

    def time_value_and_grad(self) -> None:
        """The function that `value_and_grad` makes."""
        _value_and_grad(1.0)


class ForeignOperand:
    """Protecting a plain array against later writes: copies up to the limit, holds above it."""

    params = (some([8, 64, 128, 512, 2048]),)
    param_names = ("KiB",)
    number = 100

    def setup(self, kib: int) -> None:
        """Make the array."""
        self.array = np.ones(kib * 128)

    def time_guard(self, kib: int) -> None:
        """Take and release a guard."""
        NUMPY.guard(self.array)


IMPORT = "import time, numpy, scipy; start = time.perf_counter(); import tapeflow; print(time.perf_counter() - start)"


def track_import() -> float:
    """Seconds that importing tapeflow adds to importing NumPy and SciPy, the least of a few new processes."""
    command = [sys.executable, "-c", IMPORT]
    return min(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(some([5, 1], 2)[-1])
    )


track_import.unit = "seconds"  # type: ignore[attr-defined]
