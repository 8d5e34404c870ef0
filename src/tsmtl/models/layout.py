"""How maps (N, F, T) lie in memory: PyTorch's order, or channels of a step side by side, as oneDNN computes them."""

from typing import Any

import torch
from torch import Tensor

from tsmtl.models.transformed import transformed


def channels_side_by_side(x: Tensor) -> Tensor:
    """Give (N, F, T) as (N, F, 1, T) whose channels lie side by side."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def steps_side_by_side(maps: Tensor) -> Tensor:
    """Give (N, F, T) in PyTorch's order; where they have the other one, their gradient will come in that.

    Layers take a gradient in another order than the maps, but most take several times as long for it.
    """
    if maps.is_contiguous() or maps.stride(1) != 1 or transformed():  # 1: those of a step are neighbours
        return maps.contiguous()
    turned: Tensor = _Turn.apply(maps)  # type: ignore[no-untyped-call]
    return turned


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        return maps.contiguous()

    @staticmethod
    def backward(ctx: Any, d_turned: Tensor) -> Tensor:
        return d_turned.transpose(1, 2).contiguous().transpose(1, 2)  # batches of gradients know no memory format
