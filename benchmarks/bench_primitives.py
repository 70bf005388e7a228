"""Every function of the table of cases: forward, VJP and JVP beside the plain NumPy call, by size.

One class for each namespace; `primitive_calls.functions` says which functions there are, so none can be forgotten.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from benchmarks.primitive_calls import OWN_SIZE, functions, seconds, sized_call
from benchmarks.sizes import SMOKE, some

SIZES = [OWN_SIZE, 1_000, 100_000]
EVERY = 6  # of a smoke run, which is about the suite; tests/test_benchmarks.py calls each of them once
SAMPLE = 0.002  # seconds


class _Calls:
    """The four ways to call a function at one size."""

    param_names = ("function", "size")
    rounds = 1
    repeat = (2, 10, 0.2)
    warmup_time = 0.01
    timeout = 30

    def setup(self, name: str, size: int) -> None:
        """Find arguments of that size; asv shows no figure if there are none."""
        np.seterr(all="ignore")
        self.call = sized_call(name, size)
        self.number = int(max(1, min(100, SAMPLE / seconds(self.call))))  # asv's own choice is 1 where there is a setup

    def time_numpy(self, name: str, size: int) -> None:
        """NumPy alone."""
        self.call.numpy()

    def time_forward(self, name: str, size: int) -> None:
        """Open a tape, watch, record."""
        self.call.forward()

    def time_vjp(self, name: str, size: int) -> None:
        """The same, and the sweep."""
        self.call.vjp()

    def time_jvp(self, name: str, size: int) -> None:
        """Open an accumulator, push forward."""
        self.call.jvp()


def _namespace(name: str) -> str:
    return name.rpartition(".")[0] or "methods"


for _home, _names in groupby(sorted(functions(), key=_namespace), _namespace):
    _title = "".join(part.title() for part in _home.removeprefix("numpy.").split("."))
    globals()[_title] = type(
        _title,
        (_Calls,),
        {
            "__doc__": f"Functions of {_home}.",
            "__module__": __name__,
            "params": (list(_names)[:: EVERY if SMOKE else 1], some(SIZES)),
        },
    )
