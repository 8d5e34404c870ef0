"""One target per window, from the rows of the window or of the horizon behind it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray
from tsmtl.data.windows import Windows

Codes = npt.NDArray[np.signedinteger]


def numbers_of_windows(column: FloatArray, windows: Windows, how: str) -> FloatArray:
    """Reduce a column of numbers (R,) to one per window (N,), NaN where there is none.

    Args:
        column: A number per row, NaN where it is missing.
        windows: The windows.
        how: ``last``, ``first``, ``mean``, ``max``, ``min``, or ``change``: the last of the horizon minus that at the
            window's end.
    """
    out = np.empty(len(windows), dtype=np.float32)
    for rows in _blocks(windows, how):
        first, length = windows.target_rows(rows)
        last = first + length - 1 if windows.horizon else _ends(windows, rows)
        if how == "last":
            out[rows] = column[last]
        elif how == "first":
            out[rows] = column[first]
        elif how == "change":
            out[rows] = column[last] - column[_ends(windows, rows)]
        else:
            out[rows] = _reduced(_gathered(column, windows, rows), how)
    return out


def classes_of_windows(codes: Codes, windows: Windows, how: str, n_classes: int) -> Codes:
    """Reduce a column of class ids (R,) to one per window (N,), -1 where there is none.

    Args:
        codes: A class id per row, -1 where it is missing.
        windows: The windows.
        how: ``last``, ``first`` or ``mode`` (the most frequent one, of several the lowest id).
        n_classes: K.
    """
    out = np.empty(len(windows), dtype=np.int32)
    for rows in _blocks(windows, how, n_classes):
        first, length = windows.target_rows(rows)
        if how == "last":
            out[rows] = codes[first + length - 1 if windows.horizon else _ends(windows, rows)]
        elif how == "first":
            out[rows] = codes[first]
        else:
            found = _gathered(codes, windows, rows)
            counts = np.stack([(found == k).sum(axis=1) for k in range(n_classes)], axis=1)  # (n, K)
            out[rows] = np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
    return out


def labels_of_windows(column: FloatArray, windows: Windows, how: str) -> FloatArray:
    """Reduce a label (R,), 0 or 1, to one per window (N,), NaN where no row of it is known.

    Args:
        column: The label of each row, NaN where it is not known.
        windows: The windows.
        how: ``last``, ``first``, ``max`` (true of any row) or ``mode`` (true of more than half of the rows).
    """
    if how != "mode":
        return numbers_of_windows(column, windows, how)
    share = numbers_of_windows(column, windows, "mean")
    return np.where(np.isnan(share), np.nan, share > 0.5).astype(np.float32)


def _reduced(values: npt.NDArray[Any], how: str) -> npt.NDArray[Any]:
    """Reduce (n, rows) to (n,), NaN left out."""
    if how != "mean":
        return np.asarray((np.fmax if how == "max" else np.fmin).reduce(values, axis=1))
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=1, dtype=np.float64)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.nan)


def _ends(windows: Windows, rows: IntArray) -> IntArray:
    """Give the last row of each window."""
    return windows.first_rows(rows)[0] + windows.window - 1


def _gathered(column: npt.NDArray[Any], windows: Windows, rows: IntArray) -> npt.NDArray[Any]:
    """Give the values (n, rows) that a target comes from; a repeated first row counts once."""
    if windows.horizon:
        first, length = windows.target_rows(rows)
        return np.asarray(column[first[:, None] + np.arange(length)])
    first, floor = windows.first_rows(rows)
    steps = first[:, None] + np.arange(windows.window)
    found = column[np.maximum(steps, floor[:, None])]
    before = steps < floor[:, None]
    if before.any():
        found[before] = np.nan if found.dtype.kind == "f" else -1
    return np.asarray(found)


def _blocks(windows: Windows, how: str, n_classes: int = 1) -> list[IntArray]:
    wide = how not in ("last", "first", "change")
    size = max(1, BLOCK_VALUES // 16 // (max(n_classes, windows.horizon or windows.window) if wide else 1))
    return [np.arange(at, min(at + size, len(windows))) for at in range(0, len(windows), size)]


def binned(values: FloatArray, bounds: list[float]) -> Codes:
    """Number the bins of values, NaN as -1; a bound belongs to the bin above it."""
    places = np.searchsorted(np.array(bounds, dtype=values.dtype), values, side="right")  # 0.7 is 0.7 in one precision
    return np.where(np.isnan(values), -1, places).astype(np.int32)
