"""The exception types: each says what happened, where, and the way out.

Every class derives from :class:`TapeError` and from the built-in that code written for another toolkit would catch.
"""

from __future__ import annotations

__all__ = [
    "InPlaceError",
    "MissingRuleError",
    "NotDifferentiableError",
    "RuleError",
    "SeedError",
    "SeedTypeError",
    "StructureError",
    "TapeError",
    "TapeStateError",
    "TargetError",
    "TracedConversionError",
]


class TapeError(Exception):
    """Base of everything that tapeflow raises on its own account."""


class TapeStateError(TapeError, RuntimeError, ValueError):
    """A tape or accumulator was used in a state in which it cannot do what was asked (spent, active, not entered)."""


class TracedConversionError(TapeError, TypeError):
    """A traced value was about to leave the tape (``float(x)``, ``np.asarray(x)``, pickling), losing its derivative."""


class NotDifferentiableError(TapeError, TypeError):
    """A derivative was asked with respect to something that has none (integers, booleans, objects, ``None``)."""


class TargetError(TapeError, TypeError):
    """A target or source is not a value that the tape knows."""


class SeedError(TapeError, ValueError):
    """An output gradient or tangent does not fit its value in shape, count or structure."""


class SeedTypeError(SeedError, TypeError):
    """An output gradient or tangent does not fit its value in dtype, or a seed is needed and missing."""


class StructureError(TapeError, ValueError, TypeError):
    """Two structures (pytrees) that must match do not."""


class MissingRuleError(TapeError, TypeError):
    """A derivative was asked through a function that has no rule."""


class RuleError(TapeError, ValueError):
    """A derivative rule returned something that does not fit its operand."""


class InPlaceError(TapeError, TypeError):
    """A write into an array would have cut or changed what the tape recorded."""
