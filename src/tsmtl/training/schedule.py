"""The learning rate over the epochs."""

import math
from typing import Any

import torch

from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.training.optimizers import lr_of, set_lr

_STATE = ("step_count", "factor", "epochs_without_better")


class Schedule:
    """Sets the learning rate: a linear rise by step during the warm-up, then none, cosine or plateau by epoch.

    Cosine (Loshchilov and Hutter 2017, arXiv:1608.03983) falls from ``lr`` in the first epoch behind the warm-up
    towards 0 behind the last. Plateau multiplies by ``plateau_factor`` after ``plateau_patience`` epochs without a
    better score.

    Args:
        optimizer: Whose learning rate is set, in each group times its ``factor``; the first group's is 1.
        settings: The section ``trainer``.
        num_epochs: Epochs of the whole run.
        steps_per_epoch: Batches of an epoch.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, settings: TrainerSettings, num_epochs: int, steps_per_epoch: int
    ) -> None:
        self.optimizer = optimizer
        self.settings = settings
        self.num_epochs = num_epochs
        self.base = lr_of(optimizer.param_groups[0])
        self.warmup_steps = settings.warmup_epochs * steps_per_epoch
        self.step_count = 0
        self.factor = 1.0
        self.epochs_without_better = 0

    @property
    def lr(self) -> float:
        """The learning rate in force, of the heads."""
        return lr_of(self.optimizer.param_groups[0])

    def before_step(self) -> None:
        """Raise the learning rate during the warm-up; free of cost behind it."""
        if self.step_count < self.warmup_steps:
            self.step_count += 1
            self._set(self.base * self.step_count / self.warmup_steps)

    def before_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 1."""
        warmup = self.settings.warmup_epochs
        if epoch <= warmup:
            return
        if self.settings.schedule == "cosine":
            self.factor = 0.5 * (1 + math.cos(math.pi * (epoch - 1 - warmup) / (self.num_epochs - warmup)))
        self._set(self.base * self.factor)

    def after_epoch(self, better: bool) -> None:
        """Learn whether the epoch's score was the best so far."""
        if self.settings.schedule != "plateau":
            return
        self.epochs_without_better = 0 if better else self.epochs_without_better + 1
        if self.epochs_without_better >= self.settings.plateau_patience:
            self.factor *= self.settings.plateau_factor
            self.epochs_without_better = 0

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        for name in _STATE:
            setattr(self, name, state[name])

    def _set(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            set_lr(group, lr * group.get("factor", 1.0))  # of all parameters in one group
