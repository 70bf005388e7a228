"""Ways of writing things with methods, operators and statements: each gives NumPy's value and the right derivative."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import ForwardAccumulator, GradientTape, hvp

A = np.array([[0.7, -1.2, 0.4], [1.1, 0.3, -0.8]])
C = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
Function = Callable[[Any], Any]


def statements(*lines: str, result: str = "y") -> Function:
    """A function of the given lines of code."""
    code = compile("\n".join(lines), "<probe>", "exec")

    def run(x: Any) -> Any:
        names = {"np": np, "x": x, "C": C, "operator": operator}
        exec(code, names)
        return eval(result, names)

    return run


METHODS = """
x.sum() x.sum(0) x.sum(axis=1,keepdims=True) x.mean() x.mean(1) x.prod() x.prod(0) x.max() x.max(1) x.min(axis=0)
x.std() x.std(0,ddof=1) x.var(1) x.cumsum() x.cumsum(1) x.cumprod(0) x.ravel() x.flatten() x.flatten("F") x.reshape(3,2)
x.reshape((-1,)) x.reshape(3,2,order="F") x.transpose() x.transpose(1,0)
x.T x.mT x.swapaxes(0,1) x.squeeze() x[None].squeeze(0)
x.repeat(2) x.repeat([1,2],axis=0) x.take([0,2],axis=1) x.diagonal() x.trace() x.dot(C.T) x.clip(-0.5,0.6) x.round(1)*x
x.copy() x.astype(np.float64) x.astype(complex).real x.conj()
x.conjugate() x.real x.imag+x x[0].dot(x[1]) x.compress([True,False],axis=0)
x.flat[4]*x np.stack(list(x.flat))
""".split()
OPERATORS = """
x+C C+x x-C C-x x*C C*x x/C C/x x**2 2.0**x x@C.T C@x.T -x +x abs(x) x%0.9 2.3%(x+3) x//0.37*x divmod(x+3,0.97)[1] x**3/x
x[1,2]*x[0] x[...,0] x[:,None] x[x>0] x[[0,1],[1,2]] x[::-1,1:] x[-1] operator.add(x,1) sum(x) (x>0)*x
""".split()
PROBES: dict[str, Function] = {}
for _source in METHODS + OPERATORS:
    PROBES[_source] = eval(f"lambda x: {_source}", {"np": np, "C": C, "operator": operator})
for _name, _lines in {
    "rows": ("y = 0.0", "for row in x:", "    y = y + row * row[0]"),
    "unpacking": ("a, b = x", "y = a * b"),
    "starred": ("a, *b = x[0]", "y = a * b[0] + b[1]"),
    "branch": ("y = x * x if x[0, 0] > 0 else -x",),
    "while": ("y = x", "while np.sum(y * y) < 50:", "    y = y * 1.5"),
    "largest": ("y = max(x[0]) * x",),
    "ordered": ("y = sorted(x[1])[0] * x",),
    "total": ("y = sum(v * v for v in x[0])",),
    "comprehension": ("y = np.stack([np.sin(r) for r in x])",),
    "zip": ("y = np.stack([a * b for a, b in zip(x[0], x[1])])",),
    "text": ("t = f'{x}' + repr(x)", "y = x * len(x) * bool(t)"),
    "augmented": ("y = x * 1.0", "y += C", "y *= x", "y -= 1", "y /= C", "y **= 2"),
    "augmented element": ("y = x * 1.0", "y[0, 1] += x[1, 1]", "y[1] *= x[0]"),
    "matrix product in place": ("y = x[:, :2] * 1.0", "y @= x[:, 1:]"),
    "alias": ("a = x * 1.0", "b = a", "b += 10", "y = a * x"),
    "view": ("y = x * 1.0", "v = y[:, 1:]", "v[...] = x[:, :2] ** 2"),
    "transpose": ("y = x * 1.0", "y.T[0] = x[0, :2]"),
    "reshape": ("y = x * 1.0", "y.reshape(-1)[::2] = x[0]"),
    "ravel": ("y = x * 1.0", "y.ravel()[3] = x[0, 0] ** 2"),
    "flat": ("y = x * 1.0", "y.flat[[0, 5]] = x[1, :2]"),
    "split": ("y = x * 1.0", "a, b = np.split(y, 2)", "a *= 3.0"),
    "iteration": ("y = x * 1.0", "for r in y:", "    r -= r.mean()"),
    "mask": ("y = x * 1.0", "y[y < 0] = 0", "y[C > 1] *= x[C > 1]"),
    "where": ("y = np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0)",),
    "sort": ("y = x * 1.0", "y.sort(axis=1)", "y = y * C"),
    "partition": ("y = x * 1.0", "y.partition(1)", "y = y[:, 1]"),
    "fill": ("y = x * 1.0", "y.fill(x[0, 0])", "y = y * x"),
    "put": ("y = x * 1.0", "y.put([0, 3], x[0, :2] ** 2)"),
    "out": ("y = np.zeros_like(x)", "np.multiply(x, C, out=y)", "np.add(y, x, y)"),
    "at": ("y = x[0] * 1.0", "np.add.at(y, [0, 0, 2], x[1])", "np.multiply.at(y, [1, 1], 2.0)"),
    "reduce": ("y = np.add.reduce(x) + np.multiply.reduce(x) + np.maximum.reduce(x)",),
    "accumulate": ("y = np.add.accumulate(x, axis=1) * np.subtract.accumulate(x)",),
    "outer": ("y = np.hypot.outer(x[0], C[0])",),
    "reduceat": ("y = np.add.reduceat(x, [0, 2], axis=1)",),
    "buffer": ("y = np.zeros(3, like=x)", "for k in range(3):", "    y[k] = x[0, k] * (y[k - 1] if k else 1.0)"),
    "argmax": ("y = x[np.arange(2), x.argmax(axis=1)]",),
    "argsort": ("y = x[0][x[0].argsort()] * C[0]",),
    "integers": ("k = np.round(x * 10).astype(int)", "y = x * k"),
    "method chain": ("y = ((x - x.mean(0)) / x.std(0)).clip(-0.9, 0.9).T.dot(x)",),
}.items():
    PROBES[_name] = statements(*_lines)


def difference(f: Function, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    h = 1e-4
    y = [np.asarray(f(x + k * h * t)) for k in (-2, -1, 1, 2)]
    return (y[0] - 8 * y[1] + 8 * y[2] - y[3]) / (12 * h)


@pytest.mark.parametrize("name", PROBES)
def test_value_and_derivatives(name: str) -> None:
    f, before = PROBES[name], A.copy()
    t = np.array([[0.3, -0.5, 1.1], [0.7, 0.2, -0.4]])
    want = np.asarray(f(A.copy()))
    slope = difference(lambda x: f(x.copy()), A, t)
    with GradientTape() as tape:
        x = tape.watch(A)
        y = f(x)
    assert y.dtype == want.dtype
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-13, atol=1e-15)
    g = tape.gradient(y, x, np.ones(y.shape, y.dtype), "zero")
    np.testing.assert_allclose(np.sum(g * t), np.sum(slope), rtol=1e-6, atol=1e-7)
    with ForwardAccumulator(A, t) as acc:
        y = f(acc.primals)
    np.testing.assert_allclose(acc.jvp(y, "zero"), slope, rtol=1e-6, atol=1e-7)
    second = lambda x: hvp(lambda x: np.sum(f(x) * 1.0), (x,), (t,))  # noqa: E731
    gradient = lambda x: gradient_of(f, x)  # noqa: E731
    np.testing.assert_allclose(second(A), difference(gradient, A, t), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(A, before)


def gradient_of(f: Function, a: np.ndarray) -> np.ndarray:
    with GradientTape() as tape:
        x = tape.watch(a)
        y = np.sum(f(x) * 1.0)
    return tape.gradient(y, x, unconnected_gradients="zero")
