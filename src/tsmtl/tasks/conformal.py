"""Split-conformal intervals: how far predicted numbers were off on val says how far they will be off."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

MOST = 2000  # errors kept per number


@dataclass(frozen=True)
class Errors:
    """The absolute errors of one task on val, from which an interval of any level follows.

    Attributes:
        kept: For each of the D numbers its errors (M,), ascending, in scaled units: all of them up to 2000; of more,
            2000 evenly spaced ranks, the largest among them.
        labelled: For each of the D numbers the count n of all its errors.
    """

    kept: tuple[npt.NDArray[np.float64], ...]
    labelled: tuple[int, ...]

    def half_widths(self, level: float) -> npt.NDArray[np.float64]:
        """Give (D,) what to add to and take from a prediction, so that a level of new instances lies between.

        It is the error of rank ``ceil((n + 1) * level)`` (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173), or of
        the next rank kept, so that an interval is never too narrow. Infinite where ``n`` is smaller than that rank.

        Args:
            level: In (0, 1); taken as the decimal number it is written as, so that 0.9 of 10 is rank 9.
        """
        pairs = zip(self.kept, self.labelled, strict=True)
        return np.array([_ranked(kept, n, level) for kept, n in pairs], dtype=np.float64)

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values for a checkpoint."""
        return {"errors": [torch.from_numpy(kept) for kept in self.kept], "labelled": list(self.labelled)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Errors":
        """Make what :meth:`state` described."""
        return cls(tuple(kept.numpy() for kept in state["errors"]), tuple(state["labelled"]))


def rank_of(level: float, n: int) -> int:
    """Give the rank, from 1, of the error that is the half-width of an interval; above ``n`` there is none."""
    return math.ceil((n + 1) * Fraction(repr(float(level))))


def least_labelled(level: float) -> int:
    """Give the smallest number of errors that an interval of this level takes to have ends."""
    share = Fraction(repr(float(level)))
    return math.ceil(share / (1 - share))


def _ranked(kept: npt.NDArray[np.float64], n: int, level: float) -> float:
    rank = rank_of(level, n)
    if rank > n:
        return math.inf
    # The j-th kept error has rank ceil(n * j / M): this is the first whose rank is not below the wanted one.
    return float(kept[(rank - 1) * len(kept) // n])


def errors_of(outputs: npt.NDArray[np.floating], scaled: npt.NDArray[np.floating]) -> Errors:
    """Keep the absolute errors of outputs.

    Args:
        outputs: (N, D) of the model; one that is not a number is infinitely off.
        scaled: (N, D) what is true, scaled as the outputs are, NaN where missing; these are left out.
    """
    kept, labelled = [], []
    for column in range(scaled.shape[1]):
        known = ~np.isnan(scaled[:, column])
        errors = np.abs(scaled[known, column].astype(np.float64) - outputs[known, column].astype(np.float64))
        errors = np.sort(np.nan_to_num(errors, nan=math.inf, posinf=math.inf))
        n = len(errors)
        m = min(n, MOST)
        kept.append(errors[[-(-n * j // m) - 1 for j in range(1, m + 1)]])
        labelled.append(n)
    return Errors(tuple(kept), tuple(labelled))
