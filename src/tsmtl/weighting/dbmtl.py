"""Logarithms of the losses, and gradients of one length."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.method import GradientWeighting, Update


class DBMTL(GradientWeighting):
    """Dual-balancing multi-task learning (Lin et al. 2023, arXiv:2308.12029).

    Each task's gradient is that of ``log L_i``, averaged over its steps, ``m <- b_k m + (1 - b_k) grad log L_i`` with
    ``b_k = beta / sqrt(k)`` and ``m = 0`` at first; the update is ``max_j |m_j| * sum of m_i / |m_i|``. The heads
    follow the gradient of ``log L_i`` as it is. It assumes losses above 0. The averages are as large as the shared
    parameters, once per task.

    Args:
        n_tasks: K.
        device: Where the losses are.
        beta: How slowly the average forgets at first; 0 takes each step's gradient alone.
    """

    def __init__(self, n_tasks: int, device: torch.device, beta: float) -> None:
        super().__init__(n_tasks, device)
        self.beta = beta
        self.steps = torch.zeros(n_tasks, device=device)  # that a task took part in
        self.average: Tensor | None = None  # (K, P)

    def update(self, gradients: Tensor, losses: Tensor) -> Update:
        """Take the gradients into the averages, and add these up at the length of the longest."""
        there = (losses != 0) & (gradients != 0).any(dim=1)
        inverse = torch.where(there, 1 / losses, 0.0)
        steps = self.steps + there.to(self.steps)
        kept = torch.where(there, self.beta / steps.clamp(min=1).sqrt(), 1.0)[:, None]
        before = torch.zeros_like(gradients) if self.average is None else self.average
        self.average, self.steps = kept * before + (1 - kept) * inverse[:, None] * gradients, steps
        norms = torch.linalg.vector_norm(self.average, dim=1, dtype=torch.float64)
        norms = torch.where(there, norms, 0.0)
        balance = torch.where(there, norms.max() / norms, 0.0).to(gradients)
        return Update(balance @ self.average, balance * inverse, heads=torch.where(losses != 0, 1 / losses, 0.0))

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"steps": self.steps, "average": self.average}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.steps = state["steps"].to(self.device)
        self.average = None if state["average"] is None else state["average"].to(self.device)
