"""ForwardAccumulator: what users open to carry tangents along with a computation."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.batch import Batch
from tapeflow.core.batch import batched as as_batched
from tapeflow.core.forward import Dual, dual
from tapeflow.core.primitive import Traced, next_level
from tapeflow.core.tracer import Tracer
from tapeflow.errors import SeedError, StructureError, TapeStateError, TargetError, UnconnectedError
from tapeflow.recorders.checks import check_unconnected, differentiable, fit_seed, no_copy
from tapeflow.recorders.chunks import row_values
from tapeflow.recorders.variable import Variable

__all__ = ["ForwardAccumulator"]


class ForwardAccumulator:
    """Carry tangents along with a computation: Jacobian-vector products in one pass, without a tape.

    Parameters
    ----------
    primals : pytree of array or Variable
        Where the derivative is taken: real or complex floating-point arrays of any shape.
    tangents : pytree of array
        The direction: same structure and shapes; ``None`` for a leaf stands for zero.
    batched : bool
        Whether each tangent is a batch of directions, with one axis more in front. Then what `jvp` returns has that axis
        too; the primal values are computed once.

    Attributes
    ----------
    primals : pytree
        The traced twins of the arguments, to compute with. A `Variable` stays as it is and is traced when read.

    Raises
    ------
    NotDifferentiableError
        If a primal is not a floating-point array.
    SeedError, StructureError
        If tangents do not fit the primals.

    Notes
    -----
    The tangent of an elementary operation is its Jacobian times the tangents of its operands (Baydin et al.,
    arXiv 1502.05767, section 3.1). Accumulators and tapes nest in any order; each sees the arithmetic of those entered
    after it.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import ForwardAccumulator
    >>> with ForwardAccumulator(np.array([1.0, 2.0]), np.array([1.0, 0.0])) as acc:
    ...     y = acc.primals**2
    >>> acc.jvp(y)
    array([2., 0.])
    >>> with ForwardAccumulator(np.array([1.0, 2.0]), np.eye(2), batched=True) as acc:
    ...     y = acc.primals**2
    >>> acc.jvp(y)
    array([[2., 0.],
           [0., 4.]])
    """

    def __init__(self, primals: Any, tangents: Any, *, batched: bool | Batch = False) -> None:
        leaves, spec, paths = pytree.flatten_with_paths(primals, "primals")
        tangent_leaves, tangent_spec = pytree.flatten(tangents)
        if tangent_spec != spec:
            how = pytree.mismatch(spec, tangent_spec, "tangents")
            raise StructureError(f"primals and tangents differ in structure: {how}")
        # Further out than the accumulator, so that primal values stay free of it.
        self._batch = batched if isinstance(batched, Batch) else _batch_of(tangent_leaves, paths) if batched else None
        self.level = next_level()
        self.entered = False
        self._variables: dict[int, tuple[Variable, Any]] = {}
        seen: dict[int, pytree.Path] = {}
        twins = []
        for primal, tangent, path in zip(leaves, tangent_leaves, paths, strict=True):
            if id(primal) in seen and isinstance(primal, Traced):
                raise StructureError(f"the same value is listed twice: {seen[id(primal)]} and {path}")
            seen[id(primal)] = path
            twins.append(self._twin(primal, tangent, path))
        self.primals = pytree.unflatten(spec, twins)

    def _twin(self, primal: Any, tangent: Any, path: pytree.Path) -> Any:
        if isinstance(primal, Variable):
            value = differentiable(primal._value, path)
            self._variables[id(primal)] = (primal, self._fitted(tangent, value, path))
            return primal
        value = differentiable(primal, path)
        return dual(value, self._fitted(tangent, value, path), self)

    def _fitted(self, tangent: Any, value: Any, path: pytree.Path) -> Any:
        """A tangent checked against its primal, as a value of the batch if there is one."""
        if self._batch is None or tangent is None:
            return fit_seed(tangent, value, path.renamed("tangents"))
        rows = self._batch.size
        return as_batched(fit_seed(tangent, value, path.renamed("tangents"), rows), self._batch)

    def __enter__(self) -> Self:
        if self.entered:
            raise TapeStateError("this accumulator is active already; open another one to nest")
        self.entered = True
        self._place = stack.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False
        stack.leave(self, self._place)

    def read(self, variable: Variable, value: Any) -> Any:
        """Return the value of a variable as this accumulator sees it."""
        found = self._variables.get(id(variable))
        return value if found is None or found[1] is None else dual(value, found[1], self)

    def jvp(self, target: Any, unconnected_gradients: str = "none") -> Any:
        """Return the tangent of results: the Jacobian of `target` times the tangents given.

        Parameters
        ----------
        target : pytree of traced values
            What was computed from ``self.primals`` inside the block.
        unconnected_gradients : {"none", "zero", "raise"}
            What stands for a value that does not depend on the primals, or that it is an error.

        Returns
        -------
        pytree
            Structure, shapes and dtypes of `target`.

        Raises
        ------
        TargetError
            If a leaf is no array.

        Examples
        --------
        >>> import numpy as np
        >>> from tapeflow import ForwardAccumulator
        >>> with ForwardAccumulator(np.float64(3.0), np.float64(1.0)) as acc:
        ...     y = {"square": acc.primals**2}
        >>> acc.jvp(y)
        {'square': np.float64(6.0)}
        """
        unconnected = check_unconnected(unconnected_gradients)
        leaves, spec, paths = pytree.flatten_with_paths(target, "target")
        return pytree.unflatten(spec, [self._tangent(x, p, unconnected) for x, p in zip(leaves, paths, strict=True)])

    def _tangent(self, target: Any, path: object, unconnected: str) -> Any:
        if isinstance(target, Variable):
            found = self._variables.get(id(target))
            target = dual(target._value, found[1] if found else None, self)
        if isinstance(target, Tracer) and target._level > self.level:
            return _lifted(target, self._tangent(target._value, path, unconnected))
        if type(target) is Dual and target._accumulator is self and target._tangent is not None:
            tangent = target._tangent if self._batch is None else row_values(target._tangent, self._batch)
            return tangent if isinstance(tangent, Traced) else np.array(tangent)[()]
        if not isinstance(target, Tracer) and backend_for(target) is None:
            raise TargetError(f"{path} is a {type(target).__name__}, not an array")
        if unconnected == "raise":
            raise UnconnectedError(
                f"{path} does not depend on the primals of this accumulator, or not by its operations"
            )
        rows = () if self._batch is None else (self._batch.size,)
        return np.zeros((*rows, *target.shape), target.dtype)[()] if unconnected == "zero" else None

    __copy__ = __deepcopy__ = __reduce_ex__ = no_copy


def _batch_of(tangents: list[Any], paths: list[pytree.Path]) -> Batch:
    """The batch of directions, all of one number."""
    given = [(np.shape(t), str(p.renamed("tangents"))) for t, p in zip(tangents, paths, strict=True) if t is not None]
    for shape, path in given:
        if not shape or shape[0] != given[0][0][0]:
            raise SeedError(f"batched=True: {path} has shape {shape}; expected one axis more, as long in all")
    if not given:
        raise SeedError("batched=True: there is no tangent that could say how many directions there are")
    return Batch(given[0][0][0], quiet=True)


def _lifted(like: Tracer, value: Any) -> Any:
    return None if value is None else like._lift(value)
