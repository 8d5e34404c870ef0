"""Tables in long form as instances: read, split, and only then cut into windows."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import TableSettings
from tsmtl.data.conditions import ConditionColumns
from tsmtl.data.derived import derived_channels
from tsmtl.data.durations import duration
from tsmtl.data.features import RowContext
from tsmtl.data.instances import SPLITS, ClassTarget, Instances, IntArray, LabelTarget, NumberTarget, Target
from tsmtl.data.overlap import split_facts
from tsmtl.data.recording import Recording, cuts_at_gaps
from tsmtl.data.row_space import RowSpace
from tsmtl.data.table_reading import Source, Wanted, read_recording, source_of_files
from tsmtl.data.table_splitting import TEST, Pieces, cut_into_pieces
from tsmtl.data.table_targets import ClassColumn, class_column, number_column_needed
from tsmtl.data.targets import label_target, names_of_labels
from tsmtl.data.window_targets import labels_of_windows, numbers_of_windows
from tsmtl.data.windows import Windows, cut

STRATA = 10  # tenths of a number, where there is no class to stratify entities by


def load_table(settings: TableSettings, tasks: dict[str, str]) -> Instances:
    """Read a table.

    Args:
        settings: Its files, columns, split and windows.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If a file, column or cell is not as the settings say, or a split gets no window.
    """
    return instances_of(settings, tasks, source_of_files(settings))


def instances_of(settings: TableSettings, tasks: dict[str, str], source: Source) -> Instances:
    """Read, split and cut the rows of a source; see :func:`load_table`."""
    recording = read_recording(settings, source, columns_wanted(settings, tasks))
    cuts = cuts_at_gaps(recording, settings.max_gap)
    classes = _class_columns(settings, tasks, recording)
    pieces = cut_into_pieces(recording, settings, cuts, _strata(settings, tasks, recording, classes))
    windows, pieces = windows_of(settings, recording, pieces)
    given = rows_by_split(windows, pieces.split)
    if empty := [name for name in SPLITS if not len(given[name])]:
        sizes = ", ".join(f"{name} {len(rows)}" for name, rows in given.items())
        raise _no_window(recording, settings, f"in the {' and '.join(empty)} split ({sizes})")
    gap = duration(settings.gap, "data.gap", recording.dates)
    targets = list(dict.fromkeys(key for task in tasks for key in settings.place_of(task).keys))
    facts = split_facts(recording, windows, given, pieces.rule, gap, bool(settings.derive), targets)
    return _instances(settings, tasks, recording, windows, pieces, classes, given, facts)


def load_new_rows(settings: TableSettings, tasks: dict[str, str], source: Source) -> Instances:
    """Read rows that a model shall predict: all windows are one split, ``test``.

    Args:
        settings: Those of the training, with the windows that are wanted now.
        tasks: Kind by name of the tasks whose targets are read too.
        source: Where the rows come from.

    Raises:
        UserError: If the rows are not as in training, or too few for a window.
    """
    recording = read_recording(settings, source, replace(columns_wanted(settings, tasks), learnt=False))
    cuts = cuts_at_gaps(recording, settings.max_gap)
    classes = _class_columns(settings, tasks, recording)
    start = np.unique(np.concatenate([recording.bounds[:-1], cuts]))
    entity = np.searchsorted(recording.bounds, start, side="right") - 1
    stop = np.append(start[1:], recording.bounds[-1])
    everything = Pieces(start, stop, entity, np.full(len(start), TEST), "none")
    windows, pieces = windows_of(settings, recording, everything)
    given = {"test": np.arange(len(windows))}
    if not len(windows):
        raise _no_window(recording, settings, "in the file")
    if settings.missing == "error" and (lost := np.flatnonzero(np.isnan(recording.values).any(axis=1))).size:
        place = recording.place(int(lost[0]))
        raise UserError(
            f"{recording.where}: a value is missing ({place}), and the model was trained with data.missing=error"
        )
    return _instances(settings, tasks, recording, windows, pieces, classes, given, {})


def _instances(
    settings: TableSettings,
    tasks: dict[str, str],
    recording: Recording,
    windows: Windows,
    pieces: Pieces,
    classes: dict[str, ClassColumn],
    given: dict[str, IntArray],
    facts: dict[str, Any],
) -> Instances:
    test = given["test"]
    ends = windows.first_rows(test)[0] + windows.window - 1
    places = {"entity": np.array(recording.entities)[pieces.entity[windows.piece_of(test)]]}
    if recording.times is None:
        places["row"] = ends - recording.bounds[pieces.entity[windows.piece_of(test)]]  # from 0, of its entity
    else:
        places["time"] = times_of_rows(recording, ends)
    recording.times = None  # the largest array beside the input
    context = _context(settings, recording, pieces)
    targets: dict[str, Target] = {}
    for task, kind in tasks.items():
        place = settings.place_of(task)
        columns = [recording.numbers[key] for key in place.keys if kind != "cls"]
        if kind == "cls":
            found = classes[task]
            targets[task] = ClassTarget(found.key, found.of_windows(windows), found.names)
        elif kind == "reg":
            values = [numbers_of_windows(column, windows, settings.regression_reduce) for column in columns]
            targets[task] = NumberTarget(place.said, np.stack(values, axis=1), place.unit)
        else:
            names = names_of_labels(place.keys, place.names, len(columns))
            rows = label_target(place.said, np.stack(columns, axis=1), recording.where, names).values
            labels = [labels_of_windows(column, windows, settings.class_reduce) for column in rows.T]
            targets[task] = LabelTarget(place.said, np.stack(labels, axis=1), names)
    return Instances(
        windows,
        targets,
        recording.where,
        recording.channels,
        given=given,
        places=places,
        in_utc=recording.aware,
        facts=facts,
        notes=recording.notes,
        context=context,
    )


def columns_wanted(settings: TableSettings, tasks: dict[str, str]) -> Wanted:
    """Say which columns are read beside entity, time and channels."""
    wanted, reduced = Wanted(), {"cls": settings.class_reduce, "reg": settings.regression_reduce}
    for task, kind in tasks.items():
        place = settings.place_of(task)
        as_words = kind == "cls" and not number_column_needed(settings)
        (wanted.words if as_words else wanted.numbers).extend(place.keys)
        wanted.targets.update(dict.fromkeys(place.keys, place.setting))
        if reduced.get(kind) == "change":
            wanted.differences.extend(place.keys)
    if settings.split_key is not None:
        wanted.words.append(settings.split_key)
    if settings.condition is not None:
        (wanted.words if settings.condition_clusters is None else wanted.numbers).extend(settings.condition)
    return wanted


def _class_columns(settings: TableSettings, tasks: dict[str, str], recording: Recording) -> dict[str, ClassColumn]:
    places = {task: settings.place_of(task) for task, kind in tasks.items() if kind == "cls"}
    named = {(place.keys, place.names): task for task, place in places.items()}  # a task's name before a split's
    columns = [keys for keys, _ in named]
    made = {
        (keys, names): class_column(settings, task, recording, columns.count(keys) > 1)
        for (keys, names), task in named.items()
    }
    return {task: made[place.keys, place.names] for task, place in places.items()}


def windows_of(settings: TableSettings, recording: Recording, pieces: Pieces) -> tuple[Windows, Pieces]:
    """Cut the pieces of a recording into windows, and give the pieces that windows are cut from."""
    last_only = (pieces.split == TEST) & (settings.test_windows == "last")
    how = (settings.window, settings.stride, settings.horizon, settings.short == "pad")
    count, offset = cut(pieces.start, pieces.stop, *how, last_only)
    not_last = 0
    if settings.test_windows == "last":  # of an entity, not of each of its pieces: of the last one that gives any
        giving = np.flatnonzero(last_only & (count > 0))
        later = np.zeros(len(giving), dtype=bool)
        later[:-1] = pieces.entity[giving][1:] == pieces.entity[giving][:-1]
        not_last = int((pieces.stop - pieces.start)[giving[later]].sum())
        use = np.delete(np.arange(len(count)), giving[later])
        pieces = Pieces(pieces.start[use], pieces.stop[use], pieces.entity[use], pieces.split[use], pieces.rule)
        last_only, count, offset = last_only[use], count[use], offset[use]
    lengths = pieces.stop - pieces.start
    needs = settings.window + settings.horizon
    padded, dropped = offset < 0, count == 0
    if padded.any():
        recording.notes.append(
            f"{padded.sum()} recordings are shorter than a window of {settings.window} rows; their first row is "
            "repeated before them (data.short=pad)"
        )
    if dropped.any():
        recording.notes.append(
            f"{dropped.sum()} recordings with {lengths[dropped].sum()} rows are too short for a window and its horizon "
            f"({needs} rows), and are left out"
        )
    not_last += int(offset[last_only & (offset > 0)].sum())
    if not_last:
        recording.notes.append(
            f"{not_last} rows of test stand before the last window, not read (data.test_windows=last)"
        )
    between = int((np.maximum(count - 1, 0) * max(0, settings.stride - needs)).sum())
    if between:
        recording.notes.append(f"{between} rows between windows are not read (data.stride)")
    reach = np.where(offset < 0, lengths, offset + (count - 1) * settings.stride + needs)
    behind = int((lengths - reach)[~dropped].sum())
    if behind:
        recording.notes.append(f"{behind} rows at the ends of recordings are too few for another window")
    return Windows(
        recording.values, pieces.start, count, offset, settings.window, settings.stride, settings.horizon
    ), pieces


def rows_by_split(windows: Windows, split_of: IntArray) -> dict[str, IntArray]:
    """Give the instances of each split."""
    kind = np.int32 if len(windows) < 2**31 else np.int64
    first = windows.ends - windows.count
    found: dict[str, IntArray] = {}
    for place, name in enumerate(SPLITS):
        pieces = np.flatnonzero(split_of == place)
        rows: IntArray = np.empty(int(windows.count[pieces].sum()), dtype=kind)
        found[name] = rows
        at = 0
        for piece in pieces:
            count = int(windows.count[piece])
            rows[at : at + count] = np.arange(first[piece], first[piece] + count)
            at += count
    return found


def _context(settings: TableSettings, recording: Recording, pieces: Pieces) -> RowContext:
    """Collect what derived channels and conditions need of the rows."""
    columns = None
    if settings.condition is not None and settings.condition_clusters is not None:
        numbers = np.stack([recording.numbers[name] for name in settings.condition], axis=1)
        columns = ConditionColumns(settings.condition, numbers, [])
    elif settings.condition is not None:
        texts = [(recording.codes[name], recording.words[name]) for name in settings.condition]
        columns = ConditionColumns(settings.condition, None, texts)
    derived = derived_channels(settings.derive, recording.channels)
    birth = recording.bounds[pieces.entity]
    how = (columns, derived, settings.condition_clusters, settings.seed, RowSpace(settings.spill_folder))
    return RowContext(pieces.start, pieces.stop, birth, *how)


def _strata(
    settings: TableSettings, tasks: dict[str, str], recording: Recording, classes: dict[str, ClassColumn]
) -> npt.NDArray[np.float64]:
    """Count the rows of each stratum in each entity: of the first task's classes, or of each tenth of its number."""
    first, number = next(iter(classes.values()), None), next((t for t, kind in tasks.items() if kind == "reg"), None)
    if first is not None:
        codes, n = first.of_rows(), len(first.names)
    elif number is not None:
        values = recording.numbers[settings.place_of(number).keys[0]]
        known = values[~np.isnan(values)]
        edges = np.quantile(known, np.arange(1, STRATA) / STRATA) if len(known) else np.empty(0)
        codes, n = np.where(np.isnan(values), -1, np.searchsorted(edges, values)), STRATA
    else:
        codes, n = np.full(len(recording.values), -1), 0
    counts = np.stack([np.bincount(codes[a:b] + 1, minlength=n + 1) for a, b in recording.entity_runs()])
    return counts[:, counts.any(axis=0)].astype(np.float64)


def _no_window(recording: Recording, settings: TableSettings, where: str) -> UserError:
    said = "; ".join(recording.notes)
    return UserError(
        f"{recording.where}: no window of {settings.window} rows {where}; take a smaller data.window or data.horizon, "
        f"or another split{f' ({said})' if said else ''}"
    )


def times_of_rows(recording: Recording, rows: IntArray) -> npt.NDArray[np.generic]:
    """Give the times of some rows: numbers, or dates as datetime64."""
    assert recording.times is not None
    times = recording.times[rows]
    return times.astype("datetime64[us]") if recording.dates else times
