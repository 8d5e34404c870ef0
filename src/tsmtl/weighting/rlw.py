"""Weights at random."""

import torch
from torch import Tensor

from tsmtl.weighting.method import LossWeighting


class RLW(LossWeighting):
    """Random loss weighting: ``softmax(z)``, ``z`` drawn from a normal distribution in every step (arXiv:2111.10603).

    The baseline that a method has to beat: its mean are equal weights (Lin et al. 2022).
    """

    def weights(self, losses: Tensor) -> Tensor:
        """Draw the weights."""
        there = losses != 0
        drawn = torch.randn(self.n_tasks).to(losses)  # by the CPU's generator, on every device
        return torch.where(there, torch.softmax(drawn.masked_fill(~there, -torch.inf), dim=0), 0.0)
