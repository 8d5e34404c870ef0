"""Gradients turned and scaled until they are orthogonal and of one length."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GramWeighting


class Aligned(GramWeighting):
    """Independent component alignment, Aligned-MTL (Senushkin et al. 2023, arXiv:2305.19000).

    The matrix of gradients is replaced by the nearest one whose principal components are all as long as the shortest,
    ``B = sqrt(l_R) V diag(l)^(-1/2) V'`` from the eigenvalues ``l`` and vectors ``V`` of the Gram matrix, of rank R;
    the update is the mean of its rows. A dominating gradient is cut to the size of the smallest component, so that a
    factor on one loss changes the direction little, and not at all where gradients are orthogonal. Of parallel
    gradients (R = 1) nothing is cut.
    """

    def weights_of(self, gram: Tensor) -> Tensor:
        """Give ``B`` times equal weights ``1 / K``."""
        values, vectors = torch.linalg.eigh(gram)  # ascending
        counted = values > values[-1] * len(gram) * torch.finfo(gram.dtype).eps
        values, vectors = values[counted], vectors[:, counted]
        balance: Tensor = values[0].sqrt() * (vectors / values.sqrt()) @ vectors.T
        return balance.mean(dim=1)
