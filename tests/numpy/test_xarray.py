"""xarray's labelled arrays and pint's quantities hold traced values; both are tested where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeflow import GradientTape
from tapeflow.core.tracer import Tracer
from tapeflow.errors import MissingRuleError

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))
PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda xr, d: d * 2 + d**2 - 1 / d,
    "ufunc": lambda xr, d: np.sin(d),
    "sum": lambda xr, d: d.sum("a"),
    "mean": lambda xr, d: d.mean("a"),
    "mean-with-nans": lambda xr, d: d.mean("a", skipna=False),
    "std": lambda xr, d: d.std("b"),
    "max": lambda xr, d: d.max("a"),
    "prod": lambda xr, d: d.prod("b"),
    "broadcast": lambda xr, d: d * d.sum("a"),
    "where": lambda xr, d: d.where(d > 1, 0.0),
    "where-function": lambda xr, d: xr.where(d > 1, d * d, d),
    "select": lambda xr, d: d.sel(b=[30, 10]).isel(a=[2, 0]),
    "transpose": lambda xr, d: d.transpose("b", "a"),
    "concat": lambda xr, d: xr.concat([d, d * 2], "a"),
    "diff": lambda xr, d: d.diff("a"),
    "shift": lambda xr, d: d.shift(a=1, fill_value=0.0),
    "clip": lambda xr, d: d.clip(0.7, 1.2),
    "dot": lambda xr, d: xr.dot(d, d, dim="a"),
    "integrate": lambda xr, d: d.integrate("b"),
    "dataset": lambda xr, d: xr.Dataset({"u": d, "v": d * d}).map(lambda v: v.sum("a")).v,
    "groups": lambda xr, d: d.groupby("b").sum(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_data_arrays_around_traced_values(name: str) -> None:
    xr = pytest.importorskip("xarray")
    call = PROGRAMS[name]

    def labelled(values: Any) -> Any:
        return xr.DataArray(values, dims=("a", "b"), coords={"b": [0, 10, 20, 30]})

    plain = call(xr, labelled(X))
    weights = np.cos(np.arange(plain.size)).reshape(plain.shape)
    with GradientTape() as tape:
        x = tape.watch(X)
        y = call(xr, labelled(x)).data
        assert isinstance(y, Tracer)
        loss = np.sum(y * weights)
    np.testing.assert_allclose(y.numpy(), plain.values)
    try:
        gradient = tape.gradient(loss, x)
    except MissingRuleError as error:
        pytest.skip(str(error))
    direction, h = np.random.default_rng(1).normal(size=X.shape), 1e-6
    ends = [np.sum(call(xr, labelled(X + s * direction)).values * weights) for s in (-h, h)]
    np.testing.assert_allclose(np.sum(gradient * direction), (ends[1] - ends[0]) / (2 * h), rtol=1e-6, atol=1e-8)


def test_quantities_around_traced_values() -> None:
    units = pytest.importorskip("pint").UnitRegistry()
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0, 2.0]))
        length = units.Quantity(x, "m") + 3 * units.cm
        area = np.sum(np.where(length > 1.5 * units.m, length, 0 * units.m) ** 2).to("cm**2")
    assert str(area.units) == "centimeter ** 2"
    np.testing.assert_allclose(tape.gradient(area.magnitude, x), [0.0, 2 * 2.03e4])
