"""What a linear model makes of the vectors that a run learns from: what its head has to beat."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsmtl.assembly import Parts
from tsmtl.tasks.measure import measure
from tsmtl.tasks.task import Task
from tsmtl.training.batches import TensorSplit
from tsmtl.training.logistic import logistic_regression
from tsmtl.training.neighbours import DIRECTIONS, FEWEST, neighbours_in_two
from tsmtl.training.spectrum import MOST, Spectrum

ALPHAS = tuple(10.0**power for power in range(-3, 7))
_SHOWN = {"cls": ("accuracy", "balanced_accuracy", "macro_f1"), "reg": ("rmse", "mae", "r2")}
Double = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearProbe:
    """Linear models beside a run, and the test vectors in two dimensions.

    Attributes:
        found: By task the test metrics of a ridge regression, the penalty ``alpha`` that was best on val, and how many
            train instances there were.
        logistic: By task of classes the same of a logistic regression, with ``C``; empty where none was asked for, or
            all train vectors are the same.
        coordinates: (N, 2) the test vectors.
        picture: ``pca``: their first two principal components, by the train split; or ``tsne``.
    """

    found: dict[str, dict[str, float]]
    logistic: dict[str, dict[str, float]]
    coordinates: Double
    picture: Literal["pca", "tsne"]


def linear_probe(
    parts: Parts, truth: dict[str, npt.NDArray[Any]], logistic: bool, picture: Literal["pca", "tsne"], seed: int
) -> LinearProbe | None:
    """Fit a ridge regression on the prepared train vectors of each class and number, its penalty chosen on val.

    A class is the greatest of K outputs, fitted to 1 and -1. Labels of which any may be true have none.

    Args:
        parts: Of the run.
        truth: What is true of the test split, by task.
        logistic: Fit a logistic regression of each class too.
        picture: How the test vectors come into two dimensions; few of them, such as are all alike, and such as have
            one direction at most, by ``pca`` in any case.
        seed: Of ``tsne``.

    Returns:
        None where the run reads series, or vectors that stay in their file.
    """
    train, val, test = (parts.splits[name] for name in ("train", "val", "test"))
    if not (isinstance(train, TensorSplit) and isinstance(val, TensorSplit) and isinstance(test, TensorSplit)):
        return None
    if train.x.ndim != 2:
        return None
    assert train.x is val.x is test.x, "splits that do not share their vectors"
    places = [split.places for split in (train, val, test)]
    known: dict[bytes, tuple[Spectrum, Tensor, Tensor]] = {}

    def spectrum_of(rows: Tensor) -> tuple[Spectrum, Tensor, Tensor]:
        key = rows.cpu().numpy().tobytes()  # tasks with labels of the same instances share it
        if key not in known:
            spectrum = Spectrum.of(train.x, places[0][rows])
            known[key] = spectrum, spectrum.rotated(places[1]), spectrum.rotated(places[2])
        return known[key]

    found, classified = {}, {}
    for name, task in parts.tasks.items():
        if task.kind == "multilabel":
            continue
        y, y_val = (_targets(task, split.targets[name]) for split in (train, val))
        rows = (~y.isnan().any(dim=1)).nonzero()[:, 0]
        if len(rows) < 2:
            continue
        spectrum, rotated, rotated_test = spectrum_of(rows)
        chosen = _rows_of(spectrum, rows)
        alpha = min(ALPHAS, key=lambda a: _error(task, spectrum.ridge(y[chosen], rotated, a), y_val))
        outputs = spectrum.ridge(y[chosen], rotated_test, alpha).float().cpu().numpy()
        metrics = measure(task, truth[name], task.decode(outputs))
        found[name] = {metric: metrics[metric] for metric in _SHOWN[task.kind]}
        found[name] |= {"alpha": alpha, "instances": len(spectrum.rows)}
        if logistic and task.kind == "cls":
            ids = [split.targets[name].cpu().numpy() for split in (train, val)]
            own = spectrum.own, rotated, rotated_test
            of_train, of_val, of_test = (spectrum.components(x, MOST).cpu().numpy() for x in own)
            learnt, known_val = ids[0][chosen.cpu().numpy()], ids[1] >= 0
            if len(set(learnt.tolist())) > 1 and of_train.shape[1] > 0:
                chooses = of_val[known_val], ids[1][known_val]
                outputs, c = logistic_regression(of_train, learnt, chooses, of_test, task.size)
                metrics = measure(task, truth[name], task.decode(outputs.astype(np.float32)))
                classified[name] = {metric: metrics[metric] for metric in _SHOWN[task.kind]}
                classified[name] |= {"C": c, "instances": len(learnt)}
    every = torch.arange(len(train), device=train.device)
    spectrum, _, rotated_test = spectrum_of(every)
    directions = spectrum.components(rotated_test, DIRECTIONS)
    alike = bool((directions == directions[:1]).all())
    if picture == "pca" or len(test) < FEWEST or directions.shape[1] < 2 or alike:
        return LinearProbe(found, classified, spectrum.coordinates(rotated_test).cpu().numpy(), "pca")
    return LinearProbe(found, classified, neighbours_in_two(directions.cpu().numpy(), seed), "tsne")


def about_probe(probe: LinearProbe | None) -> dict[str, Any]:
    """Give what ``summary.json`` holds of the linear models beside a run."""
    if probe is None:
        return dict.fromkeys(("linear_probe", "logistic_probe", "vectors_picture"))
    return {"linear_probe": probe.found, "logistic_probe": probe.logistic, "vectors_picture": probe.picture}


def _rows_of(spectrum: Spectrum, rows: Tensor) -> Tensor:
    """Give the rows that a spectrum has taken of those that it was given."""
    n = len(spectrum.rows)
    return rows if n == len(rows) else rows[torch.linspace(0, len(rows) - 1, n).long()]


def _targets(task: Task, values: Tensor) -> Tensor:
    """Give (N, D) scaled numbers, or (N, K) of 1 and -1; NaN where missing."""
    if task.kind == "reg":
        return values.double()
    y = torch.full((len(values), task.size), -1.0, dtype=torch.float64, device=values.device)
    known = values >= 0
    y[known, values[known]] = 1.0
    y[~known] = torch.nan
    return y


def _error(task: Task, outputs: Tensor, y: Tensor) -> tuple[float, float]:
    """Give what is to be small on val: of a class the share of errors, then the squared error; of numbers that."""
    known = ~y.isnan().any(dim=1)
    squared = float(((outputs - y)[known] ** 2).mean())
    if task.kind == "reg":
        return squared, 0.0
    return float((outputs[known].argmax(dim=1) != y[known].argmax(dim=1)).double().mean()), squared
