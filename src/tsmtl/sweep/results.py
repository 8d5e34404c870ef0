"""What came of a sweep: a row for each job of its folder, and for the repetitions with other seeds together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tsmtl.sweep.record import JobRecord, records_in
from tsmtl.sweep.statistics import Spread, spread

SEED = "seed"  # an axis of its own: repetitions, among which nothing is chosen


@dataclass(frozen=True)
class JobResult:
    """One job's row.

    Attributes:
        record: The job.
        status: How it ended; ``cut`` where it has not.
        values: What tells it from the others: value by key.
        metrics: ``val/<task>/<metric>`` at the best epoch, and ``test/<task>/<metric>``.
        score: The score by which it was judged, on val; NaN without one.
        best_epoch: The epoch of it; None without one.
        seconds: Of the whole run, in its last process; NaN without.
    """

    record: JobRecord
    status: str
    values: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    score: float = math.nan
    best_epoch: int | None = None
    seconds: float = math.nan

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.record.folder.name


@dataclass(frozen=True)
class Results:
    """The jobs of a sweep's folder, the best first, those without a score last.

    Attributes:
        jobs: A row each.
        keys: The settings that differ.
        monitor: The score that they are compared by; None where they were not all judged by the same.
        higher_is_better: Which way.
    """

    jobs: Sequence[JobResult]
    keys: Sequence[str]
    monitor: str | None
    higher_is_better: bool

    @property
    def best(self) -> JobResult | None:
        """The best job; None where there is none, or they cannot be compared."""
        first = next(iter(self.jobs), None)
        return None if self.monitor is None or first is None or math.isnan(first.score) else first

    @cached_property
    def over_seeds(self) -> list[tuple[Mapping[str, str], dict[str, Spread]]]:
        """Settings but the seed, with the spread of every metric and of the score; empty where no seed is swept."""
        if SEED not in self.keys:
            return []
        groups: dict[tuple[tuple[str, str], ...], list[JobResult]] = {}
        for job in self.jobs:
            if job.status == "done":
                groups.setdefault(tuple((k, v) for k, v in job.values.items() if k != SEED), []).append(job)
        found = []
        for values, jobs in groups.items():
            figures = [{**job.metrics, "score": job.score} for job in jobs]
            names = [name for name in figures[0] if all(math.isfinite(f.get(name, math.nan)) for f in figures)]
            found.append((dict(values), {name: spread([f[name] for f in figures]) for name in names}))
        sign = -1 if self.higher_is_better else 1
        return sorted(found, key=lambda group: sign * group[1]["score"].mean if "score" in group[1] else math.inf)


def results_of(folder: Path) -> Results:
    """Read the jobs of a sweep's folder."""
    records = list(records_in(folder))
    keys = list(dict.fromkeys(key for record in records for key in record.swept))
    jobs = [_row(record, keys) for record in records]
    monitors = {record.monitor for record in records}
    higher = bool(records) and records[0].higher_is_better
    sign = -1 if higher else 1
    if len(monitors) == 1:
        jobs.sort(key=lambda job: (math.isnan(job.score), 0.0 if math.isnan(job.score) else sign * job.score))
    return Results(jobs, keys, monitors.pop() if len(monitors) == 1 else None, higher)


def _row(record: JobRecord, keys: Iterable[str]) -> JobResult:
    values = {key: record.swept.get(key) or _said(record.settings, key) for key in keys}
    summary = record.summary()
    if summary is None:
        return JobResult(record, record.status if record.status != "done" else "cut", values)
    metrics = {k: _number(v) for k, v in summary["val"].items() if k.startswith("val/")}
    for task, found in summary["test"].items():
        metrics |= {f"test/{task}/{k}": _number(v) for k, v in found.items() if not isinstance(v, dict | list)}
    best = summary["best"]
    return JobResult(
        record, "done", values, metrics, _number(best["score"]), best["epoch"], _number(summary["seconds"]["all"])
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _said(settings: Mapping[str, Any], key: str) -> str:
    """Give the value of a dotted key of a job that did not have it typed."""
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)
