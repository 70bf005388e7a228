"""Curvature that is never negative: Gauss-Newton and Fisher matrices, as products with vectors and as operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.errors import StructureError, name_of
from tapeflow.transforms._linear_map import LinearMap
from tapeflow.transforms.derivatives import grad
from tapeflow.transforms.linearize import linearize
from tapeflow.transforms.operators import JacobianOperator, as_operator, pullback_of
from tapeflow.transforms.products import require_arguments
from tapeflow.transforms.stop import stop_gradient
from tapeflow.transforms.vmap import vmap

__all__ = [
    "empirical_fisher_operator",
    "empirical_fisher_product",
    "fisher_operator",
    "fisher_product",
    "gauss_newton_operator",
    "gauss_newton_product",
]


def _curvature(model: Callable[..., Any], primals: Sequence[Any], loss: Callable[..., Any] | None) -> LinearMap:
    """``J^H H J`` at a point, with ``H`` the Hessian of the loss, if there is one."""
    value, push = linearize(model, *primals)
    pull = pullback_of(push)
    between = None if loss is None else linearize(grad(loss), value)[1].flat

    def flat(tangents: list[Any]) -> list[Any]:
        pushed = push.flat(tangents)
        return pull(pushed if between is None else between(pushed))

    return LinearMap(flat, push.domain, push.domain, f"curvature of {name_of(model)}")


def _multiplied(
    name: str,
    model: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    loss: Callable[..., Any] | None = None,
) -> Any:
    """That matrix times a vector; the function `name` was called for it."""
    require_arguments(name, primals, tangents, "tangents")
    out = _curvature(model, primals, loss)(*tangents)
    return out[0] if len(out) == 1 else out


def gauss_newton_product(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    loss: Callable[..., Any] | None = None,
) -> Any:
    """Multiply the (generalized) Gauss-Newton matrix by a vector.

    Parameters
    ----------
    fun : callable
        Plain NumPy code: residuals, or with `loss` the model whose outputs go into it; a pytree of arrays.
    primals, tangents : sequence of pytree of array
        Arguments of `fun`, and the vector: same structure and shapes.
    loss : callable, optional
        ``loss(outputs)``, a real scalar. Without one half the sum of squares of all residuals is meant.

    Returns
    -------
    pytree
        A tuple with the structure of `primals`; for a single argument its structure alone.

    Raises
    ------
    NotDifferentiableError, StructureError, SeedError
        If primals or tangents do not fit.
    TargetError
        If the loss is no real scalar.

    Notes
    -----
    With ``J`` the Jacobian of `fun` the matrix is ``J^T J``, and ``J^T H J`` with ``H`` the Hessian of the loss in the
    outputs: the Hessian of ``loss(fun(x))`` without the term with second derivatives of `fun`. It is positive semidefinite
    where the loss is convex (Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
    Neural Computation 14, 2002; Martens, "New insights and perspectives on the natural gradient method", JMLR 21, 2020,
    section 8). One product takes one forward and one reverse sweep, and never forms a matrix. For many products at one
    point use `gauss_newton_operator`, which evaluates `fun` once for all.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import gauss_newton_product
    >>> residuals = lambda x: np.stack([x[0] ** 2 - 1, x[0] * x[1]])
    >>> gauss_newton_product(residuals, (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([8., 2.])
    """
    return _multiplied("gauss_newton_product", fun, primals, tangents, loss)


def gauss_newton_operator(
    fun: Callable[..., Any], *primals: Any, loss: Callable[..., Any] | None = None
) -> JacobianOperator:
    """Make the (generalized) Gauss-Newton matrix at a point a linear operator for SciPy's iterative solvers.

    Parameters
    ----------
    fun, loss
        As for `gauss_newton_product`.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated.

    Returns
    -------
    JacobianOperator
        A symmetric operator.

    Raises
    ------
    NotDifferentiableError, TargetError
        As for `gauss_newton_product`.
    StructureError
        If arguments are complex and `fun` is not holomorphic.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import gauss_newton_operator
    >>> gauss_newton_operator(lambda x: np.stack([x[0] ** 2 - 1, x[0] * x[1]]), np.array([1.0, 2.0])) @ np.eye(2)
    array([[8., 2.],
           [2., 1.]])
    """
    return as_operator(_curvature(fun, primals, loss), symmetric=True)


# ---- Fisher information

# Log-partition functions of exponential families in their natural parameters.
FAMILIES: dict[str, Callable[[Any], Any]] = {
    "gaussian": lambda eta: 0.5 * np.sum(eta**2),
    "bernoulli": lambda eta: np.sum(np.logaddexp(0.0, eta)),
    "categorical": lambda eta: np.sum(_logsumexp(eta)),
    "poisson": lambda eta: np.sum(np.exp(eta)),
}


def _logsumexp(eta: Any) -> Any:
    largest = stop_gradient(np.max(eta, axis=-1, keepdims=True))
    return np.log(np.sum(np.exp(eta - largest), axis=-1)) + largest[..., 0]


def _family(name: str, likelihood: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if callable(likelihood):
        return likelihood
    if likelihood not in FAMILIES:
        raise ValueError(
            f"{name}: likelihood={likelihood!r}: expected one of {', '.join(map(repr, FAMILIES))}, or the log-partition "
            "function of an exponential family in its natural parameters"
        )
    family = FAMILIES[likelihood]
    return lambda outputs: sum(family(y) for y in pytree.flatten(outputs)[0])


def fisher_product(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    likelihood: str | Callable[[Any], Any],
) -> Any:
    """Multiply the Fisher information matrix of a model by a vector, exactly: without data for the labels.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of the model; returns the natural parameters of the distribution of each label.
    primals, tangents : sequence of pytree of array
        Parameters of the model, and the vector: same structure and shapes.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson"}, or callable
        What the outputs mean: means of normal distributions of variance one; logits of independent yes-no labels; logits
        of classes along the last axis; logarithms of rates. A callable is the log-partition function ``A(outputs)`` of
        another exponential family, a real scalar.

    Returns
    -------
    pytree
        A tuple with the structure of `primals`; for a single argument its structure alone.

    Raises
    ------
    ValueError
        If the likelihood is not known.
    NotDifferentiableError, StructureError, SeedError
        If primals or tangents do not fit.

    Notes
    -----
    The matrix is the expectation of the outer product of the gradient of the log-likelihood, over labels drawn from the
    model. For natural parameters it is the generalized Gauss-Newton matrix ``J^T H J`` with ``H`` the Hessian of the
    log-partition function, in which no label occurs (Martens, "New insights and perspectives on the natural gradient
    method", JMLR 21, 2020, section 9.2). It is that of all labels together, a sum over examples: divide by their number
    for a mean, and by the variance for normal distributions of another one.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import fisher_product
    >>> inputs = np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> fisher_product(lambda w: inputs @ w, (np.zeros(2),), (np.array([1.0, 0.0]),), likelihood="bernoulli")
    array([0.5 , 0.25])
    """
    return _multiplied("fisher_product", fun, primals, tangents, _family("fisher_product", likelihood))


def fisher_operator(fun: Callable[..., Any], *primals: Any, likelihood: str | Callable[[Any], Any]) -> JacobianOperator:
    """Make the Fisher information matrix of a model a linear operator for SciPy's iterative solvers.

    Parameters
    ----------
    fun, likelihood
        As for `fisher_product`.
    *primals : pytree of array
        Parameters of the model.

    Returns
    -------
    JacobianOperator
        A symmetric operator.

    Raises
    ------
    ValueError, NotDifferentiableError
        As for `fisher_product`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import fisher_operator
    >>> fisher_operator(lambda logits: logits, np.zeros(2), likelihood="categorical") @ np.eye(2)
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    return gauss_newton_operator(fun, *primals, loss=_family("fisher_operator", likelihood))


def _losses(name: str, fun: Callable[..., Any], count: int, examples: Sequence[Any]) -> Callable[..., Any]:
    """The losses of all examples as one function of the parameters."""
    if not isinstance(examples, (tuple, list)) or not examples:
        raise StructureError(
            f"{name}: examples is {type(examples).__name__}; expected a tuple of what comes after the parameters in "
            "the call of fun, each with a leading axis of examples"
        )
    axes = (None,) * count + (0,) * len(examples)

    def losses(*primals: Any) -> Any:
        out = vmap(fun, in_axes=axes)(*primals, *examples)
        if np.ndim(out) != 1:
            raise StructureError(
                f"{name}: the loss of one example has shape {np.shape(out)[1:]}; expected a scalar, since examples are "
                "mapped over"
            )
        return out

    return losses


def empirical_fisher_product(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, examples: Sequence[Any]
) -> Any:
    """Multiply the empirical Fisher matrix, of the gradients at given labels, by a vector.

    Parameters
    ----------
    fun : callable
        Plain NumPy code ``fun(*primals, *example)`` of the loss of one example, a real scalar.
    primals, tangents : sequence of pytree of array
        Parameters, and the vector: same structure and shapes.
    examples : tuple of pytree of array
        What comes after the parameters in the call of `fun`, each leaf with a leading axis of examples.

    Returns
    -------
    pytree
        A tuple with the structure of `primals`; for a single argument its structure alone.

    Raises
    ------
    StructureError
        If `examples` is no tuple, its leaves differ in length, or a loss is no scalar.
    NotDifferentiableError, SeedError
        If primals or tangents do not fit.

    Notes
    -----
    The matrix is the sum over examples of the outer product of the gradient with itself; divide by their number for a
    mean. It is ``J^T J`` with ``J`` the Jacobian of all losses, so per-example gradients are never formed: one batched
    forward and one batched reverse sweep. It is not the Fisher information, for which labels are drawn from the model
    (Martens, JMLR 21, 2020, section 11).

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import empirical_fisher_product
    >>> loss = lambda w, x, y: 0.5 * (w @ x - y) ** 2
    >>> data = np.eye(2), np.array([1.0, 2.0])
    >>> empirical_fisher_product(loss, (np.zeros(2),), (np.ones(2),), examples=data)
    array([1., 4.])
    """
    name = "empirical_fisher_product"
    return _multiplied(name, _losses(name, fun, len(primals), examples), primals, tangents)


def empirical_fisher_operator(fun: Callable[..., Any], *primals: Any, examples: Sequence[Any]) -> JacobianOperator:
    """Make the empirical Fisher matrix a linear operator for SciPy's iterative solvers.

    Parameters
    ----------
    fun, examples
        As for `empirical_fisher_product`.
    *primals : pytree of array
        Parameters.

    Returns
    -------
    JacobianOperator
        A symmetric operator.

    Raises
    ------
    StructureError, NotDifferentiableError
        As for `empirical_fisher_product`.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import empirical_fisher_operator
    >>> loss = lambda w, x, y: 0.5 * (w @ x - y) ** 2
    >>> empirical_fisher_operator(loss, np.zeros(2), examples=(np.eye(2), np.array([1.0, 2.0]))) @ np.eye(2)
    array([[1., 0.],
           [0., 4.]])
    """
    return gauss_newton_operator(_losses("empirical_fisher_operator", fun, len(primals), examples), *primals)
