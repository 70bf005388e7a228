"""Arrays of JAX and of NumPy: copies of one as the other that lose no precision, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.errors import NotDifferentiableError

__all__ = ["array_of", "import_jax", "jax_array_of", "require_kept"]


def import_jax() -> Any:
    """JAX, or an error that says how to get it."""
    try:
        import jax
    except ImportError as error:
        raise ImportError("tapeflow.bridges.jax needs JAX; install it with: pip install jax") from error
    return jax


def jax_array_of(x: Any) -> Any:
    """An array of JAX with a copy of an array.

    Raises
    ------
    NotDifferentiableError
        If JAX would lower the precision, or has no such dtype.
    """
    x = np.asarray(x)
    return import_jax().numpy.array(fitting(x, require_kept(x.dtype)))


def require_kept(dtype: Any) -> np.dtype[Any]:
    """The dtype that JAX gives an array, for integers perhaps a narrower one.

    Raises
    ------
    NotDifferentiableError
        If it is floating-point or complex and would lose precision, or JAX has no such dtype.
    """
    if dtype.kind not in "biufc" or dtype.itemsize > (16 if dtype.kind == "c" else 8):
        raise NotDifferentiableError(
            f"tapeflow.bridges.jax: JAX has no dtype {dtype}; convert the array first, for example by x.astype(np.float64)"
        )
    kept = np.dtype(import_jax().dtypes.canonicalize_dtype(dtype))
    if kept.itemsize < dtype.itemsize and dtype.kind in "fc":
        raise NotDifferentiableError(
            f"tapeflow.bridges.jax: JAX would make {kept} of an array of {dtype}, since it computes in single precision "
            'by default. Switch that off, by jax.config.update("jax_enable_x64", True) at the start, or convert the array '
            f"if single precision is meant, by x.astype(np.{kept})"
        )
    return kept


def fitting(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Integers in a narrower dtype.

    Raises
    ------
    NotDifferentiableError
        If they do not fit.
    """
    if x.dtype.kind in "iu" and dtype.itemsize < x.dtype.itemsize:
        info = np.iinfo(dtype)
        if np.any((x < info.min) | (x > info.max)):
            raise NotDifferentiableError(
                f"tapeflow.bridges.jax: JAX would make {dtype} of an array of {x.dtype}, and its integers do not fit; use "
                'jax.config.update("jax_enable_x64", True) at the start'
            )
    return x.astype(dtype)


def array_of(x: Any) -> np.ndarray:
    """A copy of an array of JAX.

    Raises
    ------
    NotDifferentiableError
        If NumPy has no such dtype.
    """
    found = np.array(x)
    if found.dtype.kind not in "biufc":
        raise NotDifferentiableError(
            f"tapeflow.bridges.jax: NumPy has no dtype {found.dtype}; convert the array first, by x.astype(jnp.float32)"
        )
    return found
