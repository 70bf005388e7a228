"""`tapeflow.numpy`: arrays built from traced values give NumPy's values, and derivatives that equal differences."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow.numpy as tnp
from tapeflow import ForwardAccumulator, GradientTape, Variable, grad, jacobian, jvp
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError, StructureError

X = np.array([0.7, 1.3, -0.4])
# Each is called with np and with tapeflow.numpy, on the same numbers.
BUILDS: dict[str, Callable[[Any, Any], Any]] = {
    "list": lambda np, x: np.array([x[0], x[1]]),
    "nested": lambda np, x: np.array([[x[0], 1.0], [x[1] * 2, x[2]]]),
    "tuples": lambda np, x: np.array(((x[0], 1), [x[1], 2])),
    "deep": lambda np, x: np.array([[[x[0]], [2.0]], [[3], [x[2]]]]),
    "rows": lambda np, x: np.array([x, x * 2]),
    "rows-mixed": lambda np, x: np.array([x, [1.0, x[0], 2]]),
    "plain-row": lambda np, x: np.array([[1.0, 2.0, 3.0], x]),
    "plain-array": lambda np, x: np.array([np.ones(3), x]),
    "complex": lambda np, x: np.array([x[0], 1j * x[1]]),
    "dtype": lambda np, x: np.array([x[0], 1.0], dtype=np.float32),
    "dtype-complex": lambda np, x: np.array([x[0], 1.0], complex),
    "ndmin": lambda np, x: np.array([x[0], 1.0], ndmin=3),
    "one": lambda np, x: np.array(x),
    "one-ndmin": lambda np, x: np.array(x[0], ndmin=2),
    "asarray": lambda np, x: np.asarray([x[0], 2.0]),
    "asarray-same": lambda np, x: np.asarray(x),
    "asanyarray": lambda np, x: np.asanyarray([x, x]),
    "ascontiguousarray": lambda np, x: np.ascontiguousarray(x[0]),
    "asfortranarray": lambda np, x: np.asfortranarray([x, x]),
    "asarray_chkfinite": lambda np, x: np.asarray_chkfinite([x[0], 1.0]),
    "require": lambda np, x: np.require([x[0], 1.0], float, ["C", "W"]),
    "fromiter": lambda np, x: np.fromiter((v * v for v in x), float),
    "fromiter-count": lambda np, x: np.fromiter((v * v for v in x), float, 2),
    "full": lambda np, x: np.full((2, 3), x),
    "full-dtype": lambda np, x: np.full(2, x[0], dtype=np.float32),
    "full-list": lambda np, x: np.full((3, 2), [x[0], 1.0]),
    "full_like": lambda np, x: np.full_like(np.ones((2, 3)), x),
    "full_like-dtype": lambda np, x: np.full_like(np.ones(2, np.float32), x[0], shape=(3,)),
    "arange-start": lambda np, x: np.arange(x[0], 4.0),
    "arange-step": lambda np, x: np.arange(0.0, 3.0, x[0]),
    "arange-all": lambda np, x: np.arange(x[0], 4, step=x[1]),
    "linspace": lambda np, x: np.linspace([x[0], 1.0], [2.0, 3.0], 4),
    "r_": lambda np, x: np.r_[x, 1.0, x[0], 2:5, [3.0, 4.0]],
    "r_-complex-step": lambda np, x: np.r_[x, 0:1:5j],
    "c_": lambda np, x: np.c_[x, np.ones(3), x * 2],
    "c_-matrices": lambda np, x: np.c_[np.ones((3, 2)), np.reshape(x, (3, 1))],
}  # fmt: skip
CONTAINERS = ("zeros_like", "ones_like", "empty_like")


@pytest.mark.parametrize("name", BUILDS)
def test_what_is_built_is_numpys(name: str) -> None:
    want = BUILDS[name](np, X)
    with GradientTape() as tape:
        got = BUILDS[name](tnp, tape.watch(X))
    untraced = BUILDS[name](tnp, X)
    assert isinstance(got, Tracer)
    assert type(untraced) is type(want)
    for y in (got.numpy(), untraced):
        assert y.shape == want.shape
        assert y.dtype == want.dtype
        np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("name", [n for n in BUILDS if "dtype" not in n])
def test_derivatives_of_what_is_built(name: str) -> None:
    weights = np.cos(np.arange(np.size(BUILDS[name](np, X)))).reshape(np.shape(BUILDS[name](np, X)))

    def loss(np_: Any, x: Any) -> Any:
        y = BUILDS[name](np_, x)
        return np.sum(np.real(y * (1 - 0.5j) * weights) if y.dtype.kind == "c" else y * y * weights)

    h = 1e-6
    want = [(loss(np, X + h * e) - loss(np, X - h * e)) / (2 * h) for e in np.eye(3)]
    try:
        got = grad(lambda x: loss(tnp, x))(X)
    except MissingRuleError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)
    pushed = [jvp(lambda x: loss(tnp, x), (X,), (e,))[1] for e in np.eye(3)]
    np.testing.assert_allclose(pushed, want, rtol=1e-6, atol=1e-8)


@given(st.recursive(st.sampled_from([0, 1, 2, None, 3.5]), lambda c: st.lists(c, min_size=1, max_size=3), max_leaves=9))
def test_any_nesting_is_numpys(tree: Any) -> None:
    """Numbers 0, 1, 2 stand for traced elements."""

    def filled(node: Any, x: Any) -> Any:
        if isinstance(node, list):
            return [filled(n, x) for n in node]
        return 7 if node is None else node if isinstance(node, float) else x[node]

    with GradientTape() as tape:
        x = tape.watch(X)
        try:
            want = np.array(filled(tree, X))
        except ValueError:
            with pytest.raises(ValueError, match=r"must have one shape|inhomogeneous"):
                tnp.array(filled(tree, x))
            return
        got = tnp.array(filled(tree, x))
    np.testing.assert_array_equal(got.numpy() if isinstance(got, Tracer) else got, want)


def test_second_order_and_nesting() -> None:
    def f(x: Any) -> Any:
        return np.sum(tnp.array([x**2, [x[0] * x[1], 1.0]]) ** 2)

    def plain(x: Any) -> Any:
        return x[0] ** 4 + x[1] ** 4 + (x[0] * x[1]) ** 2

    x = np.array([0.5, 2.0])
    np.testing.assert_allclose(jacobian(grad(f))(x), jacobian(grad(plain))(x))
    with ForwardAccumulator(x, np.ones(2)) as acc:
        g = grad(f)(acc.primals)
    np.testing.assert_allclose(acc.jvp(g), jacobian(grad(plain))(x).sum(axis=1))


def test_values_of_two_levels_in_one_list() -> None:
    def inner(y: Any, x: Any) -> Any:
        return np.prod(tnp.array([x, y, x * y]))

    assert grad(lambda x: grad(inner)(3.0, x))(2.0) == 4 * 2.0 * 3.0  # d2/dxdy of x**2 * y**2


def test_variables_are_read() -> None:
    w = Variable(2.0)
    with GradientTape() as tape:
        y = np.sum(tnp.array([w, [w][0] * 3, 1.0]) ** 2)
    assert tape.gradient(y, w) == 40.0


def test_a_copy_is_a_copy_and_asarray_is_not() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        assert tnp.asarray(x) is x
        assert tnp.array(x) is not x
        assert tnp.array(x, copy=None) is x
        with pytest.raises(ValueError, match="Unable to avoid copy"):
            tnp.array(x, dtype=np.float32, copy=False)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (lambda x: [x, [1.0, 2.0]], r"there are \(3,\) at \[0\], \(2,\) at \[1\]"),
        (lambda x: [[x[0], 1.0], [2.0]], r"there are \(2,\) at \[0\], \(1,\) at \[1\]"),
        (lambda x: [[[x[0], x]], [[1.0, 2.0]]], r"there are \(\) at \[0\]\[0\]\[0\], \(3,\) at \[0\]\[0\]\[1\]"),
    ],
)
def test_parts_of_several_shapes_are_named(tree: Any, text: str) -> None:
    with GradientTape() as tape, pytest.raises(StructureError, match=text):
        tnp.array(tree(tape.watch(X)))


def test_objects_and_directives_are_refused() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with pytest.raises(TypeError, match="dtype=object would take traced values off the tape"):
            tnp.array([x[0]], dtype=object)
        with pytest.raises(TypeError, match="directives in text"):
            tnp.r_["0,2", x, x]
        with pytest.raises(ValueError, match="infs or NaNs"):
            tnp.asarray_chkfinite([x[0] * math.inf, 1.0])


# ---- buffers

BUFFERS: list[Callable[[], Any]] = [
    lambda: tnp.zeros(3), lambda: tnp.ones((2, 2)), lambda: tnp.empty(2, np.float32), lambda: tnp.full(3, 2.0),
    lambda: tnp.eye(2), lambda: tnp.identity(2), lambda: tnp.zeros_like(np.ones(3)), lambda: tnp.ones_like([1.0]),
    lambda: tnp.empty_like(np.ones(3)), lambda: tnp.full_like(np.ones(3), 2.0), lambda: tnp.zeros(3, complex),
]  # fmt: skip


@pytest.mark.parametrize("make", BUFFERS)
def test_buffers_are_traced_constants_inside_a_block(make: Callable[[], Any]) -> None:
    outside = make()
    assert isinstance(outside, np.ndarray)
    with GradientTape() as tape:
        inside = make()
        assert isinstance(inside, Tracer)
        assert inside._level == tape.level
        assert not inside._live
    with ForwardAccumulator(1.0, 1.0) as acc:
        assert make()._level == acc.level
        with GradientTape() as tape:
            assert make()._level == tape.level
    assert inside.shape == outside.shape
    assert inside.dtype == outside.dtype


def test_integer_buffers_are_plain() -> None:
    with GradientTape():
        assert isinstance(tnp.zeros(3, int), np.ndarray)
        assert isinstance(tnp.full(3, 2), np.ndarray)


def test_a_constant_can_be_computed_with_watched_and_converted() -> None:
    with GradientTape() as tape:
        c = tnp.ones(2)
        x = tape.watch(c)
        y = np.sum(x * x * c)
        assert np.asarray(c).tolist() == [1.0, 1.0]
    assert tape.gradient(y, x).tolist() == [2.0, 2.0]


# ---- the namespace as a whole


def test_everything_of_numpy_is_there() -> None:
    assert set(np.__all__) <= set(dir(tnp))
    for name in set(np.__all__) - set(vars(tnp)):
        assert getattr(tnp, name) is getattr(np, name)
    assert tnp.linalg.norm is np.linalg.norm
    assert tnp.__version__ == np.__version__
    with pytest.raises(AttributeError, match=r"neither tapeflow\.numpy nor numpy has an attribute 'sine'"):
        tnp.sine  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute '__wrapped__'"):
        tnp.__wrapped__  # noqa: B018


@pytest.mark.parametrize("name", ["linalg", "fft", "random"])
def test_submodules_can_be_imported_from(name: str) -> None:
    module = importlib.import_module(f"tapeflow.numpy.{name}")
    theirs = getattr(np, name)
    assert set(theirs.__all__) <= set(dir(module))
    for attribute in theirs.__all__:
        assert getattr(module, attribute) is not None


@pytest.mark.parametrize("name", [n for n in tnp.__all__ if callable(getattr(np, n, None))])
def test_replacements_take_numpys_parameters(name: str) -> None:
    try:
        theirs = inspect.signature(getattr(np, name))
    except ValueError:
        pytest.skip("this NumPy says nothing of the signature")
    ours = inspect.signature(getattr(tnp, name)).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in ours.values())
    missing = [n for n in theirs.parameters if n not in ours and n not in ("args", "kwargs")]
    assert open_ended or not missing
