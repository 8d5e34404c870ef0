"""A split as tensors on the device, and its batches."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor | None, dict[str, Tensor]]
ALIGNED = 64  # bytes: a tensor of its own begins at a multiple; elsewhere some products differ in the last bit


class Split(Protocol):
    """Instances of a split, prepared for a model and read a batch at a time."""

    @property
    def device(self) -> torch.device:
        """Where batches come out."""

    @property
    def targets(self) -> dict[str, Tensor]:
        """Targets of all instances by task: (N,) class ids or (N, D) scaled numbers."""

    @property
    def shuffle_block(self) -> int | None:
        """Neighbours that an epoch's order keeps together, as a disk wants it; None for none."""

    @property
    def resident(self) -> bool:
        """Whether the device makes a batch of what lies there, without a wait for the host."""

    @property
    def equal_lengths(self) -> bool:
        """Whether batches of as many instances have the same shape, and no lengths."""

    def __len__(self) -> int:
        """N."""

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Give the targets of some instances, an index tensor on the device."""

    def batch(self, rows: Tensor) -> Batch:
        """Give input, lengths on the CPU (or None) and targets of some instances, an index tensor on the device."""

    def ahead(self, batches: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Read batches before :meth:`batch` is asked for them, in this order and for no other rows meanwhile.

        Args:
            batches: Rows of each, index tensors on the device.
        """


@dataclass(frozen=True)
class TensorSplit:
    """A split whose tensors all lie on the training device.

    Attributes:
        x: (N, C, T) or (N, E), prepared; or, with ``rows``, the instances of all splits, which these share.
        all_targets: By task, of the instances of ``x``: (N,) class ids or (N, D) scaled numbers.
        all_lengths: Their (N,) valid steps on the CPU, or None.
        rows: (N,) which instances of ``x`` these are, on the device; None: all of them.
        once: Whether batches that are read in order may be parts of ``x``, not copies: nobody reads these a second
            time, whatever a backbone does to them.
    """

    x: Tensor
    all_targets: dict[str, Tensor]
    all_lengths: Tensor | None = None
    rows: Tensor | None = None
    once: bool = False

    def __len__(self) -> int:
        return len(self.x if self.rows is None else self.rows)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.x.device

    @property
    def targets(self) -> dict[str, Tensor]:
        """Targets of all instances by task."""
        return self.all_targets if self.rows is None else self._targets_at(self.rows)

    @property
    def places(self) -> Tensor:
        """(N,) where these instances are in ``x``."""
        return torch.arange(len(self.x), device=self.device) if self.rows is None else self.rows

    @property
    def shuffle_block(self) -> None:
        """Memory knows no neighbours."""
        return None

    @property
    def resident(self) -> bool:
        """All of it; but how long the longest series of a batch is, the host must know."""
        return self.all_lengths is None

    @property
    def equal_lengths(self) -> bool:
        """Whether there are no lengths."""
        return self.all_lengths is None

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Select rows, an index tensor on the device."""
        return self._targets_at(self._places_of(rows))

    def batch(self, rows: Tensor) -> Batch:
        """Select rows, an index tensor on the device; series are cut to the longest of the batch."""
        places = self._places_of(rows)
        x, targets = take_rows(self.x, places), self._targets_at(places)
        if self.all_lengths is None:
            return x, None, targets
        lengths = self.all_lengths.index_select(0, places.cpu())
        return x[:, :, : int(lengths.max())], lengths, targets

    def ahead(self, batches: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Nothing is left to read."""
        return nullcontext()

    def views(self, rows: slice, batch_size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give input and lengths of consecutive instances as :meth:`batch` does, aligned ones without a copy."""
        for at in range(rows.start, rows.stop, batch_size):
            part = slice(at, min(at + batch_size, rows.stop))
            x = self.x[part]
            x = x if x.data_ptr() % ALIGNED == 0 else x.clone()
            if self.all_lengths is None:
                yield x, None
            else:
                lengths = self.all_lengths[part]
                yield x[:, :, : int(lengths.max())], lengths

    def _places_of(self, rows: Tensor) -> Tensor:
        return rows if self.rows is None else take_rows(self.rows, rows)

    def _targets_at(self, places: Tensor) -> dict[str, Tensor]:
        return {task: take_rows(target, places) for task, target in self.all_targets.items()}


def take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Select instances, by an index tensor on the same device: the faster way there.

    On a GPU index_select takes four times as long for up to 16 rows as ``[]``, which is never slower there.
    """
    return x[rows] if x.is_cuda else x.index_select(0, rows)


def in_order(split: Split, rows: slice, batch_size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Give input and lengths of consecutive instances, a batch at a time."""
    if isinstance(split, TensorSplit) and split.once and split.rows is None:
        yield from split.views(rows, batch_size)
        return
    batches = torch.arange(rows.start, rows.stop, device=split.device).split(batch_size)
    with split.ahead(batches):
        for part in batches:
            x, lengths, _ = split.batch(part)
            yield x, lengths
