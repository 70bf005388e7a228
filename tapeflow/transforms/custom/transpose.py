"""One mode of differentiation from the other: the transpose of a linear map that is given as code.

A JVP is linear in its tangent, a VJP in its cotangent, and each is the transpose of the other under the pairing
``Re(sum(g * t))``, in which adjoints travel inside a sweep (see :mod:`tapeflow.core.reverse`). So a rule for the missing
mode comes out of a tape that records the known one. A rule that leaves for plain arrays cannot be recorded; it is then
called once for each entry of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.core.tracer import Tracer, anywhere, plain
from tapeflow.core.wengert import WengertList
from tapeflow.errors import RuleError
from tapeflow.recorders import GradientTape
from tapeflow.recorders.results import conjugate
from tapeflow.transforms.replay import surely

__all__ = ["seeded", "transposed"]

Meta = tuple[tuple[int, ...], Any]
Map = Callable[..., Sequence[Any]]

# The larger of the two scales at which a rule is tried, a power of two so that a linear rule scales exactly.
SCALE = {2: 2.0**5, 4: 2.0**20}


def transposed(
    xp: Any, apply: Map, metas: Sequence[Meta], seeds: Sequence[Any], name: str, *, remedy: str = ""
) -> list[Any]:
    """Apply the transpose of a linear map.

    Parameters
    ----------
    xp : namespace
        That of the arrays.
    apply : callable
        ``apply(*inputs)``, the map; returns a sequence of outputs, ``None`` for one that is zero.
    metas : sequence of (shape, dtype)
        What the inputs are.
    seeds : sequence of array or None
        One for each output, of its shape and dtype; ``None`` for zero.
    name : str
        Of the primitive, for messages.
    remedy : str
        For a map that may well not be linear: the way out. It is then tried at a second scale.

    Returns
    -------
    list of array or None
        One for each input, ``None`` for integers.

    Raises
    ------
    RuleError
        If the map turns out not to be linear.
    """
    if any(dtype.kind not in "fc" for _, dtype in metas):
        return _without_integers(xp, apply, metas, seeds, name, remedy)
    probes = [xp.asarray(_probe(shape, dtype)) for shape, dtype in metas]
    try:
        outs, shares = _recorded(apply, probes, seeds)
    except Exception:
        return seeded(xp, apply, metas, seeds, name)
    if outs is None:
        return seeded(xp, apply, metas, seeds, name)
    _require_linear(probes, shares, outs, seeds, name, remedy)
    if remedy:
        _require_scaling(apply, probes, outs, name, remedy)
    return shares


def _without_integers(
    xp: Any, apply: Map, metas: Sequence[Meta], seeds: Sequence[Any], name: str, remedy: str
) -> list[Any]:
    """The same for a map of which some inputs can be nothing but zero."""
    places = [k for k, (_, dtype) in enumerate(metas) if dtype.kind in "fc"]

    def filled(*values: Any) -> Sequence[Any]:
        inputs = [xp.zeros(*m) for m in metas]
        for k, v in zip(places, values, strict=True):
            inputs[k] = v
        return apply(*inputs)

    shares: list[Any] = [None] * len(metas)
    found = transposed(xp, filled, [metas[k] for k in places], seeds, name, remedy=remedy)
    for k, share in zip(places, found, strict=True):
        shares[k] = share
    return shares


def _recorded(apply: Map, probes: list[Any], seeds: Sequence[Any]) -> tuple[list[Any] | None, list[Any]]:
    """Outputs without derivatives and what comes back; no outputs if one has left the tape without a sound."""
    tape = GradientTape(watch_accessed_variables=False)
    # A list of its own, innermost of all: what comes out belongs to the levels outside.
    tape._use(WengertList())
    with tape:
        inputs = [tape.watch(p) for p in probes]
        outs = list(apply(*inputs))
        on_tape = [isinstance(y, Tracer) and y._level == tape.level and y._live for y in outs]
    values = [plain(y) for y in outs]
    if any(y is not None and not there and anywhere(y != 0) for y, there in zip(values, on_tape, strict=True)):
        return None, []
    pairs = [(y, s) for y, s, there in zip(outs, seeds, on_tape, strict=True) if there and s is not None]
    shares = tape.gradient([y for y, _ in pairs], inputs, [conjugate(s) for _, s in pairs], "zero")
    return values, [conjugate(g) for g in shares]


def _probe(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An input with nothing special about it, of ordinary size."""
    k = np.arange(1, int(np.prod(shape)) + 1)
    values = 1 + np.sin(k) / 2 + (0.75j * np.cos(2 * k) if dtype.kind == "c" else 0)
    return values.astype(dtype).reshape(shape)


def seeded(xp: Any, apply: Map, metas: Sequence[Meta], seeds: Sequence[Any], name: str) -> list[Any]:
    """Apply the transpose of a linear map by calling the map once for each entry of its inputs."""
    probes = [xp.asarray(_probe(shape, dtype)) for shape, dtype in metas]
    shares = []
    for j, (shape, dtype) in enumerate(metas):
        rows = [_row(xp, apply, metas, seeds, j, unit) for unit in ((1, 1j) if dtype.kind == "c" else (1,))]
        share = rows[0] if len(rows) == 1 else rows[0] - 1j * rows[1]
        shares.append(np.reshape(share, shape).astype(dtype))
    _require_linear(probes, shares, [plain(y) for y in apply(*probes)], seeds, name, "")
    return shares


def _row(xp: Any, apply: Map, metas: Sequence[Meta], seeds: Sequence[Any], j: int, unit: complex) -> Any:
    shape, dtype = metas[j]
    inputs = [xp.zeros(s, d) for s, d in metas]
    numbers = []
    for k in range(int(np.prod(shape))):
        basis = np.zeros(shape, dtype)
        basis.reshape(-1)[k] = unit
        inputs[j] = xp.asarray(basis)
        numbers.append(_paired(apply(*inputs), seeds))
    return np.stack(numbers) if numbers else xp.zeros(0)


def _paired(outs: Sequence[Any], seeds: Sequence[Any]) -> Any:
    total: Any = np.float64(0)
    for y, s in zip(outs, seeds, strict=True):
        if y is not None and s is not None:
            total = total + np.real(np.sum(y * s))
    return total


def _require_linear(
    probes: list[Any], shares: list[Any], outs: Sequence[Any], seeds: Sequence[Any], name: str, remedy: str
) -> None:
    """Compare two ways to the same number, which agree for maps that are linear (homogeneous of degree one)."""
    seeds = [plain(s) for s in seeds]
    with np.errstate(all="ignore"):
        there = _paired(outs, seeds)
        back = _paired([plain(g) for g in shares], probes)
        size = _paired([y if y is None else abs(y) for y in outs], [s if s is None else abs(s) for s in seeds])
        size = size + _paired([abs(plain(g)) for g in shares], [abs(p) for p in probes])
        wrong = abs(there - back) > _tolerance([*shares, *probes]) * size
    if surely(wrong):
        raise RuleError(_not_linear(name, remedy))


def _require_scaling(apply: Map, probes: list[Any], outs: Sequence[Any], name: str, remedy: str) -> None:
    """Try a rule at another scale and sign, where clipping and the like show."""
    scale = -SCALE.get(min((p.dtype.itemsize // (2 if p.dtype.kind == "c" else 1) for p in probes), default=8), 2.0**30)
    with np.errstate(all="ignore"):
        for y, far in zip(outs, apply(*(p * p.dtype.type(scale) for p in probes)), strict=True):
            if y is None or far is None or not np.size(y):
                wrong: Any = np.bool_((y is None) != (far is None) and np.size(y))
            else:
                far = plain(far) / scale
                wrong = np.max(abs(far - y)) > _tolerance(probes) * np.max(abs(far) + abs(y))
            if surely(wrong):
                raise RuleError(_not_linear(name, remedy))


def _tolerance(arrays: Sequence[Any]) -> float:
    # Wide, for rules that solve ill-conditioned systems; a rule that is not linear is off by much more.
    return max((float(np.finfo(a.dtype).eps) ** 0.25 for a in arrays), default=0.0)


def _not_linear(name: str, remedy: str) -> str:
    return (
        f"{name}: the derivative in the other mode was to be derived from the rule that was given, but the rule is not "
        f"linear in its tangent or cotangent. {remedy or 'Make it linear, or give the rules of both modes'}"
    )
