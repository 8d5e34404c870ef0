"""The metrics of one task over a split."""

from typing import Any

import numpy.typing as npt

from tsmtl.tasks.metrics import classification_metrics, regression_metrics
from tsmtl.tasks.task import ClassPrediction, NumberPrediction


def measure(truth: npt.NDArray[Any], prediction: ClassPrediction | NumberPrediction) -> dict[str, float]:
    """Compare predictions with the truth: (N,) class ids, -1 missing, or (N, D) numbers in own units, NaN missing."""
    if isinstance(prediction, ClassPrediction):
        return classification_metrics(truth, prediction.probabilities)
    return regression_metrics(truth, prediction.values)
