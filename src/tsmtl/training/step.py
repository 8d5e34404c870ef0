"""What a training does with a batch: losses, gradients, an update of the weights."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from tsmtl.training.augmentation import Augmentation
from tsmtl.training.balance import Balance
from tsmtl.training.objective import Losses, Objective
from tsmtl.training.ranks import Ranks


@dataclass(frozen=True)
class Step:
    """A step of a training.

    It draws from torch's own random numbers alone, and reads and changes nothing but tensors in place, unless there is
    a ``balance``: so it may be recorded, see :mod:`tsmtl.training.captured_step`.

    Attributes:
        model: Trained in place, in train mode.
        criterion: The loss and its parts.
        optimizer: Updates the weights.
        gradient_clip: Largest norm of the gradient, or None.
        augmentation: Changes each batch.
        ranks: The processes that share each batch.
        balance: Weighs the tasks; None: the criterion's fixed weights do.
    """

    model: nn.Module
    criterion: Objective
    optimizer: torch.optim.Optimizer
    gradient_clip: float | None
    augmentation: Augmentation | None
    ranks: Ranks
    balance: Balance | None

    def __call__(self, x: Tensor, lengths: Tensor | None, targets: dict[str, Tensor]) -> list[Tensor]:
        """Take a step on a batch, as :meth:`tsmtl.training.batches.Split.batch` gives it.

        Returns:
            The losses before the update, without history: the total, then each task.
        """
        self.optimizer.zero_grad(set_to_none=True)
        look = partial(self._losses, x, lengths, targets)
        if self.balance is None:
            total, parts = look()
            total.backward()
            self.ranks.sum_gradients(self.model)
        else:
            total, parts = self.balance.backward(look)
        if self.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.optimizer.step()
        if self.balance is not None:
            self.balance.after_step()
        return [total.detach(), *(part.detach() for part in parts.values())]

    def _losses(self, x: Tensor, lengths: Tensor | None, targets: dict[str, Tensor]) -> Losses:
        if self.augmentation is None:
            return self.criterion(self.model(x, lengths), targets)
        return self.augmentation.loss(self.model, self.criterion, x, lengths, targets)
