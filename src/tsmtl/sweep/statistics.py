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
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Spread(1, mean, math.nan, math.nan, math.nan)
    sd = float(np.std(values, ddof=1))
    half = _quantile(n - 1, (1 + LEVEL) / 2) * sd / math.sqrt(n)
    return Spread(n, mean, sd, mean - half, mean + half)


@dataclass(frozen=True)
class Sum:
    """A mean with two independent sources of chance: few repetitions, and few instances.

    Attributes:
        error: Its standard error.
        df: Degrees of freedom, by Welch and Satterthwaite.
        p: Two-sided p of the test that it is 0.
    """

    error: float
    df: float
    p: float

    @property
    def half(self) -> float:
        """Half of its interval at :data:`LEVEL`."""
        return self.error * _quantile(self.df, (1 + LEVEL) / 2)

    def detectable(self, family: int, power: float = 0.8) -> float:
        """Give the mean that such a test would call different from 0, ``power`` of the times.

        Args:
            family: Number of tests that p is corrected for, by Bonferroni's bound.
            power: Share of the times.
        """
        return self.error * (_quantile(self.df, 1 - (1 - LEVEL) / 2 / family) + _quantile(self.df, power))


def _quantile(df: float, share: float) -> float:
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(df, share))


def with_both(values: Sequence[float], sd_of_instances: float, units: int) -> Sum:
    """Test the mean of repetitions whose variance adds up with that of the instances on which they were measured.

    ``t = mean / sqrt(s^2 / n + v^2)``, with degrees of freedom by Welch (1947, Biometrika 34:28) and Satterthwaite.

    Args:
        values: One for each repetition, such as differences of pairs.
        sd_of_instances: ``v``, the standard deviation of their mean over other instances.
        units: Instances, or groups of them.

    Returns:
        All NaN of one repetition, without a ``v``, or where nothing varies and the mean is not 0.
    """
    from scipy.special import stdtr  # slow to import

    n, mean = len(values), float(np.mean(values))
    if n == 1 or math.isnan(sd_of_instances) or math.isnan(mean):
        return Sum(math.nan, math.nan, math.nan)
    parts = (float(np.var(values, ddof=1)) / n, sd_of_instances**2)
    if sum(parts) == 0:
        return Sum(0.0, math.inf, 1.0) if mean == 0 else Sum(math.nan, math.nan, math.nan)
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (units - 1))
    error = math.sqrt(sum(parts))
    return Sum(error, df, float(2 * stdtr(df, -abs(mean) / error)))


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
