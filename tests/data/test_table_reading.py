"""Columns of a table and what their cells hold: taken as they are, counted, or refused with row and column."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.data.tables import PLANT, plant, source_of, windows_of, written
from tsmtl.data.table import instances_of

TASKS = {"cls": "cls", "reg": "reg"}


@pytest.fixture
def load(load_file, tmp_path):
    """Give a function that writes a frame as CSV and loads it, with settings changed."""

    def loaded(frame: pl.DataFrame, *tasks: str, kind: str = "csv", **changes: Any) -> Any:
        return load_file(written(frame, tmp_path / f"t.{kind}"), *(tasks or TASKS), **{**PLANT, **changes})

    return loaded


def spoilt(column: str, row: int, cell: str | None) -> pl.DataFrame:
    """A plant as text, one cell changed; row 2 is the first behind the header."""
    here = pl.int_range(pl.len()) == row - 2
    frame = plant().with_columns(pl.all().cast(pl.String))
    return frame.with_columns(pl.when(here).then(pl.lit(cell)).otherwise(pl.col(column)).alias(column))


@pytest.mark.parametrize(
    ("setting", "value", "name", "meant"),
    [
        ("entity", "machin", "machin", "machine"),
        ("time", "tme", "tme", "time"),
        ("class_target", "sate", "sate", "state"),
        ("regression_target", "waer", "waer", "wear"),
        ("split_key", "sttae", "sttae", "state"),
        ("channels", ["a", "wearr"], "wearr", "wear"),
        ("condition", ["stat"], "stat", "state"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_its_setting_and_the_nearest(
    load, refuses, setting, value, name, meant
):
    with refuses(f"t.csv: no column '{name}' (data.{setting}); it has machine, time", f"did you mean '{meant}'?"):
        load(plant(), **{setting: value})


@pytest.mark.parametrize(
    ("column", "cell", "parts"),
    [
        ("a", "broken", ("row 20, column 'a': 'broken' is not a number; a missing value is an empty cell",)),
        ("a", "-1,5", ("row 20, column 'a': '-1,5' is not a number; its decimals must stand behind a point",)),
        ("wear", "NA", ("row 20, column 'wear': 'NA' is not a number",)),
        ("b", "inf", ("row 20, column 'b' is infinite in single precision",)),
        ("b", "1e60", ("row 20, column 'b' is infinite in single precision",)),
        ("wear", "-inf", ("row 20, column 'wear' is infinite",)),
        ("time", None, ("row 20, column 'time' is empty; every row needs a time",)),
        ("time", "nan", ("row 20, column 'time' is no finite time",)),
        ("time", "noon", ("row 20, column 'time': 'noon' is no number as in the rows before",)),
        ("time", "2024-01-01", ("row 20, column 'time': '2024-01-01' is no number", "dates and numbers are mixed")),
        ("machine", None, ("row 20, column 'machine' is empty; every row needs its entity",)),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_by_row_and_column(load, refuses, column, cell, parts):
    with refuses("t.csv: ", *parts):
        load(spoilt(column, 20, cell), channels=["a", "b"])


def test_empty_cells_are_missing_values_and_counted(load):
    bundle = load(spoilt("a", 20, None), channels=["a", "b"])
    assert np.isnan(windows_of(bundle).values).sum() == 1
    assert "1 missing input values, filled (data.missing=interpolate): a 1" in bundle.notes
    for column, noun in (("state", "class"), ("wear", "number")):
        bundle = load(spoilt(column, 20, None), channels=["a", "b"])
        assert any(f"1 instances without a {noun} '{column}'" in note for note in bundle.notes)


def dated(*cells: str) -> pl.DataFrame:
    return pl.DataFrame({"time": cells, "a": np.arange(len(cells)) ** 2.0, "wear": np.arange(len(cells)) * 1.0})


def hours(n: int, form: str = "%Y-%m-%dT%H:%M:%S") -> list[str]:
    return [(datetime(2024, 3, 30) + timedelta(hours=i)).strftime(form) for i in range(n)]


def test_dates_in_any_iso_form_time_zone_or_column_type_are_the_same_moments(load):
    asked = {
        "entity": None,
        "window": 1,
        "val_from": "2024-03-30T10:00",
        "test_from": "2024-03-30 15:00",
        "split": "time",
    }
    reference = load(dated(*hours(20)), "reg", **asked)
    assert reference.instances.places["time"][0] == np.datetime64("2024-03-30T15:00")
    when = [datetime.fromisoformat(t) for t in hours(20)]
    zoned = [(t.replace(tzinfo=UTC) + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S") + "+01:00" for t in when]
    forms = {
        "hours of offset": ([cell.removesuffix(":00") for cell in zoned], {}),
        "blank": (hours(20, "%Y-%m-%d %H:%M"), {}),
        "Z": (hours(20, "%Y-%m-%dT%H:%M:%S.000Z"), {}),
        "offset": (zoned, {}),
        "own": (hours(20, "%d/%m/%Y %H:%M"), {"time_format": "%d/%m/%Y %H:%M"}),
    }
    for cells, changes in forms.values():
        found = load(dated(*cells), "reg", **asked, **changes)
        assert all(np.array_equal(found.splits[s], rows) for s, rows in reference.splits.items())
        np.testing.assert_array_equal(found.instances.places["time"], reference.instances.places["time"])
    for column in (
        pl.Series("time", when),
        pl.Series("time", when, dtype=pl.Datetime("ms")),
        pl.Series("time", [t.replace(tzinfo=UTC) for t in when]).dt.convert_time_zone("Europe/Berlin"),
    ):
        found = load(dated(*hours(20)).with_columns(column), "reg", kind="parquet", **asked)
        np.testing.assert_array_equal(found.instances.places["time"], reference.instances.places["time"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_nanoseconds_are_counted_and_refused_where_cutting_them_repeats_a_time(load, refuses, kind):
    cells = [f"2024-03-30T00:00:{i:02}.000000{'250' if i % 4 == 0 else '000'}" for i in range(20)]
    asked = {"entity": None, "split": "time"}

    def of(cells: list[str]) -> pl.DataFrame:
        frame = dated(*cells)
        return frame if kind == "csv" else frame.with_columns(pl.col("time").str.to_datetime(time_unit="ns"))

    assert "5 times are finer than a microsecond, and cut to it" in load(of(cells), "reg", kind=kind, **asked).notes
    cells[1] = "2024-03-30T00:00:00.000000500"
    with refuses("1 rows repeat", "6 times are finer than a microsecond and cut to it; give them as numbers"):
        load(of(cells), "reg", kind=kind, **asked)


def test_a_format_of_times_that_are_no_text_is_said_not_to_be_read(load):
    frame = dated(*hours(20)).with_columns(pl.col("time").str.to_datetime())
    found = load(frame, "reg", kind="parquet", entity=None, split="time", time_format="%d/%m/%Y")
    assert "data.time_format is not read: column 'time' holds no text" in found.notes


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ([*hours(9), "2024-03-30T09:00:00Z"], ("row 11, column 'time'", "with and without a time zone are mixed")),
        ([*hours(9), "2024-02-31T00:00:00"], ("row 11, column 'time': '2024-02-31T00:00:00' is not a date",)),
        ([*hours(9), "12"], ("row 11, column 'time': '12' is not a date such as 2024-05-31 12:00:00",)),
        (hours(9, "%d.%m.%Y %H:%M"), ("row 2, column 'time': '30.03.2024 00:00' is neither", "data.time_format")),
    ],
)
def test_times_that_are_mixed_or_no_dates_are_refused(load, refuses, cells, parts):
    with refuses("t.csv", *parts):
        load(dated(*cells), "reg", entity=None)


def test_dates_and_numbers_in_two_files_are_refused(load_file, refuses, tmp_path):
    for first, second in ((hours(9), [str(i) for i in range(9)]), ([str(i) for i in range(9)], hours(9))):
        written(dated(*first), tmp_path / "1.csv")
        written(dated(*second), tmp_path / "2.csv")
        with refuses("2.csv: row 2, column 'time'"):
            load_file(tmp_path, "reg", **{**PLANT, "entity": None})


@pytest.mark.parametrize("date", ["05/06/2024", "05.06.2024 12:00", "05-06-2024"])
def test_a_date_whose_day_and_month_cannot_be_told_apart_is_refused_in_any_file(load_file, refuses, tmp_path, date):
    written(dated(*hours(9)), tmp_path / "1.csv")
    written(dated(date, date), tmp_path / "2.csv")
    with refuses(f"2.csv: row 2, column 'time': '{date}' is not a date such as 2024-05-31 12:00:00"):
        load_file(tmp_path, "reg", **{**PLANT, "entity": None})


def test_an_own_format_that_does_not_fit_is_refused(load, refuses):
    with refuses("row 4, column 'time': '2024-03-30' is not %d/%m/%Y"):
        load(dated("30/03/2024", "31/03/2024", "2024-03-30"), "reg", entity=None, time_format="%d/%m/%Y")


def test_unsorted_rows_are_sorted_and_repeated_ones_refused_or_counted(load, refuses):
    frame = plant()
    shuffled = frame.sample(fraction=1, shuffle=True, seed=0)
    reference, found = load(frame), load(shuffled)
    assert any("rows were not in the order of time (" in note for note in found.notes)
    for split, rows in reference.splits.items():
        ours, theirs = (b.instances.x[b.splits[split]] for b in (reference, found))
        assert len(ours) == len(rows)
        assert sorted(ours.tolist()) == sorted(theirs.tolist())
    again = pl.concat([frame, frame.head(3).with_columns(b=9.0)])
    with refuses("t.csv: 3 rows repeat entity and time of another, the first: entity 'm0', time 0", "data.duplicates"):
        load(again)
    for keep, number in (("first", 0), ("last", 3)):
        bundle = load(again, duplicates=keep)
        assert (windows_of(bundle).values[:, 1] == 9).sum() == number
        assert f"3 rows repeated entity and time of another; the {keep} of them is kept" in bundle.notes


def test_the_input_is_all_columns_of_numbers_that_have_no_other_part(load):
    frame = plant().with_columns(gear=pl.lit(3) + pl.col("time") % 2, text=pl.lit("x"), flag=pl.lit("1"))
    assert load(frame, "reg").instances.channels == ["a", "b", "gear", "flag"]
    assert load(frame, "reg", condition=["gear"]).instances.channels == ["a", "b", "flag"]
    assert load(frame, "reg", channels=["[ab]", "g*", "a"]).instances.channels == ["a", "b", "gear"]


def test_a_pattern_takes_neither_target_nor_time_nor_entity(load):
    frame = plant().rename({"wear": "a_wear", "time": "a_time"}).with_columns(machine=pl.col("machine").rank("dense"))
    bundle = load(frame, "reg", channels=["a*"], time="a_time", regression_target="a_wear")
    assert bundle.instances.channels == ["a"]


def test_a_column_of_another_part_is_input_where_it_is_named_and_a_target_is_spoken_of(load, refuses):
    frame = plant().with_columns(machine=pl.col("machine").str.slice(1).cast(pl.Int64))
    bundle = load(frame, "reg", channels=["b", "machine", "wear"])
    np.testing.assert_array_equal(windows_of(bundle).values[:, 1], frame["machine"])
    assert "wear: a channel and, with data.horizon=0, the target too; the input holds the answer" in bundle.notes
    assert not any("answer" in note for note in load(frame, "reg", channels=["wear"], horizon=2).notes)
    with refuses("row 2, column 'machine': 'm0' is not a number"):
        load(plant(), "reg", channels=["machine", "a"])
    with refuses("no column of numbers is left for the input; name them with data.channels"):
        load(plant().drop("a", "b"), "reg")
    with refuses("name them with data.channels; no numbers: a ('1,5'), b ('1,5')"):
        load(plant().with_columns(a=pl.lit("1,5"), b=pl.lit("1,5")), "reg")


def test_an_entity_of_numbers_is_one_in_every_block(settings_of):
    frame = plant(4, 10).with_columns(machine=pl.Series(np.repeat([1.0, 2.0, 3.0, 2.5], 10)))
    frame = pl.concat([frame, frame.head(30).with_columns(time=pl.col("time") + 10)])
    asked = settings_of("table", **PLANT, path="made", split="group")
    for block in (1, 7, 1000):
        instances = instances_of(asked, TASKS, source_of(frame, block=block))
        assert len(np.unique(instances.context.birth)) == 4
        assert set(instances.places["entity"]) < {"1", "2", "3", "2.5"}


def test_a_class_of_too_many_words_and_one_without_any_are_refused(load, refuses):
    n = 100_000
    many = pl.DataFrame({"time": np.arange(n), "a": np.arange(n), "state": np.arange(n) * 0.5})
    with refuses("t.csv: column 'state' has more than 10000 different values; is it a number?"):
        load(many, "cls", entity=None)
    with refuses("t.csv: column 'state' is empty; task cls needs it"):
        load(plant().with_columns(state=pl.lit(None)), "cls")
    with refuses("'state' row", "is 0.5, no class", "data.regression_target=state"):
        load(plant().with_columns(state=pl.col("time") * 0.5), "cls")


@pytest.mark.parametrize("setting", ["entity", "class_target", "split_key", "condition"])
@pytest.mark.parametrize("of", [pl.concat_list("machine"), pl.duration(days=pl.col("time")), pl.lit(b"\xff")])
def test_columns_of_neither_texts_nor_numbers_are_refused(load, refuses, setting, of):
    with refuses("t.parquet: column 'odd' holds ", ", neither texts nor numbers"):
        named = ["odd"] if setting == "condition" else "odd"
        load(plant().with_columns(odd=of), kind="parquet", channels=["a", "b"], **{setting: named})


def test_a_class_in_test_that_train_never_has_is_named(load, refuses):
    late = pl.when(pl.col("time") > 37).then(pl.lit("burst")).otherwise("state")
    with refuses("t.csv: 'state' has classes in the test split that train never has (burst)"):
        load(plant().with_columns(state=late), split="time")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_any_target_is_named(load, refuses, split):
    bounds = {"train": (0, 20), "val": (20, 30), "test": (30, 40)}[split]
    lost = pl.when(~pl.col("time").is_between(*bounds, closed="left")).then("wear").alias("wear")
    with refuses(f"t.csv: 'wear' is missing everywhere in the {split} split"):
        load(plant().with_columns(lost), split="time", val_from=20, test_from=30)


def test_a_channel_without_a_value_in_train_is_refused_and_constant_ones_are_spoken_of(load, refuses):
    only_test = plant().with_columns(b=pl.when(pl.col("time") >= 30).then("b"))
    with refuses("t.csv: no value in the train split for channel b; leave it out of data.channels"):
        load(only_test, split="time", val_from=20, test_from=30)
    bundle = load(plant().with_columns(a=pl.lit(1.5), b=pl.lit(0)))
    assert "2 constant in the train split and without information: a, b" in bundle.notes


@pytest.mark.parametrize(
    "changes",
    [
        {"window": 41, "short": "drop"},
        {"horizon": 40},
        {"horizon": 36, "short": "drop"},
        {"window": 10**6, "short": "drop"},
    ],
)
def test_windows_longer_than_every_recording_are_refused(load, refuses, changes):
    with refuses(
        "t.csv: no window of", "in the train and val and test split", "take a smaller data.window or data.hor"
    ):
        load(plant(), **changes)


def test_short_entities_are_padded_or_left_out_and_counted(load):
    frame = plant(8, 20).filter((pl.col("machine") > "m1") | (pl.col("time") < 3))
    padded, dropped = load(frame, window=10), load(frame, window=10, short="drop")
    assert "2 recordings are shorter than a window of 10 rows; their first row is repeated before them" in (
        " ".join(padded.notes)
    )
    assert "2 recordings with 6 rows are too short for a window and its horizon (10 rows)" in " ".join(dropped.notes)
    assert len(padded.instances.x) == len(dropped.instances.x) + 2


def test_one_entity_cannot_be_split_by_entity_and_is_split_by_time_by_itself(load, refuses):
    with refuses("data.split=group needs 3 entities at least, there are 1", "data.split=time"):
        load(plant(1, 60), split="group")
    assert load(plant(1, 60)).instances.facts["rule"] == "time"
