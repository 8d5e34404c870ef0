"""``trainer.precision`` in whole runs: what is said and stored."""

import pytest
import torch
from torch import nn

from tests.processor import needs_bf16
from tests.test_train import SMALL, TINY_MODEL, summary_of
from tsmtl import record
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.models.convolution import FEW, Convolution, unprotected

BF16 = "trainer.precision=bf16"
FCN = ["model=lstm_fcn", *TINY_MODEL["lstm_fcn_multi"], *SMALL]


@needs_bf16
def test_log_checkpoint_and_summary_say_the_precision_and_weights_and_moments_are_float32(tsmtl_train, tmp_path):
    answer = tsmtl_train(*FCN, BF16, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    assert "the backbone trains in bfloat16; heads, losses and all that is measured are float32" in answer.err
    assert summary_of(tmp_path / "run")["precision"] == "bf16"
    checkpoint = read_checkpoint(tmp_path / "run/best_model.pt")
    assert checkpoint["settings"]["trainer"]["precision"] == "bf16"
    last = read_last(tmp_path / "run/last.pt")
    moments = [value for state in last["optimizer"]["state"].values() for value in state.values()]
    for tensor in [*last["model"].values(), *moments]:
        assert tensor.dtype in (torch.float32, torch.int64)  # counters of batch norms


def test_what_stays_float32_is_said_with_the_reason(tsmtl_train, tmp_path):
    answer = tsmtl_train("model=gru", "hidden_size=4", *SMALL, BF16, "hydra.run.dir=gru")
    assert answer.code == 0, answer.err
    assert "trainer.precision: gru is slower in bfloat16, so that everything stays float32" in answer.err
    assert summary_of(tmp_path / "gru")["precision"] == "float32"
    assert tsmtl_train(*FCN, "hydra.run.dir=first").code == 0
    tune = ["stage=finetune", "pretrained_path=first/best_model.pt", "freeze=true", "hydra.run.dir=frozen"]
    answer = tsmtl_train(*FCN[:1], *SMALL, *tune, BF16)
    assert answer.code == 0, answer.err
    assert "trainer.precision: the backbone is frozen, so that everything stays float32" in answer.err


@needs_bf16
def test_a_processor_without_units_for_it_is_warned_of(tsmtl_train, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    answer = tsmtl_train(*FCN, "num_epochs=1", BF16)
    assert answer.code == 0, answer.err
    assert "takes about twice as long in it" in answer.err


@pytest.mark.parametrize("model", ["lstm", "lstm_fcn", "cnn1d"])
def test_where_pytorch_takes_no_bfloat16_all_stays_float32_with_a_warning(tsmtl_train, tmp_path, monkeypatch, model):
    monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: False)
    words = [f"model={model}", *TINY_MODEL[model], *SMALL]
    for name in ("bf16", "float32"):
        answer = tsmtl_train(*words, f"trainer.precision={name}", f"hydra.run.dir={name}")
        assert answer.code == 0, answer.err
        assert answer.err.count("take no bfloat16 on this processor, so that everything stays float32") == (
            name == "bf16"
        )
        assert "trains in bfloat16" not in answer.err
        assert summary_of(tmp_path / name)["precision"] == "float32"
    figures = [(tmp_path / name / "predictions_test.csv").read_bytes() for name in ("bf16", "float32")]
    assert figures[0] == figures[1]


@needs_bf16
def test_plain_convolutions_of_few_channels_are_named(tsmtl_train, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2 avx512_bf16 amx_bf16\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    own = nn.Sequential(nn.Conv1d(4, 8, 3), Convolution(4, 8, 3), nn.Conv1d(FEW, 8, 3))
    assert unprotected(own) == ["0"]
    answer = tsmtl_train(*FCN, "num_epochs=1", BF16)
    assert "wrong sums" not in answer.err  # no shipped model has such
    monkeypatch.setattr("tsmtl.record.unprotected", lambda backbone: unprotected(own))
    answer = tsmtl_train(*FCN, "num_epochs=1", BF16)
    assert "wrong sums for some convolutions of fewer than 16 channels in bfloat16" in answer.err
    assert "in the place of nn.Conv1d does not: 0" in answer.err


def test_another_precision_is_refused_with_the_choices(tsmtl_train):
    answer = tsmtl_train("trainer.precision=fp16")
    assert answer.code == 2
    assert "trainer.precision: must be one of float32, tf32, bf16 (got 'fp16'); did you mean 'bf16'?" in answer.err


def test_tf32_is_of_gpus_and_elsewhere_said_to_be_none(tsmtl_train, tmp_path):
    switches = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    numbers = []
    for precision in ("tf32", "float32"):
        answer = tsmtl_train(*FCN, "num_epochs=1", f"trainer.precision={precision}", f"hydra.run.dir={precision}")
        assert answer.code == 0, answer.err
        assert answer.err.count("trainer.precision: TF32 is of NVIDIA's GPUs") == (precision == "tf32")
        assert summary_of(tmp_path / precision)["precision"] == "float32"
        numbers.append((tmp_path / precision / "predictions_test.csv").read_bytes())
    assert numbers[0] == numbers[1]
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == switches


def test_of_a_gpu_it_is_said_what_is_in_bfloat16_and_what_in_tf32(tsmtl_train, monkeypatch):
    """The log of a run on a CPU, told that it is on a GPU."""
    say = record._say_bf16
    monkeypatch.setattr(
        "tsmtl.record._say_bf16", lambda settings, model, device: say(settings, model, torch.device("cuda"))
    )
    monkeypatch.setattr("tsmtl.record.cost_of_bf16", lambda device: None)
    answer = tsmtl_train(*FCN, "num_epochs=1", BF16)
    assert answer.code == 0, answer.err
    assert answer.err.count("other products of training steps are rounded to TF32 where the GPU has units") == 1
    assert "heads, losses and all that is measured are float32" not in answer.err
