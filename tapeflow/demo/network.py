"""A two-layer network trained with mini-batches to read handwritten digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tapeflow import GradientTape, Variable
from tapeflow.data import digits
from tapeflow.demo.report import Report

__all__ = ["log_probabilities", "loss", "run"]

HIDDEN = 64
EPOCHS = 20
BATCH = 64
RATE = 3e-3
HELD_OUT = 360
WANTED = 0.93  # accuracy on held-out images below which something is wrong
Array = NDArray[np.float64]


def log_probabilities(parameters: dict[str, Any], x: Array) -> Any:
    """Return the logarithm of the probability of each digit: plain NumPy.

    Parameters
    ----------
    parameters : dict of arrays or Variables
        Weights ``w1``, ``w2`` and biases ``b1``, ``b2``.
    x : array, shape (images, pixels)
        The images.

    Returns
    -------
    array, shape (images, 10)
        The logarithms.
    """
    hidden = np.tanh(x @ parameters["w1"] + parameters["b1"])
    scores = hidden @ parameters["w2"] + parameters["b2"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))


def loss(parameters: dict[str, Any], x: Array, labels: NDArray[np.int64]) -> Any:
    """Return the mean cross entropy.

    Parameters
    ----------
    parameters : dict of arrays or Variables
        As for `log_probabilities`.
    x : array, shape (images, pixels)
        The images.
    labels : array, shape (images,)
        Their digits.

    Returns
    -------
    scalar
        The loss.
    """
    return -np.mean(log_probabilities(parameters, x)[np.arange(len(x)), labels])


class Adam:
    """Steps scaled by running means of the gradient and of its square (Kingma and Ba, arXiv 1412.6980, algorithm 1)."""

    def __init__(self, parameters: dict[str, Variable]) -> None:
        self.parameters = parameters
        self.steps = 0
        self.first = {name: np.zeros(p.shape) for name, p in parameters.items()}
        self.second = {name: np.zeros(p.shape) for name, p in parameters.items()}

    def step(self, gradients: dict[str, Array]) -> None:
        """Move all parameters against their gradients."""
        self.steps += 1
        for name, g in gradients.items():
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = 0.999 * self.second[name] + 0.001 * g**2
            mean = self.first[name] / (1 - 0.9**self.steps)
            spread = np.sqrt(self.second[name] / (1 - 0.999**self.steps))
            self.parameters[name].assign_sub(RATE * mean / (spread + 1e-8))


def run(seed: int = 0, progress: bool = False) -> Report:
    """Train the network, and check its gradient and its accuracy on images that it never saw.

    Parameters
    ----------
    seed : int
        For the split, the first weights and the order of the images.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Report
        What was learnt, and the checks.
    """
    report = Report("two-layer network trained with mini-batches")
    rng = np.random.default_rng(seed)
    data = digits()
    x = data.features / 16
    order = rng.permutation(len(x))
    train, test = order[HELD_OUT:], order[:HELD_OUT]
    parameters = initial(rng, x.shape[1], len(data.label_names))
    size = sum(p.size for p in parameters.values())
    report.say(f"Handwritten digits: {len(train)} images to train, {len(test)} held out; {size} parameters")
    report.loss_name = "cross entropy of the training images"
    report.before = float(plain_loss(parameters, x[train], data.labels[train]))
    _check_gradient(report, parameters, x[train], data.labels[train], rng)
    fit(parameters, x[train], data.labels[train], rng, progress)
    report.say(f"{EPOCHS} epochs of mini-batches of {BATCH} with Adam")
    report.after = float(plain_loss(parameters, x[train], data.labels[train]))
    right = np.argmax(log_probabilities(numbers(parameters), x[test]), axis=1) == data.labels[test]
    report.check(f"accuracy on held-out images is {right.mean():.1%}, at least {WANTED:.0%}", right.mean() >= WANTED)
    report.check("loss decreased", report.after < report.before)
    return report


def initial(rng: np.random.Generator, inputs: int, outputs: int) -> dict[str, Variable]:
    """Make the parameters: weights scaled to their number of inputs, biases zero."""
    shapes = {"w1": (inputs, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, outputs), "b2": (outputs,)}
    return {
        name: Variable(rng.normal(0, np.sqrt(1 / shape[0]), shape) if len(shape) == 2 else np.zeros(shape), name=name)
        for name, shape in shapes.items()
    }


def numbers(parameters: dict[str, Variable]) -> dict[str, Array]:
    """Return the plain values of the parameters."""
    return {name: p.numpy() for name, p in parameters.items()}


def plain_loss(parameters: dict[str, Variable], x: Array, labels: NDArray[np.int64]) -> Any:
    """Return the loss as a number, recorded by nobody."""
    return loss(numbers(parameters), x, labels)


def gradient(parameters: dict[str, Variable], x: Array, labels: NDArray[np.int64]) -> dict[str, Array]:
    """Return the gradient of the loss; the tape watches variables by itself."""
    with GradientTape() as tape:
        value = loss(parameters, x, labels)
    gradients: dict[str, Array] = tape.gradient(value, parameters)
    return gradients


def fit(
    parameters: dict[str, Variable], x: Array, labels: NDArray[np.int64], rng: np.random.Generator, progress: bool
) -> None:
    """Train in place."""
    adam = Adam(parameters)
    for _ in tqdm(range(EPOCHS), desc="training", unit="epoch", disable=not progress, leave=False):
        order = rng.permutation(len(x))
        for batch in np.split(order, range(BATCH, len(x), BATCH)):
            adam.step(gradient(parameters, x[batch], labels[batch]))


def _check_gradient(
    report: Report, parameters: dict[str, Variable], x: Array, labels: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Compare the derivative in one random direction with a difference."""
    direction = {name: rng.normal(size=p.shape) for name, p in parameters.items()}
    values, gradients = numbers(parameters), gradient(parameters, x, labels)
    exact = float(sum(np.sum(gradients[name] * direction[name]) for name in direction))
    h = 1e-6
    ahead, behind = ({name: v + s * direction[name] for name, v in values.items()} for s in (h, -h))
    difference = float(loss(ahead, x, labels) - loss(behind, x, labels)) / (2 * h)
    size = np.sqrt(sum(np.sum(g**2) for g in gradients.values()) * sum(np.sum(d**2) for d in direction.values()))
    error = abs(exact - difference) / size
    report.check(f"derivative in a random direction equals a difference to {error:.1e} of its size", error < 1e-7)
