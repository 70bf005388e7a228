"""The public workloads by tapeflow, beside their gradients by hand."""

from __future__ import annotations

import numpy as np

from benchmarks.sizes import SMOKE
from tapeflow.bench import CASES, CONTENDERS, arrays

SMALL = SMOKE


class Workload:
    """What `compare.py` races, by tapeflow alone."""

    params = (list(CASES),)
    param_names = ("case",)
    timeout = 300

    def setup(self, case: str) -> None:
        """Make the calls, and check that they agree."""
        workload = CASES[case].workload
        data = workload.data(**(workload.small if SMALL else CASES[case].parameters))
        self.mine, self.hand, self.plain = (
            CONTENDERS[name].prepare(workload, data) for name in ("tapeflow", "by hand", "forward")
        )
        for got, want in zip(arrays(self.mine()), arrays(self.hand()), strict=True):
            np.testing.assert_allclose(
                got, want, rtol=CASES[case].rtol, atol=1e-3 * CASES[case].rtol * np.max(abs(want))
            )

    def time_tapeflow(self, case: str) -> None:
        """What the workload wants: a gradient, a Hessian, or a Hessian-vector product."""
        self.mine()

    def time_by_hand(self, case: str) -> None:
        """The same written by hand."""
        self.hand()

    def time_forward(self, case: str) -> None:
        """The function alone, in plain NumPy."""
        self.plain()
