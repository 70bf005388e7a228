"""Arrays put together from traced scalars: nested lists, and NumPy's object arrays.

NumPy's protocols cannot see these, since ``np.array([x, y])`` looks at the list and not at what is in it.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from tapeflow.backends import NUMPY, backend_for
from tapeflow.core.primitive import Traced, implements
from tapeflow.core.rules import linear
from tapeflow.errors import NotDifferentiableError, StructureError

__all__ = ["assemble", "holds_traced", "restack"]


def _join_evaluate(*parts: Any) -> Any:
    """Join arrays of one shape along a new first axis."""
    backend = next((b for b in map(backend_for, parts) if b is not None), NUMPY)
    # For many scalars np.array is several times faster than np.stack, which other backends have alone.
    return np.array(parts) if backend is NUMPY else backend.xp.stack([backend.asarray(p) for p in parts])


def _join_batch(primitive: Any, values: Any, batched: Any, params: dict[str, Any]) -> Any:
    size = next(v.shape[0] for v, b in zip(values, batched, strict=True) if b)
    whole = (v if b else np.broadcast_to(v, (size, *np.shape(v))) for v, b in zip(values, batched, strict=True))
    return np.moveaxis(primitive(*whole), 1, 0)


# One entry for all parts; np.stack, which expands each part first, makes an entry for every scalar.
_join = linear("join", _join_evaluate, lambda xp, g, i: g[i], variadic=True, batch=_join_batch)
GROUP = 64


def _joined(parts: list[Any]) -> Any:
    """Join in groups of groups, because an entry keeps for each of its operands what it knows of all."""
    if len(parts) <= GROUP:
        return _join(*parts)
    whole = len(parts) // GROUP * GROUP
    groups = _joined([_join(*parts[k : k + GROUP]) for k in range(0, whole, GROUP)])
    full = np.reshape(groups, (whole, *np.shape(parts[0])))
    return full if whole == len(parts) else np.concatenate([full, _joined(parts[whole:])])


def assemble(tree: Any) -> Any:
    """Make one array of nested lists and tuples that hold traced and plain values at any depth.

    Parameters
    ----------
    tree : nested list or tuple, or array
        Its leaves are numbers, arrays, traced values, or object arrays of them.

    Returns
    -------
    traced value, or array if nothing in `tree` is traced
        Shape and dtype are those that ``np.array`` gives for plain values.

    Raises
    ------
    StructureError
        If the parts differ in shape; the message says where.
    NotDifferentiableError
        If an object array holds what is no number.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacobian
    >>> from tapeflow.ops.assembly import assemble
    >>> jacobian(lambda x: assemble([[x[0] * x[1], 2.0], x]))(np.array([3.0, 5.0]))[0]
    array([[5., 3.],
           [0., 0.]])
    """
    return _assembled(tree, ())


def _assembled(tree: Any, place: tuple[int, ...]) -> Any:
    if not isinstance(tree, (list, tuple)):
        return _leaf(tree)
    if not holds_traced(tree):
        return np.array(tree)
    leaves: list[Any] = []
    shape = _grid(tree, leaves)
    if shape is None:  # leaves of several depths, such as [x, [y, 2.0]] with a vector x
        leaves = [_assembled(part, (*place, k)) for k, part in enumerate(tree)]
        shape = (len(leaves),)
    inner = {np.shape(part): k for k, part in reversed(list(enumerate(leaves)))}
    if len(inner) > 1:
        found = ", ".join(f"{s} at {_position(k, shape, place)}" for s, k in sorted(inner.items(), key=lambda e: e[1]))
        raise StructureError(f"the parts of an array must have one shape, but there are {found}; np.block joins parts")
    joined = _joined(leaves)
    return joined if len(shape) == 1 else np.reshape(joined, (*shape, *next(iter(inner))))


def _position(k: int, shape: tuple[int, ...], place: tuple[int, ...]) -> str:
    return "".join(f"[{i}]" for i in (*place, *np.unravel_index(k, shape)))


def _leaf(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return restack(value)
    return value if isinstance(value, Traced) else np.asarray(value)


def _grid(tree: Any, leaves: list[Any]) -> tuple[int, ...] | None:
    """Collect the leaves in order, and return the shape in which they lie; ``None`` if they lie in none."""
    if not isinstance(tree, (list, tuple)):
        leaves.append(_leaf(tree))
        return ()
    shapes = {_grid(part, leaves) for part in tree}
    first = next(iter(shapes)) if len(shapes) == 1 else None
    return None if first is None else (len(tree), *first)


def holds_traced(tree: Any) -> bool:
    """Whether there is a traced value in a nested list or tuple, or in an object array in one.

    Parameters
    ----------
    tree : anything

    Returns
    -------
    bool

    Examples
    --------
    >>> from tapeflow import Variable
    >>> holds_traced([1.0, (2.0, [Variable(3.0)])]), holds_traced([1.0, 2.0])
    (True, False)
    """
    if isinstance(tree, (list, tuple)):
        return any(map(holds_traced, tree))
    if isinstance(tree, np.ndarray):
        return tree.dtype == object and any(isinstance(e, Traced) for e in tree.flat)
    return isinstance(tree, Traced)


def restack(array: np.ndarray) -> Any:
    """Make an ordinary array of a NumPy object array whose elements are traced scalars and numbers.

    Parameters
    ----------
    array : numpy.ndarray of dtype object
        Of any shape.

    Returns
    -------
    traced value, or array if no element is traced
        Of the same shape; the dtype is the one in which all elements fit.

    Raises
    ------
    NotDifferentiableError
        If an element is no scalar or was never assigned; the message says which.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import GradientTape
    >>> with GradientTape() as tape:
    ...     x = tape.watch(3.0)
    ...     buffer = np.empty(2, dtype=object)
    ...     buffer[0] = x**2
    ...     buffer[1] = 1.0
    ...     y = np.sum(restack(buffer) ** 2)
    >>> tape.gradient(y, x)
    np.float64(108.0)
    """
    elements = [_scalar(element, k, array.shape) for k, element in enumerate(array.flat)]
    if not elements:
        return np.zeros(array.shape)
    if not any(isinstance(e, Traced) for e in elements):
        return np.array(elements).reshape(array.shape)
    joined = _joined(elements)
    return joined if array.ndim == 1 else np.reshape(joined, array.shape)


def _scalar(element: Any, k: int, shape: tuple[int, ...]) -> Any:
    """An element as what arrays are made of; others are refused."""
    if isinstance(element, Traced) or backend_for(element) is not None:
        if not np.shape(element):
            return element
        what = f"an array of shape {np.shape(element)}, not a scalar: join arrays with np.stack or np.concatenate"
    elif isinstance(element, (int, float, complex)):
        return element
    elif isinstance(element, numbers.Number):
        return float(element)  # type: ignore[arg-type]  # a fraction or decimal number
    elif element is None:
        what = "None: it was never assigned"
    else:
        what = f"a {type(element).__name__}, not a number"
    place = tuple(map(int, np.unravel_index(k, shape)))
    raise NotDifferentiableError(
        f"an object array of shape {shape} cannot become an ordinary one: element {place} is {what}"
    )


@implements("restack")
def _restacked(value: Any) -> Any:
    """Restack a value if it is an object array."""
    return restack(value) if isinstance(value, np.ndarray) and value.dtype == object else value
