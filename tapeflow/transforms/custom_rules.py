"""Functions with derivatives of their own: JAX's `custom_jvp` and `custom_vjp`, TensorFlow's `custom_gradient`."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.backends import backend_for
from tapeflow.core.tracer import Tracer, plain
from tapeflow.errors import MissingRuleError, RuleError, StructureError
from tapeflow.recorders import Variable
from tapeflow.transforms.custom_calls import Capture, followed, guarded, name_of, reading, resolved
from tapeflow.transforms.custom_checks import fitted, meta, spread_over
from tapeflow.transforms.custom_graft import graft
from tapeflow.transforms.derived import conjugated, transposed

__all__ = ["custom_gradient", "custom_jvp", "custom_vjp"]

WANTS_JVP = "Give a forward rule as well, by jvp=..., or do not use it in forward mode"


# ---- trees of which some leaves are traced


class _Tree:
    """A tuple of trees, some leaves of which (the *slots*) are differentiable; the others are constants."""

    def __init__(self, trees: Sequence[Any], is_slot: Callable[[Any], bool], *, guard: bool = False) -> None:
        self.leaves, self.spec = pytree.flatten(tuple(trees))
        self.specs = [pytree.flatten(t)[1] for t in trees]
        self.places = [k for k, x in enumerate(self.leaves) if is_slot(x)]
        self.slots = [self.leaves[k] for k in self.places]
        self.metas = [meta(x) for x in self.slots]
        self.leaves = [None if k in set(self.places) else guarded(x) if guard else x for k, x in enumerate(self.leaves)]

    def filled(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The trees with other values in the slots."""
        leaves = list(self.leaves)
        for k, v in zip(self.places, values, strict=True):
            leaves[k] = v
        return pytree.unflatten(self.spec, leaves)

    def marked(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Trees of tangents with values in the slots; zero for constant floats, and ``None`` for what has no tangent."""
        spread = self.spread(values)
        slots = set(self.places)
        return pytree.unflatten(
            self.spec, [v if k in slots else _zero(x) for k, (v, x) in enumerate(zip(spread, self.leaves, strict=True))]
        )

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """A leaf each: values for the slots, ``None`` for the constants."""
        leaves: list[Any] = [None] * len(self.leaves)
        for k, v in zip(self.places, values, strict=True):
            leaves[k] = v
        return leaves

    def fitted(self, leaves: Sequence[Any], what: str, where: Callable[[int], str]) -> list[Any]:
        """What a rule gives for the slots, checked; what it gives for constants is of no consequence."""
        return [
            fitted(leaves[k], shape, dtype, f"{what}, {where(k)}")
            for k, (shape, dtype) in zip(self.places, self.metas, strict=True)
        ]


def _zero(x: Any) -> Any:
    if type(x) in (float, complex):
        return 0.0
    return np.zeros_like(x) if backend_for(x) is not None and x.dtype.kind in "fc" else None


def _is_traced(x: Any) -> bool:
    return isinstance(x, Tracer) and x.dtype.kind in "fc"


def _is_result(x: Any) -> bool:
    return (isinstance(x, Tracer) or backend_for(x) is not None) and x.dtype.kind in "fc"


def _normal(out: Any) -> Any:
    """Results with Python's floats as array scalars, so that they can have a derivative."""

    def normal(y: Any) -> Any:
        if isinstance(y, Variable):
            return y.read()
        return np.asarray(y)[()] if type(y) in (float, complex) else y

    return pytree.map_leaves(normal, out)


def _zeros_for_missing(tangents: Sequence[Any], metas: Sequence[Any]) -> list[Any]:
    return [np.zeros(*m) if t is None else t for t, m in zip(tangents, metas, strict=True)]


# ---- the rules, as what a graft wants


class _Reverse:
    """A rule that pulls cotangents back; forward mode transposes it, or uses a rule given for that."""

    def __init__(self, name: str, arguments: _Tree, results: _Tree, pull: Callable[..., Any], jvp: Any = None) -> None:
        self.name, self.arguments, self.results = name, arguments, results
        self._pull = pull
        self._jvp = jvp

    def pull(self, xp: Any, kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
        """Conjugated at both ends: for the rule a gradient is the direction of steepest ascent."""
        found = self._pull(kept, [conjugated(g) for g in cotangents])
        return [conjugated(c) for c in found]

    def push(self, kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
        """Tangents of the results."""
        if self._jvp is not None:
            return self._jvp(kept, tangents)
        apply = functools.partial(self._transposable, kept)
        return transposed(np, apply, self.results.metas, tangents, self.name, remedy=WANTS_JVP)

    def _transposable(self, kept: Sequence[Any], *cotangents: Any) -> list[Any]:
        return self.pull(np, kept, list(cotangents))


class _Forward:
    """A rule that pushes tangents forward; reverse mode transposes it."""

    def __init__(self, name: str, arguments: _Tree, push: Callable[..., Any]) -> None:
        self.name, self.arguments = name, arguments
        self._push = push

    def push(self, kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
        """Tangents of the results."""
        return self._push(kept, _zeros_for_missing(tangents, self.arguments.metas))

    def pull(self, xp: Any, kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
        """Contributions to the arguments."""
        return transposed(xp, lambda *ts: self._push(kept, ts), self.arguments.metas, cotangents, self.name)


# ---- the functions


class _Custom:
    """A function of pytrees with a derivative of its own."""

    _kind: str

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        if not callable(fun):
            raise TypeError(f"{self._kind}: expected a function, found {fun!r:.60}")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.name = name_of(fun)
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)

    def __repr__(self) -> str:
        return f"<{self._kind} {self.name}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
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


class custom_vjp(_Custom):  # JAX's name
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
        args, kwargs = resolved(self.fun, self.name, args, kwargs, defaults=True)
        constants, chosen, places = self._split(args)
        arguments = _Tree(chosen, _is_traced)
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
        results = _Tree([_normal(out)], _is_result)
        capture.require_none(results.slots, (self.fun, self._forward), self.name)

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            return self._pulled(constants, places, arguments, residuals.filled(kept), results.marked(cotangents))

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            return self._pushed(constants, arguments, residuals.filled(kept), tangents, results)

        rule = _Reverse(self.name, arguments, results, pull, None if self._jvp is None else push)
        return _grafted(self.name, rule, "residuals", arguments.slots, residuals.slots, results)

    def _run_forward(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, _Tree]:
        assert self._forward is not None
        with reading() as variables, _runs(self):
            pair = self._forward(*args, **kwargs)
        self._refuse_variables(variables)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise RuleError(f"{self.name}: fwd must return a pair (result, residuals), not a {type(pair).__name__}")
        return pair[0], _Tree([pair[1]], lambda x: isinstance(x, Tracer), guard=True)

    def _grafted_later(
        self, args: Any, kwargs: dict[str, Any], constants: list[Any], places: list[int], arguments: _Tree
    ) -> Any:
        """The result for a call by the rule itself, which runs the rule again if a derivative of higher order asks."""
        capture = Capture([])
        results = _Tree([_normal(self.fun(*pytree.map_leaves(plain, args), **kwargs))], _is_result)
        capture.require_none(results.slots, (), self.name)

        def residuals(kept: Sequence[Any]) -> Any:
            found = self._run_forward(merged(kept), kwargs)[1]
            return found.filled(found.slots)

        def merged(kept: Sequence[Any]) -> list[Any]:
            chosen, fixed = iter(arguments.filled(kept)), iter(constants)
            return [next(chosen) if k in places else next(fixed) for k in range(len(args))]

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            return self._pulled(constants, places, arguments, residuals(kept), results.marked(cotangents))

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            return self._pushed(constants, arguments, residuals(kept), tangents, results)

        rule = _Reverse(self.name, arguments, results, pull, None if self._jvp is None else push)
        return _grafted(self.name, rule, "xs", arguments.slots, [], results)

    def _pulled(
        self, constants: list[Any], places: list[int], arguments: _Tree, residuals: Any, cotangents: Any
    ) -> list[Any]:
        found = self._backward(*constants, *residuals, *cotangents)
        return _shares(found, arguments, places, f"the backward function of {self.name}")

    def _pushed(
        self, constants: list[Any], arguments: _Tree, residuals: Any, tangents: Sequence[Any], results: _Tree
    ) -> list[Any]:
        assert self._jvp is not None
        ts = arguments.marked(_zeros_for_missing(tangents, arguments.metas))
        return _tangents(self._jvp(*constants, *residuals, ts), results, f"the jvp of {self.name}")


class custom_jvp(_Custom):  # JAX's name
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
        args, kwargs = resolved(self.fun, self.name, args, kwargs, defaults=True)
        constants, chosen, _ = self._split(args)
        arguments = _Tree(chosen, _is_traced, guard=True)
        capture = Capture([])
        with reading() as variables:
            out = _normal(self.fun(*pytree.map_leaves(plain, args), **kwargs))
        self._refuse_variables(variables)
        if not any(map(followed, arguments.slots)):
            return out
        if self._jvp is None:
            raise MissingRuleError(f"{self.name} is a custom_jvp without a rule; call {self.name}.defjvp(jvp)")
        results = _Tree([out], _is_result)
        capture.require_none(results.slots, (), self.name)
        jvp = functools.partial(self._jvp, *constants)

        def push(kept: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
            pair = jvp(arguments.filled(kept), arguments.marked(tangents), **kwargs)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise RuleError(f"{self.name}: its jvp must return a pair (result, tangent), not {type(pair).__name__}")
            return _tangents(pair[1], results, f"the jvp of {self.name}")

        return _grafted(self.name, _Forward(self.name, arguments, push), "xs", arguments.slots, [], results)


class custom_gradient(_Custom):  # TensorFlow's name
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
        args, kwargs = resolved(self.fun, self.name, args, kwargs, defaults=False)
        arguments = _Tree(args, _is_traced)
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
        results = _Tree([_normal(out)], _is_result)
        capture.require_none(results.slots, (self.fun,), self.name)
        rule = self._rule(grad_fn, jvp_fn, variables, reads, arguments, results)
        return _grafted(self.name, rule, "residuals", [*arguments.slots, *reads], [], results)

    def _parts(self, found: Any) -> tuple[Any, ...]:
        if isinstance(found, tuple) and len(found) in (2, 3) and all(map(callable, found[1:])):
            return found if len(found) == 3 else (*found, None)
        raise StructureError(
            f"{self.name}: a custom_gradient must return a pair (result, function of the cotangents), or a triple with a "
            f"function of the tangents; it returned a {type(found).__name__}"
            + (f" of {len(found)}" if isinstance(found, tuple) else "")
        )

    def _rule(
        self, grad_fn: Any, jvp_fn: Any, variables: list[Any], reads: list[Any], arguments: _Tree, results: _Tree
    ) -> Any:
        what = f"the gradient function of {self.name}"
        extra = _Tree(reads, lambda x: True)

        def pull(kept: Sequence[Any], cotangents: list[Any]) -> list[Any]:
            gs = results.spread(cotangents)
            if not variables:
                return _flat_shares(grad_fn(*gs), arguments, what)
            found = grad_fn(*gs, variables=list(variables))
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise RuleError(f"{what}: with variables= it must return (gradients, gradients of the variables)")
            own = found[1] if isinstance(found[1], (tuple, list)) else [found[1]]
            if len(own) != len(variables):
                raise RuleError(f"{what}: {len(variables)} variable(s), but {len(own)} gradient(s) of variables")
            names = [f"variable {v.name or k}" for k, v in enumerate(variables)]
            return [*_flat_shares(found[0], arguments, what), *extra.fitted(own, what, lambda k: names[k])]

        def push(kept: Sequence[Any], tangents: list[Any]) -> list[Any]:
            metas = [*arguments.metas, *extra.metas]
            ts = _zeros_for_missing(tangents, metas)
            n = len(arguments.slots)
            keywords = {"variables": ts[n:]} if variables else {}
            return _tangents(jvp_fn(*arguments.spread(ts[:n]), **keywords), results, f"the tangents of {self.name}")

        return _Reverse(self.name, arguments, results, pull, None if jvp_fn is None else push)


# ---- what rules return


def _grafted(name: str, rule: Any, keeps: str, xs: list[Any], residuals: list[Any], results: _Tree) -> Any:
    if not results.slots:
        return results.filled([])[0]
    return results.filled(graft(name, rule, keeps, xs, residuals, results.slots))[0]


def _added(a: Any, b: Any) -> Any:
    return pytree.map_leaves(lambda s, t: t if s is None else s if t is None else s + t, a, b)


def _tangents(found: Any, results: _Tree, what: str) -> list[Any]:
    leaves = spread_over(found, results.specs[0], what)
    return results.fitted(leaves, what, lambda k: f"result {k}")


def _shares(found: Any, arguments: _Tree, places: list[int], what: str) -> list[Any]:
    """Cotangents of the arguments, from a tuple with one for each."""
    if not isinstance(found, (tuple, list)):
        if len(places) != 1:
            raise RuleError(f"{what}: expected a tuple of {len(places)}, found a {type(found).__name__}")
        found = (found,)
    if len(found) != len(places):
        raise RuleError(f"{what}: {len(places)} differentiable argument(s), but {len(found)} cotangent(s)")
    leaves: list[Any] = []
    for k, value, spec in zip(places, found, arguments.specs, strict=True):
        leaves += spread_over(value, spec, f"{what}, argument {k}")
    return _fit_leaves(leaves, arguments, what)


def _flat_shares(found: Any, arguments: _Tree, what: str) -> list[Any]:
    """Cotangents of the arguments in TensorFlow's form, or in the structure of the arguments."""
    if not isinstance(found, (tuple, list)) or (len(arguments.specs) == 1 and _fits(found, arguments.specs[0])):
        found = (found,)
    if len(found) == len(arguments.leaves) and all(x is None or _is_leaf(x) for x in found):
        return _fit_leaves(list(found), arguments, what)
    if len(found) != len(arguments.specs):
        raise RuleError(f"{what}: {len(arguments.leaves)} argument(s), but {len(found)} gradient(s)")
    return _shares(found, arguments, list(range(len(arguments.specs))), what)


def _fit_leaves(leaves: list[Any], arguments: _Tree, what: str) -> list[Any]:
    paths = arguments.spec.accessors()
    return arguments.fitted(leaves, what, lambda k: f"argument {paths[k].codify('args')}")


def _fits(tree: Any, spec: Any) -> bool:
    return spec.num_leaves != 1 and bool(pytree.flatten(tree)[1] == spec)


def _is_leaf(x: Any) -> bool:
    return pytree.flatten(x)[1].num_nodes == 1


def _takes_variables(function: Any) -> bool:
    parameters = inspect.signature(function).parameters
    return "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
