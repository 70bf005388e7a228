"""Taylor series of every differentiable row of the table of cases, against nested derivatives."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from test_laws import direction, leaves

from tapeflow import jvp, taylor

for _file in sorted((Path(__file__).parent.parent / "ops").glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

ORDER = 3
SKIP: dict[str, str] = {}
PARAMS = [pytest.param(c, id=c.id) for c in CASES]


def nested(function: Any, args: Any, tangents: Any, order: int) -> list[list[Any]]:
    """The value and derivatives of a function that returns a list, by jvp of jvp of ..."""
    if order == 0:
        return [function(*args)]

    def inner(*xs: Any) -> list[list[Any]]:
        return nested(function, xs, tangents, order - 1)

    lower, upper = jvp(inner, tuple(args), tuple(tangents))
    return [*lower, upper[-1]]


def smooth(case: Case) -> Any:
    return lambda *xs: list(leaves(case.call(*xs)))


@pytest.mark.parametrize("case", PARAMS)
def test_taylor_is_nested_jvp(case: Case) -> None:
    if case.id in SKIP:
        pytest.skip(SKIP[case.id])
    args = case.args()
    tangents = direction(args, 11)
    value, derivatives = taylor(lambda xs: smooth(case)(*xs), args, tuple(tangents), ORDER)
    want = nested(smooth(case), args, tangents, ORDER)
    for k, (got_row, want_row) in enumerate(zip([value, *derivatives], want, strict=True)):
        for got, expected in zip(got_row, want_row, strict=True):
            assert got.shape == expected.shape
            assert got.dtype == expected.dtype
            scale = 1 + np.max(np.abs(expected), initial=0)
            np.testing.assert_allclose(got / scale, expected / scale, rtol=1e-7, atol=1e-9, err_msg=f"order {k}")
