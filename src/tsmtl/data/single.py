"""Numbers in single precision, which models compute in: what would be lost is refused."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray

LEVELS = 256  # fewest values that single precision must be able to tell apart between the smallest and the largest
EXACT = 2**24  # whole numbers up to here are exact


def as_single(values: npt.NDArray[np.number], where: str) -> FloatArray:
    """Give numbers as float32; what overflows becomes infinite.

    Args:
        values: (N, C, T) series or (N, D) numbers, in any type.
        where: What they are, for messages.

    Raises:
        UserError: If the values of a channel are so large beside their differences, as Unix times of one hour are,
            that single precision cannot tell them apart.
    """
    if values.size:
        check_levels([values], values.dtype, where)
    return to_single(values)


def to_single(values: npt.NDArray[np.number]) -> FloatArray:
    """Give numbers as float32, whatever is lost."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def check_levels(
    parts: Iterable[npt.NDArray[np.number]], dtype: np.dtype[Any], where: str, names: Sequence[str] | None = None
) -> None:
    """Check that single precision can tell the values of every channel apart.

    Args:
        parts: Numbers (n, C, T) or (n, D), all of them one part after another; not asked for where the type tells.
        dtype: Their type.
        where: What they are, for messages.
        names: Of the channels; their numbers without.

    Raises:
        UserError: As :func:`as_single`.
    """
    whole = dtype.kind in "ui"
    if dtype.kind == "b" or dtype.itemsize <= 2 or (dtype.itemsize == 4 and not whole):
        return
    low, high = np.array(np.inf), np.array(-np.inf)
    for part in parts:
        axes = (0, *range(2, part.ndim))
        low = np.fmin(low, np.fmin.reduce(part, axis=axes).astype(np.float64))
        high = np.fmax(high, np.fmax.reduce(part, axis=axes).astype(np.float64))
    largest = np.fmax(np.abs(low), np.abs(high))
    for channel in np.flatnonzero((low < high) & (largest < np.finfo(np.float32).max)):  # others are refused later
        step = float(np.spacing(np.float32(largest[channel])))
        if high[channel] - low[channel] < LEVELS * step and not (whole and largest[channel] <= EXACT):
            said = channel if names is None else repr(names[channel])
            raise UserError(
                f"{where} column {said}: lies between {low[channel]:.9g} and {high[channel]:.9g}, and single "
                f"precision has steps of {step:.3g} there; subtract an offset from it first"
            )
