"""Mean, spread and interval of a few repetitions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """What repetitions of one figure say of it.

    Attributes:
        n: Repetitions.
        mean: Their mean.
        sd: Their standard deviation (of a sample, n - 1); NaN of one.
        low: Lower end of Student's interval for the mean at :data:`LEVEL`; NaN of one.
        high: Upper end.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Summarise repetitions, each drawn independently: ``mean ± t * sd / sqrt(n)``, t with n - 1 degrees of freedom.

    Args:
        values: At least one.
    """
    from scipy.special import stdtrit  # slow to import

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Spread(1, mean, math.nan, math.nan, math.nan)
    sd = float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
    return Spread(n, mean, sd, mean - half, mean + half)
