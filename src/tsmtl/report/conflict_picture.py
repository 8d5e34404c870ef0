"""Picture of how the tasks' gradients stand to each other over a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tsmtl.report.drawing import BLUE, DPI, ORANGE, dress, plain
from tsmtl.report.run_panels import conflict_scale

MOST_PAIRS = 6  # rows that a picture has room for
SOFT = ("#6b46c1", "#2f855a", "#b7791f", "#c53030", "#319795", "#97266d", "#4a5568", "#744210")  # of blocks


def draw_conflict(path: Path, curves: Mapping[str, Any]) -> None:
    """Draw cosine and norm ratio over the epochs, a row for each pair of tasks, and the tasks' shares in the update.

    Args:
        path: Where to.
        curves: ``epochs``; ``pairs``: of each its ``tasks``, ``cosine`` and ``norm_ratio``, both by block, "" all of
            it; ``share``: by task. Of many pairs those are drawn that disagree most.
    """
    pairs = sorted(curves["pairs"], key=lambda pair: _mean(pair["cosine"][""]))[:MOST_PAIRS]
    figure = Figure(figsize=(12.6, 3.4 * len(pairs) + 0.3), layout="constrained")
    axes = figure.subplots(len(pairs), 3, squeeze=False)
    for (cosine, ratio, last), own in zip(axes, pairs, strict=True):
        first, second = own["tasks"]
        _draw_blocks(cosine, curves["epochs"], own["cosine"])
        conflict_scale(cosine, "cosine")
        dress(cosine, f"cosine of the gradients: {first} and {second}", "epoch", "cosine")
        _draw_blocks(ratio, curves["epochs"], own["norm_ratio"])
        conflict_scale(ratio, "norm_ratio")
        dress(ratio, f"norm of {first}'s gradient over {second}'s", "epoch", "ratio")
        last.set_visible(False)
        cosine.legend(frameon=False, fontsize=7, ncols=2)
    shares = axes[0, 2]
    shares.set_visible(True)
    colours = (BLUE, ORANGE, *SOFT)
    for number, (task, values) in enumerate(curves["share"].items()):
        shares.plot(curves["epochs"], values, color=colours[number % len(colours)], marker=".", label=plain(task))
    conflict_scale(shares, "share")
    dress(shares, "share in the update, weights included", "epoch", "share")
    shares.legend(frameon=False)
    for ax in axes.ravel():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.savefig(path, dpi=DPI)


def _draw_blocks(ax: Axes, epochs: Sequence[float], by_block: Mapping[str, Sequence[float]]) -> None:
    for number, (block, values) in enumerate((name, v) for name, v in by_block.items() if name):
        style: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.8, "marker": ".", "markersize": 5}
        ax.plot(epochs, values, color=SOFT[number % len(SOFT)], label=plain(block), **style)
    ax.plot(epochs, by_block[""], color=BLUE, linewidth=2, marker=".", label="whole backbone")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else 0.0
