"""The update near the mean gradient that gains most for the task that gains least."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GramWeighting
from tsmtl.weighting.simplex import least_on_simplex


class CAGrad(GramWeighting):
    """Conflict-averse gradient descent (Liu et al. 2021, arXiv:2110.14048).

    Among the updates ``d`` within ``c |g_0|`` of the mean gradient ``g_0``, the one of the greatest ``min_i g_i . d``.
    It is ``g_0 + c |g_0| g_w / |g_w|``, where ``w`` minimises ``g_w . g_0 + c |g_0| |g_w|`` over the weighted means
    ``g_w``: a closed form at two tasks. ``c = 0`` is the mean, towards ``c = 1`` it comes near MGDA. It converges to a
    minimum of the mean loss, and so inherits its scale.

    Args:
        n_tasks: K.
        device: Where the losses are.
        c: In [0, 1).
    """

    def __init__(self, n_tasks: int, device: torch.device, c: float) -> None:
        super().__init__(n_tasks, device)
        self.c = c

    def weights_of(self, gram: Tensor) -> Tensor:
        """Give ``1 / K + c |g_0| w_i / |g_w|``."""
        mean = torch.full_like(gram[0], 1 / len(gram))
        slope = gram @ mean
        radius = self.c * float((mean @ slope).clamp(min=0).sqrt())
        weights = least_on_simplex(gram, slope, radius)
        norm = float((weights @ gram @ weights).clamp(min=0).sqrt())
        smallest = 1e-12 * float(gram.diagonal().max().sqrt())  # below it g_w is 0, and has no direction
        return mean if norm <= smallest else mean + radius * weights / norm
