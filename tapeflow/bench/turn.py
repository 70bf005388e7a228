"""What is learnt while a contender has its turn."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Turn"]


class Turn(NamedTuple):
    """Some calls in a row.

    Attributes
    ----------
    wall, share : float
        Seconds of a call in the fastest chunk of calls, and CPU over wall time of that chunk.
    cpu : float
        CPU seconds of a call in the chunk that had least.
    faults : float
        Page faults of a call, on the average of all.
    """

    wall: float
    share: float
    cpu: float
    faults: float
