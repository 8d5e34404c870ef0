"""A split whose input stays where it is and is read, prepared and moved to the device a batch at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tsmtl.data.instances import FloatArray, IntArray, Rows
from tsmtl.data.npy_rows import NpyRows
from tsmtl.training.batches import Batch, take_rows
from tsmtl.training.order import TOGETHER
from tsmtl.training.read_ahead import Arrival, PinnedCopies, ReadAhead


class Preparation(Protocol):
    """What is done to inputs before a model sees them."""

    def apply(self, x: FloatArray, lengths: IntArray | None = None) -> FloatArray:
        """Prepare (N, C, T) or (N, E)."""


class LazySplit:
    """Instances of a split, read as they are wanted; its targets lie on the device.

    On a GPU, :meth:`ahead` lets a thread read, prepare and copy the next batch while steps are taken on this one.

    Args:
        x: Input of the whole data set, (N, C, T) or (N, E).
        rows: The rows of this split, ascending.
        lengths: Valid steps of these rows on the CPU, or None.
        preparation: Fills and scales; None where ``x`` is prepared.
        targets: By task: (N,) class ids or (N, D) scaled numbers of these rows.
        device: Where batches come out.
        shuffle_block: Neighbours that an epoch's order keeps together, None for none.
        reads_ahead: Whether :meth:`ahead` does anything; None: on a GPU.
    """

    def __init__(
        self,
        x: Rows,
        rows: IntArray,
        lengths: IntArray | None,
        preparation: Preparation | None,
        targets: dict[str, Tensor],
        device: torch.device,
        shuffle_block: int | None,
        reads_ahead: bool | None = None,
    ) -> None:
        self.x, self.rows, self.lengths, self.preparation = x, rows, lengths, preparation
        self.targets, self.device, self.shuffle_block = targets, device, shuffle_block
        self.resident, self.equal_lengths = False, lengths is None
        self.reads_ahead = device.type == "cuda" if reads_ahead is None else reads_ahead
        self._coming: ReadAhead[Arrival] | None = None
        self._copies: PinnedCopies | None = None
        self._asked: list[int] = []  # blocks that the operating system was asked to read, the latest last

    def __len__(self) -> int:
        return len(self.rows)

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Select rows, an index tensor on the device."""
        return {task: take_rows(target, rows) for task, target in self.targets.items()}

    def batch(self, rows: Tensor) -> Batch:
        """Read rows, an index tensor on the device; series are cut to the longest of the batch."""
        if self._coming is None:
            x, lengths = self._read(rows.cpu().numpy())
            return x.to(self.device), lengths, self.targets_of(rows)
        arrival = self._coming.next()
        assert arrival.count == len(rows), "batches come in the order that was said"
        return arrival.x(), arrival.lengths, self.targets_of(rows)

    @contextmanager
    def ahead(self, batches: Sequence[Tensor]) -> Iterator[None]:
        """Read batches one ahead of :meth:`batch`; the thread that does is gone behind the block."""
        if not self.reads_ahead or not batches:
            yield
            return
        wanted = torch.cat(list(batches)).cpu().split([len(rows) for rows in batches])  # one wait for the device
        if self.device.type == "cuda":
            self._copies = self._copies or PinnedCopies(self.device)

        def arrivals() -> Iterator[Arrival]:
            for rows in wanted:
                x, lengths = self._read(rows.numpy())
                yield Arrival.on_its_way(x, lengths, self._copies)

        with ReadAhead(arrivals()) as self._coming:
            try:
                yield
            finally:
                self._coming = None

    def _read(self, wanted: IntArray) -> tuple[Tensor, Tensor | None]:
        """Give input and lengths of rows, on the CPU."""
        self._read_ahead(wanted)
        lengths = None if self.lengths is None else self.lengths[wanted]
        found = self.x[self.rows[wanted]]
        x = torch.from_numpy(found if self.preparation is None else self.preparation.apply(found, lengths))
        if lengths is None:
            return x, None
        return x[:, :, : int(lengths.max())], torch.from_numpy(lengths)

    def _read_ahead(self, wanted: IntArray) -> None:
        """Ask for the whole blocks that rows lie in: a disk reads a block at once faster than its rows one by one."""
        if self.shuffle_block is None or not isinstance(self.x, NpyRows):
            return
        for block in np.unique(wanted // self.shuffle_block).tolist():
            if block not in self._asked:
                own = self.rows[block * self.shuffle_block : (block + 1) * self.shuffle_block]
                self.x.read_ahead(int(own[0]), int(own[-1]) + 1)
                self._asked = [*self._asked[1 - 2 * TOGETHER :], block]
