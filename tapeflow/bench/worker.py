"""One contender in a process of its own: obeys orders that come through its standard input, pickled.

``python -m tapeflow.bench.worker NAME``. Whatever a toolkit prints goes to the standard error.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tapeflow.bench.contenders import CONTENDERS, Call, Contender, Unsupported, arrays
from tapeflow.bench.turn import Turn
from tapeflow.bench.workloads import CASES

try:
    import resource
except ImportError:  # not there on Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Worker", "fastest", "main", "peak"]

SHORTEST = 2e-4  # seconds of a timed chunk of calls: long for the clocks, short beside the time slices of the system
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def fastest(call: Call, chunk: int, budget: float) -> Turn:
    """Wall and CPU seconds of a call in the fastest chunk, CPU over wall time of the first, and page faults of a call."""
    best, least, chunks = (float("inf"), 0.0), float("inf"), 0
    before, stop = _faults(), time.perf_counter() + budget
    while True:
        c0, t0 = time.process_time(), time.perf_counter()
        for _ in range(chunk):
            call()
        t1, c1 = time.perf_counter(), time.process_time()
        best = min(best, ((t1 - t0) / chunk, (c1 - c0) / (t1 - t0)))
        least, chunks = min(least, (c1 - c0) / chunk), chunks + 1
        if t1 >= stop:
            return Turn(*best, least, (_faults() - before) / (chunk * chunks))


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource is not None else 0


def peak(call: Call) -> int | None:
    """Bytes by which a call raises the resident memory at its highest; None where the system does not count it."""
    if not _CLEAR.exists():
        return None
    call()
    gc.collect()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    before = _resident("VmRSS")
    result = call()
    high = _resident("VmHWM")
    del result
    return max(0, high - before)


def _resident(name: str) -> int:
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith(name + ":")]
    return int(line.split()[1]) * 1024


class Worker:
    """What is ready to be timed.

    Parameters
    ----------
    contender : Contender
        The one that this process is for.
    """

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.call: Call | None = None
        self.chunk = 1

    def prepare(self, case: str, small: bool, kernel: bool) -> tuple[list[np.ndarray], float]:
        """Make a call ready, and return its numbers and the seconds of the first call, compilation included."""
        self.call = None
        workload = CASES[case].workload
        data = workload.data(**(workload.small if small else CASES[case].parameters))
        prepare = self.contender.prepare_kernel if kernel else self.contender.prepare
        t0 = time.perf_counter()
        call = prepare(workload, data)
        result = call()
        first = time.perf_counter() - t0
        t0 = time.perf_counter()
        call()
        self.chunk = max(1, round(SHORTEST / max(time.perf_counter() - t0, 1e-7)))
        numbers = [np.array(a) for a in arrays(result)]
        del result
        self.call = call
        gc.collect()
        gc.freeze()  # what imports and preparations left: collections during the race need not go over it
        return numbers, first

    def time(self, budget: float) -> Turn:
        """Time the call again and again, at least once."""
        assert self.call is not None
        return fastest(self.call, self.chunk, budget)

    def peak(self) -> int | None:
        """Peak memory of the call."""
        assert self.call is not None
        return peak(self.call)

    def obey(self, order: str, *arguments: Any) -> tuple[str, Any]:
        """Carry out an order by the name of its method."""
        try:
            return "done", getattr(self, order)(*arguments)
        except Unsupported as error:
            return "unsupported", str(error)
        except Exception as error:  # whatever a toolkit raises belongs into the table
            return "failed", f"{type(error).__name__}: {error}".splitlines()[0]


def serve(name: str, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
    """Say hello, and obey until there is nothing more to read."""
    contender = CONTENDERS[name]
    try:
        __import__(contender.module)
        hello = ("done", contender.version())
    except ModuleNotFoundError as error:
        here = error.name is not None and error.name.split(".")[0] == contender.module
        hello = ("missing", "not installed") if here else ("failed", f"{error}")
    except Exception as error:
        hello = ("failed", f"{type(error).__name__}: {error}".splitlines()[0])
    write(hello)
    worker = Worker(contender)
    while True:
        try:
            order = read()
        except EOFError:
            return
        write(worker.obey(*order))


def main() -> None:
    """Serve on standard input and output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def write(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    serve(sys.argv[1], lambda: pickle.load(sys.stdin.buffer), write)


if __name__ == "__main__":
    main()
