"""Differences and the complex step agree with hand-written derivatives, within the errors that they state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow.errors import StructureError
from tapeflow.testing import ComplexStepError, central_difference, complex_step

X, V = np.array([0.4, 1.3, -0.7]), np.array([1.0, -0.5, 2.0])
FUNCTIONS = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (lambda x: x**4 - 3 * x, lambda x: 4 * x**3 - 3),
    (lambda x: 1 / (2 + x), lambda x: -1 / (2 + x) ** 2),
]


@pytest.mark.parametrize(("f", "slope"), FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_differences_are_as_accurate_as_they_say(f: Any, slope: Any, dtype: Any) -> None:
    x, v = X.astype(dtype), V.astype(dtype)
    got, error = central_difference(f, (x,), (v,))
    precision = float(np.finfo(x.real.dtype).eps)
    exact = slope(x) * v
    assert got.dtype == exact.dtype
    assert np.all(np.abs(got - exact) <= 2 * error)
    assert np.all(error <= 30 * precision**0.6 * (1 + np.abs(exact)))


@pytest.mark.parametrize(("f", "slope"), FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_complex_step_is_exact_to_rounding(f: Any, slope: Any, dtype: Any) -> None:
    x, v = X.astype(dtype), V.astype(dtype)
    got, error = complex_step(f, (x,), (v,))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, slope(x) * v, rtol=20 * np.finfo(dtype).eps)
    assert np.all(np.abs(got - slope(x) * v) <= error)


@pytest.mark.parametrize("x", [1e-12, 1e-3, 1.0, 1e6, 1e150])
@pytest.mark.parametrize("f", [np.log, np.sqrt, lambda x: 1 / x, lambda x: x * x])
def test_steps_follow_the_scale_of_the_point(f: Any, x: float) -> None:
    got, error = central_difference(f, (np.array(x),), (np.array(1.0),))
    exact = {np.log: 1 / x, np.sqrt: 0.5 / np.sqrt(x)}.get(f) or (-1 / x / x if f(2.0) == 0.5 else 2 * x)
    np.testing.assert_allclose(got, exact, rtol=1e-9)
    assert error <= 1e-8 * abs(exact)


def test_steps_shrink_where_the_function_is_fast_or_its_domain_ends() -> None:
    got, error = central_difference(lambda x: np.sin(1e7 * x), (np.array(1.0),), (np.array(1.0),))
    exact = 1e7 * np.cos(1e7)
    assert abs(got - exact) <= error <= 1e-3 * abs(exact)
    got, error = central_difference(np.arcsin, (np.array(1 - 1e-6),), (np.array(1.0),))
    np.testing.assert_allclose(got, 1 / np.sqrt(1 - (1 - 1e-6) ** 2), rtol=1e-6)

    def strict(x: Any) -> Any:
        if x > 1.0:
            raise ValueError("outside")
        return x * x

    np.testing.assert_allclose(central_difference(strict, (np.array(1 - 1e-7),), (np.array(1.0),))[0], 2.0, rtol=1e-6)


def test_structures_and_leaves_that_are_no_arrays() -> None:
    def f(p: Any, n: int) -> Any:
        return {"y": p["w"] ** n, "n": n}

    got, error = central_difference(f, ({"w": X}, 3), ({"w": V}, 0))
    np.testing.assert_allclose(got["y"], 3 * X**2 * V)
    assert got["n"] == 0
    assert error["n"] == 0
    got, _ = complex_step(f, ({"w": X}, 3), ({"w": V}, 0))
    np.testing.assert_allclose(got["y"], 3 * X**2 * V, rtol=1e-15)


def test_a_direction_of_zeros_and_an_empty_array() -> None:
    got, error = central_difference(np.sin, (X,), (0 * V,))
    assert not np.any(got)
    assert not np.any(error)
    assert central_difference(np.sin, (X[:0],), (V[:0],))[0].shape == (0,)


def test_a_step_can_be_given() -> None:
    coarse, error = central_difference(np.exp, (np.array(0.0),), (np.array(1.0),), eps=0.1)
    np.testing.assert_allclose(coarse, (np.exp(-0.2) - 8 * np.exp(-0.1) + 8 * np.exp(0.1) - np.exp(0.2)) / 1.2)
    assert abs(coarse - 1) <= error


def test_where_there_is_no_derivative_the_error_says_so() -> None:
    _, error = central_difference(np.log, (np.array(0.0),), (np.array(1.0),))
    assert error == np.inf
    got, error = central_difference(np.abs, (np.array(0.0),), (np.array(1.0),))
    assert abs(got) < error


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (np.abs, "returns real numbers"),
        (lambda x: x * np.conj(x), "not analytic"),
        (lambda x: np.real(x) * x, "not analytic"),
        (np.floor, "does not take complex numbers: TypeError"),
        (lambda x: x + 1j * x.imag if np.iscomplexobj(x) else x + 1e-3, r"f\(x \+ 0j\) differs"),
        (lambda x: x + 1j * x, r"f\(x \+ 0j\) differs"),
    ],
)
def test_the_complex_step_is_refused_with_a_reason(f: Any, text: str) -> None:
    with pytest.raises(ComplexStepError, match=text):
        complex_step(f, (X,), (V,))


def test_the_complex_step_refuses_complex_arguments_and_kinks() -> None:
    with pytest.raises(ComplexStepError, match="an argument is complex itself"):
        complex_step(np.exp, (X + 0j,), (V + 0j,))
    with pytest.raises(ComplexStepError, match="differences are too inaccurate"):
        complex_step(lambda x: np.where(x > 0, x, 0), (np.array(0.0),), (np.array(1.0),))


@pytest.mark.parametrize("reference", [central_difference, complex_step])
def test_tangents_that_do_not_fit(reference: Any) -> None:
    with pytest.raises(StructureError, match=r"args\[0\] has shape \(3,\), its tangent has \(2,\)"):
        reference(np.sin, (X,), (V[:2],))
    with pytest.raises(StructureError, match="structure"):
        reference(np.sin, (X,), ({"a": V},))
    with pytest.raises(StructureError, match="no argument is a floating-point array"):
        reference(np.sin, (3,), (1,))
