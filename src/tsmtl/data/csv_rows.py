"""Whole rows of a CSV file, some MiB at a time."""

import codecs
import csv
import io
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from tsmtl.config.errors import UserError, first_line

READ = 2**22  # bytes at a time
LONGEST_ROW = 2**26  # bytes; a quote that is never closed makes one row of the rest of the file


class CsvRows:
    """A CSV file with a header, commas between cells, and UTF-8 text.

    Args:
        path: The file.

    Attributes:
        where: The file, for messages.
        columns: Names of the columns.

    Raises:
        UserError: If there is no header.
    """

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        chunks = self._chunks()
        header = next(chunks, b"")
        chunks.close()
        try:
            self.columns = [name.strip() for name in next(csv.reader([header.decode("utf-8")]), [])]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path}: not a readable text file ({error})") from error
        if not any(self.columns):
            raise UserError(f"{path}: empty; the first row must name the columns")

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Give consecutive rows as columns of text, with the number of the first row; the header is row 1.

        Raises:
            UserError: With the row, if it has not one cell per column; if there is no row, or the file is no text.
        """
        row = 2
        schema = {str(place): pl.String for place in range(len(self.columns))}
        for chunk in islice(self._chunks(), 1, None):
            if chunk.count(b'"') % 2:
                self._check_cells(chunk, row, open_quote=True)
            try:
                frame = pl.read_csv(chunk, has_header=False, schema=schema)
            except pl.exceptions.PolarsError as error:
                self._check_cells(chunk, row)
                raise UserError(f"{self.where}: cannot be read behind row {row - 1} ({first_line(error)})") from error
            if chunk.count(b",") != len(frame) * (len(schema) - 1):  # polars fills a short row up with empty cells
                self._check_cells(chunk, row)
            yield row, frame
            row += len(frame)
        if row == 2:
            raise UserError(f"{self.where}: no row behind the header")

    def _check_cells(self, chunk: bytes, row: int, open_quote: bool = False) -> None:
        """Find the first row with more or fewer cells than the header, or the one whose quote takes all behind it."""
        try:
            rows = list(csv.reader(io.StringIO(chunk.decode("utf-8"), newline="")))
            if open_quote:
                raise UserError(f"{self.where}: row {row + len(rows) - 1}: a quote is never closed")
            for number, cells in enumerate(rows, row):
                if len(cells) != len(self.columns) and (cells or len(self.columns) > 1):
                    raise UserError(
                        f"{self.where}: row {number} has {len(cells)} cells, the header {len(self.columns)}; "
                        "was the file cut off?"
                    )
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{self.where}: not a readable text file ({error})") from error

    def _chunks(self) -> Generator[bytes]:
        """Give whole rows; the header comes first and alone, blank lines at the end are left out."""
        rest, has_header = b"", False
        try:
            with self._path.open("rb") as file:
                while content := file.read(READ):
                    rest += content
                    if not has_header and (end := _first_row_end(rest)):
                        yield rest[:end].removeprefix(codecs.BOM_UTF8)
                        rest, has_header = rest[end:], True
                    if has_header and (end := _last_row_end(rest)):
                        yield rest[:end]
                        rest = rest[end:]
                    if len(rest) > LONGEST_ROW:
                        raise UserError(f"{self.where}: a row of more than {LONGEST_ROW >> 20} MiB; is a quote open?")
        except OSError as error:
            raise UserError(f"{self.where}: cannot be read ({error.strerror})") from error
        if rest := rest.rstrip(b"\r\n"):
            yield rest if has_header else rest.removeprefix(codecs.BOM_UTF8)


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
