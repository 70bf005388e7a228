"""Conformance with the array API standard, version 2024.12, function by function, and that every function keeps track.

Signatures are the standard's, written down from https://data-apis.org/array-api/2024.12/API_specification/.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy._lib.array_api_compat import numpy as reference  # an implementation that is not ours

import tapeflow.numpy as tnp
from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError, TracedConversionError
from tapeflow.numpy import array_api as xp

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
CONSTANTS = {"e": np.e, "inf": np.inf, "nan": np.nan, "newaxis": None, "pi": np.pi}
UNARY = (
    "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor isfinite isinf isnan log "
    "log1p log2 log10 logical_not negative positive real reciprocal round sign signbit sin sinh square sqrt tan tanh trunc"
).split()
BINARY = (
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal "
    "floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum minimum "
    "multiply nextafter not_equal pow remainder subtract"
).split()
SIGNATURES = [
    *(f"{name}(x, /)" for name in UNARY),
    *(f"{name}(x1, x2, /)" for name in BINARY),
    "clip(x, /, min=None, max=None)",
    # creation
    "arange(start, /, stop=None, step=1, *, dtype=None, device=None)",
    "asarray(obj, /, *, dtype=None, device=None, copy=None)",
    "empty(shape, *, dtype=None, device=None)",
    "empty_like(x, /, *, dtype=None, device=None)",
    "eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)",
    "from_dlpack(x, /, *, device=None, copy=None)",
    "full(shape, fill_value, *, dtype=None, device=None)",
    "full_like(x, /, fill_value, *, dtype=None, device=None)",
    "linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)",
    "meshgrid(*arrays, indexing='xy')",
    "ones(shape, *, dtype=None, device=None)",
    "ones_like(x, /, *, dtype=None, device=None)",
    "tril(x, /, *, k=0)",
    "triu(x, /, *, k=0)",
    "zeros(shape, *, dtype=None, device=None)",
    "zeros_like(x, /, *, dtype=None, device=None)",
    # data types
    "astype(x, dtype, /, *, copy=True, device=None)",
    "can_cast(from_, to, /)",
    "finfo(type, /)",
    "iinfo(type, /)",
    "isdtype(dtype, kind)",
    "result_type(*arrays_and_dtypes)",
    "__array_namespace_info__()",
    # indexing
    "take(x, indices, /, *, axis=None)",
    "take_along_axis(x, indices, /, *, axis=-1)",
    # products
    "matmul(x1, x2, /)",
    "matrix_transpose(x, /)",
    "tensordot(x1, x2, /, *, axes=2)",
    "vecdot(x1, x2, /, *, axis=-1)",
    # manipulation
    "broadcast_arrays(*arrays)",
    "broadcast_to(x, /, shape)",
    "concat(arrays, /, *, axis=0)",
    "expand_dims(x, /, *, axis=0)",
    "flip(x, /, *, axis=None)",
    "moveaxis(x, source, destination, /)",
    "permute_dims(x, /, axes)",
    "repeat(x, repeats, /, *, axis=None)",
    "reshape(x, /, shape, *, copy=None)",
    "roll(x, /, shift, *, axis=None)",
    "squeeze(x, /, axis)",
    "stack(arrays, /, *, axis=0)",
    "tile(x, repetitions, /)",
    "unstack(x, /, *, axis=0)",
    # searching, sets, sorting
    "argmax(x, /, *, axis=None, keepdims=False)",
    "argmin(x, /, *, axis=None, keepdims=False)",
    "count_nonzero(x, /, *, axis=None, keepdims=False)",
    "nonzero(x, /)",
    "searchsorted(x1, x2, /, *, side='left', sorter=None)",
    "where(condition, x1, x2, /)",
    "unique_all(x, /)",
    "unique_counts(x, /)",
    "unique_inverse(x, /)",
    "unique_values(x, /)",
    "argsort(x, /, *, axis=-1, descending=False, stable=True)",
    "sort(x, /, *, axis=-1, descending=False, stable=True)",
    # statistics and utilities
    "cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)",
    "cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)",
    "max(x, /, *, axis=None, keepdims=False)",
    "mean(x, /, *, axis=None, keepdims=False)",
    "min(x, /, *, axis=None, keepdims=False)",
    "prod(x, /, *, axis=None, dtype=None, keepdims=False)",
    "std(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "sum(x, /, *, axis=None, dtype=None, keepdims=False)",
    "var(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "all(x, /, *, axis=None, keepdims=False)",
    "any(x, /, *, axis=None, keepdims=False)",
    "diff(x, /, *, axis=-1, n=1, prepend=None, append=None)",
    # extensions
    "linalg.cholesky(x, /, *, upper=False)",
    "linalg.cross(x1, x2, /, *, axis=-1)",
    "linalg.det(x, /)",
    "linalg.diagonal(x, /, *, offset=0)",
    "linalg.eigh(x, /)",
    "linalg.eigvalsh(x, /)",
    "linalg.inv(x, /)",
    "linalg.matmul(x1, x2, /)",
    "linalg.matrix_norm(x, /, *, keepdims=False, ord='fro')",
    "linalg.matrix_power(x, n, /)",
    "linalg.matrix_rank(x, /, *, rtol=None)",
    "linalg.matrix_transpose(x, /)",
    "linalg.outer(x1, x2, /)",
    "linalg.pinv(x, /, *, rtol=None)",
    "linalg.qr(x, /, *, mode='reduced')",
    "linalg.slogdet(x, /)",
    "linalg.solve(x1, x2, /)",
    "linalg.svd(x, /, *, full_matrices=True)",
    "linalg.svdvals(x, /)",
    "linalg.tensordot(x1, x2, /, *, axes=2)",
    "linalg.trace(x, /, *, offset=0, dtype=None)",
    "linalg.vecdot(x1, x2, /, *, axis=-1)",
    "linalg.vector_norm(x, /, *, axis=None, keepdims=False, ord=2)",
    *(f"fft.{name}(x, /, *, n=None, axis=-1, norm='backward')" for name in "fft ifft rfft irfft hfft ihfft".split()),
    *(f"fft.{name}(x, /, *, s=None, axes=None, norm='backward')" for name in "fftn ifftn rfftn irfftn".split()),
    "fft.fftfreq(n, /, *, d=1.0, dtype=None, device=None)",
    "fft.rfftfreq(n, /, *, d=1.0, dtype=None, device=None)",
    "fft.fftshift(x, /, *, axes=None)",
    "fft.ifftshift(x, /, *, axes=None)",
]


def found(namespace: Any, name: str) -> Any:
    for part in name.split("."):
        namespace = getattr(namespace, part)
    return namespace


def signature_of(text: str) -> tuple[str, inspect.Signature]:
    name, parameters = text.split("(", 1)
    scope: dict[str, Any] = {}
    exec(f"def function({parameters}: ...", scope)
    return name, inspect.signature(scope["function"])


@pytest.mark.parametrize("text", SIGNATURES, ids=lambda t: t.split("(")[0])
def test_function_exists_with_the_standards_signature(text: str) -> None:
    name, standard = signature_of(text)
    function = found(xp, name)
    try:
        ours = inspect.signature(function)
    except ValueError:  # ufuncs have none before NumPy 2.4
        assert isinstance(function, np.ufunc)
        return
    ours.bind(*calls_by_position(standard))
    parameters = standard.parameters.values()
    first = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    named = {p.name: p.default for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    ours.bind(*first, **named)
    for parameter, default in named.items():
        assert default is inspect.Parameter.empty or ours.parameters[parameter].default == default


def calls_by_position(standard: inspect.Signature) -> list[str]:
    parameters = standard.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return ["a", "b", "c"]
    return [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]


def test_constants_and_dtypes() -> None:
    for name, value in CONSTANTS.items():
        assert getattr(xp, name) is value or getattr(xp, name) == value or value != value
    for name in DTYPES:
        assert getattr(xp, name) == np.dtype(name)
    assert xp.__array_api_version__ == "2024.12"
    assert set(xp.__all__) >= {t.split("(")[0].split(".")[0] for t in SIGNATURES} | set(DTYPES) | set(CONSTANTS)


# ---- values and derivatives

RNG = np.random.default_rng(3)
V = RNG.uniform(0.5, 1.5, 5)
W = RNG.uniform(0.5, 1.5, 5)
SMALL = RNG.uniform(-0.8, 0.8, 5)
LARGE = RNG.uniform(1.5, 2.5, 5)
M = RNG.uniform(0.5, 1.5, (3, 4))
N = RNG.uniform(0.5, 1.5, (3, 4))
C = RNG.uniform(0.5, 1.5, (3, 4)) * np.exp(1j * RNG.uniform(-2, 2, (3, 4)))
SQUARE = RNG.uniform(-1, 1, (3, 3)) + 3 * np.eye(3)
SPD = SQUARE @ SQUARE.T + np.diag([0.0, 1.0, 2.0])
X3 = RNG.uniform(-1, 1, (2, 3))
BITS = np.array([1, 6, 3])

# Functions that the standard has got since 2022.12, which is all that the implementation within an older SciPy knows.
LATER = {"clip", "cumulative_prod", "cumulative_sum", "unstack"}

Row = tuple[str, Callable[..., Any], tuple[np.ndarray, ...]]
ROWS: list[Row] = []


def row(name: str, call: Callable[..., Any], *args: Any) -> None:
    ROWS.append((name, call, args))


def direct(names: str, *args: Any) -> None:
    """Functions that are called on their arguments alone."""
    for name in names.split():
        row(name, lambda xp, *a, name=name: found(xp, name)(*a), *args)


direct("abs asinh atan ceil conj cos cosh exp expm1 floor isfinite isinf isnan log log1p log2 log10 logical_not", V)
direct("negative positive real reciprocal round sign signbit sin sinh square sqrt tan tanh trunc", V)
direct("acos asin atanh", SMALL)
direct("acosh", LARGE)
direct("abs conj exp imag log negative real reciprocal sign sin sqrt square tan tanh", C)
direct("bitwise_invert ceil floor trunc round", BITS)
direct("add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp", V, W)
direct("logical_and logical_or logical_xor maximum minimum multiply not_equal pow remainder subtract", V, W)
direct("nextafter", V, W)
direct("bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor", BITS, BITS)
row("add", lambda xp, x: xp.add(x, 2.0), V)
row("clip", lambda xp, x: xp.clip(x, 0.8, 1.2), M)
row("clip", lambda xp, x, y: xp.clip(x, min=y), M, N)
row("clip", lambda xp, x: xp.clip(x), M)
row("arange", lambda xp, x: xp.arange(x[0], 3.0, x[1]), V)
row("arange", lambda xp, x: xp.arange(4) * x[0], V)
row("arange", lambda xp, x: xp.arange(1.0, 3.0, 0.5, dtype=xp.float64) * x[0], V)
row("asarray", lambda xp, x: xp.asarray(x), V)
row("asarray", lambda xp, x: xp.asarray(x, copy=True), V)
row("empty", lambda xp, x: xp.empty((2, 3)).shape[0] * x, V)
row("empty_like", lambda xp, x: xp.empty_like(x, dtype=xp.float32).shape[0] * x, V)
row("eye", lambda xp, x: xp.eye(3, 4, k=1) * x, M)
row("full", lambda xp, x: xp.full((2, 3), 2.0) * x[0], V)
row("full_like", lambda xp, x: xp.full_like(x, 2.0) * x, V)
row("linspace", lambda xp, x: xp.linspace(x[0], x[1], 5), V)
row("linspace", lambda xp, x: xp.linspace(x[0], x[1], num=5, endpoint=False), V)
row("meshgrid", lambda xp, x, y: xp.meshgrid(x, y), V[:2], W[:3])
row("meshgrid", lambda xp, x, y: xp.meshgrid(x, y, indexing="ij"), V[:2], W[:3])
row("ones", lambda xp, x: xp.ones(3) * x[0], V)
row("ones_like", lambda xp, x: xp.ones_like(x) * x, V)
row("zeros", lambda xp, x: xp.zeros((2, 5)) + x, V)
row("zeros_like", lambda xp, x: xp.zeros_like(x) + x, V)
row("tril", lambda xp, x: xp.tril(x), M)
row("triu", lambda xp, x: xp.triu(x, k=1), M)
row("astype", lambda xp, x: xp.astype(x, xp.complex128), V)
row("astype", lambda xp, x: xp.astype(x, xp.float64, copy=False), V)
row("take", lambda xp, x: xp.take(x, np.array([2, 0, 2]), axis=1), M)
row("take", lambda xp, x: xp.take(x, np.array([2, 0, 2])), V)
row("take_along_axis", lambda xp, x: xp.take_along_axis(x, np.array([[2, 0], [1, 1], [3, 0]]), axis=1), M)
direct("matmul", M, N.T)
direct("matrix_transpose", M)
row("tensordot", lambda xp, x, y: xp.tensordot(x, y), M, N)
row("tensordot", lambda xp, x, y: xp.tensordot(x, y, axes=((0,), (0,))), M, N)
row("vecdot", lambda xp, x, y: xp.vecdot(x, y), M, N)
row("vecdot", lambda xp, x, y: xp.vecdot(x, y, axis=0), C, C * 1j)
row("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y), M, V[:4])
row("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 5)), V)
row("concat", lambda xp, x, y: xp.concat((x, y), axis=1), M, N)
row("concat", lambda xp, x, y: xp.concat([x, y], axis=None), M, V)
row("expand_dims", lambda xp, x: xp.expand_dims(x, axis=-1), V)
row("flip", lambda xp, x: xp.flip(x), M)
row("flip", lambda xp, x: xp.flip(x, axis=1), M)
row("moveaxis", lambda xp, x: xp.moveaxis(x, 0, 1), M)
row("permute_dims", lambda xp, x: xp.permute_dims(x, (1, 0)), M)
row("repeat", lambda xp, x: xp.repeat(x, 2, axis=0), M)
row("repeat", lambda xp, x: xp.repeat(x, xp.asarray([1, 0, 2]), axis=0), M)
row("reshape", lambda xp, x: xp.reshape(x, (2, -1)), M)
row("reshape", lambda xp, x: xp.reshape(x, (12,), copy=True), M)
row("roll", lambda xp, x: xp.roll(x, 1), M)
row("roll", lambda xp, x: xp.roll(x, (1, -1), axis=(0, 1)), M)
row("squeeze", lambda xp, x: xp.squeeze(x, 0), M[:1])
row("stack", lambda xp, x, y: xp.stack([x, y], axis=-1), M, N)
row("tile", lambda xp, x: xp.tile(x, (2, 1)), M)
row("unstack", lambda xp, x: xp.unstack(x), M)
row("unstack", lambda xp, x: xp.unstack(x, axis=-1), M)
for _name in "argmax argmin count_nonzero all any max min mean prod sum std var".split():
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x), M)
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=1, keepdims=True), M)
for _name in "mean prod sum std var".split():
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=(0, 1)), C)
for _name in ("sum", "prod"):
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=0, dtype=xp.complex128), M)
for _name in ("std", "var"):
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=0, correction=1), M)
row("nonzero", lambda xp, x: xp.nonzero(x), M)
row("searchsorted", lambda xp, x, y: xp.searchsorted(xp.sort(x), y, side="right"), V, W)
row("searchsorted", lambda xp, x, y: xp.searchsorted(x, y, sorter=xp.argsort(x)), V, W)
row("where", lambda xp, x, y: xp.where(x > y, x, y), M, N)
row("where", lambda xp, x: xp.where(x > 1, x, 0.0), M)
direct("unique_all unique_counts unique_inverse unique_values", np.array([2.0, 0.5, 1.5, 1.0]))
direct("unique_all unique_counts unique_inverse unique_values", np.array([2, 1, 2, 3]))
for _options in ({}, {"descending": True}, {"axis": 0, "descending": True, "stable": False}):
    row("argsort", lambda xp, x, o=_options: xp.argsort(x, **{**o, "stable": True}), M)
    row("sort", lambda xp, x, o=_options: xp.sort(x, **o), M)
row("argsort", lambda xp, x: xp.argsort(x, descending=True), np.array([1.0, 2.0, 1.0, 2.0]))
for _name in ("cumulative_sum", "cumulative_prod"):
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x), V)
    row(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=1, include_initial=True), M)
row("diff", lambda xp, x: xp.diff(x), M)
row("diff", lambda xp, x: xp.diff(x, axis=0, n=2), M)
row("diff", lambda xp, x, y: xp.diff(x, prepend=y, append=y), V, W[:1])
row("linalg.cholesky", lambda xp, x: xp.linalg.cholesky(x + xp.matrix_transpose(x)), SPD)
row("linalg.cholesky", lambda xp, x: xp.linalg.cholesky(x + xp.matrix_transpose(x), upper=True), SPD)
row("linalg.cross", lambda xp, x, y: xp.linalg.cross(x, y), X3, X3[::-1])
row("linalg.diagonal", lambda xp, x: xp.linalg.diagonal(x, offset=1), M)
row("linalg.eigh", lambda xp, x: xp.linalg.eigh(x + xp.matrix_transpose(x)), SPD)
row("linalg.eigvalsh", lambda xp, x: xp.linalg.eigvalsh(x + xp.matrix_transpose(x)), SPD)
direct("linalg.det linalg.inv linalg.slogdet linalg.svdvals", SQUARE)
direct("linalg.matmul linalg.solve", SQUARE, SPD)
row("linalg.matrix_norm", lambda xp, x: xp.linalg.matrix_norm(x), M)
row("linalg.matrix_norm", lambda xp, x: xp.linalg.matrix_norm(x, ord=1, keepdims=True), M)
row("linalg.matrix_norm", lambda xp, x: xp.linalg.matrix_norm(x, ord="nuc"), M)
row("linalg.matrix_power", lambda xp, x: xp.linalg.matrix_power(x, 3), SQUARE)
row("linalg.matrix_rank", lambda xp, x: xp.linalg.matrix_rank(x), M)
row("linalg.matrix_rank", lambda xp, x: xp.linalg.matrix_rank(x, rtol=0.3), M)
row("linalg.matrix_transpose", lambda xp, x: xp.linalg.matrix_transpose(x), M)
direct("linalg.outer", V, W)
row("linalg.pinv", lambda xp, x: xp.linalg.pinv(x), M)
row("linalg.pinv", lambda xp, x: xp.linalg.pinv(x, rtol=1e-12), SQUARE)
row("linalg.qr", lambda xp, x: xp.linalg.qr(x), SQUARE)
row("linalg.svd", lambda xp, x: xp.linalg.svd(x, full_matrices=False)[1], M)
row("linalg.svd", lambda xp, x: xp.linalg.svd(x), SQUARE)
row("linalg.tensordot", lambda xp, x, y: xp.linalg.tensordot(x, y, axes=1), M, N.T)
row("linalg.trace", lambda xp, x: xp.linalg.trace(x, offset=1), M)
row("linalg.vecdot", lambda xp, x, y: xp.linalg.vecdot(x, y), M, N)
for _options in ({}, {"axis": 0, "ord": 3}, {"axis": (0, 1), "keepdims": True}, {"axis": 1, "ord": np.inf}):
    row("linalg.vector_norm", lambda xp, x, o=_options: xp.linalg.vector_norm(x, **o), M)
for _name in "fft ifft rfft ihfft".split():
    row(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x), M)
    row(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, n=3, axis=0, norm="ortho"), M)
for _name in "irfft hfft".split():
    row(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, n=7), C)
for _name in "fftn ifftn rfftn irfftn".split():
    _x = C if _name == "irfftn" else M
    row(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, norm="forward"), _x)
    row(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, s=(3, 4), axes=(0, 1)), _x)
row("fft.fftfreq", lambda xp, x: xp.fft.fftfreq(5, d=0.5) * x, V)
row("fft.rfftfreq", lambda xp, x: xp.fft.rfftfreq(8, d=0.5) * x, V)
row("fft.fftshift", lambda xp, x: xp.fft.fftshift(x), M)
row("fft.ifftshift", lambda xp, x: xp.fft.ifftshift(x, axes=1), M)

# Integers, truth values and step functions: what they give is a constant.
CONSTANT = set(
    "argmax argmin argsort all any bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift "
    "bitwise_xor count_nonzero equal greater greater_equal isfinite isinf isnan less less_equal logical_and logical_not "
    "logical_or logical_xor nonzero not_equal searchsorted signbit linalg.matrix_rank".split()
)
UNDEFINED = {"empty", "empty_like"}


def leaves(out: Any) -> list[Any]:
    return [leaf for part in out for leaf in leaves(part)] if isinstance(out, (tuple, list)) else [out]


def plain(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tracer) else np.asarray(x)


def weigh(outs: list[Any], weights: list[Any]) -> Any:
    return sum(np.sum(np.real(y * w)) for y, w in zip(outs, weights, strict=True) if w is not None)


def ids(r: Row) -> str:
    return r[0]


def skip_what_the_reference_lacks(name: str) -> None:
    if name in LATER and not hasattr(reference, "cumulative_sum"):
        pytest.skip("the array API within this SciPy is older")


@pytest.mark.parametrize("case", ROWS, ids=ids)
def test_values_are_those_of_another_implementation(case: Row) -> None:
    name, call, args = case
    skip_what_the_reference_lacks(name)
    want = leaves(call(reference, *args))
    for traced in (False, True):
        with GradientTape() as tape:
            got = leaves(call(xp, *(tape.watch(a) if traced and a.dtype.kind in "fc" else a for a in args)))
        for y, w in zip(got, want, strict=True):
            assert plain(y).shape == np.shape(w)
            assert plain(y).dtype == np.asarray(w).dtype
            np.testing.assert_allclose(plain(y), w, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", [r for r in ROWS if r[2][0].dtype.kind in "fc"], ids=ids)
def test_derivatives_are_differences(case: Row) -> None:
    name, call, args = case
    skip_what_the_reference_lacks(name)
    rng = np.random.default_rng(5)
    outs = [np.asarray(y) for y in leaves(call(reference, *args))]
    weights = [
        rng.normal(size=y.shape) * (1 if y.dtype.kind == "f" else 1 + 0.5j) if y.dtype.kind in "fc" else None
        for y in outs
    ]
    tangents = tuple(rng.normal(size=a.shape) * (1 if a.dtype.kind == "f" else 1 - 0.3j) for a in args)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = weigh(leaves(call(xp, *x)), weights)
    if name in CONSTANT:
        assert not isinstance(y, Tracer)
        return
    try:
        gradients = tape.gradient(y, x)
    except MissingRuleError as error:
        pytest.skip(str(error))
    h = 1e-6
    ends = [
        weigh(leaves(call(reference, *(a + s * t for a, t in zip(args, tangents, strict=True)))), weights)
        for s in (-h, h)
    ]
    want = (ends[1] - ends[0]) / (2 * h)
    got = sum(np.sum(np.real(np.conj(g) * t)) for g, t in zip(gradients, tangents, strict=True) if g is not None)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    with ForwardAccumulator(args, tangents) as acc:
        y = weigh(leaves(call(xp, *acc.primals)), weights)
    np.testing.assert_allclose(acc.jvp(y, "zero"), want, rtol=1e-6, atol=1e-7)


def test_every_function_of_the_standard_has_a_row() -> None:
    tested_below = {"can_cast", "finfo", "iinfo", "isdtype", "result_type", "__array_namespace_info__", "from_dlpack"}
    missing = {t.split("(")[0] for t in SIGNATURES} - {name for name, _, _ in ROWS} - tested_below
    assert not missing


def test_functions_of_dtypes_take_traced_values() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.float32([1.0, 2.0]))
        assert xp.result_type(x, 1.0) == np.float32
        assert xp.result_type(x, np.float64) == np.float64
        assert xp.finfo(x).bits == 32
        assert xp.finfo(xp.float64).eps == np.finfo(float).eps
        assert xp.iinfo(xp.asarray([1])).bits == 64
        assert xp.can_cast(x, xp.float64)
        assert not xp.can_cast(xp.float64, xp.float32)
        assert xp.isdtype(x.dtype, "real floating")
        assert xp.isdtype(xp.int8, ("integral", xp.bool))
        assert xp.from_dlpack(x) is x
        with pytest.raises(TracedConversionError, match="__dlpack__"):
            np.from_dlpack(x)
    assert np.from_dlpack(x).tolist() == [1.0, 2.0]
    assert xp.from_dlpack(np.ones(2)).tolist() == [1.0, 1.0]


def test_the_namespace_describes_itself() -> None:
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() == "cpu"
    assert info.devices() == ["cpu"]
    assert info.default_dtypes()["real floating"] == xp.float64
    assert info.dtypes().keys() == set(DTYPES)
    assert list(info.dtypes(kind="real floating")) == ["float32", "float64"]
    assert set(info.dtypes(kind=("bool", "integral"))) == set(DTYPES[:9])
    with pytest.raises(ValueError, match="unsupported kind of dtype: strings"):
        info.dtypes(kind="strings")


def test_what_the_standard_asks_of_the_array_object() -> None:
    methods = (
        "abs add and array_namespace bool complex dlpack dlpack_device eq float floordiv ge getitem gt index int invert le "
        "lshift lt matmul mod mul ne neg or pos pow rshift setitem sub truediv xor"
    ).split()
    with GradientTape() as tape:
        x = tape.watch(np.array([[1.0, 2.0]]))
        assert all(hasattr(x, f"__{name}__") for name in methods)
        assert x.__array_namespace__() is xp
        assert x.__array_namespace__(api_version="2024.12") is xp
        with pytest.raises(ValueError, match=r"version '2030\.12' of the array API is not supported"):
            x.__array_namespace__(api_version="2030.12")
        assert x.device == "cpu"
        assert x.to_device("cpu") is x
        with pytest.raises(ValueError, match="stays on its device, 'cpu'; 'gpu' is another"):
            x.to_device("gpu")
        assert (x.mT.shape, x.ndim, x.size) == ((2, 1), 2, 2)
        k = x.astype(int)
        assert ((k & 1) | (2 ^ k)).tolist() == [[3, 0]]
        assert (~k).tolist() == [[-2, -3]]
        assert (1 << k >> 1).tolist() == [[1, 2]]


def test_unsupported_devices_are_refused() -> None:
    with pytest.raises(ValueError, match='Only "cpu" is allowed'):
        xp.asarray([1.0], device="gpu")


def test_new_arrays_belong_to_the_namespace_while_a_recorder_is_active() -> None:
    assert isinstance(xp.asarray([1.0]), np.ndarray)
    with GradientTape() as tape:
        x = tape.watch(2.0)
        c = xp.asarray([1.0, 3.0])
        assert c.__array_namespace__() is xp
        assert isinstance(xp.asarray([1, 3]), np.ndarray)
        y = xp.sum(c * x)
    assert tape.gradient(y, x) == 4.0


def test_special_has_scipys_ufuncs() -> None:
    assert isinstance(xp.special.gammaln, np.ufunc)
    assert "gammaln" in dir(xp.special)
    with pytest.raises(AttributeError, match="no ufunc 'logsumexp'"):
        xp.special.logsumexp  # noqa: B018


def test_names_that_the_standard_lacks_are_numpys() -> None:
    assert xp.pad is np.pad
    assert xp.array is tnp.array
    with pytest.raises(AttributeError, match="has an attribute 'sine'"):
        xp.sine  # noqa: B018


def test_errors_of_the_namespace() -> None:
    with pytest.raises(ValueError, match="axis is needed"):
        xp.take(M, BITS)
    with pytest.raises(ValueError, match="axis is needed"):
        xp.cumulative_sum(M)
    with pytest.raises(ValueError, match="zero-dimensional"):
        xp.nonzero(np.array(1.0))
