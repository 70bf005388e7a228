"""Black boxes: every way to give a derivative, against the same function written in NumPy."""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape, Variable, grad, hessian, hvp, jacobian, jvp, vmap, wrap
from tapeflow.errors import MissingRuleError, NotDifferentiableError, RuleError, StructureError

X = np.array([1.0, 2.0, -0.5])
A = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]])


@pytest.fixture(autouse=True)
def loops_are_fine() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="vmap: .* has no batching rule")
        yield


def natural(x: Any, a: Any) -> Any:
    return np.sin(x @ a) * x[0]


def box(x: Any, a: Any) -> Any:
    """The same, out of reach for any tracer; and it overwrites its arguments."""
    x = [float(v) for v in x]
    rows = [[float(v) for v in row] for row in a]
    out = [math.sin(sum(x[i] * rows[i][j] for i in range(3))) * x[0] for j in range(2)]
    a[...] = np.nan
    return np.array(out)


def numpy_jac(x: Any, a: Any) -> Any:
    z = x @ a
    first = np.stack([np.sin(z), np.zeros(2), np.zeros(2)], -1)
    outer = np.cos(z) * x[0]
    eye = np.eye(2)
    return np.transpose(a) * np.reshape(outer, (2, 1)) + first, (
        np.reshape(outer, (2, 1, 1)) * np.reshape(x, (1, 3, 1)) * np.reshape(eye, (2, 1, 2))
    )


def numpy_vjp(g: Any, y: Any, x: Any, a: Any) -> Any:
    z = x @ a
    gz = g * np.cos(z) * x[0]
    gx = a @ gz + np.sum(g * np.sin(z)) * np.array([1.0, 0, 0])
    return gx, np.reshape(x, (3, 1)) * np.reshape(gz, (1, 2))


def numpy_jvp(t: Any, x: Any, a: Any) -> Any:
    z = x @ a
    return np.cos(z) * x[0] * (t[0] @ a + x @ t[1]) + np.sin(z) * t[0][0]


def plain(*arrays: Any) -> None:
    for a in arrays:
        if not isinstance(a, np.ndarray):
            raise TypeError(f"foreign code wants an array, not {type(a).__name__}")
        assert a.ctypes.data


def foreign(rule: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        for a in args:
            plain(*(a if isinstance(a, tuple) else (a,)))
        return rule(*args)

    return call


WAYS = {
    "jac": wrap(box, jac=numpy_jac),
    "vjp": wrap(box, vjp=numpy_vjp),
    "jvp": wrap(box, jvp=numpy_jvp),
    "vjp and jvp": wrap(box, vjp=numpy_vjp, jvp=numpy_jvp),
    "foreign jac": wrap(box, jac=foreign(numpy_jac)),
    "foreign vjp": wrap(box, vjp=foreign(numpy_vjp)),
    "foreign jvp": wrap(box, jvp=foreign(numpy_jvp)),
    "central": wrap(box, fd=True),
    "complex step": wrap(natural, fd="complex-step"),
}


def loss(f: Any) -> Callable[..., Any]:
    return lambda x, a: np.sum(np.tanh(f(x, a)))


FIRST: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: f(X, A),
    "grad": lambda f: grad(loss(f), (0, 1))(X, A),
    "grad of one": lambda f: grad(loss(f), 1)(X, A),
    "jvp": lambda f: jvp(f, (X, A), (X[::-1].copy(), A + 1))[1],
    "jvp of one": lambda f: jvp(lambda a: f(X, a), (A,), (A + 1,))[1],
    "jacobian": lambda f: jacobian(f, (0, 1))(X, A),
    "vmap": lambda f: vmap(f, (0, None))(np.stack([X, X + 1]), A),
    "vmap grad": lambda f: vmap(grad(loss(f), (0, 1)), (0, None))(np.stack([X, X + 1]), A),
    "vmap jvp": lambda f: vmap(lambda x: jvp(lambda a: f(x, a), (A,), (A + 1,))[1])(np.stack([X, X + 1])),
    "grad vmap": lambda f: grad(lambda x, a: np.sum(vmap(f, (0, None))(x, a) ** 2), (0, 1))(np.stack([X, X + 1]), A),
    "linear in the tangent": lambda f: grad(lambda t: np.sum(jvp(f, (X, A), (t, A))[1] ** 2))(X),
    "hessian of a part": lambda f: hessian(lambda s: np.sum(s**2) * np.sum(f(X, A)))(X),
}
SECOND: dict[str, Callable[[Any], Any]] = {
    "hvp": lambda f: hvp(loss(f), (X, A), (X, A)),
    "hessian": lambda f: hessian(loss(f))(X, A),
    "grad of jvp": lambda f: grad(lambda x: np.sum(jvp(f, (x, A), (X, A))[1] ** 2))(X),
    "vmap hvp": lambda f: vmap(lambda x: hvp(lambda x: np.sum(f(x, A) ** 2), (x,), (X,)))(np.stack([X, X + 1])),
}


def assert_same(found: Any, expected: Any, rtol: float) -> None:
    if isinstance(expected, (tuple, list)):
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b, rtol)
        return
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", FIRST)
def test_every_way_gives_first_derivatives(way: str, what: str) -> None:
    assert_same(FIRST[what](WAYS[way]), FIRST[what](natural), 1e-8 if way == "central" else 1e-12)


@pytest.mark.parametrize("way", ["jac", "vjp", "jvp", "vjp and jvp"])
@pytest.mark.parametrize("what", SECOND)
def test_rules_in_numpy_have_second_derivatives(way: str, what: str) -> None:
    assert_same(SECOND[what](WAYS[way]), SECOND[what](natural), 1e-10)


@pytest.mark.parametrize("way", ["foreign jac", "foreign vjp", "foreign jvp", "central", "complex step"])
@pytest.mark.parametrize("what", SECOND)
def test_others_say_that_they_have_none(way: str, what: str) -> None:
    text = "inaccurate" if way in ("central", "complex step") else "foreign code"
    with pytest.raises(NotDifferentiableError, match=rf"box|natural.*derivative of higher order, but .*{text}"):
        SECOND[what](WAYS[way])


# ---- real foreign code


def test_a_function_of_the_c_library() -> None:
    path = ctypes.util.find_library("m")
    if path is None:
        pytest.skip("no libm")
    lib = ctypes.CDLL(path)
    for name in ("erf", "cbrt"):
        getattr(lib, name).restype = ctypes.c_double
        getattr(lib, name).argtypes = [ctypes.c_double]
    slope = 2 / np.sqrt(np.pi)
    erf = wrap(lib.erf, jac=lambda x: slope * np.exp(-x * x), name="erf")
    assert grad(erf)(0.3) == pytest.approx(slope * np.exp(-0.09))
    assert grad(grad(erf))(0.3) == pytest.approx(-0.6 * slope * np.exp(-0.09))
    np.testing.assert_allclose(vmap(erf)(X), [math.erf(v) for v in X])
    np.testing.assert_allclose(vmap(grad(erf))(X), slope * np.exp(-X * X))
    cbrt = wrap(lib.cbrt, vjp=lambda g, y, x: lib.cbrt(1 / (x * x)) / 3 * g)
    assert grad(cbrt)(8.0) == pytest.approx(1 / 12)
    assert jvp(cbrt, (8.0,), (2.0,))[1] == pytest.approx(1 / 6)
    with pytest.raises(NotDifferentiableError, match=r"the vjp of cbrt .* foreign code \(ArgumentError\)"):
        grad(grad(cbrt))(8.0)
    assert grad(wrap(lib.cbrt, fd=True))(8.0) == pytest.approx(1 / 12, rel=1e-9)


def test_a_subprocess() -> None:
    def run(x: Any, *, power: int) -> Any:
        code = f"import sys; print(*(float(v) ** {power} for v in sys.argv[1:]))"
        found = subprocess.run(
            [sys.executable, "-S", "-c", code, *map(repr, map(float, x))], capture_output=True, check=True
        )
        return np.array([float(v) for v in found.stdout.split()])

    f = wrap(run, jac=lambda x, *, power: power * x ** (power - 1) * np.eye(len(x)))
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x, power=3)))(X), 3 * X**2)


# ---- several results, integers, options


def test_several_results() -> None:
    def two(x: Any, y: Any) -> Any:
        return np.array([float(v) * float(y) for v in x]), float(x[0]) ** 2, 7

    def numpy_two(x: Any, y: Any) -> Any:
        return x * y, x[0] ** 2

    e0 = np.array([1.0, 0, 0])
    ways = (
        wrap(two, jac=lambda x, y: ((y * np.eye(3), x), (2 * x[0] * e0, None), (None, None))),
        wrap(two, vjp=lambda g, y, x, s: (g[0] * s + g[1] * 2 * x[0] * e0, np.sum(g[0] * x))),
        wrap(two, jvp=lambda t, x, s: (t[0] * s + x * t[1], 2 * x[0] * t[0][0], None)),
        wrap(two, fd=True),
    )
    for f in ways:
        assert f(X, 2.0)[2] == 7

        def program(f: Any) -> Any:
            return lambda x, y: np.sum(f(x, y)[0] ** 2) * f(x, y)[1]

        assert_same(grad(program(f), (0, 1))(X, 2.0), grad(program(numpy_two), (0, 1))(X, 2.0), 1e-8)
        tangents = jvp(f, (X, 2.0), (X, 1.0))[1]
        assert_same(tuple(tangents[:2]), jvp(numpy_two, (X, 2.0), (X, 1.0))[1], 1e-8)


def test_integer_arguments_and_options_are_constants() -> None:
    def power(x: Any, n: Any, *, scale: float = 1.0) -> Any:
        assert isinstance(n, (int, np.integer))
        return scale * float(x) ** int(n)

    ways = (
        wrap(power, jac=lambda x, n, scale=1.0: (scale * n * x ** (n - 1), None)),
        wrap(power, vjp=lambda g, y, x, n, scale=1.0: (g * scale * n * x ** (n - 1), None)),
        wrap(power, jvp=lambda t, x, n, scale=1.0: scale * n * x ** (n - 1) * t[0]),
        wrap(power, fd=True),
    )
    for f in ways:
        assert grad(f)(2.0, 3) == pytest.approx(12.0)
        assert grad(lambda x, f=f: f(x, np.int64(3), scale=2.0))(2.0) == pytest.approx(24.0)
        assert jvp(lambda x, f=f: f(x, 3), (2.0,), (1.0,))[1] == pytest.approx(12.0)
    with pytest.raises(StructureError, match="parameter 'scale' is a traced value"):
        grad(lambda s: ways[0](2.0, 3, scale=s))(1.0)


def test_complex_arguments() -> None:
    def f(z: Any) -> Any:
        return np.array([complex(v) ** 2 * complex(v).conjugate() for v in z])

    def g(z: Any) -> Any:
        return z**2 * np.conj(z)

    z = np.array([1 + 2j, 0.5 - 1j])
    ways = (
        wrap(f, vjp=lambda g, y, z: np.conj(2 * z * np.conj(z)) * g + z**2 * np.conj(g)),
        wrap(f, jvp=lambda t, z: 2 * z * np.conj(z) * t[0] + z**2 * np.conj(t[0])),
        wrap(f, fd=True),
    )

    def program(f: Any) -> Any:
        return lambda z: np.sum(np.real(f(z) * (1 - 2j)) ** 2)

    for h in ways:
        assert_same(grad(program(h))(z), grad(program(g))(z), 1e-7)
        assert_same(jvp(h, (z,), (1j * z + 1,))[1], jvp(g, (z,), (1j * z + 1,))[1], 1e-7)
    holomorphic = wrap(lambda z: complex(z) ** 2, jac=lambda z: 2 * z)
    assert_same(grad(lambda z: np.real(holomorphic(z)))(1 + 2j), grad(lambda z: np.real(z**2))(1 + 2j), 1e-12)
    modulus = wrap(lambda z: abs(complex(z)), jac=lambda z: np.conj(z) / abs(z))
    with pytest.raises(NotDifferentiableError, match=r"a real result of complex arguments.*vjp= or jvp="):
        grad(modulus)(1 + 2j)
    curve = wrap(lambda x: complex(float(x), 2 * float(x)), jac=lambda x: 1 + 2j)
    assert grad(lambda x: np.imag(curve(x)))(3.0) == 2.0


def test_batched_boxes_are_called_once() -> None:
    calls = []

    def box(x: Any, a: Any) -> Any:
        plain(np.asarray(x), np.asarray(a))
        calls.append(np.shape(x))
        return np.squeeze(np.expand_dims(x, -2) @ a, -2) ** 2

    def natural(x: Any, a: Any) -> Any:
        return np.dot(x, a) ** 2

    def jac(x: Any, a: Any) -> Any:
        z = np.squeeze(np.expand_dims(x, -2) @ a, -2)
        by_x = 2 * z[..., :, None] * np.swapaxes(a, -1, -2)
        by_a = 2 * z[..., :, None, None] * x[..., None, :, None] * np.eye(2)[:, None, :]
        return by_x, by_a

    def pull(g: Any, y: Any, x: Any, a: Any) -> Any:
        gz = 2 * g * np.squeeze(np.expand_dims(x, -2) @ a, -2)
        return np.squeeze(a @ np.expand_dims(gz, -1), -1), np.expand_dims(x, -1) * np.expand_dims(gz, -2)

    xs = np.stack([X, X + 1])
    for f in (wrap(box, jac=jac, batched=True), wrap(box, vjp=pull, batched=True), wrap(box, fd=True, batched=True)):
        calls.clear()
        assert_same(vmap(f, (0, None))(xs, A), vmap(natural, (0, None))(xs, A), 1e-12)
        assert calls == [(2, 3)]

        def program(f: Any) -> Any:
            return lambda xs, a: np.sum(np.sin(vmap(f, (0, None))(xs, a)))

        assert_same(grad(program(f), (0, 1))(xs, A), grad(program(natural), (0, 1))(xs, A), 1e-7)
        assert_same(jvp(program(f), (xs, A), (xs, A))[1], jvp(program(natural), (xs, A), (xs, A))[1], 1e-7)
        inner = vmap(grad(lambda x, f=f: np.sum(f(x, A) ** 2)))(xs)
        assert_same(inner, vmap(grad(lambda x: np.sum(natural(x, A) ** 2)))(xs), 1e-6)


# ---- finite differences


def test_steps_are_scaled_entry_by_entry() -> None:
    x = np.array([1e-6, 1.0, 1e6])
    f = wrap(lambda x: np.sum(np.cos(x / np.array([1.0, 1.0, 1e6]))), fd=True)
    expected = -np.sin(x / [1, 1, 1e6]) / [1, 1, 1e6]
    np.testing.assert_allclose(grad(f)(x), expected, rtol=1e-6, atol=1e-10)
    exact = wrap(lambda x: np.sum(np.exp(x)), fd="complex-step")
    np.testing.assert_allclose(grad(exact)(X), np.exp(X), rtol=1e-15)
    x32 = X.astype(np.float32)
    found = grad(wrap(lambda x: np.sum(np.exp(x)), fd=True))(x32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.exp(x32), rtol=2e-3)
    assert grad(wrap(lambda x: np.sum(np.exp(x)), fd="complex-step"))(x32).dtype == np.float32
    coarse = wrap(lambda x: x**3, fd="central", step=0.5)
    assert grad(coarse)(1.0) == pytest.approx(3.25)  # 3 x^2 + h^2


def test_how_many_evaluations_they_take() -> None:
    calls = []

    def f(x: Any, a: Any) -> Any:
        calls.append(1)
        return np.sum(x**2) * np.sum(a)

    for method, per_entry in (("central", 2), ("complex-step", 1)):
        g = wrap(f, fd=method)
        calls.clear()
        jvp(g, (X, A), (X, A))
        assert len(calls) == 1 + per_entry
        calls.clear()
        grad(g)(X, A)  # the other argument is not perturbed
        assert len(calls) == 1 + 3 * per_entry


def test_joint_rules_run_once_for_all_arguments() -> None:
    calls = []

    def pull(g: Any, y: Any, *xs: Any) -> Any:
        calls.append(1)
        return tuple(2 * g * x for x in xs)

    f = wrap(lambda *xs: sum(float(x) ** 2 for x in xs), vjp=pull)
    assert grad(lambda a, b, c: f(a, b, c) + f(a, a), (0, 1, 2))(1.0, 2.0, 3.0) == (6.0, 4.0, 6.0)
    assert len(calls) == 2


def test_the_complex_step_is_refused_where_it_would_be_wrong() -> None:
    drops = wrap(lambda x: np.real(x) ** 2, fd="complex-step")
    with pytest.raises(RuleError, match=r"for complex arguments it returned float64: it drops imaginary parts"):
        grad(drops)(2.0)
    with pytest.raises(NotDifferentiableError, match="the complex step is for real arguments"):
        grad(lambda z: np.real(wrap(lambda z: z**2, fd="complex-step")(z)))(1j)


def test_the_choice_shows() -> None:
    assert repr(wrap(math.lgamma, fd=True)) == "<wrapped lgamma, differentiated by finite differences (central)>"
    assert "complex-step, step=1e-10" in repr(wrap(math.lgamma, fd="complex-step", step=1e-10))
    assert repr(wrap(math.lgamma, jac=math.cos, name="g")) == "<wrapped g, differentiated by jac>"
    assert repr(wrap(math.lgamma, jvp=math.cos, vjp=math.cos)) == "<wrapped lgamma, differentiated by vjp and jvp>"
    assert repr(wrap(math.lgamma)) == "<wrapped lgamma, differentiated by nothing>"
    with pytest.raises(NotDifferentiableError, match=r"lgamma by finite differences \(fd='central'\).*inaccurate"):
        grad(grad(wrap(math.lgamma, fd=True)))(3.0)


# ---- what is refused


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="wrap: f must be a function, found 3"):
        wrap(3)
    with pytest.raises(TypeError, match="wrap: jac must be a function"):
        wrap(math.sin, jac=3)
    with pytest.raises(ValueError, match="fd='forward'; expected True, 'central', 'complex-step' or False"):
        wrap(math.sin, fd="forward")
    with pytest.raises(ValueError, match="together with vjp=; finite differences are for functions without a rule"):
        wrap(math.sin, fd=True, vjp=math.cos)
    for bad in ({"step": 0.1}, {"fd": True, "step": -1.0}):
        with pytest.raises(ValueError, match="expected a positive number, together with fd"):
            wrap(math.sin, **bad)
    with pytest.raises(TypeError, match=r"give its rules to wrap\(...\)"):
        wrap(math.sin).def_vjp(None)


def test_no_derivative_unless_asked_for() -> None:
    f = wrap(math.sin)
    assert f(0.0) == 0.0
    for ask in (lambda: grad(f)(1.0), lambda: jvp(f, (1.0,), (1.0,))):
        with pytest.raises(MissingRuleError, match=r"sin was wrapped without a derivative; .*fd=True"):
            ask()


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"jac": lambda x: np.ones(2)}, r"the jac of box, argument 0: expected shape \(3,\), found \(2,\)"),
        ({"vjp": lambda g, y, x: (g * x, g)}, "the vjp of box: expected a tuple of 1, one for each argument, found 2"),
        ({"vjp": lambda g, y, x: g * np.ones(2)}, r"argument 0: expected shape \(3,\), found \(2,\)"),
        ({"vjp": lambda g, y, x: g * x * 1j}, "expected the real dtype float64, found complex128"),
        ({"jvp": lambda t, x: t[0]}, r"the jvp of box: expected shape \(\), found \(3,\)"),
        ({"jvp": lambda t, x: (1.0, 2.0)}, "expected a tuple of 1 tangents"),
    ],
)
def test_what_a_rule_returns_is_checked(rules: Any, text: str) -> None:
    f = wrap(lambda x: float(np.sum(x**2)), name="box", **rules)
    with pytest.raises(RuleError, match=text):
        grad(f)(X)
    with pytest.raises(RuleError, match=text):
        jvp(f, (X,), (X,))


def test_a_vjp_that_is_not_linear_does_not_serve_forward_mode() -> None:
    f = wrap(lambda x: np.array(x), vjp=lambda g, y, x: np.clip(g, -1, 1))
    np.testing.assert_array_equal(grad(lambda x: np.sum(5 * f(x)))(X), [1, 1, 1])
    with pytest.raises(RuleError, match="not linear"):
        jvp(f, (X,), (X,))


class Custom(Exception):
    pass


def test_exceptions_keep_their_class() -> None:
    def fail(*args: Any) -> Any:
        raise Custom("mine")

    for rules in ({"jac": fail}, {"vjp": fail}, {"jvp": fail}):
        f = wrap(math.sin, **rules)
        with pytest.raises(Custom):
            grad(f)(1.0)
        with pytest.raises(Custom):
            jvp(f, (1.0,), (1.0,))
    with pytest.raises(Custom):
        grad(wrap(fail, fd=True))(1.0)


def test_buffers_of_foreign_code_are_not_kept() -> None:
    buffer = np.zeros(3)

    def fill(x: Any) -> Any:
        buffer[:] = 2 * np.asarray(x)
        return buffer

    f = wrap(fill, vjp=lambda g, y, x: 2 * g * y / y)
    with GradientTape() as tape:
        x = tape.watch(X)
        y = f(x) * f(x + 1)
    np.testing.assert_array_equal(y.numpy(), 4 * X * (X + 1))
    np.testing.assert_array_equal(tape.gradient(y, x), 4 * (2 * X + 1))


def test_variables_and_empty_arrays() -> None:
    v = Variable(np.float64(2.0))
    f = wrap(math.exp, fd=True)
    with GradientTape() as tape:
        y = f(v)
    assert tape.gradient(y, v) == pytest.approx(np.exp(2.0), rel=1e-9)
    g = wrap(lambda x: np.array(x) * 2, fd=True)
    assert grad(lambda x: np.sum(g(x)))(np.zeros((0, 2))).shape == (0, 2)
    assert jvp(g, (np.zeros(0),), (np.zeros(0),))[1].shape == (0,)
