"""What is watched (TAPE_SEMANTICS 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeflow import GradientTape, Variable
from tapeflow.errors import NotDifferentiableError

X = np.array([1.0, 2.0])


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Model:
    w: Any
    b: Any


def test_an_array_that_was_never_watched_is_refused_as_a_source() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * X
    with pytest.raises(TypeError, match=r"sources\[1\] is a plain ndarray, which the tape never watched"):
        tape.gradient(y, [x, X])


def test_trainable_variables_are_watched_when_read_and_others_by_hand() -> None:
    v, fixed = Variable(X), Variable(X, trainable=False)
    with GradientTape() as tape:
        y = v * fixed
    gradients = tape.gradient(y, [v, fixed])
    np.testing.assert_array_equal(gradients[0], X)
    assert gradients[1] is None
    with GradientTape() as tape:
        assert tape.watch(fixed) is fixed
        y = v * fixed
    np.testing.assert_array_equal(tape.gradient(y, fixed), X)


def test_without_watching_what_is_read_only_explicit_watches_count() -> None:
    v, w = Variable(X), Variable(X)
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w)
        y = v * w
    assert [id(u) for u in tape.watched_variables()] == [id(w)]
    gv, gw = tape.gradient(y, [v, w])
    assert gv is None
    np.testing.assert_array_equal(gw, X)


def test_what_ran_before_watch_is_constant() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with tape.stop_recording():
            y = x * x
        y = tape.watch(y)
        z = y * x
    gx, gy = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(gx, X**2)
    np.testing.assert_array_equal(gy, X)


def test_watching_twice_counts_once() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        again = tape.watch(x)
        y = again * again
    first, second = tape.gradient(y, [x, again])
    np.testing.assert_array_equal(first, 2 * X)
    np.testing.assert_array_equal(second, 2 * X)


def test_structures_are_watched_and_come_back() -> None:
    tree = {"p": Pair(X, [X, (X,)]), "m": Model(X, 0.5)}
    with GradientTape() as tape:
        t = tape.watch(tree)
        y = np.sum(t["p"].a * t["p"].b[0] * t["p"].b[1][0] * t["m"].w) * t["m"].b
    g = tape.gradient(y, t)
    assert isinstance(g["p"], Pair)
    assert isinstance(g["m"], Model)
    np.testing.assert_allclose(g["p"].b[1][0], 0.5 * X**3)
    np.testing.assert_allclose(g["m"].b, np.sum(X**4))


@pytest.mark.parametrize("number", [2.0, 1 + 2j, np.float32(2.0), np.longdouble(2.0), np.float16(2.0)])
def test_scalars_are_watched(number: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch(number)
        y = np.real(x * x)
    g = tape.gradient(y, x)
    assert g == 2 * np.conj(number)
    assert g.dtype == np.asarray(number).dtype


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (None, "x is of type NoneType"),
        ("text", "x is of type str"),
        (3, "x is of type int"),
        (True, "x is of type bool"),
        (np.arange(3), r"dtype int64.*astype\(float\)"),
        (np.array([True]), "dtype bool"),
        (np.array([None]), "dtype object"),
        ({"a": X, "b": [X, np.arange(2)]}, r"x\['b'\]\[1\] has dtype int64"),
        (Model(X, None), r"x.b is of type NoneType"),
    ],
)
def test_what_has_no_derivative_is_refused_with_its_place(bad: Any, text: str) -> None:
    tape = GradientTape()
    with pytest.raises(NotDifferentiableError, match=text):
        tape.watch(bad)


def test_nothing_is_watched_when_one_leaf_is_bad() -> None:
    v = Variable(X)
    tape = GradientTape(watch_accessed_variables=False)
    with pytest.raises(NotDifferentiableError):
        tape.watch([v, None])
    assert tape.watched_variables() == ()


def test_one_variable_in_two_tapes() -> None:
    v = Variable(X)
    with GradientTape() as a, GradientTape() as b:
        y = v * v
    np.testing.assert_array_equal(a.gradient(y, v), 2 * X)
    np.testing.assert_array_equal(b.gradient(y, v), 2 * X)


def test_watching_is_local_to_a_tape() -> None:
    with GradientTape() as outer, GradientTape() as inner:
        x = inner.watch(X)
        y = x * x
    assert outer.gradient(y, x) is None
    np.testing.assert_array_equal(inner.gradient(y, x), 2 * X)


@pytest.mark.parametrize("no_op", [lambda x: x + 0, lambda x: x * 1, lambda x: +x, lambda x: x.reshape(2), np.copy])
def test_an_operation_that_changes_nothing_gives_a_new_value(no_op: Any) -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = no_op(x)
        assert y is not x
        z = y * y
    gx, gy = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(gx, 2 * X)
    np.testing.assert_array_equal(gy, 2 * X)


def test_a_handle_of_a_finished_tape_is_watched_as_its_value() -> None:
    w = X
    for _ in range(3):
        with GradientTape() as tape:
            w = tape.watch(w)
            y = w * w
        tape.gradient(y, w)
    assert isinstance(w._value, np.ndarray)


def test_variables_are_data() -> None:
    import copy
    import pickle

    v = Variable(X, name="v", trainable=False)
    for twin in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert twin.name == "v"
        assert not twin.trainable
        np.testing.assert_array_equal(twin.numpy(), X)
    v.assign_add([1.0, 1.0])
    np.testing.assert_array_equal(v.numpy(), X + 1)
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit"):
        v.assign(np.ones(3))
    assert "name='v'" in repr(v)


def test_leaves_that_can_hold_no_array_stay_as_they_are() -> None:
    layer = {"w": X, "activation": np.tanh, "name": "first", "dtype": np.dtype(float)}
    with GradientTape(persistent=True) as tape:
        p = tape.watch([layer])
        y = np.sum(p[0]["activation"](p[0]["w"]))
    g = tape.gradient(y, p)
    np.testing.assert_allclose(g[0]["w"], 1 - np.tanh(X) ** 2)
    j = tape.jacobian({"y": y}, p)["y"]
    h = tape.hessian(y, p)[0]
    np.testing.assert_allclose(j[0]["w"], g[0]["w"])
    np.testing.assert_allclose(h["w"][0]["w"].diagonal(), -2 * np.tanh(X) * (1 - np.tanh(X) ** 2))
    for tree in (p[0], g[0], j[0], h, h["w"][0]):
        assert tree["name"] == "first"
        assert tree["activation"] is np.tanh
    with pytest.raises(NotDifferentiableError, match=r"x\[0\]\['name'\] is of type str"):
        tape.watch([{"name": "alone"}])
