"""Time of the transformations: what they add to a tape, and what a batch saves."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import tapeflow as tf  # names are looked up late: a commit that lacks one fails in that benchmark alone
from benchmarks import race_transforms
from benchmarks import transform_programs as programs
from benchmarks.sizes import some
from tapeflow import GradientTape, pytree


def small(x: np.ndarray) -> np.ndarray:
    """Four operations, so that what surrounds them shows."""
    return np.sum(np.sin(x) * x + 1.0)


class SmallFunction:
    """The fixed cost of each transformation, beside a tape and the function alone."""

    number = 100

    def setup(self) -> None:
        """Make the arguments, and what can be made before the call."""
        self.x = np.linspace(0.1, 0.9, 3)
        self.v = np.ones(3)
        self.grad, self.value_and_grad, self.hessian = tf.grad(small), tf.value_and_grad(small), tf.hessian(small)
        self.stopped = tf.grad(lambda x: small(tf.stop_gradient(x) * x))
        want = np.cos(self.x) * self.x + np.sin(self.x)
        np.testing.assert_allclose(self.grad(self.x), want)
        self.pullback = tf.vjp(small, self.x)[1]

    def time_function(self) -> None:
        """Plain NumPy."""
        small(self.x)

    def time_tape(self) -> None:
        """By hand."""
        with GradientTape() as tape:
            x = tape.watch(self.x)
            y = small(x)
        tape.gradient(y, x)

    def time_grad(self) -> None:
        """The same by `grad`."""
        self.grad(self.x)

    def time_value_and_grad(self) -> None:
        """With the value."""
        self.value_and_grad(self.x)

    def time_vjp(self) -> None:
        """Record, and pull one cotangent back."""
        tf.vjp(small, self.x)[1](1.0)

    def time_pullback(self) -> None:
        """Pull one cotangent back through what is recorded."""
        self.pullback(1.0)

    def time_jvp(self) -> None:
        """Push one tangent forward."""
        tf.jvp(small, (self.x,), (self.v,))

    def time_hvp(self) -> None:
        """Forward over reverse."""
        tf.hvp(small, (self.x,), (self.v,))

    def time_vhp(self) -> None:
        """Reverse over reverse."""
        tf.vhp(small, (self.x,), (self.v,))

    def time_hessian(self) -> None:
        """All nine entries."""
        self.hessian(self.x)

    def time_stop_gradient(self) -> None:
        """A gradient with one operation more, of which one operand is a constant."""
        self.stopped(self.x)


JACOBIANS = ["jacobian", "jacrev", "jacfwd"]


class Jacobian:
    """The dense Jacobian of a network from R^200 to R^200."""

    params = (JACOBIANS,)
    param_names = ("transform",)
    timeout = 300

    def setup(self, transform: str) -> None:
        """Make the call, and check it."""
        self.call = programs.jacobian_call(getattr(tf, transform))
        race_transforms.same(self.call(), programs.jacobian_call(tf.jacobian)())

    def time_jacobian(self, transform: str) -> None:
        """All rows."""
        self.call()


class Hessian:
    """The dense Hessian of Rosenbrock's function."""

    params = (some([50, 500]),)
    param_names = ("n",)
    timeout = 300

    def setup(self, n: int) -> None:
        """Make the call, and check it."""
        self.call = programs.hessian_call(n)
        race_transforms.same(self.call(), programs.rosenbrock_by_hand(programs.rosenbrock_input(n)))

    def time_hessian(self, n: int) -> None:
        """All rows."""
        self.call()


class PerExample:
    """Gradients of a two-layer network for each example of a batch."""

    params = (some([16, 256]),)
    param_names = ("batch",)

    def setup(self, batch: int) -> None:
        """Make the calls, and check that they agree."""
        self.mapped, self.loop = programs.per_example_call(batch), programs.example_loop_call(batch)
        self.total = programs.batch_gradient_call(batch)
        each = self.mapped()
        race_transforms.same(each, self.loop())
        race_transforms.same({name: np.sum(g, axis=0) for name, g in each.items()}, self.total())

    def time_vmap_of_grad(self, batch: int) -> None:
        """In one call."""
        self.mapped()

    def time_loop_over_grad(self, batch: int) -> None:
        """One after another."""
        self.loop()

    def time_gradient_of_the_sum(self, batch: int) -> None:
        """Not for each example: the least that could be asked."""
        self.total()


class ManyLeaves:
    """The gradient with respect to a tree of many small arrays; must be linear."""

    params = (some([10, 1_000, 2_000]),)
    param_names = ("leaves",)

    def setup(self, leaves: int) -> None:
        """Make the calls, and check that they agree."""
        self.grad, self.tape = programs.tree_grad_call(leaves), programs.tree_tape_call(leaves)
        race_transforms.same(self.grad(), self.tape())

    def time_grad(self, leaves: int) -> None:
        """By `grad`."""
        self.grad()

    def time_tape(self, leaves: int) -> None:
        """By a tape, with the leaves in a list."""
        self.tape()


MAPPED: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    # For one element, and the same written for a batch.
    "elementwise": (
        lambda a, b: np.tanh(a[0]) * b[0] + np.exp(-a[0]),
        lambda a, b: np.tanh(a[:, 0]) * b[:, 0] + np.exp(-a[:, 0]),
    ),
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b),
    "matvec": (lambda a, b: a @ b[0], lambda a, b: (a @ b[:, 0, :, None])[..., 0]),
}


class Vmap:
    """A mapped function against NumPy code for the batch."""

    params = (list(MAPPED), some([1, 100, 1_000]))
    param_names = ("program", "batch")

    def setup(self, program: str, batch: int) -> None:
        """Make the arguments, and check that the two agree."""
        one, self.whole = MAPPED[program]
        self.mapped = tf.vmap(one)
        rng = np.random.default_rng(5)
        self.args = rng.standard_normal((batch, 32, 32)), rng.standard_normal((batch, 32, 32))
        race_transforms.same(self.mapped(*self.args), self.whole(*self.args))

    def time_vmap(self, program: str, batch: int) -> None:
        """Mapped."""
        self.mapped(*self.args)

    def time_numpy(self, program: str, batch: int) -> None:
        """Written for the batch."""
        self.whole(*self.args)


def peak_in_results(call: Callable[[], Any]) -> float:
    """Peak memory of a call, in sizes of its result."""
    call()
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1] / sum(leaf.nbytes for leaf in pytree.flatten(result)[0])
    finally:
        tracemalloc.stop()


def track_peak_of_jacobian() -> float:
    """Peak memory of the Jacobian of the network, in Jacobians."""
    return peak_in_results(programs.jacobian_call(tf.jacobian))


def track_peak_of_hessian() -> float:
    """Peak memory of Rosenbrock's Hessian, in Hessians."""
    return peak_in_results(programs.hessian_call())


def track_peak_of_per_example_gradients() -> float:
    """Peak memory of the gradients for each example, in such gradients."""
    return peak_in_results(programs.per_example_call())


for _track in (track_peak_of_jacobian, track_peak_of_hessian, track_peak_of_per_example_gradients):
    _track.unit = "results"  # type: ignore[attr-defined]
