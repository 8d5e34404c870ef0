"""The results of a sweep as files: ``results.csv``, and ``results_over_seeds.csv`` where seeds are swept."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tsmtl.storage.whole import whole_file
from tsmtl.sweep.results import Results
from tsmtl.sweep.statistics import Spread

JOBS, OVER_SEEDS = "results.csv", "results_over_seeds.csv"


def write_tables(folder: Path, results: Results) -> None:
    """Write the tables into the sweep's folder.

    Raises:
        OSError: If the disk is full or not writable; the old files stay.
    """
    write_rows(folder / JOBS, job_rows(results))
    if results.over_seeds:
        write_rows(folder / OVER_SEEDS, rows_over_seeds(results))


def job_rows(results: Results) -> list[dict[str, Any]]:
    """Give the rows of ``results.csv``, one for each job."""
    metrics = results.metrics
    rows: list[dict[str, Any]] = []
    for job in results.jobs:
        about = {"job": job.name, "status": job.status, **job.values, "monitor": job.record.monitor}
        figures = {"score": _cell(job.score), "best_epoch": job.best_epoch, "seconds": _cell(job.seconds)}
        found = {name: _cell(job.metrics.get(name, math.nan)) for name in metrics}
        rows.append({**about, **figures, **found, "reason": "" if job.status == "done" else job.record.reason})
    return rows


def rows_over_seeds(results: Results) -> list[dict[str, Any]]:
    """Give the rows of ``results_over_seeds.csv``, one for settings that only the seed tells apart."""
    metrics = results.metrics
    return [_over_seeds(*group, metrics) for group in results.over_seeds]


def _over_seeds(values: Mapping[str, str], spreads: Mapping[str, Spread], metrics: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {**values, "seeds": max((s.n for s in spreads.values()), default=0)}
    for name in ("score", *metrics):
        found = spreads.get(name)
        for part in ("mean", "sd", "low", "high"):
            row[f"{name} {part}"] = "" if found is None else _cell(getattr(found, part))
    return row


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, the first one's keys as the header.

    Raises:
        OSError: If the disk is full or not writable; the old file stays.
    """
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
