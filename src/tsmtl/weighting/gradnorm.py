"""Weights that bring the tasks to like rates of training by the norms of their gradients."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.learnt import Learnt
from tsmtl.weighting.method import GradientWeighting, Update

LEAST = 1e-3  # of a weight: the paper's update may make one negative, and its task would be unlearnt


class GradNorm(GradientWeighting):
    """Gradient normalisation (Chen et al. 2018, arXiv:1711.02257).

    Weights ``w`` of the losses, learnt by the gradient of ``sum of | w_i n_i - mean(w n) r_i ** asymmetry |``, the mean
    and ``r`` held fixed: ``n_i`` is the norm of the task's gradient, ``r_i`` its loss over its first loss, relative to
    the mean of these. After each move they are scaled to add up to K. The paper takes the norms on the last shared
    layer, to save time; here they are those on all shared parameters. The weights act on the heads too. It assumes
    first losses that say how far a task is from trained.

    Args:
        n_tasks: K.
        device: Where the losses are.
        lr: Learning rate of the weights; the paper's is 0.025.
        asymmetry: How strongly slow tasks are pulled on; the paper's alpha, 1.5 there.
    """

    def __init__(self, n_tasks: int, device: torch.device, lr: float, asymmetry: float) -> None:
        super().__init__(n_tasks, device)
        self.asymmetry = asymmetry
        self.task_weights = Learnt(torch.ones(n_tasks, device=device), lr)
        self.first_losses = torch.zeros(n_tasks, device=device)  # 0 until a task has had one

    def update(self, gradients: Tensor, losses: Tensor) -> Update:
        """Weigh by the weights so far, then let them learn."""
        there = losses != 0
        weights = torch.where(there, self.task_weights.values, 0.0)
        self._learn(torch.linalg.vector_norm(gradients, dim=1, dtype=torch.float64).to(losses), losses, there)
        return Update(weights @ gradients, weights, heads=weights)

    def _learn(self, norms: Tensor, losses: Tensor, there: Tensor) -> None:
        self.first_losses = torch.where(self.first_losses == 0, losses, self.first_losses)
        counted = there.sum()
        rates = torch.where(there, losses / self.first_losses, 0.0)
        rates = rates / (rates.sum() / counted)
        weighed = torch.where(there, self.task_weights.values * norms, 0.0)
        wanted = weighed.sum() / counted * rates**self.asymmetry
        self.task_weights.move(torch.sign(weighed - wanted) * norms, there & (norms > 0))
        moved = self.task_weights.values.clamp(min=LEAST)
        self.task_weights.put(self.n_tasks * moved / moved.sum())

    def learnt(self) -> Tensor:
        """Give the weights after the last move."""
        return self.task_weights.values

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"weights": self.task_weights.state(), "first_losses": self.first_losses}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.task_weights.load_state(state["weights"])
        self.first_losses = state["first_losses"].to(self.device)
