"""What calls of functions with custom rules have in common: their arguments, what they capture, the variables they read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.batch import Batched
from tapeflow.core.forward import Dual
from tapeflow.core.tracer import Tracer
from tapeflow.core.wengert import Entry, Recorded, WengertList
from tapeflow.errors import StructureError
from tapeflow.recorders import GradientTape, Variable

__all__ = ["Capture", "followed", "guarded", "reading", "resolved", "signature_of"]


def followed(value: Any) -> bool:
    """Whether some tape or accumulator follows a value."""
    while isinstance(value, Tracer):
        if not isinstance(value, Batched) and value._live:
            return True
        value = value._value
    return False


def resolved(
    signature: inspect.Signature | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, defaults: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position wherever the signature allows it, and the constants that are keyword-only.

    Raises
    ------
    StructureError
        If a keyword-only argument is being differentiated: a rule gives gradients by position.
    """
    if signature is not None and (kwargs or (defaults and len(args) != len(signature.parameters))):
        bound = signature.bind(*args, **kwargs)
        if defaults or not _keyword_only(signature, bound.kwargs):
            bound.apply_defaults()
        args, kwargs = bound.args, bound.kwargs
    if any(isinstance(x, Variable) for x in pytree.flatten((args, kwargs))[0]):
        args, kwargs = pytree.map_leaves(lambda x: x.read() if isinstance(x, Variable) else x, (args, kwargs))
    for k, value in kwargs.items():
        if any(map(followed, pytree.flatten(value)[0])):
            raise StructureError(
                f"{name}: the keyword-only argument {k!r} is being differentiated, but a custom rule gives gradients by "
                "position. Make it a positional parameter, or pass stop_gradient of it"
            )
    return args, kwargs


def signature_of(fun: Any) -> inspect.Signature | None:
    """The signature of a function, ``None`` if it does not say."""
    if isinstance(fun, np.ufunc):  # newer versions of NumPy give them one, with all their options
        return None
    try:
        return inspect.signature(fun)
    except (ValueError, TypeError):  # written in C
        return None


def _keyword_only(signature: inspect.Signature, kwargs: Iterable[str]) -> bool:
    kinds = {n: p.kind for n, p in signature.parameters.items()}
    return all(
        kinds.get(n, inspect.Parameter.VAR_KEYWORD) is not inspect.Parameter.POSITIONAL_OR_KEYWORD for n in kwargs
    )


# ---- variables


class _Reader:
    """Stands among the recorders while a body runs, and notes which variables it reads."""

    level = 0  # so that it is nobody's innermost level
    entered = True

    def __init__(self) -> None:
        self.variables: dict[int, Variable] = {}

    def read(self, variable: Variable, value: Any) -> Any:
        self.variables[id(variable)] = variable
        return value


@contextmanager
def reading() -> Iterator[list[Variable]]:
    """Collect the variables that a block reads and that are being differentiated."""
    found: list[Variable] = []
    if not stack.active():
        yield found
        return
    reader = _Reader()
    token = stack.enter(reader)
    try:
        yield found
    finally:
        stack.leave(reader, token)
    found += [v for v in reader.variables.values() if followed(v.read())]


# ---- captured values


class Capture:
    """Finds values that a body uses, is differentiated with respect to, and was not given.

    Parameters
    ----------
    given : list
        Leaves of the arguments.
    """

    def __init__(self, given: list[Any]) -> None:
        self._lists: dict[int, tuple[WengertList, int, set[int]]] = {}
        self._duals: set[int] = set()
        self._given = set(map(id, given))
        for recorder in stack.active():
            if isinstance(recorder, GradientTape):
                self._start(recorder._wengert)
        for x in given:
            self.allow(x)

    def allow(self, value: Any) -> None:
        """Let results depend on a value."""
        for x in _levels(value):
            if isinstance(x, Recorded):
                start, allowed = self._start(x._list)
                allowed |= _roots(x._entry, start)
            elif isinstance(x, Dual):
                self._duals.add(id(x._accumulator))

    def _start(self, wengert: WengertList) -> tuple[int, set[int]]:
        """What was the newest entry of a list when it was first seen, and the entries on which results may depend."""
        if id(wengert) not in self._lists:
            self._lists[id(wengert)] = (wengert, wengert.tick(), set())
        return self._lists[id(wengert)][1:]

    def require_none(self, results: list[Any], functions: Iterable[Any], name: str) -> None:
        """Check the results of a body.

        Raises
        ------
        StructureError
            If one depends on a value that was captured.
        """
        if any(map(self._strange, results)) or (self._duals and any(map(self._in_closure, functions))):
            raise StructureError(
                f"{name}: its body uses a value from outside that is being differentiated (captured by closure), and the "
                "custom rule would drop its gradient. Pass it as an argument, or use stop_gradient of it"
            )

    def _strange(self, result: Any) -> bool:
        return any(self._strange_here(x) for x in _levels(result))

    def _strange_here(self, x: Any) -> bool:
        if isinstance(x, Dual):
            return x._live and id(x._accumulator) not in self._duals
        if not isinstance(x, Recorded) or not x._live:
            return False
        if id(x._list) not in self._lists:
            return True
        _, start, allowed = self._lists[id(x._list)]
        return not _roots(x._entry, start) <= allowed

    def _in_closure(self, function: Any) -> bool:
        """Whether a dual number is in the closure: the tangent of a result does not say where it came from."""
        for cell in getattr(function, "__closure__", None) or ():
            try:
                leaves = pytree.flatten(cell.cell_contents)[0]
            except ValueError:  # an empty cell
                continue
            for leaf in leaves:
                if id(leaf) not in self._given and any(isinstance(x, Dual) and x._live for x in _levels(leaf)):
                    return True
        return False


def _levels(value: Any) -> Iterator[Any]:
    while isinstance(value, Tracer) and not isinstance(value, Variable):
        yield value
        value = value._value


def _roots(entry: Entry, start: int) -> set[int]:
    """Numbers of the entries not newer than `start` from which an entry descends."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = [entry]
    while todo:
        entry = todo.pop()
        if not entry[1] or entry[0] in seen:
            continue
        seen.add(entry[0])
        if entry[0] <= start:
            found.add(entry[0])
        else:
            todo += entry[3::3]
    return found


def guarded(value: Any) -> Any:
    """A stand-in for a plain array that a rule will see later, whatever is written into the array meanwhile."""
    backend = None if isinstance(value, Tracer) else backend_for(value)
    return value if backend is None else backend.guard(value)
