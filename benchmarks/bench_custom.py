"""Rules that users bring: what each way to bring them costs, beside the same function with tapeflow's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapeflow as tf
from benchmarks.sizes import some


def softplus(x: Any) -> Any:
    """Differentiated operation by operation."""
    return np.log1p(np.exp(x))


@tf.custom_gradient
def by_gradient(x: Any) -> Any:
    """With the pullback of the call."""
    e = np.exp(x)
    return np.log1p(e), lambda g: g * e / (1 + e)


@tf.custom_vjp
def by_vjp(x: Any) -> Any:
    """With a reverse rule."""
    return np.log1p(np.exp(x))


by_vjp.defvjp(lambda x: (by_vjp(x), x), lambda x, g: (g / (1 + np.exp(-x)),))


@tf.custom_jvp
def by_jvp(x: Any) -> Any:
    """With a forward rule, which is transposed."""
    return np.log1p(np.exp(x))


by_jvp.defjvp(lambda primals, tangents: (by_jvp(*primals), tangents[0] / (1 + np.exp(-primals[0]))))


@tf.primitive
def by_primitive(x: Any) -> Any:
    """As a new primitive."""
    return np.log1p(np.exp(x))


by_primitive.def_jvp(lambda xp, t, x: t / (1 + xp.exp(-x)))
by_primitive.def_vjp(lambda xp, g, x: g / (1 + xp.exp(-x)))

by_wrap = tf.wrap(softplus, vjp=lambda g, y, x: g / (1 + np.exp(-x)), name="softplus")

WAYS: dict[str, Callable[[Any], Any]] = {
    "own rules": softplus,
    "custom_gradient": by_gradient,
    "custom_vjp": by_vjp,
    "custom_jvp": by_jvp,
    "primitive": by_primitive,
    "wrap": by_wrap,
}


class Softplus:
    """The gradient of the sum of a function of three operations."""

    params = (list(WAYS), some([3, 10_000]))
    param_names = ("way", "size")
    number = 20

    def setup(self, way: str, size: int) -> None:
        """Make the gradient, and check it."""
        f = WAYS[way]
        self.x = np.linspace(-1.0, 1.0, size)
        self.grad = tf.grad(lambda x: np.sum(f(x)))
        np.testing.assert_allclose(self.grad(self.x), 1 / (1 + np.exp(-self.x)), rtol=1e-12)

    def time_grad(self, way: str, size: int) -> None:
        """One gradient."""
        self.grad(self.x)
