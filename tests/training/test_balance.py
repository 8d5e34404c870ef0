"""A weighting method in the loop: the gradients that it sets, with missing labels, frozen backbones, a second look."""

import pytest
import torch
from torch import nn

from tests.conftest import needs_compiler
from tests.weighting.steps import made
from tsmtl.models.backbone import Backbone
from tsmtl.models.dropout import Dropout
from tsmtl.models.kernels import train_natively
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.augmentation import Augmentation, channels_of
from tsmtl.training.balance import Balance
from tsmtl.training.ranks import ALONE
from tsmtl.weighting.method import GradientWeighting
from tsmtl.weighting.registry import METHODS

EACH = pytest.mark.parametrize("name", METHODS)
TASKS = ("cls", "reg")


def criterion() -> Criterion:
    losses = {"cls": cross_entropy(None, 0.0, masked=True), "reg": regression_loss("mse", 1.0, masked=True)}
    return Criterion(losses, {"cls": 0.5, "reg": 0.5})


def plain_gradients(model, x, targets) -> dict[str, dict[str, torch.Tensor]]:
    """Give the gradient of each task on each parameter, by a backward pass of its own."""
    found = {}
    for task in TASKS:
        model.zero_grad(set_to_none=False)
        _, parts = criterion()(model(x), targets)
        parts[task].backward()
        found[task] = {
            n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()
        }
    model.zero_grad()
    return found


def flat(gradients: dict[str, torch.Tensor], prefix: str) -> torch.Tensor:
    return torch.cat([gradient.reshape(-1) for name, gradient in gradients.items() if name.startswith(prefix)])


def gradients_of(model: MultiTaskModel) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}


@EACH
def test_the_gradients_are_the_tasks_own_weighed_as_the_method_says(make_model, split, name):
    model = make_model()
    own = plain_gradients(model, split.x, split.targets)
    _, parts = criterion()(model(split.x), split.targets)
    losses = torch.stack(list(parts.values())).detach()
    shared = torch.stack([flat(own[task], "backbone.") for task in TASKS])
    method = made(name)
    torch.manual_seed(3)
    if isinstance(method, GradientWeighting):
        update = method.update(shared, losses)
        expected, heads = update.shared, torch.ones(2) if update.heads is None else update.heads
    else:
        heads = method.weights(losses)
        expected = heads @ shared
    balance = Balance(made(name), model, TASKS, ALONE)
    torch.manual_seed(3)
    total, found = balance.backward(lambda: criterion()(model(split.x), split.targets))
    torch.testing.assert_close(flat(gradients_of(model), "backbone."), expected, rtol=1e-4, atol=1e-6)
    for task, factor in zip(TASKS, heads, strict=True):
        head = f"heads.{task}."
        torch.testing.assert_close(
            flat(gradients_of(model), head), factor * flat(own[task], head), rtol=1e-4, atol=1e-6
        )
    assert total.item() == pytest.approx(float(losses.mean()))
    assert {task: loss.item() for task, loss in found.items()} == pytest.approx(
        dict(zip(TASKS, losses.tolist(), strict=True))
    )
    assert set(balance.after_epoch()) == {"weight/cls", "weight/reg"}


@EACH
def test_a_batch_without_labels_of_a_task_moves_neither_its_head_nor_its_weight(make_model, split, name):
    model = make_model()
    targets = {"cls": split.targets["cls"], "reg": torch.full((22, 1), torch.nan)}
    own = plain_gradients(model, split.x, targets)
    balance = Balance(made(name), model, TASKS, ALONE)
    balance.backward(lambda: criterion()(model(split.x), targets))
    found = gradients_of(model)
    assert not flat(found, "heads.reg.").any()
    cosine = nn.functional.cosine_similarity
    assert cosine(flat(found, "backbone."), flat(own["cls"], "backbone."), dim=0) > 0.9999
    balance.after_step()
    means = balance.after_epoch()
    assert means["weight/cls"] > 0
    assert means["weight/reg"] != means["weight/reg"], "no step, no mean"


def test_the_mean_weight_is_that_of_the_steps_that_a_task_took_part_in(make_model, split):
    model = make_model()
    nothing = {"cls": torch.full((22,), -1), "reg": split.targets["reg"]}
    balance = Balance(made("dwa"), model, TASKS, ALONE)
    balance.method.after_epoch(torch.tensor([2.0, 2.0]))
    balance.method.after_epoch(torch.tensor([1.0, 2.0]))
    for targets in (split.targets, nothing):
        balance.backward(lambda targets=targets: criterion()(model(split.x), targets))
    e = torch.tensor([0.25, 0.5]).exp()
    both = (2 * e / e.sum()).tolist()
    means = balance.after_epoch()
    assert list(means.values()) == pytest.approx([both[0], (both[1] + 1) / 2])


def test_the_method_learns_the_mean_losses_of_each_epoch_by_itself(make_model, split, monkeypatch):
    model = make_model()
    nothing = {"cls": torch.full((22,), -1), "reg": split.targets["reg"]}
    balance = Balance(made("dwa"), model, TASKS, ALONE)
    heard: list[list[float]] = []
    monkeypatch.setattr(balance.method, "after_epoch", lambda losses: heard.append(losses.tolist()))
    _, parts = criterion()(model(split.x), split.targets)
    cls, reg = (parts[task].item() for task in TASKS)
    for batches in ([split.targets, nothing], [nothing, nothing, nothing]):
        for targets in batches:
            balance.backward(lambda targets=targets: criterion()(model(split.x), targets))
        means = balance.after_epoch()
    assert heard[0] == pytest.approx([cls, reg])
    assert heard[1] == pytest.approx([float("nan"), reg], nan_ok=True)
    assert list(means.values()) == pytest.approx([float("nan"), 1], nan_ok=True), "of the second epoch alone"


def test_what_is_learnt_is_recorded_under_the_tasks_names(make_model, split):
    model = make_model()
    balance = Balance(made("uncertainty"), model, TASKS, ALONE)
    balance.method.log_variances.put(torch.tensor([0.3, -0.2]))
    assert balance.record() == pytest.approx({"cls": 0.3, "reg": -0.2})
    assert Balance(made("pcgrad"), model, TASKS, ALONE).record() is None


def test_on_a_frozen_backbone_a_task_without_labels_has_no_weight(make_model, split):
    model = make_model()
    model.freeze_backbone()
    nothing = {"cls": torch.full((22,), -1), "reg": split.targets["reg"]}
    balance = Balance(made("bisector"), model, TASKS, ALONE)
    balance.backward(lambda: criterion()(model(split.x), nothing))
    assert list(balance.after_epoch().values()) == pytest.approx([float("nan"), 1], nan_ok=True)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if issubclass(method, GradientWeighting)])
def test_heads_on_a_frozen_backbone_follow_their_own_tasks(make_model, split, name):
    model = make_model()
    own = plain_gradients(model, split.x, split.targets)
    model.freeze_backbone()
    balance = Balance(made(name), model, TASKS, ALONE)
    balance.backward(lambda: criterion()(model(split.x), split.targets))
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    for task in TASKS:
        torch.testing.assert_close(flat(gradients_of(model), f"heads.{task}."), flat(own[task], f"heads.{task}."))
    assert list(balance.after_epoch().values()) == [1, 1]
    model.freeze_backbone(False)  # trainer.unfreeze_at
    balance.backward(lambda: criterion()(model(split.x), split.targets))
    assert all(parameter.grad is not None for parameter in model.backbone.parameters())


@EACH
def test_three_tasks_share_a_backbone(split, name):
    torch.manual_seed(0)
    tasks = ("a", "b", "c")
    model = MultiTaskModel(Normed(), dict.fromkeys(tasks, 1))
    loss = regression_loss("mse", 1.0, masked=True)
    three = Criterion(dict.fromkeys(tasks, loss), dict.fromkeys(tasks, 1 / 3))
    targets = {"a": split.targets["reg"], "b": split.x[:, :1], "c": torch.full((22, 1), torch.nan)}
    balance = Balance(made(name, 3), model, tasks, ALONE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen = []
    for _ in range(40):
        optimizer.zero_grad()
        total, _ = balance.backward(lambda: three(model(split.x), targets))
        optimizer.step()
        balance.after_step()
        seen.append(total.item())
    assert seen[-1] < 0.9 * seen[0]
    assert not any(parameter.grad.any() for parameter in model.heads["c"].parameters())
    assert balance.after_epoch()["weight/a"] > 0


class Normed(Backbone):
    """Reads vectors, with a batch norm and dropout."""

    reads = "vectors"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), Dropout(0.5))
        self.embed_dim = 8

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("kernels", ["torch", pytest.param("native", marks=needs_compiler)])
def test_the_second_look_sees_the_same_batch_and_leaves_no_trace(split, kernels, monkeypatch):
    monkeypatch.setattr("tsmtl.models.dropout.WORTH_A_CALL", 1)
    torch.manual_seed(0)
    model = MultiTaskModel(Normed(), {"cls": 3, "reg": 1})
    if kernels == "native":
        train_natively(model)
    augmentation = Augmentation([("jitter", 0.5), ("mixup", 0.4)], channels_of(split))
    balance = Balance(made("famo"), model, TASKS, ALONE)

    def look():
        return augmentation.loss(model, criterion(), split.x, None, split.targets)

    before = torch.get_rng_state()
    balance.backward(look)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    after_first = torch.get_rng_state()
    assert not torch.equal(before, after_first)
    balance.after_step()  # nothing has moved
    assert torch.equal(torch.get_rng_state(), after_first)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    assert buffers["backbone.layers.1.num_batches_tracked"] == 1
    assert balance.method.learnt().tolist() == [0, 0], "the same losses: no gain of either task"
    balance.backward(look)
    with torch.no_grad():
        model.heads["reg"].bias += 1
    balance.after_step()
    assert balance.method.learnt()[0] != 0
