"""What a data set holds, split by split: statistics of its channels and of its targets."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import SPLITS, ClassTarget, Instances, IntArray, NumberTarget
from tsmtl.data.preparation import valid_blocks
from tsmtl.data.windows import Windows

Double = npt.NDArray[np.float64]
CONSTANT = 1e-12  # an sd below this share of the mean is what rounding leaves of none


@dataclass(frozen=True)
class ChannelStatistics:
    """Statistics of C channels (or features) in one split, over its valid steps, each row of a recording once.

    Attributes:
        mean: (C,) NaN where no value is there.
        sd: (C,) of the population; 0 where a channel is constant.
        missing: (C,) share of the values that are missing.
    """

    mean: Double
    sd: Double
    missing: Double

    def shift(self, train: "ChannelStatistics") -> Double:
        """Give the difference of the means in sd of train, infinite where train is constant elsewhere."""
        difference = self.mean - train.mean
        same = np.abs(difference) <= CONSTANT * np.abs(train.mean)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(same, 0.0, difference / train.sd)


@dataclass(frozen=True)
class NumberStatistics:
    """Statistics of one number of a target in one split; NaN where none is labelled."""

    labelled: int
    mean: float
    sd: float
    least: float
    median: float
    most: float


def describe_channels(instances: Instances, splits: dict[str, IntArray]) -> dict[str, ChannelStatistics]:
    """Give the statistics of the input by split; windows are never held, nor are overlapping rows counted twice."""
    return {name: _channels(instances, splits[name]) for name in SPLITS}


def describe_classes(target: ClassTarget, splits: dict[str, IntArray]) -> dict[str, npt.NDArray[np.int64]]:
    """Count the instances of each class (K,) by split; the others have no label."""
    k = len(target.names)
    return {name: np.bincount(target.ids[rows][target.labelled[rows]], minlength=k) for name, rows in splits.items()}


def describe_numbers(target: NumberTarget, splits: dict[str, IntArray]) -> dict[str, list[NumberStatistics]]:
    """Give the statistics of each of D numbers by split."""
    size = target.values.shape[1]
    return {name: [_numbers(target.values[rows, d]) for d in range(size)] for name, rows in splits.items()}


def _channels(instances: Instances, rows: IntArray) -> ChannelStatistics:
    x, lengths = instances.x, instances.lengths
    if isinstance(x, Windows):
        runs = x.rows_read(rows, horizon=False)
        steps = int((runs[:, 1] - runs[:, 0]).sum())
    elif lengths is not None:
        steps = int(lengths[rows].sum())
    else:
        steps = len(rows) * (x.shape[2] if x.ndim == 3 else 1)
    count, mean, sd = _moments(valid_blocks(x, lengths, rows), x.shape[1])
    return ChannelStatistics(mean, sd, 1 - count / max(1, steps))


def _moments(blocks: Iterable[Double], c: int) -> tuple[Double, Double, Double]:
    """Give number, mean and sd (C,) of blocks (n, C, T), NaN left out, in one pass (Chan et al. 1983)."""
    count, mean, squares = np.zeros(c), np.zeros(c), np.zeros(c)
    for values in blocks:
        n = (~np.isnan(values)).sum(axis=(0, 2))
        own = np.nansum(values, axis=(0, 2)) / np.maximum(n, 1)
        difference, total = own - mean, np.maximum(count + n, 1)
        squares += np.nansum((values - own[:, None]) ** 2, axis=(0, 2)) + difference**2 * count * n / total
        mean += difference * n / total
        count += n
    sd = np.sqrt(squares / np.maximum(count, 1))
    sd[sd <= CONSTANT * np.abs(mean)] = 0
    return count, np.where(count > 0, mean, np.nan), np.where(count > 0, sd, np.nan)


def _numbers(values: npt.NDArray[np.float32]) -> NumberStatistics:
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return NumberStatistics(0, *[float("nan")] * 5)
    found = (known.mean(), known.std(), known.min(), np.median(known), known.max())
    return NumberStatistics(len(known), *(float(value) for value in found))
