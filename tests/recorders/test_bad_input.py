"""What bad input gets: an error that says what, where and the way out."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, Variable
from tapeflow.core import stack
from tapeflow.errors import InPlaceError, TapeError, TracedConversionError

X = np.array([1.0, 2.0])


@pytest.fixture(params=["tape", "accumulator", "nested"])
def traced(request: pytest.FixtureRequest):
    """A traced scalar and vector whose derivative would be lost."""
    with GradientTape() as tape, ForwardAccumulator(X, X) as acc:
        x = {"tape": tape.watch(X), "accumulator": acc.primals, "nested": acc.primals * tape.watch(X)}[request.param]
        yield x


@pytest.mark.parametrize("leave", [float, int, complex, operator.index, lambda x: x.item(), math.sin, math.exp])
def test_python_numbers_would_lose_the_derivative(traced: Any, leave: Any) -> None:
    with pytest.raises(TypeError, match=r"called on a traced value of shape \(\).*Stay with NumPy functions"):
        leave(traced[0])


@pytest.mark.parametrize(
    "leave", [np.asarray, np.array, lambda x: np.array([x, x]), lambda x: x.tolist(), lambda x: np.full(2, x[0])]
)
def test_plain_arrays_would_lose_the_derivative(traced: Any, leave: Any) -> None:
    with pytest.raises((TapeError, ValueError)) as caught:
        leave(traced)
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, TracedConversionError):
        error = error.__cause__ or error.__context__
    assert "np.stack instead of np.array" in str(error)


@pytest.mark.parametrize(
    ("how", "text"), [(pickle.dumps, "cannot be pickled"), (copy.copy, "copy.copy"), (copy.deepcopy, "copy.deepcopy")]
)
def test_traced_values_are_not_copied_as_objects(traced: Any, how: Any, text: str) -> None:
    with pytest.raises(TracedConversionError, match=rf"{text}.*x\.copy\(\)"):
        how(traced)


def test_values_leave_when_the_block_is_over() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = x[0] * 2.0
        assert x.numpy().flags.owndata
        assert f"{y:.1f}" == "2.0"
        assert bool(y > 1)
    assert float(y) == y.item() == math.ceil(math.sqrt(y)) == complex(y).real == 2.0
    assert np.asarray(x).tolist() == x.tolist() == [1.0, 2.0]
    np.asarray(x)[0] = 100.0
    x.numpy()[0] = 100.0
    assert float(x[0]) == 1.0


def into_buffer(x: Any) -> None:
    buffer = np.zeros(2)
    buffer += x


def set_item_of_buffer(x: Any) -> None:
    buffer = np.zeros(2)
    buffer[:] = x


def write_into_diagonal(x: Any) -> None:
    np.diagonal(np.outer(x, x))[0] = 1.0


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (into_buffer, r"np\.add was asked to write a traced value.*y = y \+ x"),
        (lambda x: np.multiply(x, x, out=np.zeros(2)), r"np\.multiply was asked to write"),
        (lambda x: np.sum(x, out=np.zeros(())), r"np\.sum was asked to write"),
        (lambda x: np.sum(x, 0, None, np.zeros(())), r"np\.sum was asked to write"),
        (lambda x: np.add.at(np.zeros(2), [0], x[:1]), r"np\.add\.at was asked to write"),
        (lambda x: np.copyto(np.zeros(2), x), r"np\.copyto was asked to write.*np\.zeros_like\(x\)"),
        (lambda x: np.put(np.zeros(2), 0, x[0]), r"np\.put was asked to write"),
        (write_into_diagonal, r"read-only: it is a view made by np\.diagonal"),
        (lambda x: x.resize(3), r"np\.resize\(x, shape\)"),
        (lambda x: x.setflags(write=False), r"x\.numpy\(\)"),
        (lambda x: x.setfield(1.0, float), r"assign to x"),
        (lambda x: np.sin(x, where=[True, False]), r"leaves the other elements undefined.*np\.where"),
    ],
)
def test_writes_in_place(traced: Any, write: Any, text: str) -> None:
    with pytest.raises(InPlaceError, match=text):
        write(traced)


def test_a_plain_buffer_cannot_hold_traced_values(traced: Any) -> None:
    with pytest.raises(TracedConversionError, match=r"np\.zeros_like\(x\)"):
        set_item_of_buffer(traced)
    buffer = np.zeros(2)
    with pytest.raises(ValueError, match="sequence") as caught:  # what NumPy makes of our error
        buffer[0] = traced[0]
    assert "np.zeros_like(x)" in str(caught.value.__cause__)


def test_a_value_of_an_inner_tape_does_not_leak_out() -> None:
    with ForwardAccumulator(X, X) as acc:
        y = np.zeros_like(acc.primals)
        with GradientTape() as tape:
            x = tape.watch(acc.primals)
            with pytest.raises(InPlaceError, match="Make the array inside the inner function"):
                y[0] = x[1]


@pytest.mark.parametrize("value", [1.0, X])
def test_in_place_operators_on_variables(value: Any) -> None:
    v = Variable(value)
    with pytest.raises(InPlaceError, match="assign_sub"):
        v -= 1.0
    with pytest.raises(InPlaceError, match="assign"):
        v[...] = 1.0


def test_traced_scalars_are_rebound_as_numpys_are() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        s = x[0]
        alias = s
        s += x[1]
        s *= 3.0
        y = s + alias
    np.testing.assert_array_equal(tape.gradient(y, x), [4.0, 3.0])


def test_writing_an_element_of_a_plain_buffer() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with pytest.raises(ValueError, match="sequence") as caught:
            np.zeros(2)[0] = x[0]
    assert isinstance(caught.value.__cause__, TracedConversionError)


@pytest.mark.parametrize(
    ("call", "numpys", "note"),
    [
        (lambda x: x + np.ones(3), "could not be broadcast", "in add of arguments of shape"),
        (lambda x: np.ones((2, 3)) @ x, "matmul", None),
        (lambda x: np.concatenate([x, np.ones((2, 2))]), "dimensions", "in concatenate"),
        (lambda x: np.reshape(x, (3, 3)), "reshape", "in reshape"),
        (lambda x: x[5], "out of bounds", "in getitem"),
        (lambda x: np.sum(x, axis=3), "out of bounds", None),
        (lambda x: np.linalg.inv(np.outer(x, x)), "Singular", "in inv"),
    ],
)
def test_shapes_that_do_not_fit(traced: Any, call: Any, numpys: str, note: str | None) -> None:
    with pytest.raises((ValueError, IndexError), match=numpys) as caught:
        call(traced)
    if note is not None:
        assert any(note in n for n in caught.value.__notes__)


def test_an_exception_leaves_no_state_behind() -> None:
    def fail() -> None:
        with GradientTape() as a, ForwardAccumulator(X, X), GradientTape():
            a.watch(X) + np.ones(3)

    with pytest.raises(ValueError, match="broadcast"):
        fail()
    assert stack.active() == ()
    assert isinstance(Variable(X) * 2, np.ndarray)


def test_representations_say_value_level_and_state() -> None:
    with GradientTape() as tape, ForwardAccumulator(X, X) as acc:
        x = tape.watch(X)
        assert "[1. 2.]" in repr(x)
        assert "recording" in repr(x)
        assert "level=" in repr(x)
        assert "accumulating" in repr(acc.primals)
        with tape.stop_recording():
            assert "constant" in repr(x * 2) or "not recording" in repr(x * 2)
    assert "tape closed" in repr(x)
    assert str(x) == "[1. 2.]"


def test_other_kinds_of_operands_get_their_chance() -> None:
    class Other:
        __array_ufunc__ = None

        def __radd__(self, other: Any) -> str:
            return "mine"

        def __rmul__(self, other: Any) -> str:
            return "mine"

    with GradientTape() as tape:
        x = tape.watch(X)
        assert x + Other() == "mine"
        assert x * Other() == "mine"
        with pytest.raises(TypeError):
            x + object()


ATTRIBUTES = ("shape", "dtype", "ndim", "size", "itemsize", "nbytes")


@pytest.mark.parametrize("value", [np.arange(6.0).reshape(2, 3), np.float32(2.0), np.ones((2, 2), complex)])
def test_attributes_are_numpys(value: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch(value)
        for name in ATTRIBUTES:
            assert getattr(x, name) == getattr(value, name)
        for name in ("T", "real", "imag"):
            got = getattr(x, name)
            np.testing.assert_array_equal(got.numpy() if hasattr(got, "numpy") else got, getattr(value, name))


METHODS = [
    lambda x: x.sum(axis=0), lambda x: x.mean(1), lambda x: x.prod(), lambda x: x.max(), lambda x: x.min(axis=1),
    lambda x: x.var(), lambda x: x.std(ddof=1), lambda x: x.cumsum(0), lambda x: x.reshape(3, 2), lambda x: x.reshape(-1),
    lambda x: x.reshape((3, 2)), lambda x: x.transpose(), lambda x: x.transpose(1, 0), lambda x: x.transpose((1, 0)),
    lambda x: x.T, lambda x: x.mT, lambda x: x.ravel(), lambda x: x.flatten(), lambda x: x.squeeze(),
    lambda x: x.swapaxes(0, 1), lambda x: x.astype(np.float32), lambda x: x.copy(), lambda x: x.conj(),
    lambda x: x.repeat(2), lambda x: x.take([0, 2]), lambda x: x.clip(1.0, 3.0), lambda x: x.dot(np.ones(3)),
    lambda x: x.trace(), lambda x: x.diagonal(), lambda x: x @ x.T, lambda x: -x, lambda x: +x, lambda x: abs(x),
    lambda x: x // 2, lambda x: x % 2, lambda x: divmod(x, 2)[1], lambda x: 7 - x, lambda x: 7 / (x + 1),
    lambda x: 2**x, lambda x: x**2, lambda x: 2 // (x + 1), lambda x: 5 % (x + 1), lambda x: np.ones((2, 2)) @ x,
    lambda x: x.round(1), lambda x: sum(list(x)), lambda x: np.stack(list(x.flat)),
]  # fmt: skip
PLAIN_METHODS = [
    lambda x: x.argmax(), lambda x: x.argmin(0), lambda x: x.any(), lambda x: x.all(1), lambda x: x.argsort(),
    lambda x: x > 2, lambda x: x == 2, lambda x: x != 2, lambda x: x <= 2, lambda x: len(x), lambda x: 2.0 in x,
    lambda x: bool(x[0, 1]), lambda x: x.nonzero()[0],
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_methods_and_operators_are_numpys_and_stay_traced(method: Any) -> None:
    value = np.arange(6.0).reshape(2, 3)
    with GradientTape() as tape:
        got = method(tape.watch(value))
        assert hasattr(got, "numpy")
        np.testing.assert_array_equal(got.numpy(), method(value))
    with ForwardAccumulator(value, value) as acc:
        np.testing.assert_array_equal(method(acc.primals).numpy(), method(value))
    np.testing.assert_array_equal(method(Variable(value)), method(value))


@pytest.mark.parametrize("method", PLAIN_METHODS)
def test_questions_get_plain_answers(method: Any) -> None:
    value = np.arange(6.0).reshape(2, 3)
    with GradientTape() as tape:
        got = method(tape.watch(value))
        assert not hasattr(got, "numpy")
        np.testing.assert_array_equal(got, method(value))
