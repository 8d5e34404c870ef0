"""Convolutions along time that train fast on a CPU, and are exact and fast in bfloat16 too."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsmtl.models.convolution_gpu import ConvolveOnGPU, gains_by_product
from tsmtl.models.convolution_native import CONVOLUTION_KERNELS, SMALL, Convolve
from tsmtl.models.kernels import WithKernels
from tsmtl.models.precision import exact_on_gpu, in_bf16_on_cpu
from tsmtl.models.transformed import transformed

MANY = 8  # series; see Convolution
FEW = 16  # input channels below which a convolution stays float32; see Convolution


class Convolution(WithKernels, nn.Conv1d):
    """A convolution of (N, F, T) along time without bias; arguments as those of :class:`torch.nn.Conv1d`.

    On a CPU the channels of a step come to lie side by side in memory: oneDNN then reorders nothing, and what follows
    reads long runs. Outside of training steps batches of fewer than :data:`MANY` series do without, for which turning
    the weights takes longer than it saves. Its kernels compute training steps of float32 with few weights.

    One of fewer than :data:`FEW` input channels stays float32 and gives bfloat16. For some of these shapes (even
    numbers of channels, filters of 8 or 16 steps) the bfloat16 convolution of oneDNN 3.12 for AMX gives wrong sums, as
    far from the right ones as these are from 0. It is a small part of a network's arithmetic, and the series is not
    rounded. A GPU has the convolution of PyTorch, whatever the precision, but for what :class:`ConvolveOnGPU` learns
    in float32.
    """

    library = CONVOLUTION_KERNELS

    def __init__(self, before: int, after: int, kernel_size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(before, after, kernel_size, stride, padding, bias=False)
        self.sides = ((1, stride), (0, padding))  # stride and padding of the same convolution over (1, T)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, F, T)."""
        maps: Tensor
        if not in_bf16_on_cpu(x):
            if self.native and self._fits(x):
                maps = Convolve.apply(CONVOLUTION_KERNELS.loaded, x, self.weight, self.padding[0])  # type: ignore[no-untyped-call]
                return maps
            if self._learns and not transformed() and exact_on_gpu(x) and gains_by_product(x):
                maps = ConvolveOnGPU.apply(x, self.weight, self.stride[0], self.padding[0])  # type: ignore[no-untyped-call]
                return maps
            return self._side_by_side(x) if self._gains(x) else super().forward(x)
        if self.in_channels >= FEW:
            return self._side_by_side(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._side_by_side(x.float()).to(torch.bfloat16)

    def _gains(self, x: Tensor) -> bool:
        """Say whether this is float32 on a CPU, and a training step or many series."""
        here = x.device.type == "cpu" and x.dtype is torch.float32 and not transformed()
        return here and (self._learns or len(x) >= MANY)

    @property
    def _learns(self) -> bool:
        return self.training and torch.is_grad_enabled()

    def _fits(self, x: Tensor) -> bool:
        """Say whether the kernels cover this, and gain by it: a training step, few weights, stride 1."""
        learns = self._learns and self._gains(x) and (x.requires_grad or self.weight.requires_grad)
        (taps,), (stride,), padding = self.kernel_size, self.stride, int(self.padding[0])
        covered = stride == 1 and padding < taps and self.weight.numel() <= SMALL
        shaped = x.dim() == 3 and x.shape[1] == self.in_channels and x.numel() > 0 and x.shape[2] + 2 * padding >= taps
        weighs = self.weight.device.type == "cpu" and self.weight.dtype is torch.float32
        return learns and covered and shaped and weighs  # what else is wrong, torch says

    def _side_by_side(self, x: Tensor) -> Tensor:
        # The weight is turned once, here: torch would do it in each of its calls, forward and backward.
        maps, weight = _channels_side_by_side(x), _channels_side_by_side(self.weight)
        return F.conv2d(maps, weight, None, *self.sides).squeeze(2)


def _channels_side_by_side(x: Tensor) -> Tensor:
    """Give (N, F, T) as (N, F, 1, T) whose channels lie side by side."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def unprotected(backbone: nn.Module) -> list[str]:
    """Name a backbone's plain ``nn.Conv1d`` whose sums in bfloat16 may be wrong on a CPU; see :class:`Convolution`."""
    return [name for name, m in backbone.named_modules() if type(m) is nn.Conv1d and m.in_channels < FEW]
