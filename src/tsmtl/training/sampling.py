"""Which rows the batches of an epoch hold.

Drawn on the CPU, by nothing but the generator, so that the state at the start of an epoch gives its batches again.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tsmtl.training.order import random_order


def batch_sizes(n: int, batch_size: int) -> list[int]:
    """Divide ``n`` instances into batches.

    A last batch of one instance joins the batch before it, unless all are of one: batch norm knows no variance of one.
    """
    whole, rest = divmod(n, batch_size)
    sizes = [batch_size] * whole + [rest] * (rest > 0)
    if len(sizes) > 1 and rest == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


class Sampler:
    """Draws rows at random, each once.

    Args:
        n: N, rows of the train split.
        batch_size: Instances per step.
        device: Where the rows go.
        fraction: Share of the rows that an epoch reads; two of them at least.
        block: Neighbours that stay together in the order; see :func:`random_order`.

    Attributes:
        count: Rows of an epoch.
        sizes: Instances of each of its batches.
    """

    def __init__(
        self, n: int, batch_size: int, device: torch.device, fraction: float = 1.0, block: int | None = None
    ) -> None:
        self.n, self.device, self.block = n, device, block
        self.count = min(n, max(2, round(fraction * n)))
        self.sizes = batch_sizes(self.count, batch_size)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.sizes)

    def draw(self, generator: torch.Generator) -> list[Tensor]:
        """Give the rows of each batch of an epoch."""
        return list(self._rows(generator).to(self.device).split(self.sizes))

    def _rows(self, generator: torch.Generator) -> Tensor:
        return random_order(self.n, self.block, generator)[: self.count]


class BalancedSampler(Sampler):
    """Draws every class equally often; rows without a class keep their share.

    Of each class, no row is drawn twice before each was drawn once: a frequent class gives another part of itself in
    every epoch, a rare one all of itself several times. What does not divide evenly goes to classes drawn by lot.

    Args:
        ids: (N,) class ids, -1 where missing.
        batch_size: Instances per step.
        device: Where the rows go.
        fraction: Share of N that an epoch reads.
    """

    def __init__(self, ids: Tensor, batch_size: int, device: torch.device, fraction: float = 1.0) -> None:
        super().__init__(len(ids), batch_size, device, fraction)
        ids = ids.cpu()
        self.unlabelled = (ids < 0).nonzero().flatten()
        self.classes = [(ids == k).nonzero().flatten() for k in ids[ids >= 0].unique().tolist()]

    def _rows(self, generator: torch.Generator) -> Tensor:
        unlabelled = round(self.count * len(self.unlabelled) / self.n)
        each, left = divmod(self.count - unlabelled, len(self.classes))
        one_more = torch.randperm(len(self.classes), generator=generator) < left
        parts = [_drawn(self.unlabelled, unlabelled, generator)]
        parts += [
            _drawn(rows, each + more, generator) for rows, more in zip(self.classes, one_more.tolist(), strict=True)
        ]
        rows = torch.cat(parts)
        return rows[torch.randperm(len(rows), generator=generator)]


class BothTasksSampler(Sampler):
    """Draws each row once, so that every batch holds a labelled instance of each task.

    Rows are dealt like cards, those of one kind (of two tasks: labelled for the first, for both, for the second, for
    none) after those of the other, so that every kind is spread over all batches. Where a task has fewer labelled rows
    than there are batches, the others get one of them once more, on top of their size.

    Args:
        labelled: For each task (N,), whether a row has its target.
        batch_size: Instances per step.
        device: Where the rows go.
        fraction: Share of N that an epoch reads.
    """

    def __init__(
        self, labelled: Sequence[Tensor], batch_size: int, device: torch.device, fraction: float = 1.0
    ) -> None:
        super().__init__(len(labelled[0]), batch_size, device, fraction)
        self.labelled = [mask.cpu() for mask in labelled]
        _, self.kind = torch.stack(_gray(self.labelled), dim=1).unique(dim=0, return_inverse=True)

    def draw(self, generator: torch.Generator) -> list[Tensor]:
        """Give the rows of each batch of an epoch."""
        rows, steps = self._rows(generator), self.steps
        rows = rows[self.kind[rows].argsort(stable=True)]
        batch = torch.arange(len(rows)) % steps
        for labelled in self.labelled:
            lacking = torch.ones(steps, dtype=torch.bool)
            lacking[batch[labelled[rows]]] = False
            again = _drawn(labelled.nonzero().flatten(), int(lacking.sum()), generator)
            rows = torch.cat([rows, again])
            batch = torch.cat([batch, lacking.nonzero().flatten()[: len(again)]])
        place = torch.randperm(steps, generator=generator)[batch]
        sizes = torch.bincount(place, minlength=steps).tolist()
        return list(rows[place.argsort(stable=True)].to(self.device).split(sizes))


def _gray(labelled: Sequence[Tensor]) -> list[Tensor]:
    """Give the digits (N,) of each row's kind, so numbered that kinds in a row differ in one task (a Gray code)."""
    digits = [~labelled[0]]
    for mask in labelled[1:]:
        digits.append(digits[-1] ^ mask)
    return digits


def _drawn(rows: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Draw a number of rows; none is drawn twice before each was drawn once. Of no rows, give none."""
    if not len(rows):
        return rows
    rounds, left = divmod(number, len(rows))
    return torch.cat([rows.repeat(rounds), rows[torch.randperm(len(rows), generator=generator)[:left]]])
