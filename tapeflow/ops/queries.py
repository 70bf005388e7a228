"""Questions about arrays that have plain answers, bits of integers, and ways out to files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.primitive import implements
from tapeflow.core.rules import nondifferentiable
from tapeflow.core.tracer import Tracer, call_unwrapped, plain
from tapeflow.ops import answers


def _of_what_is_held(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inside a batch there is one answer for all of it."""

    def held(x: Any) -> Any:
        while isinstance(x, Tracer):
            x = x._value
        return x

    return lambda *args, **kwargs: call_unwrapped(function, args, kwargs, held)


for _function in (np.iscomplex, np.isreal, np.isposinf, np.isneginf):
    nondifferentiable(_function, "truth values", batch=answers.elements(_function))
nondifferentiable(np.isnat, "truth values")
nondifferentiable(np.array_equiv, "truth values", batch=answers.array_equiv)
for _function in (
    np.iscomplexobj, np.isrealobj, np.min_scalar_type, np.result_type, np.can_cast, np.common_type,
    np.shares_memory, np.may_share_memory,
):  # fmt: skip
    nondifferentiable(_function, "about dtypes or memory, not about values", batch=_of_what_is_held(_function))
for _function in (np.array_repr, np.array_str, np.array2string):
    nondifferentiable(_function, "text", batch=lambda x, *args, **options: repr(x))
# NumPy refuses them for floating point numbers; what was converted to integers passes.
for _function in (
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift, np.gcd, np.lcm,
):  # fmt: skip
    nondifferentiable(_function, "integer valued")
for _function in (np.packbits, np.unpackbits):
    nondifferentiable(_function, "integer valued", batch=answers.along(_function, None))
if hasattr(np, "bitwise_count"):  # since NumPy 2.0
    nondifferentiable(np.bitwise_count, "integer valued")


def _leaving(function: Callable[..., Any]) -> Callable[..., Any]:
    def write(*args: Any, **kwargs: Any) -> Any:
        for x in pytree.flatten((args, kwargs))[0]:
            if isinstance(x, Tracer):
                x._guard(f"np.{function.__name__}")
        return call_unwrapped(function, args, kwargs, plain)

    write.__name__ = function.__name__
    write.__doc__ = f"Call ``np.{function.__name__}`` once no tape follows the values."
    return write


for _function in (np.save, np.savez, np.savez_compressed, np.savetxt):
    implements(_function)(_leaving(_function))
