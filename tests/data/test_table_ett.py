"""ETTh1 through the table source: the facts of its README, and day-ahead windows by time."""

from functools import cache

import numpy as np
import polars as pl
import pytest

from tests.conftest import DATA, public_data
from tests.data.tables import windows_of
from tests.data.test_known_sets import known_set

ROWS = {"train": (0, 8640), "val": (8640, 11520), "test": (11520, 14400)}


@cache
def raw() -> pl.DataFrame:
    return pl.read_csv(DATA / "ett" / "ETTh1.csv")


@public_data("ett")
def test_the_file_is_the_published_one():
    values = windows_of(known_set("ett")).values
    assert values.shape == (17420, 7)
    assert not np.isnan(values).any()
    assert values[0, 0] == np.float32(5.827000141143799)
    assert (values[0, 6], values[-1, 6]) == (np.float32(30.5310001373291), np.float32(9.56700038909912))


@public_data("ett")
def test_train_val_and_test_are_12_4_and_4_months_of_30_days():
    bundle = known_set("ett")
    windows, facts = windows_of(bundle), bundle.instances.facts
    for split, (first, end) in ROWS.items():
        assert windows.rows_read(bundle.splits[split]).tolist() == [[first, end]]
        assert facts["splits"][split]["rows"] == end - first
        assert len(bundle.splits[split]) == end - first - 96 - 24 + 1
    assert facts["splits"]["test"]["from"] == "2017-10-24 00:00:00"
    assert facts["overlap"]["train-val"] == {
        "instances": 0,
        "rows": 0,
        "entities": 1,
        "smallest_distance": 3600,
        "in_rows": 1,
        "time_between": 3600,
        "apart": True,
    }
    assert any(note.startswith(f"{17420 - 14400} rows belong to no split") for note in bundle.notes)


@public_data("ett")
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_targets_are_the_oil_a_day_ahead_and_whether_it_rises(split):
    bundle, oil = known_set("ett"), raw()["OT"].to_numpy().astype(np.float32)
    ends = ROWS[split][0] + 95 + np.arange(len(bundle.splits[split]))
    found = bundle.instances.targets["reg"].values[bundle.splits[split], 0]
    np.testing.assert_array_equal(found, oil[ends + 24])
    rises = bundle.instances.targets["cls"].ids[bundle.splits[split]]
    np.testing.assert_array_equal(rises, oil[ends + 24] - oil[ends] >= 0)
    np.testing.assert_array_equal(bundle.instances.x[bundle.splits[split][:1]][0, 6], oil[ends[0] - 95 : ends[0] + 1])
    if split == "test":
        when = np.array(raw()["date"].to_list(), dtype="datetime64[us]")
        np.testing.assert_array_equal(bundle.instances.places["time"], when[ends])
