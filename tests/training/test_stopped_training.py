"""A training that is stopped after any step goes on as if nothing had been."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.conftest import BATCH, LR, criterion
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.augmentation import Augmentation, channels_of
from tsmtl.training.batches import TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.loop import Fit, Row, fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.sampling import BalancedSampler, BothTasksSampler, Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.weight_average import WeightAverage


class StoppedError(Exception):
    """Ends a training in the middle."""


def balanced(split: TensorSplit) -> Sampler:
    return BalancedSampler(split.targets["cls"], BATCH, split.device)


def both_tasks(split: TensorSplit) -> Sampler:
    return BothTasksSampler((torch.arange(22) < 3, torch.arange(22) > 1), BATCH, split.device)


CHANGES = [("channel_mask", 0.3), ("jitter", 0.1), ("mixup", 0.4), ("scaling", 0.1)]


@pytest.mark.parametrize("steps", [1, 4, 5, 6, 11])
@pytest.mark.parametrize(
    ("make_sampler", "changes"),
    [(lambda split: Sampler(22, BATCH, split.device), []), (balanced, CHANGES), (both_tasks, CHANGES)],
    ids=["random", "balanced, augmented", "both tasks, augmented"],
)
def test_stopped_after_any_step_a_training_goes_on_to_the_same_last_bit(
    trainer, make_model, split, steps, make_sampler, changes
):
    """Four steps and the end of the epoch: every fifth call comes between epochs."""
    sampler = make_sampler(split)
    augmentation = Augmentation(changes, channels_of(split)) if changes else None
    settings = trainer(schedule="plateau", plateau_patience=1, warmup_epochs=1)

    def parts() -> tuple[MultiTaskModel, torch.optim.Optimizer, Schedule, torch.Generator, WeightAverage]:
        model = make_model(dropout=0.4)
        optimizer = build_optimizer(model.heads.parameters(), LR, settings, model.backbone.parameters())
        schedule = Schedule(optimizer, settings, 3, steps_per_epoch=4)
        return model, optimizer, schedule, torch.Generator().manual_seed(0), WeightAverage(model, 0.9)

    def run(stop_after: int | None) -> tuple[list[Row], dict[str, Tensor]]:
        model, optimizer, schedule, generator, average = parts()
        calls = iter(range(1, 100))
        kept: dict[str, Any] = {}
        result = Fit(BestEpoch(higher_is_better=False, patience=None))

        def on_step() -> None:
            if next(calls) == stop_after:
                states = [model.state_dict(), optimizer.state_dict(), schedule.state(), average.state(), result.state()]
                kept.update(states=copy.deepcopy(states), random=(torch.get_rng_state(), generator.get_state()))
                raise StoppedError

        def go() -> Fit:
            def validate() -> Row:
                total, losses = criterion()(outputs_of(average.model, split), split.targets)
                return {"val/loss": total.item()} | {f"val/{name}/loss": loss.item() for name, loss in losses.items()}

            best, loss = result.best, criterion()
            shared = (split, validate, best, "val/loss", 3, sampler, generator)
            more = {"augmentation": augmentation, "result": result, "average": average}
            return fit(model, loss, optimizer, schedule, *shared, on_step=on_step, **more)

        if stop_after is not None:
            with pytest.raises(StoppedError):
                go()
            model, optimizer, schedule, generator, average = parts()
            weights, of_optimizer, of_schedule, of_average, of_fit = kept["states"]
            model.load_state_dict(weights)
            optimizer.load_state_dict(of_optimizer)
            schedule.load_state(of_schedule)
            average.load_state(of_average)
            result = Fit.from_state(BestEpoch(False, None), of_fit, torch.device("cpu"))
            torch.set_rng_state(kept["random"][0])
            generator.set_state(kept["random"][1])
            calls = iter(range(1000, 2000))
        history = go().history
        weights = model.state_dict() | {f"average.{key}": tensor for key, tensor in average.model.state_dict().items()}
        return [{key: value for key, value in row.items() if key != "seconds"} for row in history], weights

    whole, cut = run(None), run(steps)
    assert whole[0] == cut[0]
    assert all(torch.equal(whole[1][key], cut[1][key]) for key in whole[1])
