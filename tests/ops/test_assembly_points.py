"""Object arrays of traced scalars become ordinary arrays, or the error says which element is in the way."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, Variable, grad, jacobian
from tapeflow.core.tracer import Tracer
from tapeflow.errors import NotDifferentiableError
from tapeflow.ops.assembly import assemble, holds_traced, restack


def objects(shape: tuple[int, ...], elements: list[Any]) -> np.ndarray:
    buffer = np.empty(shape, dtype=object)
    for place, element in zip(np.ndindex(shape), elements, strict=True):
        buffer[place] = element
    return buffer


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 6, 1), (3, 2)])
def test_any_shape_of_traced_and_plain_elements(shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return restack(objects(shape, [x[0], 1.0, x[1] ** 2, 2, x[0] * x[1], np.float64(3.0)]))

    x = np.array([2.0, 3.0])
    with GradientTape() as tape:
        y = f(tape.watch(x))
    assert y.shape == shape
    assert y.numpy().ravel().tolist() == [2.0, 1.0, 9.0, 2.0, 6.0, 3.0]
    want = [[1, 0], [0, 0], [0, 6], [0, 0], [3, 2], [0, 0]]
    assert jacobian(f)(x).reshape(6, 2).tolist() == want
    with ForwardAccumulator(x, np.array([1.0, 0.0])) as acc:
        y = f(acc.primals)
    assert acc.jvp(y).ravel().tolist() == [w[0] for w in want]


def test_no_dimension() -> None:
    assert grad(lambda x: restack(objects((), [x * 3])))(2.0) == 3.0


def test_dtypes_promote_as_numpys() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.float32(1.0))
        z = tape.watch(np.complex64(1j))
        assert restack(objects((2,), [x, x])).dtype == np.float32
        assert restack(objects((2,), [x, z])).dtype == np.complex64
        y = restack(objects((2,), [x, z]))
        loss = np.sum(np.abs(y) ** 2)
    gx, gz = tape.gradient(loss, (x, z))
    assert (gx, gx.dtype) == (2.0, np.float32)
    assert (gz, gz.dtype) == (2j, np.complex64)


def test_without_traced_elements_the_result_is_plain() -> None:
    out = restack(objects((2, 2), [1, 2.0, 3, 4]))
    assert isinstance(out, np.ndarray)
    assert out.dtype == float
    assert restack(np.empty((0, 3), object)).shape == (0, 3)


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (None, r"element \(1, 0\) is None: it was never assigned"),
        ("text", r"element \(1, 0\) is a str, not a number"),
        (np.ones(3), r"element \(1, 0\) is an array of shape \(3,\), not a scalar: join arrays with np.stack"),
        ({}, r"element \(1, 0\) is a dict, not a number"),
    ],
)
def test_what_is_no_scalar_is_named(element: Any, text: str) -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        with pytest.raises(NotDifferentiableError, match=text):
            restack(objects((2, 2), [x, x, element, x]))
        v = tape.watch(np.ones(2))
        with pytest.raises(NotDifferentiableError, match=r"array of shape \(2,\)"):
            restack(objects((1,), [v]))


def test_exact_numbers_are_numbers() -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        y = restack(objects((2,), [x, Fraction(1, 2)]))
    assert y.numpy().tolist() == [1.0, 0.5]


def test_holds_traced_looks_into_lists_and_object_arrays() -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        assert holds_traced(objects((2,), [1.0, x]))
        assert holds_traced([[objects((2,), [1.0, x])]])
        assert not holds_traced([np.ones(3), "text", None, {"x": x}])


def test_object_arrays_inside_lists() -> None:
    def f(x: Any) -> Any:
        return np.sum(assemble([objects((2,), [x, 1.0]), [2.0, x]]) ** 2)

    assert grad(f)(3.0) == 12.0


def test_levels_mix() -> None:
    w = Variable(2.0)

    def inner(y: Any, x: Any) -> Any:
        return np.prod(restack(objects((3,), [x, y, w])))

    assert grad(lambda x: grad(inner)(3.0, x))(5.0) == 2.0


def test_many_elements_take_linear_memory() -> None:
    def peak(n: int) -> int:
        tracemalloc.start()
        with GradientTape() as tape:
            x = tape.watch(np.arange(float(n)))
            y = np.sum(restack(objects((n,), list(x))))
        tape.gradient(y, x)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    assert peak(8000) < 2.5 * peak(4000)


@pytest.mark.parametrize("n", [63, 64, 65, 128, 64 * 64 + 1])
def test_groups_keep_the_order(n: int) -> None:
    with GradientTape() as tape:
        x = tape.watch(np.arange(float(n)))
        y = restack(objects((n,), [x[k] if k % 3 else float(k) for k in range(n)]))
        z = np.sum(y * np.arange(n))
    assert y.numpy().tolist() == list(range(n))
    assert tape.gradient(z, x).tolist() == [k if k % 3 else 0.0 for k in range(n)]


def test_the_result_is_traced_by_the_innermost_level() -> None:
    with GradientTape() as tape, ForwardAccumulator(1.0, 1.0) as acc:
        y = restack(objects((2,), [tape.watch(2.0), acc.primals]))
        assert isinstance(y, Tracer)
        assert y._level == acc.level


def test_sign_of_a_complex_zero_has_the_derivative_zero() -> None:
    z = np.array([0.0, 2.0j])
    g = grad(lambda z: np.sum(np.real(np.sign(z))))(z)
    np.testing.assert_allclose(g, [0.0, 0.5])
