"""The epoch loop against a plain torch loop, and what it does when something ends it."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.training.conftest import ALPHA, BATCH, LOSSES, LR
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import MISSING, Criterion, cross_entropy, regression_loss
from tsmtl.training.batches import TensorSplit
from tsmtl.training.loop import Fit, NotFiniteError, Row
from tsmtl.training.weight_average import WeightAverage


def scripted(scores: list[float]) -> Callable[[], Row]:
    """Make a validation that gives these scores, epoch by epoch."""
    remaining = iter(scores)

    def validate() -> Row:
        score = next(remaining)
        return {"val/loss": score, "val/cls/loss": score, "val/reg/loss": score}

    return validate


def plain_loop(
    model: MultiTaskModel, optimizer: torch.optim.Optimizer, split: TensorSplit, epochs: int
) -> list[list[float]]:
    """Train without any of tsmtl's training code; give the mean losses of each epoch."""
    generator = torch.Generator().manual_seed(0)
    history = []
    model.train()
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(split.x), generator=generator).split(BATCH):
            optimizer.zero_grad()
            embedding = model.backbone(split.x[rows])
            of_class = torch.nn.CrossEntropyLoss()(model.heads["cls"](embedding), split.targets["cls"][rows])
            of_number = torch.nn.MSELoss()(model.heads["reg"](embedding), split.targets["reg"][rows])
            loss = ALPHA * of_class + (1 - ALPHA) * of_number
            loss.backward()
            optimizer.step()
            losses.append([loss.item(), of_class.item(), of_number.item()])
        history.append(torch.tensor(losses).mean(dim=0).tolist())
    return history


PLAIN = {
    "sgd": lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=LR),
    "adamw": lambda p: torch.optim.AdamW(p, lr=LR, weight_decay=0.0),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("one_step", [True, False])
def test_training_equals_a_plain_torch_loop(train, make_model, split, name, one_step):
    epochs, tolerance = (1, 1e-7) if one_step else (3, 1e-6)
    if one_step:
        split = TensorSplit(split.x[:BATCH], {task: target[:BATCH] for task, target in split.targets.items()})
    ours, plain = make_model(), make_model()
    start = copy.deepcopy(ours.state_dict())
    result = train(ours, epochs, data=split, optimizer=name)
    expected = plain_loop(plain, PLAIN[name](plain.parameters()), split, epochs)
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=0, atol=tolerance)
        assert not torch.equal(tensor, start[key]), key
    got = [[row["train/loss"], row["train/cls/loss"], row["train/reg/loss"]] for row in result.history]
    for row, expected_row in zip(got, expected, strict=True):
        assert row == pytest.approx(expected_row, abs=1e-6)


def test_training_lowers_the_loss(train, make_model):
    history = train(make_model(), 30).history
    assert history[-1]["train/loss"] < 0.5 * history[0]["train/loss"]
    assert history[-1]["val/loss"] < 0.5 * history[0]["val/loss"]


def test_every_epoch_leaves_a_row_with_all_losses(train, make_model):
    rows: list[Row] = []
    result = train(make_model(), 3, schedule="cosine", on_epoch=rows.append)
    assert rows == result.history
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["lr"] for row in rows] == pytest.approx([LR * 0.5 * (1 + math.cos(math.pi * i / 3)) for i in range(3)])
    expected = {"epoch", "lr", "seconds"}
    expected |= {f"{part}/{name}loss" for part in ("train", "val") for name in ("", "cls/", "reg/")}
    assert all(set(row) == expected for row in rows)
    assert 0 < sum(row["seconds"] for row in rows) <= result.seconds + 0.01


def test_the_same_seed_gives_the_same_history_to_the_last_bit(train, make_model):
    def history(seed: int) -> list[Row]:
        model = make_model(dropout=0.3, seed=seed)
        rows = train(model, 4, seed=seed).history
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    assert history(0) == history(0)
    assert history(0) != history(1)


def test_the_order_of_batches_alone_makes_a_difference(train, make_model):
    histories = [[row["train/loss"] for row in train(make_model(), 2, seed=seed).history] for seed in (0, 1)]
    assert histories[0] != histories[1]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([math.nan] * 3, "val/loss was not a number in any epoch, and nothing tells how good the weights are"),
        ([1.0, 2.0, math.nan], "val/loss was not a number at epoch 3, and nothing tells how good the weights are"),
        ([math.nan, 2.0, 1.0], None),
    ],
)
def test_a_last_epoch_that_is_kept_without_a_score_is_told_of(train, make_model, caplog, scores, said):
    result = train(make_model(), 3, validate=scripted(scores), take_each=True)
    assert (result.best.epoch, len(result.best_state)) == (3, len(make_model().state_dict()))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == (said is not None)
    assert all(warning.startswith(str(said)) for warning in warnings)


def weights_of(model: MultiTaskModel) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def moved(train, make_model, clip: float | None) -> float:
    """Give the distance of one step of plain SGD with lr 0.1."""
    model = make_model()
    before = weights_of(model)
    data = TensorSplit(torch.ones(6, 4), {"cls": torch.zeros(6, dtype=torch.long), "reg": torch.full((6, 1), 9.0)})
    train(model, data=data, lr=0.1, optimizer="sgd", momentum=0.0, gradient_clip=clip)
    return float((weights_of(model) - before).norm())


def test_gradient_clip_limits_the_norm_of_the_step(train, make_model):
    free = moved(train, make_model, None)
    assert free > 0.1 * 2.0
    assert moved(train, make_model, 2.0) == pytest.approx(0.1 * 2.0, rel=1e-4)
    assert moved(train, make_model, 0.5) == pytest.approx(0.1 * 0.5, rel=1e-4)
    assert moved(train, make_model, 1e6) == pytest.approx(free, rel=1e-6)


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "best"),
    [
        ([3, 2, 2.5, 2.6, 1], 2, 4, 2),
        ([3, 2, 2.5, 1, 1.5, 1.6, 0], 2, 6, 4),
        ([3, 4, 0], 1, 2, 1),
        ([3, math.nan, math.nan, 0], 2, 3, 1),
        ([3, 4, 5, 6], None, 4, 1),
    ],
)
def test_training_stops_after_patience_epochs_without_a_better_score(train, make_model, scores, patience, epochs, best):
    result = train(make_model(), len(scores), validate=scripted(scores), patience=patience)
    assert len(result.history) == epochs
    assert result.best.epoch == best
    assert result.best.score == scores[best - 1]


def test_the_best_state_is_that_of_the_best_epoch_and_later_epochs_do_not_touch_it(train, make_model):
    model = make_model()
    after_epoch: list[dict[str, Tensor]] = []
    offered: list[int] = []
    result = train(
        model,
        4,
        validate=scripted([3, 1, 2, 2]),
        on_epoch=lambda row: after_epoch.append(copy.deepcopy(model.state_dict())),
        on_better=lambda fit: offered.append(fit.best.epoch),
    )
    assert offered == [1, 2]
    assert list(result.best_state) == list(model.state_dict())
    for key, tensor in result.best_state.items():
        assert torch.equal(tensor, after_epoch[1][key])
        assert torch.equal(model.state_dict()[key], after_epoch[3][key])  # the model ends with the last epoch
        assert not torch.equal(tensor, after_epoch[3][key])


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_epoch_and_step_and_keeps_the_best(train, make_model, epoch, step, value):
    calls = iter(range(1, 100))

    def breaks(outputs: Tensor, targets: Tensor) -> Tensor:
        loss = LOSSES["reg"](outputs, targets)
        return loss * value if next(calls) == 4 * (epoch - 1) + step else loss

    kept: list[Fit] = []
    said = rf"^the loss is {value} at epoch {epoch}, step {step} of 4; a smaller lr or trainer\.gradient_clip may help$"
    with pytest.raises(NotFiniteError, match=said):
        train(
            make_model(),
            3,
            losses=Criterion({**LOSSES, "reg": breaks}, {"cls": ALPHA, "reg": 1 - ALPHA}),
            validate=scripted([3.0, 2.0, 1.0]),
            on_better=kept.append,
        )
    assert len(kept) == epoch - 1
    assert all(tensor.isfinite().all() for result in kept for tensor in result.best_state.values())


def test_a_last_batch_of_one_is_part_of_the_one_before_it(train, make_model, split):
    sizes: list[int] = []
    model = make_model()
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: sizes.append(len(inputs[0])) if module.training else None
    )
    data = TensorSplit(split.x[:19], {task: target[:19] for task, target in split.targets.items()})
    train(model, data=data)
    assert sizes == [6, 6, 7]


def test_training_runs_in_train_mode_in_every_epoch(train, make_model):
    model, modes = make_model().eval(), []
    model.backbone.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    train(model, 2)
    assert modes == [True] * 4 + [False] + [True] * 4 + [False]  # four steps and a validation, twice


def test_a_step_on_partly_labelled_rows_is_the_step_on_each_tasks_labelled_subset(train, make_model, split):
    """Half of the rows have a class alone, the other half a number alone; one step of plain SGD."""
    ids, numbers = split.targets["cls"].clone()[:BATCH], split.targets["reg"].clone()[:BATCH]
    ids[3:], numbers[:3] = MISSING, math.nan
    masked = {"cls": cross_entropy(None, 0.0, masked=True), "reg": regression_loss("mse", 1.0, masked=True)}
    ours, plain = make_model(), make_model()
    losses = Criterion(masked, {"cls": ALPHA, "reg": 1 - ALPHA})
    data = TensorSplit(split.x[:BATCH], {"cls": ids, "reg": numbers})
    row = train(ours, data=data, losses=losses, optimizer="sgd", momentum=0.0).history[0]

    of_class = torch.nn.CrossEntropyLoss()(plain(split.x[:3])["cls"], split.targets["cls"][:3])
    of_number = torch.nn.MSELoss()(plain(split.x[3:BATCH])["reg"], split.targets["reg"][3:BATCH])
    (ALPHA * of_class + (1 - ALPHA) * of_number).backward()
    assert row["train/cls/loss"] == pytest.approx(of_class.item(), abs=1e-6)
    assert row["train/reg/loss"] == pytest.approx(of_number.item(), abs=1e-6)
    for key, parameter in plain.named_parameters():
        expected = parameter.detach() - LR * parameter.grad
        torch.testing.assert_close(ours.state_dict()[key], expected, rtol=0, atol=1e-7)


def test_the_best_state_is_the_average_and_the_training_itself_stays_the_same(train, make_model):
    plain, averaged, after_step = make_model(), make_model(), []
    train(plain, 2)
    average = WeightAverage(averaged, decay=0.9)
    update = average.update

    def noting(model: MultiTaskModel) -> None:
        update(model)
        after_step.append(copy.deepcopy(model.state_dict()))

    average.update = noting
    result = train(averaged, 2, average=average)
    assert len(after_step) == 8
    for key, tensor in plain.state_dict().items():
        assert torch.equal(tensor, averaged.state_dict()[key])
        shares = torch.tensor([0.9 ** (7 - step) for step in range(8)])
        steps = torch.stack([state[key] for state in after_step])
        expected = torch.tensordot(shares / shares.sum(), steps, dims=1)
        torch.testing.assert_close(result.best_state[key], expected, rtol=1e-5, atol=1e-6)
        assert not torch.equal(result.best_state[key], tensor)
