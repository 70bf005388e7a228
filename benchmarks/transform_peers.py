"""The programs of `transform_programs`, differentiated by the peers; ``None`` for one that is not installed.

Every peer gets its own arrays ready made, and double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import transform_programs as programs

Call = Callable[[], Any] | None


def _torch() -> Any:
    """PyTorch on one thread."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def _jax() -> Any:
    """JAX in double precision."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def _ready(jax: Any, function: Callable[..., Any], *args: Any) -> Call:
    """A compiled call that waits for its result."""
    compiled = jax.jit(function)
    placed = jax.device_put(args)
    return lambda: jax.block_until_ready(compiled(*placed))


def torch_jacobian() -> Call:
    """`torch.func.jacrev`, eager."""
    torch = _torch()
    if torch is None:
        return None
    layers = [(torch.tensor(w), torch.tensor(b)) for w, b in programs.tanh_layers()]
    derivative = torch.func.jacrev(lambda x: programs.tanh_network(layers, x, torch))
    x = torch.tensor(programs.tanh_input())
    return lambda: derivative(x)


def jax_jacobian() -> Call:
    """`jax.jacrev`, compiled."""
    jax = _jax()
    if jax is None:
        return None
    layers = [(jax.numpy.asarray(w), jax.numpy.asarray(b)) for w, b in programs.tanh_layers()]
    return _ready(jax, jax.jacrev(lambda x: programs.tanh_network(layers, x, jax.numpy)), programs.tanh_input())


def torch_hessian() -> Call:
    """`torch.func.hessian`, eager."""
    torch = _torch()
    if torch is None:
        return None
    derivative = torch.func.hessian(lambda x: programs.rosenbrock(x, torch))
    x = torch.tensor(programs.rosenbrock_input())
    return lambda: derivative(x)


def torch_per_example() -> Call:
    """`torch.func.vmap` of `torch.func.grad`, eager."""
    torch = _torch()
    if torch is None:
        return None
    p = {name: torch.tensor(a) for name, a in programs.classifier_parameters().items()}
    x, y = map(torch.tensor, programs.classifier_batch())
    one = torch.func.grad(lambda p, x, y: programs.classifier_loss(p, x, y, torch))
    derivative = torch.func.vmap(one, in_dims=(None, 0, 0))
    return lambda: derivative(p, x, y)


def jax_per_example() -> Call:
    """`jax.vmap` of `jax.grad`, compiled."""
    jax = _jax()
    if jax is None:
        return None
    one = jax.grad(lambda p, x, y: programs.classifier_loss(p, x, y, jax.numpy))
    return _ready(
        jax, jax.vmap(one, in_axes=(None, 0, 0)), programs.classifier_parameters(), *programs.classifier_batch()
    )
