"""Special functions where they are singular, in their tails, where a derivative is refused; and their accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special
from special_values import VALUES

from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.errors import MissingRuleError, RuleError, TracedConversionError

inf, nan = math.inf, math.nan


def gradient(f: Any, *args: Any) -> Any:
    args = tuple(np.asarray(a) for a in args)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = f(*x)
    found = tape.gradient(y, x, np.ones(y.shape, y.dtype), "zero")
    return found[0] if len(args) == 1 else found


def tangent(f: Any, x: Any) -> Any:
    x = np.asarray(x)
    with ForwardAccumulator(x, np.ones_like(x)) as acc:
        return np.asarray(acc.jvp(f(acc.primals), "zero"))


def second(f: Any, x: Any) -> Any:
    return tangent(lambda v: gradient_of(f, v), x)


def gradient_of(f: Any, v: Any) -> Any:
    with GradientTape() as tape:
        w = tape.watch(v)
        y = f(w)
    return tape.gradient(y, w, np.ones(y.shape, y.dtype))


# ---- accuracy

LOOSE = {  # what SciPy's own values, or differences of them, allow
    ("beta", (1e6, 1.0), 1): 1e-12,
    ("gammainc", (1e6, 1.001e6), 1): 1e-12,
    ("betainc", (1e5, 2e5, 0.333), 1): 1e-12,
    ("erfcx", (7.9,), 2): 1e-11,
    ("ndtri", (1e-300,), 1): 1e-12,
}


def function(name: str) -> Any:
    if hasattr(special, name):
        return getattr(special, name)
    return lambda *args: getattr(special, name[:-1])(*args)[int(name[-1])]


@pytest.mark.parametrize(("name", "args", "place", "order", "value"), VALUES)
def test_accuracy(name: str, args: Any, place: int, order: int, value: complex) -> None:
    f = function(name)
    one = lambda t: f(*args[:place], t, *args[place + 1 :])  # noqa: E731
    got = (tangent if order == 1 else second)(one, args[place])
    by_quadrature = name in ("gammainc", "betainc") and place < len(args) - 1
    np.testing.assert_allclose(got, value, rtol=1e-11 if by_quadrature else LOOSE.get((name, args, order), 5e-14))


# ---- zeros, poles and kinks


def test_products_with_logarithms_at_zero() -> None:
    for f in (special.xlogy, special.xlog1py):
        edge = 0.0 if f is special.xlogy else -1.0
        gx, gy = gradient(f, [0.0, 0.0, 2.0], [edge, 3.0, 3.0])
        log = math.log(3.0) if f is special.xlogy else math.log(4.0)
        np.testing.assert_allclose(gx, [0, log, log])
        np.testing.assert_allclose(gy, [0, 0, 2 / (3.0 if f is special.xlogy else 4.0)])
    # The sum of p log p over probabilities of which one vanishes.
    g = gradient(lambda p: np.sum(special.xlogy(p, p)), [0.0, 1.0])
    np.testing.assert_allclose(g, [0, 1])


def test_entropy_at_zero() -> None:
    with np.errstate(divide="ignore"):
        assert gradient(special.entr, 0.0) == inf
        masked = gradient(lambda p: np.where(p > 0, special.entr(p), 0.0), [0.0, 0.5])
    np.testing.assert_allclose(masked, [0, -1 - math.log(0.5)])


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_logit_at_its_poles(edge: float) -> None:
    with np.errstate(divide="ignore"):
        assert gradient(special.logit, edge) == inf
        masked = gradient(lambda p: np.where((p > 0) & (p < 1), special.logit(p), 0.0), [edge, 0.5])
    np.testing.assert_array_equal(masked, [0, 4])


@pytest.mark.parametrize(
    ("f", "edge", "slope"),
    [
        (special.erfinv, 1.0, inf),
        (special.erfcinv, 0.0, -inf),
        (special.ndtri, 0.0, inf),
        (special.cbrt, 0.0, inf),
        (special.log1p, -1.0, inf),
        (special.spence, 0.0, -inf),
    ],
)
def test_poles_leave_what_is_masked_alone(f: Any, edge: float, slope: float) -> None:
    with np.errstate(divide="ignore", over="ignore"):
        assert gradient(f, edge) == slope
        masked = gradient(lambda x: np.where(x == edge, 0.0, f(x)), [edge, 0.3])
    assert masked[0] == 0
    assert np.isfinite(masked[1])


def test_removable_singularities() -> None:
    with np.errstate(divide="ignore", invalid="ignore"):  # the second outputs have poles, which nobody asks for
        assert gradient(lambda x: special.sici(x)[0], 0.0) == 1
        assert gradient(lambda x: special.shichi(x)[0], 0.0) == 1
        assert second(lambda x: special.sici(x)[0], 0.0) == 0
    assert gradient(special.exprel, 0.0) == 0.5
    assert gradient(special.spence, 1.0) == -1
    assert gradient(lambda x: special.boxcox(2.0, x), 0.0) == pytest.approx(math.log(2) ** 2 / 2, rel=1e-15)
    assert gradient(lambda x: special.inv_boxcox(2.0, x), 0.0) == pytest.approx(-2 * math.exp(2), rel=1e-15)
    assert gradient(special.ellipk, 0.0) == pytest.approx(math.pi / 8, rel=1e-15)
    assert gradient(special.ellipe, 0.0) == pytest.approx(-math.pi / 8, rel=1e-15)
    assert second(special.ellipk, 0.0) == pytest.approx(9 * math.pi / 64, rel=1e-14)
    np.testing.assert_allclose(gradient(special.agm, 2.0, 2.0), [0.5, 0.5], rtol=1e-15)
    assert gradient(special.lambertw, 0.0) == 1
    assert gradient(special.beip, 0.0) == 0.5
    assert gradient(special.berp, 0.0) == 0


def test_reciprocal_gamma_at_the_poles_of_gamma() -> None:
    np.testing.assert_allclose(gradient(special.rgamma, [0.0, -1.0, -2.0, -3.0]), [1, -1, 2, -6], rtol=1e-14)
    # At 0 the series is x + euler_gamma x**2 + ...
    assert second(special.rgamma, 0.0) == pytest.approx(2 * np.euler_gamma, rel=1e-14)


def test_kinks() -> None:
    assert gradient(special.i0e, 0.0) == 0
    np.testing.assert_array_equal(gradient(lambda r: special.huber(1.0, r), [-1.0, 0.0, 1.0]), [-1, 0, 1])
    np.testing.assert_array_equal(gradient(lambda d: special.huber(d, [-1.0, 3.0]), [1.0, 1.0]), [0, 2])
    np.testing.assert_array_equal(gradient(special.pseudo_huber, 0.0, 0.0), [0, 0])
    np.testing.assert_array_equal(gradient(special.pseudo_huber, 0.0, -3.0), [3, 0])
    np.testing.assert_array_equal(gradient(special.round, [0.2, 1.7]), [0, 0])


def test_powers_at_zero() -> None:
    np.testing.assert_array_equal(gradient(lambda x: special.powm1(x, 0.0), 0.0), 0)
    np.testing.assert_array_equal(gradient(lambda y: special.powm1(0.0, y), 2.0), 0)


def test_outside_of_the_support() -> None:
    np.testing.assert_array_equal(gradient(special.kolmogorov, [-1.0, 0.0]), [0, 0])
    np.testing.assert_array_equal(gradient(lambda x: special.tklmbda(x, 2.0), [-0.6, 0.6]), [0, 0])
    np.testing.assert_array_equal(gradient(lambda x: special.gammainc([0.5, 2.0, 20.0], x), [2.0, 0.0, 0.0])[1:], 0)
    np.testing.assert_array_equal(gradient(lambda p: special.bdtr(5.0, 5, p), 0.3), 0)


def test_tails() -> None:
    np.testing.assert_allclose(gradient(special.log_ndtr, [-1e10, -1e4]), [1e10, 1e4 + 1e-4], rtol=1e-14)
    np.testing.assert_array_equal(gradient(special.log_ndtr, 50.0), 0)
    np.testing.assert_allclose(second(special.log_ndtr, [-1e10, -40.0]), [-1, -0.99937695], rtol=1e-6)
    np.testing.assert_allclose(second(special.log_ndtr, [45.0]), 0, atol=1e-300)
    np.testing.assert_allclose(gradient(special.erfcx, [1e10]), -1e-20 / math.sqrt(math.pi), rtol=1e-14)
    np.testing.assert_allclose(gradient(special.dawsn, [-1e10]), -0.5e-20, rtol=1e-14)
    np.testing.assert_array_equal(gradient(special.log_expit, [-800.0, 800.0]), [1, 0])


def test_polynomials_at_the_ends_and_of_degree_zero() -> None:
    n = np.arange(5)
    for end in (1.0, -1.0):
        sign = end ** (n + 1)
        ends = np.full(5, end)
        np.testing.assert_allclose(gradient(lambda x: special.eval_legendre(n, x), ends), sign * n * (n + 1) / 2)
        np.testing.assert_allclose(gradient(lambda x: special.eval_chebyt(n, x), ends), sign * n * n)
    for f in (special.eval_legendre, special.eval_chebyu, special.eval_laguerre, special.eval_hermite):
        assert gradient(lambda x, f=f: f(0, x), 0.4) == 0


def test_airy_functions_scaled_on_the_left() -> None:
    """The first two outputs are nan there, and do not harm the gradient of the others."""
    g = gradient(lambda x: special.airye(x)[2], -1.0)
    assert g == pytest.approx(special.airy(-1.0)[3], rel=1e-14)


# ---- what is refused


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (
            lambda v: special.jv(v, 1.5),
            r"scipy.special.jv: the derivative in the order v has no closed form; pass v as",
        ),
        (lambda v: special.kve(v, 1.5), "scipy.special.kve: the derivative in the order v"),
        (lambda v: special.ive(v, 1.5), "scipy.special.ive: the derivative in the order v"),
        (lambda n: special.expn(n * 0.8, 1.5), "scipy.special.expn: the derivative in the order n"),
        (lambda n: special.eval_legendre(n, 0.5), "scipy.special.eval_legendre: the derivative in the degree n"),
        (lambda a: special.hyp2f1(a, 0.5, 0.7, 0.2), "scipy.special.hyp2f1: the derivative in the parameter a"),
        (lambda v: special.pbdv(v, 0.5)[0], "scipy.special.pbdv: the derivative in the order v"),
        (
            lambda n: special.pdtr(n, 0.5),
            "scipy.special.pdtr: the derivative in the count k is not implemented; pass k as",
        ),
    ],
)
def test_derivatives_in_orders_and_parameters_are_refused(f: Any, text: str) -> None:
    with GradientTape() as tape:
        v = tape.watch(2.5)
        y = f(v)
    with pytest.raises(RuleError, match=text):
        tape.gradient(y, v)
    with ForwardAccumulator(np.array(2.5), np.array(1.0)) as acc, pytest.raises(RuleError, match=text):
        f(acc.primals)


def test_a_refused_derivative_leaves_the_others() -> None:
    with GradientTape() as tape:
        v, x = tape.watch((2.5, 1.5))
        y = special.jv(v, x)
    with pytest.raises(RuleError, match="order v"):
        tape.gradient(y, (v, x))
    np.testing.assert_allclose(tape.gradient(y, x), special.jvp(2.5, 1.5), rtol=1e-14)


def test_a_plain_order_beside_a_traced_argument() -> None:
    with GradientTape() as tape:
        v, x = tape.watch((2.5, 1.5))
        y = special.jv(v.numpy(), x)
    g = tape.gradient(y, (v, x), unconnected_gradients="zero")
    np.testing.assert_allclose(g, [0, special.jvp(2.5, 1.5)], rtol=1e-14)


@pytest.mark.parametrize(
    ("f", "x"),
    [(special.zeta, 2.0 + 1j), (lambda z: special.airye(z)[0], 1.0 + 1j), (lambda s: special.zeta(s, 2.0), 2j)],
)
def test_complex_arguments_without_a_rule_are_refused(f: Any, x: complex) -> None:
    try:
        f(x)
    except TypeError:
        pytest.skip("this SciPy has no values there either")
    with pytest.raises(RuleError, match="complex"):
        gradient(f, x)


@pytest.mark.parametrize("f", [lambda x: special.nctdtr(2, 1, x), lambda x: special.bdtrik(0.4, x, 0.3)])
def test_functions_without_rules_say_so(f: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch(5.0)
        y = f(x)
    with pytest.raises(MissingRuleError, match="has no derivative rule"):
        tape.gradient(y, x)


@pytest.mark.parametrize(
    "f",
    [
        special.logsumexp,
        special.softmax,
        special.log_softmax,
        lambda x: special.polygamma(1, x),
        lambda x: special.multigammaln(x, 1),
        lambda x: special.spherical_jn(2, x),
        lambda x: special.legendre_p(2, x) if hasattr(special, "legendre_p") else np.asarray(x),
        lambda x: special.comb(x, 2),
    ],
)
def test_wrappers_that_convert_their_argument_raise(f: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch([1.5, 2.5])
        with pytest.raises(TracedConversionError, match="its derivative would be lost"):
            f(x)


# ---- forms


def test_wrappers_that_work_through_ufuncs() -> None:
    np.testing.assert_allclose(
        gradient(lambda x: special.assoc_laguerre(x, 3, 0.5), 0.7),
        tangent(lambda x: special.eval_genlaguerre(3, 0.5, x), 0.7),
    )
    x = np.array([0.3, 0.8])
    np.testing.assert_allclose(gradient(special.legendre(3), x), 1.5 * (5 * x * x - 1), rtol=1e-14)


def test_half_precision_is_converted_as_by_scipy() -> None:
    x = np.array([0.3, 1.5], np.float16)
    for f in (special.erf, special.gammaln, special.i0e, special.expit):
        with GradientTape() as tape:
            v = tape.watch(x)
            y = f(v)
        assert y.dtype == f(x).dtype
        g = tape.gradient(y, v, np.ones(2, y.dtype))
        assert g.dtype == np.float16
        np.testing.assert_allclose(g, gradient(f, x.astype(float)), rtol=1e-3)


def test_half_precision_beside_a_list() -> None:
    g = gradient(lambda v: special.xlogy([1.0, 2.0], v), np.array([0.5, 4.0], np.float16))
    assert g.dtype == np.float16
    np.testing.assert_array_equal(g, [2, 0.5])


def test_long_double() -> None:
    x = np.array([0.3, 1.5], np.longdouble)
    for f in (special.expit, special.log_expit, special.logit):
        with np.errstate(invalid="ignore"):
            assert gradient(f, x / 2).dtype == np.longdouble


def test_dtype_keyword_and_lists() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([0.5, 1.5]))
        y = special.gammaln(x, dtype=np.float32)
    assert y.dtype == np.float32
    assert tape.gradient(y, x, np.ones(2, np.float32)).dtype == np.float64
    np.testing.assert_allclose(gradient(lambda v: special.xlogy([1.0, 2.0], v), [0.5, 4.0]), [2, 0.5])


def test_third_derivatives() -> None:
    """Of functions whose rules are chains of rules."""
    for f, third in (
        (special.erf, lambda x: (4 * x * x - 2) * 2 / math.sqrt(math.pi) * math.exp(-x * x)),
        (special.gammaln, lambda x: special.polygamma(2, x)),
        (special.expi, lambda x: math.exp(x) * (1 / x - 2 / x**2 + 2 / x**3)),
        (lambda x: special.jv(2, x), lambda x: special.jvp(2, x, 3)),
        (lambda x: special.eval_hermite(4, x), lambda x: 384 * x),
    ):
        got = tangent(lambda v, f=f: second_of(f, v), 0.7)
        np.testing.assert_allclose(got, third(0.7), rtol=1e-12)


def second_of(f: Any, v: Any) -> Any:
    with GradientTape() as outer:
        w = outer.watch(v)
        g = gradient_of(f, w)
    return outer.gradient(g, w)
