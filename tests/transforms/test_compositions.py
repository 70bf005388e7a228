"""Random stacks of transforms over programs of every family, against the same stacks made of directional derivatives.

Each transform turns a function of R^3 to R^3 into another one. Beside it stands what it means, written with nothing but
calls of the function and directional derivatives: those of plain nested `jvp` for stacks up to three, and differences for
single ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeflow.numpy as tnp
from tapeflow import (
    ForwardAccumulator,
    GradientTape,
    Variable,
    custom_gradient,
    custom_jvp,
    custom_vjp,
    gauss_newton_product,
    grad,
    hessian,
    hessian_diagonal,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    laplacian,
    linear_transpose,
    linearize,
    stop_gradient,
    taylor,
    value_and_grad,
    vhp,
    vjp,
    vmap,
)

pytestmark = pytest.mark.filterwarnings("ignore::tapeflow.errors.BatchLoopWarning")  # `y[y > 0]` of a batch

N = 3
Fun = Callable[[Any], Any]
Derivative = Callable[[Fun, Any, Any], Any]

RNG = np.random.default_rng(0)
A = RNG.normal(size=(N, N))
B = 3 * np.eye(N) + 0.3 * A
C = RNG.normal(size=N)
D = RNG.normal(size=N)
V = Variable(np.array([0.4, -0.3, 0.8]))

# ---- programs


def sums(x: Any) -> Any:
    return np.sin(np.cumsum(x * C)) + np.log(np.sum(np.exp(x))) * x - np.mean(x, keepdims=True)


def solves(x: Any) -> Any:
    return np.linalg.solve(B + 0.2 * np.outer(x, np.tanh(x)), np.cos(x))


def inverts(x: Any) -> Any:
    return np.linalg.inv(B + np.diag(np.sin(x))) @ x * np.linalg.det(B + np.diag(x)) ** (1 / 3)


def decomposes(x: Any) -> Any:
    w, v = np.linalg.eigh(np.diag(np.arange(1.0, N + 1)) + 0.1 * np.outer(x, x))
    q, r = np.linalg.qr(B + 0.2 * np.outer(x, C))
    return w * np.sum(v**2 * x, axis=0) + q @ np.diagonal(r)


def contracts(x: Any) -> Any:
    return np.einsum("ij,j,ik,k->i", A, x, A, np.sin(x))


def selects(x: Any) -> Any:
    y = np.tanh(x)
    return y[[2, 0, 0]] * y[::-1] + y[-1] * x[1:2]


def transforms(x: Any) -> Any:
    return np.real(np.fft.fft(np.exp(1j * x) * x)) + np.abs(np.fft.rfft(x**2, n=4) + 2j)


def orders(x: Any) -> Any:
    return np.sort(x * C) * np.cos(x) + np.max(x) * np.median(x)


def chooses(x: Any) -> Any:
    return np.where(x * C > 0, np.exp(x * 0.3), np.sin(x) * x)


def fills(x: Any) -> Any:
    y = tnp.zeros(N, like=x)
    y[1:] = x[:-1] * x[1:]
    y[0] += np.sin(x[2])
    y[y > 0] *= 1.5
    z = y.copy()
    z[::2] -= x[::2] ** 2
    part = z[1:]
    part *= 2
    return z


def rewrites(x: Any) -> Any:
    y = x * 1.0
    y[[0, 2]] = y[[2, 1]] * y[1]
    y += np.cos(x)
    return y


def normalizes(x: Any) -> Any:
    return np.tanh(x / np.linalg.norm(x) + np.prod(x)) / np.sqrt(1 + x @ x)


def joins(x: Any) -> Any:
    both = np.concatenate([np.sinh(x[:1]), x[1:] * x[:-1]])
    return both + np.stack([x, x**2]).sum(0) + np.outer(x, x).ravel()[2:5]


def loops(x: Any) -> Any:
    s = x
    for _ in range(3):
        s = np.sin(s) + 0.5 * np.roll(s, 1) * x[0]
    return s


def passes_complex(x: Any) -> Any:
    z = x + 1j * np.roll(x, 1)
    w = z**2 * np.exp(1j * z.real)
    return w.real * np.abs(w) + np.angle(z + 9) + np.conj(w).imag


def reshapes(x: Any) -> Any:
    m = np.reshape(np.concatenate([x, np.sin(x), x * C]), (3, 3))
    return (m @ m.T @ x)[:, None].T[0] + np.trace(m) + np.diagonal(m)


PROGRAMS: list[Fun] = [
    sums, solves, inverts, decomposes, contracts, selects, transforms, orders, chooses, fills, rewrites, normalizes,
    joins, loops, passes_complex, reshapes,
]  # fmt: skip

# ---- references, of the directional derivative `d(f, x, v)`


def unit(i: int) -> np.ndarray:
    return np.eye(N)[i]


def push(d: Derivative, f: Fun, x: Any) -> Any:
    return d(f, x, C * x)


def pull(d: Derivative, f: Fun, x: Any, u: Any) -> Any:
    return np.stack([np.sum(d(f, x, unit(i)) * u) for i in range(N)])


def curve(d: Derivative, f: Fun, x: Any) -> Any:
    along = D * x
    return d(lambda y: pull(d, f, y, C), x, along)


def twice(d: Derivative, f: Fun, x: Any, v: Any) -> Any:
    return d(lambda y: d(f, y, v), x, v)


def scalar(f: Fun) -> Fun:
    return lambda x: np.sum(f(x) * C)


Pair = tuple[Callable[[Fun], Fun], Callable[[Derivative, Fun], Fun]]
PAIRS: dict[str, Pair] = {}


def means(reference: Callable[[Derivative, Fun, Any], Any]) -> Callable[[Callable[[Fun, Any], Any]], Any]:
    """Enter a transform, given at a point, beside its meaning."""

    def enter(transform: Callable[[Fun, Any], Any]) -> Any:
        PAIRS[transform.__name__] = (
            lambda f: lambda x: transform(f, x),
            lambda d, f: lambda x: reference(d, f, x),
        )
        return transform

    return enter


@means(push)
def by_jvp(f: Fun, x: Any) -> Any:
    return jvp(f, (x,), (C * x,))[1]


@means(lambda d, f, x: d(f, x, x) * x + f(x) * D)
def by_jvp_of_one_value_twice(f: Fun, x: Any) -> Any:
    return jvp(lambda a, b: f(a) * b, (x, x), (x, D))[1]


@means(push)
def by_linearize(f: Fun, x: Any) -> Any:
    return linearize(f, x)[1](C * x)


@means(lambda d, f, x: d(f, x, D) + f(x) + d(f, x, f(x)))
def by_value_of_linearize(f: Fun, x: Any) -> Any:
    y, f_jvp = linearize(f, x * 1.0)
    return f_jvp(D) + y + f_jvp(y)


@means(lambda d, f, x: pull(d, f, x, D * x))
def by_vjp(f: Fun, x: Any) -> Any:
    return vjp(f, x)[1](D * x)[0]


@means(lambda d, f, x: pull(d, f, x, D * x))
def by_transpose(f: Fun, x: Any) -> Any:
    return linear_transpose(linearize(f, x)[1], np.zeros(N))(D * x)[0]


@means(lambda d, f, x: f(x) + f(x * 2) + f(C * x))
def by_vmap(f: Fun, x: Any) -> Any:
    return np.sum(vmap(f)(np.stack([x, x * 2, C * x])), axis=0)


@means(lambda d, f, x: f(x) + f(x * 2) + f(C * x))
def by_vmap_in_pieces(f: Fun, x: Any) -> Any:
    columns = np.stack([x, x * 2, C * x], axis=1)
    return np.sum(vmap(f, in_axes=1, out_axes=-1, chunk_size=2)(columns), axis=1)


@means(lambda d, f, x: np.stack([f(x * x[i])[0] + x[i] for i in range(N)]))
def by_vmap_over_numbers(f: Fun, x: Any) -> Any:
    return vmap(lambda a: f(x * a)[0] + a)(x)


@means(lambda d, f, x: d(f, x, C) + d(f, x, D * x))
def by_vmap_of_tangents(f: Fun, x: Any) -> Any:
    return vmap(linearize(f, x)[1])(np.stack([C, D * x])).sum(0)


@means(lambda d, f, x: pull(d, f, x, C) + pull(d, f, x, D * x))
def by_vmap_of_cotangents(f: Fun, x: Any) -> Any:
    return vmap(vjp(f, x)[1])(np.stack([C, D * x]))[0].sum(0)


@means(lambda d, f, x: pull(d, f, x, C) + pull(d, f, C * x, C))
def by_vmap_of_grad(f: Fun, x: Any) -> Any:
    return vmap(grad(scalar(f)))(np.stack([x, C * x])).sum(0)


@means(lambda d, f, x: np.sum(f(x) * x) * pull(d, f, x, x) + x * x + x)
def by_value_and_grad(f: Fun, x: Any) -> Any:
    def fun(y: Any, p: Any) -> Any:
        return np.sum(f(y) * p["k"]), {"u": p["k"] * y, "w": x}

    (value, aux), gradient = value_and_grad(fun, has_aux=True)(x, {"k": x})
    return value * gradient + aux["u"] + aux["w"]


@means(curve)
def by_hvp(f: Fun, x: Any) -> Any:
    return hvp(scalar(f), (x,), (D * x,))


@means(curve)
def by_vhp(f: Fun, x: Any) -> Any:
    return vhp(scalar(f), (x,), (D * x,))


@means(curve)
def by_hessian(f: Fun, x: Any) -> Any:
    return hessian(scalar(f))(x) @ (D * x)


@means(push)
def by_jacfwd(f: Fun, x: Any) -> Any:
    return jacfwd(f, chunk_size=2)(x) @ (C * x)


@means(lambda d, f, x: pull(d, f, x, D * x))
def by_jacrev(f: Fun, x: Any) -> Any:
    return (D * x) @ jacrev(f)(x)


@means(lambda d, f, x: d(lambda t: f(x * t), x[0], np.ones_like(x[0])))
def by_jacobian(f: Fun, x: Any) -> Any:
    return jacobian(lambda t: f(x * t))(x[0])


@means(lambda d, f, x: twice(d, f, x, C * x))
def by_taylor(f: Fun, x: Any) -> Any:
    return taylor(f, x, C * x, 2)[1][1]


@means(lambda d, f, x: np.stack([twice(d, scalar(f), x, unit(i)) for i in range(N)]))
def by_hessian_diagonal(f: Fun, x: Any) -> Any:
    return hessian_diagonal(scalar(f), x)


@means(lambda d, f, x: sum(twice(d, f, x, unit(i)) for i in range(N)))
def by_laplacian(f: Fun, x: Any) -> Any:
    return laplacian(f, x)


@means(lambda d, f, x: pull(d, f, x, d(f, x, C)))
def by_gauss_newton(f: Fun, x: Any) -> Any:
    return gauss_newton_product(f, (x,), (C,))


@means(lambda d, f, x: f(x) * x)
def by_custom_jvp(f: Fun, x: Any) -> Any:
    g = custom_jvp(lambda y: f(y))
    g.defjvp(lambda primals, tangents: jvp(f, primals, tangents))
    return g(x) * x


@means(lambda d, f, x: f(x) * x)
def by_custom_vjp(f: Fun, x: Any) -> Any:
    g = custom_vjp(lambda y: f(y))
    g.defvjp(lambda y: (f(y), y), lambda y, cotangent: vjp(f, y)[1](cotangent))
    return g(x) * x


@means(lambda d, f, x: f(x) * x)
def by_custom_gradient(f: Fun, x: Any) -> Any:
    return custom_gradient(lambda y: (f(y), lambda cotangent: vjp(f, y)[1](cotangent)[0]))(x) * x


@means(lambda d, f, x: pull(d, f, x, C) + d(f, x, D))
def by_tape(f: Fun, x: Any) -> Any:
    with GradientTape(persistent=True) as tape:
        w = tape.watch(x)
        y = f(w)
        gradient = tape.gradient(y, w, C, "zero")
    return gradient + tape.jacobian(y, w, "zero") @ D


@means(curve)
def by_two_tapes(f: Fun, x: Any) -> Any:
    with GradientTape() as outer:
        w = outer.watch(x)
        with GradientTape() as inner:
            u = inner.watch(w)
            y = f(u)
        z = np.sum(inner.gradient(y, u, C, "zero") * (D * x))
    return outer.gradient(z, w, None, "zero")


@means(lambda d, f, x: d(f, x, C * x) + d(f, x, D) * x)
def by_accumulator(f: Fun, x: Any) -> Any:
    with ForwardAccumulator(x, np.stack([C * x, D]), batched=True) as accumulator:
        y = f(accumulator.primals)
    first, second = accumulator.jvp(y, "zero")
    return first + second * x


@means(curve)
def by_accumulator_over_tape(f: Fun, x: Any) -> Any:
    with ForwardAccumulator(x, D * x) as accumulator:
        with GradientTape() as tape:
            w = tape.watch(accumulator.primals)
            y = f(w)
        gradient = tape.gradient(y, w, C, "zero")
    return accumulator.jvp(gradient, "zero")


@means(lambda d, f, x: pull(d, lambda y: f(y * x) * x, x * 0.5, np.ones(N)))
def by_closure(f: Fun, x: Any) -> Any:
    return grad(lambda y: np.sum(f(y * x) * x))(x * 0.5)


@means(lambda d, f, x: f(np.stack([x[0], x[0] * x[2], x[2]])) * np.stack([x[1], 1, 1]))
def by_writes(f: Fun, x: Any) -> Any:
    y = x.copy()
    y[1] = y[0] * y[2]
    z = f(y) * 1.0
    z[0] *= x[1]
    return z


@means(lambda d, f, x: f(V.numpy() * x) + pull(d, lambda y: f(y * V.numpy()), x, np.ones(N)))
def by_variable(f: Fun, x: Any) -> Any:
    return f(V * x) + grad(lambda y: np.sum(f(y * V)))(x)


# ---- the comparison


def by_differences(f: Fun, x: Any, v: Any, h: float = 1e-3) -> Any:
    return (8 * (f(x + h * v) - f(x - h * v)) - (f(x + 2 * h * v) - f(x - 2 * h * v))) / (12 * h)


def nested(f: Fun, x: Any, v: Any) -> Any:
    return jvp(f, (x,), (v,))[1]


def is_close(got: Any, want: Any, tolerance: float) -> bool:
    return np.shape(got) == np.shape(want) and bool(
        np.allclose(got, want, rtol=tolerance, atol=tolerance * (1 + np.max(np.abs(want))))
    )


def compare(program: Fun, stack: list[str], x: np.ndarray, d: Derivative, tolerance: float) -> None:
    f = g = program
    for name in stack:
        transform, reference = PAIRS[name]
        f, g = transform(f), reference(d, g)
    want = g(x)
    got = f(x)
    assert is_close(got, want, tolerance), f"{stack} of {program.__name__} at {x!r}: {got}, expected {want}"


X = np.array([0.42, -0.87, 0.65])  # away from where `chooses`, `orders` and `fills` change their mind


@pytest.mark.parametrize("name", PAIRS)
def test_each_transform_agrees_with_differences(name: str) -> None:
    for program in PROGRAMS:
        compare(program, [name], X, by_differences, 1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_stacks_agree_with_nested_directional_derivatives(name: str) -> None:
    """Each transform innermost, in the middle and outermost of random stacks."""
    rng = np.random.default_rng(list(map(ord, name)))
    names = list(PAIRS)
    with np.errstate(all="ignore"):
        for depth, place in ((2, 0), (2, 0), (2, 1), (2, 1), (3, 0), (3, 1), (3, 2)):
            stack = [names[k] for k in rng.integers(len(names), size=depth)]
            stack[place] = name
            program = PROGRAMS[rng.integers(len(PROGRAMS))]
            if "by_variable" in stack and {"by_custom_jvp", "by_custom_vjp"} & set(stack):
                continue  # these refuse to capture one
            compare(program, stack, X * rng.uniform(0.8, 1.2, size=N), nested, 1e-7)


@pytest.mark.parametrize(
    ("program", "stack"),
    [
        (fills, ["by_value_and_grad", "by_tape", "by_jacrev"]),  # views of adjoints while `y[0] += ...` is pulled back
        (fills, ["by_closure", "by_gauss_newton", "by_tape"]),
        (fills, ["by_custom_gradient", "by_taylor", "by_vhp"]),  # a rule that closes over a series that is over
        (solves, ["by_custom_gradient", "by_hessian_diagonal", "by_vmap_of_tangents"]),  # one of a batch of series
        (transforms, ["by_custom_gradient", "by_laplacian", "by_linearize"]),
        (sums, ["by_custom_vjp", "by_linearize"]),  # a transposed rule whose check has no values to decide by
        (orders, ["by_custom_gradient", "by_gauss_newton"]),
        (contracts, ["by_linearize", "by_transpose"]),
    ],
    ids=lambda x: x.__name__ if callable(x) else "-".join(x),
)
def test_stacks_that_were_wrong_once(program: Fun, stack: list[str]) -> None:
    compare(program, stack, X, nested, 1e-7)


def test_a_wrong_transform_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(f: Fun, x: Any) -> Any:
        return jvp(f, (stop_gradient(x),), (C * x,))[1]

    monkeypatch.setitem(PAIRS, "wrong", (lambda f: lambda x: wrong(f, x), PAIRS["by_jvp"][1]))
    compare(sums, ["wrong"], X, nested, 1e-7)  # its values are right, its derivatives are not
    with pytest.raises(AssertionError, match=r"\['wrong', 'by_vjp'\] of sums"):
        compare(sums, ["wrong", "by_vjp"], X, nested, 1e-7)


# ---- derivatives inside of derivatives, by every pair of ways


def on_a_tape(f: Fun, x: Any) -> Any:
    with GradientTape() as tape:
        w = tape.watch(x)
        y = f(w)
    return tape.gradient(y, w, None, "zero")


def by_an_accumulator(f: Fun, x: Any) -> Any:
    with ForwardAccumulator(x, 1.0) as accumulator:
        y = f(accumulator.primals)
    return accumulator.jvp(y, "zero")


WAYS: dict[str, Callable[[Fun, Any], Any]] = {
    "grad": lambda f, x: grad(f)(x),
    "jvp": lambda f, x: jvp(f, (x,), (1.0,))[1],
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "jacrev": lambda f, x: jacrev(f)(x),
    "linearize": lambda f, x: linearize(f, x)[1](1.0),
    "vjp": lambda f, x: vjp(f, x)[1](1.0)[0],
    "taylor": lambda f, x: taylor(f, x, 1.0, 1)[1][0],
    "vmap of grad": lambda f, x: vmap(grad(f))(np.stack([x, x]))[0],
    "grad of vmap": lambda f, x: grad(lambda y: np.sum(vmap(f)(np.stack([y, y]))) / 2)(x),
    "vmap of jvp": lambda f, x: vmap(lambda t: jvp(f, (x,), (t,))[1])(np.ones(2))[1],
    "transpose": lambda f, x: linear_transpose(linearize(f, x)[1], 1.0)(1.0)[0],
    "tape": on_a_tape,
    "accumulator": by_an_accumulator,
}


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", WAYS)
def test_an_inner_derivative_does_not_meet_the_outer_one(outer: str, inner: str) -> None:
    a, b = WAYS[outer], WAYS[inner]
    x = 2.0
    np.testing.assert_allclose(a(lambda x: x * b(lambda y: x + y, 1.0), x), 1)
    np.testing.assert_allclose(a(lambda x: x * b(lambda y: x * y * y, x), x), 6 * x**2)
    np.testing.assert_allclose(a(lambda x: b(lambda y: y * b(lambda z: z * y * x, y), x), x), 4 * x)
    want = 2 * x * np.cos(2 * x) - 2 * x**2 * np.sin(2 * x)
    np.testing.assert_allclose(a(lambda x: b(lambda y: np.sin(x * y) * x, 2.0), x), want)
