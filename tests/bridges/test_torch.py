"""PyTorch both ways, against the same functions written in one toolkit."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tapeflow
import tapeflow.testing
from tapeflow import Variable
from tapeflow.bridges.torch import from_torch, to_torch
from tapeflow.errors import NotDifferentiableError, TargetError, TracedConversionError

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),  # PyTorch's own
]

RNG = np.random.default_rng(0)
W, V = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 4))
X = RNG.normal(size=3)
Pair = namedtuple("Pair", "first second")


def close(a: Any, b: Any, rtol: float = 1e-9) -> None:
    a, b = tapeflow.pytree.flatten(a), tapeflow.pytree.flatten(b)
    assert a[1] == b[1]
    for x, y in zip(a[0], b[0], strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=rtol)


def tensor(x: Any) -> Any:
    return torch.tensor(np.asarray(x))


# ---- tapeflow over PyTorch


def hidden_numpy(x: Any) -> Any:
    return np.tanh(W @ x) * np.sum(x)


def hidden_torch(x: Any) -> Any:
    return torch.tanh(tensor(W) @ x) * x.sum()


def loss_of(hidden: Any) -> Any:
    return lambda x: np.sum(np.sin(V @ hidden(np.exp(x / 2))) ** 2)


TRANSFORMS = {
    "value": lambda f: f,
    "grad": tapeflow.grad,
    "jacfwd": tapeflow.jacfwd,
    "jvp": lambda f: lambda x: tapeflow.jvp(f, (x,), (np.cos(x),)),
    "linearize": lambda f: lambda x: tapeflow.linearize(f, x)[1](np.cos(x)),
    "hvp": lambda f: lambda x: tapeflow.hvp(f, (x,), (np.cos(x),)),
    "vhp": lambda f: lambda x: tapeflow.vhp(f, (x,), (np.cos(x),)),
    "hessian": tapeflow.hessian,
    "reverse twice": lambda f: tapeflow.jacrev(tapeflow.jacrev(f)),
    "forward twice": lambda f: tapeflow.jacfwd(tapeflow.jacfwd(f)),
    "forward inside reverse": lambda f: tapeflow.jacrev(tapeflow.jacfwd(f)),
    "third order": lambda f: tapeflow.jacfwd(tapeflow.jacrev(tapeflow.jacrev(f))),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_from_torch_under_every_transform(name: str, dtype: Any) -> None:
    w = W.astype(dtype)
    inner = from_torch(lambda x: torch.tanh(torch.tensor(w) @ x) * x.sum())
    v = V.astype(dtype)

    def loss(hidden: Any) -> Any:
        return lambda x: np.sum(np.sin(v @ hidden(np.exp(x / 2))) ** 2)

    transform = TRANSFORMS[name]
    found = transform(loss(inner))(X.astype(dtype))
    close(
        found,
        transform(loss(lambda x: np.tanh(w @ x) * np.sum(x)))(X.astype(dtype)),
        1e-9 if dtype == np.float64 else 2e-3,
    )
    assert all(x.dtype == dtype for x in tapeflow.pytree.flatten(found)[0])


@pytest.mark.parametrize("name", ["value", "grad", "jvp", "hvp", "hessian"])
def test_from_torch_under_vmap(name: str) -> None:
    batch = RNG.normal(size=(5, 3))
    transform, inner = TRANSFORMS[name], from_torch(hidden_torch)
    close(tapeflow.vmap(transform(loss_of(inner)))(batch), tapeflow.vmap(transform(loss_of(hidden_numpy)))(batch))


def test_a_batch_is_one_call_and_its_derivative_is_right() -> None:
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return hidden_torch(x)

    batch = RNG.normal(size=(5, 3))
    inner = from_torch(counted)
    found = tapeflow.grad(lambda b: np.sum(tapeflow.vmap(inner)(b) ** 2))(batch)
    assert len(calls) == 1
    close(found, tapeflow.grad(lambda b: np.sum(tapeflow.vmap(hidden_numpy)(b) ** 2))(batch))


def test_a_batch_of_a_function_that_decides_by_values() -> None:
    inner = from_torch(lambda x: x**2 if x.item() > 0 else -x)
    batch = np.array([1.0, -2.0, 3.0])
    close(tapeflow.vmap(inner)(batch), np.array([1.0, 2.0, 9.0]))
    close(tapeflow.vmap(tapeflow.grad(inner))(batch), np.array([2.0, -1.0, 6.0]))


def test_layers_of_torch_inside_a_model_of_numpy() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Softplus(), torch.nn.Linear(8, 2)).double()
    layers = from_torch(model)
    params = {"w": RNG.normal(size=(3, 3)), "b": np.zeros(3)}
    inputs = RNG.normal(size=(6, 3))

    def loss(p: Any) -> Any:
        return np.mean(layers(np.tanh(inputs @ p["w"] + p["b"])) ** 2)

    w, b = tensor(params["w"]).requires_grad_(), tensor(params["b"]).requires_grad_()
    (model(torch.tanh(tensor(inputs) @ w + b)) ** 2).mean().backward()
    close(tapeflow.grad(loss)(params), {"w": w.grad.numpy(), "b": b.grad.numpy()})


def test_parameters_of_a_module_as_arguments() -> None:
    model = torch.nn.Linear(3, 2).double()
    params = {k: v.detach().numpy().copy() for k, v in model.named_parameters()}
    call = from_torch(lambda p, x: torch.func.functional_call(model, p, (x,)))
    slope = tapeflow.grad(lambda p: np.sum(call(p, X) ** 2))(params)
    out = params["weight"] @ X + params["bias"]
    close(slope, {"weight": 2 * np.outer(out, X), "bias": 2 * out})
    assert model.weight.grad is None


def test_trees_static_leaves_and_integers() -> None:
    def f(tree: Any, k: int, *, label: str, scale: float = 1.0) -> Any:
        assert label == "mine"
        assert type(k) is int
        return Pair({"y": tree["x"][tree["index"]] ** k * scale, "count": tree["index"]}, (label, None, len))

    inner = from_torch(f)
    tree = {"x": X, "index": np.array([0, 2, 2]), "nothing": None}
    out = inner(tree, 2, label="mine", scale=3.0)
    assert isinstance(out, Pair)
    assert out.second == ("mine", None, len)
    assert out.first["count"].dtype == np.int64
    close(out.first["y"], 3 * X[[0, 2, 2]] ** 2)

    def loss(x: Any) -> Any:
        return np.sum(inner({**tree, "x": x}, 2, label="mine").first["y"])

    close(tapeflow.grad(loss)(X), np.array([2, 0, 4]) * X)
    close(tapeflow.hessian(loss)(X), np.diag([2.0, 0, 4]))


def test_several_operands_results_and_unused_ones() -> None:
    inner = from_torch(lambda x, y, z: (x * y, y.sum(), z.sum()))

    def loss(x: Any, y: Any, z: Any) -> Any:
        a, b, _ = inner(x, y, z)
        return np.sum(a**2) + b**3

    def pure(x: Any, y: Any, z: Any) -> Any:
        return np.sum((x * y) ** 2) + np.sum(y) ** 3

    for transform in (tapeflow.grad, tapeflow.hessian):
        close(transform(loss, (0, 1, 2))(X, X + 1, X + 2), transform(pure, (0, 1, 2))(X, X + 1, X + 2))


def test_scalars_empty_arrays_views_and_variables() -> None:
    square = from_torch(lambda x: x**2)
    assert type(square(np.float64(3))) is np.float64
    close(tapeflow.grad(square)(3.0), np.float64(6))
    assert square(np.zeros((0, 2))).shape == (0, 2)
    assert tapeflow.grad(lambda x: np.sum(square(x)))(np.zeros((0, 2))).shape == (0, 2)
    close(square(np.arange(6.0)[::-2]), np.array([25.0, 9, 1]))
    close(square(np.arange(3).astype(">f8")), np.array([0.0, 1, 4]))
    v = Variable(2.0)
    with tapeflow.GradientTape() as tape:
        y = square(v) * v
    close(tape.gradient(y, v), np.float64(12))


def test_complex_gradients_are_steepest_ascent() -> None:
    inner = from_torch(lambda z: torch.exp(1j * z) * z.conj())
    z = np.array([0.3 + 0.2j, -0.4j])

    def loss(f: Any) -> Any:
        return lambda z: np.sum(np.abs(f(z) - 1) ** 2)

    def pure(z: Any) -> Any:
        return np.exp(1j * z) * np.conj(z)

    close(tapeflow.grad(loss(inner))(z), tapeflow.grad(loss(pure))(z))
    close(tapeflow.hvp(loss(inner), (z,), (1j * z,)), tapeflow.hvp(loss(pure), (z,), (1j * z,)))
    close(tapeflow.vjp(inner, z)[1](z)[0], tapeflow.vjp(pure, z)[1](z)[0])
    close(tapeflow.jvp(inner, (z,), (z * 1j,))[1], tapeflow.jvp(pure, (z,), (z * 1j,))[1])
    t = tensor(z).requires_grad_()
    ((torch.exp(1j * t) * t.conj() - 1).abs() ** 2).sum().backward()
    close(tapeflow.grad(loss(inner))(z), t.grad.numpy())
    absolute = from_torch(lambda x: torch.complex(x, x**2))
    close(tapeflow.grad(lambda x: np.sum(np.abs(absolute(x)) ** 2))(X), 2 * X + 4 * X**3)


def test_the_function_runs_once_for_a_gradient() -> None:
    calls = []
    inner = from_torch(lambda x: calls.append(1) or x**2)
    tapeflow.grad(lambda x: np.sum(inner(x)))(X)
    assert len(calls) == 1


def _value_and_pull(f: Any, x: Any) -> Any:
    value, pull = tapeflow.vjp(f, x)
    return value, pull(np.ones_like(x))[0]


def test_a_persistent_tape_asks_twice_and_differences_agree() -> None:
    inner = from_torch(hidden_torch)
    with tapeflow.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = inner(x)
    for k in (0, 1, 0):
        seed = np.eye(4)[k]
        close(tape.gradient(y, x, output_gradients=seed), tapeflow.vjp(hidden_numpy, X)[1](seed)[0])
    tapeflow.testing.check_grads(inner, (X,), order=2)


def test_random_numbers_are_those_of_the_value() -> None:
    torch.manual_seed(3)
    drop = from_torch(lambda x: torch.nn.functional.dropout(x, 0.5))
    x = np.linspace(1, 2, 40)
    value, pull = tapeflow.vjp(drop, x)
    close(pull(np.ones(40))[0], value / x)
    value, tangent = tapeflow.jvp(drop, (x,), (x,))
    close(tangent, value)
    mask = []

    def loss(x: Any) -> Any:
        y = drop(x)
        mask.append(np.asarray(y.numpy() != 0))
        return np.sum(y**3)

    diagonal = np.diagonal(tapeflow.jacrev(tapeflow.grad(loss))(x))
    close(diagonal, 48 * x * mask[-1])
    assert 0 < mask[-1].sum() < 40
    assert not np.array_equal(drop(x), drop(x))
    batch = np.linspace(1, 2, 80).reshape(2, 40)
    for f in (drop, from_torch(lambda x: torch.nn.functional.dropout(x, 0.5) if x[0].item() > 0 else x)):
        value, slopes = tapeflow.vmap(lambda x, f=f: _value_and_pull(f, x))(batch)
        close(slopes, value / batch)


def test_operations_without_forward_mode() -> None:
    class Cube(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return x**3

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * g

    cube = from_torch(Cube.apply)
    close(tapeflow.jvp(cube, (X,), (X,))[1], 3 * X**3)
    close(tapeflow.hvp(lambda x: np.sum(cube(x)), (X,), (X,)), 6 * X**2)


def test_modules_that_write_into_buffers_and_operations_of_the_old_style() -> None:
    norm, copy = torch.nn.BatchNorm1d(3).double(), torch.nn.BatchNorm1d(3).double()
    batch = RNG.normal(size=(5, 3))
    slope = tapeflow.grad(lambda x: np.sum(from_torch(norm)(x) ** 3))(batch)
    t = tensor(batch).requires_grad_()
    (copy(t) ** 3).sum().backward()
    close(slope, t.grad.numpy())
    close(norm.running_mean.numpy(), copy.running_mean.numpy())
    with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
        tapeflow.jvp(from_torch(norm), (batch,), (batch,))

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    close(tapeflow.grad(lambda x: np.sum(from_torch(Square.apply)(x)))(X), 2 * X)


def test_results_without_a_path() -> None:
    inner = from_torch(lambda x: (torch.ones(3), x.detach() * 2, x**2))
    for k, expected in enumerate((0 * X, 0 * X, 2 * X)):
        close(tapeflow.grad(lambda x, k=k: np.sum(inner(x)[k]))(X), expected)
    close(tapeflow.grad(lambda x: np.sum(from_torch(lambda x: torch.ones(3))(x)))(X), 0 * X)


def test_writes_after_and_during_the_call() -> None:
    def writes(x: Any) -> Any:
        y = x.clone()
        x.mul_(0)
        return y**2

    x = X.copy()
    close(from_torch(writes)(x), X**2)
    close(x, X)
    inner, constant = from_torch(lambda x, c: c * x**2), X.copy()
    x = X.copy()
    value, pull = tapeflow.vjp(lambda x: inner(x, constant), x)
    constant[:] = 0
    x[:] = 0
    value[:] = 7
    close(pull(np.ones(3))[0], 2 * X**2)
    same = from_torch(lambda x: (x, x))
    a, b = same(X)
    a[:] = 0
    close(b, X)
    weight = torch.nn.Parameter(tensor(X))
    out = from_torch(lambda x: weight)(X)
    out[:] = 0
    close(weight.detach().numpy(), X)


def test_exceptions_inside_come_through_with_a_note() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    for call in (from_torch(fails), tapeflow.grad(from_torch(fails))):
        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            call(1.0)
        assert any("in fails, code of PyTorch that tapeflow called" in n for n in caught.value.__notes__)


@pytest.mark.parametrize(
    ("function", "argument", "match"),
    [
        (lambda x: x, np.ones(2, np.longdouble), r"PyTorch has no dtype (longdouble|float128)"),
        (lambda x: x.to(torch.bfloat16), X, "NumPy has no dtype torch.bfloat16"),
        (lambda x: x.to_sparse(), X, r"layout torch.sparse_coo; use x.to_dense\(\)"),
        (lambda x: x.to("meta"), X, r"device meta.*x.cpu\(\)"),
    ],
)
def test_what_cannot_cross_is_refused(function: Any, argument: Any, match: str) -> None:
    with pytest.raises(NotDifferentiableError, match=match):
        from_torch(function)(argument)


def test_gradients_of_torch_are_not_lost() -> None:
    inner, t = from_torch(lambda x, y: x * y), tensor(X).requires_grad_()
    with pytest.raises(NotDifferentiableError, match="an argument is one that PyTorch differentiates"):
        inner(X, t)
    close(inner(X, t.detach()), X**2)
    with torch.no_grad():
        close(inner(X, t), X**2)
    close(tapeflow.grad(lambda x: np.sum(inner(x, t.detach())))(X), X)


def test_numbers_that_torch_lost_sight_of_are_refused() -> None:
    loses = from_torch(lambda x: x.sum().item())
    assert loses(X) == pytest.approx(X.sum())
    with pytest.raises(TargetError, match="returned a float, of which PyTorch knows no derivative"):
        tapeflow.grad(loses)(X)
    with pytest.raises(TargetError, match="returned a ndarray"):
        tapeflow.grad(from_torch(lambda x: np.ones(2)))(X)
    with pytest.raises(TypeError, match="from_torch: expected a function"):
        from_torch(3)


# ---- PyTorch over tapeflow


def outer_loss(hidden: Any) -> Any:
    return lambda x: (torch.sin(tensor(V) @ hidden(torch.exp(x / 2))) ** 2).sum()


F = torch.func
TORCH_TRANSFORMS = {
    "value": lambda f: f,
    "grad": F.grad,
    "jacfwd": F.jacfwd,
    "jvp": lambda f: lambda x: F.jvp(f, (x,), (x.cos(),)),
    "hessian": F.hessian,
    "reverse twice": lambda f: F.jacrev(F.jacrev(f)),
    "forward twice": lambda f: F.jacfwd(F.jacfwd(f)),
    "forward inside reverse": lambda f: F.jacrev(F.jacfwd(f)),
    "third order": lambda f: F.jacrev(F.jacrev(F.grad(f))),
    "vmap": lambda f: lambda x: F.vmap(f)(torch.stack([x, x.cos()])),
    "vmap of grad": lambda f: lambda x: F.vmap(F.grad(f))(torch.stack([x, x.cos()])),
    "vmap of hessian": lambda f: lambda x: F.vmap(F.hessian(f))(torch.stack([x, x.cos()])),
    "grad of vmap": lambda f: F.grad(lambda x: F.vmap(f)(torch.stack([x, x.cos()])).sum()),
    "backward": lambda f: lambda x: torch.autograd.grad(f(x := x.clone().requires_grad_()), x)[0],
    "functional hessian": lambda f: lambda x: torch.autograd.functional.hessian(f, x),
}


@pytest.mark.parametrize("name", TORCH_TRANSFORMS)
def test_to_torch_under_every_transform(name: str) -> None:
    transform = TORCH_TRANSFORMS[name]
    close(transform(outer_loss(to_torch(hidden_numpy)))(tensor(X)), transform(outer_loss(hidden_torch))(tensor(X)))


def test_torch_checks_the_derivatives_itself() -> None:
    f = to_torch(hidden_numpy)
    x = tensor(X).requires_grad_()
    assert torch.autograd.gradcheck(f, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(f, x, check_fwd_over_rev=True)
    z = torch.tensor([0.3 + 0.2j, -0.4j], dtype=torch.complex128, requires_grad=True)
    g = to_torch(lambda z: np.exp(1j * z) * np.conj(z))
    assert torch.autograd.gradcheck(g, z, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(g, z)
    assert torch.autograd.gradcheck(to_torch(lambda z: np.abs(z) ** 2), z, check_forward_ad=True)


def test_numpy_layers_inside_a_model_of_torch() -> None:
    torch.manual_seed(1)

    class Model(torch.nn.Module):
        def __init__(self, middle: Any) -> None:
            super().__init__()
            self.first, self.last, self.middle = torch.nn.Linear(3, 5), torch.nn.Linear(5, 2), middle
            self.scale = torch.nn.Parameter(torch.ones(5))

        def forward(self, x: Any) -> Any:
            return self.last(self.middle({"x": self.first(x), "scale": self.scale}, 2)["y"])

    def middle(tree: Any, power: int) -> Any:
        return {"y": np.tanh(tree["x"] * tree["scale"]) ** power, "name": "middle"}

    def pure(tree: Any, power: int) -> Any:
        return {"y": torch.tanh(tree["x"] * tree["scale"]) ** power}

    mine, theirs = Model(to_torch(middle)), Model(pure)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(7, 3)
    for model in (mine, theirs):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert a.dtype == torch.float32
        close(a.detach().numpy(), b.detach().numpy(), 1e-5)


def test_what_needs_no_gradient_costs_none() -> None:
    traced = []

    def f(x: Any, y: Any) -> Any:
        traced.append((isinstance(x, np.ndarray), isinstance(y, np.ndarray)))
        return x * y

    bridged, x, y = to_torch(f), tensor(X), tensor(X + 1)
    out = bridged(x, y)
    assert not out.requires_grad
    with torch.no_grad():
        assert not bridged(x.clone().requires_grad_(), y).requires_grad
    y.requires_grad_()
    bridged(x, y).sum().backward()
    assert traced == [(True, True), (True, True), (True, False)]
    assert x.grad is None
    close(y.grad.numpy(), X)


def test_integers_several_results_and_python_floats() -> None:
    f = to_torch(lambda x, k: (x[k], np.argsort(x), 2.5, "label", k + 1))
    x = tensor(X).requires_grad_()
    picked, order, number, label, more = f(x, torch.tensor([0, 0, 2]))
    assert (picked.requires_grad, order.requires_grad, label) == (True, False, "label")
    assert number.dtype == torch.float64
    assert more.dtype == torch.int64
    picked.sum().backward()
    close(x.grad.numpy(), np.array([2.0, 0, 1]))
    with pytest.raises(RuntimeError, match="does not require grad"):
        order.sum().backward()


def test_a_result_that_is_not_used_and_one_that_does_not_depend() -> None:
    f = to_torch(lambda x, y: (x**2, y**3, np.ones(2)))
    x, y = tensor(X).requires_grad_(), tensor(X).requires_grad_()
    a, _, _ = f(x, y)
    a.sum().backward()
    close(x.grad.numpy(), 2 * X)
    close(y.grad.numpy(), 0 * X)
    _, b, c = f(x, y)
    close(torch.autograd.grad(b.sum() + c.sum(), y)[0].numpy(), 3 * X**2)


def test_writes_after_the_call_change_no_gradient() -> None:
    constant = X.copy()
    f = to_torch(lambda x, c: c * x**2)
    x = tensor(X).requires_grad_()
    out = f(x, constant)
    constant[:] = 0
    x.data.zero_()
    out.data.zero_()
    out.sum().backward()
    close(x.grad.numpy(), 2 * X**2)
    x = tensor(X).requires_grad_()
    y = x * 1
    out = f(y, X)
    y.mul_(0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(out.sum(), x, create_graph=True)


def test_gradients_share_no_memory() -> None:
    f = to_torch(lambda x, y: x + y)
    x, y = tensor(X).requires_grad_(), tensor(X).requires_grad_()
    f(x, y).sum().backward()
    x.grad.zero_()
    close(y.grad.numpy(), np.ones(3))
    keep = X.copy()
    out = to_torch(lambda x: keep)(tensor(X))
    out.zero_()
    close(keep, X)
    same = to_torch(lambda x: x)
    t = tensor(X)
    same(t).zero_()
    close(t.numpy(), X)

    def writes(x: Any) -> Any:
        x[0] = 5
        return x

    to_torch(writes)(t)
    close(t.numpy(), X)


def test_backward_twice() -> None:
    f = to_torch(lambda x: np.sum(x**3))
    x = tensor(X).requires_grad_()
    out = f(x)
    out.backward(retain_graph=True)
    out.backward()
    close(x.grad.numpy(), 6 * X**2)


def test_a_batch_of_numpy_code_that_decides_by_values() -> None:
    f = to_torch(lambda x: x**2 if x > 0 else -x)
    batch = torch.tensor([1.0, -2.0, 3.0])
    close(F.vmap(f)(batch).numpy(), np.array([1.0, 2, 9]))
    close(F.vmap(F.grad(f))(batch).numpy(), np.array([2.0, -1, 6]))


def test_tapeflow_inside_of_what_torch_differentiates() -> None:
    slope = to_torch(tapeflow.grad(lambda x: np.sum(np.sin(x) * x)))
    x = tensor(X).requires_grad_()
    slope(x).sum().backward()
    close(x.grad.numpy(), 2 * np.cos(X) - X * np.sin(X))


def test_there_and_back() -> None:
    def f(x: Any) -> Any:
        return np.sin(x) * x

    twice = from_torch(to_torch(f))
    for name in ("grad", "hvp", "hessian", "forward twice"):
        transform = TRANSFORMS[name]
        close(transform(lambda x: np.sum(twice(x)))(X), transform(lambda x: np.sum(f(x)))(X))
    back = to_torch(from_torch(lambda x: torch.sin(x) * x))
    for name in ("grad", "hessian", "forward twice", "vmap of grad"):
        transform = TORCH_TRANSFORMS[name]
        close(transform(lambda x: back(x).sum())(tensor(X)), transform(lambda x: (torch.sin(x) * x).sum())(tensor(X)))


def test_exceptions_and_refusals_of_to_torch() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        to_torch(fails)(tensor(X).requires_grad_())
    with pytest.raises(NotDifferentiableError, match=r"device meta.*x.cpu\(\).*y.to\(device\)"):
        to_torch(np.sin)(torch.ones(2, device="meta"))
    with pytest.raises(NotDifferentiableError, match=r"NumPy has no dtype torch.bfloat16"):
        to_torch(np.sin)(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(TypeError, match="to_torch: expected a function"):
        to_torch(None)
    with pytest.raises(TracedConversionError):
        tapeflow.grad(lambda c: float(to_torch(lambda x: x * c)(tensor(X)).sum()))(1.0)
