"""Polynomials where they are not smooth, identities between them, and what NumPy's own classes can and cannot do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.errors import RuleError, TracedConversionError
from tapeflow.numpy import polynomial as P

MODULES = [
    ("poly", P.polynomial, np.polynomial.polynomial),
    ("cheb", P.chebyshev, np.polynomial.chebyshev),
    ("leg", P.legendre, np.polynomial.legendre),
    ("herm", P.hermite, np.polynomial.hermite),
    ("herme", P.hermite_e, np.polynomial.hermite_e),
    ("lag", P.laguerre, np.polynomial.laguerre),
]
CLASSES = [P.Polynomial, P.Chebyshev, P.Legendre, P.Hermite, P.HermiteE, P.Laguerre]


def gradient(f: Any, *args: Any, g: Any = None) -> Any:
    args = tuple(np.asarray(a) for a in args)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = f(*x)
    found = tape.gradient(y, x, g, "zero")
    return found[0] if len(args) == 1 else found


def plain_of(x: Any) -> np.ndarray:
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def tangent(f: Any, x: Any, t: Any) -> np.ndarray:
    with ForwardAccumulator(np.asarray(x), np.asarray(t)) as acc:
        return np.asarray(acc.jvp(f(acc.primals), "zero"))


# ---- roots


def test_roots_of_a_quadratic() -> None:
    a, b, c = 2.0, -7.0, 3.0
    r = np.roots([a, b, c])
    slope = 2 * a * r + b
    for k in range(2):
        expected = [-(r[k] ** 2) / slope[k], -r[k] / slope[k], -1 / slope[k]]
        np.testing.assert_allclose(gradient(lambda p, k=k: np.roots(p)[k], [a, b, c]), expected)


@pytest.mark.parametrize("p", [[1.0, -2.0, 1.0], [1.0, -3.0, 3.0, -1.0], [1.0, 0.0, 0.0], [3.0, 0.0, 2.0, 0.0, 0.0]])
def test_equal_roots_have_no_derivative(p: list[float]) -> None:
    with pytest.raises(RuleError, match="roots: two roots are equal"):
        gradient(lambda c: np.real(np.sum((np.roots(c) + 1) ** 2)), p)
    assert np.isnan(tangent(np.roots, p, np.eye(len(p))[-1])).any()


def test_simple_roots_beside_equal_ones_have_their_derivative() -> None:
    p = np.poly([1.0, 1.0, 5.0])
    k = int(np.argmax(np.roots(p)))
    r = 5.0
    slope = np.polyval(np.polyder(p), r)
    expected = [-(r**n) / slope for n in (3, 2, 1, 0)]
    np.testing.assert_allclose(gradient(lambda c: np.real(np.roots(c)[k]), p), expected, rtol=1e-6)
    np.testing.assert_allclose(tangent(np.roots, p, [0, 0, 0, 1.0])[k], -1 / slope, rtol=1e-6)


def test_roots_at_zero_and_zeros_before_the_first_coefficient() -> None:
    np.testing.assert_allclose(tangent(np.roots, [2.0, 3.0, 0.0], [0, 0, 1.0]), [1 / 3, -1 / 3])
    np.testing.assert_allclose(gradient(lambda p: np.roots(p)[0], [0.0, 2.0, 3.0]), [2.25 / -2, 1.5 / 2, -1 / 2])
    assert np.roots(np.zeros(2)).shape == (0,)
    np.testing.assert_array_equal(gradient(lambda p: np.sum(np.roots(p)), np.zeros(2)), [0, 0])


def test_a_question_about_equal_roots_that_was_refused_leaves_the_tape() -> None:
    with GradientTape() as tape:
        p = tape.watch(np.array([1.0, -2.0, 1.0]))
        r, y = np.sum(np.roots(p)), np.sum(p * p)
    with pytest.raises(RuleError):
        tape.gradient(r, p)
    np.testing.assert_array_equal(tape.gradient(y, p), [2, -4, 2])


@pytest.mark.parametrize(("prefix", "module", "_numpys"), MODULES)
def test_equal_roots_of_series(prefix: str, module: Any, _numpys: Any) -> None:
    c = getattr(module, prefix + "fromroots")([0.5, 0.5, 2.0])
    roots = getattr(module, prefix + "roots")
    with pytest.raises(RuleError, match=f"{prefix}roots: two roots are equal"):
        gradient(lambda v: np.real(roots(v)[0]), c)
    assert np.isfinite(gradient(lambda v: np.real(roots(v)[2]), c)).all()


@given(arrays(float, st.integers(1, 5), elements=st.floats(-2, 2), unique=True), st.floats(-2, 2))
def test_roots_undo_poly(z: np.ndarray, t: float) -> None:
    z = np.round(z, 1)
    if len(np.unique(z)) < len(z):
        return
    found = gradient(lambda v: np.sum(np.sin(np.real(np.roots(np.poly(v))))), z)
    np.testing.assert_allclose(found, np.cos(z), rtol=1e-4, atol=1e-4)
    p = np.poly(z)
    found, _ = gradient(lambda v, s: np.polyval(np.poly(v), s), z, t)
    expected = [-np.prod(np.delete(t - z, k)) for k in range(len(z))]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert p[0] == 1


# ---- characteristic polynomials


def test_characteristic_polynomial_with_equal_eigenvalues() -> None:
    a = np.array([[2.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    np.testing.assert_allclose(gradient(lambda m: -np.poly(m)[3], a), [[4, 0, 0], [-2, 4, 0], [0, 0, 4]], atol=1e-12)
    np.testing.assert_allclose(gradient(lambda m: np.poly(m)[1], a), -np.eye(3))
    np.testing.assert_allclose(tangent(np.poly, np.zeros((2, 2)), np.ones((2, 2))), [0, -2, 0])


def test_poly_of_conjugate_roots_is_real() -> None:
    z = np.array([1 + 2j, 1 - 2j, 3.0])
    with GradientTape() as tape:
        v = tape.watch(z)
        p = np.poly(v)
    assert p.dtype == np.float64
    assert tape.gradient(p, v, np.ones(4)).dtype == np.complex128
    assert np.poly(np.zeros(0)) == 1.0


def test_wrong_arguments_are_numpys_errors() -> None:
    x = np.ones((2, 3))
    for f, match in (
        (np.poly, "input must be 1d or non-empty square"),
        (np.vander, "one-dimensional"),
        (lambda v: np.polyder(v[0], -1), "must be positive"),
        (lambda v: np.polyint(v[0], -1), "must be positive"),
        (lambda v: np.polyint(v[0], 3, [1.0, 2.0]), "k must be a scalar or a rank-1 array"),
        (lambda v: np.polymul(v, v), "must be 1d only"),
        (lambda v: np.polyfit(v[0], v[1], -1), "expected deg >= 0"),
        (lambda v: np.trim_zeros(v[0], "x"), "unexpected character"),
    ):
        with pytest.raises(ValueError, match=match):
            gradient(f, x)
    for g in (
        lambda v: np.polyfit(v, v[0], 1),
        lambda v: np.polyfit(v[0], v[0, :2], 1),
        lambda v: np.polyfit(v[0, :0], [], 1),
    ):
        with pytest.raises(TypeError, match="expected"):
            gradient(g, x)
    with pytest.raises(ValueError, match="exceed order to scale"):
        gradient(lambda v: np.polyfit(v, v, 1, cov=True), [1.0, 2.0])


# ---- fits


def test_a_fit_through_all_points_has_the_derivative_of_interpolation() -> None:
    x, y = np.array([0.0, 1.0, 3.0]), np.array([1.0, -2.0, 0.5])
    p = np.polyfit(x, y, 2)
    _, gy = gradient(lambda a, b: np.polyval(np.polyfit(a, b, 2), 2.0), x, y)
    lagrange = [np.prod([(2 - x[j]) / (x[k] - x[j]) for j in range(3) if j != k]) for k in range(3)]
    np.testing.assert_allclose(gy, lagrange)
    gx = gradient(lambda a: np.polyval(np.polyfit(a, y, 2), 2.0), x)
    np.testing.assert_allclose(gx, -np.array(lagrange) * np.polyval(np.polyder(p), x))


def test_fit_of_deficient_rank_warns_and_has_the_derivative_of_the_least_solution() -> None:
    x, y = np.array([1.0, 1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
    with pytest.warns(np.exceptions.RankWarning, match="Polyfit may be poorly conditioned"):
        expected = np.polyfit(x, y, 2)
    with GradientTape() as tape:
        v = tape.watch(y)
        with pytest.warns(np.exceptions.RankWarning):
            c = np.polyfit(x, v, 2)
    np.testing.assert_allclose(c.numpy(), expected)
    step = np.array([0.3, -0.2, 0.5, 1.0])
    with pytest.warns(np.exceptions.RankWarning):
        moved = np.polyfit(x, y + step, 2)
    np.testing.assert_allclose(tape.gradient(c, v, np.array([1.0, 0, 0])) @ step, (moved - expected)[0])


def test_a_long_fit_makes_no_square_matrix_of_its_points() -> None:
    x = np.linspace(-1, 1, 20_000)
    g = gradient(lambda v: np.sum(np.polyfit(v, np.sin(3 * x), 3)), x)
    assert g.shape == x.shape


def test_full_output_of_a_fit() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0, 5.0])
    want = np.polyfit(x, y, 1, full=True)
    with GradientTape() as tape:
        v = tape.watch(y)
        got = np.polyfit(x, v, 1, full=True)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.numpy() if hasattr(a, "numpy") else a, b)
    c = want[0]
    np.testing.assert_allclose(tape.gradient(got[1], v, np.ones(1)), 2 * (y - np.polyval(c, x)))


# ---- identities


coefficients = arrays(float, st.integers(1, 4), elements=st.floats(-2, 2).map(lambda v: round(v, 2)))


@given(coefficients, coefficients, st.floats(-2, 2))
def test_values_of_products_and_sums(a: np.ndarray, b: np.ndarray, t: float) -> None:
    va, vb = np.polyval(a, t), np.polyval(b, t)
    ga, gb = gradient(lambda p, q: np.polyval(np.polymul(p, q), t), a, b)
    powers = [t ** np.arange(len(c) - 1.0, -1, -1) if t else np.eye(len(c))[-1] for c in (a, b)]
    np.testing.assert_allclose(ga, vb * powers[0], atol=1e-12)
    np.testing.assert_allclose(gb, va * powers[1], atol=1e-12)
    ga, gb = gradient(lambda p, q: np.polyval(np.polysub(p, q), t), a, b)
    np.testing.assert_allclose(ga, powers[0], atol=1e-12)
    np.testing.assert_allclose(gb, -powers[1], atol=1e-12)


@given(coefficients, st.integers(1, 3))
def test_derivative_undoes_integral(a: np.ndarray, m: int) -> None:
    g = np.arange(1.0, len(a) + 1)
    np.testing.assert_allclose(gradient(lambda p: np.polyder(np.polyint(p, m), m), a, g=g), g)


@given(coefficients, coefficients)
def test_quotient_and_remainder_make_the_whole(a: np.ndarray, b: np.ndarray) -> None:
    if abs(b[0]) < 0.5 or not a[0]:
        return

    def whole(u: Any, v: Any) -> Any:
        q, r = np.polydiv(u, v)
        return np.polyval(np.polyadd(np.polymul(q, v), r), 0.7)

    gu, gv = gradient(whole, a, b)
    np.testing.assert_allclose(gu, 0.7 ** np.arange(len(a) - 1.0, -1, -1), atol=1e-6)
    np.testing.assert_allclose(gv, 0, atol=1e-6)


@pytest.mark.parametrize(("prefix", "module", "_numpys"), MODULES)
@given(x=st.floats(-1, 1), c=arrays(float, 4, elements=st.floats(-2, 2)))
def test_the_derivative_of_a_value_is_the_value_of_the_derivative(
    prefix: str, module: Any, _numpys: Any, x: float, c: np.ndarray
) -> None:
    val, der = getattr(module, prefix + "val"), getattr(module, prefix + "der")
    gx, gc = gradient(val, x, c)
    np.testing.assert_allclose(gx, val(x, der(c)), atol=1e-12)
    np.testing.assert_allclose(gc, getattr(module, prefix + "vander")(x, 3)[0], atol=1e-12)


def test_vander_at_zero() -> None:
    with GradientTape() as outer:
        x = outer.watch(np.zeros(2))
        with GradientTape() as tape:
            v = tape.watch(x)
            y = np.sum(np.vander(v, 4, increasing=True))
        g = tape.gradient(y, v)
        total = np.sum(g)
    np.testing.assert_array_equal(g.numpy(), [1, 1])
    np.testing.assert_array_equal(outer.gradient(total, x), [2, 2])


def test_precision_stays_where_numpy_keeps_it() -> None:
    for dtype in (np.float16, np.float32, np.longdouble):
        x = np.array([0.5, 2.0], dtype)
        with GradientTape() as tape:
            v = tape.watch(x)
            y = np.polyval(np.polymul(v, v), v) + P.chebyshev.chebval(v, v)
        assert y.dtype == dtype
        assert tape.gradient(y, v, np.ones(2, dtype)).dtype == dtype


# ---- zeros that NumPy cuts off


def test_leading_zeros_keep_their_derivatives() -> None:
    t = 2.0
    powers = [8.0, 4.0, 2.0, 1.0]
    np.testing.assert_array_equal(gradient(lambda c: np.poly1d(c)(t), np.zeros(4)), powers)
    np.testing.assert_array_equal(gradient(lambda c: np.poly1d(np.poly1d(c))(t), [0.0, 0.0, 1.0, 2.0]), powers)
    np.testing.assert_array_equal(gradient(lambda c: np.polyval(np.polymul(c, [3.0]), t), np.zeros(4)), [24, 12, 6, 3])
    _, r = np.polydiv([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert r.shape == (1,)
    found = gradient(lambda u: np.polyval(np.polydiv(u, [1.0, 0.0, 0.0])[1], t), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(found, [0, 2, 1])


@pytest.mark.parametrize(("prefix", "module", "_numpys"), MODULES)
def test_zeros_at_the_end_of_series_keep_their_derivatives(prefix: str, module: Any, _numpys: Any) -> None:
    val, mul, add, div = (getattr(module, prefix + name) for name in ("val", "mul", "add", "div"))
    expected = getattr(module, prefix + "vander")(0.3, 2)[0]
    np.testing.assert_allclose(gradient(lambda c: val(0.3, mul(c, [2.0])), np.zeros(3)), 2 * expected)
    np.testing.assert_allclose(gradient(lambda c: val(0.3, add(c, -c) + add(c, 1.0)), np.zeros(3)), expected)

    def whole(c: Any) -> Any:
        quotient, rest = div(c, [1.0, 2.0])
        return val(0.3, add(mul(quotient, [1.0, 2.0]), rest))

    np.testing.assert_allclose(gradient(whole, np.zeros(3)), expected)


def test_trim_zeros_cuts_where_it_is_asked_to() -> None:
    x = np.array([0.0, 1.0, 0.0, 2.0, 0.0])
    for trim, want in (("fb", [0, 1, 1, 1, 0]), ("f", [0, 1, 1, 1, 1]), ("b", [1, 1, 1, 1, 0])):
        np.testing.assert_array_equal(gradient(lambda v, t=trim: np.sum(np.trim_zeros(v, t)), x), want)
    assert gradient(np.trim_zeros, np.zeros(3), g=np.zeros(0)).tolist() == [0, 0, 0]
    if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 2):
        y = np.pad(np.ones((2, 2)), 1)
        np.testing.assert_array_equal(gradient(lambda v: np.sum(np.trim_zeros(v)), y), y)
        found = gradient(lambda v: np.sum(np.trim_zeros(v, "f", axis=-1)), y)
        np.testing.assert_array_equal(found, np.ones((4, 4)) * [0, 1, 1, 1])


# ---- poly1d and the classes


def test_poly1d_with_traced_coefficients() -> None:
    def f(c: Any) -> Any:
        p = np.poly1d(c)
        q = (p * p - p / 2.0 + c[0]) ** 2
        q = 2 * q.deriv() + q.integ(k=c[1]) - np.poly1d([1.0, 2.0])
        return q(0.3) + np.sum(np.real(p.roots))

    c, t = np.array([1.0, -3.0, 1.5]), np.array([0.3, -0.5, 0.7])
    h = 1e-6
    want = (f(c + h * t) - f(c - h * t)) / (2 * h)
    np.testing.assert_allclose(gradient(f, c) @ t, want, rtol=1e-7)
    np.testing.assert_allclose(tangent(f, c, t), want, rtol=1e-7)


def test_a_poly1d_in_place_of_coefficients_is_refused_where_numpy_converts_it() -> None:
    with GradientTape() as tape:
        p = np.poly1d(tape.watch(np.array([1.0, 2.0])))
        with pytest.raises(TracedConversionError):
            np.polymul(p, p)
        with pytest.raises(TracedConversionError):
            np.polyval(p, 1.0)


@pytest.mark.parametrize(("prefix", "_module", "numpys"), MODULES)
def test_numpys_series_refuse_traced_coefficients_and_take_traced_points(
    prefix: str, _module: Any, numpys: Any
) -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([0.5, 1.0]))
        y = getattr(numpys, prefix + "val")(x, [1.0, 2.0, 3.0])
        for call in (
            lambda: getattr(numpys, prefix + "val")(0.5, x),
            lambda: getattr(numpys, prefix + "mul")(x, x),
            lambda: getattr(numpys, prefix + "der")(x),
            lambda: getattr(numpys, prefix + "int")(x),
            lambda: getattr(numpys, prefix + "roots")(x),
            lambda: getattr(numpys, prefix + "vander")(x, 2),
            lambda: getattr(numpys, prefix + "fit")(x, x, 1),
            lambda: getattr(numpys, prefix + "fromroots")(x),
            lambda: getattr(numpys, prefix + "val3d")(x, x, x, np.ones((2, 2, 2))),
        ):
            with pytest.raises(TracedConversionError, match=r"np\.asarray"):
                call()
    expected = getattr(numpys, prefix + "val")(np.array([0.5, 1.0]), getattr(numpys, prefix + "der")([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(tape.gradient(y, x, np.ones(2)), expected)


@pytest.mark.parametrize("kind", CLASSES)
def test_numpys_classes_refuse_traced_values(kind: Any) -> None:
    numpys = kind.__mro__[2]
    assert numpys.__module__.startswith("numpy.")
    with GradientTape() as tape:
        x = tape.watch(np.array([0.5, 1.0]))
        for call in (lambda: numpys(x), lambda: numpys([1.0, 2.0])(x), lambda: numpys.fit(x, x, 1)):
            with pytest.raises(TracedConversionError):
                call()
        with pytest.raises(TypeError):
            numpys([1.0, 2.0]) * x


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_behave_as_numpys(kind: Any) -> None:
    numpys = kind.__mro__[2]
    with GradientTape() as tape:
        c = tape.watch(np.array([0.5, 1.0, 2.0]))
        series = kind(c, [0, 2])
        assert isinstance(series, numpys)
        assert series.degree() == 2
        assert len(series) == 3
        assert series == kind(c, [0, 2])
        assert series != kind(c)
        for other in (c[0] * series, c[0] + series, c[0] - series, series - c[0], -series, +series, series // c[0]):
            assert isinstance(other, kind)
        assert (series % [1.0, 2.0]).coef.shape == (1,)
        assert kind.basis(2)(c).shape == (3,)
        assert kind.identity()(c).shape == (3,)
        with pytest.raises(TypeError, match="unsupported types for true division"):
            series / series
    plain = numpys([0.5, 1.0, 2.0], [0, 2])
    np.testing.assert_allclose(plain_of(series(0.3)), plain(0.3))
    np.testing.assert_allclose(plain_of((c[0] * series).coef), (0.5 * plain).coef)
    np.testing.assert_allclose(kind([1.0, 2.0]).coef, [1.0, 2.0])


def test_the_namespace_has_all_of_numpys() -> None:
    for _, module, numpys in MODULES:
        assert set(numpys.__all__) <= set(dir(module))
        for name in numpys.__all__:
            assert getattr(module, name).__doc__ == getattr(numpys, name).__doc__
    assert set(np.polynomial.__all__) <= set(P.__all__) | {"test"}


def test_errors_of_series() -> None:
    c = np.array([1.0, 2.0])
    for f, match in (
        (lambda v: P.polynomial.polyval2d(v, v[:1], np.ones((2, 2))), "x, y are incompatible"),
        (lambda v: P.polynomial.polyvander(v, -1), "deg must be non-negative"),
        (lambda v: P.polynomial.polyvander2d(v, v, [1]), "Expected 2 dimensions"),
        (lambda v: P.polynomial.polypow(v, -1), "non-negative integer"),
        (lambda v: P.chebyshev.chebpow(v, 17), "Power is too large"),
        (lambda v: P.polynomial.polyder(v, -1), "must be non-negative"),
        (lambda v: P.polynomial.polyint(v, 1, [1, 2]), "Too many integration constants"),
        (lambda v: P.polynomial.polytrim(v, -1), "tol must be non-negative"),
        (lambda v: P.legendre.legcompanion(v[:1]), "maximum degree of at least 1"),
        (lambda v: P.polynomial.polyfit(v, v, -1), "non-negative int"),
        (lambda v: P.polynomial.polyvalfromroots(v, v, False), "x.ndim must be < r.ndim"),
    ):
        with pytest.raises(ValueError, match=match):
            gradient(f, c)
    with pytest.raises(ZeroDivisionError, match="is zero"):
        gradient(lambda v: P.polynomial.polydiv(v, [0.0]), c)
    with pytest.raises(TypeError, match="same length"):
        gradient(lambda v: P.polynomial.polyfit(v, v[:1], 1), c)
    with pytest.raises(TypeError, match="expected weights"):
        gradient(lambda v: P.polynomial.polyfit(v, v, 1, w=v[:1]), c)
