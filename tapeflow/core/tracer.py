"""What every traced value can do: NumPy's operators, methods, attributes and protocols.

Everything here goes through NumPy's own functions, so it works at every level; the recording and forward classes put
faster operators over these where it pays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from operator import index
from typing import Any, NoReturn

import numpy as np

from tapeflow import errors, pytree
from tapeflow.backends import backend_for
from tapeflow.core.primitive import CREATORS, FUNCTIONS, Traced, implementation

__all__ = [
    "BINARY_OPERATORS",
    "UFUNC_METHODS",
    "UNARY_OPERATORS",
    "Tracer",
    "anywhere",
    "call_unwrapped",
    "is_operand",
    "plain",
    "settled",
]

BINARY_OPERATORS: dict[Any, str] = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.true_divide: "truediv",
    np.floor_divide: "floordiv",
    np.remainder: "mod",
    np.power: "pow",
    np.divmod: "divmod",
    np.matmul: "matmul",
}
UNARY_OPERATORS: dict[Any, str] = {np.negative: "neg", np.positive: "pos", np.absolute: "abs"}
COMPARISONS: dict[Any, str] = {
    np.less: "lt",
    np.less_equal: "le",
    np.equal: "eq",
    np.not_equal: "ne",
    np.greater_equal: "ge",
    np.greater: "gt",
}
# Methods that are NumPy's function of the same name with the array first.
METHODS = (
    "all any argmax argmin argsort clip conj conjugate cumprod cumsum diagonal dot max mean min nonzero prod "
    "ravel repeat round searchsorted squeeze std sum swapaxes take trace var"
).split()
IN_PLACE_METHODS = "fill partition put resize setfield setflags sort".split()
# Ways to a Python scalar: open once no tape follows the value.
LEAVING: dict[str, tuple[Callable[..., Any], str]] = {
    "__float__": (float, "float(x) (or a function of the math module)"),
    "__int__": (int, "int(x)"),
    "__complex__": (complex, "complex(x)"),
    "__index__": (index, "operator.index(x)"),
    "item": (lambda x, *args: x.item(*args), "x.item()"),
    "tolist": (lambda x: x.tolist(), "x.tolist()"),
}
COPYING = {
    "__reduce_ex__": "a traced value cannot be pickled, since it lives with its tape",
    "__copy__": "copy.copy of a traced value",
    "__deepcopy__": "copy.deepcopy of a traced value",
}


def plain(value: Any) -> Any:
    """The value without its derivatives: a plain array, or inside a batch a batch of them."""
    return value._untracked() if isinstance(value, Tracer) else value


def settled(value: Any) -> Any:
    """The plain array behind all levels, for a decision; there is none inside a batch, whose elements may differ."""
    value = plain(value)
    return value.numpy() if isinstance(value, Tracer) else value


def anywhere(mask: Any) -> bool:
    """Whether any element of a mask is true, of any element of a batch: for decisions that are safe for all."""
    while isinstance(mask, Tracer):
        mask = mask._value
    return bool(np.any(mask))


class Tracer(Traced):
    """Base of all traced values."""

    __slots__ = ()
    __array_priority__ = 1000.0

    _value: Any  # what the handle holds: a plain array or a traced value of an outer level

    # What core/writes.py asks of a level that can be written to.
    _twin: Callable[[], Any]  # another handle of the same value
    _drop: Callable[[], None]  # forget the value, which is stale
    _become: Callable[[Any], None]  # take the value of another handle
    _watched: Callable[[], Any]  # the entry of a watched value, else None
    _derive: Callable[[Any, Any], None]  # become a view of another handle, by a step
    _write: Callable[[Any, Any, Any], None]  # assign, through steps, at an index, a value

    # ---- what a level provides

    @property
    def _live(self) -> bool:
        """Whether something would be lost if the value left its level now."""
        raise NotImplementedError

    @property
    def _open(self) -> bool:
        """Whether the block of its level is still running."""
        raise NotImplementedError

    def _lift(self, value: Any) -> Any:
        """Make a constant of this level out of a value of an outer one."""
        raise NotImplementedError

    def _unknown(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function that has no rule."""
        raise NotImplementedError

    def _state(self) -> str:
        raise NotImplementedError

    def _untracked(self) -> Any:
        value = self._value
        return value._untracked() if isinstance(value, Tracer) else value

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Evaluate a NumPy ufunc, or one of its methods, on traced values."""
        if method != "at" and not all(map(is_operand, inputs)):
            return NotImplemented  # the other kind of array gets its chance
        out = kwargs.pop("out", None)
        if out is not None and any(y is not None for y in out):
            return UFUNC_METHODS[None, "out"](out, ufunc, method, inputs, kwargs)
        if method == "__call__":
            ours = implementation(ufunc)
            if ours is not None:
                return ours(*inputs, **kwargs)
            return self._unknown(ufunc, inputs, kwargs)
        ours = UFUNC_METHODS.get((ufunc, method)) or UFUNC_METHODS.get((None, method))
        if ours is None:
            return self._unknown(getattr(ufunc, method), inputs, kwargs)
        return ours(ufunc, *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Evaluate a NumPy function on traced values."""
        if "out" in kwargs or len(args) > 2:
            args, kwargs, out = _split_out(function, args, kwargs)
            if out is not None:
                return FUNCTIONS["out"](out, function, args, kwargs)
        ours = FUNCTIONS.get(function)
        if ours is None:
            return self._unknown(function, args, kwargs)
        if function in CREATORS:
            return ours(*args, like=self, **kwargs)
        return ours(*args, **kwargs)

    # No __array__ while a value is live would be wanted; Python has no such thing, so it raises.
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the plain array of a value that no tape follows any more."""
        self._guard("np.asarray(x), or a function that converts its argument,")
        # Always a copy, whatever `copy` says: the buffer may be one that a tape keeps.
        return np.array(plain(self), dtype=dtype)

    # ---- leaving the tape

    def _guard(self, what: str) -> None:
        if self._live:
            raise errors.traced_conversion(what, self.shape)
        held = self._value
        if isinstance(held, Tracer):
            held._guard(what)

    def numpy(self) -> np.ndarray:
        """Return a copy of the plain values on the host; a constant as far as any tape is concerned."""
        value = plain(self)
        if isinstance(value, Tracer):
            return value.numpy()  # inside a batch, where it refuses
        backend = backend_for(value)
        return np.array(value) if backend is None else backend.to_host(value)

    # ---- plain answers, so that Python's control flow works

    def __bool__(self) -> bool:
        return bool(plain(self))

    def __len__(self) -> int:
        return len(plain(self))

    def __contains__(self, item: Any) -> bool:
        return plain(item) in plain(self)

    def __format__(self, spec: str) -> str:
        return format(plain(self), spec) if spec else str(self)

    def __str__(self) -> str:
        return str(plain(self))

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(plain(self)), prefix=f"{type(self).__name__}(", threshold=20)
        return f"{type(self).__name__}({body}, dtype={self.dtype}, level={self._level}, {self._state()})"

    # ---- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._value.shape

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._value.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._value.size

    @property
    def T(self) -> Any:
        """The array with its axes reversed."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The array with its last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Any:
        """Real part."""
        return np.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        """Imaginary part."""
        return np.imag(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("cannot set imaginary part of a real array")
        self.imag[...] = value

    @property
    def flat(self) -> Any:
        """The elements in C order, to iterate over, select from and write to."""
        return FUNCTIONS[np.ndarray.flat](self)

    # ---- methods whose signature differs from the function's

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Convert to another dtype; towards integers the derivative ends."""
        return FUNCTIONS[np.ndarray.astype](self, dtype, *args, **kwargs)

    def copy(self, order: str = "C") -> Any:
        """Return a new traced value that is equal to this one."""
        return np.copy(self, order=order)  # type: ignore[call-overload]

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Give the elements another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)  # type: ignore[call-overload]

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes."""
        if not axes or axes == (None,):
            return np.transpose(self)
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)

    def flatten(self, order: str = "C") -> Any:
        """Return a copy with the elements on one axis."""
        return np.ravel(self, order=order).copy()  # type: ignore[call-overload]

    def __getitem__(self, index: Any) -> Any:
        return FUNCTIONS[np.ndarray.__getitem__](self, index)

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    # ---- writes

    def __setitem__(self, index: Any, value: Any) -> None:
        FUNCTIONS[np.ndarray.__setitem__](self, index, value)


@cache
def _place_of_out(function: Any) -> int | None:
    """Where among the positional arguments of a NumPy function ``out`` stands."""
    try:
        parameters = signature(function).parameters
    except ValueError:  # functions written in C have none in older versions of NumPy
        return {"dot": 2, "concatenate": 2}.get(function.__name__)
    positional = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional.index("out") if "out" in positional else None


def _split_out(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
    """Take ``out`` out of the arguments, however it was given."""
    place = _place_of_out(function)
    if place is not None and len(args) > place:
        return (*args[:place], None, *args[place + 1 :]), kwargs, args[place]
    return args, {k: v for k, v in kwargs.items() if k != "out"}, kwargs.get("out")


def call_unwrapped(function: Callable[..., Any], args: Any, kwargs: Any, unwrap: Callable[[Any], Any]) -> Any:
    """Call a function on what the handles in its arguments hold, however deep they stand in lists and dicts."""
    args, kwargs = pytree.map_leaves(unwrap, (args, dict(kwargs)))
    return function(*args, **kwargs)


# What `ufunc.reduce` and the like do for traced arguments: (ufunc or None for any, method) -> function(ufunc, ...).
UFUNC_METHODS: dict[tuple[Any, str], Callable[..., Any]] = {}


def _install() -> None:
    """Give Tracer its operators and simple methods, each a call of NumPy's function."""

    def binary(ufunc: Any, swapped: bool) -> Callable[[Any, Any], Any]:
        def operator(self: Any, other: Any) -> Any:
            if not is_operand(other):
                return NotImplemented
            return ufunc(other, self) if swapped else ufunc(self, other)

        return operator

    for ufunc, name in (BINARY_OPERATORS | COMPARISONS).items():
        setattr(Tracer, f"__{name}__", binary(ufunc, swapped=False))
    for ufunc, name in BINARY_OPERATORS.items():
        setattr(Tracer, f"__r{name}__", binary(ufunc, swapped=True))
    for ufunc, name in UNARY_OPERATORS.items():
        setattr(Tracer, f"__{name}__", lambda self, _f=ufunc: _f(self))
    for name in METHODS:
        setattr(Tracer, name, _method(getattr(np, name)))
    for name in IN_PLACE_METHODS:
        setattr(Tracer, name, _registered(name))
    for name, (convert, what) in LEAVING.items():
        setattr(Tracer, name, _leaving(convert, what))
    for name, what in COPYING.items():
        setattr(Tracer, name, _uncopied(what))
    Tracer.__hash__ = None  # type: ignore[assignment]  # as arrays: == compares elements


def is_operand(other: Any) -> bool:
    """Whether an operand is of a kind that we compute with; others get their chance by NotImplemented."""
    return isinstance(other, (Traced, int, float, complex, list, tuple)) or backend_for(other) is not None


def _method(function: Any) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"Call ``np.{function.__name__}`` with this array as the first argument."
    return method


def _leaving(convert: Callable[..., Any], what: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        self._guard(what)
        return convert(plain(self), *args)

    return method


def _uncopied(what: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> NoReturn:
        raise errors.uncopied(what, self.shape)

    return method


def _registered(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[getattr(np.ndarray, name)](self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Change the array in place, as ``ndarray.{name}`` does."
    return method


_install()
