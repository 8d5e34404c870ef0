"""From features at every step to one embedding."""

import torch
from torch import Tensor, nn

from tsmtl.models.masking import mean_over_steps


class Readout(nn.Module):
    """Turns features (N, F, T) into an embedding.

    Args:
        method: ``last`` valid step; ``mean`` or ``max`` over the valid steps; ``attention``: a mean weighted by a
            learned score of each step (Lin et al. 2017, arXiv:1703.03130, one head); ``flatten``: the features
            of all steps, step by step, which keeps where in the window something happened and needs equal lengths.
        features: F.
        steps: T.

    Attributes:
        embed_dim: Size of the embedding: F, or F * T for ``flatten``.
        takes_lengths: Whether lengths are honoured.
        by_feature: Whether ``flatten`` goes feature by feature instead; see :func:`flatten_by_feature`.
    """

    def __init__(self, method: str, features: int, steps: int) -> None:
        super().__init__()
        self.method = method
        self.embed_dim = features * steps if method == "flatten" else features
        self.takes_lengths = method != "flatten"
        self.by_feature = False
        # No bias: the softmax over the steps takes it out again.
        self.score = nn.Linear(features, 1, bias=False) if method == "attention" else None

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Read (N, F, T) out; ``valid`` is (N, 1, T), or None where all steps count."""
        if self.method == "flatten":
            return (x if self.by_feature else x.transpose(1, 2)).flatten(1)  # (N, T * F)
        if self.method == "mean":
            return mean_over_steps(x, valid)
        if self.method == "max":
            return (x if valid is None else x.masked_fill(~valid, -torch.inf)).amax(dim=2)
        if self.score is not None:
            scores: Tensor = self.score(x.transpose(1, 2)).transpose(1, 2)  # (N, 1, T)
            if valid is not None:
                scores = scores.masked_fill(~valid, -torch.inf)
            return (x * scores.softmax(dim=2)).sum(dim=2)
        if valid is None:
            return x[:, :, -1]
        last = valid.sum(dim=2, keepdim=True) - 1  # (N, 1, 1)
        return x.gather(2, last.expand(-1, x.shape[1], 1)).squeeze(2)


def flatten_by_feature(backbone: nn.Module) -> None:
    """Let a backbone flatten all steps of a feature, then those of the next, as earlier versions trained it."""
    for module in backbone.modules():
        if isinstance(module, Readout):
            module.by_feature = True
