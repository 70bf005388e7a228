"""What `custom_vjp`, `custom_jvp` and `custom_gradient` have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.errors import StructureError, name_of
from tapeflow.recorders.results import conjugate
from tapeflow.transforms.custom.calls import followed, signature_of
from tapeflow.transforms.custom.graft import graft
from tapeflow.transforms.custom.transpose import transposed
from tapeflow.transforms.custom.trees import Tree, zeros_for_missing

__all__ = ["Custom", "ForwardRule", "ReverseRule", "grafted"]

WANTS_JVP = "Give a forward rule as well, by jvp=..., or do not use it in forward mode"


class ReverseRule:
    """A rule that pulls cotangents back; forward mode transposes it, or uses a rule given for that."""

    def __init__(self, name: str, arguments: Tree, results: Tree, pull: Callable[..., Any], jvp: Any = None) -> None:
        self.name, self.arguments, self.results = name, arguments, results
        self._pull = pull
        self._jvp = jvp

    def pull(self, xp: Any, kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
        """Conjugated at both ends: for the rule a gradient is the direction of steepest ascent."""
        found = self._pull(kept, [conjugate(g) for g in cotangents])
        return [conjugate(c) for c in found]

    def push(self, kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
        """Tangents of the results."""
        if self._jvp is not None:
            return self._jvp(kept, tangents)
        apply = functools.partial(self._transposable, kept)
        return transposed(np, apply, self.results.metas, tangents, self.name, remedy=WANTS_JVP)

    def _transposable(self, kept: Sequence[Any], *cotangents: Any) -> list[Any]:
        return self.pull(np, kept, list(cotangents))


class ForwardRule:
    """A rule that pushes tangents forward; reverse mode transposes it."""

    def __init__(self, name: str, arguments: Tree, push: Callable[..., Any]) -> None:
        self.name, self.arguments = name, arguments
        self._push = push

    def push(self, kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
        """Tangents of the results."""
        return self._push(kept, zeros_for_missing(tangents, self.arguments.metas))

    def pull(self, xp: Any, kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
        """Contributions to the arguments."""
        return transposed(xp, lambda *ts: self._push(kept, ts), self.arguments.metas, cotangents, self.name)


class Custom:
    """A function of pytrees with a derivative of its own."""

    _kind: str

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        if not callable(fun):
            raise TypeError(f"{self._kind}: expected a function, found {fun!r:.60}")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.name = name_of(fun)
        self._signature = signature_of(fun)
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)

    def __repr__(self) -> str:
        return f"<{self._kind} {self.name}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the rule in place of the derivative."""
        raise NotImplementedError

    def _split(self, args: tuple[Any, ...]) -> tuple[list[Any], list[Any], list[int]]:
        """Constant arguments, the others, and the places of these."""
        for k in self.nondiff_argnums:
            if not -len(args) <= k < len(args):
                raise StructureError(f"{self.name}: nondiff_argnums has {k}, but there are {len(args)} argument(s)")
        constant = {k % len(args) for k in self.nondiff_argnums}
        for k in sorted(constant):
            if any(map(followed, pytree.flatten(args[k])[0])):
                raise StructureError(
                    f"{self.name}: argument {k} is in nondiff_argnums, but is being differentiated. Take it out of "
                    "nondiff_argnums, or pass stop_gradient of it"
                )
        places = [k for k in range(len(args)) if k not in constant]
        return [args[k] for k in sorted(constant)], [args[k] for k in places], places

    def _refuse_variables(self, variables: list[Any]) -> None:
        if variables:
            names = ", ".join(v.name or "an unnamed one" for v in variables)
            raise StructureError(
                f"{self.name}: its body reads variables that are being differentiated ({names}), and a {self._kind} gives "
                "gradients of arguments alone. Pass them as arguments, or use custom_gradient with variables="
            )


def grafted(name: str, rule: Any, keeps: str, xs: list[Any], residuals: list[Any], results: Tree) -> Any:
    """Results of a body with the derivative that a rule gives them, in the results' structure."""
    ys, results.slots = results.slots, []
    rule.arguments.slots = []  # the rule must not keep the recording of the body alive
    return results.filled(graft(name, rule, keeps, xs, residuals, ys) if ys else [])[0]
