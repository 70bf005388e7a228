"""Primitives of users: functions that are called on plain arrays, with rules for their derivatives."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Self, overload

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core.primitive import Primitive, Rule, Traced, bind
from tapeflow.core.reverse import fit
from tapeflow.errors import MissingRuleError, StructureError, TracedConversionError, name_of
from tapeflow.transforms.custom.checks import as_outputs, fitted, meta
from tapeflow.transforms.custom.opaque import attempted
from tapeflow.transforms.custom.transpose import seeded, transposed

__all__ = ["UserPrimitive", "primitive"]

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
RESIDUAL = re.compile(r"(?:x|shape)(\d*)|xs|shapes|y|i")


class UserPrimitive(Primitive):
    """A function of plain arrays that is differentiated by rules; made by `primitive`.

    Parameters
    ----------
    function : callable
        ``function(*operands, **params)``.
    name : str, optional
        For messages; the name of the function.
    elementwise, linear, batch, nout
        As for `primitive`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        elementwise: bool = False,
        linear: bool = False,
        batch: Callable[..., Any] | None = None,
        nout: int | None = None,
    ) -> None:
        name = str(name or name_of(function))
        super().__init__(
            name, self._evaluate, elementwise=elementwise, linear=linear, batch=batch, refuses=True, check=self._check
        )
        functools.update_wrapper(self, function)
        self.__name__ = name
        self.function = function
        self.nout = nout
        self._given: dict[str, tuple[Any, ...]] = {"jvp": (), "vjp": ()}
        self._read_signature()
        self._arrange()

    def _read_signature(self) -> None:
        parameters = _parameters(self.function)
        self.operands = [p.name for p in parameters if p.kind in POSITIONAL]
        self._operand_defaults = [p.default for p in parameters if p.kind in POSITIONAL]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self._defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self._any_params = any(p.kind is p.VAR_KEYWORD for p in parameters)

    # ---- rules

    def def_jvp(self, *rules: Callable[..., Any] | None) -> Self:
        """Give the forward rules, one for each operand.

        Parameters
        ----------
        *rules : callable or None
            ``rule(xp, t, <residuals>, **params)`` with the tangent ``t`` of its operand; returns its share of the tangent
            of the result (a tuple for several), ``None`` for zero. Residuals are asked for by name: ``x`` the operand of
            a function of one, ``x0``, ``x1``, ... operands, ``xs`` all of them, ``y`` the result, ``shape``,
            ``shape0``, ... shapes of operands. ``None`` in place of a rule says that there is no derivative with respect
            to that operand. A function of an open number of operands has one rule, which may ask for the position ``i``.

        Returns
        -------
        UserPrimitive
            Itself, so that calls can be chained.

        Raises
        ------
        StructureError
            If there are not as many rules as operands.
        ValueError
            If a rule asks for something that is no residual, or does not take a parameter of the function.
        """
        return self._define("jvp", rules)

    def def_vjp(self, *rules: Callable[..., Any] | None) -> Self:
        """Give the reverse rules, one for each operand.

        Parameters
        ----------
        *rules : callable or None
            ``rule(xp, g, <residuals>, **params)`` with the cotangent ``g`` of the result (a tuple for several); returns
            that of its operand, ``None`` for zero. It must be the plain transpose of the forward rule, without any
            complex conjugation. For the rest see `def_jvp`.

        Returns
        -------
        UserPrimitive
            Itself.

        Raises
        ------
        StructureError, ValueError
            As for `def_jvp`.
        """
        return self._define("vjp", rules)

    def def_batch(self, rule: Callable[..., Any]) -> Self:
        """Give the rule by which it acts on a batch (see :mod:`tapeflow.core.batch`, which has ready ones).

        Parameters
        ----------
        rule : callable
            ``rule(primitive, values, batched, params)``: `values` are the operands, `batched` says which of them have the
            axis of the batch in front; returns the result with that axis.

        Returns
        -------
        UserPrimitive
            Itself.
        """
        if not callable(rule):
            raise TypeError(f"{self.name}.def_batch: expected a function, found {rule!r:.60}")
        self.batch = rule
        return self

    def _define(self, mode: str, rules: tuple[Callable[..., Any] | None, ...]) -> Self:
        expected = 1 if self.variadic else len(self.operands)
        if len(rules) != expected:
            raise StructureError(
                f"{self.name}.def_{mode}: {len(rules)} rule(s) for {expected} operand(s); give one for each, None for an "
                "operand without a derivative"
            )
        if mode == "jvp" and self.linear:
            raise ValueError(f"{self.name} is declared linear: it is its own JVP, so def_jvp has nothing to say")
        self._given[mode] = tuple(None if r is None else self._read_rule(r, mode) for r in rules)
        self._arrange()
        return self

    def _read_rule(self, rule: Callable[..., Any], mode: str) -> Rule:
        if not callable(rule):
            raise TypeError(f"{self.name}.def_{mode}: expected a function or None, found {rule!r:.60}")
        parameters = inspect.signature(rule).parameters.values()
        names = [p.name for p in parameters if p.kind in POSITIONAL and p.default is p.empty][2:]
        names = [n for n in names if n not in self._defaults]
        for n in names:
            found = RESIDUAL.fullmatch(n)
            if not found or (not self.variadic and int(found[1] or 0) >= len(self.operands)):
                raise ValueError(
                    f"{self.name}.def_{mode}: the rule asks for {n!r}, which is no residual; there are x (or x0, x1, ...), "
                    f"xs, y, shape (shape0, ...), shapes, i, and the function's keyword arguments"
                )
        takes = {p.name for p in parameters}
        lacking = [n for n in self._defaults if n not in takes]
        if lacking and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise ValueError(
                f"{self.name}.def_{mode}: the rule does not take the parameter {lacking[0]!r} (or **params)"
            )
        return Rule(rule, tuple(names))

    def _arrange(self) -> None:
        """Complete the rules: own ones are checked, missing ones derived from the other mode."""
        count = 1 if self.variadic else len(self.operands)
        jvps = self._given["jvp"] or (None,) * count
        vjps = self._given["vjp"] or (None,) * count
        pairs = list(enumerate(zip(jvps, vjps, strict=True)))
        self.jvps = () if self.linear else tuple(self._forward(i, j, v) for i, (j, v) in pairs)
        self.vjps = tuple(self._reverse(i, j, v) for i, (j, v) in pairs)

    def _forward(self, i: int, jvp: Rule | None, vjp: Rule | None) -> Rule:
        if jvp is None and vjp is None:
            return self._missing(i)
        given, rule = (jvp, self._push) if jvp is not None else (vjp, self._push_by_transposing)
        assert given is not None
        extra = ("i", "xs" if self.variadic else f"x{i}", "y")
        return Rule(functools.partial(_call, rule, given, None if self.variadic else i), (*extra, *given.names))

    def _reverse(self, i: int, jvp: Rule | None, vjp: Rule | None) -> Rule:
        own = None if self.variadic else i
        if vjp is not None:
            return Rule(functools.partial(self._pull, vjp), ("i", "shapes", *vjp.names))
        if jvp is None and not self.linear:
            return self._missing(i)
        if jvp is None:
            return Rule(functools.partial(self._pull_by_seeding), ("i", "xs"))
        extra = ("i", "xs" if self.variadic else f"x{i}")
        return Rule(functools.partial(_call, self._pull_by_transposing, jvp, own), (*extra, *jvp.names))

    def _missing(self, i: int) -> Rule:
        def refuse(xp: Any, g: Any, **params: Any) -> Any:
            which = (
                "" if self.variadic or len(self.operands) == 1 else f" with respect to operand {i} ({self.operands[i]})"
            )
            raise MissingRuleError(
                f"{self.name} has no derivative rule{which}; give one of the two modes by .def_jvp(...) or .def_vjp(...)"
            )

        return Rule(refuse, ())

    # ---- what the rules do

    def _what(self, mode: str, i: int) -> str:
        return f"the {mode} rule of {self.name}, operand {i}"

    def _push(self, xp: Any, t: Any, rule: Rule, i: int, x: Any, y: Any, kept: dict[str, Any], params: Any) -> Any:
        single = not isinstance(y, tuple)
        ys = [y] if single else list(y)
        what = self._what("forward", i)
        metas = [meta(v) for v in ys]

        def call(t: Any, kept: dict[str, Any]) -> list[Any]:
            outs = as_outputs(rule.function(xp, t, **kept, **params), len(ys), single, what)
            return [self._tangent(c, *m, what) for c, m in zip(outs, metas, strict=True)]

        tangents = attempted(what, call, t, kept)
        return tangents[0] if single else tuple(tangents)

    def _tangent(self, c: Any, shape: tuple[int, ...], dtype: Any, what: str) -> Any:
        if c is None or dtype.kind not in "fc":
            return np.zeros(shape, dtype)
        c = fitted(c, shape, dtype, what, broadcasts=self.elementwise)
        return np.broadcast_to(c, shape) if c.shape != shape else c

    def _push_by_transposing(
        self, xp: Any, t: Any, rule: Rule, i: int, x: Any, y: Any, kept: dict[str, Any], params: Any
    ) -> Any:
        single = not isinstance(y, tuple)

        def apply(*gs: Any) -> list[Any]:
            c = self._pulled(xp, gs[0] if single else gs, rule, i, x.shape, kept, params)
            return [fit(xp, self._check(xp, c, *meta(x), i), *meta(x))]

        tangents = transposed(xp, apply, [meta(v) for v in ([y] if single else y)], [t], self.name)
        return tangents[0] if single else tuple(tangents)

    def _pull(self, rule: Rule, xp: Any, g: Any, i: int, shapes: Any, *kept: Any, **params: Any) -> Any:
        return self._pulled(xp, g, rule, i, shapes[i], dict(zip(rule.names, kept, strict=True)), params)

    def _pulled(self, xp: Any, g: Any, rule: Rule, i: int, shape: Any, kept: dict[str, Any], params: Any) -> Any:
        def call(g: Any, kept: dict[str, Any]) -> list[Any]:
            c = rule.function(xp, g, **kept, **params)
            return [xp.zeros(shape) if c is None else c if hasattr(c, "dtype") else np.asarray(c)]

        return attempted(self._what("reverse", i), call, g, kept)[0]

    def _pull_by_transposing(
        self, xp: Any, g: Any, rule: Rule, i: int, x: Any, kept: dict[str, Any], params: Any
    ) -> Any:
        def apply(t: Any) -> Sequence[Any]:
            out = self._push(xp, t, rule, i, x, g, kept, params)  # the cotangent has the shapes of the result
            return out if isinstance(out, tuple) else [out]

        return transposed(xp, apply, [meta(x)], g if isinstance(g, tuple) else [g], self.name)[0]

    def _pull_by_seeding(self, xp: Any, g: Any, i: int, xs: Any, **params: Any) -> Any:
        def apply(t: Any) -> Sequence[Any]:
            out = self(*(t if k == i else xp.zeros_like(x) for k, x in enumerate(xs)), **params)
            return out if isinstance(out, tuple) else [out]

        return seeded(xp, apply, [meta(xs[i])], g if isinstance(g, tuple) else [g], self.name)[0]

    def _check(self, xp: Any, c: Any, shape: tuple[int, ...], dtype: Any, i: int) -> Any:
        return fitted(c, shape, dtype, self._what("reverse", i), broadcasts=self.elementwise)

    # ---- calls

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Evaluate, through the innermost level among the operands."""
        if params or self._defaults:
            params = self._static(params)
        if not self.variadic and len(operands) != len(self.operands):
            operands = self._completed(operands)
        if list in map(type, operands):
            operands = tuple(np.asarray(a) if type(a) is list else a for a in operands)
        return bind(self, operands, params)

    def _completed(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        rest = self._operand_defaults[len(operands) :]
        if len(operands) > len(self.operands) or inspect.Parameter.empty in rest:
            raise StructureError(
                f"{self.name} takes {len(self.operands)} operand(s) ({', '.join(self.operands)}), all by position, but was "
                f"called with {len(operands)}"
            )
        return (*operands, *rest)

    def _static(self, params: dict[str, Any]) -> dict[str, Any]:
        """All parameters, which must be constants."""
        for name, value in params.items():
            if name in self.operands:
                raise StructureError(f"{self.name}: operand {name!r} was given by keyword; operands are positional")
            if name not in self._defaults and not self._any_params:
                raise StructureError(f"{self.name} has no parameter {name!r}; it has {sorted(self._defaults)}")
            if isinstance(value, Traced):
                raise StructureError(
                    f"{self.name}: parameter {name!r} is a traced value, but keyword arguments are static: nothing is "
                    "differentiated with respect to them. Make it an operand (positional)"
                )
            try:
                hash(value)
            except TypeError:
                raise StructureError(
                    f"{self.name}: parameter {name!r} of type {type(value).__name__} is not hashable. Keyword arguments "
                    "are static: pass a tuple instead of a list, and arrays as operands (positional)"
                ) from None
        params = {**self._defaults, **params}
        for name, value in params.items():
            if value is inspect.Parameter.empty:
                raise StructureError(f"{self.name}: the parameter {name!r} is missing")
        return params

    @staticmethod
    def _handed_over(x: Any) -> Any:
        """An operand as the function gets it: it must not write into what a tape keeps."""
        if isinstance(x, np.ndarray) and x.flags.writeable:
            x = x.view()
            x.flags.writeable = False
        return x

    def _evaluate(self, *operands: Any, **params: Any) -> Any:
        out = self.function(*map(self._handed_over, operands), **params)
        if self.nout is not None and self.nout > 1 and not (isinstance(out, tuple) and len(out) == self.nout):
            found = f"{len(out)}" if isinstance(out, tuple) else f"a {type(out).__name__}"
            raise StructureError(f"{self.name}: expected a tuple of {self.nout} results, found {found}")
        if isinstance(out, tuple):
            return tuple(self._result(y, operands) for y in out)
        return self._result(out, operands)

    def _result(self, y: Any, operands: tuple[Any, ...]) -> Any:
        if isinstance(y, Traced):
            raise TracedConversionError(
                f"{self.name} is called on plain arrays, but returned a traced value: it uses one from outside, whose "
                "derivative would be lost. Pass it as an operand"
            )
        if backend_for(y) is None:
            if not isinstance(y, (bool, int, float, complex)):
                raise StructureError(
                    f"{self.name} returned a {type(y).__name__}; expected an array, or a tuple of arrays for several"
                )
            return np.asarray(y)[()]
        if isinstance(y, np.ndarray) and any(isinstance(x, np.ndarray) and np.may_share_memory(x, y) for x in operands):
            return y.copy()  # what the tape keeps must not change with what the caller gets
        return y


def _parameters(function: Any) -> list[inspect.Parameter]:
    if isinstance(function, np.ufunc):  # newer versions of NumPy give them a signature, with all their options
        return [inspect.Parameter(f"x{k}", inspect.Parameter.POSITIONAL_ONLY) for k in range(function.nin)]
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # written in C
        operands = inspect.Parameter("operands", inspect.Parameter.VAR_POSITIONAL)
        return [operands, inspect.Parameter("params", inspect.Parameter.VAR_KEYWORD)]


def _call(body: Any, rule: Rule, own: int | None, xp: Any, g: Any, i: int, x: Any, *rest: Any, **params: Any) -> Any:
    """Sort the residuals: those that the engine wants, and by name those of the rule."""
    more = len(rest) - len(rule.names)
    kept = dict(zip(rule.names, rest[more:], strict=True))
    return body(xp, g, rule, i, x if own is not None else x[i], *rest[:more], kept, params)


@overload
def primitive(function: Callable[..., Any], /) -> UserPrimitive: ...
@overload
def primitive(
    *,
    name: str | None = None,
    elementwise: bool = False,
    linear: bool = False,
    batch: Callable[..., Any] | None = None,
    nout: int | None = None,
) -> Callable[[Callable[..., Any]], UserPrimitive]: ...


def primitive(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function of plain arrays a primitive, like those that tapeflow has.

    Parameters
    ----------
    function : callable
        ``function(*operands, **params)``. It is called on plain arrays (read-only) or numbers, never traced, and returns
        an array or a tuple of arrays. Positional arguments are operands; keyword-only ones are static parameters, which
        must be hashable.
    name : str, optional
        For messages; the function's own by default.
    elementwise : bool
        Whether each element of the result depends on one of each operand alone, with NumPy's broadcasting. Then `vmap`
        needs no rule, and a reverse rule may return the shape of the result.
    linear : bool
        Whether it is linear in all operands together. Then it is its own JVP.
    batch : callable, optional
        See `UserPrimitive.def_batch`.
    nout : int, optional
        The number of results, to be checked.

    Returns
    -------
    UserPrimitive
        To be called in place of the function. Its rules are given by ``.def_jvp``, ``.def_vjp`` and ``.def_batch``, each
        of which can be chained and used as a decorator.

    Raises
    ------
    StructureError
        When called: if operands or parameters do not fit.
    MissingRuleError
        When a derivative is asked for and there is a rule for neither mode.
    RuleError
        When a rule returned something of the wrong structure, shape or dtype.

    Notes
    -----
    One mode is enough. The other is derived by recording the rule and transposing it; if the rule cannot be recorded,
    since it calls foreign code, by calling it once for each entry of its input. Without a rule for batches `vmap` calls
    the function element by element and says so once.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import grad, jvp, primitive
    >>> @primitive
    ... def softplus(x, *, beta=1.0):
    ...     return np.log1p(np.exp(beta * x)) / beta
    >>> softplus.def_jvp(lambda xp, t, x, *, beta: t / (1 + xp.exp(-beta * x)))
    <primitive softplus>
    >>> grad(softplus)(0.0), jvp(softplus, (0.0,), (2.0,))[1]
    (np.float64(0.5), np.float64(1.0))
    """
    if function is None:
        return lambda function: UserPrimitive(function, **options)
    if not callable(function):
        raise TypeError(f"primitive: expected a function, found {function!r:.60}")
    return UserPrimitive(function, **options)
