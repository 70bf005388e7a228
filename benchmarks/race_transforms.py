"""The rows of the comparison that are about the transformations; `compare.py` prints them."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapeflow
from benchmarks import transform_peers as peers
from benchmarks import transform_programs as programs
from benchmarks.racing import Contenders, Table, race
from tapeflow import pytree

NO_GOAL = "no goal"


def same(got: Any, want: Any) -> None:
    """Check that two trees hold the same numbers, to 1e-6 of each, or nothing beside the largest.

    Raises
    ------
    AssertionError
        If they do not.
    """
    left, right = pytree.flatten(got)[0], pytree.flatten(want)[0]
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        scale = float(np.max(np.abs(b)))
        assert scale > 0
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6, atol=1e-12 * scale)


def enter(contenders: dict[str, Any], want: Any) -> Contenders:
    """The contenders that are there, each checked once, which also warms it up."""
    present = {name: call for name, call in contenders.items() if call is not None}
    for call in present.values():
        same(call(), want)
    return present


def many_leaves(table: Table, rounds: int) -> None:
    """What `grad` adds to a tape, for a tree of a thousand leaves."""
    calls = {"grad": programs.tree_grad_call(), "tape": programs.tree_tape_call()}
    times = race(enter(calls, calls["tape"]()), rounds, 3)
    table.against("gradient of 1,000 leaves", times, "grad", "tape", "at most 1.2")


def per_example(table: Table, rounds: int) -> None:
    """Gradients for each of 256 examples, in one call against one after another."""
    calls = {
        "vmap(grad)": programs.per_example_call(),
        "loop over grad": programs.example_loop_call(),
    }
    times = race(enter(calls, calls["loop over grad"]()), max(5, rounds // 2), 1)
    table.against("per-example gradients", times, "loop over grad", "vmap(grad)", "at least 20")


def per_example_peers(table: Table, rounds: int) -> None:
    """The same against the peers' `vmap` of their `grad`."""
    calls = {
        "vmap(grad)": programs.per_example_call(),
        "torch.func": peers.torch_per_example(),
        "jax compiled": peers.jax_per_example(),
    }
    times = race(enter(calls, programs.example_loop_call()()), rounds, 1)
    for name in ("torch.func", "jax compiled"):
        table.against("per-example gradients", times, "vmap(grad)", name, NO_GOAL)


def jacobians(table: Table, rounds: int) -> None:
    """The Jacobian of a network from R^200 to R^200."""
    mine = [name for name in ("jacobian", "jacrev", "jacfwd") if hasattr(tapeflow, name)]
    calls = {name: programs.jacobian_call(getattr(tapeflow, name)) for name in mine}
    calls |= {"jax.jacrev compiled": peers.jax_jacobian(), "torch.func.jacrev": peers.torch_jacobian()}
    times = race(enter(calls, calls["jacobian"]()), rounds, 1)
    for name in mine:
        goals = ("at most 2", "at most 1") if name != "jacfwd" else (NO_GOAL, NO_GOAL)
        table.against("Jacobian, 200 by 200", times, name, "jax.jacrev compiled", goals[0])
        table.against("Jacobian, 200 by 200", times, name, "torch.func.jacrev", goals[1])


def hessians(table: Table, rounds: int) -> None:
    """The Hessian of Rosenbrock's function of 500 variables."""
    calls = {"hessian": programs.hessian_call(), "torch.func.hessian": peers.torch_hessian()}
    want = programs.rosenbrock_by_hand(programs.rosenbrock_input())
    times = race(enter(calls, want), rounds, 1)
    table.against("Hessian of Rosenbrock, n = 500", times, "hessian", "torch.func.hessian", "at most 1")
