"""Whole runs of ``tsmtl-train``: what they learn and what they leave."""

import csv
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tsmtl

SMALL = ["device=cpu", "num_epochs=2", "data.n_instances=60", "data.test_fraction=0.3", "lr=1e-3"]
TINY_MODEL = {
    "lstm": ["hidden_size=4"],
    "gru": ["hidden_size=4"],
    "cnn1d": ["output_channels=4"],
    "lstm_fcn": ["conv_channels=[4,8,4]", "lstm_hidden_size=4"],
    "lstm_fcn_multi": ["conv_channels=[4,8,4]", "lstm_hidden_size=4"],
    "fc": ["hidden_sizes=[8]"],
}


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("task", ["cls", "reg", "multi"])
@pytest.mark.parametrize("model", list(TINY_MODEL))
def test_every_model_trains_every_task_and_leaves_a_whole_run_folder(tsmtl_train, run_folder, vectors, model, task):
    if model == "lstm_fcn_multi" and task != "multi":
        answer = tsmtl_train(f"model={model}", f"task={task}")
        assert (answer.code, len(answer.lines)) == (2, 1)
        return
    data = ["data=npz", f"data.path={vectors}", "device=cpu", "num_epochs=2"] if model == "fc" else SMALL
    answer = tsmtl_train(f"model={model}", f"task={task}", *TINY_MODEL[model], *data)
    assert answer.code == 0, answer.err
    folder = run_folder()
    tables = {
        "config.yaml",
        "train.log",
        "metrics.csv",
        "summary.json",
        "predictions_test.csv",
        "best_model.pt",
        "last.pt",
    }
    of_vectors = {"vectors_2d.csv"} if model == "fc" else set()
    assert {p.name for p in folder.iterdir()} == tables | of_vectors
    tasks = ["cls", "reg"] if task == "multi" else [task]
    summary = summary_of(folder)
    assert list(summary["test"]) == tasks
    assert len(rows_of(folder / "metrics.csv")) == 2
    assert len(rows_of(folder / "predictions_test.csv")) == summary["instances"]["test"]
    for name in tasks:
        assert f"{name} (" in answer.out
    assert str(folder / "best_model.pt") in answer.out


@pytest.mark.parametrize(
    ("task", "pictures_of"),
    [
        ("cls", ["confusion_cls", "reliability_cls"]),
        ("reg", ["predicted_reg"]),
        ("multi", ["confusion_cls", "predicted_reg", "reliability_cls"]),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_a_run_draws_its_curves_and_its_tasks(tsmtl_train, run_folder, task, pictures_of):
    answer = tsmtl_train("model=gru", f"task={task}", *TINY_MODEL["gru"], *SMALL)
    assert answer.code == 0, answer.err
    assert sorted(p.stem for p in run_folder().glob("*.png")) == sorted([*pictures_of, "curves"])


@pytest.mark.usefixtures("pictures")
def test_a_run_that_takes_the_place_of_another_removes_its_pictures_and_no_others(tsmtl_train, vectors, tmp_path):
    tasks = "{name: a, kind: cls, target: fault}, {name: b, kind: reg, target: wear}"
    labels = "{name: c, kind: multilabel, target: [faulty, severe, worn]}"
    of_series = ["task=custom", f"tasks=[{tasks}, {labels}]", "model=gru", *TINY_MODEL["gru"], *SMALL]
    of_vectors = ["model=fc", *TINY_MODEL["fc"], "data=npz", f"data.path={vectors}", "num_epochs=1", "device=cpu"]
    drawn = {"a": ["confusion_a", "curves", "labels_c", "predicted_b", "reliability_a"]}
    drawn["b"] = ["confusion_cls", "curves", "predicted_reg", "reliability_cls", "vectors"]
    for name, words in (("a", of_series), ("b", of_vectors)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "of_the_user.png").touch()
        assert tsmtl_train(*words, f"hydra.run.dir={name}").code == 0
        assert sorted(p.stem for p in folder.glob("*.png")) == sorted([*drawn[name], "of_the_user"])
        (folder / "conflict.png").touch()  # of trainer.conflict
        assert tsmtl_train(*words, f"hydra.run.dir={name}", "trainer.pictures=false").code == 0
        assert [p.stem for p in folder.glob("*.png")] == ["of_the_user"]


def test_a_run_that_takes_the_place_of_another_removes_its_page_and_no_other(tsmtl_train, tsmtl_report, tmp_path):
    words = ["model=gru", *TINY_MODEL["gru"], *SMALL, "num_epochs=1", "hydra.run.dir=a"]
    page = tmp_path / "a" / "report.html"
    assert tsmtl_train(*words).code == 0
    assert tsmtl_report("a").code == 0
    assert tsmtl_report("a", "output=a/kept.html").code == 0
    assert tsmtl_train(*words, "resume=true").code == 0  # nothing is left to do: it is the page of this run
    assert page.is_file()
    assert tsmtl_train(*words, "seed=1").code == 0
    assert not page.exists()
    assert (tmp_path / "a" / "kept.html").is_file()
    page.write_text("<html>of the user</html>")
    assert tsmtl_train(*words).code == 0
    assert page.is_file()
    (tmp_path / "a" / "kept.html").replace(page)
    for name in ("summary.json", "metrics.csv", "last.pt"):
        (tmp_path / "a" / name).unlink()
    assert tsmtl_train(*words).code == 0
    assert page.is_file(), "the page of a sweep, where no run was"


@pytest.mark.usefixtures("pictures")
def test_a_run_without_pictures_is_the_same_run(tsmtl_train, tmp_path):
    for name, pictures in (("with", "true"), ("without", "false")):
        words = ["model=gru", *TINY_MODEL["gru"], *SMALL, f"trainer.pictures={pictures}", f"hydra.run.dir={name}"]
        assert tsmtl_train(*words).code == 0
    drawn, bare = ({path.name for path in (tmp_path / name).iterdir()} for name in ("with", "without"))
    assert drawn - bare == {"curves.png", "confusion_cls.png", "predicted_reg.png", "reliability_cls.png"}
    assert bare < drawn
    with_pictures, without = (tmp_path / name / "predictions_test.csv" for name in ("with", "without"))
    assert with_pictures.read_bytes() == without.read_bytes()
    answer = tsmtl_train(*words[:-2], "trainer.pictures=true", "hydra.run.dir=without", "resume=true")
    assert answer.code == 0, answer.err  # not a setting that makes another run of it


def test_a_quarter_of_the_default_run_reaches_macro_f1_of_090_and_r2_of_080(tsmtl_train, run_folder):
    answer = tsmtl_train("num_epochs=38")  # of 150: the whole run has the same best epochs to choose from, and more
    assert answer.code == 0, answer.err
    test = summary_of(run_folder())["test"]
    assert test["cls"]["macro_f1"] >= 0.9
    assert test["reg"]["r2"] >= 0.8
    assert "step/s" not in answer.err, "progress bars are for terminals"


def test_a_run_as_typed_in_the_documentation_of_the_settings(tsmtl_train, run_folder):
    answer = tsmtl_train("model=gru", "task=reg", "hidden_size=32", "lr=1e-3", "num_epochs=5", "device=cpu")
    assert answer.code == 0, answer.err
    assert summary_of(run_folder())["epochs"] == 5


def test_same_seed_same_numbers_other_seed_other_numbers(tsmtl_train, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ["model=lstm_fcn_multi", *TINY_MODEL["lstm_fcn_multi"], *SMALL, f"seed={seed}"]
        assert tsmtl_train(*arguments, f"hydra.run.dir={name}").code == 0
    history = {name: [dict(r, seconds="") for r in rows_of(tmp_path / name / "metrics.csv")] for name in "abc"}
    predictions = {name: (tmp_path / name / "predictions_test.csv").read_text() for name in "abc"}
    assert history["a"] == history["b"]
    assert predictions["a"] == predictions["b"]
    assert history["a"] != history["c"]
    splits = [[r["instance"] for r in rows_of(tmp_path / name / "predictions_test.csv")] for name in "ac"]
    assert splits[0] == splits[1], "the run's seed does not move the split"


def test_a_runs_config_runs_again_with_the_same_numbers(tsmtl_train, tmp_path):
    first = tsmtl_train(
        "model=gru", "task=reg", *TINY_MODEL["gru"], *SMALL, "trainer.schedule=cosine", "hydra.run.dir=a"
    )
    assert first.code == 0, first.err
    again = tsmtl_train("experiment=a/config.yaml", "hydra.run.dir=b")
    assert again.code == 0, again.err
    assert (tmp_path / "a/predictions_test.csv").read_text() == (tmp_path / "b/predictions_test.csv").read_text()
    configs = [yaml.safe_load((tmp_path / name / "config.yaml").read_text()) for name in "ab"]
    assert configs[0] == configs[1]


def test_test_metrics_are_those_of_the_written_predictions(tsmtl_train, tmp_path):
    from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score, root_mean_squared_error

    arguments = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=10"]
    assert tsmtl_train(*arguments, "hydra.run.dir=a").code == 0
    rows = rows_of(tmp_path / "a" / "predictions_test.csv")
    test = summary_of(tmp_path / "a")["test"]
    true, predicted = ([row[f"cls_{what}"] for row in rows] for what in ("true", "predicted"))
    assert test["cls"]["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert test["cls"]["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    names = sorted({*true})
    probabilities = np.array([[float(row[f"cls_p_{name}"]) for name in names] for row in rows])
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # six digits are written
    assert test["cls"]["log_loss"] == pytest.approx(log_loss(true, probabilities, labels=names), rel=1e-4)
    true, predicted = (np.array([float(row[f"reg_{what}"]) for row in rows]) for what in ("true", "predicted"))
    assert test["reg"]["rmse"] == pytest.approx(root_mean_squared_error(true, predicted), rel=1e-5)
    assert test["reg"]["r2"] == pytest.approx(r2_score(true, predicted), rel=1e-4)
    assert set(test["cls"]["f1"]) == {"healthy", "unbalance", "misalignment", "bearing"}


PLUGIN = """
from torch import Tensor, nn
from tsmtl.models import Backbone, register_backbone

@register_backbone("tiny")
class Tiny(Backbone):
    def __init__(self, input_size: int, width: int) -> None:
        super().__init__()
        self.layer, self.embed_dim = nn.Linear(input_size, width), width

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.layer(x.mean(dim=2)).relu()
"""
PLUGIN_YAML = """
# @package _global_
model: tiny
plugins: [my_backbones]
width: 8
num_epochs: 2
batch_size: 16
lr: 1.0e-3
"""


def test_a_users_own_backbone_trains_and_loads_again(tsmtl_train, tmp_path, monkeypatch):
    from tsmtl.models.registry import BACKBONES

    (tmp_path / "my_backbones.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tiny.yaml").write_text(PLUGIN_YAML)
    try:
        answer = tsmtl_train("--config-dir", ".", "model=tiny", "width=5", "device=cpu", "hydra.run.dir=a")
        assert answer.code == 0, answer.err
        path = tmp_path / "a" / "best_model.pt"
        model = tsmtl.load_model(path)
        own = BACKBONES.pop("tiny")
        with pytest.raises(ValueError, match=r"'tiny' is a user's own; load it with plugins=\['my_backbones'\]"):
            tsmtl.load_model(path)
        BACKBONES["tiny"] = own
        assert model.model.backbone.embed_dim == 5
        wrong = tsmtl_train("--config-dir", ".", "model=tiny", "width=many", "+depth=3", "device=cpu")
        assert wrong.code == 2
        assert wrong.lines == [
            "tsmtl-train: depth: not a setting of model=tiny",
            "tsmtl-train: width: input should be a valid integer (got 'many')",
        ]
    finally:
        BACKBONES.pop("tiny", None)


def test_a_loss_that_is_not_finite_ends_with_exit_1_one_line_and_the_traceback_in_the_log(
    tsmtl_train, run_folder, tmp_path
):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32) * 1e30  # its square is beyond float32
    np.savez(tmp_path / "huge.npz", X=x, y_cls=np.arange(60) % 2, y_reg=x[:, 0] / 1e30)
    answer = tsmtl_train("model=fc", "data=npz", "data.path=huge.npz", "data.scale=none", "device=cpu", "num_epochs=3")
    assert answer.code == 1
    errors = [line for line in answer.lines if line.startswith("error")]
    assert len(errors) == 1
    assert "NotFiniteError" in errors[0]
    assert "epoch 1, step" in errors[0]
    assert "Traceback" not in answer.err
    assert "Traceback" in (run_folder() / "train.log").read_text()


@pytest.mark.usefixtures("jobs_here")
def test_a_sweep_goes_on_behind_a_failing_job_and_names_it(tsmtl_train, tmp_path):
    small = ["model=gru", *TINY_MODEL["gru"], *SMALL, "hydra.sweep.dir=sweep", "num_epochs=1"]
    answer = tsmtl_train("-m", *small, "input_size=7,3")
    assert answer.code == 1
    assert "1 of 2 jobs failed: job (input_size=7): " in answer.lines[-1]
    assert "input_size: 7 contradicts the data" in answer.lines[-1]
    (done,) = (tmp_path / "sweep").glob("*/summary.json")
    assert done.parent.name.startswith("input_size=3-")


def test_settings_of_the_trainer_reach_the_training(tsmtl_train, tmp_path):
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=4"]
    rates = ["trainer.schedule=cosine", "trainer.warmup_epochs=1", "hydra.run.dir=rates"]
    assert tsmtl_train(*base, *rates).code == 0
    lr = [float(row["lr"]) for row in rows_of(tmp_path / "rates" / "metrics.csv")]
    assert lr == pytest.approx([1e-3, 1e-3, 0.75e-3, 0.25e-3], rel=1e-6)
    stop = ["trainer.early_stopping_patience=2", "lr=1e-9", "trainer.monitor=val/cls/accuracy", "num_epochs=50"]
    assert tsmtl_train(*base, *stop, "hydra.run.dir=stop").code == 0
    summary = summary_of(tmp_path / "stop")
    assert summary["epochs"] == summary["best"]["epoch"] + 2
    different = set()
    for i, setting in enumerate(
        [
            "trainer.optimizer=adamw",
            "trainer.optimizer=sgd",
            "trainer.weight_decay=0.1",
            "trainer.gradient_clip=0.01",
            "trainer.class_weights=[9,1,1,1]",
            "trainer.label_smoothing=0.2",
            "trainer.regression_loss=mae",
            "trainer.regression_loss=huber",
        ]
    ):
        answer = tsmtl_train(*base, "num_epochs=1", setting, f"hydra.run.dir=d{i}")
        assert answer.code == 0, answer.err
        different.add((tmp_path / f"d{i}" / "predictions_test.csv").read_text())
    assert len(different) == 8, "each setting changes what is learnt"


def test_another_model_beside_a_runs_config_is_the_one_that_trains(tsmtl_train, tmp_path):
    assert tsmtl_train("model=gru", "task=reg", *TINY_MODEL["gru"], *SMALL, "hydra.run.dir=a").code == 0
    again = tsmtl_train("experiment=a/config.yaml", "model=lstm", "hydra.run.dir=b")
    assert again.code == 0, again.err
    assert "model: lstm," in again.err
    (tmp_path / "mine.yaml").write_text("model: lstm\ntask: reg\nhidden_size: 4\nnum_epochs: 1\n")
    mine = tsmtl_train("experiment=mine.yaml", "hydra.run.dir=c")
    assert mine.code == 0, mine.err
    assert "model: lstm," in mine.err


def test_a_refused_run_removes_no_folder_that_was_there(tsmtl_train, tmp_path):
    import os

    keep = tmp_path / "keep"
    keep.mkdir()
    os.utime(keep, (1, 1))
    for arguments in (["hydra.run.dir=keep"], ["hydra.run.dir=new"]):
        assert tsmtl_train("model=fc", "device=cpu", *arguments).code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["keep"]
