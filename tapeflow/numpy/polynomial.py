"""`numpy.polynomial` for traced points and coefficients.

NumPy's functions for series convert their arguments, so they refuse traced values; these take them, and leave plain ones
to NumPy. Names, signatures and submodules are NumPy's.

Examples
--------
>>> import numpy as np
>>> from tapeflow import grad
>>> from tapeflow.numpy.polynomial import chebyshev
>>> grad(lambda c: chebyshev.chebval(0.5, c))(np.array([1.0, 2.0, 3.0]))
array([ 1. ,  0.5, -0.5])
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tapeflow.core.tracer import Tracer, plain
from tapeflow.ops.arguments import as_array
from tapeflow.ops.assembly import holds_traced
from tapeflow.ops.series import BASES, SERIES, Basis, value_from_roots

__all__ = [
    "Chebyshev",
    "Hermite",
    "HermiteE",
    "Laguerre",
    "Legendre",
    "Polynomial",
    "chebyshev",
    "hermite",
    "hermite_e",
    "laguerre",
    "legendre",
    "polynomial",
    "set_default_printstyle",
]

_P = np.polynomial
set_default_printstyle = _P.set_default_printstyle


def _dispatching(ours: Callable[..., Any], numpys: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(numpys)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (ours if holds_traced((args, tuple(kwargs.values()))) else numpys)(*args, **kwargs)

    return call


# ---- the classes: NumPy's, with the functions of a basis that takes traced values


def _stand_in(x: Any) -> Any:
    """What NumPy's constructor looks at: inside a batch there are no values."""
    x = plain(x)
    return np.zeros(x.shape, x.dtype) if isinstance(x, Tracer) else x


class _Series:
    """What a class of series needs to hold traced coefficients; domain and window may be traced as well."""

    domain: Any
    window: Any
    coef: Any
    mapparms: Callable[[], tuple[Any, Any]]

    def __init__(self, coef: Any, domain: Any = None, window: Any = None, symbol: str = "x") -> None:
        given = [x if x is None else as_array(x) for x in (coef, domain, window)]
        super().__init__(*map(_stand_in, given), symbol)  # type: ignore[call-arg]
        for name, x in zip(("coef", "domain", "window"), given, strict=True):
            if isinstance(x, Tracer):
                setattr(self, name, np.atleast_1d(x))

    def __call__(self, arg: Any) -> Any:
        offset, scale = self.mapparms()
        points = arg if isinstance(arg, SERIES) else as_array(arg)
        return self._val(offset + scale * points, self.coef)  # type: ignore[attr-defined]

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Tracer) and other.ndim == 0:  # no Number, which NumPy asks for
            return self // other  # type: ignore[operator]
        return super().__truediv__(other)  # type: ignore[misc]

    def roots(self) -> Any:
        """Roots of the series, in its domain."""
        offset, scale = _P.polyutils.mapparms(self.window, self.domain)
        return offset + scale * self._roots(self.coef)  # type: ignore[attr-defined]

    def trim(self, tol: float = 0) -> Any:
        """Without small coefficients at the end."""
        coef = BASES[self._prefix].trim(self.coef, tol)  # type: ignore[attr-defined]
        return type(self)(coef, self.domain, self.window, self.symbol)  # type: ignore[attr-defined]

    @classmethod
    def fit(
        cls,
        x: Any,
        y: Any,
        deg: Any,
        domain: Any = None,
        rcond: Any = None,
        full: bool = False,
        w: Any = None,
        window: Any = None,
        symbol: str = "x",
    ) -> Any:
        """Series of least squared distance; its domain, too, follows traced points."""
        if not holds_traced((x, y, w, domain, window)):
            return super().fit(x, y, deg, domain, rcond, full, w, window, symbol)  # type: ignore[misc]
        x = as_array(x)
        if domain is None:
            low, high = np.min(x), np.max(x)
            margin = np.where(plain(low) == plain(high), 1.0, 0.0)
            domain = np.stack([low - margin, high + margin])
        domain, window = (cls.domain if d is None or len(d) == 0 else d for d in (domain, window))
        offset, scale = _P.polyutils.mapparms(domain, window)
        fitted = cls._fit(offset + scale * x, y, deg, w=w, rcond=rcond, full=full)  # type: ignore[attr-defined]
        coef, status = fitted if full else (fitted, None)
        series = cls(coef, domain, window, symbol)
        return (series, status) if full else series

    @classmethod
    def fromroots(cls, roots: Any, domain: Any = (), window: Any = None, symbol: str = "x") -> Any:
        """Series with given roots."""
        roots = as_array(roots)
        if domain is None:
            domain = np.stack([np.min(roots), np.max(roots)])
        domain, window = (cls.domain if d is None or len(d) == 0 else d for d in (domain, window))
        offset, scale = _P.polyutils.mapparms(domain, window)
        coef = cls._fromroots(offset + scale * roots) / scale ** len(roots)  # type: ignore[attr-defined]
        return cls(coef, domain, window, symbol)


_METHODS = "add sub mul div pow val int der fit line roots fromroots".split()


def _class(numpys: type, prefix: str) -> Any:
    members: dict[str, Any] = {"__doc__": numpys.__doc__, "__module__": __name__, "_prefix": prefix, "__hash__": None}
    for name in _METHODS:
        members[f"_{name}"] = staticmethod(getattr(_MODULES[prefix], prefix + name))
    return type(numpys.__name__, (_Series, numpys), members)


# ---- the modules


def _chebinterpolate(func: Callable[..., Any], deg: Any, args: Any = ()) -> Any:
    points = _P.chebyshev.chebpts1(deg + 1)
    weights = _P.chebyshev.chebvander(points, deg) * (2 - (np.arange(deg + 1) == 0)) / (deg + 1)
    return weights.T @ as_array(func(points, *args))


def _module(basis: Basis) -> ModuleType:
    name = basis.module.__name__.rpartition(".")[2]
    module = ModuleType(f"{__name__}.{name}", basis.module.__doc__)
    ours = basis.functions() | {"polyvalfromroots": value_from_roots}
    for public in basis.module.__all__:
        numpys = getattr(basis.module, public)
        setattr(module, public, _dispatching(ours[public], numpys) if public in ours else numpys)
    module.__all__ = list(basis.module.__all__)  # type: ignore[attr-defined]
    return module


_MODULES = {prefix: _module(basis) for prefix, basis in BASES.items()}
_MODULES["cheb"].chebinterpolate = functools.wraps(_P.chebyshev.chebinterpolate)(_chebinterpolate)  # type: ignore[attr-defined]
Polynomial = _class(_P.Polynomial, "poly")
Chebyshev = _class(_P.Chebyshev, "cheb")
Legendre = _class(_P.Legendre, "leg")
Hermite = _class(_P.Hermite, "herm")
HermiteE = _class(_P.HermiteE, "herme")
Laguerre = _class(_P.Laguerre, "lag")
for _prefix, _made in (
    ("poly", Polynomial), ("cheb", Chebyshev), ("leg", Legendre),
    ("herm", Hermite), ("herme", HermiteE), ("lag", Laguerre),
):  # fmt: skip
    setattr(_MODULES[_prefix], _made.__name__, _made)
polynomial, chebyshev, legendre = _MODULES["poly"], _MODULES["cheb"], _MODULES["leg"]
hermite, hermite_e, laguerre = _MODULES["herm"], _MODULES["herme"], _MODULES["lag"]
