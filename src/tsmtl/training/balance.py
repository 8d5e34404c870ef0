"""A weighting method at work in the epoch loop: what it is told, and what becomes of its weights."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.objective import Losses
from tsmtl.training.ranks import Ranks
from tsmtl.weighting.method import GradientWeighting, LossWeighting


class Balance:
    """Makes the gradients of a step as a method weighs the tasks.

    Weights of gradients act on the backbone, which the tasks share; each head follows its own task. Where the backbone
    is frozen nothing is shared, and with weights of gradients the heads learn as they would alone.

    Args:
        method: Weighs the tasks.
        model: The model.
        tasks: Names of the tasks, in the method's order.
        ranks: The processes that share each batch.

    Attributes:
        means: Mean weight of each task in the last epoch, over the steps that it took part in.
    """

    def __init__(
        self, method: LossWeighting | GradientWeighting, model: MultiTaskModel, tasks: Sequence[str], ranks: Ranks
    ) -> None:
        self.method, self.model, self.tasks, self.ranks = method, model, list(tasks), ranks
        self._weights, self._losses, self._steps = (torch.zeros(len(tasks), device=method.device) for _ in range(3))
        self._again: Callable[[], Tensor] | None = None
        self.means: dict[str, float] = {}

    def backward(self, look: Callable[[], Losses]) -> Losses:
        """Set the gradients of the model for a batch.

        Args:
            look: Gives the losses of the batch; asked again after the step where the method wants that.
        """
        if self.method.looks_again:
            self._again = self._looking_again(look)
        total, parts = look()
        losses = torch.stack([parts[task] for task in self.tasks])
        known = losses.detach()
        if isinstance(self.method, LossWeighting):
            weights = self.method.weights(known)
            (weights * losses).sum().backward()
            self.ranks.sum_gradients(self.model)
        else:
            weights = self._weigh_gradients(self.method, losses)
        there = known != 0
        self._weights += weights
        self._losses += known
        self._steps += there
        return total, parts

    def after_step(self) -> None:
        """Let the method see what the step did, where it looks again."""
        if self._again is not None:
            self.method.after_step(self._again())
            self._again = None

    def after_epoch(self) -> dict[str, float]:
        """Give the mean weights of the epoch, ``weight/<task>``."""
        self.method.after_epoch(self._losses / self._steps)
        self.means = dict(zip(self.tasks, (self._weights / self._steps).tolist(), strict=True))
        for sums in (self._weights, self._losses, self._steps):
            sums.zero_()
        return {f"weight/{task}": mean for task, mean in self.means.items()}

    def _weigh_gradients(self, method: GradientWeighting, losses: Tensor) -> Tensor:
        shared = [parameter for parameter in self.model.backbone.parameters() if parameter.requires_grad]
        gradients = self._gradients(losses, shared)
        self.ranks.sum_gradients(self.model.heads)
        if not shared:
            return (losses.detach() != 0).to(losses)
        whole = self.ranks.summed(torch.stack(gradients))  # (K, P)
        update = method.update(whole, losses.detach())
        for parameter, part in zip(shared, update.shared.split([p.numel() for p in shared]), strict=True):
            parameter.grad = part.view_as(parameter)
        if update.heads is not None:
            for task, factor in zip(self.tasks, update.heads, strict=True):
                for parameter in self.model.heads[task].parameters():
                    assert parameter.grad is not None
                    parameter.grad *= factor
        return update.weights

    def _gradients(self, losses: Tensor, shared: list[nn.Parameter]) -> list[Tensor]:
        """Give each task's gradient (P,) on the shared parameters; its head's becomes the head's own."""
        found = []
        for number, task in enumerate(self.tasks):
            own = list(self.model.heads[task].parameters())
            last = number + 1 == len(self.tasks)
            gradients = torch.autograd.grad(
                losses[number], [*shared, *own], retain_graph=not last, materialize_grads=True
            )
            for parameter, gradient in zip(own, gradients[len(shared) :], strict=True):
                parameter.grad = gradient
            if shared:
                found.append(torch.cat([gradient.reshape(-1) for gradient in gradients[: len(shared)]]))
        return found

    def _looking_again(self, look: Callable[[], Losses]) -> Callable[[], Tensor]:
        """Prepare a second look at the batch: with the same augmentation and dropout, and without a trace."""
        before = self.ranks.random_numbers()

        def again() -> Tensor:
            now = self.ranks.random_numbers()
            buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
            self.ranks.set_random_numbers(before)
            with torch.no_grad():
                _, parts = look()
                for buffer, value in buffers:  # a batch norm counts the batch once
                    buffer.copy_(value)
            self.ranks.set_random_numbers(now)
            return torch.stack([parts[task] for task in self.tasks])

        return again

    def record(self) -> dict[str, float] | None:
        """Give what the method has learnt of each task; None where it learns nothing."""
        learnt = self.method.learnt()
        return None if learnt is None else dict(zip(self.tasks, learnt.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values that :meth:`load_state` goes on from exactly, after any step."""
        return {
            "method": self.method.state(),
            "weights": self._weights,
            "losses": self._losses,
            "steps": self._steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.method.load_state(state["method"])
        self._weights, self._losses, self._steps = (
            state[name].to(self.method.device) for name in ("weights", "losses", "steps")
        )
