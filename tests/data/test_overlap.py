import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsmtl.data.overlap import rows_shared, split_facts
from tsmtl.data.recording import Recording
from tsmtl.data.windows import Windows, cut

HOUR = 3600 * 10**6


@st.composite
def measured(draw):
    """A recording, windows of any pieces of it, and instances dealt to splits without any care."""
    lengths = draw(st.lists(st.integers(1, 14), min_size=1, max_size=3))
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    steps = [np.cumsum(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))) for n in lengths]
    times = np.concatenate(steps).astype(np.float64) if draw(st.booleans()) else None
    edges = np.unique(np.concatenate([bounds, draw(st.lists(st.integers(0, int(bounds[-1])), max_size=3))])).astype(int)
    start, stop = edges[:-1], edges[1:]
    window, stride, horizon = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(0, 2))
    count, offset = cut(start, stop, window, stride, horizon, True, np.zeros(len(start), dtype=bool))
    values = np.zeros((int(bounds[-1]), 1), dtype=np.float32)
    windows = Windows(values, start, count, offset, window, stride, horizon)
    names = [f"e{i}" for i in range(len(lengths))]
    n = len(windows)
    label = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), dtype=np.int64)
    given = {name: np.flatnonzero(label == place) for place, name in enumerate(("train", "val", "test"))}
    return Recording("made", values, ["x"], names, bounds, times, False, False), windows, given


@settings(max_examples=150)
@given(measured())
def test_facts_are_those_of_counting_the_rows_of_every_window(case):
    recording, windows, given = case
    if any(len(rows) == 0 for rows in given.values()):
        return
    facts = split_facts(recording, windows, given, "group")
    entity = np.repeat(np.arange(len(recording.entities)), np.diff(recording.bounds))
    time = np.arange(len(entity)) if recording.times is None else recording.times
    read = {}
    for name, chosen in given.items():
        first, floor = windows.first_rows(chosen)
        last = first + windows.window + windows.horizon
        read[name] = sorted({r for a, f, b in zip(first, floor, last, strict=True) for r in range(max(a, f), b)})
        said = facts["splits"][name]
        assert (said["instances"], said["rows"], said["entities"]) == (
            len(chosen),
            len(read[name]),
            len(set(entity[read[name]])),
        )
        if recording.times is not None:
            assert (said["from"], said["to"]) == (f"{time[read[name]].min():.12g}", f"{time[read[name]].max():.12g}")
    leaks = False
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        pairs = [(i, j) for i in read[a] for j in read[b] if entity[i] == entity[j]]
        both = set(entity[read[a]]) & set(entity[read[b]])
        leaks |= bool(both)
        assert facts["overlap"][f"{a}-{b}"] == {
            "rows": len(set(read[a]) & set(read[b])),
            "entities": len(both),
            "smallest_distance": min((abs(time[i] - time[j]) for i, j in pairs), default=None),
            "in_rows": min((abs(i - j) for i, j in pairs), default=None),
        }
    assert facts["leaks"] == leaks


def facts_of(times: np.ndarray, dates: bool, rule: str, starts: list[int], window: int = 2) -> dict:
    """Three windows of one recording, one for each split."""
    values = np.zeros((len(times), 1), dtype=np.float32)
    recording = Recording("made", values, ["x"], ["e"], np.array([0, len(times)]), times, dates, False)
    pieces = np.array(starts), np.ones(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    given = {name: np.array([i]) for i, name in enumerate(("train", "val", "test"))}
    return split_facts(recording, Windows(values, *pieces, window, 1), given, rule)


def test_a_row_read_by_two_splits_is_a_leak_whatever_the_rule():
    facts = facts_of(np.arange(9.0), False, "time", [0, 1, 6])
    shared = {"rows": 1, "entities": 1, "smallest_distance": 0, "in_rows": 0, "time_between": 0, "apart": False}
    apart = {"rows": 0, "entities": 1, "smallest_distance": 4, "in_rows": 4, "time_between": 4, "apart": True}
    assert facts["overlap"]["train-val"] == shared
    assert facts["overlap"]["val-test"] == apart
    assert facts["leaks"] is True


@pytest.mark.parametrize(("rule", "leaks"), [("time", False), ("given", False), ("group", True), ("group_kfold", True)])
def test_an_entity_in_two_splits_is_a_leak_where_the_rule_keeps_entities_whole(rule, leaks):
    assert facts_of(np.arange(9.0), False, rule, [0, 3, 6])["leaks"] is leaks


def test_distances_of_dates_are_in_seconds_and_spans_are_dates():
    times = np.array([0, 1, 5, 6, 30, 31]) * HOUR
    facts = facts_of(times, True, "time", [0, 2, 4])
    assert facts["overlap"]["train-val"]["smallest_distance"] == 4 * 3600
    assert facts["overlap"]["train-test"]["smallest_distance"] == 29 * 3600
    assert facts["splits"]["test"] == {
        "instances": 1,
        "rows": 2,
        "entities": 1,
        "from": "1970-01-02 06:00:00",
        "to": "1970-01-02 07:00:00",
    }


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_shared_rows_of_runs_are_those_of_sets(a, b):
    def runs(rows: list[int]) -> np.ndarray:
        return np.array([(r, r + 1) for r in sorted(set(rows))], dtype=np.int64).reshape(-1, 2)

    assert rows_shared(runs(a), runs(b)) == len(set(a) & set(b))
