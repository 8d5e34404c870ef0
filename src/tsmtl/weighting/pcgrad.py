"""Gradients without what contradicts the others."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GramWeighting


class PCGrad(GramWeighting):
    """Gradient surgery (Yu et al. 2020, arXiv:2001.06782).

    From each gradient goes its part against every other that it contradicts, one after another in random order:
    ``g_i <- g_i - (g_i . g_j / |g_j|^2) g_j`` where ``g_i . g_j < 0``; the results are added up. At two tasks it is the
    projection of the sum on what harms neither, which is UPGrad (arXiv:2406.16232) at twice the length. Norms stay: it
    is for conflict, and no cure for losses of unlike scale.
    """

    def weights_of(self, gram: Tensor) -> Tensor:
        """Give ``1 - min(0, g_1 . g_2) / |g_i|^2`` of two; of more, follow the projections by their coefficients."""
        if len(gram) == 2:
            return 1 - gram[0, 1].clamp(max=0) / gram.diagonal()
        products = gram.tolist()
        k = len(products)
        total = [0.0] * k
        for i in range(k):
            parts = [float(i == j) for j in range(k)]  # of each gradient in what is left of this one
            for j in torch.randperm(k).tolist():
                along = sum(part * products[j][m] for m, part in enumerate(parts))
                if j != i and along < 0:
                    parts[j] -= along / products[j][j]
            total = [a + b for a, b in zip(total, parts, strict=True)]
        return gram.new_tensor(total)
