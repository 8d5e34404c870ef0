"""What came of a sweep: a row for each job of its folder, and for the repetitions with other seeds together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tsmtl.config.identity import PLACES, differences, flattened, sha256_of_values, without_places
from tsmtl.sweep.job import value_of
from tsmtl.sweep.record import JobRecord, records_in
from tsmtl.sweep.statistics import Spread, spread

SEED = "seed"  # an axis of its own: repetitions, among which nothing is chosen
DATA = "data sha256"  # an axis where what was asked for in the same way was different files


@dataclass(frozen=True)
class JobResult:
    """One job's row.

    Attributes:
        record: The job.
        name: Its folder, within the sweep's.
        status: How it ended; ``cut`` where it has not.
        values: What tells it from the others: value by key.
        metrics: ``val/<task>/<metric>`` at the best epoch, and ``test/<task>/<metric>``.
        score: The score by which it was judged, on val; NaN without one.
        best_epoch: The epoch of it; None without one.
        seconds: Of training, in all its processes; NaN without.
    """

    record: JobRecord
    name: str
    status: str
    values: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    score: float = math.nan
    best_epoch: int | None = None
    seconds: float = math.nan

    @property
    def but_seed(self) -> tuple[tuple[str, str], ...]:
        """Values that repetitions with other seeds share."""
        return tuple((key, value) for key, value in self.values.items() if key != SEED)


@dataclass(frozen=True)
class Results:
    """The jobs of a sweep's folder, the best settings first, those without a score last.

    Where seeds are swept, settings are ranked by their mean over the seeds, those with a job that is not done behind
    the others; a seed is never ranked.

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
        """The best job, of several seeds the first; None where there is none, or they cannot be compared."""
        first = next(iter(self.jobs), None)
        return None if self.monitor is None or first is None or math.isnan(first.score) else first

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics of any job."""
        return list(dict.fromkeys(name for job in self.jobs for name in job.metrics))

    @property
    def over_seeds(self) -> list[tuple[Mapping[str, str], dict[str, Spread]]]:
        """Settings but the seed, in order, with the spread of the score and every metric; empty without a swept seed.

        Counts the jobs that are done; a metric that one of them does not have is left out.
        """
        if SEED not in self.keys:
            return []
        done: dict[tuple[tuple[str, str], ...], list[JobResult]] = {}
        for job in self.jobs:
            if job.status == "done":
                done.setdefault(job.but_seed, []).append(job)
        return [(dict(values), dict(_spreads(jobs))) for values, jobs in done.items()]


def _spreads(jobs: Sequence[JobResult]) -> Iterator[tuple[str, Spread]]:
    figures = [{"score": job.score, **job.metrics} for job in jobs]
    for name in figures[0]:
        found = [figure.get(name, math.nan) for figure in figures]
        if all(map(math.isfinite, found)):
            yield name, spread(found)


def results_of(folder: Path) -> Results:
    """Read the jobs of a sweep's folder."""
    records = list(records_in(folder))
    keys = differing_keys(records)
    values = [{key: value_of(record.settings, key, record.swept.get(key, "")) for key in keys} for record in records]
    files = ["+".join(digest[:8] for digest in (record.data, record.start) if digest) for record in records]
    asked = [_data_asked(*about) for about in zip(records, values, strict=True)]
    read = {(name, file) for name, file, record in zip(asked, files, records, strict=True) if record.data is not None}
    if len({name for name, _ in read}) < len(read):
        keys.append(DATA)
        values = [{**found, DATA: read} for found, read in zip(values, files, strict=True)]
    jobs = [_row(record, folder, found) for record, found in zip(records, values, strict=True)]
    monitors = {record.monitor for record in records}
    higher = bool(records) and records[0].higher_is_better
    if len(monitors) == 1:
        jobs = _ranked(jobs, higher)
    return Results(jobs, keys, monitors.pop() if len(monitors) == 1 else None, higher)


def _data_asked(record: JobRecord, values: Mapping[str, str]) -> str:
    """Name the files that a job asked for, by its settings of them and the places that the table shows."""
    asked = {key: value for key, value in without_places(record.settings).items() if key in ("data", "task", "tasks")}
    return sha256_of_values(asked, {key: value for key, value in values.items() if key in PLACES})


def _ranked(jobs: Sequence[JobResult], higher_is_better: bool) -> list[JobResult]:
    groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for job in jobs:
        groups.setdefault(job.but_seed, []).append(job.score)

    def place(job: JobResult) -> tuple[Any, ...]:
        scores = np.array(groups[job.but_seed])
        known = scores[~np.isnan(scores)]
        if math.isnan(job.score):
            return (True, 0, 0.0, 0)
        mean = float(known.mean())
        return (False, len(known) < len(scores), -mean if higher_is_better else mean, int(job.record.settings[SEED]))

    return sorted(jobs, key=place)


def differing_keys(records: Sequence[JobRecord]) -> list[str]:
    """Give the settings that tell the jobs apart.

    Those that users gave, now or before, and that are not the same in all jobs; where these are the same in two jobs,
    all others in which the two differ, as they do when a file of settings has changed between two sweeps.
    """
    keys = _given_keys(records)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        said = tuple(value_of(record.settings, key, record.swept.get(key, "")) for key in keys)
        alike.setdefault(said, []).append(flattened(without_places(record.settings)))
    unsaid = [key for first, *others in alike.values() for other in others for key, *_ in differences(first, other)]
    return list(dict.fromkeys([*keys, *unsaid]))


def _given_keys(records: Sequence[JobRecord]) -> list[str]:
    given = dict.fromkeys(key for record in records for key in record.swept)
    given |= dict.fromkeys(
        key
        for record in records
        for key in record.typed
        if key not in PLACES and key != "best_model_path" and not key.startswith("hydra")
    )
    swept = {key for record in records for key in record.swept}
    return [
        key
        for key in given
        if (key in swept or not any(other.startswith(f"{key}.") for other in given))  # tasks, of tasks.0.weight
        and len({value_of(record.settings, key, record.swept.get(key, "")) for record in records}) > 1
    ]


def _row(record: JobRecord, folder: Path, values: Mapping[str, str]) -> JobResult:
    name = str(record.folder.relative_to(folder))
    summary = record.summary()
    if summary is None:
        return JobResult(record, name, record.status if record.status != "done" else "cut", values)
    metrics = {key: _number(value) for key, value in summary["val"].items() if key.startswith("val/")}
    for task, found in summary["test"].items():
        metrics |= {f"test/{task}/{key}": _number(v) for key, v in found.items() if not isinstance(v, dict | list)}
    best, seconds = summary["best"], _number(summary["seconds"]["training"])
    return JobResult(record, name, "done", values, metrics, _number(best["score"]), best["epoch"], seconds)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
