"""Pictures of a run: learning curves, confusion matrix, reliability, predicted against true."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, DPI, GREY, ORANGE, dress, plain
from tsmtl.report.run_panels import MOST_NAMED, confusion_panel, confusion_side, curve_panel
from tsmtl.tasks.metrics import ECE_BINS, expected_calibration_error, reliability
from tsmtl.tasks.task import NumberPrediction, Task

MOST_PANELS, PANELS_A_ROW = 12, 4  # numbers of a regression that get a panel


def draw_curves(path: Path, history: list[dict[str, float]], tasks: dict[str, Task], best_epoch: int) -> None:
    """Draw the losses over the epochs, the weighted sum and each task's, train and val, with the best epoch marked."""
    panels = {"loss": "all tasks"} if len(tasks) > 1 else {}
    panels |= {f"{name}/loss": f"{name}: {task.key}" for name, task in tasks.items()}
    rows = -(-len(panels) // PANELS_A_ROW)
    columns = -(-len(panels) // rows)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    epochs = [row["epoch"] for row in history]
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, (key, title) in zip(axes, panels.items(), strict=False):
        curves = {split: [row[f"{split}/{key}"] for row in history] for split in ("train", "val")}
        curve_panel(ax, epochs, curves, best_epoch, title, "loss")
    figure.savefig(path, dpi=DPI)


def draw_confusion(path: Path, matrix: npt.NDArray[np.int64], task: Task) -> None:
    """Draw counts (K, K), coloured by the share of the true class."""
    side = confusion_side(len(matrix))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    confusion_panel(figure, figure.subplots(), matrix, task.class_names, f"{task.name}: {task.key}, test")
    figure.savefig(path, dpi=DPI)


def draw_labels(path: Path, rows: list[dict[str, float]], task: Task) -> None:
    """Draw F1, precision and recall of each label as bars, with how often it is true; of many labels the first 30."""
    shown = rows[:MOST_NAMED]
    figure = Figure(figsize=(6.4, 1.4 + 0.62 * len(shown)), layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(shown))[::-1]  # the first on top
    for at, (metric, colour) in enumerate({"f1": BLUE, "precision": ORANGE, "recall": GREY}.items()):
        values = np.array([row[metric] for row in shown])
        bars = places + 0.26 * (1 - at)
        ax.barh(bars, np.nan_to_num(values), height=0.24, color=colour, label="F1" if metric == "f1" else metric)
        for y, value in zip(bars, values, strict=True):
            said = "not defined" if np.isnan(value) else f"{value:.2f}"
            ax.text(0.01 + np.nan_to_num(value), y, said, va="center", fontsize=8)
    names = [f"{plain(n)} ({int(row['support'])})" for n, row in zip(task.class_names, shown, strict=False)]
    ax.set_yticks(places, names)
    ax.set_xlim(0, 1.1)
    ax.set_xticks(np.linspace(0, 1, 6))
    dress(ax, f"{task.name}: {task.key}, test", "", "label (true of how many)", grid=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, ncols=3, loc="outside lower center")
    figure.savefig(path, dpi=DPI)


def draw_reliability(
    path: Path, ids: npt.NDArray[np.int64], before: npt.NDArray[Any], after: npt.NDArray[Any], task: Task
) -> None:
    """Draw accuracy over confidence before and after the temperature, bins of confidence, and how many are in each.

    Args:
        path: The picture.
        ids: (N,) true class ids, -1 where missing.
        before: (N, K) probabilities as the model has learnt them.
        after: (N, K) calibrated ones; where they are the same, they are drawn once.
        task: The classification.
    """
    figure = Figure(figsize=(4.8, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    known = ids >= 0
    shown = {"before": (before, GREY, "s"), "calibrated": (after, BLUE, "o")}
    if np.array_equal(before, after):
        shown = {"as learnt": (after, BLUE, "o")}
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    for name, (probabilities, colour, marker) in shown.items():
        counts, confidence, accuracy = reliability(ids[known], probabilities[known])
        error = expected_calibration_error(ids[known], probabilities[known]) if known.any() else float("nan")
        there = counts > 0
        sizes = 14 + 160 * counts[there] / counts.sum()  # a bin of few instances says little
        upper.plot(confidence[there], accuracy[there], color=colour, linewidth=1, alpha=0.6)
        label = f"{name}, ECE {error:.3f}"
        upper.scatter(confidence[there], accuracy[there], s=sizes, color=colour, marker=marker, label=label, zorder=3)
        lower.stairs(counts, edges, color=colour, fill=False, linewidth=1.5)
    dress(upper, f"{task.name}: {task.key}, test", "", "accuracy")
    dress(lower, "", "confidence", "instances")
    upper.set_xlim(0, 1)
    upper.set_ylim(-0.03, 1.03)
    upper.legend(loc="best", framealpha=0.8, markerscale=0.8)
    figure.savefig(path, dpi=DPI)


def draw_predicted_against_true(
    path: Path,
    values: npt.NDArray[Any],
    prediction: NumberPrediction,
    task: Task,
    metrics: list[dict[str, float]],
    level: float,
) -> None:
    """Draw (N, D) predictions over the truth, a panel for each of the first 12 numbers, and where the two agree.

    Where there are intervals, they are a band: from left to right of it go, at the height of a prediction, the true
    numbers within its interval. What lies outside has another colour.

    Args:
        path: The picture.
        values: (N, D) true numbers, NaN where missing.
        prediction: Of the same instances.
        task: The numbers.
        metrics: ``rmse`` and ``r2`` of each number.
        level: Of the intervals.
    """
    predicted = prediction.values
    shown = min(task.size, MOST_PANELS)
    columns = min(shown, PANELS_A_ROW)
    rows = -(-shown // columns)
    figure = Figure(figsize=(4.4 * columns, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    unit, in_unit = (f" {task.unit}", f" ({task.unit})") if task.unit else ("", "")
    for ax in axes[shown:]:
        ax.set_visible(False)
    for d, ax in enumerate(axes[:shown]):
        known = ~np.isnan(values[:, d])
        true, guess = values[known, d], predicted[known, d]
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        ax.plot(ends, ends, color=GREY, linewidth=1)
        within = np.ones(len(true), dtype=bool)
        if prediction.low is not None and prediction.high is not None:
            low, high = prediction.low[known, d], prediction.high[known, d]
            within = (low <= true) & (true <= high)
            _draw_band(ax, guess, low, high, f"{100 * level:g} % interval: holds {100 * within.mean():.1f} %")
        ax.scatter(true[within], guess[within], s=14, alpha=0.5, color=BLUE, linewidths=0)
        ax.scatter(true[~within], guess[~within], s=14, alpha=0.6, color=ORANGE, linewidths=0)
        name = task.key + (f" {d + 1}" if task.size > 1 else "")
        title = f"{name}, test: RMSE {metrics[d]['rmse']:.3g}{unit}, R2 {metrics[d]['r2']:.3f}"
        dress(ax, title, f"true{in_unit}", f"predicted{in_unit}")
    figure.savefig(path, dpi=DPI)


def _draw_band(ax: Axes, guess: npt.NDArray[Any], low: npt.NDArray[Any], high: npt.NDArray[Any], label: str) -> None:
    """Shade the true numbers between the ends of the intervals, at the height of each prediction."""
    ends = ax.get_xlim()  # an interval may reach far beyond what there is, or have no end
    order = np.argsort(guess)
    left, right = (np.clip(side[order], *ends) for side in (low, high))
    ax.fill_betweenx(guess[order], left, right, color=BLUE, alpha=0.12, linewidth=0, label=label)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    ax.set_xlim(*ends)
