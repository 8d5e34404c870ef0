"""What the runs of a comparison say: each variant's figures, and its differences from the single-task twins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.comparison.sampling import Predicted, read_predicted, sample_interval
from tsmtl.comparison.stages import Run
from tsmtl.comparison.variants import Variant
from tsmtl.config.metric_names import CLASSIFICATION, metrics_of_numbers
from tsmtl.sweep.statistics import LEVEL, Spread, holm, p_of_mean, spread

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell"
BETTER = {**CLASSIFICATION, **metrics_of_numbers(True, ())}


@dataclass(frozen=True)
class Compared:
    """The metric by which a task is compared.

    Attributes:
        task: As ``summary.json`` describes it.
        metric: Name of the metric.
        higher: Whether higher is better.
    """

    task: Mapping[str, Any]
    metric: str
    higher: bool

    def of(self, run: Run) -> float:
        """Give its value on test."""
        assert run.summary is not None, "figures are made of runs that are done"
        name = self.task["name"] if self.task["name"] in run.summary["test"] else self.task["kind"]  # cls_2 alone: cls
        value = run.summary["test"][name][self.metric]
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Difference:
    """A variant against another one, in one task; positive is better.

    Attributes:
        against: Name of the other.
        spread: Of the differences of pairs, one for each seed.
        relative: Their mean in percent of the other's mean.
        sample: The interval that the choice of test instances leaves; see :mod:`tsmtl.comparison.sampling`.
        p: Of Student's paired test.
        corrected: The same, for the number of differences that are looked at together; see :func:`corrected`.
    """

    against: str
    spread: Spread
    relative: float
    sample: tuple[float, float]
    p: float
    corrected: float = math.nan

    @property
    def verdict(self) -> str:
        """``helps`` or ``hurts`` where both the seeds and the test instances leave no other; else ``cannot tell``."""
        if not self.corrected < 1 - LEVEL:
            return CANNOT_TELL
        if self.spread.mean > 0 and self.sample[0] > 0:
            return HELPS
        return HURTS if self.spread.mean < 0 and self.sample[1] < 0 else CANNOT_TELL


@dataclass(frozen=True)
class Figure:
    """A variant in one task.

    Attributes:
        variant: The variant.
        task: Name of the task.
        spread: Of the metric over seeds.
        difference: From its twin; None of a twin.
    """

    variant: Variant
    task: str
    spread: Spread
    difference: Difference | None


class Differences:
    """Compares the runs of variants.

    Args:
        runs: The repetitions of each variant, by its name, in the order of the seeds; all done.
        compared: The metric of each task.
        groups: (N,) groups of the test instances, or None.
    """

    def __init__(
        self, runs: Mapping[str, Sequence[Run]], compared: Mapping[str, Compared], groups: npt.NDArray[Any] | None
    ) -> None:
        self.runs, self.compared, self.groups = runs, compared, groups
        self._predicted: dict[tuple[str, str], Predicted] = {}

    def values(self, variant: str, task: str) -> list[float]:
        """Give the task's metric of each run of a variant."""
        return [self.compared[task].of(run) for run in self.runs[variant]]

    def figures(self, variant: Variant, tasks: Sequence[str]) -> list[Figure]:
        """Give a variant's figures; differences where its twin was trained too."""
        return [
            Figure(
                variant,
                task,
                spread(self.values(variant.name, task)),
                self.difference(variant.name, variant.twins[task], task)
                if variant.twins.get(task) in self.runs
                else None,
            )
            for task in tasks
        ]

    def difference(self, variant: str, other: str, task: str) -> Difference:
        """Compare two variants in one task, seed by seed."""
        how = self.compared[task]
        ours, theirs = np.array(self.values(variant, task)), np.array(self.values(other, task))
        pairs = (ours - theirs) if how.higher else (theirs - ours)
        sample = sample_interval(
            self._read(variant, task), self._read(other, task), how.task, how.metric, how.higher, self.groups
        )
        mean = float(theirs.mean())
        relative = math.nan if mean == 0 else 100 * float(pairs.mean()) / abs(mean)
        return Difference(other, spread(pairs.tolist()), relative, sample, p_of_mean(pairs.tolist()))

    def delta_m(self, variant: Variant) -> Spread | None:
        """Give the mean gain over the tasks in percent (Maninis et al. 2019, arXiv:1904.08918), over seeds.

        ``100 / K * sum of ± (m - m_twin) / |m_twin|``, positive where the variant is better; None where a twin is 0 or
        missing.
        """
        if not all(twin in self.runs for twin in variant.twins.values()):
            return None
        gains = []
        for task, twin in variant.twins.items():
            ours, theirs = np.array(self.values(variant.name, task)), np.array(self.values(twin, task))
            if not theirs.all():
                return None
            gains.append((1 if self.compared[task].higher else -1) * 100 * (ours - theirs) / np.abs(theirs))
        return spread(np.mean(gains, axis=0).tolist())

    def _read(self, variant: str, task: str) -> Predicted:
        if (variant, task) not in self._predicted:
            runs = self.runs[variant]
            summary = runs[0].summary
            assert summary is not None, "figures are made of runs that are done"
            own = summary["tasks"]
            named = own[task] if task in own else own[self.compared[task].task["kind"]]
            self._predicted[variant, task] = read_predicted([run.folder for run in runs], named)
        return self._predicted[variant, task]


def corrected(figures: Sequence[Figure]) -> list[Figure]:
    """Correct the p values of a family of differences for their number, by Holm's method."""
    at = [i for i, figure in enumerate(figures) if figure.difference is not None]
    found = list(figures)
    p = [d.p for i in at if (d := figures[i].difference) is not None]
    for i, value in zip(at, holm(p), strict=True):
        difference = figures[i].difference
        assert difference is not None, "chosen above"
        found[i] = replace(figures[i], difference=replace(difference, corrected=value))
    return found
