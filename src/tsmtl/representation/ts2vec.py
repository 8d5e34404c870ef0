"""TS2Vec: views of a series that overlap agree where they do, at every scale of time."""

import logging
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray, blocks
from tsmtl.representation.dilated_encoder import DilatedEncoder
from tsmtl.representation.hierarchical_contrast import hierarchical_contrast
from tsmtl.representation.method import TrainSeries
from tsmtl.representation.self_supervised import Learner, Pretext, Recipe, SelfSupervised

log = logging.getLogger(__name__)
SMALL = 100_000  # values (N * C * T) up to which a set is small, and
STEPS_OF_SMALL, STEPS = 200, 600  # how long is trained then, and else
FEW = 0.5  # of the train steps: fewer that have all channels are warned of


class TS2Vec(SelfSupervised):
    """The greatest value of each feature over the steps, of an encoder trained by contrast (Yue et al. 2022).

    arXiv:2106.10466. Steps of which a channel is missing are hidden as those are that the training hides. A training
    batch of unequal lengths knows which steps are padding: they are zero in every layer and take no part in the loss.

    Args:
        recipe: How it is trained; steps None: 200 for sets of up to 100,000 values, else 600.
        device: Where it works.
        learner: Trains it; None of one whose state is to be loaded.
        embed_dim: E.
        hidden_size: Features within.
        depth: Residual blocks before the last one.
        kernel_size: Taps of the convolutions, odd.
        dropout: Of the vectors of a training.
        hidden_share: Probability that a view does not see a step.
        longest_view: Most steps of a view.
        temporal_unit: The scale, counted from 0, at which temporal contrast begins.
    """

    takes_gaps: ClassVar[bool] = True
    of_gaps: ClassVar[str] = "their steps hidden"

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        learner: Learner | None,
        embed_dim: int,
        hidden_size: int,
        depth: int,
        kernel_size: int,
        dropout: float,
        hidden_share: float,
        longest_view: int,
        temporal_unit: int,
    ) -> None:
        super().__init__(recipe, device, learner)
        self._of_encoder = (embed_dim, hidden_size, depth, kernel_size, dropout)
        self._of_views = (hidden_share, longest_view, temporal_unit)
        self._has_told = False

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Train the network.

        Raises:
            UserError: If it would see no step.
        """
        share = _share_of_whole_steps(train)
        if share == 0:
            raise UserError(
                "representation: ts2vec sees the steps at which no channel is missing, and train has none; a method "
                "that fills, such as representation=contrastive, reads such series, and so does summary"
            )
        if share < FEW:
            log.warning(
                "representation: ts2vec sees %.1f %% of the train steps: at all others a channel is missing; a method "
                "that fills, such as representation=contrastive, sees all, and so does summary",
                100 * share,
            )
        super().fit(train, seed)

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the vectors (N, E) of series (N, C, T); warn once of those of which it sees nothing."""
        if not self._has_told and np.isnan(x).any(axis=1).all(axis=-1).any():
            self._has_told = True
            log.warning(
                "representation: some series have no step at which no channel is missing; ts2vec sees nothing of "
                "them, and their vectors are all the same"
            )
        return super().transform(x)

    def recipe_for(self, train: TrainSeries) -> Recipe:
        """Train for longer on a larger set."""
        if self.recipe.steps is not None:
            return self.recipe
        small = len(train) * len(train.channels) * train.longest <= SMALL
        return replace(self.recipe, steps=STEPS_OF_SMALL if small else STEPS)

    def pretext(self, channels: int, steps: int) -> "Views":
        """Make a new encoder with its views."""
        return Views(DilatedEncoder(channels, *self._of_encoder), *self._of_views, self.recipe.precision == "bf16")


def _share_of_whole_steps(train: TrainSeries) -> float:
    """Give the share of the train series' own steps at which no channel is missing."""
    whole = every = 0
    for block in blocks(len(train), train.x):
        rows = train.rows[block]
        there = ~np.isnan(train.x[rows]).any(axis=1)  # (n, T)
        own = np.ones_like(there) if train.lengths is None else np.arange(there.shape[1]) < train.lengths[rows, None]
        whole += int((there & own).sum())
        every += int(own.sum())
    return whole / every


class Views(Pretext):
    """Two views of each series, random in time and with steps hidden at random, and their contrast.

    Args:
        encoder: The encoder.
        hidden_share: Probability that a view does not see a step.
        longest_view: Most steps of both views together.
        temporal_unit: The scale at which temporal contrast begins.
        bf16: Let the encoder train in bfloat16.
    """

    def __init__(
        self, encoder: DilatedEncoder, hidden_share: float, longest_view: int, temporal_unit: int, bf16: bool
    ) -> None:
        super().__init__(encoder, {"instance": 0.5, "temporal": 0.5}, bf16)
        self.hidden_share, self.longest_view, self.temporal_unit = hidden_share, longest_view, temporal_unit

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Give the contrasts of a batch of series (N, C, T); random numbers are torch's."""
        begin, left, right, end = drawn_views(min(x.shape[2], self.longest_view), self.temporal_unit)
        both, valid = windows(x, lengths, end - begin)
        split = [slice(None, right - begin), slice(left - begin, None)]
        first, second = (
            self.in_precision(self.encoder, both[:, :, own], self._shown(both[:, 0, own]), _part(valid, own))
            for own in split
        )
        shared = None if valid is None else valid[:, 0, left - begin : right - begin]
        views = first[:, :, left - begin :], second[:, :, : right - left]
        instance, temporal = hierarchical_contrast(*views, shared, self.temporal_unit)
        return {"instance": instance, "temporal": temporal}

    def _shown(self, steps: Tensor) -> Tensor:
        return torch.rand(steps.shape, device=steps.device) >= self.hidden_share


def drawn_views(steps: int, temporal_unit: int) -> tuple[int, int, int, int]:
    """Draw where views begin and end: the first is [begin, right), the second [left, end), both have [left, right).

    Args:
        steps: T at most.
        temporal_unit: The shared part has two steps at least at its scale, where there are so many.
    """
    shared = _drawn(min(2 ** (temporal_unit + 1), steps), steps)
    left = _drawn(0, steps - shared)
    right = left + shared
    return _drawn(0, left), left, right, _drawn(right, steps)


def windows(x: Tensor, lengths: Tensor | None, width: int) -> tuple[Tensor, Tensor | None]:
    """Cut a window of one width out of each series, wherever it may lie; a shorter series lies anywhere in it.

    Args:
        x: (N, C, T).
        lengths: (N,) valid steps on the CPU, or None.
        width: W, at most T.

    Returns:
        (N, C, W), and which steps are the series', (N, 1, W); None where all are.
    """
    own = torch.full((len(x),), x.shape[2]) if lengths is None else lengths
    room = (own - width).to(x.device, non_blocking=True)[:, None]  # (N, 1), below 0 of shorter series
    drawn = (torch.rand(room.shape, device=x.device) * (room.abs() + 1)).floor().long()
    first = drawn.minimum(room.abs()) + room.clamp(max=0)  # rounding may have reached what is not drawn
    at = first + torch.arange(width, device=x.device)  # (N, W)
    found = x.gather(2, at.clamp(0, x.shape[2] - 1)[:, None, :].expand(-1, x.shape[1], -1))
    if lengths is None:
        return found, None
    inside = ((at >= 0) & (at < lengths.to(x.device, non_blocking=True)[:, None]))[:, None, :]
    return found.masked_fill(~inside, 0), inside


def _part(valid: Tensor | None, own: slice) -> Tensor | None:
    return None if valid is None else valid[:, :, own]


def _drawn(least: int, most: int) -> int:
    """Draw a whole number, on the CPU; both ends may come."""
    return int(torch.randint(least, most + 1, ()))
