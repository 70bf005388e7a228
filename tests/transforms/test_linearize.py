"""Linear maps out of functions: a replay does what `jvp` does, for every function of the table of cases."""

from __future__ import annotations

import gc
import importlib
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeflow import (
    ForwardAccumulator,
    GradientTape,
    Variable,
    gauss_newton_product,
    grad,
    hvp,
    jacobian,
    jvp,
    linear_transpose,
    linearize,
    vjp,
    vmap,
)
from tapeflow.core.rules import general
from tapeflow.errors import (
    MissingRuleError,
    NotDifferentiableError,
    SeedError,
    StructureError,
    TapeStateError,
    TargetError,
    TracedConversionError,
)

for _file in sorted((Path(__file__).parent.parent / "ops").glob("cases_*.py")):
    importlib.import_module(_file.stem)

X = np.array([1.5, 2.0, -0.5])
T = np.array([0.5, -1.0, 2.0])


@dataclass
class Model:
    w: Any
    b: Any


# ---- the law


def leaves(out: Any) -> list[Any]:
    """Differentiable outputs, in order."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [p for p in parts if (p if hasattr(p, "dtype") else np.asarray(p)).dtype.kind in "fc"]


def direction(args: tuple[np.ndarray, ...], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    out = []
    for a in args:
        d = rng.normal(size=a.shape)
        out.append((d + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else d).astype(a.dtype))
    return out


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(np.asarray(a)) * np.asarray(b))))


def push(case: Case, args: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    with ForwardAccumulator(tuple(args), tuple(tangents)) as acc:
        outs = leaves(case.call(*acc.primals))
        return outs, [np.asarray(acc.jvp(y, "zero")) for y in outs]


def pull(case: Case, args: Any, cotangents: Any) -> list[np.ndarray]:
    with GradientTape() as tape:
        x = tape.watch(tuple(args))
        outs = leaves(case.call(*x))
    known = [(y, g) for y, g in zip(outs, cotangents, strict=True) if hasattr(y, "numpy")]
    return list(tape.gradient([y for y, _ in known], x, [g for _, g in known], "zero"))


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in CASES if "jvp" not in c.skip])
def test_a_replay_is_the_jvp_and_its_transpose_the_vjp(case: Case) -> None:
    args = case.args()
    outs, f_jvp = linearize(lambda *a: leaves(case.call(*a)), *args)
    for seed in (1, 2):
        tangents = direction(args, seed)
        primal, want = push(case, args, tangents)
        got = f_jvp(*tangents)
        for y, p, g, w in zip(outs, primal, got, want, strict=True):
            np.testing.assert_array_equal(np.asarray(y), p.numpy() if hasattr(p, "numpy") else p)
            assert g.shape == w.shape
            assert g.dtype == w.dtype
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-13)
    if "vjp" not in case.skip:
        ct = direction(tuple(np.asarray(w) for w in want), 3)
        _, pullback = vjp(f_jvp, *tangents)
        for g, w in zip(pullback(ct), pull(case, args, ct), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)


# ---- shapes, structures, dtypes


def test_value_and_derivative() -> None:
    value, f_jvp = linearize(np.multiply, 2.0, 5.0)
    assert value == 10.0
    assert type(value) is np.float64
    assert f_jvp(1.0, 0.0) == 5.0
    assert type(f_jvp(1.0, 0.0)) is np.float64
    assert f_jvp(0.0, 1.0) == 2.0
    assert f_jvp(None, 1.0) == 2.0


def test_trees_on_both_sides() -> None:
    def fun(params: Any, x: Any) -> Any:
        return {"y": x @ params["m"].w + params["m"].b, "rest": [np.sum(x), np.ones(2)]}

    params = {"m": Model(np.arange(6.0).reshape(3, 2), np.zeros(2))}
    direction = {"m": Model(np.ones((3, 2)), np.array([1.0, 2.0]))}
    value, f_jvp = linearize(fun, params, X)
    got = f_jvp(direction, T)
    want_value, want = jvp(fun, (params, X), (direction, T))
    np.testing.assert_array_equal(value["y"], want_value["y"])
    np.testing.assert_allclose(got["y"], want["y"])
    assert got["rest"][0] == np.sum(T)
    np.testing.assert_array_equal(got["rest"][1], np.zeros(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 2), (0, 4)])
def test_dtypes_and_shapes_are_kept(dtype: Any, shape: Any) -> None:
    x = np.full(shape, 0.5, dtype)
    value, f_jvp = linearize(lambda x: (np.sin(x) * 2, np.sum(x), np.abs(x)), x)
    got = f_jvp(np.ones(shape))
    for y, t in zip(value, got, strict=True):
        assert (t.shape, t.dtype) == (y.shape, y.dtype)
    np.testing.assert_allclose(got[0], 2 * np.cos(x), rtol=1e-6)


def test_auxiliary_output() -> None:
    value, f_jvp, aux = linearize(lambda x: (x**2, {"seen": x + 1, "n": 3}), X, has_aux=True)
    np.testing.assert_array_equal(value, X**2)
    np.testing.assert_array_equal(f_jvp(T), 2 * X * T)
    assert isinstance(aux["seen"], np.ndarray)
    assert aux["n"] == 3
    with pytest.raises(TypeError, match="has_aux=True: <lambda> must return a pair"):
        linearize(lambda x: x, X, has_aux=True)


def test_static_leaves_stay() -> None:
    fun = lambda p: {"y": p["f"](p["w"]), "name": p["name"]}  # noqa: E731
    p = {"w": X, "f": np.sin, "name": "text"}
    value, f_jvp = linearize(fun, p)
    assert value["name"] == "text"
    out = f_jvp({"w": T, "f": None, "name": "text"})
    assert out["name"] == "text"
    np.testing.assert_allclose(out["y"], np.cos(X) * T)
    assert repr(f_jvp) == "<derivative of <lambda>: 3 elements to 3>"
    transposed = linear_transpose(lambda p: p["w"] * 2, p)
    np.testing.assert_array_equal(transposed(T)[0]["w"], 2 * T)


def test_variables() -> None:
    v = Variable(X)
    value, f_jvp = linearize(lambda x: np.sin(x) * v, v)
    np.testing.assert_array_equal(value, np.sin(X) * X)
    np.testing.assert_allclose(f_jvp(T), np.cos(X) * X * T)


def test_results_that_do_not_depend_on_the_primals_and_numbers() -> None:
    value, f_jvp = linearize(lambda x: (np.ones((2, 2)), 3.0, x), X)
    assert value[1] == 3.0
    a, b, _ = f_jvp(T)
    np.testing.assert_array_equal(a, np.zeros((2, 2)))
    assert b == 0.0


def test_no_arguments() -> None:
    value, f_jvp = linearize(lambda: np.ones(2))
    np.testing.assert_array_equal(value, np.ones(2))
    np.testing.assert_array_equal(f_jvp(), np.zeros(2))


def test_the_function_is_evaluated_once() -> None:
    calls = []

    def fun(x: Any) -> Any:
        calls.append(1)
        return np.sin(x) ** 2

    _, f_jvp = linearize(fun, X)
    first = f_jvp(T)
    np.testing.assert_array_equal(f_jvp(T), first)
    np.testing.assert_allclose(f_jvp(2 * T), 2 * first)
    assert len(calls) == 1


# ---- nesting, both orders


def test_derivatives_of_the_linear_function() -> None:
    fun = lambda x: np.stack([x[0] * x[1], np.sum(np.exp(x))])  # noqa: E731
    _, f_jvp = linearize(fun, X)
    np.testing.assert_allclose(jacobian(f_jvp)(T), jacobian(fun)(X))
    np.testing.assert_allclose(jvp(f_jvp, (T,), (X,))[1], f_jvp(X))
    np.testing.assert_allclose(vmap(f_jvp, out_axes=1)(np.eye(3)), jacobian(fun)(X))
    _, again = linearize(f_jvp, T)
    np.testing.assert_allclose(again(X), f_jvp(X))


def test_derivatives_with_respect_to_the_point() -> None:
    fun = lambda x: np.sum(x**3) * x[0]  # noqa: E731
    along = lambda x: linearize(fun, x)[1](T)  # noqa: E731
    np.testing.assert_allclose(grad(along)(X), hvp(fun, (X,), (T,)))
    np.testing.assert_allclose(jvp(along, (X,), (T,))[1], T @ hvp(fun, (X,), (T,)))
    np.testing.assert_allclose(linearize(along, X)[1](X), X @ hvp(fun, (X,), (T,)))
    value, f_jvp = linearize(grad(fun), X)
    np.testing.assert_allclose(value, grad(fun)(X))
    np.testing.assert_allclose(f_jvp(T), hvp(fun, (X,), (T,)))


def test_in_a_batch_and_around_one() -> None:
    fun = lambda x: np.sum(x**3) * x  # noqa: E731
    points = np.stack([X, T, X * T])
    got = vmap(lambda x, t: linearize(fun, x)[1](t))(points, points[::-1])
    want = [jvp(fun, (x,), (t,))[1] for x, t in zip(points, points[::-1], strict=True)]
    np.testing.assert_allclose(got, want)
    _, f_jvp = linearize(vmap(fun), points)
    np.testing.assert_allclose(f_jvp(points[::-1]), want)
    per_example = vmap(lambda w, x: linearize(lambda w: np.tanh(w @ x), w)[1](T), in_axes=(None, 0))
    np.testing.assert_allclose(per_example(X, points), [(1 - np.tanh(X @ x) ** 2) * (T @ x) for x in points])


def test_the_same_value_twice_inside_another_derivative() -> None:
    assert grad(lambda x: linearize(np.multiply, x, x)[1](1.0, 1.0))(3.0) == 2.0


def test_a_constant_of_an_outer_derivative_that_is_written_to_later() -> None:
    def fun(a: Any) -> Any:
        a = a * 1.0
        _, f_jvp = linearize(lambda x: x * a, X)
        a[0] = 100.0
        return np.sum(f_jvp(T))

    np.testing.assert_array_equal(grad(fun)(X), T)


# ---- writes in place


def filled(x: Any) -> Any:
    y = np.zeros_like(x)
    for k in range(x.shape[0]):
        y[k] = x[k] * x[-1] + (y[k - 1] if k else 0)
    return y


def through_views(x: Any) -> Any:
    a = np.stack([x, np.sin(x)])
    flat = a.reshape(-1)
    column = a.T[1]
    flat[1:3] += x[0]
    before = np.sum(a**2)
    column *= x[2]
    a[[0, 0], [0, 2]] = x[:2] * 3
    flat[0] = 2.0
    return before, a, flat, column


def with_masks(x: Any) -> Any:
    y = np.exp(x)
    y[x > 0] *= 3
    np.add.at(y, [0, 0, 1], x)
    z = np.zeros_like(x)
    z[...] = y
    np.negative(y, out=z)
    return y, z


def real_and_imaginary(x: Any) -> Any:
    z = x + 1j * np.sin(x)
    z.real = x**2
    z.imag[0] = x[1]
    return z


@pytest.mark.parametrize("fun", [filled, through_views, with_masks, real_and_imaginary])
def test_writes_in_place(fun: Any) -> None:
    value, f_jvp = linearize(fun, X)
    for t in (T, X, np.array([0.0, 1.0, 0.0])):
        want_value, want = jvp(fun, (X,), (t,))
        for a, b in zip(as_list(value), as_list(want_value), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(as_list(f_jvp(t)), as_list(want), strict=True):
            np.testing.assert_allclose(a, b)
    many = np.stack([T, X])
    rows = [vmap(f_jvp)(many), [f_jvp(t) for t in many]]
    for k in range(2):
        for a, b in zip(as_list(rows[0]), as_list(rows[1][k]), strict=True):
            np.testing.assert_allclose(a[k], b)
    pulled = vjp(lambda t: as_list(f_jvp(t)), T)[1](as_list(value))[0]
    want = vjp(lambda x: as_list(fun(x)), X)[1](as_list(value))[0]
    np.testing.assert_allclose(pulled, want)


def as_list(out: Any) -> list[Any]:
    return list(out) if isinstance(out, tuple) else [out]


def test_a_loop_that_fills_an_array_takes_linear_time() -> None:
    seen = []

    def fun(x: Any) -> Any:
        y = np.zeros(20_000, like=x)
        for k in range(400):
            y[k] = x * k
        return y

    _, f_jvp = linearize(fun, 2.0)
    copies = np.array

    def counting(*args: Any, **kwargs: Any) -> Any:
        if getattr(args[0], "size", 0) == 20_000:
            seen.append(1)
        return copies(*args, **kwargs)

    np.array = counting  # type: ignore[assignment]
    try:
        got = f_jvp(1.0)
    finally:
        np.array = copies
    np.testing.assert_array_equal(got[:400], np.arange(400.0))
    assert len(seen) <= 2


# ---- memory: what is kept, and what the user may change


def test_later_writes_by_the_user_change_nothing() -> None:
    x, a = X.copy(), np.array([3.0, 4.0, 5.0])
    value, f_jvp = linearize(lambda x: np.exp(x) * a, x)
    want = f_jvp(T)
    value[:] = 0
    a[:] = 0
    x[:] = 0
    result = f_jvp(T)
    result[:] = 7
    np.testing.assert_array_equal(f_jvp(T), want)


def test_large_arrays_are_read_only_as_long_as_they_are_needed() -> None:
    a = np.arange(20_000.0)
    value, f_jvp = linearize(lambda x: np.exp(x * a), np.full(20_000, 1e-3))
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 1
    value[:] = 0
    assert np.all(f_jvp(np.ones(20_000))[1:] > 0)
    del f_jvp
    gc.collect()
    a[0] = 1


def test_results_share_no_memory() -> None:
    _, f_jvp = linearize(lambda x: (x, x, x[:2], np.ones(2)), X)
    t = T.copy()
    a, b, c, d = f_jvp(t)
    for y in (a, b, c, d):
        y[:] = 9
    np.testing.assert_array_equal(t, T)
    np.testing.assert_array_equal(f_jvp(T)[3], np.zeros(2))


def test_dead_operations_are_dropped_and_no_handle_lives_on() -> None:
    alive: list[Any] = []

    def fun(x: Any) -> Any:
        unused = np.exp(np.sin(x))
        alive.append(weakref.ref(unused._tangent))
        return x * 2

    _, f_jvp = linearize(fun, X)
    assert len(f_jvp.flat.instructions) == 1
    gc.collect()
    assert alive[0]() is None


# ---- decisions


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_poles_are_decided_for_each_tangent() -> None:
    x = np.array([0.0, 4.0])
    _, f_jvp = linearize(np.sqrt, x)
    np.testing.assert_array_equal(f_jvp(np.array([0.0, 1.0])), [0.0, 0.25])
    np.testing.assert_array_equal(f_jvp(np.array([1.0, 1.0])), [np.inf, 0.25])
    np.testing.assert_array_equal(f_jvp(np.zeros(2)), np.zeros(2))
    _, f_jvp = linearize(lambda x: np.sqrt(x * x), x)
    np.testing.assert_array_equal(f_jvp(np.ones(2)), [0.0, 1.0])


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_poles_of_gradients() -> None:
    fun = lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1)) * x, 0) + np.sqrt(x * x) ** 3)  # noqa: E731
    _, f_jvp = linearize(grad(lambda x: np.sum(np.where(x > 0, x**2.5, 0))), np.array([0.0, 4.0]))
    np.testing.assert_allclose(f_jvp(np.array([1.0, 0.0])), [0.0, 0.0])
    x = np.array([0.5, 4.0])
    np.testing.assert_allclose(linearize(grad(fun), x)[1](np.ones(2)), hvp(fun, (x,), (np.ones(2),)))


SINGULAR = {
    "where-power": lambda x: np.sum(np.where(x > 0, x**1.5, 0)),
    "where-log": lambda x: np.sum(np.where(x > 0, np.log(x) ** 2, x**2)),
    "sqrt-of-square": lambda x: np.sum(np.sqrt(x * x)),
    "sqrt-product": lambda x: np.sum(np.sqrt(x) * x),
    "norm": lambda x: np.linalg.norm(x - x[0]),
    "sinc": lambda x: np.sum(np.where(x != 0, np.sin(x) / x, 1.0)),
    "hypot": lambda x: np.sum(np.hypot(x, 2 * x)),
    "cbrt": lambda x: np.sum(np.cbrt(x) ** 4),
    "product": lambda x: np.prod(x) * np.sum(x),
    "power": lambda x: np.sum(np.where(x > 0, x**x, 1)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("x", [[0.0, 1, 2, 0.5], [0.0, 0, 1, -1], [0.0, 0, 0, 0]])
def test_at_singular_points_a_replay_is_the_jvp_too(name: str, x: Any) -> None:
    fun, x = SINGULAR[name], np.array(x)
    first, second = linearize(fun, x)[1], linearize(grad(fun), x)[1]
    for t in (np.zeros(4), np.ones(4), *np.eye(4), np.array([0.3, -0.2, 0.5, 0])):
        np.testing.assert_allclose(first(t), jvp(fun, (x,), (t,))[1])
        np.testing.assert_allclose(second(t), hvp(fun, (x,), (t,)))


def custom(name: str, jvp_rule: Any) -> Any:
    return general(name, lambda x: 2 * x, jvp_rule, lambda xp, g: 2 * g)


def zero_or_twice(xp: Any, t: Any) -> Any:
    return xp.where(t == 0, 0, 2 * t) if xp.any(t != 0) is not None else None


def test_masks_of_rules_are_recorded() -> None:
    _, f_jvp = linearize(custom("masked", zero_or_twice), X)
    np.testing.assert_array_equal(f_jvp(np.array([0.0, 1.0, 2.0])), [0.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (lambda xp, t: 2 * t if xp.any(t) else t, r"bool\(x\), as in an if, was called on a tangent .* use jvp"),
        (lambda xp, t: t * float(xp.sum(t)), r"float\(x\)"),
        (lambda xp, t: t * t.numpy(), r"x.numpy\(\) was called on a tangent"),
        (lambda xp, t: t * np.asarray(t), r"np.asarray\(x\)"),
        (lambda xp, t: t[xp.nonzero(t)[0]], "was called on a tangent"),
        (lambda xp, t: t * (1.0 in t), "the operator in"),
        (lambda xp, t: t * xp.argmax(t), "np.argmax was called on a tangent"),
    ],
)
def test_rules_that_decide_by_tangents_are_refused(rule: Any, match: str) -> None:
    with pytest.raises(TracedConversionError, match=match):
        linearize(custom("deciding", rule), X)


def test_a_tangent_that_got_out_is_refused() -> None:
    leaked = []

    def rule(xp: Any, t: Any) -> Any:
        leaked.append(t)
        return 2 * t

    linearize(custom("leaking", rule), X)
    assert "shape=(3,)" in repr(leaked[0])
    assert "Direction" in f"{leaked[0]}"
    assert len(leaked[0]) == 3
    with pytest.raises(TapeStateError, match="must not leave the function that is linearized"):
        leaked[0] + 1


def test_rules_that_write_into_tangents() -> None:
    def rule(xp: Any, t: Any) -> Any:
        t = t * 2
        part = t[1:]
        part[0] = 5 * t[0]
        return t + xp.sum(part)

    _, f_jvp = linearize(custom("writing", rule), X)
    t = T * 2
    t[1] = 5 * t[0]
    np.testing.assert_array_equal(f_jvp(T), t + np.sum(t[1:]))


# ---- bad input


def test_bad_primals_and_results() -> None:
    with pytest.raises(NotDifferentiableError, match=r"y\['n'\] has dtype int64, which has no derivative"):
        linearize(lambda x, y: x, X, {"n": np.arange(3)})
    with pytest.raises(NotDifferentiableError, match="x is of type str, and nothing in the arguments"):
        linearize(lambda x: x, "text")
    with pytest.raises(TargetError, match=r"linearize: output\['name'\] is a str, not an array"):
        linearize(lambda x: {"name": "text"}, X)


def test_a_function_without_a_rule() -> None:
    with pytest.raises(MissingRuleError, match="has no derivative rule"):
        linearize(lambda x: np.frompyfunc(lambda v: v, 1, 1)(x), X)


def test_bad_tangents_name_the_leaf() -> None:
    _, f_jvp = linearize(lambda p: p["w"][0] * 2, {"w": [X]})
    with pytest.raises(SeedError, match=r"tangents\[0\]\['w'\]\[0\] has shape \(2,\), but .* shape \(3,\)"):
        f_jvp({"w": [np.ones(2)]})
    with pytest.raises(SeedError, match=r"tangents\[0\]\['w'\]\[0\] is complex"):
        f_jvp({"w": [1j * X]})
    with pytest.raises(StructureError, match=r"tangents\[0\] is a dict of 1 \('v'\), expected a dict of 1 \('w'\)"):
        f_jvp({"v": [X]})
    with pytest.raises(StructureError, match=r"tangents is a tuple of 2, expected a tuple of 1"):
        f_jvp({"w": [X]}, X)


# ---- transposes


A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("fun", "shape"),
    [
        (lambda x: A @ x, (3,)),
        (np.cumsum, (4,)),
        (lambda x: np.flip(np.diff(x)), (5,)),
        (lambda x: x[[0, 0, 2]] * 3, (3,)),
        (lambda x: np.sum(x, axis=0), (2, 3)),
        (lambda x: -x, ()),
        (lambda x: np.fft.irfft(np.fft.rfft(x) * np.arange(4)), (6,)),
        (filled_linear := lambda x: np.stack([x[1], x[0] - x[1]]), (2,)),
    ],
)
def test_transpose_is_the_transposed_matrix(fun: Any, shape: Any) -> None:
    matrix = vmap(lambda v: np.ravel(fun(np.reshape(v, shape))), out_axes=1)(np.eye(int(np.prod(shape))))
    out = fun(np.ones(shape))
    transposed = linear_transpose(fun, np.zeros(shape))
    ct = np.random.default_rng(1).normal(size=out.shape)
    (got,) = transposed(ct)
    assert got.shape == shape
    np.testing.assert_allclose(np.ravel(got), matrix.T @ np.ravel(ct), atol=1e-12)
    twice = linear_transpose(lambda ct: transposed(ct)[0], ct)
    np.testing.assert_allclose(twice(np.ones(shape))[0], out, atol=1e-12)
    np.testing.assert_allclose(vmap(lambda c: transposed(c)[0])(np.stack([ct, 2 * ct])), np.stack([got, 2 * got]))
    np.testing.assert_allclose(jvp(lambda c: transposed(c)[0], (ct,), (ct,))[1], got)


def test_transpose_of_trees_and_descriptions() -> None:
    class Shape:
        shape = (3,)
        dtype = np.dtype(np.float64)

    fun = lambda p, x: {"y": p[0] * 2 + x[:2], "z": np.sum(x)}  # noqa: E731
    transposed = linear_transpose(fun, [np.zeros(2)], np.zeros(3, np.float32))
    p, x = transposed({"y": np.array([1.0, 2.0]), "z": 10.0})
    np.testing.assert_array_equal(p[0], [2.0, 4.0])
    np.testing.assert_array_equal(x, [11.0, 12.0, 10.0])
    assert x.dtype == np.float32
    for description in (Shape(), np.broadcast_to(np.nan, 3)):
        described = linear_transpose(lambda x: A @ x, description)
        np.testing.assert_array_equal(described(np.ones(2))[0], A.T @ np.ones(2))


def test_complex_transposes_do_not_conjugate() -> None:
    a = 1 + 2j
    ct = np.array([1.0, 1j])
    np.testing.assert_allclose(linear_transpose(lambda x: a * x, np.zeros(2, complex))(ct)[0], a * ct)
    np.testing.assert_allclose(vjp(lambda x: a * x, np.zeros(2, complex))[1](ct)[0], np.conj(a) * ct)
    np.testing.assert_allclose(linear_transpose(np.conj, np.zeros(2, complex))(ct)[0], np.conj(ct))
    assert linear_transpose(np.real, np.zeros((), complex))(1.0)[0] == 1.0
    assert linear_transpose(np.imag, np.zeros((), complex))(1.0)[0] == -1j
    assert linear_transpose(lambda x: a * x, 0.0)(1j)[0] == -2.0
    matrix = np.array([[1, 2j], [3 - 1j, 4]])
    np.testing.assert_allclose(linear_transpose(lambda x: matrix @ x, np.zeros(2, complex))(ct)[0], matrix.T @ ct)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x + 1,
        lambda x: x * x,
        lambda x: np.maximum(x, 0),
        np.abs,
        np.sin,
        lambda x: np.clip(x, -100, 100),
        lambda x: x / np.sqrt(1 + x * x),
        lambda x: np.sign(x) * 1.0,
        np.exp,
    ],
)
@pytest.mark.parametrize("kind", [(np.float64, ()), (np.float64, (4,)), (np.float32, (3,))])
def test_what_is_not_linear_is_refused(fun: Any, kind: Any) -> None:
    dtype, shape = kind
    with pytest.raises(StructureError, match=r"is not linear: .* use vjp\(fun, \*primals\).*check=False"):
        linear_transpose(fun, np.zeros(shape, dtype))
    linear_transpose(fun, np.zeros(shape, dtype), check=False)


def test_products_of_two_arguments_are_not_linear_together() -> None:
    with pytest.raises(ValueError, match="is not linear"):
        linear_transpose(np.multiply, np.zeros(3), np.zeros(3))
    transposed = linear_transpose(lambda x: np.multiply(x, X), np.zeros(3))
    np.testing.assert_array_equal(transposed(T)[0], X * T)


def test_bad_cotangents_and_primals() -> None:
    transposed = linear_transpose(lambda x: {"y": A @ x}, np.zeros(3))
    with pytest.raises(SeedError, match=r"cotangent\['y'\] has shape \(3,\), but .* shape \(2,\)"):
        transposed({"y": np.zeros(3)})
    with pytest.raises(SeedError, match="cotangent is a leaf, expected a dict of 1"):
        transposed(np.zeros(2))
    with pytest.raises(NotDifferentiableError, match=r"primals\[0\] has dtype int64; a linear map needs"):
        linear_transpose(lambda x: x, np.arange(3))
    with pytest.raises(NotDifferentiableError, match="x is of type str"):
        linear_transpose(lambda x: x, "text")


def test_linearize_then_transpose_is_the_pullback() -> None:
    fun = lambda x: np.stack([x[0] * x[1], np.sum(np.exp(x))])  # noqa: E731
    _, f_jvp = linearize(fun, X)
    ct = np.array([2.0, -1.0])
    np.testing.assert_allclose(linear_transpose(f_jvp, X)(ct)[0], vjp(fun, X)[1](ct)[0])


# ---- random programs


UNARY = [np.sin, np.exp, np.tanh, lambda x: x[::-1], lambda x: x * 2 - 1, lambda x: np.cumsum(x) / 3]
BINARY = [np.add, np.multiply, np.subtract, lambda a, b: np.where(a > b, a, b * a), np.maximum]


def run(ops: list[tuple[int, int, int, bool]], x: Any) -> Any:
    values = [x, x * 0.5]
    for op, i, j, write in ops:
        a, b = values[i % len(values)], values[j % len(values)]
        new = UNARY[op](a) if op < len(UNARY) else BINARY[op - len(UNARY)](a, b)
        new = np.tanh(new)
        if write:
            new[1:] = b[:-1] * 0.5
            b = b * 1.0
            b += a
        values.append(new + b)
    return values[-1], values[-2]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 9), st.integers(0, 9), st.booleans()),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 3),
)
def test_random_programs(ops: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=4), rng.normal(size=4)
    fun = lambda x: run(ops, x)  # noqa: E731
    _, f_jvp = linearize(fun, x)
    want = jvp(fun, (x,), (t,))[1]
    for a, b in zip(f_jvp(t), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    ct = rng.normal(size=4), rng.normal(size=4)
    (pulled,) = vjp(f_jvp, t)[1](ct)
    assert abs(inner(pulled, t) - sum(inner(c, b) for c, b in zip(ct, want, strict=True))) < 1e-10
    np.testing.assert_allclose(pulled, vjp(fun, x)[1](ct)[0], rtol=1e-10, atol=1e-12)


# ---- compositions: a transform by way of a linear map, and the same without one


def program(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1:] = np.sin(x[:-1]) * x[0]
    y[0] += np.sum(x**2)
    a = np.stack([y, np.where(x > 0, np.sqrt(np.abs(x)), x * y)])
    a.T[0] *= x[1]
    return a[0] * np.tanh(a[1]) + np.max(x)


def pushed(f: Any) -> Any:
    return lambda x: linearize(f, x)[1](X * x)


def pushed_plainly(f: Any) -> Any:
    return lambda x: jvp(f, (x,), (X * x,))[1]


def pulled(f: Any) -> Any:
    return lambda x: linear_transpose(linearize(f, x)[1], X, check=False)(T * x)[0]


def pulled_plainly(f: Any) -> Any:
    return lambda x: vjp(f, x)[1](T * x)[0]


def several(f: Any) -> Any:
    return lambda x: np.sum(vmap(linearize(f, x)[1])(np.stack([X, T * x])), axis=0)


def several_plainly(f: Any) -> Any:
    return lambda x: jvp(f, (x,), (X,))[1] + jvp(f, (x,), (T * x,))[1]


def curved(f: Any) -> Any:
    return lambda x: gauss_newton_product(f, (x,), (X,))


def curved_plainly(f: Any) -> Any:
    return lambda x: vjp(f, x)[1](jvp(f, (x,), (X,))[1])[0]


def mapped(f: Any) -> Any:
    return lambda x: np.sum(vmap(f)(np.stack([x, 2 * x, T * x])), axis=0)


def mapped_plainly(f: Any) -> Any:
    return lambda x: f(x) + f(2 * x) + f(T * x)


TRANSFORMS = [
    (pushed, pushed_plainly),
    (pulled, pulled_plainly),
    (several, several_plainly),
    (curved, curved_plainly),
    (mapped, mapped_plainly),
    (pushed_plainly, pushed_plainly),
    (pulled_plainly, pulled_plainly),
]
STACKS = [(a, b) for a in TRANSFORMS for b in TRANSFORMS]
STACKS += [(a, b, c) for k, (a, b) in enumerate(STACKS) for c in TRANSFORMS[k % 3 :: 3]]  # type: ignore[misc]


@pytest.mark.parametrize("stack", STACKS, ids=lambda s: "-".join(t[0].__name__ for t in s))
def test_compositions(stack: Any) -> None:
    by_maps = plainly = program
    for transform, reference in stack:
        by_maps, plainly = transform(by_maps), reference(plainly)
    x = np.array([0.3, 0.8, -0.6])
    np.testing.assert_allclose(by_maps(x), plainly(x), rtol=1e-9, atol=1e-9)
