"""Residual blocks of dilated convolutions: a vector at every step that sees far around it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsmtl.models.convolution import FEW
from tsmtl.models.precision import in_bf16_on_cpu
from tsmtl.representation.self_supervised import Encoder


class DilatedConvolution(nn.Conv1d):
    """A convolution of (N, F, T) along time that keeps T, zeros beyond the ends.

    Taps that lie beyond both ends from everywhere are left out of the sum; they would add zeros. In bfloat16 the same
    holds as for :class:`tsmtl.models.convolution.Convolution`.

    Args:
        before: F of the input.
        after: F of the output.
        kernel_size: Taps, odd.
        dilation: Steps from tap to tap.
    """

    def __init__(self, before: int, after: int, kernel_size: int, dilation: int) -> None:
        super().__init__(before, after, kernel_size, dilation=dilation)
        self.side, self.apart = kernel_size // 2, dilation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, F, T)."""
        reach = min(self.side, (x.shape[2] - 1) // self.apart)
        weight = self.weight[:, :, self.side - reach : self.side + reach + 1]
        if in_bf16_on_cpu(x) and self.in_channels < FEW:
            with torch.autocast(x.device.type, enabled=False):
                return self._along(x.float(), weight, reach).to(torch.bfloat16)
        return self._along(x, weight, reach)

    def _along(self, x: Tensor, weight: Tensor, reach: int) -> Tensor:
        if not in_bf16_on_cpu(x):
            return F.conv1d(x, weight, self.bias, padding=reach * self.apart, dilation=self.apart)
        maps = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)  # (N, F, 1, T)
        over = weight.unsqueeze(2)
        return F.conv2d(maps, over, self.bias, padding=(0, reach * self.apart), dilation=(1, self.apart)).squeeze(2)


class Block(nn.Module):
    """Two convolutions behind GELUs, and the input beside them.

    Args:
        before: F of the input.
        after: F of the output.
        kernel_size: Taps, odd.
        dilation: Steps from tap to tap.
        projected: Whether the input is brought to the output's F by weights, which it is where these differ.
    """

    def __init__(self, before: int, after: int, kernel_size: int, dilation: int, projected: bool) -> None:
        super().__init__()
        self.first = DilatedConvolution(before, after, kernel_size, dilation)
        self.second = DilatedConvolution(after, after, kernel_size, dilation)
        self.beside = nn.Conv1d(before, after, 1) if projected or before != after else nn.Identity()

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Map (N, F, T); what ``valid`` (N, 1, T) does not mark stays zero."""
        out = only(self.first(F.gelu(x)), valid)
        return only(self.second(F.gelu(out)) + self.beside(x), valid)


class DilatedEncoder(Encoder):
    """The encoder of TS2Vec (Yue et al. 2022, arXiv:2106.10466, section 2.2).

    A linear layer at each step, then ``depth`` residual blocks whose dilation doubles from block to block, and one
    that gives E features; dropout at last. A step of which any channel is missing is not seen: it is zero behind the
    linear layer, and so is what a training hides.

    Args:
        channels: C.
        embed_dim: E.
        hidden_size: Features within.
        depth: Blocks before the last one.
        kernel_size: Taps of the convolutions, odd.
        dropout: Probability, of the vectors of a training.
    """

    def __init__(
        self, channels: int, embed_dim: int, hidden_size: int, depth: int, kernel_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.at_each_step = nn.Linear(channels, hidden_size)
        sizes = [hidden_size] * (depth + 1) + [embed_dim]
        self.blocks = nn.ModuleList(
            Block(sizes[i], sizes[i + 1], kernel_size, 2**i, projected=i == depth) for i in range(depth + 1)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, shown: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Give the vectors (N, E, T) at every step of series (N, C, T).

        Args:
            x: NaN stands for what is missing.
            shown: (N, T) steps that a training does not hide, or None.
            valid: (N, 1, T) steps of shorter series, or None; beyond them all stays zero, as beyond every end.
        """
        seen = ~x.isnan().any(dim=1)  # (N, T)
        seen = seen if shown is None else seen & shown
        out = only(self.at_each_step(x.nan_to_num().transpose(1, 2)).transpose(1, 2), seen[:, None, :])
        out = only(out, valid)
        for block in self.blocks:
            out = block(out, valid)
        found: Tensor = self.dropout(out)
        return found

    def embed(self, x: Tensor) -> Tensor:
        """Give the greatest value of each feature over the steps, (N, E)."""
        found: Tensor = self(x).amax(dim=2)
        return found


def only(x: Tensor, valid: Tensor | None) -> Tensor:
    """Set to zero what is not marked in (N, 1, T)."""
    return x if valid is None else x * valid
