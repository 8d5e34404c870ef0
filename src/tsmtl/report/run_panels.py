"""Panels of a run: curves, confusion matrix, reliability, predicted against true, residuals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from tsmtl.report.drawing import BLUE, GREY, ORANGE, SERIES, dress, plain, short
from tsmtl.tasks.metrics import expected_calibration_error, reliability

MOST_NAMED = 30  # classes whose names and counts can be read in a picture
MOST_POINTS = 2000  # instances that are drawn one by one; more become one image
AT_ONCE = 2**14  # dots that are placed together, which takes 70 bytes for each
MOST_LINES = 10  # of a panel
RELIABILITY = {"before": (GREY, "s"), "calibrated": (BLUE, "o"), "as learnt": (BLUE, "o")}  # colours and marks
Double = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
# From nothing to blue: what is below shows through, paper as well as a dark page.
_SHARES = LinearSegmentedColormap.from_list("shares", [(*to_rgb(BLUE), 0.0), (*to_rgb(BLUE), 1.0)], N=32)


def curve_panel(
    ax: Axes, epochs: Sequence[float], curves: Mapping[str, Sequence[float]], best_epoch: int | None, title: str, y: str
) -> None:
    """Draw curves by name over the epochs, with the best epoch marked; the first :data:`MOST_LINES` of them."""
    splits = {"train": SERIES[0], "val": SERIES[1]}  # the same everywhere, also where there is one of them
    for (name, values), own in zip(list(curves.items())[:MOST_LINES], SERIES, strict=False):
        colour, line = splits.get(name, own)
        known = [(e, v) for e, v in zip(epochs, values, strict=True) if np.isfinite(v)]
        if known:
            x, y_values = zip(*known, strict=True)
            # A single value is no line, and a line over a gap would pass for values of every epoch.
            marker = "o" if len(known) == 1 or len(known) < len(values) else None
            style: dict[str, Any] = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4}
            ax.plot(x, y_values, **style, label=plain(short(name, 28)))
    if best_epoch is not None:
        ax.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch ({best_epoch})")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    dress(ax, title, "epoch", y)
    ax.legend(frameon=False, fontsize=8 if len(curves) > 3 else None)


def conflict_scale(ax: Axes, measure: str) -> None:
    """Give a panel of a conflict measure its scale, the same in all runs, and a line where two tasks are even."""
    if measure == "cosine":
        ax.set_ylim(-1.05, 1.05)
        ax.axhline(0, color=GREY, linewidth=1)
    elif measure == "norm_ratio":
        ax.axhline(1, color=GREY, linewidth=1)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif measure in ("conflicting", "share"):
        ax.set_ylim(-0.02, 1.02)


def confusion_side(k: int) -> float:
    """Give the inches of a side of a confusion matrix of K classes."""
    return min(12.0, max(4.2, 0.6 * k + 2.4))


def confusion_panel(
    figure: Figure, ax: Axes, matrix: npt.NDArray[np.int64], class_names: Sequence[str], title: str
) -> None:
    """Draw counts (K, K), coloured by the share of the true class."""
    k = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = ax.pcolormesh(shares, cmap=_SHARES, vmin=0, vmax=1, rasterized=k > MOST_NAMED)
    ax.set_aspect("equal")
    ax.invert_yaxis()
    if k <= MOST_NAMED:
        names = [plain(short(name, 24)) for name in class_names]
        few = max(len(name) for name in class_names) <= 3
        places = np.arange(k) + 0.5
        ax.set_xticks(places, names, rotation=0 if few else 45, ha="center" if few else "right")
        ax.set_yticks(places, names)
        for true, predicted in np.ndindex(k, k):
            if matrix[true, predicted]:
                colour = "white" if shares[true, predicted] > 0.5 else "black"
                at = (predicted + 0.5, true + 0.5)
                ax.text(*at, str(matrix[true, predicted]), ha="center", va="center", color=colour)
    dress(ax, title, "predicted", "true", grid=False)
    bar = figure.colorbar(image, ax=ax, shrink=0.8, label="share of the true class")
    bar.outline.set_linewidth(0.5)


def reliability_panel(
    ax: Axes, ids: npt.NDArray[np.int64], shown: Mapping[str, npt.NDArray[np.floating]], title: str
) -> None:
    """Draw accuracy over mean confidence in bins, with the calibration error; a dot's area is its share of instances.

    Args:
        ax: The panel.
        ids: (N,) true class ids, at least one.
        shown: (N, K) probabilities by a name of :data:`RELIABILITY`.
        title: What it shows.
    """
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="as confident as right")
    for name, probabilities in shown.items():
        colour, marker = RELIABILITY[name]
        counts, confidence, accuracy = reliability(ids, probabilities)
        there = counts > 0
        label = f"{name}, ECE {expected_calibration_error(ids, probabilities):.3f}"
        sizes = 14 + 160 * counts[there] / counts.sum()  # a bin of few instances says little
        ax.plot(confidence[there], accuracy[there], color=colour, linewidth=1, alpha=0.6)
        dots: dict[str, Any] = {"color": colour, "marker": marker, "linewidths": 0, "zorder": 3}
        ax.scatter(confidence[there], accuracy[there], s=sizes, label=label, **dots)
    ax.set(xlim=(-0.02, 1.05), ylim=(-0.02, 1.05))
    dress(ax, title, "confidence", "accuracy")
    ax.legend(frameon=False, fontsize=8, markerscale=0.8)


def agreement_panel(
    ax: Axes, true: Floats, guess: Floats, ends: tuple[Floats, Floats] | None, title: str, unit: str | None, band: str
) -> None:
    """Draw predictions (N,) over the truth, and where the two agree; with intervals, what lies outside of them.

    The intervals are a band: from left to right of it go, at the height of a prediction, the true numbers within its
    interval.

    Args:
        ax: The panel.
        true: (N,), at least one.
        guess: (N,)
        ends: Lower and upper ends of intervals, (N,) each, or None.
        title: What it shows.
        unit: Of the numbers, or None.
        band: What the intervals are called.
    """
    span = [min(true.min(), guess.min()), max(true.max(), guess.max())]
    ax.plot(span, span, color=GREY, linewidth=1)
    within = np.ones(len(true), dtype=bool)
    many = len(true) > MOST_POINTS
    if ends is not None:
        within = (ends[0] <= true) & (true <= ends[1])
        order = np.argsort(guess)
        if many and np.isfinite(guess[order[[0, -1]]]).all():
            # The ends follow from the prediction: they are taken at even heights.
            heights = np.linspace(guess[order[0]], guess[order[-1]], MOST_POINTS)
            order = order[np.minimum(np.searchsorted(guess[order], heights), len(order) - 1)]
        low, high = (np.clip(side[order], *span) for side in ends)  # one may reach far beyond, or have no end
        label = f"{band}: holds {100 * within.mean():.1f} %"
        ax.fill_betweenx(guess[order], low, high, color=BLUE, alpha=0.15, linewidth=0, rasterized=many, label=label)
    for chosen, colour, name in ((within, BLUE, "within"), (~within, ORANGE, "outside")):
        if chosen.any():
            _dots(ax, true[chosen], guess[chosen], colour, many, name)
    in_unit = f" ({unit})" if unit else ""
    dress(ax, title, f"true{in_unit}", f"predicted{in_unit}")
    if ends is not None:
        ax.legend(frameon=False, loc="upper left", fontsize=8)


def _dots(ax: Axes, x: Floats, y: Floats, colour: str, many: bool, label: str | None) -> None:
    size, alpha = (3, 0.2) if many else (14, 0.5)
    style: dict[str, Any] = {"s": size, "alpha": alpha, "color": colour, "linewidths": 0, "rasterized": many}
    for at in range(0, len(x), AT_ONCE):
        rows = slice(at, at + AT_ONCE)
        ax.scatter(x[rows], y[rows], **style, label=None if at else label)


def labels_height(count: int) -> float:
    """Give the inches of a picture of the scores of so many labels."""
    return 1.4 + 0.62 * min(count, MOST_NAMED)


def labels_panel(ax: Axes, scores: Mapping[str, Mapping[str, float | None]], title: str) -> None:
    """Draw F1, precision and recall of each label as bars, with how often it is true; of many labels the first 30."""
    shown = dict(list(scores.items())[:MOST_NAMED])
    places = np.arange(len(shown))[::-1]  # the first on top
    for at, (metric, colour) in enumerate({"f1": BLUE, "precision": ORANGE, "recall": GREY}.items()):
        values = np.array([row[metric] for row in shown.values()], dtype=float)
        bars = places + 0.26 * (1 - at)
        ax.barh(bars, np.nan_to_num(values), height=0.24, color=colour, label="F1" if metric == "f1" else metric)
        for y, value in zip(bars, values, strict=True):
            said = "not defined" if np.isnan(value) else f"{value:.2f}"
            ax.text(0.01 + np.nan_to_num(value), y, said, va="center", fontsize=8)
    ax.set_yticks(places, [f"{plain(short(name, 24))} ({row['support']:.0f})" for name, row in shown.items()])
    ax.set_xlim(0, 1.1)
    ax.set_xticks(np.linspace(0, 1, 6))
    dress(ax, title, "", "label (true of how many)", grid=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.figure.legend(frameon=False, ncols=3, loc="outside lower center")


def residual_panel(ax: Axes, true: Double, guess: Double, title: str) -> None:
    """Draw what is predicted too much (N,) over the truth, and its mean in tenths of the instances."""
    residual, many = guess - true, len(true) > MOST_POINTS
    ax.axhline(0, color=GREY, linewidth=1)
    _dots(ax, true, residual, BLUE, many, None)
    if len(true) >= 50:
        tenths = np.array_split(np.argsort(true, kind="stable"), 10)
        means: list[Any] = [[float(values[rows].mean()) for rows in tenths] for values in (true, residual)]
        ax.plot(*means, color=ORANGE, marker="o", markersize=4, label="mean of a tenth")
        ax.legend(frameon=False, fontsize=8)
    dress(ax, title, "true", "predicted - true")
