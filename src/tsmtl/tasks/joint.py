"""A score of all tasks together: each metric between a trivial prediction and a perfect one, no sum of unlike units."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.metric_names import PERFECT
from tsmtl.tasks.measure import measure
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, NumberPrediction, Prediction, Task


class JointScore:
    """The weighted mean over tasks of ``(m - trivial) / (perfect - trivial)``: 0 trivial, 1 perfect, below 0 worse.

    The trivial prediction is the most frequent class of train, the mean of its numbers, or for each label what is more
    frequent in train, true or false; it is measured on val.

    Args:
        tasks: By name.
        train: What is true of train, by task: (N,) class ids, -1 missing, or (N, D) numbers or (N, L) labels, NaN
            missing.
        val: What is true of val, likewise.
        metrics: Name of the metric of each kind of task.
        weights: Weight by task; 1 for those not named.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        train: Mapping[str, npt.NDArray[Any]],
        val: Mapping[str, npt.NDArray[Any]],
        metrics: Mapping[str, str],
        weights: Mapping[str, float],
    ) -> None:
        self.metrics = {name: metrics[task.kind] for name, task in tasks.items()}
        self.weights = {name: weights.get(name, 1.0) for name in tasks}
        self.trivial = {
            name: measure(task, val[name], _trivial(task, train[name], len(val[name])))[self.metrics[name]]
            for name, task in tasks.items()
        }

    def __call__(self, measured: Mapping[str, Mapping[str, float]]) -> float:
        """Give the score of metrics by task; NaN where one is not defined, or the trivial prediction is perfect.

        Args:
            measured: What :func:`tsmtl.tasks.measure.measure` gave for each task.
        """
        total = 0.0
        for name, weight in self.weights.items():
            if weight:
                metric = self.metrics[name]
                gap = PERFECT[metric] - self.trivial[name]
                total += weight * (measured[name][metric] - self.trivial[name]) / gap if gap else float("nan")
        return total / sum(self.weights.values())


def _trivial(task: Task, train: npt.NDArray[Any], n: int) -> Prediction:
    """Predict the same for N instances: what is most frequent in train, or its mean."""
    if task.kind == "cls":
        most = int(np.bincount(train[train >= 0], minlength=task.size).argmax())
        probabilities = np.eye(task.size, dtype=np.float32)[np.full(n, most)]
        return ClassPrediction(np.full(n, most), np.full(n, task.class_names[most]), probabilities)
    if task.kind == "multilabel":
        known = np.maximum((~np.isnan(train)).sum(axis=0), 1)
        often = 2 * np.nansum(train, axis=0) >= known
        return LabelPrediction.of(np.tile(often.astype(np.float32), (n, 1)))
    mean = np.nanmean(train if task.clip is None else np.clip(train, *task.clip), axis=0, dtype=np.float64)
    return NumberPrediction(np.tile(mean.astype(np.float32), (n, 1)))
