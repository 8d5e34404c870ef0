"""The losses of an epoch's steps, which are looked at when it has ended."""

import torch
from torch import Tensor

MOST = 48  # scalars that are tensors of their own: between the large ones of later steps they split the memory up


class StepLosses:
    """Keeps the losses of steps one after another, where they are: none is waited for.

    Args:
        earlier: What :meth:`whole` gave, to go on from, on the device of the steps.
    """

    def __init__(self, earlier: Tensor | None = None) -> None:
        self._room, self._filled = earlier, 0 if earlier is None else len(earlier)
        self._last: list[Tensor] = []

    def __len__(self) -> int:
        return self._filled + len(self._last)

    def add(self, losses: list[Tensor]) -> None:
        """Keep the losses of a step, scalars."""
        self._last += losses
        if len(self._last) >= MOST:
            self._put_away()

    def whole(self) -> Tensor | None:
        """Give all, (len,); None where there are none."""
        if self._last:
            self._put_away()
        return None if self._room is None else self._room[: self._filled].clone()

    def _put_away(self) -> None:
        filled, known = len(self), self._filled
        if self._room is None or len(self._room) < filled:
            room = self._last[0].new_empty(2 * filled)
            if self._room is not None:
                room[:known] = self._room[:known]
            self._room = room
        torch.stack(self._last, out=self._room[known:filled])
        self._filled, self._last = filled, []
