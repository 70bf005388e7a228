"""Every public function of NumPy is of exactly one class, and one that can be differentiated has rows in the table."""

from __future__ import annotations

from typing import Any

import classification
import numpy as np
import pytest
from cases import REFUSED
from classification import (
    CONSTRUCTORS,
    GONE,
    NEWEST,
    NOT_ABOUT_ARRAYS,
    classes,
    has_row,
    plain_reason,
    primitives,
    public_functions,
)

from tapeflow.core.primitive import FUNCTIONS

VERSION = tuple(map(int, np.__version__.split(".")[:2]))


def unclassified() -> list[str]:
    return [name for name, function in public_functions().items() if not classes(name, function)]


def without_rows() -> list[str]:
    exempt = CONSTRUCTORS | NOT_ABOUT_ARRAYS
    return [
        getattr(f, "__qualname__", str(f))
        for f in FUNCTIONS
        if callable(f) and plain_reason(f) is None and f not in REFUSED and not has_row(f) and f.__name__ not in exempt
    ]


def test_every_public_function_is_classified() -> None:
    missing = unclassified()
    assert not missing, (
        f"{len(missing)} functions of NumPy {np.__version__} are in no class: {' '.join(missing)}. Implement each (and "
        "give it rows in the table of cases), declare it nondifferentiable with its reason, or list it in "
        "tests/ops/classification.py as a constructor or not about arrays"
    )


def test_no_function_is_of_two_classes() -> None:
    found = {name: classes(name, function) for name, function in public_functions().items()}
    twice = {name: kinds for name, kinds in found.items() if len(kinds) > 1}
    assert not twice, f"functions of two classes; take them off the lists of tests/ops/classification.py: {twice}"


def test_every_differentiable_function_has_rows() -> None:
    missing = without_rows()
    assert not missing, f"functions with rules but without a row in the table of cases: {' '.join(missing)}"


@pytest.mark.skipif(VERSION < NEWEST, reason="an older NumPy lacks some of the names")
def test_no_entry_is_stale() -> None:
    stale = sorted((CONSTRUCTORS | NOT_ABOUT_ARRAYS) - public_functions().keys())
    assert not stale, f"NumPy {np.__version__} has no functions of these names (move them to GONE if 2.0 had): {stale}"
    assert GONE.keys().isdisjoint(CONSTRUCTORS | NOT_ABOUT_ARRAYS)


def test_a_constructor_that_numpy_dispatches_is_registered() -> None:
    functions = public_functions()
    dispatched = [
        n for n in CONSTRUCTORS if hasattr(functions.get(n), "_implementation") and functions[n] is not np.array
    ]
    assert all(functions[n] in FUNCTIONS for n in dispatched)


def test_every_function_without_derivative_says_why() -> None:
    silent = [f for f in FUNCTIONS if plain_reason(f) == ""]
    assert not silent


def test_a_new_function_of_numpy_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np.linalg, "frobnicate", lambda a: a, raising=False)
    assert "linalg.frobnicate" in unclassified()


def test_an_implementation_without_rows_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def frobnicate(a: Any) -> Any:
        return a

    monkeypatch.setitem(FUNCTIONS, frobnicate, frobnicate)
    assert any("frobnicate" in name for name in without_rows())


def test_a_constructor_with_a_primitive_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "CONSTRUCTORS", CONSTRUCTORS | {"sin"})
    assert classes("sin", np.sin) == ["constructor", "differentiable"]


@pytest.mark.parametrize(
    ("function", "primitive"),
    [(np.sin, True), (np.sum, True), (np.where, True), (np.linalg.svd, True), (np.average, False), (np.vstack, False)],
)
def test_the_kind_follows_from_the_registry(function: Any, primitive: bool) -> None:
    assert bool(primitives(function)) is primitive
