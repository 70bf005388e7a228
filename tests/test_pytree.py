"""Pytrees: what is a container, what comes back, and where a structure differs."""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import numpy as np
import optree
import pytest

from tapeflow import pytree
from tapeflow.errors import StructureError

EVERYWHERE = optree.registry.__GLOBAL_NAMESPACE


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True, slots=True)
class Frozen:
    w: Any
    name: str = field(default="a", metadata={"static": True})


@attrs.frozen
class Attrs:
    w: Any = attrs.field(converter=float)
    name: str = attrs.field(default="a", metadata={"static": True})


@attrs.define
class Both:
    a: Any
    b: Any


class Box:
    def __init__(self, *values: Any, label: str = "") -> None:
        self.values, self.label = values, label


pytree.register(Box, lambda b: (b.values, b.label), lambda label, values: Box(*values, label=label))

TREES = {
    "leaf": 1.0,
    "none": None,
    "nested": {"b": [1.0, (2.0, 3.0)], "a": {}},
    "namedtuple": Point(1.0, [2.0]),
    "ordered": OrderedDict(b=1.0, a=2.0),
    "default": defaultdict(list, b=1.0, a=2.0),
    "deque": deque([1.0, 2.0], maxlen=3),
    "frozen dataclass": Frozen(1.0, "n"),
    "attrs": Attrs(1.0, "n"),
    "attrs of attrs": Both(Attrs(1.0), {"x": Both(2.0, 3.0)}),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_a_tree_is_rebuilt_as_it_was(tree: Any) -> None:
    leaves, spec = pytree.flatten(tree)
    again = pytree.unflatten(spec, leaves)
    assert again == tree
    assert type(again) is type(tree)
    assert pytree.flatten(again)[1] == spec


@pytest.mark.parametrize("tree", [t for t in TREES.values() if t is not None and t != 1.0])
def test_leaves_may_be_anything_on_the_way_back(tree: Any) -> None:
    leaves, spec = pytree.flatten(tree)
    assert pytree.flatten(pytree.unflatten(spec, [object for _ in leaves]))[0] == [object for _ in leaves]


def test_dicts_come_back_in_the_order_given_and_match_by_key() -> None:
    doubled = pytree.map_leaves(lambda x: 2 * x, {"z": 1, "a": 2, 3: 4})
    assert list(doubled.items()) == [("z", 2), ("a", 4), (3, 8)]
    assert pytree.map_leaves(lambda x, y: x - y, {"b": 1, "a": 2}, {"a": 2, "b": 1}) == {"b": 0, "a": 0}


def test_static_fields_belong_to_the_structure() -> None:
    assert pytree.flatten(Frozen(1.0, "n"))[0] == [1.0]
    assert pytree.flatten(Frozen(1.0, "n"))[1] != pytree.flatten(Frozen(1.0, "m"))[1]
    assert pytree.map_leaves(lambda x: x + 1, Attrs(1.0, "n")) == Attrs(2.0, "n")


@pytest.mark.parametrize("cls", [Frozen, Attrs])
def test_unhashable_statics_are_an_error(cls: Any) -> None:
    with pytest.raises(StructureError, match=rf"{cls.__name__}.name is static.*must be hashable.*type list"):
        pytree.flatten({"a": cls(1.0, ["n"])})
    with pytest.raises(StructureError, match="type ndarray"):
        pytree.flatten(cls(1.0, np.ones(2)))


def test_registered_classes_have_paths() -> None:
    _, _, paths = pytree.flatten_with_paths({"b": Box(1.0, [2.0])}, "p")
    assert list(map(str, paths)) == ["p['b'][0]", "p['b'][1][0]"]

    class Named:
        w = 3.0

    assert pytree.register(Named, lambda n: ((n.w,), None, ("w",)), lambda aux, children: children) is Named
    assert str(pytree.flatten_with_paths([Named()], "p")[2][0]) == "p[0].w"
    assert str(pytree.flatten_with_paths([Frozen([1.0])], "p")[2][0]) == "p[0].w[0]"


def test_a_dataclass_met_before_can_still_be_registered_by_the_user() -> None:
    @dataclass
    class Pair:
        a: Any
        b: Any

    assert len(pytree.flatten(Pair(1.0, 2.0))[0]) == 2
    pytree.register(Pair, lambda p: ((p.a,), p.b), lambda b, children: Pair(*children, b))
    assert pytree.flatten(Pair(1.0, 2.0))[0] == [1.0]
    with pytest.raises(ValueError, match="already registered"):
        pytree.register(Pair, lambda p: ((p.a,), p.b), lambda b, children: Pair(*children, b))


def test_what_cannot_be_registered() -> None:
    with pytest.raises(TypeError, match="expected a class, got 3"):
        pytree.register(3, lambda x: ((), None), lambda aux, c: 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="built-in type"):
        pytree.register(list, lambda x: ((), None), lambda aux, c: [])


def test_classes_that_optree_knows_are_containers() -> None:
    @optree.register_pytree_node_class(namespace=EVERYWHERE)
    class Known:
        def __init__(self, w: Any) -> None:
            self.w = w

        def tree_flatten(self) -> Any:
            return (self.w,), None

        @classmethod
        def tree_unflatten(cls, _: Any, children: Any) -> Any:
            return cls(*children)

    assert pytree.map_leaves(lambda x: x + 1, Known(1.0)).w == 2.0


def test_members_of_enumerations_are_leaves_whatever_they_hold() -> None:
    @dataclass(frozen=True)
    class Data:
        size: int

    class Kind(Data, enum.Enum):
        SMALL = 1

    assert pytree.flatten([Kind.SMALL])[0] == [Kind.SMALL]


def test_threads_that_meet_a_class_first_do_not_disturb_each_other() -> None:
    for _ in range(20):
        cls: Any = attrs.make_class("Made", ["a"])
        start = threading.Barrier(4)
        counts: list[int] = []

        def meet(cls: Any = cls, start: Any = start, counts: Any = counts) -> None:
            start.wait()
            counts.append(len(pytree.flatten(cls([1.0, 2.0]))[0]))

        threads = [threading.Thread(target=meet) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert counts == [2] * 4


@pytest.mark.parametrize(
    ("tree", "other", "text"),
    [
        ([1, 2], [1, 2], ""),
        ([1, 2], [1], "t is a list of 1, expected a list of 2"),
        ([1, 2], (1, 2), "t is a tuple of 2, expected a list of 2"),
        ({"a": [1]}, {"a": 1}, "t['a'] is a leaf, expected a list of 1"),
        ({"a": 1}, {"b": 1}, "t is a dict of 1 ('b'), expected a dict of 1 ('a')"),
        ([{"a": Point(1, [2])}], [{"a": Point(1, 2)}], "t[0]['a'].y is a leaf, expected a list of 1"),
        ([Frozen([1])], [Frozen([1, 2])], "t[0].w is a list of 2, expected a list of 1"),
        ([Frozen(1, "a")], [Frozen(1, "b")], "t[0] has other static parts"),
        (1, {}, "t is a dict of 0, expected a leaf"),
    ],
)
def test_where_structures_differ(tree: Any, other: Any, text: str) -> None:
    assert pytree.mismatch(pytree.flatten(tree)[1], pytree.flatten(other)[1], "t") == text
    if text:
        with pytest.raises(StructureError, match="structures differ: the other"):
            pytree.map_leaves(lambda x, y: x, tree, other)
