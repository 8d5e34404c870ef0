"""Weights that let all losses fall by the same share."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.learnt import Learnt
from tsmtl.weighting.method import LossWeighting


class FAMO(LossWeighting):
    """Fast adaptive multitask optimisation (Liu et al. 2023, arXiv:2306.03792).

    The step follows ``c * sum of z_i grad log L_i``, ``z = softmax(xi)``; ``c`` makes the weights ``c z_i / L_i`` of
    the losses' gradients add up to 1. After the step, on the same batch, ``xi`` descends along the gradient of
    ``sum of z_i (log L_i before - log L_i after)``: what has improved most counts less. It assumes losses above 0 that
    can fall by like shares; one with a floor of noise is pushed on for nothing.

    Args:
        n_tasks: K.
        device: Where the losses are.
        lr: Learning rate of ``xi``; the paper's is 0.025.
        decay: Pull of ``xi`` towards 0, which are equal weights; the paper's is 0.001.
    """

    looks_again = True

    def __init__(self, n_tasks: int, device: torch.device, lr: float, decay: float) -> None:
        super().__init__(n_tasks, device)
        self.logits = Learnt(torch.zeros(n_tasks, device=device), lr, decay)
        self._before = torch.zeros(n_tasks, device=device)  # within a step

    def weights(self, losses: Tensor) -> Tensor:
        """Give ``c z / L``."""
        self._before = losses
        there = losses != 0
        over = torch.where(there, self._shares(there) / losses, 0.0)
        return torch.where(there, over / over.sum(), 0.0)

    def after_step(self, losses: Tensor) -> None:
        """Move ``xi`` by what the step gained on each task."""
        there = (self._before != 0) & (losses != 0)
        shares = self._shares(there)
        gains = torch.where(there, self._before / losses, 1.0).log()
        self.logits.move(shares * (gains - (shares * gains).sum()), there)

    def _shares(self, there: Tensor) -> Tensor:
        shares = torch.softmax(self.logits.values.masked_fill(~there, -torch.inf), dim=0)
        return torch.where(there, shares, 0.0)

    def learnt(self) -> Tensor:
        """Give the logits."""
        return self.logits.values

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return self.logits.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.logits.load_state(state)
