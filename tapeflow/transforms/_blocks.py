"""What the Jacobian transforms have in common: a call, and the blocks of its Jacobian in either mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.tracer import Tracer, plain
from tapeflow.errors import SeedTypeError, TargetError
from tapeflow.recorders import ForwardAccumulator, GradientTape
from tapeflow.recorders.checks import differentiable
from tapeflow.recorders.chunks import Chunks
from tapeflow.transforms._args import Chosen, split_aux
from tapeflow.transforms._columns import Columns
from tapeflow.transforms._holomorphic import not_holomorphic, require_complex
from tapeflow.transforms._leaves import Partition, distinct
from tapeflow.transforms._results import output, outward
from tapeflow.transforms.replay import surely

__all__ = ["Blocks"]


class Blocks:
    """A call of a function, and the Jacobian of its result.

    Attributes
    ----------
    result : Partition
        What the function returned, in the last evaluation.
    aux : Any
        Its auxiliary output, as a value of the level outside.
    """

    def __init__(
        self,
        what: str,
        fun: Callable[..., Any],
        argnums: int | Sequence[int],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        has_aux: bool,
        holomorphic: bool,
        chunks: Chunks,
    ) -> None:
        self.what, self.kwargs, self.has_aux, self.holomorphic = what, kwargs, has_aux, holomorphic
        self.chunks = chunks
        self.chosen = Chosen(fun, args, argnums)
        leaves = zip(distinct(self.chosen.leaves), self.chosen.places, strict=True)
        self.leaves = [x if isinstance(x, Tracer) and x.dtype.kind in "fc" else differentiable(x, p) for x, p in leaves]
        if holomorphic:
            require_complex(self.leaves, self.chosen, what)

    def forward(self) -> Any:
        """Column by column."""
        for x, place in zip(self.leaves, self.chosen.places, strict=True):
            if x.dtype.kind == "c" and not self.holomorphic:
                raise SeedTypeError(
                    f"{self.what}: {place} is complex; pass holomorphic=True if the function is holomorphic, or "
                    "differentiate with respect to real and imaginary part"
                )
        columns = Columns(self.leaves, self._call)
        blocks = columns.blocks(self.chunks)
        if self.holomorphic:
            self._check_columns(columns)
        return self._assembled(blocks)

    def reverse(self) -> Any:
        """Row by row."""
        tape, watched = self._record()
        return self._rows(tape, watched)

    def shorter(self) -> Any:
        """In the mode that takes fewer passes; forward mode where results are complex and arguments are not."""
        columns = sum(x.size for x in self.leaves)
        if columns <= 1 and (self.holomorphic or all(x.dtype.kind != "c" for x in self.leaves)):
            return self.forward()
        tape, watched = self._record()
        real = all(x.dtype.kind != "c" for x in self.leaves)
        complex_results = any(y.dtype.kind == "c" for y in self.result.leaves)
        if (real and complex_results) or (
            columns < sum(y.size for y in self.result.leaves) and (real or self.holomorphic)
        ):
            return self.forward()
        return self._rows(tape, watched)

    # ---- evaluations

    def _call(self, recorder: ForwardAccumulator | GradientTape, twins: list[Any]) -> Partition:
        out, aux = split_aux(self.chosen.fun, self.chosen.call(twins, self.kwargs), self.has_aux)
        self.aux = outward(aux, recorder)
        self.result = output(self.chosen.fun, out, self.what)
        return self.result

    def _record(self) -> tuple[GradientTape, list[Any]]:
        with GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            watched = [tape.watch(x) for x in self.leaves]
            self._call(tape, watched)
        return tape, watched

    def _rows(self, tape: GradientTape, watched: list[Any]) -> Any:
        outs = self.result.leaves
        for k, y in enumerate(outs):
            if y.dtype.kind == "c" and not self.holomorphic:
                raise SeedTypeError(
                    f"{self.what}: {self.result.place(k)} is complex; use jacfwd for real arguments, pass holomorphic=True "
                    "for complex ones if the function is holomorphic, or differentiate its real and imaginary parts"
                )
        question = tape.question(watched, self.chosen.places, "none", self.chunks)
        traced = [isinstance(y, Tracer) and y.dtype.kind in "fc" for y in outs]
        blocks = [question.jacobian(y) if t else None for y, t in zip(outs, traced, strict=True)]
        if self.holomorphic:
            self._check_result()
            blocks = [b and [c if c is None else np.conjugate(c) for c in b] for b in blocks]
            for y in (y for y, t in zip(outs, traced, strict=True) if t):
                seed = np.random.default_rng().normal(size=y.shape).astype(y.dtype)
                self._check_pair(*([g for g in question.pull(y, s) if g is not None] for s in (seed, 1j * seed)))
        return self._assembled(blocks)

    def _assembled(self, blocks: list[list[Any] | None]) -> Any:
        missing = [None] * len(self.leaves)
        return self.result.fill(
            self.chosen.fill(_zeros(y, x) if c is None else c for c, x in zip(b or missing, self.leaves, strict=True))
            for b, y in zip(blocks, self.result.leaves, strict=True)
        )

    # ---- complex functions

    def _check_result(self) -> None:
        for k, y in enumerate(self.result.leaves):
            if y.dtype.kind != "c":
                raise TargetError(
                    f"{self.what}: {self.result.place(k)} is real, but holomorphic=True needs complex results; leave "
                    "holomorphic=True out"
                )

    def _check_columns(self, columns: Columns) -> None:
        self._check_result()
        rng = np.random.default_rng()
        tangents = [rng.normal(size=x.shape).astype(x.dtype) for x in self.leaves]
        pushed = (columns.push(t) for t in (tangents, [1j * t for t in tangents]))
        self._check_pair(*([t for t in ts if t is not None] for ts in pushed))

    def _check_pair(self, real: list[Any], imaginary: list[Any]) -> None:
        """The Cauchy-Riemann equations: what comes of i v is i times what comes of v."""
        for r, i in zip(map(plain, real), map(plain, imaginary), strict=True):
            if surely(np.abs(i - 1j * r) > np.sqrt(np.finfo(r.dtype).eps) * (np.abs(i) + np.abs(r))):
                raise not_holomorphic(self.what)


def _zeros(result: Any, source: Any) -> Any:
    xp = (backend_for(plain(source)) or NUMPY).xp
    return xp.zeros((*result.shape, *source.shape), source.dtype)
