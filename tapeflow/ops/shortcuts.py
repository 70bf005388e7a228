"""Short ways to record what programs do most beside ufuncs: selections, sums and products of plain arrays.

What these do not know goes the way of all primitives, which gives the same values and derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.primitive import FUNCTIONS
from tapeflow.core.reverse import NODES, scatter_part
from tapeflow.core.tracer import Tracer
from tapeflow.core.wengert import RECORDERS, Recorded, record
from tapeflow.core.writes import family_of, relate
from tapeflow.ops import contractions, indexing

__all__: list[str] = []

BASIC = {int, slice, type(None), type(...)}
BOUND = {int, type(None)}
ADD_UP = np.add.reduce
_SUM = FUNCTIONS[np.sum]


def _is_basic(index: Any) -> bool:
    """Whether an index selects by numbers and slices of numbers alone, as they stand."""
    if type(index) is int:
        return True
    for part in index if type(index) is tuple else (index,):
        kind = type(part)
        if kind is slice:
            if not (type(part.start) in BOUND and type(part.stop) in BOUND and type(part.step) in BOUND):
                return False
        elif kind not in BASIC:
            return False
    return True


def _getitem(self: Recorded, index: Any) -> Any:
    """Select a part."""
    wengert, parent, value = self._list, self._entry, self._value
    if parent[1] is not wengert.live or type(value) is not np.ndarray or not _is_basic(index):
        return Tracer.__getitem__(self, index)
    try:
        part = value[index]
    except IndexError:
        return Tracer.__getitem__(self, index)  # which raises it with a note
    is_view = type(part) is np.ndarray
    if is_view and (family := family_of(self)) is not None and (family.written or family.parent is not None):
        return Tracer.__getitem__(self, index)
    residual = (scatter_part, indexing.scatter, {"index": index}, value.shape, value.dtype)
    wengert.selective = True
    new = wengert.enter(part, [wengert.tick(), parent[1], None, parent, residual])
    if is_view:
        relate(self, new, ("getitem", index))
    return new


def _spread(xp: Any, g: Any, shape: tuple[int, ...]) -> Any:
    return xp.broadcast_to(g, shape)


def _sum(a: Any, *args: Any, **options: Any) -> Any:
    """Sum of elements."""
    if args or options or type(a) is not Recorded or type(a._value) is not np.ndarray:
        return _SUM(a, *args, **options)
    wengert, parent, value = a._list, a._entry, a._value
    if parent[1] is not wengert.live:
        return _SUM(a)
    return wengert.enter(ADD_UP(value, None), [wengert.tick(), parent[1], _spread, parent, value.shape])


def _product(a: Any, b: Any) -> Any:
    """Product of matrices and vectors."""
    if type(a) is Recorded:
        if (type(b) is np.ndarray and b.dtype.kind != "O") or (type(b) is Recorded and b._list is a._list):
            return record(a._list, contractions.product, (a, b), {})
    elif type(b) is Recorded and type(a) is np.ndarray and a.dtype.kind != "O":
        return record(b._list, contractions.product, (a, b), {})
    return contractions.matmul(a, b)


def _install() -> None:
    NODES[_spread] = ()
    _spread.__name__ = "sum"  # what notes on exceptions call it
    FUNCTIONS[np.sum] = _sum
    RECORDERS[np.matmul] = _product
    Recorded.__getitem__ = _getitem  # type: ignore[method-assign]


_install()
