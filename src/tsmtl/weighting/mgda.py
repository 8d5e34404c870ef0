"""The shortest of all weighted means of the gradients."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GramWeighting
from tsmtl.weighting.simplex import least_on_simplex


class MGDA(GramWeighting):
    """Multiple-gradient descent (Sener and Koltun 2018, arXiv:1810.04650; Desideri 2012, 10.1016/j.crma.2012.03.014).

    The update is the point of least norm among the weighted means of the gradients: it harms no task, and is 0 where
    none can gain without another's loss. Of two gradients the first has weight
    ``clip((g_2 - g_1) . g_2 / |g_1 - g_2|^2, 0, 1)``. The smaller gradient weighs more: the task of a small loss, or
    one that is nearly trained, decides.
    """

    def weights_of(self, gram: Tensor) -> Tensor:
        """Give the weights of the shortest mean."""
        return least_on_simplex(gram, torch.zeros_like(gram[0]), 1.0)
