"""Methods of ufuncs on traced values: NumPy's values for every ufunc with rules, and NumPy's errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape
from tapeflow.core.primitive import FUNCTIONS

BINARY = [f for f in FUNCTIONS if isinstance(f, np.ufunc) and (f.nin, f.nout, f.signature) == (2, 1, None)]
UFUNCS = sorted((f for f in BINARY if getattr(np, f.__name__, None) is f), key=lambda f: f.__name__)
X = np.random.default_rng(7).uniform(0.5, 2.0, (3, 4))
MASK = X > 0.9
# NumPy 2.4 with AVX-512 gets these wrong, mostly along a contiguous axis (its accumulate and long double are right).
WRONG_IN_DOUBLE = {np.power, np.arctan2}
CALLS = {
    "reduce": lambda f, x: f.reduce(x),
    "reduce-negative": lambda f, x: f.reduce(x, axis=-1, keepdims=True),
    "reduce-all": lambda f, x: f.reduce(x, axis=None),
    "reduce-none": lambda f, x: f.reduce(x, axis=()),
    "reduce-one": lambda f, x: f.reduce(-x[:1]),
    "reduce-empty": lambda f, x: f.reduce(x[:0]),
    "reduce-scalar": lambda f, x: f.reduce(x[0, 0]),
    "reduce-dtype": lambda f, x: f.reduce(x, dtype=np.float32),
    "reduce-initial": lambda f, x: f.reduce(x, 1, initial=1.5),
    "reduce-empty-initial": lambda f, x: f.reduce(x[:0], initial=1.5),
    "reduce-where": lambda f, x: f.reduce(x, axis=1, initial=1.5, where=MASK),
    "reduce-where-alone": lambda f, x: f.reduce(x, axis=1, where=MASK),
    "accumulate": lambda f, x: f.accumulate(x, axis=1),
    "accumulate-flat": lambda f, x: f.accumulate(x[0], axis=None),
    "accumulate-empty": lambda f, x: f.accumulate(x[:0]),
    "accumulate-scalar": lambda f, x: f.accumulate(x[0, 0]),
    "reduceat": lambda f, x: f.reduceat(x, [0, 2, 2, 1], axis=-1),
    "reduceat-one": lambda f, x: f.reduceat(-x, [0, 1, 2]),
    "reduceat-nowhere": lambda f, x: f.reduceat(x, np.zeros(0, int)),
    "outer": lambda f, x: f.outer(x, x[0]),
    "outer-constant": lambda f, x: f.outer(X[0], x),
}


def plainly(y: Any) -> Any:
    return y.numpy() if hasattr(y, "numpy") else np.asarray(y)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_values_and_errors_are_numpys(ufunc: Any, call: Any) -> None:
    with np.errstate(all="ignore"), GradientTape() as tape:
        x = tape.watch(X)
        try:
            want = np.asarray(call(ufunc, X))
        except (TypeError, ValueError) as error:
            with pytest.raises(type(error)):
                call(ufunc, x)
            return
        got = call(ufunc, x)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if ufunc in WRONG_IN_DOUBLE:
        want = np.asarray(call(ufunc, X.astype(np.longdouble))).astype(want.dtype)
    single = want.dtype == np.float32
    np.testing.assert_allclose(plainly(got), want, rtol=1e-5 if single else 1e-13, atol=1e-6 if single else 1e-14)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: np.subtract.reduce(x, axis=None), ValueError, "not reorderable"),
        (lambda x: np.subtract.reduce(x, axis=2), np.exceptions.AxisError, "axis 2 is out of bounds"),
        (lambda x: np.hypot.reduce(x, axis=(0, 0)), ValueError, "duplicate value in 'axis'"),
        (lambda x: np.divide.reduce(x[:0]), ValueError, "zero-size array to reduction operation divide"),
        (lambda x: np.power.reduce(x, where=MASK), ValueError, "one has to specify 'initial'"),
        (lambda x: np.subtract.accumulate(x, axis=(0, 1)), ValueError, "accumulate does not allow multiple axes"),
        (lambda x: np.subtract.accumulate(x[0, 0]), TypeError, "cannot accumulate on a scalar"),
        (lambda x: np.subtract.reduceat(x, [0, 3]), IndexError, "index 3 out-of-bounds in subtract.reduceat"),
        (lambda x: np.subtract.reduceat(x, [0], axis=None), ValueError, "reduceat does not allow multiple axes"),
        (lambda x: np.sin.reduce(x), ValueError, "only supported for binary functions"),
        (lambda x: np.divmod.reduce(x), ValueError, "functions returning a single value"),
    ],
)
def test_errors_are_numpys(call: Any, kind: Any, message: str) -> None:
    with GradientTape() as tape, pytest.raises(kind, match=message):
        call(tape.watch(X))


def test_truth_values_are_plain() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        found = [np.logical_and.reduce(x), np.logical_xor.accumulate(x), np.logical_or.reduceat(x, [0, 1])]
    assert all(type(y) is np.ndarray and y.dtype == bool for y in found)


def test_masked_elements_take_no_part() -> None:
    x = np.array([2.0, 0.0, 4.0])
    with GradientTape() as tape:
        v = tape.watch(x)
        y = np.divide.reduce(v, initial=8.0, where=x != 0)
    np.testing.assert_array_equal(y.numpy(), 1.0)
    np.testing.assert_array_equal(tape.gradient(y, v), [-0.5, 0, -0.25])


def test_initial_has_a_derivative() -> None:
    with GradientTape() as tape:
        v, start = tape.watch((np.array([2.0, 4.0]), np.array(8.0)))
        y = np.divide.reduce(v, initial=start)
    np.testing.assert_array_equal(tape.gradient(y, start), 1 / 8)


def test_ties_of_fmax_are_split_equally() -> None:
    with GradientTape() as tape:
        v = tape.watch(np.array([3.0, 3.0, np.nan, 3.0, 1.0]))
        y = np.fmax.reduce(v)
    np.testing.assert_allclose(tape.gradient(y, v), [1 / 3, 1 / 3, 0, 1 / 3, 0])
