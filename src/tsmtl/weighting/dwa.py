"""Weights from how fast each loss falls."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.method import LossWeighting


class DWA(LossWeighting):
    """Dynamic weight average: ``K softmax(r / temperature)``, ``r_i = L_i(t-1) / L_i(t-2)`` (arXiv:1803.10704).

    ``L(t)`` is the mean loss of epoch ``t``; a task whose loss falls more slowly than the others' weighs more. All
    weights are 1 in the first two epochs (Liu, Johns and Davison 2019). It knows the rates of the losses, not their
    sizes.

    Args:
        n_tasks: K.
        device: Where the losses are.
        temperature: The greater, the more equal the weights; the paper's is 2.
    """

    def __init__(self, n_tasks: int, device: torch.device, temperature: float) -> None:
        super().__init__(n_tasks, device)
        self.temperature = temperature
        self.epochs: list[Tensor] = []  # mean losses of the last two

    def weights(self, losses: Tensor) -> Tensor:
        """Give the weights of the epoch."""
        there = losses != 0
        if len(self.epochs) < 2:
            return there.to(losses)
        before, last = self.epochs
        rates = torch.where(before.isnan(), 1.0, last / before)
        rates = (rates / self.temperature).masked_fill(~there, -torch.inf)
        return torch.where(there, there.sum() * torch.softmax(rates, dim=0), 0.0)

    def after_epoch(self, losses: Tensor) -> None:
        """Remember the epoch; a task without labels in it, or in all so far, is taken to have stayed as it was."""
        if self.epochs:
            losses = torch.where(losses.isnan(), self.epochs[-1], losses)
        self.epochs = [*self.epochs, losses][-2:]

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"epochs": self.epochs}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.epochs = [losses.to(self.device) for losses in state["epochs"]]
