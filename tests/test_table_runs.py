"""Whole runs on tables: what val and test hold moves nothing that is learnt, and bad tables end in one line."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tests.data.tables import plant, written
from tsmtl.checkpoint.file import read_checkpoint

RUN = ["data=table", "model=gru", "hidden_size=4", "num_layers=1", "num_epochs=1", "device=cpu", "batch_size=32"]
COLUMNS = ["data.entity=machine", "data.time=time", "data.class_target=state", "data.regression_target=wear"]
TABLE = [*RUN, *COLUMNS, "data.window=5"]


def tensors_of(state: Any, path: str = "") -> dict[str, Any]:
    """List all tensors and plain values of a checkpoint by their place."""
    if isinstance(state, dict):
        return {k: v for name, part in state.items() for k, v in tensors_of(part, f"{path}.{name}").items()}
    return {path: state}


@pytest.fixture
def learnt(tsmtl_train, tmp_path):
    """Give a function that trains one epoch on a frame, and gives what of the checkpoint was learnt."""

    def run(frame: pl.DataFrame, name: str, *arguments: str) -> dict[str, Any]:
        path = written(frame, tmp_path / f"{name}.csv")
        answer = tsmtl_train(*TABLE, f"data.path={path}", f"hydra.run.dir={name}", *arguments)
        assert answer.code == 0, answer.err
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["data"]["leaks"] is False
        parts = read_checkpoint(tmp_path / name / "best_model.pt")
        made = {key: parts["input"][key] for key in ("features", "preparation")}
        return tensors_of({"weights": parts["state"], "tasks": parts["tasks"], **made})

    return run


DERIVED = ["data.derive=[age,{ema: 0.2},{difference: 1},{rolling_sd: 4}]", "data.condition=[gear]"]
CLUSTERS = ["data.condition=[p]", "data.condition_clusters=2", "data.derive=[{rolling_mean: 3}]", "data.scale=minmax"]


@pytest.mark.parametrize("split", ["time", "group"])
@pytest.mark.parametrize("features", [DERIVED, CLUSTERS], ids=["combinations", "clusters"])
def test_values_of_val_and_test_move_nothing_that_is_learnt_from_train(learnt, split, features):
    time = pl.col("time")
    frame = plant().with_columns(gear=time % 2, p=(time % 2) * 5.0 + pl.col("b") / 9)
    if split == "time":
        arguments, outside = ["data.split=time", "data.val_from=24", "data.test_from=32"], time >= 24
    else:
        arguments = ["data.split=given", "data.split_key=part"]
        part = pl.when(pl.col("machine") == "m4").then(pl.lit("val")).when(pl.col("machine") == "m5")
        frame = frame.with_columns(part=part.then(pl.lit("test")).otherwise(pl.lit("train")))
        outside = pl.col("part") != "train"
    channels = [*arguments, *features, "data.channels=[a,b]"]

    def elsewhere(outside: pl.Expr) -> pl.DataFrame:
        far = {name: pl.when(outside).then(pl.col(name) * -50 + 1e4).otherwise(name) for name in ("a", "b", "p")}
        return frame.with_columns(gear=pl.when(outside).then(7).otherwise("gear"), **far)

    reference, moved = learnt(frame, "reference", *channels), learnt(elsewhere(outside), "moved", *channels)
    assert list(reference) == list(moved)
    for name, value in reference.items():
        same = torch.equal(value, moved[name]) if isinstance(value, torch.Tensor) else value == moved[name]
        assert same, name
    if split == "group":
        return
    inside = learnt(elsewhere(~outside & (time > 20)), "inside", *channels)
    changed = {name.split(".")[1] for name, v in inside.items() if str(v) != str(reference[name])}
    assert {"weights", "features"} <= changed, "train rows do move them"


@pytest.mark.parametrize(
    ("spoil", "arguments", "said"),
    [
        (lambda f: f.rename({"machine": "engine"}), [], ["no column 'machine' (data.entity)"]),
        (lambda f: f.with_columns(a=pl.lit("x")), ["data.channels=[a]"], ["row 2, column 'a': 'x' is not a number"]),
        (lambda f: pl.concat([f, f.head(2)]), [], ["2 rows repeat entity and time"]),
        (lambda f: f, ["data.window=60", "data.short=drop"], ["no window of 60 rows"]),
        (lambda f: f, ["data.split=group", "data.entity=null", "data.time=null"], ["needs 3 entities at least"]),
        (lambda f: f.head(0), [], ["no row behind the header"]),
        (lambda f: f, ["data.fold=7", "data.split=group_kfold"], ["data.fold: must be below data.n_folds"]),
        (lambda f: f, ["data.split=time", "data.val_from=30", "data.test_from=20"], ["must follow one another"]),
        (lambda f: f, ["data.condition=[b]", "data.condition_clusters=9999"], ["data.condition_clusters: the train"]),
        (lambda f: f, ["data.derive=[{ema: 0.1, of: [c]}]"], ["data.derive: no channel 'c' in the input"]),
    ],
)
def test_a_bad_table_ends_in_one_line_with_code_2_and_leaves_nothing(tsmtl_train, tmp_path, spoil, arguments, said):
    path = written(spoil(plant()), tmp_path / "t.csv")
    answer = tsmtl_train(*TABLE, f"data.path={path}", *arguments)
    assert answer.code == 2
    assert [part in answer.lines[0] for part in said] == [True] * len(said), answer.err
    assert len(answer.lines) == 1
    assert not (tmp_path / "outputs").exists()


def test_notes_reach_the_log_and_the_summary_and_predictions_name_entity_and_time(tsmtl_train, run_folder, tmp_path):
    frame = plant().sample(fraction=1, shuffle=True, seed=1).with_columns(note=pl.lit("text"))
    answer = tsmtl_train(*TABLE, f"data.path={written(frame, tmp_path / 't.csv')}", "data.stride=9")
    assert answer.code == 0, answer.err
    summary = json.loads((run_folder() / "summary.json").read_text())
    for words in ("steps back); sorted", "rows between windows are not read", "left out of the input: note"):
        assert any(words in note for note in summary["data"]["notes"])
        assert words in (run_folder() / "train.log").read_text()
    table = pl.read_csv(run_folder() / "predictions_test.csv")
    assert set(table["entity"]) < {f"m{i}" for i in range(6)}
    assert set(table["time"]) == {4, 13, 22, 31}
    wear = table.join(plant(), left_on=["entity", "time"], right_on=["machine", "time"])
    np.testing.assert_allclose(wear["reg_true"], wear["wear"], rtol=1e-5)
    assert (wear["cls_true"] == wear["state"]).all()


def test_the_times_of_predictions_are_the_moments_of_the_table_though_it_has_another_zone(
    tsmtl_train, tsmtl_predict, run_folder, tmp_path
):
    clock = pl.datetime(2024, 3, 30, time_zone="Europe/Berlin") + pl.duration(hours=pl.col("time"))
    frame = plant().with_columns(time=clock.dt.strftime("%Y-%m-%dT%H:%M:%S%:z"))
    path = written(frame, tmp_path / "t.csv")
    answer = tsmtl_train(*TABLE, f"data.path={path}", "data.stride=9")
    assert answer.code == 0, answer.err
    answer = tsmtl_predict(f"checkpoint={run_folder() / 'best_model.pt'}", f"data.path={path}", "output=p.csv")
    assert answer.code == 0, answer.err
    wear = frame.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    for file, n in ((run_folder() / "predictions_test.csv", 4), (tmp_path / "p.csv", 6 * (40 - 4))):
        table = pl.read_csv(file, try_parse_dates=True)
        found = table.join(wear, left_on=["entity", "time"], right_on=["machine", "time"], maintain_order="left")
        assert len(found) == len(table) >= n
        if "reg_true" in found.columns:
            np.testing.assert_allclose(found["reg_true"], found["wear"], rtol=1e-5)
