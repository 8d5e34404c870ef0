"""Instances that are prepared when they are read: those of a file, and windows that each are filled or scaled anew."""

import torch
from torch import Tensor

from tsmtl.data.instances import Input, IntArray
from tsmtl.data.preparation import InputPreparation
from tsmtl.training.batches import Batch


class ReadSplit:
    """A split whose input stays where it is; what a batch needs of it is read, prepared and moved to the device.

    Args:
        x: (all, C, T) or (all, E) raw input.
        rows: (N,) the instances of this split.
        preparation: Fills and scales.
        targets: By task, of all instances: (all,) class ids or (all, D) scaled numbers, on the device.
        device: Where batches come out.
    """

    def __init__(
        self,
        x: Input,
        rows: IntArray,
        preparation: InputPreparation,
        targets: dict[str, Tensor],
        device: torch.device,
    ) -> None:
        self.device = device
        self._x, self._rows, self._preparation, self._all_targets = x, rows, preparation, targets

    @property
    def targets(self) -> dict[str, Tensor]:
        """Targets of all instances by task."""
        return self._targets_of(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, rows: Tensor) -> Batch:
        """Read and prepare instances; see :class:`Split`."""
        chosen = self._rows[rows.cpu().numpy()]
        x = torch.from_numpy(self._preparation.apply(self._x[chosen]))
        return x.to(self.device, non_blocking=True), None, self._targets_of(chosen)

    def _targets_of(self, chosen: IntArray) -> dict[str, Tensor]:
        index = torch.from_numpy(chosen).to(self.device)
        found = {task: values.index_select(0, index) for task, values in self._all_targets.items()}
        return {task: t if t.is_floating_point() else t.long() for task, t in found.items()}
