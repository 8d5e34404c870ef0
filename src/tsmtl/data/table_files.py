"""The files of a table, and their rows some at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import polars as pl

from tsmtl.config.errors import UserError, first_line
from tsmtl.config.table_settings import PARQUET
from tsmtl.config.words import did_you_mean
from tsmtl.data.csv_rows import COMMAS, CsvRows
from tsmtl.data.files import existing_file
from tsmtl.data.name_order import name_order

TEXTS = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")
ROWS = 2**15  # of a Parquet file at a time, fewer where
VALUES = 2**24  # would be exceeded
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)  # polars panics at damaged pages
ARROW_SCHEMA = "ARROW:schema"  # says of each column what the scan says too
SEPARATORS = {"tab": "\t", "\\t": "\t"}


@dataclass(frozen=True)
class TableFile:
    """One file of a table.

    Attributes:
        path: The file.
        columns: Names of its columns.
        rows: Number of rows where the file says it, else None.
        texts: Its rows, of a text file; None of a Parquet file.
        scan: Its columns, of a Parquet file that is read part by part; else None. It knows where they lie: another scan
            would read that anew of all columns, most of the time and of the memory where there are many.
        metadata: Of such a file, what programs wrote beside its columns.
    """

    path: Path
    columns: list[str]
    rows: int | None
    texts: CsvRows | None
    scan: pl.LazyFrame | None
    metadata: dict[str, str]

    def frames(self, wanted: list[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        """Give consecutive rows of some columns with the number of the first row, the header of a text file being 1.

        Columns of a text file are text, an empty cell is null.

        Raises:
            UserError: If a column is not there, or a row cannot be read.
        """
        self.check(wanted)
        if self.texts is None:
            yield from self._parquet_frames(wanted)
            return
        places = {name: str(place) for place, name in enumerate(self.columns)}
        for row, whole in self.texts.frames():
            yield (
                row,
                whole.select(without_blanks(pl.col(places[name])).alias(name) for name in wanted),
            )

    @property
    def stem(self) -> str:
        """Its name without the ending that tells its kind."""
        name = self.path.name
        endings = [ending for ending in (*TEXTS, *PARQUET) if name.lower().endswith(ending)]
        return name[: -max(map(len, endings))]

    def most_rows(self) -> int:
        """Count its rows; a text file may have a few less."""
        if self.texts is not None:
            return self.texts.count_lines()
        assert self.rows is not None
        return self.rows

    def check(self, wanted: list[str]) -> None:
        """Check that columns are there, once each.

        Raises:
            UserError: With a did-you-mean.
        """
        times = Counter(self.columns)
        for name in wanted:
            if name not in times:
                raise no_column(str(self.path), self.columns, name)
            if times[name] > 1:
                raise UserError(f"{self.path}: has more than one column '{name}'")

    def _parquet_frames(self, wanted: list[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        assert self.rows is not None
        if not self.rows:
            raise UserError(f"{self.path}: has no rows")
        size = max(1, min(ROWS, VALUES // max(1, len(wanted))))
        for start in range(0, self.rows, size):
            try:
                scan = pl.scan_parquet(self.path) if self.scan is None else self.scan
                frame = scan.select(wanted).slice(start, size).collect()
                yield start + 1, frame.with_columns(without_blanks(pl.col(pl.String)))  # as in a text file
            except UNREADABLE as error:
                raise UserError(f"{self.path}: damaged behind row {start} ({first_line(error)})") from error


def without_blanks(texts: pl.Expr) -> pl.Expr:
    """Give texts without the blanks around them; an empty one is null."""
    return texts.str.strip_chars().replace("", None)


def no_column(where: str, columns: list[str], name: str, setting: str = "", alone: str = "") -> UserError:
    """Give the error of a column that is not there.

    Args:
        where: The file.
        columns: Names of its columns.
        name: The one that is missing.
        setting: The setting that names it.
        alone: Hint where the file has one column only, whose header may be cut at another separator.
    """
    have = ", ".join(columns[:20]) + (" ..." if len(columns) > 20 else "")
    said = f" ({setting})" if setting else ""
    hint = alone if alone and len(columns) == 1 else did_you_mean(name, columns)
    return UserError(f"{where}: no column '{name}'{said}; it has {have}{hint}")


def table_files(
    path: str, root: str | None, separator: str, columns: list[str] | None, setting: str
) -> list[TableFile]:
    """Find and open the files that a setting names.

    Args:
        path: A file, a folder or a pattern.
        root: Folder of public data sets, where the path came from there.
        separator: Between cells of text files.
        columns: Names of the columns of text files without a header.
        setting: The setting's name, for messages.

    Raises:
        UserError: If there is none, or one cannot be opened.
    """
    hint = f"are its cells separated by {separator!r} (data.separator)?"
    separator = SEPARATORS.get(separator, separator)
    return [open_table(file, separator, columns, hint) for file in _paths(path, root, setting)]


def _paths(path: str, root: str | None, setting: str) -> list[Path]:
    place = Path(path).expanduser()
    if place.is_dir():
        found = sorted((file for file in place.iterdir() if _known(file) and file.is_file()), key=_order)
        if not found:
            raise UserError(f"{setting}: no {', '.join((*TEXTS[:3], PARQUET[0]))} file in the folder {place}")
        return found
    if has_magic(path) and not place.exists():
        found = sorted((Path(name) for name in glob(str(place)) if Path(name).is_file()), key=_order)
        if not found:
            raise UserError(f"{setting}: no file matches {place}")
    else:
        found = [existing_file(path, root, setting)]
    for file in found:
        if not _known(file):
            raise UserError(f"{setting}: {file} is no table; it must end in {', '.join((*TEXTS, *PARQUET))}")
    return found


def _order(file: Path) -> list[tuple[list[str | int], str]]:
    """Give what sorts files: without a column of times, the rows of a recording stand in the order of its parts."""
    return [name_order(part) for part in file.parts]


def _known(file: Path) -> bool:
    return file.name.lower().endswith((*TEXTS, *PARQUET)) and not file.name.startswith(".")


def open_table(
    file: Path,
    separator: str = ",",
    columns: list[str] | None = None,
    hint: str = COMMAS,
    in_parts: bool = False,
) -> TableFile:
    """Open a file whose ending is known to be that of a table.

    Args:
        file: It is there.
        separator: Between cells of a text file.
        columns: Names of the columns of a text file without a header.
        hint: See :class:`CsvRows`.
        in_parts: Whether a few columns at a time are read, so that what the file says of all is worth keeping; of the
            many files of a folder it is not.

    Raises:
        UserError: If it cannot be read.
    """
    if not file.name.lower().endswith(PARQUET):
        texts = CsvRows(file, separator, columns, hint)
        return TableFile(file, texts.columns, None, texts, None, {})
    try:
        # The scan takes the room that this leaves; the other way round both would be kept.
        said = pl.read_parquet_metadata(file) if in_parts else {}
        scan = pl.scan_parquet(file)
        names = scan.collect_schema().names()
        rows = int(scan.select(pl.len()).collect().item())
    except UNREADABLE as error:
        raise UserError(f"{file}: not a readable Parquet file; was it cut off? ({first_line(error)})") from error
    said.pop(ARROW_SCHEMA, None)
    return TableFile(file, names, rows, None, scan if in_parts else None, said)
