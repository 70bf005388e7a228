"""Black boxes made differentiable: foreign code with rules of any kind, or with finite differences."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.core.batch import spread
from tapeflow.core.primitive import Rule
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError, NotDifferentiableError, RuleError
from tapeflow.recorders.results import conjugate
from tapeflow.transforms.custom.checks import as_outputs, fitted, meta
from tapeflow.transforms.custom.differences import central, complex_step
from tapeflow.transforms.custom.graft import Once, raw
from tapeflow.transforms.custom.opaque import attempted, opaque
from tapeflow.transforms.custom.primitive import UserPrimitive
from tapeflow.transforms.custom.transpose import transposed

__all__ = ["Wrapped", "wrap"]

METHODS = ("central", "complex-step")


class Wrapped(UserPrimitive):
    """A black box with a derivative; made by `wrap`, which see."""

    def __init__(self, function: Callable[..., Any], rules: dict[str, Any], lead: int = 0) -> None:
        self._rules = rules
        self._lead = lead  # axes in front, of batches
        super().__init__(function, rules["name"])
        self.push = self._push_all
        self.vjps = (Rule(self._pull_one, ("i", "xs", "y")),)
        self.batch = self._whole_batch if rules["batched"] else None
        self._once = Once()

    def _read_signature(self) -> None:
        self.operands: list[str] = []
        self._operand_defaults: list[Any] = []
        self._defaults: dict[str, Any] = {}
        self.variadic = self._any_params = True

    def __repr__(self) -> str:
        given = [k for k in ("vjp", "jvp", "jac") if self._rules[k] is not None]
        if self._rules["fd"]:
            step = "" if self._rules["step"] is None else f", step={self._rules['step']}"
            return f"<wrapped {self.name}, differentiated by finite differences ({self._rules['fd']}{step})>"
        return f"<wrapped {self.name}, differentiated by {' and '.join(given) or 'nothing'}>"

    def _define(self, mode: str, rules: Any) -> Any:
        raise TypeError(f"{self.name} is wrapped; give its rules to wrap(...), or declare a primitive")

    @staticmethod
    def _handed_over(x: Any) -> Any:
        return np.array(x) if isinstance(x, np.ndarray) else x  # foreign code may well write into it

    def _result(self, y: Any, operands: tuple[Any, ...]) -> Any:
        y = super()._result(y, operands)
        return np.array(y)[()] if isinstance(y, np.ndarray) else y  # it may be a buffer that the next call fills

    @functools.cached_property
    def _stacked(self) -> Wrapped:
        return Wrapped(self.function, self._rules, self._lead + 1)

    def _whole_batch(self, primitive: Any, values: Sequence[Any], batched: Sequence[bool], params: Any) -> Any:
        size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
        whole = (v if b else spread(v, size) for v, b in zip(values, batched, strict=True))
        return self._stacked(*whole, **params)

    # ---- the two modes

    def _pull_one(self, xp: Any, g: Any, i: int, xs: Any, y: Any, *, level: int, **params: Any) -> Any:
        xs = [x if hasattr(x, "shape") else np.asarray(x)[()] for x in xs]
        gs, ys = _listed(g), _listed(y)
        if self._rules["vjp"] is not None:
            # Whatever the level, all operands of one call share the array of its result.
            asked = (g, raw(ys[0]), level)
            return self._once(asked, i, lambda: self._called_vjp(gs, y, xs, params))
        if self._rules["jac"] is not None:
            asked = (g, raw(ys[0]), level)
            return self._once(asked, i, lambda: self._by_jacobian(xs, ys, params).pull(gs))
        if self._rules["jvp"] is not None:
            return transposed(xp, lambda t: self._called_jvp(i, t, xs, ys, params), [meta(xs[i])], gs, self.name)[0]
        return self._differences(xs, ys, params).pull(gs, i)

    def _push_all(self, primals: list[Any], tangents: list[Any], out: Any, params: dict[str, Any]) -> Any:
        params = {k: v for k, v in params.items() if k != "level"}
        if all(t is None for t in tangents):
            return None
        xs = [x if hasattr(x, "shape") else np.asarray(x)[()] for x in primals]
        ys = _listed(out)
        shares = self._pushed(xs, tangents, out, ys, params)
        return tuple(shares) if isinstance(out, tuple) else shares[0]

    def _pushed(self, xs: list[Any], ts: list[Any], y: Any, ys: list[Any], params: dict[str, Any]) -> list[Any]:
        if self._rules["jvp"] is not None:
            return self._checked_jvp(_zeros_for_missing(ts, xs), xs, ys, params)
        if self._rules["jac"] is not None:
            return self._by_jacobian(xs, ys, params).push(ts)
        if self._rules["vjp"] is not None:

            def apply(*gs: Any) -> list[Any]:
                return self._called_vjp(list(gs), y, xs, params)

            remedy = "Give a forward rule as well, by jvp=..."
            return transposed(np, apply, [meta(v) for v in ys], ts, self.name, remedy=remedy)
        return self._differences(xs, ys, params).push(ts)

    # ---- rules that were given

    def _call(self, which: str, xs: Sequence[Any], *args: Any, **params: Any) -> Any:
        return self._rules[which](*args, *map(self._handed_over, xs), **params)

    def _called_vjp(self, gs: list[Any], y: Any, xs: list[Any], params: dict[str, Any]) -> list[Any]:
        """Conjugated at both ends: for the rule a gradient is the direction of steepest ascent."""
        what = f"the vjp of {self.name}"
        floating = [k for k, x in enumerate(xs) if x.dtype.kind in "fc"]

        def call(us: list[Any], y: Any, xs: list[Any]) -> list[Any]:
            found = self._call("vjp", xs, tuple(us) if isinstance(y, tuple) else us[0], y, **params)
            shares = _for_each(found, len(xs), what, "argument")
            return [_or_zeros(fitted(shares[k], *meta(xs[k]), f"{what}, argument {k}"), xs[k]) for k in floating]

        found = dict(zip(floating, attempted(what, call, [conjugate(g) for g in gs], y, xs), strict=True))
        return [conjugate(found.get(k)) for k in range(len(xs))]

    def _checked_jvp(self, ts: Sequence[Any], xs: list[Any], ys: list[Any], params: dict[str, Any]) -> list[Any]:
        what = f"the jvp of {self.name}"

        def call(ts: Sequence[Any], xs: list[Any], ys: list[Any]) -> list[Any]:
            found = self._call("jvp", xs, tuple(ts), **params)
            outs = as_outputs(found, len(ys), len(ys) == 1 and not isinstance(found, tuple), what)
            return [
                _or_zeros(fitted(c, *meta(y), what) if y.dtype.kind in "fc" else None, y)
                for c, y in zip(outs, ys, strict=True)
            ]

        return [
            c if y.dtype.kind in "fc" else None
            for c, y in zip(attempted(what, call, list(ts), xs, ys), ys, strict=True)
        ]

    def _called_jvp(self, i: int, t: Any, xs: list[Any], ys: list[Any], params: dict[str, Any]) -> list[Any]:
        ts = _zeros_for_missing([t if k == i else None for k in range(len(xs))], xs)
        return self._checked_jvp(ts, xs, ys, params)

    def _by_jacobian(self, xs: list[Any], ys: list[Any], params: dict[str, Any]) -> _Jacobian:
        floating = [k for k, x in enumerate(xs) if x.dtype.kind in "fc"]
        if any(xs[k].dtype.kind == "c" for k in floating) and any(y.dtype.kind != "c" for y in ys):
            raise NotDifferentiableError(
                f"{self.name}: a real result of complex arguments has no Jacobian by multiplication; give wrap(...) "
                "vjp= or jvp= instead of jac="
            )

        def call(nothing: Any, xs: list[Any], ys: list[Any]) -> list[Any]:
            return [j for row in self._blocks(self._call("jac", xs, **params), xs, ys) for j in row]

        found = iter(attempted(f"the jac of {self.name}", call, (), xs, ys))
        rows = [[next(found) for _ in floating] for _ in ys]
        blocks: dict[int, dict[complex, list[Any]]]
        blocks = {k: {1: [row[n] for row in rows]} for n, k in enumerate(floating)}
        return _Jacobian(xs, ys, self._lead, lambda i: blocks.get(i, {}))

    def _blocks(self, found: Any, xs: list[Any], ys: list[Any]) -> list[list[Any]]:
        """The Jacobians, a row for each result, with one axis for the entries of an argument."""
        what = f"the jac of {self.name}"
        nested = isinstance(found, tuple) and len(found) == 1 and isinstance(found[0], tuple) and len(xs) > 1
        rows = [found] if len(ys) == 1 and not nested else _for_each(found, len(ys), what, "result")
        return [
            [
                self._block(j, x, y, f"{what}, argument {k}")
                for k, (j, x) in enumerate(zip(_for_each(row, len(xs), what, "argument"), xs, strict=True))
                if x.dtype.kind in "fc"
            ]
            for row, y in zip(rows, ys, strict=True)
        ]

    def _block(self, j: Any, x: Any, y: Any, what: str) -> Any:
        inner = x.shape[self._lead :]
        j = fitted(j, (*y.shape, *inner), np.result_type(x.dtype, y.dtype), what)
        shape = (*y.shape, math.prod(inner))
        return np.zeros(shape, y.dtype) if j is None else np.reshape(j, shape)

    # ---- finite differences

    def _differences(self, xs: list[Any], ys: list[Any], params: dict[str, Any]) -> _Jacobian:
        method = self._rules["fd"]
        if not method:
            raise MissingRuleError(
                f"{self.name} was wrapped without a derivative; give wrap(...) one of vjp=, jvp=, jac=, or fd=True for "
                "finite differences"
            )
        what = f"the derivative of {self.name} by finite differences (fd={method!r})"
        why = "differences of differences are inaccurate"

        def blocks(i: int) -> dict[complex, list[Any]]:
            units: tuple[complex, ...] = (1, 1j) if xs[i].dtype.kind == "c" else (1,)
            call = functools.partial(self._quotients, i, params)
            return {u: list(opaque(what, why, functools.partial(call, u), (), xs, ys)) for u in units}

        def direct(ts: Sequence[Any]) -> list[Any]:
            return self._quotient(xs, ys, ts, params)

        traced = any(isinstance(v, Tracer) for v in xs)
        return _Jacobian(xs, ys, self._lead, blocks, None if traced else direct)

    def _quotient(self, xs: Sequence[Any], ys: Sequence[Any], ts: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        quotients = central if self._rules["fd"] == "central" else complex_step
        found = quotients(self._plainly(params), xs, ts, ys, self._rules["step"], self.name)
        return [d.astype(y.dtype) if y.dtype.kind in "fc" else np.zeros_like(y) for d, y in zip(found, ys, strict=True)]

    def _quotients(
        self, i: int, params: dict[str, Any], unit: complex, nothing: Any, xs: list[Any], ys: list[Any]
    ) -> list[Any]:
        """Columns of the Jacobians of all results: quotients in the direction of each entry of an operand."""
        x = xs[i]
        size = math.prod(x.shape[self._lead :])
        columns = []
        for k in range(size):
            t = np.zeros((*x.shape[: self._lead], size), x.dtype)
            t[..., k] = unit
            ts = [t.reshape(x.shape) if n == i else None for n in range(len(xs))]
            columns.append(self._quotient(xs, ys, ts, params))
        if not columns:
            return [np.zeros((*y.shape, 0), y.dtype) for y in ys]
        return [np.stack(parts, -1) for parts in zip(*columns, strict=True)]

    def _plainly(self, params: dict[str, Any]) -> Callable[..., list[Any]]:
        return lambda *xs: _listed(self._evaluate(*xs, **params))


class _Jacobian:
    """A Jacobian by its columns.

    For each operand and each unit (1, for difference quotients of complex operands also 1j) there is a block for each
    result, of the shape of the result and one axis more for the entries of the operand behind the axes of batches.
    """

    def __init__(
        self,
        xs: list[Any],
        ys: list[Any],
        lead: int,
        blocks: Callable[[int], dict[complex, list[Any]]],
        direct: Callable[..., list[Any]] | None = None,
    ) -> None:
        self._xs, self._ys, self._lead = xs, ys, lead
        self._of = functools.cache(blocks)
        self._direct = direct  # the product with tangents, by a shorter way

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """Tangents of the results."""
        if self._direct is not None and not any(isinstance(t, Tracer) for t in tangents):
            return self._direct(tangents)
        total: list[Any] = [None] * len(self._ys)
        for i, t in enumerate(tangents):
            if t is not None:
                for unit, blocks in self._of(i).items():
                    part = t if len(self._of(i)) == 1 else np.real(t) if unit == 1 else np.imag(t)
                    shares = [
                        b if b is None else self._times(b, part, y) for b, y in zip(blocks, self._ys, strict=True)
                    ]
                    total = [s if c is None else c if s is None else c + s for s, c in zip(shares, total, strict=True)]
        return total

    def _times(self, block: Any, t: Any, y: Any) -> Any:
        """Sum over the entries of the operand."""
        lead = y.shape[: self._lead]
        between = len(y.shape) - self._lead
        return np.sum(block * np.reshape(t, (*lead, *(1,) * between, block.shape[-1])), axis=-1)

    def _against(self, blocks: list[Any], cotangents: Sequence[Any]) -> Any:
        """Sum over the entries of the results."""
        return sum(
            np.sum(block * np.reshape(g, (*g.shape, 1)), axis=tuple(range(self._lead, len(g.shape))))
            for block, g, y in zip(blocks, cotangents, self._ys, strict=True)
            if y.dtype.kind in "fc"
        )

    def pull(self, cotangents: Sequence[Any], i: int | None = None) -> Any:
        """Contributions to all operands, or to one."""
        if i is None:
            return [self.pull(cotangents, k) for k in range(len(self._xs))]
        x = self._xs[i]
        sums = [self._against(blocks, cotangents) for blocks in self._of(i).values()]
        if not sums:
            return None
        whole = sums[0] if len(sums) == 1 else np.real(sums[0]) - 1j * np.real(sums[1])
        return np.reshape(np.real(whole) if x.dtype.kind != "c" else whole, x.shape)


# ---- small things


def _listed(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple) else [y]


def _zeros_for_missing(ts: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
    """Zero tangents for operands that do not move, ``None`` for those that cannot."""
    return [
        t if t is not None else np.zeros(*meta(x)) if x.dtype.kind in "fc" else None
        for t, x in zip(ts, xs, strict=True)
    ]


def _or_zeros(c: Any, x: Any) -> Any:
    return np.zeros(*meta(x)) if c is None else c


def _for_each(found: Any, count: int, what: str, of: str) -> list[Any]:
    """What a rule returned for each of several things; for a single one it need not be a tuple."""
    if not isinstance(found, (tuple, list)) or (count == 1 and isinstance(found, list)):
        found = (found,)
    if len(found) != count:
        raise RuleError(f"{what}: expected a tuple of {count}, one for each {of}, found {len(found)}")
    return list(found)


def wrap(
    f: Callable[..., Any],
    *,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    jac: Callable[..., Any] | None = None,
    fd: bool | str = False,
    step: float | None = None,
    batched: bool = False,
    name: str | None = None,
) -> Wrapped:
    """Make a black box differentiable: code behind `ctypes`, Fortran, a subprocess.

    Parameters
    ----------
    f : callable
        ``f(*args, **options)`` of plain arrays (copies, which it may write into) or numbers; returns an array or a tuple of
        arrays. Keyword arguments are constants, must be hashable, and are passed to the rules as well. Integer arguments
        are constants, too.
    vjp : callable, optional
        ``vjp(g, y, *args)``, with the result ``y`` and its cotangent ``g`` (tuples for several results); returns a tuple
        with the gradient of each argument, ``None`` for zero; for one argument the gradient alone will do. For complex
        values the convention is that of `GradientTape`.
    jvp : callable, optional
        ``jvp(tangents, *args)``, with a tuple of tangents (``None`` for integers); returns the tangent of the result.
    jac : callable, optional
        ``jac(*args)`` returns the dense Jacobian, of shape ``y.shape + x.shape``; for several arguments a tuple with one
        for each, ``None`` for those that have none; for several results a tuple of those.
    fd : {False, True, "central", "complex-step"}
        Finite differences: central ones, with ``True`` as well, or the complex step, for an `f` that takes complex arrays
        and is analytic. A forward derivative takes two evaluations, or one; a reverse derivative as many for each entry
        of each argument.
    step : float, optional
        For `fd`: the step, relative to ``max(1, abs(x))``; by default the cube root of the machine epsilon, and 1e-20 for
        the complex step.
    batched : bool
        Whether `f` and the rules take arrays with further axes in front, so that `vmap` calls them once. (A `jac` then
        returns these axes once, in front.)
    name : str, optional
        For messages.

    Returns
    -------
    Wrapped
        To be called in place of `f`, with arrays and numbers by position.

    Raises
    ------
    ValueError
        If `fd` is none of its choices, or is given together with a rule.
    MissingRuleError, RuleError, NotDifferentiableError
        When a derivative is asked for: if there is none, if a rule returned something of another shape or dtype, if a
        second derivative needs that of a rule which is foreign code itself or of finite differences.

    Notes
    -----
    Any one of the rules serves both modes. A `vjp` serves forward mode by transposition: if it is foreign code, by a call
    for each entry of the result; likewise a `jvp` reverse mode, by one for each entry of the argument. Rules that are
    NumPy code have derivatives of every order. Finite differences are never taken unless asked for: their error is
    about 1e-10 of the values in double precision, that of the complex step is rounding alone.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from tapeflow import grad, wrap
    >>> gamma = wrap(math.lgamma, fd=True)
    >>> round(float(grad(gamma)(3.0)), 6)
    0.922784
    >>> norm = wrap(lambda x: math.hypot(*x), jac=lambda x: x / np.sqrt(np.sum(x * x)), name="norm")
    >>> grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    >>> norm
    <wrapped norm, differentiated by jac>
    """
    given = {"vjp": vjp, "jvp": jvp, "jac": jac}
    for which, rule in {"f": f, **given}.items():
        if not callable(rule) and (rule is not None or which == "f"):
            raise TypeError(f"wrap: {which} must be a function, found {rule!r:.60}")
    method = "central" if fd is True else fd
    if method is not False and method not in METHODS:
        raise ValueError(f"wrap: fd={fd!r}; expected True, 'central', 'complex-step' or False")
    if method and any(given.values()):
        both = ", ".join(k + "=" for k, r in given.items() if r is not None)
        raise ValueError(f"wrap: fd={fd!r} together with {both}; finite differences are for functions without a rule")
    if step is not None and not (method and step > 0):
        raise ValueError(f"wrap: step={step!r}; expected a positive number, together with fd")
    return Wrapped(f, {**given, "fd": method, "step": step, "batched": batched, "name": name})
