"""What is held, for how long, and that nothing done to an array later changes a gradient (TAPE_SEMANTICS 2.12)."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape, Variable, grad

X = np.array([1.0, 2.0])
MEGABYTE = np.ones(131_072)


@contextmanager
def growth() -> Iterator[list[float]]:
    """Peak growth of traced memory in the block, in megabytes."""
    out: list[float] = []
    gc.collect()
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        yield out
        out.append((tracemalloc.get_traced_memory()[1] - base) / 2**20)
    finally:
        tracemalloc.stop()


def test_a_spent_tape_holds_nothing() -> None:
    gc.disable()
    try:
        with GradientTape() as tape:
            x = tape.watch(X)
            y = np.exp(x)
            kept = weakref.ref(y._value)
            z = np.sum(y)
        del y
        assert kept() is not None
        tape.gradient(z, x)
        assert kept() is None  # without the garbage collector: there are no cycles
    finally:
        gc.enable()


def test_a_persistent_tape_lets_go_when_it_dies() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = np.exp(x)
        kept = weakref.ref(y._value)
        z = np.sum(y)
    del y
    tape.gradient(z, x)
    assert kept() is not None
    del tape
    gc.collect()
    assert kept() is None


def test_unwatched_work_is_never_held() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        with growth() as peak:
            for _ in range(50):
                np.exp(np.sin(MEGABYTE))
    assert peak[0] < 5


def test_branches_that_nobody_uses_free_themselves() -> None:
    with GradientTape() as tape:
        x = tape.watch(MEGABYTE)
        with growth() as peak:
            for _ in range(300):
                np.exp(np.sin(x))
        y = x * 2.0
    assert peak[0] < 40  # 300 if they stayed
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * np.ones_like(MEGABYTE))


def test_the_list_stays_short_when_results_are_dropped() -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        for _ in range(10_000):
            x * 2.0
        assert len(tape._list.entries) < 200


def test_additions_keep_shapes_only() -> None:
    with GradientTape() as tape:
        x = tape.watch(MEGABYTE)
        with growth() as peak:
            y = x
            for _ in range(100):
                y = y + x
    assert peak[0] <= 3
    np.testing.assert_array_equal(tape.gradient(y, x), np.full_like(MEGABYTE, 101.0))


def test_residuals_go_as_the_sweep_passes() -> None:
    with GradientTape() as tape:
        x = tape.watch(MEGABYTE)
        y = x
        for _ in range(60):
            y = np.sin(y)
        with growth() as peak:
            tape.gradient(y, x)
    assert peak[0] < 8


@pytest.mark.parametrize("n", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_bytes_for_each_entry(n: int) -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        with growth() as peak:
            y = x
            for _ in range(n):
                y = y * 0.999999
    assert peak[0] * 2**20 / n < 400
    np.testing.assert_allclose(tape.gradient(y, x), 0.999999**n)


# ---- foreign arrays

LARGE = 40_000


@pytest.mark.parametrize("size", [3, LARGE])
def test_an_array_that_is_overwritten_after_it_was_watched(size: int) -> None:
    a = np.full(size, 3.0)
    with GradientTape() as tape:
        x = tape.watch(a)
        y = x * x
        overwrite(a)
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(size, 6.0))
    del x  # stands for the old numbers as long as it lives
    a[:] = 7.0  # allowed again


def overwrite(a: np.ndarray) -> None:
    """Small arrays were copied, so that this has no effect; large ones are held, so that it is an error."""
    if a.size == LARGE:
        with pytest.raises(ValueError, match="read-only"):
            a[:] = 5.0
    else:
        a[:] = 5.0


@pytest.mark.parametrize("size", [4, LARGE])
@pytest.mark.parametrize("use", [lambda x, a: x * a, lambda x, a: a * x, lambda x, a: x @ a, lambda x, a: np.dot(a, x)])
def test_the_gradient_is_that_of_the_old_operand(size: int, use: Any) -> None:
    a = np.full(size, 3.0)
    with GradientTape() as tape:
        x = tape.watch(np.ones(size))
        y = use(x, a)
        overwrite(a)
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(size, 3.0))
    a[:] = 7.0  # allowed again


def test_a_view_is_held_with_its_base() -> None:
    base = np.full(2 * LARGE, 3.0)
    view = base[::2]
    with GradientTape() as tape:
        x = tape.watch(np.ones(LARGE))
        y = x * view
        for array in (base, view):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(LARGE, 3.0))
    view[0] = base[1] = 1.0


def test_two_tapes_hold_one_array() -> None:
    a = np.full(LARGE, 3.0)
    tapes = [GradientTape(), GradientTape()]
    questions = []
    for tape in tapes:
        with tape:
            x = tape.watch(np.ones(LARGE))
            questions.append((x * a, x))
    tapes[0].gradient(*questions[0])
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 1.0
    tapes[1].gradient(*questions[1])
    a[0] = 1.0


def test_an_index_that_is_overwritten() -> None:
    i = np.array([0, 0, 1])
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x[i]
        i[:] = 1
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 1.0])


def test_arrays_that_were_read_only_stay_so() -> None:
    a = np.full(LARGE, 3.0)
    a.flags.writeable = False
    with GradientTape() as tape:
        x = tape.watch(a)
        y = x * a
    tape.gradient(y, x)
    del x, y, tape
    assert not a.flags.writeable


# ---- variables, and who owns results


def test_assignment_never_changes_what_was_recorded() -> None:
    v = Variable(X)
    with GradientTape() as tape:
        y = v * v
        v.assign(10 * X)
        z = v * v
    v.assign(0 * X)
    np.testing.assert_array_equal(tape.gradient([y, z], v), 2 * X + 20 * X)


def test_an_explicit_read_is_a_value_of_its_own() -> None:
    v = Variable(X)
    with GradientTape(persistent=True) as tape:
        read = v.read()
        y = v * v
        z = read * v
    assert tape.gradient(y, read) is None
    np.testing.assert_array_equal(tape.gradient(z, read), X)
    np.testing.assert_array_equal(tape.gradient(z, v), 2 * X)


def test_assigning_a_traced_value_is_not_differentiated() -> None:
    v, w = Variable(X), Variable(X)
    with GradientTape() as tape:
        w.assign(v * 3)
        y = w * 1.0
    assert tape.gradient(y, v) is None


def test_gradients_share_memory_with_nothing() -> None:
    seed = np.ones(2)
    with GradientTape(persistent=True) as tape:
        a, b, c = tape.watch((X, X, X.reshape(2, 1)))
        y = a + b + c.reshape(2)
    results = [*tape.gradient(y, (a, b, c), seed), *tape.gradient(y, (a, y), seed)]
    for i, g in enumerate(results):
        assert g.flags.writeable
        assert not np.shares_memory(g, seed)
        assert not any(np.shares_memory(g, other) for other in results[:i])


def test_arguments_are_not_written_to() -> None:
    x, w = X.copy(), X.copy()
    grad(lambda x: np.sum((x * w) ** 2))(x)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, X)
