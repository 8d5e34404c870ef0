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


def test_best_model_path_gets_the_checkpoint_of_the_best_epoch(tsmtl_train, tmp_path):
    path = tmp_path / "models" / "mine.pt"
    answer = tsmtl_train(
        "model=gru", *TINY_MODEL["gru"], *SMALL, "num_epochs=6", f"best_model_path={path}", "hydra.run.dir=a"
    )
    assert answer.code == 0, answer.err
    assert not (tmp_path / "a" / "best_model.pt").exists()
    from tsmtl.checkpoint.file import read_checkpoint

    content = read_checkpoint(path)
    rows = rows_of(tmp_path / "a" / "metrics.csv")
    losses = [float(row["val/loss"]) for row in rows]
    assert content["epoch"] == 1 + int(np.argmin(losses))
    assert content["score"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize(("monitor", "pick"), [("val/cls/macro_f1", np.argmax), ("val/reg/mae", np.argmin)])
def test_the_monitored_metric_chooses_the_best_epoch(tsmtl_train, tmp_path, monitor, pick):
    arguments = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=8", f"trainer.monitor={monitor}"]
    assert tsmtl_train(*arguments, "hydra.run.dir=a").code == 0
    values = [float(row[monitor]) for row in rows_of(tmp_path / "a" / "metrics.csv")]
    best = summary_of(tmp_path / "a")["best"]
    assert best["monitor"] == monitor
    assert best["epoch"] == 1 + int(pick(values))


def test_averaged_weights_are_validated_saved_and_tested(tsmtl_train, tsmtl_evaluate, tmp_path):
    """An average that hardly counts the past is that of the last step."""
    for name, decay in (("none", "null"), ("short", "1e-9"), ("long", "0.99")):
        arguments = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=6", "trainer.keep=last"]
        answer = tsmtl_train(*arguments, f"trainer.weight_average={decay}", f"hydra.run.dir={name}")
        assert answer.code == 0, answer.err
    none, short, long = (rows_of(tmp_path / name / "metrics.csv") for name in ("none", "short", "long"))
    trained, validated = ([float(row[f"{split}/loss"]) for row in none] for split in ("train", "val"))
    assert [float(row["train/loss"]) for row in short] == pytest.approx(trained, rel=1e-4)
    assert [float(row["val/loss"]) for row in short] == pytest.approx(validated, rel=1e-4)
    assert [float(row["train/loss"]) for row in long] == trained
    assert float(long[-1]["val/loss"]) != pytest.approx(validated[-1], rel=1e-3)
    summary = summary_of(tmp_path / "long")
    score = pytest.approx(float(long[-1]["val/loss"]), rel=1e-5)
    assert summary["best"] == {"epoch": 6, "monitor": "val/loss", "score": score}
    for split, theirs in (("val", summary["val"]["val/reg/rmse"]), ("test", summary["test"]["reg"]["rmse"])):
        assert tsmtl_evaluate("checkpoint=long/best_model.pt", f"split={split}", f"output={split}.json").code == 0
        found = json.loads((tmp_path / f"{split}.json").read_text())["metrics"]
        assert found["reg"]["rmse"] == pytest.approx(theirs, rel=1e-5)


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


def test_two_classifications_d_numbers_and_missing_labels(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2, 20)).astype(np.float32)
    level = x.mean(axis=(1, 2))
    state = np.where(level > 0, "high", "low")
    state[rng.random(80) < 0.3] = ""
    numbers = np.stack([level, -level, 2 * level], axis=1).astype(np.float32)
    numbers[rng.random((80, 3)) < 0.3] = np.nan
    np.savez(tmp_path / "d.npz", X=x, state=state, numbers=numbers, other=(x[:, 0, 0] > 0).astype(int))
    data = ["data=npz", "data.path=d.npz", "data.class_target=state", "model=gru", "hidden_size=4", "num_epochs=2"]
    both = tsmtl_train(*data, "data.regression_target=numbers", "device=cpu", "hydra.run.dir=a")
    assert both.code == 0, both.err
    assert "instances without a class 'state'" in both.err
    test = summary_of(tmp_path / "a")["test"]
    assert len(test["reg"]["per_output"]) == 3
    two = tsmtl_train(*data, "data.class_target_2=other", "num_classes_2=2", "device=cpu", "hydra.run.dir=b")
    assert two.code == 0, two.err
    assert list(summary_of(tmp_path / "b")["test"]) == ["cls", "cls_2"]
    refused = tsmtl_train(*data, "data.class_target_2=other", "num_classes_2=3", "device=cpu")
    assert refused.code == 2
    assert "num_classes_2: 3 contradicts the data, where 'other' has 2 classes" in refused.err


@pytest.mark.parametrize("model", ["lstm", "gru", "cnn1d", "lstm_fcn"])
def test_unequal_lengths_train_where_the_readout_can_and_are_refused_where_not(tsmtl_train, tmp_path, model):
    rng = np.random.default_rng(0)
    lengths = rng.integers(12, 21, size=60)
    x = rng.normal(size=(60, 2, 20)).astype(np.float32)
    for series, length in zip(x, lengths, strict=True):
        series[:, length:] = np.nan
    np.savez(tmp_path / "d.npz", X=x, y_cls=np.arange(60) % 2, y_reg=rng.normal(size=60))
    run = ["data=npz", "data.path=d.npz", f"model={model}", *TINY_MODEL[model], "num_epochs=1", "device=cpu"]
    answer = tsmtl_train(*run, "readout=max", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert "taken as padding of 12 to 20 steps" in answer.err
    refused = tsmtl_train(*run, "readout=flatten")
    assert refused.code == 2
    assert "reads equal lengths only; take readout=mean" in refused.err
    assert len(refused.lines) == 1


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


@pytest.mark.parametrize(
    ("monitor", "mend"),
    [
        ("val/cls/auroc", "take another, such as val/loss"),
        ("val/joint", "a trivial prediction is perfect there, or a metric has no value; take another of "),
    ],
)
def test_a_monitor_that_val_does_not_define_is_refused_before_training(tsmtl_train, tmp_path, monitor, mend):
    rng = np.random.default_rng(0)
    split = np.repeat(["train", "val", "test"], [40, 10, 10])
    classes = np.where(split == "val", 0, np.arange(60) % 2)
    np.savez(tmp_path / "d.npz", X=rng.normal(size=(60, 2, 20)), y_cls=classes, y_reg=rng.normal(size=60), split=split)
    data = ["data=npz", "data.path=d.npz", "data.split_key=split", "model=gru", "hidden_size=4", "device=cpu"]
    answer = tsmtl_train(*data, f"trainer.monitor={monitor}")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert answer.lines[0].startswith(
        f"tsmtl-train: trainer.monitor: {monitor} is not defined on this val split; {mend}"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"]


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


def test_nan_padding_is_read_the_same_way_in_training_and_prediction(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    lengths = rng.integers(12, 21, size=60)
    x = rng.normal(size=(60, 2, 20)).astype(np.float32)
    for series, length in zip(x, lengths, strict=True):
        series[:, length:] = np.nan
    np.savez(tmp_path / "d.npz", X=x, y_cls=np.arange(60) % 2, y_reg=rng.normal(size=60))
    run = ["data=npz", "data.path=d.npz", "model=lstm", "hidden_size=4", "num_epochs=2", "lr=1e-2", "device=cpu"]
    assert tsmtl_train(*run, "hydra.run.dir=a").code == 0
    rows = rows_of(tmp_path / "a" / "predictions_test.csv")
    test = [int(row["instance"]) for row in rows]
    written = [float(row["reg_predicted"]) for row in rows]
    model = tsmtl.load_model(tmp_path / "a" / "best_model.pt")
    assert model.predict(x[test])["reg"].values[:, 0] == pytest.approx(written, abs=1e-5)
    assert model.predict([x[i, :, : lengths[i]] for i in test])["reg"].values[:, 0] == pytest.approx(written, abs=1e-5)
    missing = tsmtl_train(*run, "data.nan_padding=false", "readout=flatten", "hydra.run.dir=b")
    assert missing.code == 0, missing.err
    assert "missing input values, filled" in missing.err


@pytest.mark.usefixtures("pictures")
@pytest.mark.filterwarnings("default")
def test_names_in_any_script_and_many_numbers_leave_a_whole_run_folder(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 20)).astype(np.float32)
    state = np.where(np.arange(60) % 2, "정상", "a$x^$")
    np.savez(tmp_path / "d.npz", X=x, state=state, numbers=rng.normal(size=(60, 30)))
    data = ["data=npz", "data.path=d.npz", "data.class_target=state", "data.regression_target=numbers"]
    answer = tsmtl_train(*data, "model=gru", "hidden_size=4", "num_epochs=1", "device=cpu", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert {"confusion_cls.png", "predicted_reg.png", "summary.json"} <= {p.name for p in (tmp_path / "a").iterdir()}
    assert sum("pictures:" in line for line in answer.lines) <= 1
    from matplotlib.image import imread

    height, width, _ = imread(tmp_path / "a" / "predicted_reg.png").shape
    assert max(height, width) < 3000


def test_the_joint_score_chooses_the_epoch_where_both_tasks_together_are_best(tsmtl_train, compose, tmp_path):
    from tsmtl.data.loading import load_bundle

    settings = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=6", "hydra.run.dir=joint"]
    weights = ["trainer.joint_weights={cls:2}", "trainer.joint_metrics.cls=accuracy", "seed=1"]
    assert tsmtl_train(*settings, *weights, "trainer.monitor=joint").code == 0
    summary, rows = summary_of(tmp_path / "joint"), rows_of(tmp_path / "joint" / "metrics.csv")
    scores = [float(row["val/joint"]) for row in rows]
    assert summary["best"]["monitor"] == "val/joint"
    assert summary["best"]["epoch"] == 1 + scores.index(max(scores))
    # By hand: the most frequent class and the mean of train, measured on val, are 0.
    bundle = load_bundle(compose(*settings[:-1]).data, {"cls": "cls", "reg": "reg"})
    ids, numbers = bundle.instances.targets["cls"].ids, bundle.instances.targets["reg"].values[:, 0].astype(float)
    train, val = bundle.splits["train"], bundle.splits["val"]
    majority = float(np.mean(ids[val] == np.bincount(ids[train]).argmax()))
    mean = float(np.sqrt(np.mean((numbers[val] - numbers[train].mean()) ** 2)))
    for row, score in zip(rows, scores, strict=True):
        accuracy, rmse = float(row["val/cls/accuracy"]), float(row["val/reg/rmse"])
        expected = (2 * (accuracy - majority) / (1 - majority) + (mean - rmse) / mean) / 3
        assert score == pytest.approx(expected, abs=1e-4)
