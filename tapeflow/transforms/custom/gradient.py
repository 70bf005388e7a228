"""Functions that return their own gradient, as in TensorFlow."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tapeflow.errors import RuleError, StructureError
from tapeflow.transforms.custom.base import Custom, ReverseRule, grafted
from tapeflow.transforms.custom.calls import Capture, followed, reading, resolved
from tapeflow.transforms.custom.trees import (
    Tree,
    flat_shares_of,
    is_result,
    is_traced,
    normal,
    tangents_of,
    zeros_for_missing,
)

__all__ = ["custom_gradient"]


class custom_gradient(Custom):  # TensorFlow's name
    """A function that returns its own gradient beside its result.

    Parameters
    ----------
    fun : callable
        Returns ``(result, grad_fn)``. ``grad_fn(*cotangents)`` gets a cotangent for each leaf of the result, and returns
        the gradients of the arguments: one, a list with one for each leaf, or the structure of the arguments; ``None`` for
        zero. If the body reads variables that are being differentiated, it is called with ``variables=[...]`` as well
        and returns ``(gradients, gradients of the variables)``.

    Returns
    -------
    custom_gradient
        To be called in place of `fun`; returns the result alone.

    Raises
    ------
    StructureError
        When called: if `fun` returns no pair, reads variables while ``grad_fn`` takes no ``variables``, or something that
        is being differentiated was captured by closure or is keyword-only.
    RuleError
        If ``grad_fn`` returns the wrong number, structure, shape or dtype.

    Notes
    -----
    The body runs once and is recorded, so derivatives of higher order go through ``grad_fn`` and through what it closes
    over. As for `custom_vjp`, forward mode transposes ``grad_fn``, unless `fun` returns a third function, ``jvp_fn``: it
    gets the tangents of the arguments, a leaf each, and returns the tangent of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import custom_gradient, grad
    >>> @custom_gradient
    ... def log1pexp(x):
    ...     e = np.exp(x)
    ...     return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    >>> grad(log1pexp)(100.0)
    np.float64(1.0)
    """

    _kind = "custom_gradient"

    def __init__(self, fun: Callable[..., Any]) -> None:
        super().__init__(fun)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else type(self)(functools.partial(self.fun, instance))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the rule in place of the derivative."""
        args, kwargs = resolved(self._signature, self.name, args, kwargs, defaults=False)
        arguments = Tree(args, is_traced)
        capture = Capture(arguments.slots)
        with reading() as variables:
            out, grad_fn, jvp_fn = self._parts(self.fun(*args, **kwargs))
        if not variables and not any(map(followed, arguments.slots)):
            return out
        if variables and not _takes_variables(grad_fn):
            names = ", ".join(v.name or "an unnamed one" for v in variables)
            raise StructureError(
                f"{self.name}: its body reads variables that are being differentiated ({names}), so its gradient function "
                "must take variables= and return (gradients, gradients of the variables)"
            )
        reads = [v.read() for v in variables]
        for read in reads:
            capture.allow(read)
        results = Tree([normal(out)], is_result)
        capture.require_none(results.slots, (self.fun,), self.name)
        rule = self._rule(grad_fn, jvp_fn, variables, reads, arguments, results)
        return grafted(self.name, rule, "residuals", [*arguments.slots, *reads], [], results)

    def _parts(self, found: Any) -> tuple[Any, ...]:
        if isinstance(found, tuple) and len(found) in (2, 3) and all(map(callable, found[1:])):
            return found if len(found) == 3 else (*found, None)
        raise StructureError(
            f"{self.name}: a custom_gradient must return a pair (result, function of the cotangents), or a triple with a "
            f"function of the tangents; it returned a {type(found).__name__}"
            + (f" of {len(found)}" if isinstance(found, tuple) else "")
        )

    def _rule(
        self, grad_fn: Any, jvp_fn: Any, variables: list[Any], reads: list[Any], arguments: Tree, results: Tree
    ) -> Any:
        what = f"the gradient function of {self.name}"
        extra = Tree(reads, lambda x: True)
        extra.slots = []

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            gs = results.spread(cotangents)
            if not variables:
                return flat_shares_of(grad_fn(*gs), arguments, what)
            found = grad_fn(*gs, variables=list(variables))
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise RuleError(f"{what}: with variables= it must return (gradients, gradients of the variables)")
            own = found[1] if isinstance(found[1], (tuple, list)) else [found[1]]
            if len(own) != len(variables):
                raise RuleError(f"{what}: {len(variables)} variable(s), but {len(own)} gradient(s) of variables")
            names = [f"variable {v.name or k}" for k, v in enumerate(variables)]
            return [*flat_shares_of(found[0], arguments, what), *extra.fitted(own, what, lambda k: names[k])]

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            metas = [*arguments.metas, *extra.metas]
            ts = zeros_for_missing(tangents, metas)
            n = len(arguments.metas)
            keywords = {"variables": ts[n:]} if variables else {}
            return tangents_of(jvp_fn(*arguments.spread(ts[:n]), **keywords), results, f"the tangents of {self.name}")

        return ReverseRule(self.name, arguments, results, pull, None if jvp_fn is None else push)


def _takes_variables(function: Any) -> bool:
    parameters = inspect.signature(function).parameters
    return "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
