"""The metrics of one task over a split."""

from typing import Any

import numpy.typing as npt

from tsmtl.tasks.metrics import (
    classification_metrics,
    f1_per_class,
    label_metrics,
    label_metrics_per_label,
    regression_metrics,
    regression_metrics_per_output,
)
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, Prediction, Task


def measure(task: Task, truth: npt.NDArray[Any], prediction: Prediction) -> dict[str, float]:
    """Compare predictions with the truth.

    Args:
        task: What is predicted.
        truth: (N,) class ids, -1 missing; (N, D) numbers in own units, NaN missing; or (N, L) labels, NaN missing.
        prediction: Of the same instances.
    """
    if isinstance(prediction, ClassPrediction):
        return classification_metrics(truth, prediction.probabilities)
    if isinstance(prediction, LabelPrediction):
        return label_metrics(truth, prediction.probabilities)
    return regression_metrics(truth, prediction.values, task.clip, task.metrics)


def details_by_task(
    tasks: dict[str, Task], truth: dict[str, Any], predictions: dict[str, Prediction]
) -> dict[str, dict[str, Any]]:
    """Give each task's metrics by class (F1), by label or, of several numbers, by number."""
    details: dict[str, dict[str, Any]] = {}
    for name, task in tasks.items():
        prediction = predictions[name]
        if isinstance(prediction, ClassPrediction):
            scores = f1_per_class(truth[name], prediction.probabilities)
            details[name] = {"f1": dict(zip(task.class_names, scores, strict=True))}
        elif isinstance(prediction, LabelPrediction):
            rows = label_metrics_per_label(truth[name], prediction.probabilities)
            details[name] = {"per_label": dict(zip(task.class_names, rows, strict=True))}
        else:
            per_output = regression_metrics_per_output(truth[name], prediction.values, task.clip, task.metrics)
            details[name] = {"per_output": per_output} if task.size > 1 else {}
    return details
