"""Functions with a reverse rule of their own, as in JAX."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tapeflow import pytree
from tapeflow.core.tracer import Tracer, plain
from tapeflow.errors import MissingRuleError, RuleError
from tapeflow.transforms.custom.base import Custom, ReverseRule, grafted
from tapeflow.transforms.custom.calls import Capture, followed, reading, resolved
from tapeflow.transforms.custom.trees import (
    Tree,
    is_result,
    is_traced,
    normal,
    shares_of,
    tangents_of,
    zeros_for_missing,
)

__all__ = ["custom_vjp"]

_local = threading.local()


def _running() -> list[Any]:
    """Functions whose forward rule is running, in this thread."""
    return _local.__dict__.setdefault("running", [])


@contextmanager
def _runs(fun: Any) -> Iterator[None]:
    _running().append(fun)
    try:
        yield
    finally:
        _running().pop()


class custom_vjp(Custom):  # JAX's name
    """A function with a reverse rule of its own.

    Parameters
    ----------
    fun : callable
        Of pytrees, returning a pytree; plain NumPy code.
    nondiff_argnums : int or sequence of int
        Positions of arguments that are constants of any kind; the backward function gets them first.

    Returns
    -------
    custom_vjp
        To be called in place of `fun`, once `defvjp` has been called.

    Raises
    ------
    StructureError
        When called: if what is being differentiated was captured by closure, is keyword-only, or is a `Variable` that is
        no argument.
    RuleError
        If the rule returns the wrong number, structure, shape or dtype.

    Notes
    -----
    The rule replaces the derivative of the body in both modes and at every order: forward mode transposes the backward
    function, which must then be linear in the cotangent, or uses the `jvp` given to `defvjp`. Derivatives of higher order
    go through the backward function and through the residuals. Cotangents are gradients in the convention of
    `GradientTape`: for complex values the direction of steepest ascent, the conjugate of JAX's.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import custom_vjp, grad
    >>> @custom_vjp
    ... def log1pexp(x):
    ...     return np.log(1 + np.exp(x))
    >>> def forward(x):
    ...     return log1pexp(x), x
    >>> def backward(x, g):
    ...     return (g / (1 + np.exp(-x)),)
    >>> log1pexp.defvjp(forward, backward)
    >>> grad(log1pexp)(0.0)
    np.float64(0.5)
    """

    _kind = "custom_vjp"
    _forward: Callable[..., Any] | None = None
    _backward: Callable[..., Any]
    _jvp: Callable[..., Any] | None = None

    def __new__(cls, fun: Any = None, nondiff_argnums: Any = ()) -> Any:
        """Take the function, or options alone: then this makes a decorator."""
        if fun is None:
            return functools.partial(cls, nondiff_argnums=nondiff_argnums)
        return super().__new__(cls)

    def defvjp(
        self, fwd: Callable[..., Any], bwd: Callable[..., Any], *, jvp: Callable[..., Any] | None = None
    ) -> None:
        """Give the rule.

        Parameters
        ----------
        fwd : callable
            Called with the arguments of the function when a derivative is wanted; returns ``(result, residuals)``, any
            two pytrees.
        bwd : callable
            ``bwd(*nondiff, residuals, cotangent)``; returns a tuple with the cotangent of each differentiable argument,
            ``None`` for zero.
        jvp : callable, optional
            For forward mode: ``jvp(*nondiff, residuals, tangents)`` returns the tangent of the result.
        """
        for what, rule in (("fwd", fwd), ("bwd", bwd)):
            if not callable(rule):
                raise TypeError(f"{self.name}.defvjp: {what} must be a function, found {rule!r:.60}")
        self._forward, self._backward, self._jvp = fwd, bwd, jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the rule in place of the derivative."""
        args, kwargs = resolved(self._signature, self.name, args, kwargs, defaults=True)
        constants, chosen, places = self._split(args)
        arguments = Tree(chosen, is_traced)
        if not any(map(followed, arguments.slots)):
            with reading() as variables:
                out = self.fun(*args, **kwargs)
            self._refuse_variables(variables)
            return out
        if self._forward is None:
            raise MissingRuleError(f"{self.name} is a custom_vjp without a rule; call {self.name}.defvjp(fwd, bwd)")
        if self in _running():
            return self._grafted_later(args, kwargs, constants, places, arguments)
        capture = Capture(arguments.slots)
        out, residuals = self._run_forward(args, kwargs)
        results = Tree([normal(out)], is_result)
        capture.require_none(results.slots, (self.fun, self._forward), self.name)

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            return self._pulled(constants, places, arguments, residuals.filled(kept), results.marked(cotangents))

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            return self._pushed(constants, arguments, residuals.filled(kept), tangents, results)

        rule = ReverseRule(self.name, arguments, results, pull, None if self._jvp is None else push)
        kept, residuals.slots = residuals.slots, []
        return grafted(self.name, rule, "residuals", arguments.slots, kept, results)

    def _run_forward(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Tree]:
        assert self._forward is not None
        with reading() as variables, _runs(self):
            pair = self._forward(*args, **kwargs)
        self._refuse_variables(variables)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise RuleError(f"{self.name}: fwd must return a pair (result, residuals), not a {type(pair).__name__}")
        return pair[0], Tree([pair[1]], lambda x: isinstance(x, Tracer), guard=True)

    def _grafted_later(
        self, args: Any, kwargs: dict[str, Any], constants: list[Any], places: list[int], arguments: Tree
    ) -> Any:
        """The result for a call by the rule itself, which runs the rule again if a derivative of higher order asks."""
        capture, count = Capture([]), len(args)
        results = Tree([normal(self.fun(*pytree.map_leaves(plain, args), **kwargs))], is_result)
        capture.require_none(results.slots, (), self.name)

        def residuals(kept: Sequence[Any]) -> Any:
            found = self._run_forward(merged(kept), kwargs)[1]
            return found.filled(found.slots)

        def merged(kept: Sequence[Any]) -> list[Any]:
            chosen, fixed = iter(arguments.filled(kept)), iter(constants)
            return [next(chosen) if k in places else next(fixed) for k in range(count)]

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            return self._pulled(constants, places, arguments, residuals(kept), results.marked(cotangents))

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            return self._pushed(constants, arguments, residuals(kept), tangents, results)

        rule = ReverseRule(self.name, arguments, results, pull, None if self._jvp is None else push)
        return grafted(self.name, rule, "xs", arguments.slots, [], results)

    def _pulled(
        self, constants: list[Any], places: list[int], arguments: Tree, residuals: Any, cotangents: Any
    ) -> list[Any]:
        found = self._backward(*constants, *residuals, *cotangents)
        return shares_of(found, arguments, places, f"the backward function of {self.name}")

    def _pushed(
        self, constants: list[Any], arguments: Tree, residuals: Any, tangents: Sequence[Any], results: Tree
    ) -> list[Any]:
        assert self._jvp is not None
        ts = arguments.marked(zeros_for_missing(tangents, arguments.metas))
        return tangents_of(self._jvp(*constants, *residuals, ts), results, f"the jvp of {self.name}")
