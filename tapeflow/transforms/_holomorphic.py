"""Complex derivatives of holomorphic functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.tracer import plain
from tapeflow.errors import NotDifferentiableError, TargetError
from tapeflow.recorders import GradientTape
from tapeflow.transforms._args import Chosen
from tapeflow.transforms._results import pull
from tapeflow.transforms.replay import surely

__all__ = ["complex_derivative", "not_holomorphic", "require_complex"]


def require_complex(leaves: list[Any], chosen: Chosen, name: str) -> None:
    """Check that all leaves are complex.

    Raises
    ------
    NotDifferentiableError
        If one is not.
    """
    for x, place in zip(leaves, chosen.places, strict=True):
        if x.dtype.kind != "c":
            raise NotDifferentiableError(
                f"{name}: holomorphic=True needs complex arguments, but {place} has dtype {x.dtype}; convert it first: "
                "x.astype(complex), or leave holomorphic=True out"
            )


def complex_derivative(tape: GradientTape, value: Any, watched: list[Any], chosen: Chosen, name: str) -> list[Any]:
    """Return the complex derivative: the conjugate of the gradient of the real part.

    Raises
    ------
    TargetError
        If the Cauchy-Riemann equations do not hold.
    """
    one = np.ones((), np.asarray(value).dtype if isinstance(value, complex) else value.dtype)
    real = pull(tape, [value], watched, [one])
    imaginary = pull(tape, [value], watched, [1j * one])
    for x, r, i, place in zip(watched, map(plain, real), map(plain, imaginary), chosen.places, strict=True):
        if r.size and surely(_differ(r, 1j * i, plain(x), plain(value))):
            raise not_holomorphic(name, f" in {place}")
    return [np.conjugate(r) for r in real]


def not_holomorphic(name: str, where: str = "") -> TargetError:
    """The Cauchy-Riemann equations do not hold."""
    return TargetError(
        f"{name}: the function is not holomorphic{where} at this point (the Cauchy-Riemann equations do not hold), so it "
        "has no complex derivative; leave holomorphic=True out and take np.real or np.abs of the result, or differentiate "
        "its real and imaginary parts"
    )


def _differ(r: Any, minus_i: Any, x: Any, value: Any) -> Any:
    """Where the sum of two gradients is not zero but for rounding errors.

    The real part of ``a dz + b conj(dz)`` has the gradient ``conj(a) + b``, the imaginary part ``i (conj(a) - b)``.
    """
    eps = np.finfo(r.dtype).eps
    size = np.abs(r) + np.abs(minus_i)
    # What cancelled in an element may have been as large as other elements are, or as the slope value / x.
    noise = np.max(size) + np.abs(value) / np.maximum(np.max(np.abs(x)), 1)
    return np.abs(r + minus_i) > np.sqrt(eps) * size + 100 * eps * noise
