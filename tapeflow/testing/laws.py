"""The laws that a primitive must obey, each on one call at one point.

A law takes the call and its arguments, and the name that messages use. An argument that is no floating-point array is
a parameter of the call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import plain
from tapeflow.errors import BatchLoopWarning
from tapeflow.recorders import ForwardAccumulator, GradientTape
from tapeflow.testing.derivative import Options, Problem, first_problem
from tapeflow.testing.failures import CheckFailure, number, report
from tapeflow.testing.flat import Arrays, Flat, direction, inner, place, unchanged
from tapeflow.testing.gradients import check_problem
from tapeflow.transforms import jvp, vjp, vmap

__all__ = [
    "LAWS",
    "law_adjoint",
    "law_batching",
    "law_jvp",
    "law_layout",
    "law_mutation",
    "law_precision",
    "law_primal",
    "law_second_order",
]

Call = Callable[..., Any]
NARROW = {"f": np.float32, "c": np.complex64}


def law_primal(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """The same value every time, on a tape and with tangents too: value, shape, dtype, kind of container."""
    __tracebackhide__ = True
    first, second = call(*args), call(*args)
    _same("primal: deterministic", name, second, first)
    flat = Flat(call, args)
    with GradientTape() as tape:
        recorded = flat.apply(tape.watch(flat.xs))
    _same("primal: the value on a tape", name, recorded, first, 1e-13)
    with ForwardAccumulator(flat.xs, tuple(np.ones_like(x) for x in flat.xs)) as accumulator:
        pushed = flat.apply(accumulator.primals)
    _same("primal: the value with tangents", name, pushed, first, 1e-13)


def law_jvp(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """Pushed tangents are difference quotients, of the shapes and dtypes of the values."""
    __tracebackhide__ = True
    problem, vs = _problem(call, args)
    with _named("jvp", name):
        check_problem(name, problem, 1, ("fwd",))
    _fit("jvp: tangents", name, problem.push(problem.xs, vs), problem.call(*problem.xs), problem.out_names)


def law_adjoint(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """Pulling back is the adjoint of pushing forward: <w, J v> = <J* w, v>, operand by operand."""
    __tracebackhide__ = True
    problem, vs = _problem(call, args)
    xs = problem.xs
    ws = _cotangents(problem)
    pulled = problem.pull(xs, ws)
    _fit("vjp: cotangents", name, pulled, xs, problem.names)
    for k, v in enumerate(vs):
        pushed = problem.push(xs, tuple(v if i == k else np.zeros_like(x) for i, x in enumerate(xs)))
        left, right = inner(ws, pushed), inner([v], [pulled[k]])
        size = _absolute(ws, pushed) + _absolute([v], [pulled[k]])
        if not abs(left - right) <= 1e-9 * (1 + size):
            rows = {"operand": problem.names[k], "<w, J v>": number(left), "<J* w, v>": number(right),
                    "tolerance": f"{1e-9 * (1 + size):.1e}"}  # fmt: skip
            entry = _worst_row(problem, pulled[k], k)
            _fail("vjp: the adjoint of the jvp", name, {**rows, **entry})


def law_second_order(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """The derivatives of gradients, forward over reverse and reverse over reverse, are difference quotients."""
    __tracebackhide__ = True
    problem, _ = _problem(call, args)
    with _named("second order", name):
        check_problem(name, problem.derived("rev"), 1, ("fwd", "rev"))


def law_precision(call: Call, args: Sequence[Any], name: str = "f", *, strict: bool = False) -> None:
    """Single precision stays single, in both modes; if `strict` of values too, or else they are as in a plain call."""
    __tracebackhide__ = True
    narrow = [_narrowed(a) for a in args]
    problem, vs = _problem(call, narrow)
    values = [np.asarray(y) for y in problem.call(*problem.xs)]
    _fit("precision: values", name, _values(problem), values, problem.out_names)
    for y, path in zip(values, problem.out_names, strict=True):
        if strict and np.finfo(y.dtype).eps < min(np.finfo(x.dtype).eps for x in problem.xs):
            _fail("precision: values", name, {"of": path, "dtype is": y.dtype, "operands are": problem.xs[0].dtype})
    with np.errstate(all="ignore"):
        _fit("precision: tangents", name, problem.push(problem.xs, vs), values, problem.out_names)
        _fit("precision: cotangents", name, problem.pull(problem.xs, _cotangents(problem)), problem.xs, problem.names)


def law_layout(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """Read-only operands in another order of memory, with gaps, give the same."""
    __tracebackhide__ = True
    problem, vs = _problem(call, args)
    ws = _cotangents(problem)
    strange = tuple(odd_layout(x) for x in problem.xs)
    _close("layout: values", name, _values(problem, strange), _values(problem), problem.out_names)
    _close("layout: tangents", name, problem.push(strange, vs), problem.push(problem.xs, vs), problem.out_names)
    _close("layout: cotangents", name, problem.pull(strange, ws), problem.pull(problem.xs, ws), problem.names)


def law_batching(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """A batch gives what a loop over its elements gives, for values, tangents and cotangents."""
    __tracebackhide__ = True
    problem, vs = _problem(call, args)
    ws = _cotangents(problem)
    with np.errstate(invalid="ignore"):  # complex infinities
        batch = tuple(np.stack([x, (x * 1.01).astype(x.dtype)]) for x in problem.xs)
    cases: list[tuple[str, Call, list[str]]] = [
        ("values", lambda *xs: tuple(problem.call(*xs)), problem.out_names),
        ("tangents", lambda *xs: tuple(jvp(problem.call, xs, vs)[1]), problem.out_names),
        ("cotangents", lambda *xs: _pulled(problem, xs, ws), problem.names),
    ]
    for what, function, names in cases:
        rows = [[np.asarray(y) for y in function(*(x[k] for x in batch))] for k in range(2)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BatchLoopWarning)
            got = vmap(function)(*batch)
        _close(f"batching: {what}", name, got, [np.stack(parts) for parts in zip(*rows, strict=True)], names)


def law_mutation(call: Call, args: Sequence[Any], name: str = "f") -> None:
    """Neither operands nor tangents nor cotangents are written into, also not by a rule where the next one sees it."""
    __tracebackhide__ = True
    problem, vs = _problem(call, args)
    xs, ws = problem.xs, _cotangents(problem)
    arrays = {"operand": xs, "tangent of": vs, "cotangent of": ws}
    before = {what: [a.copy() for a in held] for what, held in arrays.items()}
    call(*args)
    problem.push(xs, vs)
    pulled = _pulled(problem, xs, ws)
    for what, held in arrays.items():
        names = problem.out_names if what == "cotangent of" else problem.names
        for k in unchanged(before[what], held):
            entry = int(np.argmax(np.ravel(before[what][k] != held[k])))
            rows = {what: names[k], **_entry(held[k], before[what][k], entry)}
            _fail("mutation: arrays that were passed in stay as they are", name, rows)
    if len(xs) > 1:
        for k, alone in enumerate(_each_alone(problem, ws)):
            _close(
                "mutation: cotangents of all operands as of each alone", name, [pulled[k]], [alone], [problem.names[k]]
            )


LAWS: dict[str, Callable[..., None]] = {
    "primal": law_primal,
    "mutation": law_mutation,
    "jvp": law_jvp,
    "vjp": law_adjoint,
    "second": law_second_order,
    "dtype": law_precision,
    "layout": law_layout,
    "batch": law_batching,
}


# ---- what they are made of


def _problem(call: Call, args: Sequence[Any]) -> tuple[Problem, Arrays]:
    """The call at a point, and a direction in all of its operands."""
    flat = Flat(call, args)
    problem = first_problem(flat, np.random.default_rng(1), Options(), widen=False)
    return problem, tuple(direction(x, problem.rng) for x in problem.xs)


def _cotangents(problem: Problem) -> Arrays:
    rng = np.random.default_rng(2)
    return tuple(direction(np.ones_like(y), rng) for y in problem.values)


def _values(problem: Problem, xs: Arrays | None = None) -> list[Any]:
    with GradientTape() as tape:
        return [plain(y) for y in problem.call(*tape.watch(problem.xs if xs is None else xs))]


def _pulled(problem: Problem, xs: Any, ws: Arrays) -> Arrays:
    return tuple(vjp(problem.call, *xs)[1](ws))


def _each_alone(problem: Problem, ws: Arrays) -> list[Any]:
    """Cotangents by a sweep for each operand, in which no other operand's rule has a part."""
    with GradientTape(persistent=True) as tape:
        watched = tape.watch(problem.xs)
        ys = problem.call(*watched)
    known = [(y, w) for y, w in zip(ys, ws, strict=True) if isinstance(y, Traced)]
    seeds = [w for _, w in known]
    return [tape.gradient([y for y, _ in known], x, seeds, unconnected_gradients="zero") for x in watched]


def _narrowed(a: Any) -> Any:
    if not hasattr(a, "dtype"):
        return a
    return a.astype(NARROW[a.dtype.kind]) if a.dtype.kind in NARROW else a


def odd_layout(a: Any) -> Any:
    """The same values, read-only, in Fortran order and with gaps."""
    if a.ndim == 0:
        return np.array(a)
    wide = np.zeros([2 * n for n in a.shape], a.dtype, order="F")
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    view.flags.writeable = False
    return view


def _absolute(a: Sequence[Any], b: Sequence[Any]) -> float:
    return float(sum((np.sum(np.abs(p * q)) for p, q in zip(a, b, strict=True)), np.float64(0)))


def _worst_row(problem: Problem, pulled: Any, k: int) -> dict[str, str]:
    """The entry of an operand at which pushing and pulling differ most."""
    ws = _cotangents(problem)
    pushed = np.zeros(pulled.size)
    for i in range(min(pulled.size, 256)):  # columns of the Jacobian, of an operand that may be large
        unit = np.zeros(pulled.size, pulled.dtype)
        unit[i] = 1
        vs = tuple(unit.reshape(x.shape) if j == k else np.zeros_like(x) for j, x in enumerate(problem.xs))
        pushed[i] = inner(ws, problem.push(problem.xs, vs))
    gap = np.abs(np.real(np.ravel(pulled)) - pushed)[:256]
    entry = int(np.argmax(gap))
    return {"entry": str(place(pulled, entry)), "by jvp": number(pushed[entry]),
            "by vjp": number(np.real(np.ravel(pulled))[entry])}  # fmt: skip


def _entry(got: Any, want: Any, entry: int) -> dict[str, str]:
    return {
        "entry": str(place(want, entry)),
        "got": number(np.ravel(got)[entry]),
        "expected": number(np.ravel(want)[entry]),
    }


# ---- comparisons


@contextmanager
def _named(law: str, name: str) -> Iterator[None]:
    """A failed comparison with differences as a failed law."""
    __tracebackhide__ = True
    try:
        yield
    except CheckFailure as failure:
        text = str(failure).removeprefix(f"check_grads: {name}: ")
        raise CheckFailure(f"{name} breaks the law of {law}: {text}", **{**failure.details, "law": law}) from None


def _fail(law: str, name: str, rows: dict[str, Any]) -> None:
    __tracebackhide__ = True
    raise CheckFailure(report(f"{name} breaks the law of {law}", rows), law=law, **rows)


def _same(law: str, name: str, got: Any, want: Any, rtol: float = 0.0) -> None:
    """Whole results, with whatever they hold beside arrays."""
    __tracebackhide__ = True
    got_parts, parts = (list(p) if isinstance(p, (tuple, list)) else [p] for p in (got, want))
    if isinstance(want, (tuple, list)) and type(got) is not type(want):
        _fail(law, name, {"got": type(got).__name__, "expected": type(want).__name__})
    names = [f"out[{k}]" for k in range(len(parts))] if isinstance(want, (tuple, list)) else ["out"]
    if len(got_parts) != len(parts):
        _fail(law, name, {"got": f"{len(got_parts)} results", "expected": f"{len(parts)} results"})
    arrays = [np.asarray(plain(p)) for p in got_parts]
    wanted = [np.asarray(p) for p in parts]
    _fit(law, name, arrays, wanted, names)
    _close(law, name, arrays, wanted, names, rtol, rtol / 10)


def _fit(law: str, name: str, got: Sequence[Any], want: Sequence[Any], names: Sequence[str]) -> None:
    """Shapes and dtypes."""
    __tracebackhide__ = True
    for g, w, path in zip(got, want, names, strict=True):
        for what in ("shape", "dtype"):
            have, expected = getattr(np.asarray(g), what), getattr(w, what)
            if have != expected:
                _fail(law, name, {"of": path, f"{what} is": have, "should be": expected})


def _close(
    law: str, name: str, got: Sequence[Any], want: Sequence[Any], names: Sequence[str],
    rtol: float = 1e-9, atol: float = 1e-10,
) -> None:  # fmt: skip
    """Values."""
    __tracebackhide__ = True
    _fit(law, name, got, want, names)
    for g, w, path in zip(map(np.asarray, got), map(np.asarray, want), names, strict=True):
        ok = np.isclose(g, w, rtol, atol, equal_nan=True) if w.dtype.kind in "fc" else np.asarray(g == w)
        if not np.all(ok):
            _fail(law, name, {"of": path, **_entry(g, w, int(np.argmin(np.ravel(ok)))), "tolerance": f"{rtol:.0e}"})
