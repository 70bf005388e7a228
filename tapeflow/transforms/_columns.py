"""Jacobians column by column: unit tangents, pushed forward in batches."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from tapeflow.core.batch import Batch
from tapeflow.core.tracer import Tracer
from tapeflow.recorders import ForwardAccumulator
from tapeflow.recorders.blocks import unit_rows
from tapeflow.recorders.chunks import CACHE, Chunks
from tapeflow.transforms._leaves import Partition

__all__ = ["Columns", "unit_tangents"]


class Columns:
    """The columns of the Jacobian of a call.

    Parameters
    ----------
    leaves : list of array
        Where it is taken.
    call : callable
        ``call(accumulator, twins)`` returns the partitioned result.
    """

    def __init__(self, leaves: list[Any], call: Callable[[ForwardAccumulator, list[Any]], Partition]) -> None:
        self.leaves = leaves
        self.call = call
        self.stops = list(accumulate(int(np.prod(x.shape)) for x in leaves))
        self.result: Any = None

    def blocks(self, chunks: Chunks) -> list[list[Any] | None]:
        """For each leaf of the result a block for each leaf of the arguments; ``None`` where nothing depends on them."""
        columns = self.stops[-1] if self.stops else 0
        if not columns:
            rows = self.push([None] * len(self.leaves))
        else:
            row_bytes = max(x.size * x.dtype.itemsize for x in self.leaves)
            # Each pass evaluates the function anew, so fewer and larger ones than in reverse mode.
            rows = chunks.run(columns, row_bytes, self._evaluate, 2 * CACHE)
        return [None if r is None else self._split(r, y) for r, y in zip(rows, self.result.leaves, strict=True)]

    def push(self, tangents: list[Any], batch: Batch | None = None) -> list[Any]:
        """Push tangents, or batches of them, forward."""
        with ForwardAccumulator(self.leaves, tangents, batched=batch or False) as accumulator:
            self.result = self.call(accumulator, accumulator.primals)
        return [accumulator.jvp(y) if isinstance(y, Tracer) else None for y in self.result.leaves]

    def _evaluate(self, start: int, stop: int, batch: Batch | None) -> list[Any]:
        tangents = unit_tangents(self.leaves, start, stop)
        if batch is not None:
            return self.push(tangents, batch)
        pushed = self.push([t if t is None else t[0] for t in tangents])
        return [t if t is None else np.reshape(t, (1, *t.shape)) for t in pushed]

    def _split(self, rows: Any, out: Any) -> list[Any]:
        """The block of each leaf out of the columns of all: result axes first."""
        blocks = []
        for x, end in zip(self.leaves, self.stops, strict=True):
            block = np.reshape(rows[end - x.size : end], (*x.shape, *out.shape))
            ndim = len(x.shape)
            blocks.append(np.transpose(block, (*range(ndim, ndim + len(out.shape)), *range(ndim))))
        return blocks


def unit_tangents(leaves: list[Any], start: int, stop: int) -> list[Any]:
    """Directions along some axes of all leaves together; ``None`` for a leaf of which there is nothing but zeros."""
    units = []
    first = 0
    for x in leaves:
        reached = start < first + x.size and first < stop
        rows = unit_rows(x.size, start - first, stop - first, x.dtype) if reached else None
        units.append(rows if rows is None else rows.reshape(stop - start, *x.shape))
        first += x.size
    return units
