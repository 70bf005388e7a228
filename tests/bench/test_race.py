"""The race: processes that take turns, and what becomes of one that is missing, fails, dies, or is wrong."""

from __future__ import annotations

import io
import json
import os
import pickle
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from tapeflow.bench import Entry, Plan, Result, contenders, crew, race, race_all, report, select, worker
from tapeflow.bench.contenders import CONTENDERS, Contender, Unsupported
from tapeflow.bench.turn import Turn

SMALL = {"rounds": 1, "turn": 1e-3, "small": True}


def entry(seconds, share=1.0, **other):
    return Entry(wall=seconds, share=share, cpu=0.9 * seconds, **other)


def result(name="chain/1", **entries):
    return Result(select([name])[0], {k.replace("_", " "): e for k, e in entries.items()})


@pytest.fixture
def quick(monkeypatch):
    """Contenders in this process: a race whose members are no processes."""

    class Member:
        def __init__(self, name, python=None, environment=None):
            self.name, self.version, self.ended = name, "", False
            self.worker = worker.Worker(CONTENDERS[name])

        def hello(self):
            self.version = "1"

        def order(self, what, *arguments):
            kind, answer = self.worker.obey(what, *arguments)
            if kind != "done":
                raise crew.TroubleError(kind, answer)
            return answer

        def close(self):
            self.ended = True

    monkeypatch.setattr(race, "Member", Member)
    return Member


def contend(monkeypatch, name, prepare):
    monkeypatch.setitem(CONTENDERS, name, Contender(name, "numpy", prepare))


def test_contenders_in_processes_of_their_own_get_the_same_numbers():
    (found,), versions = race_all(Plan(select(["gp"]), [], memory=True, **SMALL))
    assert list(found.entries) == ["by hand", "forward", "tapeflow"]
    for e in found.entries.values():
        assert (e.trouble, e.reason) == ("", "")
        assert 0 < e.wall < 1
        assert e.share > 0
        assert e.first >= e.wall
    assert found.entries["tapeflow"].error <= 1.0
    assert found.ratio("tapeflow", "by hand") > 0
    assert versions["by hand"] == np.__version__
    if sys.platform == "linux":
        assert all(e.peak is not None for e in found.entries.values())


def test_a_peer_that_is_not_installed_is_missing_in_every_case(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    absent = [name for name in contenders.PEERS if not installed(name)]
    if not absent:
        pytest.skip("all peers are installed")
    found, versions = race_all(Plan(select(["chain/1", "gp"]), absent[:1], **SMALL))
    assert [r.entries[absent[0]].trouble for r in found] == ["missing", "missing"]
    assert absent[0] not in versions
    assert report.troubles(found)[0] == f"{absent[0]}: not installed (all workloads)"


def installed(name):
    import importlib.util

    return importlib.util.find_spec(CONTENDERS[name].module) is not None


def test_a_peer_that_fails_or_has_no_such_thing_is_no_obstacle(monkeypatch, quick):
    def broken(workload, data):
        raise ValueError("no\nsuch thing")

    def partial(workload, data):
        raise Unsupported("has no second derivatives")

    contend(monkeypatch, "broken", broken)
    contend(monkeypatch, "partial", partial)
    (found,), _ = race_all(Plan(select(["chain/1"]), ["broken", "partial"], **SMALL))
    assert (found.entries["broken"].trouble, found.entries["broken"].reason) == ("failed", "ValueError: no")
    assert (found.entries["partial"].trouble, found.entries["partial"].reason) == (
        "unsupported",
        "has no second derivatives",
    )
    assert found.entries["tapeflow"].seconds > 0
    assert report.troubles([found])[:2] == [
        "broken: failed: ValueError: no (all workloads)",
        "partial: has no second derivatives (all workloads)",
    ]


@pytest.mark.parametrize(
    "wrong", [lambda g: g * (1 + 2e-6), lambda g: g * np.nan, lambda g: g[None], lambda g: g + 1.0]
)
def test_a_peer_that_disagrees_does_not_race(monkeypatch, quick, wrong):
    right = CONTENDERS["by hand"].prepare
    contend(monkeypatch, "wrong", lambda w, d: lambda: tuple(map(wrong, right(w, d)())))
    contend(monkeypatch, "close", lambda w, d: lambda: tuple(g * (1 + 5e-7) for g in right(w, d)()))
    (found,), _ = race_all(Plan(select(["chain/1"]), ["wrong", "close"], **SMALL))
    assert found.entries["wrong"].trouble == "disagrees"
    assert found.entries["wrong"].seconds is None
    assert "times the tolerance of 1e-06" in found.entries["wrong"].reason
    assert found.entries["close"].seconds > 0
    assert report.troubles([found])[0].startswith("wrong: disagrees: differs by ")


def test_a_peer_that_fails_while_it_races_loses_its_time(monkeypatch, quick):
    right = CONTENDERS["by hand"].prepare
    calls = iter(range(3))

    def later(workload, data):
        call = right(workload, data)
        return lambda: (next(calls), call())[1]

    contend(monkeypatch, "later", later)
    (found,), _ = race_all(Plan(select(["chain/1"]), ["later"], **SMALL))
    assert found.entries["later"].trouble == "failed"
    assert found.entries["later"].seconds is None


def test_a_process_that_dies_says_how_and_is_replaced_for_the_next_case(monkeypatch):
    with race._Crew(Plan([], [], **SMALL)) as members:
        victim = members.members["tapeflow"]
        victim.process.kill()
        with pytest.raises(crew.TroubleError, match="ended with status -9") as caught:
            members.order("tapeflow", "prepare", "chain/1", True, False)
        assert caught.value.kind == "died"
        assert members.members["tapeflow"] is not victim
        numbers, _ = members.order("tapeflow", "prepare", "chain/1", True, False)
        assert numbers[0].shape == (3,)


def test_a_process_that_does_not_answer_is_given_up():
    member = crew.Member("tapeflow")
    try:
        member.hello()
        member.order("prepare", "chain/1", True, False)
        member.patience = 0.2
        with pytest.raises(crew.TroubleError, match=r"gave no answer in 0\.2 s"):
            member.order("time", 60.0)
    finally:
        member.close()


def test_another_interpreter_can_be_named(tmp_path):
    log = tmp_path / "log"
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\necho "$OMP_NUM_THREADS $@" > {log}\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    (found,), _ = race_all(Plan(select(["chain/1"]), [], pythons={"tapeflow": str(other)}, **SMALL))
    assert found.entries["tapeflow"].seconds > 0
    assert log.read_text() == "1 -m tapeflow.bench.worker tapeflow\n"


def serve(orders, monkeypatch, module="numpy", name="by hand"):
    monkeypatch.setitem(CONTENDERS, name, Contender(name, module, CONTENDERS["by hand"].prepare))
    stream = io.BytesIO(b"".join(map(pickle.dumps, orders)))
    answers = []
    worker.serve(name, lambda: pickle.load(stream), answers.append)
    return answers


def test_a_worker_serves_until_there_are_no_orders(monkeypatch):
    hello, prepared, timed = serve([("prepare", "gp", True, False), ("time", 0.0)], monkeypatch)
    assert hello == ("done", np.__version__)
    assert prepared[0] == timed[0] == "done"
    assert timed[1].wall > 0
    assert timed[1].share > 0
    assert timed[1].cpu >= 0
    assert timed[1].faults >= 0


def test_a_worker_says_what_is_missing_and_what_is_broken(monkeypatch, tmp_path):
    (tmp_path / "half_installed.py").write_text("import a_package_that_is_not_there\n")
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('bad\\nbuild')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert serve([], monkeypatch, "a_package_that_is_not_there") == [("missing", "not installed")]
    assert serve([], monkeypatch, "half_installed") == [("failed", "No module named 'a_package_that_is_not_there'")]
    assert serve([], monkeypatch, "broken_module") == [("failed", "RuntimeError: bad")]


def test_times_are_of_one_call_and_the_least(monkeypatch):
    walls = iter([0.0, 1.0, 5.0, 10.0, 12.0, 20.0, 21.0])  # where to stop from; then start and end of three chunks
    cpus = iter([0.0, 2.0, 2.0, 3.0, 3.0, 4.0])
    monkeypatch.setattr(worker.time, "perf_counter", lambda: next(walls))
    monkeypatch.setattr(worker.time, "process_time", lambda: next(cpus))
    faults = iter([100, 112])
    monkeypatch.setattr(worker, "_faults", lambda: next(faults))
    calls = []
    assert worker.fastest(lambda: calls.append(1), 2, 20.5) == (0.5, 1.0, 0.5, 2.0)
    assert len(calls) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read off /proc")
def test_peak_memory_is_that_of_a_call():
    size = 64 * 2**20

    def call():
        temporary = np.ones(size // 8)
        return float(temporary.sum())

    peak = worker.peak(call)
    assert peak is None or 0.9 * size < peak < 1.3 * size
    assert worker.peak(lambda: None) in (None, *range(2**20))


def test_rounds_go_on_while_others_have_the_core(monkeypatch):
    class Crew:
        turns = iter([Turn(5.0, 0.5, 2.5, 9), Turn(5.0, 0.5, 2.4, 7), Turn(5.0, 0.5, 2.6, 8), Turn(4.0, 0.99, 3.9, 7)])

        def order(self, name, what, turn):
            return next(self.turns)

    entries = {"a": Entry()}
    race._take_turns(Crew(), Plan([], rounds=2), entries, ["a"], float("inf"))
    assert (entries["a"].wall, entries["a"].share, entries["a"].cpu) == (4.0, 0.99, 2.4)
    assert entries["a"].seconds == 4.0
    assert entries["a"].faults == 7
    assert next(Crew.turns, None) is None


def test_time_runs_out_after_one_round():
    class Crew:
        count = 0

        def order(self, name, what, turn):
            self.count += 1
            return Turn(1.0, 1.0, 1.0, 0.0)

    one = Crew()
    race._take_turns(one, Plan([], rounds=50), {"a": Entry(), "b": Entry()}, ["a", "b"], 0.0)
    assert one.count == 2


def test_cpu_time_counts_where_others_had_the_core():
    disturbed = Entry(wall=3.0, share=0.5, cpu=1.4)
    assert disturbed.seconds == 1.4
    assert Entry(wall=3.0, share=0.99, cpu=2.9).seconds == 3.0
    assert Entry(trouble="failed").seconds is None
    assert report.troubles([result(tapeflow=disturbed)]) == [report.STAR]
    assert "1.4 s*" in report.as_markdown([result(by_hand=entry(1.0), tapeflow=disturbed)])


@pytest.mark.parametrize(
    ("got", "want", "tolerated"),
    [
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0 + 1.9e-6], [1.0, 2.0], True),
        ([1.0, 2.0 + 2.1e-6], [1.0, 2.0], False),
        ([1e-10, 1.0], [0.0, 1.0], True),
        ([1e-8, 1.0], [0.0, 1.0], False),
        ([np.nan, 1.0], [1.0, 1.0], False),
        ([], [], True),
        ([0.0], [0.0], True),
    ],
)
def test_what_is_tolerated(got, want, tolerated):
    assert (race.difference([np.array(got)], [np.array(want)], 1e-6) <= 1.0) is tolerated


def test_ratios_and_tables():
    one = result(
        by_hand=entry(1e-3), forward=entry(4e-4), tapeflow=entry(2e-3, peak=3 * 2**20), torch=entry(4e-3, peak=2 * 2**20),
        autograd=Entry(trouble="missing", reason="not installed"), jax=Entry(trouble="failed", reason="E: x"),
    )  # fmt: skip
    one.kernel = {"forward": 3e-6, "torch": 2e-6}
    assert one.ratio("tapeflow", "torch") == 0.5
    assert one.ratio("tapeflow", "autograd") is None
    assert one.ratio("tapeflow", "nobody") is None
    text = report.as_markdown([one])
    assert "| chain/1 | 1 ms | 2 ms | 2 | 5 | 0.5 (4 ms) | none | failed | 1.5 (sin) | 1.00 |" in text
    assert text.endswith("- autograd: not installed (all workloads)\n- jax: failed: E: x (all workloads)\n")
    assert "| chain/1 |  |  | 3.0 MiB | 2.0 MiB |  |  | 1.5 |" in report.memory_markdown([one])
    plain = json.loads(json.dumps(report.as_json([one], "here")))
    assert plain["machine"] == "here"
    row = plain["rows"][0]
    assert row["workload"] == "chain/1"
    assert row["entries"]["tapeflow"]["over"] == {"by hand": 2.0, "forward": 5.0, "torch": 0.5}
    assert row["entries"]["jax"]["seconds"] is None


def test_the_table_of_the_terminal():
    rich = pytest.importorskip("rich.console")
    out = io.StringIO()
    one = result(
        by_hand=entry(1e-3), forward=entry(4e-4), tapeflow=entry(2e-3), torch=entry(1e-3),
        mygrad=Entry(trouble="unsupported", reason="has none"),
    )  # fmt: skip
    rich.Console(file=out, width=120).print(report.as_table([one]))
    header, row = (
        line.split() for line in out.getvalue().splitlines() if line.lstrip().startswith(("workload", "chain"))
    )
    assert header[-3:] == ["torch", "mygrad", "CPU/wall"]
    assert row == ["chain/1", "1", "ms", "2", "ms", "2", "5", "2", "cannot", "1.00"]


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from tapeflow.bench import picture

    results = [
        result(by_hand=entry(1e-3), tapeflow=entry(2e-3), torch=Entry(trouble="missing")),
        result("gp", by_hand=entry(1e-3), tapeflow=entry(2e-3), torch=entry(1e-3)),
    ]
    for name, start in (("p.png", b"\x89PNG"), ("p.svg", b"<?xml")):
        picture.draw(results, tmp_path / name, "a machine")
        assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_malloc_can_be_told_to_keep_what_is_freed():
    (found,), _ = race_all(Plan(select(["rosenbrock/100000"]), [], rounds=2, turn=0.02, keep=True))
    assert {e.trouble for e in found.entries.values()} == {""}
    assert all(e.faults < 20 for e in found.entries.values())  # an array has 195 pages


def test_one_thread_each():
    assert crew.threads()["OPENBLAS_NUM_THREADS"] == "1"
    assert set(os.environ) <= set(crew.threads())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not pin")
def test_pinning():
    before = os.sched_getaffinity(0)
    try:
        assert crew.pin() == min(before)
        assert os.sched_getaffinity(0) == {min(before)}
    finally:
        os.sched_setaffinity(0, before)


def test_where_it_ran():
    text = report.machine({"by hand": "2.4", "forward": "2.4", "tapeflow": "1", "torch": "9"}, 3)
    assert "pinned to core 3" in text
    assert text.endswith("NumPy 2.4, torch 9")
    assert "not pinned" in report.machine({}, None)


def test_workers_are_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    member = crew.Member("by hand")
    try:
        assert member.hello() == np.__version__
    finally:
        member.close()
    assert Path(crew.__file__).name == "crew.py"
