"""The recorders (tapes, accumulators) and batches that are active in the current context: a thread or an asyncio task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Any

__all__ = ["active", "enter", "innermost", "inside", "leave"]

_stack: ContextVar[tuple[Any, ...]] = ContextVar("tapeflow_recorders", default=())
_batches: ContextVar[tuple[Any, ...]] = ContextVar("tapeflow_batches", default=())


def active() -> tuple[Any, ...]:
    """Return the active recorders, in order of entry; one that another thread has closed is none."""
    return tuple(r for r in _stack.get() if r.entered)


def innermost() -> Any:
    """Return the active recorder or batch of the innermost level, ``None`` if there is none."""
    return max((*active(), *_batches.get()), key=lambda r: r.level, default=None)


@contextmanager
def inside(batch: Any) -> Iterator[None]:
    """Make a batch active for a block."""
    token = _batches.set((*_batches.get(), batch))
    try:
        yield
    finally:
        _batches.reset(token)


def enter(recorder: Any) -> Token[Any]:
    """Put a recorder on top; returns what `leave` wants."""
    return _stack.set((*_stack.get(), recorder))


def leave(recorder: Any, token: Token[Any] | None) -> None:
    """Take a recorder off, wherever it stands.

    By identity, not by position: with generators and with blocks that close out of order the top may be another one. The
    outermost block that closes in order takes the variable out of the context again, because while a context holds any
    variable at all, NumPy looks for its own error state 10 ns longer in every call of a ufunc.
    """
    stack = _stack.get()
    if token is not None and token.old_value is Token.MISSING and stack == (recorder,):
        with suppress(ValueError):  # another context
            return _stack.reset(token)
    _stack.set(tuple(r for r in stack if r is not recorder))
