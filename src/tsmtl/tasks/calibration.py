"""What is fitted on val to make outputs honest, and what came of it on other instances."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.tasks.conformal import Errors, errors_of
from tsmtl.tasks.metrics import classification_metrics
from tsmtl.tasks.task import Calibration, ClassPrediction, FloatArray, NumberPrediction, Prediction, Task
from tsmtl.tasks.temperature import Temperature, fit_temperature

KINDS = ("cls", "reg")  # of tasks that are calibrated
LEVELS = (0.8, 0.9, 0.95)  # at which a run measures its intervals
LEVEL = 0.9  # of the intervals in its table and pictures
OF_CLASSES = ("ece", "log_loss")  # what a temperature changes


def fit_calibration(task: Task, output: FloatArray, truth: npt.NDArray[Any]) -> Calibration:
    """Fit a temperature, or keep the errors for intervals.

    Args:
        task: A classification or numbers.
        output: (N, K) logits or (N, D) scaled numbers that the model gave for val.
        truth: (N,) class ids, -1 missing, or (N, D) numbers in their own units, NaN missing.
    """
    if task.kind == "cls":
        return fit_temperature(output, truth)
    return errors_of(task.within_range(output), task.scaled_exactly(truth))


def calibration_from_states(states: Mapping[str, Any] | None) -> dict[str, Calibration]:
    """Make by task name what a checkpoint holds; nothing of one that was not calibrated."""
    return {
        name: Temperature.from_state(state) if "temperature" in state else Errors.from_state(state)
        for name, state in (states or {}).items()
    }


def effect_on_classes(truth: npt.NDArray[Any], before: Prediction, after: Prediction) -> dict[str, dict[str, float]]:
    """Give ``ece`` and ``log_loss``, each ``before`` and ``after`` the temperature."""
    assert isinstance(before, ClassPrediction)
    assert isinstance(after, ClassPrediction)
    both = {
        when: classification_metrics(truth, prediction.probabilities)
        for when, prediction in (("before", before), ("after", after))
    }
    return {name: {when: metrics[name] for when, metrics in both.items()} for name in OF_CLASSES}


def coverage(task: Task, truth: npt.NDArray[Any], prediction: Prediction) -> dict[str, Any]:
    """Measure intervals.

    Args:
        task: Numbers.
        truth: (N, D) in their own units, NaN missing; these are left out.
        prediction: With intervals.

    Returns:
        ``coverage``, the share of true numbers within, and ``width``, the mean width in their own units: each the mean
        over the D numbers, with ``per_output`` where there are several. With a range ``coverage_capped`` too, of the
        numbers as they were trained on, which is what the level promises. NaN where nothing is labelled.
    """
    assert isinstance(prediction, NumberPrediction)
    rows = [_coverage(task, truth, prediction, column) for column in range(task.size)]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {**mean, "per_output": rows} if task.size > 1 else mean


def _coverage(task: Task, truth: npt.NDArray[Any], prediction: NumberPrediction, column: int) -> dict[str, float]:
    assert prediction.low is not None
    assert prediction.high is not None
    known = ~np.isnan(truth[:, column])
    true, low, high = truth[known, column], prediction.low[known, column], prediction.high[known, column]
    found = {"coverage": _share(true, low, high)}
    if task.clip is not None:
        found["coverage_capped"] = _share(np.clip(true, *task.clip), low, high)
    return {**found, "width": float(np.mean(high.astype(np.float64) - low)) if known.any() else float("nan")}


def _share(true: npt.NDArray[Any], low: FloatArray, high: FloatArray) -> float:
    return float(np.mean((low <= true) & (true <= high))) if len(true) else float("nan")
