"""Layers that leave the padding behind shorter series out."""

import torch
from torch import Tensor, nn

from tsmtl.models.kernels import WithKernels
from tsmtl.models.norm_relu_native import NORM_KERNELS
from tsmtl.models.precision import in_bf16_on_cpu


def valid_steps(lengths: Tensor, x: Tensor) -> Tensor:
    """Mark the valid steps of a padded batch.

    Args:
        lengths: (N,) valid steps.
        x: (N, F, T) the batch.

    Returns:
        (N, 1, T) bool on the device of ``x``.
    """
    steps = torch.arange(x.shape[2], device=x.device)
    return (steps < lengths.to(x.device, non_blocking=True)[:, None])[:, None, :]


class BatchNorm(WithKernels, nn.BatchNorm1d):
    """Batch norm over instances and valid steps (Ioffe and Szegedy 2015, arXiv:1502.03167); padding stays zero.

    Its kernels do what stands behind it too: see :func:`tsmtl.models.norm_relu.norm_relu`.
    """

    library = NORM_KERNELS

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise (N, F, T), or (N, F, 1, T); ``valid`` is (N, 1, T), or None where all steps count."""
        if x.dim() == 4:
            return super().forward(x)
        if valid is None and (in_bf16_on_cpu(x) or x.stride(1) == 1):
            return super().forward(x.unsqueeze(2)).squeeze(2)  # (N, F, 1, T), the layout of its convolution
        if valid is None:
            return super().forward(x)
        rows = valid[:, 0, :]  # (N, T)
        steps_last = x.transpose(1, 2)  # (N, T, F)
        out = torch.zeros_like(steps_last)
        out[rows] = super().forward(steps_last[rows])
        return out.transpose(1, 2)

    def remember(self, mean: Tensor, variance: Tensor) -> None:
        """Take mean and unbiased variance (F,) of a batch into the running statistics."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take (N, F, 1, T) too."""


def mean_over_steps(x: Tensor, valid: Tensor | None) -> Tensor:
    """Average (N, F, T) over the valid steps: (N, F)."""
    if valid is None:
        return x.sum(dim=2) / x.shape[2]  # a mean takes longer, most of all its gradient, which is written as (N, F, T)
    return (x * valid).sum(dim=2) / valid.sum(dim=2)
