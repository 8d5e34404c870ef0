"""Runs one after another in a process, as in a sweep: each gives the bits that it gives in another process."""

import json
import subprocess
import sys

import pytest
import torch

import tsmtl
from tests.conftest import needs_compiler
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.training.threads import threads_put_back

MODELS = {
    "torch": ["fc", "lstm", "gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi"],
    "native": ["gru", "cnn1d", "lstm_fcn"],
}
SERIES = ["data=synthetic", "data.n_instances=60"]
SHORT = ["num_epochs=2", "batch_size=16", "lr=1e-3", "device=cpu", "trainer.threads=1"]
PROGRAM = """
import json, sys
import tsmtl, tsmtl.run
tsmtl.run.draw_run = lambda *given: None  # takes longer than the training
for words in json.load(sys.stdin):
    tsmtl.train(words)
"""


@pytest.fixture
def three_threads():
    """As Numba, say, may have left PyTorch in a process where it has worked."""
    with threads_put_back():
        torch.set_num_threads(3)
        yield


@pytest.mark.parametrize("kernels", ["torch", pytest.param("native", marks=needs_compiler)])
def test_a_run_gives_the_bits_that_it_gives_in_another_process(three_threads, vectors, tmp_path, monkeypatch, kernels):
    monkeypatch.chdir(tmp_path)
    runs = {
        f"{model} {precision}": [
            f"model={model}",
            *(["data=npz", f"data.path={vectors}"] if model == "fc" else SERIES),
            *SHORT,
            f"trainer.precision={precision}",
            f"trainer.kernels={kernels}",
        ]
        for model in MODELS[kernels]
        for precision in ("float32", "bf16")
    }
    for name, words in runs.items():
        summary = tsmtl.train([*words, f"hydra.run.dir='here/{name}'"]).summary
        assert (summary["threads"], summary["kernels"]) == (1, kernels)
    # The other way round, so that each comes behind others than here.
    there = [[*words, f"hydra.run.dir='there/{name}'"] for name, words in reversed(runs.items())]
    subprocess.run([sys.executable, "-c", PROGRAM], input=json.dumps(there), text=True, check=True, timeout=240)
    for name in runs:
        ours, theirs = (
            read_checkpoint(tmp_path / where / name / "best_model.pt")["state"] for where in ("here", "there")
        )
        assert list(ours) == list(theirs)
        assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == [], name
        predictions = [(tmp_path / where / name / "predictions_test.csv").read_bytes() for where in ("here", "there")]
        assert predictions[0] == predictions[1], name
