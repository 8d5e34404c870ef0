"""Ridge regression and principal components of vectors, from one decomposition of the smaller of their two sides."""

from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 2048  # of the smaller side: its decomposition takes a second or two
BLOCK = 2**24  # values in double precision at a time


@dataclass(frozen=True)
class Spectrum:
    """The decomposition of centred vectors (n, E): of their products (n, n) or, where that is smaller, of (E, E).

    Attributes:
        x: (n, E) the vectors.
        mean: (E,) double.
        values: (r,) eigenvalues, ascending, r the smaller of n and E.
        vectors: (r, r) eigenvectors in columns.
        wide: Whether E is greater than n.
    """

    x: Tensor
    mean: Tensor
    values: Tensor
    vectors: Tensor
    wide: bool

    @classmethod
    def of(cls, x: Tensor) -> "Spectrum":
        """Decompose vectors (n, E); of more than :data:`MOST` on both sides so many, evenly from first to last."""
        if min(x.shape) > MOST:
            x = x[torch.linspace(0, len(x) - 1, MOST).long()]
        mean = x.mean(dim=0, dtype=torch.float64)
        wide = x.shape[1] > len(x)
        products = _by_features(x, x, mean) if wide else _by_rows(x, mean)
        values, vectors = torch.linalg.eigh(products)
        return cls(x, mean, values.clamp(min=0), vectors, wide)

    def rotated(self, x: Tensor) -> Tensor:
        """Give vectors (m, E) in the eigenvectors' directions, (m, r): by features, or by their products with n."""
        if self.wide:
            return _by_features(x, self.x, self.mean) @ self.vectors
        size = max(1, BLOCK // x.shape[1])
        return torch.cat([(part.double() - self.mean) @ self.vectors for part in x.split(size)])

    def ridge(self, y: Tensor, rotated: Tensor, alpha: float) -> Tensor:
        """Give the outputs (m, D) of a ridge regression on the n vectors and targets (n, D).

        Args:
            y: (n, D) double; the intercept is not penalised.
            rotated: (m, r) what :meth:`rotated` gave.
            alpha: The penalty on the squared weights.
        """
        middle = y.mean(dim=0)
        centred = y - middle
        if not self.wide:
            size = max(1, BLOCK // self.x.shape[1])
            parts = zip(self.x.split(size), centred.split(size), strict=True)
            centred = torch.stack([(x.double() - self.mean).T @ part for x, part in parts]).sum(dim=0)
        return rotated @ ((self.vectors.T @ centred) / (self.values + alpha)[:, None]) + middle

    def coordinates(self, rotated: Tensor) -> Tensor:
        """Give the first two principal components (m, 2) of rotated vectors (m, r)."""
        r = len(self.values)
        first = torch.arange(r - 1, max(r - 3, -1), -1)
        found = rotated[:, first]
        if self.wide:
            found = found / self.values[first].sqrt().clamp(min=1e-12)
        if found.shape[1] < 2:
            found = torch.cat([found, torch.zeros_like(found)], dim=1)
        return found


def _by_features(a: Tensor, b: Tensor, mean: Tensor) -> Tensor:
    """Give the products (m, n) of centred vectors (m, E) and (n, E), some features at a time."""
    size = max(1, BLOCK // max(len(a), len(b)))
    total = torch.zeros(len(a), len(b), dtype=torch.float64, device=a.device)
    for at in range(0, a.shape[1], size):
        own = slice(at, at + size)
        total += (a[:, own].double() - mean[own]) @ (b[:, own].double() - mean[own]).T
    return total


def _by_rows(x: Tensor, mean: Tensor) -> Tensor:
    """Give the products (E, E) of centred features, some vectors at a time."""
    total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for part in x.split(max(1, BLOCK // x.shape[1])):
        centred = part.double() - mean
        total += centred.T @ centred
    return total
