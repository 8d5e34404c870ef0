"""Which rows of a recording belong to which split, decided before any window is cut."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import TableSettings
from tsmtl.data.durations import duration, moment, shown_time
from tsmtl.data.instances import SPLITS, IntArray
from tsmtl.data.name_order import name_order
from tsmtl.data.recording import Recording
from tsmtl.data.split_words import split_of_words
from tsmtl.data.splitting import draw_by_counts

TRAIN, VAL, TEST, NONE = 0, 1, 2, -1  # places in SPLITS; rows of no split
FEWEST_ENTITIES = 3  # for one in each split
FOLDS_READ_NO_TEST_FILES = "data.split: {} would not read the separate test files; take another split"


@dataclass(frozen=True)
class Pieces:
    """Runs of consecutive rows of one entity and one split, uninterrupted in time.

    Attributes:
        start: (P,) first row.
        stop: (P,) row behind the last.
        entity: (P,) place of the entity.
        split: (P,) place in ``SPLITS``.
        rule: What decided, in words.
    """

    start: IntArray
    stop: IntArray
    entity: IntArray
    split: IntArray
    rule: str


def cut_into_pieces(
    recording: Recording, settings: TableSettings, cuts: IntArray, counts: npt.NDArray[np.float64]
) -> Pieces:
    """Divide the rows of a recording.

    Args:
        recording: In order.
        settings: What decides.
        cuts: Rows before which the recording is interrupted.
        counts: (entities, strata) rows of each stratum, for splits by entity.

    Raises:
        UserError: If the rule cannot be followed.
    """
    rule = _rule(recording, settings)
    if rule == "group" and settings.gap != 0:  # split=auto alone: a rule of the settings refuses others
        said = (
            f"data.gap: split=auto divides these {len(recording.entities)} entities as wholes, and no time lies between"
        )
        raise UserError(f"{said} them; leave it out, or take data.split=time")
    rng = np.random.default_rng(settings.seed)
    if rule in ("group", "group_kfold"):
        of_entity = _by_entity(recording, settings, rule, counts, rng)
        edges, labels = recording.bounds[:-1], of_entity
    elif rule == "given":
        edges, labels, rule = _as_given(recording, settings, counts, rng)
    else:
        edges, labels = _by_time(recording, settings, rule)
    every = np.unique(np.concatenate([recording.bounds[:-1], edges, cuts]))
    stop = np.append(every[1:], recording.bounds[-1])
    label = labels[np.searchsorted(edges, every, side="right") - 1]
    entity = np.searchsorted(recording.bounds, every, side="right") - 1
    kept = (label != NONE) & (stop > every)
    unused = int((stop - every)[~kept].sum())
    if unused:
        why = "before a cut, or behind the test split"
        recording.notes.append(f"{unused} rows belong to no split ({why}), and are left out")
    return Pieces(every[kept], stop[kept], entity[kept], label[kept], rule)


def _rule(recording: Recording, settings: TableSettings) -> str:
    if settings.split != "auto":
        return settings.split
    if settings.split_key is not None:
        return "given"
    n = len(recording.entities) if recording.first_test is None else recording.first_test
    enough = FEWEST_ENTITIES - (recording.first_test is not None)
    return "group" if n >= enough else "time"


def _by_entity(
    recording: Recording,
    settings: TableSettings,
    rule: str,
    counts: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> IntArray:
    """Give the split of each entity."""
    labels = np.full(len(recording.entities), TRAIN, dtype=np.int64)
    if recording.first_test is not None:
        if rule == "group_kfold":
            raise UserError(FOLDS_READ_NO_TEST_FILES.format(rule))
        labels[recording.first_test :] = TEST
    needed = settings.n_folds if rule == "group_kfold" else FEWEST_ENTITIES - (recording.first_test is not None)
    learning = _by_name(recording, np.flatnonzero(labels == TRAIN))
    if len(learning) < needed:
        raise UserError(
            f"{recording.where}: data.split={rule} needs {needed} entities at least, there are {len(learning)}; name "
            "their column with data.entity, or take data.split=time"
        )
    if rule == "group_kfold":
        folds = _folds(counts[learning], settings.n_folds, rng)
        labels[learning[folds == _fold(settings)]] = TEST
    elif recording.first_test is None:
        labels[learning[draw_by_counts(counts[learning], settings.test_fraction, rng)]] = TEST
    learning = _by_name(recording, np.flatnonzero(labels == TRAIN))
    if len(learning) < 2:
        mend = "data.n_folds" if rule == "group_kfold" else "data.test_fraction"
        less = "greater" if rule == "group_kfold" else "smaller"
        raise UserError(f"{recording.where}: one entity is left for train and val; take a {less} {mend}")
    labels[learning[draw_by_counts(counts[learning], settings.val_fraction, rng)]] = VAL
    return labels


def _by_name(recording: Recording, entities: IntArray) -> IntArray:
    """Give entities in the order of their names: the order of rows in a file must not move a draw."""
    return np.array(sorted(entities.tolist(), key=lambda e: name_order(recording.entities[e])), dtype=np.int64)


def _folds(counts: npt.NDArray[np.float64], n_folds: int, rng: np.random.Generator) -> IntArray:
    """Give each entity a fold, so that every fold holds about the same number of rows of every stratum."""
    share = counts / np.maximum(counts.sum(axis=0), 1)  # (entities, strata)
    held = np.zeros((n_folds, counts.shape[1]))
    members = np.zeros(n_folds)
    folds = np.zeros(len(counts), dtype=np.int64)
    for entity in sorted(rng.permutation(len(counts)), key=lambda e: -float(share[e].sum())):
        after = ((held + share[entity]) ** 2).sum(axis=1) - (held**2).sum(axis=1)
        chosen = int(np.lexsort((members, np.round(after, 12)))[0])
        folds[entity] = chosen
        held[chosen] += share[entity]
        members[chosen] += 1
    return folds


def _fold(settings: TableSettings) -> int:
    assert settings.fold is not None  # a rule of the settings
    return settings.fold


def _as_given(
    recording: Recording, settings: TableSettings, counts: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[IntArray, IntArray, str]:
    """Follow a column: the rows before which the split changes, the split from there on, and the rule in words."""
    assert settings.split_key is not None
    codes, words = recording.codes[settings.split_key], recording.words[settings.split_key]
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise UserError(f"{recording.where}: column '{settings.split_key}' is empty ({recording.place(row)})")
    of_word = split_of_words(settings.split_key, words, settings.test_fold, settings.val_fold, recording.where)
    label = np.array([SPLITS.index(s) for s in of_word], dtype=np.int64)
    changes = np.concatenate([recording.bounds[:-1], np.flatnonzero(np.diff(codes)) + 1])
    edges = np.unique(changes)
    labels = label[codes[edges]]
    if recording.first_test is not None:
        labels[edges >= recording.bounds[recording.first_test]] = TEST
    if VAL in labels:
        return *_stretches(recording, settings, edges, labels), "given"
    entity = np.searchsorted(recording.bounds, edges, side="right") - 1
    learning = _by_name(recording, np.unique(entity[labels == TRAIN]))
    if len(learning) < 2:
        raise UserError(
            f"{recording.where}: column '{settings.split_key}' names no val split, and train has one entity, of which "
            "none can be carved; name it in the column, or with data.val_fold"
        )
    val = learning[draw_by_counts(counts[learning], settings.val_fraction, rng)]
    both = np.isin(entity, val)
    labels[both & (labels == TRAIN)] = VAL
    return *_stretches(recording, settings, edges, labels), "given, val group"


def _stretches(
    recording: Recording, settings: TableSettings, edges: IntArray, labels: IntArray
) -> tuple[IntArray, IntArray]:
    """Leave edges out behind which the split is the same, two folds of train, say; what is left must hold windows.

    Raises:
        UserError: If most rows are in stretches of one split, parts of an entity, that are shorter than a window.
    """
    kept = np.append(True, labels[1:] != labels[:-1]) | np.isin(edges, recording.bounds)
    edges, labels = edges[kept], labels[kept]
    needs = settings.window + settings.horizon
    lengths = np.diff(edges, append=recording.bounds[-1])
    entity = np.searchsorted(recording.bounds, edges, side="right") - 1
    short = (lengths < needs) & (lengths < np.diff(recording.bounds)[entity])
    if not short.any():
        return edges, labels
    rows, every = lengths[short].sum(), recording.bounds[-1]
    said = f"column '{settings.split_key}' changes within entities, and {short.sum()} of {len(edges)} stretches of one "
    said += f"split, {rows} of {every} rows, are shorter than a window and its horizon ({needs} rows)"
    if 2 * rows > every:
        mend = "give whole entities or long stretches of time to one split, name the stretches with data.entity"
        raise UserError(f"{recording.where}: {said}; {mend}, or take data.split=group")
    recording.notes.append(said)
    return edges, labels


def _by_time(recording: Recording, settings: TableSettings, rule: str) -> tuple[IntArray, IntArray]:
    """Cut all entities at the same moments: the rows before which the split changes, and the split from there on."""
    n = len(recording.entities) if recording.first_test is None else recording.first_test
    if recording.times is None and n > 1:
        raise UserError(f"data.time: data.split={rule} of several entities needs the column of times")
    if recording.first_test is not None and rule == "time_kfold":
        raise UserError(FOLDS_READ_NO_TEST_FILES.format(rule))
    gap = duration(settings.gap, "data.gap", recording.dates)
    cuts = _moments(recording, settings, rule, gap)
    edges, labels = [], []
    for entity, (first, stop) in enumerate(recording.entity_runs()):
        if recording.first_test is not None and entity >= recording.first_test:
            edges.append(first)
            labels.append(TEST)
            continue
        times = _times(recording, first, stop)
        for label, begin, end in cuts:
            if end <= begin:  # a gap longer than the split
                continue
            edges += [first + int(np.searchsorted(times, begin)), first + int(np.searchsorted(times, end))]
            labels += [label, NONE]
    order = np.argsort(np.array(edges), kind="stable")
    sorted_edges, sorted_labels = np.array(edges, dtype=np.int64)[order], np.array(labels, dtype=np.int64)[order]
    last = np.append(sorted_edges[1:] != sorted_edges[:-1], True)  # of several at one row the last one holds
    return sorted_edges[last], sorted_labels[last]


def _moments(recording: Recording, settings: TableSettings, rule: str, gap: float) -> list[tuple[int, float, float]]:
    """Give the splits in the order of time, each from one moment to before another."""
    learning = recording.first_test is not None

    def read(value: float | str | None, setting: str) -> float | None:
        return None if value is None else moment(value, setting, recording.dates, recording.aware)

    if rule == "time_kfold":
        share = 1 / (settings.n_folds + 1)
        test = _quantile(recording, share * (_fold(settings) + 1), -np.inf, np.inf)
        last = _fold(settings) + 2 > settings.n_folds
        until = np.inf if last else _quantile(recording, share * (_fold(settings) + 2), -np.inf, np.inf)
        val = None
    else:
        ends, begins = read(settings.test_until, "data.test_until"), read(settings.test_from, "data.test_from")
        until = np.inf if ends is None else ends
        test = np.inf if begins is None else begins
        if not learning and begins is None:
            test = _quantile(recording, 1 - settings.test_fraction, -np.inf, until)
        val = read(settings.val_from, "data.val_from")
    if val is None:
        val = _quantile(recording, 1 - settings.val_fraction, -np.inf, test)
    if not val < test <= until:
        said = ", ".join(shown_time(t, recording.dates) if np.isfinite(t) else "the end" for t in (val, test, until))
        raise UserError(f"data.val_from, data.test_from, data.test_until: must follow one another in time (got {said})")
    parts = [(TRAIN, -np.inf, val - gap), (VAL, val, test - gap if np.isfinite(test) else np.inf)]
    return parts if learning else [*parts, (TEST, test, until)]


def _times(recording: Recording, first: int, stop: int) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    if recording.times is None:
        return np.arange(stop - first, dtype=np.float64)
    return recording.times[first:stop]


def _quantile(recording: Recording, share: float, low: float, high: float) -> float:
    """Give the moment, one that occurs, before which that share of the rows between two moments lies."""
    runs = recording.entity_runs()[: recording.first_test]

    def before(when: float) -> int:
        return sum(int(np.searchsorted(_times(recording, a, b), when)) for a, b in runs)

    def next_at(when: float) -> float:
        found = []
        for a, b in runs:
            times = _times(recording, a, b)
            at = int(np.searchsorted(times, when))
            if at < len(times):
                found.append(float(times[at]))
        return min(found, default=np.inf)

    first = before(low)
    wanted = first + share * (before(high) - first)
    left = min(float(_times(recording, a, b)[0]) for a, b in runs)
    right = min(high, max(float(_times(recording, a, b)[-1]) for a, b in runs))
    for _ in range(80):
        middle = (left + right) / 2
        if before(middle) < wanted:
            left = middle
        else:
            right = middle
    return next_at(right)
