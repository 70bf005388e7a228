"""What a workload is: a function of arrays, its data, and its derivative written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Case", "Data", "Workload"]

Wanted = Literal["gradient", "hessian", "hvp"]


@dataclass(frozen=True)
class Data:
    """The arguments of a workload.

    Attributes
    ----------
    variables : tuple of array
        What the derivative is taken with respect to.
    constants : tuple
        The other arguments.
    direction : tuple of array
        For a Hessian-vector product, the vector; one array for each variable.
    """

    variables: tuple[Any, ...]
    constants: tuple[Any, ...] = ()
    direction: tuple[Any, ...] = ()

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Variables and constants, in the order in which functions take them."""
        return self.variables + self.constants


@dataclass(frozen=True)
class Workload:
    """A real function of arrays, for any toolkit.

    Attributes
    ----------
    name, title, source : str
        A word, a line, and where the problem comes from.
    data : callable
        ``data(**parameters)`` makes the same `Data` every time.
    value : callable
        ``value(xp, *variables, *constants)``, for NumPy's namespace and those like it.
    torch_value : callable
        The same as a user of PyTorch would write it; `xp` is ``torch``.
    by_hand : callable
        ``by_hand(*variables, *constants, *direction)``: what is wanted, in NumPy; a tuple, an array for each variable.
    cases : mapping
        Parameters that are raced, by label.
    small : mapping
        Parameters for which it runs in milliseconds.
    wanted : {"gradient", "hessian", "hvp"}
        The derivative; a Hessian is that of the first variable.
    rtol : float
        To which contenders must agree, relative to each entry.
    idioms : mapping
        For toolkits that cannot run `value`: the function in their own idiom, ``idioms[toolkit](xp, ...)``.
    kernel : callable, optional
        ``kernel(xp, *variables, *constants)``: the operation that takes most of the time, for NumPy and PyTorch.
    kernel_name : str
        What it is called in tables.
    """

    name: str
    title: str
    source: str
    data: Callable[..., Data]
    value: Callable[..., Any]
    torch_value: Callable[..., Any]
    by_hand: Callable[..., tuple[Any, ...]]
    cases: Mapping[str, Mapping[str, Any]]
    small: Mapping[str, Any]
    wanted: Wanted = "gradient"
    rtol: float = 1e-6
    idioms: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    kernel: Callable[..., Any] | None = None
    kernel_name: str = ""

    def value_for(self, toolkit: str) -> Callable[..., Any]:
        """The function as a toolkit runs it."""
        return self.idioms.get(toolkit, self.value)


@dataclass(frozen=True)
class Case:
    """A workload with parameters.

    Attributes
    ----------
    workload : Workload
        What is computed.
    label : str
        One of its cases; empty if there is only one.
    parameters : mapping
        The arguments of ``workload.data``.
    """

    workload: Workload
    label: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name in tables and on the command line."""
        return f"{self.workload.name}/{self.label}" if self.label else self.workload.name

    @property
    def rtol(self) -> float:
        """Relative tolerance; single precision has a thousandth."""
        return 1e-3 if self.parameters.get("dtype") == "float32" else self.workload.rtol
