"""What all weighting methods are: of the tasks' losses, or of their gradients on the shared parameters.

A task takes no part in a step in which it has nothing to say: its loss is 0, as without labels in the batch, or, where
gradients are weighed, its gradient is. The others are then weighed as if there were no more of them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


class Weighting:
    """A method, with what it remembers from step to step.

    Args:
        n_tasks: K.
        device: Where the losses are.
    """

    wants_like_losses: ClassVar[bool] = False  # whether losses of unlike size take it long to balance
    looks_again: ClassVar[bool] = False  # whether it wants the losses of the same batch after the step

    def __init__(self, n_tasks: int, device: torch.device) -> None:
        self.n_tasks = n_tasks
        self.device = device

    def after_step(self, losses: Tensor) -> None:
        """Learn of the losses (K,) of the same batch after the step; called where ``looks_again``."""

    def after_epoch(self, losses: Tensor) -> None:
        """Learn of the mean losses (K,) of an epoch; NaN of a task without labels in it."""

    def learnt(self) -> Tensor | None:
        """Give what the method has learnt of each task, (K,), for the record; None where it learns nothing."""
        return None

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values that :meth:`load_state` goes on from exactly."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""


class LossWeighting(Weighting, ABC):
    """Weighs the losses: the step follows the gradient of ``sum of weight * loss``, weights held fixed."""

    @abstractmethod
    def weights(self, losses: Tensor) -> Tensor:
        """Give the weights (K,) of losses (K,), which have no history; learns from them."""


@dataclass(frozen=True)
class Update:
    """What a step does.

    Attributes:
        shared: (P,) in place of the gradient of the shared parameters.
        weights: (K,) of the tasks' gradients in it.
        heads: (K,) factors on the gradient of each task's own parameters; None: all 1.
    """

    shared: Tensor
    weights: Tensor
    heads: Tensor | None = None


class GradientWeighting(Weighting, ABC):
    """Weighs the gradients of the tasks on the shared parameters; a task's own parameters follow its own gradient."""

    @abstractmethod
    def update(self, gradients: Tensor, losses: Tensor) -> Update:
        """Make the update of a step.

        Args:
            gradients: (K, P), of each task on the shared parameters.
            losses: (K,), without history.
        """


class GramWeighting(GradientWeighting):
    """A method whose weights follow from the Gram matrix alone; these K * K numbers go to the CPU in every step."""

    def update(self, gradients: Tensor, losses: Tensor) -> Update:
        """Weigh by the Gram matrix."""
        weights = self.weights(gram_matrix(gradients).cpu()).to(gradients)
        return Update(weights @ gradients, weights)

    def weights(self, gram: Tensor) -> Tensor:
        """Give the weights (K,) of the gradients with a Gram matrix (K, K) of float64; NaN of one with NaN in it.

        A gradient of 0 has weight 0, a single one that is not has weight 1.
        """
        if not gram.isfinite().all():
            return torch.full_like(gram[0], torch.nan)
        there = gram.diagonal() > 0
        weights = torch.zeros_like(gram[0])
        if there.sum() > 1:
            weights[there] = self.weights_of(gram[there][:, there])
        else:
            weights[there] = 1.0
        return weights

    @abstractmethod
    def weights_of(self, gram: Tensor) -> Tensor:
        """Give the weights of two gradients or more, none of them 0."""


def gram_matrix(gradients: Tensor) -> Tensor:
    """Give the products (K, K) of gradients (K, P) with each other, in float64."""
    exact = gradients.double()
    return exact @ exact.T
