"""Tables of one row per instance, CSV or Parquet: many columns as one array of numbers, others as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError, first_line
from tsmtl.data.csv_rows import CsvRows
from tsmtl.data.instances import FloatArray
from tsmtl.data.single import check_levels, to_single
from tsmtl.data.table_cells import Place, as_float, numbers_of_texts
from tsmtl.data.table_files import UNREADABLE, open_table, without_blanks

COLUMN_VALUES = 2**20  # of a Parquet file at a time: polars keeps the room that it took for them
Columns = dict[str, pl.Series]


@dataclass(frozen=True)
class Part:
    """Consecutive rows.

    Attributes:
        row: Number of the first; the header of a text file is row 1.
        x: (n, E) numbers, NaN where a cell is empty.
        columns: Further columns by name; those of a text file are text, null where a cell is empty.
    """

    row: int
    x: npt.NDArray[Any]
    columns: Columns


class InstanceTable:
    """A file with one row per instance.

    Args:
        path: The file; its ending is known.

    Attributes:
        where: The file, for messages.
        columns: Names of its columns.
        is_text: Whether it is a text file, all of whose columns are text.
        start: Where the rows begin.

    Raises:
        UserError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_table(path, in_parts=True)
        self.where, self.columns = str(path), self._file.columns
        self.is_text = self._file.texts is not None
        self.start = Place(self.where, 2 if self.is_text else 1)

    def metadata(self, key: str) -> str | None:
        """Give an entry of the metadata of a Parquet file; None where there is none."""
        return self._file.metadata.get(key)

    def numeric(self) -> list[str]:
        """Name the columns that hold numbers: by their type, or of text by what most of the first cells hold."""
        if self._file.texts is None:
            assert self._file.scan is not None
            schema = self._file.scan.collect_schema()
            return [name for name in self.columns if schema[name].is_numeric() or schema[name] == pl.Boolean]
        _, cells = next(self._file.texts.cells())
        shape = (-1, len(self.columns))
        numbers = numbers_of_texts(cells).is_not_null().to_numpy().reshape(shape).sum(axis=0)
        filled = cells.is_not_null().to_numpy().reshape(shape).sum(axis=0)
        return [name for name, n, of in zip(self.columns, numbers, filled, strict=True) if name and 2 * n > of]

    def parts(self, features: list[str], others: list[str]) -> Iterator[Part]:
        """Read rows, some at a time.

        Args:
            features: E columns of numbers.
            others: Columns to be given as they are.

        Raises:
            UserError: If a column is not there once, or a cell of a feature holds no number.
        """
        self._file.check([*features, *others])
        if self._file.texts is not None:
            yield from self._text_parts(self._file.texts, features, others)
            return
        for row, frame in self._file.frames(list(dict.fromkeys([*features, *others]))):
            x = _numbers(frame.select(features), Place(self.where, row))
            yield Part(row, x, {name: frame[name] for name in others})

    def _text_parts(self, texts: CsvRows, features: list[str], others: list[str]) -> Iterator[Part]:
        width = len(self.columns)
        at = {name: place for place, name in enumerate(self.columns)}
        places = np.array([at[name] for name in features], dtype=np.intp)
        for row, cells in texts.cells():
            numbers = cells.cast(pl.Float64, strict=False)
            wrong = (numbers.is_null() & cells.is_not_null()).to_numpy().reshape(-1, width)[:, places]
            x = numbers.fill_null(float("nan")).to_numpy().reshape(-1, width)[:, places]
            if wrong.any():
                rows, at_feature = np.nonzero(wrong)
                said = cells.gather(rows * width + places[at_feature])
                found = numbers_of_texts(said)
                if found.null_count():
                    first = int(found.is_null().arg_max() or 0)
                    raise Place(self.where, row).no_number(int(rows[first]), features[at_feature[first]], said[first])
                x[rows, at_feature] = found.to_numpy()
            yield Part(row, x, {name: cells.gather_every(width, at[name]).alias(name) for name in others})

    def whole(self, features: list[str], others: list[str]) -> tuple[FloatArray, Columns]:
        """Read all rows: (N, E) in single precision, and the other columns as they are.

        Raises:
            UserError: As :meth:`parts`, at what is infinite in single precision, and at features that it cannot tell.
        """
        if self._file.texts is None:
            return self._whole_parquet(features, others)
        x = np.empty((self._file.most_rows(), len(features)), dtype=np.float32)
        found: list[Columns] = []
        n = 0

        def filling() -> Iterator[npt.NDArray[Any]]:
            nonlocal n
            for part in self.parts(features, others):
                self._fill(x[n : n + len(part.x)], part.x, features, part.row)
                found.append(part.columns)
                n += len(part.x)
                yield part.x

        check_levels(filling(), np.dtype(np.float64), f"{self.where}:", features)
        return x[:n], {name: pl.concat([columns[name] for columns in found]) for name in others}

    def _whole_parquet(self, features: list[str], others: list[str]) -> tuple[FloatArray, Columns]:
        """Read some columns at a time: each lies in one piece in the file, however many rows there are."""
        self._file.check([*features, *others])
        n = self._file.rows
        if not n:
            raise UserError(f"{self.where}: has no rows")
        x = np.empty((n, len(features)), dtype=np.float32)
        size = max(1, COLUMN_VALUES // n)
        for at in range(0, len(features), size):
            names = features[at : at + size]
            part = _numbers(self._read(names), self.start)
            check_levels([part], part.dtype, f"{self.where}:", names)
            self._fill(x[:, at : at + size], part, names, self.start.row)
        frame = self._read(others)
        return x, {name: frame[name] for name in others}

    def _read(self, names: list[str]) -> pl.DataFrame:
        assert self._file.scan is not None
        try:
            return self._file.scan.select(names).collect().with_columns(without_blanks(pl.col(pl.String)))
        except UNREADABLE as error:
            raise UserError(f"{self.where}: damaged ({first_line(error)})") from error

    def _fill(self, out: FloatArray, values: npt.NDArray[Any], names: list[str], row: int) -> None:
        out[:] = to_single(values)
        if np.isinf(out).any():
            offset, feature = (int(i) for i in np.argwhere(np.isinf(out))[0])
            place = Place(self.where, row).of(offset, names[feature])
            raise UserError(f"{place} is infinite in single precision; a missing value is empty")


def _numbers(frame: pl.DataFrame, place: Place) -> npt.NDArray[Any]:
    """Give the columns of a Parquet file as numbers (n, E), NaN where a value is missing."""
    if all(dtype == pl.Float32 for dtype in frame.dtypes):
        return frame.to_numpy()
    if all(dtype.is_numeric() for dtype in frame.dtypes):
        return frame.cast(pl.Float64).to_numpy()
    return np.stack([as_float(column, place) for column in frame], axis=1)
