"""Targets, sources, seeds, missing paths (TAPE_SEMANTICS 2.3, 2.4) and dense Jacobians."""

from __future__ import annotations

import enum
import inspect
from typing import Any

import numpy as np
import pytest
from scipy.special import smirnov  # which has no rule

from tapeflow import ForwardAccumulator, GradientTape, Variable, stop_gradient
from tapeflow.errors import MissingRuleError, SeedError, SeedTypeError, TapeStateError, TargetError, UnconnectedError

X = np.array([1.0, 2.0])


def ask(make: Any, *question: Any, x: Any = X, **options: Any) -> Any:
    """Gradient of what `make(x)` returns with respect to x, or of what a question picks."""
    with GradientTape(persistent=True) as tape:
        w = tape.watch(x)
        y = make(w)
    return tape.gradient(y, w, *question, **options)


def test_a_target_that_is_no_scalar_is_summed() -> None:
    np.testing.assert_array_equal(ask(lambda x: x**2), 2 * X)


def test_several_targets_are_summed_whatever_their_shapes() -> None:
    np.testing.assert_array_equal(ask(lambda x: {"a": [x * x], "b": np.sum(x)}), 2 * X + 1)


def test_the_same_target_twice_counts_twice() -> None:
    def twice(x: Any) -> Any:
        y = x * x
        return [y, y]

    np.testing.assert_array_equal(ask(twice), 4 * X)


def test_a_target_that_is_the_source() -> None:
    np.testing.assert_array_equal(ask(lambda x: x), [1.0, 1.0])


def test_a_source_among_the_targets_adds_its_seed() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * x
        z = y * 3
    gx, gy = tape.gradient([z, y], [x, y])
    np.testing.assert_array_equal(gy, [4.0, 4.0])
    np.testing.assert_array_equal(gx, 4 * 2 * X)


def test_an_intermediate_source_does_not_cut_the_path() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = np.sin(x)
        z = y * y
    gx, gy = tape.gradient(z, [x, y])
    np.testing.assert_allclose(gy, 2 * np.sin(X))
    np.testing.assert_allclose(gx, 2 * np.sin(X) * np.cos(X))


def test_a_variable_as_target_read_or_not() -> None:
    v, unread = Variable(X), Variable(X)
    with GradientTape(persistent=True) as tape:
        _ = v * 2
    np.testing.assert_array_equal(tape.gradient(v, v), [1.0, 1.0])
    np.testing.assert_array_equal(tape.gradient(unread, unread), [1.0, 1.0])


def test_the_same_source_twice() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * x
    first, second = tape.gradient(y, [x, x])
    np.testing.assert_array_equal(first, second)
    first += 1
    np.testing.assert_array_equal(second, 2 * X)


def test_structures_keep_the_order_of_their_keys() -> None:
    with GradientTape() as tape:
        t = tape.watch({"z": X, "a": (X, [X])})
        y = t["z"] * t["a"][0] * t["a"][1][0]
    assert list(tape.gradient(y, t)) == ["z", "a"]


def test_nothing_asked() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = x * x
    assert tape.gradient(y, []) == []
    assert tape.gradient([], x) is None
    np.testing.assert_array_equal(tape.gradient([], x, unconnected_gradients="zero"), [0.0, 0.0])


def test_identity_counts_not_value() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        twin = tape.watch(X)
        y = x * x
    assert tape.gradient(y, twin) is None


def test_an_unconnected_target_contributes_nothing() -> None:
    np.testing.assert_array_equal(ask(lambda x: [x * x, stop_gradient(x)]), 2 * X)


@pytest.mark.parametrize("bad", [None, 1.0, X, "y", [X]])
def test_a_target_that_was_never_traced(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"target.* is a plain .*, which no tape knows"):
        ask(lambda x: bad)


@pytest.mark.parametrize("bad", [None, 1.0, X])
def test_a_source_that_was_never_traced(bad: Any) -> None:
    with GradientTape() as tape:
        y = tape.watch(X) * 2
    with pytest.raises(TargetError, match="sources is a plain"):
        tape.gradient(y, bad)


def test_seeds_weigh_and_may_be_differentiated() -> None:
    np.testing.assert_array_equal(ask(lambda x: x * x, np.array([3.0, 5.0])), 2 * X * [3.0, 5.0])
    with GradientTape() as outer:
        s = outer.watch(X)
        with GradientTape() as inner:
            x = inner.watch(X)
            y = x**3
        g = inner.gradient(y, x, s)
    np.testing.assert_allclose(outer.gradient(g, s), 3 * X**2)


def test_seeds_of_dicts_are_matched_by_key() -> None:
    got = ask(lambda x: {"a": x, "b": x * x}, {"b": np.zeros(2), "a": np.array([7.0, 8.0])})
    np.testing.assert_array_equal(got, [7.0, 8.0])


@pytest.mark.parametrize(
    ("seed", "kind", "text"),
    [
        (np.ones(3), SeedError, r"output_gradients has shape \(3,\).*shape \(2,\)"),
        (1.0, SeedError, r"shape \(\)"),
        (1j * np.ones(2), SeedTypeError, "is complex"),
        (np.array(["a", "b"]), SeedTypeError, "expected numbers"),
    ],
)
@pytest.mark.parametrize("make", [lambda x: x * x, lambda x: x])
def test_seeds_that_do_not_fit(make: Any, seed: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        ask(make, seed)


@pytest.mark.parametrize("seeds", [[None], [None, None, None]])
def test_too_few_or_too_many_seeds(seeds: list[Any]) -> None:
    with pytest.raises(ValueError, match=rf"2 target\(s\), but {len(seeds)} output_gradients"):
        ask(lambda x: [x, x * x], seeds)


def test_none_among_the_seeds_stands_for_ones() -> None:
    np.testing.assert_array_equal(ask(lambda x: [x, x * x], [np.zeros(2), None]), 2 * X)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_real_seeds_are_converted(dtype: Any) -> None:
    got = ask(lambda x: x * x, np.ones(2, dtype))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, 2 * X)


# ---- no path


class Unconnected(enum.Enum):
    NONE = "none"
    ZERO = "zero"


@pytest.mark.parametrize("choice", ["zero", Unconnected.ZERO])
def test_zeros_on_request(choice: Any) -> None:
    with GradientTape() as tape:
        a, b = tape.watch((X, np.ones((2, 3), np.float32)))
        y = a * a
    ga, gb = tape.gradient(y, (a, b), unconnected_gradients=choice)
    np.testing.assert_array_equal(ga, 2 * X)
    assert gb.dtype == np.float32
    np.testing.assert_array_equal(gb, np.zeros((2, 3)))


def test_an_unknown_choice_is_quoted_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match=r"'nonsense': expected .none., .zero. or .raise."):
        ask(lambda x: x, unconnected_gradients="nonsense")


@pytest.mark.parametrize(
    "cut",
    [stop_gradient, lambda x: x.astype(int), lambda x: x.astype(int).astype(float), lambda x: x.astype(bool) * 1.0],
)
def test_the_path_ends(cut: Any) -> None:
    def use(x: Any) -> Any:
        y = cut(x)
        return y if y.dtype.kind == "f" else y * 1.0

    assert ask(use) is None
    np.testing.assert_array_equal(ask(lambda x: x * use(x)), np.asarray(cut(X), float))


def test_comparisons_and_positions_are_plain() -> None:
    def use(x: Any) -> Any:
        assert isinstance(x > 1, np.ndarray)
        assert np.argmax(x) == 1
        return x * (x > 1) * np.argmax(x)

    np.testing.assert_array_equal(ask(use), [0.0, 1.0])


def test_what_stop_gradient_returns_can_be_watched() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = tape.watch(stop_gradient(x * x))
        z = y * y
    gx, gy = tape.gradient(z, [x, y])
    assert gx is None
    np.testing.assert_array_equal(gy, 2 * X**2)


@pytest.mark.parametrize("step", [np.sign, np.rint, np.floor, np.ceil, np.trunc, lambda x: x // 1])
def test_step_functions_have_zeros(step: Any) -> None:
    np.testing.assert_array_equal(ask(lambda x: step(x * 1.1)), [0.0, 0.0])


def test_second_derivative_of_a_linear_map() -> None:
    for choice, want in (("none", None), ("zero", np.zeros(2))):
        with GradientTape() as outer:
            x = outer.watch(X)
            with GradientTape() as inner:
                z = inner.watch(x)
                y = 3 * z
            g = inner.gradient(y, z)
            assert float(g[0]) == 3.0
        np.testing.assert_array_equal(outer.gradient(g, x, unconnected_gradients=choice), want)


def test_a_function_without_a_rule_fails_when_its_derivative_is_asked() -> None:
    def use(x: Any) -> Any:
        y = smirnov(3, x * 1.5)
        np.testing.assert_array_equal(y.numpy(), smirnov(3, X * 1.5))
        return [y * 2, x * x]

    with pytest.raises(MissingRuleError, match=r"smirnov has no derivative rule.*@tapeflow.primitive.*tapeflow.wrap"):
        ask(use)
    with GradientTape() as tape:
        x = tape.watch(X)
        z = use(x)[1]
    np.testing.assert_array_equal(tape.gradient(z, x), 2 * X)


# ---- Jacobians


def test_jacobian_has_the_structure_of_the_target_with_that_of_the_sources() -> None:
    with GradientTape() as tape:
        s = tape.watch({"a": X, "b": 2.0})
        t = [s["a"] * s["b"], np.sum(s["a"])]
    j = tape.jacobian(t, s)
    np.testing.assert_array_equal(j[0]["a"], 2 * np.eye(2))
    np.testing.assert_array_equal(j[0]["b"], X)
    np.testing.assert_array_equal(j[1]["a"], [1.0, 1.0])
    assert j[1]["b"] is None


def test_jacobian_shapes_of_nothing() -> None:
    with GradientTape(persistent=True) as tape:
        x = tape.watch(np.ones((2, 3)))
        empty = x[:0] * 2
        y = x[0] * 1
    assert tape.jacobian(empty, x).shape == (0, 3, 2, 3)
    assert tape.jacobian(y, x).shape == (3, 2, 3)
    other = GradientTape()
    with other:
        a = other.watch(X)
        b = other.watch(X)
        z = b * b
    np.testing.assert_array_equal(other.jacobian(z, a, "zero"), np.zeros((2, 2)))


def test_hessian_by_jacobian_of_gradient_and_of_jacobian() -> None:
    with GradientTape() as outer:
        x = outer.watch(X)
        with GradientTape() as inner:
            x = inner.watch(x)
            y = x[0] ** 2 * x[1]
        g = inner.jacobian(y, x)
    np.testing.assert_allclose(outer.jacobian(g, x), [[4.0, 2.0], [2.0, 0.0]])


def test_jacobian_of_a_complex_target() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x * 1j
    with pytest.raises(SeedTypeError, match="real and imaginary parts"):
        tape.jacobian(y, x)


def test_a_missing_path_can_be_an_error_that_says_where_it_may_have_been_cut() -> None:
    with GradientTape() as tape, GradientTape() as other:
        p = tape.watch({"a": X, "b": X})
        z = other.watch(X)
        y = np.sum(p["a"] ** 2)
    with pytest.raises(UnconnectedError, match=r"no path from sources\['b'\] to the target: it is watched, but"):
        tape.gradient(y, p, unconnected_gradients="raise")
    with pytest.raises(UnconnectedError, match="no path from sources to the target: this tape does not follow it"):
        tape.jacobian(y, z, "raise")
    with pytest.raises(UnconnectedError, match=r"sources\['b'\]"):
        tape.hessian(y, p, "raise")
    np.testing.assert_array_equal(tape.gradient(y, p["a"], unconnected_gradients="raise"), 2 * X)  # not spent by then


def test_an_accumulator_can_refuse_what_does_not_depend_on_its_primals() -> None:
    with ForwardAccumulator(X, X) as acc:
        y = acc.primals * 2
    np.testing.assert_array_equal(acc.jvp(y, "raise"), 2 * X)
    with pytest.raises(UnconnectedError, match="target does not depend on the primals"):
        acc.jvp(np.ones(2), "raise")


def test_a_spent_tape_names_the_line_of_its_call() -> None:
    with GradientTape() as tape:
        x = tape.watch(X)
        y = x**2
    tape.gradient(y, x)
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    for ask_again in (tape.gradient, tape.jacobian):
        with pytest.raises(TapeStateError, match=rf'has answered its one call \(".*test_questions.py", line {line}\)'):
            ask_again(y, x)


def test_the_note_on_a_rule_that_raises_names_the_line_that_recorded_it() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([0.5]))
        y = x * smirnov(2, x)
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    with pytest.raises(MissingRuleError) as caught:
        tape.gradient(y, x)
    assert any(note.endswith(f'test_questions.py", line {line}') for note in caught.value.__notes__)
