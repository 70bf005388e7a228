"""Everything public has a benchmark, and the benchmarks differentiate what they time."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from classification import plain_reason

from benchmarks import bench_memory, bench_primitives, bench_scaling, primitive_calls
from benchmarks.primitive_calls import OWN_SIZE, NotThatLarge, functions, sized_call, way_to_grow
from tapeflow import pytree, transforms
from tapeflow.core.primitive import FUNCTIONS

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def timed() -> list[str]:
    """Functions that the classes of bench_primitives have among their parameters."""
    classes = [c for _, c in inspect.getmembers(bench_primitives, inspect.isclass) if hasattr(c, "params")]
    return [name for c in classes for name in c.params[0]]


def names_used(path: Path) -> set[str]:
    """Names, attributes and strings that the functions and tables of a module mention, its imports aside."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    return found | {str(n.value) for n in nodes if isinstance(n, ast.Constant)}


def test_every_function_with_rules_has_benchmarks() -> None:
    with_rules = [f for f in FUNCTIONS if plain_reason(f) is None and any(c.function is f for c in CASES)]
    assert sorted(timed()) == sorted(functions())
    assert len(functions()) == len(with_rules)
    assert {id(c.function) for rows in functions().values() for c in rows} == set(map(id, with_rules))


def test_every_public_transform_has_benchmarks() -> None:
    used = set().union(*(names_used(p) for p in BENCHMARKS.glob("bench_*.py")))
    public = {name for name in transforms.__all__ if inspect.isfunction(getattr(transforms, name))}
    assert public - used == set()


def test_a_transform_without_benchmarks_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "bench_a.py").write_text("from tapeflow import grad, vhp\n\ndef time_it():\n    grad(f)(1.0)\n")
    assert "grad" in names_used(tmp_path / "bench_a.py")
    assert "vhp" not in names_used(tmp_path / "bench_a.py")


@pytest.mark.parametrize("name", functions())
@pytest.mark.filterwarnings("ignore")
def test_forward_and_reverse_calls_agree(name: str) -> None:
    with np.errstate(all="ignore"):
        call = sized_call(name, OWN_SIZE)
        call.numpy()
        call.forward()
        pulled, pushed = call.vjp(), call.jvp()
    left = sum(float(np.sum(np.real(g))) for g in pytree.flatten(pulled)[0] if g is not None)
    right = sum(float(np.sum(np.real(t))) for t in pytree.flatten(pushed)[0] if t is not None)
    np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_rows_are_made_larger_where_they_can_be() -> None:
    some = list(functions())[::10]
    with np.errstate(all="ignore"):
        grown = [n for n in some if way_to_grow(n)[1] is not None]
        for name in grown:
            try:
                call = sized_call(name, 300)
            except NotThatLarge:
                grown = [n for n in grown if n != name]
            else:
                assert 30 <= call.size <= 300
                call.vjp()
    assert len(grown) > 0.9 * len(some)


def test_what_cannot_be_larger_says_so() -> None:
    name = next(n for n in functions() if n == "numpy.identity")
    assert sized_call(name, OWN_SIZE).size < 100
    with pytest.raises(NotThatLarge):
        sized_call(name, 1_000)


@pytest.mark.filterwarnings("ignore")
def test_sizes_stop_where_there_is_no_derivative() -> None:
    try:
        size = sized_call("numpy.roots", 100_000).size  # whose roots crowd until they cannot be told apart
    except NotThatLarge:
        size = 0
    assert size < 100_000


def test_operands_keep_agreeing_lengths_when_they_grow() -> None:
    case = next(c for c in CASES if c.label == "matmul-matrices")
    a, b = primitive_calls.larger(case, primitive_calls.all_axes, 5)
    assert (a.shape, b.shape) == ((10, 15), (15, 20))
    assert primitive_calls.all_axes((1, 3), 4, 2) == (1, 12)
    assert primitive_calls.stacked((3,), 4, 2) == (3,)


def test_a_sweep_releases_what_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = 10_000 * 8
    gradient, kept = {}, {}
    monkeypatch.setitem(bench_memory.PROGRAMS, "chain", (bench_memory.chain, lambda: np.linspace(0.1, 0.9, 10_000)))
    for persistent in (False, True):
        bench = bench_memory.Gradient()
        bench.setup("chain", persistent)
        bench.track_peak("chain", persistent)
        gradient[persistent] = bench.track_recorded("chain", persistent)
        kept[persistent] = bench.track_retained("chain", persistent)
        assert bench.track_left("chain", persistent) < vector / 2
    assert kept[False] < 3 * vector
    assert kept[True] > 0.9 * gradient[True] > bench_memory.STEPS * vector * 0.9


def test_the_gradient_by_hand_is_that_of_the_tape() -> None:
    bench = bench_scaling.ArraySize()
    bench.setup(100)  # compares them
    bench.time_gradient(100)


def test_a_smoke_run_is_a_part_of_the_whole() -> None:
    code = (
        "from benchmarks import bench_primitives as b, sizes; print(len(b.Numpy.params[0]), *sizes.some([1, 2, 3], 2))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BENCHMARKS.parent,
        env={"TAPEFLOW_BENCH": "smoke", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert 0 < int(out[0]) < len(bench_primitives.Numpy.params[0]) / 3
    assert out[1:] == ["1", "2"]
