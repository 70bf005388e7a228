"""``tapeflow bench``, and what it shares with benchmarks/compare.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tapeflow.bench import Entry, Result, command, select
from tapeflow.cli import main

pytest.importorskip("rich")


@pytest.fixture(autouse=True)
def unpinned():
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if before is not None:
        os.sched_setaffinity(0, before)


def test_it_races_prints_and_writes(tmp_path, capsys):
    files = {name: tmp_path / f"out.{name}" for name in ("json", "markdown")}
    arguments = ["bench", "--small", "--seconds", "1", "--workloads", "gmm/2,5,1000,solves", "--peers", ""]
    for name, path in files.items():
        arguments += [f"--{name}", str(path)]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "gmm/2,5,1000" in out
    assert "2 of 2: solves" in err
    assert [row["workload"] for row in json.loads(files["json"].read_text())["rows"]] == ["gmm/2,5,1000", "solves"]
    assert "| solves |" in files["markdown"].read_text()


def fake(entries):
    def race_all(plan, tell):
        results = [Result(case, entries) for case in plan.cases]
        for one in results:
            tell(one)
        return results, {}

    return race_all


def test_its_status_says_whether_tapeflow_is_right(monkeypatch, capsys):
    wrong = {"by hand": Entry(wall=1.0, share=1.0), "tapeflow": Entry(trouble="disagrees", reason="differs")}
    monkeypatch.setattr(command, "race_all", fake(wrong))
    assert main(["bench", "--workloads", "gp"]) == 1
    assert "tapeflow: disagrees: differs (all workloads)" in capsys.readouterr().out
    right = {**wrong, "tapeflow": Entry(wall=1.0, share=1.0), "torch": Entry(trouble="disagrees", reason="differs")}
    monkeypatch.setattr(command, "race_all", fake(right))
    assert main(["bench", "--workloads", "gp"]) == 0


def test_without_choice_it_runs_the_subset_for_two_minutes(monkeypatch):
    plans = []

    def race_all(plan, tell):
        plans.append(plan)
        return fake({"tapeflow": Entry(wall=1.0, share=1.0)})(plan, tell)

    monkeypatch.setattr(command, "race_all", race_all)
    assert main(["bench"]) == 0
    assert plans[0].seconds == 120.0
    assert {case.workload.name for case in plans[0].cases} == {
        "chain", "rosenbrock", "gmm", "mlp", "logistic", "gp", "segments", "fill", "solves"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "tensorflow"], "no peer 'tensorflow'; there are torch, autograd, advect, mygrad, jax, jax-eager"),
        (["--peers", "tapeflow"], "no peer 'tapeflow'"),
        (["--workloads", "chains"], "no workload 'chains'; there are chain,"),
        (["--python", "torch"], "'torch' is not the name of a contender, =, and the path of a Python"),
        (["--python", "torch=/no/such/python"], "and the path of a Python"),
        (["--seconds", "long"], "invalid float value: 'long'"),
        (["gp"], "unrecognized arguments: gp"),
    ],
)
def test_wrong_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(["bench", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


class Refusing:
    """An import hook that hides a package."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=self.name)


@pytest.mark.parametrize("missing", ["rich", "matplotlib"])
def test_without_its_extra(capsys, monkeypatch, tmp_path, missing):
    for name in [m for m in sys.modules if m.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(missing), *sys.meta_path])
    monkeypatch.setattr(command, "race_all", fake({}))
    assert main(["bench", "--picture", str(tmp_path / "p.png")]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error == (
        f'tapeflow bench: error: {missing} is not installed; this needs it: pip install "tapeflow[bench]"\n'
    )


def test_other_commands_do_not_import_the_workloads():
    import subprocess

    code = (
        "import sys; from tapeflow.cli import main; main(['trace', 'x', 'x=1']); print('tapeflow.bench' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    assert done.stdout.endswith("False\n")


def test_names_of_cases_may_hold_commas():
    assert command._cases("gmm/10,25,1000,gp,chain/1") == select(["gmm/10,25,1000", "gp", "chain/1"])
