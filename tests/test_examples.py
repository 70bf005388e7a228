"""The programs of docs/examples run unchanged under a tape, and their gradients are those of difference quotients."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, grad, hvp

EXAMPLES = Path(__file__).parent.parent / "docs/examples"

# Module, the loss of which it takes gradients, a point, and what main() must come close to.
PROGRAMS = [
    pytest.param("kalman_filter", "negative_log_likelihood", np.log([0.3, 0.1])),
    pytest.param("finite_volume", "misfit", [0.55, 0.3, 0.2]),
    pytest.param("gaussian_process", "negative_log_marginal_likelihood", np.log([1.2, 0.8, 0.2])),
    pytest.param("fft_convolution", "misfit", np.log([0.7, 1.5, 8.0])),
    pytest.param("hidden_markov", "negative_log_likelihood", [1.3, -0.2, 0.4, 0.9, -0.6, 1.1]),
]
FITTED: dict[str, Any] = {
    "kalman_filter": np.log([0.064, 0.024]),
    "finite_volume": [0.6, 0.4, 0.3],
    "gaussian_process": np.log([1.035, 1.69, 0.109]),
    "fft_convolution": np.log([0.5, 2.0, 10.0]),
    "hidden_markov": [0.84, 0.86],
}


@pytest.fixture(autouse=True)
def path_of_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def program(name: str, loss: str) -> tuple[Any, Any, tuple[Any, ...]]:
    module = importlib.import_module(name)
    data = module.make_data()
    return module, getattr(module, loss), data if isinstance(data, tuple) else (data,)


@pytest.mark.parametrize(("name", "loss", "point"), PROGRAMS)
def test_the_program_runs(name: str, loss: str, point: Any, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, _ = program(name, loss)
    found = module.main()
    fitted = found[0] if isinstance(found, tuple) else found
    np.testing.assert_allclose(fitted, FITTED[name], atol=0.03)
    assert "steps: " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "loss", "point"), PROGRAMS)
def test_its_gradient_is_that_of_differences(name: str, loss: str, point: Any) -> None:
    _, f, data = program(name, loss)
    differences = importlib.import_module("differences")
    x = np.asarray(point, float)
    want = differences.central_differences(f, x, *data)
    gradient = grad(f)(x, *data)
    np.testing.assert_allclose(gradient, want, rtol=1e-6, atol=1e-6 * np.abs(want).max())
    direction = np.random.default_rng(1).normal(size=x.size)
    with ForwardAccumulator(x, direction) as acc:
        tangent = acc.jvp(f(acc.primals, *data))
    np.testing.assert_allclose(tangent, gradient @ direction, rtol=1e-10)


@pytest.mark.parametrize(("name", "loss", "point"), PROGRAMS)
def test_its_second_derivative_is_that_of_differences(name: str, loss: str, point: Any) -> None:
    _, f, data = program(name, loss)
    x, direction = np.asarray(point, float), np.random.default_rng(2).normal(size=len(point))
    got = hvp(lambda v: f(v, *data), (x,), (direction,))
    step = 1e-6
    want = (grad(f)(x + step * direction, *data) - grad(f)(x - step * direction, *data)) / (2 * step)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize(("name", "loss", "point"), PROGRAMS)
def test_its_value_is_what_it_was_without_a_tape(name: str, loss: str, point: Any) -> None:
    _, f, data = program(name, loss)
    x = np.asarray(point, float)
    with ForwardAccumulator(x, np.ones_like(x)) as acc:
        value = f(acc.primals, *data).numpy()
    np.testing.assert_allclose(value, f(x, *data), rtol=1e-12)  # layouts differ, and with them the order of sums


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_the_model_knows_nothing_of_tapeflow(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if not (isinstance(node, ast.FunctionDef) and node.name == "main"):
            assert "tapeflow" not in (ast.unparse(node) if not isinstance(node, ast.Expr) else "")


def test_every_example_is_on_the_page_and_tested() -> None:
    names = {p.stem for p in EXAMPLES.glob("*.py")}
    page = (EXAMPLES / "index.md").read_text()
    assert all(f"literalinclude}} {n}.py" in page for n in names)
    assert names - {"differences"} == {p.values[0] for p in PROGRAMS}
