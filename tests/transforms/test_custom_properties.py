"""Random programs of functions with right rules, under random stacks of transforms, against the same without rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow import custom_gradient, custom_jvp, custom_vjp, grad, jvp, primitive, vmap, wrap

pytestmark = pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")

X = np.array([0.3, -0.7, 1.1])
T = np.array([1.0, -0.5, 0.25])

# Function, and derivative of elementwise functions.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sin": (np.sin, np.cos),
    "cube": (lambda x: x**3 / 3, lambda x: x * x),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "gauss": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
}


def by_vjp(f: Any, d: Any) -> Any:
    h = custom_vjp(f)
    h.defvjp(lambda x: (f(x), d(x)), lambda slope, g: (g * slope,))
    return h


def by_late_vjp(f: Any, d: Any) -> Any:
    h = custom_vjp(f)
    h.defvjp(lambda x: (h(x), x), lambda x, g: (g * d(x),))
    return h


def by_jvp(f: Any, d: Any) -> Any:
    h = custom_jvp(f)
    h.defjvp(lambda p, t: (h(p[0]), t[0] * d(p[0])))
    return h


def by_gradient(f: Any, d: Any) -> Any:
    return custom_gradient(lambda x: (f(x), lambda g: g * d(x)))


def by_primitive_jvp(f: Any, d: Any) -> Any:
    return primitive(lambda x: f(x)).def_jvp(lambda xp, t, x: t * d(x))


def by_primitive_vjp(f: Any, d: Any) -> Any:
    return primitive(elementwise=True)(lambda x: f(x)).def_vjp(lambda xp, g, x: g * d(x))


def by_wrapped_vjp(f: Any, d: Any) -> Any:
    return wrap(lambda x: f(x), vjp=lambda g, y, x: g * d(x))


def by_wrapped_jac(f: Any, d: Any) -> Any:
    return wrap(lambda x: f(x), jac=lambda x: np.eye(3) * d(x))


WAYS = [by_vjp, by_late_vjp, by_jvp, by_gradient, by_primitive_jvp, by_primitive_vjp, by_wrapped_vjp, by_wrapped_jac]

# From functions of three numbers to functions of three numbers.
TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: grad(lambda x: np.sum(np.sin(f(x)))),
    "jvp": lambda f: lambda x: jvp(f, (x,), (T,))[1],
    "vmap": lambda f: lambda x: np.sum(vmap(f)(np.stack([x, x * x])), axis=0),
    "shared": lambda f: lambda x: np.sum(vmap(lambda s: f(x) * f(s))(np.stack([x, T])), axis=0),
}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(WAYS)), min_size=1, max_size=3),
    st.lists(st.sampled_from(sorted(TRANSFORMS)), min_size=1, max_size=3),
)
def test_rules_agree_with_the_chain_rule_under_any_stack(steps: Any, stack: list[str]) -> None:
    ruled = [way(*FUNCTIONS[name]) for name, way in steps]
    natural = [FUNCTIONS[name][0] for name, _ in steps]

    def program(functions: Any) -> Any:
        def run(x: Any) -> Any:
            for f in functions:
                x = f(x) + 0.5 * x[::-1]
            return x

        return run

    f, h = program(ruled), program(natural)
    for name in stack:
        f, h = TRANSFORMS[name](f), TRANSFORMS[name](h)
    np.testing.assert_allclose(f(X), h(X), rtol=1e-8, atol=1e-10)
