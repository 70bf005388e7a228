"""The coverage page shows what the registry holds."""

from __future__ import annotations

from typing import Any

import coverage_table
import numpy as np
import pytest
from cases import Case, real
from classification import plain_reason

from tapeflow.core.primitive import FUNCTIONS


def test_every_function_is_on_the_page() -> None:
    text = "\n".join(coverage_table.markdown())
    names = coverage_table.named()
    for function in FUNCTIONS:
        if plain_reason(function) is not None or any(c.function is function for c in coverage_table.CASES):
            assert f"`{names[id(function)][1][0]}`" in text or f".{names[id(function)][1][0]}`" in text


def row(function: Any) -> coverage_table.Row:
    name = function.__name__
    return next(r for r in coverage_table.table() if name in r.names and r.namespace == "numpy")


def test_rows_follow_the_registry() -> None:
    assert row(np.absolute).names == ("absolute", "abs")
    assert row(np.sin).kind == "elementwise"
    assert row(np.sum).kind == "linear"
    assert row(np.prod).kind == "general"
    assert row(np.vstack).kind == "composite"
    assert row(np.sin).complex
    assert not row(np.arctan2).complex
    assert row(np.floor).note == "piecewise constant"
    assert "weights" in row(np.average).note


def test_a_mode_counts_only_where_a_case_checks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    monkeypatch.setitem(FUNCTIONS, twice, twice)
    unheld = Case(twice, twice, (real(2),), "twice", {"second": "of no use"})
    monkeypatch.setattr(coverage_table, "CASES", [*coverage_table.CASES, unheld])
    found = next(r for r in coverage_table.table() if "twice" in r.names[0])
    assert found.modes == (True, True, False)
    assert found.kind == "composite"
    assert found.note == "second: of no use"
