"""The laws that every row of the table of cases must obey: those of `tapeflow.testing`."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, Case

from tapeflow import GradientTape
from tapeflow.testing import LAWS

for _file in sorted(Path(__file__).parent.glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

PARAMS = [pytest.param(c, id=c.id) for c in CASES]


def obey(law: str, case: Case) -> None:
    if law in case.skip:
        pytest.skip(case.skip[law])
    LAWS[law](case.call, case.args(), case.id)


@pytest.mark.parametrize("case", PARAMS)
def test_primal_is_numpys(case: Case) -> None:
    args = case.args()
    obey("primal", case)
    expected = case.call(*args)
    with GradientTape() as tape:
        out = case.call(*tape.watch(args))
    assert type(out) is type(expected) or not isinstance(expected, (tuple, list))
    for a, b in zip(args, case.args(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", PARAMS)
def test_jvp_is_the_difference_quotient(case: Case) -> None:
    obey("jvp", case)


@pytest.mark.parametrize("case", PARAMS)
def test_vjp_is_the_adjoint_of_jvp(case: Case) -> None:
    obey("vjp", case)


@pytest.mark.parametrize("case", PARAMS)
def test_second_order_is_the_difference_quotient_of_the_first(case: Case) -> None:
    obey("second", case)


@pytest.mark.parametrize("case", PARAMS)
def test_single_precision_stays(case: Case) -> None:
    obey("dtype", case)


@pytest.mark.parametrize("case", PARAMS)
def test_layout_of_arguments_does_not_matter(case: Case) -> None:
    obey("layout", case)


@pytest.mark.parametrize("case", PARAMS[::10])  # all of them, batched in more ways, in test_batch_laws
def test_batching_is_a_loop(case: Case) -> None:
    obey("batch", case)


@pytest.mark.parametrize("case", PARAMS)
def test_nothing_that_is_passed_in_is_written_to(case: Case) -> None:
    obey("mutation", case)
