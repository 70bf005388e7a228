"""Linear maps out of functions: the derivative at a point as a function of its own, and the transpose of a linear one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeflow import pytree
from tapeflow.core.forward import dual
from tapeflow.core.tracer import Tracer, anywhere, plain
from tapeflow.errors import NotDifferentiableError, StructureError, TargetError
from tapeflow.recorders import ForwardAccumulator, Variable
from tapeflow.recorders.checks import differentiable, fit_seed
from tapeflow.transforms.products import vjp
from tapeflow.transforms.replay import Program, Replay

__all__ = ["Leaves", "linear_transpose", "linearize"]


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, operator: bool = False) -> tuple[Any, ...]:
    """Evaluate a function, and return with its value its derivative there, as a linear function of tangents.

    Parameters
    ----------
    fun : callable
        Plain NumPy code that returns a pytree of arrays, or a pair of one and anything if `has_aux`.
    *primals : pytree of array
        Arguments of `fun`, all of which are differentiated: real or complex floating-point arrays of any shape.
    has_aux : bool
        Whether `fun` returns auxiliary output.
    operator : bool
        Whether to return the derivative as a `scipy.sparse.linalg.LinearOperator` (see `jacobian_operator`) instead of a
        function.

    Returns
    -------
    value : pytree of array
        ``fun(*primals)``.
    f_jvp : callable, or JacobianOperator
        ``f_jvp(*tangents)`` with tangents of the structures and shapes of `primals` returns the tangent of the value,
        with its structure, shapes and dtypes. It may be called as often as wanted and does not evaluate `fun` again.
    aux : Any
        Only if `has_aux`.

    Raises
    ------
    NotDifferentiableError
        If a primal is no floating-point array.
    TargetError
        If a result is no array.
    TracedConversionError
        If a rule of the user's decides by the values of tangents.
    StructureError, SeedError
        From `f_jvp`, if tangents do not fit the primals; names the leaf.

    Notes
    -----
    `fun` is evaluated once, in forward mode, and what is done with the tangents is written down as a list of operations
    (a linear program in the sense of Radul et al., arXiv 2204.10923); `f_jvp` runs that list. So it costs less than
    `jvp`, and keeps what the operations need: large arrays that `fun` took from outside are read-only as long as it
    lives. Masks by which rules decide, such as those that keep a tangent of zero at a pole, are part of the list and are
    evaluated for each tangent, so `f_jvp` does exactly what `jvp` would.

    Both `linearize` and `f_jvp` can be differentiated, batched and nested.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import linearize
    >>> value, f_jvp = linearize(lambda x: np.stack([x[0] * x[1], x[1] ** 2]), np.array([2.0, 3.0]))
    >>> value
    array([6., 9.])
    >>> f_jvp(np.array([1.0, 0.0])), f_jvp(np.array([0.0, 1.0]))
    (array([3., 0.]), array([2., 6.]))
    """
    domain = Leaves.of(primals, "primals")
    values = [differentiable(x, p) for x, p in zip(domain.read(primals), domain.paths, strict=True)]
    program = Program()
    tangents = [program.input(shape, dtype) for shape, dtype in domain.kinds]
    with ForwardAccumulator((), ()) as accumulator:
        duals = [dual(x, t, accumulator) for x, t in zip(values, tangents, strict=True)]
        out = fun(*pytree.unflatten(domain.spec, duals))
    out, aux = split_aux(out) if has_aux else (out, None)
    out = pytree.map_leaves(_array, out)
    results = accumulator.jvp(out, "zero")
    value = _outward(out, accumulator.level)
    replay = program.finish(pytree.flatten(results)[0])
    f_jvp: Any = _Derivative(fun, domain, Leaves.of(value, "value"), replay)
    if operator:
        from tapeflow.transforms.operators import as_operator  # which needs this module

        f_jvp = as_operator(f_jvp)
    return (value, f_jvp, _outward(aux, accumulator.level)) if has_aux else (value, f_jvp)


class _Derivative:
    """A replay as a function of trees; `domain` and `range` say what they look like."""

    def __init__(self, fun: Any, domain: Leaves, range_: Leaves, replay: Replay) -> None:
        self.__name__ = f"derivative of {getattr(fun, '__name__', 'a function')}"
        self.domain, self.range, self._replay = domain, range_, replay

    def __call__(self, *tangents: Any) -> Any:
        """Return the tangent of the value."""
        outs = self._replay(self.domain.fitted(tangents, "tangents"))
        seen: set[int] = set()
        return pytree.unflatten(self.range.spec, [_owned(y, seen) for y in outs])


def _owned(y: Any, seen: set[int]) -> Any:
    """A result that shares memory with no other."""
    if isinstance(y, np.ndarray) and (y.base is not None or not y.flags.writeable or id(y) in seen):
        y = y.copy()
    elif isinstance(y, Tracer) and id(y) in seen:
        y = y._twin()
    seen.add(id(y))
    return y[()] if type(y) is np.ndarray and not y.shape else y


def _array(x: Any) -> Any:
    return np.asarray(x)[()] if isinstance(x, (int, float, complex)) else x


def _outward(tree: Any, level: int) -> Any:
    """Results as values of the level outside, which may be written to although a list holds what they are made of."""

    def outward(x: Any) -> Any:
        while isinstance(x, Tracer) and x._level >= level:
            x = x._value
        return x.copy() if type(x) is np.ndarray and not (x.flags.writeable and x.base is None) else x

    return pytree.map_leaves(outward, tree)


def split_aux(out: Any) -> tuple[Any, Any]:
    """Take the result of a function with auxiliary output apart."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"has_aux=True: the function must return a pair (value, aux), not {type(out).__name__}")
    return out


class Leaves:
    """What the leaves of a tree look like: structure, places, shapes and dtypes, without their values."""

    def __init__(self, spec: Any, paths: list[pytree.Path], kinds: list[tuple[tuple[int, ...], Any]]) -> None:
        self.spec, self.paths, self.kinds = spec, paths, kinds

    @classmethod
    def of(cls, tree: Any, name: str) -> Leaves:
        """Read them off a tree of arrays, numbers, or anything with a shape and a dtype."""
        leaves, spec, paths = pytree.flatten_with_paths(tree, name)
        kinds = []
        for x, path in zip(leaves, paths, strict=True):
            x = _array(x)
            if not hasattr(x, "shape") or not hasattr(x, "dtype"):
                wrong = NotDifferentiableError if name == "primals" else TargetError
                raise wrong(f"{path} is of type {type(x).__name__}; expected an array (or scalar) of floats")
            kinds.append((tuple(x.shape), np.dtype(x.dtype)))
        return cls(spec, paths, kinds)

    def read(self, tree: Any) -> list[Any]:
        """The leaves of the tree itself; variables give their values."""
        return [x.read() if isinstance(x, Variable) else x for x in pytree.flatten(tree)[0]]

    def fitted(self, tree: Any, name: str) -> list[Any]:
        """The leaves of a tree of this structure, copied and converted to these dtypes; zeros for ``None``."""
        leaves, spec = pytree.flatten(tree)
        if spec != self.spec:
            raise StructureError(f"{name} have the structure {spec}, but {self.spec} was expected")
        return [
            np.zeros(*kind) if x is None else fit_seed(x, _Like(*kind), path.renamed(name))
            for x, kind, path in zip(leaves, self.kinds, self.paths, strict=True)
        ]

    def random(self, rng: np.random.Generator) -> Any:
        """A tree of normally distributed numbers."""
        return pytree.unflatten(self.spec, [_normal(rng, *kind) for kind in self.kinds])

    def zeros(self) -> Any:
        """A tree of zeros."""
        return pytree.unflatten(self.spec, [np.zeros(*kind)[()] for kind in self.kinds])


class _Like:
    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    x = rng.standard_normal(shape)
    x = x + 1j * rng.standard_normal(shape) if dtype.kind == "c" else x
    return np.asarray(x).astype(dtype)[()]


# ---- transposes


def linear_transpose(fun: Callable[..., Any], *primals: Any, check: bool = True) -> Callable[[Any], tuple[Any, ...]]:
    """Transpose a function that is linear in all its arguments together.

    Parameters
    ----------
    fun : callable
        Plain NumPy code of a linear function, which returns a pytree of arrays.
    *primals : pytree of array, or of anything with a shape and a dtype
        What the arguments of `fun` look like; their values do not matter.
    check : bool
        Whether to test that `fun` is linear, which evaluates it three more times.

    Returns
    -------
    callable
        ``transposed(cotangent)``, with the structure, shapes and dtypes of the result of `fun`, returns a tuple with
        those of `primals`.

    Raises
    ------
    StructureError
        If `fun` is found not to be linear.
    NotDifferentiableError
        If a dtype is not floating-point.
    SeedError, StructureError
        From the transposed function, if a cotangent does not fit; names the leaf.

    Notes
    -----
    Nothing is conjugated, as in JAX: the transpose of ``x -> a * x`` is ``ct -> a * ct`` for complex ``a`` too, while the
    pullback of `vjp` multiplies by the conjugate of ``a``, being the adjoint.

    The test compares at random points ``sum(fun(u) * ct)`` with ``sum(u * transposed(ct))``: at ``u``, at a large negative
    multiple of it, and at zero, where `fun` must be zero. Functions that are linear on either
    side of a kink are found out; one that departs from being linear beyond the sizes tried, about 1 and 1000, is not.

    Examples
    --------
    >>> import numpy as np
    >>> from tapeflow import linear_transpose
    >>> difference = linear_transpose(np.diff, np.zeros(3))
    >>> difference(np.array([1.0, 10.0]))
    (array([-1., -9., 10.]),)
    """
    domain = Leaves.of(primals, "primals")
    for (_, dtype), path in zip(domain.kinds, domain.paths, strict=True):
        if dtype.kind not in "fc":
            raise NotDifferentiableError(f"{path} has dtype {dtype}; a linear map needs real or complex floats")
    rng = np.random.default_rng(0)
    point = domain.random(rng)
    call = _with_arrays(fun)
    value, pullback = vjp(call, *point)
    range_ = Leaves.of(value, "value")

    def transposed(cotangent: Any) -> tuple[Any, ...]:
        fitted = [_conj(g) for g in range_.fitted(cotangent, "cotangent")]
        return pytree.map_leaves(_conj, pullback(pytree.unflatten(range_.spec, fitted)))

    if check:
        _check_linear(call, transposed, domain, range_, rng)
    return transposed


def _with_arrays(fun: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        return pytree.map_leaves(_array, fun(*args))

    call.__name__ = getattr(fun, "__name__", "the function")
    return call


def _conj(x: Any) -> Any:
    return np.conj(x) if x.dtype.kind == "c" else x


LARGE = -(2.0**10)


def _check_linear(
    fun: Callable[..., Any], transposed: Callable[..., Any], domain: Leaves, range_: Leaves, rng: np.random.Generator
) -> None:
    """Raise unless a function is zero at zero, and at random points what its transpose says."""
    if any(anywhere(y != 0) for y in pytree.flatten(fun(*domain.zeros()))[0]):
        raise _not_linear(fun, "it is not zero at zero")
    u, ct = domain.random(rng), range_.random(rng)
    pulled = transposed(ct)
    for scale in (1.0, LARGE):
        v = pytree.map_leaves(lambda x, scale=scale: (x * x.dtype.type(scale))[()], u)
        out = fun(*v)
        pairs = [_pairing(out, ct), _pairing(v, pulled)]
        (left, size0), (right, size1) = pairs
        eps = max((np.finfo(dtype).eps for _, dtype in (*domain.kinds, *range_.kinds) if dtype.kind in "fc"), default=0)
        if anywhere(~(np.abs(left - right) <= (size0 + size1) * float(eps) ** 0.75)):
            raise _not_linear(fun, "at a random point it is not what its derivative at another one says")


def _pairing(a: Any, b: Any) -> tuple[Any, Any]:
    """Real part of the sum of products of all elements, and the sum of their sizes."""
    products = [plain(x) * plain(y) for x, y in zip(pytree.flatten(a)[0], pytree.flatten(b)[0], strict=True)]
    total = sum((np.real(np.sum(p)) for p in products), np.float64(0))
    return total, sum((np.sum(np.abs(p)) for p in products), np.float64(0))


def _not_linear(fun: Callable[..., Any], why: str) -> StructureError:
    return StructureError(
        f"linear_transpose: {fun.__name__} is not linear: {why}. For the derivative of a function that is not linear use "
        "vjp(fun, *primals), which takes it at a point; check=False skips this test"
    )
