"""Primitives that users declare: calls, rules, what is derived, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tapeflow import (
    ForwardAccumulator,
    GradientTape,
    Variable,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    value_and_grad,
    vjp,
    vmap,
    wrap,
)
from tapeflow.core.batch import each, leading
from tapeflow.core.primitive import Primitive
from tapeflow.errors import (
    BatchLoopWarning,
    MissingRuleError,
    NotDifferentiableError,
    RuleError,
    StructureError,
    TracedConversionError,
)
from tapeflow.testing import check_primitive

X = np.array([1.0, 2.0, 3.0])


def softplus() -> Any:
    @primitive
    def softplus(x, *, beta=1.0):
        """Soften the ramp."""
        assert not hasattr(x, "_level")
        return np.log1p(np.exp(beta * x)) / beta

    return softplus


def cube(**options: Any) -> Any:
    return primitive(name="cube", **options)(lambda x: x**3)


# ---- calls


def test_it_is_the_function_and_the_record_of_the_engine() -> None:
    f = softplus()
    assert isinstance(f, Primitive)
    assert f.__name__ == f.name == "softplus"
    assert f.__doc__ == "Soften the ramp."
    assert repr(f) == "<primitive softplus>"
    assert f(0.0) == np.log(2)
    np.testing.assert_allclose(f([0.0, 1.0]), np.log1p(np.exp([0.0, 1.0])))
    assert f(X.astype(np.float32)).dtype == np.float32
    f.def_jvp(lambda xp, t, x, *, beta: t / (1 + xp.exp(-beta * x)))
    for dtype in (np.float32, np.float64, np.longdouble):
        assert grad(lambda x: np.sum(f(x, beta=2.0)))(X.astype(dtype)).dtype == dtype
    assert len(f.jvps) == len(f.vjps) == 1
    assert not f.variadic


def test_rules_are_decorators_and_can_be_chained() -> None:
    f = cube()

    @f.def_vjp
    def rule(xp, g, x):
        return 3 * g * x**2

    assert rule is f
    assert grad(f)(2.0) == 12.0
    assert f.def_jvp(lambda xp, t, x: 3 * t * x**2).def_batch(leading) is f
    assert jvp(f, (2.0,), (1.0,))[1] == 12.0


def test_static_parameters() -> None:
    f = softplus().def_vjp(lambda xp, g, x, *, beta: g / (1 + xp.exp(-beta * x)))
    assert grad(lambda x: f(x))(0.0) == 0.5
    assert grad(lambda x: f(x, beta=3.0))(1.0) == pytest.approx(1 / (1 + np.exp(-3.0)))
    with pytest.raises(
        TypeError, match=r"parameter 'beta' of type list is not hashable.*pass a tuple instead of a list"
    ):
        f(1.0, beta=[1.0])
    with pytest.raises(StructureError, match=r"parameter 'beta' of type ndarray is not hashable.*as operands \(posi"):
        f(1.0, beta=np.ones(3))
    with pytest.raises(StructureError, match=r"parameter 'beta' is a traced value.*Make it an operand"):
        grad(lambda b: f(1.0, beta=b))(2.0)
    with pytest.raises(StructureError, match=r"has no parameter 'gamma'; it has \['beta'\]"):
        f(1.0, gamma=1)
    g = primitive(lambda x, *, n: x * n).def_vjp(lambda xp, g, *, n: g * n)
    with pytest.raises(StructureError, match="the parameter 'n' is missing"):
        g(1.0)
    assert grad(lambda x: g(x, n=4))(1.0) == 4.0


def test_operands_are_positional_and_counted() -> None:
    f = primitive(lambda x, y=2.0: x * y).def_vjp(lambda xp, g, x1: g * x1, lambda xp, g, x0: g * x0)
    with pytest.raises(StructureError, match="operand 'x' was given by keyword; operands are positional"):
        f(x=1.0)
    with pytest.raises(StructureError, match=r"takes 2 operand\(s\) \(x, y\), all by position, but was called with 3"):
        f(1.0, 2.0, 3.0)
    with pytest.raises(StructureError, match="called with 0"):
        f()
    assert grad(f)(5.0) == 2.0
    v = Variable(np.float64(3.0))
    with GradientTape() as tape:
        y = f(v, 4.0)
    assert tape.gradient(y, v) == 4.0


def test_variadic_functions_have_one_rule_for_all_operands() -> None:
    f = primitive(lambda *xs: sum(x * k for k, x in enumerate(xs)))
    f.def_vjp(lambda xp, g, i: g * i)
    assert grad(f, (0, 1, 2))(1.0, 2.0, 3.0) == (0.0, 1.0, 2.0)
    assert jvp(f, (1.0, 2.0, 3.0), (1.0, 1.0, 1.0))[1] == 3.0
    g = primitive(lambda *xs: xs[0] * xs[1]).def_jvp(lambda xp, t, i, xs: t * xs[1 - i])
    assert grad(g, (0, 1))(2.0, 5.0) == (5.0, 2.0)
    assert hessian(g, (0, 1))(2.0, 5.0)[0][1] == 1.0
    with pytest.raises(StructureError, match=r"2 rule\(s\) for 1 operand\(s\)"):
        f.def_vjp(None, None)


def test_functions_written_in_c_work() -> None:
    f = primitive(np.hypot).def_vjp(lambda xp, g, x0, y: g * x0 / y, lambda xp, g, x1, y: g * x1 / y)
    assert grad(f, (0, 1))(3.0, 4.0) == (0.6, 0.8)
    g = primitive(max).def_vjp(lambda xp, g, i, xs, y: g * (xs[i] == y))  # without a signature
    assert grad(g, (0, 1))(3.0, 4.0) == (0.0, 1.0)


# ---- several results


def test_several_results() -> None:
    f = primitive(nout=2)(lambda x: (np.sin(x), x.sum()))
    f.def_vjp(lambda xp, g, x: g[0] * xp.cos(x) + g[1])
    h = primitive(lambda x: (np.sin(x), x.sum())).def_jvp(lambda xp, t, x: (t * xp.cos(x), xp.sum(t)))

    def natural(x: Any) -> Any:
        return np.sin(x), np.sum(x)

    def loss(f: Any) -> Any:
        return lambda x: np.sum(f(x)[0] ** 2) * f(x)[1]

    for g in (f, h):
        np.testing.assert_allclose(grad(loss(g))(X), grad(loss(natural))(X))
        np.testing.assert_allclose(hessian(loss(g))(X), hessian(loss(natural))(X))
        np.testing.assert_allclose(jvp(g, (X,), (X,))[1][0], X * np.cos(X))
        np.testing.assert_allclose(grad(lambda x, g=g: g(x)[1])(X), [1, 1, 1])
        with pytest.warns(BatchLoopWarning) if g is f else warnings.catch_warnings():
            warnings.simplefilter("always")
            np.testing.assert_allclose(vmap(grad(loss(g)))(np.stack([X, X])), [grad(loss(natural))(X)] * 2)
    half = primitive(lambda x: (x, np.argmax(x))).def_jvp(lambda xp, t: (t, None))
    other = primitive(lambda x: (x, np.argmax(x))).def_vjp(lambda xp, g: g[0])
    for g in (half, other):
        np.testing.assert_array_equal(grad(lambda x, g=g: g(x)[0][g(x)[1]])(X), [0, 0, 1])
        np.testing.assert_array_equal(jvp(lambda x, g=g: g(x)[0], (X,), (X,))[1], X)


@pytest.mark.parametrize(("out", "found"), [((1.0,), "1"), (1.0, "a float"), ((1.0, 2.0, 3.0), "3")])
def test_the_number_of_results_is_checked(out: Any, found: str) -> None:
    with pytest.raises(StructureError, match=f"expected a tuple of 2 results, found {found}"):
        primitive(nout=2)(lambda x: out)(1.0)


def test_the_number_of_tangents_is_checked() -> None:
    f = primitive(lambda x: (x, x)).def_jvp(lambda xp, t: (t, t, t))
    with pytest.raises(RuleError, match="expected a tuple of 2 tangents, one for each output, found 3"):
        jvp(f, (1.0,), (1.0,))
    f.def_jvp(lambda xp, t: t)
    with pytest.raises(RuleError, match=r"forward rule of .*, operand 0: expected a tuple of 2 tangents"):
        jvp(f, (1.0,), (1.0,))
    one = primitive(lambda x: x * 1).def_jvp(lambda xp, t: (t, t))
    with pytest.raises(RuleError, match="expected one array, found a tuple of 2"):
        jvp(one, (1.0,), (1.0,))


# ---- one mode from the other


def test_a_rule_for_one_mode_is_enough_at_every_order() -> None:
    for f in (
        cube().def_jvp(lambda xp, t, x: 3 * t * x**2),
        cube().def_vjp(lambda xp, g, x: 3 * g * x**2),
        cube(elementwise=True).def_vjp(lambda xp, g, x: 3 * g * x**2),
    ):
        assert grad(f)(2.0) == 12.0
        assert grad(grad(f))(2.0) == 12.0
        assert grad(grad(grad(f)))(2.0) == 6.0
        assert jvp(f, (2.0,), (1.0,))[1] == 12.0
        assert jvp(grad(f), (2.0,), (1.0,))[1] == 12.0
        assert grad(lambda x, f=f: jvp(f, (x,), (1.0,))[1])(2.0) == 12.0
        assert grad(lambda x, f=f: vjp(f, x)[1](1.0)[0])(2.0) == 12.0


def test_each_operand_may_have_its_rule_in_another_mode() -> None:
    f = primitive(lambda x, y: x * np.sin(y))
    f.def_jvp(lambda xp, t, x1: t * xp.sin(x1), None).def_vjp(None, lambda xp, g, x0, x1: g * x0 * xp.cos(x1))
    assert grad(f, (0, 1))(2.0, 0.5) == pytest.approx((np.sin(0.5), 2 * np.cos(0.5)))
    assert jvp(f, (2.0, 0.5), (1.0, 1.0))[1] == pytest.approx(np.sin(0.5) + 2 * np.cos(0.5))


def opaque_matrix(t: Any) -> Any:
    """A linear map that only plain arrays can go through."""
    return np.array([[float(t[0]) + 2 * float(t[1])], [3 * float(t[2])]])


def test_opaque_rules_are_transposed_by_seeding() -> None:
    seen = []

    def forward(xp: Any, t: Any) -> Any:
        seen.append(t)
        return opaque_matrix(t)

    f = primitive(lambda x: opaque_matrix(x)).def_jvp(forward)
    expected = np.array([[[1.0, 2, 0]], [[0, 0, 3]]])
    np.testing.assert_array_equal(jacobian(f)(X), expected)
    assert all(isinstance(t, np.ndarray) for t in seen if not hasattr(t, "_level"))

    def back(xp: Any, g: Any) -> Any:
        return np.array([float(g[0, 0]), 2 * float(g[0, 0]), 3 * float(g[1, 0])])

    b = primitive(lambda x: opaque_matrix(x)).def_vjp(back)
    np.testing.assert_array_equal(jvp(b, (X,), (X,))[1], opaque_matrix(X))
    for g in (f, b):
        np.testing.assert_allclose(
            hvp(lambda x, g=g: np.sum(g(x) ** 2), (X,), (X,)), 2 * expected.reshape(2, 3).T @ expected.reshape(2, 3) @ X
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BatchLoopWarning)
            rows = vmap(grad(lambda x, g=g: np.sum(g(x) ** 2)))(np.stack([X, -X]))
        np.testing.assert_allclose(rows, [grad(lambda x, g=g: np.sum(g(x) ** 2))(x) for x in (X, -X)])


def test_rules_that_leave_without_a_sound_are_noticed() -> None:
    def quietly(xp: Any, t: Any) -> Any:
        return 3 * (t.numpy() if hasattr(t, "numpy") else t)

    f = primitive(lambda x: 3 * x).def_jvp(quietly)
    assert grad(f)(2.0) == 3.0
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x)))(X), [3, 3, 3])


def test_opaque_rules_with_residuals_under_batches_and_at_second_order() -> None:
    def forward(xp: Any, t: Any, x: Any) -> Any:
        return np.float64(2 * float(x) * float(t))

    def backward(xp: Any, g: Any, x: Any) -> Any:
        return np.float64(2 * float(x) * float(g))

    for f in (primitive(lambda x: x * x).def_jvp(forward), primitive(lambda x: x * x).def_vjp(backward)):
        assert grad(f)(3.0) == 6.0
        assert jvp(f, (3.0,), (1.0,))[1] == 6.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BatchLoopWarning)
            np.testing.assert_array_equal(vmap(grad(f))(X), 2 * X)
            np.testing.assert_array_equal(vmap(lambda x, f=f: jvp(f, (x,), (x,))[1])(X), 2 * X**2)
            np.testing.assert_array_equal(grad(lambda x, f=f: np.sum(vmap(f)(x)))(X), 2 * X)
        for second in (lambda f: grad(grad(f))(3.0), lambda f: jvp(grad(f), (3.0,), (1.0,))):
            with pytest.raises(NotDifferentiableError, match="derivative of higher order, but it is foreign code"):
                second(f)
        # Where nobody asks for the second derivative of the primitive, it does not matter.
        assert grad(lambda y, f=f: grad(lambda x: f(x) * y)(3.0))(2.0) == 6.0


def test_linear_primitives_need_no_rule_at_all() -> None:
    def evaluate(x: Any, y: Any) -> Any:
        return np.array([float(x[0]) + float(y), 3 * float(x[1]) - float(y)])

    f = primitive(linear=True)(evaluate)
    x, y = np.array([1.0, 2.0]), np.float64(3.0)
    jx, jy = jacobian(f, (0, 1))(x, y)
    np.testing.assert_array_equal(jx, [[1, 0], [0, 3]])
    np.testing.assert_array_equal(jy, [1, -1])
    np.testing.assert_array_equal(jvp(f, (x, y), (x, y))[1], f(x, y))
    np.testing.assert_array_equal(hessian(lambda x: np.sum(f(x, y) ** 2))(x), [[2, 0], [0, 18]])
    with pytest.raises(ValueError, match="declared linear: it is its own JVP"):
        f.def_jvp(None, None)
    g = primitive(linear=True)(lambda x: 2 * x).def_vjp(lambda xp, g: 2 * g)
    assert grad(g)(1.0) == jvp(g, (1.0,), (1.0,))[1] == 2.0


def test_a_rule_that_is_not_linear_is_found_out() -> None:
    f = primitive(lambda x: x * 1.0).def_jvp(lambda xp, t: t * t)
    with pytest.raises(
        RuleError, match=r"not linear in its tangent or cotangent. Make it linear, or give the rules of both"
    ):
        grad(f)(1.0)
    f = primitive(lambda x: x * 1.0).def_vjp(lambda xp, g: g + 1)
    with pytest.raises(RuleError, match="not linear"):
        jvp(f, (1.0,), (1.0,))
    opaque = primitive(lambda x: x * 1.0).def_jvp(lambda xp, t: np.float64(float(t) ** 2))
    with pytest.raises(RuleError, match="not linear"):
        grad(opaque)(1.0)


def test_a_primitive_without_rules_says_so_when_a_derivative_is_asked() -> None:
    f = softplus()
    with GradientTape() as tape:
        x = tape.watch(np.float64(1.0))
        y = f(x)
        z = 3 * x
    with pytest.raises(
        MissingRuleError, match=r"softplus has no derivative rule; give one of the two modes by .def_jvp"
    ):
        tape.gradient(y, x)
    assert tape.gradient(z, x) == 3.0
    with pytest.raises(MissingRuleError, match="softplus"):
        jvp(f, (1.0,), (1.0,))
    g = primitive(lambda x, n: x * n).def_jvp(lambda xp, t, x1: t * x1, None)
    assert grad(g)(2.0, 3.0) == 3.0
    with GradientTape() as tape:
        x, n = tape.watch((np.float64(2.0), np.float64(3.0)))
        y = g(x, n)
    assert tape.gradient(y, x) == 3.0  # as long as nobody asks for the other one
    with pytest.raises(MissingRuleError, match=r"with respect to operand 1 \(n\)"):
        grad(g, 1)(2.0, 3.0)


# ---- what rules return


@pytest.mark.parametrize("wrong", [np.ones(2), np.ones((1, 3)), np.float64(1.0)])
@pytest.mark.parametrize("mode", ["jvp", "vjp"])
@pytest.mark.parametrize("ask", ["jvp", "vjp"])
def test_a_wrong_shape_is_an_error(wrong: Any, mode: str, ask: str) -> None:
    f = primitive(name="mine")(lambda x: x * 1.0)
    getattr(f, f"def_{mode}")(lambda xp, g: xp.sum(g) * wrong)
    which = "forward" if mode == "jvp" else "reverse"
    text = rf"the {which} rule of mine, operand 0: expected shape \(3,\), found \({', '.join(map(str, wrong.shape))}"
    with pytest.raises(RuleError, match=text):
        jvp(f, (X,), (X,)) if ask == "jvp" else grad(lambda x: np.sum(f(x)))(X)


def test_a_wrong_dtype_is_an_error_and_real_ones_are_cast() -> None:
    for mode in ("jvp", "vjp"):
        f = primitive(lambda x: x * 1.0)
        getattr(f, f"def_{mode}")(lambda xp, g: g * 1j)
        with pytest.raises(RuleError, match=r"expected the real dtype float64, found complex128; take xp.real"):
            jvp(f, (X,), (X,))
        with pytest.raises(RuleError, match="expected the real dtype"):
            grad(lambda x, f=f: np.sum(f(x)))(X)
        getattr(f, f"def_{mode}")(
            lambda xp, g: xp.astype(g, np.float64) if hasattr(xp, "nothing") else np.float64(3) * g
        )
        x = X.astype(np.float32)
        assert jvp(f, (x,), (x,))[1].dtype == np.float32
        assert grad(lambda x, f=f: np.sum(f(x)))(x).dtype == np.float32
        getattr(f, f"def_{mode}")(lambda xp, g: None)
        np.testing.assert_array_equal(grad(lambda x, f=f: np.sum(f(x)))(X), [0, 0, 0])
        np.testing.assert_array_equal(jvp(f, (X,), (X,))[1], [0, 0, 0])
    f = primitive(lambda x: x * 1.0).def_vjp(lambda xp, g: "text")
    with pytest.raises(RuleError, match="reverse rule of"):
        grad(f)(1.0)


def test_elementwise_primitives_broadcast() -> None:
    f = primitive(elementwise=True)(lambda x, y: x * y)
    f.def_vjp(lambda xp, g, x1: g * x1, lambda xp, g, x0: g * x0)
    col = np.ones((4, 1))
    gx, gc = grad(lambda x, c: np.sum(f(x, c)), (0, 1))(X, col)
    np.testing.assert_array_equal(gx, [4, 4, 4])
    np.testing.assert_array_equal(gc, np.full((4, 1), 6))
    np.testing.assert_array_equal(jvp(f, (X, col), (X, col))[1], f(X, col) * 2)
    np.testing.assert_array_equal(vmap(grad(lambda x, c: np.sum(f(x, c))), (0, None))(X, col), [4, 4, 4])
    g = primitive(elementwise=True)(lambda x, y: x * y).def_jvp(lambda xp, t, x1: t * x1, lambda xp, t, x0: t * x0)
    np.testing.assert_array_equal(grad(lambda x: np.sum(g(x, col)))(X), [4, 4, 4])
    assert hessian(lambda x: np.sum(g(x, x)))(X)[1, 1] == 2.0
    wrong = primitive(elementwise=True)(lambda x, y: x * y).def_vjp(lambda xp, g: np.ones(7), None)
    with pytest.raises(RuleError, match="expected shape"):
        grad(lambda x: np.sum(wrong(x, col)))(X)
    root = primitive(elementwise=True)(np.sqrt).def_vjp(lambda xp, g, y: g / (2 * y))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.where(x > 1, root(x - 1), 0)))(X), [0, 0.5, 1 / np.sqrt(8)])


# ---- complex numbers: rules are plain transposes


def test_complex_rules_are_plain_transposes() -> None:
    def natural(x: Any, y: Any) -> Any:
        return x * np.conj(y) + np.real(x) * 1j

    by_jvp = primitive(natural).def_jvp(
        lambda xp, t, x1: t * xp.conj(x1) + xp.real(t) * 1j, lambda xp, t, x0: x0 * xp.conj(t)
    )
    by_vjp = primitive(natural).def_vjp(
        lambda xp, g, x1: g * xp.conj(x1) + xp.real(g * 1j), lambda xp, g, x0: xp.conj(g * x0)
    )
    opaque = primitive(natural).def_jvp(
        lambda xp, t, x1: np.array([complex(a) for a in t]) * xp.conj(x1) + xp.real(t) * 1j,
        lambda xp, t, x0: x0 * np.array([complex(a).conjugate() for a in t]),
    )
    z, w = np.array([1 + 2j, 3 - 1j]), np.array([0.5j, 1 - 1j])

    def loss(f: Any) -> Any:
        return lambda z, w: np.sum(np.imag(f(z, w) * (1 - 2j)) ** 2)

    expected = grad(loss(natural), (0, 1))(z, w)
    tangent = jvp(natural, (z, w), (w, z))[1]
    for f in (by_jvp, by_vjp, opaque):
        for a, b in zip(grad(loss(f), (0, 1))(z, w), expected, strict=True):
            np.testing.assert_allclose(a, b)
        np.testing.assert_allclose(jvp(f, (z, w), (w, z))[1], tangent)
    for f in (by_jvp, by_vjp):
        np.testing.assert_allclose(jvp(grad(loss(f)), (z, w), (w, z))[1], jvp(grad(loss(natural)), (z, w), (w, z))[1])


def test_a_real_operand_of_a_complex_result() -> None:
    f = primitive(lambda x: x * (1 + 2j)).def_jvp(lambda xp, t: t * (1 + 2j))
    g = primitive(lambda x: x * (1 + 2j)).def_vjp(lambda xp, g: xp.real(g * (1 + 2j)))
    for h in (f, g):
        assert grad(lambda x, h=h: np.imag(h(x)))(3.0) == 2.0
        assert jvp(h, (3.0,), (1.0,))[1] == 1 + 2j
    wrong = primitive(lambda x: x * (1 + 2j)).def_vjp(lambda xp, g: g * (1 + 2j))
    with pytest.raises(RuleError, match=r"take xp.real of it"):
        grad(lambda x: np.imag(wrong(x)))(3.0)


# ---- batches


def test_batches_loop_with_one_warning_and_use_a_rule_if_there_is_one() -> None:
    calls = []

    def evaluate(x: Any) -> Any:
        calls.append(np.shape(x))
        return np.sum(x**2, axis=-1)

    f = primitive(name="looped")(evaluate).def_vjp(lambda xp, g, x: 2 * x * xp.expand_dims(g, -1))
    xs = np.arange(6.0).reshape(2, 3)
    with pytest.warns(BatchLoopWarning, match="looped has no batching rule"):
        np.testing.assert_array_equal(vmap(f)(xs), np.sum(xs**2, 1))
    assert calls == [(3,), (3,)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(vmap(grad(f))(xs), 2 * xs)
    calls.clear()
    f.def_batch(lambda primitive, values, batched, params: primitive(*values, **params))
    np.testing.assert_array_equal(vmap(grad(f))(xs), 2 * xs)
    np.testing.assert_array_equal(grad(lambda xs: np.sum(vmap(f)(xs)))(xs), 2 * xs)
    assert calls == [(2, 3), (2, 3)]
    f.def_batch(each)
    np.testing.assert_array_equal(vmap(f)(xs), np.sum(xs**2, 1))
    ready = primitive(batch=leading)(lambda x: x[..., 0])
    np.testing.assert_array_equal(vmap(ready)(xs), xs[:, 0])
    with pytest.raises(TypeError, match="def_batch: expected a function"):
        f.def_batch(None)


# ---- what is refused at declaration, and at calls


def test_bad_declarations() -> None:
    with pytest.raises(TypeError, match="primitive: expected a function, found 3"):
        primitive(3)
    f = softplus()
    with pytest.raises(ValueError, match=r"the rule asks for 'a', which is no residual; there are x"):
        f.def_jvp(lambda xp, t, a, *, beta: t)
    with pytest.raises(ValueError, match="asks for 'x1'"):
        f.def_jvp(lambda xp, t, x1, *, beta: t)
    with pytest.raises(ValueError, match="the rule does not take the parameter 'beta'"):
        f.def_vjp(lambda xp, g, x: g)
    with pytest.raises(StructureError, match=r"softplus.def_vjp: 2 rule\(s\) for 1 operand\(s\)"):
        f.def_vjp(None, None)
    with pytest.raises(TypeError, match="expected a function or None, found 3"):
        f.def_jvp(3)
    f.def_vjp(lambda xp, g, x, **params: g * params["beta"])
    assert grad(lambda x: f(x, beta=4.0))(1.0) == 4.0
    f.def_vjp(lambda xp, g, x, beta: g * beta)
    assert grad(lambda x: f(x, beta=4.0))(1.0) == 4.0


@pytest.mark.parametrize("out", [None, "text", [1.0, 2.0], {"a": 1.0}])
def test_results_that_are_no_arrays_are_refused(out: Any) -> None:
    with pytest.raises(StructureError, match=f"returned a {type(out).__name__}; expected an array"):
        primitive(lambda x: out)(1.0)


def test_traced_values_from_outside_are_refused() -> None:
    def f(x: Any) -> Any:
        return primitive(lambda y: y * x)(2.0)

    with pytest.raises(TracedConversionError, match="uses one from outside, whose derivative would be lost"):
        grad(f)(3.0)


def test_the_function_cannot_write_into_what_the_tape_keeps_nor_share_it() -> None:
    def write(x: Any) -> Any:
        x[0] = 5.0
        return x

    with pytest.raises(ValueError, match="read-only"):
        grad(lambda x: np.sum(primitive(write)(x)))(X)
    f = primitive(lambda x: x[::-1]).def_vjp(lambda xp, g: g[::-1])
    with GradientTape() as tape:
        x = tape.watch(X)
        y = f(x)
        y[0] = 10.0
        z = np.sum(x**2) + np.sum(y)
    np.testing.assert_array_equal(tape.gradient(z, x), 2 * X + [1, 1, 0])


class Custom(Exception):
    pass


def test_exceptions_keep_their_class_and_the_tape_survives() -> None:
    def fail(xp: Any, g: Any) -> Any:
        raise Custom("mine")

    f = primitive(lambda x: x * 1.0).def_vjp(fail)
    with GradientTape() as tape:
        x = tape.watch(np.float64(1.0))
        y = f(x)
        z = 2 * x
    with pytest.raises(Custom, match="mine"):
        tape.gradient(y, x)
    assert tape.gradient(z, x) == 2.0
    with pytest.raises(Custom):
        jvp(f, (1.0,), (1.0,))

    def broken(x: Any) -> Any:
        raise Custom("in the function")

    with pytest.raises(Custom):
        grad(primitive(broken))(1.0)


def test_zero_dimensional_and_empty_arrays() -> None:
    f = cube().def_jvp(lambda xp, t, x: 3 * t * x**2)
    assert grad(f)(np.array(2.0)) == 12.0
    assert grad(lambda x: np.sum(f(x)))(np.zeros((0, 2))).shape == (0, 2)
    opaque = cube().def_jvp(
        lambda xp, t, x: np.array([3 * float(a) * float(b) ** 2 for a, b in zip(t, x, strict=True)])
    )
    assert grad(lambda x: np.sum(opaque(x)))(np.zeros(0)).shape == (0,)
    np.testing.assert_allclose(grad(lambda x: np.sum(opaque(x)))(X), 3 * X**2)


def test_integer_operands_are_constants() -> None:
    f = primitive(lambda x, n: x**n).def_vjp(lambda xp, g, x0, x1: g * x1 * x0 ** (x1 - 1), None)
    assert grad(f)(2.0, 3) == 12.0
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x, np.array([1, 2, 3]))))(X), [1, 4, 27])
    step = primitive(lambda x: np.sign(x).astype(int))
    assert value_and_grad(lambda x: x * step(x))(2.0) == (2.0, 1.0)


def test_accumulators_of_variables_and_tapes_around() -> None:
    f = cube().def_vjp(lambda xp, g, x: 3 * g * x**2)
    v = Variable(np.float64(2.0))
    with ForwardAccumulator([v], [np.float64(1.0)]) as acc:
        y = f(v)
    assert acc.jvp(y) == 12.0
    with GradientTape() as tape:
        with ForwardAccumulator([v], [np.float64(1.0)]) as acc:
            y = f(v)
        t = acc.jvp(y)
    assert tape.gradient(t, v) == 12.0


def test_the_laws_of_our_own_table_hold_for_users_primitives_and_find_wrong_rules() -> None:
    right: list[tuple[Any, tuple[Any, ...]]] = [
        (softplus().def_jvp(lambda xp, t, x, *, beta: t / (1 + xp.exp(-beta * x))), (X,)),
        (cube(elementwise=True).def_vjp(lambda xp, g, x: 3 * g * x**2), (X,)),
        (primitive(linear=True)(lambda x: 2 * x), (X,)),
        (primitive(lambda *xs: xs[0] * xs[1]).def_jvp(lambda xp, t, i, xs: t * xs[1 - i]), (X, X + 1)),
        (wrap(lambda x: np.sin(x), jac=lambda x: np.eye(3) * np.cos(x)), (X,)),
        (wrap(lambda x: np.sin(x), vjp=lambda g, y, x: g * np.cos(x)), (X,)),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchLoopWarning)
        for p, args in right:
            check_primitive(p, *args)
        for rules in ("def_jvp", "def_vjp"):
            wrong = getattr(cube(), rules)(lambda xp, g, x: 2 * g * x**2)
            with pytest.raises(AssertionError, match="cube breaks the law"):
                check_primitive(wrong, X)
