"""A backbone that is frozen, begins to learn later, or learns at a share of the rate."""

import copy
import math

import pytest
import torch
from torch import Tensor

from tests.training.conftest import LR
from tsmtl.training.batches import TensorSplit
from tsmtl.training.loop import Row
from tsmtl.training.weight_average import WeightAverage


def test_the_backbone_learns_from_the_epoch_it_is_unfrozen_in(train, make_model):
    model, seen = make_model(dropout=0.5), []
    model.freeze_backbone()
    start = copy.deepcopy(model.state_dict())

    def note(row: Row) -> None:
        moved = {key: not torch.equal(tensor, start[key]) for key, tensor in model.state_dict().items()}
        backbone = [moved[key] for key in moved if key.startswith("backbone.")]
        seen.append((all(backbone), any(backbone), moved["heads.reg.weight"]))

    train(model, 4, unfreeze_at=3, weight_decay=0.1, on_epoch=note)
    assert seen == [(False, False, True)] * 2 + [(True, True, True)] * 2


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimizer_takes_in_a_backbone_that_begins_later(train, make_model, optimizer):
    model = make_model()
    model.freeze_backbone()
    start = copy.deepcopy(model.state_dict())
    train(model, 3, unfreeze_at=2, optimizer=optimizer)
    assert all(not torch.equal(tensor, start[key]) for key, tensor in model.state_dict().items())


def test_a_frozen_backbone_has_no_dropout_and_the_model_stays_in_train_mode(train, make_model):
    model, modes = make_model(dropout=0.5), []
    model.freeze_backbone()
    model.backbone.register_forward_pre_hook(lambda module, inputs: modes.append((model.training, module.training)))
    train(model, 1)
    assert modes == [(True, False)] * 4 + [(False, False)]


def test_the_backbone_learns_at_its_share_of_the_rate(train, make_model):
    """One step of plain SGD moves each weight by its rate times its gradient."""

    def moved(factor: float) -> dict[str, Tensor]:
        model = make_model()
        before = copy.deepcopy(model.state_dict())
        data = TensorSplit(torch.ones(6, 4), {"cls": torch.zeros(6, dtype=torch.long), "reg": torch.ones(6, 1)})
        train(model, data=data, optimizer="sgd", momentum=0.0, lr_backbone_factor=factor)
        return {key: tensor - before[key] for key, tensor in model.state_dict().items()}

    whole, tenth = moved(1.0), moved(0.1)
    for key, step in whole.items():
        share = 0.1 if key.startswith("backbone.") else 1.0
        torch.testing.assert_close(tenth[key], share * step, rtol=1e-4, atol=1e-7)
        assert step.abs().max() > 1e-4


def test_the_share_of_the_rate_follows_the_schedule(train, make_model):
    rows = train(make_model(), 3, lr_backbone_factor=0.1, schedule="cosine").history
    assert [row["lr"] for row in rows] == pytest.approx([LR * 0.5 * (1 + math.cos(math.pi * i / 3)) for i in range(3)])


def test_a_frozen_backbone_stays_in_the_average_as_it_is_to_the_last_bit(train, make_model):
    model = make_model()
    model.freeze_backbone()
    start = copy.deepcopy(model.state_dict())
    average = WeightAverage(model, decay=0.7)
    train(model, 3, weight_decay=0.1, average=average)
    for key, tensor in average.model.state_dict().items():
        assert torch.equal(tensor, start[key]) == key.startswith("backbone.")
