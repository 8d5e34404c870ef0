"""Whole rows of a CSV file, some MiB at a time."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from tsmtl.config.errors import UserError, first_line

READ = 2**22  # bytes at a time
LONGEST_ROW = 2**26  # bytes; a quote that is never closed makes one row of the rest of the file
WHITESPACE = "whitespace"  # as separator: any run of blanks and tabs
COMMAS = "are its cells separated by commas?"
_GZIP = b"\x1f\x8b"
_LONE_RETURN = re.compile(rb"\r(?![\r\n])")  # \r\r\n, a line break that was translated twice, is one line break


class CsvRows:
    """A CSV file, plain or gzipped, of UTF-8 text.

    Args:
        path: The file.
        separator: One character between cells, or ``whitespace``.
        names: Names of the columns of a file without a header.
        hint: What a message asks where a row looks as if another separator stood in it.

    Attributes:
        where: The file, for messages.
        columns: Names of the columns.

    Raises:
        UserError: If there is no header.
    """

    def __init__(self, path: Path, separator: str = ",", names: list[str] | None = None, hint: str = COMMAS) -> None:
        self.where, self._hint = str(path), hint
        self._path = path
        self._blanks = separator == WHITESPACE
        self._separator = "," if self._blanks else separator
        self._has_header = names is None
        if names is not None:
            self.columns = names
            return
        chunks = self._chunks()
        header = next(chunks, b"")
        chunks.close()
        self._check_line_breaks(header, 1)
        try:
            self.columns = [name.strip() for name in next(self._cells(header), [])]
        except (UnicodeDecodeError, csv.Error) as error:
            raise self._no_text(error) from error
        if not any(self.columns):
            raise UserError(f"{path}: empty; the first row must name the columns")

    def count_lines(self) -> int:
        """Count the lines of the file: at least as many as it has rows."""
        lines = 1
        try:
            with self._open() as file:
                while content := file.read(READ):
                    lines += content.count(b"\n")
        except (EOFError, zlib.error, OSError):
            return lines  # what is wrong is said where the rows are read
        return lines

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Give consecutive rows as columns of text, named 0, 1, ..., with the number of the first; a header is row 1.

        Raises:
            UserError: With the row, if it has not one cell per column or ends in a carriage return alone; if there is
                no row, or the file is no text.
        """
        schema = {str(place): pl.String for place in range(len(self.columns))}
        row = self._first_row
        for chunk in self._rows():
            self._check_line_breaks(chunk, row)
            if chunk.count(b'"') % 2:
                self._check_cells(chunk, row, open_quote=True)
            try:
                frame = pl.read_csv(chunk, has_header=False, schema=schema, separator=self._separator)
            except pl.exceptions.PolarsError as error:
                self._check_cells(chunk, row)
                raise UserError(f"{self.where}: cannot be read behind row {row - 1} ({first_line(error)})") from error
            separators = chunk.count(self._separator.encode())
            if b'"' in chunk:
                separators -= _within_cells(frame, self._separator)
            if separators != len(frame) * (len(schema) - 1):  # polars fills a short row up with empty cells
                self._check_cells(chunk, row)
            yield row, frame
            row += len(frame)
        self._check_any(row)

    def cells(self) -> Iterator[tuple[int, pl.Series]]:
        """Give the cells of consecutive rows, those of one row after those of the row before, with its number.

        As :meth:`frames`, but blanks around a cell are left out and an empty one is null; the time does not hang on the
        number of columns.
        """
        row, separator = self._first_row, self._separator
        for chunk in self._rows():
            self._check_line_breaks(chunk, row)
            if b'"' in chunk:
                self._check_cells(chunk, row, open_quote=chunk.count(b'"') % 2 == 1)
                found = pl.Series([cell for cells in self._cells(chunk) for cell in cells or [""]], dtype=pl.String)
            else:
                text = chunk.replace(b"\r\n", b"\n").removesuffix(b"\n")
                try:
                    whole = text.decode().replace("\n", separator)
                except UnicodeDecodeError as error:
                    raise self._no_text(error) from error
                if _cells_per_row(text, separator.encode()) != {len(self.columns)}:
                    self._check_cells(chunk, row)
                found = pl.Series([whole], dtype=pl.String).str.split(separator).explode()
            found = found.str.strip_chars()
            yield row, found.set(found == "", None)
            row += len(found) // len(self.columns)
        self._check_any(row)

    @property
    def _first_row(self) -> int:
        return 2 if self._has_header else 1

    def _rows(self) -> Iterator[bytes]:
        """Give whole rows without the header."""
        chunks = self._chunks()
        if self._has_header:
            next(chunks, None)
        return filter(None, chunks)

    def _check_any(self, row: int) -> None:
        if row == self._first_row:
            raise UserError(f"{self.where}: no row behind the header" if self._has_header else f"{self.where}: empty")

    def _no_text(self, error: Exception) -> UserError:
        return UserError(f"{self.where}: not a readable text file; is it UTF-8? ({error})")

    def _check_cells(self, chunk: bytes, row: int, open_quote: bool = False) -> None:
        """Find the first row with more or fewer cells than columns, or the one whose quote takes all behind it."""
        try:
            rows = list(self._cells(chunk))
            if open_quote:
                raise UserError(f"{self.where}: row {row + len(rows) - 1}: a quote is never closed")
            for number, cells in enumerate(rows, row):
                if len(cells) != len(self.columns) and (cells or len(self.columns) > 1):
                    wanted = f"the header {len(self.columns)}"
                    if not self._has_header:
                        wanted = f"there are {len(self.columns)} names for them"
                    why = "was the file cut off?" if 1 < len(cells) < len(self.columns) else self._hint
                    raise UserError(f"{self.where}: row {number} has {len(cells)} cells, {wanted}; {why}")
        except (UnicodeDecodeError, csv.Error) as error:
            raise self._no_text(error) from error

    def _check_line_breaks(self, rows: bytes, row: int) -> None:
        """Refuse a carriage return alone behind a row; between quotes it is part of a cell."""
        if not _LONE_RETURN.search(rows):
            return
        for part in rows.split(b'"')[::2]:
            if found := _LONE_RETURN.search(part):
                row += part.count(b"\n", 0, found.start())
                raise UserError(
                    f"{self.where}: row {row} ends in a carriage return alone; save the file with the line breaks of "
                    "Unix or Windows (LF or CRLF); within a cell, one needs quotes around the cell"
                )
            row += part.count(b"\n")

    def _cells(self, text: bytes) -> Iterator[list[str]]:
        return csv.reader(io.StringIO(text.decode("utf-8"), newline=""), delimiter=self._separator)

    def _chunks(self) -> Generator[bytes]:
        """Give whole rows; the header comes first and alone, blank lines at the end are left out."""
        rest, past_header = b"", not self._has_header
        begins = True
        try:
            with self._open() as file:
                while content := file.read(READ):
                    rest += content
                    if begins:
                        rest, begins = rest.removeprefix(codecs.BOM_UTF8), False
                    if not past_header and (end := _first_row_end(rest)):
                        yield self._separated(rest[:end])
                        rest, past_header = rest[end:], True
                    if past_header and (end := _last_row_end(rest)):
                        yield self._separated(rest[:end])
                        rest = rest[end:]
                    if len(rest) > LONGEST_ROW:
                        why = "is a quote open?" if b"\n" in rest else "are its line breaks those of Unix or Windows?"
                        raise UserError(f"{self.where}: a row of more than {LONGEST_ROW >> 20} MiB; {why}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{self.where}: the gzip file is damaged or cut off ({first_line(error)})") from error
        except OSError as error:
            raise UserError(f"{self.where}: cannot be read ({error.strerror})") from error
        if rest := rest.rstrip(b"\r\n"):
            yield self._separated(rest)

    def _open(self) -> IO[bytes]:
        with self._path.open("rb") as file:
            packed = file.read(2) == _GZIP
        return gzip.open(self._path) if packed else self._path.open("rb")  # type: ignore[return-value]

    def _separated(self, rows: bytes) -> bytes:
        """Put one separator where blanks separate."""
        if not self._blanks:
            return rows
        return re.sub(rb"[ \t]+", b",", re.sub(rb"(?m)^[ \t]+|[ \t]+\r?$", b"", rows)).rstrip(b"\r\n")


def _cells_per_row(rows: bytes, separator: bytes) -> set[int]:
    """Give the numbers of cells that rows without quotes have."""
    text = np.frombuffer(rows, dtype=np.uint8)
    ends = np.append(np.flatnonzero(text == ord("\n")), len(text))
    before = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
    return set((np.diff(before, prepend=0) + 1).tolist())


def _within_cells(frame: pl.DataFrame, separator: str) -> int:
    """Count separators that are part of a cell's text."""
    counts = frame.select(pl.all().str.count_matches(separator, literal=True).sum())
    return int(sum(counts.row(0)))


def _first_row_end(text: bytes) -> int:
    """Give the end of the first row, 0 if it is not there: a line break between quotes ends none."""
    end = text.find(b"\n") + 1
    while end and text.count(b'"', 0, end) % 2:
        end = text.find(b"\n", end) + 1
    return end


def _last_row_end(text: bytes) -> int:
    """Give the end of the last row that is there whole, blank lines behind it left; 0 if there is none."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        before = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', before, end)
        end = before
    filled = len(text[:end].rstrip(b"\r\n"))
    return text.index(b"\n", filled) + 1 if filled else 0
