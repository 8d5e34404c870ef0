"""Pretrain on one task, fine-tune on another: what is loaded, what stays, what is refused."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.test_train import SMALL, TINY_MODEL
from tsmtl.checkpoint.file import read_checkpoint, write_checkpoint

MODELS = ["lstm", "gru", "cnn1d", "lstm_fcn", "fc"]


def backbone_of(path: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in read_checkpoint(path)["state"].items() if k.startswith("backbone.")}


@pytest.fixture
def data_for(vectors: Path):
    def arguments(model: str) -> list[str]:
        if model == "fc":
            return ["data=npz", f"data.path={vectors}", "device=cpu", "num_epochs=2", "lr=1e-3"]
        return SMALL

    return arguments


@pytest.mark.parametrize(
    ("model", "first", "seconds"),
    [
        ("lstm", "reg", ["multi"]),
        ("gru", "cls", ["multi"]),
        ("cnn1d", "multi", ["reg", "cls"]),
        ("lstm_fcn", "cls", ["multi"]),
        ("fc", "multi", ["reg"]),
    ],
)
def test_a_frozen_backbone_stays_bit_equal_and_the_heads_learn(tsmtl_train, tmp_path, data_for, model, first, seconds):
    base = [f"model={model}", *TINY_MODEL[model], *data_for(model)]
    assert tsmtl_train(*base, f"task={first}", "stage=pretrain", "num_epochs=1", "hydra.run.dir=a").code == 0
    before = backbone_of(tmp_path / "a/best_model.pt")
    for task in seconds:
        tune = [*base, f"task={task}", "stage=finetune", "pretrained_path=a/best_model.pt", "trainer.weight_decay=0.1"]
        frozen = tsmtl_train(*tune, "freeze=true", f"hydra.run.dir=frozen_{task}")
        assert frozen.code == 0, frozen.err
        after = backbone_of(tmp_path / f"frozen_{task}/best_model.pt")
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert tsmtl_train(*tune, f"hydra.run.dir=learning_{task}").code == 0
        moved = backbone_of(tmp_path / f"learning_{task}/best_model.pt")
        assert any(not torch.equal(before[key], moved[key]) for key in before)


def test_the_load_report_counts_what_was_loaded_new_and_left_over(tsmtl_train, tmp_path):
    base = ["model=gru", *TINY_MODEL["gru"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "hydra.run.dir=a").code == 0
    answer = tsmtl_train(*base, "stage=finetune", "pretrained_path=a/best_model.pt", "hydra.run.dir=b")
    report: dict[str, Any] = json.loads((tmp_path / "b/summary.json").read_text())["pretrained"]
    state = backbone_of(tmp_path / "a/best_model.pt")
    backbone = sum(v.numel() for v in state.values())
    assert report["loaded"] == {"tensors": list(state), "parameters": backbone}
    assert report["sha256"] == hashlib.sha256((tmp_path / "a/best_model.pt").read_bytes()).hexdigest()
    assert report["new"]["tensors"] == ["heads.cls.weight", "heads.cls.bias", "heads.reg.weight", "heads.reg.bias"]
    assert report["left_over"] == {"tensors": ["heads.reg.weight", "heads.reg.bias"], "parameters": 8 + 1}
    assert f"pretrained: {backbone:,} parameters in 16 tensors loaded" in answer.lines
    assert "pretrained: 45 parameters in 4 tensors new, in the heads" in answer.lines  # (8 + 1) * (4 classes + 1)


def test_the_architecture_comes_from_the_checkpoint_and_a_typed_contradiction_names_both(tsmtl_train, tmp_path):
    tiny = TINY_MODEL["lstm_fcn"]
    assert tsmtl_train("model=lstm_fcn", "task=reg", *tiny, *SMALL, "hydra.run.dir=a").code == 0
    tune = ["model=lstm_fcn_multi", *SMALL, "stage=finetune", "pretrained_path=a/best_model.pt"]
    answer = tsmtl_train(*tune, "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    arguments = read_checkpoint(tmp_path / "b/best_model.pt")["backbone"]["arguments"]
    assert arguments["num_layers"] == 2, "lstm_fcn_multi alone would have 1"
    assert arguments["lstm_drop_out"] == 0.4, "dropout is the fine-tuning's own"
    refused = tsmtl_train(*tune, "num_layers=1")
    assert refused.lines == ["tsmtl-train: num_layers: 1 contradicts a/best_model.pt, where it is 2"]
    other = tsmtl_train("model=gru", *SMALL, "stage=finetune", "pretrained_path=a/best_model.pt")
    line = "tsmtl-train: model: gru contradicts a/best_model.pt, which holds model=lstm_fcn; take that one"
    assert other.lines == [line]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (["data.n_channels=2"], "data=synthetic: 2 channels, a/best_model.pt was trained on 3"),
        (["data.n_steps=40"], "data=synthetic: 40 time steps, a/best_model.pt was trained on 32 and reads no other"),
        (["data.scale=minmax"], "data.scale: minmax contradicts a/best_model.pt, where it is standard"),
        (["data.input_limit=3"], "data.input_limit: 3.0 contradicts a/best_model.pt, where it is None"),
        (["data.signed_log=3"], "data.signed_log: 3.0 contradicts a/best_model.pt, where it is None"),
        (["pretrained_path=none.pt"], "none.pt: there is no such checkpoint"),
    ],
)
def test_other_data_than_the_checkpoints_is_refused_before_training(tsmtl_train, tmp_path, change, line):
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "hydra.run.dir=a").code == 0
    answer = tsmtl_train(*base, "stage=finetune", "pretrained_path=a/best_model.pt", *change)
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {line}"])


def test_a_scaling_per_step_is_taken_over_and_reads_no_other_length(tsmtl_train, tmp_path):
    base = ["model=gru", *TINY_MODEL["gru"], *SMALL]  # a backbone that would read any length
    assert tsmtl_train(*base, "task=reg", "data.scale=standard_per_step", "hydra.run.dir=a").code == 0
    tune = [*base, "stage=finetune", "pretrained_path=a/best_model.pt"]
    answer = tsmtl_train(*tune, "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    assert "data.scale standard_per_step (not standard)" in answer.err
    scalers = [read_checkpoint(tmp_path / f"{run}/best_model.pt")["input"]["preparation"] for run in "ab"]
    assert scalers[0] == scalers[1]
    assert np.array(scalers[0]["scale"]).shape == (3, 32)
    refused = tsmtl_train(*tune, "data.n_steps=40")
    line = "data=synthetic: 40 time steps, a/best_model.pt was trained on 32 and reads no other"
    assert refused.lines == [f"tsmtl-train: {line}"]
    chain = [*base, "stage=finetune", "pretrain.task=reg", "data.scale=standard_per_step", "pretrain.data.n_steps=40"]
    assert "pretrain.data: data=synthetic has 40 time steps" in tsmtl_train(*chain).lines[0]


def test_fine_tuning_scales_the_input_as_the_pretraining_did(tsmtl_train, tmp_path):
    base = ["model=gru", *TINY_MODEL["gru"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "data.input_limit=2", "data.signed_log=0.3", "hydra.run.dir=a").code == 0
    tune = [*base, "stage=finetune", "pretrained_path=a/best_model.pt", "data.seed=5"]
    assert tsmtl_train(*tune, "hydra.run.dir=b").code == 0
    scalers = [read_checkpoint(tmp_path / f"{run}/best_model.pt")["input"]["preparation"] for run in "ab"]
    assert scalers[0] == scalers[1]
    assert np.isfinite(scalers[0]["scale"]).all()
    assert (scalers[1]["limit"], scalers[1]["signed_log"]) == (2, 0.3)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["stage=finetune"],
            "pretrained_path: stage=finetune needs the checkpoint to start from, or pretrain.task=reg or cls to make "
            "one first",
        ),
        (
            ["stage=finetune", "pretrained_path=a.pt", "pretrain.task=reg"],
            "pretrain.task: pretrained_path names a checkpoint already; take one of the two",
        ),
        (["pretrain.task=reg"], "stage: train would not pretrain; pretrain.task needs stage=finetune"),
        (["pretrain.lr=1e-3"], "pretrain.lr: nothing is pretrained without pretrain.task"),
        (
            ["trainer.unfreeze_at=2"],
            "trainer.unfreeze_at: a backbone that nothing was loaded into learns from the start",
        ),
        (
            ["stage=finetune", "pretrained_path=a.pt", "trainer.unfreeze_at=2", "freeze=true"],
            "trainer.unfreeze_at: freeze=true keeps the backbone as loaded; take one of the two",
        ),
        (
            ["stage=finetune", "pretrained_path=a.pt", "trainer.unfreeze_at=9", "num_epochs=8"],
            "trainer.unfreeze_at: must come within num_epochs (got 9 and 8); freeze=true never unfreezes",
        ),
        (
            ["stage=finetune", "pretrained_path=a.pt", "trainer.lr_backbone_factor=0.1", "freeze=true"],
            "trainer.lr_backbone_factor: freeze=true keeps the backbone as loaded; take one of the two",
        ),
        (
            ["experiment=pretrain_finetune", "pretrain.trainer.monitor=val/cls/auroc"],
            "pretrain.trainer.monitor: must be one of val/loss, val/joint, val/reg/loss, val/reg/rmse, val/reg/mae, "
            "val/reg/r2 (got 'val/cls/auroc')",
        ),
        *[
            (
                ["experiment=pretrain_finetune", f"pretrain.{key}=1"],
                f"pretrain.{key}: not a setting of a pretraining; it has that of the job",
            )
            for key in ("best_model_path", "stage", "resume", "device", "model", "plugins")
        ],
        (
            ["experiment=pretrain_finetune", "model=gru", "hidden_size=8", "pretrain.hidden_size=16"],
            "hidden_size: 8 contradicts pretrain.hidden_size, which is 16",
        ),
        (
            ["experiment=pretrain_finetune", "data.scale=minmax", "pretrain.data.scale=standard"],
            "data.scale: minmax contradicts pretrain.data.scale, which is standard",
        ),
        (
            ["experiment=pretrain_finetune", "data.input_limit=3", "pretrain.data.input_limit=5"],
            "data.input_limit: 3 contradicts pretrain.data.input_limit, which is 5",
        ),
        (
            ["experiment=pretrain_finetune", "data.signed_log=3", "pretrain.data.signed_log=5"],
            "data.signed_log: 3 contradicts pretrain.data.signed_log, which is 5",
        ),
        (["pretrained_path=a.pt"], "stage: train would not read pretrained_path; take stage=finetune"),
        (["freeze=true"], "freeze: true trains the heads on a loaded backbone alone; it needs stage=finetune"),
        (["stage=tune"], "stage: must be one of train, pretrain, finetune (got 'tune'); did you mean 'finetune'?"),
    ],
)
def test_stage_settings_that_contradict_each_other_are_refused(tsmtl_train, arguments, line):
    answer = tsmtl_train(*arguments)
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {line}"])


@pytest.mark.parametrize("model", MODELS)
def test_other_classes_than_the_pretrainings_are_learnt(tsmtl_train, tmp_path, data_for, model):
    base = [f"model={model}", *TINY_MODEL[model], *data_for(model), "task=cls", "num_epochs=1"]
    classes = {"a": ["data.n_classes=3"], "b": ["data.n_classes=5"]}
    if model == "fc":  # the same vectors with five classes instead of two
        x = np.load(tmp_path / "vectors.npz")["X"]
        np.savez(tmp_path / "five.npz", X=x, y_cls=np.arange(len(x)) % 5)
        classes = {"a": [], "b": ["data.path=five.npz"]}
    assert tsmtl_train(*base, *classes["a"], "hydra.run.dir=a").code == 0
    tune = [*base, *classes["b"], "stage=finetune", "pretrained_path=a/best_model.pt", "hydra.run.dir=b"]
    answer = tsmtl_train(*tune, "overlap=warn")  # other classes stratify another split
    assert answer.code == 0, answer.err
    assert len(read_checkpoint(tmp_path / "a/best_model.pt")["state"]["heads.cls.weight"]) in (2, 3)
    tuned = read_checkpoint(tmp_path / "b/best_model.pt")
    assert len(tuned["tasks"]["cls"]["class_names"]) == len(tuned["state"]["heads.cls.weight"]) == 5


def test_a_checkpoint_without_a_backbone_is_refused(tsmtl_train, tmp_path):
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "hydra.run.dir=a").code == 0
    content = read_checkpoint(tmp_path / "a/best_model.pt")
    del content["format_version"]
    content["state"] = {key: v for key, v in content["state"].items() if not key.startswith("backbone.")}
    write_checkpoint(tmp_path / "heads.pt", content)
    answer = tsmtl_train(*base, "stage=finetune", "pretrained_path=heads.pt")
    said = "heads.pt: holds no weights of a backbone; there is nothing to start from"
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])


def test_the_checkpoint_to_start_from_is_never_overwritten(tsmtl_train, tmp_path):
    base = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
    assert tsmtl_train(*base, "task=reg", "best_model_path=one.pt").code == 0
    before = (tmp_path / "one.pt").read_bytes()
    answer = tsmtl_train(*base, "stage=finetune", "pretrained_path=one.pt", "best_model_path=./one.pt")
    assert answer.code == 2
    assert answer.lines == ["tsmtl-train: best_model_path: one.pt is the checkpoint to start from; name another file"]
    assert (tmp_path / "one.pt").read_bytes() == before


def test_settings_of_a_fine_tuned_run_say_the_architecture_that_it_has(tsmtl_train, tmp_path):
    base = ["model=cnn1d", *SMALL]
    assert tsmtl_train(*base, "task=reg", "output_channels=4", "data.scale=minmax", "hydra.run.dir=a").code == 0
    tune = [*base, "stage=finetune", "pretrained_path=a/best_model.pt", "hydra.run.dir=b"]
    assert tsmtl_train(*tune).code == 0
    settings = read_checkpoint(tmp_path / "b/best_model.pt")["settings"]
    assert (settings["output_channels"], settings["data"]["scale"]) == (4, "minmax")
    again = tsmtl_train("experiment=b/config.yaml", "hydra.run.dir=c")
    assert again.code == 0, again.err
    assert (tmp_path / "b/predictions_test.csv").read_text() == (tmp_path / "c/predictions_test.csv").read_text()


def instances_in(folder: Path) -> set[str]:
    with (folder / "predictions_test.csv").open(encoding="utf-8") as file:
        return {row["instance"] for row in csv.DictReader(file)}


def test_test_instances_that_the_checkpoint_was_trained_on_are_refused_or_warned_of(tsmtl_train, tmp_path):
    tiny = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
    assert tsmtl_train(*tiny, "task=reg", "stage=pretrain", "hydra.run.dir=first").code == 0
    second = [*tiny, "stage=finetune", "pretrained_path=first/best_model.pt"]
    same = tsmtl_train(*second, "hydra.run.dir=same")
    assert same.code == 0, "another task has the same splits"
    assert "says too much" not in same.err
    assert instances_in(tmp_path / "same") == instances_in(tmp_path / "first")
    refused = tsmtl_train(*second, "data.test_fraction=0.5", "hydra.run.dir=other")
    assert refused.code == 2
    assert not (tmp_path / "other").exists()
    warned = tsmtl_train(*second, "data.test_fraction=0.5", "overlap=warn", "hydra.run.dir=other")
    assert warned.code == 0
    new = instances_in(tmp_path / "other")
    known = len(new - instances_in(tmp_path / "first"))
    said = (
        f"{known} of the {len(new)} test instances are among those that first/best_model.pt was trained and chosen on"
    )
    assert known > 0
    assert refused.err.startswith(f"tsmtl-train: pretrained_path: {said}, so that")
    assert f"pretrained: {said}: what is measured on them says too much" in warned.err
    again = ["stage=finetune", "pretrained_path=other/best_model.pt", "data.test_fraction=0.5"]
    third = tsmtl_train(*tiny, *again, "hydra.run.dir=third")
    assert third.code == 2, "what was seen two trainings before counts as well"
    assert f"{known} of the {len(new)} test instances are among those that other/best_model.pt" in third.err
