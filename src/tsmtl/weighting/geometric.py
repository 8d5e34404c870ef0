"""The geometric mean of the losses."""

import torch
from torch import Tensor

from tsmtl.weighting.method import LossWeighting


class Geometric(LossWeighting):
    """Geometric loss strategy: ``(product of L_i) ** (1 / K)`` (Chennupati et al. 2019, arXiv:1904.08492).

    The weight of ``L_i`` is the mean itself over ``K L_i``: relative gains count, so that a factor on one loss changes
    the update's length - by its K-th root - and not its direction. A loss that goes to 0 takes over. It assumes losses
    above 0.
    """

    def weights(self, losses: Tensor) -> Tensor:
        """Give the derivative of the mean by each loss; in logarithms, in which no product can underflow."""
        there = losses != 0
        counted = there.sum()
        mean = (torch.where(there, losses, 1.0).log().sum() / counted).exp()
        return torch.where(there, mean / (counted * losses), 0.0)
