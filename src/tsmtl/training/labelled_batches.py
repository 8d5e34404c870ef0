"""Which batches have labels of which tasks: in those without, a task's loss is 0, and says nothing of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tsmtl.tasks.losses import labelled_rows
from tsmtl.training.batches import Split

AT_ONCE = 2**16  # rows whose targets are looked at together


class LabelledBatches:
    """Looks at the targets of a train split once, and then at the rows of each epoch's batches.

    Args:
        train: The train split.
        parts: Names of the losses; one that is of no target, as in self-supervised training, is there in every batch.
    """

    def __init__(self, train: Split, parts: Sequence[str]) -> None:
        masks: dict[str, list[Tensor]] = {}
        for at in range(0, len(train), AT_ONCE):
            rows = torch.arange(at, min(at + AT_ONCE, len(train)), device=train.device)
            for task, target in train.targets_of(rows).items():
                masks.setdefault(task, []).append(labelled_rows(target))
        self._partly = {  # by place among the parts
            place: torch.cat(masks[task])
            for place, task in enumerate(parts)
            if task in masks and not all(mask.all() for mask in masks[task])
        }

    def mean(self, losses: Tensor, batches: Sequence[Tensor]) -> Tensor:
        """Give the mean (K,) of the losses (steps, K) over the batches with labels of each task; NaN without any.

        Args:
            losses: On the CPU.
            batches: Rows of each step.
        """
        there = torch.ones_like(losses, dtype=torch.bool)
        ends = torch.tensor([len(rows) for rows in batches]).cumsum(dim=0) - 1
        for place, labelled in self._partly.items():
            known = labelled.index_select(0, torch.cat(list(batches))).cpu().cumsum(dim=0, dtype=torch.int32)
            there[:, place] = known[ends].diff(prepend=known.new_zeros(1)) > 0
        return torch.where(there, losses, 0.0).sum(dim=0) / there.sum(dim=0)
