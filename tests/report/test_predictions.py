"""Names of the columns and arrays of predictions: each belongs to one task, or the run is refused."""

import re

import numpy as np
import polars as pl
import pytest

from tsmtl.config.errors import UserError
from tsmtl.report.predictions import check_columns, column_names, columns_of, predictions_file, write_predictions
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, NumberPrediction, Prediction, Task

TASKS = (
    "tasks=[{name: a, kind: multilabel, target: flags, names: [predicted, q]}, "
    "{name: a_true, kind: reg, target: wear}, {name: share, kind: cls, target: state}]"
)


def task(name: str, kind: str, size: int, *class_names: str) -> Task:
    return Task(name, kind, name, size, class_names)


def prediction(of: Task) -> Prediction:
    """Predictions of three instances."""
    values = np.full((3, of.size), 0.5, dtype=np.float32)
    if of.kind == "cls":
        return ClassPrediction(np.zeros(3, dtype=np.int64), np.array([of.class_names[0]] * 3), values)
    return LabelPrediction.of(values) if of.kind == "multilabel" else NumberPrediction(values, values - 1, values + 1)


def test_two_tasks_that_claim_a_column_are_refused_before_training(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2, 8)).astype(np.float32)
    targets = {"flags": rng.integers(0, 2, (40, 2)), "wear": rng.random(40), "state": np.arange(40) % 3}
    np.savez(tmp_path / "mine.npz", X=x, **targets)
    model = ["model=gru", "hidden_size=4", "num_epochs=1", "device=cpu", "hydra.run.dir=run"]
    answer = tsmtl_train("data=npz", "data.path=mine.npz", "task=custom", TASKS, *model)
    assert answer.code == 2
    assert answer.lines[-1] == (
        "tsmtl-train: tasks: a (label predicted) and a_true would share the column a_true_predicted; rename one"
    )
    assert not (tmp_path / "run").exists()
    answer = tsmtl_train("data=npz", "data.path=mine.npz", "task=custom", TASKS.replace("a_true", "b"), *model)
    assert answer.code == 0, answer.err


def test_each_shared_column_is_a_line_that_names_class_or_label():
    tasks = [task("a", "cls", 2, "true", "x"), task("a_p", "reg", 1), task("a_p_true", "multilabel", 1, "z")]
    with pytest.raises(UserError) as refusal:
        check_columns({one.name: one for one in tasks})
    assert refusal.value.lines == ["tasks: a (class true) and a_p would share the column a_p_true; rename one"]
    tasks = [task("b", "multilabel", 2, "true", "p_1"), task("b_true", "reg", 1), task("b_p_p", "reg", 12)]
    with pytest.raises(UserError) as refusal:
        check_columns({one.name: one for one in tasks})
    assert refusal.value.lines == [
        "tasks: b (label true) and b_true would share the column b_true_true; rename one",
    ]


def test_the_text_of_a_class_is_there_once_however_often_it_occurs():
    one = task("a", "cls", 2, "a name", "another")
    columns = columns_of({}, {"a": one}, {"a": prediction(one)}, {"a": np.array([1, -1, 0])})
    assert columns["a_true"] == ["another", "", "a name"]
    assert columns["a_predicted"] == ["a name"] * 3
    assert all(text is one.class_names[0] for text in columns["a_predicted"])


@pytest.mark.parametrize(
    ("first", "step", "as_written"),
    [
        ("2024-04-01", "24h", ["2024-04-01", "2024-04-02", "2024-04-03"]),
        ("2024-04-01T12:00", "12h", ["2024-04-01T12:00", "2024-04-02T00:00", "2024-04-02T12:00"]),
        ("2024-04-01T00:00", "30s", ["2024-04-01T00:00:00", "2024-04-01T00:00:30", "2024-04-01T00:01:00"]),
        ("2024-04-01T00:00", "250ms", [f"2024-04-01T00:00:00.{part}" for part in ("000", "250", "500")]),
        ("2024-04-01T00:00", "1us", [f"2024-04-01T00:00:00.00000{part}" for part in range(3)]),
    ],
)
def test_all_times_of_a_file_are_written_alike_so_that_they_are_read_as_times(tmp_path, first, step, as_written):
    number, unit = re.fullmatch(r"(\d+)(\w+)", step).groups()
    times = (np.datetime64(first) + np.arange(3) * np.timedelta64(int(number), unit)).astype("M8[us]")
    one, path = task("a", "reg", 1), tmp_path / "p.csv"
    with predictions_file(path, {"a": one}) as add:
        add({"time": times}, {"a": prediction(one)})
    frame = pl.read_csv(path, try_parse_dates=True)
    assert frame["time"].dtype.is_temporal()
    assert frame["time"].cast(pl.Datetime("us")).to_numpy().tolist() == times.tolist()
    assert pl.read_csv(path)["time"].to_list() == as_written


@pytest.mark.parametrize("step", ["24h", "1h", "1s", "1us"])
def test_times_that_had_a_zone_are_written_as_the_same_moments(tmp_path, step):
    number, unit = re.fullmatch(r"(\d+)(\w+)", step).groups()
    times = (np.datetime64("2024-04-01") + np.arange(3) * np.timedelta64(int(number), unit)).astype("M8[us]")
    moments = pl.Series("time", times).dt.replace_time_zone("UTC")
    one = task("a", "reg", 1)
    for name in ("p.csv", "p.parquet"):
        with predictions_file(tmp_path / name, {"a": one}) as add:
            add({"time": times}, {"a": prediction(one)}, in_utc=True)
    assert pl.read_csv(tmp_path / "p.csv", try_parse_dates=True)["time"].equals(moments)
    assert pl.read_parquet(tmp_path / "p.parquet")["time"].equals(moments)
    write_predictions(tmp_path / "t.csv", {"time": times}, {"a": one}, {"a": np.zeros((3, 1))}, {"a": prediction(one)})
    assert not pl.read_csv(tmp_path / "t.csv")["time"].str.ends_with("Z").any()


def test_the_names_are_those_of_the_table_and_of_no_other_array(tmp_path):
    made = [task("a", "cls", 2, "u", "v"), task("a_p", "reg", 1), task("a_low", "reg", 2)]
    made += [task("a_predicted", "multilabel", 2, "u", "v"), task("a_classes", "multilabel", 1, "w")]
    tasks = {one.name: one for one in made}
    check_columns(tasks)
    predictions = {name: prediction(one) for name, one in tasks.items()}
    truth = {name: np.zeros((3, one.size)) for name, one in tasks.items()} | {"a": np.zeros(3, dtype=int)}
    columns = columns_of({"instance": np.arange(3)}, tasks, predictions, truth)
    named = [name for one in made for names in column_names(one).values() for name in names]
    assert set(columns) == {"instance", *named}
    assert len(columns) == 1 + len(named)
    assert list(columns)[:5] == ["instance", "a_true", "a_predicted", "a_p_u", "a_p_v"]
    assert [name for name in columns if name.startswith("a_low_")] == [
        f"a_low_{what}_{d}" for d in (1, 2) for what in ("true", "predicted", "low", "high")
    ]
    with predictions_file(tmp_path / "p.npz", tasks) as add:
        add({"instance": np.arange(3)}, predictions)
    with np.load(tmp_path / "p.npz") as arrays:
        assert len(arrays.files) == 1 + 3 * len(tasks)  # predicted, p and classes, or predicted, low and high
