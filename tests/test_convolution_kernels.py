"""``trainer.kernels=native`` in whole runs of the models with convolutions."""

import numpy as np
import pytest
import torch

from tests.conftest import needs_compiler
from tests.processor import needs_bf16
from tests.test_resume import assert_same_run
from tests.test_train import SMALL, TINY_MODEL, rows_of, summary_of
from tests.trained import data_sets
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.models.convolution_native import Convolve
from tsmtl.models.norm_relu_native import NormReLU

pytestmark = needs_compiler
NATIVE = "trainer.kernels=native"
NO_DROPOUT = {"cnn1d": ["dropout=0"], "lstm_fcn": ["lstm_drop_out=0", "fc_drop_out=0"]}  # its masks are others
# Of the losses: a ReLU flips where its input is about 0, which bfloat16 rounds to three digits.
TOLERANCE = {"float32": 1e-3, "bf16": 0.05}


def words(model: str, *more: str) -> list[str]:
    return [f"model={model}", *TINY_MODEL[model], *SMALL, "num_epochs=4", *more]


@pytest.fixture
def passes(monkeypatch):
    """Name the kernels of each pass."""
    seen = []
    for node in (NormReLU, Convolve):

        def counted(ctx, *given, node=node, forward=node.forward):
            seen.append(node)
            return forward(ctx, *given)

        monkeypatch.setattr(node, "forward", counted)
    return seen


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=needs_bf16)])
@pytest.mark.parametrize("model", ["cnn1d", "lstm_fcn"])
def test_the_losses_of_a_run_are_those_of_torch(tsmtl_train, tmp_path, passes, model, precision):
    settings = words(model, *NO_DROPOUT[model], f"trainer.precision={precision}", "lr=1e-3")
    losses, statistics = [], []
    for kernels in ("native", "torch"):
        answer = tsmtl_train(*settings, f"trainer.kernels={kernels}", f"hydra.run.dir={kernels}")
        assert answer.code == 0, answer.err
        assert summary_of(tmp_path / kernels)["kernels"] == kernels
        rows = rows_of(tmp_path / kernels / "metrics.csv")
        losses.append([float(row[name]) for row in rows for name in ("train/loss", "val/loss")])
        state = read_checkpoint(tmp_path / kernels / "best_model.pt")["state"]
        statistics.append(torch.cat([value for name, value in state.items() if "running" in name]))
        if kernels == "native":
            assert set(passes) == ({NormReLU, Convolve} if precision == "float32" else {NormReLU})
            passes.clear()
    assert not passes
    assert losses[0] == pytest.approx(losses[1], rel=TOLERANCE[precision])
    assert (statistics[0] - statistics[1]).norm() < TOLERANCE[precision] * statistics[1].norm()
    assert not torch.equal(*statistics), "rounding differs"


@pytest.mark.parametrize("model", ["cnn1d", "lstm_fcn"])
def test_a_run_with_dropout_that_is_cut_goes_on_to_the_last_bit(tsmtl_train, tmp_path, stopped_at, model, monkeypatch):
    monkeypatch.setattr("tsmtl.models.dropout.WORTH_A_CALL", 1)
    settings = words(model, NATIVE)
    assert tsmtl_train(*settings, "hydra.run.dir=whole").code == 0
    stopped_at(4)
    assert tsmtl_train(*settings, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*settings, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 0, answer.err
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def assert_through_torch(answer, folder, why):
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.lines if "kernels" in line]
    assert line == f"warning: trainer.kernels: {why}; the training goes through torch"
    assert summary_of(folder)["kernels"] == read_last(folder / "last.pt")["kernels"] == "torch"


@pytest.mark.parametrize("model", ["cnn1d", "lstm_fcn"])
def test_batches_of_unequal_lengths_go_through_torch(tsmtl_train, tmp_path, passes, model):
    np.savez(tmp_path / "padded.npz", **data_sets()["padded"])
    data = ["data=npz", "data.path=padded.npz", "data.lengths_key=lengths", "device=cpu", "num_epochs=1"]
    answer = tsmtl_train(f"model={model}", *TINY_MODEL[model], "readout=mean", *data, NATIVE, "hydra.run.dir=run")
    assert_through_torch(answer, tmp_path / "run", f"model={model} has batch norms, and the series unequal lengths")
    assert not passes


def test_batch_norms_over_several_processes_go_through_torch(tsmtl_train, tmp_path):
    answer = tsmtl_train(*words("cnn1d", NATIVE, "devices=2"), "hydra.run.dir=run")
    assert_through_torch(answer, tmp_path / "run", "model=cnn1d has batch norms over the rows of all devices")
