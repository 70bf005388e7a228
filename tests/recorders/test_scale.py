"""Control flow, scale, threads, tasks (TAPE_SEMANTICS 2.11)."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, Variable, grad

X = np.array([1.0, 2.0])


def test_the_path_that_ran_is_differentiated() -> None:
    def f(x: Any) -> Any:
        while np.sum(x) < 100:
            x = x * x if x[0] > 3 else x + 1.5
        return np.sum(x)

    # 1, 2 -> 2.5, 3.5 -> 4, 5 -> 16, 25 -> 256, 625
    np.testing.assert_allclose(grad(f)(X), 4 * np.array([4.0, 5.0]) ** 3)


def test_recursion() -> None:
    def power(x: Any, n: int) -> Any:
        return x if n == 1 else power(x, n // 2) * power(x, n - n // 2)

    np.testing.assert_allclose(grad(lambda x: power(x, 9))(1.1), 9 * 1.1**8)


def test_pythons_max_picks_a_variable() -> None:
    a, b = Variable(1.0), Variable(2.0)
    with GradientTape() as tape:
        y = max(a, b) * 3.0
    assert tape.gradient(y, [a, b]) == [None, 3.0]


def test_a_long_chain() -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        y = x
        for _ in range(100_000):
            y = y * 1.00001
    np.testing.assert_allclose(tape.gradient(y, x), 1.00001**100_000)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_long_chain_dies_without_recursion(persistent: bool) -> None:
    tape = GradientTape(persistent=persistent)
    with tape:
        x = tape.watch(1.0)
        y = x
        for _ in range(200_000):
            y = y + 1.0
    del tape
    del y
    with ForwardAccumulator(1.0, 1.0) as acc:
        z = acc.primals
        for _ in range(1000):
            z = z + 1.0


def test_sixty_doublings() -> None:
    with GradientTape() as tape:
        x = tape.watch(1.0)
        y = x
        for _ in range(60):
            y = y + y
    assert tape.gradient(y, x) == 2.0**60


def test_worker_threads_record_on_the_tape_of_their_values() -> None:
    with GradientTape() as tape, ThreadPoolExecutor(4) as pool:
        x = tape.watch(np.arange(1.0, 401.0))
        parts = list(pool.map(lambda k: sum((x[i] ** 2 for i in range(k, 400, 4)), start=0.0), range(4)))
        y = sum(parts)
    np.testing.assert_allclose(tape.gradient(y, x), 2 * np.arange(1.0, 401.0))


def test_gradient_may_be_called_from_another_thread() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * x
    with ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(tape.gradient, y, x).result(), 2 * X)


def test_another_thread_goes_on_with_the_recording() -> None:
    tape = GradientTape()
    with tape:
        x = tape.watch(X)
        y = x * x

    def go_on() -> Any:
        with tape:
            return y * x

    with ThreadPoolExecutor(1) as pool:
        z = pool.submit(go_on).result()
    np.testing.assert_array_equal(tape.gradient(z, x), 3 * X**2)


def test_a_tape_for_each_thread_on_one_variable() -> None:
    v = Variable(2.0)
    barrier = threading.Barrier(4)

    def work(power: int) -> Any:
        barrier.wait()
        for _ in range(50):
            with GradientTape() as outer:
                with GradientTape() as inner:
                    y = v**power
                g = inner.gradient(y, v)
            h = outer.gradient(g, v)
        return float(g.numpy()), h

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(2, 6)))
    assert results == [(p * 2.0 ** (p - 1), p * (p - 1) * 2.0 ** (p - 2)) for p in range(2, 6)]


def test_a_tape_that_is_open_in_a_generator() -> None:
    def steps(scale: float) -> Iterator[Any]:
        with GradientTape() as tape:
            x = tape.watch(X)
            y = x * scale
            yield y
            yield tape.gradient(y * x, x)

    a, b = steps(1.0), steps(2.0)
    next(a), next(b)
    np.testing.assert_array_equal(next(a), 2 * X)
    np.testing.assert_array_equal(next(b), 4 * X)
    a.close()
    b.close()


def test_asyncio_tasks_are_separate() -> None:
    v = Variable(3.0)

    async def derivative(power: int) -> Any:
        with GradientTape() as tape:
            y = v * 1.0
            for _ in range(power - 1):
                await asyncio.sleep(0)
                y = y * v
            await asyncio.sleep(0)
        return tape.gradient(y, v), len(tape.watched_variables())

    async def main() -> Any:
        return await asyncio.gather(derivative(2), derivative(3))

    assert asyncio.run(main()) == [(6.0, 1), (27.0, 1)]


def long_block(tape: GradientTape) -> Any:
    y = x = tape.watch(np.float64(1.0))
    for _ in range(20_000):
        y = y * x
    return y


def test_the_collector_of_cycles_is_slowed_down_while_a_long_recording_grows() -> None:
    before = gc.get_threshold()
    with GradientTape() as tape:
        assert gc.get_threshold() == before
        y = long_block(tape)
        assert gc.get_threshold() == (100_000, *before[1:])
        with GradientTape() as other:
            long_block(other)
        assert gc.get_threshold()[0] == 100_000
    assert gc.get_threshold() == before
    assert tape.gradient(y, y) == 1

    def fail() -> None:
        with GradientTape(persistent=True) as tape:
            long_block(tape)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.get_threshold() == before


def test_what_the_user_sets_meanwhile_stays() -> None:
    before = gc.get_threshold()
    try:
        with GradientTape() as tape:
            long_block(tape)
            gc.set_threshold(500)
        assert gc.get_threshold()[0] == 500
    finally:
        gc.set_threshold(*before)
