import io
import json
import subprocess
import sys

import pytest

from tapeflow.cli import main

SURVEY = ["ln(x1) + x1*x2 - sin(x2)", "x1=2", "x2=5"]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tapeflow", *arguments], capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_as_a_module():
    done = run("trace", *SURVEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("y = ln(x1) + x1*x2 - sin(x2) at x₁ = 2, x₂ = 5\n")
    assert done.stdout.count("Forward mode") == 2
    assert done.stdout.count("Reverse mode") == 1


def test_writes_utf8_where_the_locale_is_ascii(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run("trace", "x", "x=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "v₀" in done.stdout


@pytest.mark.parametrize(
    ("options", "tables"),
    [
        ([], 3),
        (["--mode", "both"], 3),
        (["--mode", "forward"], 2),
        (["--mode", "reverse"], 1),
        (["--wrt", "x2"], 2),
        (["--mode", "forward", "--wrt", "x1"], 1),
    ],
)
def test_modes(capsys, options, tables):
    assert main(["trace", *SURVEY, *options]) == 0
    assert capsys.readouterr().out.count("Forward primal trace") == tables


def test_formats(capsys):
    assert main(["trace", *SURVEY, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["id"] == "v5"
    assert main(["trace", *SURVEY, "--format", "markdown"]) == 0
    assert "| --- | --- |" in capsys.readouterr().out
    assert main(["trace", *SURVEY, "--format", "latex"]) == 0
    assert r"\begin{array}" in capsys.readouterr().out


def test_options_may_stand_anywhere(capsys):
    assert main(["trace", "--mode", "reverse", SURVEY[0], "x1=2", "--wrt", "x1", "x2=5"]) == 0
    out = capsys.readouterr().out
    assert "x̄₁  = v̄₋₁" in out
    assert "Forward mode" not in out


@pytest.mark.parametrize("text", ["-x**2", "-(x*x)", "-hypot(x, 0)*x", "-  x*x"])
def test_an_expression_may_start_with_a_minus(capsys, text):
    assert main(["trace", text, "x=3", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["value"] == -9.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x +", "x=1"], "not a valid expression: invalid syntax (column 4)\n    x +\n       ^\n"),
        (["x.y", "x=1"], "attribute access is not allowed"),
        (["x*y", "x=1"], "no value for y: add y=NUMBER\n"),
        (["x"], "no value for x: add x=NUMBER\n"),
        (["x", "x=1", "y=2"], "y does not occur in the expression\n"),
        (["x", "x=1", "--mode", "forward", "x=2"], "x is given twice\n"),
        (["x", "x=one"], "x: 'one' is not a real number (a trace is about scalars)\n"),
        (["x", "x=1", "2"], "'2' is not of the form name=value\n"),
        (["x", "x=1", "--wrt", "z"], "z does not occur in the expression, whose variables are x\n"),
        (["9**9**9"], "the expression has no variable"),
    ],
)
def test_refuses_to_trace(capsys, arguments, message):
    assert main(["trace", *arguments]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"tapeflow trace: error: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required"),
        (["fly"], "invalid choice: 'fly'"),
        (["trace"], "the following arguments are required: expression"),
        (["trace", "x", "x=1", "--bogus"], "unrecognized arguments: --bogus"),
        (["trace", "x", "x=1", "--mode", "up"], "invalid choice: 'up'"),
        (["trace", "x", "x=1", "--format", "html"], "invalid choice: 'html'"),
        (["demo", "survey"], "unrecognized arguments: survey"),
        (["demo", "--part", "nothing"], "invalid choice: 'nothing'"),
        (["demo", "--seed", "one"], "invalid seed value: 'one'"),
        (["demo", "--seed", "-1"], "invalid seed value"),
    ],
)
def test_wrong_usage_has_status_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["trace", "-h"], ["demo", "--help"], ["--version"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "tapeflow" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["tqdm", "rich"])
def test_demo_without_its_extra(capsys, monkeypatch, missing):
    for name in [m for m in sys.modules if m.startswith("tapeflow.demo") or m.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(missing), *sys.meta_path])
    assert main(["demo"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert (
        error == f'tapeflow demo: error: {missing} is not installed; the demo needs it: pip install "tapeflow[demo]"\n'
    )


class Refusing:
    """An import hook that hides a package."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=self.name)


def test_output_that_is_no_text_wrapper_is_left_alone(monkeypatch):
    buffer = io.StringIO()
    monkeypatch.setattr(sys, "stdout", buffer)
    assert main(["trace", "x", "x=1"]) == 0
    assert "v₀" in buffer.getvalue()
