"""Moments, quantiles, slope and spectral bands of each channel."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import FloatArray
from tsmtl.representation.method import Representation, TrainSeries

Double = npt.NDArray[np.float64]


class Summary(Representation):
    """Named statistics of each channel by itself; nothing is learnt but the channels' names.

    Of the values there are mean, sd, skewness and excess kurtosis, least and greatest value, quantiles, the slope of
    the regression line (per step), the autocorrelation at a lag of one step, the mean absolute difference of
    neighbours, and the share of missing values; of the spectrum (of the series less its mean, missing values 0) the
    share of each band in its power. A statistic that is not defined, such as the skewness of a constant, is 0; of a
    channel without any value, all are 0 but the share of missing values.

    Args:
        quantiles: Which quantiles, in [0, 1].
        bands: Bands of equal width from 0 to half the sampling rate.
    """

    takes_gaps: ClassVar[bool] = True
    of_gaps: ClassVar[str] = "left out, and their share is a feature"

    def __init__(self, quantiles: list[float], bands: int) -> None:
        self.quantiles, self.bands = quantiles, bands
        self._channels: list[str] = []

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Take the channels' names."""
        self._channels = train.channels

    @property
    def names(self) -> list[str]:
        """The channel and the statistic."""
        each = ["mean", "sd", "skewness", "kurtosis", "min", "max", *(f"q{q:g}" for q in self.quantiles)]
        each += ["slope", "lag1", "step", "missing", *(f"band{b + 1}" for b in range(self.bands))]
        return [f"{channel} {name}" for channel in self._channels for name in each]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the statistics (N, C * S) of series (N, C, T)."""
        values = x.astype(np.float64)
        there = ~np.isnan(values)  # (N, C, T)
        count = there.sum(axis=2)
        n = np.maximum(count, 1)
        kept = np.where(there, values, 0.0)
        mean = kept.sum(axis=2) / n  # (N, C)
        centred = np.where(there, values - mean[:, :, None], 0.0)
        variance = (centred**2).sum(axis=2) / n
        variance[variance <= (1e-7 * np.abs(mean)) ** 2] = 0  # of a constant in single precision: rounding
        centred[variance == 0] = 0.0
        sd = np.sqrt(variance)
        moments = [_ratio((centred**p).sum(axis=2) / n, sd**p) for p in (3, 4)]
        moments[1] = np.where(variance > 0, moments[1] - 3, 0.0)
        parts = [mean, sd, *moments]
        parts += [np.where(there, values, fill).max(axis=2) * sign for values, fill, sign in _ends(values)]
        parts += list(_quantiles(values, count, self.quantiles))
        parts += [_slope(centred, there), _lag(centred, there, variance, n), _step(values, there)]
        parts += [1 - there.mean(axis=2), *_bands(centred, self.bands)]
        found = np.stack(parts, axis=2)  # (N, C, S)
        share = len(parts) - self.bands - 1
        empty = count == 0
        found[empty] = 0.0
        found[empty, share] = 1.0
        return found.reshape(len(x), -1).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Give the channels' names."""
        return {"channels": self._channels}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the channels' names."""
        self._channels = state["channels"]


def _ends(values: Double) -> list[tuple[Double, float, float]]:
    """Give what the least and the greatest value are the greatest of."""
    return [(-values, -np.inf, -1.0), (values, -np.inf, 1.0)]


def _ratio(a: Double, b: Double) -> Double:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def _quantiles(values: Double, count: npt.NDArray[np.integer], wanted: list[float]) -> list[Double]:
    """Interpolate quantiles of the known values, as :func:`numpy.nanquantile` does, which goes series by series."""
    ordered = np.sort(values, axis=2)  # NaN last
    found = []
    for q in wanted:
        place = q * np.maximum(count - 1, 0)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        a, b = (np.take_along_axis(ordered, at[:, :, None], axis=2)[:, :, 0] for at in (low, high))
        found.append(a + (b - a) * (place - low))
    return found


def _slope(centred: Double, there: npt.NDArray[np.bool_]) -> Double:
    """Give the slope of the regression line on the known steps."""
    steps = np.arange(centred.shape[2], dtype=np.float64)
    n = np.maximum(there.sum(axis=2), 1)
    middle = (there * steps).sum(axis=2) / n
    away = np.where(there, steps - middle[:, :, None], 0.0)
    return _ratio((centred * away).sum(axis=2), (away**2).sum(axis=2))


def _lag(centred: Double, there: npt.NDArray[np.bool_], variance: Double, n: npt.NDArray[np.integer]) -> Double:
    """Give the autocorrelation of neighbours that are both known."""
    both = there[:, :, 1:] & there[:, :, :-1]
    return _ratio((centred[:, :, 1:] * centred[:, :, :-1] * both).sum(axis=2) / n, variance)


def _step(values: Double, there: npt.NDArray[np.bool_]) -> Double:
    """Give the mean absolute difference of neighbours that are both known."""
    both = there[:, :, 1:] & there[:, :, :-1]
    differences = np.where(both, np.abs(values[:, :, 1:] - values[:, :, :-1]), 0.0)
    return np.asarray(differences.sum(axis=2) / np.maximum(both.sum(axis=2), 1))


def _bands(centred: Double, bands: int) -> list[Double]:
    """Give the share of each band in the power, that of frequency 0 left out."""
    if not bands:
        return []
    steps = centred.shape[2]
    power = np.abs(np.fft.rfft(centred, axis=2)[:, :, 1:]) ** 2  # (N, C, T // 2)
    band = np.minimum(2 * bands * np.arange(1, steps // 2 + 1) // steps, bands - 1)  # of the frequencies k / T
    total = power.sum(axis=2)
    return [_ratio(power[:, :, band == b].sum(axis=2), total) for b in range(bands)]
