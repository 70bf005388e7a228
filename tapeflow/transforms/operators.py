"""Jacobians and Hessians as SciPy's linear operators: products with them and with their adjoints, never the matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from tapeflow.errors import StructureError, TargetError
from tapeflow.transforms._linear_map import Flat, LinearMap, Space
from tapeflow.transforms.derivatives import grad
from tapeflow.transforms.linearize import linearize
from tapeflow.transforms.products import vjp
from tapeflow.transforms.vmap import vmap

__all__ = ["JacobianOperator", "as_operator", "hessian_operator", "hessp", "jacobian_operator", "pullback_of"]


class JacobianOperator:
    """A linear function of trees as a matrix-free linear operator on vectors.

    What `jacobian_operator` and its kin return is an instance of this class and of `scipy.sparse.linalg.LinearOperator`;
    this is the part that does not need SciPy, which is imported when the first operator is made.

    Parameters
    ----------
    f_jvp : LinearMap
        What `linearize` returns.
    symmetric : bool
        Whether it is its own adjoint.

    Attributes
    ----------
    shape : tuple of int
        Numbers of elements of results and of arguments.
    dtype : dtype
        What the dtypes of all leaves are promoted to.

    Notes
    -----
    Vectors hold the elements of the leaves in the order of the leaves, each in C order; a tuple of arguments counts as
    one tree. ``matmat`` and ``rmatmat`` treat all columns in one batched sweep. ``rmatvec`` multiplies by the conjugate
    transpose, as SciPy wants it. A real operator takes complex vectors too.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import jacobian_operator
    >>> J = jacobian_operator(lambda x: np.stack([x[0] * x[1], x[1] ** 2]), np.array([2.0, 3.0]))
    >>> J @ np.array([1.0, 0.0]), J.H @ np.array([0.0, 1.0])
    (array([3., 0.]), array([0., 6.]))
    >>> J @ np.eye(2)
    array([[3., 2.],
           [0., 6.]])
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __init__(self, f_jvp: LinearMap, *, symmetric: bool = False) -> None:
        self._push = f_jvp.flat
        self._domain, self._range = f_jvp.domain, f_jvp.range
        self._symmetric = symmetric
        self._pull: Flat | None = None
        self._pull_from = partial(pullback_of, f_jvp)
        for (_, dtype), place in zip(self._range.kinds, self._range.places, strict=True):
            if dtype.kind not in "fc":
                raise TargetError(
                    f"{place} has dtype {dtype}, of which no linear operator can be made; use x.astype(float)"
                )
        kinds = [dtype for _, dtype in (*self._domain.kinds, *self._range.kinds)]
        dtype = np.result_type(*kinds) if kinds else np.dtype(float)
        super().__init__(dtype, (self._range.size, self._domain.size))  # type: ignore[call-arg]  # LinearOperator's
        if self._domain.is_complex:
            self._check_complex()

    # ---- vectors and trees

    def ravel_input(self, *primals: Any) -> np.ndarray:
        """Put arguments (or tangents of them) into one vector: the columns' side."""
        return self._domain.ravel(primals)

    def unravel_input(self, vector: Any) -> Any:
        """Rebuild the tuple of arguments from a vector; a single argument stands alone."""
        trees = self._domain.tree(vector)
        return trees[0] if len(trees) == 1 else trees

    def ravel_output(self, value: Any) -> np.ndarray:
        """Put a result (or a cotangent of it) into one vector: the rows' side."""
        return self._range.ravel(value)

    def unravel_output(self, vector: Any) -> Any:
        """Rebuild the structure of the result from a vector."""
        return self._range.tree(vector)

    # ---- products

    def _matvec(self, x: Any) -> Any:
        return self._pushed(np.reshape(x, (1, -1)), one=True)[0]

    def _rmatvec(self, x: Any) -> Any:
        return self._pulled(np.reshape(x, (1, -1)), one=True)[0]

    def _matmat(self, X: Any) -> Any:
        return self._pushed(np.transpose(X)).T

    def _rmatmat(self, X: Any) -> Any:
        return self._pulled(np.transpose(X)).T

    def _adjoint(self) -> Any:
        return self if self._symmetric else super()._adjoint()  # type: ignore[misc]  # LinearOperator's

    def _pushed(self, rows: Any, one: bool = False) -> Any:
        """Products with vectors, which are rows."""
        if rows.dtype.kind == "c" and not self._domain.is_complex:
            return self._pushed(rows.real, one) + 1j * self._pushed(rows.imag, one)
        return _each(self._push, rows, self._domain, self._range, one)

    def _pulled(self, rows: Any, one: bool = False) -> Any:
        """Products of the adjoint with vectors, which are rows."""
        if self._symmetric:
            return self._pushed(rows, one)
        if self._pull is None:
            self._pull = self._pull_from()
        whole = _each(self._pull, rows, self._range, self._domain, one)
        if self._domain.is_complex or not (rows.dtype.kind == "c" or self._range.is_complex):
            return whole
        # A pullback to real arguments gives the real part; the other part is that of a vector turned by a right angle.
        return whole + 1j * _each(self._pull, -1j * rows, self._range, self._domain, one)

    def _check_complex(self) -> None:
        """Raise unless the function is linear over the complex numbers, and not only over the real ones."""
        mixed = any(dtype.kind != "c" for _, dtype in self._domain.kinds)
        if not mixed:
            rng = np.random.default_rng(0)
            v = rng.standard_normal(self.shape[1]) + 1j * rng.standard_normal(self.shape[1])
            turned, straight = self._pushed(np.stack([1j * v, v]))
            size = np.max(np.abs(straight), initial=0)
            bound = size * float(np.finfo(self.dtype).eps) ** 0.5
            mixed = bool(np.any(~(np.abs(turned - 1j * straight) <= bound)))
        if mixed:
            raise StructureError(
                "the derivative of a function that is not holomorphic (one with conj, abs, real or imag in it, or with "
                "real next to complex arguments) is no complex matrix, so no linear operator; write the function of real "
                "and imaginary parts"
            )


@cache
def _linear_operator() -> type:
    from scipy.sparse.linalg import LinearOperator  # takes long

    return type("JacobianOperator", (JacobianOperator, LinearOperator), {"__doc__": JacobianOperator.__doc__})


def as_operator(f_jvp: LinearMap, *, symmetric: bool = False) -> JacobianOperator:
    """Make a linear function a `scipy.sparse.linalg.LinearOperator`."""
    new: JacobianOperator = _linear_operator()(f_jvp, symmetric=symmetric)
    return new


def pullback_of(f_jvp: LinearMap) -> Flat:
    """The adjoint of a linear function, from a recording of it."""
    # At a random point: what rules decide by tangents, they must decide as for a tangent with no special zeros.
    point = f_jvp.domain.random(np.random.default_rng(0))
    pullback = vjp(lambda *leaves: f_jvp.flat(list(leaves)), *point)[1]
    return lambda cotangents: list(pullback(cotangents))


def _each(flat: Flat, rows: Any, source: Space, target: Space, one: bool) -> Any:
    """Apply a linear function to rows: to one as it is, to more as a batch."""
    count = rows.shape[0]
    if count == 0 or not source.kinds or not target.kinds:
        return np.zeros((count, target.size))
    outs = flat(source.unravel(rows[0])) if one else vmap(flat)(source.unravel(rows))
    return np.concatenate([np.reshape(y, (count, -1)) for y in outs], axis=1)


def jacobian_operator(fun: Callable[..., Any], *primals: Any) -> JacobianOperator:
    """Make the Jacobian of a function at a point a linear operator for SciPy's iterative solvers.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of floating-point arrays.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated; all of them real, or all complex.

    Returns
    -------
    JacobianOperator
        A `scipy.sparse.linalg.LinearOperator` of shape (elements of the result, elements of the arguments).

    Raises
    ------
    StructureError
        If arguments are complex and `fun` is not holomorphic.
    TargetError
        If a result is no floating-point array.
    NotDifferentiableError
        If a primal is no floating-point array.

    Notes
    -----
    `fun` is evaluated once. Products replay what `linearize` wrote down; those with the adjoint pull back through a
    recording of that, which is made when the first is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import gmres
    >>> from tapeflow import jacobian_operator
    >>> x = np.array([3.0, 1.0])
    >>> F = lambda x: np.stack([x[0] ** 2 + x[1], x[0] * x[1]])
    >>> step, info = gmres(jacobian_operator(F, x), F(x), rtol=1e-10)
    >>> info, step.round(6)
    (0, array([1.588235, 0.470588]))
    """
    return as_operator(linearize(fun, *primals)[1])


def hessian_operator(fun: Callable[..., Any], *primals: Any) -> JacobianOperator:
    """Make the Hessian of a scalar function at a point a linear operator for SciPy's iterative solvers.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a real scalar.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated.

    Returns
    -------
    JacobianOperator
        A symmetric operator; its ``ravel_input`` and ``unravel_input`` turn trees like `primals` into vectors and back.

    Raises
    ------
    TargetError, NotDifferentiableError
        As for `grad`.
    StructureError
        If arguments are complex, and the Hessian is not linear over the complex numbers.

    Notes
    -----
    The gradient is linearized once, forward over reverse, so each product costs about as much as two evaluations of the
    gradient or less, and evaluates nothing that does not depend on the vector.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import eigsh
    >>> from tapeflow import hessian_operator
    >>> H = hessian_operator(lambda x: np.sum(x**4), np.array([1.0, 2.0, 3.0, 4.0]))
    >>> eigsh(H, 1, return_eigenvectors=False)
    array([192.])
    """
    return as_operator(linearize(grad(fun, tuple(range(len(primals)))), *primals)[1], symmetric=True)


def hessp(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Make the argument `hessp` of `scipy.optimize.minimize` for a scalar function of a vector.

    Parameters
    ----------
    fun : callable
        Plain NumPy code ``fun(x, *args)`` that returns a real scalar.

    Returns
    -------
    callable
        ``hessp(x, p, *args)``, the Hessian of `fun` at `x` times `p`. What is computed at `x` serves all products there.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from tapeflow import grad, hessp
    >>> def rosen(x):
    ...     return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> found = minimize(rosen, np.zeros(5), jac=grad(rosen), hessp=hessp(rosen), method="trust-krylov")
    >>> found.x.round(6)
    array([1., 1., 1., 1., 1.])
    """
    seen: list[Any] = []  # the point of the last call, its other arguments, and the linear function there

    def product(x: Any, p: Any, *args: Any) -> Any:
        if not seen or not np.array_equal(seen[0], x) or not _are_the_same(seen[1], args):
            seen[:] = np.array(x), args, linearize(grad(lambda x: fun(x, *args)), x)[1]
        return seen[2](p)

    return product


def _are_the_same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
