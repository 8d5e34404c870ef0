"""The class column of a table: words, or a number that bounds divide."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import TableSettings
from tsmtl.data.instances import FloatArray
from tsmtl.data.recording import ROWS, Codes, Recording
from tsmtl.data.targets import MISSING, check_names_have_ids, class_target, is_whole
from tsmtl.data.window_targets import binned, classes_of_windows, numbers_of_windows
from tsmtl.data.windows import Windows

OF_NUMBERS = ("max", "mean", "change")  # ways to reduce that need numbers


@dataclass(frozen=True)
class ClassColumn:
    """A class per row, and how windows get theirs.

    Attributes:
        key: Name of the column.
        names: K class names.
        how: The setting ``class_reduce``.
        codes: (R,) ids, -1 missing; None where a number is reduced first.
        numbers: (R,) numbers that are reduced and then divided; None where classes are reduced.
        bounds: Bounds of the bins of the number.
    """

    key: str
    names: list[str]
    how: str
    codes: Codes | None
    numbers: FloatArray | None
    bounds: list[float]

    def of_rows(self) -> npt.NDArray[np.signedinteger]:
        """Give a class per row, to balance splits by."""
        if self.codes is not None:
            return self.codes
        assert self.numbers is not None
        return binned(self.numbers, self.bounds)

    def of_windows(self, windows: Windows) -> npt.NDArray[np.signedinteger]:
        """Give a class per window (N,), in as few bytes as the number of classes allows."""
        if self.codes is not None:
            ids = classes_of_windows(self.codes, windows, self.how, len(self.names))
        else:
            assert self.numbers is not None
            ids = binned(numbers_of_windows(self.numbers, windows, self.how), self.bounds)
        return ids.astype(np.min_scalar_type(-len(self.names) - 1))


def number_column_needed(settings: TableSettings) -> bool:
    """Say whether the class column is read as numbers."""
    return settings.class_bins is not None or settings.class_reduce in OF_NUMBERS


def class_column(settings: TableSettings, task: str, recording: Recording, shared: bool) -> ClassColumn:
    """Make the class column of a task.

    Args:
        settings: How windows get their class.
        task: Its name.
        recording: The rows; the codes of the column's words turn into class ids in place, unless it is shared.
        shared: Whether others read the column's words after this.

    Raises:
        UserError: If the column holds no classes.
    """
    place, how = settings.place_of(task), settings.class_reduce
    key = place.said
    if settings.class_bins is not None:
        bounds = settings.class_bins
        names = settings.class_bin_names or _names_of_bins(bounds)
        numbers = recording.numbers[key]
        if how == "mode":
            return ClassColumn(key, names, how, binned(numbers, bounds).astype(np.int16), None, bounds)
        return ClassColumn(key, names, how, None, numbers, bounds)
    if number_column_needed(settings):  # the largest class id
        numbers = recording.numbers[key]
        target = class_target(key, np.unique(numbers[~np.isnan(numbers)]), recording.where)
        levels = [float(name) for name in target.names]
        return ClassColumn(key, target.names, how, None, np.where(numbers == MISSING, np.nan, numbers), levels[1:])
    words = recording.words[key]
    if not words:
        raise UserError(f"{recording.where}: column '{key}' is empty; task {task} needs it")
    whole = _whole_numbers(words)
    said = None if place.names is None else list(place.names)
    values = np.array(words) if whole is None else whole
    if said is not None:
        check_names_have_ids(values, place.setting.removesuffix("target") + "names", key, recording.where)
    target = class_target(key, values, recording.where, said)
    ids = np.append(target.ids, -1).astype(np.int16)  # the last one is that of -1, an empty cell
    codes = recording.codes[key]
    if shared or key == settings.split_key:  # which reads the words itself
        codes = codes.copy()
    for at in range(0, len(codes), ROWS):
        codes[at : at + ROWS] = ids[codes[at : at + ROWS]]
    return ClassColumn(key, target.names, how, codes, None, [])


def _whole_numbers(words: list[str]) -> npt.NDArray[Any] | None:
    """Give words as whole numbers, so that class 10 comes after class 9; None where one is a text, 01 or 1_2 say.

    Numbers with a fraction among them come as they are, for :func:`class_target` to refuse.
    """
    numbers = pl.Series(words, dtype=pl.String).cast(pl.Float64, strict=False)
    if numbers.null_count():
        return None
    values = numbers.to_numpy()
    missing = np.isnan(values)
    if (missing | np.isfinite(values) & (values == np.round(values))).all():
        if not all(is_whole(word) for word, none in zip(words, missing, strict=True) if not none):
            return None
        values = np.array([MISSING if none else int(word) for word, none in zip(words, missing, strict=True)])
    return values


def _names_of_bins(bounds: list[float]) -> list[str]:
    between = [f"{a:g} to {b:g}" for a, b in pairwise(bounds)]
    return [f"below {bounds[0]:g}", *between, f"from {bounds[-1]:g}"]
