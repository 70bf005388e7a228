"""What the array API standard asks of an array object beyond NumPy's methods, given to all traced values.

https://data-apis.org/array-api/2024.12/API_specification/array_object.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tapeflow.core.tracer import Tracer, plain
from tapeflow.numpy import array_api, uniform

__all__ = ["install"]

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")
INTEGER_OPERATORS = ("and", "or", "xor", "lshift", "rshift")


def array_namespace(self: Tracer, *, api_version: str | None = None) -> Any:
    """Return the namespace of the array API standard that keeps track of derivatives."""
    if api_version not in (None, *VERSIONS):
        raise ValueError(f"version {api_version!r} of the array API is not supported; there are {', '.join(VERSIONS)}")
    return array_api


def device(self: Tracer) -> Any:
    """Device on which the elements lie; ``"cpu"`` for NumPy's arrays."""
    return getattr(plain(self), "device", "cpu")


def to_device(self: Tracer, device: Any, /, *, stream: Any = None) -> Any:
    """Return the value itself, which stays where it is; another device is an error."""
    if stream is not None:
        raise ValueError("to_device: stream must be None")
    if device != self.device:
        raise ValueError(f"to_device: a traced value stays on its device, {self.device!r}; {device!r} is another")
    return self


def dlpack(self: Tracer, **options: Any) -> Any:
    """Export the buffer of a value that no tape follows any more."""
    self._guard("x.__dlpack__(), by which another library takes the array over,")
    return self.numpy().__dlpack__(**options)


def dlpack_device(self: Tracer) -> Any:
    """Kind and number of the device, for DLPack."""
    return plain(self).__dlpack_device__()


def _on_plain_values(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Operators on bits and truth values, which carry no derivative."""
    return lambda a, b: function(plain(a), plain(b)), lambda a, b: function(plain(b), plain(a))


def _inverted(self: Tracer) -> Any:
    return ~plain(self)


def install() -> None:
    """Give the class of traced values these methods."""
    Tracer.__array_namespace__ = array_namespace
    Tracer.device = property(device)
    Tracer.to_device = to_device
    Tracer.__dlpack__ = dlpack
    Tracer.__dlpack_device__ = dlpack_device
    for name in INTEGER_OPERATORS:
        if f"__{name}__" not in vars(Tracer):  # not hasattr: classes themselves have |
            forward, swapped = _on_plain_values(getattr(operator, f"__{name}__"))
            setattr(Tracer, f"__{name}__", forward)
            setattr(Tracer, f"__r{name}__", swapped)
    if "__invert__" not in vars(Tracer):
        setattr(Tracer, "__invert__", _inverted)  # noqa: B010  # mypy takes an assignment for one to an operator
    if uniform.UNIFORM:
        uniform.install()


install()
