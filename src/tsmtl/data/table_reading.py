"""From the files of a table to one recording; the input is held once, in single precision."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import TableSettings
from tsmtl.data.recording import Recording, in_order
from tsmtl.data.row_space import RowSpace
from tsmtl.data.single import check_levels
from tsmtl.data.table_cells import Place, Times, Words, is_numeric, number, numbers
from tsmtl.data.table_files import TableFile, no_column, table_files

Frame = tuple[bool, str, Place, pl.DataFrame]  # of a test file, file's name, place of the first row, columns


@dataclass(frozen=True)
class Source:
    """Rows of a table, wherever they come from.

    Attributes:
        where: The files, for messages.
        columns: Names of all columns.
        most_rows: At most that many rows.
        first: Some rows with all columns, to tell what holds numbers.
        frames: Gives the rows of some columns, block by block.
    """

    where: str
    columns: list[str]
    most_rows: int
    first: pl.DataFrame
    frames: Any  # a callable: (list[str]) -> Iterator[Frame]


@dataclass(frozen=True)
class Wanted:
    """Which columns are read beside entity, time and channels.

    Attributes:
        numbers: As numbers.
        words: As codes of texts.
        targets: The targets among them, with the setting that names each.
        differences: The targets of which only differences are learnt; these are taken in double precision.
        learnt: Whether a model is to learn the other targets, so that single precision must tell their values apart.
    """

    numbers: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    learnt: bool = True


def source_of_files(settings: TableSettings) -> Source:
    """Open the files that the settings name.

    Raises:
        UserError: If there are none, or one cannot be read.
    """
    learning = _files(settings, settings.path, "data.path")
    test = [] if settings.test_path is None else _files(settings, settings.test_path, "data.test_path")
    if twice := {file.path.resolve() for file in learning} & {file.path.resolve() for file in test}:
        raise UserError(f"data.test_path: {min(twice)} is among the files of data.path too; test needs rows of its own")
    both = [(False, *named) for named in _named(learning)] + [(True, *named) for named in _named(test)]
    columns = learning[0].columns

    def frames(wanted: list[str]) -> Iterator[Frame]:
        for _, _, file in both:
            file.check(wanted)
        for is_test, name, file in both:
            for row, frame in file.frames(wanted):
                yield is_test, name, Place(str(file.path), row), frame

    first = next(iter(learning[0].frames([name for name in dict.fromkeys(columns) if name])))[1]
    where = str(learning[0].path) if len(learning) == 1 else f"{settings.path} ({len(learning)} files)"
    return Source(where, columns, sum(file.most_rows() for _, _, file in both), first, frames)


def _named(files: list[TableFile]) -> list[tuple[str, TableFile]]:
    """Name the entity that each file is, where no column tells it: by its path, if the file's name is not enough."""
    stems = [file.stem for file in files]
    return [(file.stem if stems.count(file.stem) == 1 else str(file.path), file) for file in files]


def _files(settings: TableSettings, path: str, setting: str) -> list[TableFile]:
    return table_files(path, settings.root, settings.separator, settings.columns, setting)


def read_recording(settings: TableSettings, source: Source, wanted: Wanted) -> Recording:
    """Read the columns that the settings name, in the order of entity and time.

    Args:
        settings: The settings.
        source: Where the rows come from.
        wanted: Further columns.

    Raises:
        UserError: At the first cell that is not what it must be, with file, row and column.
    """
    others = [*wanted.numbers, *wanted.words]
    named = [name for name in (settings.entity, settings.time) if name is not None]
    _check_columns({**_roles(settings), **wanted.targets}, source, [*named, *others])
    channels = channel_names(settings, source, {*others, *named})
    needed = list(dict.fromkeys([*named, *channels, *others]))
    most = source.most_rows
    values = RowSpace(settings.spill_folder).array(most, len(channels))
    runs: list[tuple[int, int]] = []
    number_columns = {name: _NumberColumn(name, most, wanted) for name in dict.fromkeys(wanted.numbers)}
    code_columns = {name: np.empty(most, dtype=np.int16) for name in dict.fromkeys(wanted.words)}
    words = {name: Words(name) for name in code_columns}
    entities, times = (
        _Entities(settings.entity),
        None if settings.time is None else Times(settings.time, settings.time_format),
    )
    when: npt.NDArray[Any] | None = None
    n = 0
    for is_test, file, place, frame in source.frames(needed):
        rows = slice(n, n + len(frame))
        values[rows] = numbers(frame.select(channels), place)
        runs += entities.read(frame, place, is_test, file)
        for name, column in number_columns.items():
            column.read(rows, frame[name], place)
        for name, codes in code_columns.items():
            codes[rows] = words[name].read(frame[name], place)
        if times is not None:
            read = times.read(frame[times.name], place)
            when = np.empty(most, dtype=read.dtype) if when is None else when
            when[rows] = read
        n += len(frame)
    recording = Recording(
        source.where,
        values[:n],
        channels,
        entities.names,
        np.array([0, n]),
        None if when is None else when[:n],
        times is not None and bool(times.dates),
        times is not None and bool(times.aware),
        {name: column.first(n, source.where) for name, column in number_columns.items()},
        {name: codes[:n] for name, codes in code_columns.items()},
        {name: w.words for name, w in words.items()},
        0 if times is None else times.finer,
        entities.first_test,
        _notes(settings, source, channels, wanted),
    )
    if times is not None and times.format is not None and not times.texts:
        recording.notes.append(f"data.time_format is not read: column '{times.name}' holds no text")
    if recording.finer:
        recording.notes.append(f"{recording.finer} times are finer than a microsecond, and cut to it")
    in_order(recording, runs, settings.duplicates)
    return recording


def channel_names(settings: TableSettings, source: Source, taken: set[str]) -> list[str]:
    """Give the columns of the input, in the order of the file.

    Args:
        settings: ``channels`` are names or patterns; None: all columns of numbers that are not taken.
        source: The rows.
        taken: Columns that are no input unless they are named.

    Raises:
        UserError: If a name or pattern finds none, or nothing is left.
    """
    columns = list(dict.fromkeys(source.columns))
    aside = {*taken, *_roles(settings)}
    if settings.channels is None:
        found = [name for name in columns if name and name not in aside and is_numeric(source.first[name])]
        if not found:
            left = [name for name in columns if name and name not in aside]
            hint = f"; no numbers: {_with_cells(source, left)}" if left else ""
            raise UserError(
                f"{source.where}: no column of numbers is left for the input; name them with data.channels{hint}"
            )
        return found
    chosen: list[str] = []
    for pattern in settings.channels:
        matching = [name for name in columns if fnmatchcase(name, pattern) and name not in aside]
        matching = [pattern] if pattern in columns else matching
        if not matching:
            raise _no_column(source, pattern, "data.channels")
        chosen += [name for name in matching if name not in chosen]
    return chosen


def _roles(settings: TableSettings) -> dict[str, str]:
    """Give all columns that the settings give another role than input, with the setting."""
    keys = ("class_target", "regression_target", "split_key", "entity", "time")
    roles = dict.fromkeys(settings.condition or [], "data.condition")
    return roles | {name: f"data.{key}" for key in keys if (name := getattr(settings, key)) is not None}


def _check_columns(roles: dict[str, str], source: Source, needed: list[str]) -> None:
    for name in needed:
        if name not in source.columns:
            raise _no_column(source, name, roles[name])


def _no_column(source: Source, name: str, setting: str) -> UserError:
    return no_column(source.where, source.columns, name, setting, "; is data.separator right?")


def _notes(settings: TableSettings, source: Source, channels: list[str], wanted: Wanted) -> list[str]:
    """Say what of the columns may surprise: those that are not read, and a target that stands in the input."""
    notes = []
    aside = {*_roles(settings), *channels, ""}
    if settings.channels is None and (left := [name for name in source.columns if name not in aside]):
        said = f"{len(left)} columns hold no numbers and are left out of the input"
        notes.append(f"{said}: {_with_cells(source, left)}")
    if settings.horizon == 0 and (seen := [name for name in channels if name in wanted.targets]):
        notes.append(
            f"{', '.join(seen)}: a channel and, with data.horizon=0, the target too; the input holds the answer"
        )
    return notes


def _with_cells(source: Source, names: list[str]) -> str:
    """Name columns, each with one of its cells, which shows why it holds no numbers: 1,5 has a decimal comma."""
    return ", ".join(_with_a_cell(source.first[name]) for name in names[:10]) + (" ..." if len(names) > 10 else "")


def _with_a_cell(column: pl.Series) -> str:
    filled = column.drop_nulls()
    return f"{column.name} ({' '.join(str(filled[0]).split())[:20]!r})" if len(filled) else f"{column.name} (empty)"


class _NumberColumn:
    """Reads a column of numbers beside the input."""

    def __init__(self, name: str, most: int, wanted: Wanted) -> None:
        self.name = name
        self.values: npt.NDArray[np.floating] = np.empty(most, np.float64 if name in wanted.differences else np.float32)
        self.told_apart = wanted.learnt and name in wanted.targets and name not in wanted.differences
        self.extremes: list[npt.NDArray[np.float64]] = []
        self.whole = True

    def read(self, rows: slice, column: pl.Series, place: Place) -> None:
        found = number(column, place)
        self.values[rows] = found
        if self.told_apart and len(known := found[~np.isnan(found)]):
            self.extremes.append(np.array([[known.min()], [known.max()]]))
            self.whole = self.whole and bool((known == np.round(known)).all())

    def first(self, n: int, where: str) -> npt.NDArray[np.floating]:
        """Give the first rows.

        Raises:
            UserError: If single precision cannot tell apart what must be.
        """
        if self.extremes:
            check_levels(self.extremes, np.dtype(np.int64 if self.whole else np.float64), f"{where}:", [self.name])
        return self.values[:n]


class _Entities:
    """Numbers the entities of rows; test files have their own."""

    def __init__(self, column: str | None) -> None:
        self.column = column
        self.names: list[str] = []
        self.first_test: int | None = None
        self._places: dict[tuple[bool, str], int] = {}

    def read(self, frame: pl.DataFrame, place: Place, is_test: bool, file: str) -> list[tuple[int, int]]:
        """Give the entity and number of consecutive rows of one entity."""
        if is_test and self.first_test is None:
            self.first_test = len(self.names)
        if self.column is None:
            return [(self._place(is_test, file), len(frame))]
        words = Words(self.column, None)
        found = words.read(frame[self.column], place)
        if (found < 0).any():
            at = int(np.argmax(found < 0))
            raise UserError(f"{place.of(at, self.column)} is empty; every row needs its entity")
        starts = np.flatnonzero(np.diff(found, prepend=-1))
        lengths = np.diff(starts, append=len(found))
        return [(self._place(is_test, words.words[found[at]]), int(n)) for at, n in zip(starts, lengths, strict=True)]

    def _place(self, is_test: bool, name: str) -> int:
        key = (is_test, name)
        if key not in self._places:
            self._places[key] = len(self.names)
            self.names.append(name)
        return self._places[key]
