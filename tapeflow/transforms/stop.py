"""Values made constants."""

from __future__ import annotations

from typing import Any

from tapeflow import pytree
from tapeflow.core.tracer import Tracer

__all__ = ["stop_gradient"]


def stop_gradient(tree: Any) -> Any:
    """Return the same values, as constants: no derivative flows through them.

    Parameters
    ----------
    tree : pytree
        Traced leaves become constants of their own level; other leaves are returned as they are.

    Returns
    -------
    pytree
        The same structure.

    Examples
    --------
    >>> from tapeflow import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return pytree.map_leaves(_stopped, tree)


def _stopped(x: Any) -> Any:
    return x._lift(_stopped(x._value)) if isinstance(x, Tracer) else x
