"""The programs that the benchmarks of the transformations differentiate, for any array namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tapeflow import GradientTape, grad, hessian, vmap

Layers = list[tuple[np.ndarray, np.ndarray]]
WIDTH, DEPTH = 200, 3
BATCH, INPUTS, HIDDEN, CLASSES = 256, 64, 128, 10
LEAVES = 1_000


def tanh_layers() -> Layers:
    """Weights of the network whose Jacobian is wanted."""
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH), 0.1 * rng.standard_normal(WIDTH)) for _ in range(DEPTH)
    ]


def tanh_input() -> np.ndarray:
    """Where the Jacobian is wanted."""
    return np.random.default_rng(1).standard_normal(WIDTH)


def tanh_network(layers: Any, x: Any, xp: Any = np) -> Any:
    """Three layers from R^200 to R^200."""
    for weights, bias in layers:
        x = xp.tanh(weights @ x + bias)
    return x


def jacobian_call(transform: Callable[..., Any]) -> Callable[[], Any]:
    """The dense Jacobian of the network, by `jacobian` or one of its kind."""
    layers, x = tanh_layers(), tanh_input()
    derivative = transform(lambda x: tanh_network(layers, x))
    return lambda: derivative(x)


def rosenbrock(x: Any, xp: Any = np) -> Any:
    """Rosenbrock's function of n variables."""
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_input(n: int = 500) -> np.ndarray:
    """Where the Hessian is wanted."""
    return np.linspace(-1.5, 1.5, n)


def rosenbrock_by_hand(x: np.ndarray) -> np.ndarray:
    """Its Hessian, tridiagonal."""
    diagonal = np.zeros_like(x)
    diagonal[:-1] += 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    diagonal[1:] += 200.0
    beside = -400.0 * x[:-1]
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def hessian_call(n: int = 500) -> Callable[[], Any]:
    """The dense Hessian of Rosenbrock's function."""
    x, derivative = rosenbrock_input(n), hessian(rosenbrock)
    return lambda: derivative(x)


def classifier_parameters() -> dict[str, np.ndarray]:
    """Weights of a two-layer network."""
    rng = np.random.default_rng(2)
    return {
        "w1": rng.standard_normal((INPUTS, HIDDEN)) / np.sqrt(INPUTS),
        "b1": 0.1 * rng.standard_normal(HIDDEN),
        "w2": rng.standard_normal((HIDDEN, CLASSES)) / np.sqrt(HIDDEN),
        "b2": 0.1 * rng.standard_normal(CLASSES),
    }


def classifier_batch(size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and their classes as rows of an identity matrix."""
    rng = np.random.default_rng(3)
    return rng.standard_normal((size, INPUTS)), np.eye(CLASSES)[rng.integers(0, CLASSES, size)]


def classifier_loss(p: Any, x: Any, y: Any, xp: Any = np) -> Any:
    """Cross-entropy of one example."""
    z = xp.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
    return xp.log(xp.sum(xp.exp(z))) - xp.sum(y * z)


def per_example_call(size: int = BATCH) -> Callable[[], Any]:
    """The gradient for each example, by `vmap`."""
    p, (x, y) = classifier_parameters(), classifier_batch(size)
    derivative = vmap(grad(classifier_loss), in_axes=(None, 0, 0))
    return lambda: derivative(p, x, y)


def example_loop_call(size: int = BATCH) -> Callable[[], Any]:
    """The same by a loop over `grad`, put together as `vmap` does it."""
    p, (x, y) = classifier_parameters(), classifier_batch(size)
    derivative = grad(classifier_loss)

    def call() -> Any:
        each = [derivative(p, a, b) for a, b in zip(x, y, strict=True)]
        return {name: np.stack([g[name] for g in each]) for name in p}

    return call


def batch_gradient_call(size: int = BATCH) -> Callable[[], Any]:
    """The gradient of the summed loss, written for a batch: less work than a gradient for each example."""
    p, (x, y) = classifier_parameters(), classifier_batch(size)

    def total(p: Any) -> Any:
        z = np.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        return np.sum(np.log(np.sum(np.exp(z), axis=1))) - np.sum(y * z)

    derivative = grad(total)
    return lambda: derivative(p)


def deep_parameters(leaves: int = LEAVES) -> dict[str, dict[str, np.ndarray]]:
    """A tree with two small arrays for each layer."""
    rng = np.random.default_rng(4)
    return {
        f"layer{k:04}": {"b": 0.01 * rng.standard_normal(8), "w": rng.uniform(0.95, 1.05, 8)}
        for k in range(leaves // 2)
    }


def deep(layers: Iterable[tuple[Any, Any]]) -> Any:
    """Three operations for each two leaves."""
    h: Any = np.linspace(-1.0, 1.0, 8)
    for bias, weight in layers:
        h = np.tanh(h * weight + bias)
    return np.sum(h)


def deep_pairs(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Biases and weights of the tree, layer by layer."""
    return ((layer["b"], layer["w"]) for layer in tree.values())


def tree_grad_call(leaves: int = LEAVES) -> Callable[[], Any]:
    """The gradient with respect to the tree, by `grad`."""
    p = deep_parameters(leaves)
    derivative = grad(lambda p: deep(deep_pairs(p)))
    return lambda: derivative(p)


def tree_tape_call(leaves: int = LEAVES) -> Callable[[], Any]:
    """The same by a tape, with the leaves in a list."""
    arrays = [a for layer in deep_parameters(leaves).values() for a in (layer["b"], layer["w"])]

    def call() -> Any:
        with GradientTape() as tape:
            watched = tape.watch(arrays)
            y = deep(zip(watched[::2], watched[1::2], strict=True))
        return tape.gradient(y, watched)

    return call
