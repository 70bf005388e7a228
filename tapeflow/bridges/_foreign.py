"""Functions of another toolkit as primitives, whose derivatives are functions of that toolkit again.

A `Foreign` takes and returns flat arrays. Its reverse rule calls another `Foreign`, of the operands and the cotangents, and
its forward rule one of the operands and the tangents; so there are derivatives of every order, in any mix of modes. One
is made for each call of a function, and remembers what its reverse rule can use again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import Primitive, Rule, bind
from tapeflow.core.tracer import Tracer
from tapeflow.core.wengert import Recorded
from tapeflow.errors import NotDifferentiableError, TargetError
from tapeflow.recorders import Variable
from tapeflow.transforms.custom.checks import meta
from tapeflow.transforms.custom.graft import Once

__all__ = ["Foreign", "Toolkit", "called"]

# Takes and returns tuples of the toolkit's own arrays.
Function = Callable[..., tuple[Any, ...]]


class Toolkit(Protocol):
    """What `Foreign` needs of a toolkit.

    Cotangents are those of the pairing ``Re(sum(g * t))``, in which adjoints travel inside a sweep. `inside` and
    `outside` are the positions of operands and results that are floating-point arrays.
    """

    name: str

    def array(self, x: Any) -> Any:
        """Make an array of the toolkit, which shares no memory with `x`."""

    def is_array(self, x: Any) -> bool:
        """Whether something is an array of the toolkit."""

    def is_followed(self, x: Any) -> bool:
        """Whether the toolkit itself would differentiate with respect to something."""

    def plain(self, x: Any) -> Any:
        """Make an array of NumPy, which shares no memory with `x`."""

    def evaluate(self, f: Function, xs: list[Any]) -> tuple[Any, ...]:
        """Call a function, without derivatives."""

    def linearize(self, f: Function, xs: list[Any], inside: Sequence[int]) -> tuple[Any, Function]:
        """Call a function; the other result takes cotangents of its floating-point results to those of the operands."""

    def vjp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        """The function of `count` operands and the cotangents that returns the cotangents of the operands."""

    def jvp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        """The function of `count` operands and the tangents that returns the tangents of the results."""

    def vmap(self, f: Function, batched: Sequence[bool], fresh: bool) -> Function:
        """The function of whole batches; with `fresh` random numbers for each element, or the same for all."""

    def replayed(self, f: Function) -> Function:
        """The function with the random numbers that it would get now, whenever it is called."""


class Foreign(Primitive):
    """A function of flat arrays in another toolkit; see the module.

    The first `own` operands are those of the user's function; others, cotangents and tangents, are linear.
    """

    def __init__(self, toolkit: Toolkit, function: Function, name: str, own: int) -> None:
        super().__init__(
            name,
            self._evaluate,
            vjps=(Rule(self._pull, ("i", "xs", "y")),),
            variadic=True,
            refuses=True,
            push=self._push,
            batch=self._map,
        )
        self.toolkit = toolkit
        self.own = own
        self.function = function
        self._again: Function | None = None
        self._recorded = False
        self._held: list[tuple[Any, ...]] = []  # what each evaluation left for the reverse rule
        self._once = Once()

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Evaluate, through the innermost level among the operands."""
        if self._again is None:
            self._again = self.toolkit.replayed(self.function)
            self._recorded = any(map(_recorded, operands))
        return bind(self, operands, params)

    def _evaluate(self, *xs: Any) -> Any:
        arrays = [self.toolkit.array(x) for x in xs]
        try:
            if self._recorded:
                ys, pull = self.toolkit.linearize(self.function, arrays, _floats(xs))
                self._held.append((pull,))
            else:
                ys = self.toolkit.evaluate(self.function, arrays)
        except Exception as error:
            error.add_note(f"in {self.name}, code of {self.toolkit.name} that tapeflow called")
            raise
        out = tuple([self.toolkit.plain(y) for y in ys])
        return out[0] if len(out) == 1 else out

    # ---- the rules

    def _pull(self, xp: Any, g: Any, i: int, xs: Any, y: Any, *, level: int) -> Any:
        return self._once((g, level), i, lambda: self._shares(g, xs, y))

    def _shares(self, g: Any, xs: Sequence[Any], y: Any) -> list[Any]:
        ys, inside = _listed(y), _floats(xs)
        outside = _floats(ys)
        given = _listed(g)
        gs = [np.zeros(*meta(ys[k])) if given[k] is None else given[k] for k in outside]
        if len(self._held) == 1 and not any(isinstance(v, Tracer) for v in (*xs, *gs)):
            found: Any = self._called(self._held[0][0], gs)
        else:
            assert self._again is not None
            derived = self.toolkit.vjp(self._again, len(xs), inside, outside)
            found = _listed(Foreign(self.toolkit, derived, f"the VJP of {self.name}", self.own)(*xs, *gs))
        shares = dict(zip(inside, found, strict=True))
        return [shares.get(k) for k in range(len(xs))]

    def _called(self, pull: Function, gs: list[Any]) -> list[Any]:
        return [self.toolkit.plain(c) for c in pull(*map(self.toolkit.array, gs))]

    def _push(self, primals: list[Any], tangents: list[Any], out: Any, params: dict[str, Any]) -> Any:
        ys, inside = _listed(out), _floats(primals)
        outside = _floats(ys)
        if not outside or all(t is None for t in tangents):
            return None
        ts = [np.zeros(*meta(primals[k])) if tangents[k] is None else tangents[k] for k in inside]
        assert self._again is not None
        derived = self.toolkit.jvp(self._again, len(primals), inside, outside)
        found = _listed(Foreign(self.toolkit, derived, f"the JVP of {self.name}", self.own)(*primals, *ts))
        shares = dict(zip(outside, found, strict=True))
        return tuple(shares.get(k) for k in range(len(ys))) if isinstance(out, tuple) else found[0]

    def _map(self, primitive: Any, values: Sequence[Any], batched: Sequence[bool], params: Any) -> Any:
        mapped = self.toolkit.vmap(self.function, batched, any(batched[: self.own]))
        return Foreign(self.toolkit, mapped, f"a batch of {self.name}", self.own)(*values)


def _listed(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple) else [y]


def _floats(values: Sequence[Any]) -> list[int]:
    return [k for k, x in enumerate(values) if x.dtype.kind in "fc"]


def _recorded(value: Any) -> bool:
    while isinstance(value, Tracer):
        if isinstance(value, Recorded) and value._live:
            return True
        value = value._value
    return False


def called(toolkit: Toolkit, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function of trees of the toolkit's arrays with trees of arrays and traced values.

    Raises
    ------
    NotDifferentiableError
        If the toolkit itself follows an argument: its derivative would be lost.
    TargetError
        If derivatives are wanted, and a result is a number or an array of NumPy: then the toolkit lost sight of it.
    """
    leaves, spec = pytree.flatten((args, kwargs))
    leaves = [x.read() if isinstance(x, Variable) else x for x in leaves]
    if any(map(toolkit.is_followed, leaves)):
        raise NotDifferentiableError(
            f"{name} is called through tapeflow, but an argument is one that {toolkit.name} differentiates, which would "
            f"lose its derivative. Call the function of {toolkit.name} itself, or pass an array of NumPy"
        )
    places = [k for k, x in enumerate(leaves) if isinstance(x, Tracer)]
    filled = [x if isinstance(x, Tracer) or backend_for(x) is None else toolkit.array(x) for x in leaves]
    shape: list[Any] = []  # structure of the result, what is static in it, and where the arrays are

    def flat(*arrays: Any) -> tuple[Any, ...]:
        own = list(filled)
        for k, x in zip(places, arrays, strict=True):
            own[k] = x
        args, kwargs = pytree.unflatten(spec, own)
        outs, out_spec = pytree.flatten(function(*args, **kwargs))
        found = [k for k, y in enumerate(outs) if toolkit.is_array(y)]
        if places:
            _require_arrays(toolkit, outs, name)
        shape[:] = out_spec, outs, found
        return tuple([outs[k] for k in found])

    operands = [leaves[k] for k in places]
    results = _listed(Foreign(toolkit, flat, name, len(operands))(*operands))
    out_spec, outs, found = shape
    outs = list(outs)
    for k, y in zip(found, results, strict=True):
        outs[k] = y
    return pytree.unflatten(out_spec, outs)


def _require_arrays(toolkit: Toolkit, outs: list[Any], name: str) -> None:
    for y in outs:
        if isinstance(y, (float, complex, np.ndarray, np.generic)) and not toolkit.is_array(y):
            raise TargetError(
                f"{name} returned a {type(y).__name__}, of which {toolkit.name} knows no derivative; return an array of "
                f"{toolkit.name}"
            )
