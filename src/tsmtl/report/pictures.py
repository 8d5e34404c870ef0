"""Pictures of a run: learning curves, confusion matrix, predicted against true."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, DPI, GREY, dress
from tsmtl.report.run_panels import confusion_panel, confusion_side, curve_panel
from tsmtl.tasks.task import Task

MOST_PANELS, PANELS_A_ROW = 12, 4  # numbers of a regression that get a panel


def draw_curves(path: Path, history: list[dict[str, float]], tasks: dict[str, Task], best_epoch: int) -> None:
    """Draw the losses over the epochs, the weighted sum and each task's, train and val, with the best epoch marked."""
    panels = {"loss": "all tasks"} if len(tasks) > 1 else {}
    panels |= {f"{name}/loss": f"{name}: {task.key}" for name, task in tasks.items()}
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    epochs = [row["epoch"] for row in history]
    for ax, (key, title) in zip(axes, panels.items(), strict=True):
        curves = {split: [row[f"{split}/{key}"] for row in history] for split in ("train", "val")}
        curve_panel(ax, epochs, curves, best_epoch, title, "loss")
    figure.savefig(path, dpi=DPI)


def draw_confusion(path: Path, matrix: npt.NDArray[np.int64], task: Task) -> None:
    """Draw counts (K, K), coloured by the share of the true class."""
    side = confusion_side(len(matrix))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    confusion_panel(figure, figure.subplots(), matrix, task.class_names, f"{task.name}: {task.key}, test")
    figure.savefig(path, dpi=DPI)


def draw_predicted_against_true(
    path: Path, values: npt.NDArray[Any], predicted: npt.NDArray[Any], task: Task, metrics: list[dict[str, float]]
) -> None:
    """Draw (N, D) predictions over the truth, a panel for each of the first 12 numbers, and where the two agree."""
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
        ax.scatter(true, guess, s=14, alpha=0.5, color=BLUE, linewidths=0)
        name = task.key + (f" {d + 1}" if task.size > 1 else "")
        title = f"{name}, test: RMSE {metrics[d]['rmse']:.3g}{unit}, R2 {metrics[d]['r2']:.3f}"
        dress(ax, title, f"true{in_unit}", f"predicted{in_unit}")
    figure.savefig(path, dpi=DPI)
