"""Taylor series of every differentiable row of the table of cases, against nested derivatives."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

from tapeflow import jvp, taylor, vjp, vmap
from tapeflow.transforms import taylor_series

for _file in sorted((Path(__file__).parent.parent / "ops").glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

ORDER = 3
PARAMS = [pytest.param(c, id=c.id) for c in CASES]


def nested(function: Any, args: Any, tangents: Any, order: int) -> list[list[Any]]:
    """The value and derivatives of a function that returns a list, by jvp of jvp of ..."""
    if order == 0:
        return [function(*args)]

    def inner(*xs: Any) -> list[list[Any]]:
        return nested(function, xs, tangents, order - 1)

    lower, upper = jvp(inner, tuple(args), tuple(tangents))
    return [*lower, upper[-1]]


def leaves(out: Any) -> list[Any]:
    """Differentiable outputs, in order."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [p for p in parts if (p if hasattr(p, "dtype") else np.asarray(p)).dtype.kind in "fc"]


def direction(args: tuple[np.ndarray, ...], seed: int) -> list[np.ndarray]:
    """A direction of the shapes and dtypes of the arguments."""
    rng = np.random.default_rng(seed)
    real = [rng.normal(size=a.shape) for a in args]
    return [
        (d + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else d).astype(a.dtype)
        for d, a in zip(real, args, strict=True)
    ]


def smooth(case: Case) -> Any:
    return lambda *xs: list(leaves(case.call(*xs)))


@pytest.mark.parametrize("case", PARAMS)
def test_taylor_is_nested_jvp(case: Case) -> None:
    args = case.args()
    tangents = direction(args, 11)
    value, derivatives = taylor(lambda xs: smooth(case)(*xs), args, tuple(tangents), ORDER)
    want = nested(smooth(case), args, tangents, ORDER)
    for k, (got_row, want_row) in enumerate(zip([value, *derivatives], want, strict=True)):
        for got, expected in zip(got_row, want_row, strict=True):
            assert got.shape == expected.shape
            assert got.dtype == expected.dtype
            assert np.all(np.isfinite(expected))
            scale = 1 + np.max(np.abs(expected), initial=0)
            np.testing.assert_allclose(got / scale, expected / scale, rtol=1e-7, atol=1e-9, err_msg=f"order {k}")


# ---- higher orders, and recurrences against the rules that they spare

HIGH = 6  # nesting, the reference, takes 2**order evaluations
DEDICATED = (
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh,
    np.square, np.sqrt, np.cbrt, np.reciprocal, np.multiply, np.divide, np.power, np.linalg.inv, np.linalg.solve,
    np.matmul, np.dot, np.inner, np.outer, np.vdot, np.tensordot, np.convolve, np.polymul, np.vecdot, np.einsum,
)  # fmt: skip
OTHERS = (
    np.arctan, np.arcsin, np.arccosh, np.arctanh, np.hypot, np.arctan2, np.logaddexp, np.absolute, np.float_power,
    np.angle, np.sum, np.prod, np.cumprod, np.var, np.std, np.max, np.sort, np.where, np.concatenate, np.fft.fft,
    np.linalg.det, np.linalg.slogdet, np.linalg.cholesky, np.linalg.norm, np.linalg.eigvalsh, np.kron, np.cross,
    np.interp, np.trace, np.linalg.matrix_power,
)  # fmt: skip


def rows_of(functions: Any) -> list[Any]:
    return [pytest.param(c, id=c.id) for c in CASES if any(c.function is f for f in functions)]


def expanded(case: Case, order: int) -> list[list[Any]]:
    args = case.args()
    value, derivatives = taylor(lambda xs: smooth(case)(*xs), args, tuple(direction(args, 11)), order)
    return [value, *derivatives]


def close(got: list[list[Any]], want: list[list[Any]], tolerance: float) -> None:
    for got_row, want_row in zip(got, want, strict=True):
        for a, b in zip(got_row, want_row, strict=True):
            scale = 1 + np.max(np.abs(b), initial=0)
            np.testing.assert_allclose(a / scale, b / scale, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", rows_of(DEDICATED + OTHERS))
def test_high_orders(case: Case) -> None:
    args = case.args()
    order = HIGH if any(case.function is f for f in DEDICATED) else HIGH - 2
    close(expanded(case, order), nested(smooth(case), args, direction(args, 11), order), 1e-8)


@pytest.mark.parametrize("case", rows_of(DEDICATED))
def test_recurrences_agree_with_the_rules(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    order = 4
    with_recurrences = expanded(case, order)
    monkeypatch.setattr(taylor_series, "RECURRENCES", {})
    close(with_recurrences, expanded(case, order), 1e-9)


def test_every_recurrence_has_a_row() -> None:
    used = set()

    class Noting(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            if key in self:
                used.add(key)
            return super().get(key, default)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taylor_series, "RECURRENCES", Noting(taylor_series.RECURRENCES))
        for param in rows_of((*DEDICATED, *(getattr(np, n) for n in ("matvec", "vecmat") if hasattr(np, n)))):
            expanded(param.values[0], 2)
    assert used == set(taylor_series.RECURRENCES)


def test_the_law_notices_a_wrong_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(c for c in CASES if c.function is np.tanh)
    primitive = next(p for p in taylor_series.RECURRENCES if p.name == "tanh")
    monkeypatch.setitem(
        taylor_series.RECURRENCES, primitive, next(r for p, r in taylor_series.RECURRENCES.items() if p.name == "tan")
    )
    with pytest.raises(AssertionError):
        test_taylor_is_nested_jvp(case)


# ---- directions of a batch, and what outer levels make of a series

OF_NUMPY = [
    pytest.param(c, id=c.id) for c in CASES if not isinstance(c.function, np.ufunc) or hasattr(np, c.function.__name__)
]


@pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")
@pytest.mark.parametrize("case", OF_NUMPY)
def test_a_batch_of_directions_is_a_loop(case: Case) -> None:
    args = case.args()
    directions = [direction(args, 11), direction(args, 12)]
    second = lambda vs: tuple(taylor(lambda xs: smooth(case)(*xs), args, vs, 2)[1][1])  # noqa: E731
    got = vmap(second)(tuple(np.stack(pair) for pair in zip(*directions, strict=True)))
    close([list(got)], [[np.stack(pair) for pair in zip(*(second(tuple(d)) for d in directions), strict=True)]], 1e-10)


@pytest.mark.parametrize("case", rows_of(DEDICATED + OTHERS))
def test_reverse_over_taylor_is_the_adjoint_of_forward_over_taylor(case: Case) -> None:
    args = case.args()
    v, u = direction(args, 11), direction(args, 12)
    second = lambda *xs: list(taylor(lambda ys: smooth(case)(*ys), xs, tuple(v), 2)[1][1])  # noqa: E731
    _, pushed = jvp(second, args, tuple(u))
    weights = direction(tuple(map(np.asarray, pushed)), 13)
    _, pull = vjp(second, *args)
    inner = lambda a, b: sum(np.sum(np.real(np.conj(x) * y)) for x, y in zip(a, b, strict=True))  # noqa: E731
    np.testing.assert_allclose(inner(pull(weights), u), inner(weights, pushed), rtol=1e-8, atol=1e-8)
