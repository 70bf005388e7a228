"""Small programs as a scientist writes them: every method, operator, statement and way of writing into an array.

Each runs as plain NumPy, under a tape, under an accumulator, and under three nestings of the two. What cannot be
differentiated is an error that names the way out.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape
from tapeflow.core.primitive import Traced
from tapeflow.errors import InPlaceError, MissingRuleError, TracedConversionError

Program = Callable[[Any], Any]
V = np.array([0.7, -0.4, 1.3, 0.2])
M = np.array([[0.7, -0.4, 1.3], [0.2, 1.1, -0.9]])
S = np.array([[1.7, 0.3, -0.2], [0.1, 2.1, 0.4], [0.5, -0.3, 1.9]])
POSITIVE = np.abs(M) + 0.37
Z = np.array([0.7 + 0.3j, -0.4 + 1j, 1.3 - 0.2j])
COLUMNS = np.array([True, False, True])

RIGHT: dict[str, tuple[Program, Any]] = {}
REFUSED: dict[str, tuple[Program, type[Exception], str]] = {}


def right(x: Any, **programs: Program) -> None:
    """Add programs that have a derivative at x."""
    RIGHT.update({name: (f, x) for name, f in programs.items()})


def writes(x: Any) -> Callable[[Program], Program]:
    """Add a program that writes into its first argument, a copy of the second; what it returns counts as well."""

    def add(statements: Any) -> Any:
        def program(x: Any) -> Any:
            y = x * 1.0
            more = statements(y, x)
            return [y] if more is None else [y, *more] if isinstance(more, (tuple, list)) else [y, more]

        RIGHT[statements.__name__] = (program, x)
        return statements

    return add


# ---- methods and attributes of arrays

right(
    M,
    T=lambda x: x.T, mT=lambda x: x.mT, real=lambda x: x.real, imag=lambda x: x.imag, flat=lambda x: list(x.flat),
    shape=lambda x: x * x.shape[0], size=lambda x: x * x.size, ndim=lambda x: x * x.ndim,
    nbytes=lambda x: x * x.nbytes,
    itemsize=lambda x: x * x.itemsize, strides=lambda x: x * x.strides[0], flags=lambda x: x * x.flags.writeable,
    base=lambda x: x if x.base is None else x + 1, dtype=lambda x: x * x.dtype.itemsize, all=lambda x: x.all() * x,
    any=lambda x: x.any() * x, argmax=lambda x: x[x.argmax(0), 0], argmin=lambda x: x * x.argmin(),
    argpartition=lambda x: x * x.argpartition(1, axis=1), argsort=lambda x: x * x.argsort(axis=1),
    astype=lambda x: x.astype(complex) * 1j, astype_same=lambda x: x.astype(np.float64, copy=False),
    clip=lambda x: x.clip(-0.5, 1.2), clip_min=lambda x: x.clip(min=0.0), clip_max=lambda x: x.clip(max=0.5),
    compress=lambda x: x.compress([True, False, True], axis=1),
    compress_flat=lambda x: x.compress([True, False, True]),
    conj=lambda x: x.conj(), conjugate=lambda x: x.conjugate(), copy=lambda x: x.copy(), copy_f=lambda x: x.copy("F"),
    cumprod=lambda x: x.cumprod(axis=1), cumsum=lambda x: x.cumsum(), diagonal=lambda x: x.diagonal(1),
    dot=lambda x: x.dot(x.T), flatten=lambda x: x.flatten(), flatten_f=lambda x: x.flatten("F"),
    max=lambda x: x.max(), max_keep=lambda x: x.max(axis=1, keepdims=True),
    max_initial=lambda x: x.max(0, initial=0.9),
    max_where=lambda x: x.max(1, where=COLUMNS, initial=-9), mean=lambda x: x.mean(axis=(0, 1), keepdims=True),
    mean_where=lambda x: x.mean(-1, where=COLUMNS), min=lambda x: x.min(axis=-1), nonzero=lambda x: x[x.nonzero()],
    prod=lambda x: x.prod(), prod_axis=lambda x: x.prod(axis=1), ravel=lambda x: x.ravel(),
    ravel_f=lambda x: x.ravel(order="F"), ravel_k=lambda x: x.T.ravel("K"), repeat=lambda x: x.repeat(2),
    repeat_counts=lambda x: x.repeat([1, 0, 2], axis=1), reshape=lambda x: x.reshape(3, 2),
    reshape_f=lambda x: x.reshape((3, -1), order="F"), round=lambda x: x.round(1) + x,
    searchsorted=lambda x: x * np.sort(x[0]).searchsorted(0.1), squeeze=lambda x: x[:, :1].squeeze(),
    squeeze_axis=lambda x: x[:1].squeeze(axis=0), std=lambda x: x.std(axis=1, ddof=1), sum=lambda x: x.sum(),
    sum_keep=lambda x: x.sum(1, keepdims=True), sum_where=lambda x: x.sum(where=COLUMNS),
    sum_initial=lambda x: x.sum(axis=0, initial=2.0), swapaxes=lambda x: x.swapaxes(0, 1),
    take=lambda x: x.take([0, 2, 2], axis=1), take_flat=lambda x: x.take([0, 4]),
    take_wrap=lambda x: x.take(7, mode="wrap"),
    trace=lambda x: x.trace(offset=1), transpose=lambda x: x.transpose(), transpose_axes=lambda x: x.transpose(-1, 0),
    transpose_tuple=lambda x: x.transpose((1, 0)), var=lambda x: x.var(0, ddof=1, keepdims=True),
    view=lambda x: x.view() * 2,
    view_complex=lambda x: x[:, :2].copy().view(complex), to_device=lambda x: x.to_device("cpu"),
    len=lambda x: x * len(x),
    sort=lambda x: in_place(x, "sort"), sort_axis=lambda x: in_place(x, "sort", 0, kind="stable"),
    partition=lambda x: in_place(x, "partition", 1), fill=lambda x: in_place(x, "fill", 3.0) * x,
    put=lambda x: in_place(x, "put", [0, 4], [1.0, 2.0]), fill_traced=lambda x: in_place(x, "fill", x[0, 0]) * x,
)  # fmt: skip
right(
    Z,
    z_real=lambda z: z.real, z_imag=lambda z: z.imag, z_conj=lambda z: z.conj(), z_view=lambda z: z.view(float),
    z_sum=lambda z: z.sum(), z_mean=lambda z: z.mean(), z_prod=lambda z: z.prod(), z_cumprod=lambda z: z.cumprod(),
    z_var=lambda z: z.var(), z_std=lambda z: z.std(), z_abs=lambda z: abs(z),
)  # fmt: skip


def in_place(x: Any, name: str, *args: Any, **options: Any) -> Any:
    y = x * 1.0
    assert getattr(y, name)(*args, **options) is None
    return y


# ---- operators


def augmented(name: str) -> Program:
    in_place_operator = getattr(operator, f"i{name}")

    def program(x: Any) -> Any:
        y = x * 1
        alias, row = y, y[0]
        y = in_place_operator(y, 0.3 * x.sum())
        assert y is alias
        row = in_place_operator(row, 1.7)
        y[1] = in_place_operator(y[1], x[0])
        s = t = x[0, 0]
        s = in_place_operator(s, x[1, 1])
        return y, alias, row, s, t, x

    return program


OTHERS = {
    "number": 1.7, "integer": 2, "list": [1.21, 0.73, 2.07], "array": np.array([1.21, 0.73, 2.07]), "scalar": np.float64(2),
    "integer scalar": np.int64(2),
}  # fmt: skip
for _name in "add sub mul truediv pow mod floordiv".split():
    _f = getattr(operator, _name)
    for _kind, _other in OTHERS.items():
        right(POSITIVE + 0.017, **{f"{_name} {_kind}": lambda x, f=_f, y=_other: [f(x, y), f(y, x)]})
    right(POSITIVE, **{f"{_name} itself": lambda x, f=_f: f(x, x.sum()), f"augmented {_name}": augmented(_name)})
right(POSITIVE, divmod=lambda x: [*divmod(x, 1.31), *divmod(5.3, x)])
right(
    S,
    matmul=lambda x: [x @ x, np.ones((2, 3)) @ x, [1.0, 2.0, 3.0] @ x, x @ [1.0, 2.0, 3.0]],
    imatmul=lambda x: operator.imatmul(x * 1, x),
)
right(
    V,
    negative=lambda x: -x, positive=lambda x: +x, absolute=lambda x: abs(x), pow=lambda x: pow(x, 2),
    builtin_round=lambda x: round(x[0], 1) * x, comparisons=lambda x: [(x > 0) * x, (0 < x) * x, (x >= x.mean()) * x],
    bits=lambda x: [~(x > 0) * x, ((x > 0) & (x < 1)) * x, ((x > 0) | (x < 1)) * x, ((x > 0) ^ (x < 1)) * x],
    contains=lambda x: x * (5.0 in x), formats=lambda x: x * len(f"{x[0]:.2f} {x}" and str(x) and repr(x)) ** 0,
)  # fmt: skip

# ---- statements and Python's own functions


def summed_rows(x: Any) -> Any:
    total = 0.0
    for row in x:
        total = total + row * row.sum()
    return total


def unpacked(x: Any) -> Any:
    a, b, *rest = x
    return a * b + rest[0] * rest[-1]


def halved(x: Any) -> Any:
    while np.sum(x**2) > 0.1:
        x = x * 0.5 if x[0] > 0 else x
    return x


right(M, summed_rows=summed_rows, index_pairs=lambda x: sum(x[i] * i[0] for i in np.ndindex(x.shape)))
right(M, along_axis=lambda x: np.apply_along_axis(lambda r: r / r.sum(), 1, x), ix=lambda x: x[np.ix_([0, 1], [0, 2])])
right(
    V,
    unpacked=unpacked, halved=halved, builtin_max=lambda x: max(x), builtin_min=lambda x: min(x),
    builtin_sum=lambda x: sum(x),
    max_key=lambda x: max(x, key=lambda v: -v), sorted=lambda x: sorted(x), reversed=lambda x: list(reversed(x)),
    zip=lambda x: [a * b for a, b in zip(x, x[::-1], strict=True)],
    enumerate=lambda x: [i * a for i, a in enumerate(x)],
    map=lambda x: np.stack(list(map(np.sin, x))), all_of=lambda x: all(x > -5) * x, math_prod=lambda x: math.prod(x),
    generator=lambda x: sum(x[k] ** 2 for k in range(len(x))), reduce=lambda x: functools.reduce(operator.mul, x),
    itertools_accumulate=lambda x: list(itertools.accumulate(x)), by_index=lambda x: np.arange(4.0)[np.argmax(x)] * x,
    by_mask=lambda x: np.arange(4.0)[x > 0] * x[x > 0], integers=lambda x: x[np.floor(x * x).astype(int)],
    hstack=lambda x: np.hstack([x[0], x[1:]]), list_in_list=lambda x: np.concatenate([[x[0], 2.0], x[1:]]),
    block=lambda x: np.block([[x[:2], x[2:]], [x]]), where=lambda x: np.where(x > 0, x, 0.0),
    append=lambda x: np.append(x, x[0]),
    insert=lambda x: np.insert(x, 1, x[0]), delete=lambda x: np.delete(x, 1),
    linspace=lambda x: np.linspace(x[0], x[1], 4),
    select=lambda x: np.select([x > 1, x > 0], [x, x**2]), full_like=lambda x: np.full_like(x, x[0]) * 2,
    piecewise=lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: v**2, np.sin]),
    indices=lambda x: x[np.array([[0, 1], [2, 2]])],
    selections=lambda x: [x[x > 0], x[..., None] * x, x[-1:0:-2], x[[True, False, True, False]], x[np.int64(2)]],
    broadcast=lambda x: np.broadcast_arrays(x, np.ones((2, 1))), meshgrid=lambda x: np.meshgrid(x, x),
    diag=lambda x: np.diag(x),
    object_buffer=lambda x: np.sum(boxed(x)) + np.sin(boxed(x)[0]),
)  # fmt: skip


def boxed(x: Any) -> Any:
    buffer = np.empty(4, dtype=object)
    for i in range(4):
        buffer[i] = x[i] ** 2
    return buffer


# ---- writes


@writes(M)
def alias(y: Any, x: Any) -> Any:
    b = y
    b += 1
    b *= y


@writes(M)
def through_transpose(y: Any, x: Any) -> Any:
    t = y.T
    t *= 2
    t[1] += x[:, 0]
    y.T[0] = x[:, 1] * 2
    return t


@writes(M)
def through_reshape(y: Any, x: Any) -> Any:
    r, f = y.reshape(3, 2), y.reshape(3, 2, order="F")
    y.reshape(-1)[2:4] = x[0, :2] ** 2
    r[0] = x[1, :2]
    f[0] = 7.0
    y[1] *= 3
    return r, f


@writes(M)
def through_ravel(y: Any, x: Any) -> Any:
    r, copies = y.ravel(), [y.flatten(), y.T.ravel(), y[[0, 1]]]
    r[0] = 9.0
    r *= x.ravel()
    for k, c in enumerate(copies):
        c[0] = k
    return [r, *copies]


@writes(M)
def through_real(y: Any, x: Any) -> Any:
    y.real[0] = x[1]
    y.real *= 2


@writes(Z)
def through_parts(y: Any, x: Any) -> Any:
    y.real[0] = x[1].imag
    y.imag *= 2
    y.real += x.imag


@writes(Z)
def assigned_parts(y: Any, x: Any) -> Any:
    y.real = x.imag
    y.imag = 3


@writes(M)
def through_flat(y: Any, x: Any) -> Any:
    y.flat[1:3] = x[1, :2]
    y.flat[0] = 5
    y.flat[[4, 5]] *= 2


@writes(M)
def assigned_flat(y: Any, x: Any) -> Any:
    y.T.flat = x[::-1] ** 2


@writes(M)
def through_split(y: Any, x: Any) -> Any:
    a, b = np.split(y, 2)
    a *= 2
    b[:] = a * x[0]
    c, d = np.unstack(y) if hasattr(np, "unstack") else y
    d += c
    return a, b


@writes(M)
def through_views(y: Any, x: Any) -> Any:
    np.squeeze(y[:1])[1] = x[0, 0] * 2
    np.expand_dims(y, 0)[0, 0] *= 2
    np.atleast_3d(y)[0, 0, 0] = 1.0
    np.swapaxes(y, 0, 1)[0] *= 2
    np.moveaxis(y, 0, 1)[1] = x[:, 0]
    np.flip(y)[0] *= 2
    np.rot90(y)[0] *= 3
    y.view()[0, 1] = x[1, 1]
    y[0][1:][0] *= 2


@writes(M)
def through_einsum(y: Any, x: Any) -> Any:
    d, t = np.einsum("ii->i", y[:, :2]), np.einsum("ij->ji", y)
    d *= x[0, :2]
    y[0, 0] += 1
    t[2] = x[:, 1]
    return d, t


@writes(M)
def rows(y: Any, x: Any) -> Any:
    for r in y:
        r -= r.mean()
    for i, r in enumerate(y):
        r *= i + 1
        y[i] += r
    for r, s in zip(y, x, strict=True):
        r += s[::-1]


@writes(M)
def columns(y: Any, x: Any) -> Any:
    for c in y.T:
        c /= np.linalg.norm(c)
    for r in y:
        r[:] = np.sort(r)[::-1] * r[0]


@writes(V)
def scalars(y: Any, x: Any) -> Any:
    for v in y:
        v *= 2  # of numbers: y does not change


@writes(V)
def recurrence(y: Any, x: Any) -> Any:
    for i in range(2, len(y)):
        y[i] += 0.5 * y[i - 1] * x[i] + y[i - 1] * y[i - 2]


@writes(V)
def swaps(y: Any, x: Any) -> Any:
    y[0], y[1] = y[1], y[0]
    y[[2, 3]] = y[[3, 2]]


@writes(M)
def swapped_rows(y: Any, x: Any) -> Any:
    y[0], y[1] = y[1], y[0]  # the trap of views, as in NumPy


@writes(V)
def overlaps(y: Any, x: Any) -> Any:
    y[1:] = y[:-1] * x[1:]
    y[:-1] += y[1:]
    y[::-1] *= y


@writes(M)
def masks(y: Any, x: Any) -> Any:
    y[y > 1] = 0
    y[x < 0] *= 3
    y[x > 0] += x[x > 0] * 2
    y[:, [True, False, True]] = x[:, :2]
    y[[0, 1]][0] = 5
    y[x > 0][0] = 3.0  # two writes into copies


@writes(V)
def repeated(y: Any, x: Any) -> Any:
    y[[0, 0, 1]] = x[1:]
    y[[2, 2]] += x[:2]


@writes(V)
def functions(y: Any, x: Any) -> Any:
    np.put(y, [0, 2], x[[1, 1]])
    y.put([3], x[0] * 2)
    np.place(y, x > 1, x[:2])
    np.putmask(y, x < 0, x**2)
    np.copyto(y, x[::-1], where=x > 0.5)


@writes(S)
def diagonals(y: Any, x: Any) -> Any:
    np.fill_diagonal(y, x[0])
    np.fill_diagonal(y[1:], 0)
    np.put_along_axis(y, np.array([[1], [2], [0]]), x[:, :1] ** 2, axis=1)


@writes(V)
def outs(y: Any, x: Any) -> Any:
    np.add(x, x, y)
    np.sin(y, out=y)
    np.multiply(y, x, out=(y,))
    np.clip(y, -0.2, 1.0, out=y)
    np.add.accumulate(y, out=y)
    y.clip(-0.3, 1.0, y)
    np.round(x, 1, out=y[:])
    np.take(y + x, [1, 0, 2, 2], out=y)
    np.choose([0, 1, 0, 1], [y, x**2], out=y)
    x.sum(out=y[0, ...])


@writes(V)
def outs_with_masks(y: Any, x: Any) -> Any:
    np.log(x, out=y, where=x > 0)
    np.divide(1.0, x, out=y, where=x > 0.5)
    np.sqrt(x - 0.2, out=y, where=x > 0.3)


@writes(M)
def outs_into_views(y: Any, x: Any) -> Any:
    np.add(x[0], 1, out=y[1])
    np.exp(y[:, 0], out=y[:, 1])
    np.sum(x, axis=0, out=y[0])
    np.mean(x, 0, None, y[1])
    np.cumsum(x * y, 1, out=y)
    np.concatenate([y[0], x[1]], out=y.reshape(-1))


@writes(S)
def outs_of_products(y: Any, x: Any) -> Any:
    np.dot(x, x, out=y)
    np.matmul(y, x, y)
    np.einsum("ij,jk->ik", y, x, out=y)
    q, r = np.zeros_like(x), np.zeros_like(x)
    np.divmod(y + 3.017, 0.77, out=(q, r))
    np.modf(x, q, r)
    return q, r


for _ufunc in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.hypot, np.power):

    def _at(x: Any, f: Any = _ufunc) -> Any:
        y = x + 2
        f.at(y, [0, 0, 1], x[[2, 3, 0]] + 1)
        return y

    right(V, **{f"{_ufunc.__name__}.at": _at})


@writes(M)
def at_views(y: Any, x: Any) -> Any:
    np.add.at(y, (slice(None), [0, 0, 2]), x)
    np.add.at(y.T, [0, 0], x.T[:2])
    np.subtract.at(y, x > 0, x[x > 0])
    np.exp.at(y, ([0, 0], [1, 1]))


@writes(V)
def buffers(y: Any, x: Any) -> Any:
    b, c, d = np.zeros(3, like=x), np.empty((2, 2), like=x), np.array([[1.0, 2.0]], like=x)
    b[1], d[0, 0] = x[1], x[0]
    c[:] = x.reshape(2, 2)
    e = np.empty_like(x)
    for i in range(4):
        e[i] = x[i] * x[0]
    return b, c, d, e


def softmax_in_place(a: Any) -> None:
    a -= a.max()
    np.exp(a, out=a)
    a /= a.sum()


@writes(V)
def argument_modified(y: Any, x: Any) -> Any:
    softmax_in_place(y)
    softmax_in_place(y[1:])


def own_argument(x: Any) -> Any:
    before = x * 2
    x -= 1
    x[0] = x[1] * 3
    x[2:] += x[0]
    return x, before


right(V, own_argument=own_argument)

# ---- how they are held to NumPy and to differences


def leaves(y: Any) -> list[Any]:
    if isinstance(y, (tuple, list)):
        return [z for part in y for z in leaves(part)]
    return [y]


def loss(y: Any) -> Any:
    """A number in which each element of each result counts in a different way."""
    total = 0.0
    parts = (
        [z for part in y for z in (part if isinstance(part, (tuple, list)) else [part])]
        if isinstance(y, (tuple, list))
        else [y]
    )
    for k, z in enumerate(parts):
        weights = np.reshape(np.arange(np.size(z)) * 0.7 + 1 + k, np.shape(z))
        total = total + np.sum(np.sin(np.real(z)) * weights)
        if z.dtype.kind == "c":
            total = total + np.sum(np.cos(np.imag(z)) * weights)
    return total


def direction(x: Any) -> Any:
    rng = np.random.default_rng(0)
    d = rng.normal(size=x.shape)
    return d + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else d


def difference(f: Program, x: Any, d: Any) -> Any:
    h = 1e-4
    y = [f(x + k * h * d) for k in (-2, -1, 1, 2)]
    return (y[0] - 8 * y[1] + 8 * y[2] - y[3]) / (12 * h)


def along(g: Any, d: Any) -> Any:
    return np.sum(np.real(np.conj(g) * d))


def gradient(f: Program, x: Any, d: Any) -> Any:
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w)
    return along(tape.gradient(y, w, unconnected_gradients="zero"), d) if isinstance(y, Traced) else 0.0


def tangent(f: Program, x: Any, d: Any) -> Any:
    with ForwardAccumulator(x, d) as acc:
        y = f(acc.primals)
    return acc.jvp(y, "zero") if isinstance(y, Traced) else 0.0


@pytest.mark.parametrize("name", RIGHT)
def test_a_program_is_right(name: str) -> None:
    program, x = RIGHT[name]
    d = direction(x)
    watched = x.copy()
    with GradientTape() as tape:
        got = program(tape.watch(watched))
    np.testing.assert_array_equal(watched, x)
    for ours, numpys in zip(leaves(got), leaves(program(x.copy())), strict=True):
        ours = ours.numpy() if isinstance(ours, Traced) else ours
        np.testing.assert_allclose(ours, numpys, rtol=1e-12, atol=1e-14)
        assert (np.shape(ours), np.asarray(ours).dtype) == (np.shape(numpys), np.asarray(numpys).dtype)

    def f(v: Any) -> Any:
        return loss(program(v))

    slope = difference(lambda v: f(v.copy()), x, d)
    np.testing.assert_allclose(gradient(f, x, d), slope, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(tangent(f, x, d), slope, rtol=1e-6, atol=1e-7)
    bend = difference(lambda v: gradient(f, v, d), x, d)
    for outer, inner in ((gradient, gradient), (tangent, gradient), (gradient, tangent)):
        got = outer(lambda v, inner=inner: inner(f, v, d), x, d)
        np.testing.assert_allclose(got, bend, rtol=1e-5, atol=1e-6, err_msg=f"{outer.__name__} of {inner.__name__}")


# ---- what is refused, and what the error says


def filled(statement: Callable[[Any, Any], Any]) -> Program:
    """A program that writes into a plain buffer."""

    def program(x: Any) -> Any:
        buffer = np.zeros(4)
        statement(buffer, x)
        return np.sum(buffer * x)

    return program


def augmented_buffer(x: Any) -> Any:
    buffer = np.zeros(4)
    buffer += x
    return buffer


WAY_OUT = r"np\.zeros_like\(x\)|like=x"
for _name, _error, _statement in (
    ("element", ValueError, lambda b, x: operator.setitem(b, 0, x[0])),
    ("all", TracedConversionError, lambda b, x: operator.setitem(b, slice(None), x)),
    ("mask", TracedConversionError, lambda b, x: operator.setitem(b, x.numpy() > 0, x[x > 0])),
    ("fill", ValueError, lambda b, x: b.fill(x[0])),
    ("method put", TracedConversionError, lambda b, x: b.put([0], x[0])),
    ("fill_diagonal", TracedConversionError, lambda b, x: np.fill_diagonal(b.reshape(2, 2), x[:2])),
    ("add.at", InPlaceError, lambda b, x: np.add.at(b, [0, 1, 2, 3], x)),
    ("out", InPlaceError, lambda b, x: np.sin(x, out=b)),
    ("out by position", InPlaceError, lambda b, x: np.sin(x, b)),
    ("out of sum", InPlaceError, lambda b, x: np.sum(x, out=b[..., 0])),
    ("out of dot", InPlaceError, lambda b, x: np.dot(x.reshape(2, 2), x[:2], out=b[:2])),
    ("copyto", InPlaceError, lambda b, x: np.copyto(b, x)),
    ("put", InPlaceError, lambda b, x: np.put(b, [0], x[0])),
    ("place", InPlaceError, lambda b, x: np.place(b, x.numpy() > 0, x)),
    ("putmask", InPlaceError, lambda b, x: np.putmask(b, x.numpy() > 0, x)),
):
    REFUSED[f"buffer {_name}"] = (filled(_statement), _error, WAY_OUT)
# NumPy puts a text of its own in place of ours.
REFUSED["buffer flat"] = (
    filled(lambda b, x: operator.setitem(b.flat, 1, x[0])),
    ValueError,
    "Error setting single item",
)
REFUSED["buffer +="] = (augmented_buffer, InPlaceError, WAY_OUT)

for _name, _program in {
    "float": lambda x: float(x[0]) * x, "int": lambda x: int(x[2]) * x, "math": lambda x: math.sin(x[0]),
    "item": lambda x: x[0].item(), "tolist": lambda x: sum(x.tolist()), "tobytes": lambda x: x.tobytes(),
    "asarray": lambda x: np.asarray(x) * 2, "array of scalars": lambda x: np.sin(np.array([x[0], 2.0])),
    "list": lambda x: np.mean([x[0], x[1]]), "full": lambda x: np.full(3, x[0]), "r_": lambda x: np.r_[x, x[0]],
    "vectorize": lambda x: np.vectorize(lambda v: v**2)(x), "ndenumerate": lambda x: [v for _, v in np.ndenumerate(x)],
    "random": lambda x: np.random.default_rng(0).normal(x[0], 1.0), "range": lambda x: [x for _ in range(x[2])],
    "round": lambda x: round(x[0]),
    "choose": lambda x: np.array([0, 1]).choose([x, x]),
}.items():  # fmt: skip
    REFUSED[_name] = (_program, TracedConversionError, r"x\.numpy\(\)")


def written_through(view: Program) -> Program:
    def program(x: Any) -> Any:
        view(x.reshape(2, 2))[0] = 1.0
        return np.sum(x)

    return program


REFUSED["diagonal"] = (written_through(np.diagonal), InPlaceError, "read-only.*copy")
REFUSED["broadcast_to"] = (written_through(lambda x: np.broadcast_to(x, (2, 2, 2))), InPlaceError, "read-only.*copy")
REFUSED["resize"] = (lambda x: x.resize(2, 2), InPlaceError, "np.resize")
REFUSED["setflags"] = (lambda x: x.setflags(write=False), InPlaceError, "x.numpy")
REFUSED["shape"] = (lambda x: setattr(x, "shape", (2, 2)), AttributeError, "shape")
REFUSED["ravel A"] = (lambda x: x.ravel("A"), ValueError, "memory layout; use 'C' or 'F'")
REFUSED["round of an array"] = (lambda x: round(x), TypeError, "np.round")
REFUSED["wrong shape"] = (lambda x: operator.iadd(x, np.ones((2, 4))), ValueError, "non-broadcastable output")
REFUSED["complex into real"] = (lambda x: operator.iadd(x, 1j), TypeError, "same_kind")
REFUSED["out of range"] = (lambda x: operator.setitem(x, 4, 0.0), IndexError, "out of bounds")
REFUSED["too many values"] = (lambda x: operator.setitem(x, slice(2), np.ones(3)), ValueError, "broadcast")


@pytest.mark.parametrize("mode", ["tape", "accumulator"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_program_is_refused(name: str, mode: str) -> None:
    program, error, match = REFUSED[name]
    by_tape = mode == "tape"
    with GradientTape() if by_tape else ForwardAccumulator(V.copy(), np.ones(4)) as level:
        x = level.watch(V.copy()) if by_tape else level.primals
        with pytest.raises(error) as caught:
            program(x)
    # NumPy puts an error of its own over ours when it fills an element.
    assert re.search(match, f"{caught.value} {caught.value.__cause__}")


def test_a_function_without_a_rule_is_no_constant() -> None:
    """A program that meets one is refused: at once by an accumulator, by a tape when a derivative is asked for."""
    windows = np.lib.stride_tricks.sliding_window_view
    with GradientTape() as tape:
        x = tape.watch(V)
        y = np.sum(windows(x, 2) ** 2)
    with pytest.raises(MissingRuleError, match="sliding_window_view has no derivative rule"):
        tape.gradient(y, x)
    with ForwardAccumulator(V, V) as acc:
        x = acc.primals
        with pytest.raises(MissingRuleError, match="sliding_window_view"):
            windows(x, 2)


def test_a_masked_out_warns_of_chosen_elements_alone() -> None:
    with GradientTape() as tape:
        x = tape.watch(V)
        y = np.zeros_like(x)
        np.log(x, out=y, where=x > 0)  # warnings are errors here
        with pytest.warns(RuntimeWarning, match="invalid value"):
            np.log(x, out=y, where=x < 0)
