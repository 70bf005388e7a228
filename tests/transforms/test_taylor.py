"""Taylor mode: conventions, paths, structures, nesting, writes, singular points, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow.numpy as tnp
from tapeflow import (
    GradientTape,
    Variable,
    custom_jvp,
    grad,
    hessian_diagonal,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    taylor,
    vmap,
)
from tapeflow.core.primitive import Primitive
from tapeflow.core.rules import general
from tapeflow.errors import (
    InPlaceError,
    MissingRuleError,
    NotDifferentiableError,
    SeedError,
    SeedTypeError,
    StructureError,
    TargetError,
    TracedConversionError,
)

X = np.array([0.3, 0.7])
V = np.array([0.5, -0.2])


class Pair(NamedTuple):
    a: Any
    b: Any


def along(function: Callable[[Any], Any], order: int) -> list[Any]:
    """Derivatives of a function of t at 0, by jvp of jvp of ..."""
    for _ in range(order):
        function = lambda t, f=function: jvp(f, (t,), (1.0,))[1]  # noqa: E731
    return function(0.0)


def check(function: Any, x: Any, v: Any, order: int, series: Any = ()) -> None:
    """Compare with nesting along the path."""

    def path(t: Any) -> Any:
        y = x + t * v
        for k, s in enumerate(series, 2):
            y = y + t**k * (s / math.factorial(k))
        return y

    value, derivatives = taylor(function, x, v, order, series=series)
    np.testing.assert_allclose(value, function(x), rtol=1e-14)
    assert len(derivatives) == order
    for k, got in enumerate(derivatives, 1):
        np.testing.assert_allclose(got, along(lambda t: function(path(t)), k), rtol=1e-10, atol=1e-12)


# ---- what comes back


def test_derivatives_not_coefficients() -> None:
    value, derivatives = taylor(lambda x: x**4, 2.0, 1.0, 6)
    assert value == 16.0
    assert derivatives == [32.0, 48.0, 48.0, 24.0, 0.0, 0.0]
    assert all(type(d) is np.float64 for d in derivatives)


def test_order_zero_is_the_value() -> None:
    assert taylor(np.sin, 0.5, 1.0, 0) == (np.sin(0.5), [])


def test_order_one_is_jvp() -> None:
    value, (tangent,) = taylor(np.tanh, X, V, 1)
    want = jvp(np.tanh, (X,), (V,))
    np.testing.assert_array_equal(value, want[0])
    np.testing.assert_array_equal(tangent, want[1])


def test_high_orders_cost_no_more_than_their_square() -> None:
    # Nested, the last of these would be 2**40 evaluations.
    _, derivatives = taylor(lambda x: np.exp(np.sin(np.arcsin(x))), 0.1, 1.0, 40)
    np.testing.assert_allclose(derivatives[:10], np.exp(0.1), rtol=1e-9)
    _, derivatives = taylor(lambda x: np.exp(2 * x), 0.1, 1.0, 40)
    np.testing.assert_allclose(derivatives, np.exp(0.2) * 2.0 ** np.arange(1, 41), rtol=1e-12)


def test_the_function_is_called_once() -> None:
    calls = []
    taylor(lambda x: calls.append(1) or np.exp(x), X, V, 8)
    assert calls == [1]


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_curved_path(order: int) -> None:
    later = [np.array([0.3, 1.0]), np.array([-0.4, 0.2]), np.array([2.0, -1.0]), np.array([0.1, 0.6])][: order - 1]
    check(lambda x: np.exp(x[0]) * np.sin(x) / (1 + x[1] ** 2), X, V, order, later)


def test_a_direction_of_zero() -> None:
    zero = np.zeros(2)
    check(lambda x: np.sin(x) ** 3, X, zero, 3, [V, 2 * V])
    _, derivatives = taylor(lambda x: np.sin(x) ** 3, X, None, 3, series=[V, 2 * V])
    want = taylor(lambda x: np.sin(x) ** 3, X, zero, 3, series=[V, 2 * V])[1]
    np.testing.assert_allclose(derivatives, want, atol=1e-15)


def test_structures_on_both_sides() -> None:
    x = {"w": np.ones((2, 2)), "b": [1.0, np.array([2.0])]}
    v = {"w": np.eye(2), "b": [None, np.array([3.0])]}
    value, (first, second) = taylor(lambda p: Pair(p["w"] @ p["w"], {"n": p["b"][1] ** 2, "c": p["b"][0]}), x, v, 2)
    assert type(value) is type(first) is type(second) is Pair
    np.testing.assert_array_equal(first.a, 2 * np.ones((2, 2)))
    np.testing.assert_array_equal(second.a, 2 * np.eye(2))
    assert first.b == {"n": np.array([12.0]), "c": 0.0}
    assert second.b == {"n": np.array([18.0]), "c": 0.0}


def test_static_leaves_stay() -> None:
    x = {"w": X, "name": "sin", "flag": True, "f": np.sin}
    value, (first,) = taylor(
        lambda p: (p["f"](p["w"]), p["name"]), x, {"w": V, "name": None, "flag": None, "f": None}, 1
    )
    assert value[1] == first[1] == "sin"
    np.testing.assert_allclose(first[0], np.cos(X) * V)
    with pytest.raises(SeedError, match=r"v\['name'\] is of type str, but x\['name'\] is static"):
        taylor(lambda p: p["w"], x, {**x, "name": "cos"}, 1)


def test_results_that_do_not_depend_on_the_argument() -> None:
    value, (first, second) = taylor(lambda x: (np.arange(3.0), 2.5, np.argsort(x)), X, V, 2)
    np.testing.assert_array_equal(value[0], [0, 1, 2])
    assert value[1] == 2.5
    for d in (first, second):
        np.testing.assert_array_equal(d[0], np.zeros(3))
        assert d[1] == 0
        np.testing.assert_array_equal(d[2], [0, 0])


def test_what_comes_back_shares_no_memory_with_what_went_in() -> None:
    x, v = X.copy(), V.copy()
    value, (first, _) = taylor(lambda x: x[:], x, v, 2)
    first += 1
    np.testing.assert_array_equal(v, V)
    assert not np.shares_memory(first, v)
    np.testing.assert_array_equal(value, X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_dtypes_stay(dtype: Any) -> None:
    x = X.astype(dtype)
    value, derivatives = taylor(lambda x: np.sin(x) ** 3 / (2 + np.exp(x)) + np.sqrt(x) * np.log(x), x, x, 4)
    assert value.dtype == dtype
    assert [d.dtype for d in derivatives] == [dtype] * 4


def test_complex_values() -> None:
    z, w = np.array([0.3 + 0.4j, -0.2 + 1j]), np.array([1 - 1j, 0.5j])
    check(lambda z: np.exp(z) * np.sin(z) / z, z, w, 4)
    check(lambda z: np.abs(z) ** 3 + np.real(z) * np.imag(z) + np.vdot(z, z).real, z, w, 4)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 1, 2)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.4)
    value, derivatives = taylor(lambda x: np.sin(x) * x**3 + np.sqrt(x), x, np.ones(shape), 3)
    assert np.shape(value) == shape
    assert [np.shape(d) for d in derivatives] == [shape] * 3
    assert taylor(np.sum, x, np.ones(shape), 1)[1][0] == x.size


# ---- Python inside


def test_control_flow_goes_by_the_primal() -> None:
    def f(x: Any) -> Any:
        y = x
        while y < 10:
            y = y * y if y > 2 else 3 * y
        return y

    check(f, np.float64(1.3), np.float64(0.5), 4)


def test_comparisons_are_plain() -> None:
    seen = []
    taylor(lambda x: seen.append((x > 0.5, x == x, bool(x[0] < 1), len(x))) or x, X, V, 2)
    above, same, truth, length = seen[0]
    assert type(above) is type(same) is np.ndarray
    assert truth is True
    assert length == 2


def test_selections_follow_the_primals_decision() -> None:
    check(lambda x: np.sort(np.where(x > 0.5, x**3, np.exp(x))) * np.max(x) + np.clip(x, 0.4, None), X, V, 4)


def test_constants_of_every_kind() -> None:
    check(lambda x: 2 * x**3 - np.arange(2) * x / np.array([3, 4]) + np.float32(2) ** x + [1, 2], X, V, 4)


def test_stop_gradient_is_a_constant() -> None:
    _, (first, second) = taylor(lambda x: x * stop_gradient(x), X, V, 2)
    np.testing.assert_allclose(first, X * V)
    np.testing.assert_array_equal(second, 0 * X)


def test_leaving_is_refused_while_the_series_lives() -> None:
    for leave in (float, int, np.asarray, lambda x: x.item(), lambda x: math.sin(x)):
        with pytest.raises(TracedConversionError, match="derivative would be lost"):
            taylor(leave, 0.5, 1.0, 2)
    assert taylor(lambda x: x * float(stop_gradient(x)), 3.0, 1.0, 1) == (9.0, [3.0])


def test_a_series_that_escapes_is_a_constant() -> None:
    kept = []
    taylor(lambda x: kept.append(x) or x, X, V, 2)
    np.testing.assert_array_equal(np.sin(kept[0]), np.sin(X))
    assert type(np.sin(kept[0])) is np.ndarray
    assert "expansion closed" in repr(kept[0])
    np.testing.assert_array_equal(np.asarray(kept[0]), X)


def test_repr_says_the_order() -> None:
    seen = []
    taylor(lambda x: seen.append(repr(x)) or x, X, V, 3)
    assert seen[0].startswith("Series([0.3 0.7], dtype=float64")
    assert "order 3" in seen[0]


def test_a_variable_is_a_constant() -> None:
    w = Variable(np.array([2.0, 3.0]))
    _, (first, second) = taylor(lambda x: np.sum(w * x * x), X, V, 2)
    np.testing.assert_allclose(first, np.sum(2 * X * V * w.numpy()))
    np.testing.assert_allclose(second, np.sum(2 * V * V * w.numpy()))


def test_a_variable_is_passed_by_its_value() -> None:
    w = Variable(np.array([2.0, 3.0]))
    value, (first, second) = taylor(lambda p: p["w"] ** 3, {"w": w}, {"w": V}, 2)
    np.testing.assert_allclose(value, w.numpy() ** 3)
    np.testing.assert_allclose(first, 3 * w.numpy() ** 2 * V)
    np.testing.assert_allclose(second, 6 * w.numpy() * V**2)
    np.testing.assert_allclose(hessian_diagonal(lambda w: np.sum(w**3), w), 6 * w.numpy())
    with GradientTape() as tape:
        third = np.sum(taylor(lambda w: w**3, w, V, 2)[1][1])
    np.testing.assert_allclose(tape.gradient(third, w), 6 * V**2)
    with pytest.raises(SeedError, match="v has shape"):
        taylor(lambda w: w, w, np.ones(3), 1)


def test_a_variable_that_is_returned() -> None:
    w = Variable(np.array([2.0, 3.0]))
    value, (first,) = taylor(lambda x: (x, w), X, V, 1)
    np.testing.assert_array_equal(value[1], [2.0, 3.0])
    np.testing.assert_array_equal(first[1], [0.0, 0.0])


def test_an_object_of_an_unknown_class() -> None:
    with pytest.raises(NotDifferentiableError, match=r"x\[0\] is of type object"):
        taylor(lambda x: x, [object()], [None], 1)


# ---- writes


def pure(x: Any) -> Any:
    return np.stack([x[1] ** 2 * x[0], np.sin(x[0]) * x[1] + x[0]])


def filled(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[1] ** 2
    y[1:] = np.sin(x[:1])
    y *= x
    last = y[::-1]
    last[0] += x[0]
    return y


def written_over(x: Any) -> Any:
    y = x * x
    before = y.copy()
    y[:] = 5.0
    view = y[1:]
    y[1] = before[0]
    view += x[0]
    y[0] = 2 * view[0]
    return np.concatenate([y, before])


def written_over_pure(x: Any) -> Any:
    z = x[0] ** 2 + x[0]
    return np.stack([2 * z, z, x[0] ** 2, x[1] ** 2])


def buffered(x: Any) -> Any:
    y = tnp.zeros(2)
    y[0] = x[1] ** 2 * x[0]
    y[1] = np.sin(x[0]) * x[1] + x[0]
    return y


@pytest.mark.parametrize("function", [filled, buffered])
def test_writes_are_those_of_a_function_without(function: Any) -> None:
    for got, want in zip(taylor(function, X, V, 4)[1], taylor(pure, X, V, 4)[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(X, [0.3, 0.7])
    np.testing.assert_array_equal(V, [0.5, -0.2])


def test_views_aliases_and_copies_see_what_numpys_see() -> None:
    np.testing.assert_array_equal(written_over(X), written_over_pure(X))
    for got, want in zip(taylor(written_over, X, V, 4)[1], taylor(written_over_pure, X, V, 4)[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)


def test_writing_into_the_argument_leaves_the_callers_arrays_alone() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] ** 3
        return x

    x, v = X.copy(), V.copy()
    _, (first, second) = taylor(f, x, v, 2)
    np.testing.assert_allclose(first, [3 * X[1] ** 2 * V[1], V[1]])
    np.testing.assert_allclose(second, [6 * X[1] * V[1] ** 2, 0])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(v, V)


def test_writes_by_index_arrays_and_masks() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(4, like=x)
        y[[3, 1]] = x**2
        y[np.array([True, False, False, True])] *= x
        np.add.at(y, [0, 0, 2], x[0] ** 3)
        return y.reshape(2, 2).T

    check(f, X, V, 3)


def test_a_series_does_not_leak_into_an_outer_array() -> None:
    with GradientTape() as tape:
        y = tape.watch(np.zeros(2))
        with pytest.raises(InPlaceError, match="belongs to an outer derivative computation"):
            taylor(lambda x: y.__setitem__(0, x[0]), X, V, 2)


# ---- nesting


def test_gradient_of_a_coefficient() -> None:
    third = lambda x: np.sum(taylor(np.sin, x, V, 3)[1][2])  # noqa: E731
    np.testing.assert_allclose(grad(third)(X), np.sin(X) * V**3)
    np.testing.assert_allclose(grad(lambda v: np.sum(taylor(np.sin, X, v, 3)[1][2]))(V), -3 * np.cos(X) * V**2)


def test_inside_a_tape_and_an_accumulator() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        value, (first, second) = taylor(lambda x: x[0] * np.exp(x), x, V, 2)
    for target, function in (
        (value, lambda x: x[0] * np.exp(x)),
        (first, lambda x: jvp(lambda x: x[0] * np.exp(x), (x,), (V,))[1]),
        (second, lambda x: taylor(lambda x: x[0] * np.exp(x), x, V, 2)[1][1]),
    ):
        got = tape.gradient(target, x)
        np.testing.assert_allclose(got, np.sum(jacobian(function)(X), axis=0), rtol=1e-13)
    first_then_second = jvp(lambda x: taylor(np.exp, x, V, 2)[1][1], (X,), (V,))[1]
    np.testing.assert_allclose(first_then_second, np.exp(X) * V**3)


@pytest.mark.parametrize(
    ("function", "third"),
    [
        (grad(lambda x: np.sum(np.sin(x) * x[0])), None),
        (lambda x: hvp(lambda x: np.sum(np.exp(x) * x[0]), (x,), (V,)), None),
        (lambda x: jacobian(lambda x: x**3 * x[0])(x) @ x, None),
        (lambda x: vmap(lambda a: np.sin(a) * np.sum(x))(x), None),
        (lambda x: taylor(np.sin, x, x, 2)[1][1], None),
        (lambda x: jvp(np.sin, (x,), (x**2,))[1], None),
    ],
)
def test_transforms_inside(function: Any, third: Any) -> None:
    check(function, X, V, 3)


def test_batches_outside() -> None:
    xs, vs = np.stack([X, X + 1, X * 2]), np.stack([V, 2 * V, V - 1])
    f = lambda x, v: taylor(lambda x: np.tanh(x) * x[0], x, v, 3)  # noqa: E731
    value, derivatives = vmap(f)(xs, vs)
    for k in range(3):
        want_value, want = f(xs[k], vs[k])
        np.testing.assert_allclose(value[k], want_value)
        np.testing.assert_allclose([d[k] for d in derivatives], want)
    shared = vmap(lambda v: taylor(np.sin, X, v, 2)[1][1])(vs)
    np.testing.assert_allclose(shared, -np.sin(X) * vs**2)


def test_perturbations_are_not_confused() -> None:
    # d/dt [x * d/ds (x + s)] with x = t: the inner derivative is 1, whatever t.
    inner = lambda x: x * taylor(lambda y: x + y, 0.0, 1.0, 1)[1][0]  # noqa: E731
    assert taylor(inner, 3.0, 1.0, 2) == (3.0, [1.0, 0.0])
    # Series of the same function, one of which stands still for the other.
    f = lambda x: taylor(lambda y: x**2 * y**3, x, 1.0, 2)[1][1]  # noqa: E731
    assert taylor(f, 2.0, 1.0, 2) == (48.0, [72.0, 72.0])


def test_a_gradient_inside_whose_cotangent_is_zero_only_for_now() -> None:
    # At t = 0 the cotangent of sqrt is 0 and its slope infinite; its derivative is not zero.
    value, _ = taylor(grad(lambda x: np.sqrt(x[0]) * x[1]), np.array([0.0, 0.0]), None, 1)
    np.testing.assert_array_equal(value[0], 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        _, (first,) = taylor(grad(lambda x: np.sqrt(x[0]) * x[1]), np.array([0.0, 0.0]), np.array([0.0, 1.0]), 1)
    assert not np.isfinite(first[0])


# ---- singular points


def test_a_zero_derivative_stays_zero_at_a_pole() -> None:
    for f in (np.sqrt, np.cbrt, lambda x: np.arcsin(1 - x), lambda x: x**0.5):
        with np.errstate(divide="ignore", invalid="ignore"):
            _, derivatives = taylor(f, np.array([0.0, 1.0]), np.array([0.0, 1.0]), 3)
        assert [d[0] for d in derivatives] == [0, 0, 0]
        assert np.all(np.isfinite([d[1] for d in derivatives]))


@pytest.mark.parametrize(
    "function", [lambda x: np.sqrt(x * x), lambda x: np.arcsin(1 - x * x), lambda x: (x * x) ** 0.5]
)
def test_a_pole_that_is_met_later_is_not_a_number(function: Any) -> None:
    with np.errstate(all="ignore"):
        _, (first, second, third) = taylor(function, 0.0, 1.0, 3)
    assert first == 0  # the subgradient that jvp gives
    assert np.isnan(second)
    assert not np.isfinite(third)


def test_powers_at_zero() -> None:
    for p in (1, 2, 3, 3.0, np.float64(4), np.array(5), 70):
        _, derivatives = taylor(lambda x, p=p: x**p, np.array([0.0, 1e-200]), np.ones(2), 6)
        want = [math.perm(int(p), k) * (1.0 if k == p else 0.0) for k in range(1, 7)]
        np.testing.assert_allclose([d[0] for d in derivatives], want)
        np.testing.assert_allclose([d[1] for d in derivatives], want, atol=1e-150)
    assert taylor(lambda x: x**0, 0.0, 1.0, 2) == (1.0, [0.0, 0.0])
    with np.errstate(all="ignore"):
        _, (first, second) = taylor(lambda x: x**1.5, 0.0, 1.0, 2)
    assert (first, second) == (0.0, np.inf)


# ---- random programs

STEPS = {
    "sin": np.sin,
    "exp": lambda x: np.exp(0.3 * x),
    "square": lambda x: 0.5 * x * x,
    "divide": lambda x: x / (1 + x * x),
    "roll": lambda x: np.roll(x, 1) * x,
    "matmul": lambda x: np.array([[0.5, -0.2], [0.1, 0.4]]) @ x,
    "reduce": lambda x: x - np.sum(x) / 3,
    "tanh": np.tanh,
    "solve": lambda x: np.linalg.solve(np.eye(2) * 3 + np.outer(x, x), x),
    "power": lambda x: (1 + x * x) ** 0.7,
    "where": lambda x: np.where(x > 0.2, x, 0.5 * x),
}


@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.integers(1, 4),
)
def test_random_programs(names: list[str], numbers: list[float], order: int) -> None:
    x, v = np.array(numbers[:2]) + 0.013, np.array(numbers[2:])

    def program(x: Any) -> Any:
        for name in names:
            x = STEPS[name](x)
        return x

    check(program, x, v, order)


# ---- bad input


@pytest.mark.parametrize("order", [-1, 1.5, True, "2", None])
def test_order_must_be_a_count(order: Any) -> None:
    with pytest.raises(ValueError, match=r"order=.*: expected an int of at least 0"):
        taylor(np.sin, X, V, order)


def test_an_integer_point() -> None:
    with pytest.raises(NotDifferentiableError, match=r"x\['w'\]\[1\] has dtype int64, which has no derivative"):
        taylor(lambda x: x, {"w": [X, np.arange(3)]}, {"w": [V, None]}, 2)


def test_directions_must_fit() -> None:
    with pytest.raises(
        StructureError, match="not the structure of the argument x: v is a tuple of 1, expected a list of 1"
    ):
        taylor(np.sin, [X], (V,), 2)
    with pytest.raises(SeedError, match=r"v\[0\] has shape \(3,\), but the value it belongs to has shape \(2,\)"):
        taylor(lambda x: x[0], [X], [np.ones(3)], 2)
    with pytest.raises(SeedError, match=r"series\[0\] has shape \(\)"):
        taylor(np.sin, X, V, 2, series=[1.0])
    with pytest.raises(SeedTypeError, match="v is complex"):
        taylor(np.sin, X, V * 1j, 2)


def test_more_directions_than_orders() -> None:
    with pytest.raises(SeedError, match="series has 2 entries, but beside v only 1 count for order=2"):
        taylor(np.sin, X, V, 2, series=[V, V])
    with pytest.raises(StructureError, match="series is a ndarray; expected a list"):
        taylor(np.sin, X, V, 2, series=V)


def test_a_result_that_is_no_array() -> None:
    with pytest.raises(TargetError, match=r"taylor: output\['a'\]\[0\] is a str, not an array"):
        taylor(lambda x: {"a": ["text"]}, X, V, 1)


def test_a_function_without_a_rule() -> None:
    with pytest.raises(MissingRuleError, match="has no derivative rule"):
        taylor(lambda x: np.frompyfunc(math.sin, 1, 1)(x), X, V, 2)
    constant = taylor(lambda x: x * np.frompyfunc(abs, 1, 1)(stop_gradient(x)).astype(float), X, V, 1)[1][0]
    np.testing.assert_allclose(constant, X * V)


def test_an_error_inside_a_rule_names_the_primitive() -> None:
    with pytest.raises(Exception, match="boom") as caught:
        taylor(_broken(), X, V, 2)
    assert any("forward rule of broken, operand 0 of shape (2,)" in note for note in caught.value.__notes__)


def _broken() -> Any:
    def rule(xp: Any, t: Any, x: Any) -> Any:
        raise ZeroDivisionError("boom")

    return general("broken", np.sin, rule, rule)


# ---- rules of users


class Pushed(Primitive):
    """A primitive whose JVP takes all operands at once."""

    def __init__(self, name: str, evaluate: Any, push: Any) -> None:
        super().__init__(name, evaluate)
        self.push = push


def test_rules_that_are_given_all_operands_at_once() -> None:
    levels = []

    def push(primals: Any, tangents: Any, out: Any, params: Any) -> Any:
        levels.append(params["level"])
        (x, y), (s, t) = primals, tangents
        product = (0 if s is None else s * np.exp(y)) + (0 if t is None else out[0] * t)
        return product, np.cos(x) * s if s is not None else None

    p = Pushed("pushed", lambda x, y: (x * np.exp(y), np.sin(x)), push)
    for f, g in (
        (lambda x: p(x, x**2), lambda x: (x * np.exp(x**2), np.sin(x))),
        (lambda x: p(x, X), lambda x: (x * np.exp(X), np.sin(x))),
        (lambda x: p(X, x), lambda x: (X * np.exp(x), np.sin(X))),
    ):
        for got, want in zip(taylor(f, X, V, 4)[1], taylor(g, X, V, 4)[1], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    assert len(set(levels)) == 3


def test_a_name_that_is_taken_by_a_user_keeps_the_users_rule() -> None:
    clipped = general("exp", np.exp, lambda xp, t, x: 2 * t, lambda xp, g, x: 2 * g)
    assert taylor(lambda x: clipped(x), 0.0, 1.0, 2) == (1.0, [2.0, 0.0])


def test_rules_of_users_are_followed() -> None:
    @custom_jvp
    def doubled(x: Any) -> Any:
        return np.sin(x)

    @doubled.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        return doubled(primals[0]), 2 * np.cos(primals[0]) * tangents[0]

    first, second, third = taylor(doubled, X, V, 3)[1]
    np.testing.assert_allclose(first, 2 * np.cos(X) * V)
    np.testing.assert_allclose(second, -2 * np.sin(X) * V**2)
    np.testing.assert_allclose(third, -2 * np.cos(X) * V**3)
    np.testing.assert_allclose(hessian_diagonal(lambda x: np.sum(doubled(x)), X), -2 * np.sin(X))
