"""Mutable containers of arrays that tapes watch by themselves."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from tapeflow.backends import backend_for
from tapeflow.core import stack
from tapeflow.core.primitive import Primitive, bind
from tapeflow.core.tracer import Tracer, plain
from tapeflow.errors import InPlaceError, SeedError, missing_rule

__all__ = ["Variable"]

INNERMOST = 1 << 62  # above every level: a variable in an expression is read before anything else happens


class Variable(Tracer):
    """A named array whose value can be replaced, and which active tapes watch when it is read.

    Every use in an expression is a read. Assignment replaces the array and never changes what was recorded; it is not
    differentiated itself.

    Parameters
    ----------
    value : array_like
        Initial value, copied.
    trainable : bool
        Whether tapes watch it by themselves.
    name : str, optional
        For messages and for `GradientTape.watched_variables`.
    dtype : dtype, optional
        Converts the value.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import GradientTape, Variable
    >>> w = Variable(np.array([1.0, 2.0]), name="w")
    >>> with GradientTape() as tape:
    ...     loss = np.sum(w**2)
    >>> w.assign_sub(0.1 * tape.gradient(loss, w))
    >>> w.numpy()
    array([0.8, 1.6])
    """

    __slots__ = ("__weakref__", "_value", "name", "trainable")

    def __init__(self, value: Any, trainable: bool = True, name: str | None = None, dtype: Any = None) -> None:
        self._value = _frozen(value, dtype)
        self.trainable = trainable
        self.name = name

    # ---- as a traced value

    @property
    def _level(self) -> int:
        return INNERMOST

    @property
    def _live(self) -> bool:
        return isinstance(self.read(), Tracer)

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return bind(primitive, tuple(a.read() if isinstance(a, Variable) else a for a in args), params)

    def _lift(self, value: Any) -> Any:
        return value

    def _unknown(self, function: Any, args: Any, kwargs: Any) -> Any:
        value = self.read()
        if isinstance(value, Tracer):
            raise missing_rule(function)
        return function(*(plain(a) for a in args), **kwargs)

    def _state(self) -> str:
        return f"name={self.name!r}, trainable={self.trainable}"

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(self._value), prefix="Variable(", threshold=20)
        return f"Variable({body}, dtype={self.dtype}, {self._state()})"

    # ---- reading and writing

    def read(self) -> Any:
        """Return the value as a new traced value of every active recorder that watches it, or the plain array.

        Returns
        -------
        traced value, or array
            The plain array is read-only.
        """
        value = self._value
        for recorder in sorted(stack.active(), key=lambda r: r.level):
            value = recorder.read(self, value)
        return value

    def numpy(self) -> np.ndarray:
        """Return a copy of the value, which no tape follows."""
        value = self._value
        backend = backend_for(value)
        return np.array(value) if backend is None else backend.to_host(value)

    def assign(self, value: Any) -> None:
        """Replace the value.

        Parameters
        ----------
        value : array_like
            Of the variable's shape; converted to its dtype. The derivative of a traced value is dropped.

        Raises
        ------
        SeedError
            If the shape differs.
        """
        new = _frozen(value, self.dtype)
        if new.shape != self.shape:
            raise SeedError(f"assign: shape {new.shape} does not fit the variable of shape {self.shape}")
        self._value = new

    def assign_add(self, delta: Any) -> None:
        """Add to the value; see `assign`."""
        self.assign(self._value + plain(delta))

    def assign_sub(self, delta: Any) -> None:
        """Subtract from the value; see `assign`."""
        self.assign(self._value - plain(delta))

    def _refuse(self, other: Any) -> NoReturn:
        raise InPlaceError(
            "a Variable is not written in place, since its name would be bound to a traced value; use v.assign_add(x), "
            "v.assign_sub(x) or v.assign(...)"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __ifloordiv__ = __imod__ = __imatmul__ = _refuse

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._refuse(value)

    # Unlike handles, variables are data: models are copied and saved.
    def __reduce_ex__(self, protocol: Any) -> Any:
        return Variable, (np.array(self._value), self.trainable, self.name)

    def __copy__(self) -> Variable:
        return Variable(self._value, self.trainable, self.name)

    def __deepcopy__(self, memo: Any) -> Variable:
        del memo
        return self.__copy__()


def _frozen(value: Any, dtype: Any) -> Any:
    """A private read-only copy, so that neither the caller nor a reader can change what tapes have recorded."""
    backend = backend_for(plain(value))
    new = (np.array if backend is None else backend.xp.array)(plain(value), dtype=dtype)
    if isinstance(new, np.ndarray):
        new.flags.writeable = False
    return new
