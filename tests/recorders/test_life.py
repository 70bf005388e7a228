"""Life of a tape: entering, leaving, pausing, resetting, being spent (TAPE_SEMANTICS 2.1)."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.special import smirnov  # which has no rule

from tapeflow import GradientTape, Variable
from tapeflow.core.rules import general
from tapeflow.errors import MissingRuleError, RuleError, SeedError, TapeStateError, TargetError

X = np.array([1.0, 2.0])


def squared(tape: GradientTape):
    x = tape.watch(X)
    return x, x * x


def test_a_plain_tape_answers_once_and_names_the_way_out() -> None:
    with GradientTape() as tape:
        x, y = squared(tape)
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with pytest.raises(TapeStateError, match="persistent=True"):
        tape.jacobian(y, x)


def test_a_persistent_tape_answers_as_often_as_asked() -> None:
    with GradientTape(persistent=True) as tape:
        x, y = squared(tape)
        z = y * x
    for _ in range(2):
        np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)
        np.testing.assert_array_equal(tape.gradient(z, x), 3 * X**2)
        np.testing.assert_array_equal(tape.gradient(z, y), X)


def test_gradient_inside_the_block_ends_a_plain_tape() -> None:
    with GradientTape() as tape:
        x, y = squared(tape)
        np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)
        assert not tape.recording
        assert isinstance(y * 2, np.ndarray)
        for refused in (lambda: tape.watch(X), tape.reset, lambda: tape.stop_recording().__enter__()):
            with pytest.raises(RuntimeError, match="holds nothing any more"):
                refused()


def test_gradient_inside_the_block_of_a_persistent_tape_is_recorded() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = x**3
        first = tape.gradient(y, x)
        second = tape.gradient(first, x)
    np.testing.assert_allclose(np.asarray(first), 3 * X**2)
    np.testing.assert_allclose(tape.gradient(first, x), 6 * X)
    np.testing.assert_allclose(tape.gradient(second, x), [6.0, 6.0])


def test_gradient_under_stop_recording_is_a_constant_for_the_paused_tape() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        with GradientTape() as inner:
            z = inner.watch(x)
            y = z**3
        with outer.stop_recording():
            g = inner.gradient(y, z)
    np.testing.assert_allclose(np.asarray(g), 3 * X**2)
    assert outer.gradient(g, x) is None


def test_gradient_before_the_first_with() -> None:
    with pytest.raises(TapeStateError, match="never entered"):
        GradientTape().gradient(None, None)


def test_watch_before_the_first_with() -> None:
    tape = GradientTape()
    x = tape.watch(X)
    with tape:
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_watch_after_the_block_and_entering_again() -> None:
    tape = GradientTape()
    with tape:
        pass
    x = tape.watch(X)
    with tape:
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_watch_while_paused() -> None:
    with GradientTape() as tape:
        with tape.stop_recording():
            x = tape.watch(X)
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_what_runs_between_two_blocks_is_constant() -> None:
    tape = GradientTape()
    with tape:
        x = tape.watch(X)
        y = x * x
    between = y * 10
    assert isinstance(between, np.ndarray)
    with tape:
        z = y * x + between
    np.testing.assert_array_equal(tape.gradient(z, x), 3 * X**2)


def test_entering_an_active_tape() -> None:
    with GradientTape() as tape, pytest.raises(ValueError, match="active already"):
        tape.__enter__()


def test_entering_an_active_tape_from_another_thread() -> None:
    caught: list[BaseException] = []

    def enter() -> None:
        try:
            tape.__enter__()
        except TapeStateError as error:
            caught.append(error)

    with GradientTape() as tape:
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_a_spent_tape_cannot_be_entered_again() -> None:
    with GradientTape() as tape:
        x, y = squared(tape)
    tape.gradient(y, x)
    with pytest.raises(TapeStateError, match="entered again"):
        tape.__enter__()


def test_reset_forgets_operations_and_watches() -> None:
    v = Variable(X)
    with GradientTape() as tape:
        x, y = squared(tape)
        _ = v * 1.0
        tape.reset()
        assert tape.watched_variables() == ()
        z = v * v + np.asarray(y)
        assert [id(w) for w in tape.watched_variables()] == [id(v)]
    gv, gx = tape.gradient(z, [v, x])
    np.testing.assert_array_equal(gv, 2 * X)
    assert gx is None


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_reset_and_pause_outside_the_block(kind: type[Exception]) -> None:
    tape = GradientTape()
    with tape:
        pass
    with pytest.raises(kind, match="outside the tape's block"):
        tape.reset()
    with pytest.raises(kind, match="outside the tape's block"), tape.stop_recording():
        pass


def test_pauses_nest_and_end_with_an_exception() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        with tape.stop_recording():
            with tape.stop_recording():
                pass
            assert not tape.recording
            y = x * x
        with pytest.raises(KeyError), tape.stop_recording():
            raise KeyError
        assert tape.recording
        z = x * x
    assert tape.gradient(y, x) is None
    np.testing.assert_array_equal(tape.gradient(z, x), 2 * X)


def test_a_pause_concerns_one_tape() -> None:
    with GradientTape() as outer, GradientTape() as inner:
        x = inner.watch(outer.watch(X))
        with inner.stop_recording():
            y = x * x
    assert inner.gradient(y, x) is None
    np.testing.assert_array_equal(outer.gradient(y, x), 2 * X)


def test_what_was_recorded_before_an_exception_can_be_differentiated() -> None:
    tape = GradientTape()
    kept = []

    def fail() -> None:
        with tape:
            kept.extend(squared(tape))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    x, y = kept
    assert not tape.recording
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_a_call_that_fails_does_not_spend_the_tape() -> None:
    with GradientTape() as tape:
        x, y = squared(tape)
        cut = smirnov(3, x)
    for error, call in (
        (ValueError, lambda: tape.gradient(y, x, unconnected_gradients="nonsense")),
        (SeedError, lambda: tape.gradient(y, x, np.ones(3))),
        (TargetError, lambda: tape.gradient(y, X)),
        (MissingRuleError, lambda: tape.gradient(cut, x)),
    ):
        with pytest.raises(error):
            call()
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def by_numpys_error_state(tape: GradientTape, y: Any, x: Any) -> None:
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        tape.gradient(y, x)


def by_a_warning_made_an_error(tape: GradientTape, y: Any, x: Any) -> None:
    with np.errstate(divide="warn"), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            tape.gradient(y, x)


def by_numpys_error_call(tape: GradientTape, y: Any, x: Any) -> None:
    def call(*_: Any) -> None:
        raise KeyError

    with np.errstate(divide="call", call=call), pytest.raises(KeyError):
        tape.gradient(y, x)


@pytest.mark.parametrize("watched", ["leaf", "variable"])
@pytest.mark.parametrize("fail", [by_numpys_error_state, by_a_warning_made_an_error, by_numpys_error_call])
def test_a_sweep_that_fails_half_way_can_be_asked_again(fail: Any, watched: str) -> None:
    start = np.array([0.0, 4.0])
    v = Variable(start)
    with GradientTape() as tape:
        x = v if watched == "variable" else tape.watch(start)
        y = np.sum(np.exp(np.sqrt(x) * 1.0) ** 2)
    fail(tape, y, x)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(tape.gradient(y, x), [np.inf, np.exp(4.0) * 0.5])


def test_a_rule_that_refuses_can_be_asked_about_something_else() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.eye(2))
        values, vectors = np.linalg.eigh(x * 2.0)
        trace, first = np.sum(values), np.sum(vectors[:, 0] * np.array([1.0, 3.0]))
    with pytest.raises(RuleError, match="depends on their vectors"):
        tape.gradient(first, x)
    np.testing.assert_array_equal(tape.gradient(trace, x), 2 * np.eye(2))


def interrupt(xp: Any, g: Any) -> Any:
    raise KeyboardInterrupt


def test_an_interrupted_sweep_says_so_the_next_time() -> None:
    stopped = general("stopped", np.copy, lambda xp, t: t, interrupt)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with GradientTape() as tape:
            x = tape.watch(X)
            y = stopped(x * 2.0) ** 2
        with pytest.raises(KeyboardInterrupt):
            tape.gradient(y, x)
        with pytest.raises(TapeStateError, match=r"was interrupted .* GradientTape\(persistent=True\)"):
            tape.gradient(y, x)


def test_a_failure_inside_the_block_leaves_the_tape_recording() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        with pytest.raises(MissingRuleError):
            tape.gradient(smirnov(3, x), x)
        assert tape.recording
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_watched_variables_are_in_order_and_outlive_the_answer() -> None:
    a, b, c = Variable(X, name="a"), Variable(X, name="b"), Variable(X, trainable=False, name="c")
    with GradientTape() as tape:
        y = b * a * c
    assert [v.name for v in tape.watched_variables()] == ["b", "a"]
    tape.gradient(y, a)
    assert [v.name for v in tape.watched_variables()] == ["b", "a"]


def test_the_name_may_be_deleted_inside_the_block() -> None:
    keep = []
    with GradientTape() as tape:
        keep.append(tape)
        del tape
        x = keep[0].watch(X)
        y = x * x
    np.testing.assert_array_equal(keep[0].gradient(y, x), 2 * X)


def test_leaving_on_another_thread_ends_the_recording() -> None:
    tape = GradientTape().__enter__()
    x = tape.watch(X)
    thread = threading.Thread(target=lambda: tape.__exit__(None, None, None))
    thread.start()
    thread.join()
    assert isinstance(x * x, np.ndarray)
    v = Variable(X)
    assert isinstance(v * 1.0, np.ndarray)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_tapes_are_not_copied(how) -> None:
    with pytest.raises(TapeStateError, match="cannot be copied or pickled"):
        how(GradientTape())


def test_a_dropped_tape_stops_recording() -> None:
    tape = GradientTape().__enter__()
    x = tape.watch(X)
    tape.__exit__(None, None, None)
    wengert = x._list
    _ = x * 2
    del tape
    gc.collect()
    assert wengert.entries == []
