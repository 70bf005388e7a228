"""The registry of backends: array type -> what the engine needs to know of that kind of array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Backend", "backend_for", "get", "is_array", "names", "register"]


@dataclass(frozen=True, slots=True)
class Backend:
    """What the engine asks of an array library.

    Attributes
    ----------
    name : str
        Name under which the backend is registered, such as ``"numpy"``.
    xp : module
        The namespace against which derivative rules are evaluated.
    array_types : tuple of type
        Types of its arrays and array scalars.
    asarray : callable
        ``asarray(x, dtype=None)``: turn host data into an array of the backend, without a copy where possible.
    to_host : callable
        ``to_host(x)``: a NumPy array with the values of `x`, which the caller may change.
    scatter_add : callable
        ``scatter_add(buffer, index, values)``: in-place ``buffer[index] += values``, repeated indices accumulating.
    guard : callable
        ``guard(x)``: a stand-in for a foreign array that later writes by its owner cannot change.
    synchronize : callable
        Wait until all work that was queued is done; nothing to do for host arrays.
    """

    name: str
    xp: Any
    array_types: tuple[type, ...]
    asarray: Callable[..., Any]
    to_host: Callable[[Any], Any]
    scatter_add: Callable[[Any, Any, Any], None]
    guard: Callable[[Any], Any]
    synchronize: Callable[[], None] = field(default=lambda: None)


_by_name: dict[str, Backend] = {}
_by_type: dict[type, Backend] = {}


def register(backend: Backend) -> Backend:
    """Add a backend, or replace the one of the same name.

    Parameters
    ----------
    backend : Backend
        Its ``array_types`` must not belong to another backend.

    Returns
    -------
    Backend
        The argument.

    Raises
    ------
    ValueError
        If one of the array types is taken.
    """
    for kind in backend.array_types:
        owner = _by_type.get(kind)
        if owner is not None and owner.name != backend.name:
            raise ValueError(f"array type {kind.__name__} already belongs to the backend {owner.name!r}")
    old = _by_name.get(backend.name)
    for kind in old.array_types if old else ():
        del _by_type[kind]
    _by_name[backend.name] = backend
    _by_type.update(dict.fromkeys(backend.array_types, backend))
    return backend


def get(name: str) -> Backend:
    """Return the backend registered under a name.

    Raises
    ------
    KeyError
        If there is none; the message lists the known names.
    """
    try:
        return _by_name[name]
    except KeyError:
        raise KeyError(f"no backend {name!r}; registered: {', '.join(sorted(_by_name))}") from None


def names() -> tuple[str, ...]:
    """Return the names of the registered backends, in order of registration."""
    return tuple(_by_name)


def backend_for(value: object) -> Backend | None:
    """Return the backend of an array or array scalar, ``None`` if the type is not known."""
    kind = type(value)
    found = _by_type.get(kind)
    if found is None:
        # Subclasses (np.memmap, every NumPy scalar type) are entered on first sight, so the walk is done once a type.
        for base in kind.__mro__[1:]:
            found = _by_type.get(base)
            if found is not None:
                _by_type[kind] = found
                break
    return found


def is_array(value: object) -> bool:
    """Say whether a value is an array or array scalar of some backend."""
    return backend_for(value) is not None
