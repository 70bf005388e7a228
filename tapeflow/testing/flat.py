"""A function of pytrees as one of floating-point arrays, and the directions in which it is probed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.errors import StructureError, name_of

__all__ = ["Arrays", "Flat", "direction", "inner", "only", "place", "real_dtype", "scale", "unchanged", "widened"]

Arrays = tuple[Any, ...]

# What single precision is widened to for a reference.
INEXACT = {"f", "c"}
WIDE = {"e": np.float64, "f": np.float64, "F": np.complex128}


class Flat:
    """A function as one of its floating-point leaves; the other leaves of its arguments are bound.

    Attributes
    ----------
    xs : tuple of array
        The floating-point leaves of the arguments.
    names : list of str
        The expressions that reach them, such as ``args[0]['w']``.
    out_names : list of str
        The same of the result, after a call.
    """

    def __init__(self, fun: Callable[..., Any], args: Sequence[Any]) -> None:
        leaves, self.spec, paths = pytree.flatten_with_paths(tuple(args), "args")
        weak = [x.dtype for x in leaves if _kind(x) in INEXACT]
        self.fun = fun
        self.leaves = [_strong(x, weak) for x in leaves]
        self.places = [k for k, x in enumerate(self.leaves) if _kind(x) in INEXACT]
        self.xs: Arrays = tuple(self.leaves[k] for k in self.places)
        self.names = [str(paths[k]) for k in self.places]
        self.out_names: list[str] = []
        if not self.xs:
            raise StructureError(f"{name_of(fun)}: no argument is a floating-point array, so there is no derivative")

    def apply(self, xs: Sequence[Any]) -> Any:
        """The result itself. The function may write into what it is given, so plain arrays are copied."""
        leaves = list(self.leaves)
        for k, x in zip(self.places, xs, strict=True):
            leaves[k] = x.copy(order="K") if type(x) is np.ndarray else x
        return self.fun(*pytree.unflatten(self.spec, leaves))

    def __call__(self, *xs: Any) -> Arrays:
        """The floating-point leaves of the result."""
        leaves, _, paths = pytree.flatten_with_paths(self.apply(xs), "out")
        chosen = [k for k, y in enumerate(leaves) if _kind(_strong(y, [])) in INEXACT]
        self.out_names = [str(paths[k]) for k in chosen]
        return tuple(_strong(leaves[k], []) for k in chosen)

    def matching(self, tree: Any, name: str) -> Arrays:
        """The leaves of a tree that stand where the floating-point arguments do.

        Raises
        ------
        StructureError
            If the tree is of another structure or shape.
        """
        leaves, spec = pytree.flatten(tree)
        if spec != self.spec:
            raise StructureError(f"{name} have another structure: {pytree.mismatch(self.spec, spec, name)}")
        chosen = tuple(np.asarray(leaves[k]) for k in self.places)
        for v, x, path in zip(chosen, self.xs, self.names, strict=True):
            if v.shape != x.shape:
                raise StructureError(f"{name}: {path} has shape {x.shape}, its tangent has {v.shape}")
        return tuple(v.astype(np.result_type(v, x)) for v, x in zip(chosen, self.xs, strict=True))


def _kind(x: Any) -> str:
    dtype = getattr(x, "dtype", None)
    return "" if dtype is None else getattr(dtype, "kind", "")


def _strong(x: Any, dtypes: list[Any]) -> Any:
    """Python numbers as arrays, of the precision of the arrays beside them."""
    if isinstance(x, (float, complex)) and not hasattr(x, "dtype"):
        kind = np.complex64 if isinstance(x, complex) else np.float32
        return np.array(x, np.result_type(kind, *dtypes) if dtypes else type(x))
    return x


def real_dtype(dtype: Any) -> Any:
    """The dtype of the real part."""
    return np.zeros(0, dtype).real.dtype


def widened(xs: Sequence[Any]) -> Arrays:
    """Arrays of single precision in double."""
    return tuple(np.asarray(x).astype(WIDE.get(x.dtype.char, x.dtype)) for x in xs)


def scale(x: Any, floor: float = 0.01) -> Any:
    """How far a step from each element may go by the look of it: its own size, or some of that of the largest."""
    size = np.abs(np.asarray(x))
    size = np.where(np.isfinite(size), size, 0)
    largest = np.max(size, initial=0)
    if not largest:
        return np.ones_like(size)
    return np.maximum(size, largest * floor) if floor else np.where(size > 0, size, largest / 100)


def direction(x: Any, rng: np.random.Generator, floor: float = 0.01) -> Any:
    """A direction in the scale of an array, with no element near zero."""
    x = np.asarray(x)

    def draw() -> Any:
        return rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape)

    unit = draw() + 1j * draw() if x.dtype.kind == "c" else draw()
    return np.asarray(scale(x, floor) * unit).astype(x.dtype)


def inner(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Real inner product of two lists of arrays."""
    return sum((np.sum(np.real(np.conj(p) * q)) for p, q in zip(a, b, strict=True)), np.float64(0))


def only(vector: Any, entries: Any) -> Any:
    """A vector with nothing but some of its entries (by their flat places)."""
    kept = np.zeros(vector.size, vector.dtype)
    kept[entries] = np.ravel(vector)[entries]
    return kept.reshape(vector.shape)


def unchanged(before: Sequence[Any], after: Sequence[Any]) -> list[int]:
    """Places at which an array is no longer what it was."""
    pairs = enumerate(zip(before, after, strict=True))
    return [k for k, (a, b) in pairs if not np.array_equal(a, b, equal_nan=a.dtype.kind in INEXACT)]


def place(x: Any, entry: int) -> tuple[int, ...]:
    """The index of an entry of an array, whose entries are counted in C order."""
    return tuple(int(i) for i in np.unravel_index(entry, x.shape))
