"""Heads of a frozen backbone, trained on embeddings that were made once."""

import pytest
import torch

from tests.test_train import SMALL, TINY_MODEL, rows_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.training import embedded as module
from tsmtl.training.embedded import embedded


@pytest.mark.parametrize("model", ["cnn1d", "lstm", "lstm_fcn"])
def test_training_on_embeddings_is_training_on_the_input(tsmtl_train, tmp_path, monkeypatch, model):
    base = [f"model={model}", *TINY_MODEL[model], *SMALL]
    assert tsmtl_train(*base, "task=reg", "hydra.run.dir=a").code == 0
    tune = [*base, "stage=finetune", "pretrained_path=a/best_model.pt", "freeze=true", "num_epochs=5"]
    calls = []
    monkeypatch.setattr("tsmtl.training_run.embedded", lambda *given: calls.append(embedded(*given)) or calls[-1])
    for name, largest in (("once", 2**28), ("every epoch", 0)):
        monkeypatch.setattr(module, "LARGEST", largest)
        assert tsmtl_train(*tune, f"hydra.run.dir={name}").code == 0
    assert [made is None for made in calls] == [False, True]
    states = [read_checkpoint(tmp_path / name / "best_model.pt")["state"] for name in ("once", "every epoch")]
    for key, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][key], rtol=1e-4, atol=1e-6)
    histories = [rows_of(tmp_path / name / "metrics.csv") for name in ("once", "every epoch")]
    for row, other in zip(*histories, strict=True):
        for key in set(row) - {"seconds"}:
            assert float(row[key]) == pytest.approx(float(other[key]), rel=1e-4, abs=1e-5), key


def test_embeddings_are_those_of_the_backbone_in_eval_mode(make_model, split):
    model = make_model(dropout=0.5)
    model.freeze_backbone()
    made = embedded(model, {"train": split})
    assert made is not None
    torch.testing.assert_close(made["train"].x, model.backbone.eval()(split.x), rtol=0, atol=1e-6)
    assert made["train"].targets is split.targets
    assert made["train"].all_lengths is None
