from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsmtl.data.windows import Windows, cut


@dataclass(frozen=True)
class Case:
    """Pieces (first row, end, whether only the last window is wanted) and how they are cut."""

    pieces: list[tuple[int, int, bool]]
    window: int
    stride: int
    horizon: int
    pad: bool


@st.composite
def cases(draw):
    """Pieces of some length, some rows of no piece before each."""
    pieces, at = [], 0
    for before, length, last in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20), st.booleans()), min_size=1, max_size=6)
    ):
        pieces.append((at + before, at + before + length, last))
        at += before + length
    return Case(
        pieces,
        draw(st.integers(1, 7)),
        draw(st.integers(1, 9)),
        draw(st.sampled_from([0, 0, 1, 3])),
        draw(st.booleans()),
    )


def made(case: Case) -> Windows:
    start, stop, last = (np.array(column) for column in zip(*case.pieces, strict=True))
    count, offset = cut(start, stop, case.window, case.stride, case.horizon, case.pad, last.astype(bool))
    rows = case.pieces[-1][1] + 1
    values = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    return Windows(values, start, count, offset, case.window, case.stride, case.horizon)


def listed(case: Case) -> list[tuple[list[int], list[int]]]:
    """List the input rows of each window, and the rows its targets come from, in the slow and plain way."""
    found = []
    for start, stop, last in case.pieces:
        firsts = [f for f in range(start, stop, case.stride) if f + case.window + case.horizon <= stop]
        if last and firsts:
            firsts = [stop - case.horizon - case.window]
        if not firsts and case.pad and stop - start > case.horizon:
            firsts = [stop - case.horizon - case.window]
        for first in firsts:
            rows = [max(row, start) for row in range(first, first + case.window)]
            after = list(range(first + case.window, first + case.window + case.horizon))
            found.append((rows, after or sorted(set(rows))))
    return found


@settings(max_examples=60)
@given(cases())
def test_windows_are_those_of_a_plain_loop_over_each_piece(case):
    windows, wanted = made(case), listed(case)
    assert windows.shape == (len(wanted), 2, case.window)
    assert windows.padded == any(rows[0] == rows[1] for rows, _ in wanted if len(rows) > 1)
    if wanted:
        np.testing.assert_array_equal(windows[:], np.stack([windows.values[rows].T for rows, _ in wanted]))


@settings(max_examples=60)
@given(cases())
def test_rows_of_targets_are_those_of_a_plain_loop_and_never_leave_the_piece(case):
    windows, wanted = made(case), listed(case)
    if not wanted:
        return
    every = np.arange(len(wanted))
    first, length = windows.target_rows(every)
    for i, (_, rows) in enumerate(wanted):
        if case.horizon:
            assert list(range(first[i], first[i] + length)) == rows
        else:
            assert first[i] == rows[0]
        start, stop, _ = case.pieces[windows.piece_of(every)[i]]
        assert start <= rows[0] <= rows[-1] < stop


@settings(max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_rows_read_are_the_union_of_the_windows_rows_each_once(case, random):
    windows, wanted = made(case), listed(case)
    chosen = [i for i in range(len(wanted)) if random.random() < 0.6]
    if not chosen:
        return
    rows = np.array(random.sample(chosen, len(chosen)))
    for horizon in (True, False):
        runs = windows.rows_read(rows, horizon)
        read = [row for first, end in runs.tolist() for row in range(first, end)]
        assert read == sorted({row for i in rows for part in wanted[i][: 1 + horizon] for row in part})
        assert all(end < first for (_, end), (first, _) in zip(runs[:-1].tolist(), runs[1:].tolist(), strict=True))
    seen = np.concatenate([block[0].T for block in windows.value_blocks(rows)])
    np.testing.assert_array_equal(seen, windows.values[read])


def test_windows_hold_no_copy_of_the_recording_and_are_read_in_the_order_asked_for():
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    windows = Windows(values, np.array([0]), np.array([10]), np.array([0]), window=3, stride=1)
    assert windows.values is values
    assert windows[np.array([7, 0, 7])][:, 0].tolist() == [[14, 16, 18], [0, 2, 4], [14, 16, 18]]
    assert windows[2:4][:, 1].tolist() == [[5, 7, 9], [7, 9, 11]]
    assert windows.over(-values)[:1][0, 0].tolist() == [0, -2, -4]


@pytest.mark.parametrize("length", [1, 3])
def test_a_short_piece_repeats_its_first_row_and_keeps_its_end(length):
    windows = made(Case([(0, length, False)], window=4, stride=1, horizon=0, pad=True))
    assert windows[:][0, 0].tolist() == [0] * (4 - length) + [2 * i for i in range(length)]
    assert len(made(Case([(0, length, False)], window=4, stride=1, horizon=0, pad=False))) == 0
