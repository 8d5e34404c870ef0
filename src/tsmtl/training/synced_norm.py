"""Batch norm whose mean and variance are those of the whole batch, of which each rank has a share.

PyTorch's own ``SyncBatchNorm`` is for CUDA alone, and counts the row that a rank without any borrows.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Summing(Protocol):
    """Sums over ranks."""

    @property
    def has_rows(self) -> bool:
        """Whether this rank has rows of the batch under way, and not a borrowed one that counts nowhere."""

    def summed(self, values: Tensor) -> Tensor:
        """Give the sum of the ranks' values."""


class _SumOverRanks(torch.autograd.Function):
    """The sum, whose gradient is the sum of what all ranks made of it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Summing) -> Tensor:
        ctx.ranks = ranks
        return ranks.summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.summed(gradients[0]), None


class SyncedNorm(_BatchNorm):
    """What a batch norm does in training, over the rows of all ranks; :func:`sync_norms` mixes it in."""

    ranks: Summing

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, F) or (N, F, ...)."""
        if not self.training:
            return super().forward(x)
        others = [dim for dim in range(x.ndim) if dim != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        counted = float(self.ranks.has_rows)
        kind, x = x.dtype, x.float()  # bfloat16 would add up the rows of all ranks to three digits
        rows = x.new_full((1,), counted * (x.numel() // x.shape[1]))
        sums = self._summed(torch.cat([counted * x.sum(dim=others), rows]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - mean.view(shape)
        variance = self._summed(counted * (centred**2).sum(dim=others)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        out = centred * (variance + self.eps).rsqrt().view(shape)
        out = out if self.weight is None else out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(kind)

    def _summed(self, values: Tensor) -> Tensor:
        summed: Tensor = _SumOverRanks.apply(values, self.ranks)  # type: ignore[no-untyped-call]
        return summed

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as PyTorch's batch norm does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def sync_norms(model: nn.Module, ranks: Summing) -> None:
    """Let every batch norm of a model count the rows of all ranks; names and weights stay."""
    for module in model.modules():
        kind = type(module)
        if isinstance(module, _BatchNorm) and not isinstance(module, SyncedNorm):
            # The module's own class comes first, so that its forward, such as that for padding, calls the one above.
            module.__class__ = type(f"Synced{kind.__name__}", (kind, SyncedNorm), {})
            module.ranks = ranks  # type: ignore[assignment]  # a module may have other attributes than modules
