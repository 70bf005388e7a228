"""Jacobians and Hessians out of a recording: unit cotangents, pulled back in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.batch import Batch, batched
from tapeflow.core.tracer import Tracer, plain
from tapeflow.core.wengert import CONSTANT
from tapeflow.errors import IndependenceError, SeedTypeError, StructureError, TargetError
from tapeflow.recorders.checks import require_paths
from tapeflow.recorders.chunks import Chunks, row_values
from tapeflow.recorders.results import own

if TYPE_CHECKING:
    from tapeflow.core.wengert import Entry
    from tapeflow.recorders.tape import GradientTape

__all__ = ["Question", "check_real", "chunks_of", "one_scalar", "unit_rows"]


class Question:
    """A question to a tape about sources: what is asked, and how many rows of the answer are computed at once."""

    def __init__(
        self,
        tape: GradientTape,
        leaves: list[Any],
        paths: list[Any],
        nodes: list[Entry],
        unconnected: str,
        chunks: Chunks,
    ) -> None:
        self.tape, self.leaves, self.paths, self.nodes = tape, leaves, paths, nodes
        self.unconnected, self.chunks = unconnected, chunks

    def jacobian(self, target: Any) -> list[Any]:
        """The Jacobian of one target with respect to each source."""
        size = int(np.prod(target.shape))

        def seeds(start: int, stop: int) -> Any:
            return unit_rows(size, start, stop, target.dtype).reshape(stop - start, *target.shape)

        rows = self._rows(target, size, seeds)
        return [self._block(r, (*target.shape, *x.shape), x, size) for r, x in zip(rows, self.leaves, strict=True)]

    def batch_jacobian(self, target: Any, path: object) -> list[Any]:
        """The Jacobians of the elements of a batch; with the path of the target, checked."""
        count, inner = target.shape[0], target.shape[1:]
        size = int(np.prod(inner)) if count else 0
        if path is not None and size:
            self._check_independence(target, path)

        def seeds(start: int, stop: int) -> Any:
            units = unit_rows(size, start, stop, target.dtype)[:, None]
            return np.repeat(units, count, axis=1).reshape(stop - start, *target.shape)

        rows = self._rows(target, size, seeds)
        rows = [r if r is None else np.moveaxis(r, 0, 1) for r in rows]
        return [self._block(r, (count, *inner, *x.shape[1:]), x, size) for r, x in zip(rows, self.leaves, strict=True)]

    def hessian(self, target: Any) -> list[list[Any]]:
        """The Hessian of a scalar, in blocks: the Jacobian of a sweep that is recorded."""
        with self.tape.recording_again():
            pulled = self.tape._pull([target], [None], self.nodes, release=False)
            gradients = self.tape._finish(pulled, self.leaves, False)
        check_real("hessian", self.leaves, self.paths)
        return [self._hessian_row(g, x) for g, x in zip(gradients, self.leaves, strict=True)]

    def _hessian_row(self, gradient: Any, source: Any) -> list[Any]:
        if isinstance(gradient, Tracer):
            return self.jacobian(gradient)
        if self.unconnected == "raise":
            require_paths([None], [True], self.paths)
        return [self._block(None, (*source.shape, *x.shape), x, source.size) for x in self.leaves]

    def pull(self, target: Any, seed: Any) -> list[Any]:
        """The gradient of one target with one seed with respect to each source, ``None`` where there is no path."""
        return self.tape._finish(self.tape._pull([target], [seed], self.nodes, release=False), self.leaves, False)

    def _rows(self, target: Any, size: int, seeds: Any) -> list[Any]:
        """Pull seeds back, as many at once as there may be: one array for each source, the rows in front."""
        if not size:
            return [None] * len(self.leaves)
        asarray = (backend_for(plain(target)) or NUMPY).asarray

        def evaluate(start: int, stop: int, batch: Batch | None) -> list[Any]:
            seed = asarray(seeds(start, stop))
            seed = seed[0] if batch is None else batched(seed, batch)
            pulled = self.tape._pull([target], [seed], self.nodes, release=False)
            return self.tape._finish(own([row_values(g, batch) for g in pulled]), self.leaves, False)

        row_bytes = max((x.size * x.dtype.itemsize for x in (target, *self.leaves)), default=0)
        rows = self.chunks.run(size, row_bytes, evaluate)
        if self.unconnected == "raise":
            require_paths(rows, [n is not CONSTANT for n in self.nodes], self.paths)
        return rows

    def _block(self, rows: Any, shape: tuple[int, ...], source: Any, size: int) -> Any:
        if rows is not None:
            return np.reshape(rows, shape)
        empty = not size  # there is no path to ask for
        if self.unconnected != "zero" and not empty:
            return None
        return (backend_for(plain(source)) or NUMPY).xp.zeros(shape, source.dtype)

    # ---- checks of batches

    def check_batches(self, targets: list[Any], paths: list[Any]) -> None:
        """Check that all arrays have at least two axes, and the first of one length."""
        arrays = zip([*targets, *self.leaves], [*paths, *self.paths], strict=True)
        found = {str(p): x.shape for x, p in arrays}
        for path, shape in found.items():
            if len(shape) < 2:
                raise StructureError(
                    f"batch_jacobian: {path} has shape {shape}; expected two axes or more, the batch first (x[:, None])"
                )
        if len({shape[0] for shape in found.values()}) > 1:
            raise StructureError(f"batch_jacobian: batches differ in length: {found}")

    def _check_independence(self, target: Any, path: object) -> None:
        """Pull a random cotangent of one random element back, and see whether it reaches others."""
        rng = np.random.default_rng()
        chosen = int(rng.integers(target.shape[0]))
        seed = np.zeros(target.shape, target.dtype)
        seed[chosen] = rng.normal(size=target.shape[1:])
        seed = (backend_for(plain(target)) or NUMPY).asarray(seed)
        pulled = self.tape._pull([target], [seed], self.nodes, release=False)
        for g, x, source in zip(pulled, self.leaves, self.paths, strict=True):
            if g is None or not x.size:
                continue
            reached = np.abs(plain(g)).reshape(x.shape[0], -1).max(axis=1)
            others = np.where(np.arange(len(reached)) == chosen, 0, reached)
            if not others.max() <= 64 * np.finfo(x.dtype).eps * reached.max():
                raise IndependenceError(
                    f"batch_jacobian: element {chosen} of {path} depends on element {int(others.argmax())} of {source}, "
                    "so the elements have no Jacobians of their own; use jacobian"
                )


def unit_rows(size: int, start: int, stop: int, dtype: Any) -> np.ndarray:
    """Rows `start` to `stop` of the unit matrix; zeros for rows before its first and after its last."""
    return np.eye(stop - start, size, start, dtype)


def chunks_of(what: str, chunk_size: int | None, vectorize: bool, options: dict[str, Any]) -> Chunks:
    """How many rows at once, from the options under our and TensorFlow's names."""
    known = ("memory_budget", "progress", "parallel_iterations", "experimental_use_pfor")
    if unknown := options.keys() - set(known):
        raise TypeError(f"{what}: no option is called {min(unknown)!r}; there are {', '.join(known)}")
    pfor = options.pop("experimental_use_pfor", None)
    size = options.pop("parallel_iterations", None)
    return Chunks(
        what, size if chunk_size is None else chunk_size, vectorize=vectorize if pfor is None else bool(pfor), **options
    )


def check_real(what: str, targets: list[Any], paths: list[Any]) -> None:
    """Refuse complex targets: their Jacobian is no one array of derivatives."""
    for y, p in zip(targets, paths, strict=True):
        if y.dtype.kind == "c":
            raise SeedTypeError(f"{what}: {p} is complex; differentiate its real and imaginary parts instead")


def one_scalar(targets: list[Any]) -> Any:
    """The one scalar target of a Hessian."""
    if len(targets) != 1 or targets[0].shape != ():
        shapes = ", ".join(str(y.shape) for y in targets)
        raise TargetError(f"hessian: the target must be one scalar, not of shape(s) {shapes}; sum it, or use jacobian")
    return targets[0]
