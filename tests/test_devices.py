"""Several processes that train one model: they give what one process gives, and end together."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

import tsmtl
from tests import rank_cases
from tests.conftest import ROOT
from tests.data.tables import plant, written
from tests.test_resume import assert_same_run, start, wait_for
from tests.test_train import TINY_MODEL, summary_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import UserError
from tsmtl.config.torchrun import with_devices
from tsmtl.devices import train_on_devices
from tsmtl.training.watch import Watch

# Three epochs, dropout off, and a train split that batches do not divide.
SETTINGS = ["device=cpu", "num_epochs=3", "batch_size=8", "lr=1e-2"]
SYNTHETIC = [*SETTINGS, "data.n_instances=60", "data.test_fraction=0.3"]
LSTM = ["model=lstm", *TINY_MODEL["lstm"], "dropout=0"]
CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], "dropout=0"]
FCN = ["model=lstm_fcn_multi", *TINY_MODEL["lstm_fcn_multi"], "lstm_drop_out=0", "fc_drop_out=0"]
PARTLY = ["model=gru", "hidden_size=4", "dropout=0", *SETTINGS, "data=npz", "data.path=partly.npz"]
CHANGES = "data.augment=[{jitter:0.1},{time_mask:0.2},{channel_mask:0.1},{window_warp:0.5},{mixup:0.4}]"
WEIGHTS = ["trainer.class_weights=balanced", "trainer.regression_weights=rare"]
TUNE = [*CNN[:2], *SYNTHETIC, "stage=finetune", "pretrained_path=first.pt"]
CASES: dict[str, list[str]] = {
    "lstm": [*LSTM, *SYNTHETIC, "trainer.gradient_clip=0.1", "trainer.weight_decay=0.1"],
    "cnn1d": [*CNN, *SYNTHETIC, "trainer.schedule=cosine", "trainer.warmup_epochs=1", "trainer.weight_average=0.9"],
    "fc": ["model=fc", *TINY_MODEL["fc"], "dropout=0", *SETTINGS, "data=npz", "data.path=vectors.npz"],
    "lstm_fcn": [*FCN, *SYNTHETIC, "trainer.label_smoothing=0.1", "trainer.regression_loss=huber"],
    "labels missing, weighted": [*PARTLY, *WEIGHTS],
    "labels missing, some of both in every batch": [*PARTLY, "trainer.sampler=both_tasks", "batch_size=4"],
    "unequal lengths, mixed": [*PARTLY, "data.lengths_key=lengths", CHANGES],
    "unequal lengths, batch norm, gradients compared": [
        *(*CNN, *PARTLY[3:], "readout=mean", "data.lengths_key=lengths", "padding=1", "trainer.conflict=epoch"),
    ],
    "share of an epoch, balanced, changed": [
        *(*CNN, *SYNTHETIC, CHANGES, "trainer.sampler=balanced", "trainer.epoch_fraction=0.5"),
    ],
    "bfloat16": [*FCN, *SYNTHETIC, "trainer.precision=bf16"],
    "a task of no weight, plateau": [
        *(*LSTM, *SYNTHETIC, "alpha=0", "trainer.monitor=val/reg/rmse", "trainer.schedule=plateau"),
        *("trainer.plateau_patience=1", "trainer.optimizer=sgd", "trainer.early_stopping_patience=1"),
    ],
    "windows of a table": [
        *("model=gru", "hidden_size=4", "dropout=0", *SETTINGS, "data=table", "data.path=plant.csv", "data.window=5"),
        *("data.entity=machine", "data.time=time", "data.class_target=state", "data.regression_target=wear"),
    ],
    "a folder of arrays": [*CNN, *SETTINGS, "data=npz", "data.path=arrays", "data.shuffle_block=10"],
    "frozen": [*TUNE, "freeze=true"],
    "frozen at first": [*TUNE, "dropout=0", "trainer.unfreeze_at=2", "trainer.lr_backbone_factor=0.3"],
    "gradients weighed and compared, labels missing, tasks side by side": [
        *(*PARTLY, "weighting=bisector", "trainer.gradient_clip=0.5"),
        *("trainer.conflict=epoch", "trainer.best_per_task=true"),
    ],
    "gradients weighed, frozen at first": [*TUNE, "dropout=0", "trainer.unfreeze_at=2", "weighting=dbmtl"],
    "losses weighed by a second look": [*CNN, *SYNTHETIC, CHANGES, "weighting=famo", "weighting.lr=0.1"],
    "chain": ["experiment=pretrain_finetune", *CNN, *SYNTHETIC, "pretrain.num_epochs=2"],
}
SMALL_BATCHES = {  # the last one has one instance: one of the ranks has none
    "one instance left": [*LSTM, *SYNTHETIC, "batch_size=3"],
    "one instance left, batch norm": [*FCN, *SYNTHETIC, "batch_size=3"],
}
DROPOUT = ["model=lstm", *TINY_MODEL["lstm"], "dropout=0.5", *SYNTHETIC, "num_epochs=40", "data.augment=[{mixup:0.4}]"]


def make_data(folder: Path) -> None:
    """Write the files that the cases read."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(66, 2, 12)).astype(np.float32)
    ids, numbers = (x[:, 0].mean(axis=1) > 0).astype(int), 3 * x[:, 1].mean(axis=1) + 10
    split = np.repeat(["train", "val", "test"], [37, 13, 16])
    full = {"y_cls": ids, "y_reg": numbers, "split": split}
    np.savez(folder / "vectors.npz", X=x[:, :, 0], **full)
    (folder / "arrays").mkdir()
    for name, values in {"X": x, **full}.items():
        np.save(folder / "arrays" / f"{name}.npy", values)
    few_ids, few_numbers = ids.copy(), numbers.copy()
    few_ids[::3], few_numbers[:24] = -1, np.nan
    np.savez(folder / "partly.npz", X=x, y_cls=few_ids, y_reg=few_numbers, split=split, lengths=rng.integers(6, 13, 66))
    written(plant(), folder / "plant.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train every case in one process (``alone``) and on two ranks (``ranks``); give the folder.

    Once for all workers of pytest-xdist, whose folders lie side by side.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "two_ranks"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            train_all(folder)
    return folder


def train_all(folder: Path) -> None:
    """Train the cases in this process, and on two ranks meanwhile."""
    make_data(folder)
    cases = {name: (settings, False) for name, settings in CASES.items()}
    cases |= {name: (settings, True) for name, settings in SMALL_BATCHES.items()}
    command = [sys.executable, str(ROOT / "tests/rank_cases.py"), "2", str(folder)]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as started:
        patch.chdir(folder)
        patch.setattr("tsmtl.run.draw_run", lambda *given: None)
        rank_cases.train([*CNN, *SYNTHETIC, "task=reg", "best_model_path=first.pt", "hydra.run.dir=first"], False)
        Path("cases.json").write_text(json.dumps({**cases, "dropout": (DROPOUT, False)}))
        ranks = started.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT))
        started.callback(ranks.kill)
        for name, (settings, small) in cases.items():
            rank_cases.train([*settings, f"hydra.run.dir=alone/{name}"], small)
        said = ranks.communicate(timeout=300)[1]
        assert ranks.returncode == 0, said


def history_of(folder: Path) -> list[dict[str, float]]:
    return list(read_last(folder / "last.pt")["fit"]["history"])


@pytest.mark.parametrize("name", [*CASES, *SMALL_BATCHES])
def test_two_ranks_have_the_losses_and_metrics_of_one_process(trained, name):
    ours, theirs = (history_of(trained / kind / name) for kind in ("ranks", "alone"))
    assert len(ours) == len(theirs) > 1
    # Sums of a share in another order are rounded otherwise, in bfloat16 at its third digit.
    rounded = 0.01 if name == "bfloat16" else 1e-5
    for a, b in zip(ours, theirs, strict=True):
        del a["seconds"], b["seconds"]
        losses = {key: value for key, value in b.items() if name != "bfloat16" or key.endswith("loss")}
        assert {key: a[key] for key in losses} == pytest.approx(losses, rel=rounded, abs=rounded, nan_ok=True)
        if "compared" in name:
            assert any(math.isfinite(value) for key, value in a.items() if key.endswith("/cosine"))
    if name == "bfloat16":
        return  # an instance near the boundary may be of another class
    ours, theirs = (summary_of(trained / kind / name) for kind in ("ranks", "alone"))
    assert ours["best"]["epoch"] == theirs["best"]["epoch"]
    for task, metrics in theirs["test"].items():
        of_task = ours["test"][task]
        assert of_task.keys() == metrics.keys()
        counted = [key for key in metrics if key in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "f1")]
        assert [of_task[key] for key in counted] == [metrics[key] for key in counted]
        for key, value in metrics.items():
            assert of_task[key] == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_all_ranks_end_with_the_same_weights(trained):
    first, second = (json.loads((trained / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert len(first) == len(CASES) + len(SMALL_BATCHES) + 1
    assert len(first["chain"]) == 4, "last and best weights of either training"


def test_the_norms_of_a_checkpoint_count_the_instances_of_all_ranks(trained):
    ours, theirs = (read_checkpoint(trained / kind / "lstm_fcn/best_model.pt")["state"] for kind in ("ranks", "alone"))
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-4)
    assert any("running_var" in key for key in theirs)


def ranks_of(process: "subprocess.Popen[str]") -> list[int]:
    """Give the ids of the ranks that a process has started, rank 0 first."""
    return sorted(map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))


def assert_gone(ranks: list[int]) -> None:
    until = time.monotonic() + 10
    while any(Path(f"/proc/{rank}").exists() for rank in ranks):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_run_goes_on_exactly_after_a_rank_was_killed_and_after_sigterm(trained, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    settings = [*DROPOUT, "devices=2", "hydra.run.dir=cut"]
    process = start(tmp_path, *settings)
    try:
        wait_for(process, tmp_path / "cut/metrics.csv", rows=5)
        ranks = ranks_of(process)
        os.kill(ranks[1], signal.SIGKILL)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("error: the run failed: rank 1 was ended by SIGKILL")
    assert "Traceback" not in err
    assert_gone(ranks)
    process = start(tmp_path, *settings, "resume=true")
    try:
        wait_for(process, tmp_path / "cut/metrics.csv", rows=15)
        ranks = ranks_of(process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out) == (143, ""), err
    assert err.splitlines()[-1].startswith("tsmtl-train: terminated in epoch ")
    assert_gone(ranks)
    assert 15 <= len(history_of(tmp_path / "cut")) < 40
    caplog.set_level(logging.INFO, "tsmtl")
    result = tsmtl.train([*settings, "resume=true"])
    assert result.test.keys() == {"cls", "reg"}
    assert [record.name for record in caplog.records if "resume: going on in" in record.message] == [
        "tsmtl.training_run"
    ], "what rank 0 logs comes to the caller's log, once"
    assert_same_run(trained / "ranks/dropout", tmp_path / "cut")
    with pytest.raises(UserError, match=r"devices: 1 differs from the run in .*, where it is 2"):
        tsmtl.train([*DROPOUT, "hydra.run.dir=cut", "resume=true"])


def test_a_run_dies_with_the_process_that_started_its_ranks(tmp_path):
    process = start(tmp_path, *DROPOUT, "num_epochs=100000", "devices=2", "hydra.run.dir=run")
    try:
        wait_for(process, tmp_path / "run/metrics.csv", rows=1)
        ranks = ranks_of(process)
    finally:
        process.kill()
        process.communicate(timeout=20)
    assert_gone(ranks)
    assert not (tmp_path / "run/run.lock").exists(), "they ended in order"


PLUGIN = """
import torch
from tsmtl.models import Backbone, register_backbone

@register_backbone("unlucky")
class Unlucky(Backbone):
    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layer, self.embed_dim = torch.nn.Linear(input_size, 2), 2

    def forward(self, x, lengths=None):
        if self.training and torch.distributed.get_rank() == 1:
            raise ZeroDivisionError("no luck")
        return self.layer(x.mean(dim=2))
"""
PLUGIN_YAML = "# @package _global_\nmodel: unlucky\nplugins: [unlucky]\nnum_epochs: 5\nbatch_size: 8\nlr: 1.0e-3\n"


@pytest.mark.slow
def test_a_rank_that_fails_ends_all_with_its_own_reason(tsmtl_train, tmp_path):
    (tmp_path / "unlucky.py").write_text(PLUGIN)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/unlucky.yaml").write_text(PLUGIN_YAML)
    words = ["--config-dir", ".", "model=unlucky", "devices=2", "device=cpu", "hydra.run.dir=run"]
    answer = tsmtl_train(*words)
    assert answer.code == 1, answer.err
    said = "error: the run failed: ZeroDivisionError: no luck; the traceback is in "
    assert [line for line in answer.lines if line.startswith("error")] == [said + str(tmp_path / "run/train.log")]
    assert "Traceback" not in answer.err
    assert 'raise ZeroDivisionError("no luck")' in (tmp_path / "run/train.log").read_text()


def test_what_the_data_contradicts_is_one_line_and_leaves_nothing(tsmtl_train, tmp_path):
    answer = tsmtl_train("devices=2", "device=cpu", "input_size=4")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-train: input_size: 4 contradicts the data, where it is 3 (C of the series in data=synthetic)"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_batch_has_an_instance_for_every_device(tsmtl_train):
    answer = tsmtl_train("devices=9", "batch_size=8")
    assert answer.lines == ["tsmtl-train: devices: share a batch, and must be batch_size at most (got 9 and 8)"]


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def torchrun(tmp_path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*TORCHRUN, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_torchrun_makes_one_folder_with_one_log_and_the_same_run(trained, tmp_path):
    done = torchrun(tmp_path, "-m", "tsmtl.train", *CASES["lstm"])
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs").glob("*/*")
    for text in (done.stderr, (folder / "train.log").read_text()):
        assert text.count("model: lstm") == 1
        assert text.count("best epoch") == 1
    assert done.stdout.count("run folder") == 1
    ours, theirs = history_of(folder), history_of(trained / "ranks/lstm")
    assert [dict(row, seconds=0) for row in ours] == [dict(row, seconds=0) for row in theirs]
    assert summary_of(folder)["devices"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["lr=abc", "input_size=4"])
def test_torchrun_reports_a_wrong_setting_once(tmp_path, setting):
    done = torchrun(tmp_path, "-m", "tsmtl.train", "device=cpu", setting)
    assert done.returncode == 1
    assert done.stderr.count("tsmtl-train: ") == done.stderr.count(f"tsmtl-train: {setting.partition('=')[0]}: ") == 1
    assert done.stderr.count("Traceback") == 1, "torchrun's own"
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.slow
def test_a_script_under_torchrun_may_train_more_than_once(tmp_path):
    words = [*CASES["lstm"], "num_epochs=1"]
    (tmp_path / "script.py").write_text(f"import tsmtl\nfor n in (1, 2):\n    tsmtl.train([*{words}, f'seed={{n}}'])\n")
    done = torchrun(tmp_path, "script.py")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "outputs").glob("*/*/summary.json"))) == 2


@pytest.fixture
def as_rank(monkeypatch) -> None:
    """Be rank 1 of the two that torchrun would have started."""
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "MASTER_ADDR": "x", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("tsmtl.config.answer.PATIENCE", 0)


@pytest.mark.usefixtures("as_rank")
def test_torchrun_says_how_many_devices_there_are_and_starts_no_sweep(monkeypatch):
    assert with_devices(["lr=1"]) == ["lr=1", "devices=2"]
    assert with_devices(["devices=2", "lr=1"]) == ["lr=1", "devices=2"]
    with pytest.raises(UserError, match="devices=3 contradicts torchrun, which has started 2 processes"):
        with_devices(["devices=3"])
    for flag in ("-m", "--multirun"):
        with pytest.raises(UserError, match="a sweep starts its own"):
            with_devices([flag, "lr=1e-3,1e-4"])
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert with_devices(["-m", "lr=1e-3,1e-4"]) == ["-m", "lr=1e-3,1e-4"]


@pytest.mark.usefixtures("as_rank")
def test_of_torchruns_processes_rank_0_alone_reports_a_wrong_setting(tsmtl_train, tmp_path):
    answer = tsmtl_train("lr=abc")
    assert (answer.code, answer.err) == (2, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_jobs_of_a_sweep_may_have_several_devices(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", *CASES["lstm"], "devices=1,2", "hydra.sweep.dir=sweep")
    assert answer.code == 0, answer.err
    states = {state["settings"]["devices"]: state for state in map(read_last, tmp_path.glob("sweep/*/last.pt"))}
    alone, ranks = (states[devices]["fit"]["history"][-1]["val/loss"] for devices in (1, 2))
    assert alone == pytest.approx(ranks, rel=1e-5)


class EnoughError(Exception):
    """What a search raises to prune a run."""


@pytest.mark.slow
def test_who_watches_a_run_hears_of_every_epoch_and_may_end_it(compose, tmp_path):
    heard: list[Any] = []

    class Pruning(Watch):
        def starts(self, data: str, epochs: int, done: int) -> None:
            heard.append((epochs, done))

        def epoch_ends(self, row: dict[str, float]) -> None:
            heard.append(row["epoch"])
            if row["epoch"] == 2:
                raise EnoughError

    with pytest.raises(EnoughError):
        train_on_devices(compose(*CASES["lstm"], "devices=2"), tmp_path / "run", Pruning())
    assert heard == [(3, 0), 1, 2]
