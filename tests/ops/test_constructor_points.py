"""Constructors, functions that apply functions, np.emath and plain answers: identities, edges, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tapeflow import ForwardAccumulator, GradientTape, Variable
from tapeflow.core.primitive import FUNCTIONS
from tapeflow.errors import NotDifferentiableError, TracedConversionError
from tapeflow.ops.functional import vectorize


def gradient(f: Any, *args: Any, g: Any = None) -> Any:
    args = tuple(np.asarray(a) for a in args)
    with GradientTape() as tape:
        x = tape.watch(args)
        y = f(*x)
    found = tape.gradient(y, x, g, "zero")
    return found[0] if len(args) == 1 else found


def tangent(f: Any, x: Any, t: Any) -> np.ndarray:
    with ForwardAccumulator(np.asarray(x), np.asarray(t)) as acc:
        return np.asarray(acc.jvp(f(acc.primals), "zero"))


# ---- sequences

shapes = st.sampled_from([(), (2,), (3, 1), (1, 2)])


@given(st.data(), st.integers(0, 6), st.booleans())
def test_linspace_is_a_weighted_mean_of_its_ends(data: Any, num: int, endpoint: bool) -> None:
    a = data.draw(arrays(float, data.draw(shapes), elements=st.floats(-5, 5)))
    b = data.draw(arrays(float, data.draw(shapes), elements=st.floats(-5, 5)))
    shape = np.broadcast_shapes(a.shape, b.shape)
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    with GradientTape() as tape:
        x = tape.watch((a, b))
        y = np.linspace(*x, num, endpoint, axis=axis)
    want = np.linspace(a, b, num, endpoint, axis=axis)
    np.testing.assert_array_equal(y.numpy(), want)
    g = np.random.default_rng(0).normal(size=want.shape)
    share = np.arange(num) / max(num - 1 if endpoint else num, 1)
    parts = np.moveaxis(g, axis, 0)
    ga, gb = tape.gradient(y, x, g)
    for got, weight, end in ((ga, 1 - share, a), (gb, share, b)):
        whole = np.tensordot(weight, parts, 1)
        lead = tuple(range(len(shape) - end.ndim))
        spread = tuple(k for k in range(len(shape)) if k not in lead and end.shape[k - len(shape)] == 1)
        np.testing.assert_allclose(got, whole.sum(axis=lead + spread).reshape(end.shape), atol=1e-12)


def test_steps_and_edges_of_linspace() -> None:
    a, b = np.array(1.0), np.array(4.0)
    np.testing.assert_allclose(gradient(lambda x, y: np.linspace(x, y, 4, retstep=True)[1], a, b), [-1 / 3, 1 / 3])
    with GradientTape() as tape:
        x = tape.watch(a)
        _, step = np.linspace(x, 4.0, 1, retstep=True)
        whole = np.linspace(x, 4.5, 5, dtype=int)
    assert np.isnan(step)
    np.testing.assert_array_equal(np.asarray(whole), np.linspace(1.0, 4.5, 5, dtype=int))
    assert np.asarray(whole).dtype.kind == "i"
    with pytest.raises(ValueError, match="must be non-negative"):
        gradient(lambda v: np.linspace(v, 1, -1), a)
    with pytest.raises(TypeError):
        gradient(lambda v: np.linspace(v, 1, 3.5), a)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.complex64])
def test_precision_of_sequences_is_numpys(dtype: Any) -> None:
    a = np.array([1.5, 2.0], dtype)
    for f in (np.linspace, np.logspace, np.geomspace):
        with GradientTape() as tape:
            x = tape.watch(a)
            y = f(x, 3, 4)
        assert y.dtype == f(a, 3, 4).dtype
        assert tape.gradient(y, x, np.ones(y.shape, y.dtype)).dtype == dtype


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 5))
def test_logarithms_of_geomspace_are_evenly_spaced(a: float, b: float, num: int) -> None:
    ga, gb = gradient(lambda x, y: np.sum(np.log(np.geomspace(x, y, num))), a, b)
    share = np.arange(num) / max(num - 1, 1)
    np.testing.assert_allclose([ga * a, gb * b], [np.sum(1 - share), np.sum(share)], atol=1e-12)


def test_geomspace_refuses_zero() -> None:
    with pytest.raises(ValueError, match="cannot include zero"):
        gradient(lambda x: np.geomspace(x, 1.0, 3), 0.0)


# ---- grids and blocks


@given(st.data(), st.sampled_from(["xy", "ij"]), st.booleans(), st.booleans())
def test_meshgrid_repeats_each_coordinate(data: Any, indexing: Any, sparse: bool, copy: bool) -> None:
    xs = [np.arange(1.0, 1 + data.draw(st.integers(0, 3))) for _ in range(data.draw(st.integers(1, 3)))]
    with GradientTape(persistent=True) as tape:
        v = tape.watch(xs)
        got = np.meshgrid(*v, indexing=indexing, sparse=sparse, copy=copy)
    want = np.meshgrid(*xs, indexing=indexing, sparse=sparse, copy=copy)
    assert type(got) is type(want)
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_array_equal(a.numpy(), b)
        repeats = b.size / len(xs[k]) if len(xs[k]) else 0
        np.testing.assert_array_equal(tape.gradient(a, v[k], np.ones(b.shape)), np.full(xs[k].shape, repeats))


def test_errors_of_grids_and_blocks() -> None:
    x = np.ones(2)
    for f, match in (
        (lambda v: np.meshgrid(v, v, indexing="no"), "Valid values for `indexing`"),
        (lambda v: np.ix_(v[None]), "must be 1 dimensional"),
        (lambda v: np.block([[v], []]), "cannot be empty"),
        (lambda v: np.block([[v], v]), "depths are mismatched"),
    ):
        with pytest.raises(ValueError, match=match):
            gradient(f, x)
    with pytest.raises(TypeError, match="is a tuple"):
        gradient(lambda v: np.block([(v, v)]), x)


def test_ix_with_masks_and_integers() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0, 2.0]))
        mesh = np.ix_(x, np.array([True, False, True]), [], [3])
    want = np.ix_(np.array([1.0, 2.0]), np.array([True, False, True]), [], [3])
    for a, b in zip(mesh, want, strict=True):
        np.testing.assert_array_equal(a.numpy() if hasattr(a, "numpy") else a, b)
        assert a.dtype == b.dtype


def test_matrices_are_refused() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 2)))
        with pytest.warns(PendingDeprecationWarning), pytest.raises(TracedConversionError):
            np.asmatrix(x)
        with pytest.warns(PendingDeprecationWarning), pytest.raises(TracedConversionError):
            np.bmat([[x, x]])


# ---- like=


def test_arrays_of_traced_numbers() -> None:
    x = np.array([2.0, 3.0])
    np.testing.assert_array_equal(
        gradient(lambda v: np.sum(np.array([[v[0] * v[1], 1], [v[0], 2.0]], like=v)), x), [4.0, 2.0]
    )
    with GradientTape() as tape:
        v = tape.watch(x)
        copied, same = np.array(v, like=v), np.asarray(v, like=v)
        wide = np.array(v, ndmin=3, like=v)
        integers = np.array(v, int, like=v)
    assert same is v
    assert copied is not v
    assert wide.shape == (1, 1, 2)
    np.testing.assert_array_equal(np.asarray(integers), [2, 3])
    with pytest.raises(ValueError, match=r"must have one shape.*\(1,\) at \[0\], \(2,\) at \[1\]"):
        gradient(lambda v: np.array([[v[0]], v], like=v), x)


@pytest.mark.parametrize(
    ("make", "args"),
    [
        (np.zeros, (3,)),
        (np.ones, ((2, 1), np.float32)),
        (np.full, (2, 7.0)),
        (np.arange, (3.0,)),
        (np.eye, (2, 3, 1)),
        (np.identity, (2,)),
        (np.tri, (2,)),
        (np.array, ([1.0, 2.0],)),
        (np.asarray, ([1.0, 2.0],)),
        (np.fromfunction, (lambda i, j: i + j, (2, 2))),
        (np.fromiter, ([1.0, 2.0], float)),
        (np.frombuffer, (np.ones(2).tobytes(),)),
        (np.fromstring, ("1 2", float, -1, )),
    ],
)  # fmt: skip
def test_constants_of_a_level(make: Any, args: Any) -> None:
    options = {"sep": " "} if make is np.fromstring else {}
    want = make(*args, **options)
    with GradientTape() as tape:
        x = tape.watch(np.ones(()))
        got = FUNCTIONS[make](*args, **options, like=x)
        assert type(got) is type(x)
        total = np.sum(got * x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_allclose(tape.gradient(total, x), np.sum(want))
    with ForwardAccumulator(np.ones(()), np.ones(())) as acc:
        assert type(FUNCTIONS[make](*args, **options, like=acc.primals)) is type(acc.primals)
    assert type(FUNCTIONS[make](*args, **options, like=Variable(1.0))) is type(want)


def test_integers_like_a_traced_value_stay_plain() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones(3))
        assert type(FUNCTIONS[np.arange](3, like=x)) is np.ndarray
        np.testing.assert_array_equal(np.arange(3, like=x), [0, 1, 2])
        assert np.zeros(2, like=x).shape == (2,)


# ---- functions of parts


def test_apply_along_axis_is_numpys() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (0, 1, 2, -2):
        for f in (lambda v: v[:2], np.sum, lambda v: np.outer(v, v)[:, :, None], lambda v: [v[0], 1.0]):
            with GradientTape() as tape:
                got = np.apply_along_axis(f, axis, tape.watch(x))
            np.testing.assert_array_equal(got.numpy(), np.apply_along_axis(f, axis, x))
    with pytest.raises(ValueError, match="any iteration dimensions are 0"):
        gradient(lambda v: np.apply_along_axis(np.sum, 0, v), np.ones((2, 0)))
    with pytest.raises(ValueError, match="correct shape"):
        gradient(lambda v: np.apply_over_axes(lambda a, k: a[0, 0], v, 0), np.ones((2, 2)))


def test_numpys_vectorize_refuses_and_ours_loops() -> None:
    x = np.array([[-1.0, 2.0, 3.0]])

    def scalar(t: Any, s: float = 2.0) -> Any:
        return t * t * s if t > 0 else 0.0 * t

    with pytest.raises(TracedConversionError):
        gradient(np.vectorize(scalar), x)
    ours = vectorize(scalar)
    np.testing.assert_array_equal(ours(x), np.vectorize(scalar)(x))
    np.testing.assert_array_equal(gradient(lambda v: np.sum(ours(v)), x), [[0, 8, 12]])
    np.testing.assert_array_equal(gradient(lambda v: np.sum(ours(v, s=[[1.0], [2.0]])), x), [[0, 12, 18]])
    np.testing.assert_array_equal(tangent(ours, x, np.ones((1, 3))), [[0, 8, 12]])
    with pytest.raises(ValueError, match="size 0"):
        gradient(ours, np.ones(0))


def test_vectorize_with_signature_outputs_and_excluded() -> None:
    x = np.arange(6.0).reshape(2, 3)
    dot = vectorize(np.dot, signature="(n),(n)->()")
    np.testing.assert_array_equal(gradient(lambda v: np.sum(dot(v, v[0])), x), [x[0] * 2 + x[1], x[0]])
    with pytest.raises(TypeError, match="expected 2, got 1"):
        gradient(dot, x)
    two = vectorize(lambda t: (t * t, 3 * t), otypes=[np.float32, float])
    with GradientTape() as tape:
        v = tape.watch(x)
        a, b = two(v)
    assert (a.dtype, b.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(tape.gradient([a, b], v, [np.ones_like(x, np.float32), np.ones_like(x)]), 2 * x + 3)
    power = vectorize(lambda t, c: np.polyval(c, t), excluded={1})
    np.testing.assert_array_equal(gradient(lambda v: np.sum(power(v, [1.0, 0.0, 0.0])), x), 2 * x)

    @vectorize
    def decorated(t: Any) -> Any:
        """Square."""
        return t * t

    assert decorated.__doc__ == "Square."
    np.testing.assert_array_equal(gradient(lambda v: np.sum(decorated(v)), x), 2 * x)


def test_iteration() -> None:
    x = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(
        gradient(lambda v: sum(v[k] * k[0] for k in np.ndindex(v.shape)), x), [[0, 0], [1, 1]]
    )
    np.testing.assert_array_equal(gradient(lambda v: sum(t * k for k, t in enumerate(v.flat)), x), x)
    for f in (np.ndenumerate, lambda v: np.broadcast(v, v)):
        with pytest.raises(TracedConversionError):
            gradient(f, x)
    with pytest.raises(TypeError):
        gradient(np.nditer, x)


# ---- np.emath


@pytest.mark.parametrize("f", [np.emath.sqrt, np.emath.log, np.emath.log2, np.emath.log10])
def test_emath_below_and_above_zero(f: Any) -> None:
    check_emath(f, [-2.0, 3.0])


@pytest.mark.parametrize("f", [np.emath.arcsin, np.emath.arccos, np.emath.arctanh])
def test_emath_inside_and_outside_of_the_unit_interval(f: Any) -> None:
    check_emath(f, [-2.0, 0.5, 3.0])


def check_emath(f: Any, points: list[float]) -> None:
    h = 1e-6
    slopes = [(f(x + h) - f(x - h)) / (2 * h) for x in points]
    for x, slope in zip(points, slopes, strict=True):
        np.testing.assert_allclose(tangent(f, x, 1.0), slope, rtol=1e-7)
        found = gradient(lambda v: 2 * np.real(f(v)) + 3 * np.imag(f(v)), x)
        np.testing.assert_allclose(found, 2 * np.real(slope) + 3 * np.imag(slope), rtol=1e-7)
        with GradientTape() as tape:
            y = f(tape.watch(np.array(x)))
        assert y.dtype == f(x).dtype
    np.testing.assert_allclose(tangent(f, points, np.ones(len(points))), slopes, rtol=1e-7)


@pytest.mark.parametrize("f", [np.arcsin, np.arccos])
@pytest.mark.parametrize("x", [2.0, -2.0])
@pytest.mark.parametrize("side", [0.0, -0.0])
def test_slopes_on_both_sides_of_a_branch_cut(f: Any, x: float, side: float) -> None:
    h = 1e-6
    points = [complex(x + h, side), complex(x - h, side)]
    difference = (f(points[0]) - f(points[1])) / (2 * h)
    np.testing.assert_allclose(tangent(f, complex(x, side), 1 + 0j), difference, rtol=1e-7)


def test_emath_of_single_precision() -> None:
    for f in (np.emath.sqrt, np.emath.log, np.emath.arccos):
        with GradientTape() as tape:
            x = tape.watch(np.array([-2.0, 0.5], np.float32))
            y = f(x)
        assert y.dtype == np.complex64
        assert tape.gradient(y, x, np.ones(2, np.complex64)).dtype == np.float32
    np.testing.assert_allclose(gradient(lambda v: np.real(np.emath.power(v, 2)), -3.0), -6.0)
    np.testing.assert_allclose(gradient(lambda v: np.imag(np.emath.logn(2, v)), -3.0), 0.0)


# ---- plain answers


def test_plain_answers() -> None:
    values = np.array([1.0, -np.inf, np.inf, np.nan])
    with GradientTape() as tape:
        x = tape.watch(values)
        for f in (np.isposinf, np.isneginf, np.isreal, np.iscomplex):
            got = f(x)
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, f(values))
        assert np.isrealobj(x)
        assert not np.iscomplexobj(x)
        assert np.result_type(x, np.float32) == np.float64
        assert np.result_type(np.float32, x.astype(np.float32)) == np.float32
        assert np.common_type(x) is np.float64
        assert np.can_cast(x.dtype, np.float32, "same_kind")
        assert np.min_scalar_type(x) == np.float64
        assert np.shares_memory(x, x)
        assert not np.may_share_memory(x, values)
        assert np.array_repr(x) == repr(values)
        assert np.array_str(x) == np.array2string(x) == str(values)
        assert not np.isfortran(x)
        with pytest.raises(TypeError, match="isnat"):
            np.isnat(x)
        for f in (np.bitwise_and, np.gcd, np.left_shift):
            with pytest.raises(TypeError):
                f(x, 1)
        for g in (np.invert, np.packbits):
            with pytest.raises(TypeError):
                g(x)


def test_files_are_for_plain_values() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones(2))
        for save in (
            lambda: np.save(io.BytesIO(), x),
            lambda: np.savez(io.BytesIO(), x),
            lambda: np.savez_compressed(io.BytesIO(), a=x),
            lambda: np.savetxt(io.StringIO(), x),
        ):
            with pytest.raises(TracedConversionError, match=r"np\.save"):
                save()
        file = io.BytesIO()
        np.save(file, x.numpy())
    text = io.StringIO()
    np.savetxt(text, x, "%g")
    assert text.getvalue() == "1\n1\n"


# ---- methods and attributes


def test_integers_have_the_operators_of_bits() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0, 2.0, 5.0]))
        k = x.astype(int)
        np.testing.assert_array_equal(np.asarray(k & 1), [1, 0, 1])
        np.testing.assert_array_equal(np.asarray(3 | k), [3, 3, 7])
        np.testing.assert_array_equal(np.asarray(~x.astype(bool)), [False] * 3)
        np.testing.assert_array_equal(np.asarray(k << 1), [2, 4, 10])
        for f in (lambda: x & 1, lambda: ~x, lambda: 1 ^ x, lambda: x & "a"):
            with pytest.raises(TypeError):
                f()


def test_attributes_of_memory() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 3)))
        assert x.strides == (24, 8)
        assert x.flags.c_contiguous
        assert x.T.flags.f_contiguous
        x.flags.writeable = False  # of a view that nobody sees
        assert x.base is None
        assert x.device == "cpu"
        assert x.to_device("cpu") is x
        with pytest.raises(ValueError, match="device"):
            x.to_device("gpu")
        for f in (
            lambda: x.tobytes(),
            lambda: x.data,
            lambda: x.dumps(),
            lambda: x.byteswap(),
            lambda: x.ctypes,
            lambda: np.from_dlpack(x),
        ):
            with pytest.raises(TracedConversionError):
                f()
    assert x.tobytes() == np.ones((2, 3)).tobytes()
    assert bytes(x.data) == x.tobytes()


def test_views_of_other_dtypes() -> None:
    z = np.array([[1 + 2j, 3 - 1j]])
    g = np.array([[1.0, 2.0, 3.0, 4.0]])
    with GradientTape() as tape:
        v = tape.watch(z)
        y = v.view(float)
        again = y.view(complex)
        same, arrays = v.view(), v.view(np.ndarray)
    np.testing.assert_array_equal(y.numpy(), z.view(float))
    np.testing.assert_array_equal(again.numpy(), z)
    np.testing.assert_array_equal(same.numpy(), arrays.numpy())
    np.testing.assert_array_equal(tape.gradient(y, v, g), g.view(complex))
    with pytest.raises(NotDifferentiableError, match="reads its bytes as other numbers"):
        gradient(lambda x: x.view(np.int64), [1.0])


def test_every_attribute_of_an_array_is_there() -> None:
    with GradientTape() as tape:
        x = tape.watch(np.ones(2))
    # These belong to subclasses of ndarray, to pickles of arrays, or to protocols that would hand out plain values.
    apart = {
        "__array_finalize__", "__array_wrap__", "__class_getitem__", "__setstate__", "__delitem__",
        "__array_interface__", "__array_struct__", "__array_namespace__",
        "__iand__", "__ilshift__", "__ior__", "__irshift__", "__ixor__",
        "itemset", "newbyteorder", "ptp", "tostring",  # only left to say that they are gone
    }  # fmt: skip
    assert {name for name in dir(np.ndarray) if not hasattr(type(x), name)} <= apart
