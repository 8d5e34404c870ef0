"""The losses of an epoch's steps, which are looked at when it has ended."""

import torch
from torch import Tensor

MOST = 3000  # scalars kept as tensors of their own, which take half a kilobyte each


class StepLosses:
    """Keeps the losses of steps one after another, where they are: none is waited for.

    Args:
        earlier: What :meth:`whole` gave, to go on from, on the device of the steps.
    """

    def __init__(self, earlier: Tensor | None = None) -> None:
        self._kept = [] if earlier is None else [earlier]
        self._last: list[Tensor] = []

    def __len__(self) -> int:
        return sum(map(len, self._kept)) + len(self._last)

    def add(self, losses: list[Tensor]) -> None:
        """Keep the losses of a step, scalars."""
        self._last += losses
        if len(self._last) >= MOST:
            self._kept.append(torch.stack(self._last))
            self._last = []

    def whole(self) -> Tensor | None:
        """Give all, (len,); None where there are none."""
        parts = [*self._kept, torch.stack(self._last)] if self._last else self._kept
        return torch.cat(parts) if parts else None
