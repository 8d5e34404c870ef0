"""The epoch loop."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.training.augmentation import Augmentation
from tsmtl.training.balance import Balance
from tsmtl.training.batches import Split
from tsmtl.training.best_epoch import BestEpoch, weights_of
from tsmtl.training.captured_step import CapturedSteps
from tsmtl.training.labelled_batches import LabelledBatches
from tsmtl.training.objective import Objective
from tsmtl.training.ranks import ALONE, Ranks
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.step import Step
from tsmtl.training.step_environment import step_environment
from tsmtl.training.step_losses import StepLosses
from tsmtl.training.weight_average import WeightAverage

log = logging.getLogger(__name__)
Row = dict[str, float]


class NotFiniteError(RuntimeError):
    """The loss became infinite or not a number."""


@dataclass
class Fit:
    """How far a training is, and what it leaves.

    Attributes:
        best: Epoch and score of the best.
        history: One row per finished epoch.
        best_state: State dict of the best epoch, on the CPU.
        seconds: Wall time up to the last finished epoch.
        order: State of the generator at the start of the epoch under way; draws its batches again.
        losses: Losses of the finished steps of the epoch under way, one after another: the total, then each task.
        epoch_began: When the epoch under way began, by the clock of ``time.perf_counter``.
    """

    best: BestEpoch
    history: list[Row] = field(default_factory=list)
    best_state: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    order: Tensor | None = None
    losses: StepLosses = field(default_factory=StepLosses)
    epoch_began: float | None = None

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values that :meth:`from_state` goes on from."""
        spent = 0.0 if self.epoch_began is None else time.perf_counter() - self.epoch_began
        plain = {"best": self.best.state(), "history": self.history, "seconds": self.seconds, "spent": spent}
        losses = self.losses.whole()
        on_cpu = None if losses is None else losses.cpu()
        return {**plain, "best_state": self.best_state, "order": self.order, "losses": on_cpu}

    @classmethod
    def from_state(cls, best: BestEpoch, state: dict[str, Any], device: torch.device) -> "Fit":
        """Make what :meth:`state` described.

        Args:
            best: Watches the score.
            state: What :meth:`state` gave.
            device: Where the training is.
        """
        best.load_state(state["best"])
        losses = StepLosses(None if state["losses"] is None else state["losses"].to(device))
        same = {name: state[name] for name in ("history", "best_state", "seconds", "order")}
        return cls(best, losses=losses, epoch_began=time.perf_counter() - state["spent"], **same)


@step_environment()
def fit(
    model: nn.Module,
    criterion: Objective,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    train: Split,
    validate: Callable[[], Row],
    best: BestEpoch,
    monitor: str,
    num_epochs: int,
    sampler: Sampler,
    generator: torch.Generator,
    gradient_clip: float | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
    on_better: Callable[[Fit], None] = lambda fit: None,
    on_step: Callable[[], None] = lambda: None,
    before_epoch: Callable[[int], None] = lambda epoch: None,
    augmentation: Augmentation | None = None,
    result: Fit | None = None,
    average: WeightAverage[Any] | None = None,
    ranks: Ranks = ALONE,
    balance: Balance | None = None,
    captured: CapturedSteps | None = None,
) -> Fit:
    """Train for ``num_epochs``, or until ``best`` runs out of patience.

    Stopped after any step, by an exception of ``on_step``, it goes on exactly from ``result``, if model, optimizer,
    schedule, average, balance, generator and random numbers are put back as they were.

    Args:
        model: Trained in place; ends with the weights of the last epoch.
        criterion: The loss and its parts, such as those of the tasks.
        optimizer: Updates the weights.
        schedule: Sets the learning rate.
        train: The train split.
        validate: Measures the model, or its average, after an epoch: ``val/...`` by name, and what else there is;
            nothing where no val split is to be read.
        best: Watches the score.
        monitor: Key of the score in the epoch's row.
        num_epochs: Most epochs.
        sampler: Draws the batches of each epoch.
        generator: Its random numbers.
        gradient_clip: Largest norm of the gradient, or None.
        on_epoch: Called with every epoch's row.
        on_better: Called when an epoch is the best so far.
        on_step: Called after every step, and after every epoch.
        before_epoch: Called with the number of each epoch before it begins; it may let frozen weights learn.
        augmentation: Changes each training batch.
        result: Where to go on from, with ``best`` in it; updated in place.
        average: Takes in the weights after every step; its weights are then the best epoch's.
        ranks: The processes that share each batch.
        balance: Weighs the tasks; None: the criterion's fixed weights do.
        captured: Records steps as a CUDA graph; None: each is taken as it comes.

    Raises:
        NotFiniteError: With epoch and step; the best epoch so far was given to ``on_better``.
    """
    result = result or Fit(best)
    earlier = result.seconds  # of processes before this one
    if result.epoch_began is not None:
        earlier += time.perf_counter() - result.epoch_began
    began = time.perf_counter() - earlier
    tasks = list(criterion.losses)
    steps, labelled = sampler.steps, LabelledBatches(train, tasks)
    done = len(result.history)
    bar: tqdm[NoReturn] = tqdm(
        total=num_epochs * steps,
        initial=done * steps + len(result.losses) // (1 + len(tasks)),
        unit="step",
        disable=None if ranks.first else True,
        dynamic_ncols=True,
    )

    def after_step() -> None:
        bar.update()
        on_step()

    with bar, nullcontext() if bar.disable else logging_redirect_tqdm():
        for epoch in range(done + 1, num_epochs + 1):
            if best.exhausted:
                break
            result.epoch_began = result.epoch_began or time.perf_counter()
            before_epoch(epoch)
            schedule.before_epoch(epoch)
            # One for each epoch: by it recorded steps see that a backbone may have begun to learn.
            step = Step(model, criterion, optimizer, gradient_clip, augmentation, ranks, balance)
            losses, batches = train_epoch(
                step, schedule, train, sampler, generator, after_step, result, average, captured
            )
            _stop_if_not_finite(losses, epoch)
            row: Row = {"epoch": epoch, "lr": schedule.lr, "train/loss": losses[:, 0].mean().item()}
            means = labelled.mean(losses[:, 1:], batches).tolist()
            row |= {f"train/{task}/loss": mean for task, mean in zip(tasks, means, strict=True)}
            del batches  # as many rows as the split has
            row |= {} if balance is None else balance.after_epoch()
            row |= validate()
            row["seconds"] = time.perf_counter() - result.epoch_began
            result.history.append(row)
            result.order, result.losses, result.epoch_began = None, StepLosses(), None
            better = best.update(epoch, row[monitor])
            result.seconds = time.perf_counter() - began
            if better:
                result.best_state = weights_of(model if average is None else average.model)
                on_better(result)
            on_epoch(row)
            schedule.after_epoch(better)
            on_step()
            bar.set_postfix({"epoch": f"{epoch}/{num_epochs}", **_shown(row, tasks)}, refresh=False)
            if epoch % max(1, math.ceil(num_epochs / 10)) == 0:
                log.info(
                    "epoch %d/%d  %s", epoch, num_epochs, "  ".join(f"{k} {v}" for k, v in _shown(row, tasks).items())
                )
            if best.exhausted:
                log.info("stopped early: no better %s since epoch %d", monitor, best.epoch)
    if not best.epoch:
        raise NotFiniteError(
            f"{monitor} was not a number in any epoch, so that none is the best; a smaller lr may help"
        )
    if math.isnan(best.score):  # its weights are kept all the same
        when = "in any epoch" if all(math.isnan(row[monitor]) for row in result.history) else f"at epoch {best.epoch}"
        log.warning(
            "%s was not a number %s, and nothing tells how good the weights are that are kept; a smaller lr may help",
            monitor,
            when,
        )
    return result


def train_epoch(
    step: Step,
    schedule: Schedule,
    train: Split,
    sampler: Sampler,
    generator: torch.Generator,
    after_step: Callable[[], object],
    result: Fit,
    average: WeightAverage[Any] | None = None,
    captured: CapturedSteps | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Train one epoch, or what is left of it.

    Gives the losses (steps, 1 + tasks) of the whole epoch, the total first, and the rows of each step.

    Waits for the device only at the end; with unequal lengths once a batch, to know its longest series.

    Args:
        step: What is done with each batch.
        schedule: Sets the learning rate.
        train: The train split.
        sampler: Draws the batches of each epoch.
        generator: Its random numbers.
        after_step: Called after every step.
        result: Knows which steps of the epoch are done, and learns of each.
        average: Takes in the weights after every step.
        captured: Records steps as a CUDA graph; None: each is taken as it comes.
    """
    step.model.train()
    if result.order is None:
        result.order = generator.get_state()
    else:
        generator.set_state(result.order)
    losses, width = result.losses, 1 + len(step.criterion.losses)
    batches = sampler.draw(generator)
    left = batches[len(losses) // width :]
    with train.ahead(left):
        for rows in left:
            schedule.before_step()
            losses.add(step(*train.batch(rows)) if captured is None else captured.take(step, train, rows))
            if average is not None:
                average.update(step.model)
            after_step()
    found = losses.whole()
    assert found is not None, "an epoch has a step"
    return found.view(-1, width).cpu(), batches


def _stop_if_not_finite(losses: Tensor, epoch: int) -> None:
    bad = (~losses[:, 0].isfinite()).nonzero()  # a task of weight 0 may be anything
    if len(bad):
        step = int(bad[0])
        raise NotFiniteError(
            f"the loss is {losses[step, 0].item()} at epoch {epoch}, step {step + 1} of {len(losses)}; "
            "a smaller lr or trainer.gradient_clip may help"
        )


def _shown(row: Row, tasks: list[str]) -> dict[str, str]:
    columns = {task: [f"{split}/{task}/loss" for split in ("train", "val")] for task in tasks}
    return {task: "/".join(f"{row[key]:.4f}" for key in keys if key in row) for task, keys in columns.items()}
