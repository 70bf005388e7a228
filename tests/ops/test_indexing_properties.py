"""Random shapes and index expressions, read and written: values as NumPy's, derivatives as by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tapeflow import ForwardAccumulator, GradientTape

Shape = tuple[int, ...]


shapes = hnp.array_shapes(max_dims=3, max_side=4)


@st.composite
def mixed_indices(draw: Any, shape: Shape) -> tuple[Any, ...]:
    """Integers, slices, index lists that broadcast together, masks of one axis, None and an ellipsis in one tuple."""
    length = draw(st.integers(0, 3))
    parts: list[Any] = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        integer = st.integers(-n, n - 1)
        several = st.lists(integer, min_size=length, max_size=length)
        mask = st.permutations([True] * length + [False] * (n - length)) if length <= n else several
        parts.append(draw(st.one_of(integer, st.slices(n), several, mask.map(np.array), several.map(column))))
    if len(parts) < len(shape) and draw(st.booleans()):
        parts.append(...)
    for _ in range(draw(st.integers(0, 1))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(np.asarray(p, np.intp) if isinstance(p, np.ndarray) and p.dtype != bool else p for p in parts)


def column(values: list[int]) -> list[list[int]]:
    return [[v] for v in values]


def indices(shape: Shape) -> Any:
    """Every kind of index expression."""
    return st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True),
        hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
        mixed_indices(shape),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:1]),
        st.integers(-shape[0], shape[0] - 1),
        st.lists(st.integers(-shape[0], shape[0] - 1), max_size=5),
    )


@st.composite
def arrays_and_indices(draw: Any) -> tuple[Shape, Any]:
    shape = draw(shapes)
    return shape, draw(indices(shape))


@st.composite
def right_sides(draw: Any, selected: Shape) -> Shape:
    """A shape that broadcasts to the selected one, among them all of it and a scalar's."""
    kept = selected[draw(st.integers(0, len(selected))) :]
    return tuple(1 if draw(st.booleans()) else n for n in kept) if draw(st.booleans()) else kept


@st.composite
def assignments(draw: Any) -> tuple[Shape, Any, Shape]:
    shape, index = draw(arrays_and_indices())
    return shape, index, draw(right_sides(np.zeros(shape)[index].shape))


def numbers(seed: int, *shapes: Shape) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, s) for s in shapes]


def differences(f: Callable[..., Any], args: list[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Gradients of the weighted sum of f by complex steps, which lose no digits."""
    gradients = []
    for i, a in enumerate(args):
        found = np.zeros(a.shape)
        for k in np.ndindex(a.shape):
            moved = [b.astype(complex) for b in args]
            moved[i][k] += 1e-30j
            found[k] = np.sum(weights * np.imag(f(*moved))) / 1e-30
        gradients.append(found)
    return gradients


def check(f: Callable[..., Any], *shapes: Shape) -> None:
    """Hold a program of array arguments to NumPy and to differences, in both modes."""
    args = numbers(1, *shapes)
    want = np.asarray(f(*[a.copy() for a in args]))
    (weights,) = numbers(2, want.shape)
    with GradientTape() as tape:
        x = tape.watch(tuple(args))
        y = f(*x)
    got = y.numpy() if hasattr(y, "numpy") else np.asarray(y)
    np.testing.assert_allclose(got, want, rtol=1e-13)  # sums over repeated indices come in another order
    assert got.shape == want.shape
    expected = differences(f, args, weights)
    gradients = tape.gradient(y, x, weights, "zero") if hasattr(y, "numpy") else tuple(map(np.zeros_like, args))
    for g, e in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-13)
    tangents = numbers(3, *shapes)
    with ForwardAccumulator(tuple(args), tuple(tangents)) as acc:
        pushed = acc.jvp(f(*acc.primals), "zero")
    along = sum(np.sum(e * t) for e, t in zip(expected, tangents, strict=True))
    np.testing.assert_allclose(np.sum(weights * pushed), along, rtol=1e-11, atol=1e-12)


# ---- reading


@given(arrays_and_indices())
def test_reading(case: tuple[Shape, Any]) -> None:
    shape, index = case
    check(lambda x: (x * x)[index] ** 2, shape)


@given(st.data())
def test_reading_what_was_read(data: st.DataObject) -> None:
    shape, first = data.draw(arrays_and_indices())
    selected = np.zeros(shape)[first].shape
    if 0 in selected or selected == ():
        return
    second = data.draw(indices(selected))
    check(lambda x: x[first][second] * np.sum(x[first]), shape)


@given(st.data())
def test_take(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    length = np.prod(shape) if axis is None else shape[axis]
    places = data.draw(hnp.arrays(np.intp, hnp.array_shapes(max_dims=2), elements=st.integers(-length, length - 1)))
    check(lambda x: np.take(x * x, places, axis), shape)


# ---- writing


@given(assignments())
def test_assigning(case: tuple[Shape, Any, Shape]) -> None:
    shape, index, right = case

    def f(x: Any, v: Any) -> Any:
        y = x * x
        y[index] = v * v
        return y * y

    check(f, shape, right)


@given(assignments())
def test_assigning_into_a_buffer(case: tuple[Shape, Any, Shape]) -> None:
    shape, index, right = case

    def f(x: Any, v: Any) -> Any:
        y = np.zeros_like(x)
        y[index] = v * v
        return y * x

    check(f, shape, right)


@given(assignments())
def test_assigning_constants(case: tuple[Shape, Any, Shape]) -> None:
    shape, index, right = case

    def f(x: Any) -> Any:
        y = x * x
        y[index] = np.full(right, 3.0)
        return y * y

    check(f, shape)


@given(assignments(), st.sampled_from(["+", "-", "*", "/", "**"]))
def test_updating(case: tuple[Shape, Any, Shape], operator: str) -> None:
    shape, index, right = case

    def f(x: Any, v: Any) -> Any:
        y = x * x
        match operator:
            case "+":
                y[index] += v * v
            case "-":
                y[index] -= v * v
            case "*":
                y[index] *= v * v
            case "/":
                y[index] /= v * v
            case "**":
                y[index] **= v * v
        return y * y

    check(f, shape, right)


@given(assignments())
def test_accumulating(case: tuple[Shape, Any, Shape]) -> None:
    shape, index, right = case
    selected = np.zeros(shape)[index].shape

    def f(x: Any, v: Any) -> Any:
        y = x * x
        # Broadcast here: NumPy 2.4 reads past the end of values that it has to spread over an index of two axes.
        np.add.at(y, index, np.broadcast_to(v * v, selected))
        return y * y

    check(f, shape, right)


@given(st.data())
def test_assigning_from_the_array_itself(data: st.DataObject) -> None:
    shape, index = data.draw(arrays_and_indices())
    permutation = np.array(data.draw(st.permutations(range(shape[0]))), np.intp)

    def f(x: Any) -> Any:
        y = x * x
        y[index] = y[permutation][index]
        y[1:] = y[:-1]  # overlapping: NumPy copies first
        return y * x

    check(f, shape)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "rest": lambda y: y[1:],
    "reversed": lambda y: y[::-1],
    "row": lambda y: y[0] if y.ndim > 1 and len(y) else y[:1],
    "new axis": lambda y: y[None],
    "ellipsis": lambda y: y[...],
    "transposed": lambda y: y.T,
    "swapped": lambda y: np.swapaxes(y, 0, -1),
    "flat": lambda y: y.reshape(-1),
    "ravelled": lambda y: np.ravel(y),
    "other name": lambda y: y,
}


@given(st.data())
def test_writing_through_a_view(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    chain = data.draw(st.lists(st.sampled_from(sorted(VIEWS)), min_size=1, max_size=3))

    def viewed(y: Any) -> Any:
        for name in chain:
            y = VIEWS[name](y)
        return y

    inner = viewed(np.zeros(shape)).shape
    if 0 in inner:
        return
    index = data.draw(indices(inner))
    right = data.draw(right_sides(np.zeros(inner)[index].shape))

    def f(x: Any, v: Any) -> Any:
        y = x * x
        w = viewed(y)
        before = y * 1
        w[index] = v * v
        y[:1] *= 2  # seen by the view
        w[index] += v
        return np.concatenate([np.ravel(y * before), np.ravel(w)])

    check(f, shape, right)


@given(st.data())
def test_programs_of_writes(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    steps = []
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(indices(shape))
        right = data.draw(right_sides(np.zeros(shape)[index].shape))
        steps.append((data.draw(st.sampled_from(["set", "add", "at", "alias"])), index, right))

    def f(x: Any, *values: Any) -> Any:
        y = x * x
        total = y.copy()
        for (kind, index, _), v in zip(steps, values, strict=True):
            if kind == "set":
                y[index] = v * v
            elif kind == "add":
                y[index] += v * v
            elif kind == "at":
                np.add.at(y, index, np.broadcast_to(v * v, np.zeros(shape)[index].shape))
            else:
                alias = y
                alias *= 1.5
            total += y * x
        return total

    check(f, shape, *(right for _, _, right in steps))


def test_named_examples_of_writes() -> None:
    def recurrence(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[0]
        for t in range(1, len(x)):
            y[t] = 0.5 * y[t - 1] + x[t] ** 2
        return y

    def step(v: Any, x: Any) -> Any:
        y = v * 1
        w = y[1:]
        w[::2] = x
        return y * y

    def element(x: Any) -> Any:
        y = x * x
        s = y[0]  # a scalar, not a view
        s += 1
        return y * s

    def masked(x: Any) -> Any:
        y = x * x
        y[y > 1] = 0
        y[y == 0] += x[0]
        return y

    check(recurrence, (5,))
    check(step, (5,), (2,))
    check(element, (3,))
    check(masked, (6,))
