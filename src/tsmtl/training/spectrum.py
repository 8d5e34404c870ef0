"""Ridge regression and principal components of vectors, from one decomposition of the smaller of their two sides."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 2048  # of the smaller side: its decomposition takes a second or two
ROUNDING = 1e-10  # of the greatest eigenvalue: less is noise
BLOCK = 2**20  # values in double precision at a time


@dataclass(frozen=True)
class Spectrum:
    """The decomposition of centred vectors (n, E): of their products (n, n) or, where that is smaller, of (E, E).

    The vectors stay where they are, among others (N, E), and are read some at a time.

    Attributes:
        x: (N, E) all vectors.
        rows: (n,) which of them it is of.
        mean: (E,) double.
        values: (r,) eigenvalues, ascending, r the smaller of n and E.
        vectors: (r, r) eigenvectors in columns.
        wide: Whether E is greater than n.
    """

    x: Tensor
    rows: Tensor
    mean: Tensor
    values: Tensor
    vectors: Tensor
    wide: bool

    @classmethod
    def of(cls, x: Tensor, rows: Tensor) -> "Spectrum":
        """Decompose the vectors at rows (n,) of (N, E); of more than :data:`MOST` on both sides so many, evenly."""
        if min(len(rows), x.shape[1]) > MOST:
            rows = rows[torch.linspace(0, len(rows) - 1, MOST).long()]
        mean = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
        for part in _by_row(x, rows):
            mean += part.sum(dim=0, dtype=torch.float64) / len(rows)
        wide = x.shape[1] > len(rows)
        products = _by_features(x, rows, rows, mean) if wide else _by_rows(x, rows, mean)
        values, vectors = torch.linalg.eigh(products)
        return cls(x, rows, mean, values.clamp(min=0), vectors, wide)

    def rotated(self, rows: Tensor) -> Tensor:
        """Give the vectors at rows (m,) in the eigenvectors' directions, (m, r).

        By their features or, where there are more of these, by their products with the n vectors.
        """
        if self.wide:
            return _by_features(self.x, rows, self.rows, self.mean) @ self.vectors
        return torch.cat([(part.double() - self.mean) @ self.vectors for part in _by_row(self.x, rows)])

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
            total = torch.zeros(self.x.shape[1], y.shape[1], dtype=torch.float64, device=y.device)
            for x, part in zip(_by_row(self.x, self.rows), centred.split(_size(self.x)), strict=True):
                total.addmm_((x.double() - self.mean).T, part)
            centred = total
        return rotated @ ((self.vectors.T @ centred) / (self.values + alpha)[:, None]) + middle

    @property
    def own(self) -> Tensor:
        """The n vectors as :meth:`rotated` would give them, (n, r)."""
        return self.vectors * self.values if self.wide else self.rotated(self.rows)

    def components(self, rotated: Tensor, most: int) -> Tensor:
        """Give the first ``most`` principal components (m, k) of rotated vectors (m, r), less those of rounding."""
        k = min(most, int((self.values > self.values[-1] * ROUNDING).sum()))
        first = torch.arange(len(self.values) - 1, len(self.values) - 1 - k, -1)
        found = rotated[:, first]
        return found / self.values[first].sqrt() if self.wide else found

    def coordinates(self, rotated: Tensor) -> Tensor:
        """Give the first two principal components (m, 2) of rotated vectors (m, r); 0 where there are fewer."""
        found = self.components(rotated, 2)
        return torch.nn.functional.pad(found, (0, 2 - found.shape[1]))


def _size(x: Tensor) -> int:
    """Give how many vectors are worked on at a time."""
    return max(1, BLOCK // x.shape[1])


def _by_row(x: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Yield the vectors at rows (n,), some at a time."""
    return (x.index_select(0, part) for part in rows.split(_size(x)))


def _by_features(x: Tensor, rows: Tensor, others: Tensor, mean: Tensor) -> Tensor:
    """Give the products (m, n) of centred vectors at rows (m,) and at others (n,), some features at a time."""
    size = max(1, BLOCK // max(len(rows), len(others)))
    total = torch.zeros(len(rows), len(others), dtype=torch.float64, device=x.device)
    for at in range(0, x.shape[1], size):
        own = slice(at, at + size)
        a, b = (x[:, own].index_select(0, places).double().sub_(mean[own]) for places in (rows, others))
        total.addmm_(a, b.T)
    return total


def _by_rows(x: Tensor, rows: Tensor, mean: Tensor) -> Tensor:
    """Give the products (E, E) of centred features, some vectors at a time."""
    total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for part in _by_row(x, rows):
        centred = part.double().sub_(mean)
        total.addmm_(centred.T, centred)
    return total
