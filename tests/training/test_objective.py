"""The loop without tasks: any model, any loss in parts, no val split."""

import logging

import pytest
import torch
from torch import Tensor, nn

from tsmtl.training.batches import TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.loop import fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule


class Squares(nn.Module):
    """Two losses of a weight, which knows no target."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
        return {"near": (self.weight * x).square().mean(), "far": (self.weight - 3).square()}


class Sum:
    """The loss is near + 2 * far."""

    losses = ("near", "far")

    def __call__(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        assert targets == {}
        return outputs["near"] + 2 * outputs["far"], outputs


def test_a_model_without_targets_trains_by_its_own_loss_and_no_val_split(trainer, caplog):
    model, settings, began = Squares(), trainer(), []
    optimizer = build_optimizer(model.parameters(), 0.1, settings)
    caplog.set_level(logging.INFO)
    result = fit(
        model,
        Sum(),
        optimizer,
        Schedule(optimizer, settings, 60, 2),
        TensorSplit(torch.ones(4, 1), {}),
        dict,
        BestEpoch(higher_is_better=False, patience=None, take_each=True),
        "train/loss",
        60,
        Sampler(4, 2, torch.device("cpu")),
        torch.Generator().manual_seed(0),
        before_epoch=began.append,
    )
    # By hand: w^2 + 2 (w - 3)^2 is least at w = 2, where it is 4 + 2 * 1.
    assert model.weight.item() == pytest.approx(2, abs=0.02)
    assert began == list(range(1, 61))
    assert result.best.epoch == 60
    last = result.history[-1]
    assert set(last) == {"epoch", "lr", "train/loss", "train/near/loss", "train/far/loss", "seconds"}
    assert last["train/loss"] == pytest.approx(6, abs=0.01)
    assert last["train/loss"] == pytest.approx(last["train/near/loss"] + 2 * last["train/far/loss"], rel=1e-5)
    assert caplog.messages[-1] == f"epoch 60/60  near {last['train/near/loss']:.4f}  far {last['train/far/loss']:.4f}"
