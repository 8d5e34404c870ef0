"""Columns of a table of one row per instance, as what the settings name them for."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.data.csv_rows import COMMAS
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.named_arrays import NamedArrays
from tsmtl.data.table_cells import Place, as_float, numbers_of_texts
from tsmtl.data.table_files import no_column
from tsmtl.data.targets import MISSING, class_word, is_whole

TEXTS = (pl.String, pl.Categorical, pl.Enum)


class TableArrays(NamedArrays):
    """Columns of a table under the names that settings give them.

    Args:
        table: The file.
        arrays: The arrays that were read, by their name and the setting that names them.
    """

    noun = "a column"

    def __init__(self, table: InstanceTable, arrays: Mapping[tuple[str, str], npt.NDArray[Any]]) -> None:
        super().__init__(table.where, [name for name, _ in arrays])
        self._columns, self._arrays, self.first_row = table.columns, arrays, table.start.row

    def _whole(self, name: str, key: str) -> Any:
        return self._arrays[name, key]

    def family(self, name: str) -> list[str]:
        """Give none: the splits of a table stand in a column."""
        return []

    def lacks(self, name: str, key: str) -> UserError:
        """Give the error of a column that is not there."""
        return no_column(self.where, self._columns, name, key, f"; {COMMAS}")


def columns_of(name: str, columns: list[str], where: str, key: str) -> list[str]:
    """Give the columns that a name stands for: itself, or NAME_1 to NAME_D; none if neither is there.

    Raises:
        UserError: If there are numbered columns, but not 1 to D: those left out would be taken for input.
    """
    if name in columns:
        return [name]
    numbered = re.compile(re.escape(name) + r"_[0-9]+")
    there = {column for column in columns if numbered.fullmatch(column)}
    found = [f"{name}_{d + 1}" for d in range(len(there))]
    if there != set(found):
        said = ",".join(column for column in dict.fromkeys(columns) if column in there)
        raise UserError(
            f"{where}: no column '{name}' ({key}), and those with a number behind it are not {name}_1, {name}_2 and so "
            f"on; say which it is, several as a list: {said}"
        )
    return found


def array_as(kind: str, columns: list[pl.Series], place: Place, text: bool) -> npt.NDArray[Any]:
    """Give a column (n,), or several (n, D), as what they are read for.

    Args:
        kind: ``cls``, ``reg``, ``multilabel``, ``split``, ``group`` or ``instance``.
        columns: The columns.
        place: Where they begin.
        text: Whether the file is of text, so that the cells alone say whether they are numbers.

    Raises:
        UserError: At a cell that is no number among numbers, and at columns of lists and the like.
    """
    if kind == "instance":
        return _beside([names_of(column, place.where) for column in columns])
    if text:
        columns = [_AS[kind](column, place) for column in columns]
    elif kind == "cls":
        columns = [with_missing_ids(column) for column in columns]
    return side_by_side(columns, place.where)


def with_missing_ids(column: pl.Series) -> pl.Series:
    """Give classes of whole numbers as such where some are missing: as doubles those beyond 2^53 would become one."""
    return column.fill_null(MISSING) if column.dtype.is_signed_integer() else column


def names_of(column: pl.Series, where: str) -> npt.NDArray[Any]:
    """Give what instances are called (n,): texts and whole numbers as they stand, all else as text; "" where missing.

    Raises:
        UserError: As :func:`array_of`.
    """
    values = array_of(column, where)
    if values.dtype.kind in "Uiu":
        return values
    return np.where(values != values, "", values.astype(str))  # NaN


def side_by_side(columns: list[pl.Series], where: str) -> npt.NDArray[Any]:
    """Give a column (n,), or several (n, D)."""
    return _beside([array_of(column, where) for column in columns])


def array_of(column: pl.Series, where: str) -> npt.NDArray[Any]:
    """Give a column as an array (n,): texts ("" where one is missing), numbers (NaN) or times.

    Raises:
        UserError: If it holds none of them.
    """
    if column.dtype in (*TEXTS, pl.Time):  # NumPy has no times of the day but as objects
        return np.array(column.cast(pl.String).fill_null("").to_list(), dtype=str)
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    if column.dtype.is_decimal() or column.dtype == pl.Null:
        column = column.cast(pl.Float64)
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        raise UserError(f"{where}: column '{column.name}' holds {column.dtype}, neither texts nor numbers")
    return column.to_numpy()


def _beside(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)


def _classes(column: pl.Series, place: Place) -> pl.Series:
    """Give texts as whole numbers where all are; as numbers where one has a fraction, which is no class; else as texts.

    As they stand texts stay apart (01 and 1), and a trained model knows them again.
    """
    texts = column.drop_nulls().unique()
    numbers = numbers_of_texts(texts)
    if numbers.null_count() or not len(texts):
        return column
    finite = numbers.drop_nans()
    if (finite != finite.round()).any() or finite.is_infinite().any():
        return numbers_of_texts(column)
    words = {text: class_word(text) for text in texts.filter(numbers.is_not_nan())}
    if not all(is_whole(word) for word in words.values()):
        return column
    old = pl.Series(list(words), dtype=pl.String)
    new = pl.Series([int(word) for word in words.values()], dtype=pl.Int64)
    return column.replace_strict(old, new, default=None, return_dtype=pl.Int64).fill_null(MISSING)


def _numbers(column: pl.Series, place: Place) -> pl.Series:
    """Give texts as numbers if most are; a column of texts stays what it is, and is refused as such."""
    filled = len(column) - column.null_count()
    if 2 * (len(column) - numbers_of_texts(column).null_count()) < filled:
        return column
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == column.null_count() else pl.Series(column.name, as_float(column, place))


def _folds(column: pl.Series, place: Place) -> pl.Series:
    """Give texts as numbers if all are: fold 3 may be written 3.0."""
    numbers = column.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column


def _groups(column: pl.Series, place: Place) -> pl.Series:
    """Give texts as whole numbers if all are written so that no two become one: 7, not 07, +7 or 7.0."""
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.cast(pl.String).equals(column, null_equal=True) else column


_AS: dict[str, Callable[[pl.Series, Place], pl.Series]] = {
    "cls": _classes,
    "reg": _numbers,
    "multilabel": _numbers,
    "split": _folds,
    "group": _groups,
}
