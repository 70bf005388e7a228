"""The processes of the contenders, seen from the one that starts them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tapeflow

__all__ = ["Member", "TroubleError", "pin", "threads"]

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"
    )
} | {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}  # fmt: skip
# Arrays come from the system and go back to it, so that memory in use can be read off the resident memory.
PLAIN_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
KEEPING_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}


class TroubleError(Exception):
    """A contender cannot go on; `kind` is ``"missing"``, ``"unsupported"``, ``"failed"`` or ``"died"``."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def pin(core: int | None = None) -> int | None:
    """Stay on one core, where the system can; processes started from now on stay there too."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = min(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {core})
    return core


def threads() -> dict[str, str]:
    """The environment, with one thread for each toolkit."""
    return {**os.environ, **ONE_THREAD}


class Member:
    """The process of a contender.

    Parameters
    ----------
    name : str
        Of the contender.
    python : str, optional
        Another interpreter than this one, for a toolkit that is installed elsewhere.
    environment : mapping, optional
        Added to that of this process.
    patience : float, optional
        Seconds after which an order that is not carried out is given up.
    """

    def __init__(
        self,
        name: str,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        patience: float = 120.0,
    ) -> None:
        self.name = name
        self.patience = patience
        home = str(Path(tapeflow.__file__).parent.parent)
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [python or sys.executable, "-m", "tapeflow.bench.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**threads(), **(environment or {}), "PYTHONPATH": path},
        )
        self.version = ""

    def hello(self) -> str:
        """Wait until the toolkit is imported, and return its version."""
        self.version = str(self._answer())
        return self.version

    def order(self, what: str, *arguments: Any) -> Any:
        """Give an order to `Worker`, and wait for the answer.

        Raises
        ------
        TroubleError
            If it cannot be carried out.
        """
        assert self.process.stdin is not None
        try:
            pickle.dump((what, *arguments), self.process.stdin)
            self.process.stdin.flush()
        except OSError as error:
            raise TroubleError("died", self._last_words()) from error
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # an order that was never read
                    pass

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        guard = threading.Timer(self.patience, self.process.kill)
        guard.start()
        try:
            kind, answer = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError) as error:
            raise TroubleError("died", self._last_words(gave_up=not guard.is_alive())) from error
        finally:
            guard.cancel()
        if kind != "done":
            raise TroubleError(kind, answer)
        return answer

    def _last_words(self, gave_up: bool = False) -> str:
        status = self.process.wait()
        if gave_up:
            return f"gave no answer in {self.patience:g} s"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()][-1:]
        return " ".join([f"ended with status {status}", *said])
