"""Pytrees and their static leaves through every transform of the functional layer."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

import attrs
import numpy as np
import pytest

from tapeflow import Variable, grad, hvp, jvp, pytree, value_and_grad, vhp, vjp, vmap
from tapeflow.errors import NotDifferentiableError, SeedError, SeedTypeError, StructureError, TargetError

W, V = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [2.0, 1.0]])
B, C = np.float64(2.0), np.float64(-1.0)


class Point(NamedTuple):
    w: Any
    b: Any


@dataclass
class Model:
    w: Any
    b: Any
    name: str = field(default="m", metadata={"static": True})


@attrs.frozen
class Attrs:
    w: Any
    b: Any
    name: str = attrs.field(default="m", metadata={"static": True})


class Box:
    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b


pytree.register(Box, lambda x: ((x.w, x.b), None, ("w", "b")), lambda _, c: Box(*c))

KINDS: dict[str, tuple[Any, Any]] = {  # how to make one of two arrays, and how to get them back
    "dict": (lambda w, b: {"w": w, "b": b}, lambda p: (p["w"], p["b"])),
    "list": (lambda w, b: [w, b], tuple),
    "tuple": (lambda w, b: (w, b), tuple),
    "nested": (lambda w, b: {"z": [w], "a": ({"b": b},)}, lambda p: (p["z"][0], p["a"][0]["b"])),
    "namedtuple": (Point, tuple),
    "dataclass": (Model, lambda p: (p.w, p.b)),
    "attrs": (Attrs, lambda p: (p.w, p.b)),
    "registered": (Box, lambda p: (p.w, p.b)),
    "ordered": (lambda w, b: OrderedDict(w=w, b=b), lambda p: (p["w"], p["b"])),
    "default": (lambda w, b: defaultdict(list, w=w, b=b), lambda p: (p["w"], p["b"])),
    "deque": (lambda w, b: deque([w, b]), tuple),
    "with statics": (lambda w, b: {"w": w, "act": np.sin, "b": [None, b, "x"]}, lambda p: (p["w"], p["b"][1])),
}
kinds = pytest.mark.parametrize(("make", "parts"), KINDS.values(), ids=KINDS.keys())


def scalar(w: Any, b: Any) -> Any:
    return np.sum(np.sin(w) * b) + b**3


def same(got: Any, expected: Any) -> None:
    for x, y in zip(got, expected, strict=True):
        assert isinstance(x, (np.ndarray, np.float64))
        np.testing.assert_allclose(x, y, rtol=1e-12)


@kinds
def test_every_transform_gives_back_the_structure(make: Any, parts: Any) -> None:
    f = lambda p: scalar(*parts(p))  # noqa: E731
    p, v = make(W, B), make(V, C)
    spec = pytree.flatten(p)[1]
    expected = (np.cos(W) * B, np.sum(np.sin(W)) + 3 * B**2)
    value, gradient = value_and_grad(f)(p)
    assert pytree.flatten(gradient)[1] == spec
    assert value == scalar(W, B)
    same(parts(gradient), expected)
    same(parts(grad(f)(p)), expected)
    y, pullback = vjp(f, p)
    assert y == value
    same(parts(pullback(2.0)[0]), [2 * g for g in expected])
    y, tangent = jvp(f, (p,), (v,))
    assert y == value
    np.testing.assert_allclose(tangent, np.sum(expected[0] * V) + expected[1] * C)
    second = (-np.sin(W) * B * V + np.cos(W) * C, np.sum(np.cos(W) * V) + 6 * B * C)
    same(parts(hvp(f, (p,), (v,))), second)
    same(parts(vhp(f, (p,), (v,))), second)


@kinds
def test_results_may_be_trees(make: Any, parts: Any) -> None:
    f = lambda w, b: make(w * b, b**2)  # noqa: E731
    value, tangent = jvp(f, (W, B), (V, C))
    same(parts(value), (W * B, B**2))
    same(parts(tangent), (V * B + W * C, 2 * B * C))
    assert pytree.flatten(tangent)[1] == pytree.flatten(value)[1]
    value, pullback = vjp(f, W, B)
    same(parts(value), (W * B, B**2))
    same(pullback(make(V, C)), (V * B, np.sum(V * W) + C * 2 * B))
    same(parts(grad(lambda w: (np.sum(w), f(w, B)), has_aux=True)(W)[1]), (W * B, B**2))


@kinds
def test_trees_of_traced_values_nest(make: Any, parts: Any) -> None:
    f = lambda p: scalar(*parts(p))  # noqa: E731
    inner = lambda p: sum(np.sum(x * d) for x, d in zip(parts(grad(f)(p)), (V, C), strict=True))  # noqa: E731
    same(parts(grad(inner)(make(W, B))), parts(hvp(f, (make(W, B),), (make(V, C),))))
    same([jvp(inner, (make(W, B),), (make(V, C),))[1]], [_pairing(hvp(f, (make(W, B),), (make(V, C),)), parts)])
    batched = vmap(lambda w, b: parts(grad(f)(make(w, b))))(np.stack([W, V]), np.stack([B, C]))
    for k, (w, b) in enumerate([(W, B), (V, C)]):
        same([x[k] for x in batched], parts(grad(f)(make(w, b))))


def _pairing(product: Any, parts: Any) -> Any:
    w, b = parts(product)
    return np.sum(w * V) + b * C


class Colour(enum.Enum):
    RED = 1


@lru_cache
def cached(x: int) -> int:
    return x


STATICS = [
    None, True, "text", b"bytes", np.str_("t"), Colour.RED, np.sin, np.sum, len, partial(np.sum, axis=0), cached,
    np.float32, np.dtype("f4"), slice(1, 2), range(3), ..., np, lambda x: x, "a".upper,
]  # fmt: skip


@pytest.mark.parametrize("static", STATICS, ids=lambda s: type(s).__name__)
def test_static_leaves_are_seen_unchanged_and_come_back_in_their_place(static: Any) -> None:
    seen = []

    def f(p: Any) -> Any:
        seen.append(p["s"][0])
        return np.sum(p["w"] ** 2)

    p = {"w": W, "s": [static]}
    for result in (
        grad(f)(p),
        value_and_grad(f)(p)[1],
        vjp(f, p)[1](1.0)[0],
        hvp(f, (p,), ({"w": W, "s": [None]},)),
        vhp(f, (p,), (p,)),
        jvp(grad(f), (p,), (p,))[1],
    ):
        assert result["s"][0] is static
        np.testing.assert_array_equal(result["w"], 2 * W)
    assert jvp(f, (p,), (p,))[1] == np.sum(2 * W * W)
    assert all(s is static for s in seen)


def test_an_argument_without_arrays_beside_one_with() -> None:
    gw, gb = grad(lambda w, b: np.sum(w) if b is None else b, (0, 1))(W, None)
    np.testing.assert_array_equal(gw, np.ones((2, 2)))
    assert gb is None
    assert grad(lambda p: 1.0)({}) == {}
    assert jvp(lambda: 2.0, (), ()) == (2.0, 0.0)


class Series:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.ones(2, dtype)


class Unknown:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (None, r"params\['w'\]\[0\] is of type NoneType, and nothing in the arguments to differentiate"),
        ("a", r"params\['w'\]\[0\] is of type str, and nothing in the arguments"),
        (3, r"params\['w'\]\[0\] is of type int; expected an array"),
        (np.arange(3), r"params\['w'\]\[0\] has dtype int64.*astype\(float\)"),
        (np.array([True]), r"params\['w'\]\[0\] has dtype bool"),
        (np.array(["a"]), r"params\['w'\]\[0\] has dtype <U1"),
        (Variable(np.arange(2)), r"params\['w'\]\[0\] has dtype int64"),
        (Unknown(), r"params\['w'\]\[0\] is of type Unknown, neither.*tapeflow.pytree.register\(Unknown.*static"),
        (Series(), r"params\['w'\]\[0\] is of type Series.*or pass np.asarray of it"),
        ({1.0}, r"params\['w'\]\[0\] is of type set, neither an array nor a container"),
    ],
)
def test_what_cannot_be_differentiated_is_named(leaf: Any, text: str) -> None:
    f = lambda x, params: np.sum(x)  # noqa: E731
    for call in (
        lambda: grad(f, 1)(W, {"w": [leaf]}),
        lambda: value_and_grad(f, argnums=-1)(W, {"w": [leaf]}),
        lambda: grad(f, argnums=[1])(W, {"w": [leaf]}),
    ):
        with pytest.raises(NotDifferentiableError, match=text):
            call()
    if not isinstance(leaf, (str, type(None))):
        p = {"w": [leaf]}
        for call in (lambda: vjp(f, W, p), lambda: jvp(f, (W, p), (W, p)), lambda: hvp(f, (W, p), (W, p)),
                     lambda: vhp(f, (W, p), (W, p))):  # fmt: skip
            with pytest.raises(NotDifferentiableError, match=text.split("argnums")[0]):
                call()


def test_names_of_arguments_in_messages() -> None:
    bad = [np.arange(2)]
    for f, text in [
        (lambda *xs: 1.0, r"xs\[1\]\[0\] has dtype"),
        (lambda a, *xs: 1.0, r"xs\[0\]\[0\] has dtype"),
        (partial(lambda k, a, b: 1.0, 0), r"b\[0\] has dtype"),
        (grad(lambda u, v: 1.0), r"v\[0\] has dtype"),
        (np.maximum, r"(args\[1\]|x2)\[0\] has dtype"),
    ]:
        with pytest.raises(NotDifferentiableError, match=text):
            grad(f, (0, 1))(W, bad)


@pytest.mark.parametrize(
    ("tangent", "error", "text"),
    [
        ({"w": [W], "n": "b"}, SeedError, r"tangents\[0\]\['n'\] is of type str, but p\['n'\] is static \('a'\)"),
        ({"w": [W], "n": W}, SeedError, r"tangents\[0\]\['n'\] is of type ndarray, but p\['n'\] is static"),
        ({"w": W, "n": "a"}, StructureError, r"of the primals: tangents\[0\]\['w'\] is a leaf, expected a list of 1"),
        ({"w": [W]}, StructureError, r"tangents\[0\] is a dict of 1 \('w'\), expected a dict of 2"),
        ({"w": [W[0]], "n": "a"}, SeedError, r"tangents\[0\]\['w'\]\[0\] has shape \(2,\), but .* shape \(2, 2\)"),
        ({"w": [1j * W], "n": "a"}, SeedTypeError, r"tangents\[0\]\['w'\]\[0\] is complex"),
        ({"w": ["x"], "n": "a"}, SeedTypeError, r"tangents\[0\]\['w'\]\[0\] has dtype <U1"),
    ],
)
def test_tangents_that_do_not_fit_are_named(tangent: Any, error: type, text: str) -> None:
    p = {"w": [W], "n": "a"}
    f = lambda p, q=0.0: np.sum(p["w"][0] ** 2) * q  # noqa: E731
    for call in (lambda: jvp(f, (p,), (tangent,)), lambda: jvp(f, (p, W), (tangent, W)),
                 lambda: hvp(f, (p,), (tangent,))):  # fmt: skip
        with pytest.raises(error, match=text):
            call()
    with pytest.raises(error, match=text.replace("tangents", "cotangents")):
        vhp(f, (p,), (tangent,))


def test_tangents_of_none_are_zero_but_not_cotangents() -> None:
    f = lambda a, b: np.sum(a * b)  # noqa: E731
    assert jvp(f, (W, V), (W, None))[1] == np.sum(W * V)
    with pytest.raises(SeedTypeError, match=r"cotangents\[1\] is None; pass an array of shape \(2, 2\)"):
        vhp(f, (W, V), (W, None))


@pytest.mark.parametrize(
    ("cotangent", "error", "text"),
    [
        ({"a": W[0], "n": "x", "c": 1.0}, SeedError, r"cotangent\['a'\] has shape \(2,\)"),
        ({"a": W, "n": "x", "c": W}, SeedError, r"cotangent\['c'\] has shape \(2, 2\), but .* shape \(\)"),
        ({"a": W * 1j, "n": "x", "c": 1.0}, SeedTypeError, r"cotangent\['a'\] is complex"),
        ({"a": None, "n": "x", "c": 1.0}, SeedTypeError, r"cotangent\['a'\] is None"),
        ({"a": W, "n": "y", "c": 1.0}, SeedError, r"cotangent\['n'\] is of type str, but output\['n'\] is static"),
        ({"a": W, "c": 1.0}, SeedError, r"of the value: cotangent is a dict of 2 \('a', 'c'\), expected a dict of 3"),
    ],
)
def test_cotangents_that_do_not_fit_are_named(cotangent: Any, error: type, text: str) -> None:
    value, pullback = vjp(lambda w: {"a": w * 2, "n": "x", "c": 3}, W)
    assert value["n"] == "x"
    assert value["c"] == 3
    with pytest.raises(error, match=text):
        pullback(cotangent)
    np.testing.assert_array_equal(pullback({"a": W, "n": None, "c": 1})[0], 2 * W)


def test_results_that_are_no_arrays_are_named() -> None:
    for call in (lambda f: vjp(f, W), lambda f: jvp(f, (W,), (W,))):
        with pytest.raises(TargetError, match=r"output\['loss'\]\[1\] is of type Unknown.*has_aux=True"):
            call(lambda w: {"loss": [w, Unknown()]})
        with pytest.raises(TargetError, match=r"output\['loss'\] is a NoneType, not an array \(of <lambda>\)"):
            call(lambda w: {"loss": None})
    aux: Any = jvp(lambda w: (w, {"a": Unknown(), "b": w}), (W,), (W,), has_aux=True)[2]
    assert isinstance(aux["a"], Unknown)
    assert isinstance(aux["b"], np.ndarray)


def test_arguments_must_be_tuples_of_the_same_length() -> None:
    for f in (jvp, hvp, vhp):
        with pytest.raises(StructureError, match=rf"{f.__name__}: primals must be a tuple of arguments, not ndarray"):
            f(np.sum, W, W)  # type: ignore[operator]
        with pytest.raises(StructureError, match=r"tangents must be a tuple of arguments, not ndarray"):
            f(np.sum, (W,), W)  # type: ignore[operator]
        with pytest.raises(StructureError, match=r"1 primals, but 2 (co)?tangents"):
            f(np.sum, (W,), (W, W))  # type: ignore[operator]


def test_thousands_of_leaves() -> None:
    p = {f"w{k}": [np.full(2, float(k)), None] for k in range(2000)}
    g = grad(lambda p: sum(np.sum(x[0] ** 2) for x in p.values()))(p)
    assert list(g) == list(p)
    assert all(np.array_equal(g[k][0], 2 * p[k][0]) and g[k][1] is None for k in p)
