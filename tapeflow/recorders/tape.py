"""GradientTape: what users open, and how a question to it becomes a sweep of the list."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np

from tapeflow import pytree
from tapeflow.backends import NUMPY, backend_for
from tapeflow.core import stack
from tapeflow.core.batch import Batch
from tapeflow.core.forward import Dual
from tapeflow.core.poles import has_nan
from tapeflow.core.reverse import identity_edge, sweep, sweep_all
from tapeflow.core.sites import CallSite
from tapeflow.core.tracer import Tracer, plain
from tapeflow.core.wengert import CONSTANT, OUTSIDE, PAUSED, RECORDING, Entry, Recorded, WengertList, handle
from tapeflow.core.writes import family_of
from tapeflow.errors import SeedError, TapeStateError, TargetError
from tapeflow.recorders import blocks
from tapeflow.recorders.checks import (
    check_unconnected,
    differentiable,
    errors_are_quiet,
    no_copy,
    require_paths,
    seed_for,
)
from tapeflow.recorders.chunks import Chunks
from tapeflow.recorders.leaves import Leaves
from tapeflow.recorders.levels import joined, lifted_like, split, still_traced, with_value
from tapeflow.recorders.results import conjugate, own
from tapeflow.recorders.variable import Variable

__all__ = ["GradientTape"]

_token = itertools.count(1).__next__
pytree.LEAF_TYPES.update((Recorded, Dual, Variable, np.ndarray, np.float64))


class GradientTape:
    """Record the operations of a block, to differentiate its results backwards.

    Parameters
    ----------
    persistent : bool
        Whether the tape answers more than one call. A plain tape answers once and then holds nothing.
    watch_accessed_variables : bool
        Whether trainable variables are watched when they are read.

    Notes
    -----
    Tapes and accumulators nest in any order. The sweep itself consists of ordinary operations: every other tape and
    accumulator that is active while `gradient` runs records it, and so does a persistent tape inside its own block;
    that gives derivatives of any order.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import GradientTape
    >>> with GradientTape() as tape:
    ...     x = tape.watch(np.array([1.0, 2.0]))
    ...     y = np.sum(x**3)
    >>> tape.gradient(y, x)
    array([ 3., 12.])
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self.token = _token()
        self.entered = False
        self._ever_entered = False
        self._paused = 0
        self._spent = False
        self._answered: CallSite | None = None
        self._place: Any = None
        self._list: WengertList | None = None
        self._variables: dict[int, tuple[Variable, Entry]] = {}

    # ---- life

    @property
    def recording(self) -> bool:
        """Whether operations are being recorded now."""
        return self.entered and not self._paused and not self._spent

    @property
    def level(self) -> int:
        """The level of the list on which the tape records."""
        return self._wengert.level

    @property
    def shares_list(self) -> bool:
        """Whether other tapes, not spent yet, are on the same list."""
        return bool(self._wengert.members.keys() - {self.token})

    @property
    def _wengert(self) -> WengertList:
        return self._list or self._use(WengertList())

    def _use(self, wengert: WengertList) -> WengertList:
        """Record on a list from here on."""
        self._list = wengert
        self._since = wengert.tick()
        self._tell()
        return wengert

    def _tell(self) -> None:
        """Tell the list what this tape is doing."""
        if self._list is not None:
            state = RECORDING if self.recording else PAUSED if self.entered else OUTSIDE
            self._list.update(self.token, state)

    def __enter__(self) -> Self:
        if self.entered:
            raise TapeStateError("this tape is active already; open another one to nest")
        self._refuse_spent("entered again")
        outside = self._outside() if self._list is None else None
        self.entered = self._ever_entered = True
        self._place = stack.enter(self)
        if self._list is None:
            self._use(outside or WengertList())
        else:
            self._tell()
        return self

    def _outside(self) -> WengertList | None:
        """The list of the tape directly outside, to be shared, so that each can record the sweep of the other."""
        outside = () if isinstance(stack.innermost(), Batch) else stack.active()
        return outside[-1]._wengert if outside and isinstance(outside[-1], GradientTape) else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False
        self._leave()
        if not self._spent:
            self._tell()

    def _leave(self) -> None:
        stack.leave(self, self._place)
        self._place = None

    def __del__(self) -> None:
        wengert = getattr(self, "_list", None)
        if wengert is not None and not self._spent:
            wengert.remove(self.token, self._since)

    def _refuse_spent(self, what: str) -> None:
        if self._spent:
            raise TapeStateError(
                f"this tape cannot be {what}: it has answered its one call ({self._answered}) and holds nothing any more. "
                "Use GradientTape(persistent=True) for several calls, or a new tape"
            )

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Pause recording for a block; pauses nest.

        Raises
        ------
        TapeStateError
            If the tape is not active, or spent.
        """
        self._refuse_spent("paused")
        if not self.entered:
            raise TapeStateError("stop_recording outside the tape's block: nothing is being recorded")
        self._pause(1)
        try:
            yield
        finally:
            self._pause(-1)

    def _pause(self, change: int) -> None:
        self._paused += change
        if not self._spent:
            self._tell()

    def reset(self) -> None:
        """Forget all operations and watches, and go on recording.

        Raises
        ------
        TapeStateError
            If the tape is not active, or spent.
        """
        self._refuse_spent("reset")
        if not self.entered:
            raise TapeStateError("reset outside the tape's block; use a new tape")
        self._wengert.remove(self.token, self._since)
        self._variables.clear()
        self._use(WengertList())

    __copy__ = __deepcopy__ = __reduce_ex__ = no_copy

    # ---- watching

    def watch(self, tree: Any) -> Any:
        """Follow values, and return their traced twins, to compute with.

        Parameters
        ----------
        tree : pytree of array, traced value or Variable
            Real or complex floating point, any shape. A Python number becomes an array scalar; strings, functions and
            other leaves that cannot hold an array stay as they are.

        Returns
        -------
        pytree
            The same structure with traced values; a `Variable` is watched in place and stands for itself.

        Raises
        ------
        NotDifferentiableError
            If a leaf is no floating-point array; then nothing has been watched.
        TapeStateError
            If the tape is spent.

        Examples
        --------
        >>> import numpy as np
        >>> from tapeflow import GradientTape
        >>> with GradientTape() as tape:
        ...     p = tape.watch({"a": np.float64(2.0), "b": np.float64(3.0)})
        ...     y = p["a"] * p["b"]
        >>> tape.gradient(y, p)
        {'a': np.float64(3.0), 'b': np.float64(2.0)}
        """
        self._refuse_spent("given more to watch")
        leaves = Leaves(tree, "x")
        values = [
            leaf if isinstance(leaf, Variable) else differentiable(leaf, p)
            for leaf, p in zip(leaves.values, leaves.paths, strict=True)
        ]
        return leaves.fill([self._watch(v) for v in values])

    def _watch(self, value: Any) -> Any:
        wengert = self._wengert
        if isinstance(value, Variable):
            differentiable(value._value, value.name or "variable")
            self._variable_entry(value)
            return value
        value = still_traced(value)
        if not isinstance(value, Tracer) or value._level < wengert.level:
            return wengert.leaf(value, frozenset((self.token,)))
        if value._level > wengert.level:
            return with_value(value, self._watch(value._value))
        assert isinstance(value, Recorded)
        if not value._entry[1]:
            return wengert.leaf(value._value, frozenset((self.token,)))
        trackers = wengert.intern(value._entry[1] | {self.token})
        return wengert.enter(value._value, [wengert.tick(), trackers, identity_edge, value._entry, None])

    def watched_variables(self) -> tuple[Variable, ...]:
        """Return the variables watched so far, in the order in which that began."""
        return tuple(variable for variable, _ in self._variables.values())

    def read(self, variable: Variable, value: Any) -> Any:
        """Return the value of a variable as this tape sees it; called by `Variable.read`."""
        wanted = variable.trainable and self.watch_accessed_variables and variable._value.dtype.kind in "fc"
        if not wanted and id(variable) not in self._variables:
            return value
        wengert = self._wengert
        if not self.recording:
            return value if isinstance(value, Recorded) else handle(value, wengert, CONSTANT)
        leaf = self._variable_entry(variable)
        if isinstance(value, Recorded) and value._list is wengert:
            trackers = wengert.intern(value._entry[1] | leaf[1])
            entry: Entry = [wengert.tick(), trackers, identity_edge, value._entry, None, identity_edge, leaf, None]
            value = value._value
        else:
            entry = [wengert.tick(), leaf[1], identity_edge, leaf, None]
            wengert.special = wengert.special or isinstance(value, Tracer)
        return wengert.enter(value, entry)

    def _variable_entry(self, variable: Variable) -> Entry:
        found = self._variables.get(id(variable))
        if found is None:
            leaf = self._wengert.leaf(None, frozenset((self.token,)))
            found = self._variables[id(variable)] = (variable, leaf._entry)
        return found[1]

    # ---- answers

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """Differentiate the sum of all elements of the targets with respect to the sources.

        Parameters
        ----------
        target : pytree of traced values
            Results of the block; their weighted sums are added up.
        sources : pytree of traced values or Variables
            Watched values or anything computed from them.
        output_gradients : pytree, optional
            Weights, of the structure and shapes of `target`; ones for ``None``. Needed for complex targets.
        unconnected_gradients : {"none", "zero", "raise"}
            What stands for a source on which no target depends, or that it is an error.

        Returns
        -------
        pytree
            Structure of `sources`; each leaf has the shape and dtype of its source, and memory of its own. For a
            complex source it is the direction of steepest ascent, the gradient under the real inner product.

        Raises
        ------
        TapeStateError
            If the tape is spent or was never entered.
        TargetError
            If a target or source is no traced value.
        SeedError
            If `output_gradients` do not fit the targets.
        UnconnectedError
            If ``unconnected_gradients="raise"`` and there is no path to a source; says where it may have been cut.
        """
        unconnected = check_unconnected(unconnected_gradients)
        self._require_answer("gradient")
        targets, seeds = self._targets(target, output_gradients)
        wanted = Leaves(sources, "sources")
        nodes = [self._source(x, p) for x, p in zip(wanted.values, wanted.paths, strict=True)]
        release = not self.persistent and unconnected != "raise"  # a question that is refused leaves the tape as it was

        def question() -> list[Any]:
            pulled = self._pull(targets, seeds, nodes, release=release)
            if unconnected == "raise":
                require_paths(pulled, [n is not CONSTANT for n in nodes], wanted.paths)
            return pulled

        return wanted.fill(self._finish(self._answer(question), wanted.values, unconnected == "zero"))

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        chunk_size: int | None = None,
        vectorize: bool = True,
        **options: Any,
    ) -> Any:
        """Differentiate every element of the targets with respect to every element of the sources.

        Parameters
        ----------
        target : pytree of traced values
            Real results of the block, of any shapes.
        sources : pytree of traced values or Variables
            As for `gradient`.
        unconnected_gradients : {"none", "zero", "raise"}
            What stands for a source on which a target does not depend, or that it is an error.
        chunk_size : int, optional
            How many elements of a target are pulled back at once; if not given, as many as `memory_budget` permits.
        vectorize : bool
            ``False`` pulls one element after another.
        **options
            ``memory_budget`` in bytes (256 MiB), ``progress=True`` for a bar; TensorFlow's ``parallel_iterations`` and
            ``experimental_use_pfor`` stand for `chunk_size` and `vectorize`.

        Returns
        -------
        pytree
            Structure of `target`, with in place of each leaf the structure of `sources`, whose leaves have the shape
            ``target.shape + source.shape`` and the source's dtype.

        Raises
        ------
        TapeStateError, TargetError
            As for `gradient`.
        SeedTypeError
            If a target is complex.

        Examples
        --------
        >>> import numpy as np
        >>> from tapeflow import GradientTape
        >>> with GradientTape() as tape:
        ...     x = tape.watch(np.array([1.0, 2.0]))
        ...     y = x**2
        >>> tape.jacobian(y, x)
        array([[2., 0.],
               [0., 4.]])
        """
        return self._blocks("jacobian", target, sources, unconnected_gradients, chunk_size, vectorize, options)

    def batch_jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        chunk_size: int | None = None,
        vectorize: bool = True,
        check: bool = False,
        **options: Any,
    ) -> Any:
        """Differentiate each element of a batch of targets with respect to the same element of the sources.

        Parameters
        ----------
        target, sources : pytree of traced values
            Arrays of at least two axes, of which the first goes over a batch whose elements do not depend on each
            other. If they do, the result is the sum over the batch; see `check`.
        unconnected_gradients, chunk_size, vectorize, **options
            As for `jacobian`.
        check : bool
            Whether to try one element, drawn at random, for dependence on others.

        Returns
        -------
        pytree
            As for `jacobian`, with leaves of the shape ``(batch, *target.shape[1:], *source.shape[1:])``.

        Raises
        ------
        StructureError
            If an array has less than two axes, or batches differ in length.
        IndependenceError
            If `check` finds an element that depends on another.

        Examples
        --------
        >>> import numpy as np
        >>> from tapeflow import GradientTape
        >>> with GradientTape() as tape:
        ...     x = tape.watch(np.array([[1.0, 2.0], [3.0, 4.0]]))
        ...     y = np.cumprod(x, axis=1)
        >>> tape.batch_jacobian(y, x, check=True)
        array([[[1., 0.],
                [2., 1.]],
        <BLANKLINE>
               [[1., 0.],
                [4., 3.]]])
        """
        options["check"] = check
        return self._blocks("batch_jacobian", target, sources, unconnected_gradients, chunk_size, vectorize, options)

    def hessian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        chunk_size: int | None = None,
        vectorize: bool = True,
        **options: Any,
    ) -> Any:
        """Differentiate a scalar twice, with respect to every pair of elements of the sources.

        Parameters
        ----------
        target : traced value
            A real scalar of the block.
        sources, unconnected_gradients, chunk_size, vectorize, **options
            As for `jacobian`.

        Returns
        -------
        pytree
            Structure of `sources`, with in place of each leaf the structure of `sources` again, whose leaves have the
            shape ``first.shape + second.shape``.

        Raises
        ------
        TapeStateError, TargetError, SeedTypeError
            As for `jacobian`.

        Notes
        -----
        The sweep for the gradient is recorded on the same list, and its results are pulled back; so no second tape is
        needed. `tapeflow.hessian` goes forward over reverse, which takes less time and memory.

        Examples
        --------
        >>> import numpy as np
        >>> from tapeflow import GradientTape
        >>> with GradientTape() as tape:
        ...     x = tape.watch(np.array([1.0, 2.0]))
        ...     y = x[0] ** 2 * x[1]
        >>> tape.hessian(y, x)
        array([[4., 2.],
               [2., 0.]])
        """
        return self._blocks("hessian", target, sources, unconnected_gradients, chunk_size, vectorize, options)

    def _blocks(
        self,
        what: str,
        target: Any,
        sources: Any,
        unconnected: str,
        chunk_size: int | None,
        vectorize: bool,
        options: dict[str, Any],
    ) -> Any:
        """Check a question for Jacobians, and answer it target by target."""
        unconnected = check_unconnected(unconnected)
        check = options.pop("check", False)
        chunks = blocks.chunks_of(what, chunk_size, vectorize, options)
        self._require_answer(what)
        leaves, target_spec, target_paths = pytree.flatten_with_paths(target, "target")
        targets = [self._target(y, p) for y, p in zip(leaves, target_paths, strict=True)]
        blocks.check_real(what, targets, target_paths)
        wanted = Leaves(sources, "sources")
        question = self.question(wanted.values, wanted.paths, unconnected, chunks)
        if what == "hessian":
            scalar = blocks.one_scalar(targets)
            rows = self._answer(lambda: question.hessian(scalar))
            return wanted.fill(wanted.fill(row) for row in rows)
        if what == "jacobian":
            rows = self._answer(lambda: [question.jacobian(y) for y in targets])
        else:
            question.check_batches(targets, target_paths)
            rows = self._answer(lambda: [question.batch_jacobian(y, p if check else None)
                                         for y, p in zip(targets, target_paths, strict=True)])  # fmt: skip
        return pytree.unflatten(target_spec, [wanted.fill(row) for row in rows])

    def question(self, leaves: list[Any], paths: list[Any], unconnected: str, chunks: Chunks) -> blocks.Question:
        """Prepare a question about Jacobians with respect to sources; for transforms, which check the targets."""
        nodes = [self._source(x, p) for x, p in zip(leaves, paths, strict=True)]
        return blocks.Question(self, leaves, paths, nodes, unconnected, chunks)

    @contextmanager
    def recording_again(self) -> Iterator[None]:
        """Record for a block, inside the tape's own block or after it: what `hessian` needs of its own sweep."""
        before = self.entered, self._paused
        self.entered, self._paused = True, 0
        self._tell()
        try:
            yield
        finally:
            self.entered, self._paused = before
            self._tell()

    def _require_answer(self, what: str) -> None:
        if not self._ever_entered:
            raise TapeStateError(f"{what}: this tape was never entered (with GradientTape() as tape: ...)")
        self._refuse_spent(f"asked for a {what}")
        if self._wengert.torn:
            raise TapeStateError(
                f"this tape cannot be asked for a {what}: its last sweep was interrupted when part of the recording had "
                "been released. Record again, or use GradientTape(persistent=True), which releases nothing"
            )

    def _answer(self, question: Callable[[], Any]) -> Any:
        """A plain tape stops recording, and is spent once the answer is there; after a failure it is as it was."""
        if self.persistent:
            return question()
        inside = self.entered
        if inside:
            self._pause(1)
        try:
            answer = question()
        except BaseException:
            if inside:
                self._pause(-1)
            raise
        self._spent = True
        self._answered = CallSite(sys._getframe(2))
        self._leave()
        self._wengert.remove(self.token, self._since)
        return answer

    def _targets(self, target: Any, output_gradients: Any) -> tuple[list[Any], list[Any]]:
        leaves, spec, paths = pytree.flatten_with_paths(target, "target")
        leaves = [self._target(y, p) for y, p in zip(leaves, paths, strict=True)]
        if output_gradients is None:
            seeds = [None] * len(leaves)
        else:
            seeds, seed_spec = pytree.flatten(output_gradients)
            if seed_spec != spec and len(seeds) != len(leaves):
                raise SeedError(f"{len(leaves)} target(s), but {len(seeds)} output_gradients")
            if seed_spec != spec:
                raise SeedError(f"not the structure of target: {pytree.mismatch(spec, seed_spec, 'output_gradients')}")
        return leaves, [seed_for(s, y, p) for s, y, p in zip(seeds, leaves, paths, strict=True)]

    def _target(self, value: Any, path: object) -> Any:
        if isinstance(value, Variable):
            return handle(value._value, self._wengert, self._variable_entry(value))
        if not isinstance(value, Tracer):
            raise TargetError(
                f"{path} is a plain {type(value).__name__}, which no tape knows: it was not computed from watched values "
                "(x = tape.watch(x) returns what to compute with), or it was computed outside the block, or the path was "
                "cut, by a comparison or x.numpy()"
            )
        if value.dtype.kind not in "fc":
            raise TargetError(f"{path} has dtype {value.dtype}, which has no derivative")
        return value

    def _source(self, value: Any, path: object) -> Entry:
        """The entry of a source, `CONSTANT` if this tape does not follow it."""
        if isinstance(value, Variable):
            found = self._variables.get(id(value))
            return CONSTANT if found is None else found[1]
        if not isinstance(value, Tracer):
            raise TargetError(
                f"{path} is a plain {type(value).__name__}, which the tape never watched; watch it first and compute with "
                "what that returns: x = tape.watch(x)"
            )
        level = self._wengert.level
        while isinstance(value, Tracer) and value._level > level:
            value = value._value
        if not isinstance(value, Recorded) or value._list is not self._wengert:
            return CONSTANT
        family = family_of(value)
        # A watched value that was written to still stands for what was watched.
        entry = family.watched if family and family.watched else value._entry
        return entry if self.token in entry[1] else CONSTANT

    # ---- from questions to sweeps

    def _pull(self, targets: list[Any], seeds: list[Any], nodes: list[Entry], *, release: bool) -> list[Any]:
        """Adjoints of source entries, ``None`` for zero; targets may be values of levels further in."""
        level = self._wengert.level
        inner = max((y for y in targets if y._level > level), key=lambda y: y._level, default=None)
        if inner is None:
            return self._sweep(targets, seeds, nodes, release)
        if isinstance(inner, Dual):
            return self._pull_dual(inner, targets, seeds, nodes)
        if inner._live:
            raise TapeStateError(
                "this tape is asked for a gradient inside the block of another one that it does not share its "
                "recording with, and which would miss it; ask after that block, or nest the tapes directly"
            )
        outer = [y._value if y is inner else y for y in targets]
        return [g if g is None else inner._lift(g) for g in self._pull(outer, seeds, nodes, release=release)]

    def _pull_dual(self, inner: Dual, targets: list[Any], seeds: list[Any], nodes: list[Entry]) -> list[Any]:
        """Pull dual targets back component by component: differentiation commutes with taking the tangent."""
        accumulator = inner._accumulator
        parts = [split(y, accumulator) for y in targets]
        seed_split = [split(s, accumulator) for s in seeds]
        primal = self._pull([y for y, _ in parts], [s for s, _ in seed_split], nodes, release=False)
        rest = [(dy, s) for (_, dy), (s, _) in zip(parts, seed_split, strict=True) if dy is not None]
        rest = [(dy, s) for dy, s in rest if isinstance(dy, Tracer)]
        rest += [(y, ds) for (y, _), (_, ds) in zip(parts, seed_split, strict=True) if ds is not None]
        tangent: list[Any] = [None] * len(nodes)
        if rest:
            tangent = self._pull([y for y, _ in rest], [s for _, s in rest], nodes, release=False)
        return [joined(p, t, accumulator) for p, t in zip(primal, tangent, strict=True)]

    def _sweep(self, targets: list[Any], seeds: list[Any], nodes: list[Entry], release: bool) -> list[Any]:
        wengert = self._wengert
        xp = ((targets and backend_for(plain(targets[0]))) or NUMPY).xp
        adjoints: dict[int, Any] = {}
        for y, seed in zip(targets, seeds, strict=True):
            if isinstance(y, Recorded) and y._list is wengert and self.token in y._entry[1]:
                k = y._entry[0]
                g = xp.ones(y.shape, y.dtype) if seed is None else conjugate(seed)
                adjoints[k] = adjoints[k] + g if k in adjoints else g
        sources = {n[0]: n for n in nodes if n is not CONSTANT}
        if not adjoints or not sources:
            return [None] * len(nodes)
        given = dict(adjoints)
        with wengert.lock:
            if self._takes_all(wengert, sources) and not any(isinstance(g, Tracer) for g in given.values()):
                release = release and not wengert.selective and errors_are_quiet()
                sweep_all(wengert, adjoints, xp, release=release)
            else:
                sweep(wengert, adjoints, set(sources), self.token, xp)
            if wengert.selective and any(has_nan(adjoints.get(k)) for k in sources):
                adjoints = dict(given)
                sweep(wengert, adjoints, set(sources), self.token, xp, wary=True)
        return own([adjoints.get(n[0]) for n in nodes], map(id, given.values()))

    def _takes_all(self, wengert: WengertList, sources: dict[int, Entry]) -> bool:
        """Whether the tight sweep applies: this tape alone, plain values, and exactly the leaves as sources."""
        return (
            wengert.live is None
            and not wengert.special
            and wengert.leaves == len(sources)
            and all(len(n) == 2 for n in sources.values())
            and len(wengert.members) == 1
        )

    def _finish(self, pulled: list[Any], leaves: list[Any], zero: bool) -> list[Any]:
        return [self._finished(g, x, zero) for g, x in zip(pulled, leaves, strict=True)]

    def _finished(self, g: Any, source: Any, zero: bool) -> Any:
        if g is None and zero:
            g = (backend_for(plain(source)) or NUMPY).xp.zeros(source.shape, source.dtype)[()]
        if g is None:
            return None
        g = conjugate(g)
        others = self._wengert.members.keys() - {self.token}
        return lifted_like(g, source, self._wengert.level, others)
