"""Arrays of numbers, made of whatever a caller has."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError, first_line

NUMBERS = "buif"  # kinds of NumPy types: others would be parsed, counted in days, or lose a part


def numbers_of(given: Any, where: str) -> npt.NDArray[Any]:
    """Give an array, tensor or table, or nested lists of them or of numbers, as one array.

    Args:
        given: What the caller has; values that a masked array hides become NaN.
        where: What it is called in messages.

    Raises:
        UserError: If it holds something else than numbers, or parts of different shapes.
    """
    array = given if type(given) is np.ndarray else _converted(given, where)
    if array.dtype.kind not in NUMBERS:
        raise UserError(f"{where}: must hold numbers (got type {array.dtype})")
    return array


def _converted(given: Any, where: str) -> npt.NDArray[Any]:
    try:
        if isinstance(given, list | tuple) and any(_is_array(part) for part in given):
            return np.stack([numbers_of(part, where) for part in given])
        if hasattr(given, "detach"):  # a tensor, perhaps sparse, on a GPU, with a gradient, or of a type of its own
            dense = given.to_dense()
            return np.asarray((dense.float() if dense.is_floating_point() else dense).numpy(force=True))
        if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given) and given.dtype.kind in NUMBERS:
            return np.asarray(np.ma.filled(given.astype(np.float64), np.nan))
        return np.asarray(given)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{where}: is no array of numbers ({first_line(error)})") from error


def _is_array(part: Any) -> bool:
    return isinstance(part, list | tuple) or hasattr(part, "__array__")
