"""Masked reconstruction: a transformer fills in what is hidden of a series."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsmtl.models.masking import BatchNorm, valid_steps
from tsmtl.models.readout import Readout
from tsmtl.representation.attention import Attention, feed_forward
from tsmtl.representation.self_supervised import Encoder, Learner, Pretext, Recipe, SelfSupervised

POSITIONS_WITHIN = 0.02  # of 0, at the start


class TransformerLayer(nn.Module):
    """Attention and a feed-forward part, each beside its input and before a batch norm over all valid steps.

    Args:
        heads: Of the attention.
        head_size: Features of each head.
        inner: Features between the two layers of the feed-forward part.
        dropout: Probability.
    """

    def __init__(self, heads: int, head_size: int, inner: int, dropout: float) -> None:
        super().__init__()
        size = heads * head_size
        self.attention = Attention(heads, head_size, dropout)
        self.at_each_step = feed_forward(size, inner, nn.GELU(), dropout)
        self.norms = nn.ModuleList([BatchNorm(size), BatchNorm(size)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Map (N, T, D); what ``valid`` (N, T) does not mark is not looked at and stays zero."""
        own = None if valid is None else valid[:, None]
        x = self._normed(0, x + self.dropout(self.attention(x, valid)), own)
        return self._normed(1, x + self.dropout(self.at_each_step(x)), own)

    def _normed(self, which: int, x: Tensor, valid: Tensor | None) -> Tensor:
        normed: Tensor = self.norms[which](x.transpose(1, 2), valid)
        return normed.transpose(1, 2)


class TransformerEncoder(Encoder):
    """The encoder of Zerveas et al. (2021, arXiv:2010.02803, section 3): a linear layer, learnt positions, layers.

    A missing value is 0, as a hidden one is: the mean only of a standardised channel. Steps beyond the longest train
    series have its last position.

    Args:
        channels: C.
        steps: T of the longest train series.
        heads: Of each layer.
        head_size: Features of each head; E is heads * head_size.
        layers: How many.
        inner: Features between the two layers of the feed-forward parts.
        dropout: Probability.
        readout: ``mean`` or ``max`` over the steps.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        heads: int,
        head_size: int,
        layers: int,
        inner: int,
        dropout: float,
        readout: str,
    ) -> None:
        super().__init__()
        self.embed_dim = heads * head_size
        self.project = nn.Linear(channels, self.embed_dim)
        self.positions = nn.Parameter(torch.empty(steps, self.embed_dim).uniform_(-POSITIONS_WITHIN, POSITIONS_WITHIN))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(TransformerLayer(heads, head_size, inner, dropout) for _ in range(layers))
        self.readout = Readout(readout, self.embed_dim, steps=1)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Give the features (N, E, T) at every step of series (N, C, T).

        Args:
            x: NaN stands for what is missing.
            valid: (N, T) steps of shorter series, or None.
        """
        at = torch.arange(x.shape[2], device=x.device).clamp(max=len(self.positions) - 1)
        out = self.project(x.nan_to_num().transpose(1, 2)) * math.sqrt(self.embed_dim) + self.positions[at]
        out = self.dropout(out)  # (N, T, E)
        for layer in self.layers:
            out = layer(out, valid)
        return F.gelu(out).transpose(1, 2)

    def embed(self, x: Tensor) -> Tensor:
        """Give the mean or the greatest of each feature over the steps, (N, E)."""
        found: Tensor = self.readout(self(x))
        return found


class Masked(SelfSupervised):
    """The mean or the greatest of the features of a transformer that is trained to fill in what is hidden.

    Zerveas et al. 2021, arXiv:2010.02803. Missing values are hidden, and never asked for. A training batch of unequal
    lengths knows which steps are padding: they are not looked at, not in batch norms, and not asked for.

    Args:
        recipe: How it is trained.
        device: Where it works.
        learner: Trains it; None of one whose state is to be loaded.
        heads: Of each layer.
        head_size: Features of each head; E is heads * head_size.
        layers: How many.
        inner_size: Features between the two layers of the feed-forward parts.
        dropout: Of the encoder and before the filling in.
        readout: ``mean`` or ``max``.
        hidden_share: Of the values of each channel.
        hidden_length: Mean steps of a hidden stretch.
    """

    takes_gaps: ClassVar[bool] = True
    of_gaps: ClassVar[str] = "hidden"

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        learner: Learner | None,
        heads: int,
        head_size: int,
        layers: int,
        inner_size: int,
        dropout: float,
        readout: str,
        hidden_share: float,
        hidden_length: float,
    ) -> None:
        super().__init__(recipe, device, learner)
        self._of_encoder = (heads, head_size, layers, inner_size, dropout, readout)
        self._of_hiding = (hidden_share, hidden_length, dropout)

    def pretext(self, channels: int, steps: int) -> "FillingIn":
        """Make a new encoder with what it fills in."""
        encoder = TransformerEncoder(channels, steps, *self._of_encoder)
        return FillingIn(encoder, channels, *self._of_hiding, self.recipe.precision == "bf16")


class FillingIn(Pretext):
    """The mean squared error of hidden values, each channel hidden by itself.

    Args:
        encoder: The encoder.
        channels: C.
        hidden_share: Of the values of each channel.
        hidden_length: Mean steps of a hidden stretch.
        dropout: Before the filling in.
        bf16: Let the encoder train in bfloat16.
    """

    def __init__(
        self,
        encoder: TransformerEncoder,
        channels: int,
        hidden_share: float,
        hidden_length: float,
        dropout: float,
        bf16: bool,
    ) -> None:
        super().__init__(encoder, {"reconstruction": 1.0}, bf16)
        self.hidden_share, self.hidden_length = hidden_share, hidden_length
        self.dropout = nn.Dropout(dropout)
        self.fill_in = nn.Linear(encoder.embed_dim, channels)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Give the error on a batch of series (N, C, T); random numbers are torch's."""
        valid = None if lengths is None else valid_steps(lengths, x)[:, 0]
        hidden = hidden_stretches(x.shape, self.hidden_share, self.hidden_length, x.device)
        features = self.in_precision(self.encoder, x.masked_fill(hidden, 0.0), valid)
        filled = self.fill_in(self.dropout(features.transpose(1, 2))).transpose(1, 2)  # (N, C, T)
        asked = hidden & ~x.isnan()
        asked = asked if valid is None else asked & valid[:, None]
        error = torch.where(asked, filled - x.nan_to_num(), 0.0)
        return {"reconstruction": (error**2).sum() / asked.sum().clamp(min=1)}


def hidden_stretches(shape: torch.Size, share: float, length: float, device: torch.device) -> Tensor:
    """Draw what is hidden: stretches of geometric length, with others between them, along the last dimension.

    Args:
        shape: (N, C, T).
        share: Of what is hidden, at most ``length / (1 + length)``.
        length: Mean steps of a hidden stretch; those between have ``length * (1 - share) / share``.
        device: Where to.

    Returns:
        (N, C, T) bool.
    """
    *rows, steps = shape
    begins_hidden = torch.rand((*rows, 1), device=device) < share
    odd = torch.arange(steps, device=device) % 2 == 1
    of_hidden = begins_hidden ^ odd  # (N, C, T): whether the stretches, one after another, are hidden
    mean = torch.where(of_hidden, length, length * (1 - share) / share)
    uniform = 1 - torch.rand((*rows, steps), device=device)  # in (0, 1]
    stays = torch.log1p(-1 / mean)  # of the probability that a stretch goes on
    stretches = (uniform.log() / stays).floor() + 1
    ends = stretches.clamp(max=steps).cumsum(dim=-1)
    at = torch.arange(steps, device=device, dtype=ends.dtype).expand(*rows, steps).contiguous()
    which = torch.searchsorted(ends, at, right=True)  # stretches that have ended
    return of_hidden.gather(-1, which)
