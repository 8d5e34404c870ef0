"""Numbers in single precision, which models compute in: what would be lost is refused."""

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
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
    if values.size and (values.dtype.itemsize > 4 or values.dtype.kind in "ui"):
        axes = (0, *range(2, values.ndim))
        low = np.fmin.reduce(values, axis=axes).astype(np.float64)
        high = np.fmax.reduce(values, axis=axes).astype(np.float64)
        largest = np.fmax(np.abs(low), np.abs(high))
        whole = values.dtype.kind in "ui"
        for channel in np.flatnonzero((low < high) & (largest < np.finfo(np.float32).max)):  # others are refused later
            step = float(np.spacing(np.float32(largest[channel])))
            if high[channel] - low[channel] < LEVELS * step and not (whole and largest[channel] <= EXACT):
                raise UserError(
                    f"{where} column {channel}: lies between {low[channel]:.9g} and {high[channel]:.9g}, and single "
                    f"precision has steps of {step:.3g} there; subtract an offset from it first"
                )
    return single
