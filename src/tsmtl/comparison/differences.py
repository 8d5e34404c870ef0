"""What the runs of a comparison say: each variant's figures, and its differences from the single-task twins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.comparison.bootstrap import Predicted, SampleSpread, read_predicted, sample_spread
from tsmtl.comparison.stages import Run
from tsmtl.comparison.variants import Variant
from tsmtl.config.metric_names import CLASSIFICATION, metrics_of_numbers
from tsmtl.sweep.statistics import LEVEL, Spread, Sum, holm, spread, with_both

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell"
CONTROL, CONTROLLED = "control", ("multi", "transfer", "alpha", "weighting")  # kinds of variants
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

    def of(self, run: Run, name: str) -> float:
        """Give its value on test, in a run that calls the task by a name."""
        assert run.summary is not None, "figures are made of runs that are done"
        value = run.summary["test"][name][self.metric]
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Difference:
    """A variant against another one, in one task; positive is better.

    Attributes:
        against: Name of the other.
        spread: Of the differences of pairs, one for each seed.
        relative: Their mean in percent of the other's mean.
        sample: How far their mean goes where other instances are tested.
        both: The mean, with chance of seeds and of instances together.
        corrected: p of that, for the number of differences that are looked at together; see :func:`corrected`.
        family: That number.
    """

    against: str
    spread: Spread
    relative: float
    sample: SampleSpread
    both: Sum
    corrected: float = math.nan
    family: int = 1

    @property
    def verdict(self) -> str:
        """``helps`` or ``hurts`` where chance is an unlikely reason; else ``cannot tell``."""
        if not self.corrected < 1 - LEVEL:
            return CANNOT_TELL
        return HELPS if self.spread.mean > 0 else HURTS


@dataclass(frozen=True)
class Figure:
    """A variant in one task.

    Attributes:
        variant: The variant.
        task: Name of the task.
        spread: Of the metric over seeds.
        difference: From its twin; None of a twin.
        control: From the negative control of the task; None where there is none.
    """

    variant: Variant
    task: str
    spread: Spread
    difference: Difference | None
    control: Difference | None = None

    @property
    def verdict(self) -> str | None:
        """That of the difference; with a control, ``helps`` only where more is gained than by shuffled labels.

        None of a twin, and of a control, which is not judged.
        """
        if self.difference is None or self.variant.kind == CONTROL:
            return None
        verdict = self.difference.verdict
        return CANNOT_TELL if verdict == HELPS and self.as_control else verdict

    @property
    def as_control(self) -> bool:
        """Whether shuffled labels may have given as much."""
        return self.control is not None and self.control.verdict != HELPS


class Differences:
    """Compares the runs of variants.

    Args:
        variants: Those that were trained.
        runs: The repetitions of each variant, by its name, in the order of the seeds; all done.
        compared: The metric of each task.
        groups: (N,) groups of the test instances, or None.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        runs: Mapping[str, Sequence[Run]],
        compared: Mapping[str, Compared],
        groups: npt.NDArray[Any] | None,
    ) -> None:
        self.variants = {variant.name: variant for variant in variants}
        self.runs, self.compared, self.groups = runs, compared, groups
        self._predicted: dict[tuple[str, str], Predicted] = {}

    def values(self, variant: Variant, task: str) -> list[float]:
        """Give the task's metric of each run of a variant."""
        return [self.compared[task].of(run, variant.tasks[task]) for run in self.runs[variant.name]]

    def figures(self, variant: Variant) -> list[Figure]:
        """Give a variant's figures; differences where its twin was trained too."""
        found = []
        for task in variant.tasks:
            twin = self.variants.get(variant.twins.get(task, ""))
            difference = None if twin is None else self.difference(variant, twin, task)
            control = self.variants.get(f"{CONTROL}_{task}") if variant.kind in CONTROLLED else None
            against = None if control is None else self.difference(variant, control, task)
            found.append(Figure(variant, task, spread(self.values(variant, task)), difference, against))
        return found

    def difference(self, variant: Variant, other: Variant, task: str) -> Difference:
        """Compare two variants in one task, seed by seed."""
        how = self.compared[task]
        ours, theirs = np.array(self.values(variant, task)), np.array(self.values(other, task))
        pairs = ((ours - theirs) if how.higher else (theirs - ours)).tolist()
        read = (self._read(variant, task), self._read(other, task))
        sample = sample_spread(read[0], read[1], how.task, how.metric, how.higher, self.groups)
        mean = float(theirs.mean())
        relative = math.nan if mean == 0 else 100 * float(np.mean(pairs)) / abs(mean)
        both = with_both(pairs, sample.sd, sample.units)
        return Difference(other.name, spread(pairs), relative, sample, both)

    def delta_m(self, variant: Variant) -> Spread | None:
        """Give the mean gain over the tasks in percent (Maninis et al. 2019, arXiv:1904.08918), over seeds.

        ``100 / K * sum of ± (m - m_twin) / |m_twin|``, positive where the variant is better; None where a twin is 0 or
        missing.
        """
        gains = []
        for task, name in variant.twins.items():
            if name not in self.variants:
                return None
            ours, theirs = (np.array(self.values(one, task)) for one in (variant, self.variants[name]))
            if not theirs.all():
                return None
            gains.append((1 if self.compared[task].higher else -1) * 100 * (ours - theirs) / np.abs(theirs))
        return spread(np.mean(gains, axis=0).tolist())

    def _read(self, variant: Variant, task: str) -> Predicted:
        if (variant.name, task) not in self._predicted:
            runs = self.runs[variant.name]
            described = {**self.compared[task].task, "name": variant.tasks[task]}
            self._predicted[variant.name, task] = read_predicted([run.folder for run in runs], described)
        return self._predicted[variant.name, task]


def corrected(figures: Sequence[Figure]) -> list[Figure]:
    """Correct the p values of a family of differences for their number, by Holm's method; so those from controls."""
    own = _corrected([figure.difference for figure in figures])
    control = _corrected([figure.control for figure in figures])
    return [replace(f, difference=d, control=c) for f, d, c in zip(figures, own, control, strict=True)]


def _corrected(differences: Sequence[Difference | None]) -> list[Difference | None]:
    values = holm([math.nan if d is None else d.both.p for d in differences])
    family = sum(d is not None for d in differences)
    return [
        None if d is None else replace(d, corrected=value, family=family)
        for d, value in zip(differences, values, strict=True)
    ]
