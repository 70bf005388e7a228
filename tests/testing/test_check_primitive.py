"""check_primitive passes right primitives, and names the law that a wrong one breaks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tapeflow import stop_gradient
from tapeflow.core.batch import aligned
from tapeflow.core.primitive import Primitive
from tapeflow.core.rules import elementwise, general, linear
from tapeflow.errors import RuleError, StructureError
from tapeflow.testing import LAWS, CheckFailure, check_primitive

X, Y = np.array([[0.4, 1.3, 0.7], [0.9, 0.5, 1.1]]), np.array([1.1, 0.6, 2.0])
Z = np.array([0.4 + 1.3j, -0.7 + 0.2j])


def product(
    evaluate: Any = np.multiply,
    jvp0: Any = None,
    jvp1: Any = None,
    vjp0: Any = None,
    vjp1: Any = None,
    batch: Any = None,
) -> Primitive:
    """A product of two arrays, any rule of which may be replaced."""
    return general(
        "product",
        evaluate,
        (jvp0 or (lambda xp, t, x1: t * x1), jvp1 or (lambda xp, t, x0: t * x0)),
        (vjp0 or (lambda xp, g, x1: g * x1), vjp1 or (lambda xp, g, x0: g * x0)),
        batch=batch,
    )


def test_right_primitives_pass() -> None:
    check_primitive(product(), X, Y)
    check_primitive(product(batch=None), Z, Z[::-1])
    check_primitive(elementwise("cube", lambda x: x**3, lambda xp, x: 3 * x * x), X)
    check_primitive(linear("double", lambda x: 2 * x, lambda xp, g: 2 * g), X)
    check_primitive(np.linalg.solve, np.eye(3) + X.T @ X, Y)
    check_primitive(np.linalg.svd, X, skip=("second",), full_matrices=False)


def test_parameters_numbers_lists_and_integers() -> None:
    power = general(
        "power", lambda x, n, *, scale: scale * x**n,
        (lambda xp, t, x0, x1, *, scale: scale * x1 * x0 ** (x1 - 1) * t, None),
        (lambda xp, g, x0, x1, *, scale: scale * x1 * x0 ** (x1 - 1) * g, None),
    )  # fmt: skip
    check_primitive(power, X, 3, scale=2.0)
    check_primitive(power, 0.7, 2, scale=2.0)
    check_primitive(power, [0.7, 0.2], 2, scale=2.0)


def test_several_outputs() -> None:
    both = general(
        "both", lambda x: (np.sin(x), np.argmax(x), np.sum(x)),
        lambda xp, t, x: (xp.cos(x) * t, None, xp.sum(t)),
        lambda xp, g, x: xp.cos(x) * g[0] + g[2],
    )  # fmt: skip
    check_primitive(both, Y)


def _spoil(xp: Any, g: Any, x1: Any) -> Any:
    """Write into the cotangent."""
    if isinstance(g, np.ndarray) and g.flags.writeable:
        g *= x1
        return g
    return g * x1


def _spoil_operand(x: Any, y: Any) -> Any:
    out = x * y
    if x.flags.writeable:
        x += 1
    return out


def plainly(x: Any) -> Any:
    return x.astype(np.float64)


_count = itertools.count(1)
ZOO: dict[str, tuple[str, dict[str, Any]]] = {
    "jvp-factor": ("jvp", {"jvp0": lambda xp, t, x1: 2 * t * x1}),
    "jvp-sign": ("jvp", {"jvp1": lambda xp, t, x0: -t * x0}),
    "jvp-missing": ("jvp", {"jvp1": lambda xp, t, x0: xp.zeros_like(t)}),
    "vjp-factor": ("vjp", {"vjp0": lambda xp, g, x1: 2 * g * x1}),
    "vjp-sign": ("vjp", {"vjp1": lambda xp, g, x0: -g * x0}),
    "vjp-missing": ("vjp", {"vjp1": lambda xp, g, x0: xp.zeros_like(g)}),
    "vjp-mean": ("vjp", {"vjp1": lambda xp, g, x0: xp.mean(g * x0, axis=0)}),
    "vjp-one-entry": ("vjp", {"vjp0": lambda xp, g, x1: g * x1 * np.array([1, 1, 1.0001])}),
    "second-jvp": ("second", {"vjp0": lambda xp, g, x1: g * stop_gradient(x1)}),
    "not-deterministic": ("primal", {"evaluate": lambda x, y: x * y * (1 + 1e-12 * next(_count))}),
    "too-wide": ("precision", {"evaluate": lambda x, y: plainly(x * y)}),
    "order-of-memory": ("layout", {"vjp0": lambda xp, g, x1: g * x1 * (1 + (not x1.flags.c_contiguous))}),
    "wrong-batch": ("batching", {"batch": lambda primitive, values, batched, params: np.add(*values)}),
    "writes-into-operand": ("primal", {"evaluate": _spoil_operand}),
    "writes-into-cotangent": ("mutation", {"vjp0": _spoil}),
}


@pytest.mark.parametrize("name", ZOO)
def test_every_wrong_primitive_is_found(name: str) -> None:
    law, rules = ZOO[name]
    args = (X.copy(), X[::-1].copy()) if name in ("writes-into-cotangent", "wrong-batch", "order-of-memory") else (X, Y)
    args = tuple(a.copy() for a in args)
    with pytest.raises(CheckFailure, match=f"product breaks the law of ({law})") as caught:
        check_primitive(product(**rules), *args)
    assert caught.value.details["law"]


def test_a_failure_names_law_operand_entry_and_both_numbers() -> None:
    with pytest.raises(CheckFailure) as caught:
        check_primitive(product(vjp1=lambda xp, g, x0: 2 * g * x0), X, Y)
    lines = str(caught.value).splitlines()
    assert lines[0] == "product breaks the law of vjp: the adjoint of the jvp"
    rows = dict(line.strip().split("  ", 1) for line in lines[1:])
    assert rows["operand"].strip() == "args[1]"
    assert float(rows["by vjp"]) == pytest.approx(2 * float(rows["by jvp"]))
    assert "entry" in rows
    with pytest.raises(
        CheckFailure, match=r"breaks the law of jvp: the forward derivative is wrong\n  argument    args\[0\]"
    ):
        check_primitive(product(jvp0=lambda xp, t, x1: 2 * t * x1), X, Y)


def test_conjugates_are_found() -> None:
    with pytest.raises(CheckFailure, match="law of vjp"):
        check_primitive(product(vjp0=lambda xp, g, x1: g * xp.conj(x1)), Z, Z[::-1].copy())


def test_transposed_operands_are_found() -> None:
    wrong = general(
        "mm", np.matmul, (lambda xp, t, x1: t @ x1, lambda xp, t, x0: x0 @ t),
        (lambda xp, g, x1: g @ x1, lambda xp, g, x0: x0.T @ g), batch=None,
    )  # fmt: skip
    with pytest.raises(CheckFailure, match=r"law of vjp(.|\n)*args\[0\]"):
        check_primitive(wrong, np.eye(2) + X[:, :2], X[:, 1:])


def test_a_value_of_another_kind_under_a_batch() -> None:
    check_primitive(product(batch=aligned), X, X[::-1])


def test_a_rule_of_the_wrong_shape_is_an_error_of_its_own() -> None:
    with pytest.raises(RuleError, match=r"returned shape \(2,\)"):
        check_primitive(product(vjp0=lambda xp, g, x1: g[:, 0]), X, Y)


def test_an_exception_in_a_rule_carries_notes() -> None:
    def fail(xp: Any, g: Any, x1: Any) -> Any:
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing") as caught:
        check_primitive(product(vjp0=fail), X, Y)
    notes = "\n".join(caught.value.__notes__)
    assert "in the reverse rule of product, operand 0 of shape (2, 3) float64" in notes
    assert "check_primitive: product, while the law 'mutation' was checked" in notes


def test_laws_can_be_left_out() -> None:
    wrong = product(vjp0=lambda xp, g, x1: 2 * g * x1)
    check_primitive(wrong, X, Y, skip=("vjp", "second"))
    with pytest.raises(ValueError, match=r"skip=\['adjoint'\]: the laws are primal, mutation, jvp"):
        check_primitive(wrong, X, Y, skip=("adjoint",))
    with pytest.raises(StructureError, match="no argument is a floating-point array"):
        check_primitive(np.add, 1, 2)


def test_every_law_has_a_wrong_primitive() -> None:
    assert set(LAWS) == {"primal", "jvp", "vjp", "second", "dtype", "layout", "batch", "mutation"}
