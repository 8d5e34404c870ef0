"""Tables of one row per instance: the same instances as the arrays of an .npz file, and refusals of one line."""

import gzip
from dataclasses import replace
from datetime import date, time, timedelta

import numpy as np
import polars as pl
import pytest

from tests.data.test_stream_npz import contract
from tsmtl.data import csv_rows
from tsmtl.data.checks import data_hash
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.loading import load_bundle
from tsmtl.data.stream import Request, WantedTarget, class_ids
from tsmtl.data.stream_table import stream_table

N, E = 60, 5
BOTH = {"cls": "cls", "reg": "reg"}


@pytest.fixture
def frame():
    """60 vectors of 5 features with a class, a number, a group and a split; a value is missing here and there."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, E)).astype(np.float32)
    x[::9, 2] = np.nan
    columns = {f"f{i}": pl.Series(x[:, i]).fill_nan(None) for i in range(E)}
    y = rng.integers(0, 3, N)
    columns |= {"instance": [f"m{i}" for i in range(N)], "y_cls": np.array(["low", "mid", "top"])[y]}
    columns |= {"y_reg": y + rng.normal(size=N).astype(np.float32), "note": ["a, b"] * N}
    return pl.DataFrame(columns | {"batch": np.arange(N) // 4, "part": np.repeat(["train", "val", "test"], N // 3)})


@pytest.fixture
def load(tmp_path, settings_of):
    """Write a table and load it as a run would."""

    def read(table, ending=".csv", tasks=BOTH, **changes):
        path = tmp_path / f"v{ending}"
        if isinstance(table, str | bytes):
            path.write_bytes(table.encode() if isinstance(table, str) else table)
        elif ending == ".csv":
            table.write_csv(path)
        elif ending.lower() == ".csv.gz":
            path.write_bytes(gzip.compress(table.write_csv().encode()))
        else:
            table.write_parquet(path)
        return load_bundle(settings_of("vectors", path=str(path), **changes), tasks)

    return read


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".CSV.GZ", ".parquet", ".pq"])
@pytest.mark.parametrize(
    "split", [{}, {"split_key": "part"}, {"group_key": "batch"}, {"split_key": "batch", "test_fold": [3, 4]}]
)
def test_a_table_gives_the_data_of_the_same_arrays(frame, load, load_arrays, ending, split):
    found = load(frame, ending, features=["f*"], **split)
    names = [f"f{i}" for i in range(E)]
    arrays = {name: frame[name].to_numpy() for name in ("y_reg", "batch")}
    arrays |= {name: frame[name].to_numpy().astype(str) for name in ("y_cls", "part")}
    arrays |= {"X": frame.select(names).fill_null(np.nan).to_numpy(), "names": np.array(names)}
    expected = load_arrays(arrays, channels_key="names", **split)
    assert data_hash(found) == data_hash(expected)
    assert found.instances.channels == names
    assert found.instances.targets["cls"].names == ["low", "mid", "top"]
    for name, rows in expected.splits.items():
        np.testing.assert_array_equal(found.splits[name], rows)
    assert found.notes[1].startswith(f"{len(range(0, N, 9))} missing input values")
    assert found.instances.places["instance"].tolist() == [f"m{i}" for i in expected.splits["test"]]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_input_is_every_column_of_numbers_that_has_no_other_part(frame, load, ending):
    bundle = load(frame, ending, group_key="batch")
    assert bundle.instances.channels == [f"f{i}" for i in range(E)]
    assert "2 columns hold no numbers and are left out of the input: note, part" in bundle.notes
    renamed = frame.rename({"instance": "serial"})
    assert load(renamed, ending, instance_key="serial").instances.channels == [*(f"f{i}" for i in range(E)), "batch"]


def test_another_target_of_the_settings_is_no_input_of_a_task_without_it(frame, load):
    wear = frame.rename({"y_reg": "wear"})
    only = {"tasks": {"cls": "cls"}}
    assert "wear" not in load(wear, **only, regression_target="wear").instances.channels
    assert "wear" in load(wear, **only, regression_target=None).instances.channels


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_tsmtl_represent_or_pandas_calls_no_feature_is_input_by_its_name_alone(frame, load, ending):
    numbers = {name: pl.Series(np.arange(N) % 7) for name in ("y_cls_2", "y_reg_1", "group", "__index_level_0__")}
    table = frame.with_columns(**numbers)
    for features in (None, ["f*", "[by_g]*"]):
        found = load(table, ending, tasks={"cls": "cls"}, regression_target=None, features=features)
        assert found.instances.channels == [*(f"f{i}" for i in range(E)), "batch"]
    found = load(table, ending, tasks={"cls": "cls"}, regression_target=None)
    said = "y_reg, y_cls_2, y_reg_1, group, __index_level_0__: no input by default"
    assert any(note.startswith(said) for note in found.notes)
    named = load(table, ending, tasks={"cls": "cls"}, regression_target=None, features=["f0", "y_reg"])
    assert named.instances.channels == ["f0", "y_reg"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("features", [None, ["f*"]])
def test_a_target_that_is_spelled_wrongly_is_refused_by_a_task_without_it(frame, load, refuses, ending, features):
    table = frame.with_columns(fault=pl.Series(np.arange(N) % 2))
    reg = {"tasks": {"reg": "reg"}, "features": features}
    with refuses("no column 'fautl' (data.class_target); it has f0", "did you mean 'fault'?"):
        load(table, ending, class_target="fautl", **reg)
    with refuses("no column 'fautl' (data.class_target_2)"):
        load(table, ending, tasks={"cls": "cls"}, class_target_2="fautl", regression_target=None, features=features)
    assert "fault" not in load(table, ending, class_target="fault", **reg).instances.channels
    named = load(table, ending, class_target="fautl", tasks={"reg": "reg"}, features=["f0", "f1"])
    assert named.instances.channels == ["f0", "f1"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_several_numbers_are_a_list_or_numbered_columns(frame, load, ending):
    two = frame.rename({"y_reg": "y_reg_1"}).with_columns(y_reg_2=2 * pl.col("y_reg_1"))
    numbered = load(two, ending)
    listed = load(two, ending, regression_target=["y_reg_1", "y_reg_2"])
    values = np.stack([two["y_reg_1"], two["y_reg_2"]], axis=1).astype(np.float32)
    for bundle in (numbered, listed):
        np.testing.assert_array_equal(bundle.instances.targets["reg"].values, values)
        assert "y_reg_2" not in bundle.instances.channels


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_a_pattern_takes_for_input_is_said(frame, load, ending):
    table = frame.with_columns(fault=pl.int_range(N))
    notes = load(table, ending, features=["f*"]).notes
    assert notes[0] == "input, E = 6: f0, f1, f2, f3, f4, fault"
    assert notes[1].startswith("column 'fault' counts the rows, and is input")
    assert not any("left out" in note for note in notes)
    assert not any(note.startswith("input") for note in load(table, ending, features=["f0", "f1"]).notes)


def test_features_are_in_the_order_of_their_names(frame, load):
    x = load(frame, features=["f3", "f[01]"]).instances
    assert x.channels == ["f3", "f0", "f1"]
    np.testing.assert_array_equal(x.x[:, 0], frame["f3"].to_numpy())


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int16, pl.Boolean, pl.Decimal(9, 2), pl.String])
def test_features_may_be_of_any_type_of_numbers(frame, load, dtype):
    whole = frame.with_columns((10 * pl.col("f0")).round().alias("f0"))
    values = (whole["f0"] > 0 if dtype == pl.Boolean else whole["f0"]).cast(pl.Int32).cast(dtype)
    x = load(whole.with_columns(values.alias("f0")), ".parquet", features=["f0", "f1"]).instances.x
    np.testing.assert_array_equal(x[:, 0], values.cast(pl.Float32).to_numpy())


@pytest.mark.parametrize("read", [40, 1000, 2**22])
@pytest.mark.parametrize(
    "form", ["plain", "quoted", "crlf", "bom", "no break at the end", "blank lines at the end", "blanks"]
)
def test_a_csv_file_is_the_same_however_it_is_cut(frame, load, monkeypatch, read, form):
    monkeypatch.setattr(csv_rows, "READ", read)
    table = frame if form == "quoted" else frame.drop("note")
    text = table.write_csv(line_terminator="\r\n" if form == "crlf" else "\n")
    text = {"bom": "\ufeff" + text, "no break at the end": text[:-1], "blank lines at the end": text + "\n\n"}.get(
        form, text
    )
    text = text.replace(",", " , ") if form == "blanks" else text
    x = load(text, features=["f*"]).instances
    np.testing.assert_array_equal(x.x, frame.select("^f.$").fill_null(np.nan).to_numpy())
    assert x.targets["cls"].array.tolist() == np.unique(frame["y_cls"], return_inverse=True)[1].tolist()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_blanks_around_a_class_or_a_group_make_no_other(frame, load, ending):
    asked = {"features": ["f0", "f1"], "group_key": "batch", "split": "group"}
    frame = frame.with_columns(pl.col("batch").cast(pl.String))
    padded = frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col(name) + "  ").otherwise(name).alias(name)
        for name in ("y_cls", "batch")
    )
    expected, found = load(frame, ending, **asked), load(padded, ending, **asked)
    assert found.instances.targets["cls"].names == expected.instances.targets["cls"].names
    assert all(np.array_equal(found.splits[name], rows) for name, rows in expected.splits.items())


def cell(frame, row, column, text):
    """The table as CSV, one cell of it changed."""
    texts = frame.select(pl.all().cast(pl.String))
    return texts.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(text)).otherwise(pl.col(column)).alias(column)
    )


CELLS = {
    ("f1", "x y"): "row 9, column 'f1': 'x y' is not a number; a missing value is an empty cell",
    ("f1", "1e60"): "row 9, column 'f1' is infinite in single precision; a missing value is empty",
    ("f4", "inf"): "row 9, column 'f4' is infinite in single precision; a missing value is empty",
    ("y_reg", "low"): "row 9, column 'y_reg': 'low' is not a number; a missing value is an empty cell",
    ("instance", ""): "'instance' (data.instance_key) is missing in row 9",
    ("batch", ""): "'batch' (data.group_key) is missing in row 9",
}


@pytest.mark.parametrize(("column", "text"), CELLS)
def test_a_wrong_cell_is_refused_with_its_place(frame, load, refuses, column, text):
    with refuses("v.csv: ", CELLS[column, text]):
        load(cell(frame, 7, column, text), group_key="batch")


def test_an_infinite_value_of_a_parquet_file_is_refused_with_its_place(frame, load, refuses):
    with refuses("v.parquet: row 8, column 'f1' is infinite in single precision"):
        load(frame.with_columns(f1=pl.when(pl.int_range(N) == 7).then(np.inf).otherwise(pl.col("f1"))), ".parquet")


SETTINGS = {
    "no column 'y_clss' (data.class_target); it has f0, f1": {"class_target": "y_clss"},
    "; did you mean 'y_cls'?": {"class_target": "y_clss"},
    "no column 'g*' (data.features); it has f0": {"features": ["g*"]},
    "no column 'machine' (data.group_key)": {"group_key": "machine"},
    "no column 'serial' (data.instance_key)": {"instance_key": "serial"},
    "data.features: 'y_reg' is data.regression_target too, and no input; leave it out of one of the two": {
        "features": ["f0", "y_reg"]
    },
    "'y_reg' row ": {"class_target": "y_reg", "regression_target": "f0"},
    "'y_cls' has type <U3, no numbers; for classes set data.class_target=y_cls": {"regression_target": "y_cls"},
    "data.split=given needs the column of train/val/test or fold ids (data.split_key)": {"split": "given"},
    "'batch' holds fold ids (0, 1, 2": {"split_key": "batch"},
    "7 missing values, the first: instance 0, feature f2 (data.missing=error)": {"missing": "error"},
    "data.scale: per_instance is for series; vectors (N, E) take standard or minmax": {"scale": "per_instance"},
    "data.other_split: is for vectors of tsmtl-represent; ": {"other_split": True},
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("said", SETTINGS)
def test_settings_that_do_not_fit_the_file_are_refused_with_one_line(frame, load, refuses, said, ending):
    with refuses(said):
        load(frame, ending, **SETTINGS[said])


FILES = {
    ("", ".csv"): "v.csv: empty; the first row must name the columns",
    ("f0,y_cls,y_reg\n", ".csv"): "v.csv: no row behind the header",
    ("f0,f0,y_cls,y_reg\n1,2,a,3\n", ".csv"): "v.csv: has more than one column 'f0'",
    ("f0,y_cls,y_reg\n1,a,3\n1,a\n", ".csv"): "v.csv: row 3 has 2 cells, the header 3; was the file cut off?",
    (
        "f0;y_cls;y_reg\n1;a;3\n",
        ".csv",
    ): "v.csv: no column of numbers is left for the vectors; are its cells separated by commas?",
    (
        "y_cls,y_reg\na,3\nb,4\n",
        ".csv",
    ): "v.csv: no column of numbers is left for the vectors; name them with data.features",
    (b"f0,y_cls,y_reg\n1,\xff,3\n", ".csv"): "v.csv: not a readable text file; is it UTF-8?",
    ('f0,y_cls,y_reg\n1,"a,3\n', ".csv"): "v.csv: row 2: a quote is never closed",
    ("PAR1", ".parquet"): "v.parquet: not a readable Parquet file; was it cut off?",
    ("{}", ".json"): "v.json is no table of vectors; it must end in .csv, .csv.gz, .parquet, .pq",
}


@pytest.mark.parametrize(("text", "ending"), FILES)
def test_a_file_that_is_no_table_of_vectors_is_refused_with_one_line(load, refuses, text, ending):
    with refuses(FILES[text, ending]):
        load(text, ending, split_targets=[{"kind": "cls", "target": ["y_cls"]}])


def test_a_parquet_file_without_rows_is_refused(frame, load, refuses):
    with refuses("v.parquet: has no rows"):
        load(frame.head(0), ".parquet")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_numbers_that_single_precision_cannot_tell_apart_are_refused(frame, load, refuses, ending):
    with refuses("column 'f1': lies between 1.7e+09 and 1.70000006e+09", "subtract an offset from it first"):
        load(frame.with_columns(f1=1.7e9 + pl.int_range(N).cast(pl.Float64)), ending)


def test_named_tasks_need_named_features(frame, compose, tmp_path, refuses):
    frame.write_csv(tmp_path / "v.csv")
    words = ["data=vectors", f"data.path={tmp_path / 'v.csv'}", "task=custom", "model=fc"]
    tasks = "tasks=[{name: kind, kind: cls, target: y_cls}, {name: n, kind: reg, target: [y_reg, f4]}]"
    settings = compose(*words, tasks)
    with refuses("data.features: task=custom needs the columns of the vectors by name or pattern"):
        load_bundle(settings.data, settings.tasks)
    settings = compose(*words, tasks, "data.features=[f*]")
    bundle = load_bundle(settings.data, settings.tasks)
    assert bundle.instances.channels == ["f0", "f1", "f2", "f3"]
    np.testing.assert_array_equal(bundle.instances.targets["n"].values[:, 1], frame["f4"].to_numpy())


@pytest.mark.parametrize("words", [["Train", "Val", "TEST"], ["training", "valid", "test"]])
def test_a_split_in_other_words_is_not_passed_over(frame, load, refuses, words):
    table = frame.drop("part").with_columns(split=pl.Series(np.repeat(words, N // 3)))
    with refuses("column 'split' holds ", words[1], "and no setting reads it; take it with data.split_key=split"):
        load(table)
    with refuses("; the words of a split are train, val and test"):
        load(table, split_key="split")
    assert load(table, split="stratified").splits["train"].size
    assert load(table.with_columns(split=pl.Series(["left", "right"] * (N // 2)))).splits["train"].size


def test_a_wide_file_is_read_some_columns_at_a_time(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32)
    names = [f"f{i}" for i in range(300)]
    pl.DataFrame(x, schema=names, orient="row").write_parquet(tmp_path / "wide.parquet")
    monkeypatch.setattr("tsmtl.data.instance_table.COLUMN_VALUES", 70)
    scans = []
    scan = pl.scan_parquet
    monkeypatch.setattr(pl, "scan_parquet", lambda *given: scans.append(given) or scan(*given))
    table = InstanceTable(tmp_path / "wide.parquet")
    reads = []
    inside = table._read
    monkeypatch.setattr(table, "_read", lambda wanted: reads.append(len(wanted)) or inside(wanted))
    np.testing.assert_array_equal(table.whole(names, [])[0], x)
    assert reads == [10] * 30 + [0]
    assert len(scans) == 1  # each finds out anew where all columns lie


def streamed(path, *targets):
    """What a model of the five features gets of a file: names, input and targets, block after block."""
    reads = replace(contract(E, "vectors"), channels=[f"f{i}" for i in range(E)])
    blocks = list(stream_table(Request(path, reads, 7, targets=list(targets))).blocks)
    values = {target.task: np.concatenate([block.targets[target.task] for block in blocks]) for target in targets}
    return [name for block in blocks for name in block.names], np.concatenate([block.x for block in blocks]), values


def every(cells):
    """A column of the table in which some cells take turns."""
    return [cells[i % len(cells)] for i in range(N)]


CLASSES = {  # cells of a column, and the classes that they are
    ("0.0", "1.0", "2.0"): ["0", "1", "2"],
    ("2", "10", "2.0"): ["2", "10"],
    ("01", "1", "2"): ["01", "1", "2"],
    ("1e1", "2e1", "3"): ["1e1", "2e1", "3"],
    ("True", "False"): ["0", "1"],
    ("true", "false", "unknown"): ["false", "true", "unknown"],
    ("7", "low", "7.0"): ["7", "7.0", "low"],
    ("3", "nan", "4", "-1", ""): ["3", "4"],
    ("10000000000000000001", "10000000000000000002"): ["10000000000000000001", "10000000000000000002"],
}


@pytest.mark.parametrize("cells", CLASSES)
def test_a_model_knows_the_classes_of_the_csv_file_it_was_trained_on(frame, load, tmp_path, cells):
    target = load(frame.with_columns(y_cls=pl.Series(every(cells)))).instances.targets["cls"]
    assert target.names == CLASSES[cells]
    _, _, values = streamed(tmp_path / "v.csv", WantedTarget("cls", "cls", "y_cls", "data.class_target"))
    np.testing.assert_array_equal(class_ids(values["cls"], tuple(target.names), False, "v", range(N)), target.ids)


TYPES = [pl.Float64, pl.Int8, pl.Decimal(9, 2), pl.Boolean, pl.String, pl.Categorical]


@pytest.mark.parametrize("dtype", TYPES)
def test_a_model_knows_the_classes_of_a_parquet_file_and_of_the_same_csv_file(frame, load, tmp_path, dtype):
    whole = pl.Series(every([0, 1]))
    typed = whole.cast(pl.String).cast(dtype) if dtype == pl.Categorical else whole.cast(dtype)
    table = frame.with_columns(y_cls=typed)
    wanted = WantedTarget("cls", "cls", "y_cls", "data.class_target")
    targets = [load(table, ending).instances.targets["cls"] for ending in (".csv", ".parquet")]
    for target in targets:
        assert target.names == ["0", "1"]
        assert target.ids.tolist() == every([0, 1])
        for name in ("v.csv", "v.parquet"):
            found = streamed(tmp_path / name, wanted)[2]["cls"]
            assert class_ids(found, ("0", "1"), False, "v", range(N)).tolist() == every([0, 1])


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_long_ids_stay_apart_where_a_class_is_missing(frame, load, tmp_path, ending):
    ids = [None if i % 5 == 0 else 2**60 + i % 2 for i in range(N)]
    target = load(frame.with_columns(y_cls=pl.Series(ids)), ending).instances.targets["cls"]
    assert target.names == [str(2**60), str(2**60 + 1)]
    expected = [-1 if i is None else i - 2**60 for i in ids]
    assert target.ids.tolist() == expected
    wanted = WantedTarget("cls", "cls", "y_cls", "data.class_target")
    values = streamed(tmp_path / f"v{ending}", wanted)[2]["cls"]
    assert class_ids(values, tuple(target.names), False, "v", range(N)).tolist() == expected


def test_times_of_the_day_may_name_groups_and_a_missing_one_is_refused(frame, load, refuses):
    hours = [time(i // 4) for i in range(N)]
    found = load(frame.with_columns(batch=pl.Series(hours)), ".parquet", group_key="batch").instances
    assert np.unique(found.groups).tolist() == [f"{hour:02d}:00:00" for hour in range(N // 4)]
    with refuses("'batch' (data.group_key) is missing in row 8"):
        load(frame.with_columns(batch=pl.Series([*hours[:7], None, *hours[8:]])), ".parquet", group_key="batch")


def test_instances_that_are_called_alike_are_told_of_where_nothing_keeps_them_together(frame, load):
    again = frame.with_columns(instance=pl.Series([f"m{i % 50}" for i in range(N)]))
    said = "column 'instance' names 10 instances more than once, the first 'm0'; where rows of one name belong "
    said += "together, data.group_key=instance keeps them in one split"
    assert said in load(again).notes
    kept = load(again, group_key="instance")
    assert not any("more than once" in note for note in kept.notes)
    assert not any("more than once" in note for note in load(frame).notes)


def test_classes_with_names_are_ids_in_every_form(frame, load, tmp_path):
    table = frame.with_columns(y_cls=pl.Series(every(["1.0", "0", "true"])))
    load(table, regression_target=None, tasks={"cls": "cls"})
    found = streamed(tmp_path / "v.csv", WantedTarget("cls", "cls", "y_cls", "data.class_target"))[2]["cls"]
    assert class_ids(found, ("off", "on"), True, "v", range(N)).tolist() == every([1, 0, 1])


NAMES = {
    "zeros": [f"{i:04d}" for i in range(N)],
    "long": [str(10**19 + i) for i in range(N)],
    "decimal": pl.Series(range(N)).cast(pl.Decimal(9, 2)),
    "float": pl.Series(range(N)) + 0.5,
    "date": [date(2020, 1, 1) + timedelta(i) for i in range(N)],
    "whole": list(range(N)),
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", NAMES)
def test_instances_are_called_the_same_in_training_and_prediction(frame, load, tmp_path, kind, ending):
    bundle = load(frame.with_columns(instance=pl.Series(NAMES[kind])), ending)
    names = streamed(tmp_path / f"v{ending}")[0]
    assert [str(names[row]) for row in bundle.splits["test"]] == [str(n) for n in bundle.instances.places["instance"]]
    assert len(set(map(str, names))) == N
    if kind in ("zeros", "long"):
        assert names == NAMES[kind]


@pytest.mark.parametrize(
    "cells", [("01", "1", "2"), ("10000000000000000001", "10000000000000000002", "3"), ("1.0", "1", "+1")]
)
def test_groups_that_are_written_differently_stay_apart(frame, load, cells):
    groups = load(frame.with_columns(batch=pl.Series(every(cells))), group_key="batch").instances.groups
    assert groups.tolist() == every(cells)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ["X", "x", "features"])
def test_a_column_may_have_any_name(frame, load, ending, name):
    found = load(frame.rename({"y_reg": name}), ending, regression_target=name).instances
    np.testing.assert_array_equal(found.targets["reg"].values[:, 0], frame["y_reg"].to_numpy().astype(np.float32))
    assert found.channels == [*(f"f{i}" for i in range(E)), "batch"]


def numbered(frame, *numbers):
    more = {f"y_reg_{n}": pl.col("y_reg") * (d + 1) for d, n in enumerate(numbers)}
    return frame.with_columns(**more).drop("y_reg")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("numbers", [(0, 1), (1, 3), (2,), ("01", "02")])
def test_numbered_columns_that_are_not_one_to_d_are_refused(frame, load, refuses, tmp_path, numbers, ending):
    said = ",".join(f"y_reg_{n}" for n in numbers)
    line = (
        "no column 'y_reg' (data.regression_target), and those with a number behind it are not y_reg_1, y_reg_2 and so "
        f"on; say which it is, several as a list: {said}"
    )
    table = numbered(frame, *numbers)
    with refuses(f"v{ending}: {line}"):
        load(table, ending)
    listed = load(table, ending, regression_target=said.split(","))
    assert listed.instances.channels == [*(f"f{i}" for i in range(E)), "batch"]
    assert listed.instances.targets["reg"].size == len(numbers)
    with refuses(f"v{ending}: {line}"):
        streamed(tmp_path / f"v{ending}", WantedTarget("reg", "reg", "y_reg", "data.regression_target"))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("size", [1, 2])
def test_numbered_targets_are_found_in_new_rows_as_in_training(frame, load, tmp_path, refuses, size, ending):
    values = load(numbered(frame, *range(1, size + 1)), ending).instances.targets["reg"].values
    wanted = WantedTarget("reg", "reg", "y_reg", "data.regression_target", size)
    np.testing.assert_array_equal(streamed(tmp_path / f"v{ending}", wanted)[2]["reg"], values)
    with refuses(f"the target of task reg is in 3 columns in the model, and in {size} here (y_reg_1"):
        streamed(tmp_path / f"v{ending}", replace(wanted, size=3))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_split_that_no_setting_reads_is_refused(frame, load, refuses, ending):
    again = frame.rename({"part": "split", "batch": "group"})
    with refuses(
        f"v{ending}: column 'split' holds train, val, test, and no setting reads it; take it with data.split_key="
        "split, or say data.split=stratified or group for another"
    ):
        load(again, ending)
    given = load(again, ending, split_key="split")
    assert given.splits["test"].tolist() == list(range(2 * N // 3, N))
    assert given.instances.channels == [f"f{i}" for i in range(E)]
    assert "group: no input by default; tsmtl-represent, or pandas, calls so what is no feature" in given.notes
    assert load(again, ending, split="stratified").splits["test"].tolist() != given.splits["test"].tolist()
    asked = load(again, ending, split_key="split", features=["f*", "group"])
    assert asked.instances.channels[-1] == "group"
    other = again.with_columns(split=pl.Series(every(["left", "right"])))
    assert "split" not in load(other, ending).instances.channels


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_log_says_what_is_input_and_what_counts_the_rows(frame, load, ending, first):
    counted = frame.with_columns(row=pl.Series(range(first, N + first)).shuffle(seed=1)).drop("note")
    notes = load(counted, ending).notes
    assert "input, E = 7: f0, f1, f2, f3, f4, batch, row" in notes
    said = "column 'row' counts the rows, and is input; to leave it out name the others with data.features"
    assert [note for note in notes if "counts" in note] == [said]
    assert "1 column holds no numbers and is left out of the input: part" in notes
    assert not any("input, E" in note for note in load(counted, ending, features=["f0", "f1"]).notes)


def test_true_and_false_are_one_and_zero_in_a_csv_file_as_in_a_parquet_file(frame, load, tmp_path):
    table = frame.with_columns(f4=pl.col("f0") > 0, y_reg=pl.col("f1") > 0)
    texts = table.with_columns(f4=pl.Series(every(["True", "FALSE", "true", "false", ""])))
    found = [load(table, ending).instances for ending in (".csv", ".parquet")]
    assert found[0].channels == found[1].channels == [*(f"f{i}" for i in range(E)), "batch"]
    np.testing.assert_array_equal(found[0].x, found[1].x)
    wanted = WantedTarget("reg", "reg", "y_reg", "data.regression_target")
    for name, instances in zip(("v.csv", "v.parquet"), found, strict=True):
        np.testing.assert_array_equal(instances.targets["reg"].values[:, 0], table["y_reg"].to_numpy())
        _, x, values = streamed(tmp_path / name, wanted)
        np.testing.assert_array_equal(x, instances.x[:, :E])
        np.testing.assert_array_equal(values["reg"], instances.targets["reg"].values)
    np.testing.assert_array_equal(load(texts).instances.x[:, 4], np.array(every([1, 0, 1, 0, np.nan]), np.float32))


@pytest.mark.parametrize(("ending", "row"), [(".csv", 9), (".parquet", 8)])
def test_an_empty_cell_of_the_split_is_refused_with_its_row(frame, load, refuses, ending, row):
    gap = frame.with_columns(part=pl.when(pl.int_range(N) != 7).then(pl.col("part")))
    with refuses(f"v{ending}: 'part' (data.split_key) is missing in row {row}"):
        load(gap, ending, split_key="part")
    with refuses(f"v{ending}: 'batch' (data.split_key) is missing in row {row}"):
        gap = frame.with_columns(batch=pl.when(pl.int_range(N) != 7).then(pl.col("batch")))
        load(gap, ending, split_key="batch", test_fold=3)


@pytest.mark.parametrize(("ending", "row"), [(".csv", 9), (".parquet", 8)])
def test_rows_of_targets_are_numbered_as_those_of_features_are(frame, load, refuses, ending, row):
    halves = frame.with_columns(y_cls=pl.when(pl.int_range(N) == 7).then(0.5).otherwise(1.0))
    with refuses(f"v{ending}: 'y_cls' row {row} is 0.5, no class"):
        load(halves, ending)
