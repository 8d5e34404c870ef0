from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_windows import Case, cases, listed, made
from tsmtl.data.window_targets import binned, classes_of_windows, numbers_of_windows

SOME = st.one_of(st.just(np.nan), st.sampled_from([-3.0, 0.0, 0.5, 2.0, 1000.0]))


def plain(column: np.ndarray, rows: list[int], end: int, how: str) -> float:
    """Reduce in the slow way; ``end`` is the last row of the window."""
    there = [column[row] for row in rows if not np.isnan(column[row])]
    if how in ("last", "first"):
        return float(column[rows[-1 if how == "last" else 0]])
    if how == "change":
        return float(column[rows[-1]] - column[end])
    return {"mean": np.mean, "max": max, "min": min}[how](there) if there else np.nan


@settings(max_examples=60)
@given(case=cases(), data=st.data())
def test_numbers_are_those_of_a_plain_loop(case, data):
    windows, wanted = made(case), listed(case)
    n = len(windows.values)
    column = np.array(data.draw(st.lists(SOME, min_size=n, max_size=n)), dtype=np.float32)
    for how in ("last", "first", "mean", "max", "min", "change"):
        found = numbers_of_windows(column, windows, how)
        expected = [plain(column, after, rows[-1], how) for rows, after in wanted]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, np.array(expected, np.float32), rtol=1e-6, err_msg=how)


@settings(max_examples=60)
@given(case=cases(), data=st.data())
def test_classes_are_those_of_a_plain_loop_and_the_lowest_of_the_most_frequent(case, data):
    windows, wanted = made(case), listed(case)
    n = len(windows.values)
    codes = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)), dtype=np.int16)
    modes = []
    for _, rows in wanted:
        counts = Counter(int(codes[row]) for row in rows if codes[row] >= 0)
        modes.append(min(k for k, v in counts.items() if v == max(counts.values())) if counts else -1)
    assert classes_of_windows(codes, windows, "mode", 3).tolist() == modes
    assert classes_of_windows(codes, windows, "last", 3).tolist() == [codes[rows[-1]] for _, rows in wanted]
    assert classes_of_windows(codes, windows, "first", 3).tolist() == [codes[rows[0]] for _, rows in wanted]


def test_blocks_of_windows_give_what_one_block_gives(monkeypatch):
    rng = np.random.default_rng(0)
    column = rng.normal(size=61).astype(np.float32)
    codes = rng.integers(-1, 3, 61).astype(np.int16)
    windows = made(Case([(0, 3, False), (3, 60, False)], window=4, stride=2, horizon=1, pad=True))
    whole = [numbers_of_windows(column, windows, how) for how in ("mean", "last", "change")]
    modes = classes_of_windows(codes, windows, "mode", 3)
    monkeypatch.setattr("tsmtl.data.window_targets.BLOCK_VALUES", 5)
    parts = [numbers_of_windows(column, windows, how) for how in ("mean", "last", "change")]
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(classes_of_windows(codes, windows, "mode", 3), modes)


def test_a_bound_belongs_to_the_bin_above_it():
    values = np.array([29.999, 30, 79.9, 80, np.nan, -1e9, 1e9], dtype=np.float32)
    assert binned(values, [30, 80]).tolist() == [0, 1, 1, 2, -1, 0, 2]


def test_a_number_on_a_bound_belongs_to_the_bin_above_it_in_single_precision_too():
    tenths = np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, np.nan], dtype=np.float32)
    assert binned(tenths, [0.1, 0.7]).tolist() == [0, 1, 1, 1, 1, 2, 2, 2, -1]
