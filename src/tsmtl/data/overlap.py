"""What the splits share, measured on the windows as they are read, and not on the rule that made them."""

from typing import Any

import numpy as np

from tsmtl.data.durations import shown_time
from tsmtl.data.instances import SPLITS, IntArray
from tsmtl.data.recording import Recording
from tsmtl.data.windows import Windows

Rows = dict[str, IntArray]


def split_facts(recording: Recording, windows: Windows, given: Rows, rule: str) -> dict[str, Any]:
    """Say what each split holds, and measure what two of them share.

    Args:
        recording: The rows, with their times.
        windows: The windows over them.
        given: Instances of each split.
        rule: What decided the split.

    Returns:
        ``rule``; ``splits``: rows, entities and time span of each; ``overlap``: for each two splits the rows and
        entities that both read (targets' rows included) and the smallest distance in time, and in rows, of two rows
        of one entity, None where they share none; ``leaks``: whether anything is shared that must not be.
    """
    runs = {name: _within_entities(windows.rows_read(given[name]), recording.bounds) for name in SPLITS}
    entities = {name: _entities(recording, r) for name, r in runs.items()}
    facts: dict[str, Any] = {"rule": rule, "splits": {}, "overlap": {}}
    for name in SPLITS:
        facts["splits"][name] = {
            "instances": len(given[name]),
            "rows": int((runs[name][:, 1] - runs[name][:, 0]).sum()),
            "entities": len(entities[name]),
            **_span(recording, runs[name]),
        }
    leaks = False
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = len(np.intersect1d(entities[a], entities[b]))
        rows = rows_shared(runs[a], runs[b])
        facts["overlap"][f"{a}-{b}"] = {
            "rows": rows,
            "entities": shared,
            **(_distance(recording, runs[a], runs[b]) if shared else {"smallest_distance": None, "in_rows": None}),
        }
        leaks |= rows > 0 or (rule in ("group", "group_kfold") and shared > 0)
    facts["leaks"] = leaks
    return facts


def rows_shared(a: IntArray, b: IntArray) -> int:
    """Count the rows in both of two lists of runs (n, 2), each sorted and without overlap."""
    edges = np.concatenate([a.ravel(), b.ravel()])
    steps = np.concatenate([np.tile([1, -1], len(a)), np.tile([1, -1], len(b))])
    order = np.argsort(edges, kind="stable")
    depth = np.cumsum(steps[order])
    return int(np.diff(edges[order])[depth[:-1] == 2].sum())


def _within_entities(runs: IntArray, bounds: IntArray) -> IntArray:
    """Cut runs (n, 2) where an entity begins."""
    inside = np.searchsorted(bounds, runs[:, 0], side="right"), np.searchsorted(bounds, runs[:, 1], side="left")
    cuts = np.concatenate([bounds[a:b] for a, b in zip(*inside, strict=True)]) if len(runs) else bounds[:0]
    return np.stack([np.sort(np.append(runs[:, 0], cuts)), np.sort(np.append(runs[:, 1], cuts))], axis=1)


def _entities(recording: Recording, runs: IntArray) -> IntArray:
    return np.unique(np.searchsorted(recording.bounds, runs[:, 0], side="right") - 1)


def _span(recording: Recording, runs: IntArray) -> dict[str, str]:
    times = recording.times
    if times is None or not len(runs):
        return {}
    first = min(float(times[a]) for a, _ in runs)
    last = max(float(times[b - 1]) for _, b in runs)
    return {"from": shown_time(first, recording.dates), "to": shown_time(last, recording.dates)}


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
