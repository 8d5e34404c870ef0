"""What splits share, against hand counts and a slow count over every window, row and pair."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import tsmtl.data.loading as loading
from tsmtl.data.instances import SPLITS
from tsmtl.data.overlap import PAIRS, split_facts
from tsmtl.data.recording import Recording
from tsmtl.data.sharing import count_among, leak_lines, sharing_notes
from tsmtl.data.windows import Windows


def given_split(arrays):
    return {**arrays, "part": np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10)}


def test_instances_with_the_same_values_are_counted_whatever_their_zeros_and_padding(arrays, load_arrays):
    arrays = given_split(arrays)
    arrays["lengths"] = np.full(40, 8)
    arrays["lengths"][[3, 25]] = 5
    x = arrays["X"]
    x[0, 0, 0], x[1, 1, 2] = 0.0, np.nan
    x[20], x[21] = x[0], x[1]  # two of train in val, one of them twice
    x[20, 0, 0] = -0.0
    x[22] = x[0]
    x[25, :, :5] = x[3, :, :5]  # the same within their lengths
    x[30] = x[24]  # one of val in test
    x[31] = x[30] + 1e-6
    bundle = load_arrays(arrays, split_key="part", lengths_key="lengths")
    facts = bundle.instances.facts
    assert [facts["overlap"][pair]["identical"] for pair in ("train-val", "train-test", "val-test")] == [4, 0, 1]
    assert not facts["leaks"]
    said = "instances with exactly the same values in two splits: 4 of val are in train too, 1 of test are in val too"
    assert said in bundle.notes


def test_copies_are_counted_as_membership_is_in_little_room():
    rng = np.random.default_rng(0)
    codes, others = (np.sort(rng.integers(0, 3 * 10**4, n).astype(np.uint64)) for n in (20_000, 50_000))
    expected = np.isin(codes, others).sum()
    tracemalloc.start()
    assert count_among(codes, others) == expected
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < expected < 20_000
    assert most < 3 * codes.nbytes
    assert count_among(codes[:0], others) == count_among(codes, others[:0]) == 0


@pytest.mark.parametrize(
    ("changes", "rule", "groups"),
    [
        ({}, "stratified", None),
        ({"split_key": "part"}, "given", None),
        ({"split_key": "fold", "test_fold": 1}, "given, val stratified", None),
        ({"group_key": "owner"}, "group", 10),
        ({"group_key": "owner", "split_key": "fold", "test_fold": 1}, "given, val group", 10),
    ],
)
def test_the_rule_says_what_was_given_and_what_was_drawn(arrays, load_arrays, changes, rule, groups):
    arrays = {**given_split(arrays), "fold": np.arange(40) // 4 % 4, "owner": np.arange(40) // 4}
    facts = load_arrays(arrays, **changes).instances.facts
    assert facts["rule"] == rule
    held = [facts["splits"][name]["groups"] for name in SPLITS]
    assert (held == [None] * 3) if groups is None else (sum(held) == groups)
    assert sum(facts["splits"][name]["instances"] for name in SPLITS) == 40


def test_a_splitter_that_shares_instances_or_groups_is_found_out(arrays, load_arrays, monkeypatch):
    arrays = {**arrays, "owner": np.arange(40) // 4}
    rows = {"train": np.arange(24), "val": np.arange(22, 30), "test": np.arange(30, 40)}
    monkeypatch.setattr(loading, "split", lambda instances, settings: rows)
    facts = load_arrays(arrays, group_key="owner").instances.facts
    assert facts["leaks"]
    assert facts["overlap"]["train-val"] == {"instances": 2, "groups": 1, "identical": 2}
    # Instances 28 and 29 are of the owner of 30 and 31.
    assert leak_lines(facts) == ["train and val share 2 instances and 1 group", "val and test share 1 group"]


def recording_of(rng, n_rows, dates=False):
    bounds = np.array([0, *np.sort(rng.choice(np.arange(1, n_rows), 3, replace=False)), n_rows])
    steps = rng.integers(1, 9, n_rows)
    times = np.concatenate([np.cumsum(steps[a:b]) for a, b in pairwise(bounds)])
    values = rng.normal(size=(n_rows, 2)).astype(np.float32)
    times = times * 10**6 if dates else times.astype(np.float64)
    return Recording("table", values, ["a", "b"], list("ABCD"), bounds, times, dates, False)


@pytest.mark.parametrize("seed", range(25))
def test_rows_entities_and_distances_are_those_of_a_slow_count(seed):
    rng = np.random.default_rng(seed)
    recording = recording_of(rng, 60, dates=seed % 2 == 1)
    window, stride, horizon = int(rng.integers(1, 5)), int(rng.integers(1, 6)), int(rng.integers(0, 3))
    cuts = rng.choice(np.arange(1, 60), 6, replace=False)
    start = np.unique(np.concatenate([recording.bounds[:-1], cuts]))
    stop = np.append(start[1:], 60)
    room = stop - start - horizon
    count = np.where(room >= window, (room - window) // stride + 1, 0)
    windows = Windows(recording.values, start, count, np.zeros(len(start), np.int64), window, stride, horizon)
    of = rng.integers(0, 3, len(windows))
    given = {name: np.flatnonzero(of == i) for i, name in enumerate(SPLITS)}
    if not all(map(len, given.values())):
        pytest.skip("a split without a window")
    facts = split_facts(recording, windows, given, "given")

    firsts = [s + i * stride for s, n in zip(start, count, strict=True) for i in range(n)]
    read = {name: {firsts[i] + j for i in given[name] for j in range(window + horizon)} for name in SPLITS}
    entity = np.searchsorted(recording.bounds, np.arange(60), side="right") - 1
    for a, b in PAIRS:
        pairs = [(r, s) for r in read[a] for s in read[b] if entity[r] == entity[s]]
        found = facts["overlap"][f"{a}-{b}"]
        assert found["rows"] == len(read[a] & read[b])
        assert found["entities"] == len({entity[r] for r, _ in pairs})
        times = recording.times / (10**6 if recording.dates else 1)
        nearest = min((abs(times[r] - times[s]) for r, s in pairs), default=None)
        assert found["smallest_distance"] == (None if nearest is None else pytest.approx(nearest))
        assert found["in_rows"] == min((abs(r - s) for r, s in pairs), default=None)
    assert facts["leaks"] == any(read[a] & read[b] for a, b in PAIRS)
    for name in SPLITS:
        assert facts["splits"][name]["rows"] == len(read[name])
        assert facts["splits"][name]["entities"] == len({entity[r] for r in read[name]})
    seen = [sum(e in {entity[r] for r in read[name]} for name in SPLITS) for e in range(4)]
    assert facts["on_both_sides"] == sum(n > 1 for n in seen)


def by_time(gap, test_first=7.0, times=None):
    """Two machines: A at times 0 ... 3 (train) and 5, 6 (val), B from ``test_first`` on (test)."""
    times = np.array([0, 1, 2, 3, 5, 6, test_first, test_first + 1]) if times is None else times
    recording = Recording(
        "t", np.zeros((8, 1), np.float32), ["a"], ["A", "B"], np.array([0, 6, 8]), times, False, False
    )
    starts, ones = np.array([0, 4, 6]), np.ones(3, np.int64)
    windows = Windows(recording.values, starts, np.array([3, 1, 1]), ones * 0, 2, 1)
    given = {"train": np.arange(3), "val": np.array([3]), "test": np.array([4])}
    return split_facts(recording, windows, given, "time", gap)


def test_splits_by_time_are_held_to_their_gap_over_all_machines():
    facts = by_time(gap=1.0)
    assert not facts["leaks"]
    assert [found["time_between"] for found in facts["overlap"].values()] == [2.0, 4.0, 1.0]
    facts = by_time(gap=1.5)
    assert [found["apart"] for found in facts["overlap"].values()] == [True, True, False]
    assert leak_lines({**facts}) == [
        "test begins 1 (units of the time column) after the end of val, sooner than split=time promises"
    ]
    assert by_time(gap=0.0, test_first=6.0)["leaks"]  # another machine at the same moment
    assert by_time(gap=0.0, test_first=2.0)["overlap"]["val-test"]["time_between"] == -4.0
    tenths = by_time(gap=0.1, times=np.array([0, 0.1, 0.2, 0.3 - 1e-9, 0.4 - 1e-9, 0.5 - 1e-9, 0.6, 0.7]))
    assert not tenths["leaks"]  # what is 0.1 apart but for rounding is 0.1 apart


def test_rows_that_derived_channels_carry_on_count_as_read():
    recording = recording_of(np.random.default_rng(0), 40)
    recording = replace(recording, entities=["A"], bounds=np.array([0, 40]))
    # Two pieces by a fault of the splitter: the second begins within the first.
    windows = Windows(recording.values, np.array([0, 10]), np.array([1, 1]), np.array([15, 15]), 4, 1)
    given = {"train": np.array([0]), "val": np.array([1]), "test": np.array([1])}
    assert split_facts(recording, windows, given, "given")["overlap"]["train-val"]["rows"] == 0
    derived = split_facts(recording, windows, given, "given", derived=True)
    assert derived["overlap"]["train-val"]["rows"] == 9  # rows 10 to 18 of 0 to 18 and 10 to 28
    assert derived["leaks"]


def test_a_given_split_may_share_machines_and_says_so():
    facts = {"rule": "given", "on_both_sides": 3, "overlap": {f"{a}-{b}": {} for a, b in PAIRS}, "leaks": False}
    assert sharing_notes(facts) == ["given split: 3 entities are on both sides"]
    assert sharing_notes(facts | {"on_both_sides": 1}) == ["given split: 1 entity is on both sides"]
    assert sharing_notes(facts | {"rule": "time"}) == []
