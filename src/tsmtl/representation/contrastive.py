"""TS-TCC: a weak and a strong view of a series tell each other's future, and agree on its context."""

import logging
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsmtl.config.errors import UserError
from tsmtl.models.convolution import Convolution
from tsmtl.models.masking import BatchNorm, valid_steps
from tsmtl.models.readout import Readout
from tsmtl.representation.attention import Attention, feed_forward
from tsmtl.representation.augmented_views import jittered_and_scaled, permuted_and_jittered
from tsmtl.representation.hierarchical_contrast import contrast
from tsmtl.representation.method import TrainSeries
from tsmtl.representation.self_supervised import Encoder, Learner, Pretext, Recipe, SelfSupervised

log = logging.getLogger(__name__)
BLOCKS = 3
HALF = 2  # a context is projected to half its features, and then to half of these
Steps = TypeVar("Steps", int, Tensor)


class ConvolutionalEncoder(Encoder):
    """Three blocks of convolution, batch norm, ReLU and pooling, which halves the steps; dropout behind the first.

    Args:
        channels: C.
        features: F of the last block; half and a quarter of it, rounded up, of those before it.
        kernel_size: Taps.
        dropout: Probability.
        readout: ``mean`` or ``max`` over the steps.
    """

    def __init__(self, channels: int, features: int, kernel_size: int, dropout: float, readout: str) -> None:
        super().__init__()
        sizes = [channels, *(-(-features // 2**i) for i in (2, 1, 0))]
        self.around = ((kernel_size - 1) // 2, kernel_size // 2)  # zeros that keep T
        self.convolutions = nn.ModuleList(Convolution(sizes[i], sizes[i + 1], kernel_size) for i in range(BLOCKS))
        self.norms = nn.ModuleList(BatchNorm(size) for size in sizes[1:])
        self.dropout = nn.Dropout(dropout)
        self.readout = Readout(readout, features, steps=1)
        self.embed_dim = features

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Give the features (N, F, T') of series (N, C, T); T' is an eighth of T, rounded up.

        Args:
            x: Without missing values.
            valid: (N, T) steps of shorter series, or None; what lies beyond them stays zero.
        """
        for i in range(BLOCKS):
            own = None if valid is None else valid[:, None]
            x = F.relu(self.norms[i](self.convolutions[i](F.pad(x, self.around)), own))
            x = F.max_pool1d(x, 2, ceil_mode=True)  # of what is 0 at least: zeros beyond the end do not count
            valid = None if valid is None else valid[:, ::2]
            x = self.dropout(x) if i == 0 else x
        return x

    def embed(self, x: Tensor) -> Tensor:
        """Give the mean or the greatest of each feature over the steps, (N, E)."""
        found: Tensor = self.readout(self(x))
        return found


class ContextLayer(nn.Module):
    """Attention and a feed-forward part, each behind a layer norm and beside its input.

    Args:
        heads: Of the attention.
        head_size: Features of each head.
        inner: Features between the two layers of the feed-forward part.
        dropout: Probability.
    """

    def __init__(self, heads: int, head_size: int, inner: int, dropout: float) -> None:
        super().__init__()
        size = heads * head_size
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])
        self.attention = Attention(heads, head_size, dropout)
        self.at_each_step = feed_forward(size, inner, nn.ReLU(), dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Map (N, T, D); what ``valid`` (N, T) does not mark is not looked at."""
        x = x + self.dropout(self.attention(self.norms[0](x), valid))
        found: Tensor = x + self.dropout(self.at_each_step(self.norms[1](x)))
        return found


class Context(nn.Module):
    """The autoregressive part: what features up to a step say together.

    A learnt token looks at them through layers of attention; positions are not told, as in the paper.

    Args:
        features: F.
        heads: Of each layer.
        head_size: Features of each head; D is heads * head_size.
        layers: How many.
        dropout: Probability.
    """

    def __init__(self, features: int, heads: int, head_size: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.size = heads * head_size
        self.project = nn.Linear(features, self.size)
        self.token = nn.Parameter(torch.randn(self.size))
        self.layers = nn.ModuleList(ContextLayer(heads, head_size, self.size, dropout) for _ in range(layers))

    def forward(self, x: Tensor, upto: Tensor) -> Tensor:
        """Give the contexts (N, D) of features (N, F, T), each of the steps 0 to ``upto`` (N,)."""
        out = self.project(x.transpose(1, 2))  # (N, T, D)
        out = torch.cat([self.token.to(out).expand(len(x), 1, -1), out], dim=1)
        valid = torch.arange(out.shape[1], device=x.device) <= upto[:, None] + 1  # the token is before the steps
        for layer in self.layers:
            out = layer(out, valid)
        found: Tensor = out[:, 0]
        return found


class Contrastive(SelfSupervised):
    """The mean or the greatest of the features of an encoder that is trained like TS-TCC's (Eldele et al. 2021).

    arXiv:2106.14112. Missing values are filled before. A training batch of unequal lengths knows which steps are
    padding: they take no part in convolutions, batch norms, pieces, contexts and futures.

    Args:
        recipe: How it is trained.
        device: Where it works.
        learner: Trains it; None of one whose state is to be loaded.
        features: E.
        kernel_size: Taps of the convolutions.
        dropout: Of the encoder.
        readout: ``mean`` or ``max``.
        weak_jitter: Noise of the weak view, beside each channel's sd.
        weak_scale: Sd of its factor.
        strong_segments: Pieces of the strong view at most.
        strong_jitter: Its noise.
        future_share: Share of the encoder's steps whose features are told from those before.
        heads: Of the context's attention.
        head_size: Features of each head.
        layers: Of the context.
        context_dropout: Of the context.
        temperature: Of the contextual contrast.
        temporal_weight: Of the temporal contrast in the loss.
        contextual_weight: Of the contextual one.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        learner: Learner | None,
        features: int,
        kernel_size: int,
        dropout: float,
        readout: str,
        weak_jitter: float,
        weak_scale: float,
        strong_segments: int,
        strong_jitter: float,
        future_share: float,
        heads: int,
        head_size: int,
        layers: int,
        context_dropout: float,
        temperature: float,
        temporal_weight: float,
        contextual_weight: float,
    ) -> None:
        super().__init__(recipe, device, learner)
        self._of_encoder = (features, kernel_size, dropout, readout)
        self._of_context = (heads, head_size, layers, context_dropout)
        self._of_views = (weak_jitter, weak_scale, strong_segments, strong_jitter)
        self._of_loss = (future_share, temperature, temporal_weight, contextual_weight)

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Train the network.

        Raises:
            UserError: If there is one series only, or the loss would have no part.
        """
        if len(train) < 2:
            raise UserError(
                "representation: contrastive tells train series from each other, and there is one; "
                "representation=summary takes any number"
            )
        *_, temporal_weight, contextual_weight = self._of_loss
        has_future = _eighth(train.longest) > 1
        if contextual_weight == 0 and (temporal_weight == 0 or not has_future):
            raise UserError(
                "representation.contextual_weight: must be above 0 where temporal_weight is 0, or the longest train "
                f"series has {2**BLOCKS} time steps or fewer and so no future; there is nothing else to learn"
            )
        if not has_future:
            log.warning(
                "representation: the encoder of contrastive makes one step of %d, so that there is no future to tell; "
                "the contextual contrast alone is learnt",
                2**BLOCKS,
            )
        super().fit(train, seed)

    def pretext(self, channels: int, steps: int) -> "Futures":
        """Make a new encoder with its views, contexts and futures."""
        encoder = ConvolutionalEncoder(channels, *self._of_encoder)
        context = Context(encoder.embed_dim, *self._of_context)
        return Futures(encoder, context, steps, self._of_views, *self._of_loss, self.recipe.precision == "bf16")


class Futures(Pretext):
    """Temporal and contextual contrast of a weak and a strong view.

    Args:
        encoder: The encoder.
        context: The autoregressive part.
        steps: T of the longest train series.
        views: Noise and factor of the weak view, pieces and noise of the strong one.
        future_share: Share of the encoder's steps that are told.
        temperature: Of the contextual contrast.
        temporal_weight: Of the temporal contrast.
        contextual_weight: Of the contextual one.
        bf16: Let encoder and context train in bfloat16.
    """

    def __init__(
        self,
        encoder: ConvolutionalEncoder,
        context: Context,
        steps: int,
        views: tuple[float, float, int, float],
        future_share: float,
        temperature: float,
        temporal_weight: float,
        contextual_weight: float,
        bf16: bool,
    ) -> None:
        super().__init__(encoder, {"temporal": temporal_weight, "contextual": contextual_weight}, bf16)
        self.context, self.views, self.temperature = context, views, temperature
        encoded = _eighth(steps)
        self.future = min(encoded - 1, max(1, round(future_share * encoded)))  # K steps
        self.tell = nn.Linear(context.size, max(1, self.future) * encoder.embed_dim)
        middle = max(1, context.size // HALF)
        self.project = nn.Sequential(
            nn.Linear(context.size, middle),
            nn.BatchNorm1d(middle),
            nn.ReLU(),
            nn.Linear(middle, max(1, middle // HALF)),
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Give the contrasts of a batch of series (N, C, T); random numbers are torch's."""
        valid = None if lengths is None else valid_steps(lengths, x)[:, 0]
        weak_jitter, weak_scale, segments, strong_jitter = self.views
        weak = jittered_and_scaled(x, valid, weak_jitter, weak_scale)
        strong = permuted_and_jittered(x, valid, segments, strong_jitter)
        features = [F.normalize(self.in_precision(self.encoder, view, valid), dim=1) for view in (weak, strong)]
        encoded = torch.full((len(x),), _eighth(x.shape[2])) if lengths is None else _eighth(lengths)
        at = (torch.rand(()) * (encoded - self.future).clamp(min=1)).floor().long()  # (N,), the same where lengths are
        ends, at = encoded.to(x.device, non_blocking=True), at.to(x.device, non_blocking=True)
        contexts = [self.in_precision(self.context, own, at) for own in features]
        temporal = self._told(contexts[0], features[1], at, ends) + self._told(contexts[1], features[0], at, ends)
        projected = F.normalize(self.project(torch.cat(contexts)), dim=1) / self.temperature**0.5
        return {"temporal": temporal, "contextual": contrast(projected[None], None)}

    def _told(self, context: Tensor, features: Tensor, at: Tensor, ends: Tensor) -> Tensor:
        """Give the loss of telling, from contexts of one view, which features of the other come 1 to K steps later.

        Args:
            context: (N, D), of the steps up to ``at``.
            features: (N, F, T') of the other view.
            at: (N,) steps.
            ends: (N,) valid steps.
        """
        if self.future < 1:
            return features.sum() * 0  # one step has no future
        n, size, steps = features.shape
        ahead = at[:, None] + torch.arange(1, self.future + 1, device=at.device)  # (N, K)
        there = (ahead < ends[:, None]).T  # (K, N)
        where = ahead.clamp(max=steps - 1)[:, None, :].expand(-1, size, -1)
        later = features.gather(2, where).permute(2, 0, 1)  # (K, N, F)
        told = self.tell(context).view(n, self.future, size).transpose(0, 1)  # (K, N, F)
        products = (told @ later.transpose(1, 2)).masked_fill(
            ~there[:, None, :], torch.finfo(later.dtype).min
        )  # (K, N, N)
        each = products.logsumexp(dim=2) - products.diagonal(0, 1, 2)  # (K, N)
        return torch.where(there, each, 0).sum() / there.sum().clamp(min=1)


def _eighth(steps: Steps) -> Steps:
    """Give the steps that are left of some, behind the pooling."""
    for _ in range(BLOCKS):
        steps = (steps + 1) // 2
    return steps
