"""The picture of a race: for each case, everyone's time over that of the gradient by hand, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapeflow.bench.race import Result

__all__ = ["draw"]

# Okabe and Ito's colours, which the colour-blind can tell apart; tapeflow has the strongest.
COLOURS = {
    "tapeflow": "#D55E00",
    "torch": "#0072B2",
    "autograd": "#56B4E9",
    "advect": "#009E73",
    "mygrad": "#CC79A7",
    "jax": "#999999",
    "jax-eager": "#444444",
}


def draw(results: Sequence[Result], path: str | Path, caption: str = "") -> None:
    """Draw bars, a panel for each case.

    Parameters
    ----------
    results : sequence of Result
        From `race_all`.
    path : str or path
        The file; its ending says the format, such as ``.png`` or ``.svg``.
    caption : str, optional
        A line at the foot, such as the machine.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(4, len(results))
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(3.1 * columns, 1.75 * rows + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    everyone = [n for n in COLOURS if any(n in r.entries for r in results)]
    ratios = [x for r in results for n in everyone if (x := r.ratio(n, "by hand"))]
    limits = (min([*ratios, 1.0]) / 1.8, max([*ratios, 1.0]) * 6.0)
    for k, result in enumerate(results):
        _panel(figure.add_subplot(rows, columns, k + 1), result, everyone, limits)
    figure.suptitle("Time over that of the gradient written by hand in NumPy (less is better; jax is compiled)")
    figure.supxlabel(caption, fontsize=7)
    figure.savefig(path, dpi=110)


def _panel(axes: object, result: Result, everyone: Sequence[str], limits: tuple[float, float]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.axvline(1.0, color="black", linewidth=0.8)
    low = limits[0]
    for place, name in enumerate(everyone):
        ratio = result.ratio(name, "by hand")
        if ratio is None:
            entry = result.entries.get(name)
            axes.text(low * 1.15, place, entry.trouble if entry else "", va="center", fontsize=6, color="#777777")
            continue
        axes.barh(place, ratio - low, left=low, color=COLOURS[name], height=0.8)
        axes.text(ratio * 1.1, place, f"{ratio:.3g}", va="center", fontsize=6)
    axes.set_yticks(range(len(everyone)), everyone, fontsize=7)
    axes.set_ylim(len(everyone) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=6)
    axes.set_title(result.case.name, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
