"""Every workload: its derivative by hand against differences, and tapeflow against the derivative by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tapeflow.bench import CASES, CONTENDERS, PEERS, SUBSET, WORKLOADS, arrays, select
from tapeflow.bench.contenders import Unsupported
from tapeflow.bench.race import difference

NAMES = list(WORKLOADS)


def differences(f, x, step):
    """Central differences of a function of one array, of fourth order."""
    out = []
    for k in range(x.size):
        e = np.zeros(x.size)
        e[k] = step
        e = e.reshape(x.shape)
        out.append((8.0 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12.0 * step))
    return np.array(out)


def numeric_gradient(f, variables, step=1e-3):
    return [
        differences(lambda v, k=k: f(*variables[:k], v, *variables[k + 1 :]), np.asarray(x), step).reshape(np.shape(x))
        for k, x in enumerate(variables)
    ]


def small(name):
    workload = WORKLOADS[name]
    return workload, workload.data(**workload.small)


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_by_hand_is_that_of_the_function(name):
    workload, data = small(name)
    got = arrays(workload.by_hand(*data.arguments, *data.direction))

    def f(*v):
        return float(workload.value(np, *v, *data.constants))

    if workload.wanted == "gradient":
        want = numeric_gradient(f, data.variables)
    else:
        (x,) = data.variables
        hessian = differences(lambda v: numeric_gradient(f, (v,))[0], x, 1e-3)
        want = [hessian if workload.wanted == "hessian" else hessian @ data.direction[0]]
    assert [g.shape for g in got] == [w.shape for w in want]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-6 * np.max(np.abs(w)))


@pytest.mark.parametrize("name", NAMES)
def test_tapeflow_gets_what_is_written_by_hand(name):
    workload, data = small(name)
    mine, hand = (arrays(CONTENDERS[who].prepare(workload, data)()) for who in ("tapeflow", "by hand"))
    assert difference(mine, hand, 1e-12) <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_neither_changes_its_arguments(name):
    workload, data = small(name)
    copies = [np.copy(a) for a in (*data.arguments, *data.direction)]
    for who in ("tapeflow", "by hand", "forward"):
        CONTENDERS[who].prepare(workload, data)()
    for a, copy in zip((*data.arguments, *data.direction), copies, strict=True):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize("name", NAMES)
def test_data_are_the_same_every_time(name):
    (workload, one), (_, two) = small(name), small(name)
    for a, b in zip((*one.arguments, *one.direction), (*two.arguments, *two.direction), strict=True):
        np.testing.assert_array_equal(a, b)
    assert workload.source
    assert workload.title


def test_single_precision_stays_single():
    workload = WORKLOADS["mlp"]
    data = workload.data(**{**workload.small, "dtype": "float32"})
    for who in ("tapeflow", "by hand"):
        assert {a.dtype for a in arrays(CONTENDERS[who].prepare(workload, data)())} == {np.dtype(np.float32)}
    assert CASES["mlp/float32"].rtol > CASES["mlp/float64"].rtol


def test_the_mixture_is_that_of_adbench():
    """By the definition, point by point and component by component."""
    workload, data = small("gmm")
    alpha, means, icf, x, _, _ = data.arguments
    (k, d), n = means.shape, x.shape[1]
    total = 0.0
    below = [(i, j) for j in range(d) for i in range(j + 1, d)]  # the lower triangle by columns
    for i in range(n):
        terms = []
        for c in range(k):
            q = np.diag(np.exp(icf[c, :d]))
            for (row, column), entry in zip(below, icf[c, d:], strict=True):
                q[row, column] = entry
            terms.append(alpha[c] + icf[c, :d].sum() - 0.5 * np.sum((q @ (x[:, i] - means[c])) ** 2))
        total += np.log(np.sum(np.exp(terms)))
    total -= n * np.log(np.sum(np.exp(alpha))) + 0.5 * n * d * np.log(2.0 * np.pi)
    log_gamma = d * (d - 1) / 4 * np.log(np.pi) + sum(np.log(gamma((d + 1) / 2 - j / 2)) for j in range(d))
    c = (d + 1) * d * (np.log(1.0) - 0.5 * np.log(2.0)) - log_gamma
    total += 0.5 * (np.sum(np.exp(icf[:, :d]) ** 2) + np.sum(icf[:, d:] ** 2)) - k * c
    np.testing.assert_allclose(workload.value(np, *data.arguments), total, rtol=1e-12)


def gamma(x):
    """Of halves of whole numbers."""
    return 1.0 if x == 1.0 else np.sqrt(np.pi) if x == 0.5 else (x - 1.0) * gamma(x - 1.0)


def test_cases_are_selected_by_name_and_by_workload():
    assert [case.name for case in select(["gmm", "chain/1"])] == [
        "gmm/2,5,1000",
        "gmm/10,25,1000",
        "gmm/32,25,2500",
        "chain/1",
    ]
    assert {case.name for case in select(SUBSET)} == set(SUBSET)
    with pytest.raises(KeyError, match="no workload 'chains'; there are chain, rosenbrock"):
        select(["chains"])


def test_the_sizes_are_those_of_the_documentation():
    assert {"chain/1", "chain/100", "rosenbrock-hessian/500", "mlp/float32", "mlp/float64"} <= set(CASES)
    mlp = WORKLOADS["mlp"].data(dtype="float32")
    assert [v.shape for v in mlp.variables] == [(784, 512), (512,), (512, 512), (512,), (512, 10), (10,)]
    assert mlp.constants[0].shape == (128, 784)
    assert WORKLOADS["logistic"].data().constants[0].shape == (20_000, 200)
    assert WORKLOADS["gp"].data().constants[0].shape[0] == 500
    assert WORKLOADS["segments"].data().constants[0].shape == (100_000,)
    assert WORKLOADS["solves"].data().variables[0].shape == (1_000, 4, 4)


@pytest.mark.parametrize("name", [name for name, w in WORKLOADS.items() if w.kernel is not None])
def test_kernels_run(name):
    workload, data = small(name)
    assert np.all(np.isfinite(np.asarray(CONTENDERS["forward"].prepare_kernel(workload, data)())))
    with pytest.raises(Unsupported):
        CONTENDERS["by hand"].prepare_kernel(workload, data)


@pytest.mark.peer
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("peer", [*PEERS, "jax-eager"])
def test_peers_agree(name, peer):
    pytest.importorskip(CONTENDERS[peer].module)
    workload, data = small(name)
    try:
        got = arrays(CONTENDERS[peer].prepare(workload, data)())
    except (Unsupported, TypeError):  # what the table then says
        assert peer in ("mygrad", "advect")
        return
    assert difference(got, arrays(CONTENDERS["by hand"].prepare(workload, data)()), 1e-6) <= 1.0


def test_a_kernel_of_torch_gets_its_own_arrays():
    torch = pytest.importorskip("torch")
    workload, data = small("chain")
    assert isinstance(CONTENDERS["torch"].prepare_kernel(workload, data)(), torch.Tensor)


@pytest.mark.parametrize("name", NAMES)
def test_the_namespace_is_the_first_argument_everywhere(name):
    workload, data = small(name)
    assert np.isfinite(partial(workload.value, np)(*data.arguments))
