"""A small convolution along time: one node of autograd in native code (``native/convolution.cpp``).

Where weights are few it multiplies as fast as oneDNN, and around it stand fewer calls of torch, which take as long as a
tenth of such a convolution. It reads channels that lie side by side, and leaves them so.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tsmtl.models.double_backward import double_backward
from tsmtl.models.kernel_check import other_numbers
from tsmtl.native import Library

SMALL = 2**15  # weights up to which the kernel is the faster one
PANEL = 32  # outputs that the kernel computes together at most
WORTH_THREADS = 2**15  # values of the output from which on threads share them


class Convolve(torch.autograd.Function):
    """``apply(kernels, x, weight, padding)``: convolve (N, C, T) by (F, C, taps), ``padding`` below the taps."""

    @staticmethod
    def forward(ctx: Any, kernels: ctypes.CDLL, x: Tensor, weight: Tensor, padding: int) -> Tensor:  # noqa: D102
        rows, weight = x.transpose(1, 2).contiguous(), weight.contiguous()  # (N, T, C)
        sizes = _sizes(rows, weight, padding)
        n, t, c, f, taps, *_ = sizes
        y = rows.new_empty(n, t + 2 * padding - taps + 1, f)
        _call(kernels.convolution_forward, sizes, rows, weight, y, taps * c * _rounded(f))
        ctx.save_for_backward(x, rows, weight)
        ctx.kernels, ctx.padding = kernels, padding
        return y.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, rows, weight = ctx.saved_tensors
        _, needs_x, needs_weight, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():
            maps = F.conv1d(x, weight, None, 1, ctx.padding)
            return double_backward([maps], gradients, (None, x, weight, None), ctx.needs_input_grad)
        d_y, sizes = gradients[0].transpose(1, 2).contiguous(), _sizes(rows, weight, ctx.padding)
        _, _, c, f, taps, *_ = sizes
        d_x = d_weight = None
        if needs_x:
            d_rows = torch.empty_like(rows)
            _call(ctx.kernels.convolution_backward_x, sizes, weight, d_y, d_rows, taps * f * _rounded(c))
            d_x = d_rows.transpose(1, 2)
        if needs_weight:
            d_weight = torch.empty_like(weight)
            room = (d_y.shape[1] + taps * c) * _rounded(f)
            _call(ctx.kernels.convolution_backward_weight, sizes, rows, d_y, d_weight, room)
        return None, d_x, d_weight, None


def _sizes(rows: Tensor, weight: Tensor, padding: int) -> tuple[int, ...]:
    (n, t, c), (f, _, taps) = rows.shape, weight.shape
    return n, t, c, f, taps, padding, torch.get_num_threads() if n * t * f >= WORTH_THREADS else 1


def _rounded(outputs: int) -> int:
    """Give a number of outputs with those that fill the last panel."""
    return -(-outputs // PANEL) * PANEL


def _call(kernel: Any, sizes: tuple[int, ...], first: Tensor, second: Tensor, out: Tensor, room: int) -> None:
    """Let a kernel write ``out``, with scratch memory of ``room`` floats."""
    scratch = out.new_empty(room)
    kernel(*sizes, first.data_ptr(), second.data_ptr(), out.data_ptr(), scratch.data_ptr())


def _check(kernels: ctypes.CDLL) -> str | None:
    """Compare outputs and gradients with those of torch."""
    generator = torch.Generator().manual_seed(0)
    n, c, f, t, taps, padding = 3, 9, 37, 13, 4, 2
    *inputs, outer = (
        torch.randn(*shape, generator=generator) for shape in [(n, c, t), (f, c, taps), (n, f, t + 2 * padding - 3)]
    )
    return other_numbers(
        lambda x, weight: (F.conv1d(x, weight, None, 1, padding),),
        lambda x, weight: (Convolve.apply(kernels, x, weight, padding),),  # type: ignore[no-untyped-call]
        inputs,
        [outer],
    )


_ARGUMENTS = [*[ctypes.c_int64] * 6, ctypes.c_int, *[ctypes.c_void_p] * 4]
CONVOLUTION_KERNELS = Library(
    "convolution",
    {f"convolution_{name}": _ARGUMENTS for name in ("forward", "backward_x", "backward_weight")},
    _check,
)
