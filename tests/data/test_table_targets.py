from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.data.tables import source_of
from tsmtl.data.instances import SPLITS, Instances
from tsmtl.data.table import instances_of, load_new_rows


@pytest.fixture
def targets(settings_of):
    """Give a function that cuts 12 rows of one class column into windows of 2, stride 2."""

    def of(cells: list, tasks: tuple[str, ...] = ("cls",), **changes: Any) -> Instances:
        frame = pl.DataFrame({"c": cells, "x": np.arange(len(cells)) * 1.0}, strict=False)
        named = {"channels": ["x"], "class_target": "c", "window": 2, "stride": 2, "split": "time"}
        asked = settings_of("table", **{**named, "val_from": 4, "test_from": 8, **changes})
        return instances_of(asked, {task: task for task in tasks}, source_of(frame))

    return of


def classes(instances: Instances) -> list[str | None]:
    target = instances.targets["cls"]
    rows = np.concatenate([instances.given[split] for split in SPLITS])
    return [None if i < 0 else target.names[i] for i in target.ids[rows]]


def test_classes_of_numbers_are_in_their_order_and_an_empty_cell_or_minus_one_is_none(targets):
    instances = targets([9, 10, 10, 9, None, -1, 9, 9, 10, 10, 2, None])
    assert instances.targets["cls"].names == ["2", "9", "10"]
    assert classes(instances) == ["10", "9", None, "9", "10", None]
    assert classes(targets([9.0, 10.0, 10.0, 9.0, None, -1.0, 9.0, 9.0, 10.0, 10.0, 2.0, None])) == classes(instances)


def test_the_largest_of_negative_classes_too(targets):
    instances = targets([-3, -2, 0, 5, -2, -3, -1, -1, 5, -3, 0, 0], class_reduce="max")
    assert instances.targets["cls"].names == ["-3", "-2", "0", "5"]
    assert classes(instances) == ["-2", "5", "-2", None, "5", "0"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["1_1", "11", "2"], ["11", "1_1", "2"]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["1e1", "10", "3"], ["10", "1e1", "3"]),
        (["+1", "1", "9" * 20], ["+1", "1", "9" * 20]),
        (["10", "9", "nan"], ["9", "10"]),
        (["10", "9", "-1"], ["9", "10"]),
    ],
)
def test_classes_that_are_written_differently_stay_apart(targets, words, names):
    instances = targets([words[i // 2 % 3] for i in range(12)])
    assert instances.targets["cls"].names == names
    told = [word if word in names else None for word in words]
    assert classes(instances) == told * 2


def test_bins_name_themselves_and_a_bound_belongs_to_the_class_above(targets):
    cells = [0, 29, 30, 79.5, 80, 80, 99, None, 10, 50, 30, 31]
    instances = targets(cells, class_bins=[30, 80])
    assert instances.targets["cls"].names == ["below 30", "30 to 80", "from 80"]
    assert instances.targets["cls"].ids.tolist() == [0, 1, 2, -1, 1, 1]
    mean = targets(cells, class_bins=[30, 80], class_reduce="mean", class_bin_names=["low", "mid", "high"])
    assert classes(mean) == ["low", "mid", "high", "high", "mid", "mid"]


def test_a_rise_over_the_horizon_is_a_class(targets):
    cells = [1, 2, 3, 3, 2, 1, 5, 0, 0, 4, 4, 9]
    instances = targets(cells, class_bins=[0], class_reduce="change", horizon=1, stride=1)
    # Windows of rows 0-1, 1-2, 4-5, 5-6, 8-9 and 9-10: the row behind minus their last one is 1, 0, 4, -5, 0 and 5.
    assert instances.targets["cls"].ids.tolist() == [1, 1, 1, 0, 1, 1]


def test_a_change_of_large_numbers_is_exact(targets):
    meter = 12345678.25 + 0.3 * np.arange(12)  # single precision has steps of 1 there
    how = {"regression_target": "c", "regression_reduce": "change", "class_reduce": "change", "class_bins": [0.5]}
    instances = targets(meter.tolist(), ("cls", "reg"), horizon=2, stride=1, **how)
    np.testing.assert_allclose(instances.targets["reg"].values, 0.6, rtol=1e-6)
    assert set(instances.targets["cls"].ids) == {1}


def test_a_number_whose_values_single_precision_cannot_tell_apart_is_refused(targets, refuses, settings_of):
    seconds = 1.7e9 + 0.5 * np.arange(12)
    with refuses("made: column 'c': lies between 1.7e+09 and 1.70000001e+09", "steps of 128", "subtract an offset"):
        targets(seconds.tolist(), ("reg",), regression_target="c", class_target=None)
    exact = (2**24 - 20 + np.arange(12)).tolist()  # whole, and below 2^24
    found = targets(exact, ("reg",), regression_target="c", class_target=None)
    assert found.targets["reg"].values[:, 0].tolist() == exact[1::2]
    frame = pl.DataFrame({"c": seconds, "x": np.arange(12.0)})
    asked = settings_of("table", channels=["x"], regression_target="c", window=2, split="time")
    assert len(load_new_rows(asked, {"reg": "reg"}, source_of(frame)).x) == 11  # of a few rows of one machine, say


@pytest.mark.parametrize("how", ["last", "mode"])
def test_one_column_may_be_class_and_number(targets, how):
    cells = [1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 2, 3]
    instances = targets(cells, ("cls", "reg"), regression_target="c", class_reduce=how, window=3, stride=4)
    assert classes(instances) == ({"last": ["2", "3", "2"], "mode": ["1", "3", "1"]}[how])
    assert instances.targets["reg"].values[:, 0].tolist() == [2, 3, 2]
