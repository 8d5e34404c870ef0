"""What is measured of the tasks' gradients, against hand counts and plain loops; and that measuring leaves no trace."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.cnn1d import CNN1D
from tsmtl.models.fc import FC
from tsmtl.models.lstm import LSTM
from tsmtl.models.lstm_fcn import LSTMFCN
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.record import about_conflict
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.batches import TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.conflict import AHEAD, Conflict, affinity_column, blocks_of, column, share_column
from tsmtl.training.conflict_summary import reading, summary_of
from tsmtl.training.loop import Fit
from tsmtl.training.probe import SHARE, plan, probe_rows
from tsmtl.training.seeding import random_numbers

MSE = regression_loss("mse", 1.0, masked=True)
EPOCHS = range(1, 25)
RECURRENT = {"num_layers": 2, "dropout": 0.5, "bidirectional": True, "readout": "last"}


class Line(Backbone):
    """e = w x, of two features."""

    embed_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        found: Tensor = self.line(x)
        return found


@pytest.fixture
def numbers() -> TensorSplit:
    """20 vectors of 2 features with numbers a, b and c that depend on them; c is known of half of them."""
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    c = torch.where(torch.arange(20)[:, None] < 10, x[:, :1] * 0.5, torch.nan)
    return TensorSplit(x, {"a": x[:, :1] + x[:, 1:], "b": 2 * x[:, 1:] - x[:, :1], "c": c})


def of_lines(split: TensorSplit, tasks: str, batch_size: int, epochs: range = EPOCHS) -> Conflict:
    torch.manual_seed(0)
    model = MultiTaskModel(Line(), dict.fromkeys(tasks, 1))
    targets = {task: split.targets[task] for task in tasks}
    criterion = Criterion(dict.fromkeys(tasks, MSE), dict.fromkeys(tasks, 1.0))
    return Conflict(model, criterion, TensorSplit(split.x, targets), batch_size, steps=10**4, epochs=epochs, seed=0)


def by_hand(conflict: Conflict, split: TensorSplit, task: str, rows: Tensor, w: np.ndarray | None = None):
    """Loss of a task on some rows and its gradient by w, in float64."""
    x, y = split.x[rows].double().numpy(), split.targets[task][rows].double().numpy()[:, 0]
    head = conflict.model.heads[task]
    slope, shift = head.weight.item(), head.bias.item()
    w = conflict.model.backbone.line.weight.detach().double().numpy()[0] if w is None else w
    known = ~np.isnan(y)
    error = (slope * (x @ w) + shift - y)[known]
    return (error**2).mean(), (2 * slope * error[:, None] * x[known]).mean(axis=0)


def test_of_one_batch_all_numbers_are_those_of_a_hand_count(numbers):
    conflict, weights = of_lines(numbers, "ab", 20), {"a": 0.2, "b": 0.8}
    found = conflict.after_epoch(1, weights)
    rows = torch.arange(20)
    losses, gradients = zip(*(by_hand(conflict, numbers, task, rows) for task in "ab"), strict=True)
    norms = [np.linalg.norm(g) for g in gradients]
    cosine = gradients[0] @ gradients[1] / (norms[0] * norms[1])
    assert found[column("a", "b", "cosine")] == pytest.approx(cosine, rel=1e-5)
    assert found[column("a", "b", "norm_ratio")] == pytest.approx(norms[0] / norms[1], rel=1e-5)
    assert found[column("a", "b", "conflicting")] == float(cosine < 0)
    pulls = [0.2 * norms[0], 0.8 * norms[1]]
    assert found[share_column("a")] == pytest.approx(pulls[0] / sum(pulls), rel=1e-5)
    assert found[share_column("b")] == pytest.approx(pulls[1] / sum(pulls), rel=1e-5)
    w = conflict.model.backbone.line.weight.detach().double().numpy()[0]
    for i, source in enumerate("ab"):
        ahead = w - AHEAD * losses[i] / norms[i] ** 2 * gradients[i]
        for j, target in enumerate("ab"):
            gain = 1 - by_hand(conflict, numbers, target, rows, ahead)[0] / losses[j]
            assert found[affinity_column(source, target)] == pytest.approx(gain, rel=1e-3, abs=1e-6)
    assert found[affinity_column("a", "a")] == pytest.approx(AHEAD, rel=0.1)


def test_of_three_tasks_and_batches_of_few_labels_means_and_shares_are_those_of_a_plain_loop(numbers):
    conflict = of_lines(numbers, "abc", 3)
    assert conflict.plan.batches > 5
    known = [~numbers.targets[task][:, 0].isnan() for task in "abc"]
    rows = probe_rows(known, conflict.plan.batches * 3, seed=0)
    assert len(rows) == conflict.instances < 20
    batches = list(rows.split(3))
    own = {
        task: [by_hand(conflict, numbers, task, part)[1] for part in batches if known["abc".index(task)][part].any()]
        for task in "abc"
    }
    found = conflict.after_epoch(1, dict.fromkeys("abc", 1.0))
    means = {task: np.mean(parts, axis=0) for task, parts in own.items()}
    total = sum(np.linalg.norm(mean) for mean in means.values())
    for one, other in combinations("abc", 2):
        a, b = means[one], means[other]
        assert found[column(one, other, "cosine")] == pytest.approx(a @ b / math.sqrt(a @ a * (b @ b)), rel=1e-4)
        assert found[column(one, other, "norm_ratio")] == pytest.approx(math.sqrt(a @ a / (b @ b)), rel=1e-4)
        both = [p for p in batches if all(known["abc".index(task)][p].any() for task in (one, other))]
        signs = [
            by_hand(conflict, numbers, one, part)[1] @ by_hand(conflict, numbers, other, part)[1] < 0 for part in both
        ]
        assert found[column(one, other, "conflicting")] == pytest.approx(np.mean(signs))
    for task, mean in means.items():
        assert found[share_column(task)] == pytest.approx(np.linalg.norm(mean) / total, rel=1e-4)
    assert list(found) == conflict.columns()


def test_a_gradient_of_nothing_has_no_direction_and_a_weight_that_is_not_known_pulls_nothing(numbers):
    split = TensorSplit(numbers.x, {**numbers.targets, "b": torch.full((20, 1), torch.nan)})
    conflict = of_lines(split, "ab", 20)
    found = conflict.after_epoch(1, {"a": 0.5, "b": math.nan})
    for name in (column("a", "b", "cosine"), column("a", "b", "norm_ratio"), affinity_column("b", "a")):
        assert math.isnan(found[name]), name
    assert (found[share_column("a")], found[share_column("b")]) == (1, 0)


@pytest.mark.parametrize("backbone", ["cnn1d", "lstm", "lstm_fcn"])
def test_measuring_leaves_weights_statistics_gradients_modes_and_random_numbers_to_the_last_bit(backbone):
    torch.manual_seed(0)
    made = {
        "cnn1d": lambda: CNN1D(3, 16, 4, 3, 1, 0, 0.5, "flatten"),
        "lstm": lambda: LSTM(3, 16, hidden_size=4, **RECURRENT),
        "lstm_fcn": lambda: LSTMFCN(3, 16, 2, 0.5, 0.5, 4, [4, 4, 4], [8, 5, 3], True, False, "mean"),
    }[backbone]()
    model = MultiTaskModel(made, {"cls": 3, "reg": 1}).train()
    split = TensorSplit(torch.randn(40, 3, 16), {"cls": torch.randint(3, (40,)), "reg": torch.randn(40, 1)})
    losses = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}
    criterion = Criterion(losses, {"cls": 0.5, "reg": 0.5})
    state = random_numbers()["cpu"]
    conflict = Conflict(model, criterion, split, 8, steps=10**4, epochs=EPOCHS, seed=0)
    criterion(model(split.x), split.targets)[0].backward()
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    state, modes = random_numbers()["cpu"], [module.training for module in model.modules()]
    first = conflict.after_epoch(1, {"cls": 0.5, "reg": 0.5})
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())
    assert all(torch.equal(p.grad, gradients[name]) for name, p in model.named_parameters())
    assert torch.equal(random_numbers()["cpu"], state)
    assert [module.training for module in model.modules()] == modes
    assert conflict.after_epoch(2, {"cls": 0.5, "reg": 0.5}) == first
    assert all(math.isfinite(value) for value in first.values()), first


def test_an_epoch_without_a_look_has_the_columns_and_no_numbers(numbers):
    found = of_lines(numbers, "ab", 20).after_epoch(len(EPOCHS) + 1, {"a": 1.0, "b": 1.0})
    assert list(found) == of_lines(numbers, "ab", 20).columns()
    assert all(math.isnan(value) for value in found.values())


def test_blocks_are_children_or_what_is_in_the_only_child_and_no_more_than_eight():
    assert list(blocks_of(CNN1D(3, 16, 4, 3, 1, 0, 0.1, "attention"))) == [
        "conv1",
        "norm1",
        "conv2",
        "norm2",
        "readout",
    ]
    recurrent = blocks_of(LSTM(3, 16, hidden_size=4, **RECURRENT))
    assert {name: len(parameters) for name, parameters in recurrent.items()} == {"rnn.l0": 8, "rnn.l1": 8}
    assert list(blocks_of(FC(4, [8, 4], 0.1, True))) == ["layers.0", "layers.3"]
    assert list(blocks_of(Line())) == ["line"]
    many = nn.ModuleDict({f"part{i}": nn.Linear(2, 2) for i in range(11)})
    blocks = blocks_of(many)
    assert list(blocks) == [f"part{i} to part{min(i + 1, 10)}" for i in range(0, 11, 2)]
    assert [name for names in blocks.values() for name in names] == [name for name, _ in many.named_parameters()]


@pytest.mark.parametrize("epochs", [range(1, 61), range(7, 8), range(20, 1001)], ids=str)
def test_a_probe_costs_no_more_than_its_share_of_the_steps(epochs):
    for steps, batch_size, n_tasks in product([1, 7, 88, 500, 20_000], [1, 16, 64], [2, 3, 5]):
        planned = plan(steps, epochs, batch_size, n_tasks)
        cost = planned.batches * (1 + 3 * n_tasks) / 3  # in steps
        looks, allowed = len(planned.epochs), SHARE * steps * len(epochs)
        assert cost * looks <= allowed * (1 + 1e-9), planned
        assert looks == len(epochs) or cost * (looks + 1) > allowed, planned
        assert (looks > 0) == (len(epochs) >= planned.time_of_one), planned
        assert planned.batches * batch_size >= 32, planned
        assert set(planned.epochs) <= set(epochs), planned
        assert list(planned.epochs) == sorted(set(planned.epochs)), planned


def test_looks_come_first_after_the_first_epochs_and_then_evenly_to_the_last():
    def found(steps: int, last: int) -> tuple[list[int], int]:
        planned = plan(steps, range(1, last + 1), 16, 2)  # a probe of two batches, 4.67 steps
        return list(planned.epochs), planned.early

    assert found(10, 23) == ([], 0)
    assert found(10, 24) == ([1], 1)
    assert found(10, 60) == ([1, 2], 2)
    assert found(10, 100) == ([1, 2, 3, 100], 3)
    assert found(60, 60) == ([*range(1, 9), 15, 22, 30, 37, 45, 52, 60], 8)
    assert found(300, 60) == (list(range(1, 61)), 10)
    planned = plan(60, range(21, 81), 16, 2)
    assert list(planned.epochs) == [epoch + 20 for epoch in found(60, 60)[0]]


def test_a_training_that_ends_before_the_first_look_says_so(numbers, caplog):
    conflict = of_lines(numbers, "ab", 20, range(39, 61))
    rows = [{"epoch": e, **conflict.after_epoch(e, {"a": 1.0, "b": 1.0})} for e in range(1, 14)]
    summary = about_conflict(Fit(BestEpoch(False, None, False), history=rows), conflict)
    assert summary["probe"]["looks"] == 0
    assert [record.getMessage() for record in caplog.records] == [
        "conflict: the training ended after 13 epochs, before the first look at epoch 39"
    ]


def test_the_probe_prefers_instances_of_all_labels_fills_up_with_each_task_and_draws_by_itself():
    first, second = torch.zeros(100, dtype=torch.bool), torch.zeros(100, dtype=torch.bool)
    first[:60], second[50:] = True, True
    state = torch.get_rng_state()
    rows = probe_rows([first, second], 30, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(rows, probe_rows([first, second], 30, seed=5))
    assert not torch.equal(rows.sort()[0], probe_rows([first, second], 30, seed=6).sort()[0])
    both = first & second
    assert len(rows.unique()) == len(rows) == 30
    assert (both[rows].sum(), (first & ~both)[rows].sum(), (second & ~both)[rows].sum()) == (10, 10, 10)
    assert both[probe_rows([first, second], 8, seed=5)].all()
    nobody = torch.zeros(100, dtype=torch.bool)
    assert len(probe_rows([nobody, second], 30, seed=5)) == 15


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.004, 0.005, 0.006], "reg helps cls; a step that should lower the loss of reg by 1 % changes that of cls"),
        ([-0.004, -0.005, -0.006], "reg hurts cls; a step that"),
        ([0.01, -0.01, 0.005], "reg for cls: not clear; a step"),
        ([0.0004, 0.0005, 0.0006], "reg for cls: not clear; a step"),  # sure, and little beside the 0.01 of its own
        ([0.004, 0.005, math.nan], "reg for cls: cannot tell from 2 looks"),
        ([0.004], "reg for cls: cannot tell from 1 look"),
    ],
)  # fmt: skip
def test_a_reading_says_helps_or_hurts_only_where_that_is_sure_and_not_little(gains, verdict):
    said = reading("reg", "cls", [{"conflict/reg-to-cls/affinity": gain} for gain in gains])
    assert f"{said} ".startswith(f"{verdict} ")


def test_the_summary_leaves_epochs_out_that_were_not_looked_at_and_counts_early_looks_for_the_affinity(numbers):
    conflict = of_lines(numbers, "ab", 20)
    history = []
    for epoch in range(1, 25):
        look = epoch // 2 if epoch % 2 == 0 else None
        values = dict.fromkeys(conflict.columns(), math.nan if look is None else float(look))
        history.append({"epoch": epoch, **values})
    summary = summary_of(conflict, history)
    assert summary["probe"]["looks"] == 12
    assert summary["pairs"]["a-b"] == {"cosine": 6.5, "norm_ratio": 6.5, "conflicting": 6.5, "blocks": {}}
    assert summary["share"] == {"a": 6.5, "b": 6.5}
    assert summary["affinity"] == {"looks": 10, "of": {"a": {"a": 5.5, "b": 5.5}, "b": {"a": 5.5, "b": 5.5}}}
    assert len(summary["reading"]) == 2
    assert summary_of(conflict, history[:1])["reading"] == []
