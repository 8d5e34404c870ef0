"""Squeeze-and-excite: channels weighed by what all steps say together."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsmtl.models.masking import mean_over_steps

REDUCTION = 16  # of its layers, as in the papers of LSTM-FCN


class SqueezeExcite(nn.Module):
    """Weighs the channels by what all steps say together (Hu et al. 2018, arXiv:1709.01507).

    Args:
        channels: F, channels of the feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // REDUCTION)
        self.squeeze = nn.Linear(channels, narrow, bias=False)
        self.excite = nn.Linear(narrow, channels, bias=False)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Weigh (N, F, T)."""
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(mean_over_steps(x, valid)))))  # (N, F)
        return x * weight[:, :, None]
