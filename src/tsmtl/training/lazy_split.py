"""A split whose input stays where it is and is read, prepared and moved to the device a batch at a time."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tsmtl.data.instances import FloatArray, IntArray, Rows
from tsmtl.data.npy_rows import NpyRows
from tsmtl.training.batches import Batch
from tsmtl.training.order import TOGETHER


class Preparation(Protocol):
    """What is done to inputs before a model sees them."""

    def apply(self, x: FloatArray, lengths: IntArray | None = None) -> FloatArray:
        """Prepare (N, C, T) or (N, E)."""


class LazySplit:
    """Instances of a split, read as they are wanted; its targets lie on the device.

    Args:
        x: Input of the whole data set, (N, C, T) or (N, E).
        rows: The rows of this split, ascending.
        lengths: Valid steps of these rows on the CPU, or None.
        preparation: Fills and scales.
        targets: By task: (N,) class ids or (N, D) scaled numbers of these rows.
        device: Where batches come out.
        shuffle_block: Neighbours that an epoch's order keeps together, None for none.
    """

    def __init__(
        self,
        x: Rows,
        rows: IntArray,
        lengths: IntArray | None,
        preparation: Preparation,
        targets: dict[str, Tensor],
        device: torch.device,
        shuffle_block: int | None,
    ) -> None:
        self.x, self.rows, self.lengths, self.preparation = x, rows, lengths, preparation
        self.targets, self.device, self.shuffle_block = targets, device, shuffle_block
        self._asked: list[int] = []  # blocks that the operating system was asked to read, the latest last

    def __len__(self) -> int:
        return len(self.rows)

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Select rows, an index tensor on the device."""
        return {task: target.index_select(0, rows) for task, target in self.targets.items()}

    def batch(self, rows: Tensor) -> Batch:
        """Read rows, an index tensor on the device; series are cut to the longest of the batch."""
        wanted = rows.cpu().numpy()
        self._read_ahead(wanted)
        lengths = None if self.lengths is None else self.lengths[wanted]
        x = torch.from_numpy(self.preparation.apply(self.x[self.rows[wanted]], lengths))
        targets = self.targets_of(rows)
        if lengths is None:
            return x.to(self.device), None, targets
        return x[:, :, : int(lengths.max())].to(self.device), torch.from_numpy(lengths), targets

    def _read_ahead(self, wanted: IntArray) -> None:
        """Ask for the whole blocks that rows lie in: a disk reads a block at once faster than its rows one by one."""
        if self.shuffle_block is None or not isinstance(self.x, NpyRows):
            return
        for block in np.unique(wanted // self.shuffle_block).tolist():
            if block not in self._asked:
                own = self.rows[block * self.shuffle_block : (block + 1) * self.shuffle_block]
                self.x.read_ahead(int(own[0]), int(own[-1]) + 1)
                self._asked = [*self._asked[1 - 2 * TOGETHER :], block]
