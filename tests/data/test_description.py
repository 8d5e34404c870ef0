"""Statistics of channels and targets against numpy on plain arrays."""

import numpy as np
import pytest

from tsmtl.data.description import describe_channels, describe_classes, describe_numbers
from tsmtl.data.instances import SPLITS, ClassTarget, Instances, NumberTarget
from tsmtl.data.windows import Windows

ROWS = {"train": np.arange(0, 20), "val": np.arange(20, 30), "test": np.arange(30, 40)}


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_channels_over_valid_steps_are_those_of_numpy(offset):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 3, 8)) + offset).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 2] = 7.1
    lengths = rng.integers(3, 9, 40)
    found = describe_channels(Instances(x, {}, "x", list("abc"), lengths=lengths), ROWS)
    for name, rows in ROWS.items():
        for c in range(3):
            valid = np.concatenate([x[i, c, : lengths[i]] for i in rows]).astype(np.float64)
            assert found[name].missing[c] == pytest.approx(np.isnan(valid).mean())
            assert found[name].mean[c] == pytest.approx(np.nanmean(valid), rel=1e-12)
            assert found[name].sd[c] == pytest.approx(np.nanstd(valid), rel=1e-9, abs=1e-12)
    assert found["train"].sd[2] == 0
    expected = (found["val"].mean[:2] - found["train"].mean[:2]) / found["train"].sd[:2]
    np.testing.assert_allclose(found["val"].shift(found["train"]), [*expected, 0.0])


def test_a_channel_that_is_constant_in_train_and_another_in_test_shifts_without_bound():
    x = np.ones((40, 1, 2), dtype=np.float32)
    x[30:] = 2
    found = describe_channels(Instances(x, {}, "x", ["a"]), ROWS)
    assert found["test"].shift(found["train"]) == np.inf
    assert found["val"].shift(found["train"]) == 0


def test_a_channel_without_any_value_in_a_split_has_no_mean():
    x = np.ones((40, 2), dtype=np.float32)
    x[20:30, 0] = np.nan
    found = describe_channels(Instances(x, {}, "x", ["a", "b"]), ROWS)["val"]
    assert np.isnan(found.mean).tolist() == [True, False]
    assert found.missing.tolist() == [1, 0]


def test_each_row_of_overlapping_windows_counts_once():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(50, 2)).astype(np.float32)
    values[13, 1] = np.nan
    windows = Windows(values, np.array([0, 30]), np.array([10, 4]), np.array([0, 0]), 6, 2, horizon=1)
    splits = {"train": np.arange(8), "val": np.array([9]), "test": np.arange(10, 14)}
    found = describe_channels(Instances(windows, {}, "t", ["a", "b"]), splits)
    read = {"train": values[0:20], "val": values[18:24], "test": values[30:42]}  # 2 * 7 + 6, 2 * 9, 2 * 3 + 6
    for name in SPLITS:
        double = read[name].astype(np.float64)
        np.testing.assert_allclose(found[name].mean, np.nanmean(double, axis=0))
        np.testing.assert_allclose(found[name].sd, np.nanstd(double, axis=0))
        np.testing.assert_allclose(found[name].missing, np.isnan(double).mean(axis=0))


def test_targets_are_counted_where_they_are_labelled():
    ids = np.array([0, 1, -1, 1] * 10)
    counts = describe_classes(ClassTarget("state", ids, ["ok", "worn", "never"]), ROWS)
    assert {name: list(found) for name, found in counts.items()} == {
        "train": [5, 10, 0],
        "val": [3, 5, 0],  # places 20 ... 29: 0 1 - 1, 0 1 - 1, 0 1
        "test": [2, 5, 0],
    }
    values = np.arange(80, dtype=np.float32).reshape(40, 2)
    values[30:38, 1] = np.nan
    found = describe_numbers(NumberTarget("wear", values), ROWS)["test"]
    assert (found[0].labelled, found[0].mean, found[0].least, found[0].median, found[0].most) == (10, 69, 60, 69, 78)
    assert (found[1].labelled, found[1].mean, found[1].sd, found[1].median) == (2, 78, 1, 78)
    values[20:30] = np.nan
    nothing = describe_numbers(NumberTarget("wear", values), ROWS)["val"][0]
    assert nothing.labelled == 0
    assert np.isnan(nothing.mean)
