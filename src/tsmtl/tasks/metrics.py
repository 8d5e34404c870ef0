"""Metrics over a whole split, in plain numpy; ``tsmtl.config.metric_names`` says which way is better.

A metric that is not defined for the data at hand (AUROC with one class only, R2 of a constant) is NaN.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tsmtl.config.metric_names import CLASSIFICATION, MULTILABEL, metrics_of_numbers

IdArray = npt.NDArray[np.int64]
Array = npt.NDArray[np.floating]
Range = tuple[float | None, float | None]
ECE_BINS = 15


def classification_metrics(ids: IdArray, probabilities: Array) -> dict[str, float]:
    """Measure predicted probabilities.

    Args:
        ids: (N,) true class ids, -1 where missing; these rows are left out.
        probabilities: (N, K).

    Returns:
        accuracy; balanced_accuracy (mean recall of the classes that occur); macro_f1 (mean over the classes that occur
        or are predicted); auroc (one against the rest, mean over the classes that occur); log_loss; ece.
    """
    ids, probabilities = _labelled(ids, probabilities)
    if not len(ids) or np.isnan(probabilities).any():
        return dict.fromkeys(CLASSIFICATION, float("nan"))
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(ids, predicted, probabilities.shape[1])
    support = matrix.sum(axis=1)
    recall = matrix.diagonal()[support > 0] / support[support > 0]
    return {
        "accuracy": float(np.mean(predicted == ids)),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(np.nanmean(_f1(matrix))),
        "auroc": auroc(ids, probabilities),
        "log_loss": float(-np.log(np.clip(probabilities[np.arange(len(ids)), ids].astype(float), 1e-15, 1)).mean()),
        "ece": expected_calibration_error(ids, probabilities),
    }


def _labelled(ids: IdArray, probabilities: Array) -> tuple[IdArray, Array]:
    known = ids >= 0
    return (ids, probabilities) if known.all() else (ids[known], probabilities[known])


def confusion_matrix(ids: IdArray, predicted: npt.NDArray[np.integer], n_classes: int) -> IdArray:
    """Count (K, K): rows are the true classes, columns the predicted ones; missing classes (-1) are left out."""
    known = ids >= 0
    counts = np.bincount(ids[known] * n_classes + predicted[known], minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def _f1(matrix: IdArray) -> Array:
    """F1 per class (K,); NaN for a class that neither occurs nor is predicted."""
    hits = matrix.diagonal()
    either = matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.where(either > 0, 2 * hits / np.maximum(either, 1), np.nan)


def f1_per_class(ids: IdArray, probabilities: Array) -> list[float]:
    """F1 of each of the K classes; NaN for one that neither occurs nor is predicted."""
    ids, probabilities = _labelled(ids, probabilities)
    return [float(v) for v in _f1(confusion_matrix(ids, probabilities.argmax(axis=1), probabilities.shape[1]))]


def auroc(ids: IdArray, probabilities: Array) -> float:
    """Area under the ROC curve: the chance that a random member of the class scores above a random other, ties half.

    With two classes that of class 1; with more, the mean over the classes that occur of one against the rest.
    """
    k = probabilities.shape[1]
    classes = [1] if k == 2 else range(k)
    areas = [area for c in classes if not np.isnan(area := _area(ids == c, probabilities[:, c]))]
    return float(np.mean(areas)) if areas else float("nan")


def _area(member: npt.NDArray[np.bool_], scores: Array) -> float:
    """Give the area under the ROC curve of scores (N,); NaN where all, or none, are members."""
    n_in, n_out = int(member.sum()), int((~member).sum())
    if not (n_in and n_out):
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # ties share their mean rank
    return float((ranks[member].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))


def label_metrics(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predicted probabilities of labels; a label counts as predicted from 0.5 on.

    Args:
        labels: (N, L) of 0 and 1, NaN where not known; these are left out.
        probabilities: (N, L).

    Returns:
        micro_f1 (of all labels together); macro_f1 (mean over the labels that occur or are predicted); auroc (mean over
        the labels that are true of some instances and false of others); subset_accuracy (instances whose known labels
        are all right, of those with any); log_loss (mean binary cross-entropy).
    """
    known = ~np.isnan(labels)
    if not known.any() or np.isnan(probabilities).any():
        return dict.fromkeys(MULTILABEL, float("nan"))
    true, guess = labels == 1, (probabilities >= 0.5) & known
    hits, either = (true & guess).sum(axis=0), (true.sum(axis=0) + guess.sum(axis=0))
    areas = [row["auroc"] for row in label_metrics_per_label(labels, probabilities)]
    defined = [area for area in areas if not np.isnan(area)]
    right = ((true == guess) | ~known).all(axis=1)[known.any(axis=1)]
    chance = np.where(true, probabilities, 1.0 - probabilities.astype(float))[known]  # of what is true
    return {
        "micro_f1": float(2 * hits.sum() / either.sum()) if either.any() else float("nan"),
        "macro_f1": float(np.mean(2 * hits[either > 0] / either[either > 0])) if either.any() else float("nan"),
        "auroc": float(np.mean(defined)) if defined else float("nan"),
        "subset_accuracy": float(right.mean()),
        "log_loss": float(-np.log(np.clip(chance, 1e-15, 1)).mean()),
    }


def label_metrics_per_label(labels: Array, probabilities: Array) -> list[dict[str, float]]:
    """Give f1, precision, recall, auroc and support (instances of which it is true) of each of the L labels."""
    rows = []
    for column in range(labels.shape[1]):
        known = ~np.isnan(labels[:, column])
        true, chance = labels[known, column] == 1, probabilities[known, column]
        guess = chance >= 0.5
        hits, n_true, n_guess = int((true & guess).sum()), int(true.sum()), int(guess.sum())
        rows.append(
            {
                "f1": 2 * hits / (n_true + n_guess) if n_true + n_guess else float("nan"),
                "precision": hits / n_guess if n_guess else float("nan"),
                "recall": hits / n_true if n_true else float("nan"),
                "auroc": _area(true, chance),
                "support": n_true,
            }
        )
    return rows


def expected_calibration_error(ids: IdArray, probabilities: Array) -> float:
    """Mean gap of confidence and accuracy over 15 equal bins of confidence (Guo et al. 2017, arXiv:1706.04599)."""
    bins, confidence, correct = _binned(ids, probabilities)
    gaps = np.bincount(bins, weights=correct.astype(float) - confidence, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(ids))


def reliability(ids: IdArray, probabilities: Array) -> tuple[IdArray, Array, Array]:
    """Give what the calibration error is made of, each (15,): count, mean confidence and accuracy of the bins.

    Args:
        ids: (N,) true class ids, -1 where missing; these rows are left out.
        probabilities: (N, K).

    Returns:
        Confidence and accuracy are NaN in a bin without instances.
    """
    bins, confidence, correct = _binned(*_labelled(ids, probabilities))
    counts = np.bincount(bins, minlength=ECE_BINS)
    sums = (np.bincount(bins, weights=values, minlength=ECE_BINS) for values in (confidence, correct))
    mean_confidence, accuracy = (np.where(counts > 0, values / np.maximum(counts, 1), np.nan) for values in sums)
    return counts, mean_confidence, accuracy


def _binned(ids: IdArray, probabilities: Array) -> tuple[IdArray, Array, npt.NDArray[np.bool_]]:
    """Give each instance's bin of confidence, its confidence, and whether its most probable class is the true one."""
    confidence = probabilities.max(axis=1)
    bins = np.clip((np.ceil(confidence * ECE_BINS) - 1).astype(np.int64), 0, ECE_BINS - 1)
    return bins, confidence, probabilities.argmax(axis=1) == ids


def regression_metrics(
    values: Array, predicted: Array, clip: Range | None = None, more: Sequence[str] = ()
) -> dict[str, float]:
    """Measure predicted numbers, in their own units.

    Args:
        values: (N, D) true numbers, NaN where missing; these are left out.
        predicted: (N, D).
        clip: The range that the numbers were clipped to for training, or None.
        more: Names of :data:`MORE`; they are taken against the clipped truth, where there is a range.

    Returns:
        rmse, mae and r2 against the numbers as they are; with a range also rmse_capped, mae_capped and r2_capped,
        against the clipped ones; then what ``more`` names. Each is the mean over the D numbers.
    """
    rows = regression_metrics_per_output(values, predicted, clip, more)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def regression_metrics_per_output(
    values: Array, predicted: Array, clip: Range | None = None, more: Sequence[str] = ()
) -> list[dict[str, float]]:
    """Give the metrics of :func:`regression_metrics` for each of the D numbers."""
    rows = []
    for column in range(values.shape[1]):
        known = ~np.isnan(values[:, column])
        if not known.any():
            rows.append(dict.fromkeys(metrics_of_numbers(clip is not None, more), float("nan")))
            continue
        true, guess = values[known, column].astype(np.float64), predicted[known, column]
        row, goal = _errors(true, guess), true
        if clip is not None:
            goal = np.clip(true, *clip)
            row |= {f"{name}_capped": value for name, value in _errors(goal, guess).items()}
        rows.append(row | {name: MORE[name](goal, guess) for name in more})
    return rows


def _errors(true: Array, predicted: Array) -> dict[str, float]:
    error = predicted - true
    varies = true.min() < true.max()  # the rounded mean of a constant may differ from it
    spread = float(((true - true.mean()) ** 2).sum()) if varies else 0.0
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else float("nan"),
    }


def phm08(true: Array, predicted: Array) -> float:
    """Give the score of the PHM08 challenge (Saxena et al. 2008), a sum: too late costs more than too early.

    Args:
        true: (N,) remaining lives.
        predicted: (N,).

    Returns:
        The sum of ``exp(-d / 13) - 1`` where ``d = predicted - true`` is below 0, and of ``exp(d / 10) - 1`` elsewhere.
    """
    error = predicted - true
    with np.errstate(over="ignore"):  # a life of thousands too much is infinitely bad
        return float(np.expm1(np.where(error < 0, -error / 13, error / 10)).sum())


MORE: dict[str, Callable[[Array, Array], float]] = {"phm08": phm08}
