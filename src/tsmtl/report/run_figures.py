"""The pictures of a run's page, each with words that say what it shows."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsmtl.report.run_contents import RunContents
from tsmtl.report.run_panels import (
    MOST_LINES,
    MOST_NAMED,
    MOST_POINTS,
    agreement_panel,
    conflict_scale,
    confusion_panel,
    confusion_side,
    curve_panel,
    labels_height,
    labels_panel,
    reliability_panel,
    residual_panel,
)
from tsmtl.report.svg import Pictures
from tsmtl.report.sweep_table import MAIN
from tsmtl.tasks.metrics import expected_calibration_error

MOST_NUMBERS = 6  # of a regression of several numbers that are drawn
Curves = dict[str, list[float]]  # by name, over the epochs
MOST_SAID = 12  # classes whose counts are said in words


def panel(draw: Callable[[Axes], None], width: float = 4.5, height: float = 3.4) -> Figure:
    """Draw a figure of one panel."""
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    return figure


def curves(run: RunContents, svg: Pictures) -> list[str]:
    """Draw the losses of all tasks and of each, and each task's main metric."""
    wanted = [("loss", "all tasks", "loss")] if len(run.tasks) > 1 else []
    for name, task in run.tasks.items():
        title = name if task["key"] == name else f"{name}: {task['key']}"
        wanted.append((f"{name}/loss", title, "loss"))
        metric = main_metric({c.rpartition("/")[2] for c in columns(run) if c.startswith(f"val/{name}/")})
        if metric is not None:
            wanted.append((f"{name}/{metric}", title, metric))
    drawn = []
    for key, title, y in wanted:
        shown = {split: values for split in ("train", "val") if (values := history(run, f"{split}/{key}"))}
        if shown:
            ends = "; ".join(f"{split} from {v[0]:.4g} to {v[-1]:.4g}" for split, v in shown.items())
            drawn.append(_curve(run, svg, shown, title, y, f"{title}, {y} over {len(run.history)} epochs: {ends}"))
    return drawn


def main_metric(names: set[str]) -> str | None:
    """Choose the metric of a task that is shown beside its loss."""
    return next((name for name in (*MAIN, *sorted(names - {"loss"})) if name in names), None)


def columns(run: RunContents) -> list[str]:
    """Give the columns of the epochs."""
    return list(run.history[0]) if run.history else []


def history(run: RunContents, column: str) -> list[float]:
    """Give a column over the epochs; empty where there is none or no number in it."""
    values = [row.get(column, math.nan) for row in run.history]
    return values if any(map(math.isfinite, values)) else []


def _curve(
    run: RunContents, svg: Pictures, shown: Curves, title: str, y: str, says: str, measure: str | None = None
) -> str:
    """Draw curves over the epochs; a measure of conflict has a scale of its own."""
    epochs = [row["epoch"] for row in run.history]
    if run.best_epoch is not None:
        says += f"; best epoch {run.best_epoch}"
    note = f"the first {MOST_LINES} of {len(shown)}" if len(shown) > MOST_LINES else ""

    def draw(ax: Axes) -> None:
        curve_panel(ax, epochs, shown, run.best_epoch, title, y)
        if measure is not None:
            conflict_scale(ax, measure)

    return svg.add(panel(draw), says, note)


def predicted(run: RunContents, svg: Pictures) -> list[str]:
    """Draw what each task's predictions for the test split are worth."""
    drawn: list[str] = []
    for name, task in run.tasks.items():
        if task["kind"] == "cls":
            drawn += _classes(run, name, task, svg)
        elif task["kind"] == "reg":
            drawn += _numbers(run, name, task, svg)
        elif task["kind"] == "multilabel":
            drawn += _labels(run, name, task, svg)
    return drawn


def _classes(run: RunContents, name: str, task: Mapping[str, Any], svg: Pictures) -> list[str]:
    if f"{name}_true" not in run.predictions:
        return []
    names = list(task["class_names"])
    places = {label: i for i, label in enumerate(names)}
    told = [run.predictions[f"{name}_{what}"] for what in ("true", "predicted")]
    pairs = [(places.get(true, -1), places[guess]) for true, guess in zip(*told, strict=True)]
    true, guess = (np.array(values) for values in zip(*pairs, strict=True))
    known = true >= 0
    if not known.any():
        return []
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (true[known], guess[known]), 1)
    side = confusion_side(len(names))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    confusion_panel(figure, figure.subplots(), matrix, names, f"{name}: {task['key']}, test")
    drawn = [svg.add(figure, _confusion_said(f"{name} ({task['key']})", matrix, names))]
    columns = [run.column(f"{name}_p_{label}") for label in names]
    if all(column is not None for column in columns):
        # As they were predicted: in double precision one may fall into another bin.
        stacked = np.stack([column for column in columns if column is not None], axis=1).astype(np.float32)
        probabilities, ids = stacked[known], true[known]
        says = (
            f"{name}: reliability on test: mean confidence {probabilities.max(axis=1).mean():.3f}, right "
            f"{(guess[known] == ids).mean():.3f} of {len(ids)} instances, calibration error "
            f"{expected_calibration_error(ids, probabilities):.3f}"
        )
        calibration = (run.summary.get("calibration") or {}).get(name, {})
        shown = {"calibrated" if "temperature" in calibration else "as learnt": probabilities}
        draw = panel(lambda ax: reliability_panel(ax, ids, shown, f"{name}: reliability, test"), height=3.9)
        drawn.append(svg.add(draw, says))
    return drawn


def _confusion_said(what: str, matrix: Any, names: Sequence[str]) -> str:
    right = [f"{name} {matrix[k, k]} of {matrix[k].sum()}" for k, name in enumerate(names[:MOST_SAID])]
    more = f", and {len(names) - MOST_SAID} more classes" if len(names) > MOST_SAID else ""
    said = f"{what}: confusion matrix on test, {np.trace(matrix)} of {matrix.sum()} right: {', '.join(right)}{more}"
    wrong = matrix - np.diag(np.diag(matrix))
    if wrong.any():
        true, guess = divmod(int(wrong.argmax()), len(names))
        said += f"; most often mistaken: {names[true]} for {names[guess]}, {wrong.max()} times"
    return said


def _labels(run: RunContents, name: str, task: Mapping[str, Any], svg: Pictures) -> list[str]:
    scores = run.summary["test"][name].get("per_label")
    if not scores:
        return []
    says = ", ".join(f"{label} {row['f1']:.3g}" for label, row in scores.items() if row.get("f1") is not None)
    title = f"{name}: {task['key']}, test"
    height = labels_height(len(scores))
    note = f"the first {MOST_NAMED} of {len(scores)} labels" if len(scores) > MOST_NAMED else ""
    figure = panel(lambda ax: labels_panel(ax, scores, title), 6.4, height)
    return [svg.add(figure, f"{name} ({task['key']}), F1 of each label on test: {says}", note)]


def _numbers(run: RunContents, name: str, task: Mapping[str, Any], svg: Pictures) -> list[str]:
    drawn = []
    for d in range(min(task["size"], MOST_NUMBERS)):
        suffix = f"_{d + 1}" if task["size"] > 1 else ""
        true, guess, low, high = (run.column(f"{name}_{what}{suffix}") for what in ("true", "predicted", "low", "high"))
        if true is None or guess is None:
            continue
        known = np.isfinite(true) & np.isfinite(guess)
        if not known.any():
            continue
        ends = None
        if low is not None and high is not None:
            ends = (np.nan_to_num(low[known], nan=-np.inf), np.nan_to_num(high[known], nan=np.inf))
        drawn += _number(f"{name}{' ' + str(d + 1) if suffix else ''}", task, (true[known], guess[known]), ends, svg)
    return drawn


def _number(what: str, task: Mapping[str, Any], both: tuple[Any, Any], ends: Any, svg: Pictures) -> list[str]:
    true, guess = both
    unit = f" {task['unit']}" if task.get("unit") else ""
    rmse, bias = float(np.sqrt(np.mean((guess - true) ** 2))), float(np.mean(guess - true))
    said = f"{what} ({task['key']}), {len(true)} test instances: RMSE {rmse:.4g}{unit}"
    note = f"all {len(true):,} instances, as one image" if len(true) > MOST_POINTS else ""
    title = f"{what}: {task['key']}, test"
    held = ""
    if ends is not None:
        held = f"intervals hold {100 * np.mean((ends[0] <= true) & (true <= ends[1])):.1f} % of the true numbers"
    agreement = panel(
        lambda ax: agreement_panel(ax, true, guess, ends, title, task.get("unit"), "interval"), height=4.3
    )
    residual = panel(lambda ax: residual_panel(ax, true, guess, f"{what}: residuals, test"), height=4.3)
    return [
        svg.add(agreement, _joined(f"predicted against true: {said}", held), note),
        svg.add(residual, f"residuals: {said}, mean residual {bias:+.3g}{unit}", note),
    ]


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


_CONFLICT = {  # what is drawn of it: title and axis
    "cosine": ("agreement of the tasks' gradients", "cosine"),
    "conflicting": ("batches whose gradients conflict", "share"),
    "norm_ratio": ("gradient of the first task over the second's", "ratio of the norms"),
    "share": ("what each task moves of the backbone", "share of the update"),
    "affinity": ("what a step for one task does for another", "share of its loss"),
}


def conflict(run: RunContents, svg: Pictures) -> list[str]:
    """Draw how far the tasks' gradients agreed, epoch by epoch; nothing where it was not measured."""
    found = {
        column: values for column in columns(run) if column.startswith("conflict/") and (values := history(run, column))
    }
    panels: dict[tuple[str, str], Curves] = {}
    for column, values in found.items():
        _, who, *block, measure = column.split("/")
        if who == "share":
            panels.setdefault(("share", ""), {})[measure] = values
        elif not block:
            panels.setdefault((measure, ""), {})[who] = values
        elif measure == "cosine":
            panels.setdefault((measure, who), {})["/".join(block)] = values
    drawn = []
    for measure, (title, y) in _CONFLICT.items():
        for shown, who in [(shown, who) for (m, who), shown in panels.items() if m == measure]:
            about = f"{title}{', ' + who + ' by block' if who else ''}"
            middle, called = (np.nanmedian, "median") if measure == "norm_ratio" else (np.nanmean, "mean")
            ends = "; ".join(f"{name} {middle(values):+.3g}" for name, values in list(shown.items())[:MOST_SAID])
            says = f"{about}, {y}, {called} over the epochs: {ends}"
            drawn.append(_curve(run, svg, shown, about, y, says, measure))
    return drawn
