"""Where in the user's program something was called, for messages."""

from __future__ import annotations

from itertools import islice
from types import FrameType

__all__ = ["CallSite", "outside"]


class CallSite:
    """A place in a program; the line is looked up when it is printed, since that takes longer than most operations."""

    __slots__ = ("code", "instruction")

    def __init__(self, frame: FrameType) -> None:
        frame = outside(frame)
        self.code, self.instruction = frame.f_code, frame.f_lasti

    def __str__(self) -> str:
        positions = next(islice(self.code.co_positions(), self.instruction // 2, None), (None,))
        return f'"{self.code.co_filename}", line {positions[0] or self.code.co_firstlineno}'


def outside(frame: FrameType) -> FrameType:
    """The first frame that is not of tapeflow or NumPy."""
    while frame.f_globals.get("__name__", "").startswith(("tapeflow.", "numpy.")) and frame.f_back is not None:
        frame = frame.f_back
    return frame
