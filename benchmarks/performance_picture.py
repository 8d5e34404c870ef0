"""The picture of the training: how many times the throughput of each other tsmtl has, by model and batch size."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from benchmarks.training import Results

COLOURS = {"plain": "#4269d0", "loader": "#efb118", "lightning": "#ff725c", "tsai": "#3ca951"}
MARKERS = {"plain": "o", "loader": "s", "lightning": "^", "tsai": "D"}
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16)


def draw(results: "Results", path: Path) -> None:
    """Draw a panel for each precision that was measured: a row per model and batch size, a mark per peer.

    Args:
        results: Of the part ``training``.
        path: The picture, a PNG.
    """
    from benchmarks.training import BF16, OTHERS, TSMTL

    shown = [ours for ours in (TSMTL, BF16) if any(place[2] == ours for place in results.rows)]
    names = list(dict.fromkeys(case for case, _ in results.places))
    places = [(case, batch) for case in names for name, batch in results.places if name == case]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.6 * len(shown) + 2, 0.27 * len(places) + 1.6), layout="constrained")
        axes = figure.subplots(1, len(shown), squeeze=False, sharey=True, sharex=True)[0]
        for axis, ours in zip(axes, shown, strict=True):
            for offset, (other, label) in enumerate(OTHERS.items()):
                for y, (case, batch) in enumerate(places):
                    ratio = results.ratio(case, batch, ours, other)
                    if ratio is None:
                        continue
                    at = y + (offset - 1.5) * 0.17
                    axis.plot([ratio.low, ratio.high], [at, at], color=COLOURS[other], linewidth=1.5)
                    axis.plot(
                        *([ratio.median], [at], MARKERS[other]),
                        color=COLOURS[other],
                        markersize=4,
                        label=label if y == 0 else None,
                    )
            axis.axvline(1, color="0.3", linewidth=1)
            axis.set_xscale("log")
            axis.set_title("float32" if ours == TSMTL else "bf16, against the others in float32", fontsize=9)
            axis.set_xlabel("throughput of tsmtl over theirs: median and quartiles of the rounds")
            axis.grid(axis="x", color="0.9")
            axis.set_axisbelow(True)
            for row in range(0, len(places), 2):
                axis.axhspan(row - 0.5, row + 0.5, color="0.97", zorder=0)
        low, high = axes[0].get_xlim()
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes[0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes[0].minorticks_off()
        axes[0].set_yticks(range(len(places)), [f"{case}, batch {batch}" for case, batch in places])
        axes[0].set_ylim(len(places) - 0.5, -0.5)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(OTHERS), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
