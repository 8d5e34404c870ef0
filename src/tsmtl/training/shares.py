"""A rank's share of the batches of a training."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from tsmtl.training.augmentation import Augmentation, Mixture
from tsmtl.training.batches import Batch, Split


class Sharing(Protocol):
    """Divides the rows of a batch among ranks."""

    def begin(self, n: int) -> slice:
        """Take ``n`` rows as the batch under way; give those of this rank."""

    def share(self, n: int) -> slice:
        """Give those of this rank alone."""


class SharedSplit:
    """A train split whose batches have the inputs of this rank's share, and all targets.

    Args:
        split: The split.
        ranks: Divides the rows.
    """

    def __init__(self, split: Split, ranks: Sharing) -> None:
        self.split, self.ranks = split, ranks
        self.device, self.shuffle_block = split.device, split.shuffle_block
        self.resident, self.equal_lengths = split.resident, split.equal_lengths

    def __len__(self) -> int:
        return len(self.split)

    @property
    def targets(self) -> dict[str, Tensor]:
        """Targets of all instances by task."""
        return self.split.targets

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Give the targets of some instances."""
        return self.split.targets_of(rows)

    def batch(self, rows: Tensor) -> Batch:
        """Give inputs and lengths of this rank's share of the rows, and the targets of all."""
        x, lengths, _ = self.split.batch(rows[self.ranks.begin(len(rows))])
        return x, lengths, self.split.targets_of(rows)

    def ahead(self, batches: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Read this rank's share of batches before they are asked for."""
        return self.split.ahead([rows[self.ranks.share(len(rows))] for rows in batches])


class SharedAugmentation(Augmentation):
    """Changes a whole batch, of which this rank then takes its share.

    All ranks draw the same changes, so that the batch is the one that a single process would make, and an instance may
    be mixed with one of another rank's.

    Args:
        augmentation: The changes.
        ranks: Divides the rows.
    """

    def __init__(self, augmentation: Augmentation, ranks: Sharing) -> None:
        super().__init__(augmentation.changes, augmentation.channels)
        self.ranks = ranks

    def __call__(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None, Mixture | None]:
        """Change inputs of a whole batch; give those of the share."""
        x, lengths, mixture = super().__call__(x, lengths)
        own = self.ranks.begin(len(x))
        if lengths is None:
            return x[own], None, mixture
        lengths = lengths[own]
        return x[own, :, : int(torch.max(lengths))], lengths, mixture
