"""Selection from plain arrays by traced indices, which NumPy's protocols do not see."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.core.primitive import Traced
from tapeflow.ops import indexing

__all__ = ["take"]


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: Any = "raise") -> Any:
    """Select entries along an axis, as ``np.take``, also from a plain array or list by indices of a batch.

    Parameters
    ----------
    a : array_like
        What is selected from.
    indices : array_like of int
        Places along the axis; may be a value inside `vmap`, where ``a[indices]`` of a plain array is an error.
    axis : int, optional
        The axis; by default the array is flattened first.
    out, mode
        As for ``np.take``.

    Returns
    -------
    array
        With the shape of `indices` in place of the axis.

    Raises
    ------
    IndexError
        If there is no such entry and `mode` is ``"raise"``.

    Examples
    --------
    >>> import numpy as np
    >>> import tapeflow.numpy as tnp
    >>> from tapeflow import vmap
    >>> vmap(lambda i: tnp.take([1.0, 2.0, 4.0], i))(np.array([2, 0]))
    array([4., 1.])
    """
    if isinstance(indices, Traced) and not isinstance(a, Traced) and out is None:
        return indexing.take(a, indices, axis, None, mode)
    return np.take(a, indices, axis, out, mode)
