"""Samplers, weights, augmentation and missing labels in whole runs: each setting reaches the training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.test_train import SMALL, TINY_MODEL, rows_of, summary_of
from tsmtl.checkpoint.file import read_checkpoint, write_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.config.evaluate_settings import data_of_checkpoint
from tsmtl.training.augmentation import Augmentation
from tsmtl.training.batches import Batch, Split
from tsmtl.training.loop import fit

GRU = ["model=gru", "hidden_size=4", "device=cpu", "num_epochs=2", "lr=1e-2"]
PARTS = ["data=npz", "data.path=parts.npz", "data.split_key=split"]


@pytest.fixture
def partly(tmp_path: Path) -> Path:
    """40 train instances, 30 and 6 of them with a class, 7 with a number, 3 with both; val and test have all."""
    rng = np.random.default_rng(0)
    split = np.repeat(["train", "val", "test"], [40, 10, 10])
    ids, numbers = rng.permutation(60) % 2, rng.normal(20, 3, 60)
    ids[:30], ids[30:36], ids[36:40] = 0, 1, -1
    numbers[:33] = np.nan
    np.savez(tmp_path / "parts.npz", X=rng.normal(size=(60, 2, 12)), y_cls=ids, y_reg=numbers, split=split)
    return tmp_path / "parts.npz"


@pytest.fixture
def train_batches(monkeypatch) -> list[dict[str, Any]]:
    """Targets and rows of every batch that the training reads."""
    seen: list[dict[str, Any]] = []

    class Noting:
        def __init__(self, train: Split) -> None:
            self.train = train

        def __getattr__(self, name: str) -> Any:
            return getattr(self.train, name)

        def __len__(self) -> int:
            return len(self.train)

        def batch(self, rows: torch.Tensor) -> Batch:
            found = self.train.batch(rows)
            seen.append({task: target.numpy() for task, target in found[2].items()} | {"rows": rows.tolist()})
            return found

    def noting_fit(model, criterion, optimizer, schedule, train, *more, **named):
        return fit(model, criterion, optimizer, schedule, Noting(train), *more, **named)

    monkeypatch.setattr("tsmtl.training_run.fit", noting_fit)
    return seen


@pytest.mark.usefixtures("partly")
def test_a_balanced_epoch_has_both_classes_equally_often(tsmtl_train, train_batches):
    assert tsmtl_train(*PARTS, *GRU, "batch_size=8", "trainer.sampler=balanced").code == 0
    assert [len(batch["rows"]) for batch in train_batches] == [8] * 10
    for epoch in (train_batches[:5], train_batches[5:]):
        ids = np.concatenate([batch["cls"] for batch in epoch])
        assert [int((ids == k).sum()) for k in (-1, 0, 1)] == [4, 18, 18]


@pytest.mark.usefixtures("partly")
def test_with_both_tasks_every_batch_has_a_class_and_a_number_and_every_instance_comes(tsmtl_train, train_batches):
    answer = tsmtl_train(*PARTS, *GRU, "batch_size=4", "trainer.sampler=both_tasks")
    assert answer.code == 0, answer.err
    assert len(train_batches) == 20
    for batch in train_batches:
        assert (batch["cls"] >= 0).any()
        assert not np.isnan(batch["reg"]).all()
    for epoch in (train_batches[:10], train_batches[10:]):
        rows = [row for batch in epoch for row in batch["rows"]]
        assert sorted({*rows}) == list(range(40))
        assert len(rows) == 43  # 7 numbers for 10 batches


@pytest.mark.usefixtures("partly")
def test_an_epoch_reads_its_fraction_and_the_steps_of_the_warm_up_follow(tsmtl_train, tmp_path, train_batches):
    short = ["trainer.epoch_fraction=0.3", "trainer.warmup_epochs=1", "hydra.run.dir=a"]
    assert tsmtl_train(*PARTS, *GRU, "batch_size=4", *short).code == 0
    assert [len(batch["rows"]) for batch in train_batches] == [4, 4, 4] * 2
    epochs = [{row for batch in part for row in batch["rows"]} for part in (train_batches[:3], train_batches[3:])]
    assert [len(rows) for rows in epochs] == [12, 12]
    assert epochs[0] != epochs[1]
    state = read_last(tmp_path / "a/last.pt")
    assert state["schedule"]["step_count"] == 3
    assert next(iter(state["optimizer"]["state"].values()))["step"] == 6


@pytest.mark.usefixtures("partly")
def test_rare_numbers_weigh_more_in_train_and_val_losses(tsmtl_train, tmp_path):
    for name, weights in (("none", "none"), ("rare", "rare")):
        more = ["task=reg", f"trainer.regression_weights={weights}", "num_epochs=1", f"hydra.run.dir={name}"]
        assert tsmtl_train(*PARTS, *GRU, *more).code == 0
    (none,), (rare,) = (rows_of(tmp_path / name / "metrics.csv") for name in ("none", "rare"))
    assert none["train/reg/loss"] != rare["train/reg/loss"]
    assert none["val/reg/loss"] != rare["val/reg/loss"]


def test_labels_are_counted_in_one_line_a_task_where_some_are_missing(tsmtl_train, tmp_path, partly):
    answer = tsmtl_train(*PARTS, *GRU, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert [line for line in answer.lines if line.startswith("labels:")] == [
        "labels: cls (y_cls) of train 90 %, val 100 %, test 100 %",
        "labels: reg (y_reg) of train 17.5 %, val 100 %, test 100 %",
    ]
    assert summary_of(tmp_path / "a")["labelled"] == {
        "cls": {"train": 0.9, "val": 1.0, "test": 1.0},
        "reg": {"train": 0.175, "val": 1.0, "test": 1.0},
    }
    with np.load(partly) as arrays:
        np.savez(partly, **{**arrays, "y_reg": np.nan_to_num(arrays["y_reg"]), "y_cls": np.abs(arrays["y_cls"])})
    answer = tsmtl_train(*PARTS, *GRU, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert "labels:" not in answer.err
    assert summary_of(tmp_path / "a")["labelled"]["reg"] == {"train": 1.0, "val": 1.0, "test": 1.0}


def test_every_change_of_the_list_reaches_the_train_batches_and_no_other(tsmtl_train, tmp_path, monkeypatch):
    seen, inside = [], Augmentation.__call__
    monkeypatch.setattr(
        Augmentation,
        "__call__",
        lambda self, x, lengths: seen.append((self.changes, len(x))) or inside(self, x, lengths),
    )
    names = {"jitter": 0.03, "scaling": 0.1, "time_mask": 0.2, "channel_mask": 0.1, "window_warp": 0.5, "mixup": 0.2}
    typed = ",".join(f"{{{name}: {value}}}" for name, value in names.items())
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "trainer.monitor=val/reg/r2"]
    assert tsmtl_train(*base, f"data.augment=[{typed}]", "hydra.run.dir=a").code == 0
    train = summary_of(tmp_path / "a")["instances"]["train"]
    assert sum(n for _, n in seen) == 2 * train
    assert all(changes == list(names.items()) for changes, _ in seen)
    answer = tsmtl_train("experiment=a/config.yaml", "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    first, again = ((tmp_path / name / "predictions_test.csv").read_text() for name in "ab")
    assert first == again


def test_unequal_lengths_are_augmented(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 21, size=60)
    np.savez(tmp_path / "d.npz", X=rng.normal(size=(60, 2, 20)), lengths=lengths, y_cls=np.arange(60) % 2)
    data = ["data=npz", "data.path=d.npz", "data.lengths_key=lengths", "task=cls"]
    more = "data.augment=[{jitter:0.1},{time_mask:0.2},{channel_mask:0.2},{window_warp:0.5},{mixup:0.4},{scaling:0.1}]"
    answer = tsmtl_train(*data, *GRU, more)
    assert answer.code == 0, answer.err


def test_vectors_are_not_changed_along_time(tsmtl_train, vectors):
    run = ["data=npz", f"data.path={vectors}", "model=fc", *TINY_MODEL["fc"], "device=cpu", "num_epochs=1"]
    answer = tsmtl_train(*run, "data.augment=[{window_warp:0.1},{jitter:0.1},{time_mask:0.1}]")
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: data.augment: {name} is for series (N, C, T); {vectors} holds vectors (N, E)"
        for name in ("window_warp", "time_mask")
    ]
    answer = tsmtl_train(*run, "data.augment=[{scaling:0.1},{jitter:0.1},{channel_mask:0.1},{mixup:0.1}]")
    assert answer.code == 0, answer.err


def test_heads_on_a_frozen_backbone_read_the_changed_inputs(tsmtl_train, tmp_path, monkeypatch):
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "hydra.run.dir=first").code == 0
    asked = []
    monkeypatch.setattr("tsmtl.training_run.embedded", lambda *given: asked.append(given))
    tune = [*base, "stage=finetune", "pretrained_path=first/best_model.pt", "freeze=true"]
    assert tsmtl_train(*tune, "data.augment=[{jitter:0.5}]", "hydra.run.dir=a").code == 0
    assert not asked
    assert tsmtl_train(*tune, "hydra.run.dir=b").code == 0
    assert len(asked) == 1
    first, changed = (read_checkpoint(tmp_path / name / "best_model.pt")["state"] for name in ("first", "a"))
    backbone = [key for key in first if key.startswith("backbone.")]
    assert backbone
    assert all((first[key] == changed[key]).all() for key in backbone)
    losses = [[row["train/loss"] for row in rows_of(tmp_path / name / "metrics.csv")] for name in "ab"]
    assert losses[0] != losses[1]


def test_a_checkpoint_older_than_a_setting_of_the_data_is_measured_with_its_default(trained, tsmtl_evaluate, tmp_path):
    run = trained("gru")
    content = read_checkpoint(run.folder / "best_model.pt")
    del content["format_version"]  # written anew
    assert content["settings"]["data"].pop("augment") == []
    write_checkpoint(tmp_path / "old.pt", content)
    answer = tsmtl_evaluate("checkpoint=old.pt", "output=metrics.json")
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "metrics.json").read_text())["metrics"] == summary_of(run.folder)["test"]


def test_windows_of_a_table_are_balanced_sampled_and_augmented(tsmtl_train, tmp_path, train_batches):
    rows = ["machine,load,heat,state,wear"]
    for machine in range(12):
        for time in range(20):
            wear = f"{time / 20}" if machine % 3 else ""
            rows.append(f"m{machine},{time * 0.1},{(machine * 7 + time) % 5},{'worn' if time > 16 else 'ok'},{wear}")
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    data = ["data=table", "data.path=t.csv", "data.entity=machine", "data.class_target=state", "data.window=5"]
    data += ["data.regression_target=wear", "data.seed=1", "trainer.sampler=balanced", "trainer.epoch_fraction=0.5"]
    data += ["data.augment=[{jitter:0.1},{time_mask:0.2},{window_warp:0.5},{mixup:0.4}]", "hydra.run.dir=a"]
    answer = tsmtl_train(*data, *GRU, "trainer.regression_weights=rare", "batch_size=8")
    assert answer.code == 0, answer.err
    summary = summary_of(tmp_path / "a")
    ids = np.concatenate([batch["cls"] for batch in train_batches])
    assert len(ids) == 2 * round(0.5 * summary["instances"]["train"])
    assert abs(int((ids == 0).sum()) - int((ids == 1).sum())) <= 2
    assert summary["labelled"]["reg"]["train"] < 1
    settings = read_checkpoint(tmp_path / "a/best_model.pt")["settings"]
    assert settings["data"].pop("augment")
    assert data_of_checkpoint(settings, {}, "old.pt").augment == []
