"""The NumPy backend, and the guard that keeps foreign arrays from changing under a tape."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapeflow.backends.registry import Backend, register

__all__ = ["COPY_LIMIT", "NUMPY", "guard"]

# Up to this size a copy costs less than taking and releasing a hold (see docs/decisions, "Foreign arrays").
COPY_LIMIT = 131_072  # bytes


@dataclass(slots=True)
class _Hold:
    """An array that was made read-only: how often, and the views whose turn comes after it."""

    array: np.ndarray
    count: int = 1
    waiting: list[np.ndarray] = field(default_factory=list)


_lock = threading.RLock()
_holds: dict[int, _Hold] = {}  # keyed by id(array)


def guard(array: Any) -> Any:
    """Return a stand-in for a foreign array that later writes cannot change.

    A small array is copied. A large one is held: its owner (and the array itself) becomes read-only until the
    returned view dies, so that a later write is an error instead of a wrong derivative.
    """
    if not isinstance(array, np.ndarray):
        return array
    if array.nbytes <= COPY_LIMIT or not _can_hold(array):
        return np.array(array, copy=True, subok=False)
    view = array.view(np.ndarray)
    view.flags.writeable = False
    chain = [a for a in _owners(array) if _hold(a)]
    weakref.finalize(view, _release, [id(a) for a in chain]).atexit = False
    return view


def _owners(array: np.ndarray) -> list[np.ndarray]:
    """The array and the arrays whose memory it shares, outermost last."""
    chain = [array]
    while isinstance(chain[-1].base, np.ndarray):
        chain.append(chain[-1].base)
    return chain


def _can_hold(array: np.ndarray) -> bool:
    """Memory that NumPy does not own (a memory map, another library's buffer) can be written behind its flags."""
    return _owners(array)[-1].base is None


def _hold(array: np.ndarray) -> bool:
    with _lock:
        hold = _holds.get(id(array))
        if hold is not None:
            hold.count += 1
        elif array.flags.writeable:
            _holds[id(array)] = _Hold(array)
            array.flags.writeable = False
        else:
            return False
        return True


def _release(ids: list[int]) -> None:
    with _lock:
        for key in reversed(ids):  # owners first: a view cannot be made writeable while its base is not
            hold = _holds[key]
            hold.count -= 1
            if hold.count == 0:
                del _holds[key]
                for array in (hold.array, *hold.waiting):
                    _make_writeable(array)


def _make_writeable(array: np.ndarray) -> None:
    base = _holds.get(id(array.base))
    if base is not None:
        base.waiting.append(array)
    elif id(array) not in _holds:
        array.flags.writeable = True


def _scatter_add(buffer: Any, index: Any, values: Any) -> None:
    # np.add.at is an order of magnitude slower than `+=`, and only needed where an index may repeat.
    if _may_repeat(index):
        np.add.at(buffer, index, values)
    else:
        buffer[index] += values


def _may_repeat(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, np.ndarray) and p.dtype.kind != "b" for p in parts)


def _to_host(array: Any) -> np.ndarray:
    return np.array(array)


NUMPY = register(
    Backend(
        name="numpy",
        xp=np,
        array_types=(np.ndarray, np.generic),
        asarray=np.asarray,
        to_host=_to_host,
        scatter_add=_scatter_add,
        guard=guard,
    )
)

# glibc gives arrays above a threshold back to the system when they are freed, and the next array of that size costs more
# in fresh pages than in arithmetic (see docs/decisions/2026-11-25-malloc.md). The threshold follows the largest block that
# has been freed, up to 32 MiB. This one is never written to, so it takes no memory.
np.empty(31 * 2**20, np.uint8)
