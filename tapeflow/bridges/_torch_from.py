"""Functions of tensors as functions of arrays, which tapeflow differentiates by PyTorch's derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tapeflow.bridges._foreign import Function, called
from tapeflow.bridges._torch_arrays import array_of, import_torch, tensor_of
from tapeflow.errors import name_of

__all__ = ["from_torch"]


class _Torch:
    """PyTorch, as `Foreign` needs it. Its cotangents are steepest ascent, so they are conjugated at both ends."""

    name = "PyTorch"

    def __init__(self) -> None:
        self.torch = import_torch()

    def array(self, x: Any) -> Any:
        return x if self.is_array(x) else tensor_of(x)

    def is_array(self, x: Any) -> bool:
        return isinstance(x, self.torch.Tensor)

    def is_followed(self, x: Any) -> bool:
        return self.is_array(x) and x.requires_grad and self.torch.is_grad_enabled()

    def plain(self, x: Any) -> Any:
        return array_of(x)[()]

    def evaluate(self, f: Function, xs: list[Any]) -> tuple[Any, ...]:
        with self.torch.no_grad():
            return f(*xs)

    def linearize(self, f: Function, xs: list[Any], inside: Sequence[int]) -> tuple[Any, Function]:
        # By a graph, and not torch.func.vjp, which refuses modules that write into buffers and operations of an old style.
        with self.torch.enable_grad():
            leaves = [xs[k].requires_grad_() for k in inside]
            ys = f(
                *_replaced(xs, inside, [x.clone() for x in leaves])
            )  # clones, since the function may write into them
        outside = [k for k, y in enumerate(ys) if _is_float(y)]
        followed = [n for n, k in enumerate(outside) if ys[k].requires_grad]
        if not followed:
            return ys, lambda *gs: tuple(map(self.torch.zeros_like, leaves))
        targets = [ys[outside[n]] for n in followed]

        def pull(*gs: Any) -> tuple[Any, ...]:
            seeds = [gs[n].conj() for n in followed]
            found = self.torch.autograd.grad(targets, leaves, seeds, retain_graph=True, materialize_grads=True)
            return tuple(c.conj() for c in found)

        return ys, pull

    def vjp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, gs = values[:count], values[count:]
            part = _part(f, xs, inside, outside)
            with self.torch.enable_grad():
                pull = self.torch.func.vjp(part, *[xs[k] for k in inside])[1]
                return tuple(c.conj() for c in pull(tuple(g.conj() for g in gs)))

        return derived

    def jvp(self, f: Function, count: int, inside: Sequence[int], outside: Sequence[int]) -> Function:
        def derived(*values: Any) -> tuple[Any, ...]:
            xs, ts = values[:count], values[count:]
            part = _part(f, xs, inside, outside)
            floats = tuple(xs[k] for k in inside)
            try:
                return self.torch.func.jvp(part, floats, tuple(ts))[1]
            except (NotImplementedError, RuntimeError) as error:
                if not _lacks_forward_mode(error):
                    raise
            return self._by_two_vjps(part, floats, ts)

        return derived

    def _by_two_vjps(self, part: Function, floats: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, ...]:
        """A JVP as the derivative of a VJP in its cotangent, for operations that have no forward mode."""
        with self.torch.enable_grad():
            ys, pull = self.torch.func.vjp(part, *floats)
            zeros = tuple(self.torch.zeros_like(y) for y in ys)
            return self.torch.func.vjp(lambda *gs: pull(gs), *zeros)[1](tuple(ts))

    def vmap(self, f: Function, batched: Sequence[bool], fresh: bool) -> Function:
        def mapped(*xs: Any) -> tuple[Any, ...]:
            in_dims = tuple(0 if b else None for b in batched)
            try:
                return self.torch.func.vmap(f, in_dims, randomness="different" if fresh else "same")(*xs)
            except RuntimeError:  # the function decides by values, or an operation has no rule
                return self._one_by_one(f, batched, xs)

        return mapped

    def _one_by_one(self, f: Function, batched: Sequence[bool], xs: Sequence[Any]) -> tuple[Any, ...]:
        """A batch element by element, with the same random numbers for all, as derivatives would have them."""
        size = next(x.shape[0] for x, b in zip(xs, batched, strict=True) if b)
        state, rows = self.torch.get_rng_state(), []
        for k in range(size):
            self.torch.set_rng_state(state)
            rows.append(f(*(x[k] if b else x for x, b in zip(xs, batched, strict=True))))
        return tuple(map(self.torch.stack, zip(*rows, strict=True)))

    def replayed(self, f: Function) -> Function:
        state = self.torch.get_rng_state()

        def again(*xs: Any) -> tuple[Any, ...]:
            with self.torch.random.fork_rng(devices=[]):
                self.torch.set_rng_state(state)
                return f(*xs)

        return again


def _is_float(t: Any) -> bool:
    return bool(t.is_floating_point() or t.is_complex())


def _replaced(values: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> tuple[Any, ...]:
    filled = list(values)
    for k, v in zip(places, new, strict=True):
        filled[k] = v
    return tuple(filled)


def _part(f: Function, xs: Sequence[Any], inside: Sequence[int], outside: Sequence[int]) -> Function:
    """The function of the operands that can be differentiated alone, to the results that can."""

    def part(*floats: Any) -> tuple[Any, ...]:
        ys = f(*_replaced(xs, inside, floats))
        return tuple([ys[k] for k in outside])

    return part


def _lacks_forward_mode(error: Exception) -> bool:
    text = str(error)
    return "forward AD" in text or "forward mode AD" in text or "jvp" in text


def from_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of PyTorch's tensors one of arrays, which tapeflow can differentiate.

    Parameters
    ----------
    function : callable
        Takes and returns pytrees of tensors; a `torch.nn.Module`, for example. Its parameters are constants, unless they
        are arguments (`torch.func.functional_call`).

    Returns
    -------
    callable
        With the arguments of `function`: trees in which arrays, traced values and variables stand for tensors; Python
        numbers and all else are passed as they are. Returns trees of arrays.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    NotDifferentiableError
        When called: if a dtype has no counterpart, a tensor that was returned is not dense or not on the CPU, or an
        argument is a tensor that requires a gradient.
    TargetError
        When called with traced values: if `function` returns a Python float or an array of NumPy.

    Notes
    -----
    The derivatives are PyTorch's own (`torch.autograd.grad`; `torch.func.vjp` and `torch.func.jvp` for all but a first
    reverse pass), in both modes and of every order; what has no forward mode there is differentiated by two reverse
    passes. `vmap` is `torch.func.vmap`, and a loop for functions that refuse it. Arrays are copied at the border and keep
    their dtypes, so a module in float32 wants arrays of float32.

    PyTorch's random numbers are the same in the value and in its derivatives of every order. Modules that write into
    their buffers (batch normalization in training mode) have first derivatives in reverse mode; for others PyTorch raises:
    call ``module.eval()`` first.

    Examples
    --------
    ::

        layer = from_torch(torch.nn.Linear(3, 2).double())
        tapeflow.grad(lambda x: np.sum(np.tanh(layer(x))))(np.ones(3))
    """
    toolkit = _Torch()
    if not callable(function):
        raise TypeError(f"from_torch: expected a function, found {function!r:.60}")
    name = name_of(function) if hasattr(function, "__name__") else type(function).__name__

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        return called(toolkit, function, name, args, kwargs)

    return bridged
