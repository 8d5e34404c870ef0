"""A table as arrays: rows in the order of entity and time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.durations import duration, shown_time
from tsmtl.data.instances import FloatArray, IntArray

Codes = npt.NDArray[np.int16]
ROWS = 2**20  # worked on at a time


@dataclass
class Recording:
    """Rows of one or more entities, R in all, those of an entity together and in the order of time.

    Attributes:
        where: The files, for messages.
        values: (R, C) float32 input, NaN where a value is missing.
        channels: C names.
        entities: Names of the entities, in the order of their rows.
        bounds: (entities + 1,) row where each begins, and R.
        times: (R,) float64 numbers or int64 microseconds since 1970; None where rows stand in the order of time.
        dates: Whether the times are dates.
        aware: Whether these have time zones.
        numbers: (R,) float32 of other columns by name.
        codes: (R,) int16 of other columns by name: places in ``words``, -1 where a cell is empty.
        words: By name the texts that the codes stand for.
        finer: Times that were finer than a microsecond, and are cut to it.
        first_test: Entities from this one on come from separate test files; None without such.
        notes: What the user should know, a line each.
    """

    where: str
    values: FloatArray
    channels: list[str]
    entities: list[str]
    bounds: IntArray
    times: npt.NDArray[Any] | None
    dates: bool
    aware: bool
    numbers: dict[str, FloatArray] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    finer: int = 0
    first_test: int | None = None
    notes: list[str] = field(default_factory=list)

    def place(self, row: int) -> str:
        """Name a row by entity and time."""
        entity = int(np.searchsorted(self.bounds, row, side="right")) - 1
        said = f"entity '{self.entities[entity]}'" if len(self.entities) > 1 else ""
        when = f"row {row - int(self.bounds[entity])}"
        if self.times is not None:
            when = f"time {shown_time(float(self.times[row]), self.dates)}"
        return ", ".join(part for part in (said, when) if part)

    def entity_runs(self) -> list[tuple[int, int]]:
        """Give first row and end of each entity."""
        return [(int(a), int(b)) for a, b in pairwise(self.bounds)]


def in_order(recording: Recording, runs: list[tuple[int, int]], duplicates: str) -> None:
    """Bring the rows into the order of entity and time, in place.

    Args:
        recording: As read.
        runs: Entity and number of consecutive rows of one entity, as read; the entities by their place.
        duplicates: ``error``, or which of the rows with the same entity and time stays: ``first`` or ``last``.

    Raises:
        UserError: For rows with the same entity and time, if they are an error.
    """
    entities, lengths = (np.array(column, dtype=np.int64) for column in zip(*runs, strict=True))
    if not (np.diff(entities) >= 0).all():
        _take(recording, np.argsort(np.repeat(entities, lengths), kind="stable"))
    _set_bounds(recording, np.bincount(entities, weights=lengths, minlength=len(recording.entities)))
    if recording.times is not None and (back := _steps_back(recording)):
        entity_of = np.repeat(np.arange(len(recording.entities)), np.diff(recording.bounds))
        _take(recording, np.lexsort((recording.times, entity_of)))  # stable
        recording.notes.append(f"rows were not in the order of time ({back} steps back); sorted by entity and time")
    if recording.times is not None:
        _one_row_each(recording, duplicates)


def _set_bounds(recording: Recording, counts: npt.NDArray[Any]) -> None:
    recording.bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def steps_of(recording: Recording) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Give the time from each row to the next, block by block, with the first row of the block."""
    times = recording.times
    if times is not None:
        for at in range(0, len(times) - 1, ROWS):
            yield at, np.diff(times[at : at + ROWS + 1])


def _steps_back(recording: Recording) -> int:
    """Count the rows that are earlier than the one before them of the same entity."""
    rows = [at + np.flatnonzero(steps < 0) + 1 for at, steps in steps_of(recording) if (steps < 0).any()]
    return len(np.setdiff1d(np.concatenate(rows), recording.bounds)) if rows else 0


def _one_row_each(recording: Recording, duplicates: str) -> None:
    rows = [at + np.flatnonzero(steps == 0) + 1 for at, steps in steps_of(recording) if (steps == 0).any()]
    again = np.setdiff1d(np.concatenate(rows), recording.bounds) if rows else np.empty(0, dtype=np.int64)
    number = len(again)  # rows with the same entity and time as the row before
    if not number:
        return
    if duplicates == "error":
        place = recording.place(int(again[0]))
        mend = (
            "name the column that tells them apart with data.entity, or keep one with data.duplicates=first (or last)"
        )
        if recording.finer:
            mend = (
                f"{recording.finer} times are finer than a microsecond and cut to it; give them as numbers, or {mend}"
            )
        raise UserError(
            f"{recording.where}: {number} rows repeat entity and time of another, the first: {place}; {mend}"
        )
    drop = again if duplicates == "first" else again - 1
    of = np.bincount(np.searchsorted(recording.bounds, drop, side="right") - 1, minlength=len(recording.entities))
    counts = np.diff(recording.bounds) - of
    _take(recording, np.delete(np.arange(len(recording.values)), drop))
    _set_bounds(recording, counts)
    recording.notes.append(f"{number} rows repeated entity and time of another; the {duplicates} of them is kept")


def _take(recording: Recording, order: IntArray) -> None:
    """Keep some rows in a given order, a column at a time, so that no second array of the input is needed."""
    for c in range(recording.values.shape[1]):
        recording.values[: len(order), c] = recording.values[order, c]
    recording.values = recording.values[: len(order)]
    if recording.times is not None:
        recording.times = recording.times[order]
    for columns in (recording.numbers, recording.codes):
        for name in columns:
            columns[name] = columns[name][order]  # type: ignore[assignment]


def cuts_at_gaps(recording: Recording, max_gap: float | str | None) -> IntArray:
    """Find the rows before which a recording is cut, as the pause before them is too long.

    Args:
        recording: In order.
        max_gap: The setting ``data.max_gap``.

    Raises:
        UserError: If there is a largest gap, but no time.
    """
    if max_gap is None:
        return np.empty(0, dtype=np.int64)
    if recording.times is None:
        raise UserError("data.max_gap: needs the column of times, data.time")
    longest = duration(max_gap, "data.max_gap", recording.dates)
    pauses = [at + np.flatnonzero(steps > longest) + 1 for at, steps in steps_of(recording)]
    cuts = np.setdiff1d(np.concatenate(pauses), recording.bounds) if pauses else np.empty(0, dtype=np.int64)
    if cuts.size:
        recording.notes.append(f"{cuts.size} pauses longer than {max_gap} (data.max_gap): the recordings are cut there")
    return cuts.astype(np.int64)
