"""The forward accumulator (TAPE_SEMANTICS 2.10)."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from scipy.special import smirnov  # which has no rule

from tapeflow import ForwardAccumulator, GradientTape, Variable, stop_gradient
from tapeflow.errors import (
    NotDifferentiableError,
    SeedError,
    SeedTypeError,
    StructureError,
    TapeStateError,
    TargetError,
)

X = np.array([1.0, 2.0])
V = np.array([1.0, -1.0])


def test_jvp_of_outputs_and_of_the_primal_in_and_after_the_block() -> None:
    with ForwardAccumulator(X, V) as acc:
        y = acc.primals**3
        for _ in range(2):
            np.testing.assert_array_equal(acc.jvp(y), 3 * X**2 * V)
    np.testing.assert_array_equal(acc.jvp(y), 3 * X**2 * V)
    np.testing.assert_array_equal(acc.jvp(acc.primals), V)
    np.testing.assert_array_equal(acc.jvp({"a": [y]})["a"][0], 3 * X**2 * V)


def test_operations_outside_the_block_are_plain() -> None:
    with ForwardAccumulator(X, V) as acc:
        pass
    y = acc.primals * 2
    assert isinstance(y, np.ndarray)
    assert acc.jvp(y) is None
    np.testing.assert_array_equal(acc.jvp(y, "zero"), [0.0, 0.0])


@pytest.mark.parametrize("cut", [stop_gradient, lambda x: x.astype(int), lambda x: X * 2.0])
def test_what_does_not_depend_on_the_primals(cut: Any) -> None:
    with ForwardAccumulator(X, V) as acc:
        y = cut(acc.primals)
    assert acc.jvp(y) is None
    assert not np.any(acc.jvp(y, unconnected_gradients="zero"))


def test_structures_must_match() -> None:
    with pytest.raises(TypeError, match=r"differ in structure: tangents is a dict of 1 \('a'\), expected a list of 1"):
        ForwardAccumulator([X], {"a": V})
    with pytest.raises(ValueError, match="differ in structure"):
        ForwardAccumulator([X, X], [V])
    with ForwardAccumulator({"a": X, "b": (2.0,)}, {"a": V, "b": (1.0,)}) as acc:
        y = acc.primals["a"] * acc.primals["b"][0]
    np.testing.assert_array_equal(acc.jvp(y), 2 * V + X)


def test_a_primal_listed_twice() -> None:
    v = Variable(X)
    with pytest.raises(StructureError, match=r"the same value is listed twice: primals\[0\] and primals\[2\]"):
        ForwardAccumulator([v, X, v], [V, V, V])


@pytest.mark.parametrize(
    ("tangent", "kind", "text"),
    [
        (1.0, SeedError, r"tangents has shape \(\).*shape \(2,\)"),
        (np.ones(3), SeedError, r"shape \(3,\)"),
        (1j * V, SeedTypeError, "is complex"),
    ],
)
def test_tangents_that_do_not_fit(tangent: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        ForwardAccumulator(X, tangent)


def test_tangents_are_converted_and_none_is_zero() -> None:
    with ForwardAccumulator([X, X.astype(np.float32)], [V.astype(int), None]) as acc:
        a, b = acc.primals
        y, z = a * 2, b * 2
    assert acc.jvp(y).dtype == np.float64
    assert acc.jvp(z) is None


@pytest.mark.parametrize("bad", [np.arange(2), None, "x"])
def test_primals_without_a_derivative(bad: Any) -> None:
    with pytest.raises(NotDifferentiableError, match=r"primals\[0\]"):
        ForwardAccumulator([bad], [V])


def test_targets_that_are_no_arrays() -> None:
    with ForwardAccumulator(X, V) as acc, pytest.raises(TargetError, match=r"target\[0\] is a str"):
        acc.jvp(["x"])


def test_variables_carry_their_tangent_and_assignment_drops_one() -> None:
    v, w = Variable(X), Variable(X)
    with ForwardAccumulator(v, V) as acc:
        y = v * v
        v.assign(v * 10)
        z = v * 1.0
        w.assign(v)
        u = w * 1.0
    np.testing.assert_array_equal(acc.jvp(y), 2 * X * V)
    np.testing.assert_array_equal(acc.jvp(z), V)
    np.testing.assert_array_equal(acc.jvp(v), V)
    assert acc.jvp(u) is None


def test_nested_on_one_primal() -> None:
    with ForwardAccumulator(X, V) as outer, ForwardAccumulator(outer.primals, V) as inner:
        y = inner.primals**3
    np.testing.assert_array_equal(outer.jvp(inner.jvp(y)), 6 * X * V * V)
    assert inner.jvp(outer.jvp(y)) is None


def test_nested_on_one_variable_to_the_third_order() -> None:
    v = Variable(2.0)
    with (
        ForwardAccumulator(v, 1.0) as a,
        ForwardAccumulator(v, 1.0) as b,
        ForwardAccumulator(v, 1.0) as c,
    ):
        y = v**4
    assert a.jvp(b.jvp(c.jvp(y))) == 48.0


def test_forward_over_reverse_needs_the_gradient_inside() -> None:
    with ForwardAccumulator(X, V) as acc:
        with GradientTape() as tape:
            x = tape.watch(acc.primals)
            y = np.sum(x**3)
        g = tape.gradient(y, x)
    np.testing.assert_array_equal(acc.jvp(g), 6 * X * V)
    with ForwardAccumulator(X, V) as acc, GradientTape() as tape:
        x = tape.watch(acc.primals)
        y = np.sum(x**3)
    assert acc.jvp(tape.gradient(y, x)) is None


def test_reverse_over_forward() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with ForwardAccumulator(x, V) as acc:
            y = acc.primals**3
        t = acc.jvp(y)
    np.testing.assert_array_equal(tape.gradient(t, x), 6 * X * V)


def test_a_tape_inside_does_not_see_the_tangent() -> None:
    with ForwardAccumulator(X, V) as acc, GradientTape() as tape:
        x = tape.watch(acc.primals)
        y = x**3
        t = acc.jvp(y)
    np.testing.assert_array_equal(np.asarray(t), 3 * X**2 * V)
    assert tape.gradient(t, x) is None


def test_hessian_product_inside_a_persistent_tape() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        with ForwardAccumulator(x, V) as acc:
            y = np.sum(acc.primals**3)
            g = tape.gradient(y, x)
    np.testing.assert_array_equal(np.asarray(acc.jvp(g)), 6 * X * V)


def test_entering_again_and_while_active() -> None:
    acc = ForwardAccumulator(X, V)
    with acc:
        y = acc.primals * 2
        with pytest.raises(ValueError, match="active already"):
            acc.__enter__()
    with acc:
        z = y * acc.primals
    np.testing.assert_array_equal(acc.jvp(z), 4 * X * V)


def test_an_exception_closes_it_and_tangents_stay() -> None:
    acc = ForwardAccumulator(X, V)
    kept = []

    def fail() -> None:
        with acc:
            kept.append(acc.primals * 2)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    y = kept[0]
    np.testing.assert_array_equal(acc.jvp(y), 2 * V)


def test_pausing_a_tape_does_not_touch_it() -> None:
    with ForwardAccumulator(X, V) as acc, GradientTape() as tape:
        x = tape.watch(acc.primals)
        with tape.stop_recording():
            y = x * x
    np.testing.assert_array_equal(np.asarray(acc.jvp(y)), 2 * X * V)
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_second_derivatives_of_kinks_are_zeros_in_all_modes(mode: str) -> None:
    for f in (np.abs, np.sign):
        with ForwardAccumulator(X, V) as acc:
            with GradientTape() as tape:
                x = tape.watch(acc.primals)
                y = f(x)
            g = tape.gradient(y, x)
        assert not np.any(acc.jvp(g, "zero"))
        with GradientTape() as outer:
            x = outer.watch(X)
            with GradientTape() as inner:
                z = inner.watch(x)
                y = f(z)
            g = inner.gradient(y, z)
        assert not np.any(outer.gradient(g, x, unconnected_gradients="zero"))


def test_tangents_go_with_their_values() -> None:
    with ForwardAccumulator(X, V) as acc:
        y = acc.primals * 2
        tangent = weakref.ref(y._tangent)
        del y
        gc.collect()
        assert tangent() is None


def test_results_are_the_callers_own() -> None:
    with ForwardAccumulator(X, V) as acc:
        y = acc.primals * 1.0
    first = acc.jvp(y)
    first += 100
    np.testing.assert_array_equal(acc.jvp(y), V)
    np.testing.assert_array_equal(acc.jvp(acc.primals), V)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_accumulators_are_not_copied(how: Any) -> None:
    with pytest.raises(TapeStateError, match="cannot be copied or pickled"):
        how(ForwardAccumulator(X, V))


def test_a_function_without_a_rule() -> None:
    with ForwardAccumulator(X, V) as acc, pytest.raises(TypeError, match=r"smirnov has no derivative rule"):
        smirnov(3, acc.primals)
    assert isinstance(smirnov(3, acc.primals), np.ndarray)
