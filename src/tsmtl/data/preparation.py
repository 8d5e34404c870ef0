"""What is done to inputs and numbers before a model sees them, fitted on the train split alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray, Rows, blocks
from tsmtl.data.windows import Windows

Double = npt.NDArray[np.float64]
PER_STEP = "standard_per_step"
IN_CACHE = 2**15  # values worked on at a time: in double precision they and their results lie in the cache of a core


@dataclass(frozen=True)
class InputPreparation:
    """Take logarithms, fill missing values, scale each channel, ``(x - shift) / scale``, and cut what is wild.

    Attributes:
        method: ``none``, ``standard`` (mean 0, sd 1 on train), ``standard_per_step`` (the same for each time step by
            itself; a step without any value in train is scaled like its channel), ``minmax`` ([0, 1] on train) or
            ``per_instance`` (mean 0, sd 1 over the valid steps of each series and channel).
        missing: ``interpolate`` (linear in time between valid steps, the nearest one beyond the ends), ``mean`` (the
            train mean) or ``error``; vectors, and channels missing for a whole series, get the train mean.
        mean: (C,) train mean, of logarithms where they are taken; so are ``shift`` and ``scale``.
        shift: (C,) subtracted, or (C, T) of ``standard_per_step``.
        scale: (C,) or (C, T) divided by; 1 where what it scales is constant.
        limit: Scaled values beyond ``[-limit, limit]`` are cut to it; None: none is. The statistics know of no limit.
        signed_log: Where a value turns from linear to logarithmic, in its own units: ``sign(x) * log(1 + |x| / this)``
            stands for ``x`` before all else; None: ``x`` stays.
    """

    method: str
    missing: str
    mean: Double
    shift: Double
    scale: Double
    limit: float | None = None
    signed_log: float | None = None

    @classmethod
    def fit(
        cls,
        x: Rows,
        lengths: IntArray | None,
        rows: IntArray,
        method: str,
        missing: str,
        limit: float | None = None,
        signed_log: float | None = None,
    ) -> "InputPreparation":
        """Learn the statistics from the train rows.

        Args:
            x: (N, C, T) series or (N, E) vectors.
            lengths: (N,) valid steps, or None.
            rows: The train rows.
            method: Kind of scaling.
            missing: What becomes of missing values.
            limit: Where scaled values are cut.
            signed_log: Where values turn logarithmic.
        """
        c = x.shape[1]

        def valid_values() -> Iterator[Double]:
            return (logarithms(values, signed_log) for values in valid_blocks(x, lengths, rows))

        count, total = np.zeros(c), np.zeros(c)
        low, high = np.full(c, np.inf), np.full(c, -np.inf)
        for values in valid_values():
            count += (~np.isnan(values)).sum(axis=(0, 2))
            total += np.nansum(values, axis=(0, 2))
            low = np.fmin(low, np.fmin.reduce(values, axis=(0, 2)))
            high = np.fmax(high, np.fmax.reduce(values, axis=(0, 2)))
        mean = total / np.maximum(count, 1)
        squares = np.zeros(c)
        for values in valid_values():  # a second pass: no cancellation at large means
            squares += np.nansum((values - mean[:, None]) ** 2, axis=(0, 2))
        sd = np.sqrt(squares / np.maximum(count, 1))
        shift, scale = np.zeros(c), np.ones(c)
        if method == "standard":
            shift, scale = mean, sd
        elif method == PER_STEP:
            shift, scale = _by_step(x, lengths, rows, mean, sd, signed_log)
        elif method == "minmax":
            shift, scale = low, high - low
        scale = np.where(scale > 1e-12 * np.maximum(np.abs(shift), 1e-300), scale, 1.0)
        return cls(method, missing, mean, shift, scale, limit, signed_log)

    @property
    def by_channel(self) -> bool:
        """Whether scaling is one factor and shift per channel, wherever and in whichever series a value stands."""
        return self.method in ("none", "standard", "minmax")

    def scale_in_place(self, values: FloatArray) -> None:
        """Scale the rows (R, C) of a recording without missing values."""
        size = max(1, BLOCK_VALUES // values.shape[1])
        for at in range(0, len(values), size):
            rows = values[at : at + size]
            exact = logarithms(rows.astype(np.float64), self.signed_log)
            rows[:] = self._cut((exact - self.shift) / self.scale)

    @property
    def seq_len(self) -> int | None:
        """T of ``standard_per_step``, which knows no other length; None where any will do."""
        return self.shift.shape[1] if self.method == PER_STEP else None

    def over_steps(self, values: Double) -> Double:
        """Give ``shift`` or ``scale`` as (C, T) or (C, 1), beside series (N, C, T)."""
        return values if values.ndim == 2 else values[:, None]

    def apply(self, x: FloatArray, lengths: IntArray | None = None, out: FloatArray | None = None) -> FloatArray:
        """Prepare series (N, C, T) or vectors (N, E); padding becomes 0.

        Args:
            x: The instances; they stay as they are.
            lengths: (N,) valid steps, or None.
            out: Room for the result, of the same shape; None: a new array.
        """
        out = np.empty_like(x, dtype=np.float32) if out is None else out
        for rows in _cached_blocks(x):
            out[rows] = self._apply_block(x[rows], None if lengths is None else lengths[rows])
        return out

    def apply_in_place(self, x: FloatArray, lengths: IntArray | None = None) -> None:
        """Prepare series or vectors as :meth:`apply` does, in the room that they have."""
        for rows in _cached_blocks(x):
            x[rows] = self._apply_block(x[rows], None if lengths is None else lengths[rows])

    def _apply_block(self, x: FloatArray, lengths: IntArray | None) -> Double:
        vectors = x.ndim == 2
        values = x.astype(np.float64)[:, :, None] if vectors else x.astype(np.float64)  # (n, C, T)
        values = logarithms(values, self.signed_log)
        steps = values.shape[2]
        inside = None if lengths is None else np.arange(steps) < lengths[:, None, None]  # (n, 1, T)
        gaps = np.isnan(values) if inside is None else np.isnan(values) & inside
        if gaps.any():
            self._fill(values, gaps, lengths, interpolate=self.missing == "interpolate" and not vectors)
        if self.method == "per_instance":
            weight = np.ones_like(values) if inside is None else np.broadcast_to(inside, values.shape).astype(float)
            kept = np.where(weight > 0, values, 0.0)
            count = weight.sum(axis=2, keepdims=True)
            mean = kept.sum(axis=2, keepdims=True) / count
            sd = np.sqrt((weight * (kept - mean) ** 2).sum(axis=2, keepdims=True) / count)
            values = (kept - mean) / np.where(sd > 1e-12 * np.maximum(np.abs(mean), 1e-300), sd, 1.0)
        else:
            values -= self.over_steps(self.shift)
            values /= self.over_steps(self.scale)
        values = self._cut(values)
        if inside is not None:
            values = np.where(inside, values, 0.0)
        return values[:, :, 0] if vectors else values

    def _cut(self, values: Double) -> Double:
        return values if self.limit is None else values.clip(-self.limit, self.limit)

    def _fill(self, values: Double, gaps: npt.NDArray[np.bool_], lengths: IntArray | None, interpolate: bool) -> None:
        for row, channel in np.argwhere(gaps.any(axis=2)):
            series, gap = values[row, channel], gaps[row, channel]
            steps = len(series) if lengths is None else int(lengths[row])
            known = np.flatnonzero(~gap[:steps])
            if interpolate and known.size:
                series[gap] = np.interp(np.flatnonzero(gap), known, series[known])
            else:
                series[gap] = self.mean[channel]

    def state(self) -> dict[str, Any]:
        """Give plain values for a checkpoint."""
        lists = {name: getattr(self, name).tolist() for name in ("mean", "shift", "scale")}
        one_each = {name: getattr(self, name) for name in ("method", "missing", "limit", "signed_log")}
        return one_each | lists

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "InputPreparation":
        """Make the preparation that :meth:`state` described."""
        mean, shift, scale = (np.array(state[name], dtype=np.float64) for name in ("mean", "shift", "scale"))
        later = (state.get(name) for name in ("limit", "signed_log"))  # older states have none
        return cls(state["method"], state["missing"], mean, shift, scale, *later)


def _cached_blocks(x: FloatArray) -> Iterator[slice]:
    size = max(1, IN_CACHE // max(1, math.prod(x.shape[1:])))
    return (slice(at, at + size) for at in range(0, len(x), size))


def logarithms(values: Double, signed_log: float | None) -> Double:
    """Give ``sign(x) * log(1 + |x| / signed_log)``, which is ``x / signed_log`` near 0; the values where it is None."""
    return values if signed_log is None else np.sign(values) * np.log1p(np.abs(values) / signed_log)


def values_of(logarithms: Double, signed_log: float | None) -> Double:
    """Give the values that :func:`logarithms` made these of."""
    return logarithms if signed_log is None else np.sign(logarithms) * np.expm1(np.abs(logarithms)) * signed_log


def _by_step(
    x: Rows, lengths: IntArray | None, rows: IntArray, mean: Double, sd: Double, signed_log: float | None
) -> tuple[Double, Double]:
    """Give mean and sd (C, T) of each time step; those of the channel, (C,), where a step has no value."""
    shape = x.shape[1:]
    count, total, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for block in _instance_blocks(x, lengths, rows):
        values = logarithms(block, signed_log)
        count += (~np.isnan(values)).sum(axis=0)
        total += np.nansum(values, axis=0)
    known = count > 0
    shift = np.where(known, total / np.maximum(count, 1), mean[:, None])
    for block in _instance_blocks(x, lengths, rows):
        squares += np.nansum((logarithms(block, signed_log) - shift) ** 2, axis=0)
    return shift, np.where(known, np.sqrt(squares / np.maximum(count, 1)), sd[:, None])


def valid_blocks(x: Rows, lengths: IntArray | None, rows: IntArray) -> Iterator[Double]:
    """Yield (n, C, T) blocks of the rows in double precision, NaN beyond the lengths; of windows each step once."""
    if isinstance(x, Windows):
        return (block.astype(np.float64) for block in x.value_blocks(rows))
    return _instance_blocks(x, lengths, rows)


def _instance_blocks(x: Rows, lengths: IntArray | None, rows: IntArray) -> Iterator[Double]:
    """Yield (n, C, T) blocks of the rows in double precision, NaN beyond the lengths."""
    for block in blocks(len(rows), x):
        part = rows[block]
        values = x[part].astype(np.float64)
        if values.ndim == 2:
            values = values[:, :, None]
        if lengths is not None:
            values[np.broadcast_to(np.arange(values.shape[2]) >= lengths[part][:, None, None], values.shape)] = np.nan
        yield values
