"""The direction that makes the same angle with all gradients."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GramWeighting


class Bisector(GramWeighting):
    """Impartial multi-task learning, its gradient half IMTL-G (Liu et al. 2021, openreview.net/forum?id=IMPnRXEWpvr).

    The update's projections on all unit gradients are equal, and the weights add up to 1. Of two gradients it is the
    bisector ``u_1 + u_2``, with weights ``1 / |g_i|``: the direction of Nash-MTL (arXiv:2202.01017), of ConFIG
    (arXiv:2408.11104) and of FairGrad with a = 1 (arXiv:2402.15638), at lengths of their own. A factor on one loss
    changes its length, and not its direction. It assumes that every task deserves an equal say: a noisy one
    gets it too.
    """

    def weights_of(self, gram: Tensor) -> Tensor:
        """Give ``1 / |g_i|`` of two, else the solution of equal cosines; both scaled.

        Of three or more, weights may be negative. The paper divides by their sum, which may be 0, or below it and turn
        the update uphill; by the sum of their absolute values it is the same wherever all are positive.
        """
        norms = gram.diagonal().sqrt()
        balanced = torch.ones_like(norms)
        if len(gram) > 2:
            cosines = gram / norms / norms[:, None]
            balanced = torch.linalg.pinv(cosines, hermitian=True) @ balanced
        weights = balanced / norms
        return weights / weights.abs().sum()
