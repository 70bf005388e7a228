"""NumPy code as functions of tensors, which PyTorch differentiates by tapeflow's derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tapeflow.bridges._local import Call, Local
from tapeflow.bridges._torch_arrays import array_of, import_torch, tensor_of

__all__ = ["to_torch"]


def to_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make NumPy code a function of PyTorch's tensors that its autograd can differentiate.

    Parameters
    ----------
    function : callable
        Plain NumPy code of pytrees, which may use tapeflow's transforms.

    Returns
    -------
    callable
        With the arguments of `function`: trees in which tensors stand for arrays, on the CPU; arrays of NumPy are
        constants, and all else is passed as it is. Returns trees in which tensors stand for arrays and for Python floats.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    NotDifferentiableError
        When called: if a tensor is not on the CPU, not dense, or of a dtype that NumPy has not.

    Notes
    -----
    ``loss.backward()``, `torch.autograd.grad` with ``create_graph=True``, forward mode, and `torch.func` (``vjp``, ``jvp``,
    ``hessian``, ``vmap``, ...) work, in any nesting. What does not require a gradient costs none. Numbers are copied at
    the border: a tensor that is written to after the call changes no gradient, or is PyTorch's own error where the
    function has to be evaluated again, for a derivative of second order.

    `function` should be deterministic, since derivatives of second order and those of `torch.func` evaluate it again.

    Examples
    --------
    ::

        energy = to_torch(lambda x: np.sum(np.sin(x) ** 2))
        x = torch.ones(3, requires_grad=True)
        energy(x).backward()
    """
    torch = import_torch()
    if not callable(function):
        raise TypeError(f"to_torch: expected a function, found {function!r:.60}")

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        call = Call(function, lambda x: isinstance(x, torch.Tensor), args, kwargs)
        return call.filled(_applied(call.flat, *call.operands))

    return bridged


def _applied(flat: Callable[..., Any] | Local, *tensors: Any) -> tuple[Any, ...]:
    torch = import_torch()
    local = flat if isinstance(flat, Local) else Local(flat)
    if torch.is_grad_enabled():
        local.inside = [k for k, t in enumerate(tensors) if t.requires_grad]
    return _operation().apply(local, *tensors)


@functools.cache
def _operation() -> Any:
    """The operation of autograd; made late, since its class belongs to PyTorch."""
    torch = import_torch()

    class LocalFunction(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(local: Local, *tensors: Any) -> tuple[Any, ...]:
            return tuple(map(tensor_of, local(*map(array_of, tensors))))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.local = inputs[0]
            ctx.outside = _floats(output)
            ctx.set_materialize_grads(False)
            ctx.mark_non_differentiable(*(y for k, y in enumerate(output) if k not in ctx.outside))
            ctx.metas = [(y.shape, y.dtype) for y in output]
            ctx.save_for_backward(*inputs[1:])
            ctx.save_for_forward(*inputs[1:])
            ctx.count = len(inputs) - 1

        @staticmethod
        def backward(ctx: Any, *gs: Any) -> tuple[Any, ...]:
            inside = [k for k in range(ctx.count) if ctx.needs_input_grad[k + 1]]
            shares: list[Any] = [None] * (ctx.count + 1)
            for k, share in zip(inside, _pulled(ctx, inside, gs), strict=True):
                shares[k + 1] = share
            return tuple(shares)

        @staticmethod
        def jvp(ctx: Any, _: Any, *ts: Any) -> tuple[Any, ...]:
            inside = [k for k, t in enumerate(ts) if t is not None]
            derived = ctx.local.jvp(ctx.count, inside, ctx.outside)
            found = _applied(derived, *ctx.saved_tensors, *(ts[k] for k in inside))
            tangents = dict(zip(ctx.outside, found, strict=True))
            return tuple(tangents.get(k) for k in range(len(ctx.metas)))

        @staticmethod
        def vmap(info: Any, in_dims: Any, local: Local, *tensors: Any) -> tuple[Any, ...]:
            moved = [t if d is None else t.movedim(d, 0) for d, t in zip(in_dims[1:], tensors, strict=True)]
            found = _applied(local.vmap([d is not None for d in in_dims[1:]]), *moved)
            return found, (0,) * len(found)

    return LocalFunction


def _pulled(ctx: Any, inside: list[int], gs: Any) -> Any:
    """Cotangents of the operands: by what the call kept, or as a call that can be differentiated itself."""
    torch = import_torch()
    held = ctx.local.held()
    if (
        held is not None
        and ctx.local.inside == inside
        and not torch.is_grad_enabled()
        and not any(g is None for g in gs)
    ):
        try:
            arrays = [array_of(gs[k]) for k in ctx.outside]
        except RuntimeError:  # tensors of torch.func, which have no numbers of their own
            arrays = None
        if arrays is not None:
            return map(tensor_of, held(arrays))
    seeds = [_zeros(*ctx.metas[k]) if gs[k] is None else gs[k] for k in ctx.outside]
    return _applied(ctx.local.vjp(ctx.count, inside, ctx.outside), *ctx.saved_tensors, *seeds)


def _zeros(shape: Any, dtype: Any) -> Any:
    return import_torch().zeros(shape, dtype=dtype)


def _floats(tensors: Any) -> list[int]:
    return [k for k, t in enumerate(tensors) if t.is_floating_point() or t.is_complex()]
