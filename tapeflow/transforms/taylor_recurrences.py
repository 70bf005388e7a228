"""Recurrences for the Taylor coefficients of functions that programs are made of.

All are of quadratic cost in the order. Sources:

[GW] A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., 2008: table 13.1 (arithmetic, roots, powers), table 13.2
     (exponential, logarithm, sine and cosine), proposition 13.1 (others that solve a linear differential equation).
[WL] S. F. Walter, L. Lehmann, arXiv 1001.1654: products, inverses and linear systems of matrices.

A recurrence takes primals, coefficients of each operand, the output, the order and the parameters (see
:mod:`tapeflow.transforms.taylor_series`). It says ``NotImplemented`` at the singular points of its formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from tapeflow.core.primitive import Primitive
from tapeflow.core.tracer import Tracer, anywhere
from tapeflow.transforms.taylor_series import RECURRENCES, Coefficients, Recurrence, plus

__all__ = ["power_by_products"]

Row = list[Any]  # coefficients of orders 0, 1, ...


# ---- sums of products; None is zero


def _times(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a * b


def _minus(a: Any, b: Any) -> Any:
    return a if b is None else -b if a is None else a - b


def _over(a: Any, b: Any) -> Any:
    return None if a is None else a / b


def _sum(terms: Iterator[Any]) -> Any:
    total = None
    for term in terms:
        total = plus(total, term)
    return total


def _convolved(a: Row, b: Row, k: int, first: int = 0, last: int | None = None) -> Any:
    """Sum of ``a[j] * b[k - j]``, j from `first` to `last`."""
    total = None
    for j in range(first, (k if last is None else last) + 1):
        p, q = a[j], b[k - j]
        if p is not None and q is not None:
            total = p * q if total is None else total + p * q
    return total


def _weighted(a: Row) -> Row:
    """Each coefficient times its order: those of t times the derivative."""
    return [c if c is None or j < 2 else j * c for j, c in enumerate(a)]


def _row(primal: Any, own: Coefficients | None, order: int) -> Row:
    return [primal, *([None] * order if own is None else own[:order])]


def _scaled(coefficients: Coefficients, factor: float) -> Coefficients:
    return [_times(c, factor) for c in coefficients]


# ---- products: every operand alone is linear


def _orders(total: int, count: int) -> Iterator[tuple[int, ...]]:
    """All ways to share out an order among operands."""
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _orders(total - first, count - 1):
            yield (first, *rest)


def _multilinear(primitive: Primitive) -> Recurrence:
    """The product rule of Leibniz, for any number of factors."""

    def recurrence(
        primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: dict[str, Any]
    ) -> Coefficients:
        rows = [_row(x, m, order) for x, m in zip(primals, moving, strict=True)]

        def term(orders: tuple[int, ...]) -> Any:
            factors = [row[j] for row, j in zip(rows, orders, strict=True)]
            return None if any(f is None for f in factors) else primitive(*factors, **params)

        return [_sum(map(term, _orders(k, len(rows)))) for k in range(1, order + 1)]

    return recurrence


def _multiply(primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: Any) -> Coefficients:
    (a, b), (m, n) = primals, moving
    if m is None or n is None:
        factor, own = (a, n) if m is None else (b, m)
        assert own is not None
        return [_times(c, factor) for c in own[:order]]
    left, right = _row(a, m, order), _row(b, n, order)
    return [_convolved(left, right, k) for k in range(1, order + 1)]


# ---- one operand: recurrence(x, y, order) fills the row y, which holds the primal


def _unary(fill: Callable[[Row, Row, int], Any]) -> Recurrence:
    def recurrence(primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: Any) -> Any:
        y = [out]
        found = fill(_row(primals[0], moving[0], order), y, order)
        return y[1:] if found is None else found

    return recurrence


def _squared(x: Row, k: int, first: int = 0) -> Any:
    """Sum of ``x[j] * x[k - j]``, j from `first` to ``k - first``, each pair once."""
    half = _times(_convolved(x, x, k, first, (k - 1) // 2), 2)
    return half if k % 2 else plus(half, _times(x[k // 2], x[k // 2]))


def _square(x: Row, y: Row, order: int) -> None:
    y += [_squared(x, k) for k in range(1, order + 1)]


def _exponential(factor: float, shift: float = 0.0) -> Recurrence:
    """``y' = (y + shift) * factor * x'``."""

    def fill(x: Row, y: Row, order: int) -> None:
        rate = _weighted(x)
        z = [y[0] + shift if shift else y[0]]
        for k in range(1, order + 1):
            y.append(_over(_convolved(rate, z, k, 1), k / factor))
            z.append(y[k])

    return _unary(fill)


def _logarithm(factor: float, shift: float = 0.0) -> Recurrence:
    """``(x + shift) * y' = factor * x'``."""

    def fill(x: Row, y: Row, order: int) -> Any:
        base = x[0] + shift if shift else x[0]
        if anywhere(base == 0):
            return NotImplemented
        z: Row = [None]  # of the natural logarithm, each times its order
        for k in range(1, order + 1):
            z.append(_over(_minus(None if x[k] is None else k * x[k], _convolved(z, x, k, 1, k - 1)), base))
            y.append(_over(z[k], k / factor))
        return None

    return _unary(fill)


def _circular(other: Callable[[Any], Any], sign: int, other_sign: int) -> Recurrence:
    """``y' = sign * z * x'`` and ``z' = other_sign * y * x'``, with ``z = other(x)``."""

    def fill(x: Row, y: Row, order: int) -> None:
        rate = _weighted(x)
        z = [other(x[0])]
        for k in range(1, order + 1):
            y_k = _over(_convolved(rate, z, k, 1), sign * k)
            z.append(_over(_convolved(rate, y, k, 1), other_sign * k) if k < order else None)
            y.append(y_k)

    return _unary(fill)


def _tangent(sign: int) -> Recurrence:
    """``y' = z * x'`` with ``z = 1 + sign * y**2``."""

    def fill(x: Row, y: Row, order: int) -> None:
        rate = _weighted(x)
        z = [1 + sign * y[0] * y[0]]
        for k in range(1, order + 1):
            y.append(_over(_convolved(rate, z, k, 1), k))
            z.append(_times(_squared(y, k), sign))

    return _unary(fill)


def _sqrt(x: Row, y: Row, order: int) -> Any:
    if anywhere(y[0] == 0):
        return NotImplemented
    for k in range(1, order + 1):
        y.append(_over(_minus(x[k], _squared(y, k, 1)), 2 * y[0]))
    return None


def _reciprocal(x: Row, y: Row, order: int) -> None:
    for k in range(1, order + 1):
        y.append(_times(_convolved(x, y, k, 1), -y[0]))


def _power_row(x: Row, y: Row, order: int, r: Any) -> Any:
    """``x * y' = r * y * x'``."""
    if anywhere(x[0] == 0):
        return NotImplemented
    for k in range(1, order + 1):
        terms = (_times(_times(x[j], y[k - j]), r * j - (k - j)) for j in range(1, k + 1))
        y.append(_over(_sum(terms), k * x[0]))
    return None


# ---- two operands


def _divide(primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: Any) -> Coefficients:
    (a, b), (m, n) = primals, moving
    x, z, y = _row(a, m, order), _row(b, n, order), [out]
    for k in range(1, order + 1):
        y.append(_over(_minus(x[k], _convolved(z, y, k, 1)), b))
    return y[1:]


def power_by_products(x: Row, p: int, order: int) -> Row:
    """Coefficients of a power with a whole exponent of at least 1, which is no singular point anywhere."""
    if p == 1:
        return x
    half = power_by_products(x, p // 2, order)
    y: Row = [half[0] * half[0]]
    _square(half, y, order)
    return [_convolved(x, y, k) for k in range(order + 1)] if p % 2 else y


def _power(primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: Any) -> Any:
    base, exponent = primals
    if moving[1] is not None or np.ndim(exponent) or isinstance(exponent, Tracer):
        return NotImplemented
    x = _row(base, moving[0], order)
    if exponent == 0:
        return [None] * order
    if np.isreal(exponent) and 1 <= exponent.real <= 64 and exponent.real == int(exponent.real):
        return power_by_products(x, int(exponent.real), order)[1:]
    y = [out]
    found = _power_row(x, y, order, exponent)
    return y[1:] if found is None else found


# ---- matrices [WL]


def _solve(primals: Row, moving: list[Coefficients | None], out: Any, order: int, params: Any) -> Coefficients:
    (a, b), (m, n) = primals, moving
    matrices, right = _row(a, m, order), _row(b, n, order)
    vector = np.ndim(b) == 1

    def column(v: Any) -> Any:
        return None if v is None else v[..., None] if vector else v

    y: Row = [column(out)]
    for k in range(1, order + 1):
        products = (_product(matrices[j], y[k - j]) for j in range(1, k + 1))
        rest = _minus(column(right[k]), _sum(products))
        y.append(None if rest is None else np.linalg.solve(a, rest))
    return [None if c is None else c[..., 0] if vector else c for c in y[1:]]


def _inv(x: Row, y: Row, order: int) -> None:
    for k in range(1, order + 1):
        y.append(_product(y[0], _times(_sum(_product(x[j], y[k - j]) for j in range(1, k + 1)), -1)))


def _product(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a @ b


# ---- the table


class _Found(Exception):
    """Carries a primitive out of the function that is made of it."""

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive


class _Probe(Tracer):
    """An operand that tells by which primitive it would be processed."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = np.asarray(value, float)

    @property
    def _level(self) -> int:
        return 1

    def _process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> NoReturn:
        raise _Found(primitive)


def _behind(function: Callable[..., Any], *operands: Any) -> Primitive:
    """The primitive that evaluates one of NumPy's functions; names may be taken by others, a primitive is itself."""
    try:
        function(*map(_Probe, operands))
    except _Found as found:
        return found.primitive
    raise TypeError(f"{function} is not evaluated by a primitive")


ONES: Any = np.ones(2)
SQUARE: Any = np.eye(2)


UNARY: dict[Any, Recurrence] = {
    np.exp: _exponential(1.0),
    np.exp2: _exponential(math.log(2.0)),
    np.expm1: _exponential(1.0, 1.0),
    np.log: _logarithm(1.0),
    np.log2: _logarithm(1 / math.log(2.0)),
    np.log10: _logarithm(1 / math.log(10.0)),
    np.log1p: _logarithm(1.0, 1.0),
    np.sin: _circular(np.cos, 1, -1),
    np.cos: _circular(np.sin, -1, 1),
    np.sinh: _circular(np.cosh, 1, 1),
    np.cosh: _circular(np.sinh, 1, 1),
    np.tan: _tangent(1),
    np.tanh: _tangent(-1),
    np.square: _unary(_square),
    np.sqrt: _unary(_sqrt),
    np.cbrt: _unary(lambda x, y, order: _power_row(x, y, order, 1 / 3)),
    np.reciprocal: _unary(_reciprocal),
}
BINARY: dict[Any, Recurrence] = {np.multiply: _multiply, np.divide: _divide, np.power: _power}
# NumPy's names, and operands; two of them came with NumPy 2.2.
PRODUCTS = {
    "matmul": (SQUARE, SQUARE),
    "dot": (SQUARE, SQUARE),
    "inner": (SQUARE, SQUARE),
    "outer": (ONES, ONES),
    "vdot": (ONES, ONES),
    "tensordot": (SQUARE, SQUARE),
    "convolve": (ONES, ONES),
    "polymul": (ONES, ONES),
    "vecdot": (ONES, ONES),
    "matvec": (SQUARE, ONES),
    "vecmat": (ONES, SQUARE),
}


def _fill_table() -> None:
    RECURRENCES.update({_behind(f, ONES): r for f, r in UNARY.items()})
    RECURRENCES.update({_behind(f, ONES, ONES): r for f, r in BINARY.items()})
    RECURRENCES[_behind(np.linalg.inv, SQUARE)] = _unary(_inv)
    RECURRENCES[_behind(np.linalg.solve, SQUARE, SQUARE)] = _solve
    products = [_behind(getattr(np, name), *x) for name, x in PRODUCTS.items() if hasattr(np, name)]
    for primitive in (*products, _behind(lambda *x: np.einsum("i,i->", *x), ONES, ONES)):
        RECURRENCES[primitive] = _multilinear(primitive)


_fill_table()
