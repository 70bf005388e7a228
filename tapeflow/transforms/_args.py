"""What all transforms need of their arguments: which to differentiate, what they may hold, and what results must be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from operator import index
from typing import Any, Concatenate, ParamSpec, Protocol

from optree import PyTreeAccessor

from tapeflow.backends import backend_for
from tapeflow.core.primitive import Traced
from tapeflow.errors import NotDifferentiableError, StructureError, TargetError, name_of
from tapeflow.recorders import GradientTape
from tapeflow.recorders.checks import differentiable
from tapeflow.transforms._leaves import Partition, Place
from tapeflow.transforms._results import watch

__all__ = ["Chosen", "decorator", "is_value", "scalar_output", "split_aux"]

P = ParamSpec("P")


class Transform(Protocol[P]):
    """A transform that may be called without its function, as a decorator with options."""

    def __call__(self, fun: Callable[..., Any] | None = None, *args: P.args, **kwargs: P.kwargs) -> Callable[..., Any]:
        """Transform a function, or return a decorator that does."""


def decorator(transform: Callable[Concatenate[Callable[..., Any], P], Callable[..., Any]]) -> Transform[P]:
    """Let ``transform(fun, ...)`` be written without `fun`, as in ``@transform(argnums=1)``."""
    name = transform.__name__

    @wraps(transform)
    def either(fun: Callable[..., Any] | None = None, *args: P.args, **kwargs: P.kwargs) -> Callable[..., Any]:
        if callable(fun):
            return transform(fun, *args, **kwargs)
        if fun is not None:
            raise TypeError(
                f"{name}: expected a function, got {type(fun).__name__}; a decorator with options is @{name}(option=value)"
            )

        def decorate(fun: Callable[..., Any]) -> Callable[..., Any]:
            return either(fun, *args, **kwargs)

        return decorate

    signature = inspect.signature(transform)
    first, *rest = signature.parameters.values()
    either.__signature__ = signature.replace(parameters=[first.replace(default=None), *rest])  # type: ignore[attr-defined]
    return either


class Chosen:
    """The arguments of a call that a transform differentiates, flat, and how to call with others in their place.

    Attributes
    ----------
    leaves : list
        What can be differentiated, in order: arrays, traced values, Python numbers. Whether a dtype has a
        derivative is checked by who takes them (a tape, an accumulator); `refuse` then raises the error that names it.
    """

    __slots__ = ("argnums", "args", "fun", "leaves", "partition", "positions", "single")

    def __init__(self, fun: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        self.fun, self.args, self.argnums = fun, args, argnums
        self.single = isinstance(argnums, int) or (hasattr(argnums, "__index__") and not getattr(argnums, "shape", ()))
        if self.single:
            self.positions: tuple[int, ...] = (_position(index(argnums), args),)  # type: ignore[arg-type]
            tree = args[self.positions[0]]
        else:
            self.positions = _positions(argnums, args)  # type: ignore[arg-type]
            tree = tuple([args[k] for k in self.positions])
        self.partition = Partition(tree, _Namer(fun, self.positions, self.single))
        self.leaves = self.partition.leaves
        if not self.leaves and self.partition.statics:
            self._refuse_all()

    @property
    def places(self) -> list[Place]:
        """Where each leaf stands; as a string an expression such as ``params['w'][0]``, by the parameters of `fun`."""
        return [self.partition.place(k) for k in range(len(self.leaves))]

    def fill(self, new: Iterable[Any]) -> Any:
        """Return the chosen argument (a tuple of several) with other leaves; what is static stays in its place."""
        return self.partition.fill(new)

    def call(self, new: Iterable[Any], kwargs: dict[str, Any]) -> Any:
        """Call the function with other leaves in the chosen arguments."""
        filled = self.partition.fill(new)
        if self.single and len(self.args) == 1:
            return self.fun(filled, **kwargs)
        args = list(self.args)
        for k, value in zip(self.positions, (filled,) if self.single else filled, strict=True):
            args[k] = value
        return self.fun(*args, **kwargs)

    def watch(self, tape: GradientTape) -> list[Any]:
        """Watch the leaves, and return their traced twins."""
        try:
            return watch(tape, self.leaves)
        except NotDifferentiableError:
            self.refuse()
            raise

    def refuse(self) -> None:
        """Raise the error for the first leaf that has no derivative, by its place in the arguments."""
        for leaf, place in zip(self.leaves, self.places, strict=True):
            differentiable(leaf, place)

    def _refuse_all(self) -> None:
        first = type(self.partition.statics[0]).__name__
        where = self.partition.name(self.partition.spec.accessors()[0])
        raise NotDifferentiableError(
            f"{where} is of type {first}, and nothing in the arguments to differentiate (argnums={self.argnums}) is an "
            "array (or scalar) of floats"
        )


class _Namer:
    """Names a leaf by the parameters of the function; apart from `Chosen`, which it must not keep alive in a cycle."""

    __slots__ = ("fun", "positions", "single")

    def __init__(self, fun: Callable[..., Any], positions: tuple[int, ...], single: bool) -> None:
        self.fun, self.positions, self.single = fun, positions, single

    def __call__(self, accessor: PyTreeAccessor) -> str:
        if self.single:
            return accessor.codify(_parameter(self.fun, self.positions[0]))
        return accessor[1:].codify(_parameter(self.fun, self.positions[accessor[0].entry]))


def _positions(argnums: Sequence[int], args: tuple[Any, ...]) -> tuple[int, ...]:
    try:
        given = [index(k) for k in argnums]
    except TypeError:
        raise StructureError(f"argnums={argnums!r}: expected an integer or a sequence of integers") from None
    positions = tuple([_position(k, args) for k in given])
    if len(set(positions)) < len(positions):
        raise StructureError(f"argnums={tuple(given)} names an argument twice (of {len(args)} positional arguments)")
    return positions


def _position(k: int, args: tuple[Any, ...]) -> int:
    if not -len(args) <= k < len(args):
        raise StructureError(
            f"argnums={k}, but the function was called with {len(args)} positional argument(s); arguments to "
            "differentiate must be given by position"
        )
    return k % len(args)


def _parameter(fun: Callable[..., Any], position: int) -> str:
    """The name of a positional parameter, for messages."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):  # written in C
        return f"args[{position}]"
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if position < len(positional):
        return positional[position].name
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    return f"args[{position}]" if rest is None else f"{rest}[{position - len(positional)}]"


def is_value(x: Any) -> bool:
    """Say whether something is an array or a traced value."""
    return isinstance(x, Traced) or backend_for(x) is not None


def split_aux(fun: Callable[..., Any], out: Any, has_aux: bool) -> tuple[Any, Any]:
    """Return the value and the auxiliary output of a function.

    Raises
    ------
    StructureError
        If there should be auxiliary output, and the result is no pair.
    """
    if not has_aux:
        return out, None
    if not isinstance(out, tuple) or len(out) != 2:
        what = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
        raise StructureError(f"has_aux=True: {name_of(fun)} must return a pair (value, aux), not {what}")
    return out


def scalar_output(function: Callable[..., Any], out: Any, name: str, holomorphic: bool = False) -> None:
    """Check that the result of a function is a real scalar, or a complex one if it shall be holomorphic.

    Raises
    ------
    TargetError
        If it is not; says the way out.
    """
    what = name_of(function)
    if not is_value(out) and not isinstance(out, (int, float, complex)):
        raise TargetError(f"{name}: {what} returned a {type(out).__name__}; expected a scalar array (or has_aux=True)")
    shape = getattr(out, "shape", ())
    if shape != ():
        raise TargetError(
            f"{name}: {what} returned an array of shape {shape}; a gradient needs a scalar. Reduce it with np.sum, or "
            "use jacobian, or vjp with a cotangent"
        )
    is_complex = isinstance(out, complex) or (is_value(out) and out.dtype.kind == "c")
    if is_complex and not holomorphic:
        raise TargetError(
            f"{name}: {what} returned a complex scalar; take np.real or np.abs, or use vjp with a cotangent, or "
            "holomorphic=True if it is a holomorphic function of complex arguments"
        )
    if holomorphic and not is_complex:
        raise TargetError(
            f"{name}: {what} returned a real scalar, but holomorphic=True needs a complex one; leave holomorphic=True out"
        )
