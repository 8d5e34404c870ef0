"""All that changes while a model trains, as tensors and plain values: what another process goes on from exactly."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tsmtl.models.kernels import kernels_of
from tsmtl.training.balance import Balance
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.loop import Fit
from tsmtl.training.optimizers import load_state, state_of
from tsmtl.training.ranks import ALONE, Ranks
from tsmtl.training.schedule import Schedule
from tsmtl.training.seeding import random_numbers, set_random_numbers
from tsmtl.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Moving:
    """What a training moves, beside the account of how far it is.

    Attributes:
        model: The model.
        optimizer: Updates its weights.
        schedule: Sets the learning rate.
        generator: Draws the order of batches.
        average: The mean of the weights, or None.
        balance: Weighs the tasks, or None.
        ranks: The processes that share each batch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    generator: torch.Generator
    average: WeightAverage[Any] | None = None
    balance: Balance | None = None
    ranks: Ranks = ALONE

    def state(self, result: Fit) -> dict[str, Any]:
        """Give the state after a step, with that of the account; ranks collect it together."""
        random = {"order": self.generator.get_state(), **random_numbers(), "ranks": self.ranks.own_random()}
        return {
            "model": self.model.state_dict(),
            "optimizer": state_of(self.optimizer),
            "schedule": self.schedule.state(),
            "average": None if self.average is None else self.average.state(),
            "balance": None if self.balance is None else self.balance.state(),
            "fit": result.state(),
            "threads": torch.get_num_threads(),
            "kernels": kernels_of(self.model),
            "random": random,
        }

    def load_state(self, state: dict[str, Any], best: BestEpoch, device: torch.device) -> Fit:
        """Put everything back as :meth:`state` found it; give the account.

        Args:
            state: What :meth:`state` gave; the number of threads and the kernels are the caller's.
            best: Watches the score.
            device: Where the training is.
        """
        self.model.load_state_dict(state["model"])
        load_state(self.optimizer, state["optimizer"])
        self.schedule.load_state(state["schedule"])
        if self.average is not None:
            self.average.load_state(state["average"])
        if self.balance is not None:
            self.balance.load_state(state["balance"])
        self.generator.set_state(state["random"]["order"])
        set_random_numbers(state["random"])
        self.ranks.set_own_random(state["random"]["ranks"])
        return Fit.from_state(best, state["fit"], device)
