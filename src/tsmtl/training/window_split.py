"""Windows of a recording as a split: the recording lies on the device once, batches are gathered from it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from tsmtl.data.instances import IntArray
from tsmtl.data.windows import Windows
from tsmtl.training.batches import Batch, take_rows


class WindowSplit:
    """Some windows of a prepared recording.

    Args:
        values: (R, C) the recording, prepared, on the device; all splits share it.
        windows: Where windows lie in it.
        rows: (N,) the windows of this split.
        targets: By task, of all windows: (all,) class ids, (all, D) numbers or (all, L) labels, on the device; shared
            too.
        scaled: By task, for numbers: how they are scaled, which is done to those of a batch alone.
    """

    def __init__(
        self,
        values: Tensor,
        windows: Windows,
        rows: IntArray,
        targets: dict[str, Tensor],
        scaled: Mapping[str, Callable[[Tensor], Tensor]],
    ) -> None:
        self._values, self._all_targets, self._scaled = values, targets, scaled
        self._steps = torch.arange(windows.window, device=values.device)
        self._stride, self._padded = windows.stride, windows.padded
        self._rows = torch.from_numpy(rows).to(values.device)
        self._ends = torch.from_numpy(windows.ends).to(values.device)
        first_of_piece = torch.from_numpy(windows.ends - windows.count)
        begin = torch.from_numpy(windows.start + windows.offset)
        self._origin = (begin - first_of_piece * windows.stride).to(values.device)  # + window * stride: its first row
        self._floor = torch.from_numpy(windows.start).to(values.device)

    @property
    def device(self) -> torch.device:
        """Where the recording lies."""
        return self._values.device

    @property
    def targets(self) -> dict[str, Tensor]:
        """Targets of all instances by task."""
        return self._of_windows(self._rows)

    @property
    def shuffle_block(self) -> None:
        """Memory knows no neighbours."""
        return None

    @property
    def resident(self) -> bool:
        """All of it."""
        return True

    @property
    def equal_lengths(self) -> bool:
        """A window is as long as another."""
        return True

    def __len__(self) -> int:
        return len(self._rows)

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """Select rows, an index tensor on the device."""
        return self._of_windows(take_rows(self._rows, rows))

    def batch(self, rows: Tensor) -> Batch:
        """Gather windows (n, C, T); see :class:`Split`."""
        chosen = take_rows(self._rows, rows).long()
        piece = torch.searchsorted(self._ends, chosen, right=True)
        first = take_rows(self._origin, piece) + chosen * self._stride
        steps = first[:, None] + self._steps  # (n, T)
        if self._padded:
            steps = torch.maximum(steps, take_rows(self._floor, piece)[:, None])
        x = take_rows(self._values, steps.view(-1)).view(*steps.shape, -1)  # (n, T, C)
        return x.transpose(1, 2), None, self._of_windows(chosen)

    def ahead(self, batches: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Nothing is left to read."""
        return nullcontext()

    def _of_windows(self, chosen: Tensor) -> dict[str, Tensor]:
        found = {task: take_rows(values, chosen) for task, values in self._all_targets.items()}
        return {task: self._scaled.get(task, _as_they_are)(t) for task, t in found.items()}


def _as_they_are(target: Tensor) -> Tensor:
    """Give labels, or ids in the type that losses take."""
    return target if target.is_floating_point() else target.long()
