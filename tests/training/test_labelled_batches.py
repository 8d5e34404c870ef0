"""The train loss of a task is that of the batches that have labels of it."""

import math

import pytest
import torch

from tests.training.conftest import ALPHA, BATCH
from tsmtl.tasks.losses import MISSING, Criterion, cross_entropy, regression_loss
from tsmtl.training import labelled_batches
from tsmtl.training.batches import TensorSplit
from tsmtl.training.labelled_batches import LabelledBatches

NAN = math.nan


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_the_mean_is_over_the_batches_with_a_label(monkeypatch, at_once):
    monkeypatch.setattr(labelled_batches, "AT_ONCE", at_once)
    targets = {
        "cls": torch.tensor([MISSING, 2, MISSING, MISSING, 0]),
        "reg": torch.tensor([[NAN, 1.0], [NAN, NAN], [NAN, NAN], [NAN, NAN], [NAN, NAN]]),
        "full": torch.zeros(5, dtype=torch.long),
    }
    labelled = LabelledBatches(TensorSplit(torch.zeros(5, 1), targets), ["cls", "reg", "full", "no task"])
    losses = torch.tensor([[4.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 0.0], [6.0, 8.0, 0.0, 5.0]])
    batches = [torch.tensor([1, 4]), torch.tensor([3]), torch.tensor([2, 0, 1])]
    assert labelled.mean(losses, batches).tolist() == [5.0, 8.0, 1.0, 2.0]
    none = labelled.mean(losses[:2], batches[:2]).tolist()
    assert none[0] == 4.0
    assert math.isnan(none[1]), "no batch of the epoch has a number"


def test_a_task_of_few_labels_has_the_train_loss_of_its_labelled_instances(train, make_model, split):
    """Three of 22 instances have a number: one in a batch, two in another, and none in the other two."""
    numbers = torch.full_like(split.targets["reg"], NAN)
    order = torch.randperm(22, generator=torch.Generator().manual_seed(0)).split(BATCH)
    known = torch.cat([order[0][:1], order[2][:2]])
    numbers[known] = split.targets["reg"][known]
    losses = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=True)}
    model = make_model()
    with torch.no_grad():
        error = (model(split.x)["reg"] - split.targets["reg"]).square()
    expected = (error[order[0][0]] + error[order[2][:2]].mean()) / 2
    data = TensorSplit(split.x, {"cls": split.targets["cls"], "reg": numbers})
    criterion = Criterion(losses, {"cls": ALPHA, "reg": 1 - ALPHA})
    row = train(model, data=data, losses=criterion, lr=1e-9).history[0]
    assert row["train/reg/loss"] == pytest.approx(expected.item(), rel=1e-5)
