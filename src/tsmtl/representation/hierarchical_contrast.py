"""The loss of TS2Vec: two views of the same steps agree, at every scale of time."""

import torch
from torch import Tensor
from torch.nn import functional as F


def hierarchical_contrast(
    first: Tensor, second: Tensor, valid: Tensor | None, temporal_unit: int
) -> tuple[Tensor, Tensor]:
    """Give the instance-wise and the temporal contrast of two views, each the mean over the scales.

    From scale to scale neighbours are pooled by their greatest value, until one step is left (Yue et al. 2022,
    arXiv:2106.10466, section 2.3 and algorithm 1). At the last scale, and below ``temporal_unit``, there is no temporal
    contrast, and it counts as 0 in the mean.

    Args:
        first: (N, E, T) vectors of the steps that both views have.
        second: Likewise.
        valid: (N, T) steps of shorter series, the same of both views; None where all are. The others take no part.
        temporal_unit: The scale, counted from 0, at which temporal contrast begins.
    """
    instance, temporal = first.new_zeros(()), first.new_zeros(())
    scales = 0
    while True:
        instance = instance + contrast(torch.cat([first, second]).permute(2, 0, 1), None if valid is None else valid.T)
        if first.shape[2] > 1 and scales >= temporal_unit:
            temporal = temporal + contrast(torch.cat([first, second], dim=2).transpose(1, 2), valid)
        scales += 1
        if first.shape[2] == 1:
            return instance / scales, temporal / scales
        first, second = (_pooled(view, valid) for view in (first, second))
        if valid is not None:
            valid = F.max_pool1d(valid[:, None].to(first), 2)[:, 0] > 0


def contrast(vectors: Tensor, valid: Tensor | None) -> Tensor:
    """Give the mean loss of telling each vector's counterpart from the others of its group, by inner products.

    Of anchor and counterpart i and j it is ``log(sum of exp(<i, k>) over all k but i) - <i, j>``.

    Args:
        vectors: (G, 2M, E) groups; vector m and vector M + m are each other's counterparts.
        valid: (G, M) pairs that take part; None: all do.
    """
    m = vectors.shape[1] // 2
    products = vectors @ vectors.transpose(1, 2)  # (G, 2M, 2M)
    itself = torch.eye(2 * m, dtype=torch.bool, device=vectors.device)
    products = products.masked_fill(itself, -torch.inf)
    if valid is not None:
        others = torch.cat([valid, valid], dim=1)
        products = products.masked_fill(~others[:, None, :], torch.finfo(products.dtype).min)
    sums = products.logsumexp(dim=2)  # (G, 2M)
    each = (sums[:, :m] + sums[:, m:]) / 2 - products.diagonal(m, 1, 2)  # (G, M)
    if valid is None:
        return each.mean()
    return torch.where(valid, each, 0).sum() / valid.sum()


def _pooled(view: Tensor, valid: Tensor | None) -> Tensor:
    """Take the greatest of two neighbours that are valid; zero where none is."""
    if valid is None:
        return F.max_pool1d(view, 2)
    pooled = F.max_pool1d(view.masked_fill(~valid[:, None], -torch.inf), 2)
    return pooled.masked_fill(pooled == -torch.inf, 0)
