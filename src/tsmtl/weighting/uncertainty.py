"""Weights from the noise of each task, which is learnt."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.learnt import Learnt
from tsmtl.weighting.method import LossWeighting


class Uncertainty(LossWeighting):
    """``sum of a_i exp(-s_i) L_i + s_i / 2``, the log-variances ``s`` learnt (Kendall et al. 2018, arXiv:1705.07115).

    The likelihood of a number with Gaussian noise gives a = 1/2, that of a class with scaled logits a = 1. With
    ``s = 0`` at the start it assumes losses of like size: ``s`` has to travel log 1000 for a loss a thousand times as
    large, at about ``lr`` a step.

    Args:
        n_tasks: K.
        device: Where the losses are.
        factors: The ``a`` of each task.
        lr: Learning rate of ``s``.
    """

    wants_like_losses = True

    def __init__(self, n_tasks: int, device: torch.device, factors: list[float], lr: float) -> None:
        super().__init__(n_tasks, device)
        self.factors = torch.tensor(factors, device=device)
        self.log_variances = Learnt(torch.zeros(n_tasks, device=device), lr)

    def weights(self, losses: Tensor) -> Tensor:
        """Give ``a exp(-s)``, and let ``s`` follow the gradient of the same sum."""
        there = losses != 0
        weights = self.factors * torch.exp(-self.log_variances.values)
        self.log_variances.move(0.5 - weights * losses, there)
        return torch.where(there, weights, 0.0)

    def learnt(self) -> Tensor:
        """Give the log-variances."""
        return self.log_variances.values

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return self.log_variances.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.log_variances.load_state(state)
