"""What makes arrays of other things, and so is out of sight of NumPy's protocols.

Each function takes what NumPy's function of that name takes. Beyond that, traced values may stand anywhere: as elements of
nested lists, as fill values and ends of ranges. While a tape or accumulator is active, or inside `vmap`, the functions
that make buffers (`zeros`, `ones`, `empty`, `full`, ...) return a *traced constant*, into which traced values can be
written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow.core import stack
from tapeflow.core.batch import Batch, batched
from tapeflow.core.forward import dual
from tapeflow.core.primitive import Traced
from tapeflow.core.tracer import plain
from tapeflow.core.wengert import CONSTANT, handle, makes_constant
from tapeflow.ops import constructors
from tapeflow.ops.assembly import assemble, holds_traced
from tapeflow.recorders import GradientTape

__all__ = [
    "arange",
    "array",
    "asanyarray",
    "asarray",
    "asarray_chkfinite",
    "ascontiguousarray",
    "asfortranarray",
    "buffer",
    "c_",
    "empty",
    "empty_like",
    "eye",
    "fromiter",
    "full",
    "full_like",
    "geomspace",
    "identity",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "r_",
    "require",
    "zeros",
    "zeros_like",
]


def buffer(value: Any) -> Any:
    """Make a plain array a constant of the innermost active level, so that traced values can be written into it.

    Parameters
    ----------
    value : array
        Returned as it is if no recorder or batch is active, or if its dtype carries no derivatives.

    Returns
    -------
    traced value, or array
        The traced constant shares the memory of `value`.

    Examples
    --------
    >>> from tapeflow import GradientTape
    >>> buffer(np.zeros(2))
    array([0., 0.])
    >>> with GradientTape() as tape:
    ...     print(type(buffer(np.zeros(2))).__name__)
    Recorded
    """
    innermost = stack.innermost()
    if innermost is None or isinstance(value, Traced) or not makes_constant(value):
        return value
    if isinstance(innermost, Batch):
        return batched(np.broadcast_to(value, (innermost.size, *value.shape)), innermost)
    if isinstance(innermost, GradientTape):
        return handle(value, innermost._wengert, CONSTANT)
    return dual(value, None, innermost)


# ---- arrays of lists


def _traced(value: Any) -> Any:
    """The traced array that a value stands for, ``None`` if it stands for a plain one."""
    if isinstance(value, Traced):
        return value
    return assemble(value) if holds_traced(value) else None


def array(
    object: Any,  # NumPy's name
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
    **options: Any,
) -> Any:
    """Make an array, of traced and plain values at any depth of nested lists and tuples.

    Parameters
    ----------
    object : array_like
        May hold traced values.
    dtype, copy, order, subok, ndmin, like
        As in ``numpy.array``; the layout of memory (`order`) is not kept for traced values.

    Returns
    -------
    traced value, or array if nothing in `object` is traced
        The dtype is NumPy's: a Python float beside float32 values makes float64.

    Raises
    ------
    StructureError
        If parts differ in shape.

    Examples
    --------
    >>> import tapeflow.numpy as np
    >>> from tapeflow import grad
    >>> grad(lambda x: np.sum(np.array([[x, 1.0], [2.0, x**2]]) ** 2))(3.0)
    np.float64(114.0)
    """
    if like is not None or not holds_traced(object):
        like_ = {} if like is None else {"like": like}
        return np.array(object, dtype, copy=copy, order=order, subok=subok, ndmin=ndmin, **like_, **options)
    return constructors.array(object, dtype, copy=copy if isinstance(object, Traced) else copy or None, ndmin=ndmin)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None, **options: Any) -> Any:
    """Convert to an array, without a copy where possible; traced values stay traced.

    Parameters
    ----------
    a : array_like
        May hold traced values.
    dtype, order, copy, device, like
        As in ``numpy.asarray``.

    Returns
    -------
    traced value or array

    Examples
    --------
    >>> import tapeflow.numpy as np
    >>> from tapeflow import jacobian
    >>> jacobian(lambda x: np.asarray([x, x**2]))(3.0)
    array([1., 6.])
    """
    if "like" in options or not holds_traced(a):
        return np.asarray(a, dtype, order, copy=copy, **options)
    return constructors.asarray(a, dtype, copy=copy)


def asanyarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None, **options: Any) -> Any:
    """Convert to an array, letting subclasses through; traced values stay traced. See `asarray`."""
    if "like" in options or not holds_traced(a):
        options = options if copy is None else {**options, "copy": copy}  # which NumPy has since 2.1
        return np.asanyarray(a, dtype, order, **options)
    return constructors.asarray(a, dtype, copy=copy)


def _at_least_1d(numpys: Callable[..., Any]) -> Callable[..., Any]:
    def convert(a: Any, dtype: Any = None, **options: Any) -> Any:
        return constructors.ascontiguousarray(a, dtype) if holds_traced(a) else numpys(a, dtype, **options)

    convert.__name__ = convert.__qualname__ = numpys.__name__
    convert.__doc__ = f"Convert as ``numpy.{numpys.__name__}``; traced values stay traced, in any layout of memory."
    return convert


ascontiguousarray = _at_least_1d(np.ascontiguousarray)
asfortranarray = _at_least_1d(np.asfortranarray)


def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """Convert to an array, and raise ``ValueError`` if an element is infinite or nan. See `asarray`."""
    x = asarray(a, dtype, order)
    if x.dtype.kind in "fc" and not np.all(np.isfinite(x)):
        raise ValueError("array must not contain infs or NaNs")
    return x


def require(a: Any, dtype: Any = None, requirements: Any = None, **options: Any) -> Any:
    """Convert as ``numpy.require``; traced values stay traced and meet every requirement on memory by themselves."""
    return constructors.require(a, dtype) if holds_traced(a) else np.require(a, dtype, requirements, **options)


def fromiter(iter: Any, dtype: Any, count: int = -1, **options: Any) -> Any:  # NumPy's name
    """Make a vector of what an iterator yields, traced or not."""
    elements = [e for _, e in zip(range(count), iter, strict=False)] if count >= 0 else list(iter)
    if holds_traced(elements):
        return constructors.asarray(elements, dtype)
    return np.fromiter(elements, dtype, count, **options)


# ---- buffers


def zeros(shape: Any, dtype: Any = float, order: Any = "C", **options: Any) -> Any:
    """Return an array of zeros; under a tape it is a traced constant, and accepts traced values.

    Parameters
    ----------
    shape, dtype, order, device, like
        As in ``numpy.zeros``.

    Returns
    -------
    traced value, or array if no recorder is active

    Examples
    --------
    >>> import tapeflow.numpy as np
    >>> np.zeros(2)
    array([0., 0.])
    """
    return buffer(np.zeros(shape, dtype, order, **options))


def ones(shape: Any, dtype: Any = None, order: Any = "C", **options: Any) -> Any:
    """Return an array of ones; see `zeros`."""
    return buffer(np.ones(shape, dtype, order, **options))


def empty(shape: Any, dtype: Any = float, order: Any = "C", **options: Any) -> Any:
    """Return an array with arbitrary elements; see `zeros`."""
    return buffer(np.empty(shape, dtype, order, **options))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: Any = "C", **options: Any) -> Any:
    """Return an array with ones on a diagonal; see `zeros`."""
    return buffer(np.eye(N, M, k, dtype, order, **options))


def identity(n: int, dtype: Any = None, **options: Any) -> Any:
    """Return the identity matrix; see `zeros`."""
    return buffer(np.identity(n, dtype, **options))


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **options: Any) -> Any:
    """Return an array filled with a value, which may be traced; see `zeros`.

    Parameters
    ----------
    shape, dtype, order, device, like
        As in ``numpy.full``.
    fill_value : scalar or array_like
        Broadcast to `shape`.

    Returns
    -------
    traced value or array

    Examples
    --------
    >>> import tapeflow.numpy as np
    >>> from tapeflow import grad
    >>> grad(lambda x: np.sum(np.full(3, x) * np.arange(3.0)))(2.0)
    np.float64(3.0)
    """
    if holds_traced(fill_value):
        return constructors.full(shape, fill_value, dtype)
    return buffer(np.full(shape, fill_value, dtype, order, **options))


def _like(numpys: Callable[..., Any]) -> Callable[..., Any]:
    def make(a: Any, *args: Any, **options: Any) -> Any:
        x = _traced(a)
        return buffer(numpys(a if x is None else x, *args, **options))

    make.__name__ = make.__qualname__ = numpys.__name__
    make.__doc__ = f"Make what ``numpy.{numpys.__name__}`` makes; under a tape it is a traced constant, as in `zeros`."
    return make


zeros_like = _like(np.zeros_like)
ones_like = _like(np.ones_like)
empty_like = _like(np.empty_like)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **options: Any
) -> Any:
    """Return an array filled with a value, which may be traced, like another. See `full`."""
    x = _traced(fill_value)
    if x is None:
        a = a if _traced(a) is None else _traced(a)
        return buffer(np.full_like(a, fill_value, dtype, order, subok, shape, **options))
    a = a if hasattr(a, "shape") else asarray(a)
    return full(a.shape if shape is None else shape, x, a.dtype if dtype is None else dtype)


# ---- ranges


def arange(*args: Any, dtype: Any = None, **options: Any) -> Any:
    """Return evenly spaced values; `start`, `stop` and `step` may be traced.

    Parameters
    ----------
    start, stop, step : real number
        As in ``numpy.arange``. The number of values depends on all three, and is a constant.
    dtype, device, like
        As in ``numpy.arange``.

    Returns
    -------
    traced value, or array
        ``start + k * step``: the result does not depend on `stop`.

    Examples
    --------
    >>> import tapeflow.numpy as np
    >>> from tapeflow import jacobian
    >>> jacobian(lambda step: np.arange(1.0, 2.0, step))(0.5)
    array([0., 1.])
    """
    ends = {name: options.pop(name) for name in ("start", "stop", "step") if name in options}
    if not any(isinstance(v, Traced) for v in (*args, *ends.values())):
        return np.arange(*args, **ends, **options, dtype=dtype)
    if len(args) == 1 and "start" not in ends and "stop" not in ends:
        args = (0, *args)
    start, stop, step = (args + (None,) * 3)[:3]
    start, stop, step = ends.get("start", start), ends.get("stop", stop), ends.get("step", step)
    step = 1 if step is None else step
    return _steps(0 if start is None else start, stop, step, dtype)


def _steps(start: Any, stop: Any, step: Any, dtype: Any) -> Any:
    values = np.arange(*map(plain, (start, stop, step)), dtype=dtype)
    count = np.arange(values.size).astype(values.dtype)
    # As NumPy does it: by the difference of the first two values, which rounding makes differ from the step.
    x = start + ((start + step) - start) * count
    return x if x.dtype == values.dtype else x.astype(values.dtype)


def _between(numpys: Callable[..., Any]) -> Callable[..., Any]:
    def spaced(start: Any, stop: Any, *args: Any, **options: Any) -> Any:
        ends = (end if isinstance(end, Traced) or not holds_traced(end) else assemble(end) for end in (start, stop))
        return numpys(*ends, *args, **options)

    spaced.__name__ = spaced.__qualname__ = numpys.__name__
    spaced.__doc__ = f"Return what ``numpy.{numpys.__name__}`` does; its ends may be lists of traced values."
    return spaced


linspace = _between(np.linspace)
logspace = _between(np.logspace)
geomspace = _between(np.geomspace)


# ---- np.r_ and np.c_


class _Concatenator:
    """``np.r_[...]`` and ``np.c_[...]``, which see traced values."""

    def __init__(self, numpys: Any, axis: int, ndmin: int) -> None:
        self._numpys, self._axis, self._ndmin = numpys, axis, ndmin

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not holds_traced([(p.start, p.stop, p.step) if isinstance(p, slice) else p for p in parts]):
            return self._numpys[key]
        if isinstance(parts[0], str):
            raise TypeError("r_: directives in text are not supported with traced values; use np.concatenate, np.stack")
        return np.concatenate([self._part(p) for p in parts], self._axis)

    def _part(self, part: Any) -> Any:
        if isinstance(part, slice):
            x = _slice(part)
        else:
            x = asarray(part)
        return (
            np.reshape(x, (*x.shape, *(1,) * (self._ndmin - x.ndim))) if x.ndim else np.reshape(x, (1,) * self._ndmin)
        )


def _slice(part: slice) -> Any:
    start, step = (0 if part.start is None else part.start), (1 if part.step is None else part.step)
    if isinstance(step, complex):
        return np.linspace(start, part.stop, int(abs(step)))
    return arange(start, part.stop, step)


r_ = _Concatenator(np.r_, 0, 1)
c_ = _Concatenator(np.c_, -1, 2)
