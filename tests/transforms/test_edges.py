"""Where transforms end: levels that are over, the memory of results, exceptions of the user's function, decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import (
    GradientTape,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    taylor,
    vmap,
)
from tapeflow.errors import StructureError, TracedConversionError

X = np.array([1.0, 2.0])
Y = np.arange(6.0).reshape(2, 3) + 1

# ---- values of levels that are over


@pytest.mark.parametrize("outer", [grad, lambda f: lambda x: jacfwd(f)(x), lambda f: lambda x: jacrev(f)(x)])
@pytest.mark.parametrize(
    "inner",
    [
        lambda f, x: jvp(f, (x,), (x,)),
        lambda f, x: taylor(f, x, x, 2),
        lambda f, x: grad(lambda y: np.sum(f(y)))(x),
        lambda f, x: linearize(f, x),
    ],
)
def test_a_value_that_left_its_level_is_as_good_as_what_it_holds(outer: Any, inner: Any) -> None:
    def program(x: Any) -> Any:
        kept = []

        def keep(y: Any) -> Any:
            kept.append(y)
            return y * 1.0

        inner(keep, x)
        (old,) = kept
        made, like = np.zeros(2, like=old), np.zeros_like(old)
        made[:] = old
        like[:] = old * 3
        return np.sum(made * made) + np.sum(like)

    np.testing.assert_allclose(outer(program)(X), 2 * X + 3)


# ---- memory of results


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"in_axes": 1},
        {"out_axes": 1},
        {"in_axes": 1, "out_axes": 1},
        {"chunk_size": 1},
        {"in_axes": None, "axis_size": 2},
        {"in_axes": None, "out_axes": None, "axis_size": 2},
    ],
    ids=str,
)
def test_results_of_vmap_share_no_memory(options: dict[str, Any]) -> None:
    results = vmap(lambda x: (x, x, x.T, x[::-1], x[:1]), **options)(Y)
    for k, y in enumerate(results):
        assert y.flags.writeable
        assert not np.shares_memory(y, Y)
        assert not any(np.shares_memory(y, other) for other in results[:k])


def test_traced_results_of_vmap_can_be_written_to_one_by_one() -> None:
    def f(x: Any) -> Any:
        first, second = vmap(lambda row: (row, row))(x)
        first[0] = 0
        return np.sum(second * x) + np.sum(first)

    np.testing.assert_array_equal(grad(f)(Y), 2 * Y + [[0], [1]])


def test_two_gradients_of_a_batch_share_no_memory() -> None:
    a, b = vmap(grad(lambda x, y: np.sum(x + y), argnums=(0, 1)))(Y, 2 * Y)
    a[:] = 7
    np.testing.assert_array_equal(b, np.ones_like(Y))


# ---- exceptions of the user's function


@pytest.mark.parametrize("transform", [jacfwd, jacrev, jacobian, hessian, vmap, grad])
@pytest.mark.parametrize("kind", [TypeError, ValueError, AttributeError])
def test_an_exception_of_the_function_ends_the_call_at_once(transform: Any, kind: Any) -> None:
    calls = []

    def fails_the_first_time(x: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise kind("my own")
        return np.sum(x * x)

    with pytest.raises(kind, match="my own"):
        transform(fails_the_first_time)(X)
    assert len(calls) == 1


def test_a_rule_that_wants_plain_arrays_is_called_column_by_column() -> None:
    @custom_vjp
    def double(x: Any) -> Any:
        return 2 * x

    def backward(residuals: Any, cotangent: Any) -> Any:
        return (np.array([2 * float(c) for c in cotangent]),)

    double.defvjp(lambda x: (2 * x, None), backward)
    for transform in (jacfwd, jacrev):
        np.testing.assert_array_equal(transform(double)(X), 2 * np.eye(2))


# ---- messages


def test_axes_that_do_not_fit_are_told_without_values() -> None:
    for call in (
        lambda: vmap(lambda p: p, in_axes=({"b": 0},))(Y),
        lambda: vmap(lambda p: p, out_axes={"b": 0})(Y),
        lambda: vmap(lambda p: {"b": [p, "s"]}, out_axes={"b": {"c": 0}})(Y),
    ):
        with pytest.raises(StructureError, match="does not fit the structure that it speaks of: Expected") as caught:
            call()
        assert "array(" not in str(caught.value)


# ---- decisions inside linearize


@pytest.mark.parametrize("check", [True, False])
def test_a_transpose_inside_linearize_is_not_refused(check: bool) -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])

    def f(x: Any) -> Any:
        _, f_jvp = linearize(lambda y: matrix @ y * y, x)
        return linear_transpose(f_jvp, x, check=check)(x)[0]

    np.testing.assert_allclose(linearize(f, X)[1](X), jvp(f, (X,), (X,))[1])


def test_a_reverse_rule_serves_linearize() -> None:
    @custom_vjp
    def sine(x: Any) -> Any:
        return np.sin(x)

    sine.defvjp(lambda x: (np.sin(x), x), lambda x, cotangent: (np.cos(x) * cotangent,))
    np.testing.assert_allclose(linearize(sine, X)[1](X), np.cos(X) * X)


@pytest.mark.parametrize("decide", [np.trim_zeros, lambda t: np.unwrap(t, period=t[0])], ids=["trim", "unwrap"])
def test_functions_that_decide_by_values_refuse_unknown_tangents(decide: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        _, f_jvp = linearize(np.sin, x)
        return decide(f_jvp(x))

    def through_tangents(x: Any) -> Any:
        def rule(primals: Any, tangents: Any) -> Any:
            return primals[0] * 1.0, decide(tangents[0])

        g = custom_jvp(lambda y: y * 1.0)
        g.defjvp(rule)
        return g(x)

    f(X)
    with pytest.raises(TracedConversionError, match="inside linearize"):
        linearize(through_tangents, X)


def test_an_option_that_does_not_exist_is_told_by_the_question() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * x
    with pytest.raises(TypeError, match="jacobian: no option is called 'chunks'; there are memory_budget, progress"):
        tape.jacobian(y, x, chunks=3)
    np.testing.assert_array_equal(tape.jacobian(y, x), np.diag(2 * X))  # it is not spent
    with GradientTape(persistent=True) as tape:
        x = tape.watch({"a": X})
        y = {"u": x["a"] * 2}
    with pytest.raises(ValueError, match=r"output_gradients is a dict of 1 \('v'\), expected a dict of 1 \('u'\)"):
        tape.gradient(y, x, {"v": X})
