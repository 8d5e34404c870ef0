"""What a linear model makes of the vectors that a run learns from: what its head has to beat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsmtl.assembly import Parts
from tsmtl.tasks.measure import measure
from tsmtl.tasks.task import Task
from tsmtl.training.batches import TensorSplit
from tsmtl.training.spectrum import Spectrum

ALPHAS = tuple(10.0**power for power in range(-3, 7))
_SHOWN = {"cls": ("accuracy", "balanced_accuracy", "macro_f1"), "reg": ("rmse", "mae", "r2")}
Double = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearProbe:
    """A ridge regression beside a run, and the test vectors in two dimensions.

    Attributes:
        found: By task the test metrics, the penalty ``alpha`` that was best on val, and the number of train instances.
        coordinates: (N, 2) first two principal components, by the train split, of the test vectors.
    """

    found: dict[str, dict[str, float]]
    coordinates: Double


def linear_probe(parts: Parts, truth: dict[str, npt.NDArray[Any]]) -> LinearProbe | None:
    """Fit a ridge regression on the prepared train vectors of each class and number, its penalty chosen on val.

    A class is the greatest of K outputs, fitted to 1 and -1. Labels of which any may be true have none.

    Args:
        parts: Of the run.
        truth: What is true of the test split, by task.

    Returns:
        None where the run reads series, or vectors that stay in their file.
    """
    train, val, test = (parts.splits[name] for name in ("train", "val", "test"))
    if not (isinstance(train, TensorSplit) and isinstance(val, TensorSplit) and isinstance(test, TensorSplit)):
        return None
    if train.x.ndim != 2:
        return None
    inputs = [split.inputs for split in (train, val, test)]
    known: dict[bytes, tuple[Spectrum, Tensor, Tensor]] = {}

    def spectrum_of(rows: Tensor) -> tuple[Spectrum, Tensor, Tensor]:
        key = rows.cpu().numpy().tobytes()  # tasks with labels of the same instances share it
        if key not in known:
            spectrum = Spectrum.of(inputs[0][rows])
            known[key] = spectrum, spectrum.rotated(inputs[1]), spectrum.rotated(inputs[2])
        return known[key]

    found = {}
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
        found[name] |= {"alpha": alpha, "instances": len(spectrum.x)}
    every = torch.arange(len(train), device=train.device)
    spectrum, _, rotated_test = spectrum_of(every)
    return LinearProbe(found, spectrum.coordinates(rotated_test).cpu().numpy())


def _rows_of(spectrum: Spectrum, rows: Tensor) -> Tensor:
    """Give the rows that a spectrum has taken of those that it was given."""
    n = len(spectrum.x)
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
