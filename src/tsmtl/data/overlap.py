"""What the splits share, measured on the windows as they are read, and not on the rule that made them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsmtl.data.copies import find_copies
from tsmtl.data.durations import shown_time
from tsmtl.data.instances import SPLITS, IntArray
from tsmtl.data.recording import Recording
from tsmtl.data.windows import Windows

Rows = dict[str, IntArray]


PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
BY_ENTITY, BY_TIME = ("group", "group_kfold"), ("time", "time_kfold")  # rules that promise that nothing else is shared


def split_facts(
    recording: Recording,
    windows: Windows,
    given: Rows,
    rule: str,
    gap: float = 0.0,
    derived: bool = False,
    targets: Sequence[str] = (),
) -> dict[str, Any]:
    """Say what each split holds, and measure what two of them share.

    Args:
        recording: The rows, with their times.
        windows: The windows over them.
        given: Instances of each split.
        rule: What decided the split.
        gap: Time that splits by time must lie apart, in units of the times.
        derived: Whether channels are derived from all rows of a piece before a window's end.
        targets: Columns of the targets; copies of rows have the same there.

    Returns:
        ``rule``; ``time_unit``: of distances; ``splits``: rows, entities and time span of each; ``overlap``: for each
        two splits the rows and entities that both read (targets' rows included), the smallest distance in time, and in
        rows, of two rows of one entity, None where they share none, and, where the rule is time, the time from the
        last row of the earlier split, of whichever entity, to the first of the later one, and whether the two are
        ``apart`` by the gap; ``test_files``, where test has files of its own: its ``equal_rows``, which have the same
        values and targets as one of train or val, and its ``copied_windows``, all of whose rows stand in stretches that
        are copies of theirs; ``on_both_sides``: entities that more than one split reads; ``leaks``: whether anything
        is shared that must not be.
    """
    runs = {name: _within_entities(windows.rows_read(given[name], back=derived), recording.bounds) for name in SPLITS}
    entities = {name: _entities(recording, r) for name, r in runs.items()}
    seconds = recording.times is not None and recording.dates
    unit = "rows" if recording.times is None else "seconds" if seconds else "units of the time column"
    facts: dict[str, Any] = {"rule": rule, "time_unit": unit, "splits": {}, "overlap": {}}
    for name in SPLITS:
        facts["splits"][name] = {
            "instances": len(given[name]),
            "rows": int((runs[name][:, 1] - runs[name][:, 0]).sum()),
            "entities": len(entities[name]),
            **_span(recording, runs[name]),
        }
    leaks = False
    for a, b in PAIRS:
        shared = len(np.intersect1d(entities[a], entities[b]))
        rows = rows_shared(runs[a], runs[b])
        facts["overlap"][f"{a}-{b}"] = {
            "rows": rows,
            "entities": shared,
            **(_distance(recording, runs[a], runs[b]) if shared else {"smallest_distance": None, "in_rows": None}),
        }
        leaks |= rows > 0 or (rule in BY_ENTITY and shared > 0)
        if rule in BY_TIME and (b != "test" or recording.first_test is None):
            between = _between(recording, runs[a], runs[b])
            apart = between > 0 and between >= gap - _rounding(recording)
            facts["overlap"][f"{a}-{b}"] |= {"time_between": between / (10**6 if seconds else 1), "apart": apart}
            leaks |= not apart
    if recording.first_test is not None:
        learnt = np.concatenate([runs["train"], runs["val"]])
        found = find_copies(recording, list(targets), learnt[np.argsort(learnt[:, 0])], runs["test"])
        whole = _windows_within(windows, given["test"], found.rows[found.copied])
        facts["test_files"] = {"equal_rows": int(found.equal.sum()), "copied_windows": whole}
        leaks |= whole > 0
    _, times_seen = np.unique(np.concatenate(list(entities.values())), return_counts=True)
    facts["on_both_sides"] = int((times_seen > 1).sum())
    facts["leaks"] = bool(leaks)
    return facts


def rows_shared(a: IntArray, b: IntArray) -> int:
    """Count the rows in both of two lists of runs (n, 2), each sorted and without overlap."""
    edges = np.concatenate([a.ravel(), b.ravel()])
    steps = np.concatenate([np.tile([1, -1], len(a)), np.tile([1, -1], len(b))])
    order = np.argsort(edges, kind="stable")
    depth = np.cumsum(steps[order])
    return int(np.diff(edges[order])[depth[:-1] == 2].sum())


def _windows_within(windows: Windows, chosen: IntArray, rows: IntArray) -> int:
    """Count the windows that read no other rows than some, given in order."""
    first, floor = windows.first_rows(chosen)
    begin, end = np.maximum(first, floor), first + windows.window
    return int((np.searchsorted(rows, end) - np.searchsorted(rows, begin) == end - begin).sum())


def _within_entities(runs: IntArray, bounds: IntArray) -> IntArray:
    """Cut runs (n, 2) where an entity begins."""
    run = np.maximum(np.searchsorted(runs[:, 0], bounds) - 1, 0)  # the last one that begins before it
    cuts = bounds[(runs[run, 0] < bounds) & (bounds < runs[run, 1])]
    return np.stack([np.sort(np.append(runs[:, 0], cuts)), np.sort(np.append(runs[:, 1], cuts))], axis=1)


def _entities(recording: Recording, runs: IntArray) -> IntArray:
    return np.unique(np.searchsorted(recording.bounds, runs[:, 0], side="right") - 1)


def _span(recording: Recording, runs: IntArray) -> dict[str, str]:
    times = recording.times
    if times is None:
        return {}
    first, last = float(times[runs[:, 0]].min()), float(times[runs[:, 1] - 1].max())
    return {"from": shown_time(first, recording.dates), "to": shown_time(last, recording.dates)}


def _between(recording: Recording, a: IntArray, b: IntArray) -> float:
    """Give the time from the last row of some runs to the first of others; not above 0 where they overlap in time."""
    if recording.times is None:
        return float(b[:, 0].min() - (a[:, 1] - 1).max())
    return float(recording.times[b[:, 0]].min() - recording.times[a[:, 1] - 1].max())


def _rounding(recording: Recording) -> float:
    """Give what a difference of two times may be off by."""
    times = recording.times
    if times is None or times.dtype.kind != "f":
        return 0.0
    ends = np.concatenate([times[recording.bounds[:-1]], times[recording.bounds[1:] - 1]])
    return float(4 * np.spacing(np.abs(ends).max()))


def _distance(recording: Recording, a: IntArray, b: IntArray) -> dict[str, float]:
    """Find the two rows of one entity, one in each list of runs, that are nearest to each other."""
    label = np.concatenate([np.zeros(len(a), dtype=np.int64), np.ones(len(b), dtype=np.int64)])
    runs = np.concatenate([a, b])
    order = np.lexsort((runs[:, 1], runs[:, 0]))
    runs, label = runs[order], label[order]
    entity = np.searchsorted(recording.bounds, runs[:, 0], side="right") - 1
    beside = np.flatnonzero((label[1:] != label[:-1]) & (entity[1:] == entity[:-1]))
    ends, begins = runs[beside, 1] - 1, runs[beside + 1, 0]
    rows = np.maximum(begins - ends, 0)
    if recording.times is None:
        return {"smallest_distance": float(rows.min()), "in_rows": float(rows.min())}
    between = np.where(rows > 0, recording.times[begins] - recording.times[ends], 0)
    unit = 10**6 if recording.dates else 1
    return {"smallest_distance": float(between.min()) / unit, "in_rows": float(rows.min())}
