"""An exception inside a rule says which primitive, which operand, and of what shape and dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape, grad, jvp, vjp
from tapeflow.core.rules import general

X, Y = np.ones(3), np.ones((2, 3), np.float32)


def fail(xp: Any, *residuals: Any) -> Any:
    raise ValueError("inside")


def rule(xp: Any, g: Any, x1: Any) -> Any:
    return g * x1


BROKEN = general("broken", lambda x, y: x * y, (rule, lambda xp, t: fail(xp)), (rule, lambda xp, g: fail(xp)))


def notes(call: Callable[[], Any], error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        call()
    return "\n".join(caught.value.__notes__)


def test_forward() -> None:
    assert notes(lambda: jvp(BROKEN, (X, Y), (X, Y))) == (
        "in the forward rule of broken, operand 1 of shape (2, 3) float32, tangent of shape (2, 3) float32"
    )


def test_reverse_names_the_operand_at_fault_and_not_the_first() -> None:
    assert notes(lambda: vjp(BROKEN, X, Y)[1](np.ones((2, 3)))) == (
        "in the reverse rule of broken, operand 1 of shape (2, 3) float32, cotangent of shape (2, 3) float64"
    )


def test_reverse_by_a_sweep_of_a_part_and_when_recorded_itself() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(Y)
        z = BROKEN(2.0, x * 1.0)
    assert "reverse rule of broken, operand 1 of shape (2, 3) float32" in notes(lambda: tape.gradient(z, [x]))
    inner = lambda x: np.sum(BROKEN(x, x * 1.0))  # noqa: E731
    assert "in the reverse rule of broken, operand 1 of shape (3,) float64" in notes(
        lambda: grad(lambda x: np.sum(grad(inner)(x)))(X)
    )


def test_evaluation() -> None:
    assert notes(lambda: grad(lambda x: x @ np.ones(4, np.float32))(X)) == (
        "in matmul of arguments of shape (3,) float64, (4,) float32"
    )


def test_floating_point_errors_in_the_rules_of_ufuncs() -> None:
    def overflow() -> None:
        with np.errstate(all="raise"):
            with GradientTape() as tape:
                x = tape.watch(X * 1e-200)
                z = 1.0 / x
            tape.gradient(z, x)

    assert notes(overflow, FloatingPointError) == "in the reverse rule of divide, cotangent of shape (3,) float64"


def test_several_outputs_and_deposits() -> None:
    def refuse(xp: Any, g: Any) -> Any:
        raise ValueError("inside")

    two = general("two", lambda x: (x, x * 2), lambda xp, t: (t, 2 * t), refuse)
    assert "in the reverse rule of two, operand 0 of shape (3,) float64, cotangent of shape" in notes(
        lambda: grad(lambda x: np.sum(two(x)[0]))(X)
    )
