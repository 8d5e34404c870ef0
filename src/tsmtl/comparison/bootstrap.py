"""How much a difference depends on which instances happened to be tested: a paired bootstrap over them."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.sweep.statistics import LEVEL

Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Score = Callable[[Array], Array]  # from the times (N,) that each instance counts to the metric of each run, (S,)
DRAWS, MOST_WORK = 1000, 2e9  # resamples, fewer where instances and runs are very many
LEAST_DRAWS = 200
LEAST_UNITS = 5  # of fewer a bootstrap says nothing
MOST_KNOWN = 0.9  # of the draws must have a value


@dataclass(frozen=True)
class Predicted:
    """What the runs of a variant predicted for the test split.

    Attributes:
        truth: (N,) class ids, -1 missing, or (N, D) numbers or (N, L) labels, NaN missing.
        predicted: (S, N), (S, N, D) or (S, N, L), of each run.
    """

    truth: npt.NDArray[Any]
    predicted: npt.NDArray[Any]


def read_predicted(folders: Sequence[Path], task: Mapping[str, Any]) -> Predicted:
    """Read what runs predicted for the test split.

    Args:
        folders: Run folders.
        task: The task as ``summary.json`` describes it.
    """
    name, size, numbers = task["name"], task["size"], task["kind"] != "cls"
    ends = [f"_{d + 1}" for d in range(size)] if numbers and size > 1 else [""]
    if task["kind"] == "multilabel":
        ends = [f"_{label}" for label in task["class_names"]]
    columns = [f"{name}_{said}{end}" for said in ("true", "predicted") for end in ends]
    ids = {label: i for i, label in enumerate(task["class_names"])} | {"": -1}
    runs = []
    for folder in folders:
        with (folder / "predictions_test.csv").open(newline="", encoding="utf-8") as file:
            rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
        if numbers:
            runs.append(np.array([[float(cell or "nan") for cell in row] for row in rows]))
        else:
            runs.append(np.array([[ids[cell] for cell in row] for row in rows]))
    half = len(ends)
    truth, predicted = runs[0][:, :half], np.stack([run[:, half:] for run in runs])
    return Predicted(truth, predicted) if numbers else Predicted(truth[:, 0], predicted[:, :, 0])


@dataclass(frozen=True)
class SampleSpread:
    """How far the mean difference of two variants goes where other instances are tested.

    Attributes:
        units: Instances, or groups of them, that were drawn from.
        sd: Standard deviation over the draws; NaN of fewer than :data:`LEAST_UNITS` units, or where too many draws have
            no value.
        low: Lower end of the interval of percentiles at :data:`LEVEL`; NaN likewise.
        high: Upper end.
    """

    units: int
    sd: float
    low: float
    high: float


def sample_spread(
    own: Predicted, twin: Predicted, task: Mapping[str, Any], metric: str, higher: bool, groups: npt.NDArray[Any] | None
) -> SampleSpread:
    """Give the spread of the mean difference of two variants over test instances, positive where the first is better.

    Test instances are drawn anew, with replacement, the same for both variants (Efron & Tibshirani 1993, ch. 16; whole
    groups where there are groups, since instances of one are alike).

    Args:
        own: The variant.
        twin: What it is compared with, on the same instances.
        task: The task as ``summary.json`` describes it.
        metric: Name of the metric.
        higher: Whether higher is better.
        groups: (N,) group of each test instance, or None.
    """
    assert np.array_equal(own.truth, twin.truth, equal_nan=True), "variants are compared on the same instances"
    scores = [_score(some, task, metric) for some in (own, twin)]
    n, runs = len(own.truth), len(own.predicted) + len(twin.predicted)
    outputs = own.truth.shape[1] if own.truth.ndim == 2 else 1
    draws = int(np.clip(MOST_WORK / (n * runs * outputs), LEAST_DRAWS, DRAWS))
    rng = np.random.default_rng(0)
    of_row = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(of_row.max()) + 1
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw without any labelled instance has no value
        for _ in range(draws):
            times = np.bincount(rng.integers(units, size=units), minlength=units)[of_row].astype(np.float64)
            first, second = (score(times).mean() for score in scores)
            found.append(first - second if higher else second - first)
    known = np.array(found)[np.isfinite(found)]
    if units < LEAST_UNITS or len(known) < MOST_KNOWN * draws:
        return SampleSpread(units, math.nan, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return SampleSpread(units, float(known.std(ddof=1)), float(low), float(high))


def _score(own: Predicted, task: Mapping[str, Any], metric: str) -> Score:
    if task["kind"] == "cls":
        return _of_classes(own.truth, own.predicted, task["size"], metric)
    if task["kind"] == "multilabel":
        return _of_labels(own.truth, own.predicted, metric)
    return _of_numbers(own.truth, own.predicted, task["clip"], metric)


def _of_classes(truth: Ids, predicted: Ids, k: int, metric: str) -> Score:
    known = truth >= 0
    cells = [truth[known] * k + run[known] for run in predicted]

    def score(times: Array) -> Array:
        found = []
        for cell in cells:
            matrix = np.bincount(cell, weights=times[known], minlength=k * k).reshape(k, k)
            hits, support, said = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
            if metric == "accuracy":
                found.append(hits.sum() / matrix.sum())
            elif metric == "balanced_accuracy":
                found.append((hits[support > 0] / support[support > 0]).mean())
            else:
                there = support + said > 0
                found.append((2 * hits[there] / (support + said)[there]).mean())
        return np.array(found)

    return score


def _of_labels(truth: Array, predicted: Array, metric: str) -> Score:
    known = ~np.isnan(truth)  # (N, L)
    true, said = (truth == 1).astype(float), np.where(known, predicted, 0.0)  # (N, L), (S, N, L)
    right = ((said == true) | ~known).all(axis=2).astype(float)  # (S, N)
    any_known = known.any(axis=1).astype(float)

    def score(times: Array) -> Array:
        if metric == "subset_accuracy":
            return np.asarray(right @ (times * any_known) / (times @ any_known))
        hits = np.einsum("n,snl->sl", times, said * true)
        either = np.einsum("n,snl->sl", times, said) + times @ true
        if metric == "micro_f1":
            return np.asarray(2 * hits.sum(axis=1) / either.sum(axis=1))
        each = np.where(either > 0, 2 * hits / np.maximum(either, 1e-12), np.nan)
        return np.asarray(np.nanmean(each, axis=1))

    return score


def _of_numbers(truth: Array, predicted: Array, clip: Sequence[float | None] | None, metric: str) -> Score:
    if metric.endswith("_capped") and clip is not None:
        truth = np.clip(truth, clip[0], clip[1])
    errors = np.abs(predicted - truth)
    errors = errors**2 if metric.startswith("rmse") else errors  # (S, N, D)
    known = ~np.isnan(truth)  # (N, D)
    errors = np.where(known, errors, 0.0)

    def score(times: Array) -> Array:
        means = np.einsum("n,snd->sd", times, errors) / np.einsum("n,nd->d", times, known.astype(float))
        return np.asarray((np.sqrt(means) if metric.startswith("rmse") else means).mean(axis=1))

    return score
