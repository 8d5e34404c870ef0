"""Models that were trained on tables: they predict new rows as they were measured, and go on in a file's room."""

import csv
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import tsmtl
from tests.conftest import ROOT
from tests.data.tables import plant, written
from tsmtl.config.errors import UserError

TABLE = ["data=table", "model=gru", "hidden_size=4", "num_layers=1", "num_epochs=2", "device=cpu", "batch_size=32"]
TABLE += ["data.entity=machine", "data.time=time", "data.class_target=state", "data.regression_target=wear"]
TABLE += ["data.window=5", "data.split=given", "data.split_key=part", "data.channels=[a,b]", "data.scale=minmax"]
FEATURES = ["data.derive=[age,{ema: 0.2}]", "data.condition=[gear]"]


def divided() -> pl.DataFrame:
    """The plant with a split by machine, and a gear that changes every row."""
    part = pl.when(pl.col("machine") == "m4").then(pl.lit("val")).when(pl.col("machine") == "m5").then(pl.lit("test"))
    return plant().with_columns(part=part.otherwise(pl.lit("train")), gear=pl.col("time") % 2)


def rows_of(path: os.PathLike[str]) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("features", [[], FEATURES], ids=["plain", "features"])
def test_new_rows_are_predicted_as_the_run_predicted_them(
    tsmtl_train, tsmtl_predict, tsmtl_evaluate, tmp_path, features
):
    table = divided()
    path = written(table, tmp_path / "plant.csv")
    answer = tsmtl_train(*TABLE, *features, f"data.path={path}", "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    run = rows_of(tmp_path / "run/predictions_test.csv")
    new = written(table.filter(pl.col("part") == "test").drop("state", "wear", "part"), tmp_path / "new.csv")
    answer = tsmtl_predict("checkpoint=run/best_model.pt", f"data.path={new}", "output=new_predictions.csv")
    assert answer.code == 0, answer.err
    found = rows_of(tmp_path / "new_predictions.csv")
    assert [(row["entity"], row["time"]) for row in found] == [(row["entity"], row["time"]) for row in run]
    for ours, theirs in zip(found, run, strict=True):
        assert float(ours["reg_predicted"]) == pytest.approx(float(theirs["reg_predicted"]), abs=1e-5)
        assert ours["cls_predicted"] == theirs["cls_predicted"]
    model = tsmtl.load_model(tmp_path / "run/best_model.pt")
    places, predictions = model.predict_table(new, windows="last")
    assert places["entity"].tolist() == ["m5"]
    assert predictions["reg"].values[0, 0] == pytest.approx(float(run[-1]["reg_predicted"]), abs=1e-5)

    answer = tsmtl_evaluate("checkpoint=run/best_model.pt", "output=test.json")
    assert answer.code == 0, answer.err
    everything = written(table.filter(pl.col("part") == "test"), tmp_path / "labelled.csv")
    answer = tsmtl_evaluate("checkpoint=run/best_model.pt", f"data.path={everything}", "output=file.json")
    assert answer.code == 0, answer.err
    measured = [pl.read_json(tmp_path / name)["metrics"][0]["reg"]["rmse"] for name in ("test.json", "file.json")]
    truth, predicted = (np.array([float(row[f"reg_{what}"]) for row in run]) for what in ("true", "predicted"))
    assert measured == pytest.approx([np.sqrt(np.mean((truth - predicted) ** 2))] * 2, rel=1e-5)


def test_a_model_of_derived_channels_takes_no_single_windows_and_is_not_exported(tsmtl_train, tsmtl_export, tmp_path):
    path = written(divided(), tmp_path / "plant.csv")
    assert tsmtl_train(*TABLE, *FEATURES, f"data.path={path}", "hydra.run.dir=run").code == 0
    model = tsmtl.load_model(tmp_path / "run/best_model.pt")
    for method in (model.predict, model.embed):
        with pytest.raises(UserError, match="derived from, or scaled within, a whole table; predict_table"):
            method(np.zeros((1, 5, 5), dtype=np.float32))
    answer = tsmtl_export("checkpoint=run/best_model.pt", "output=model.onnx")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data.path=x.npz"], "data.path: must be a file that ends in .csv, .csv.gz"),
        (["data.path=new.csv", "data.instance_key=machine"], "data.instance_key: the model was trained on a table"),
        (["data.path=none.csv"], "data.path: there is no file none.csv"),
        (["data.path=new.csv", "data.windows=first"], "data.windows: must be one of all, last (got 'first')"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(tsmtl_train, tsmtl_predict, tmp_path, arguments, said):
    path = written(divided(), tmp_path / "plant.csv")
    written(divided().drop("a"), tmp_path / "new.csv")
    assert tsmtl_train(*TABLE, f"data.path={path}", "hydra.run.dir=run").code == 0
    answer = tsmtl_predict("checkpoint=run/best_model.pt", "output=p.csv", *arguments)
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-predict: {said}")
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize("features", [[], FEATURES], ids=["plain", "features"])
def test_rows_in_a_file_train_to_the_numbers_of_rows_in_memory(tsmtl_train, tmp_path, features):
    path = written(divided(), tmp_path / "plant.csv")
    histories = []
    for name, more in (("memory", []), ("file", [f"data.spill_folder={tmp_path}"])):
        answer = tsmtl_train(*TABLE, *features, f"data.path={path}", f"hydra.run.dir={name}", *more)
        assert answer.code == 0, answer.err
        rows = rows_of(tmp_path / name / "metrics.csv")
        histories.append([{k: v for k, v in row.items() if k != "seconds"} for row in rows])
    assert histories[0] == histories[1]


def test_a_folder_that_cannot_hold_the_rows_is_named(tsmtl_train, tmp_path):
    path = written(divided(), tmp_path / "plant.csv")
    answer = tsmtl_train(*TABLE, f"data.path={path}", "data.spill_folder=nowhere")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-train: data.spill_folder: cannot keep")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells the memory that is no file's")
def test_anonymous_memory_of_rows_in_a_file_is_that_of_blocks(tmp_path):
    rng, channels = np.random.default_rng(0), 64
    for name, parts in (("small", 1), ("large", 64)):
        (tmp_path / name).mkdir()
        for part in range(parts):
            n = 4096
            values = rng.normal(size=(n, channels)).astype(np.float32)
            columns = {f"c{c}": values[:, c] for c in range(channels)}
            labels = {"time": np.arange(n) + part * n, "state": np.where(np.arange(n) % 64 < 32, "on", "off")}
            pl.DataFrame({**labels, **columns}).write_parquet(tmp_path / name / f"part_{part:02d}.parquet")
    assert 64 * 4096 * channels * 4 == 64 * 2**20
    settings = ["data=table", "data.entity=null", "data.time=time", "data.class_target=state", "data.window=16"]
    settings += ["data.split=time", "data.stride=16", f"data.spill_folder={tmp_path}", "task=cls", "model=cnn1d"]
    settings += ["output_channels=2", "num_epochs=1", "batch_size=256", "device=cpu"]
    command = [sys.executable, str(ROOT / "tests/anonymous_memory.py"), str(tmp_path), *settings]
    took = []
    while not took or (took[0] >= 40 and len(took) < 2):  # about 32 MiB of rows of 64; other work may add to one run
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        took.append(float(done.stdout))
    assert min(took) < 40


def test_the_last_window_of_an_entity_is_that_of_its_last_part_that_has_one(tsmtl_train, tsmtl_predict, tmp_path):
    pause = pl.when((pl.col("time") >= 37) & pl.col("machine").is_in(["m1", "m5"])).then(100).otherwise(0)
    table = divided().with_columns(time=pl.col("time") + pause)
    path = written(table, tmp_path / "plant.csv")
    gaps = ["data.max_gap=5", "data.short=drop", "data.test_windows=last"]
    assert tsmtl_train(*TABLE, *gaps, f"data.path={path}", "hydra.run.dir=run").code == 0
    assert [(row["entity"], row["time"]) for row in rows_of(tmp_path / "run/predictions_test.csv")] == [("m5", "36")]
    answer = tsmtl_predict("checkpoint=run/best_model.pt", f"data.path={path}", "output=now.csv", "data.windows=last")
    assert answer.code == 0, answer.err
    found = {row["entity"]: row["time"] for row in rows_of(tmp_path / "now.csv")}
    assert found == {f"m{i}": "36" if i in (1, 5) else "39" for i in range(6)}


def test_a_model_whose_rows_lay_in_a_file_predicts_where_that_folder_is_not(tsmtl_train, tsmtl_predict, tmp_path):
    path = written(divided(), tmp_path / "plant.csv")
    (tmp_path / "room").mkdir()
    assert tsmtl_train(*TABLE, f"data.path={path}", "hydra.run.dir=run", "data.spill_folder=room").code == 0
    (tmp_path / "room").rmdir()  # the file in it had no name
    answer = tsmtl_predict("checkpoint=run/best_model.pt", f"data.path={path}", "output=now.csv")
    assert answer.code == 0, answer.err


def test_rows_without_times_are_named_by_their_number(tsmtl_train, tmp_path):
    path = written(divided(), tmp_path / "plant.csv")
    assert tsmtl_train(*TABLE, "data.time=null", f"data.path={path}", "hydra.run.dir=run").code == 0
    rows = rows_of(tmp_path / "run/predictions_test.csv")
    assert [row["row"] for row in rows] == [str(i) for i in range(4, 40)]


def test_a_column_of_numbers_with_one_text_is_refused_and_not_left_out(tsmtl_train, tmp_path):
    table = divided().with_columns(b=pl.col("b").cast(pl.String))
    table[17, "b"] = "err"
    path = written(table, tmp_path / "plant.csv")
    answer = tsmtl_train(*TABLE, "data.channels=null", f"data.path={path}")
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: {path}: row 19, column 'b': 'err' is not a number; a missing value is an empty cell"
    ]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("[state]", "data.condition: 'state' is a target, or the split; the input would tell the answer"),
        ("[b]", "data.condition: b have "),
    ],
)
def test_what_is_no_operating_condition_is_refused(tsmtl_train, tmp_path, condition, said):
    path = written(divided(), tmp_path / "plant.csv")
    answer = tsmtl_train(*TABLE, f"data.condition={condition}", f"data.path={path}")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-train: {said}")


@pytest.mark.usefixtures("jobs_here")
@pytest.mark.parametrize(
    "start",
    [
        ["pretrained_path=start/best_model.pt"],
        ["pretrain.task=reg", "pretrain.folder=p", "pretrain.data.condition=[gear]"],
    ],
    ids=["file", "chain"],
)
def test_a_fine_tuning_that_takes_its_conditions_from_its_start_is_found_again(tsmtl_train, tmp_path, start):
    path = written(divided(), tmp_path / "plant.csv")
    table = [*TABLE, f"data.path={path}", "trainer.pictures=false"]
    assert tsmtl_train(*table, "task=reg", "data.condition=[gear]", "hydra.run.dir=start").code == 0
    tuning = [*table, "stage=finetune", *start]
    assert tsmtl_train(*tuning, "hydra.run.dir=run").code == 0
    again = tsmtl_train(*tuning, "hydra.run.dir=run", "resume=true")
    assert again.code == 0, again.err
    assert "run: finished before; nothing is left to do" in again.err
    sweep = ["-m", *tuning, "lr=1e-3,1e-2", "hydra.sweep.dir=sweep", "hydra.launcher.n_jobs=1"]
    assert tsmtl_train(*sweep).code == 0
    assert "sweep holds 2 done of 2 jobs; 0 to run" in tsmtl_train(*sweep).err
    assert len(list(tmp_path.glob("sweep/*/summary.json"))) == 2


def test_a_condition_written_as_1_and_as_1_0_is_the_same(tsmtl_train, tmp_path):
    histories = []
    for name, gear in (("whole", pl.col("gear")), ("decimal", pl.col("gear").cast(pl.Float64).cast(pl.String))):
        path = written(divided().with_columns(gear=gear), tmp_path / f"{name}.csv")
        assert tsmtl_train(*TABLE, *FEATURES, f"data.path={path}", f"hydra.run.dir={name}").code == 0
        histories.append([row["val/loss"] for row in rows_of(tmp_path / name / "metrics.csv")])
    assert histories[0] == histories[1]


def test_times_that_double_precision_cannot_tell_apart_are_refused(tsmtl_train, tmp_path):
    path = written(
        divided().with_columns(time=1_700_000_000_000_000_000 + 100 * pl.col("time")), tmp_path / "plant.csv"
    )
    answer = tsmtl_train(*TABLE, f"data.path={path}")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-train: {path}: row 2, column 'time': 1700000000000000000 is beyond 2^53")
