"""The benchmarks compare like with like, and say what they did not measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_workloads, race_transforms, race_workloads, racing, transform_peers
from benchmarks import transform_programs as programs
from tapeflow.bench import CASES, Entry, Result

ROOT = Path(__file__).parent.parent


def test_the_hessian_by_hand_is_that_of_the_program():
    x = programs.rosenbrock_input(6)
    step = 1e-4
    e = step * np.eye(6)
    f = programs.rosenbrock
    numeric = [[(f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 * step**2) for a in e] for b in e]
    np.testing.assert_allclose(programs.rosenbrock_by_hand(x), numeric, rtol=1e-5, atol=1e-3)


def test_gradients_of_examples_add_up_to_that_of_the_batch():
    each, total = programs.per_example_call(5)(), programs.batch_gradient_call(5)()
    race_transforms.same({name: np.sum(g, axis=0) for name, g in each.items()}, total)
    race_transforms.same(each, programs.example_loop_call(5)())


def test_a_tape_and_grad_agree_on_many_leaves():
    race_transforms.same(programs.tree_grad_call(20)(), programs.tree_tape_call(20)())


@pytest.mark.parametrize("got", [[1.0, 2.00001], [1.0], [1.0, np.nan]])
def test_a_contender_with_other_numbers_is_not_raced(got):
    with pytest.raises(AssertionError):
        race_transforms.enter({"wrong": lambda: list(map(np.array, got))}, [np.array(1.0), np.array(2.0)])


def test_a_peer_that_is_not_installed_is_left_out_and_said_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)
    assert transform_peers.torch_jacobian() is transform_peers.jax_jacobian() is None
    contenders = race_transforms.enter({"a": lambda: np.ones(2), "b": None}, np.ones(2))
    table = racing.Table()
    table.against("ones", racing.race(contenders, 2, 1), "a", "b", "at most 1")
    assert "| ones, a against b | not installed | at most 1 |" in capsys.readouterr().out
    assert table.plain()[0]["measured"] is None


def test_the_ratio_is_of_minima_of_wall_time(capsys):
    table = racing.Table()
    table.against("x", {"a": (3.0, 1.0), "b": (2.0, 0.99)}, "a", "b", "at most 1")
    assert table.rows[0].measured == 1.5
    assert (
        "| 1.500 | at most 1 | a 3000.000 ms, CPU/wall 1.00; b 2000.000 ms, CPU/wall 0.99 |" in capsys.readouterr().out
    )


def test_a_row_that_others_disturbed_says_so(capsys):
    table = racing.Table()
    table.against("x", {"a": (3.0, 1.0), "b": (2.0, 0.5)}, "a", "b", "at most 1")
    assert "| disturbed, measure again: a 3000.000 ms" in capsys.readouterr().out


def test_the_command_writes_its_rows(tmp_path):
    out = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.compare", "--suite", "transforms", "--rounds", "1", "--json", str(out)]
    printed = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True).stdout
    rows = json.loads(out.read_text())["rows"]
    assert {row["goal"] for row in rows} >= {"at most 1.2", "at least 20", "at most 2", "at most 1"}
    assert all(f"| {row['what']} |" in printed for row in rows)
    assert all(share > 0 for row in rows for _, share in row["times"].values())


def test_a_round_in_which_the_core_was_taken_away_is_not_the_last(monkeypatch):
    walls = iter([0, 5, 10, 15, 20, 21, 30, 31])  # seconds at the start and end of each round: 5, 5, 1, 1
    cpus = iter(range(8))  # each round takes one second of CPU
    monkeypatch.setattr(racing.time, "perf_counter", lambda: next(walls))
    monkeypatch.setattr(racing.time, "process_time", lambda: next(cpus))
    assert racing.race({"a": lambda: None}, 2, 1) == {"a": (1.0, 1.0)}


def test_the_command_runs_as_a_file_and_races_the_workloads(tmp_path):
    out = tmp_path / "rows.json"
    command = [
        sys.executable,
        "benchmarks/compare.py",
        "--suite",
        "workloads",
        "--workloads",
        "solves",
        "--small",
        "--rounds",
        "1",
    ]
    subprocess.run([*command, "--peers", "", "--json", str(out)], cwd=ROOT, capture_output=True, text=True, check=True)
    (row,) = json.loads(out.read_text())["workloads"]["rows"]
    assert row["workload"] == "solves"
    assert {"by hand", "forward", "tapeflow"} == set(row["entries"])


def results_of(ratio):
    """All cases, in which tapeflow takes `ratio` times what everyone else does."""
    mib = 2**20
    others = dict.fromkeys(("by hand", "forward", "torch", "autograd", "advect"))
    return [
        Result(case, {"tapeflow": Entry(wall=ratio, share=1.0, peak=int(4 * mib * ratio)), **{
            name: Entry(wall=1.0, share=1.0, peak=4 * mib) for name in others
        }})
        for case in CASES.values()
    ]  # fmt: skip


def test_every_case_has_its_goals(capsys):
    table = racing.Table()
    for goals in (race_workloads.per_operation, race_workloads.against_hand, race_workloads.against_torch,
                  race_workloads.against_forward, race_workloads.memory):  # fmt: skip
        goals(table, results_of(0.5))
    found = {row.what: row for row in table.rows}
    assert found["chain/1, one operation against advect"].goal == "at most 0.2"
    assert found["chain/1, against NumPy by hand"].goal == "at most 6"
    assert found["gp, against NumPy by hand"].goal == "at most 1.2"
    assert found["gp, gradient against plain forward pass"].goal == "at most 3"
    assert found["gp, peak memory against torch"].measured == 0.5
    assert (found["workloads faster than torch in each case"].measured,
            found["workloads faster than torch in each case"].goal) == (9.0, "at least 7 of 9")  # fmt: skip
    assert {row.measured for row in table.rows} == {0.5, 9.0}


def test_a_workload_is_faster_than_torch_only_if_each_case_is(capsys):
    table = racing.Table()
    results = results_of(0.5)
    results[0].entries["tapeflow"].wall = 2.0  # chain/1
    race_workloads.against_torch(table, results)
    assert table.rows[-1].measured == 8.0
    assert "chain" not in table.rows[-1].detail


def test_goals_about_who_did_not_race(capsys):
    table = racing.Table()
    results = results_of(0.5)[:1]
    results[0].entries["torch"] = Entry(trouble="missing", reason="not installed")
    race_workloads.per_operation(table, results)
    race_workloads.against_torch(table, results)
    assert "| chain/1, one operation against torch | not installed |" in capsys.readouterr().out
    results[0].entries["torch"] = Entry(trouble="failed", reason="ValueError: no")
    race_workloads.per_operation(table, results)
    assert "| chain/1, one operation against torch | torch ValueError: no |" in capsys.readouterr().out


def test_the_asv_suite_has_every_workload(monkeypatch):
    monkeypatch.setattr(bench_workloads, "SMALL", True)
    for case in bench_workloads.Workload.params[0]:
        workload = bench_workloads.Workload()
        workload.setup(case)
        workload.time_tapeflow(case)
        workload.time_by_hand(case)
        workload.time_forward(case)
    assert set(bench_workloads.Workload.params[0]) == set(CASES)
