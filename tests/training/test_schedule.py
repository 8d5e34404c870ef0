import itertools
import math

import pytest
import torch

from tsmtl.training.schedule import Schedule


def rates(settings, betters: list[bool], steps_per_epoch: int, lr: float = 0.1) -> list[list[float]]:
    """Go through the epochs as the loop does; give the learning rate of every step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = Schedule(optimizer, settings, num_epochs=len(betters), steps_per_epoch=steps_per_epoch)
    seen = []
    for epoch, better in enumerate(betters, 1):
        schedule.before_epoch(epoch)
        steps = []
        for _ in range(steps_per_epoch):
            schedule.before_step()
            steps.append(optimizer.param_groups[0]["lr"])
        assert schedule.lr == steps[-1]
        schedule.after_epoch(better)
        seen.append(steps)
    return seen


def by_epoch(*arguments) -> list[float]:
    """Give the learning rate of each epoch, which is the same at its steps."""
    seen = rates(*arguments)
    assert all(len(set(steps)) == 1 for steps in seen)
    return [steps[0] for steps in seen]


def test_no_schedule_keeps_the_learning_rate(trainer):
    assert by_epoch(trainer(), [False] * 5, 3) == [0.1] * 5


@pytest.mark.parametrize("schedule", ["none", "cosine", "plateau"])
def test_the_warm_up_rises_by_step_and_ends_at_lr(trainer, schedule):
    seen = rates(trainer(schedule=schedule, warmup_epochs=2), [True] * 4, 3)
    # By hand: six steps, each a sixth of lr higher.
    assert seen[0] + seen[1] == pytest.approx([0.1 * i / 6 for i in range(1, 7)])
    assert seen[2] == [0.1] * 3


def test_cosine_by_hand(trainer):
    expected = [0.05 * (1 + math.cos(math.pi * i / 4)) for i in range(4)]  # 1, 0.854, 0.5 and 0.146 times lr
    assert by_epoch(trainer(schedule="cosine"), [False] * 4, 2) == pytest.approx(expected)
    assert expected == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], abs=1e-7)


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("epochs", [4, 11])
def test_cosine_starts_at_lr_behind_the_warm_up_and_falls_but_not_to_0(trainer, warmup, epochs):
    seen = rates(trainer(schedule="cosine", warmup_epochs=warmup), [False] * epochs, 2)[warmup:]
    first_of_each = [steps[0] for steps in seen]
    assert first_of_each[0] == 0.1
    assert all(later < earlier for earlier, later in itertools.pairwise(first_of_each))
    assert first_of_each[-1] > 0
    assert all(steps[0] == steps[1] for steps in seen)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_falls_after_exactly_patience_epochs_without_a_better_score(trainer, patience):
    settings = trainer(schedule="plateau", plateau_factor=0.5, plateau_patience=patience)
    got = by_epoch(settings, [True] + [False] * (2 * patience + 1), 2)
    assert got == pytest.approx([0.1] * (1 + patience) + [0.05] * patience + [0.025])


def test_a_better_score_starts_the_patience_of_plateau_again(trainer):
    settings = trainer(schedule="plateau", plateau_factor=0.1, plateau_patience=2)
    got = by_epoch(settings, [True, False, True, False, False, False, True], 1)
    assert got == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_every_parameter_group_gets_the_learning_rate(trainer):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    Schedule(optimizer, trainer(schedule="cosine"), num_epochs=2, steps_per_epoch=1).before_epoch(2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.05])
