"""Series of different lengths in one array: padding behind the shorter ones, and the lengths behind padding."""

import numpy as np

from tsmtl.data.instances import FloatArray, IntArray, Rows, blocks


def pad(series: list[FloatArray]) -> tuple[FloatArray, IntArray | None]:
    """Stack (C, T_i) series as (N, C, T), zeros behind the shorter ones; the lengths where they differ."""
    lengths = np.array([s.shape[1] for s in series], dtype=np.int64)
    if len(set(lengths.tolist())) == 1:
        return np.stack(series), None
    x = np.zeros((len(series), series[0].shape[0], int(lengths.max())), dtype=np.float32)
    for row, values in zip(x, series, strict=True):
        row[:, : values.shape[1]] = values
    return x, lengths


def without_common_padding(x: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray | None]:
    """Cut series (N, C, T) whose lengths (N,) are all the same; they need no lengths then."""
    if lengths.size and (lengths == lengths[0]).all():
        return np.ascontiguousarray(x[:, :, : int(lengths[0])]), None
    return x, lengths


def lengths_of_nan_padding(x: Rows) -> IntArray | None:
    """Find the lengths (N,) of series (N, C, T) that end in steps where every channel is NaN.

    Returns:
        None if no series ends so; 0 for a series without any value.
    """
    steps = x.shape[2]
    lengths = np.full(len(x), steps, dtype=np.int64)
    for rows in blocks(len(x), x):
        there = np.asarray(~np.isnan(x[rows]).all(axis=1))  # (n, T)
        last = steps - np.argmax(there[:, ::-1], axis=1)
        lengths[rows] = np.where(there.any(axis=1), last, 0)
    return None if (lengths == steps).all() else lengths
