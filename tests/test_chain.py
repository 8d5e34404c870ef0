"""Pretraining and fine-tuning as one job: ``experiment=pretrain_finetune``."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from tests.test_train import SMALL, TINY_MODEL, summary_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.models.registry import BACKBONES

CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
CHAIN = ["experiment=pretrain_finetune", *CNN]


def pretrainings(tmp_path: Path) -> list[Path]:
    return sorted(p for p in (tmp_path / "outputs/pretrained").iterdir() if p.is_dir())


def test_the_chain_equals_its_two_stages_run_by_hand(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "pretrain.num_epochs=3", "hydra.run.dir=chain").code == 0
    first = [*CNN, "stage=pretrain", "task=reg", "num_epochs=3", "hydra.run.dir=first"]
    assert tsmtl_train(*first).code == 0
    second = [*CNN, "stage=finetune", "pretrained_path=first/best_model.pt", "hydra.run.dir=second"]
    assert tsmtl_train(*second).code == 0
    (folder,) = pretrainings(tmp_path)
    for ours, theirs in ((folder, tmp_path / "first"), (tmp_path / "chain", tmp_path / "second")):
        states = [read_checkpoint(run / "best_model.pt")["state"] for run in (ours, theirs)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        files = [(run / "predictions_test.csv").read_text() for run in (ours, theirs)]
        assert files[0] == files[1]


def test_the_fine_tuned_run_stores_the_hash_of_its_checkpoint(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    report = summary_of(tmp_path / "a")["pretrained"]
    assert report["sha256"] == hashlib.sha256((folder / "best_model.pt").read_bytes()).hexdigest()
    assert report["reused"] is False
    assert summary_of(tmp_path / "a")["stage"] == "finetune"
    assert summary_of(folder)["stage"] == "pretrain"
    assert list(summary_of(folder)["test"]) == ["reg"]


@pytest.mark.usefixtures("jobs_here")
def test_a_sweep_over_alpha_pretrains_once(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", *CHAIN, "alpha=0.1,0.5,0.9", "hydra.sweep.dir=sweep")
    assert answer.code == 0, answer.err
    said = "val/loss does not compare the jobs: alpha changes the loss itself; trainer.monitor=joint does"
    assert f"warning: {said}" in answer.lines
    (folder,) = pretrainings(tmp_path)
    reports = [summary_of(run)["pretrained"] for run in sorted((tmp_path / "sweep").iterdir()) if run.is_dir()]
    assert sorted(report["reused"] for report in reports) == [False, True, True]
    assert len({report["sha256"] for report in reports}) == 1
    assert (folder / "train.log").exists() is False, "its lines are in the log of the job that made it"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ([], False),
        (["alpha=0.9", "trainer.unfreeze_at=2", "best_model_path=mine.pt"], False),
        (["freeze=true"], False),
        (["pretrain.lr=2e-3"], True),
        (["seed=1"], True),
        (["seed=1", "pretrain.seed=0"], False),
        (["data.seed=1"], True),
        (["output_channels=8"], True),
        (["pretrain.task=cls"], True),
    ],
)
def test_a_pretraining_is_found_again_by_the_same_settings_and_data(tsmtl_train, tmp_path, change, again):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    answer = tsmtl_train(*CHAIN, *change, "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    assert summary_of(tmp_path / "b")["pretrained"]["reused"] is not again
    assert len(pretrainings(tmp_path)) == (2 if again else 1)


def test_a_moved_data_file_is_the_same_data_and_a_changed_one_is_not(tsmtl_train, tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    arrays = {"X": rng.normal(size=(90, 6)), "y_cls": rng.integers(0, 2, 90), "y_reg": rng.normal(size=90)}
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez(tmp_path / "b.npz", **arrays)
    np.savez(tmp_path / "c.npz", **{**arrays, "y_reg": arrays["y_reg"] + 1})
    chain = ["experiment=pretrain_finetune", "data=npz", "model=fc", "hidden_sizes=[4]", "device=cpu", "num_epochs=1"]
    for name, reused in (("a", False), ("b", True), ("c", False)):
        assert tsmtl_train(*chain, f"data.path={name}.npz", f"hydra.run.dir={name}").code == 0
        assert summary_of(tmp_path / name)["pretrained"]["reused"] is reused, name


def test_lstm_fcn_multi_is_pretrained_as_lstm_fcn_with_its_own_architecture(tsmtl_train, tmp_path):
    tiny = [*TINY_MODEL["lstm_fcn"], *SMALL]
    assert tsmtl_train("experiment=pretrain_finetune", *tiny, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    spec = read_checkpoint(folder / "best_model.pt")["backbone"]
    assert (spec["name"], spec["arguments"]["num_layers"]) == ("lstm_fcn", 1)
    again = tsmtl_train(f"experiment={folder}/config.yaml", "hydra.run.dir=b")
    assert again.code == 0, again.err
    files = [(run / "predictions_test.csv").read_text() for run in (folder, tmp_path / "b")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("num_classes_1=9", "num_classes_1: 9 contradicts the data"),
        (
            "pretrain.data.n_channels=4",
            "pretrain.data: data=synthetic has 4 channels, the fine-tuning's",
        ),
        (
            "pretrain.data.n_steps=40",
            "pretrain.data: data=synthetic has 40 time steps, the fine-tuning's",
        ),
        ("trainer.class_weights=[1,2]", "trainer.class_weights: "),
        ("best_model_path=taken", "best_model_path: taken is there and no checkpoint of tsmtl"),
        ("pretrain.folder=taken", "pretrain.folder: cannot write taken"),
    ],
)
def test_what_is_wrong_is_said_before_the_pretraining(tsmtl_train, tmp_path, change, said):
    (tmp_path / "taken").write_text("a file")
    answer = tsmtl_train(*CHAIN, change)
    assert answer.code == 2
    assert len(answer.lines) == 1, answer.err
    assert answer.lines[0].startswith(f"tsmtl-train: {said}")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("damage", ["other", "gone", "cut", "summary", "last"])
def test_a_pretraining_that_is_not_whole_is_made_anew(tsmtl_train, tmp_path, damage):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    best, whole = folder / "best_model.pt", (folder / "best_model.pt").read_bytes()
    match damage:
        case "other":
            best.write_bytes((tmp_path / "a/best_model.pt").read_bytes())
        case "gone":
            best.unlink()
        case "cut":
            best.write_bytes(whole[:500])
        case "summary":
            (folder / "summary.json").write_text("{")
        case "last":
            (folder / "summary.json").unlink()
            (folder / "last.pt").write_bytes(b"PK")
    answer = tsmtl_train(*CHAIN, "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    assert f"warning: pretraining: made anew in outputs/pretrained/{folder.name} (" in answer.err
    assert summary_of(tmp_path / "b")["pretrained"]["reused"] is False
    assert "heads.cls.weight" not in read_checkpoint(best)["state"]
    states = [read_checkpoint(tmp_path / f"{run}/best_model.pt")["state"] for run in "ab"]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_settings_of_the_task_that_is_not_pretrained_stay_with_the_fine_tuning(tsmtl_train, tmp_path):
    change = ["trainer.class_weights=balanced", "trainer.label_smoothing=0.1", "trainer.monitor=val/cls/macro_f1"]
    answer = tsmtl_train(*CHAIN, *change, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    (folder,) = pretrainings(tmp_path)
    trainers = [yaml.safe_load((run / "config.yaml").read_text())["trainer"] for run in (folder, tmp_path / "a")]
    assert [t["monitor"] for t in trainers] == ["val/loss", "val/cls/macro_f1"]
    assert [t["class_weights"] for t in trainers] == ["none", "balanced"]


@pytest.fixture
def _own_backbones():
    """Forget the backbones and modules that a test registers."""
    before = dict(BACKBONES)
    yield
    BACKBONES.clear()
    BACKBONES.update(before)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tsmtl_test_mine"]:
        sys.modules.pop(name)


@pytest.mark.usefixtures("_own_backbones")
@pytest.mark.parametrize("file", ["tsmtl_test_mine.py", "tsmtl_test_mine/tiny.py"])
def test_a_changed_plugin_is_another_pretraining(tsmtl_train, tmp_path, file):
    (tmp_path / "model").mkdir()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    if "/" in file:
        (tmp_path / "tsmtl_test_mine/__init__.py").write_text("from tsmtl_test_mine import tiny\n")
    settings = "model: tiny\nplugins: [tsmtl_test_mine]\nwidth: 4\nnum_epochs: 1\nbatch_size: 16\nlr: 1.0e-3\n"
    (tmp_path / "model/tiny.yaml").write_text("# @package _global_\n" + settings)
    source = """
from torch import nn
from tsmtl.models import Backbone, register_backbone

@register_backbone("tiny")
class Tiny(Backbone):
    def __init__(self, input_size: int, width: int) -> None:
        super().__init__()
        self.layer, self.embed_dim = nn.Linear(input_size, width), width

    def forward(self, x, lengths=None):
        return self.layer(x.mean(dim=2)).ACTIVATION()
"""
    arguments = ["--config-dir", ".", "experiment=pretrain_finetune", "model=tiny", *SMALL, "num_epochs=1"]
    for name, activation, reused in (("a", "relu", False), ("b", "relu", True), ("c", "tanh", False)):
        (tmp_path / file).write_text(source.replace("ACTIVATION", activation))
        answer = tsmtl_train(*arguments, f"hydra.run.dir={name}")
        assert answer.code == 0, answer.err
        assert summary_of(tmp_path / name)["pretrained"]["reused"] is reused


def test_the_pretrained_checkpoint_is_not_overwritten_by_the_fine_tuning(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    before = (folder / "best_model.pt").read_bytes()
    answer = tsmtl_train(*CHAIN, f"best_model_path={folder}/best_model.pt")
    assert answer.code == 2
    assert answer.lines[-1].endswith("is the checkpoint to start from; name another file")
    assert (folder / "best_model.pt").read_bytes() == before


def test_an_interrupted_pretraining_goes_on_whatever_it_is_called_and_runs_on(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    (folder / "summary.json").unlink()
    plain = [setting for setting in CHAIN if setting != "device=cpu"]
    answer = tsmtl_train(*plain, f"pretrain.folder={folder.parent}", "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    assert "resume: going on in" in answer.err


def test_two_jobs_at_once_pretrain_once(tsmtl_train, tmp_path):
    words = [*CHAIN, "num_epochs=2", "pretrain.num_epochs=40"]
    command = [sys.executable, "-c", "from tsmtl.train import cli; cli()", *words, "alpha=0.2", "hydra.run.dir=0.2"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as other:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("outputs/pretrained/*/metrics.csv")):  # the other one has begun
            assert time.monotonic() < until
            time.sleep(0.01)
        answer = tsmtl_train(*words, "alpha=0.8", "hydra.run.dir=0.8")
        _, errors = other.communicate(timeout=120)
    assert (answer.code, other.returncode) == (0, 0), (answer.err, errors)
    reports = [summary_of(tmp_path / alpha)["pretrained"] for alpha in ("0.2", "0.8")]
    assert sorted(report["reused"] for report in reports) == [False, True]
    assert len({report["sha256"] for report in reports}) == 1


def test_a_pretraining_that_was_cut_goes_on(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (folder,) = pretrainings(tmp_path)
    (folder / "summary.json").unlink()
    answer = tsmtl_train(*CHAIN, "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    assert f"resume: going on in {Path('outputs/pretrained') / folder.name}" in answer.err
    assert json.loads((folder / "summary.json").read_text())["stage"] == "pretrain"


def test_the_config_of_a_chained_run_runs_the_chain_again(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "pretrain.num_epochs=1", "hydra.run.dir=a").code == 0
    assert yaml.safe_load((tmp_path / "a/config.yaml").read_text())["pretrain"]["num_epochs"] == 1
    assert tsmtl_train("experiment=a/config.yaml", "hydra.run.dir=b").code == 0
    assert summary_of(tmp_path / "b")["pretrained"]["reused"] is True
    assert (tmp_path / "a/predictions_test.csv").read_text() == (tmp_path / "b/predictions_test.csv").read_text()


def test_a_run_goes_on_with_a_pretraining_that_was_made_again_elsewhere(tsmtl_train, tmp_path):
    assert tsmtl_train(*CHAIN, "hydra.run.dir=a").code == 0
    (tmp_path / "a/summary.json").unlink()
    answer = tsmtl_train(*CHAIN, "pretrain.folder=elsewhere", "hydra.run.dir=a", "resume=true")
    assert answer.code == 0, answer.err
    assert "resume: going on in" in answer.err


def test_a_sweep_checks_what_was_typed_before_any_job(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", *CHAIN, "pretrain.output_channels=8", "alpha=0.2,0.8", "hydra.sweep.dir=sweep")
    assert answer.code == 2
    said = "output_channels: 4 contradicts pretrain.output_channels, which is 8"
    assert [line.rpartition("): ")[2] for line in answer.lines] == [said, said]
    assert not (tmp_path / "sweep").exists()
