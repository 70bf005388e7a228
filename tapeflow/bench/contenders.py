"""How each toolkit computes what a workload wants: its arrays ready made, compiled before the race if it compiles."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tapeflow
from tapeflow.bench.workload import Data, Workload

__all__ = ["CONTENDERS", "PEERS", "Call", "Contender", "Unsupported", "arrays"]

Call = Callable[[], Any]


class Unsupported(Exception):
    """The toolkit does not have what the workload needs."""


@dataclass(frozen=True)
class Contender:
    """One that races.

    Attributes
    ----------
    name : str
        In tables and on the command line.
    module : str
        What must be importable.
    prepare : callable
        ``prepare(workload, data)`` gives the call that is timed.
    kernel_space : str
        The module of `Workload.kernel`; empty if it is not asked.
    manner : str
        What is inside the timed call.
    """

    name: str
    module: str
    prepare: Callable[[Workload, Data], Call]
    kernel_space: str = ""
    manner: str = "eager"

    def version(self) -> str:
        """What is installed."""
        top = self.module.split(".")[0]
        try:
            return importlib.metadata.version(top)
        except importlib.metadata.PackageNotFoundError:
            return str(getattr(importlib.import_module(top), "__version__", "unknown"))

    def prepare_kernel(self, workload: Workload, data: Data) -> Call:
        """The call of the operation that takes most of the time."""
        if workload.kernel is None or not self.kernel_space:
            raise Unsupported("no kernel")
        xp = importlib.import_module(self.kernel_space)
        given = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in data.arguments]
        return partial(workload.kernel, xp, *given)


def arrays(result: Any) -> list[np.ndarray]:
    """Results of any toolkit as a list of arrays of NumPy."""
    if isinstance(result, (tuple, list)):
        return [a for part in result for a in arrays(part)]
    return [np.asarray(result.detach() if hasattr(result, "detach") else result)]


def _positions(data: Data) -> tuple[int, ...]:
    return tuple(range(len(data.variables)))


def forward(workload: Workload, data: Data) -> Call:
    """The value alone, in plain NumPy."""
    return partial(workload.value, np, *data.arguments)


def by_hand(workload: Workload, data: Data) -> Call:
    """What is wanted, written by hand."""
    return partial(workload.by_hand, *data.arguments, *data.direction)


def with_tapeflow(workload: Workload, data: Data) -> Call:
    """`grad`, `hessian` or `hvp`."""
    value = partial(workload.value_for("tapeflow"), np)
    if workload.wanted == "hessian":
        return partial(tapeflow.hessian(value), *data.arguments)
    if workload.wanted == "hvp":
        return partial(tapeflow.hvp, lambda *v: value(*v, *data.constants), data.variables, data.direction)
    return partial(tapeflow.grad(value, argnums=_positions(data)), *data.arguments)


def with_autograd(workload: Workload, data: Data) -> Call:
    """HIPS autograd."""
    autograd, anp = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")
    value = partial(workload.value_for("autograd"), anp)
    if workload.wanted == "hessian":
        return partial(autograd.hessian(value), *data.arguments)
    if workload.wanted == "hvp":
        product = autograd.hessian_vector_product(lambda v: value(v, *data.constants))
        return partial(product, *data.variables, *data.direction)
    return partial(autograd.grad(value, _positions(data)), *data.arguments)


def with_advect(workload: Workload, data: Data) -> Call:
    """advect, which like tapeflow takes NumPy's own namespace."""
    advect = importlib.import_module("advect")
    value = partial(workload.value_for("advect"), np)
    if workload.wanted == "hessian":
        return partial(advect.hessian(lambda v: value(v, *data.constants)), *data.variables)
    if workload.wanted == "hvp":
        product = advect.hvp(lambda v: value(v, *data.constants))
        (vector,) = data.direction
        return lambda: product(*data.variables, vectors=vector)[1]
    return partial(advect.grad(lambda *v: value(*v, *data.constants), argnums=_positions(data)), *data.variables)


def with_mygrad(workload: Workload, data: Data) -> Call:
    """MyGrad, by `backward` of a tensor."""
    if workload.wanted != "gradient":
        raise Unsupported("MyGrad has no second derivatives")
    mygrad = importlib.import_module("mygrad")
    value = partial(workload.value_for("mygrad"), np)

    def call() -> list[Any]:
        variables = [mygrad.tensor(v, copy=False) for v in data.variables]
        value(*variables, *data.constants).backward()
        return [v.grad for v in variables]

    return call


def with_jax(workload: Workload, data: Data, compiled: bool = True) -> Call:
    """JAX in the precision of the data."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    value = partial(workload.value_for("jax"), jax.numpy)
    if workload.wanted == "hessian":
        derivative = jax.hessian(value)
    elif workload.wanted == "hvp":
        derivative = _jax_product(jax, value, len(data.variables), len(data.constants))
    else:
        derivative = jax.grad(value, _positions(data))
    derivative = jax.jit(derivative) if compiled else derivative
    given = jax.device_put(data.arguments + data.direction)
    return lambda: jax.block_until_ready(derivative(*given))


def _jax_product(jax: Any, value: Call, variables: int, constants: int) -> Call:
    def product(*given: Any) -> Any:
        held, vector = given[variables : variables + constants], given[variables + constants :]
        gradient = jax.grad(lambda v: value(*v, *held))
        return jax.jvp(gradient, (given[:variables],), (vector,))[1]

    return product


def with_torch(workload: Workload, data: Data) -> Call:
    """PyTorch: `torch.autograd.grad`, and `torch.func` for second derivatives."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    value = partial(workload.torch_value, torch)
    variables, constants, direction = (
        _tensors(torch, part) for part in (data.variables, data.constants, data.direction)
    )
    if workload.wanted == "hessian":
        return partial(torch.func.hessian(value), *variables, *constants)
    if workload.wanted == "hvp":
        gradient = torch.func.grad(lambda *v: value(*v, *constants), tuple(range(len(variables))))
        return lambda: torch.func.jvp(gradient, variables, direction)[1]
    for v in variables:
        v.requires_grad_(True)
    return lambda: torch.autograd.grad(value(*variables, *constants), variables)


def _tensors(torch: Any, given: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in given)


CONTENDERS: dict[str, Contender] = {
    c.name: c
    for c in (
        Contender("forward", "numpy", forward, "numpy", "the value alone, plain NumPy"),
        Contender("by hand", "numpy", by_hand, manner="NumPy, written by hand"),
        Contender("tapeflow", "tapeflow", with_tapeflow),
        Contender("torch", "torch", with_torch, "torch"),
        Contender("autograd", "autograd", with_autograd),
        Contender("advect", "advect", with_advect),
        Contender("mygrad", "mygrad", with_mygrad),
        Contender("jax", "jax", with_jax, manner="compiled before the race"),
        Contender("jax-eager", "jax", partial(with_jax, compiled=False)),
    )
}
"""Everyone that can race, by name."""

PEERS = ("torch", "autograd", "advect", "mygrad", "jax")
"""Who races unless told otherwise; the first three contenders always do."""
