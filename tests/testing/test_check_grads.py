"""check_grads finds wrong rules, names what is wrong, and raises no false alarm."""

from __future__ import annotations

import importlib
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

from tapeflow import stop_gradient
from tapeflow.core.rules import general
from tapeflow.errors import StructureError
from tapeflow.testing import CheckFailure, ComplexStepError, check_grads

for _file in sorted((Path(__file__).parent.parent / "ops").glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

X = np.array([0.4, 1.3, -0.7])
A, B = np.array([[0.4, 1.3], [-0.7, 0.9]]), np.array([[1.1, -0.2], [0.5, 0.8]])
Z = np.array([0.4 + 1.3j, -0.7 + 0.2j])
NARROW = {"f": np.float32, "c": np.complex64}


def single(*args: Any) -> tuple[Any, ...]:
    return tuple(a.astype(NARROW[a.dtype.kind]) if a.dtype.kind in NARROW else a for a in args)


# ---- a zoo of wrong rules: name -> evaluate, rules of forward mode, rules of reverse mode, arguments, broken modes

RIGHT = {
    "cube": (lambda x: x**3, (lambda xp, t, x: 3 * x * x * t,), (lambda xp, g, x: 3 * x * x * g,)),
    "product": (
        lambda x, y: x * y,
        (lambda xp, t, x1: t * x1, lambda xp, t, x0: t * x0),
        (lambda xp, g, x1: g * x1, lambda xp, g, x0: g * x0),
    ),
    "matmul": (
        lambda x, y: x @ y,
        (lambda xp, t, x1: t @ x1, lambda xp, t, x0: x0 @ t),
        (lambda xp, g, x1: g @ x1.T, lambda xp, g, x0: x0.T @ g),
    ),
}

ZOO: dict[str, tuple[str, Any, Any, tuple[Any, ...]]] = {
    "factor-fwd": ("cube", (lambda xp, t, x: 6 * x * x * t,), None, (X,)),
    "factor-rev": ("cube", None, (lambda xp, g, x: 6 * x * x * g,), (X,)),
    "sign-fwd": ("cube", (lambda xp, t, x: -3 * x * x * t,), None, (X,)),
    "sign-rev": ("cube", None, (lambda xp, g, x: -3 * x * x * g,), (X,)),
    "one-entry": ("cube", None, (lambda xp, g, x: 3 * x * x * g * np.array([1, 1, 1.00001]),), (X,)),
    "missing-operand-fwd": ("product", (lambda xp, t, x1: t * x1, lambda xp, t, x0: t * 0), None, (X, X[::-1])),
    "missing-operand-rev": ("product", None, (lambda xp, g, x1: g * x1, lambda xp, g, x0: g * 0), (X, X[::-1])),
    "swapped-operands": ("product", None, (lambda xp, g, x0: g * x0, lambda xp, g, x1: g * x1), (X, X[::-1])),
    "broadcasting": (
        "product",
        None,
        (lambda xp, g, x1: g * x1, lambda xp, g, x0: xp.mean(g * x0, axis=0)),
        (np.stack([X, X + 1]), X),
    ),
    "transposed-fwd": ("matmul", (lambda xp, t, x1: t @ x1.T, lambda xp, t, x0: x0 @ t), None, (A, B)),
    "transposed-rev": ("matmul", None, (lambda xp, g, x1: g @ x1, lambda xp, g, x0: x0.T @ g), (A, B)),
    "conjugate-fwd": ("cube", (lambda xp, t, x: 3 * xp.conj(x * x) * t,), None, (Z,)),
    "conjugate-rev": ("cube", None, (lambda xp, g, x: 3 * xp.conj(x * x) * g,), (Z,)),
    "conjugate-both": ("cube", (lambda xp, t, x: 3 * x * x * xp.conj(t),), (lambda xp, g, x: 3 * x * x * g,), (Z,)),
    "no-second-order-fwd": ("cube", (lambda xp, t, x: 3 * stop_gradient(x) ** 2 * t,), None, (X,)),
    "no-second-order-rev": ("cube", None, (lambda xp, g, x: 3 * stop_gradient(x) ** 2 * g,), (X,)),
}


def make(kind: str, jvps: Any, vjps: Any) -> Any:
    evaluate, right_jvps, right_vjps = RIGHT[kind]
    return general(kind, evaluate, jvps or right_jvps, vjps or right_vjps)


@pytest.mark.parametrize("kind", RIGHT)
@pytest.mark.parametrize("narrow", [False, True])
def test_right_rules_pass(kind: str, narrow: bool) -> None:
    args = {"cube": (X,), "product": (np.stack([X, X + 1]), X), "matmul": (A, B)}[kind]
    check_grads(make(kind, None, None), single(*args) if narrow else args, order=3)


@pytest.mark.parametrize("narrow", [False, True], ids=["double", "single"])
@pytest.mark.parametrize("name", ZOO)
def test_every_wrong_rule_is_found(name: str, narrow: bool) -> None:
    kind, jvps, vjps, args = ZOO[name]
    with pytest.raises(
        CheckFailure, match=rf"check_grads: {kind}: the (forward|reverse) derivative is wrong"
    ) as caught:
        check_grads(make(kind, jvps, vjps), single(*args) if narrow else args)
    found = caught.value.details
    assert found["order"] == (2 if "second" in name else 1)
    if "second" not in name and "both" not in name:
        assert found["mode"] == ("rev" if jvps is None else "fwd")


@pytest.mark.parametrize("name", ["factor-fwd", "factor-rev"])
def test_a_wrong_rule_is_found_in_its_mode_only(name: str) -> None:
    kind, jvps, vjps, args = ZOO[name]
    mode, other = ("fwd", "rev") if jvps else ("rev", "fwd")
    check_grads(make(kind, jvps, vjps), args, order=1, modes=(other,))
    with pytest.raises(CheckFailure):
        check_grads(make(kind, jvps, vjps), args, order=1, modes=mode)


def test_a_rule_that_is_wrong_in_single_precision_only() -> None:
    def rule(xp: Any, g: Any, x: Any) -> Any:
        return (3 if x.dtype == np.float64 else 3.1) * x * x * g

    broken = make("cube", None, (rule,))
    check_grads(broken, (X,), order=1)
    with pytest.raises(CheckFailure, match="float32"):
        check_grads(broken, single(X), order=1)


# ---- what a failure says


def test_a_failure_names_argument_entry_numbers_tolerance_mode_and_order() -> None:
    def model(params: dict[str, Any], x: Any) -> Any:
        w = params["w"]
        return {"loss": w[0, 1] * x[2] + stop_gradient(w[1, 0]) * w[1, 0]}

    with pytest.raises(CheckFailure) as caught:
        check_grads(model, ({"b": X, "w": A}, X))
    text = str(caught.value)
    assert text.splitlines()[0] == "check_grads: model: the forward derivative is wrong"
    for part in (
        "args[0]['w'][1, 0]",
        "out['loss']",
        "-0.7\n",
        "-1.4  (five-point",
        "tolerance",
        "fwd, order 1, float64",
    ):
        assert part in text
    assert "half the reference" in text
    assert len(text.splitlines()) == 8
    found = caught.value.details
    assert (found["argument"], found["entry"], found["mode"], found["order"]) == ("args[0]['w']", (1, 0), "fwd", 1)
    np.testing.assert_allclose([found["got"], found["expected"]], [-0.7, -1.4])
    assert isinstance(caught.value, AssertionError)


def test_reverse_mode_names_the_output_too() -> None:
    rule = lambda xp, g, x: 3 * x * x * g * np.array([1.0, -1.0, 1.0])  # noqa: E731
    cube = make("cube", None, (rule,))
    with pytest.raises(CheckFailure, match=r"minus the reference") as caught:
        check_grads(lambda x, y: (y, cube(x)), (X, X))
    assert "args[0][1]" in str(caught.value)
    assert "out[1][1]" in str(caught.value)


def test_the_second_order_says_how_it_came_about() -> None:
    kind, jvps, vjps, args = ZOO["no-second-order-rev"]
    with pytest.raises(CheckFailure, match=r"rev, order 2 \(rev over rev\)") as caught:
        check_grads(make(kind, jvps, vjps), args, modes=("rev", "fwd"))
    assert "gradient of args[0]" in str(caught.value)
    assert "operand missing" in str(caught.value)


def test_a_complex_entry_says_which_part() -> None:
    kind, jvps, vjps, args = ZOO["conjugate-fwd"]
    with pytest.raises(CheckFailure, match=r"args\[0\]\[\d\]\.(real|imag)"):
        check_grads(make(kind, jvps, vjps), args)


@pytest.mark.parametrize(
    ("f", "x", "order"),
    [
        (lambda x: np.where(x > 0, x, 0), 0.0, 1),
        (lambda x: np.where(x > 2, 3 * x, x + 4), 2.0, 1),
        (lambda x: np.abs(x) * x, 0.0, 2),
    ],
)
def test_a_kink_is_called_one(f: Any, x: float, order: int) -> None:
    with pytest.raises(CheckFailure, match=f"no derivative of order {order} at this point") as caught:
        check_grads(f, (np.array([x, 7.0]),), order=order)
    assert "reference" not in str(caught.value)
    assert caught.value.details["entry"] == (0,)
    assert caught.value.details["kink"]


def test_a_kink_gives_the_derivatives_of_both_sides() -> None:
    with pytest.raises(CheckFailure, match=r"from below  0\n  from above  1\n") as caught:
        check_grads(lambda x: np.where(x > 0, x, 0), (np.array(0.0),), order=1)
    np.testing.assert_allclose(caught.value.details["kink"], (0, 1), atol=1e-6)


def test_ties_are_kinks_and_so_are_zeros_of_absolute_values() -> None:
    for x in ([1.0, 3.0, 3.0], [3.0, 3.0, 3.0]):
        with pytest.raises(CheckFailure, match="the function has a kink here"):
            check_grads(np.max, (np.array(x),))
    with pytest.raises(CheckFailure, match="the function has a kink here"):
        check_grads(np.abs, (np.array([0.0, 1.0]),))
    check_grads(lambda x: x * np.abs(x), (np.array([0.0, 1.0]),), order=1)
    with pytest.raises(CheckFailure, match="its derivative of order 1 has a kink here"):
        check_grads(lambda x: x * np.abs(x), (np.array([0.0, 1.0]),))


def test_a_jump_is_called_one() -> None:
    with pytest.raises(CheckFailure, match="the function has a jump here"):
        check_grads(lambda x: x + np.sign(x), (np.array([0.0, 1.0]),))


def test_what_cannot_be_checked_does_not_pass() -> None:
    with pytest.raises(CheckFailure, match="no reference is accurate enough to tell"):
        check_grads(lambda x: x + stop_gradient(np.sin(x * 1e15)), (X,), order=1)


# ---- no false alarm

ROWS = [
    pytest.param(c, id=c.id, marks=[] if k % 38 == 0 else pytest.mark.slow)
    for k, c in enumerate(CASES)
    if k % 19 == 0 and not {"jvp", "vjp", "dtype"} & c.skip.keys()
]


@pytest.mark.parametrize("case", ROWS)
def test_no_false_alarm_in_single_precision(case: Case) -> None:
    check_grads(case.call, single(*case.args()), order=1 if "second" in case.skip else 2)


UNARY = (np.sin, np.tanh, np.arctan, lambda x: np.exp(-x * x), lambda x: x / (1 + x * x), lambda x: np.log(2 + x * x))
BINARY = (
    np.multiply,
    np.add,
    np.subtract,
    np.logaddexp,
    lambda a, b: a / (1.5 + b * b),
    lambda a, b: np.hypot(a, 1 + b * b),
)
OTHER = (
    lambda x: x @ x.T,
    lambda x: np.cumsum(x, axis=0),
    lambda x: x[::-1] * x[0],
    lambda x: np.concatenate([x, x * x])[1:4],
    lambda x: x - np.mean(x, axis=1, keepdims=True),
    lambda x: np.sort(x, axis=0),
)


def program(seed: int) -> Any:
    """A random program of three 3 x 3 arguments, of eight operations."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, 6, 8), rng.integers(0, 3, 8), rng.integers(0, 3, (8, 2))

    def run(*args: Any) -> Any:
        values = list(args)
        for which, kind, (i, j) in zip(*picks, strict=True):
            if kind == 0:
                values.append(UNARY[which](values[-1 - i]))
            elif kind == 1:
                values.append(BINARY[which](values[-1 - i], values[-1 - j]))
            else:
                values.append(OTHER[which](values[-1 - i]))
        return values[-1], np.sum(values[-2])

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < 15 else pytest.mark.slow) for seed in range(100)]
)
def test_no_false_alarm_over_random_programs(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(1000 + seed)
    check_grads(program(seed), [rng.normal(size=(3, 3)).astype(dtype) for _ in range(3)])


@pytest.mark.parametrize(
    "x", [np.array([1e-9, 1e8]), np.array([1e-30, 1.0, 1e30]), np.array(1e-90), np.array([], float), np.float64(2.0)]
)
def test_scales_empty_arrays_and_scalars(x: Any) -> None:
    check_grads(lambda x: x * np.sqrt(x) if x.size else x * 1.0, (x,))


def test_functions_that_need_small_or_large_steps() -> None:
    check_grads(np.sin, (np.array([1e5, 1.0]),))
    check_grads(lambda x: np.exp(-((x - 1.0) ** 2) / 1e-6), (np.array([1.0003, 0.9995]),))
    check_grads(lambda x: (1e6 + x) ** 2 - 1e12, (np.array(1e-3),), order=1)


def test_functions_that_stay_in_single_precision() -> None:
    check_grads(lambda x: np.sin(x.astype(np.float32)), single(X))
    check_grads(lambda x: np.sin(x.astype(np.float32)).astype(np.float64) * x, (X,))

    def picky(x: Any) -> Any:
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x) * x

    check_grads(picky, single(X))


def test_values_that_single_precision_has_not() -> None:
    with np.errstate(over="ignore"):
        check_grads(lambda x: x * 1e30 * 1e30 / 1e30, single(X))


# ---- kinds of argument


def test_half_precision_is_checked_in_double() -> None:
    check_grads(lambda x: np.tanh(x) * x, (X.astype(np.float16),))
    with pytest.raises(CheckFailure):
        check_grads(make("cube", None, (lambda xp, g, x: 3.01 * x * x * g,)), (X.astype(np.float16),))


def test_long_doubles_are_checked_in_their_precision() -> None:
    check_grads(lambda x: np.exp(np.sin(x)), (X.astype(np.longdouble),))
    wrong = make("cube", None, (lambda xp, g, x: (3 + 1e-8) * x * x * g,))
    check_grads(wrong, (X,), order=1)
    with pytest.raises(CheckFailure):
        check_grads(wrong, (X.astype(np.longdouble),), order=1)


def test_complex_functions_holomorphic_or_not() -> None:
    check_grads(lambda z: (z**3, np.abs(z) ** 2, np.conj(z) * z * z, np.real(z)), (Z,))
    check_grads(lambda z, x: z * x, (Z, np.array([1.0, 2.0])), order=3)
    check_grads(lambda x: np.exp(1j * x), (X,))


Pair = namedtuple("Pair", "left right")


@dataclass
class Model:
    weight: Any
    name: str


def test_structures_and_what_is_no_array() -> None:
    def f(model: Model, pair: Pair, n: int, flags: Any) -> Any:
        assert model.name == "m"
        return {"a": pair.left * model.weight**n, "n": n, "b": [pair.right[flags]]}

    args = (Model(A, "m"), Pair(B, X), 3, np.array([True, False, True]))
    check_grads(f, args)


def test_python_numbers_take_the_precision_of_the_arrays() -> None:
    check_grads(lambda x, s: x * s, (single(X)[0], 2.0))
    check_grads(lambda s: s**3, (2.0,))
    check_grads(lambda s: s**3, (2.0 + 1j,))


def test_functions_that_write_into_their_arguments() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] * x[2]
        x *= x[2]
        return x

    x = X.copy()
    check_grads(f, (x,))
    np.testing.assert_array_equal(x, X)


def test_an_argument_without_influence() -> None:
    check_grads(lambda x, y: np.sin(x), (X, X))
    check_grads(lambda x: np.ones(2), (X,))


# ---- options


def test_references_can_be_chosen() -> None:
    for reference in ("auto", "difference", "complex_step"):
        check_grads(lambda x: np.exp(x) / (1 + x * x), (X,), reference=reference, order=1)
    with pytest.raises(ComplexStepError, match="real numbers"):
        check_grads(np.abs, (X,), reference="complex_step", order=1)


def test_tolerances_and_step_can_be_given() -> None:
    slightly = make("cube", None, (lambda xp, g, x: 3.001 * x * x * g,))
    with pytest.raises(CheckFailure):
        check_grads(slightly, (X,), order=1)
    check_grads(slightly, (X,), order=1, rtol=1e-2)
    check_grads(slightly, (X,), order=1, atol=1e-1)
    with pytest.raises(CheckFailure, match="error about"):
        check_grads(np.sin, (X,), order=1, eps=1e-14, reference="difference")


def test_directions_are_the_same_every_time_unless_asked() -> None:
    seen: list[Any] = []
    f = lambda x: seen.append(np.asarray(x)) or x * 2.0 if not hasattr(x, "numpy") else x * 2.0  # noqa: E731
    check_grads(f, (X,), order=1)
    first, seen = seen, []
    f = lambda x: seen.append(np.asarray(x)) or x * 2.0 if not hasattr(x, "numpy") else x * 2.0  # noqa: E731
    check_grads(f, (X,), order=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, seen, strict=True))
    other, seen = seen, []
    f = lambda x: seen.append(np.asarray(x)) or x * 2.0 if not hasattr(x, "numpy") else x * 2.0  # noqa: E731
    check_grads(f, (X,), order=1, rng=5)
    assert not all(np.array_equal(a, b) for a, b in zip(other, seen, strict=True))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"order": 0}, ValueError, "order=0"),
        ({"modes": ("forward",)}, ValueError, "modes are of"),
        ({"modes": ()}, ValueError, "modes are of"),
        ({"reference": "exact"}, ValueError, "choose one of"),
    ],
)
def test_unknown_options(options: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        check_grads(np.sin, (X,), **options)


def test_without_a_floating_point_argument_there_is_nothing_to_check() -> None:
    with pytest.raises(StructureError, match="no argument is a floating-point array"):
        check_grads(lambda n: n * 2, (3,))
