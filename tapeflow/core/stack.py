"""The recorders (tapes and accumulators) that are active in the current context: a thread or an asyncio task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

__all__ = ["active", "enter", "leave"]

_stack: ContextVar[tuple[Any, ...]] = ContextVar("tapeflow_recorders", default=())


def active() -> tuple[Any, ...]:
    """Return the active recorders, in order of entry; one that another thread has closed is none."""
    return tuple(r for r in _stack.get() if r.entered)


def enter(recorder: Any) -> None:
    """Put a recorder on top."""
    _stack.set((*_stack.get(), recorder))


def leave(recorder: Any) -> None:
    """Take a recorder off, wherever it stands.

    By identity, not by position or context token: with generators and with blocks that close out of order the top may
    be another recorder.
    """
    _stack.set(tuple(r for r in _stack.get() if r is not recorder))
