import json
import tracemalloc

import numpy as np
import pytest
from sklearn.cluster import KMeans

from tsmtl.data.conditions import ConditionColumns, Conditions

ALL = np.arange


def test_channels_are_scaled_within_each_combination_by_hand():
    gear, load = np.array([0, 0, 1, 1, 0, 1, 0, -1], dtype=np.int16), np.zeros(8, dtype=np.int16)
    columns = ConditionColumns(["gear", "load"], None, [(gear, ["low", "high"]), (load, ["full"])])
    values = np.array([[1], [3], [10], [30], [99], [20], [5], [7]], dtype=np.float32)
    conditions = Conditions.fit(values, columns, np.array([[0, 4]]), None, 0)
    # Train rows 0 to 3: low has 1 and 3 (mean 2, sd 1), high 10 and 30 (mean 20, sd 10); all: mean 11, sd sqrt(131.5).
    assert conditions.combinations == [["high", "full"], ["low", "full"]]
    np.testing.assert_allclose(conditions.shift[:, 0], [20, 2, 11])
    np.testing.assert_allclose(conditions.scale[:, 0], [10, 1, np.sqrt(131.5)])
    found = conditions.scaled(values, columns, ALL(8))[:, 0]
    np.testing.assert_allclose(found, [-1, 1, -1, 1, 97, 0, 3, (7 - 11) / np.sqrt(131.5)])


def test_a_condition_that_train_never_had_is_scaled_as_all_of_train_together():
    gear = np.array([0, 0, 1, 1, 2], dtype=np.int16)
    columns = ConditionColumns(["gear"], None, [(gear, ["a", "b", "new"])])
    values = np.array([[0], [2], [4], [6], [3]], dtype=np.float32)
    conditions = Conditions.fit(values, columns, np.array([[0, 4]]), None, 0)
    assert conditions.of_rows(columns, ALL(5)).tolist() == [0, 0, 1, 1, 2]
    assert conditions.scaled(values, columns, np.array([4])).tolist() == [[0]]  # 3 is the mean of 0, 2, 4, 6


def test_numbers_are_clustered_as_scikit_learn_clusters_their_standardised_values():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 400)
    numbers = np.stack([kind * 1000.0, (kind == 1) * 0.01], axis=1) + rng.normal(scale=[1, 1e-4], size=(400, 2))
    values = rng.normal(loc=kind[:, None] * 5, scale=1 + kind[:, None], size=(400, 2)).astype(np.float32)
    values[::17, 1] = np.nan
    columns = ConditionColumns(["p", "q"], numbers.astype(np.float32), [])
    conditions = Conditions.fit(values, columns, np.array([[0, 100], [200, 400]]), 3, 0)
    train = np.r_[0:100, 200:400]
    z = (numbers - numbers[train].mean(axis=0)) / numbers[train].std(axis=0)
    labels = KMeans(3, n_init=5, random_state=0).fit(z[train]).predict(z)
    ours = conditions.of_rows(columns, ALL(400))
    assert len({*zip(labels, ours, strict=True)}) == 3, "the same parts, whatever they are called"
    for k in range(3):
        part = values[train][ours[train] == k].astype(np.float64)
        np.testing.assert_allclose(conditions.shift[k], np.nanmean(part, axis=0), rtol=1e-6)
        np.testing.assert_allclose(conditions.scale[k], np.nanstd(part, axis=0), rtol=1e-6)


def test_rows_outside_train_move_neither_centres_nor_scaling():
    rng = np.random.default_rng(1)
    numbers, values = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(size=(60, 3)).astype(np.float32)
    train = np.array([[0, 20], [30, 40]])
    before = Conditions.fit(values, ConditionColumns(["p", "q"], numbers, []), train, 3, 0)
    for rows in (np.r_[20:30], np.r_[40:60]):
        numbers[rows], values[rows] = 1e6, -1e6
    after = Conditions.fit(values, ConditionColumns(["p", "q"], numbers, []), train, 3, 0)
    assert before.state() == after.state()


def test_a_channel_without_spread_in_a_condition_is_only_shifted():
    gear = np.array([0, 0, 1, 1], dtype=np.int16)
    columns = ConditionColumns(["gear"], None, [(gear, ["a", "b"])])
    values = np.array([[5], [5], [np.nan], [np.nan]], dtype=np.float32)
    conditions = Conditions.fit(values, columns, np.array([[0, 4]]), None, 0)
    np.testing.assert_array_equal(conditions.scaled(values, columns, ALL(4))[:, 0], [0, 0, np.nan, np.nan])


@pytest.mark.parametrize("clusters", [None, 2])
def test_a_checkpoint_holds_all_that_scaling_needs(clusters):
    codes = np.array([0, 1, 0, 1, -1], dtype=np.int16)
    numbers = np.array([[0], [1], [0], [1], [np.nan]], dtype=np.float32)
    columns = ConditionColumns(["c"], numbers if clusters else None, [] if clusters else [(codes, ["u", "v"])])
    values = np.array([[1, 2], [3, 4], [5, 8], [7, 16], [9, 9]], dtype=np.float32)
    conditions = Conditions.fit(values, columns, np.array([[0, 4]]), clusters, 0)
    again = Conditions.from_state(json.loads(json.dumps(conditions.state())))
    found = again.scaled(values, columns, ALL(5))
    np.testing.assert_array_equal(found, conditions.scaled(values, columns, ALL(5)))
    np.testing.assert_allclose(found[:4, 0], [-1, -1, 1, 1])
    np.testing.assert_allclose(found[4, 0], (9 - 4) / np.sqrt(5))  # its condition is unknown: all of train


def test_an_empty_cell_and_too_few_different_rows_are_refused_with_the_setting(refuses):
    numbers = np.array([[0, 1], [0, 1], [0, np.nan]], dtype=np.float32)
    values = np.zeros((3, 1), dtype=np.float32)
    columns = ConditionColumns(["p", "q"], numbers, [])
    with refuses("data.condition: column 'q' has empty cells"):
        Conditions.fit(values, columns, np.array([[0, 3]]), 2, 0)
    with refuses("data.condition_clusters: the train split has fewer than 2 different rows"):
        Conditions.fit(values, columns, np.array([[0, 2]]), 2, 0)


def test_combinations_of_many_rows_take_no_tuple_for_each(monkeypatch):
    monkeypatch.setattr("tsmtl.data.conditions.ROWS", 2**12)
    monkeypatch.setattr("tsmtl.data.conditions.BLOCK_VALUES", 2**12)
    rng, n = np.random.default_rng(0), 2**18
    gear, load = (rng.integers(-1, k, n).astype(np.int16) for k in (6, 3))
    columns = ConditionColumns(["gear", "load"], None, [(gear, [*"abcdef"]), (load, [*"xyz"])])
    values = (gear * 10 + load + rng.normal(size=n))[:, None].astype(np.float32)
    tracemalloc.start()
    conditions = Conditions.fit(values, columns, np.array([[0, n]]), None, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / n < 40, "bytes a row; a tuple for each takes 195"
    assert len(conditions.combinations) == 7 * 4
    row = conditions.combinations.index(["b", ""])
    assert conditions.shift[row, 0] == pytest.approx(10 - 1, abs=0.1)
    assert conditions.scale[row, 0] == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(conditions.of_rows(columns, ALL(n)) == row, (gear == 1) & (load == -1))


def test_more_combinations_than_can_be_scaled_in_are_refused_before_all_are_held(refuses, monkeypatch):
    monkeypatch.setattr("tsmtl.data.conditions.ROWS", 100)
    monkeypatch.setattr("tsmtl.data.conditions.MOST", 150)
    codes = (np.arange(1000) % 400).astype(np.int16)
    columns = ConditionColumns(["c"], None, [(codes, [str(i) for i in range(400)])])
    values = np.zeros((1000, 1), dtype=np.float32)
    with refuses("data.condition: c have more than 200 combinations of values in 1000 train rows"):
        Conditions.fit(values, columns, np.array([[0, 1000]]), None, 0)
    with refuses("data.condition: c have 40 combinations of values in 60 train rows"):
        columns = ConditionColumns(["c"], None, [(codes % 40, [str(i) for i in range(40)])])
        Conditions.fit(values, columns, np.array([[0, 60]]), None, 0)
