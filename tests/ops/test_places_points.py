"""Functions about places give plain answers for traced arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape


@pytest.mark.parametrize(
    "f",
    [
        np.diag_indices_from,
        np.tril_indices_from,
        lambda x: np.triu_indices_from(x, k=1),
        lambda x: np.unravel_index(np.argmax(x), x.shape),
        lambda x: (np.ravel_multi_index((np.argmax(x, 0), [0, 1, 2]), x.shape),),
    ],
)
def test_places_are_plain(f: Any) -> None:
    a = np.array([[1.0, 5.0, 2.0], [0.0, 1.0, 7.0], [3.0, 3.0, 3.0]])
    with GradientTape() as tape:
        x = tape.watch(a)
        found = f(x)
        y = np.sum(x[found] ** 2 if len(found) == 2 else np.ravel(x)[found] ** 2)
    for got, want in zip(found, f(a), strict=True):
        assert isinstance(got, (np.ndarray, np.integer))
        np.testing.assert_array_equal(got, want)
    expected = np.zeros_like(a)
    chosen = f(a) if len(found) == 2 else np.unravel_index(f(a)[0], a.shape)
    expected[chosen] = 2 * a[chosen]
    np.testing.assert_array_equal(tape.gradient(y, x), expected)
    with ForwardAccumulator(a, np.ones_like(a)) as acc:
        for got, want in zip(f(acc.primals), f(a), strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_plan_of_a_contraction() -> None:
    a = np.ones((2, 3))
    with GradientTape() as tape:
        x = tape.watch(a)
        plan, _ = np.einsum_path("ij,jk,kl->il", x, x.T, x)
        y = np.einsum("ij,jk,kl->il", x, x.T, x)
    assert plan == np.einsum_path("ij,jk,kl->il", a, a.T, a)[0]
    assert tape.gradient(y, x).shape == (2, 3)
