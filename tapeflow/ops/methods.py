"""Methods and attributes of arrays that need no more than a function, or that show the plain array behind."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow import errors
from tapeflow.core.tracer import Tracer, is_operand, plain

# Of integers and truth values only, which are constants; NumPy refuses floating point numbers.
BITS = {
    np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "xor", np.left_shift: "lshift",
    np.right_shift: "rshift",
}  # fmt: skip
# What shows the bytes of an array: open once no tape follows the value.
LEAVING = "byteswap dump dumps getfield tobytes tofile".split()


def _operator(ufunc: Any, swapped: bool) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        if not is_operand(other):
            return NotImplemented
        return ufunc(other, self) if swapped else ufunc(self, other)

    return operator


def _leaving(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._guard(f"x.{name}()")
        return getattr(np.array(plain(self)), name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Call ``{name}`` of a copy of the plain array, once no tape follows it."
    return method


def argpartition(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``np.argpartition`` with this array as the first argument."""
    return np.argpartition(self, *args, **kwargs)


def choose(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``np.choose`` with this array as the first argument."""
    return np.choose(self, *args, **kwargs)


def view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """Look at the same elements; complex numbers also as pairs of real ones, and pairs as complex numbers."""
    if isinstance(dtype, builtins.type) and issubclass(dtype, np.ndarray):
        dtype = None
    del type
    if dtype is None or np.dtype(dtype) == self.dtype:
        return self[...]
    part, whole = sorted((self.dtype, np.dtype(dtype)), key=lambda d: d.itemsize)
    if part.kind != "f" or whole != np.result_type(part, np.complex64):
        raise errors.NotDifferentiableError(
            f"x.view({np.dtype(dtype)}) of a traced value of dtype {self.dtype} reads its bytes as other numbers, which "
            "has no derivative; x.astype converts numbers, x.numpy() gives a plain array"
        )
    if self.dtype == part:
        return self[..., 0::2] + 1j * self[..., 1::2]
    pairs = np.stack((np.real(self), np.imag(self)), axis=-1)
    return np.reshape(pairs, (*self.shape[:-1], -1))


def rounded(self: Any, ndigits: Any = None) -> Any:
    """Round a scalar, as Python's ``round`` does with NumPy's; without digits it gives an integer."""
    if self.ndim:
        raise TypeError(f"type {type(self).__name__} doesn't define __round__ method; use np.round for arrays")
    if ndigits is not None:
        return np.round(self, ndigits)
    self._guard("round(x)")
    return round(plain(self).item())


# ---- what the array API standard asks of an array object


def _held(x: Any) -> Any:
    """The array behind all levels, batches included."""
    while isinstance(x, Tracer):
        x = x._value
    return x


def device(self: Any) -> Any:
    """Device on which the elements lie; ``"cpu"`` for NumPy's arrays."""
    return getattr(_held(self), "device", "cpu")


def to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """Return the value itself, which stays where it is; another device is an error."""
    if stream is not None:
        raise ValueError("to_device: stream must be None")
    if device != self.device:
        raise ValueError(f"to_device: a traced value stays on its device, {self.device!r}; {device!r} is another")
    return self


def __dlpack__(self: Any, **options: Any) -> Any:
    """Export the buffer of a value that no tape follows any more."""
    self._guard("x.__dlpack__(), by which another library takes the array over,")
    return self.numpy().__dlpack__(**options)


def __dlpack_device__(self: Any) -> Any:
    """Kind and number of the device, for DLPack."""
    held = _held(self)
    return (held if hasattr(held, "__dlpack_device__") else np.asarray(held)).__dlpack_device__()


# ---- what shows the plain array


def _shown(name: str) -> property:
    """An attribute of a view of the plain array, so that what is set there has no effect here."""

    def show(self: Any) -> Any:
        value = plain(self)
        # An element of a batch has no memory of its own: it is shown as if it had.
        value = np.empty(value.shape, value.dtype) if isinstance(value, Tracer) else np.asarray(value).view()
        return getattr(value, name)

    return property(show)


def _raw(name: str) -> property:
    def show(self: Any) -> Any:
        self._guard(f"x.{name}")
        return getattr(np.array(plain(self)), name)

    return property(show)


def _install() -> None:
    for ufunc, name in BITS.items():
        setattr(Tracer, f"__{name}__", _operator(ufunc, swapped=False))
        setattr(Tracer, f"__r{name}__", _operator(ufunc, swapped=True))
    methods: dict[str, Any] = {"__invert__": lambda self: np.invert(self)}
    methods["__round__"] = rounded
    methods |= {f.__name__: f for f in (argpartition, choose, view, to_device, __dlpack__, __dlpack_device__)}
    methods |= {name: _leaving(name) for name in LEAVING}
    methods |= {name: _shown(name) for name in ("flags", "strides")}
    methods |= {name: _raw(name) for name in ("data", "ctypes")}
    methods["device"] = property(device)
    methods["itemsize"] = property(lambda self: self.dtype.itemsize)
    methods["nbytes"] = property(lambda self: self.size * self.dtype.itemsize)
    methods["base"] = property(lambda self: None)
    for name, what in methods.items():
        if name not in vars(Tracer):
            setattr(Tracer, name, what)


_install()
