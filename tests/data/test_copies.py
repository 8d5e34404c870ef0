"""Copies of train rows in separate test files: found however they are cut, and not where rows are equal by chance."""

import numpy as np
import polars as pl
import pytest

from tests.data.tables import source_of
from tsmtl.data.sharing import leak_lines, sharing_notes, splits_measured
from tsmtl.data.table import instances_of


def machines(values: np.ndarray, rows: int, name: str = "m") -> pl.DataFrame:
    """Machines of so many rows each, with channels ``c0``, ``c1``, ..., and a number that is their sum."""
    n = len(values)
    columns = {f"c{i}": values[:, i] for i in range(values.shape[1])}
    unit = [f"{name}{i // rows}" for i in range(n)]
    return pl.DataFrame({"unit": unit, "t": np.arange(n) % rows, **columns, "y": values.sum(axis=1)})


@pytest.fixture
def shared(settings_of):
    """Give a function that measures test rows against train rows: equal rows, copied windows, and the test windows."""

    def of(frame: pl.DataFrame, test: pl.DataFrame, window: int = 10, **changes) -> tuple[int, int, int]:
        named = {"entity": "unit", "time": "t", "channels": ["c*"], "regression_target": "y", "window": window}
        settings = settings_of("table", **named, **{"split": "group", "val_fraction": 0.01, **changes})
        instances = instances_of(settings, {"reg": "reg"}, source_of(frame, test))
        found = instances.facts["test_files"]
        assert instances.facts["leaks"] == (found["copied_windows"] > 0)
        return found["equal_rows"], found["copied_windows"], len(instances.given["test"])

    return of


RNG = np.random.default_rng(0)
SIGNALS = RNG.normal(size=(600, 3)).round(6)
OTHERS = RNG.normal(size=(100, 3)).round(6)


def test_rows_of_other_machines_are_no_copies(shared):
    assert shared(machines(SIGNALS, 50), machines(OTHERS, 50, "t")) == (0, 0, 82)


def test_a_machine_copied_under_another_name_is_copied_window_by_window(shared):
    test = pl.concat([machines(OTHERS, 50, "t"), machines(SIGNALS[100:150], 50, "other")])
    assert shared(machines(SIGNALS, 50), test) == (50, 41, 123)


def test_it_does_not_matter_how_many_rows_are_looked_for_at_a_time(shared, monkeypatch):
    test = pl.concat([machines(OTHERS, 50, "t"), machines(SIGNALS[100:150], 50, "other")])
    for rows in (20, 64):
        monkeypatch.setattr("tsmtl.data.copies.ROWS", rows)
        assert shared(machines(SIGNALS, 50), test) == (50, 41, 123)


def test_a_part_of_a_machine_at_another_time_is_copied_where_whole_windows_are(shared):
    values = np.concatenate([OTHERS[:20], SIGNALS[107:137], OTHERS[20:50]])
    assert shared(machines(SIGNALS, 50), machines(values, 80, "t")) == (30, 21, 71)


def test_fewer_rows_than_a_window_are_counted_and_no_leak(shared):
    values = np.concatenate([OTHERS[:20], SIGNALS[107:115], OTHERS[20:42]])
    assert shared(machines(SIGNALS, 50), machines(values, 50, "t")) == (8, 0, 41)


def test_short_machines_that_are_copies_are_found(shared):
    assert shared(machines(SIGNALS, 5), machines(SIGNALS[:25], 5, "t")) == (25, 5, 5)


def test_rows_with_another_target_are_no_copies(shared):
    test = machines(SIGNALS[100:150], 50, "t").with_columns(y=pl.col("y") + 1)
    assert shared(machines(SIGNALS, 50), test) == (0, 0, 41)


def test_a_copy_of_what_stands_in_train_twice_is_found(shared):
    frame = pl.concat([machines(SIGNALS, 50), machines(SIGNALS[:50], 50, "again")])
    assert shared(frame, machines(SIGNALS[:50], 50, "t"))[1] >= 41


def test_missing_values_are_equal_where_they_are_missing_in_both(shared):
    holes = np.where(RNG.random(SIGNALS.shape) < 0.1, np.nan, SIGNALS)
    found = shared(machines(holes, 50), machines(holes[:50], 50, "t"))
    assert found == (50, 41, 41)


def test_a_rounded_recording_that_stands_still_at_times_is_found_where_it_is_a_copy(shared):
    moving = np.cumsum(np.where(RNG.random((600, 2)) < 0.5, 0, RNG.normal(size=(600, 2))), axis=0).round(1)
    assert shared(machines(moving, 100), machines(moving[200:300], 100, "t"))[1] == 91


def steps(n: int, seed: int) -> np.ndarray:
    """A sensor of few levels that moves a level at a time."""
    return np.abs(np.cumsum(np.random.default_rng(seed).integers(-1, 2, (n, 1)), axis=0)) % 12 * 0.5


BY_CHANCE = {
    "a few levels": lambda n, seed: np.random.default_rng(seed).integers(0, 4, (n, 2)) * 0.5,
    "few levels, slow": steps,
    "two slow ones": lambda n, seed: np.concatenate([steps(n, seed), steps(n, seed + 1)], axis=1),
    "standing still": lambda n, seed: np.zeros((n, 2)),
    "rare bursts": lambda n, seed: (np.random.default_rng(seed).random((n, 1)) < 0.01) * (
        np.random.default_rng(seed).integers(1, 40, (n, 1)) * 0.1
    ),
    "on and off": lambda n, seed: (np.arange(n)[:, None] // 10 % 2).astype(float),
    "a counter in every machine": lambda n, seed: (np.arange(n)[:, None] % 50).astype(float),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(BY_CHANCE))
@pytest.mark.parametrize("window", [1, 10])
def test_rows_that_are_equal_by_chance_are_no_copies(shared, kind, window):
    for seed in range(3):
        frame, test = (machines(BY_CHANCE[kind](n, 10 * seed + n), 50, str(n)) for n in (4000, 2000))
        equal, copied, windows = shared(frame, test, window)
        assert equal > 1000 or kind == "rare bursts"
        assert copied == 0, windows


def test_a_copy_is_a_leak_and_a_few_equal_rows_are_a_note(settings_of):
    named = {"entity": "unit", "time": "t", "channels": ["c*"], "regression_target": "y", "window": 10}
    settings = settings_of("table", **named, split="group", val_fraction=0.01)
    test = pl.concat([machines(OTHERS, 50, "t"), machines(SIGNALS[100:150], 50, "other")])
    instances = instances_of(settings, {"reg": "reg"}, source_of(machines(SIGNALS, 50), test))
    facts = splits_measured(instances, instances.given)
    assert leak_lines(facts) == ["41 test windows are copies of rows of train or val"]
    note = "50 of 150 rows of the test files have exactly the values and targets of one of train or val"
    assert sharing_notes(facts) == [note]
