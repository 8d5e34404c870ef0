from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsmtl.data.recording import Recording, cuts_at_gaps, in_order


def recorded(rows: list[tuple[int, float]], entities: int, dates: bool = False) -> Recording:
    """Rows (entity, time) as read; the value of a row is its place in the file."""
    place = np.arange(len(rows), dtype=np.float32)
    times = np.array([time for _, time in rows], dtype=np.int64 if dates else np.float64)
    names = [f"e{i}" for i in range(entities)]
    numbers, codes = {"n": place.copy()}, {"c": (place % 7).astype(np.int16)}
    return Recording(
        "made", place[:, None].copy(), ["x"], names, np.array([0, len(rows)]), times, dates, False, numbers, codes
    )


def runs_of(rows: list[tuple[int, float]], block: int) -> list[tuple[int, int]]:
    """Give entity and number of consecutive rows, interrupted where a block of the file ends."""
    runs: list[list[int]] = []
    for i, (entity, _) in enumerate(rows):
        if runs and runs[-1][0] == entity and i % block:
            runs[-1][1] += 1
        else:
            runs.append([entity, 1])
    return [(entity, n) for entity, n in runs]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=25), st.integers(1, 6), st.data())
def test_rows_are_sorted_and_counted_as_a_plain_loop_does_however_the_file_is_read(rows, block, data):
    keep = data.draw(st.sampled_from(["first", "last"]))
    recording = recorded(rows, 4)
    in_order(recording, runs_of(rows, block), keep)
    wanted, back = [], 0
    for entity in range(4):
        of = [(time, i) for i, (e, time) in enumerate(rows) if e == entity]
        back += sum(b < a for (a, _), (b, _) in pairwise(of))
        kept = dict(of if keep == "last" else of[::-1])
        wanted += [(entity, time, kept[time]) for time in sorted(kept)]
    entity = np.repeat(np.arange(4), np.diff(recording.bounds))
    assert list(zip(entity, recording.times, recording.values[:, 0], strict=True)) == wanted
    np.testing.assert_array_equal(recording.numbers["n"], recording.values[:, 0])
    np.testing.assert_array_equal(recording.codes["c"], recording.values[:, 0] % 7)
    repeated = len(rows) - len(wanted)
    assert [note.startswith(f"{repeated} rows repeated") for note in recording.notes if "repeated" in note] == (
        [True] if repeated else []
    )
    assert [f"({back} steps back)" in note for note in recording.notes if "order" in note] == ([True] if back else [])


def test_a_later_file_with_earlier_rows_of_the_same_entity_is_sorted():
    rows = [(0, 10), (0, 11), (0, 1), (0, 2)]
    recording = recorded(rows, 1)
    in_order(recording, [(0, 2), (0, 2)], "error")
    assert recording.times.tolist() == [1, 2, 10, 11]
    assert recording.notes == ["rows were not in the order of time (1 steps back); sorted by entity and time"]


def test_rows_in_order_are_not_copied_and_not_spoken_of():
    recording = recorded([(0, 1), (0, 2), (1, 1)], 2)
    values = recording.values
    in_order(recording, [(0, 2), (1, 1)], "error")
    assert recording.values is values
    assert recording.notes == []
    assert recording.bounds.tolist() == [0, 2, 3]


def test_without_times_the_rows_of_an_entity_keep_the_order_of_the_file():
    rows = [(1, 0), (0, 0), (1, 0), (0, 0), (2, 0)]
    recording = recorded(rows, 3)
    recording.times = None
    in_order(recording, runs_of(rows, 99), "error")
    assert recording.values[:, 0].tolist() == [1, 3, 0, 2, 4]
    assert recording.bounds.tolist() == [0, 2, 4, 5]


def test_rows_with_the_same_entity_and_time_are_refused_with_their_number_and_the_first(refuses):
    rows = [(0, 1), (0, 2), (1, 5), (1, 5), (1, 5), (0, 2)]
    with refuses("made: 3 rows repeat", "the first: entity 'e0', time 2", "data.entity", "data.duplicates=first"):
        in_order(recorded(rows, 2), runs_of(rows, 99), "error")


@pytest.mark.parametrize(("max_gap", "cuts"), [(1, [3, 4]), (2, [4]), (3, [])])
def test_a_pause_longer_than_the_largest_gap_cuts_within_an_entity_alone(max_gap, cuts):
    recording = recorded([(0, 0), (0, 1), (0, 2), (0, 4), (0, 7), (1, 90), (1, 91)], 2)
    in_order(recording, [(0, 5), (1, 2)], "error")
    assert cuts_at_gaps(recording, max_gap).tolist() == cuts
    assert [note.split()[0] for note in recording.notes] == ([str(len(cuts))] if cuts else [])


def test_gaps_of_dates_are_given_in_seconds_or_with_a_unit(refuses):
    hour = 3600 * 10**6
    recording = recorded([(0, 0), (0, hour), (0, 3 * hour)], 1, dates=True)
    in_order(recording, [(0, 3)], "error")
    for said in ("1h", "90m", 3600, 7199):
        assert cuts_at_gaps(recording, said).tolist() == [2]
    assert cuts_at_gaps(recording, "2h").tolist() == []
    recording.times = None
    with refuses("data.max_gap: needs the column of times, data.time"):
        cuts_at_gaps(recording, 1)


def test_steps_over_the_edge_of_a_block_are_seen(monkeypatch):
    rows = [(0, t) for t in (0, 1, 2, 9, 10, 3, 4, 12, 12)]
    found = []
    for block in (2**20, 1, 2, 3):
        monkeypatch.setattr("tsmtl.data.recording.ROWS", block)
        recording = recorded(rows, 1)
        in_order(recording, [(0, 9)], "last")
        found.append((recording.times.tolist(), cuts_at_gaps(recording, 3).tolist(), recording.notes))
    assert found[0][:2] == ([0, 1, 2, 3, 4, 9, 10, 12], [5])
    assert all(one == found[0] for one in found[1:])
