"""What functions with custom rules promise, a test or more for each promise."""

from __future__ import annotations

import collections
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeflow import (
    ForwardAccumulator,
    GradientTape,
    Variable,
    custom_gradient,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jacobian,
    jvp,
    stop_gradient,
    vjp,
    vmap,
    wrap,
)
from tapeflow.errors import MissingRuleError, RuleError, StructureError

X = np.array([1.0, 2.0, 3.0])


class Pair(NamedTuple):
    a: Any
    b: Any


def sevenfold(x: Any) -> Any:
    """Doubles, and says that its slope is 7."""
    return x * 2, lambda g: 7 * g


def vjp_function(backward: Any, forward: Any = None, fun: Any = None, **options: Any) -> Any:
    f = custom_vjp(fun or (lambda x: x * 2))
    f.defvjp(forward or (lambda x: (x * 2, None)), backward, **options)
    return f


# ---- the rule replaces the derivative


def test_the_rule_replaces_the_derivative_in_both_modes() -> None:
    by_gradient = custom_gradient(sevenfold)
    by_vjp = vjp_function(lambda r, g: (7 * g,))
    by_jvp = custom_jvp(lambda x: x * 2)
    by_jvp.defjvp(lambda primals, tangents: (primals[0] * 2, 7 * tangents[0]))
    for f in (by_gradient, by_vjp, by_jvp):
        assert f(3.0) == 6.0
        assert grad(f)(3.0) == 7.0
        assert jvp(f, (3.0,), (1.0,)) == (6.0, 7.0)
        np.testing.assert_array_equal(jacobian(f)(X), 7 * np.eye(3))
        assert grad(lambda x, f=f: f(f(x)))(3.0) == 49.0
        assert grad(grad(f))(3.0) == 0.0
        assert type(f(np.float64(3.0))) is np.float64


def test_nested_custom_functions_use_each_other_s_rules() -> None:
    inner = custom_gradient(lambda x: (x * x, lambda g: g * 3 * x))
    outer = custom_gradient(lambda x: (np.sin(x), lambda g: g * inner(x)))
    x = 0.7
    assert grad(lambda x: outer(inner(x)))(x) == pytest.approx((x**2) ** 2 * 3 * x)
    assert grad(grad(outer))(x) == pytest.approx(3 * x)  # the rule of the rule


def test_rules_work_on_methods() -> None:
    class Model:
        scale = 5.0

        @custom_gradient
        def by_gradient(self, x: Any) -> Any:
            return x * self.scale, lambda g: 7 * g

        @custom_vjp
        def by_vjp(self, x: Any) -> Any:
            return x * self.scale

        by_vjp.defvjp(lambda self, x: (self.by_vjp(x), None), lambda r, g: (None, 7 * g))

        @custom_jvp
        def by_jvp(self, x: Any) -> Any:
            return x * self.scale

        by_jvp.defjvp(lambda primals, tangents: (primals[0].by_jvp(primals[1]), 7 * tangents[1]))

    model = Model()
    for f in (model.by_gradient, model.by_vjp, model.by_jvp):
        assert f(2.0) == 10.0
        assert grad(f)(2.0) == 7.0
        assert jvp(f, (2.0,), (1.0,)) == (10.0, 7.0)


# ---- what a rule returns


def test_the_wrong_number_of_gradients_is_an_error_with_both_counts() -> None:
    two = custom_gradient(lambda x, y: (x * y, lambda g: (g, g, g)))
    with pytest.raises(RuleError, match=r"gradient function of .*: 2 argument\(s\), but 3 gradient\(s\)"):
        grad(two)(1.0, 2.0)
    f = custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, None), lambda r, g: (g,))
    with pytest.raises(RuleError, match=r"2 differentiable argument\(s\), but 1 cotangent\(s\)"):
        grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, None), lambda r, g: g)
    with pytest.raises(RuleError, match="expected a tuple of 2"):
        grad(f)(1.0, 2.0)


@pytest.mark.parametrize("wrong", [np.ones(2), np.ones((3, 1)), np.float64(1.0), [1.0, 2.0]])
def test_a_wrong_shape_is_an_error_with_both(wrong: Any) -> None:
    shape = np.shape(wrong)
    text = rf"expected shape \(3,\), found {str(shape).replace('(', '[(]').replace(')', '[)]')}"
    with pytest.raises(RuleError, match=text):
        grad(lambda x: np.sum(vjp_function(lambda r, g: (np.asarray(wrong),))(x)))(X)
    with pytest.raises(RuleError, match=text):
        grad(lambda x: np.sum(custom_gradient(lambda x: (x * 2, lambda g: np.asarray(wrong)))(x)))(X)
    f = custom_jvp(lambda x: x * 2)
    f.defjvp(lambda primals, tangents: (primals[0] * 2, np.asarray(wrong)))
    with pytest.raises(RuleError, match=text):
        jvp(f, (X,), (X,))


def test_real_gradients_are_cast_and_complex_ones_for_real_arguments_refused() -> None:
    f = vjp_function(lambda r, g: (np.asarray(g, np.float64) * 3,))
    found = grad(lambda x: np.sum(f(x)))(X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [3, 3, 3])
    f = vjp_function(lambda r, g: (np.full(3, 2),))
    assert grad(lambda x: np.sum(f(x)))(X).dtype == np.float64
    f = vjp_function(lambda r, g: (g * 1j,))
    with pytest.raises(RuleError, match=r"expected the real dtype float64, found complex128; take xp.real"):
        grad(lambda x: np.sum(f(x)))(X)
    f = vjp_function(lambda r, g: ("seven",))
    with pytest.raises(RuleError, match=r"expected an array of shape .* found .*seven"):
        grad(f)(1.0)


def test_none_for_an_argument_is_zero() -> None:
    f = custom_gradient(lambda x, y: (x * y, lambda g: (None, g * x)))
    assert grad(f, (0, 1))(2.0, 3.0) == (0.0, 2.0)
    assert jvp(f, (2.0, 3.0), (1.0, 10.0))[1] == 20.0
    with GradientTape() as tape:
        x, y = tape.watch((np.float64(2.0), np.float64(3.0)))
        z = f(x, y)
    assert tape.gradient(z, [x, y]) == [None, 2.0]
    nothing = vjp_function(lambda r, g: (None,))
    assert grad(nothing)(3.0) == 0.0
    assert jvp(nothing, (3.0,), (1.0,)) == (6.0, 0.0)
    nothing = custom_jvp(lambda x: x * 2)
    nothing.defjvp(lambda primals, tangents: (primals[0] * 2, None))
    assert jvp(nothing, (3.0,), (1.0,)) == (6.0, 0.0)
    assert grad(nothing)(3.0) == 0.0


@pytest.mark.parametrize("found", [3.0, None, (1.0, 2.0), (1.0, len, len, len), [1.0, len]])
def test_a_function_that_returns_no_pair_is_told_what_is_expected(found: Any) -> None:
    with pytest.raises(StructureError, match=r"must return a pair \(result, function of the cotangents\)"):
        custom_gradient(lambda x: found)(2.0)


def test_a_pair_is_expected_of_fwd_and_of_the_jvp() -> None:
    with pytest.raises(RuleError, match=r"fwd must return a pair \(result, residuals\), not a Recorded"):
        grad(vjp_function(lambda r, g: (g,), forward=lambda x: x))(1.0)
    f = custom_jvp(lambda x: x)
    f.defjvp(lambda primals, tangents: tangents[0])
    with pytest.raises(RuleError, match=r"its jvp must return a pair \(result, tangent\)"):
        grad(f)(1.0)


def test_a_rule_that_is_no_function_is_refused() -> None:
    f = custom_vjp(np.sin)
    with pytest.raises(TypeError, match="bwd must be a function, found 3"):
        f.defvjp(np.sin, 3)
    with pytest.raises(TypeError, match="expected a function, found 3"):
        custom_jvp(np.sin).defjvp(3)
    for kind in (custom_vjp, custom_jvp, custom_gradient):
        with pytest.raises(TypeError, match=f"{kind.__name__}: expected a function, found 3"):
            kind(3)


def test_a_missing_rule_is_an_error_where_a_derivative_is_asked() -> None:
    for kind, way in ((custom_vjp, "defvjp"), (custom_jvp, "defjvp")):
        f = kind(lambda x: np.sin(x))
        assert f(0.0) == 0.0
        with pytest.raises(MissingRuleError, match=f"without a rule; call .*{way}"):
            grad(f)(0.0)


# ---- variables


def test_variables_read_inside_are_given_to_the_rule() -> None:
    v = Variable(np.float64(3.0), name="v")
    seen = []

    @custom_gradient
    def f(x: Any) -> Any:
        def backward(g: Any, variables: Any) -> Any:
            seen.append(variables)
            return 7 * g, [11 * g * x]

        return x * v * v, backward

    with GradientTape() as tape:
        x = tape.watch(np.float64(2.0))
        y = f(x)
    assert tape.gradient(y, [x, v]) == [7.0, 22.0]
    assert len(seen) == 1
    assert seen[0][0] is v
    with GradientTape() as tape:  # with nothing else watched
        y = f(np.float64(5.0))
    assert tape.gradient(y, v) == 55.0
    with ForwardAccumulator([v], [np.float64(1.0)]) as acc:
        y = f(np.float64(5.0))
    assert acc.jvp(y) == 55.0


def test_variables_and_a_rule_that_takes_none_are_an_error_when_called() -> None:
    v = Variable(np.float64(3.0), name="weight")
    f = custom_gradient(lambda x: (x * v, lambda g: 7 * g))
    assert f(2.0) == 6.0
    with GradientTape() as tape:
        x = tape.watch(np.float64(2.0))
        with pytest.raises(
            TypeError, match=r"reads variables .* \(weight\), so its gradient function must take variables="
        ):
            f(x)
    by_vjp = custom_vjp(lambda x: x * v)
    by_vjp.defvjp(lambda x: (x * v, None), lambda r, g: (g,))
    by_jvp = custom_jvp(lambda x: x * v)
    by_jvp.defjvp(lambda p, t: (p[0] * 3, t[0]))
    for g in (by_vjp, by_jvp):
        for watch in (False, True):
            with GradientTape() as tape:
                x = tape.watch(np.float64(2.0)) if watch else np.float64(2.0)
                with pytest.raises(StructureError, match=r"reads variables .*weight.* Pass them as arguments"):
                    g(x)


def test_what_the_rule_gives_for_variables_is_counted() -> None:
    v, w = Variable(np.float64(3.0)), Variable(np.ones(2))

    def gradient_with(found: Any) -> Any:
        f = custom_gradient(lambda x: (x * v * np.sum(w), lambda g, variables: found))
        with GradientTape() as tape:
            x = tape.watch(np.float64(2.0))
            y = f(x)
        return tape.gradient(y, [x, v, w])

    assert gradient_with((1.0, [2.0, None])) == [1.0, 2.0, None]
    with pytest.raises(RuleError, match=r"2 variable\(s\), but 1 gradient\(s\) of variables"):
        gradient_with((1.0, [2.0]))
    with pytest.raises(RuleError, match=r"must return \(gradients, gradients of the variables\)"):
        gradient_with(1.0)
    with pytest.raises(RuleError, match=r"variable 1: expected shape \(2,\), found \(3,\)"):
        gradient_with((1.0, [2.0, np.ones(3)]))


def test_a_variable_as_an_argument_is_an_ordinary_one() -> None:
    v = Variable(np.float64(3.0))
    by_jvp = custom_jvp(lambda x: x * 2)
    by_jvp.defjvp(lambda p, t: (p[0] * 2, 7 * t[0]))
    for f in (custom_gradient(sevenfold), vjp_function(lambda r, g: (7 * g,)), by_jvp):
        with GradientTape() as tape:
            y = f(v)
        assert tape.gradient(y, v) == 7.0
    untrained = Variable(np.float64(3.0), trainable=False)
    f = custom_gradient(lambda x: (x * untrained, lambda g: 7 * g))
    assert grad(f)(2.0) == 7.0  # nobody differentiates it


# ---- arguments by keyword and by closure


def test_arguments_by_keyword_get_their_gradient() -> None:
    f = custom_gradient(lambda x, y=2.0: (x * y, lambda *g: (7 * g[0], 5 * g[0])))
    assert grad(lambda y: f(1.0, y=y))(3.0) == 5.0
    assert grad(lambda x: f(y=1.0, x=x))(3.0) == 7.0
    by_vjp = custom_vjp(lambda x, y=2.0: x * y)
    by_vjp.defvjp(lambda x, y: (x * y, None), lambda r, g: (7 * g, 5 * g))
    by_jvp = custom_jvp(lambda x, y=2.0: x * y)
    by_jvp.defjvp(lambda p, t: (p[0] * p[1], 7 * t[0] + 5 * t[1]))
    for f in (by_vjp, by_jvp):
        assert grad(lambda y, f=f: f(1.0, y=y))(3.0) == 5.0
        assert grad(lambda x, f=f: f(x))(3.0) == 7.0


def test_keyword_only_arguments_are_constants_or_an_error() -> None:
    @custom_gradient
    def f(x: Any, *, scale: Any) -> Any:
        return x * scale, lambda g: 7 * g

    assert f(2.0, scale=3.0) == 6.0
    assert grad(lambda x: f(x, scale=3.0))(2.0) == 7.0
    with pytest.raises(StructureError, match="keyword-only argument 'scale' is being differentiated"):
        grad(lambda s: f(2.0, scale=s))(3.0)
    assert grad(lambda s: f(2.0, scale=stop_gradient(s)) + s)(3.0) == 1.0
    g = custom_jvp(lambda x, *, scale: x * scale)
    g.defjvp(lambda p, t, *, scale: (p[0] * scale, t[0] * 7 * scale))
    assert grad(lambda x: g(x, scale=3.0))(2.0) == 21.0


@pytest.mark.parametrize("differentiate", [grad, lambda f: lambda x: jvp(f, (x,), (1.0,))])
def test_a_captured_value_is_an_error(differentiate: Any) -> None:
    def outer(make: Any) -> Any:
        return lambda x: make(x)(2.0 * x)

    def by_vjp(c: Any) -> Any:
        f = custom_vjp(lambda x: x * c)
        f.defvjp(lambda x: (x * c, None), lambda r, g: (7 * g,))
        return f

    def by_jvp(c: Any) -> Any:
        f = custom_jvp(lambda x: x * c)
        f.defjvp(lambda p, t: (p[0] * c, 7 * t[0]))
        return f

    for make in (lambda c: custom_gradient(lambda x: (x * c, lambda g: 7 * g)), by_vjp, by_jvp):
        with pytest.raises(StructureError, match=r"captured by closure.*Pass it as an argument, or use stop_gradient"):
            differentiate(outer(make))(3.0)
        assert np.shape(differentiate(outer(lambda c, make=make: make(stop_gradient(c))))(3.0)) in ((), (2,))


def test_a_captured_value_of_an_outer_level_is_an_error_too() -> None:
    def f(x: Any) -> Any:
        inner = custom_gradient(lambda y: (y * x, lambda g: 7 * g))
        return grad(inner)(2.0)

    with pytest.raises(StructureError, match="captured by closure"):
        grad(f)(3.0)


def test_captured_values_of_which_results_do_not_depend_are_fine() -> None:
    def f(x: Any) -> Any:
        inner = custom_gradient(lambda y: (y * np.ones(x.shape), lambda g: g * 7 * stop_gradient(x)))
        return np.sum(inner(x * 2))

    np.testing.assert_array_equal(grad(f)(X), 14 * X)


# ---- structures


def test_several_outputs_some_unused() -> None:
    seen: list[Any] = []

    @custom_gradient
    def f(x: Any) -> Any:
        def backward(g1: Any, g2: Any) -> Any:
            seen.append((g1, g2))
            return 7 * g1 + 5 * np.sum(g2)

        return (x * 2, np.stack([x, x])), backward

    assert grad(lambda x: f(x)[0])(3.0) == 7.0
    np.testing.assert_array_equal(seen[-1][1], [0, 0])
    assert grad(lambda x: np.sum(f(x)[1]))(3.0) == 10.0
    tangents = jvp(f, (3.0,), (1.0,))[1]
    assert tangents[0] == 7.0
    np.testing.assert_array_equal(tangents[1], [5, 5])


def test_structures_of_arguments_results_and_gradients() -> None:
    def body(tree: Any, z: Any) -> Any:
        return Pair({"s": tree["a"] * z, "n": 3, "t": "text"}, [tree["b"][0] + z])

    def backward(r: Any, g: Any) -> Any:
        tree, z = r
        return {"a": 2 * g.a["s"] * z, "b": (g.b[0],)}, 3 * np.sum(g.a["s"] * tree["a"]) + np.sum(g.b[0])

    f = custom_vjp(body)
    f.defvjp(lambda tree, z: (body(tree, z), (tree, z)), backward)
    tree = {"a": X, "b": (np.float64(4.0),)}
    out = f(tree, 2.0)
    assert out.a["n"] == 3
    assert out.a["t"] == "text"

    def loss(f: Any) -> Any:
        def loss(tree: Any, z: Any) -> Any:
            y = f(tree, z)
            assert y.a["t"] == "text"
            return np.sum(y.a["s"] ** 2) + y.b[0]

        return loss

    gt, gz = grad(loss(f), (0, 1))(tree, 2.0)
    np.testing.assert_allclose(gt["a"], 2 * (2 * X * 2) * 2)
    assert gt["b"] == (1.0,)
    assert gz == pytest.approx(3 * np.sum(2 * X * 2 * X) + 1)

    for flat in (True, False):

        @custom_gradient
        def h(tree: Any, z: Any, flat: Any = flat) -> Any:
            def grad_fn(*gs: Any) -> Any:
                assert len(gs) == 4
                found = backward((tree, z), Pair({"s": gs[1 - 0] if gs[0] is None else gs[0], "n": None}, [gs[-1]]))
                return [found[0]["a"], found[0]["b"][0], found[1]] if flat else found

            return body(tree, z), grad_fn

        again = grad(loss(lambda tree, z, h=h: h(tree, z)), (0, 1))
        gt2, gz2 = again(tree, 2.0)
        np.testing.assert_allclose(gt2["a"], gt["a"])
        assert gz2 == pytest.approx(gz)


def test_a_gradient_of_another_structure_is_refused() -> None:
    f = custom_vjp(lambda tree: tree["a"] * 2)
    f.defvjp(lambda tree: (tree["a"] * 2, None), lambda r, g: ({"b": g},))
    with pytest.raises(RuleError, match=r"argument 0: the result is a dict of 1 \('b'\), expected a dict of 1 \('a'\)"):
        grad(f)({"a": 1.0})
    f.defvjp(lambda tree: (tree["a"] * 2, None), lambda r, g: (None,))
    assert grad(f)({"a": 1.0}) == {"a": 0.0}
    g = custom_jvp(lambda x: {"a": x})
    g.defjvp(lambda p, t: ({"a": p[0]}, t[0]))
    with pytest.raises(RuleError, match=r"the jvp of .*: the result is a leaf, expected a dict of 1 \('a'\)"):
        jvp(g, (1.0,), (1.0,))


def test_integer_arguments_and_results_have_no_gradient() -> None:
    f = custom_vjp(lambda x, n: (x * n, n + 1, np.argmax(x)))
    f.defvjp(lambda x, n: ((x * n, n + 1, np.argmax(x)), n), lambda n, g: (7 * g[0], None))
    _, m, k = f(X, 3)
    assert (m, k) == (4, 2)
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x, 3)[0]))(X), [7, 7, 7])
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x, np.array([1, 2, 3]))[0]))(X), [7, 7, 7])


def test_nondiff_argnums_come_first_and_may_be_anything() -> None:
    f = custom_vjp(lambda h, x, name: h(x), nondiff_argnums=(0, 2))
    f.defvjp(lambda h, x, name: (h(x), x), lambda h, name, x, g: (7 * g * h(x),))
    assert grad(f, 1)(np.sin, 0.5, "a name") == pytest.approx(7 * np.sin(0.5))
    g = custom_jvp(lambda h, x: h(x), nondiff_argnums=0)
    g.defjvp(lambda h, p, t: (h(p[0]), 7 * t[0] * h(p[0])))
    assert grad(g, 1)(np.sin, 0.5) == pytest.approx(7 * np.sin(0.5))

    @custom_jvp(nondiff_argnums=(1,))
    def power(x: Any, n: Any) -> Any:
        return x**n

    power.defjvp(lambda n, p, t: (power(p[0], n), n * power(p[0], n - 1) * t[0]))
    assert grad(grad(power))(2.0, 3) == pytest.approx(12.0)
    with pytest.raises(StructureError, match="argument 1 is in nondiff_argnums, but is being differentiated"):
        grad(power, 1)(2.0, 3.0)
    with pytest.raises(StructureError, match=r"nondiff_argnums has 2, but there are 1 argument"):
        custom_jvp(np.sin, nondiff_argnums=2)(1.0)
    with pytest.raises(StructureError, match="defjvps does not go with nondiff_argnums"):
        power.defjvps(None)


def test_defjvps_counts_its_rules() -> None:
    f = custom_jvp(lambda x, y: x * y)
    f.defjvps(lambda t, out, x, y: t * y)
    with pytest.raises(RuleError, match=r"1 rule\(s\) for 2 argument\(s\)"):
        grad(f)(1.0, 2.0)
    f.defjvps(None, lambda t, out, x, y: t * x)
    assert grad(f, (0, 1))(3.0, 2.0) == (0.0, 3.0)
    f.defjvps(None, None)
    assert grad(f, (0, 1))(3.0, 2.0) == (0.0, 0.0)


# ---- life of values


def test_an_argument_returned_unchanged_is_a_new_value() -> None:
    by_vjp = custom_vjp(lambda x: x)
    by_vjp.defvjp(lambda x: (x, None), lambda r, g: (7 * g,))
    by_jvp = custom_jvp(lambda x: x)
    by_jvp.defjvp(lambda p, t: (p[0], 7 * t[0]))
    for f in (custom_gradient(lambda x: (x, lambda g: 7 * g)), by_vjp, by_jvp):
        with GradientTape(persistent=True) as tape:
            x = tape.watch(X)
            y = f(x)
            z = np.sum(x**2)
            s = np.sum(y)
            y[0] = 50.0  # writes of one are not seen by the other
            after = np.sum(y)
        assert y is not x
        np.testing.assert_array_equal(tape.gradient(z, x), 2 * X)
        np.testing.assert_array_equal(tape.gradient(s, x), [7, 7, 7])
        np.testing.assert_array_equal(tape.gradient(after, x), [0, 7, 7])
        np.testing.assert_array_equal(x.numpy(), X)


def test_views_of_an_argument_are_new_values() -> None:
    f = custom_gradient(lambda x: (x[1:], lambda g: np.concatenate([g, g[:1]])))

    def program(x: Any) -> Any:
        y = f(x)
        y[0] = 10.0
        return np.sum(y) + np.sum(x)

    np.testing.assert_array_equal(grad(program)(X), [1 + 0, 1 + 1, 1 + 0])


def test_arrays_that_a_rule_keeps_may_be_written_to_afterwards() -> None:
    a = np.array([1.0, 2.0, 3.0])
    f = custom_vjp(lambda x: x * a)
    f.defvjp(lambda x: (x * a, a), lambda a, g: (g * a,))
    h = custom_jvp(lambda x, a: x * a)
    h.defjvp(lambda p, t: (p[0] * p[1], t[0] * p[1]))
    for call in (f, lambda x: h(x, a)):
        a[:] = [1.0, 2.0, 3.0]
        with GradientTape() as tape:
            x = tape.watch(X)
            y = np.sum(call(x))
            a[:] = 100.0
        np.testing.assert_array_equal(tape.gradient(y, x), [1, 2, 3])


def test_second_order_goes_through_the_rule_and_through_what_the_body_computed() -> None:
    @custom_gradient
    def f(x: Any) -> Any:
        e = np.exp(x)
        return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))

    s = 1 / (1 + np.exp(-0.3))
    assert grad(f)(0.3) == pytest.approx(s)
    assert grad(grad(f))(0.3) == pytest.approx(s * (1 - s))
    assert grad(grad(grad(f)))(0.3) == pytest.approx(s * (1 - s) * (1 - 2 * s))


def test_a_body_may_open_its_own_tape() -> None:
    @custom_gradient
    def f(x: Any) -> Any:
        with GradientTape() as tape:
            z = tape.watch(x)
            y = z**3
        return tape.gradient(y, z), lambda g: g * 6 * x

    assert f(2.0) == 12.0
    assert grad(f)(2.0) == 12.0
    assert grad(grad(f))(2.0) == 6.0
    h = custom_gradient(lambda x: (np.sin(x), lambda g: g * grad(np.sin)(x)))
    assert grad(grad(h))(0.3) == pytest.approx(-np.sin(0.3))
    assert jvp(grad(h), (0.3,), (1.0,))[1] == pytest.approx(-np.sin(0.3))


class Custom(Exception):
    pass


def test_what_a_rule_raises_reaches_the_caller_and_the_tape_can_be_asked_again() -> None:
    def fail(g: Any) -> Any:
        raise Custom("from the rule")

    f = custom_gradient(lambda x: (x * 2, fail))
    with GradientTape() as tape:
        x = tape.watch(np.float64(1.0))
        y = f(x)
        z = x * 5
    with pytest.raises(Custom, match="from the rule"):
        tape.gradient(y, x)
    assert tape.gradient(z, x) == 5.0
    with pytest.raises(Custom):
        jvp(f, (1.0,), (1.0,))
    g = custom_jvp(lambda x: x * 2)
    g.defjvp(lambda p, t: fail(t))
    with pytest.raises(Custom):
        grad(g)(1.0)


def test_how_often_a_rule_runs() -> None:
    count = collections.Counter()

    @custom_gradient
    def f(x: Any, y: Any, z: Any) -> Any:
        count["body"] += 1

        def backward(*gs: Any) -> Any:
            count["rule"] += 1
            return gs[0] * y, gs[0] * x + gs[1], gs[1]

        return (x * y, y + z), backward

    with GradientTape(persistent=True) as tape:
        x, y, z, other = tape.watch((X, X + 1, X + 2, X))
        a, b = f(x, y, z)
        total = np.sum(a * b)
        rest = np.sum(other)
    assert count == {"body": 1}
    found = tape.gradient(total, (x, y, z))
    assert count == {"body": 1, "rule": 1}
    for g, e in zip(found, ((X + 1) * (2 * X + 3), X * (2 * X + 3) + X * (X + 1), X * (X + 1)), strict=True):
        np.testing.assert_allclose(g, e)
    tape.gradient(rest, other)
    assert count["rule"] == 1  # not needed
    tape.gradient(total, x)
    assert count["rule"] == 2
    tape.gradient(total, (x, y, z))
    assert count == {"body": 1, "rule": 3}


def test_the_body_of_a_replaced_derivative_is_not_swept() -> None:
    poisoned = custom_gradient(lambda x: (np.sqrt(x - x) * 1.0, lambda g: 7 * g))  # slope inf inside
    assert grad(poisoned)(3.0) == 7.0
    f = custom_vjp(lambda x: np.sqrt(x - x))
    f.defvjp(lambda x: (np.sqrt(x - x), np.sqrt(x - x)), lambda r, g: (7 * g + 0 * r,))
    assert grad(f)(3.0) == 7.0


# ---- forward mode of reverse rules


def clipped(g: Any, limit: float) -> Any:
    return np.clip(g, -limit, limit)


@pytest.mark.parametrize("limit", [0.1, 1.0, 100.0])
def test_a_rule_that_is_not_linear_needs_a_forward_rule(limit: float) -> None:
    by_gradient = custom_gradient(lambda x: (x * 1.0, lambda g: clipped(g, limit)))
    by_vjp = vjp_function(lambda r, g: (clipped(g, limit),))
    for f in (by_gradient, by_vjp):
        np.testing.assert_array_equal(grad(lambda x, f=f: np.sum(1000 * f(x)))(X), np.full(3, limit))
        with pytest.raises(RuleError, match=r"not linear in its tangent or cotangent.*jvp="):
            jvp(f, (X,), (X,))
    with_jvp = vjp_function(lambda r, g: (clipped(g, limit),), jvp=lambda r, t: 3 * t[0])
    np.testing.assert_array_equal(jvp(with_jvp, (X,), (X,))[1], 3 * X)
    triple = custom_gradient(lambda x: (x * 1.0, lambda g: clipped(g, limit), lambda t: 3 * t))
    np.testing.assert_array_equal(jvp(triple, (X,), (X,))[1], 3 * X)


def test_normalising_rules_are_not_linear_either() -> None:
    f = custom_gradient(lambda x: (x * 1.0, lambda g: g / np.sqrt(np.sum(g**2))))
    with pytest.raises(RuleError, match="not linear"):
        jvp(f, (X,), (X,))
    f = custom_gradient(lambda x: (x * 1.0, lambda g: np.abs(g)))
    with pytest.raises(RuleError, match="not linear"):
        jvp(f, (X,), (X,))


def test_a_forward_rule_that_is_not_linear_has_no_transpose() -> None:
    for rule in (lambda t: t**2, lambda t: t + 1.0):
        f = custom_jvp(lambda x: x * 1.0)
        f.defjvp(lambda p, t, rule=rule: (p[0], rule(t[0])))
        with pytest.raises(RuleError, match="not linear in its tangent or cotangent"):
            grad(lambda x, f=f: np.sum(f(x)))(X)


def test_grad_pass_through() -> None:
    """The identity for gradients around any function, as a custom gradient."""

    def pass_through(fun: Any) -> Any:
        return custom_gradient(lambda x: (fun(x), lambda g: g))

    w = Variable(np.float64(2.0), trainable=False)
    f = pass_through(lambda x: np.round(x * w))
    np.testing.assert_array_equal(f(X), np.round(X * 2))
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x) * X))(X), X)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[1], X)
    np.testing.assert_array_equal(vmap(grad(f))(X), np.ones(3))
    assert hessian(f)(1.0) == 0.0


# ---- numbers


Z = np.array([1.0 + 2.0j, -0.5 + 0.3j])


def smooth(z: Any) -> Any:
    return np.conj(z) * np.sin(z) + np.abs(z) ** 2


def test_complex_cotangents_are_those_of_the_tape() -> None:
    """A rule that asks the tape itself for its answer must be the natural derivative."""

    def backward(z: Any, g: Any) -> Any:
        with GradientTape() as tape:
            w = tape.watch(z)
            y = smooth(w)
        return (tape.gradient(y, w, output_gradients=g),)

    f = custom_vjp(smooth)
    f.defvjp(lambda z: (smooth(z), z), backward)
    h = custom_gradient(lambda z: (smooth(z), lambda g: backward(z, g)[0]))
    k = custom_jvp(smooth)
    k.defjvp(lambda p, t: jvp(smooth, p, t))

    def loss(f: Any) -> Any:
        return lambda z: np.sum(np.real(f(z) * (2 - 1j)) ** 2)

    for g in (f, h, k):
        np.testing.assert_allclose(grad(loss(g))(Z), grad(loss(smooth))(Z))
        np.testing.assert_allclose(jvp(g, (Z,), (Z * 1j + 1,))[1], jvp(smooth, (Z,), (Z * 1j + 1,))[1])
        np.testing.assert_allclose(vjp(g, Z)[1](Z)[0], vjp(smooth, Z)[1](Z)[0])
        np.testing.assert_allclose(
            jvp(grad(loss(g)), (Z,), (Z * 1j + 1,))[1], jvp(grad(loss(smooth)), (Z,), (Z * 1j + 1,))[1]
        )


def test_the_gradient_of_the_squared_modulus_is_twice_the_number() -> None:
    f = custom_gradient(lambda z: (np.real(z) ** 2 + np.imag(z) ** 2, lambda g: 2 * g * z))
    np.testing.assert_allclose(grad(f)(1.0 + 2.0j), 2 + 4j)
    np.testing.assert_allclose(jvp(f, (1.0 + 2.0j,), (1j,))[1], 4.0)
    # A real argument and a complex result: the cotangent is complex, the gradient real.
    h = custom_gradient(lambda x: (x * (1 + 2j), lambda g: np.real(g * (1 - 2j))))
    assert grad(lambda x: np.imag(h(x)))(3.0) == 2.0
    assert jvp(h, (3.0,), (1.0,))[1] == 1 + 2j


def test_float32_stays_and_empty_and_0d_arrays_work() -> None:
    for f in (custom_gradient(sevenfold), vjp_function(lambda r, g: (7 * g,))):
        x = X.astype(np.float32)
        assert grad(lambda x, f=f: np.sum(f(x)))(x).dtype == np.float32
        assert jvp(f, (x,), (x,))[1].dtype == np.float32
        assert grad(lambda x, f=f: np.sum(f(x)))(np.zeros((0, 2))).shape == (0, 2)
        assert jvp(f, (np.zeros(0),), (np.zeros(0),))[1].shape == (0,)
        assert grad(f)(np.array(2.0)) == 7.0


def test_a_result_that_depends_on_no_argument_may_have_a_gradient() -> None:
    f = custom_gradient(lambda x: (np.ones(3), lambda g: 7 * g))
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x)))(X), [7, 7, 7])
    number = custom_gradient(lambda x: (1.0, lambda g: 7 * g))
    assert grad(lambda x: number(x) * 2)(3.0) == 14.0
    nothing = custom_gradient(lambda x: (None, lambda: 0.0))
    assert grad(lambda x: x if nothing(x) is None else 0 * x)(3.0) == 1.0


def test_closures_over_batched_values_work() -> None:
    def f(x: Any, c: Any) -> Any:
        inner = custom_gradient(lambda x: (x * c, lambda g: g * 7 * c))
        return inner(x)

    np.testing.assert_array_equal(vmap(grad(f), (0, 0))(X, X), 7 * X)
    total = grad(lambda x: np.sum(vmap(lambda c: f(x, c))(X)))(np.float64(2.0))
    assert total == 7 * np.sum(X)


def test_what_a_rule_does_not_keep_is_released_at_once() -> None:
    """The body of a custom function is a branch that nobody uses; only residuals live as long as the tape."""
    alive: list[Any] = []

    def body(x: Any) -> Any:
        big = np.exp(x) * 1.0
        alive.append(weakref.ref(big))
        return np.sin(big)

    by_vjp = custom_vjp(body)
    by_vjp.defvjp(lambda x: (body(x), None), lambda r, g: (7 * g,))
    by_gradient = custom_gradient(lambda x: (body(x), lambda g: 7 * g))
    by_jvp = custom_jvp(body)
    by_jvp.defjvp(lambda p, t: (body(p[0]), 7 * t[0]))
    gc.collect()
    gc.disable()
    try:
        for f in (by_vjp, by_gradient, by_jvp):
            alive.clear()
            with GradientTape() as tape:
                y = tape.watch(X)
                for _ in range(200):
                    y = f(y)
                assert sum(r() is not None for r in alive) < 60  # what the next compaction will find
                assert len(tape._wengert.entries) < 400
    finally:
        gc.enable()


def test_rules_used_from_several_threads() -> None:
    f = custom_gradient(lambda x, y: (x * y, lambda g: (g * y, g * x)))
    w = wrap(lambda x, y: float(x) * float(y), vjp=lambda g, z, x, y: (g * y, g * x))

    def work(k: int) -> Any:
        a, b = float(k), float(k + 1)
        return [grad(lambda x, y, h=h: h(x, y) * h(y, x), (0, 1))(a, b) for h in (f, w) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for k, found in enumerate(pool.map(work, range(8))):
            a, b = float(k), float(k + 1)
            assert found == [(2 * a * b * b, 2 * a * a * b)] * 100


def test_repr_and_wrapped() -> None:
    def named(x: Any) -> Any:
        """What it says."""
        return x

    for kind in (custom_vjp, custom_jvp, custom_gradient):
        f = kind(named)
        assert repr(f) == f"<{kind.__name__} named>"
        assert f.__wrapped__ is named
        assert f.__doc__ == "What it says."
