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


def p_of_mean(values: Sequence[float]) -> float:
    """Give the two-sided p of Student's test that the mean of independent values is 0; NaN of one value.

    Args:
        values: Such as differences of pairs.
    """
    from scipy.special import stdtr  # slow to import

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return math.nan
    sd = float(np.std(values, ddof=1))
    if sd == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(n - 1, -abs(mean) / sd * math.sqrt(n)))


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm 1979, Scand. J. Statist. 6:65): the chance of any false alarm stays.

    The i-th smallest of m is multiplied by ``m - i + 1``, and is no less than the one before it.

    Args:
        p: NaN stays NaN, and does not count.
    """
    known = sorted((value, at) for at, value in enumerate(p) if not math.isnan(value))
    corrected, least = list(p), 0.0
    for i, (value, at) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - i)))
        corrected[at] = least
    return corrected
