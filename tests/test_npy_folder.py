"""Runs on a folder of .npy files: as on the same arrays in memory, exact when they go on, small in memory."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.test_resume import assert_same, assert_same_run
from tests.test_train import TINY_MODEL, rows_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.training.lazy_split import LazySplit

CNN = ["data=npz", "model=cnn1d", *TINY_MODEL["cnn1d"], "num_epochs=3", "batch_size=8", "lr=1e-3", "device=cpu"]


def arrays_of(n):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2, 16))  # double precision: what is read is converted
    x[3, 1, 4:6] = np.nan
    return {"X": x, "y_cls": np.array(["ok", "worn", "broken"])[np.arange(n) % 3], "y_reg": x[:, 0].mean(axis=1)}


def save(tmp_path, arrays):
    np.savez(tmp_path / "file.npz", **arrays)
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)


@pytest.fixture
def both(tmp_path):
    save(tmp_path, arrays_of(70))
    return {"file": "data.path=file.npz", "folder": "data.path=folder"}


def rows_without_seconds(folder):
    return [dict(row, seconds="") for row in rows_of(folder / "metrics.csv")]


def test_a_run_ends_with_the_bits_of_a_run_on_the_same_arrays_in_memory(tsmtl_train, tmp_path, both):
    for name, path in both.items():
        assert tsmtl_train(*CNN, path, f"hydra.run.dir=run_{name}").code == 0
    ours, theirs = (tmp_path / f"run_{name}" for name in ("folder", "file"))
    assert rows_without_seconds(ours) == rows_without_seconds(theirs)
    assert (ours / "predictions_test.csv").read_bytes() == (theirs / "predictions_test.csv").read_bytes()
    checkpoints = [read_checkpoint(run / "best_model.pt") for run in (ours, theirs)]
    for content in checkpoints:
        del content["settings"]["data"]["path"]
    assert_same(*checkpoints)
    summaries = [json.loads((run / "summary.json").read_text()) for run in (ours, theirs)]
    assert summaries[0]["test"] == summaries[1]["test"]
    assert summaries[0]["data"]["sha256"] == summaries[1]["data"]["sha256"]


def test_commands_measure_and_predict_a_folder_like_a_file(
    tsmtl_train, tsmtl_evaluate, tsmtl_predict, tmp_path, both, monkeypatch
):
    assert tsmtl_train(*CNN, both["folder"], "hydra.run.dir=run").code == 0
    of_run = json.loads((tmp_path / "run/summary.json").read_text())["test"]["reg"]
    monkeypatch.setattr("tsmtl.data.instances.BLOCK", 16)
    monkeypatch.setattr("tsmtl.evaluate_sources.EVALUATION_BATCH", 16)
    assert tsmtl_evaluate("checkpoint=run/best_model.pt", "output=split.json").code == 0
    assert json.loads((tmp_path / "split.json").read_text())["metrics"]["reg"] == pytest.approx(of_run)
    for name, path in both.items():
        assert tsmtl_evaluate("checkpoint=run/best_model.pt", path, f"output={name}.json").code == 0
        answer = tsmtl_predict("checkpoint=run/best_model.pt", path, f"output={name}.csv", "batch_size=9")
        assert answer.code == 0, answer.err
    metrics = [json.loads((tmp_path / f"{name}.json").read_text())["metrics"] for name in both]
    assert metrics[0] == metrics[1]
    assert (tmp_path / "folder.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    assert len((tmp_path / "folder.csv").read_text().splitlines()) == 71


def test_interrupted_three_times_a_run_in_blocks_ends_as_if_nothing_had_been(tsmtl_train, tmp_path, both, monkeypatch):
    settings = [*CNN, both["folder"], "data.shuffle_block=4", "resume=true"]
    assert tsmtl_train(*settings, "hydra.run.dir=whole").code == 0
    plain, calls = LazySplit.batch, 0

    def stop_now_and_then(self, rows):
        nonlocal calls
        calls += 1
        if calls in (3, 9, 15):  # an epoch has six batches of train and one of val
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, rows)

    monkeypatch.setattr(LazySplit, "batch", stop_now_and_then)
    codes = [tsmtl_train(*settings, "hydra.run.dir=cut").code for _ in range(4)]
    assert codes == [143, 143, 143, 0]
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_the_block_is_a_setting_of_the_order(tsmtl_train, tmp_path, both):
    for block in ("null", "4096", "4"):
        assert tsmtl_train(*CNN, both["folder"], f"data.shuffle_block={block}", f"hydra.run.dir=b{block}").code == 0
    losses = {block: rows_of(tmp_path / f"b{block}/metrics.csv")[0]["train/loss"] for block in ("null", "4096", "4")}
    assert losses["null"] == losses["4096"] != losses["4"]
    answer = tsmtl_train(*CNN, both["folder"], "data.shuffle_block=0")
    assert answer.lines == ["tsmtl-train: data.shuffle_block: must be a whole number, at least 1 or null (got 0)"]


def test_a_frozen_backbone_learns_on_embeddings_of_a_folder(tsmtl_train, both):
    assert tsmtl_train(*CNN, both["folder"], "task=reg", "hydra.run.dir=first").code == 0
    tune = ["stage=finetune", "pretrained_path=first/best_model.pt", "freeze=true"]
    answer = tsmtl_train(*CNN, both["folder"], *tune)
    assert answer.code == 0, answer.err


def test_a_checkpoint_that_is_older_than_the_setting_is_evaluated(tsmtl_train, tsmtl_evaluate, tmp_path, both):
    import torch

    assert tsmtl_train(*CNN, both["file"], "hydra.run.dir=run").code == 0
    content = torch.load(tmp_path / "run/best_model.pt", weights_only=True)
    del content["settings"]["data"]["shuffle_block"]
    torch.save(content, tmp_path / "old.pt")
    answer = tsmtl_evaluate("checkpoint=old.pt", "split=test")
    assert answer.code == 0, answer.err


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells the memory that is no file's")
def test_anonymous_memory_is_that_of_blocks_and_not_of_the_file(tmp_path):
    for name, n in (("small", 64), ("large", 8192)):
        (tmp_path / name).mkdir()
        x = np.lib.format.open_memmap(tmp_path / name / "X.npy", "w+", np.float32, (n, 2, 1024))
        x[:, 0, ::9] = np.arange(n)[:, None] % 7
        x.flush()
        np.save(tmp_path / name / "y_cls.npy", np.arange(n) % 2)
    assert (tmp_path / "large/X.npy").stat().st_size >= 64 * 2**20
    settings = ["data=npz", "task=cls", "model=cnn1d", "kernel_size=9", "stride=8", "output_channels=2"]
    settings += ["readout=mean", "num_epochs=1", "batch_size=256", "device=cpu"]
    command = [sys.executable, str(ROOT / "tests/anonymous_memory.py"), str(tmp_path), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 24, "MiB"
