"""Copies of rows of one recording in another: rows with the same values and targets, told from rows equal by chance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import BLOCK_VALUES, IntArray
from tsmtl.data.recording import Recording

# Rows that say where a copy is from, or all of a shorter recording: a few levels follow one another by chance.
FEWEST = 8
ROWS = 2**19  # asked for at a time, with some hundred bytes each
SHORTEST = 3  # rows of a recording that may be called a copy
Codes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Copies:
    """What some rows share with others.

    Attributes:
        rows: (n,) the rows.
        equal: (n,) whether one of the others has the same values and targets.
        copied: (n,) whether they stand in a stretch that the others hold in the same order, and not by chance.
    """

    rows: IntArray
    equal: Flags
    copied: Flags


def find_copies(recording: Recording, targets: list[str], learnt: IntArray, asked: IntArray) -> Copies:
    """Look for the rows of some runs among those of others.

    A row whose values the others hold once says where it may have been copied from; from there on rows are compared one
    by one. The others are read once for every so many rows asked for, and nothing of them is held.

    Args:
        recording: The rows.
        targets: Columns that must be equal too.
        learnt: Runs (m, 2), first row and end, none of two entities, in order.
        asked: Runs (n, 2) likewise.
    """
    pieces = np.array([(at, min(at + ROWS, b)) for a, b in asked.tolist() for at in range(a, b, ROWS)], dtype=np.int64)
    group = np.cumsum(pieces[:, 1] - pieces[:, 0]) // ROWS
    parts = [_find(recording, targets, learnt, pieces[group == g]) for g in np.unique(group)]
    return Copies(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _find(recording: Recording, targets: list[str], learnt: IntArray, asked: IntArray) -> tuple[IntArray, Flags, Flags]:
    """Give the rows asked for, few enough to hold, and which of them are equal, and copied."""
    lengths = asked[:, 1] - asked[:, 0]
    rows, run = _rows(asked, 0, int(lengths.sum())), np.repeat(np.arange(len(asked)), lengths)
    codes = _codes(recording, targets, rows)
    different, which = np.unique(codes, return_inverse=True)
    count, first = np.zeros(len(different), dtype=np.int64), np.full(len(different), -1, dtype=np.int64)
    size = _block(recording)
    total = int((learnt[:, 1] - learnt[:, 0]).sum())
    for at in range(0, total, size):
        some = _rows(learnt, at, min(at + size, total))
        found = _codes(recording, targets, some)
        place = np.minimum(np.searchsorted(different, found), len(different) - 1)
        same = different[place] == found
        np.add.at(count, place[same], 1)
        place, some = place[same][::-1], some[same][::-1]  # of several the first is written last
        new = first[place] < 0
        first[place[new]] = some[new]
    count, first = count[which], first[which]
    enough = np.minimum(lengths, FEWEST)[run]
    copied = np.zeros(len(rows), dtype=bool)
    for seen in (1, 2):  # once; or twice, where the others hold a recording twice
        guides = count == seen
        for guide in _nearest(guides):
            from_row = first[guide] + rows - rows[guide]
            same = (guide >= 0) & (run[guide] == run)
            same[same] = _run_of(learnt, from_row[same]) == _run_of(learnt, first[guide[same]])
            same[same] = _codes(recording, targets, from_row[same]) == codes[same]
            breaks = ~same[1:] | ~same[:-1] | (np.diff(from_row) != 1) | (np.diff(run) != 0)
            stretch = np.append(0, np.cumsum(breaks))
            said = np.bincount(stretch, weights=same & guides & (first == from_row))
            copied |= same & (said[stretch] >= enough) & (enough >= SHORTEST)
    return rows, count > 0, copied


def _nearest(guides: Flags) -> tuple[IntArray, IntArray]:
    """Give the place of the last guide up to each place, and of the next one from it on; -1 for none."""
    n = len(guides)
    last = np.maximum.accumulate(np.where(guides, np.arange(n), -1))
    following = np.minimum.accumulate(np.where(guides, np.arange(n), n)[::-1])[::-1]
    return last, np.where(following < n, following, -1)


def _rows(runs: IntArray, at: int, end: int) -> IntArray:
    """Give some of the rows of all runs, one run behind the other."""
    ends = np.cumsum(runs[:, 1] - runs[:, 0])
    place = np.arange(at, end)
    run = np.searchsorted(ends, place, side="right")
    return np.asarray(runs[run, 1] + place - ends[run])


def _run_of(runs: IntArray, rows: IntArray) -> IntArray:
    """Give the run that each row stands in; -1 for none."""
    found = np.searchsorted(runs[:, 0], rows, side="right") - 1
    return np.where((found >= 0) & (rows < runs[np.maximum(found, 0), 1]), found, -1)


def _block(recording: Recording) -> int:
    return max(1, BLOCK_VALUES // 16 // max(1, int(recording.values.shape[1])))


def _codes(recording: Recording, targets: list[str], rows: IntArray) -> Codes:
    """Give a hash of each row's values and targets; NaN is NaN, and -0 is 0."""
    columns = [recording.numbers.get(name, recording.codes.get(name)) for name in targets]
    c = recording.values.shape[1]
    factors = np.random.default_rng(0).integers(0, 2**63, (2, c + len(columns)), dtype=np.uint64) * 2 + 1
    codes = np.zeros(len(rows), dtype=np.uint64)
    size = _block(recording)
    for at in range(0, len(rows), size):
        some = rows[at : at + size]
        parts = [recording.values[some, k] for k in range(c)]
        parts += [column[some].astype(np.float32) for column in columns if column is not None]
        for part, (salt, factor) in zip(parts, factors.T, strict=False):
            bits = np.where(np.isnan(part), np.float32(np.nan), part + np.float32(0)).view(np.uint32)
            mixed = (bits.astype(np.uint64) + salt) * factor  # modulo 2^64
            codes[at : at + size] += mixed ^ (mixed >> np.uint64(29))
    return codes
