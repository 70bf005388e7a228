"""How many rows of a Jacobian are computed at once, and where they are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from traceback import walk_tb
from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core import stack
from tapeflow.core.batch import Batch, Batched, spread
from tapeflow.core.tracer import plain
from tapeflow.errors import BatchMemoryError

__all__ = ["CACHE", "Chunks", "positive", "row_values"]

# A pass holds a few arrays of a batch at a time.
BUDGET = 2**28
ARRAYS = 8
# Batches whose arrays stay in the second-level cache are the fastest: larger ones pay for fresh memory, smaller ones for
# the calls (Hessian of 500 variables, by a tape: 8.8 ms with 500 rows, 2.1 with 250, 2.6 with 128, 8.6 with 32).
CACHE = 2**20

Evaluate = Callable[[int, int, Batch | None], list[Any]]


def positive(given: Any, option: str, name: str) -> int | None:
    """A number of rows or bytes that was given to the function `name`, checked; or ``None``."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise ValueError(f"{name}: {option}={given!r}: expected a positive integer, or None")
    return int(given)


class Chunks:
    """Evaluate the rows of a Jacobian in batches as large as they may be.

    Parameters
    ----------
    name : str
        Who was given the options, for messages.
    chunk_size : int, optional
        Rows in a batch. If not given, as many as fit into a cache; fewer if an array of the batch would exceed an eighth
        of the budget.
    memory_budget : int, optional
        Bytes for one batched pass; 256 MiB by default. Ignored if `chunk_size` is given.
    vectorize : bool
        Whether to make batches at all.
    progress : bool
        Whether to show a progress bar (with `tqdm`); without a chunk size there are then at least 20 batches.
    """

    def __init__(
        self,
        name: str,
        chunk_size: int | None = None,
        memory_budget: int | None = None,
        vectorize: bool = True,
        progress: bool = False,
    ) -> None:
        self.chunk_size = positive(chunk_size, "chunk_size", name)
        budget = positive(memory_budget, "memory_budget", name) or BUDGET
        self.limit = None if chunk_size else max(budget // ARRAYS, 1)
        self.vectorize = vectorize
        self.progress = progress

    def run(self, rows: int, row_bytes: int, evaluate: Evaluate, cache: int = CACHE) -> list[Any]:
        """Put together what ``evaluate(start, stop, batch)`` returns for consecutive rows.

        It returns a list of arrays with the rows along their first axis, or ``None`` in the place of such an array.
        Without a batch it is asked for a single row: when a rule that was called with a batch raises, there are no
        more of them, and if it raises for a row as well, that is its own error. What a user's function raises by itself
        is not tried again.
        """
        size = self._first_size(rows, row_bytes, cache)
        limit, vectorize = self.limit, self.vectorize
        parts: list[_Rows] = []
        start = 0
        with _progress_bar(rows, self.progress) as advance:
            while start < rows:
                stop = min(start + size, rows) if vectorize else start + 1
                batch = Batch(stop - start, limit, quiet=True) if vectorize else None
                try:
                    with stack.inside(batch) if batch else nullcontext():
                        found = evaluate(start, stop, batch)
                except BatchMemoryError as error:
                    size = min(size - 1, int((stop - start) * error.fraction)) or 1
                    limit = None if size == 1 else limit
                    continue
                except (
                    Exception
                ) as error:  # of a rule that wants plain arrays, perhaps: foreign code raises what it likes
                    if batch is None or not _comes_from_a_rule(error):
                        raise
                    vectorize = False
                    continue
                parts = parts or [_Rows(rows) for _ in found]
                for part, block in zip(parts, found, strict=True):
                    part.put(start, stop, block)
                advance(stop - start)
                start = stop
        return [part.whole() for part in parts]

    def _first_size(self, rows: int, row_bytes: int, cache: int) -> int:
        if self.limit is None:
            return min(self.chunk_size or rows, rows)
        size = max(1, min(rows, min(cache, self.limit) // max(row_bytes, 1)))
        return max(1, min(size, rows // 20)) if self.progress else size


def _comes_from_a_rule(error: Exception) -> bool:
    """Whether an exception went through the engine, as those of rules do, and not straight out of the user's function."""
    frames = walk_tb(error.__traceback__)
    return any(f.f_globals.get("__name__", "").startswith("tapeflow.core.") for f, _ in frames)


class _Rows:
    """Blocks of rows on their way to one array; rows that nobody brings are zero."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.blocks: list[tuple[int, int, Any]] = []
        self.buffer: Any = None

    def put(self, start: int, stop: int, block: Any) -> None:
        """Add a block; plain ones go into one buffer, since joining them at the end would take the memory twice."""
        if block is None:
            return
        backend = backend_for(block)
        if backend is None or stop - start == self.rows:
            self.blocks.append((start, stop, block))
            return
        if self.buffer is None:
            self.buffer = backend.xp.zeros((self.rows, *block.shape[1:]), block.dtype)
        self.buffer[start:stop] = block

    def whole(self) -> Any:
        """All rows, ``None`` if there was no block."""
        if not self.blocks:
            return self.buffer
        first, last, block = self.blocks[0]
        if last - first == self.rows:
            return block
        if self.buffer is None:
            self.buffer = (backend_for(plain(block)) or NUMPY).xp.zeros((self.rows, *block.shape[1:]), block.dtype)
        parts, end = [], 0
        for start, stop, block in self.blocks:
            parts += [self.buffer[end:start], block]
            end = stop
        return np.concatenate([*parts, self.buffer[end:]])


def row_values(value: Any, batch: Batch | None) -> Any:
    """Rows of a result as one array, the axis of the batch in front."""
    if value is None:
        return None
    if batch is None:
        return np.reshape(value, (1, *value.shape))
    if isinstance(value, Batched) and value._batch is batch:
        return value._value
    return np.copy(spread(value, batch.size))


@contextmanager
def _progress_bar(rows: int, wanted: bool) -> Iterator[Callable[[int], Any]]:
    if not wanted:
        yield lambda count: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs the package tqdm: pip install tqdm") from None
    with tqdm(total=rows, unit="row") as bar:
        yield bar.update
