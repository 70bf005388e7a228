"""Which class every public function of NumPy belongs to.

For a function that tapeflow implements the class follows from the registry and the table of cases. Typed here are only
the functions that no traced value has to reach: constructors, and what is not about arrays.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from cases import CASES

import tapeflow.ops  # noqa: F401  registers everything
from tapeflow.core.primitive import FUNCTIONS, Primitive
from tapeflow.core.rules import call_plainly

for _file in sorted(Path(__file__).parent.glob("cases_*.py")):
    importlib.import_module(_file.stem)  # adds the rows of a family

__all__ = [
    "CONSTRUCTORS",
    "GONE",
    "NEWEST",
    "NOT_ABOUT_ARRAYS",
    "classes",
    "plain_reason",
    "primitives",
    "public_functions",
]

NAMESPACES = ("numpy", "numpy.linalg", "numpy.fft")
NEWEST = (2, 4)  # the NumPy for which the lists are complete; older ones lack some of the names

# Arrays made of shapes, numbers, files or plain objects. Some are registered, and have rows, where they take an array for
# its shape or traced numbers; they are made of other functions and have no primitive.
CONSTRUCTORS = frozenset(
    """
    arange array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray asmatrix bartlett blackman bmat
    diag_indices empty empty_like eye frombuffer from_dlpack fromfile fromfunction fromiter fromregex
    fromstring full genfromtxt hamming hanning identity indices kaiser load loadtxt mask_indices ones ones_like tri
    tril_indices triu_indices zeros zeros_like fft.fftfreq fft.rfftfreq
    """.split()
)
# Types, shapes, storage, calendars, formats, files and settings.
NOT_ABOUT_ARRAYS = frozenset(
    """
    base_repr binary_repr broadcast_shapes busday_count busday_offset datetime_as_string datetime_data
    format_float_positional format_float_scientific frompyfunc get_include get_printoptions getbufsize geterr
    geterrcall info is_busday isdtype isfortran isscalar issubdtype iterable mintypecode nested_iters printoptions
    promote_types save savetxt savez savez_compressed set_printoptions setbufsize seterr seterrcall show_config
    show_runtime test typename fft.test linalg.test
    """.split()
)
# Names that some NumPy since 2.0 has had and a newer one has lost or is about to: they warn, and call their successor.
GONE = {"in1d": "isin", "row_stack": "vstack", "trapz": "trapezoid"}


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every public callable that is no type, by its name below ``numpy``."""
    return {
        f"{namespace}.{name}".removeprefix("numpy."): function
        for namespace in NAMESPACES
        for name, function in members(importlib.import_module(namespace))
    }


def members(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions of a namespace."""
    for name in sorted({*dir(module), *getattr(module, "__all__", ())}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some names warn when they are read
            value = None if name.startswith("_") else getattr(module, name, None)
        if callable(value) and not isinstance(value, type):
            yield name, value


def plain_reason(function: Any) -> str | None:
    """Why a registered function gives plain values, or None if it does not."""
    ours = FUNCTIONS.get(function)
    return ours.args[0].reason if isinstance(ours, partial) and ours.func is call_plainly else None


def primitives(function: Any) -> list[Primitive]:
    """The primitives that a registered function calls itself, not through another registered one; a composite has none."""
    registered = {id(f) for f in FUNCTIONS.values()}
    found: dict[int, Primitive] = {}
    todo, seen = [FUNCTIONS[function]], set()
    while todo:
        value = todo.pop()
        if isinstance(value, Primitive):
            found[id(value)] = value
        elif id(value) not in seen and (not seen or id(value) not in registered):
            seen.add(id(value))
            todo += mentioned(value)
    return list(found.values())


def mentioned(value: Any) -> Iterator[Any]:
    """What a function of ours refers to."""
    if isinstance(value, partial):
        yield from value.args
    if not isinstance(value, FunctionType) or not value.__module__.startswith("tapeflow.ops"):
        return
    if value.__module__ == "tapeflow.ops.assembly":  # which joins lists for everybody
        return
    yield from (cell.cell_contents for cell in value.__closure__ or ())
    yield from value.__defaults__ or ()
    yield from (value.__kwdefaults__ or {}).values()
    yield from (value.__globals__[n] for n in names_in(value.__code__) if n in value.__globals__)


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def classes(name: str, function: Any) -> list[str]:
    """The classes to which a function belongs; there should be exactly one."""
    found = [
        label
        for label, listed in (
            ("constructor", CONSTRUCTORS),
            ("not about arrays", NOT_ABOUT_ARRAYS),
            ("gone", GONE),
        )
        if name in listed
    ]
    if plain_reason(function) is not None:
        return [*found, "non-differentiable"]
    if function not in FUNCTIONS:
        return found
    if primitives(function):
        return [*found, "differentiable"]
    return found if found == ["constructor"] or (found and not has_row(function)) else [*found, "composite"]


def has_row(function: Any) -> bool:
    return any(c.function is function for c in CASES)
