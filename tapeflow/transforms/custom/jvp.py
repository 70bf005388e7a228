"""Functions with a forward rule of their own, as in JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tapeflow import pytree
from tapeflow.core.tracer import plain
from tapeflow.errors import MissingRuleError, RuleError, StructureError
from tapeflow.transforms.custom.base import Custom, ForwardRule, grafted
from tapeflow.transforms.custom.calls import Capture, followed, reading, resolved
from tapeflow.transforms.custom.trees import Tree, is_result, is_traced, normal, tangents_of

__all__ = ["custom_jvp"]


class custom_jvp(Custom):  # JAX's name
    """A function with a forward rule of its own.

    Parameters
    ----------
    fun : callable
        Of pytrees, returning a pytree; plain NumPy code. Its body is run on values that nobody follows.
    nondiff_argnums : int or sequence of int
        Positions of arguments that are constants of any kind; the rule gets them first.

    Returns
    -------
    custom_jvp
        To be called in place of `fun`, once `defjvp` or `defjvps` has been called.

    Raises
    ------
    StructureError, RuleError
        As for `custom_vjp`.

    Notes
    -----
    The rule replaces the derivative of the body in both modes and at every order: reverse mode transposes it, so it must
    be linear in the tangents.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import custom_jvp, grad
    >>> @custom_jvp
    ... def f(x, y):
    ...     return np.sin(x) * y
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     x, y = primals
    ...     dx, dy = tangents
    ...     return f(x, y), np.cos(x) * y * dx + np.sin(x) * dy
    >>> grad(f, (0, 1))(0.0, 3.0)
    (np.float64(3.0), np.float64(0.0))
    """

    _kind = "custom_jvp"
    _jvp: Callable[..., Any] | None = None

    def __new__(cls, fun: Any = None, nondiff_argnums: Any = ()) -> Any:
        """Take the function, or options alone: then this makes a decorator."""
        if fun is None:
            return functools.partial(cls, nondiff_argnums=nondiff_argnums)
        return super().__new__(cls)

    def defjvp(self, jvp: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule.

        Parameters
        ----------
        jvp : callable
            ``jvp(*nondiff, primals, tangents)``; returns ``(result, tangent)``. Both arguments are tuples with an entry
            for each differentiable argument; the tangent of what is no floating-point array, or is not being
            differentiated, is ``None`` or zero.

        Returns
        -------
        callable
            `jvp`, so that this can be used as a decorator.
        """
        if not callable(jvp):
            raise TypeError(f"{self.name}.defjvp: expected a function, found {jvp!r:.60}")
        self._jvp = jvp
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Give a rule for each argument; the shares are added up.

        Parameters
        ----------
        *jvps : callable or None
            ``jvp(tangent, result, *args)``, the share of one argument in the tangent of the result; ``None`` for zero.
        """
        if self.nondiff_argnums:
            raise StructureError(f"{self.name}: defjvps does not go with nondiff_argnums; use defjvp")

        def jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...], **kwargs: Any) -> Any:
            if len(jvps) != len(primals):
                raise RuleError(f"{self.name}.defjvps: {len(jvps)} rule(s) for {len(primals)} argument(s)")
            result = self(*primals, **kwargs)
            shares = [
                rule(t, result, *primals)
                for rule, t in zip(jvps, tangents, strict=True)
                if rule is not None and any(leaf is not None for leaf in pytree.flatten(t)[0])
            ]
            return result, functools.reduce(_added, shares) if shares else pytree.map_leaves(lambda _: None, result)

        self._jvp = jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the rule in place of the derivative."""
        args, kwargs = resolved(self._signature, self.name, args, kwargs, defaults=True)
        constants, chosen, _ = self._split(args)
        arguments = Tree(chosen, is_traced, guard=True)
        capture = Capture([])
        with reading() as variables:
            out = normal(self.fun(*pytree.map_leaves(plain, args), **kwargs))
        self._refuse_variables(variables)
        if not any(map(followed, arguments.slots)):
            return out
        if self._jvp is None:
            raise MissingRuleError(f"{self.name} is a custom_jvp without a rule; call {self.name}.defjvp(jvp)")
        results = Tree([out], is_result)
        capture.require_none(results.slots, (), self.name)
        jvp = functools.partial(self._jvp, *constants)

        def push(kept: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
            pair = jvp(arguments.filled(kept), arguments.marked(tangents), **kwargs)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise RuleError(f"{self.name}: its jvp must return a pair (result, tangent), not {type(pair).__name__}")
            return tangents_of(pair[1], results, f"the jvp of {self.name}")

        return grafted(self.name, ForwardRule(self.name, arguments, push), "xs", arguments.slots, [], results)


def _added(a: Any, b: Any) -> Any:
    return pytree.map_leaves(lambda s, t: t if s is None else s if t is None else s + t, a, b)
