"""Turn the columns of a file into targets: class ids with names, numbers (N, D)."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.instances import ClassTarget, LabelTarget, NumberTarget
from tsmtl.data.single import as_single

MISSING = -1
_BEYOND = 2**63  # where the whole numbers of 64 bits with a sign end
TRUTHS = {**dict.fromkeys(("True", "true", "TRUE"), 1), **dict.fromkeys(("False", "false", "FALSE"), 0)}  # as text
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def class_target(
    key: str, values: npt.NDArray[Any], where: str, names: list[str] | None = None, first_row: int = 0
) -> ClassTarget:
    """Number the classes of a column.

    Args:
        key: Name of the column.
        values: (N,) texts or whole numbers; an empty text, -1 or NaN is a missing class.
        where: The file, for messages.
        names: Names of the ids 0 ... K - 1; without them a class is named by its own text or number.
        first_row: Number of the first row, for messages.

    Raises:
        UserError: If the values are no classes, or the names do not reach the ids or are given twice.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise UserError(f"{where}: '{key}' must have one class per instance, shape (N,) (got {values.shape})")
    if values.dtype.kind == "U":
        missing = np.char.strip(values) == ""
    elif values.dtype.kind in "bui":
        beyond = np.flatnonzero(values >= _BEYOND) if values.dtype == np.uint64 else np.empty(0, dtype=np.int64)
        if beyond.size:
            raise UserError(
                f"{where}: '{key}' row {first_row + beyond[0]} is {values[beyond[0]]}, beyond the whole numbers of 64 "
                "bits with a sign; save such classes as texts"
            )
        values = values.astype(np.int64)
        missing = values == MISSING
    elif values.dtype.kind == "f":
        missing = np.isnan(values) | (values == MISSING)
        odd = np.flatnonzero(~missing & ((values != np.round(values)) | (np.abs(values.astype(np.float64)) >= _BEYOND)))
        if odd.size:
            raise UserError(
                f"{where}: '{key}' row {first_row + odd[0]} is {values[odd[0]]:g}, no class; classes are texts or "
                f"whole numbers. For a number set data.regression_target={key}"
            )
        values = np.where(missing, MISSING, values).astype(np.int64)
    else:
        raise UserError(f"{where}: '{key}' has type {values.dtype}; classes are texts or whole numbers")

    if names is not None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{where}: two classes of '{key}' are named {twice!r}; give each a name of its own")
    if names is not None and values.dtype.kind != "U":
        beyond = np.flatnonzero(~missing & ((values < 0) | (values >= len(names))))
        if beyond.size:
            raise UserError(
                f"{where}: '{key}' row {first_row + beyond[0]} is {values[beyond[0]]}, but there are {len(names)} "
                f"class names for the ids 0 ... {len(names) - 1}"
            )
        ids = np.where(missing, MISSING, values).astype(np.int64)
        return ClassTarget(key, ids, names)
    known = np.unique(values[~missing])
    ids = np.where(missing, MISSING, np.searchsorted(known, values)).astype(np.int64)
    return ClassTarget(key, ids, [str(v) for v in known])


def class_word(text: str) -> str:
    """Give a class that is written as a number its one form: 2.0 is 2, true is 1; 01 and all else stay."""
    if text in TRUTHS:
        return str(TRUTHS[text])
    whole = text.rstrip("0").removesuffix(".") if "." in text else text
    return whole if is_whole(whole) else text


def is_whole(text: str) -> bool:
    """Say whether a text is a whole number as it is written out: not 01, and not beyond 64 bits."""
    return _WHOLE.fullmatch(text) is not None


def check_names_have_ids(values: npt.NDArray[Any], named_by: str, key: str, where: str) -> None:
    """Refuse names for classes that are texts, and so have names already.

    Args:
        values: The classes.
        named_by: The setting that gives the names.
        key: Name of the column.
        where: The file, for messages.

    Raises:
        UserError: If they do.
    """
    if values.dtype.kind == "U":
        raise UserError(f"{where}: '{key}' holds texts, which name the classes themselves; leave out {named_by}")


def number_target(
    key: str, values: npt.NDArray[Any], where: str, unit: str | None = None, first_row: int = 0
) -> NumberTarget:
    """Take a column, or several, as numbers.

    Args:
        key: Name of the column.
        values: (N,) or (N, D) numbers; NaN is a missing number.
        where: The file, for messages.
        unit: Unit for tables and pictures.
        first_row: Number of the first row, for messages.

    Raises:
        UserError: If the values are no numbers or not finite.
    """
    if values.dtype.kind not in "buif":
        raise UserError(
            f"{where}: '{key}' has type {values.dtype}, no numbers; for classes set data.class_target={key}"
        )
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise UserError(f"{where}: '{key}' must have shape (N,) or (N, D) (got {values.shape})")
    single = as_single(values, f"{where}: '{key}'")
    infinite = np.argwhere(np.isinf(single))
    if infinite.size:
        row, column = infinite[0]
        raise UserError(
            f"{where}: '{key}' row {first_row + row}, column {column} is infinite in single precision; a missing "
            "number is NaN"
        )
    return NumberTarget(key, single, unit)


def label_target(
    key: str, values: npt.NDArray[Any], where: str, names: Sequence[str], first_row: int = 0
) -> LabelTarget:
    """Take a column, or several, as labels, any of which may be true.

    Args:
        key: Name of the target.
        values: (N,) or (N, L) of 0 and 1; NaN or -1 is a label that is not known.
        where: The file, for messages.
        names: Names of the L labels.
        first_row: Number of the first row, for messages.

    Raises:
        UserError: If the values are neither, or not as many as the names.
    """
    if values.dtype.kind not in "buif":
        raise UserError(f"{where}: '{key}' has type {values.dtype}; labels are 0 and 1, NaN or -1 where not known")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise UserError(f"{where}: '{key}' must have shape (N,) or (N, L) (got {values.shape})")
    if values.shape[1] != len(names):
        said = ", ".join(names[:10])
        raise UserError(f"{where}: '{key}' has {values.shape[1]} labels, and {len(names)} are named ({said})")
    known = values.astype(np.float32)
    known[known == MISSING] = np.nan
    odd = np.argwhere((known != 0) & (known != 1) & ~np.isnan(known))
    if odd.size:
        row, column = odd[0]
        raise UserError(
            f"{where}: '{key}' row {first_row + row}, label {names[column]} is {values[row, column]:g}; a label is 0 "
            "or 1, NaN or -1 where not known"
        )
    return LabelTarget(key, known, list(names))


def names_of_labels(keys: Sequence[str], names: Sequence[str] | None, size: int) -> list[str]:
    """Name L labels: as the user does, by their own arrays or columns, or by number.

    Args:
        keys: Arrays or columns.
        names: What the user calls them, or None.
        size: L.
    """
    if names is not None:
        return list(names)
    return list(keys) if len(keys) == size else [f"{keys[0]}_{i + 1}" for i in range(size)]
