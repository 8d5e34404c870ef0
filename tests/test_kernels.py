"""``trainer.kernels`` in whole runs: what is said and stored, what a resumed run takes, and runs without a compiler."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.conftest import needs_compiler
from tests.test_resume import assert_same_run
from tests.test_train import SMALL, TINY_MODEL, rows_of, summary_of
from tests.trained import data_sets
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import UserError
from tsmtl.kernels import take_kernels
from tsmtl.models.gru_native import GRU_KERNELS

NATIVE = "trainer.kernels=native"
GRU = ["model=gru", *TINY_MODEL["gru"], *SMALL, "dropout=0.3", "num_epochs=3"]
THROUGH_TORCH = "the training goes through torch"


@pytest.fixture
def no_compiler(monkeypatch):
    """Give a function that takes the compiler away from a process that has not loaded the kernels yet."""

    def take_away():
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setattr(GRU_KERNELS, "_found", None)

    return take_away


def same_weights(ours, theirs):
    """Whether two runs end with the same weights, to the last bit."""
    one, two = (read_checkpoint(folder / "best_model.pt")["state"] for folder in (ours, theirs))
    assert list(one) == list(two)
    return all(torch.equal(one[name], two[name]) for name in one)


@needs_compiler
def test_log_summary_and_state_say_the_kernels_and_the_losses_are_those_of_torch(tsmtl_train, tmp_path):
    answer = tsmtl_train(*GRU, NATIVE, "hydra.run.dir=native")
    assert answer.code == 0, answer.err
    assert "kernels: training steps of gru take native ones; all that is measured goes through torch" in answer.err
    assert summary_of(tmp_path / "native")["kernels"] == read_last(tmp_path / "native/last.pt")["kernels"] == "native"
    assert tsmtl_train(*GRU, "hydra.run.dir=torch").code == 0
    assert summary_of(tmp_path / "torch")["kernels"] == read_last(tmp_path / "torch/last.pt")["kernels"] == "torch"
    losses = [
        [float(row["train/loss"]) for row in rows_of(tmp_path / way / "metrics.csv")] for way in ("native", "torch")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert not same_weights(tmp_path / "native", tmp_path / "torch"), "rounding differs"


def test_without_a_compiler_one_line_says_so_and_torchs_numbers_come(tsmtl_train, tmp_path, no_compiler):
    no_compiler()
    answer = tsmtl_train(*GRU, NATIVE, "hydra.run.dir=asked")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.lines if "trainer.kernels" in line]
    assert "there is no C++ compiler; install g++ or clang++" in line
    assert line.endswith(THROUGH_TORCH)
    assert "Traceback" not in answer.err
    assert summary_of(tmp_path / "asked")["kernels"] == "torch"
    assert tsmtl_train(*GRU, "hydra.run.dir=plain").code == 0
    assert same_weights(tmp_path / "asked", tmp_path / "plain")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["model=lstm", *TINY_MODEL["lstm"], *SMALL], "no layer of this model has native kernels"),
        (
            [*GRU[:1], *SMALL, "stage=finetune", "pretrained_path=first/best_model.pt", "freeze=true"],
            "the backbone is frozen",
        ),
    ],
)
def test_what_goes_through_torch_is_said_with_the_reason(tsmtl_train, tmp_path, settings, why):
    if "freeze=true" in settings:
        assert tsmtl_train(*GRU, "hydra.run.dir=first").code == 0
    answer = tsmtl_train(*settings, NATIVE, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    assert f"trainer.kernels: {why}; {THROUGH_TORCH}" in answer.err
    assert summary_of(tmp_path / "run")["kernels"] == "torch"


@needs_compiler
@pytest.mark.parametrize("lengths", [False, True])
def test_a_run_that_is_cut_goes_on_to_the_last_bit(tsmtl_train, tmp_path, stopped_at, lengths):
    settings = [*GRU, NATIVE]
    if lengths:
        np.savez(tmp_path / "padded.npz", **data_sets()["padded"])
        data = ["data=npz", "data.path=padded.npz", "data.lengths_key=lengths"]
        settings = ["model=gru", *TINY_MODEL["gru"], *data, "device=cpu", "batch_size=8", "num_epochs=3", NATIVE]
    assert tsmtl_train(*settings, "hydra.run.dir=whole").code == 0
    stopped_at(4)
    assert tsmtl_train(*settings, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*settings, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 0, answer.err
    assert summary_of(tmp_path / "cut")["kernels"] == "native"
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@needs_compiler
def test_a_run_with_native_kernels_goes_on_with_them_alone(tsmtl_train, tmp_path, stopped_at, no_compiler):
    stopped_at(4)
    assert tsmtl_train(*GRU, NATIVE, "hydra.run.dir=cut").code == 143
    no_compiler()
    answer = tsmtl_train(*GRU, NATIVE, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 2
    begins = (
        f"tsmtl-train: trainer.kernels: the run in {tmp_path / 'cut'} began with native kernels and goes on with them"
    )
    assert answer.lines[-1].startswith(f"{begins} alone, but there is no C++ compiler; install g++")
    assert read_last(tmp_path / "cut/last.pt")["kernels"] == "native"


def test_on_a_gpu_a_run_trains_through_torch_unless_it_began_natively():
    settings = SimpleNamespace(trainer=SimpleNamespace(kernels="native"), run=SimpleNamespace(freeze=False))

    def why_torch(state):
        return take_kernels(settings, None, torch.device("cuda"), state, Path("run"))

    assert why_torch(None) == why_torch({"kernels": "torch"}) == "native kernels are for the CPU"
    with pytest.raises(
        UserError, match="the run in run began with native kernels and goes on with them alone, but nat"
    ):
        why_torch({"kernels": "native"})


@needs_compiler
def test_a_run_that_began_without_a_compiler_goes_on_through_torch(tsmtl_train, tmp_path, stopped_at, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        patch.setattr(GRU_KERNELS, "_found", None)
        stopped_at(4)
        assert tsmtl_train(*GRU, NATIVE, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*GRU, NATIVE, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 0, answer.err
    assert f"trainer.kernels: the run began without native kernels; {THROUGH_TORCH}" in answer.err
    assert tsmtl_train(*GRU, "hydra.run.dir=plain").code == 0
    assert same_weights(tmp_path / "cut", tmp_path / "plain")


@pytest.mark.usefixtures("jobs_here")
def test_the_log_of_a_job_of_a_sweep_says_what_went_through_torch(tsmtl_train, tmp_path):
    words = ["model=lstm", *TINY_MODEL["lstm"], *SMALL, "trainer.kernels=torch,native", "hydra.sweep.dir=s"]
    answer = tsmtl_train("-m", *words)
    assert answer.code == 0, answer.err
    folders = [next((tmp_path / "s").glob(f"*kernels={kernels}*")) for kernels in ("torch", "native")]
    said = [(folder / "train.log").read_text().count(THROUGH_TORCH) for folder in folders]
    assert said == [0, 1]
    assert [summary_of(folder)["kernels"] for folder in folders] == ["torch", "torch"]


def test_other_kernels_are_refused_with_the_choices(tsmtl_train):
    answer = tsmtl_train("trainer.kernels=cuda")
    assert answer.code == 2
    assert "trainer.kernels: must be one of torch, native (got 'cuda')" in answer.err
