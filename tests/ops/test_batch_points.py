"""Batches in the families that decide by values, make arrays, or ask arrays about themselves."""

from __future__ import annotations

import importlib
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapeflow.numpy as tnp
from tapeflow import grad, jvp, vmap
from tapeflow.core.primitive import FUNCTIONS, Primitive
from tapeflow.errors import BatchLoopWarning, StructureError
from tapeflow.numpy import polynomial
from tapeflow.ops.arguments import agreed

X = np.random.default_rng(5).normal(size=(4, 3))
FAMILIES = ("assembly constructors fft polynomials series signal").split()


def loop(function: Any, *args: Any) -> np.ndarray:
    return np.stack([function(*row) for row in zip(*args, strict=True)])


def loops(primitive: Any) -> bool:
    return isinstance(primitive, Primitive) and not (primitive.batch or primitive.elementwise or primitive.reason)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_primitive_has_a_batch_rule(family: str) -> None:
    module = importlib.import_module(f"tapeflow.ops.{family}")
    assert not [p for p in vars(module).values() if loops(p)]


def test_every_ufunc_has_a_batch_rule() -> None:
    assert not [f for f, ours in FUNCTIONS.items() if isinstance(ours, partial) and loops(ours.args[0])]


# ---- decisions: taken once where the batch agrees, else for each element


def test_agreement() -> None:
    seen: list[Any] = []
    vmap(lambda x: [seen.append(agreed(x > 0)), x][1])(np.array([[1.0, -1.0], [2.0, -3.0]]))
    np.testing.assert_array_equal(seen, [[True, False]])
    np.testing.assert_array_equal(agreed(np.array([1, 2])), [1, 2])


AGREED = {
    "trim_zeros": (lambda x: np.trim_zeros(x), [[0.0, 1, 2, 0], [0.0, 3, 4, 0]]),
    "real_if_close": (lambda x: np.real_if_close(x), [[1 + 0j, 2], [3 + 0j, 4]]),
    "not-close": (lambda x: np.real_if_close(x), [[1 + 1j, 2], [3 + 1j, 4]]),
    "poly-of-conjugates": (lambda x: np.poly(x), [[1 + 1j, 1 - 1j], [2 + 1j, 2 - 1j]]),
    "piecewise": (lambda x: np.piecewise(x, [x > 0], [np.sqrt, np.square]), [[1.0, -2], [3.0, -4]]),
    "chebtrim": (lambda x: polynomial.chebyshev.chebtrim(x), [[1.0, 2, 0], [3.0, 4, 0]]),
    "chebdiv": (lambda x: polynomial.chebyshev.chebdiv(x, x[:2])[0], [[1.0, 2, 3], [3.0, 4, 6]]),
    "chebint": (lambda x: polynomial.chebyshev.chebint(x), [[2.0], [3.0]]),
    "polyfit": (lambda x: np.polyfit(np.arange(4.0), x, 1), [[1.0, 2, 4, 7], [0.0, 1, 1, 5]]),
    "sqrt": (lambda x: np.emath.sqrt(x), [[1.0, 2], [3.0, 4]]),
    "choose": (lambda x: np.choose((x > 2).astype(int), [x, -x]), [[1.0, 4], [3.0, 2]]),
    "select": (lambda x: np.select([x > 3, x > 1], [x, x * x], 1.0), [[1.0, 4], [3.0, 2]]),
    "interp-knots": (lambda x: np.interp([0.5, 1.5, 2.5], x, x * x), [[0.0, 1, 3], [0.5, 1, 2]]),
}


@pytest.mark.parametrize("name", AGREED)
def test_a_batch_that_agrees_is_evaluated_at_once(name: str) -> None:
    f, rows = AGREED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchLoopWarning)
        got = vmap(f)(np.array(rows))
    want = loop(f, np.array(rows))
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-12)


DISAGREED = {
    "real_if_close": (lambda x: np.real_if_close(x), [[1 + 0j, 2], [3 + 1j, 4]]),
    "poly-of-conjugates": (lambda x: np.poly(x), [[1 + 1j, 1 - 1j], [2 + 1j, 3 - 1j]]),
    "piecewise": (lambda x: np.piecewise(x, [x > 0], [np.sqrt, np.square]), [[1.0, -2], [-3.0, 4]]),
    "polyline": (lambda x: np.sum(polynomial.polynomial.polyline(1.0, x[0])), [[1.0], [0.0]]),
    "chebint": (lambda x: np.sum(polynomial.chebyshev.chebint(x)), [[0.0], [3.0]]),
}


@pytest.mark.parametrize("name", DISAGREED)
def test_a_batch_that_disagrees_is_gone_through(name: str) -> None:
    f, rows = DISAGREED[name]
    with pytest.warns(BatchLoopWarning, match="needs values of each element"):
        got = vmap(f)(np.array(rows))
    np.testing.assert_allclose(got, loop(f, np.array(rows)), rtol=1e-12, atol=1e-12)


def test_roots_of_negative_numbers_make_all_complex() -> None:
    rows = np.array([[1.0, 4.0], [-1.0, 4.0]])
    np.testing.assert_allclose(vmap(np.emath.sqrt)(rows), loop(np.emath.sqrt, rows))
    f = lambda x: np.sum(np.real(np.emath.log(x)) ** 2)  # noqa: E731
    np.testing.assert_allclose(vmap(grad(f))(rows), loop(grad(f), rows))


@pytest.mark.parametrize(
    ("f", "rows", "shapes"),
    [
        (np.roots, [[0.0, 1, 2], [1.0, 2, 3]], r"roots gives.*\(1,\), \(2,\)"),
        (np.trim_zeros, [[0.0, 1, 2], [1.0, 2, 3]], r"trim_zeros gives.*\(2,\), \(3,\)"),
        (lambda x: x[np.flatnonzero(x)], [[0.0, 1], [1.0, 2]], r"\(1,\), \(2,\)"),
    ],
)
@pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")
def test_results_of_several_shapes_are_refused(f: Any, rows: Any, shapes: str) -> None:
    with pytest.raises(StructureError, match=f"{shapes}.*Pad the results to one shape, or write a loop"):
        vmap(f)(np.array(rows))


@pytest.mark.parametrize(("mode", "numbers"), [("raise", [0, 1, 1]), ("wrap", [-1, 2, 5]), ("clip", [-4, 1, 9])])
def test_modes_of_choose(mode: str, numbers: Any) -> None:
    f = lambda x: np.choose(x.astype(int), [x * 2, x * 3], mode=mode)  # noqa: E731
    rows = np.array([numbers, numbers[::-1]], float)
    np.testing.assert_array_equal(vmap(f)(rows), loop(f, rows))


def test_bad_arguments_of_a_batch_are_refused_in_numpys_words() -> None:
    with pytest.raises(ValueError, match="invalid entry in choice array"):
        vmap(lambda x: np.choose(x.astype(int), [x, x]))(np.array([[0.0, 1], [1.0, 2]]))
    with pytest.raises(ValueError, match="object too deep"):
        vmap(lambda x: np.correlate(np.outer(x, x), x))(X)
    with pytest.raises(ValueError, match="fp and xp are not of the same length"):
        vmap(lambda x: np.interp(0.5, x, x[:2]))(X)


# ---- arrays made inside a batch


def fill(x: Any) -> Any:
    y = tnp.zeros(3)
    y[0] = x[1] ** 2
    y[1:] = x[:2]
    y[2] += x[0] * x[1]
    return np.sum(np.sin(y))


def filled(x: Any) -> Any:
    return np.sum(np.sin(np.stack([x[1] ** 2, x[0], x[1] + x[0] * x[1]])))


def test_buffers_belong_to_the_innermost_level() -> None:
    np.testing.assert_allclose(vmap(fill)(X), loop(filled, X))
    np.testing.assert_allclose(vmap(grad(fill))(X), loop(grad(filled), X))
    np.testing.assert_allclose(
        vmap(lambda x: jvp(fill, (x,), (x,))[1])(X), loop(lambda x: jvp(filled, (x,), (x,))[1], X)
    )
    total = lambda f: lambda x: np.sum(vmap(f)(x) ** 2)  # noqa: E731
    np.testing.assert_allclose(grad(total(fill))(X), grad(total(filled))(X))
    np.testing.assert_allclose(jvp(vmap(fill), (X,), (X,))[1], jvp(vmap(filled), (X,), (X,))[1])
    row = lambda f: lambda a: f(a * np.ones(3))  # noqa: E731
    np.testing.assert_allclose(vmap(vmap(row(fill)))(X), vmap(vmap(row(filled)))(X))


def test_a_batch_that_is_over_makes_no_buffers() -> None:
    vmap(np.sin)(X)
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: 1 / 0)(X)
    assert type(tnp.zeros(2)) is np.ndarray
    rows = np.array([[1 + 0j], [1 + 1j]])
    with pytest.warns(BatchLoopWarning):  # elements are plain there, and so are buffers
        plain = vmap(lambda x: [np.real_if_close(x), np.bool_(type(tnp.zeros(2)) is np.ndarray)][1])(rows)
    np.testing.assert_array_equal(plain, True)


def test_lists_are_joined() -> None:
    f = lambda x: tnp.array([[x[0], 1.0], [2.0, x[1] * x[2]]])  # noqa: E731
    plain = lambda x: np.array([[x[0], 1.0], [2.0, x[1] * x[2]]])  # noqa: E731
    np.testing.assert_array_equal(vmap(f)(X), loop(plain, X))
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    np.testing.assert_allclose(vmap(grad(g))(X), loop(grad(g), X))


# ---- questions


def test_attributes_are_those_of_one_element() -> None:
    def ask(x: Any) -> Any:
        assert (x.strides, x.flags.c_contiguous, x.device) == ((8,), True, "cpu")
        assert x.to_device("cpu") is x
        assert x.__dlpack_device__() == np.ones(1).__dlpack_device__()
        assert (x.itemsize, x.nbytes) == (8, 24)
        return x

    np.testing.assert_array_equal(vmap(ask)(X), X)


def test_questions_about_dtypes_have_one_answer() -> None:
    def ask(x: Any) -> Any:
        assert np.iscomplexobj(x) is False
        assert np.isrealobj(x) is True
        assert np.result_type(x, np.float32) == np.float64
        assert "Batched" in np.array2string(x)
        return np.isreal(x)

    assert vmap(ask)(X).all()
