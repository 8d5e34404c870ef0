"""The epoch loop."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion
from tsmtl.training.batches import TensorSplit, shuffled_rows, steps_per_epoch
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.schedule import Schedule

log = logging.getLogger(__name__)
Row = dict[str, float]


class NotFiniteError(RuntimeError):
    """The loss became infinite or not a number."""


@dataclass
class Fit:
    """What a training leaves.

    Attributes:
        history: One row per epoch.
        best: Epoch and score of the best.
        best_state: State dict of the best epoch, on the CPU.
        seconds: Wall time.
    """

    best: BestEpoch
    history: list[Row] = field(default_factory=list)
    best_state: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0


def fit(
    model: MultiTaskModel,
    criterion: Criterion,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    train: TensorSplit,
    validate: Callable[[], Row],
    best: BestEpoch,
    monitor: str,
    num_epochs: int,
    batch_size: int,
    generator: torch.Generator,
    gradient_clip: float | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
    on_better: Callable[[Fit], None] = lambda fit: None,
) -> Fit:
    """Train for ``num_epochs``, or until ``best`` runs out of patience.

    Args:
        model: Trained in place; ends with the weights of the last epoch.
        criterion: Loss of all tasks.
        optimizer: Updates the weights.
        schedule: Sets the learning rate.
        train: The train split.
        validate: Measures the model: ``val/...`` by name, ``monitor`` among them.
        best: Watches the score.
        monitor: Key of the score in the epoch's row.
        num_epochs: Most epochs.
        batch_size: Instances per step.
        generator: Draws the order of batches.
        gradient_clip: Largest norm of the gradient, or None.
        on_epoch: Called with every epoch's row.
        on_better: Called when an epoch is the best so far.

    Raises:
        NotFiniteError: With epoch and step; the best epoch so far was given to ``on_better``.
    """
    result = Fit(best)
    began = time.perf_counter()
    tasks = list(criterion.losses)
    bar: tqdm[NoReturn] = tqdm(
        total=num_epochs * steps_per_epoch(len(train), batch_size), unit="step", disable=None, dynamic_ncols=True
    )
    with bar, logging_redirect_tqdm():
        for epoch in range(1, num_epochs + 1):
            epoch_began = time.perf_counter()
            schedule.before_epoch(epoch)
            losses = train_epoch(
                model, criterion, optimizer, schedule, train, batch_size, generator, gradient_clip, bar
            )
            _stop_if_not_finite(losses, epoch)
            means = losses.mean(dim=0).tolist()  # of the batches: total, then each task
            row: Row = {"epoch": epoch, "lr": schedule.lr, "train/loss": means[0]}
            row |= {f"train/{task}/loss": mean for task, mean in zip(tasks, means[1:], strict=True)}
            row |= validate()
            row["seconds"] = time.perf_counter() - epoch_began
            result.history.append(row)
            better = best.update(epoch, row[monitor])
            result.seconds = time.perf_counter() - began
            if better:
                result.best_state = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
                on_better(result)
            on_epoch(row)
            schedule.after_epoch(better)
            bar.set_postfix({"epoch": f"{epoch}/{num_epochs}", **_shown(row, tasks)}, refresh=False)
            if epoch % max(1, math.ceil(num_epochs / 10)) == 0:
                log.info(
                    "epoch %d/%d  %s", epoch, num_epochs, "  ".join(f"{k} {v}" for k, v in _shown(row, tasks).items())
                )
            if best.exhausted:
                log.info("stopped early: no better %s since epoch %d", monitor, best.epoch)
                break
    if not best.epoch:
        raise NotFiniteError(
            f"{monitor} was not a number in any epoch, so that none is the best; a smaller lr may help"
        )
    return result


def train_epoch(
    model: MultiTaskModel,
    criterion: Criterion,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    train: TensorSplit,
    batch_size: int,
    generator: torch.Generator,
    gradient_clip: float | None,
    bar: "tqdm[NoReturn]",
) -> Tensor:
    """Train one epoch; give the losses (steps, 1 + tasks), the total first.

    Waits for the device only at the end; with unequal lengths once a batch, to know its longest series.
    """
    model.train()
    losses: list[Tensor] = []
    for rows in shuffled_rows(len(train), batch_size, generator, train.x.device):
        x, lengths, targets = train.batch(rows)
        schedule.before_step()
        optimizer.zero_grad(set_to_none=True)
        total, parts = criterion(model(x, lengths), targets)
        total.backward()
        if gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
        optimizer.step()
        losses += [total.detach(), *(part.detach() for part in parts.values())]
        bar.update()
    return torch.stack(losses).view(-1, 1 + len(criterion.losses)).cpu()


def _stop_if_not_finite(losses: Tensor, epoch: int) -> None:
    bad = (~losses[:, 0].isfinite()).nonzero()  # a task of weight 0 may be anything
    if len(bad):
        step = int(bad[0])
        raise NotFiniteError(
            f"the loss is {losses[step, 0].item()} at epoch {epoch}, step {step + 1} of {len(losses)}; "
            "a smaller lr or trainer.gradient_clip may help"
        )


def _shown(row: Row, tasks: list[str]) -> dict[str, str]:
    return {task: f"{row[f'train/{task}/loss']:.4f}/{row[f'val/{task}/loss']:.4f}" for task in tasks}
