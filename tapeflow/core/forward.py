"""Forward mode: dual numbers, and the accumulator to which they belong."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.checks import (
    check_unconnected,
    differentiable,
    fit_seed,
    no_copy,
    unknown_arguments,
)
from tapeflow.core.primitive import Primitive, Traced, next_level
from tapeflow.core.tracer import Tracer, missing
from tapeflow.core.variable import Variable
from tapeflow.core.wengert import is_inexact, keep
from tapeflow.errors import StructureError, TapeStateError, TargetError

__all__ = ["PUSHERS", "Dual", "ForwardAccumulator", "dual", "push_forward"]

# Fast ways to push ufuncs forward, entered by core/rules.py.
PUSHERS: dict[Any, Callable[..., Any]] = {}


class Dual(Tracer):
    """A primal value with its tangent; a tangent of ``None`` is zero."""

    __slots__ = ("__weakref__", "_accumulator", "_tangent", "_value")

    _accumulator: ForwardAccumulator
    _tangent: Any

    @property
    def _level(self) -> int:
        return self._accumulator.level

    @property
    def _live(self) -> bool:
        return self._accumulator.entered and self._tangent is not None

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return push_forward(self._accumulator, primitive, args, params)

    def _lift(self, value: Any) -> Any:
        return dual(value, None, self._accumulator)

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        if self._live:
            raise missing(function)
        return unknown_arguments(function, args, kwargs, lambda x: x._value if isinstance(x, Dual) else x)

    def _state(self) -> str:
        return "accumulating" if self._accumulator.entered else "accumulator closed"

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Push a ufunc forward."""
        if not kwargs and method == "__call__":
            push = PUSHERS.get(ufunc)
            if push is not None:
                return push(*inputs)
        return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)


_new = object.__new__


def dual(primal: Any, tangent: Any, accumulator: ForwardAccumulator) -> Dual:
    """Make a dual number."""
    new: Dual = _new(Dual)
    new._value = primal
    new._tangent = tangent
    new._accumulator = accumulator
    return new


def push_forward(
    accumulator: ForwardAccumulator, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]
) -> Any:
    """Evaluate a primitive on the primals, and its derivative on the tangents."""
    primals: list[Any] = []
    tangents: list[Any] = []
    for a in args:
        mine = type(a) is Dual and a._accumulator is accumulator
        primals.append(a._value if mine else np.asarray(a) if type(a) is list else a)
        tangents.append(a._tangent if mine else None)
    out = primitive(*primals, **params)
    if not accumulator.entered or (primitive.reason is not None and not primitive.jvps):
        return out
    if primitive.linear:
        return _wrap(accumulator, out, _push_linear(primitive, primals, tangents, params))
    total: Any = None
    for i, t in enumerate(tangents):
        if t is not None:
            c = _contribution(primitive, i, t, primals, out, params)
            total = c if total is None else _add(total, c)
    return _wrap(accumulator, out, total)


def _push_linear(primitive: Primitive, primals: list[Any], tangents: list[Any], params: dict[str, Any]) -> Any:
    """All operands at once: one by one, joining n arrays would take n**2."""
    if all(t is None for t in tangents):
        return None
    zeros = (np.zeros_like(x) if t is None else t for x, t in zip(primals, tangents, strict=True))
    return primitive(*zeros, **params)


def _contribution(primitive: Primitive, i: int, t: Any, primals: list[Any], out: Any, params: dict[str, Any]) -> Any:
    rule = primitive.jvps[0 if primitive.variadic else i]
    if rule is None:
        raise TypeError(f"{primitive.name} has no derivative with respect to operand {i}")
    try:
        return rule.function(np, t, *keep(rule, i, primals, out), **params)
    except Exception as error:
        error.add_note(f"in the forward rule of {primitive.name}, operand {i} of shape {np.shape(primals[i])}")
        raise


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(_add(x, y) for x, y in zip(a, b, strict=True))
    return b if a is None else a if b is None else a + b


def _wrap(accumulator: ForwardAccumulator, out: Any, tangent: Any) -> Any:
    if isinstance(out, tuple):
        tangents = [None] * len(out) if tangent is None else tangent
        return tuple(_wrap(accumulator, y, t) for y, t in zip(out, tangents, strict=True))
    if not is_inexact(out):
        return out
    return dual(out, None if tangent is None else fit_tangent(tangent, out), accumulator)


def fit_tangent(tangent: Any, primal: Any) -> Any:
    """Bring a tangent to the shape and dtype of its primal (an operand may have been broadcast or converted)."""
    if tangent.shape != primal.shape:
        tangent = np.broadcast_to(tangent, primal.shape)
    if tangent.dtype != primal.dtype:
        tangent = tangent.astype(primal.dtype)
    return tangent


class ForwardAccumulator:
    """Carry tangents along with a computation: Jacobian-vector products in one pass, without a tape.

    Parameters
    ----------
    primals : pytree of array or Variable
        Where the derivative is taken: real or complex floating-point arrays of any shape.
    tangents : pytree of array
        The direction: same structure and shapes; ``None`` for a leaf stands for zero.

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
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        leaves, spec, paths = pytree.flatten_with_paths(primals, "primals")
        tangent_leaves, tangent_spec = pytree.flatten(tangents)
        if tangent_spec != spec:
            raise StructureError(f"primals and tangents differ in structure: {spec} and {tangent_spec}")
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
            self._variables[id(primal)] = (primal, fit_seed(tangent, value, path.renamed("tangents")))
            return primal
        value = differentiable(primal, path)
        return dual(value, fit_seed(tangent, value, path.renamed("tangents")), self)

    def __enter__(self) -> Self:
        if self.entered:
            raise TapeStateError("this accumulator is active already; open another one to nest")
        self.entered = True
        stack.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False
        stack.leave(self)

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
        unconnected_gradients : {"none", "zero"}
            What stands for a value that does not depend on the primals.

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
        zero = check_unconnected(unconnected_gradients)
        leaves, spec, paths = pytree.flatten_with_paths(target, "target")
        return pytree.unflatten(spec, [self._tangent(x, p, zero) for x, p in zip(leaves, paths, strict=True)])

    def _tangent(self, target: Any, path: object, zero: bool) -> Any:
        if isinstance(target, Variable):
            found = self._variables.get(id(target))
            target = dual(target._value, found[1] if found else None, self)
        if isinstance(target, Tracer) and target._level > self.level:
            return _lifted(target, self._tangent(target._value, path, zero))
        if type(target) is Dual and target._accumulator is self and target._tangent is not None:
            tangent = target._tangent
            return tangent if isinstance(tangent, Traced) else np.array(tangent)[()]
        if not isinstance(target, Tracer) and backend_for(target) is None:
            raise TargetError(f"{path} is a {type(target).__name__}, not an array")
        return np.zeros(target.shape, target.dtype)[()] if zero else None

    __copy__ = __deepcopy__ = __reduce_ex__ = no_copy


def _lifted(like: Tracer, value: Any) -> Any:
    return None if value is None else like._lift(value)
