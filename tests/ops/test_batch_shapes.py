"""What fits for one element fits inside vmap, and what NumPy refuses for one element is refused there as well.

The axis of the batch must never pass for an axis of the elements, nor a reshape hide lengths that differ.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from tapeflow import vmap

RNG = np.random.default_rng(8)
SHAPES = [(), (1,), (2,), (3,), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3), (2, 1, 3)]
OF_ONE = {
    **{n: getattr(np.linalg, n) for n in "inv det slogdet eigvals eigh svdvals qr pinv norm matrix_transpose".split()},
    "trace": np.trace, "diagonal": np.diagonal, "fft2": np.fft.fft2, "tril": np.tril, "rot90": np.rot90,
}  # fmt: skip
OF_TWO = {
    **{n: getattr(np, n) for n in "dot inner outer vdot matmul kron vecdot convolve trapezoid append".split()},
    "solve": np.linalg.solve,
    "multi_dot": lambda a, b: np.linalg.multi_dot([a, b]),
    "tensordot": lambda a, b: np.tensordot(a, b, 1),
    "tensordot of two": lambda a, b: np.tensordot(a, b, ([0, 1], [0, 1])),
    "einsum": lambda a, b: np.einsum("...i,...i", a, b),
    "concatenate": lambda a, b: np.concatenate([a, b]),
}


def outcome(function: Any, *args: Any) -> Any:
    """The value, or ``None`` if there is none."""
    try:
        return function(*args)
    except (ValueError, TypeError, IndexError):  # of which LinAlgError is one
        return None


def check(function: Any, in_axes: Any, batch: Any, elements: list[Any]) -> None:
    got, want = outcome(vmap(function, in_axes), *batch), [outcome(function, *e) for e in elements]
    if want[0] is None:
        assert got is None
    else:
        parts = got if isinstance(got, tuple) else (got,)
        for part, wanted in zip(
            parts, zip(*(w if isinstance(w, tuple) else (w,) for w in want), strict=True), strict=True
        ):
            np.testing.assert_allclose(part, np.stack(wanted), atol=1e-12)


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_of_one_array(name: str) -> None:
    for shape in SHAPES:
        a = RNG.normal(size=(3, *shape))
        if name != "qr" or len(shape) != 2 or shape[0] <= shape[1]:
            check(OF_ONE[name], 0, (a,), [(x,) for x in a])


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_arrays(name: str) -> None:
    for shape0, shape1 in product(SHAPES, SHAPES):
        a, b = RNG.normal(size=(2, *shape0)), RNG.normal(size=(2, *shape1))
        check(OF_TWO[name], (0, 0), (a, b), list(zip(a, b, strict=True)))
        check(OF_TWO[name], (0, None), (a, b[0]), [(x, b[0]) for x in a])
        check(OF_TWO[name], (None, 0), (a[0], b), [(a[0], x) for x in b])


def test_the_text_is_that_of_numpy() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="1-dimensional array given"):
        vmap(np.linalg.inv)(np.eye(3))
    with pytest.raises(ValueError, match="shape-mismatch for sum"):
        vmap(OF_TWO["tensordot of two"])(np.ones((2, 2, 3)), np.ones((2, 3, 2)))
