"""Mean, spread and interval of a few repetitions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
SMALLEST_P = 1e-12  # that is told apart


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

    The half of its interval is ``sqrt((t_a e_a)^2 + (t_b e_b)^2)``, each source with its own quantile of Student's t
    (Banerjee 1961, Sankhya A 23:359): it holds the true mean at least as often as it says, whatever the two errors are,
    and is never narrower than that of the repetitions alone.

    Attributes:
        mean: The mean.
        errors: Its standard error by repetitions and by instances.
        df: Degrees of freedom of each.
    """

    mean: float
    errors: tuple[float, float]
    df: tuple[int, int]

    @property
    def error(self) -> float:
        """Standard error of both together."""
        return math.hypot(*self.errors)

    @property
    def half(self) -> float:
        """Half of its interval at :data:`LEVEL`."""
        return self.reach((1 + LEVEL) / 2)

    @property
    def p(self) -> float:
        """Two-sided p of the test that the mean is 0: one minus the level at which the interval ends at 0."""
        from scipy.optimize import brentq  # slow to import

        if math.isnan(self.error):
            return math.nan
        if self.mean == 0:
            return 1.0
        least, most = math.log(SMALLEST_P), math.log(1 - 1e-9)
        if self.reach(1 - SMALLEST_P / 2) <= abs(self.mean):
            return SMALLEST_P
        if self.reach(1 - math.exp(most) / 2) >= abs(self.mean):
            return 1.0
        return math.exp(brentq(lambda log_p: self.reach(1 - math.exp(log_p) / 2) - abs(self.mean), least, most))

    def detectable(self, family: int, power: float = 0.8) -> float:
        """Give about the mean that such a test would call different from 0, ``power`` of the times.

        Args:
            family: Number of tests that p is corrected for, by Bonferroni's bound.
            power: Share of the times.
        """
        return self.reach(1 - (1 - LEVEL) / 2 / family) + self.reach(power)

    def reach(self, share: float) -> float:
        """Give how far from the mean its interval goes, with this share of what is below its upper end."""
        return math.hypot(*(_quantile(df, share) * error for error, df in zip(self.errors, self.df, strict=True)))


def _quantile(df: float, share: float) -> float:
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(df, share))


def with_both(values: Sequence[float], sd_of_instances: float, units: int) -> Sum:
    """Give the mean of repetitions whose chance adds up with that of the instances on which they were measured.

    Args:
        values: One for each repetition, such as differences of pairs.
        sd_of_instances: Standard deviation of their mean over other instances.
        units: Instances, or groups of them.

    Returns:
        Errors of NaN of one repetition, without that deviation, or where nothing varies and the mean is not 0.
    """
    n, mean = len(values), float(np.mean(values))
    unknown = Sum(mean, (math.nan, math.nan), (0, 0))
    if n == 1 or math.isnan(sd_of_instances) or math.isnan(mean):
        return unknown
    errors = (float(np.std(values, ddof=1)) / math.sqrt(n), sd_of_instances)
    return unknown if errors == (0, 0) and mean != 0 else Sum(mean, errors, (n - 1, units - 1))


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
