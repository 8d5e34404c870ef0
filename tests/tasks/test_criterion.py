"""The weighted sum of the losses, and the gradients it sends into the backbone."""

import copy

import pytest
import torch
from torch import Tensor

from tsmtl.models.gru import GRU
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import MISSING, Criterion, cross_entropy, regression_loss

LOSSES = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}
MASKED = {
    "cls": cross_entropy(torch.tensor([1.0, 2.0, 3.0]), 0.1, masked=True),
    "reg": regression_loss("mse", 1.0, masked=True),
}


@pytest.fixture
def model() -> MultiTaskModel:
    torch.manual_seed(0)
    backbone = GRU(2, 10, hidden_size=6, num_layers=2, dropout=0.0, bidirectional=True, readout="last")
    return MultiTaskModel(backbone, {"cls": 3, "reg": 2})


@pytest.fixture
def batch() -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 2, 10, generator=generator)
    return x, {
        "cls": torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        "reg": torch.randn(8, 2, generator=generator),
    }


def backbone_gradients(model, criterion, x, targets) -> tuple[float, dict[str, Tensor]]:
    model = copy.deepcopy(model)
    total, _ = criterion(model(x), targets)
    total.backward()
    return total.item(), {name: p.grad for name, p in model.backbone.named_parameters()}


def single(task: str) -> Criterion:
    return Criterion({task: LOSSES[task]}, {task: 1.0})


def both(alpha: float) -> Criterion:
    return Criterion(LOSSES, {"cls": alpha, "reg": 1.0 - alpha})


@pytest.mark.parametrize(("alpha", "task"), [(1.0, "cls"), (0.0, "reg")])
def test_at_an_end_of_alpha_the_backbone_learns_exactly_the_single_task(model, batch, alpha, task):
    loss, gradients = backbone_gradients(model, both(alpha), *batch)
    loss_alone, gradients_alone = backbone_gradients(model, single(task), *batch)
    assert loss == loss_alone
    for name, expected in gradients_alone.items():
        assert torch.equal(gradients[name], expected), name


@pytest.mark.parametrize(("alpha", "untouched"), [(1.0, "reg"), (0.0, "cls")])
def test_at_an_end_of_alpha_the_other_head_gets_no_gradient_but_is_measured(model, batch, alpha, untouched):
    x, targets = batch
    total, parts = both(alpha)(model(x), targets)
    total.backward()
    assert all(p.grad is None for p in model.heads[untouched].parameters())
    assert parts[untouched].item() > 0


def test_a_task_of_weight_0_cannot_spoil_the_sum_with_a_loss_that_is_not_finite(model, batch):
    x, targets = batch
    targets["reg"] = torch.full((8, 2), float("inf"))
    loss, gradients = backbone_gradients(model, both(1.0), x, targets)
    assert loss == loss
    assert all(g.isfinite().all() for g in gradients.values())


def test_between_the_ends_the_gradient_is_the_weighted_sum(model, batch):
    loss, gradients = backbone_gradients(model, both(0.3), *batch)
    loss_cls, of_cls = backbone_gradients(model, single("cls"), *batch)
    loss_reg, of_reg = backbone_gradients(model, single("reg"), *batch)
    assert loss == pytest.approx(0.3 * loss_cls + 0.7 * loss_reg, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, 0.3 * of_cls[name] + 0.7 * of_reg[name], rtol=0, atol=1e-6)


def test_the_parts_are_the_losses_of_the_tasks_without_their_weights(model, batch):
    x, targets = batch
    outputs = model(x)
    total, parts = both(0.3)(outputs, targets)
    assert parts["cls"].item() == LOSSES["cls"](outputs["cls"], targets["cls"]).item()
    assert parts["reg"].item() == LOSSES["reg"](outputs["reg"], targets["reg"]).item()
    assert total.item() == pytest.approx(0.3 * parts["cls"].item() + 0.7 * parts["reg"].item(), abs=1e-6)


def test_each_task_learns_from_its_own_labelled_rows(model, batch):
    x, targets = batch
    no_class, no_number = torch.tensor([1, 4]), torch.tensor([0, 1, 6])
    gaps = {"cls": targets["cls"].index_fill(0, no_class, MISSING)}
    gaps["reg"] = targets["reg"].index_fill(0, no_number, float("nan"))
    _, gradients = backbone_gradients(model, Criterion(MASKED, {"cls": 0.3, "reg": 0.7}), x, gaps)

    plain = {
        "cls": cross_entropy(torch.tensor([1.0, 2.0, 3.0]), 0.1, masked=False),
        "reg": regression_loss("mse", 1.0, masked=False),
    }
    expected = {name: torch.zeros_like(g) for name, g in gradients.items()}
    for task, weight, missing in (("cls", 0.3, no_class), ("reg", 0.7, no_number)):
        kept = torch.tensor([row for row in range(8) if row not in missing.tolist()])
        subset = {task: targets[task][kept]}
        _, of_task = backbone_gradients(model, Criterion({task: plain[task]}, {task: 1.0}), x[kept], subset)
        expected = {name: g + weight * of_task[name] for name, g in expected.items()}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("task", "other"), [("cls", "reg"), ("reg", "cls")])
def test_a_batch_without_labels_of_one_task_learns_exactly_the_other_task(model, batch, task, other):
    x, targets = batch
    nothing = {"cls": torch.full((8,), MISSING), "reg": torch.full((8, 2), float("nan"))}
    weights = {"cls": 0.3, "reg": 0.7}
    loss, gradients = backbone_gradients(model, Criterion(MASKED, weights), x, targets | {other: nothing[other]})
    alone = Criterion({task: MASKED[task]}, {task: weights[task]})
    loss_alone, of_task = backbone_gradients(model, alone, x, targets)
    assert loss == loss_alone
    assert all(torch.equal(gradient, of_task[name]) for name, gradient in gradients.items())
    total, _ = Criterion(MASKED, weights)(model(x), targets | {other: nothing[other]})
    total.backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in model.heads[other].parameters())


def test_a_batch_without_any_label_moves_nothing(model, batch):
    x, _ = batch
    nothing = {"cls": torch.full((8,), MISSING), "reg": torch.full((8, 2), float("nan"))}
    loss, gradients = backbone_gradients(model, Criterion(MASKED, {"cls": 0.5, "reg": 0.5}), x, nothing)
    assert loss == 0.0
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients.values())
