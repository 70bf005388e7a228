"""The exception types: each says what happened, where, and the way out.

Every class derives from :class:`TapeError` and from the built-in that code written for another toolkit would catch.
"""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "BatchDecisionError",
    "BatchLoopWarning",
    "BatchMemoryError",
    "InPlaceError",
    "IndependenceError",
    "MissingRuleError",
    "NotDifferentiableError",
    "RuleError",
    "SeedError",
    "SeedTypeError",
    "SingularPointWarning",
    "StructureError",
    "TapeError",
    "TapeStateError",
    "TargetError",
    "TracedConversionError",
    "UnconnectedError",
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


class IndependenceError(TapeError, ValueError):
    """Elements of a batch that were said to be independent depend on each other."""


class UnconnectedError(TapeError, ValueError):
    """There is no path from a source to the targets, and that was to be an error."""


class MissingRuleError(TapeError, TypeError):
    """A derivative was asked through a function that has no rule."""


class RuleError(TapeError, ValueError):
    """A derivative rule returned something that does not fit its operand."""


class InPlaceError(TapeError, TypeError):
    """A write into an array would have cut or changed what the tape recorded."""


class BatchDecisionError(TracedConversionError):
    """Inside a batch tapeflow itself had to decide by values; `vmap` catches it, and goes through the batch."""


class BatchMemoryError(TapeError, MemoryError):
    """An array of a batch would exceed the memory set aside; Jacobians catch it, and make smaller batches.

    Attributes
    ----------
    fraction : float
        The part of the batch that would fit.
    """

    def __init__(self, fraction: float) -> None:
        super().__init__(f"a batch needs {1 / fraction:.3g} times the memory set aside for it")
        self.fraction = fraction


class BatchLoopWarning(UserWarning):
    """A function without a batching rule is evaluated element by element."""


class SingularPointWarning(RuntimeWarning):
    """A derivative does not exist at the point in question, and a subgradient was taken."""


def described(*values: object) -> str:
    """Shapes and dtypes, for a note on an exception."""
    return ", ".join(f"{getattr(v, 'shape', ())} {getattr(v, 'dtype', type(v).__name__)}" for v in values)


def name_of(function: object) -> str:
    """What messages call a function or a primitive."""
    return str(getattr(function, "__name__", None) or getattr(function, "name", None) or f"{function!r:.60}")


# ---- the texts that the core needs, each an exception ready to be raised


def traced_conversion(what: str, shape: tuple[int, ...]) -> TracedConversionError:
    """A traced value was about to become a plain one."""
    return TracedConversionError(
        f"{what} was called on a traced value of shape {shape}: the value is being recorded, and its derivative would be "
        "lost. Stay with NumPy functions (np.sin instead of math.sin, np.stack instead of np.array). To fill an array with "
        "traced values make it with np.zeros_like(x) or np.zeros(n, like=x) of a traced x. For a constant use x.numpy()"
    )


def uncopied(what: str, shape: tuple[int, ...]) -> TracedConversionError:
    """A traced value was about to be copied or pickled as an object."""
    return TracedConversionError(
        f"{what} (its shape: {shape}): use x.copy() for a value that stays on the tape, x.numpy() for a plain array"
    )


def batched_value(what: str, shape: tuple[int, ...], inside: bool) -> TracedConversionError:
    """A value of a batch was about to become a plain one, by the user or inside of tapeflow and NumPy."""
    return (BatchDecisionError if inside else TracedConversionError)(
        f"{what} was called inside vmap on a value of shape {shape} that stands for a whole batch, so there is no one "
        "plain value. Stay with NumPy functions (np.sin for math.sin, np.stack for np.array, tapeflow.numpy.take(a, i, 0) "
        "for a[i] of a plain array or list), or compute it outside vmap and pass it in (in_axes=None). To fill an array, "
        "make it inside, with np.zeros_like(x) or tapeflow.numpy.zeros"
    )


def batched_truth(shape: tuple[int, ...], inside: bool) -> TracedConversionError:
    """An ``if`` on a value of a batch, by the user or inside of tapeflow and NumPy."""
    return (BatchDecisionError if inside else TracedConversionError)(
        f"the truth of a value inside vmap (of shape {shape}) differs from element to element, so Python cannot branch on "
        "it. Compute both branches and choose with np.where(condition, a, b), in a loop of a fixed number of steps if it "
        "was a while, or write a loop instead of vmap"
    )


def warn_of_loop(text: str) -> None:
    """Warn of a batch that is gone through, at the first line outside of the libraries."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, BatchLoopWarning, stacklevel=level)


_INSIDE = {"tapeflow", "numpy", "scipy"}


def batched_empty(name: str) -> BatchDecisionError:
    """A function that is evaluated element by element, of a batch without elements."""
    return BatchDecisionError(f"vmap: {name} is evaluated for each element of a batch, which has none")


def batched_shapes(name: str, shapes: list[tuple[int, ...]], inside: bool) -> TapeError:
    """Results of a function differ from element to element of a batch, and so cannot be one."""
    return (BatchDecisionError if inside else StructureError)(
        f"vmap: what {name} gives differs in shape from element to element of the batch: "
        f"{', '.join(map(str, shapes))}. Pad the results to one shape, or write a loop instead of vmap; "
        "np.where(mask, x, 0) stands in for x[mask]"
    )


def written_out(name: str) -> InPlaceError:
    """A write into a plain array, by ``out=``, an operator such as ``+=``, or a function that writes."""
    return InPlaceError(
        f"{name} was asked to write a traced value into a plain array (out=, or an operator such as +=), where the "
        "derivative would be lost. Bind the result to a name instead (y = y + x), or make the array one that can hold "
        "traced values: np.zeros_like(x) or np.zeros(n, like=x) of a traced x"
    )


def written_across(shape: tuple[int, ...]) -> InPlaceError:
    """A write of a value of an inner level into an array of an outer one."""
    return InPlaceError(
        f"x[...] = value: the array (of shape {shape}) belongs to an outer derivative computation and the value to an "
        "inner one, which would leak out. Make the array inside the inner function, as with np.zeros_like of its argument"
    )


def written_read_only(kind: str) -> InPlaceError:
    """A write into a view that NumPy makes read-only."""
    return InPlaceError(f"assignment destination is read-only: it is a view made by np.{kind}; take a copy, x.copy()")


def undefined_elements(name: str) -> InPlaceError:
    """``ufunc(..., where=mask)`` without ``out``."""
    return InPlaceError(
        f"np.{name}(..., where=mask) leaves the other elements undefined; write np.where(mask, np.{name}(...), other)"
    )


def missing_rule(function: object) -> MissingRuleError:
    """A derivative through a function that has none."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", repr(function))
    module = getattr(function, "__module__", None)  # ufuncs have none
    full = f"{module}.{name}" if module else name
    return MissingRuleError(
        f"{full} has no derivative rule. Write it with functions that have one, or give it a rule: @tapeflow.primitive for "
        "a function of arrays, tapeflow.wrap for foreign code; stop_gradient makes its arguments constants"
    )
