"""Random changes of the inputs of a training batch, on its device, drawn by torch's own generator of that device.

What lies behind the end of a shorter series stays as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tsmtl.models.masking import valid_steps
from tsmtl.training.batches import Split, in_order, take_rows
from tsmtl.training.evaluation import EVALUATION_BATCH
from tsmtl.training.objective import Losses, Objective

WARPED = 0.1  # share of a series that window_warp makes faster or slower


@dataclass(frozen=True)
class Channels:
    """Mean and sd, (C,) each, of the prepared train inputs."""

    mean: Tensor
    sd: Tensor


def channels_of(split: Split) -> Channels:
    """Measure a split, padding left out; reads it once."""
    sums: list[Tensor] = []
    for x, lengths in in_order(split, slice(0, len(split)), EVALUATION_BATCH):
        values = (x if x.ndim == 3 else x[:, :, None]).double()
        there = torch.ones_like(values) if lengths is None else valid_steps(lengths, x).expand_as(x).double()
        values = values * there
        sums.append(torch.stack([part.sum(dim=(0, 2)) for part in (there, values, values**2)]))
    count, total, squares = torch.stack(sums).sum(dim=0)
    mean = total / count
    return Channels(mean.float(), (squares / count - mean**2).clamp(min=0).sqrt().float())


def jitter(x: Tensor, level: float, steps: Tensor, channels: Channels) -> Tensor:
    """Add Gaussian noise; its sd is ``level`` times the channel's own."""
    return x + level * _per_channel(channels.sd, x) * torch.randn_like(x)


def scaling(x: Tensor, level: float, steps: Tensor, channels: Channels) -> Tensor:
    """Multiply each channel of each instance by a factor around 1 whose sd is ``level``."""
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2))
    return x * (1 + level * torch.randn(shape, device=x.device))


def time_mask(x: Tensor, share: float, steps: Tensor, channels: Channels) -> Tensor:
    """Set a share of each series, consecutive steps in all channels, to the channel's mean: one step or more, not all.

    Args:
        x: (N, C, T).
        share: Share of the series' own steps.
        steps: (N,) valid steps.
        channels: Of the train split.
    """
    width = torch.minimum((share * steps).round().clamp(min=1), steps - 1)  # (N,)
    start = (torch.rand(len(x), device=x.device) * (steps - width + 1)).floor()
    at = torch.arange(x.shape[2], device=x.device)
    masked = (at >= start[:, None]) & (at < (start + width)[:, None])  # (N, T)
    return torch.where(masked[:, None, :], _per_channel(channels.mean, x), x)


def channel_mask(x: Tensor, probability: float, steps: Tensor, channels: Channels) -> Tensor:
    """Set each channel of an instance to its mean with a probability; one channel always stays."""
    drawn = torch.rand(x.shape[:2], device=x.device)  # (N, C)
    masked = (drawn < probability).scatter(1, drawn.argmax(dim=1, keepdim=True), False)
    return torch.where(masked if x.ndim == 2 else masked[:, :, None], _per_channel(channels.mean, x), x)


def window_warp(x: Tensor, largest: float, steps: Tensor, channels: Channels) -> Tensor:
    """Let a window of each series run faster or slower, then bring the whole back to its length.

    The window, a tenth of the series anywhere in it, is resampled for a speed in [1 - largest, 1 + largest], linearly,
    and so is the whole (Le Guennec et al. 2016, https://shs.hal.science/halshs-01357973); the ends stay where they are.

    Args:
        x: (N, C, T).
        largest: The largest change of the speed.
        steps: (N,) valid steps.
        channels: Of the train split.
    """
    last = (steps - 1).clamp(min=1)[:, None]  # (N, 1) of the series' positions 0 ... last
    speed = 1 + largest * (2 * torch.rand_like(last) - 1)
    window = WARPED * last
    lasting = window / speed
    start = torch.rand_like(last) * (last - window)
    time = torch.arange(x.shape[2], device=x.device) * (last - window + lasting) / last  # (N, T) in the warped series
    inside = start + (time - start) * speed
    behind = time - lasting + window
    at = torch.where(time < start, time, torch.where(time < start + lasting, inside, behind))
    at = torch.minimum(at, last)
    low = at.floor().long().clamp(max=x.shape[2] - 1)
    high = (low + 1).clamp(max=x.shape[2] - 1)
    left, right = (x.gather(2, index[:, None, :].expand_as(x)) for index in (low, high))
    return torch.lerp(left, right, (at - low)[:, None, :])


@dataclass(frozen=True)
class Mixture:
    """How a batch was mixed: instance ``i`` is ``share`` of itself and the rest of instance ``partner[i]``."""

    share: Tensor
    partner: Tensor


def mixup(x: Tensor, lengths: Tensor | None, concentration: float) -> tuple[Tensor, Tensor | None, Mixture]:
    """Mix each instance with another one (Zhang et al. 2018, arXiv:1710.09412), all by one share of Beta(a, a).

    Of two series the mixture has the greater length; behind the end of the shorter one there is 0 of it.

    Args:
        x: (N, C, T) or (N, E).
        lengths: (N,) valid steps on the CPU, or None.
        concentration: The a of Beta(a, a).
    """
    a = torch.full((), concentration, device=x.device)
    share = torch.distributions.Beta(a, a, validate_args=False).sample()  # a check would wait for the device
    partner = torch.randperm(len(x), device=x.device)
    x = share * x + (1 - share) * take_rows(x, partner)
    if lengths is not None:
        lengths = torch.maximum(lengths, lengths.index_select(0, partner.cpu()))
    return x, lengths, Mixture(share, partner)


_CHANGES: dict[str, Callable[[Tensor, float, Tensor, Channels], Tensor]] = {
    "jitter": jitter,
    "scaling": scaling,
    "time_mask": time_mask,
    "channel_mask": channel_mask,
    "window_warp": window_warp,
}


class Augmentation:
    """Changes of each training batch, one after another.

    Args:
        changes: Name and value of each; a name at most once.
        channels: Of the train split.
    """

    def __init__(self, changes: Sequence[tuple[str, float]], channels: Channels) -> None:
        self.changes = changes
        self.channels = channels

    def __call__(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None, Mixture | None]:
        """Change inputs (N, C, T) or (N, E); ``lengths`` are valid steps on the CPU, or None."""
        mixture = None
        for name, value in self.changes:
            if name == "mixup":
                x, lengths, mixture = mixup(x, lengths, value)
                continue
            if lengths is None:
                there = torch.full((len(x),), float(x.shape[-1]), device=x.device)
            else:
                there = lengths.float().to(x.device, non_blocking=True)
            changed = _CHANGES[name](x, value, there, self.channels)
            x = changed if lengths is None else torch.where(valid_steps(lengths, x), changed, x)
        return x, lengths, mixture

    def loss(
        self,
        model: nn.Module,
        criterion: Objective,
        x: Tensor,
        lengths: Tensor | None,
        targets: dict[str, Tensor],
    ) -> Losses:
        """Give the loss on the changed batch, in all and by task; of mixed inputs the mixture of both losses.

        Each of the two is the criterion's own, so that missing targets and weights count in it as without mixing.
        """
        x, lengths, mixture = self(x, lengths)
        outputs = model(x, lengths)
        total, parts = criterion(outputs, targets)
        if mixture is None:
            return total, parts
        others = {task: take_rows(target, mixture.partner) for task, target in targets.items()}
        of_others, parts_of_others = criterion(outputs, others)
        share = mixture.share
        mixed = {task: share * part + (1 - share) * parts_of_others[task] for task, part in parts.items()}
        return share * total + (1 - share) * of_others, mixed


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """Shape (C,) to stand beside (N, C, T) or (N, C)."""
    return values[:, None] if x.ndim == 3 else values
