"""The convolution of float32 training steps on a GPU, whose weights' gradient is a matrix product."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv1d_input

PART = 2**24  # numbers of the inputs' columns that are made at a time: 64 MiB
MANY = 10_000  # steps of all series of a batch above which the product is faster though its operations are launched
_RECORDED = ContextVar("steps are recorded", default=False)


@contextmanager
def recorded_steps() -> Iterator[None]:
    """Say that steps are recorded within, or are those before a recording: their kernels have to be loaded by then."""
    token = _RECORDED.set(True)
    try:
        yield
    finally:
        _RECORDED.reset(token)


def gains_by_product(x: Tensor) -> bool:
    """Say whether (N, C, T) on a GPU is convolved faster by :class:`ConvolveOnGPU`, in a recorded step or not.

    The product takes some operations more. In a CUDA graph they cost no launch.
    """
    return _RECORDED.get() or x.shape[0] * x.shape[-1] > MANY


class ConvolveOnGPU(torch.autograd.Function):
    """Convolve (N, C, T) along time as torch does; ``apply(x, weight, stride, padding)``, weight (F, C, K).

    cuDNN computes the gradient of the weights in float32 by kernels that take up to a hundred times the time of the
    rest (docs/gpu.md). Outputs and gradients of the input are cuDNN's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """Give the maps (N, F, L)."""
        ctx.save_for_backward(x, weight)
        ctx.sides = stride, padding
        return F.conv1d(x, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, d_maps: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Give the gradients of what needs one."""
        (x, weight), (stride, padding) = ctx.saved_tensors, ctx.sides
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            d_x = conv1d_input(x.shape, weight, d_maps, stride, padding)
        if ctx.needs_input_grad[1]:
            d_weight = _d_weight(x, d_maps, weight.shape[2], stride, padding)
        return d_x, d_weight, None, None


def _d_weight(x: Tensor, d_maps: Tensor, taps: int, stride: int, padding: int) -> Tensor:
    """Give the gradient (F, C, K): each tap's products of (N, C, T) and (N, F, L), summed over series and steps."""
    filters, steps = d_maps.shape[1:]
    channels = x.shape[1]
    at_a_time = max(1, PART // (channels * taps * steps))
    found: list[Tensor] = []
    for part, d_part in zip(x.split(at_a_time), d_maps.split(at_a_time), strict=True):
        columns = F.pad(part, (padding, padding)) if padding else part
        columns = columns.unfold(2, taps, stride).permute(1, 3, 0, 2).reshape(channels * taps, -1)  # of (n, C, L, K)
        found.append(d_part.transpose(0, 1).reshape(filters, -1) @ columns.t())
    return sum(found[1:], found[0]).view(filters, channels, taps)
