"""What the rows of a recording must be before a model may learn from windows of them."""

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.checks import filled
from tsmtl.data.instances import Instances, IntArray
from tsmtl.data.single import LEVELS
from tsmtl.data.windows import Windows


def check_rows(instances: Instances, windows: Windows, splits: dict[str, IntArray], missing: str) -> list[str]:
    """Check the rows that windows read, each once.

    Args:
        instances: The data set.
        windows: Its input.
        splits: Instances of each split.
        missing: The setting ``data.missing``.

    Returns:
        Notes for the log: missing values and constant channels.

    Raises:
        UserError: For a channel without any value in train, one that single precision cannot tell apart, and for NaN
            where ``missing=error``.
    """
    c = windows.shape[1]
    lost = np.zeros(c, dtype=np.int64)
    low, high = np.full(c, np.inf), np.full(c, -np.inf)
    for name in splits:
        for block in windows.value_blocks(splits[name]):  # (1, C, n)
            lost += np.isnan(block).sum(axis=(0, 2))
            if name == "train":
                low = np.fmin(low, np.fmin.reduce(block, axis=(0, 2)))
                high = np.fmax(high, np.fmax.reduce(block, axis=(0, 2)))
    names = np.array(instances.channels)
    if (never := low > high).any():
        raise UserError(
            f"{instances.where}: no value in the train split for channel {', '.join(names[never][:10])}; leave it out "
            "of data.channels, or mend the file"
        )
    if lost.any() and missing == "error":
        first = int(np.argmax(lost > 0))
        raise UserError(
            f"{instances.where}: {lost.sum()} missing values, {lost[first]} of them in column '{names[first]}' "
            "(data.missing=error)"
        )
    largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float32)
    steps = np.spacing(largest)
    for channel in np.flatnonzero((low < high) & (high - low < LEVELS * steps)):
        raise UserError(
            f"{instances.where}: column '{names[channel]}' lies between {low[channel]:.9g} and {high[channel]:.9g}, "
            f"and single precision has steps of {steps[channel]:.3g} there; subtract an offset from it first"
        )
    notes = []
    if lost.any():
        worst = ", ".join(f"{names[i]} {lost[i]}" for i in np.argsort(-lost)[:5] if lost[i])
        notes.append(f"{lost.sum()} missing input values, {filled(missing)}: {worst}")
    if (constant := low == high).any():
        more = " ..." if constant.sum() > 10 else ""
        said = ", ".join(names[constant][:10]) + more
        notes.append(f"{constant.sum()} constant in the train split and without information: {said}")
    return notes
