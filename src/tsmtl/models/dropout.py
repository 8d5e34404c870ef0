"""Dropout of 16 random bits a value, and by a native kernel (``native/dropout.cpp``) whose mask is not kept."""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.kernels import WithKernels
from tsmtl.models.transformed import transformed
from tsmtl.native import Library

LEVELS = 2**16  # of a random number: probabilities are multiples of 1 / LEVELS
WORTH_A_CALL = 2**12  # values; torch drops fewer as fast
WORTH_THREADS = 2**18
_MASK = 2**32 - 1


def dropped(kernels: ctypes.CDLL, x: Tensor, p: float, key: int) -> Tensor:
    """Give ``x`` with values dropped, the others so much larger that the expectation stays."""
    x = x.contiguous()
    out, levels = torch.empty_like(x), _levels(p)
    threads = torch.get_num_threads() if x.numel() >= WORTH_THREADS else 1
    sizes = x.numel(), threads, x.dtype is torch.bfloat16, key, levels, LEVELS / (LEVELS - levels)
    kernels.dropout(*sizes, x.data_ptr(), out.data_ptr())
    return out


def mask_of(x: Tensor, p: float) -> Tensor:
    """Draw what values are multiplied by: 0, or so much above 1 that the expectation stays.

    A value is dropped where 16 random bits of torch's generator say so, which it makes four of at a time: a fourth of
    the numbers that ``F.dropout`` draws, which takes a random number of 53 bits for each value.
    """
    levels = _levels(p)
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[: x.numel()].view(x.shape)
    stays = bits.ge_(levels - LEVELS // 2)  # in place, and so as integers: bools take several times as long
    return stays.to(x.dtype).mul_(LEVELS / (LEVELS - levels))


def _levels(p: float) -> int:
    """Give how many of all random numbers drop a value; never all."""
    return min(round(p * LEVELS), LEVELS - 1)


def philox(counter: int, key: int) -> list[int]:
    """Compute Philox4x32-10 of one counter (Salmon et al. 2011): four words of 32 bits."""
    words, keys = [counter & _MASK, counter >> 32, 0, 0], [key & _MASK, (key >> 32) & _MASK]
    for _ in range(10):
        first, second = words[0] * 0xD2511F53, words[2] * 0xCD9E8D57
        words = [(second >> 32) ^ words[1] ^ keys[0], second & _MASK, (first >> 32) ^ words[3] ^ keys[1], first & _MASK]
        keys = [(keys[0] + 0x9E3779B9) & _MASK, (keys[1] + 0xBB67AE85) & _MASK]
    return words


def _check(kernels: ctypes.CDLL) -> str | None:
    """Compare what is dropped with the mask of the random numbers computed by Python's."""
    key, n = 0x123456789ABCDEF, 300
    found = dropped(kernels, torch.ones(n), 0.5, key) > 0
    words = [philox(counter, key) for counter in range(n // 8 + 16)]
    for i in range(n):
        block, place, lane = i // 128, i % 128 // 16, i % 16
        bits = words[16 * block + lane][place // 2] >> (16 * (place % 2)) & 0xFFFF
        if bool(found[i]) != (bits >= LEVELS // 2):
            return f"value {i} is not as its random number says"
    return None


DROPOUT_KERNELS = Library(
    "dropout",
    {
        "dropout": [
            ctypes.c_int64,
            *[ctypes.c_int] * 2,
            ctypes.c_int64,
            ctypes.c_int,
            ctypes.c_float,
            *[ctypes.c_void_p] * 2,
        ]
    },
    _check,
)


class DropValues(torch.autograd.Function):
    """``apply(kernels, x, p, key)``: drop values of ``x`` with probability ``p``, to a 2^-16; the key says which."""

    @staticmethod
    def forward(ctx: Any, kernels: ctypes.CDLL, x: Tensor, p: float, key: int) -> Tensor:  # noqa: D102
        ctx.kernels, ctx.p, ctx.key = kernels, p, key
        return dropped(kernels, x, p, key)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None, None]:  # noqa: D102
        return None, DropValues.apply(ctx.kernels, gradients[0], ctx.p, ctx.key), None, None  # type: ignore[no-untyped-call]


class Dropout(WithKernels, nn.Dropout):
    """``nn.Dropout`` to a 2^-16 of ``p``, by other random numbers; by the kernel they follow from one of torch's."""

    library = DROPOUT_KERNELS

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of any shape."""
        if not self._fits(x):
            return super().forward(x)
        if not self.native:
            return x * mask_of(x, self.p)
        key = int(torch.empty((), dtype=torch.int64, device=x.device).random_())
        found: Tensor = DropValues.apply(DROPOUT_KERNELS.loaded, x, self.p, key)  # type: ignore[no-untyped-call]
        return found

    def _fits(self, x: Tensor) -> bool:
        # Without gradients too: a second look at a batch is to see the mask of the first.
        here = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)
        return self.training and not transformed() and here and 0 < self.p < 1 and x.numel() >= WORTH_A_CALL
