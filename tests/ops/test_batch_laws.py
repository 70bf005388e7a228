"""Laws of batches: every row of the table is evaluated at once, and gives what a loop gives."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.special
from cases import CASES, Case
from test_laws import PARAMS

from tapeflow import ForwardAccumulator, GradientTape, grad, jvp, vmap
from tapeflow.core import batch as core
from tapeflow.core.rules import general
from tapeflow.errors import BatchLoopWarning, StructureError

# Primitives without a batch rule: each is called element by element, with a warning.
LOOPS = {
    "nonzero": "as many places as there are elements other than zero",
    "flatnonzero": "as many places as there are elements other than zero",
    "argwhere": "as many places as there are elements other than zero",
}
# Primitives whose rule is to go through the batch, since there is nothing better.
EACH = {
    "lstsq": "NumPy solves one system at a time, and gives residuals only for full rank",
    "interp": "a binary search in knots that differ; with knots for all it is one call",
    "convolve_full": "NumPy convolves one pair at a time, in the machine's own loops",
    "characteristic": "NumPy takes eigenvalues of one matrix at a time, and real parts where they pair up",
    "has_real_polynomial": "as for the characteristic polynomial",
    "roots": "the number of roots depends on the zeros at either end",
    "series_roots": "the number of roots depends on the zeros at the end",
    "series_product": "NumPy multiplies one pair of series at a time",
    "length_of_remainder": "rounding decides where a remainder begins",
}
# Rows of functions that take a decision by values, for which the batch must agree or is gone through.
DECIDES = {
    "unwrap-period-traced": "turns are counted in a period that differs",
}


@pytest.fixture(autouse=True)
def every_loop_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop warns once in a process; here once in a test."""
    monkeypatch.setattr(core, "_warned", set())


# Asked in a process of its own, where no test has declared any.
SURVEY = """
import gc, json, scipy.special, tapeflow
from tapeflow.core import batch, primitive
for name in list(primitive.LATE):
    primitive.LATE.pop(name)()
ours = [p for p in gc.get_objects() if isinstance(p, primitive.Primitive)]
print(json.dumps([[p.name, not (p.batch or p.elementwise), p.batch is batch.each] for p in ours]))
"""


@pytest.fixture(scope="module")
def survey() -> list[tuple[str, bool, bool]]:
    """All primitives: the name, whether it has no rule, and whether the rule is to go through the batch."""
    found = subprocess.run([sys.executable, "-c", SURVEY], capture_output=True, text=True, check=True)
    return [tuple(row) for row in json.loads(found.stdout)]


def test_every_primitive_has_a_batch_rule_or_a_reason_for_none(survey: Any) -> None:
    assert len(survey) > 300
    assert {name for name, without, _ in survey if without} == set(LOOPS)


def test_every_rule_that_goes_through_the_batch_has_a_reason(survey: Any) -> None:
    assert {name for name, _, each in survey if each} | {"interp"} == set(EACH)


# ---- the table


def leaves(out: Any) -> list[Any]:
    """Differentiable outputs, in order."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [p for p in parts if (p if hasattr(p, "dtype") else np.asarray(p)).dtype.kind in "fc"]


def batch_of(case: Case) -> list[np.ndarray]:
    """Two elements, of which the second is a little larger."""
    with np.errstate(invalid="ignore"):  # complex infinities
        return [np.stack([a, (a * 1.01).astype(a.dtype)]) for a in case.args()]


def direction(arrays: Any, seed: int) -> list[np.ndarray]:
    """Random arrays of the shapes and dtypes of others; zero for integers."""
    rng = np.random.default_rng(seed)
    real, imag = ([rng.normal(size=np.shape(a)) for a in arrays] for _ in range(2))
    parts = zip(arrays, real, imag, strict=True)
    return [np.asarray(r + 1j * i if a.dtype.kind == "c" else r).astype(a.dtype) for a, r, i in parts]


def pull(case: Case, args: Any, cotangents: Any) -> tuple[Any, ...]:
    with GradientTape() as tape:
        x = tape.watch(tuple(args))
        outs = leaves(case.call(*x))
    known = [(y, g) for y, g in zip(outs, cotangents, strict=True) if hasattr(y, "numpy")]
    return tape.gradient([y for y, _ in known], x, [g for _, g in known], "zero")


def push(case: Case, args: Any, tangents: Any) -> tuple[Any, ...]:
    with ForwardAccumulator(tuple(args), tuple(tangents)) as acc:
        outs = leaves(case.call(*acc.primals))
        return tuple(acc.jvp(y, "zero") for y in outs)


def values(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda xs: tuple(leaves(case.call(*xs))), (args,)


def forward(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda xs, ts: push(case, xs, ts), (args, tangents)


def forward_of_tangents(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda ts: push(case, [a[0] for a in args], ts), (tangents,)


def forward_of_primals(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda xs: push(case, xs, [t[0] for t in tangents]), (args,)


def backward(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda xs, ws: pull(case, xs, ws), (args, weights)


def backward_of_cotangents(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda ws: pull(case, [a[0] for a in args], ws), (weights,)


def backward_of_primals(case: Case, args: list[np.ndarray], tangents: Any, weights: Any) -> Any:
    return lambda xs: pull(case, xs, [w[0] for w in weights]), (args,)


MODES = {
    values: "",
    forward: "jvp",
    forward_of_tangents: "jvp",
    forward_of_primals: "jvp",
    backward: "vjp",
    backward_of_cotangents: "vjp",
    backward_of_primals: "vjp",
}


def pairs(parts: list[np.ndarray]) -> list[np.ndarray]:
    return [np.stack([a, (a * 1.5).astype(a.dtype)]) for a in parts]


def batch_law(case: Case, mode: Callable[..., Any]) -> None:
    args = batch_of(case)
    with np.errstate(all="ignore"):
        outs = list(map(np.asarray, leaves(case.call(*(a[0] for a in args)))))
    function, batch = mode(case, args, pairs(direction(case.args(), 21)), pairs(direction(outs, 22)))
    got = vmap(lambda parts: function(*parts))(tuple(batch))
    rows = [function(*([a[k] for a in part] for part in batch)) for k in range(2)]
    for g, *want in zip(got, *rows, strict=True):
        want = np.stack([np.asarray(w) for w in want])
        assert (g.shape, g.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(g, want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", [c for c in PARAMS if "batch" not in c.values[0].skip])  # type: ignore[attr-defined]
def test_a_batch_is_a_loop_evaluated_at_once(case: Case) -> None:
    """Values, and tangents and cotangents of which batch and primals of which none, and the other way round."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if case.id in DECIDES else "error", BatchLoopWarning)
        for mode, law in MODES.items():
            if law in case.skip:
                continue
            core._warned.clear()
            try:
                batch_law(case, mode)
            except Exception as error:
                error.add_note(f"mode: {mode.__name__}")
                raise


@pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")
@pytest.mark.parametrize("case", [c for c in CASES if "batch" in c.skip], ids=lambda c: c.id)
def test_what_picks_by_values_is_gone_through(case: Case) -> None:
    """Never refused: either the results have one shape, or an error says that they have several."""
    try:
        batch_law(case, values)
    except StructureError as error:
        assert "differs in shape from element to element" in str(error)  # noqa: PT017


def test_rows_that_decide_are_rows() -> None:
    assert set(DECIDES) <= {c.id for c in CASES}


# ---- loops


X = np.random.default_rng(4).normal(size=(3, 4))


@pytest.mark.parametrize("function", [np.nonzero, np.flatnonzero, np.argwhere], ids=lambda f: f.__name__)
def test_a_primitive_without_a_rule_loops_and_says_so_once(function: Any) -> None:
    call = lambda x: function(np.sort(x) > np.median(x))  # noqa: E731
    with pytest.warns(BatchLoopWarning, match=f"^vmap: {function.__name__} has no batching rule") as seen:
        got = vmap(lambda x: [call(x), call(x)][1])(X)
    assert len(seen) == 1
    np.testing.assert_array_equal(np.stack(got if isinstance(got, tuple) else [got], 1),
                                  [np.stack(y if isinstance(y := call(x), tuple) else [y]) for x in X])  # fmt: skip


ROOTS = general(
    "square_and_cube",
    lambda x: (x**2, np.sum(x) ** 3),
    lambda xp, t, x: (2 * x * t, 3 * xp.sum(x) ** 2 * xp.sum(t)),
    lambda xp, g, x: 2 * x * g[0] + 3 * xp.sum(x) ** 2 * g[1],
)


def test_a_users_primitive_without_a_rule_loops_in_all_its_uses() -> None:
    f = lambda x: np.sum(np.sin(ROOTS(x)[0])) * ROOTS(x)[1]  # noqa: E731
    pushed = lambda x: jvp(f, (x,), (x,))[1]  # noqa: E731
    for function in (f, grad(f), pushed):
        core._warned.clear()
        with pytest.warns(BatchLoopWarning, match="square_and_cube has no batching rule") as seen:
            got = vmap(function)(X)
        assert len(seen) == 1
        np.testing.assert_allclose(got, np.stack([function(x) for x in X]), rtol=1e-12)
    nested = lambda a: vmap(lambda x: f(x * a[0]))(X)  # noqa: E731
    core._warned.clear()
    with pytest.warns(BatchLoopWarning):
        np.testing.assert_allclose(vmap(nested)(X), np.stack([[f(x * a[0]) for x in X] for a in X]), rtol=1e-12)


def test_a_function_that_is_not_known_loops() -> None:
    f = lambda x: scipy.special.mathieu_a(1, x) * 2.0  # noqa: E731
    with pytest.warns(BatchLoopWarning, match="mathieu_a has no batching rule"):
        np.testing.assert_array_equal(vmap(f)(X), [f(x) for x in X])
    for f in (lambda x: scipy.ndimage.gaussian_filter1d(x, 1.0), lambda x: scipy.linalg.expm(np.outer(x, x))):
        with pytest.warns(BatchLoopWarning, match="<lambda> needs values of each element"):
            np.testing.assert_array_equal(vmap(f)(X), [f(x) for x in X])


def test_writes_inside_a_loop() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        where = np.flatnonzero(np.sort(x) > -9)
        y[where[1]] = x[0]
        y[where[2:]] += x[where[:2]]
        return np.sum(y**2) + np.sum(ROOTS(y)[0])

    for function in (f, grad(f)):
        core._warned.clear()
        with pytest.warns(BatchLoopWarning):
            got = vmap(function)(X)
        np.testing.assert_allclose(got, np.stack([function(x) for x in X]), rtol=1e-12)


# ---- answers without derivatives

A = np.random.default_rng(6).integers(0, 4, size=(3, 2, 4)).astype(float)
B = np.random.default_rng(7).integers(0, 4, size=(3, 2, 4)).astype(float)
NAN = np.where(A == 1, np.nan, A)
ANSWERS: dict[str, Callable[..., Any]] = {
    "argsort": lambda a, b: np.argsort(a),
    "argsort-axis": lambda a, b: np.argsort(a, 0, kind="stable"),
    "argsort-flat": lambda a, b: np.argsort(a, axis=None, stable=True),
    "argsort-position": lambda a, b: np.argsort(a, -1, "stable"),
    "argpartition": lambda a, b: np.sort(np.take_along_axis(a, np.argpartition(a, 1, 1), 1)[:, 2:]).astype(int),
    "argpartition-flat": lambda a, b: np.ravel(a)[np.argpartition(a, 3, axis=None)[3]].astype(int),
    "argmax": lambda a, b: np.argmax(a),
    "argmax-axis": lambda a, b: np.argmax(a, 1, keepdims=True),
    "argmax-method": lambda a, b: a.argmax(axis=0),
    "argmin-keepdims": lambda a, b: np.argmin(a, keepdims=True),
    "nanargmax": lambda a, b: np.nanargmax(np.where(a == 1, np.nan, a), axis=1),
    "nanargmin": lambda a, b: np.nanargmin(np.where(a == 1, np.nan, a)),
    "any": lambda a, b: np.any(a > 2),
    "all-axis": lambda a, b: np.all(a > 0, axis=-1, keepdims=True),
    "any-axes": lambda a, b: np.any(a > 2, axis=(0, 1)),
    "any-where": lambda a, b: np.any(a > 1, where=b > 1),
    "all-where": lambda a, b: np.all(a > 1, axis=0, where=b > 1),
    "all-method": lambda a, b: a.all(0),
    "count": lambda a, b: np.count_nonzero(a, axis=1, keepdims=True),
    "count-all": lambda a, b: np.count_nonzero(a == b),
    "isclose": lambda a, b: np.isclose(a, b + 1e-9),
    "isclose-options": lambda a, b: np.isclose(a, b, 0.5, 0.1, equal_nan=True),
    "isclose-batched": lambda a, b: np.isclose(a, b, atol=a / 2),
    "allclose": lambda a, b: np.allclose(a, b, atol=3),
    "array_equal": lambda a, b: np.array_equal(np.sort(np.ravel(a)) * 0, b * 0),
    "array_equal-same": lambda a, b: np.array_equal(a, b * 1 if a is b else a),
    "array_equal-nan": lambda a, b: np.array_equal(np.where(a == 1, np.nan, a), np.where(a == 1, np.nan, a), True),
    "array_equiv": lambda a, b: np.array_equiv(a * 0, b[0] * 0),
    "array_equiv-shapes": lambda a, b: np.array_equiv(a, b[:, :3]),
    "searchsorted": lambda a, b: np.searchsorted(np.sort(a[0]), b),
    "searchsorted-right": lambda a, b: np.searchsorted(np.sort(a[0]), b, side="right"),
    "searchsorted-one": lambda a, b: np.searchsorted(np.sort(a[0]), b[0, 0]),
    "searchsorted-plain": lambda a, b: np.searchsorted(np.arange(3.0), b, "right"),
    "searchsorted-points": lambda a, b: np.searchsorted(np.sort(a[0]), np.array([0.5, 2.0, np.nan])),
    "searchsorted-nan": lambda a, b: np.searchsorted(np.sort(np.where(a[0] == 1, np.nan, a[0])), b, "right"),
    "searchsorted-sorter": lambda a, b: np.searchsorted(a[0], b, sorter=np.argsort(a[0])),
    "searchsorted-complex": lambda a, b: np.searchsorted(np.sort(a[0] + 1j * b[0]), b + 1j),
    "digitize": lambda a, b: np.digitize(b, np.sort(a[0])),
    "digitize-falling": lambda a, b: np.digitize(b, np.flip(np.sort(a[0])), right=True),
    "digitize-either": lambda a, b: np.digitize(b, np.cumsum(1 + a[0]) * np.where(a[0, 0] > 1, 1, -1)),
    "isin": lambda a, b: np.isin(a, b[0]),
    "isin-inverted": lambda a, b: np.isin(a, [1.0, 3.0], invert=True),
    "isin-nothing": lambda a, b: np.isin(a, []),
    "lexsort": lambda a, b: np.lexsort((a, b)),
    "lexsort-plain": lambda a, b: np.lexsort((np.arange(4.0), b[0])),
    "lexsort-rows": lambda a, b: np.lexsort(a),
    "matrix_rank": lambda a, b: np.linalg.matrix_rank(a),
    "matrix_rank-vector": lambda a, b: np.linalg.matrix_rank(a[0] * 0),
    "matrix_rank-tol": lambda a, b: np.linalg.matrix_rank(np.outer(a, b), tol=1e-3),
    "matrix_rank-batched-tol": lambda a, b: np.linalg.matrix_rank(a + 0 * b, tol=b[0, 0]),
    "unravel": lambda a, b: np.stack(np.unravel_index(a.astype(int), (2, 3))),
    "ravel": lambda a, b: np.ravel_multi_index((a.astype(int), b.astype(int)), (4, 4)),
    "ravel-mode": lambda a, b: np.ravel_multi_index((a.astype(int), 7), (4, 4), mode="clip", order="F"),
    "bits": lambda a, b: np.packbits(a.astype(np.uint8)),
    "bits-axis": lambda a, b: np.packbits(a.astype(np.uint8), axis=1, bitorder="little"),
    "bytes": lambda a, b: np.unpackbits(a.astype(np.uint8), axis=0),
    "indices": lambda a, b: np.stack(np.tril_indices_from(a)) + a[0, 0].astype(int),
    "diagonal": lambda a, b: np.stack(np.diag_indices_from(np.outer(a[0], a[0]))) + a[0, 0].astype(int),
    "size": lambda a, b: np.size(a) + np.ndim(a) + np.size(a, 0) * a[0].astype(int),
    "isreal": lambda a, b: np.isreal(a + 1j * (b > 1)),
    "iscomplex": lambda a, b: np.iscomplex(a + 1j * (b > 1)),
    "by-name": lambda a, b: np.isreal(x=a) & (np.searchsorted(a=np.sort(a[0]), v=b) > 1) & np.any(a=a > 2),
    "argmax-positions": lambda a, b: a.argmax(1, None) + np.argmin(a, 1, None),
    "isposinf": lambda a, b: np.isposinf(np.where(a > 1, np.inf, a)),
    "equal": lambda a, b: (a == b) & (a != 0) | ~(a < b),
    "floor": lambda a, b: a // 2 + 3 % (1 + b) - 2 // (1 + a) + (a > 1) * 1,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    f = ANSWERS[name]
    for one, axes in (((A, B), (0, 0)), ((A, B[0]), (0, None)), ((A[0], B), (None, 0))):
        rows = [[x if k is None else x[n] for x, k in zip(one, axes, strict=True)] for n in range(3)]
        want = np.stack([np.asarray(f(*row)) for row in rows])
        got = vmap(f, in_axes=axes)(*one)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    nested = vmap(lambda a: vmap(lambda b: f(a, b))(B))(A)
    np.testing.assert_array_equal(nested, [[f(a, b) for b in B] for a in A])
    recorded = vmap(grad(lambda a, b: np.sum(a * np.sum(f(a, b)))))(A, B)  # constants, as far as a tape is concerned
    np.testing.assert_array_equal(recorded, [np.full_like(a, np.sum(f(a, b))) for a, b in zip(A, B, strict=True)])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda a: np.digitize(a[0], a[1] * np.array([1.0, -1, 1, 1])), "monotonically"),
        (lambda a: np.searchsorted(a, a[0]), "object too deep"),
        (lambda a: np.nanargmax(np.where(a >= 0, np.nan, a), axis=1), "All-NaN"),
        (lambda a: np.argmax(a, axis=2), "axis 2 is out of bounds"),
        (lambda a: np.unravel_index(a.astype(int) + 90, (2, 2)), "out of bounds"),
    ],
)
def test_answers_refuse_what_numpy_refuses(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        vmap(call)(A + 1)
