"""What a primitive is: a function of arrays together with its derivative rules, and the one point where calls dispatch.

A *level* is an active derivative computation: a Wengert list, a forward accumulator, a batch. A traced value belongs to
one level and holds a value of an outer level. A primitive finds the innermost level among its arguments and hands the
call to it; that level unwraps its own values, calls the primitive again on what they hold, and wraps the result. All
nesting follows from this.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "CREATORS",
    "FUNCTIONS",
    "LATE",
    "Primitive",
    "Rule",
    "Traced",
    "bind",
    "implementation",
    "implements",
    "next_level",
]

next_level = itertools.count(1).__next__

# What `__array_function__` and `__array_ufunc__` look up: NumPy's function -> ours, with NumPy's signature.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}

# Those of them that make arrays and are called with ``like=``, which NumPy takes away before it calls us.
CREATORS: set[Callable[..., Any]] = set()

# Modules whose functions are declared when they are first met, and what declares them: importing them takes long.
LATE: dict[str, Callable[[], None]] = {}


def implementation(function: Any) -> Callable[..., Any] | None:
    """What NumPy's or another library's function does for traced arguments, if it has been declared."""
    ours = FUNCTIONS.get(function)
    if ours is None:
        for module in [name for name in LATE if name in sys.modules]:
            LATE.pop(module)()
            ours = FUNCTIONS.get(function)
    return ours


class Traced:
    """A value that belongs to a level."""

    __slots__ = ()

    @property
    def _level(self) -> int:
        raise NotImplementedError

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Evaluate a primitive of which this value is an innermost argument."""
        raise NotImplementedError


class Rule(NamedTuple):
    """One derivative rule: ``function(xp, g or t, *residuals, **params)``.

    `names` says which residuals it wants, by the names of its parameters: ``x`` or ``x0, x1, ...`` an operand, ``xs``
    all of them, ``y`` the output, ``shape``, ``shape0``, ... ``shapes`` the shapes of operands, ``i`` the operand's
    position. Nothing else is kept for it.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]


def make_rule(function: Callable[..., Any], skip: int) -> Rule:
    """Read the residuals that a rule wants off its signature; `skip` parameters (``xp``, and ``g`` or ``t``) come first."""
    positional = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    names = tuple(positional[skip:])
    for name in names:
        stem = name.rstrip("0123456789")
        if stem not in ("x", "xs", "y", "shape", "shapes", "i") or (stem != name and stem not in ("x", "shape")):
            raise ValueError(f"rule {function}: parameter {name!r} names no residual (x, x0, ..., xs, y, shape, i)")
    return Rule(function, names)


class Primitive:
    """A function of arrays with its derivative rules.

    Parameters
    ----------
    name : str
        Identifies the primitive, in messages and in compiled tapes.
    evaluate : callable
        ``evaluate(*arrays, **params)`` on plain arrays. `params` are static and hashable.
    jvps, vjps : sequence of Rule or None
        One for each operand. A variadic primitive has one, which serves all operands.
    variadic : bool
        Whether the number of operands is open.
    batch : callable, optional
        How it acts on a batch (see :mod:`tapeflow.core.batch`); elementwise primitives need none.
    deposit : Primitive, optional
        For a primitive that selects a part of its operand: the primitive that scatters parts back. The sweep then adds
        into one buffer instead of making a whole array for each part.
    elementwise : bool
        Whether every element of the output depends on one element of each operand alone.
    linear : bool
        Whether it is linear in all operands together, so that its JVP is itself on the tangents.
    refuses : bool
        Whether a VJP may raise, at points where there is no derivative. A recording that holds such an operation is
        not released during its sweep, so that a question that was refused leaves a tape that can be asked another.
    reason : str, optional
        Why the derivative is zero or missing, for primitives that have none.
    selects : bool
        Whether it passes on only a part of what it is given, so that parts of cotangents are exactly zero.
    check : callable, optional
        ``check(xp, contribution, shape, dtype, i)``: looks at what the VJP gives for operand `i` and returns what is to
        be added, ``None`` for nothing. For rules of users.
    push : callable, optional
        ``push(primals, tangents, out, params)``: the JVP of all operands at once, in place of `jvps`; a tangent of
        ``None`` is zero. Rules of such a primitive get the parameter ``level``, which says at which level they serve.
    view : callable, optional
        ``view(params)``: for a primitive whose output may share its operand's memory, the step (see
        :mod:`tapeflow.core.writes`) by which the view is taken.
    """

    __slots__ = (
        "batch",
        "check",
        "deposit",
        "elementwise",
        "evaluate",
        "jvps",
        "linear",
        "name",
        "push",
        "reason",
        "refuses",
        "selects",
        "variadic",
        "view",
        "vjps",
    )

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Any],
        jvps: tuple[Rule | None, ...] = (),
        vjps: tuple[Rule | None, ...] = (),
        *,
        variadic: bool = False,
        batch: Callable[..., Any] | None = None,
        deposit: Primitive | None = None,
        elementwise: bool = False,
        linear: bool = False,
        refuses: bool = False,
        selects: bool = False,
        reason: str | None = None,
        check: Callable[..., Any] | None = None,
        push: Callable[..., Any] | None = None,
        view: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.name = name
        self.evaluate = evaluate
        self.jvps = jvps
        self.vjps = vjps
        self.variadic = variadic
        self.batch = batch
        self.check = check
        self.deposit = deposit
        self.elementwise = elementwise
        self.linear = linear
        self.push = push
        self.reason = reason
        self.refuses = refuses
        self.selects = selects or deposit is not None
        self.view = view

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Evaluate, through the innermost level among the arguments."""
        return bind(self, args, params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def bind(primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Call a primitive: plainly, or through the innermost level among its arguments."""
    innermost = None
    level = 0
    for a in args:
        if isinstance(a, Traced):
            if a._level > level:
                innermost, level = a, a._level
        elif type(a) is np.ndarray and a.dtype.kind == "O":  # somebody has filled it with traced scalars
            return bind(primitive, tuple(map(FUNCTIONS["restack"], args)), params)
    if innermost is None:
        return primitive.evaluate(*args, **params)
    return innermost._process(primitive, args, params)


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as what NumPy's function does for traced arguments."""

    def register(ours: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = ours
        return ours

    return register
