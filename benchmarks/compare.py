"""Race the peers: ``python -m benchmarks.compare`` prints the tables of docs/benchmarks.md.

Three suites. In ``workloads``, public problems, every contender has a process of its own, and they take turns; in ``tape``
and ``transforms`` all are in this process. Everything is pinned to one core and has one thread, everyone's numbers are
checked before the race, and the figures are minima of wall time, with CPU over wall time of the fastest round beside them
(near 1 if nothing else ran there, and nothing of it elsewhere). A peer that is not installed, fails, or disagrees is said
to. Needs ``pip install -e ".[bench]"``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: its folder is on the path, and the package is in the folder above
    sys.path[0] = str(Path(__file__).parent.parent)

from benchmarks import racing

CORE = racing.pin() if __name__ == "__main__" else None  # before NumPy is imported and starts its threads

import numpy as np

from benchmarks import bench_memory, programs, race_transforms, race_workloads
from benchmarks.racing import Contenders, Table, race
from tapeflow.bench import add_options


def torch_gradient(x0: np.ndarray) -> Callable[[], Any] | None:
    """The chain in eager PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)

    def call() -> Any:
        x = torch.tensor(x0, requires_grad=True)
        return torch.autograd.grad(programs.chain(x, torch.sin).sum(), x)[0].numpy()

    return call


def autograd_gradient(x0: np.ndarray) -> Callable[[], Any] | None:
    """The chain in HIPS autograd."""
    try:
        import autograd
        import autograd.numpy as anp
    except ImportError:
        return None
    derivative = autograd.grad(lambda x: anp.sum(programs.chain(x, anp.sin)))
    return lambda: derivative(x0)


def small_arrays(table: Table, rounds: int) -> None:
    """Gradient, JVP and Hessian product of small arrays, against the peers."""
    for size in (1, 100):
        x0 = np.linspace(0.1, 0.9, size)
        contenders: Contenders = {
            "tapeflow": lambda x0=x0: programs.gradient(x0),
            "jvp": lambda x0=x0: programs.tangent(x0),
            "hvp": lambda x0=x0: programs.hessian_product(x0),
        }
        peers = {"torch": (torch_gradient(x0), "0.45"), "autograd": (autograd_gradient(x0), "0.2")}
        contenders |= {name: call for name, (call, _) in peers.items() if call is not None}
        want = programs.by_hand(x0)
        for name in set(contenders) & {"tapeflow", *peers}:
            np.testing.assert_allclose(contenders[name](), want, rtol=1e-12)
        times = race(contenders, rounds, 5)
        per_op = {n: (t / programs.OPS * 1e6, share) for n, (t, share) in times.items()}
        mine = per_op["tapeflow"][0]
        text = {n: f"{t:.2f} us/op, CPU/wall {share:.2f}" for n, (t, share) in per_op.items()}
        for name, (call, goal) in peers.items():
            if call is None:
                table.line(f"gradient, size {size}, against {name}", None, goal)
            else:
                table.line(f"gradient, size {size}, against {name}", mine / per_op[name][0], goal,
                           f"{text['tapeflow']}; {name} {text[name]}")  # fmt: skip
        table.line(f"JVP against gradient, size {size}", per_op["jvp"][0] / mine, "1", text["jvp"])
        table.line(f"Hessian product against gradient, size {size}", per_op["hvp"][0] / mine, "4", text["hvp"])


def large_arrays(table: Table, rounds: int) -> None:
    """A million elements, against the NumPy calls that the mathematics needs."""
    x0 = np.linspace(0.1, 0.9, 1_000_000)
    np.testing.assert_allclose(programs.gradient(x0), programs.by_hand(x0), rtol=1e-12)
    times = race(
        {"tapeflow": lambda: programs.gradient(x0), "numpy": lambda: programs.by_hand(x0)}, max(3, rounds // 10), 1
    )
    (mine, share), (hand, _) = times["tapeflow"], times["numpy"]
    table.line("gradient, size 1,000,000, against NumPy by hand", mine / hand, "1.15",
               f"{mine:.2f} s, CPU/wall {share:.2f}; by hand {hand:.2f} s")  # fmt: skip


UNTRACED = """
import timeit, numpy as np
{before}
x = np.ones(1)
print(min(timeit.repeat("np.sin(x)", number=20000, repeat={repeat}, globals=dict(np=np, x=x))) / 20000)
"""
BEFORE = {
    "without": "",
    "imported": "import tapeflow",
    "after a tape": "import tapeflow\nwith tapeflow.GradientTape() as tape: tape.watch(1.0)",
    "inside a tape": "import tapeflow\ntape = tapeflow.GradientTape().__enter__()\ntape.watch(1.0)",
}


def untraced(table: Table, rounds: int) -> None:
    """A NumPy call on plain arrays, with and without tapeflow in the process: nothing is patched."""
    best = dict.fromkeys(BEFORE, float("inf"))
    for _ in range(max(3, rounds // 8)):
        for name, before in BEFORE.items():
            code = UNTRACED.format(before=before, repeat=rounds)
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            best[name] = min(best[name], float(out))
    for name in list(BEFORE)[1:]:
        table.line(f"np.sin of an untraced array, tapeflow {name}, against without", best[name] / best["without"], "1.0",
                   f"{best[name] * 1e9:.0f} ns; without {best['without'] * 1e9:.0f} ns")  # fmt: skip


def scaling(table: Table, rounds: int) -> None:
    """Loops and chains must be linear."""
    few = max(5, rounds // 5)
    times = race({"1": lambda: programs.sum_of_squares(10_000), "2": lambda: programs.sum_of_squares(20_000)}, few, 1)
    table.line("s = s + x[i]**2, n = 20,000 against 10,000", times["2"][0] / times["1"][0], "2.3",
               f"{times['1'][0] / 30_000 * 1e6:.2f} us per operation")  # fmt: skip
    times = race({"1": lambda: programs.filled(10_000), "2": lambda: programs.filled(20_000)}, few, 1)
    table.line("y[i] = 0.9 * y[i - 1] + x[i], n = 20,000 against 10,000", times["2"][0] / times["1"][0], "2.3",
               f"{times['1'][0] / 10_000 * 1e6:.1f} us per element")  # fmt: skip
    times = race({"1": lambda: programs.long_chain(500_000), "2": lambda: programs.long_chain(1_000_000)}, 2, 1)
    held = bench_memory.track_bytes_per_entry()
    table.line("chain of 1,000,000 scalar operations against 500,000", times["2"][0] / times["1"][0], "2.3",
               f"{times['2'][0]:.2f} s; {held:.0f} bytes per entry with its residual (goal 400)")  # fmt: skip
    held = bench_memory.track_vectors_held_by_additions()
    table.line("peak memory of 100 additions of 1,000,000-vectors, in vectors", held, "3")


# What needs no peer comes first: the objects of an imported peer make every garbage collection longer.
SUITES = {
    "tape": ((scaling, untraced, large_arrays), (small_arrays,)),
    "transforms": (
        (race_transforms.many_leaves, race_transforms.per_example),
        (race_transforms.jacobians, race_transforms.hessians, race_transforms.per_example_peers),
    ),
}


def main() -> None:
    """Run the comparisons of a suite, or all."""
    options = parse()
    where = racing.machine(racing.pin(options.core) if CORE is None or options.core is not None else CORE)
    print(where)
    table = Table()
    names = ["tape", "transforms"] if options.suite == "all" else [options.suite]
    chosen = [SUITES[name] for name in names if name in SUITES]
    if chosen:
        table.heading()
    for compare in [c for alone, _ in chosen for c in alone] + [c for _, peers in chosen for c in peers]:
        compare(table, options.rounds)
    outcome: dict[str, Any] = {"machine": where, "rows": table.plain()}
    if options.suite in ("workloads", "all"):
        outcome["workloads"] = race_workloads.compare(table, options)
        outcome["rows"] = table.plain()
    if options.json is not None:
        options.json.write_text(json.dumps(outcome, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--suite", choices=(*SUITES, "workloads", "all"), default="all", help="which comparisons to run"
    )
    parser.add_argument("--rounds", type=int, default=40, help="how often the contenders take turns")
    parser.add_argument(
        "--small", action="store_true", help="workloads with small arrays, to see that everything works"
    )
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="do not measure peak memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
