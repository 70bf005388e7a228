"""Each law notices a rule that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import test_classification
import test_laws as laws
from cases import Case, real

from tapeflow.core.batch import aligned
from tapeflow.core.primitive import FUNCTIONS
from tapeflow.core.rules import general


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """A case of np.cbrt with rules of one's own."""

    def make(evaluate: Any = np.cbrt, jvp: Any = None, vjp: Any = None, batch: Any = aligned) -> Case:
        right = lambda xp, g, y: g / (3 * y * y)  # noqa: E731
        monkeypatch.setitem(FUNCTIONS, np.cbrt, general("cbrt", evaluate, jvp or right, vjp or right, batch=batch))
        # A wrapper of its own name keeps the fast recorder of the ufunc out of the way.
        call = lambda x: FUNCTIONS[np.cbrt](x) if hasattr(x, "numpy") else np.cbrt(x)  # noqa: E731
        return Case(np.cbrt, call, (real(3, low=0.5),), "broken")

    return make


def test_right_rules_pass(broken: Any) -> None:
    for law in LAWS:
        law(broken())


LAWS = (
    laws.test_primal_is_numpys,
    laws.test_jvp_is_the_difference_quotient,
    laws.test_vjp_is_the_adjoint_of_jvp,
    laws.test_second_order_is_the_difference_quotient_of_the_first,
    laws.test_single_precision_stays,
    laws.test_layout_of_arguments_does_not_matter,
    laws.test_batching_is_a_loop,
    laws.test_nothing_that_is_passed_in_is_written_to,
)


@pytest.mark.parametrize(
    ("law", "rules"),
    [
        (laws.test_jvp_is_the_difference_quotient, {"jvp": lambda xp, t, y: t / (2 * y * y)}),
        (laws.test_vjp_is_the_adjoint_of_jvp, {"vjp": lambda xp, g, y: g / (2 * y * y)}),
        (
            laws.test_second_order_is_the_difference_quotient_of_the_first,
            {"vjp": lambda xp, g, y: g / (3 * y.numpy() ** 2)},
        ),
        (
            laws.test_second_order_is_the_difference_quotient_of_the_first,
            {"vjp": lambda xp, g, y: g / (3 * np.array(y.numpy()) ** 2)},
        ),
        (laws.test_single_precision_stays, {"evaluate": lambda x: np.cbrt(x.astype(np.float64))}),
        (laws.test_primal_is_numpys, {"evaluate": np.sqrt}),
        (laws.test_batching_is_a_loop, {"batch": lambda primitive, values, batched, params: np.sqrt(values[0])}),
    ],
)
def test_a_wrong_rule_is_noticed(broken: Any, law: Any, rules: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, AttributeError)):
        law(broken(**rules))


def test_a_function_without_a_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, np.load, np.sin)
    monkeypatch.setattr(test_classification, "NOT_ABOUT_ARRAYS", frozenset())
    monkeypatch.setattr(test_classification, "CONSTRUCTORS", frozenset())
    with pytest.raises(AssertionError, match="load"):
        test_classification.test_every_differentiable_function_has_rows()
