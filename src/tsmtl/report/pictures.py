"""Pictures of a run: learning curves, confusion matrix, reliability, predicted against true."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from tsmtl.report.drawing import DPI, dress
from tsmtl.report.run_panels import (
    RELIABILITY,
    agreement_panel,
    confusion_panel,
    confusion_side,
    curve_panel,
    labels_height,
    labels_panel,
    reliability_panel,
)
from tsmtl.tasks.metrics import ECE_BINS, reliability
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
    scores = dict(zip(task.class_names, rows, strict=True))
    figure = Figure(figsize=(6.4, labels_height(len(rows))), layout="constrained")
    labels_panel(figure.subplots(), scores, f"{task.name}: {task.key}, test")
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
    known = _where(ids >= 0)
    shown = {"before": before[known], "calibrated": after[known]}
    if np.array_equal(before, after):
        shown = {"as learnt": after[known]}
    reliability_panel(upper, ids[known], shown, f"{task.name}: {task.key}, test")
    upper.set_xlabel("")
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    for name, probabilities in shown.items():
        counts, *_ = reliability(ids[known], probabilities)
        lower.stairs(counts, edges, color=RELIABILITY[name][0], fill=False, linewidth=1.5)
    dress(lower, "", "confidence", "instances")
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

    Args:
        path: The picture.
        values: (N, D) true numbers, NaN where missing.
        prediction: Of the same instances.
        task: The numbers.
        metrics: ``rmse`` and ``r2`` of each number.
        level: Of the intervals.
    """
    shown = min(task.size, MOST_PANELS)
    columns = min(shown, PANELS_A_ROW)
    rows = -(-shown // columns)
    figure = Figure(figsize=(4.4 * columns, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    unit = f" {task.unit}" if task.unit else ""
    for ax in axes[shown:]:
        ax.set_visible(False)
    for d, ax in enumerate(axes[:shown]):
        known = _where(~np.isnan(values[:, d]))
        ends = None
        if prediction.low is not None and prediction.high is not None:
            ends = (prediction.low[known, d], prediction.high[known, d])
        name = task.key + (f" {d + 1}" if task.size > 1 else "")
        title = f"{name}, test: RMSE {metrics[d]['rmse']:.3g}{unit}, R2 {metrics[d]['r2']:.3f}"
        both = (values[known, d], prediction.values[known, d])
        agreement_panel(ax, *both, ends, title, task.unit, f"{100 * level:g} % interval")
    figure.savefig(path, dpi=DPI)


def _where(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | slice:
    """Give what takes the rows that are known: all of them without a copy."""
    return slice(None) if known.all() else known
