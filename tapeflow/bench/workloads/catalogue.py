"""All workloads by name, and their cases."""

from __future__ import annotations

from collections.abc import Iterable

from tapeflow.bench.workload import Case, Workload
from tapeflow.bench.workloads import chain, fill, gmm, gp, logistic, mlp, rosenbrock, segments, solves

__all__ = ["CASES", "SUBSET", "WORKLOADS", "select"]

_MODULES = (chain, rosenbrock, gmm, mlp, logistic, gp, segments, fill, solves)

WORKLOADS: dict[str, Workload] = {w.name: w for module in _MODULES for w in module.WORKLOADS}
"""Every workload, by name."""

CASES: dict[str, Case] = {
    case.name: case for w in WORKLOADS.values() for label, p in w.cases.items() for case in (Case(w, label, p),)
}
"""Every case, by name."""

SUBSET = (
    "chain/1", "chain/100", "rosenbrock/100000", "gmm/2,5,1000", "gmm/10,25,1000", "mlp/float32", "logistic", "gp",
    "segments", "fill", "solves",
)  # fmt: skip
"""What `tapeflow bench` runs."""


def select(names: Iterable[str]) -> list[Case]:
    """Cases by their names, or those of a workload by its.

    Parameters
    ----------
    names : iterable of str
        Such as ``"gmm"`` or ``"chain/100"``.

    Returns
    -------
    list of Case
        In the order of the names.

    Raises
    ------
    KeyError
        If there is none of a name.

    Examples
    --------
    >>> [case.name for case in select(["chain/1", "gp"])]
    ['chain/1', 'gp']
    """
    found: list[Case] = []
    for name in names:
        cases = [case for case in CASES.values() if name in (case.name, case.workload.name)]
        if not cases:
            raise KeyError(f"no workload {name!r}; there are {', '.join(WORKLOADS)}, and the cases {', '.join(CASES)}")
        found += cases
    return found
