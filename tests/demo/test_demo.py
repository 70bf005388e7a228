import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("tqdm")

from tapeflow.cli import PARTS, main
from tapeflow.demo import logistic, mixture, network, runner, survey
from tapeflow.demo.report import Report


def test_the_command_runs_everything_and_checks_it():
    done = subprocess.run(
        [sys.executable, "-m", "tapeflow", "demo", "--quiet"],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"4 parts, \d+ checks passed, 0 failed, [\d.]+ s\n$", done.stdout)
    assert done.stdout.count("time: ") == 4
    assert done.stdout.count(" before, ") == 3
    for name in PARTS:
        assert f"{name}: " in done.stdout
    assert "v̄₀  = v̄₃ ∂v₃/∂v₀ = v̄₃ × cos v₀           = -0.283662" in done.stdout


def test_cli_and_runner_agree_on_the_parts():
    assert tuple(runner.PARTS) == PARTS


def test_parts_are_chosen_and_run_in_their_order(capsys):
    assert main(["demo", "--part", "logistic", "--part", "survey", "--part", "survey", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.index("survey: ") < out.index("logistic: ")
    assert "mixture: " not in out
    assert "2 parts, 7 checks passed, 0 failed" in out


def test_a_failed_check_is_shown_and_gives_status_1(capsys, monkeypatch):
    report = Report("nothing")
    report.check("one is two", 1 == 2)
    monkeypatch.setitem(runner.PARTS, "survey", lambda seed, progress: report)
    assert main(["demo", "--part", "survey"]) == 1
    out = capsys.readouterr().out
    assert "check FAILED: one is two\n" in out
    assert "1 part, 0 checks passed, 1 failed" in out


def test_a_part_without_checks_has_not_passed():
    assert not Report("nothing").passed


def test_survey():
    report = survey.run()
    assert report.passed
    assert len(report.checks) == 3
    assert not report.loss_name


def test_logistic():
    report = logistic.run()
    assert report.passed
    assert report.before == pytest.approx(np.log(2))
    assert report.after < 0.15


def test_nested_tapes_give_the_hessian():
    def function(w):
        return np.sum(w**3) + w[0] * w[1]

    value, gradient, hessian = logistic.value_gradient_hessian(function, np.array([1.0, 2.0]))
    assert value == 11.0
    np.testing.assert_array_equal(gradient, [5.0, 13.0])
    np.testing.assert_array_equal(hessian, [[6.0, 1.0], [1.0, 12.0]])


@pytest.mark.parametrize("seed", [0, 1])
def test_mixture(seed):
    report = mixture.run(seed)
    assert report.passed
    assert len(report.checks) == 4
    assert report.after < 2.45
    assert "147 of 150" in report.lines[-1]


@pytest.mark.parametrize("seed", [0, 1])
def test_network(seed):
    report = network.run(seed)
    assert report.passed
    assert report.after < 0.1 < report.before


def test_the_seed_makes_the_demo_repeatable():
    first, second, other = (network.run(seed) for seed in (5, 5, 6))
    assert (first.before, first.after) == (second.before, second.after)
    assert first.after != other.after


def test_progress_bar_is_shown_unless_quiet(capsys):
    main(["demo", "--part", "network"])
    assert "training" in capsys.readouterr().err
    main(["demo", "--part", "network", "--quiet"])
    assert capsys.readouterr().err == ""
