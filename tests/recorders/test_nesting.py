"""Nesting of tapes and accumulators (TAPE_SEMANTICS 2.5), and random programs under random nestings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow import ForwardAccumulator, GradientTape, Variable, grad, vmap

X = np.array([1.0, 2.0])


def reverse(f: Callable[[Any], Any], x: Any) -> Any:
    """Derivative of an elementwise function by a tape."""
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w)
        return tape.gradient(y, w, unconnected_gradients="zero")


def forward(f: Callable[[Any], Any], x: Any) -> Any:
    """Derivative of an elementwise function by an accumulator."""
    with ForwardAccumulator(x, np.ones(np.shape(x))) as acc:
        y = f(acc.primals)
    return acc.jvp(y, "zero")


MODES = [reverse, forward]


def test_inner_gradient_inside_the_outer_block() -> None:
    np.testing.assert_allclose(reverse(lambda x: reverse(lambda z: z**3, x), X), 6 * X)


def test_inner_gradient_after_the_outer_block() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        with GradientTape() as inner:
            z = inner.watch(x)
            y = z**3
    g = inner.gradient(y, z)
    np.testing.assert_allclose(np.asarray(g), 3 * X**2)
    assert outer.gradient(g, x) is None


def test_outer_gradient_inside_the_inner_block() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        with GradientTape() as inner:
            x = inner.watch(x)
            y = np.sin(x)
            g = outer.gradient(y, x)
        h = inner.gradient(g, x)
    np.testing.assert_allclose(g.numpy(), np.cos(X))
    np.testing.assert_allclose(h, -np.sin(X))


def test_orders_swap_freely_with_a_variable() -> None:
    v = Variable(X)
    with GradientTape() as outer, GradientTape() as inner:
        y = v**3
        g = outer.gradient(y, v)
        h = inner.gradient(g, v)
    np.testing.assert_allclose(h, 6 * X)


def test_one_persistent_tape_gives_all_orders() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = np.exp(2 * x)
        for order in range(1, 5):
            y = tape.gradient(y, x)
            np.testing.assert_allclose(y.numpy(), 2**order * np.exp(2 * X))


def test_closing_out_of_order() -> None:
    a, b = GradientTape(), GradientTape()
    a.__enter__()
    x = a.watch(X)
    b.__enter__()
    x = b.watch(x)
    y = x * x
    a.__exit__(None, None, None)
    z = y * x
    b.__exit__(None, None, None)
    np.testing.assert_array_equal(a.gradient(y, x), 2 * X)
    assert a.gradient.__self__ is a
    np.testing.assert_array_equal(b.gradient(z, x), 3 * X**2)


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_no_perturbation_confusion(outer: Any, inner: Any) -> None:
    # x * d/dy (x + y) is x, whose derivative is 1.
    got = outer(lambda x: x * inner(lambda y: x + y, 3.0), 2.0)
    assert got == 1.0
    got = outer(lambda x: inner(lambda y: x * y, x) + x, 2.0)
    assert got == 2.0


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_an_inner_gradient_mixed_into_the_outer_value(outer: Any, inner: Any) -> None:
    def f(x: Any) -> Any:
        return np.sin(x) * inner(np.exp, x) + x**2

    want = np.exp(X) * (np.sin(X) + np.cos(X)) + 2 * X
    np.testing.assert_allclose(outer(f, X), want)
    np.testing.assert_allclose(outer(lambda x: inner(f, x), X), 2 * np.exp(X) * np.cos(X) + 2)


def test_three_levels_of_mixed_modes() -> None:
    for a in MODES:
        for b in MODES:
            for c in MODES:
                got = a(lambda x, b=b, c=c: b(lambda y: c(lambda z: np.sin(2 * z), y), x), X)
                np.testing.assert_allclose(got, -8 * np.cos(2 * X))


def test_a_tape_asks_for_the_gradient_of_a_dual_number() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with ForwardAccumulator(x, np.ones(2)) as acc:
            g = tape.gradient(acc.primals**3, x)
    np.testing.assert_allclose(acc.jvp(g), 6 * X)


def test_inner_tapes_of_constants_stay_out_of_the_outer_tape() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        for _ in range(100):
            g = reverse(lambda z: z**3, X)
            assert float(g[0]) == 3.0
        y = x * g
        assert len(outer._list.entries) < 80
    np.testing.assert_allclose(outer.gradient(y, x), 3 * X**2)


def test_an_unrolled_optimisation_is_linear_in_its_steps() -> None:
    with GradientTape() as outer:
        rate = outer.watch(0.1)
        w: Any = X
        for _ in range(20):
            w = w - rate * reverse(lambda z: 0.5 * z**2, w)
        loss = np.sum(w)
    np.testing.assert_allclose(outer.gradient(loss, rate), np.sum(-20 * X * 0.9**19))


def test_inner_tapes_leave_nothing_and_do_not_look_back() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        y = x
        for _ in range(50):
            y = np.sin(y)
        long = len(outer._list.entries)
        for _ in range(20):
            assert reverse(lambda z: np.sin(np.cos(z)) * z, X) is not None
        assert len(outer._list.entries) <= long + 2
        assert len(outer._list.sets) < 5
    assert outer.gradient(y, x) is not None


# ---- random programs under random nestings, against the derivatives of their Taylor polynomial

UNARY = [np.sin, np.tanh, np.exp, lambda x: x * x, lambda x: 1.0 / (x * x + 2.0), lambda x: np.sqrt(x * x + 1.0)]
BINARY = [lambda x, y: x * y, lambda x, y: x + 0.5 * y, lambda x, y: x - y, lambda x, y: x / (y * y + 1.0)]
STEPS = st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(0, 99))


def program(steps: list[tuple[int, int, int]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        values = [x]
        for op, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(np.sin(UNARY[op](a)) if op < len(UNARY) else BINARY[op - len(UNARY)](a, b))
        return np.tanh(values[-1])

    return run


def polynomial_derivative(f: Callable[[Any], Any], order: int, x: float) -> float:
    """Derivative of f, by Cauchy's integral on a small circle (f is analytic near the real axis)."""
    n, r = 64, 0.15
    w = np.exp(2j * np.pi * np.arange(n) / n)
    coefficient = np.mean(f(x + r * w) * w ** (-order)) / r**order
    return float(np.real(coefficient)) * float(np.prod(np.arange(1, order + 1)))


@given(st.lists(STEPS, min_size=1, max_size=6), st.lists(st.sampled_from([0, 1]), min_size=1, max_size=3))
def test_random_programs_under_random_nestings(steps: list[tuple[int, int, int]], modes: list[int]) -> None:
    f = program(steps)
    derivative = f
    for mode in modes:
        derivative = (lambda d, m: lambda x: MODES[m](d, x))(derivative, mode)
    want = polynomial_derivative(f, len(modes), 0.3)
    np.testing.assert_allclose(derivative(0.3), want, rtol=1e-5, atol=1e-5)


def test_a_handle_of_an_inner_level_is_no_plain_operand() -> None:
    """Three levels deep, an operand of a further level may be of the class of what a handle holds."""
    x, one = np.array([1.0, 2.0]), np.ones(2)

    def by_accumulators(p: Any) -> Any:
        with ForwardAccumulator(p, one) as middle:
            with ForwardAccumulator(x, one) as inner:
                y = middle.primals * middle.primals * inner.primals
            z = inner.jvp(y)
        return middle.jvp(z)

    np.testing.assert_array_equal(by_accumulators(x), 2 * x)
    with ForwardAccumulator(x, one) as outer:
        z = by_accumulators(outer.primals)
    np.testing.assert_array_equal(outer.jvp(z), 2 * one)
    with GradientTape() as tape:
        p = tape.watch(x)
        z = by_accumulators(p)
    np.testing.assert_array_equal(tape.gradient(z, p), 2 * one)
    swapped = grad(lambda p: np.sum(vmap(lambda q: vmap(lambda a: p * q * a)(np.stack([x, 2 * x])))(np.stack([x, x]))))
    np.testing.assert_allclose(swapped(x), 6 * x * x)
