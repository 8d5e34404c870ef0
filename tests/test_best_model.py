"""Which epoch of a run is the best, and that its weights are saved and tested."""

import json

import numpy as np
import pytest

from tests.test_train import SMALL, TINY_MODEL, rows_of, summary_of


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
