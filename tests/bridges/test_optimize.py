"""SciPy's optimizers on trees: solutions, exact derivatives, dtypes, bounds, constraints, refusals."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy
from scipy import optimize

from tapeflow import grad, hessian, jacobian, stop_gradient
from tapeflow.bridges.optimize import least_squares, minimize, root
from tapeflow.errors import NotDifferentiableError, StructureError, TargetError, TracedConversionError

Point = namedtuple("Point", "x y")


@dataclass
class Line:
    slope: Any
    shift: Any
    label: str = field(default="line", metadata={"static": True})


def rosenbrock(p: Any) -> Any:
    x = np.concatenate([np.reshape(p["a"], (1,)), np.ravel(p["b"])])
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


START = {"a": -0.5, "b": np.array([[0.3, 0.6]]), "name": "start", "nothing": None}
GRADIENT = ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", None]
CURVED = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-constr", "dogleg", "trust-exact"]
PLAIN = ["Nelder-Mead", "Powell"]


@pytest.mark.parametrize("method", GRADIENT + CURVED + PLAIN)
def test_every_method_finds_the_minimum_of_a_function_of_a_tree(method: str | None) -> None:
    start = {**START, "a": 1.02, "b": np.array([[1.03, 1.05]])} if method == "dogleg" else START  # it wants convexity
    found = minimize(rosenbrock, start, method=method, options={"maxfun" if method == "TNC" else "maxiter": 2000})
    assert set(found.x) == set(START)
    assert found.x["name"] == "start"
    assert found.x["nothing"] is None
    assert found.x["b"].shape == (1, 2)
    np.testing.assert_allclose([found.x["a"], *found.x["b"].ravel()], 1, atol=1e-2)


def test_derivatives_that_scipy_gets_are_exact() -> None:
    seen: dict[str, Any] = {}

    def probe(fun: Any, x0: Any, args: Any, jac: Any, hessp: Any, **rest: Any) -> Any:
        seen.update(value=fun(x0), slope=jac(x0), product=hessp(x0, np.arange(3.0)), again=hessp(x0, np.ones(3)))
        x0 += 1  # a solver may reuse its buffers
        seen["later"] = hessp(x0, np.ones(3))
        return optimize.OptimizeResult(x=x0, success=True)

    minimize(rosenbrock, START, method=probe)
    v = np.array([-0.5, 0.3, 0.6])

    def flat(v: Any) -> Any:
        return rosenbrock({"a": v[0], "b": v[1:]})

    assert type(seen["value"]) is float
    np.testing.assert_allclose(seen["value"], flat(v))
    np.testing.assert_allclose(seen["slope"], grad(flat)(v))
    np.testing.assert_allclose(seen["product"], hessian(flat)(v) @ np.arange(3.0))
    np.testing.assert_allclose(seen["again"], hessian(flat)(v) @ np.ones(3))
    np.testing.assert_allclose(seen["later"], hessian(flat)(v + 1) @ np.ones(3))


def test_value_and_gradient_are_one_evaluation() -> None:
    calls = []

    def loss(x: Any) -> Any:
        calls.append(1)
        return np.sum((x - 1) ** 4)

    found = minimize(loss, np.zeros(3), method="BFGS")
    assert len(calls) == found.nfev


def test_further_arguments_are_passed_on_and_not_differentiated() -> None:
    found = minimize(lambda x, target, power: np.sum((x - target) ** power), np.zeros(2), np.array([1, 2]), 2)
    np.testing.assert_allclose(found.x, [1, 2], atol=1e-6)


def test_further_arguments_may_be_anything() -> None:
    found = minimize(lambda x, name, thing, pair: np.sum((x - pair[1]) ** 2), 0.0, "name", object(), (None, 2))
    assert found.x == pytest.approx(2)
    assert least_squares(lambda x, thing: x - 3, 0.0, object()).x == pytest.approx(3)


@pytest.mark.parametrize("start", [np.float32(3), np.zeros((2, 2), np.float32), 2.5, np.zeros((), np.float64)])
def test_results_have_the_dtype_and_shape_of_the_start(start: Any) -> None:
    def loss(x: Any) -> Any:
        assert x.dtype == np.asarray(start).dtype
        return np.sum((x - 1) ** 2)

    found = minimize(loss, start)
    assert found.x.dtype == np.asarray(start).dtype
    assert np.shape(found.x) == np.shape(start)
    np.testing.assert_allclose(found.x, np.ones(np.shape(start)), atol=1e-4)


def test_trees_of_several_dtypes_and_kinds() -> None:
    def loss(t: Any) -> Any:
        line, point, _ = t
        assert line.slope.dtype == np.float32
        assert line.label == "mine"
        return (line.slope - 2) ** 2 + np.sum((line.shift - point.x) ** 2) + (point.x - 3) ** 2 + np.sum(point.y**2)

    start = (Line(np.float32(0), np.zeros(2), "mine"), Point(0.0, np.zeros((0,))), len)
    line, point, extra = minimize(loss, start, method="trust-krylov").x
    assert (type(line), line.label, type(point), extra) == (Line, "mine", Point, len)
    assert line.slope.dtype == np.float32
    assert point.y.shape == (0,)
    np.testing.assert_allclose([line.slope, *line.shift, point.x], [2, 3, 3, 3], atol=1e-4)


@pytest.mark.parametrize("method", ["BFGS", "trust-krylov", "trust-exact", "L-BFGS-B"])
def test_complex_unknowns_are_pairs(method: str) -> None:
    target = np.array([1 + 2j, -1j], np.complex64)
    found = minimize(
        lambda z: np.sum(np.abs(z - target) ** 2 + np.abs(z - target) ** 4), np.zeros(2, np.complex64), method=method
    )
    assert found.x.dtype == np.complex64
    np.testing.assert_allclose(found.x, target, atol=1e-3)


def test_the_start_is_not_written_to_and_the_result_is_the_callers() -> None:
    start = {"x": np.zeros(2)}
    found = minimize(lambda p: np.sum((p["x"] - 1) ** 2), start)
    assert np.all(start["x"] == 0)
    found.x["x"][:] = 5
    assert np.all(start["x"] == 0)


# ---- bounds


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Powell", "Nelder-Mead"])
def test_bounds_are_trees(method: str) -> None:
    def loss(p: Any) -> Any:
        return (p["a"] + 1) ** 2 + np.sum((p["b"] - 5) ** 2)

    bounds = ({"a": 0, "b": None}, {"a": None, "b": np.array([2.0, np.inf])})
    found = minimize(loss, {"a": 1.0, "b": np.ones(2)}, method=method, bounds=bounds)
    np.testing.assert_allclose([found.x["a"], *found.x["b"]], [0, 2, 5], atol=1e-3)


@pytest.mark.parametrize("bounds", [(0, 2), (None, 2.0), optimize.Bounds(0, 2), (np.zeros(2), np.array([2, 2]))])
def test_bounds_for_all_and_those_of_scipy(bounds: Any) -> None:
    found = minimize(lambda x: np.sum((x - [1.0, 5.0]) ** 2), np.ones(2), bounds=bounds)
    np.testing.assert_allclose(found.x, [1, 2], atol=1e-5)


@pytest.mark.parametrize(
    ("bounds", "match"),
    [
        ([(0, 1), (0, 1)], r"pair \(lower, upper\).*list of pairs"),
        ((0, 1, 2), r"pair \(lower, upper\)"),
        ((np.zeros(3), None), r"lower has shape \(3,\)"),
        ((None, {"a": 1}), "upper is a dict"),
        (((0, 0), None), "lower is a tuple"),
        ((np.nan, None), "lower is nan"),
        (("zero", None), "lower is 'zero'"),
    ],
)
def test_bounds_that_do_not_fit(bounds: Any, match: str) -> None:
    with pytest.raises(StructureError, match=match):
        minimize(lambda x: np.sum(x**2), np.ones(2), bounds=bounds)


def test_complex_numbers_have_no_bounds() -> None:
    with pytest.raises(StructureError, match=r"lower\['z'\] is for a complex number"):
        minimize(lambda p: np.sum(np.abs(p["z"])), {"z": 1j}, bounds=({"z": 0}, None))


# ---- constraints


def circle(p: Any) -> Any:
    return {"radius": p["x"] ** 2 + np.sum(p["y"] ** 2)}


def towards(p: Any) -> Any:
    return -p["x"] - 2 * p["y"][0]


SOLUTION = np.array([1, 2]) / np.sqrt(5)
BEGIN = {"x": 0.5, "y": np.array([0.1])}
CIRCLES = [
    {"type": "ineq", "fun": lambda p: 1 - circle(p)["radius"]},
    [{"type": "eq", "fun": lambda p, r: circle(p)["radius"] - r, "args": (1.0,)}],
    optimize.NonlinearConstraint(circle, {"radius": None}, {"radius": 1.0}),
    [optimize.NonlinearConstraint(circle, -np.inf, 1), optimize.LinearConstraint([[1, 1]], -5, 5)],
]


NEWER = pytest.mark.skipif(tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 16), reason="SciPy cannot do it yet")


@pytest.mark.parametrize(
    "method",
    ["SLSQP", "trust-constr", pytest.param("COBYLA", marks=NEWER), pytest.param("COBYQA", marks=NEWER)],
)
@pytest.mark.parametrize("constraints", CIRCLES)
def test_constraints_are_functions_of_trees(method: str, constraints: Any) -> None:
    found = minimize(towards, BEGIN, method=method, constraints=constraints)
    np.testing.assert_allclose([found.x["x"], found.x["y"][0]], SOLUTION, atol=1e-3)


def test_derivatives_of_constraints_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = optimize.minimize

    def spy(**kwargs: Any) -> Any:
        seen.extend(kwargs["constraints"])
        return real(**kwargs)

    monkeypatch.setattr(optimize, "minimize", spy)

    def two(p: Any) -> Any:
        return p["x"] ** 3 * p["y"][0], np.stack([p["x"] * p["y"][0] ** 2])

    minimize(
        towards,
        BEGIN,
        method="trust-constr",
        constraints=[
            {"type": "ineq", "fun": lambda p: 1 - circle(p)["radius"]},
            optimize.NonlinearConstraint(two, -9, (None, 9)),
        ],
        options={"maxiter": 3},
    )
    constraint, v, w = seen[1], np.array([0.7, 0.2]), np.array([2.0, -3.0])

    def flat(v: Any) -> Any:
        return np.stack([v[0] ** 3 * v[1], v[0] * v[1] ** 2])

    np.testing.assert_allclose(constraint.jac(v), jacobian(flat)(v))
    np.testing.assert_allclose(constraint.hess(v, w) @ np.eye(2), hessian(lambda v: np.sum(w * flat(v)))(v))
    np.testing.assert_allclose(constraint.ub, [np.inf, 9])
    np.testing.assert_allclose(constraint.lb, [-9, -9])


@pytest.mark.parametrize(
    ("constraint", "match"),
    [
        ({"type": "less", "fun": circle}, "'eq' or 'ineq'"),
        ({"type": "eq", "fun": circle, "jac": circle}, "derivatives are found"),
        ({"type": "eq"}, "'fun', a function"),
        ([circle], "must be a dict, or SciPy's NonlinearConstraint"),
        (optimize.NonlinearConstraint(circle, 0, 1, jac=circle), "leave jac and hess"),
        (optimize.NonlinearConstraint(circle, 0, np.zeros(3)), "ub is a leaf, expected a dict"),
        (optimize.LinearConstraint(np.ones((1, 3)), 0, 1), "3 columns for the 2 numbers"),
    ],
)
def test_constraints_that_do_not_fit(constraint: Any, match: str) -> None:
    with pytest.raises(StructureError, match=match):
        minimize(towards, BEGIN, method="SLSQP", constraints=constraint)


# ---- callbacks


def test_callbacks_see_trees() -> None:
    points, results = [], []
    minimize(rosenbrock, START, method="BFGS", callback=lambda xk: points.append(xk))
    minimize(rosenbrock, START, method="BFGS", callback=lambda intermediate_result: results.append(intermediate_result))
    minimize(rosenbrock, START, method="trust-constr", callback=lambda xk, state: points.append(xk) and None)
    assert all(set(p) == set(START) for p in points)
    assert all(set(r.x) == set(START) and r.fun >= 0 for r in results)
    assert len(results) > 3


def test_a_callback_can_stop() -> None:
    def stop(intermediate_result: Any) -> None:
        raise StopIteration

    found = minimize(rosenbrock, START, method="BFGS", callback=stop)
    assert found.nit == 1


# ---- least squares


T = np.linspace(0, 2, 30)
DATA = 2.0 * np.exp(-1.5 * T) + 0.5


def residuals(p: Any, data: Any = DATA) -> Any:
    return p["scale"] * np.exp(-p["rates"][0] * T) + p["rates"][1] - data


GUESS = {"scale": 1.0, "rates": np.array([1.0, 0.0])}


@pytest.mark.parametrize(
    "options", [{}, {"method": "lm"}, {"method": "dogbox"}, {"operator": True}, {"x_scale": "jac"}]
)
def test_least_squares(options: dict[str, Any]) -> None:
    found = least_squares(residuals, GUESS, **options)
    np.testing.assert_allclose([found.x["scale"], *found.x["rates"]], [2, 1.5, 0.5], rtol=1e-5)
    assert found.fun.shape == T.shape


def test_the_jacobian_of_least_squares_is_exact() -> None:
    def flat(v: Any) -> Any:
        return residuals({"rates": v[:2], "scale": v[2]})

    found = least_squares(residuals, GUESS, DATA + 0.01 * np.sin(9 * T), loss="linear")
    v = np.array([*found.x["rates"], found.x["scale"]])
    np.testing.assert_allclose(found.jac, jacobian(flat)(v), rtol=1e-12)


def test_least_squares_with_bounds_scales_trees_and_loss() -> None:
    def apart(p: Any) -> Any:
        return {"data": residuals(p), "prior": 0.0 * p["scale"]}

    found = least_squares(
        apart, GUESS, bounds=({"scale": 0, "rates": None}, {"scale": 1.9, "rates": None}),
        x_scale={"scale": 2.0, "rates": None}, loss="soft_l1",
    )  # fmt: skip
    assert found.x["scale"] <= 1.9
    np.testing.assert_allclose(found.x["scale"], 1.9, atol=1e-4)


def test_least_squares_of_float32_and_of_complex_numbers() -> None:
    found = least_squares(lambda x: x**2 - np.float32(4), np.ones(3, np.float32))
    assert found.x.dtype == np.float32
    np.testing.assert_allclose(found.x, 2, rtol=1e-5)
    found = least_squares(lambda z: z**2 - 2j, np.array([1 + 0.5j]))
    np.testing.assert_allclose(found.x, [1 + 1j])


@pytest.mark.parametrize("option", ["jac", "args", "jac_sparsity"])
def test_least_squares_refuses_what_it_finds_itself(option: str) -> None:
    with pytest.raises(TypeError, match=f"{option}= is for SciPy's own function"):
        least_squares(residuals, GUESS, **{option: ()})


# ---- roots


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov", "anderson", "df-sane"])
def test_root(method: str) -> None:
    def equations(p: Any) -> Any:
        return [p["x"] + 0.2 * np.sin(p["y"][0]) - 1, np.stack([p["y"][0] + 0.1 * p["x"] ** 2 - 2])]

    found = root(equations, {"x": 0.0, "y": np.zeros(1)}, method=method)
    assert found.success
    value = equations(found.x)
    np.testing.assert_allclose([value[0], value[1][0]], 0, atol=1e-4)


def test_roots_of_complex_functions_and_with_arguments() -> None:
    found = root(lambda z, c: z**2 + c, np.array([0.2 + 1j]), 1.0)
    np.testing.assert_allclose(found.x, [1j], atol=1e-8)


def test_root_uses_the_jacobian() -> None:
    evaluations = []

    def f(x: Any) -> Any:
        evaluations.append(isinstance(x, np.ndarray))
        return np.cos(x) - x

    found = root(f, np.full(20, 0.5))
    assert found.njev >= 1
    assert sum(evaluations) < 20  # differences would take one for each unknown
    np.testing.assert_allclose(np.cos(found.x), found.x)


def test_root_wants_as_many_equations_as_unknowns() -> None:
    with pytest.raises(StructureError, match="returned 1 numbers for 2 unknowns"):
        root(lambda x: np.sum(x), np.ones(2))


# ---- refusals


@pytest.mark.parametrize("solve", [minimize, least_squares, root])
def test_starts_that_are_no_unknowns(solve: Any) -> None:
    with pytest.raises(NotDifferentiableError, match="int"):
        solve(lambda x: np.sum(x**2.0), np.array([1, 2]))
    with pytest.raises(NotDifferentiableError, match=r"p\['b'\].*int"):
        solve(lambda p: p["a"] ** 2, {"a": 1.0, "b": 3})
    with pytest.raises(StructureError, match="holds no numbers"):
        solve(lambda x: np.sum(x), np.zeros(0))
    with pytest.raises(StructureError, match="holds no numbers"):
        solve(lambda x: 1.0, {})


def test_what_is_no_scalar_is_refused() -> None:
    def bad(x: Any) -> Any:
        return x**2

    with pytest.raises(TargetError, match=r"bad returned an array of shape \(2,\)"):
        minimize(bad, np.ones(2))
    with pytest.raises(TargetError, match="complex"):
        minimize(lambda x: np.sum(x) * 1j, np.ones(2))
    with pytest.raises(TargetError, match="str"):
        least_squares(lambda x: "nothing", np.ones(2))


def test_solutions_do_not_drop_derivatives() -> None:
    def solution(a: Any) -> Any:
        return minimize(lambda x: (x - a) ** 2, 0.0).x

    with pytest.raises(TracedConversionError):
        grad(solution)(1.0)
    with pytest.raises(TracedConversionError, match="iterations of SciPy's solvers are not recorded"):
        grad(lambda a: minimize(lambda x, a: (x - a) ** 2, 0.0, a).x)(1.0)
    with pytest.raises(TracedConversionError, match="iterations of SciPy's solvers are not recorded"):
        grad(lambda a: minimize(lambda x: x**2, a).x)(1.0)
    assert grad(lambda a: a * minimize(lambda x, a: (x - a) ** 2, 0.0, stop_gradient(a)).x)(3.0) == pytest.approx(3)


def test_exceptions_of_the_function_come_through() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    for solve in (minimize, least_squares, root):
        with pytest.raises(ZeroDivisionError, match="mine"):
            solve(fails, 1.0)
