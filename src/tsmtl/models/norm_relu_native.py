"""Batch norm, ReLU, squeeze-and-excite or a mean: one node of autograd in native code (``native/norm_relu.cpp``).

By torch each of these reads the maps of a convolution and writes them anew, forward and backward. The kernel reads them
twice and writes the output once; backward it reads maps and gradient twice and writes once. Of the forward pass it
keeps the convolution's maps alone, and computes the rest again. The channels of a step lie side by side. All is in
single precision, bfloat16 on the way from and to memory.
"""

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tsmtl.models.double_backward import double_backward
from tsmtl.models.kernel_check import other_numbers
from tsmtl.native import Library

BLOCK = 64  # rows whose statistics the kernel takes together
WORTH_THREADS = 2**16  # values of the maps from which on threads share them
Remember = Callable[[Tensor, Tensor], None]
_NUMBER, _CHOICE, _ARRAY = ctypes.c_int64, ctypes.c_int, ctypes.c_void_p


class Way(NamedTuple):
    """What is no tensor.

    Attributes:
        eps: Epsilon of the batch norm.
        mean: Whether the mean (N, F) over the steps comes out, float32; not behind squeeze-and-excite. Else (N, F, T),
            the channels of a step side by side in memory.
    """

    eps: float
    mean: bool


class Weights(NamedTuple):
    """Weight and shift (F,) of the batch norm; of squeeze-and-excite (narrow, F) and (F, narrow), or None."""

    weight: Tensor
    bias: Tensor
    squeeze: Tensor | None
    excite: Tensor | None


class NormReLU(torch.autograd.Function):
    """``apply(kernels, maps, way, remember, weight, bias, squeeze, excite)``; gives the output.

    Args of ``apply``: ``kernels`` the loaded :data:`NORM_KERNELS`; ``maps`` (N, F, T), float32 or bfloat16; ``way`` a
    :class:`Way`; ``remember`` is given mean and unbiased variance (F,); the others as in :class:`Weights`.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, kernels: ctypes.CDLL, maps: Tensor, way: Way, remember: Remember, *given: Tensor | None
    ) -> Tensor:
        z = maps.transpose(1, 2).contiguous()  # (N, T, F)
        weights = Weights(*(w if w is None else w.contiguous() for w in given))  # type: ignore[arg-type]
        n, t, f = z.shape
        narrow = 0 if weights.squeeze is None else len(weights.squeeze)
        new, pools = weights.weight.new_empty, narrow > 0 or way.mean
        channels, series, hidden = new(3, f), new((4, n, f) if pools else (0,)), new(n, narrow)  # as the kernel says
        out = z.new_empty((0,) if way.mean else (n, t, f))
        scratch = _scratch(weights, 3 * -(-n * t // BLOCK) * f + narrow * f)
        arrays = (z, *weights, out, channels, series, hidden, *scratch)
        kernels.norm_relu_forward(*_sizes(z, narrow, way), *map(_address, arrays))
        remember(channels[0], channels[1])
        ctx.save_for_backward(maps, z, *weights, channels, series, hidden)
        ctx.kernels, ctx.way = kernels, way
        if way.mean:
            return series[0].clone()
        return out.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        maps, z, *tensors = ctx.saved_tensors
        weights, kept, way, d_out = Weights(*tensors[:4]), tensors[4:], ctx.way, gradients[0]
        if torch.is_grad_enabled():
            out, inputs = by_torch(maps, way, weights), (None, maps, None, None, *weights)
            return double_backward([out], gradients, inputs, ctx.needs_input_grad)
        d_out = (d_out if way.mean else d_out.transpose(1, 2)).contiguous()
        d_z, d_norm = torch.empty_like(z), weights.bias.new_empty(2, z.shape[2])
        d_squeeze, d_excite = (None if w is None else torch.empty_like(w) for w in (weights.squeeze, weights.excite))
        (n, _, f), narrow = z.shape, kept[2].shape[1]
        scratch = _scratch(weights, 4 * n * f + n * narrow + 2 * f)
        arrays = (z, *weights[1:], d_out, *kept, d_z, d_norm, d_squeeze, d_excite, *scratch)
        ctx.kernels.norm_relu_backward(*_sizes(z, narrow, way), *map(_address, arrays))
        return None, d_z.transpose(1, 2), None, None, *d_norm.unbind(), d_squeeze, d_excite


def by_torch(maps: Tensor, way: Way, weights: Weights) -> Tensor:
    """Compute the output of (N, F, T) in operations of torch, in the precision of the weights."""
    weight, bias, squeeze, excite = weights
    y = F.relu(F.batch_norm(maps.to(weight.dtype), None, None, weight, bias, training=True, eps=way.eps))
    if squeeze is not None and excite is not None:
        y = y * torch.sigmoid(F.relu(y.mean(dim=2) @ squeeze.t()) @ excite.t())[:, :, None]
    if way.mean:
        return y.mean(dim=2)
    return y.to(maps.dtype)


def _address(array: Tensor | None) -> int | None:
    return None if array is None else array.data_ptr()


def _scratch(weights: Weights, size: int) -> tuple[Tensor, Tensor]:
    """Give the kernel room: sums of the channels in double precision, and floats."""
    zeros = weights.bias.new_zeros
    return zeros(2, len(weights.bias), dtype=torch.float64), zeros(size)


def _sizes(z: Tensor, narrow: int, way: Way) -> tuple[int | float, ...]:
    threads = torch.get_num_threads() if z.numel() >= WORTH_THREADS else 1
    return *z.shape, narrow, way.mean, threads, z.dtype is torch.bfloat16, way.eps


def _check(kernels: ctypes.CDLL) -> str | None:
    """Compare output and gradients with those of torch, with squeeze-and-excite."""
    generator = torch.Generator().manual_seed(0)
    n, f, t, narrow = 3, 37, 5, 2
    way, shapes = Way(1e-5, mean=False), [(n, f, t), (f,), (f,), (narrow, f), (f, narrow)]
    *inputs, outer = (torch.randn(*shape, generator=generator) for shape in [*shapes, (n, f, t)])
    return other_numbers(
        lambda maps, *weights: (by_torch(maps, way, Weights(*weights)),),
        lambda maps, *weights: (NormReLU.apply(kernels, maps, way, lambda mean, variance: None, *weights),),  # type: ignore[no-untyped-call]
        inputs,
        [outer],
    )


_SIZES = [*[_NUMBER] * 4, *[_CHOICE] * 3, ctypes.c_float]
NORM_KERNELS = Library(
    "norm_relu",
    {"norm_relu_forward": [*_SIZES, *[_ARRAY] * 11], "norm_relu_backward": [*_SIZES, *[_ARRAY] * 14]},
    _check,
)
