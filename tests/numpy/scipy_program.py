"""SciPy's own functions, differentiated through its array API. Run by `test_scipy.py` in a process of its own.

SciPy reads ``SCIPY_ARRAY_API`` when it is imported. Prints a JSON object: what came of each function, ``"right"`` or
the error.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from typing import Any

os.environ["SCIPY_ARRAY_API"] = "1"

import numpy as np
from scipy import (
    cluster,
    constants,
    differentiate,
    fft,
    integrate,
    linalg,
    optimize,
    signal,
    spatial,
    special,
    stats,
)
from scipy.optimize import elementwise

from tapeflow import GradientTape
from tapeflow.core.tracer import Tracer
from tapeflow.errors import InPlaceError, MissingRuleError

RNG = np.random.default_rng(0)
V, W = RNG.uniform(0.3, 1.5, (2, 7))
P = RNG.uniform(0.1, 0.9, 7)
M = RNG.uniform(0.3, 1.5, (4, 5))
A = np.array(0.7)

Program = tuple[Callable[..., Any], tuple[np.ndarray, ...]]
PROGRAMS: dict[str, Program] = {}


def program(name: str, call: Callable[..., Any], *args: np.ndarray) -> None:
    PROGRAMS[name] = (call, args)


def direct(module: Any, names: str, *args: np.ndarray) -> None:
    for name in names.split():
        program(f"{module.__name__.removeprefix('scipy.')}.{name}", getattr(module, name), *args)


def like(x: Any, value: Any) -> Any:
    """A constant of the namespace of x."""
    return x.__array_namespace__().asarray(value)


direct(special, "logsumexp softmax log_softmax", M)
direct(special, "logit expit entr gammaln erf erfc i0 i1 i0e i1e log_ndtr ndtr ndtri psi expm1 log1p", P)
direct(special, "xlogy rel_entr xlog1py kl_div betaln", V, W)
program("special.logsumexp-b", lambda x, b: special.logsumexp(x, b=b, axis=0), M, M)
direct(
    stats, "zscore gzscore kurtosis skew gmean hmean variation sem tmean tvar tstd kstat circmean circvar circstd", V
)
direct(stats, "entropy gstd differential_entropy lmoment", V)
program("stats.moment", lambda x: stats.moment(x, 3), V)
program("stats.pmean", lambda x: stats.pmean(x, 2.0), V)
program("stats.zmap", lambda x: stats.zmap(x, x), V)
program("stats.iqr", lambda x: stats.iqr(x), V)
program("stats.quantile", lambda x: stats.quantile(x, like(x, [0.3])), V)
program("stats.boxcox_llf", lambda x: stats.boxcox_llf(0.3, x), V)
program("stats.yeojohnson_llf", lambda x: stats.yeojohnson_llf(0.3, x), V)
for _name in "pearsonr ttest_ind ttest_rel f_oneway bartlett levene".split():
    program(f"stats.{_name}", lambda x, y, n=_name: getattr(stats, n)(x, y).statistic, V, W)
for _name in "skewtest normaltest kurtosistest".split():
    program(f"stats.{_name}", lambda x, n=_name: getattr(stats, n)(x).statistic, np.concatenate([V, W, P]))
program("stats.ttest_1samp", lambda x: stats.ttest_1samp(x, 1.0).pvalue, V)
program("stats.jarque_bera", lambda x: stats.jarque_bera(x).statistic, V)
program("stats.combine_pvalues", lambda x: stats.combine_pvalues(x).statistic, P)
direct(signal, "fftconvolve oaconvolve", V, W)
program("signal.hilbert", lambda x: signal.hilbert(x).imag, V)
program("signal.resample", lambda x: signal.resample(x, 11), V)
program("signal.freqz", lambda x: abs(signal.freqz(x)[1]), V)
program("signal.lp2lp", lambda x: signal.lp2lp(x, like(x, [1.0, 0.5]), 2.0)[0], V[:2])
program("linalg.block_diag", lambda x, y: linalg.block_diag(x, y), M, M)
for _name in "fft ifft rfft irfft fftn ifftn rfftn irfftn hfft ihfft fft2 fftshift ifftshift".split():
    program(f"fft.{_name}", lambda x, n=_name: abs(getattr(fft, n)(x)), M)
for _name in "trapezoid cumulative_trapezoid cumulative_simpson".split():
    program(f"integrate.{_name}", lambda y, x, n=_name: getattr(integrate, n)(y, x=x), V, np.sort(W))
program("integrate.romb", integrate.romb, V[:5])
program(
    "integrate.cubature",
    lambda a: integrate.cubature(lambda x: np.exp(-a * x[:, 0]), like(a, [0.0]), like(a, [1.0])).estimate,
    A,
)
program(
    "integrate.tanhsinh",
    lambda a: integrate.tanhsinh(lambda x, a: np.exp(-a * x), like(a, 0.0), like(a, 1.0), args=(a,)).integral,
    A,
)
program(
    "integrate.nsum",
    lambda a: integrate.nsum(lambda k, a: 1 / k ** (a + 2), like(a, 1.0), like(a, 10.0), args=(a,)).sum,
    A,
)
direct(optimize, "rosen rosen_der rosen_hess", V)
program(
    "optimize.elementwise.find_root",
    lambda a: elementwise.find_root(lambda x, a: x * x - a, (like(a, 0.0), like(a, 3.0)), args=(a,)).x,
    A,
)
program("differentiate.derivative", lambda a: differentiate.derivative(np.exp, a).df, V)
program("differentiate.jacobian", lambda a: differentiate.jacobian(np.exp, a).df, V)
program("cluster.vq.whiten", cluster.vq.whiten, M)
program("constants.convert_temperature", lambda x: constants.convert_temperature(x, "C", "K"), V)
program("spatial.transform.Rotation", lambda q: spatial.transform.Rotation.from_rotvec(q).as_matrix(), V[:3])


def run(call: Callable[..., Any], args: Any) -> tuple[Any, Any, GradientTape]:
    with GradientTape() as tape:
        x = tape.watch(args)
        y = call(*x)
        y = y[0] if isinstance(y, tuple) else y
        if not isinstance(y, Tracer):
            raise TypeError(f"the result is a {type(y).__name__}: the path was cut")
        total = np.sum(y * np.cos(np.arange(y.size)).reshape(y.shape))
    return x, total, tape


def outcome(call: Callable[..., Any], args: tuple[np.ndarray, ...]) -> str:
    """Compare the gradient along a direction with a difference."""
    direction = tuple(RNG.normal(size=a.shape) for a in args)
    h = 1e-5
    ends = [run(call, tuple(a + s * d for a, d in zip(args, direction, strict=True)))[1].numpy() for s in (-h, h)]
    x, total, tape = run(call, args)
    gradients = tape.gradient(total, x, unconnected_gradients="zero")
    got = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
    want = (ends[1] - ends[0]) / (2 * h)
    return "right" if abs(got - want) <= 1e-5 * (1 + abs(want)) else f"wrong: {got} for {want}"


def main() -> None:
    """Print what came of every program."""
    outcomes = {}
    for name, (call, args) in PROGRAMS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SciPy's own, which are about values
                outcomes[name] = outcome(call, args)
        except (MissingRuleError, InPlaceError) as error:
            outcomes[name] = f"missing: {error}"
        except Exception as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
