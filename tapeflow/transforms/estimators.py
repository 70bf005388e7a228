"""Traces and diagonals of matrices that are known by their products with vectors alone, estimated from random vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tapeflow.errors import StructureError
from tapeflow.recorders.chunks import positive
from tapeflow.transforms._linear_map import LinearMap
from tapeflow.transforms.operators import as_operator, hessian_operator

__all__ = ["Estimate", "hessian_diagonal_estimate", "hessian_trace", "hutchinson_diagonal", "hutchinson_trace"]


class Estimate(NamedTuple):
    """A random estimate.

    Attributes
    ----------
    value : number or array or pytree of array
        The estimate.
    standard_error : number or array or pytree of array
        Its standard deviation, estimated from the samples; of the shape of the value. With one sample it is nan.
    """

    value: Any
    standard_error: Any


def _rademacher(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    return 2.0 * rng.integers(0, 2, shape) - 1.0


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Any]] = {
    "rademacher": _rademacher,
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
}


class _Sampler:
    """A square operator, and random vectors for it."""

    def __init__(
        self, name: str, operator: Any, size: int | None, rng: Any, distribution: str, chunk_size: int | None
    ) -> None:
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"{name}: rng is {type(rng).__name__}; expected a generator: np.random.default_rng(seed)")
        if distribution not in DISTRIBUTIONS:
            known = ", ".join(map(repr, DISTRIBUTIONS))
            raise ValueError(f"{name}: distribution={distribution!r}: expected one of {known}")
        self.apply, self.size, self.dtype = _products(name, operator, size)
        self.rng, self.distribution = rng, distribution
        self.chunk_size = positive(chunk_size, "chunk_size", name)

    def draw(self, count: int) -> Any:
        """Random vectors, which are columns."""
        return DISTRIBUTIONS[self.distribution](self.rng, (self.size, count)).astype(np.real(self.dtype.type(0)).dtype)

    def multiply(self, columns: Any) -> Any:
        """Products with vectors, some at a time."""
        step = self.chunk_size or max(columns.shape[1], 1)
        parts = [self.apply(columns[:, k : k + step]) for k in range(0, columns.shape[1], step)]
        return np.concatenate(parts, axis=1) if parts else np.zeros(columns.shape, self.dtype)


def _products(name: str, operator: Any, size: int | None) -> tuple[Callable[[Any], Any], int, np.dtype]:
    """What multiplies columns, their length, and the dtype."""
    operator = as_operator(operator) if isinstance(operator, LinearMap) else operator
    if callable(operator) and not hasattr(operator, "shape"):
        if size is None:
            raise StructureError(
                f"{name}: a function that multiplies by a matrix was given without its size: pass size=n"
            )
        return lambda columns: np.stack([operator(c) for c in columns.T], axis=1), size, np.dtype(float)
    from scipy.sparse.linalg import aslinearoperator  # takes long

    operator = aslinearoperator(operator)
    if operator.shape[0] != operator.shape[1] or (size is not None and size != operator.shape[0]):
        raise StructureError(f"{name}: a trace or diagonal needs a square operator, not one of shape {operator.shape}")
    dtype = np.dtype(operator.dtype)
    return operator.matmat, operator.shape[0], dtype if dtype.kind in "fc" else np.dtype(float)


def _count(name: str, samples: int, least: int, method: str = "") -> None:
    if samples < least:
        raise ValueError(f"{name}: samples={samples}: expected at least {least}{method}")


def hutchinson_trace(
    operator: Any,
    size: int | None = None,
    *,
    rng: np.random.Generator,
    samples: int = 100,
    distribution: str = "rademacher",
    method: str = "hutchinson",
    chunk_size: int | None = 32,
) -> Estimate:
    """Estimate the trace of a matrix from its products with random vectors.

    Parameters
    ----------
    operator : LinearOperator, matrix, or callable
        A square matrix, or what multiplies a vector of length `size` by one. The linear function of `linearize` is an
        operator, too.
    size : int, optional
        Number of rows, if `operator` is a function.
    rng : numpy.random.Generator
        The source of randomness.
    samples : int
        Number of products.
    distribution : {"rademacher", "gaussian"}
        Of the elements of the vectors: signs have the smaller variance.
    method : {"hutchinson", "hutch++"}
        The plain mean, or one that treats the large eigenvalues apart.
    chunk_size : int or None
        How many products are computed in one sweep; all for ``None``.

    Returns
    -------
    Estimate
        The estimate, without bias, and its standard error.

    Raises
    ------
    TypeError
        If `rng` is no generator.
    ValueError
        If another argument is not known.
    StructureError
        If the operator is not square, or its size is not known.

    Notes
    -----
    The expectation of ``z^T A z`` is the trace of ``A`` for vectors of independent elements of mean zero and variance one
    (Hutchinson, Communications in Statistics 18, 1989). For signs the variance is that of the elements off the diagonal
    alone, so diagonal matrices give the exact trace.

    "hutch++" spends a third of the products on a basis of the range, a third on the trace there, and the rest on the
    remainder (Meyer, Musco, Musco and Woodruff, "Hutch++: optimal stochastic trace estimation", 2021): for positive
    semidefinite matrices an error of 1/samples instead of its root, and an exact result if the rank is small. For
    others it is without bias, too.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hutchinson_trace
    >>> hutchinson_trace(np.diag([1.0, 2.0, 3.0]), rng=np.random.default_rng(0), samples=5)
    Estimate(value=np.float64(6.0), standard_error=np.float64(0.0))
    """
    if method not in ("hutchinson", "hutch++"):
        raise ValueError(f"hutchinson_trace: method={method!r}: expected 'hutchinson' or 'hutch++'")
    sampler = _Sampler("hutchinson_trace", operator, size, rng, distribution, chunk_size)
    if method == "hutch++":
        _count("hutchinson_trace", samples, 3, " for 'hutch++'")
        return _hutch_plus_plus(sampler, samples)
    _count("hutchinson_trace", samples, 1)
    z = sampler.draw(samples)
    return _mean(np.sum(z * sampler.multiply(z), axis=0))


def _mean(x: Any) -> Estimate:
    """Mean over the last axis, with its standard error."""
    count = x.shape[-1]
    if count < 2:
        return Estimate(np.mean(x, axis=-1), np.full(x.shape[:-1], np.nan)[()])
    return Estimate(np.mean(x, axis=-1), np.std(x, axis=-1, ddof=1) / np.sqrt(count))


def _hutch_plus_plus(sampler: _Sampler, samples: int) -> Estimate:
    k = min(samples // 3, sampler.size)
    q, _ = np.linalg.qr(sampler.multiply(sampler.draw(k)))
    inside = np.sum(np.conj(q) * sampler.multiply(q))
    g = sampler.draw(samples - 2 * k)
    g = g - q @ (np.conj(q).T @ g)
    rest = _mean(np.sum(np.conj(g) * sampler.multiply(g), axis=0))
    return Estimate(inside + rest.value, rest.standard_error)


def hutchinson_diagonal(
    operator: Any,
    size: int | None = None,
    *,
    rng: np.random.Generator,
    samples: int = 100,
    distribution: str = "rademacher",
    chunk_size: int | None = 32,
) -> Estimate:
    """Estimate the diagonal of a matrix from its products with random vectors.

    Parameters
    ----------
    operator, size, rng, samples, distribution, chunk_size
        As for `hutchinson_trace`.

    Returns
    -------
    Estimate
        Two arrays of shape ``(n,)``: the estimate, and the standard error of each element.

    Raises
    ------
    TypeError, ValueError, StructureError
        As for `hutchinson_trace`.

    Notes
    -----
    The ratio of the sums of ``z * (A z)`` and of ``z * z`` over the samples, element by element (Bekas, Kokiopoulou and
    Saad, "An estimator for the diagonal of a matrix", Applied Numerical Mathematics 57, 2007). For signs it is the mean
    of ``z * (A z)``, without bias, and exact for diagonal matrices; for normal numbers the bias vanishes with the number
    of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hutchinson_diagonal
    >>> hutchinson_diagonal(np.diag([1.0, 2.0, 3.0]), rng=np.random.default_rng(0), samples=5).value
    array([1., 2., 3.])
    """
    sampler = _Sampler("hutchinson_diagonal", operator, size, rng, distribution, chunk_size)
    _count("hutchinson_diagonal", samples, 1)
    z = sampler.draw(samples)
    products = z * sampler.multiply(z)
    weights = np.mean(z * z, axis=1)
    value = np.mean(products, axis=1) / weights
    spread = _mean((products - value[:, None] * z * z) / weights[:, None])
    return Estimate(value, spread.standard_error)


def hessian_trace(
    fun: Callable[..., Any],
    *primals: Any,
    rng: np.random.Generator,
    samples: int = 100,
    distribution: str = "rademacher",
    method: str = "hutchinson",
    chunk_size: int | None = 32,
) -> Estimate:
    """Estimate the trace of the Hessian of a scalar function, which is its Laplacian.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated.
    rng, samples, distribution, method, chunk_size
        As for `hutchinson_trace`.

    Returns
    -------
    Estimate
        The estimate and its standard error.

    Raises
    ------
    TargetError, NotDifferentiableError
        As for `grad`.
    TypeError, ValueError
        As for `hutchinson_trace`.

    Notes
    -----
    The gradient is evaluated once; each sample is one product with the Hessian, `chunk_size` of them in one sweep.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hessian_trace
    >>> hessian_trace(lambda x: np.sum(x**3), np.array([1.0, 2.0]), rng=np.random.default_rng(0), samples=4).value
    np.float64(18.0)
    """
    return hutchinson_trace(
        hessian_operator(fun, *primals),
        rng=rng,
        samples=samples,
        distribution=distribution,
        method=method,
        chunk_size=chunk_size,
    )


def hessian_diagonal_estimate(
    fun: Callable[..., Any],
    *primals: Any,
    rng: np.random.Generator,
    samples: int = 100,
    distribution: str = "rademacher",
    chunk_size: int | None = 32,
) -> Estimate:
    """Estimate the diagonal of the Hessian of a scalar function.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated.
    rng, samples, distribution, chunk_size
        As for `hutchinson_trace`.

    Returns
    -------
    Estimate
        Two trees with the structure of `primals` (of a single argument its structure alone): the estimate, and the
        standard error of each element.

    Raises
    ------
    TargetError, NotDifferentiableError
        As for `grad`.
    TypeError, ValueError
        As for `hutchinson_trace`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import hessian_diagonal_estimate
    >>> found = hessian_diagonal_estimate(lambda x: np.sum(x**3), np.array([1.0, 2.0]), rng=np.random.default_rng(0))
    >>> found.value
    array([ 6., 12.])
    """
    operator = hessian_operator(fun, *primals)
    found = hutchinson_diagonal(operator, rng=rng, samples=samples, distribution=distribution, chunk_size=chunk_size)
    return Estimate(operator.unravel_input(found.value), operator.unravel_input(found.standard_error))
