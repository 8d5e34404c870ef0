"""Weights for numbers whose values are rare in the train split."""

import torch
from torch import Tensor

BINS = 100
KERNEL_SD = 2.0  # of the Gaussian that smooths the density, in bins
LARGEST_RATIO = 100.0  # of two weights: a single far value would outweigh all else


class RareNumberWeights:
    """Weighs a number by the inverse of its smoothed density (Yang et al. 2021, arXiv:2102.09554, "LDS").

    The range of the train values is divided into bins, whose counts a Gaussian smooths; at the ends it is taken over
    the bins that are there, so that an even density gives even weights. Each of D numbers has bins of its own. The mean
    weight of the train values is 1, and no weight is more than a hundred times another.

    Args:
        values: (N, D) scaled targets of the train split, NaN where missing.
    """

    def __init__(self, values: Tensor) -> None:
        known = ~values.isnan()
        self.low = values.masked_fill(~known, torch.inf).amin(dim=0)  # (D,)
        self.width = (values.masked_fill(~known, -torch.inf).amax(dim=0) - self.low) / BINS
        centres = torch.arange(BINS, device=values.device, dtype=torch.float64)
        kernel = torch.exp(-0.5 * ((centres[:, None] - centres) / KERNEL_SD) ** 2)
        kernel /= kernel.sum(dim=1, keepdim=True)
        tables = []
        for bins, there in zip(self._bins(values).T, known.T, strict=True):
            density = kernel @ torch.bincount(bins[there], minlength=BINS).double()
            weights = 1 / density.clamp(min=density.max() / LARGEST_RATIO)
            tables.append(weights / weights[bins[there]].mean())
        self.table = torch.stack(tables).float()  # (D, bins)

    def __call__(self, targets: Tensor) -> Tensor:
        """Give the weights (N, D) of targets (N, D); beyond the range of train they are those of its ends."""
        return self.table.gather(1, self._bins(targets).T).T

    def _bins(self, values: Tensor) -> Tensor:
        return ((values.nan_to_num() - self.low) / self.width).clamp(0, BINS - 1).long()
