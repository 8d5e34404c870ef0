"""The random order of an epoch: of all instances, or of neighbours block by block where they are read from a disk."""

import torch
from torch import Tensor

TOGETHER = 8  # blocks whose instances are shuffled among each other


def random_order(n: int, block: int | None, generator: torch.Generator) -> Tensor:
    """Draw an order of the rows 0 ... n - 1, on the CPU.

    Args:
        n: Number of rows.
        block: Neighbours that stay together: blocks of so many rows are drawn in random order, and the rows of
            :data:`TOGETHER` blocks at a time are shuffled. Up to one block of rows, and with None, all are shuffled.
        generator: Draws the order.
    """
    if block is None or n <= block:
        return torch.randperm(n, generator=generator)
    parts = torch.arange(n).split(block)
    drawn = torch.randperm(len(parts), generator=generator).split(TOGETHER)
    together = [torch.cat([parts[i] for i in some.tolist()]) for some in drawn]
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for rows in together])
