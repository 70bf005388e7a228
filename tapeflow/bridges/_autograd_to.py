"""NumPy code as functions that HIPS autograd differentiates by tapeflow's derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow.bridges._autograd_from import import_autograd
from tapeflow.bridges._local import Call, Local
from tapeflow.errors import NotDifferentiableError

__all__ = ["to_autograd"]


def to_autograd(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make plain NumPy code a function that HIPS autograd can differentiate.

    Parameters
    ----------
    function : callable
        Plain NumPy code of pytrees, which may use tapeflow's transforms. It must be deterministic.

    Returns
    -------
    callable
        With the arguments of `function`; what autograd follows is differentiated, all else is constant.

    Raises
    ------
    ImportError
        If HIPS autograd is not installed.
    NotDifferentiableError
        When called: if autograd follows a container as a whole.

    Notes
    -----
    ``autograd.grad``, ``jacobian``, ``hessian`` and forward mode (``make_jvp``) work, in any nesting. Gradients of complex
    arguments are in autograd's convention. Containers that autograd follows as a whole (a dict or a list that is itself
    the argument of ``autograd.grad``) are to be taken apart before the call.

    Examples
    --------
    ::

        energy = to_autograd(lambda x: np.sum(np.sin(x) ** 2))
        autograd.hessian(energy)(np.ones(3))
    """
    import_autograd()
    if not callable(function):
        raise TypeError(f"to_autograd: expected a function, found {function!r:.60}")
    from autograd.tracer import getval, isbox

    @functools.wraps(function, updated=())
    def bridged(*args: Any, **kwargs: Any) -> Any:
        call = Call(function, isbox, args, kwargs)
        for x in call.operands:
            if not hasattr(x, "dtype"):
                raise NotDifferentiableError(
                    f"to_autograd: autograd follows a {type(getval(x)).__name__} as a whole; take it apart before the "
                    "call, and pass the arrays in it"
                )
        return call.filled(list(_applied(Local(call.flat), *call.operands)))

    return bridged


def _applied(local: Local, *xs: Any) -> Any:
    return _operation()(local, *xs)


@functools.cache
def _operation() -> Any:
    """The primitive of autograd; made late, since it belongs to autograd."""
    import_autograd()
    from autograd.builtins import tuple as boxed_tuple
    from autograd.extend import defjvp_argnums, defvjp_argnums, primitive

    def evaluate(local: Local, *xs: Any) -> tuple[Any, ...]:
        return tuple([np.array(y)[()] for y in local(*map(np.array, xs))])

    local_call = primitive(evaluate)

    def pulled(argnums: Sequence[int], ans: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
        local, xs, inside, outside = _places(argnums, ans, args)

        def pull(g: Any) -> Any:
            return _applied(local.transpose(len(xs), inside, outside), *xs, *[g[k] for k in outside])

        return pull

    def pushed(argnums: Sequence[int], gs: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        local, xs, inside, outside = _places(argnums, ans, args)
        found = iter(_applied(local.jvp(len(xs), inside, outside), *xs, *gs))
        return boxed_tuple([next(found) if k in outside else np.zeros(np.shape(ans[k])) for k in range(len(ans))])

    defvjp_argnums(local_call, pulled)
    defjvp_argnums(local_call, pushed)
    return local_call


def _places(argnums: Sequence[int], ans: Any, args: Any) -> tuple[Local, Any, list[int], list[int]]:
    """The function, its operands, and the positions of operands and results to differentiate."""
    outside = [k for k in range(len(ans)) if np.dtype(ans[k].dtype).kind in "fc"]
    return args[0], args[1:], [k - 1 for k in argnums], outside
