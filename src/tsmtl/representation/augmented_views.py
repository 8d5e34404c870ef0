"""Views of series for TS-TCC: a weak and a strong change."""

import torch
from torch import Tensor


def jittered_and_scaled(x: Tensor, valid: Tensor | None, jitter: float, scale: float) -> Tensor:
    """Add noise, and multiply each channel of each series by a factor around 1.

    Args:
        x: (N, C, T).
        valid: (N, T) steps of shorter series, or None; the others stay zero.
        jitter: Sd of the noise beside the channel's own in the batch.
        scale: Sd of the factor.
    """
    factor = 1 + scale * torch.randn((*x.shape[:2], 1), device=x.device)
    return _kept((x + _noise(x, valid, jitter)) * factor, valid)


def permuted_and_jittered(x: Tensor, valid: Tensor | None, segments: int, jitter: float) -> Tensor:
    """Cut each series at random into 1 to M pieces, put them together in a random order, and add noise.

    Args:
        x: (N, C, T).
        valid: (N, T) steps of shorter series, or None; the others stay behind, zero.
        segments: M.
        jitter: Sd of the noise beside the channel's own in the batch.
    """
    n, _, steps = x.shape
    at = torch.arange(steps, device=x.device)
    length = torch.full((n, 1), steps, device=x.device) if valid is None else valid.sum(dim=1, keepdim=True)
    cuts = (torch.rand((n, segments - 1), device=x.device) * length).floor()
    pieces = torch.randint(1, segments + 1, (n, 1), device=x.device)
    unused = torch.arange(1, segments, device=x.device) >= pieces
    cuts = cuts.masked_fill(unused, steps)  # (N, M - 1), those beyond the end cut nothing
    piece = (at[None, :, None] >= cuts[:, None, :]).sum(dim=2)  # (N, T)
    place = torch.rand((n, segments), device=x.device).gather(1, piece)
    if valid is not None:
        place = place.masked_fill(~valid, 2.0)
    order = place.argsort(dim=1, stable=True)
    moved = x.gather(2, order[:, None, :].expand_as(x))
    return _kept(moved + _noise(x, valid, jitter), valid)


def _noise(x: Tensor, valid: Tensor | None, level: float) -> Tensor:
    """Draw noise whose sd is a share of each channel's over the batch."""
    if valid is None:
        sd = x.std(dim=(0, 2), correction=0)
    else:
        count = valid.sum()
        mean = x.sum(dim=(0, 2)) / count  # padding is zero
        sd = ((x**2).sum(dim=(0, 2)) / count - mean**2).clamp(min=0).sqrt()
    return level * sd[:, None] * torch.randn_like(x)


def _kept(x: Tensor, valid: Tensor | None) -> Tensor:
    return x if valid is None else x * valid[:, None]
