"""A task: what its target is, how big its output, and how outputs become predictions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsmtl.tasks.conformal import Errors
from tsmtl.tasks.temperature import Temperature

AT_ONCE = 2**14  # numbers that are scaled at a time, in double precision
FloatArray = npt.NDArray[np.float32]
Calibration = Temperature | Errors  # of a classification, of numbers


@dataclass(frozen=True)
class ClassPrediction:
    """Predictions of a classification.

    Attributes:
        ids: (N,) id of the most probable class.
        labels: (N,) its name.
        probabilities: (N, K), rows sum to 1, columns in the order of the task's class names.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.str_]
    probabilities: FloatArray


@dataclass(frozen=True)
class NumberPrediction:
    """Predictions of a regression.

    Attributes:
        values: (N, D) in the target's own units.
        low: (N, D) lower ends of intervals around them, and ``high`` (N, D) the upper ends; None without a level.
        high: See ``low``.
    """

    values: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


@dataclass(frozen=True)
class LabelPrediction:
    """Predictions of labels, any of which may be true.

    Attributes:
        present: (N, L) whether the probability is 0.5 or more.
        probabilities: (N, L), each between 0 and 1 by itself, columns in the order of the task's class names.
    """

    present: npt.NDArray[np.bool_]
    probabilities: FloatArray

    @classmethod
    def of(cls, probabilities: FloatArray) -> "LabelPrediction":
        """Make it of probabilities (N, L)."""
        return cls(probabilities >= 0.5, probabilities)


Prediction = ClassPrediction | NumberPrediction | LabelPrediction


def joined(parts: Sequence[Prediction]) -> Prediction:
    """Give the predictions of consecutive blocks of one task as one."""
    kind = type(parts[0])
    columns: dict[str, list[Any]] = {f.name: [getattr(part, f.name) for part in parts] for f in fields(kind)}
    whole: dict[str, Any] = {name: None if c[0] is None else np.concatenate(c) for name, c in columns.items()}
    return kind(**whole)


@dataclass(frozen=True)
class Task:
    """One task of a run.

    Attributes:
        name: ``cls``, ``reg`` or ``cls_2``; of ``task=custom`` what the user calls it.
        kind: ``cls``, ``reg`` or ``multilabel``.
        key: Name of the target in the data.
        size: K classes, D numbers or L labels.
        class_names: K names of a classification, or L of labels.
        unit: Unit of a regression, or None.
        shift: (D,) and ``scale`` (D,): a number is trained on as ``(transformed(y) - shift) / scale``.
        scale: See ``shift``.
        clip: Range that a number is clipped to before the transform, and a prediction after its inverse; either end
            may be None; or None.
        transform: ``log1p`` or ``none``.
        metrics: Names of metrics of a regression beside the usual ones.
    """

    name: str
    kind: str
    key: str
    size: int
    class_names: tuple[str, ...] = ()
    unit: str | None = None
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    clip: tuple[float | None, float | None] | None = None
    transform: str = "none"
    metrics: tuple[str, ...] = ()

    def transformed(self, values: FloatArray) -> npt.NDArray[np.float64]:
        """Give numbers (N, D) clipped and transformed, but not scaled; not finite where the transform has no value."""
        exact = values.astype(np.float64)
        if self.clip is not None:
            exact = np.clip(exact, *self.clip)
        if self.transform == "log1p":
            with np.errstate(divide="ignore", invalid="ignore"):
                exact = np.log1p(exact)
        return exact

    def scaled(self, values: FloatArray) -> FloatArray:
        """Give numbers (N, D) as they are trained on."""
        scaled = np.empty(values.shape, dtype=np.float32)
        rows = max(1, AT_ONCE // values.shape[1])
        for at in range(0, len(values), rows):
            scaled[at : at + rows] = self.scaled_exactly(values[at : at + rows])
        return scaled

    def scaled_exactly(self, values: FloatArray) -> npt.NDArray[np.float64]:
        """Give numbers (N, D) as :meth:`scaled` does, in double precision."""
        exact: npt.NDArray[np.float64] = (self.transformed(values) - np.array(self.shift)) / np.array(self.scale)
        return exact

    def scaling_on(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Make what scales numbers (N, D) on a device as :meth:`scaled` does, without a wait for the host."""
        shift, scale = (
            torch.tensor(numbers, dtype=torch.float64, device=device) for numbers in (self.shift, self.scale)
        )

        def scaled(values: Tensor) -> Tensor:
            exact = values.double()
            if self.clip is not None:
                exact = exact.clamp(*self.clip)
            if self.transform == "log1p":
                exact = exact.log1p()
            return ((exact - shift) / scale).float()

        return scaled

    def within_range(self, output: FloatArray) -> npt.NDArray[np.float64]:
        """Give outputs (N, D), scaled numbers, cut to the range as the predictions made of them are."""
        scaled: npt.NDArray[np.float64] = output.astype(np.float64)
        for end, beyond in zip(self.clip or (), (np.less, np.greater), strict=False):
            if end is not None:
                limit = self.scaled_exactly(np.full((1, self.size), end))
                scaled = np.where(beyond(scaled, limit), limit, scaled)
        return scaled

    def decode(
        self, output: FloatArray, calibration: Calibration | None = None, level: float | None = None
    ) -> Prediction:
        """Turn outputs, (N, K) or (N, L) logits or (N, D) scaled numbers, into predictions.

        Args:
            output: Of the model.
            calibration: What was fitted on val for this task; None gives probabilities as the model has learnt them.
            level: Share of new instances that the intervals of numbers shall hold; None: no intervals.
        """
        if self.kind == "reg":
            exact = output.astype(np.float64)
            with np.errstate(over="ignore"):  # what is beyond single precision is infinite
                values = self._in_own_units(exact).astype(np.float32)
            if level is None or not isinstance(calibration, Errors):
                return NumberPrediction(values)
            return NumberPrediction(values, *self._around(self.within_range(output), calibration.half_widths(level)))
        logits = output.astype(np.float64)
        if self.kind == "multilabel":
            tail = np.exp(-np.abs(logits))  # the sigmoid without overflow
            return LabelPrediction.of((np.where(logits < 0, tail, 1.0) / (1.0 + tail)).astype(np.float32))
        if isinstance(calibration, Temperature):
            logits /= calibration.value
        ids = output.argmax(axis=1).astype(np.int64, copy=False)
        powers = np.exp(logits - logits[np.arange(len(ids)), ids, None])
        probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        _put_first(probabilities, ids)
        return ClassPrediction(ids, self._labels[ids], probabilities)

    @cached_property
    def _labels(self) -> npt.NDArray[np.str_]:
        return np.array(self.class_names)

    def _in_own_units(self, scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give (N, D) scaled numbers in their own units, within the range."""
        values: npt.NDArray[np.float64] = scaled * np.array(self.scale) + np.array(self.shift)
        if self.transform == "log1p":
            with np.errstate(over="ignore"):
                values = np.expm1(values)
        if self.clip is not None:  # a model that has learnt numbers of a range says no others
            values = np.clip(values, *self.clip)
        return values

    def _around(self, centre: npt.NDArray[np.float64], half: npt.NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
        """Give the ends of intervals in own units, within the range.

        They are rounded away from each other, so that none loses the number that it was fitted to end at.

        Args:
            centre: (N, D) scaled.
            half: (D,) scaled half-widths.
        """
        size = np.abs(centre) + half + np.abs(np.array(self.shift) / np.array(self.scale))
        half = half + 8 * np.finfo(np.float64).eps * size  # of the few operations here and in scaling
        with np.errstate(over="ignore", invalid="ignore"):  # around an output that is infinite there is no interval
            low = np.nextafter(self._in_own_units(centre - half).astype(np.float32), np.float32(-np.inf))
            high = np.nextafter(self._in_own_units(centre + half).astype(np.float32), np.float32(np.inf))
        if self.clip is not None:
            low, high = np.clip(low, *self.clip), np.clip(high, *self.clip)
        return low.astype(np.float32), high.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Give plain values for a checkpoint."""
        return {
            "name": self.name,
            "kind": self.kind,
            "key": self.key,
            "size": self.size,
            "class_names": list(self.class_names),
            "unit": self.unit,
            "shift": list(self.shift),
            "scale": list(self.scale),
            "clip": None if self.clip is None else list(self.clip),
            "transform": self.transform,
            "metrics": list(self.metrics),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Task":
        """Make the task that :meth:`state` described."""
        as_tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state.items()}
        return cls(**as_tuples)


def _put_first(probabilities: FloatArray, ids: npt.NDArray[np.int64]) -> None:
    """Make the predicted class the most probable one also where rounding made another, before it, equal to it."""
    (rows,) = (probabilities.argmax(axis=1) != ids).nonzero()
    if not rows.size:
        return
    probabilities[rows, ids[rows]] = np.nextafter(probabilities[rows].max(axis=1), np.float32(1))


BLOCK = 2**20  # numbers worked on at a time


def fit_scaling(values: npt.NDArray[np.floating], method: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Learn shift and scale, each (D,), from the train numbers (N, D), NaN left out.

    Args:
        values: The numbers of the train split, transformed.
        method: ``standard`` (mean and sd) or ``none``.
    """
    d = values.shape[1]
    if method == "none":
        return (0.0,) * d, (1.0,) * d
    blocks = [values[at : at + BLOCK] for at in range(0, len(values), BLOCK)]
    count = sum((~np.isnan(block)).sum(axis=0) for block in blocks)
    mean = sum(np.nansum(block, axis=0, dtype=np.float64) for block in blocks) / count
    squares = sum(np.nansum((block.astype(np.float64) - mean) ** 2, axis=0) for block in blocks)
    return tuple(mean.tolist()), tuple(np.sqrt(squares / count).tolist())
