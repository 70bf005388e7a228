"""Difference quotients in one direction, of functions of several arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.errors import NotDifferentiableError, RuleError

__all__ = ["central", "complex_step"]


def central(
    f: Callable[..., list[Any]], xs: Sequence[Any], ts: Sequence[Any], ys: Sequence[Any], step: float | None, name: str
) -> list[Any]:
    """Central differences; the step balances truncation and rounding (Press et al., Numerical Recipes, section 5.7)."""
    del name
    moving = [(x, t) for x, t in zip(xs, ts, strict=True) if t is not None and np.any(t)]
    if not moving:
        return [np.zeros_like(y) for y in ys]
    eps = max(float(np.finfo(x.dtype).eps) for x, _ in moving)
    base = eps ** (1 / 3) if step is None else step
    reach = min(float(np.min(np.maximum(1, abs(x[t != 0] if x.shape else x)) / abs(t[t != 0]))) for x, t in moving)
    h = (
        base * reach if step is not None else 2.0 ** round(math.log2(base * reach))
    )  # so that multiplying by it is exact
    there = f(*(x if t is None else x + (h * t).astype(x.dtype) for x, t in zip(xs, ts, strict=True)))
    back = f(*(x if t is None else x - (h * t).astype(x.dtype) for x, t in zip(xs, ts, strict=True)))
    return [(a - b) / (2 * h) if a.dtype.kind in "fc" else a for a, b in zip(there, back, strict=True)]


def complex_step(
    f: Callable[..., list[Any]], xs: Sequence[Any], ts: Sequence[Any], ys: Sequence[Any], step: float | None, name: str
) -> list[Any]:
    """Imaginary parts of the values at complex arguments (Squire and Trapp, SIAM Review 40, 1998)."""
    if any(v.dtype.kind == "c" for v in [*ys, *(x for x, t in zip(xs, ts, strict=True) if t is not None)]):
        raise NotDifferentiableError(
            f"{name}: the complex step is for real arguments and results; use fd='central' for complex ones"
        )
    moving = [float(np.max(abs(t))) for t in ts if t is not None and np.size(t)]
    size = max(moving, default=0.0) or 1.0
    h = (1e-20 if step is None else step) / size
    there = f(*(x if t is None else x + 1j * h * t for x, t in zip(xs, ts, strict=True)))
    for a, y in zip(there, ys, strict=True):
        if y.dtype.kind == "f" and a.dtype.kind != "c":
            raise RuleError(
                f"{name}: fd='complex-step', but for complex arguments it returned {a.dtype}: it drops imaginary parts. "
                "Use fd='central'"
            )
    return [np.imag(a) / h for a in there]
