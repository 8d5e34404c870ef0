"""Cells of a table as numbers, times and codes; what cannot be read is refused with row and column."""

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError, first_line
from tsmtl.data.instances import FloatArray
from tsmtl.data.targets import TRUTHS

EXACT = 2**53  # whole numbers up to here are exact in double precision
MOST_WORDS = 10_000  # different words in a column of classes
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_ISO = r"^\d{4}-\d{2}-\d{2}"
_YEAR_FIRST = r"^\d{4}-"
_FINER = r"\.\d{6}\d*[1-9]"  # than a microsecond
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"


@dataclass(frozen=True)
class Place:
    """Where a block of rows stands: the file, and the number of its first row."""

    where: str
    row: int

    def of(self, offset: int, column: str) -> str:
        """Name a cell."""
        return f"{self.where}: row {self.row + offset}, column '{column}'"

    def no_number(self, offset: int, column: str, text: str) -> UserError:
        """Give the error of a cell that must hold a number."""
        comma = _DECIMAL_COMMA.fullmatch(text.strip()) is not None
        hint = "its decimals must stand behind a point" if comma else "a missing value is an empty cell"
        return UserError(f"{self.of(offset, column)}: {text[:40]!r} is not a number; {hint}")


def is_numeric(column: pl.Series) -> bool:
    """Say whether a column holds numbers: by its type, or of text by what most of its cells hold."""
    if column.dtype == pl.String:
        filled = len(column) - column.null_count()
        return 2 * (len(column) - column.cast(pl.Float64, strict=False).null_count()) > filled
    return column.dtype.is_numeric() or column.dtype == pl.Boolean


def numbers(frame: pl.DataFrame, place: Place) -> FloatArray:
    """Give columns as numbers (n, C), NaN where a cell is empty.

    Raises:
        UserError: At text, and at what is infinite in single precision.
    """
    out = np.empty((len(frame), frame.width), dtype=np.float32)
    for c, column in enumerate(frame):
        out[:, c] = number(column, place)
    return out


def number(column: pl.Series, place: Place) -> npt.NDArray[np.float64]:
    """Give a column as numbers (n,) in double precision, NaN where a cell is empty.

    Raises:
        UserError: As :func:`numbers`.
    """
    found = as_float(column, place)
    with np.errstate(over="ignore"):
        infinite = np.isinf(found.astype(np.float32))
    if infinite.any():
        at = place.of(int(np.argmax(infinite)), column.name)
        raise UserError(f"{at} is infinite in single precision; a missing value is empty")
    return found


def as_float(column: pl.Series, place: Place) -> npt.NDArray[np.float64]:
    """Give a column as numbers (n,), NaN where a cell is empty.

    Raises:
        UserError: At text.
    """
    if column.dtype == pl.String:
        cast = numbers_of_texts(column)
        if cast.null_count() > column.null_count():
            at = int((cast.is_null() & column.is_not_null()).arg_max() or 0)
            raise place.no_number(at, column.name, column[at])
        column = cast
    elif not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise UserError(f"{place.where}: column '{column.name}' holds {column.dtype}, no numbers")
    filled = column.cast(pl.Float64).fill_null(float("nan"))
    return filled.to_numpy()


def numbers_of_texts(column: pl.Series) -> pl.Series:
    """Give texts as numbers, true and false as 1 and 0; null where a cell holds neither."""
    found = column.cast(pl.Float64, strict=False)
    if found.null_count() == column.null_count():
        return found
    old, new = pl.Series(list(TRUTHS), dtype=pl.String), pl.Series(list(TRUTHS.values()), dtype=pl.Float64)
    return found.fill_null(column.replace_strict(old, new, default=None, return_dtype=pl.Float64))


@dataclass
class Times:
    """Reads a column of times, the same way in every block.

    Attributes:
        name: The column.
        format: Of times that are not ISO 8601, or None.
        dates: Whether it holds dates; None before the first block.
        aware: Whether these have time zones; None before the first block.
        finer: How many are finer than a microsecond; they are cut to it.
        texts: Whether any came as text, to which alone ``format`` applies.
    """

    name: str
    format: str | None
    dates: bool | None = None
    aware: bool | None = None
    finer: int = 0
    texts: bool = False

    def read(self, column: pl.Series, place: Place) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        """Give times (n,): numbers as float64, dates as int64 microseconds since 1970, with zones in UTC.

        Raises:
            UserError: At an empty cell, a time that cannot be read, and where time zones are mixed.
        """
        if column.null_count():
            raise UserError(
                f"{place.of(int(column.is_null().arg_max() or 0), self.name)} is empty; every row needs a time"
            )
        self.texts |= column.dtype == pl.String
        if column.dtype == pl.String:
            if self.format is None and not (self.dates or bool(column.str.contains(_ISO)[0])):
                return self._numbers(column, place)
            self.finer += int(column.str.contains(_FINER).sum())
            column = self._parsed(column, place)
        elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_unit == "ns":
            self.finer += int((column.dt.nanosecond() % 1000 > 0).sum())
        if column.dtype == pl.Date:
            column = column.cast(pl.Datetime("us"))
        if not isinstance(column.dtype, pl.Datetime):
            return self._numbers(column, place)
        self._same(True, place)
        self._same_zone(column.dtype.time_zone is not None, place)
        return column.dt.epoch("us").to_numpy()

    def _numbers(self, column: pl.Series, place: Place) -> npt.NDArray[np.float64]:
        self._same(False, place)
        if column.dtype == pl.String and column.cast(pl.Float64, strict=False).null_count():
            at = int(column.cast(pl.Float64, strict=False).is_null().arg_max() or 0)
            raise UserError(
                f"{place.of(at, self.name)}: {column[at][:40]!r} is no number as in the rows before; dates and numbers "
                "are mixed"
                if at
                else f"{place.of(at, self.name)}: {column[at][:40]!r} is neither a number nor a date such as "
                "2024-05-31 12:00:00; for other dates set data.time_format"
            )
        found = as_float(column, place)
        if not np.isfinite(found).all():
            at = int(np.argmin(np.isfinite(found)))
            raise UserError(f"{place.of(at, self.name)} is no finite time")
        if (np.abs(found) > EXACT).any():
            at = int(np.argmax(np.abs(found) > EXACT))
            raise UserError(
                f"{place.of(at, self.name)}: {column[at]} is beyond 2^53, where double precision loses the last "
                "digits; give times in larger units, or as dates"
            )
        return found

    def _parsed(self, column: pl.Series, place: Place) -> pl.Series:
        zoned = column.str.contains(_ZONE) & column.str.contains(":") if self.format is None else None
        if zoned is not None:
            if zoned.any() != zoned.all():
                at = int((zoned != zoned[0]).arg_max() or 0)
                raise UserError(
                    f"{place.of(at, self.name)}: {column[at]!r}: times with and without a time zone are mixed"
                )
            self._same_zone(bool(zoned.all()), place)
        try:
            if self.format is not None:
                parsed = column.str.to_datetime(self.format, strict=False, time_unit="us")
            else:
                zone = "UTC" if self.aware else None
                parsed = column.str.to_datetime(strict=False, time_unit="us", time_zone=zone)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{place.of(0, self.name)}: {column[0]!r} is no date ({first_line(error)})") from error
        wrong = parsed.is_null()
        if self.format is None:  # of 05/06/2024 alone polars would take the first number for the day
            wrong |= ~column.str.contains(_YEAR_FIRST)
        if wrong.any():
            at = int(wrong.arg_max() or 0)
            form = self.format or "a date such as 2024-05-31 12:00:00"
            raise UserError(f"{place.of(at, self.name)}: {column[at][:40]!r} is not {form}")
        return parsed

    def _same(self, dates: bool, place: Place) -> None:
        if self.dates is not None and self.dates != dates:
            here, before = ("date", "numbers") if dates else ("number", "dates")
            raise UserError(f"{place.of(0, self.name)} is a {here}, and the rows before hold {before}")
        self.dates = dates

    def _same_zone(self, aware: bool, place: Place) -> None:
        if self.aware is not None and self.aware != aware:
            raise UserError(
                f"{place.of(0, self.name)}: times with and without a time zone are mixed, here and in rows before"
            )
        self.aware = aware


@dataclass
class Words:
    """Numbers the different texts of a column; -1 where a cell is empty.

    Attributes:
        name: The column.
        most: Most different words.
        words: Words by their number.
    """

    name: str
    most: int | None = MOST_WORDS
    words: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def read(self, column: pl.Series, place: Place) -> npt.NDArray[np.int32]:
        """Give numbers (n,) of words.

        Raises:
            UserError: If there are too many different ones for a column of classes, or the column has no texts.
        """
        try:
            texts = column.cast(pl.String).str.replace(r"^(-?\d+)\.0+$", "$1")  # 2.0 is 2, in numbers and as text
        except pl.exceptions.PolarsError as error:  # lists, durations, bytes that are no UTF-8
            said = f"column '{self.name}' holds {column.dtype}, neither texts nor numbers"
            raise UserError(f"{place.where}: {said}") from error
        if column.dtype.is_float():  # class 2 may be stored as 2.0
            column = column.fill_nan(None)
            whole = (column.round() == column) & column.is_finite()
            texts = column.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, column.cast(pl.String))
        new = texts.unique(maintain_order=True).drop_nulls().to_list()
        for word in new:
            if word not in self._places:
                self._places[word] = len(self.words)
                self.words.append(word)
        if self.most is not None and len(self.words) > self.most:
            raise UserError(
                f"{place.where}: column '{self.name}' has more than {self.most} different values; is it a number?"
            )
        numbers = pl.Series([self._places[word] for word in new], dtype=pl.Int32)
        if not len(new):
            return np.full(len(texts), -1, dtype=np.int32)
        coded = texts.replace_strict(pl.Series(new, dtype=pl.String), numbers, default=None, return_dtype=pl.Int32)
        return coded.fill_null(-1).to_numpy()
