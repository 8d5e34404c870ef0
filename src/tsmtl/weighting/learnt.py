"""Numbers that a method learns, one per task."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.weighting.adam import Adam


class Learnt:
    """Numbers (K,) that Adam moves, with a learning rate of their own and without the network's weight decay.

    Adam's steps do not grow with the gradient: a loss a thousand times as large moves them no further.

    Args:
        values: Where they start.
        lr: Learning rate; the same in all epochs.
        decay: Pull towards 0, added to the gradient.
    """

    def __init__(self, values: Tensor, lr: float, decay: float = 0.0) -> None:
        self._parameter = values.clone().requires_grad_()
        self._adam = Adam([self._parameter], lr=lr, weight_decay=decay)

    @property
    def values(self) -> Tensor:
        """The numbers as they are."""
        return self._parameter.detach()

    def move(self, gradient: Tensor, there: Tensor) -> None:
        """Take a step against a gradient (K,); the numbers of tasks that are not there stay."""
        before = self.values.clone()
        self._parameter.grad = torch.where(there, gradient, 0.0)
        self._adam.step()
        self.put(torch.where(there, self.values, before))

    def put(self, values: Tensor) -> None:
        """Set the numbers."""
        self.values.copy_(values)

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"values": self.values, "adam": self._adam.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.put(state["values"])
        self._adam.load_state_dict(state["adam"])
