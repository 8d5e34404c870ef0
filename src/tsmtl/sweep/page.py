"""A sweep as a page: the best settings, the score against each, the frontier of the tasks, every job."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from tsmtl.config.comparability import why_not_comparable
from tsmtl.config.errors import UserError
from tsmtl.config.metric_names import CAPPED, CLASSIFICATION, ON_REQUEST, REGRESSION
from tsmtl.config.schema import check
from tsmtl.report.data_card import data_card
from tsmtl.report.drawing import style
from tsmtl.report.frontier_picture import Objective, Point, draw_fronts
from tsmtl.report.page import pairs, paragraph, pictures, section, table, write_page
from tsmtl.report.run_figures import main_metric
from tsmtl.report.run_tables import cell, flat
from tsmtl.report.svg import Pictures
from tsmtl.report.sweep_picture import sweep_panels
from tsmtl.report.table import Table
from tsmtl.sweep.dominance import non_dominated
from tsmtl.sweep.results import SEED, JobResult, Results
from tsmtl.sweep.tables import job_rows, rows_over_seeds

MOST_PAIRS = 6  # of tasks
MOST_SAID = 12  # points of a frontier that are said in words
_HIGHER = CLASSIFICATION | REGRESSION | CAPPED | ON_REQUEST
_WEIGHTS = re.compile(r"alpha|weighting(\..+)?|tasks\.\d+\.weight")  # settings of what the tasks weigh


def write_sweep_page(path: Path, folder: Path, results: Results) -> None:
    """Write the page of a sweep.

    Args:
        path: The file.
        folder: The sweep's.
        results: Its jobs, at least one.

    Raises:
        OSError: If it cannot be written; an old file stays.
    """
    svg, objection = Pictures(), _objection(results)
    with style():
        drawn = [
            *section("The score against each setting", "" if objection else pictures(*_scores(results, svg))),
            *section("What one task costs the other", *_frontiers(results, svg)),
        ]
    first = results.best or results.jobs[0]
    summary = first.record.summary()
    facts, made = [], {}
    if summary is not None:
        if len({job.record.data for job in results.jobs if job.record.data}) > 1:
            facts.append(paragraph("Jobs read different data; this is that of the first row.", "open"))
        facts += data_card(summary["data"], summary["labelled"]) if "data" in summary else []
        made = flat(summary.get("versions", {}))
    blocks = [
        paragraph(_counts(results)),
        paragraph(objection or _best(results), "open" if objection or results.best is None else "good"),
        *drawn,
        *section(
            f"Jobs, {'by score' if objection else 'the best settings first'}",
            table(_table(job_rows(results)), sortable=True),
        ),
        *section("Over seeds", *([table(_table(seeds), sortable=True)] if (seeds := rows_over_seeds(results)) else [])),
        *facts,
        *section(f"Settings of {first.name}", pairs(flat(first.record.settings))),
        *section("Versions", pairs(made)),
    ]
    write_page(path, f"Sweep: {folder.resolve().name}", blocks)


def _counts(results: Results) -> str:
    counts: dict[str, int] = {}
    for job in results.jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    ended = ", ".join(f"{n} {status}" for status, n in counts.items())
    return f"{len(results.jobs)} jobs: {ended}. They differ in {', '.join(results.keys) or 'nothing'}."


def _objection(results: Results) -> str | None:
    """Say why the score does not compare the jobs; None where it does, or another version made settings of its own."""
    try:
        return why_not_comparable([check(job.record.settings) for job in results.jobs])
    except UserError:
        return None


def _best(results: Results) -> str:
    if results.best is None:
        return "No best settings: no job has a score, or they were judged by different scores."
    scores = [job.score for job in results.jobs if job.but_seed == results.best.but_seed]
    over = f", mean of {len(scores)} seeds" if len(scores) > 1 else ""
    said = " ".join(f"{key}={value}" for key, value in results.best.but_seed) or results.best.name
    return f"Best: {said}, {results.monitor} {fmean(s for s in scores if math.isfinite(s)):.4g}{over}."


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Give rows as a table, without the columns that are empty in all."""
    names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
    return Table("", names, [[_short(row[name]) for name in names] for row in rows])


def _short(value: Any) -> str:
    return "" if value is None else str(value)


def _scores(results: Results, svg: Pictures) -> list[str]:
    axes = [key for key in results.keys if key != SEED]
    jobs = [job for job in results.jobs if math.isfinite(job.score)]
    if results.monitor is None or not axes or len(jobs) < 2:
        return []
    best = fmean(job.score for job in jobs if job.but_seed == jobs[0].but_seed)
    points = [([job.values[key] for key in axes], job.score) for job in jobs]
    scores = [job.score for job in jobs]
    said = f"{results.monitor} of {len(jobs)} jobs, {min(scores):.4g} to {max(scores):.4g}, best settings {best:.4g}"
    chosen = dict(jobs[0].but_seed)
    return [
        svg.add(figure, f"{said}, against {key}{': best at ' + chosen[key] if key in chosen else ''}")
        for key, figure in sweep_panels(axes, points, best, results.monitor)
    ]


def _frontiers(results: Results, svg: Pictures) -> list[str]:
    """Draw the tasks' metrics against each other, where the sweep varies what the tasks weigh."""
    if not any(_WEIGHTS.fullmatch(key) for key in results.keys):
        return []
    drawn = []
    for split in ("val", "test"):
        tasks = _metrics(results, split)
        groups: dict[tuple[tuple[str, str], ...], list[JobResult]] = {}
        for job in results.jobs:
            if all(math.isfinite(job.metrics.get(f"{split}/{t}/{m}", math.nan)) for t, m in tasks.items()):
                groups.setdefault(job.but_seed, []).append(job)
        values = [
            {t: fmean(job.metrics[f"{split}/{t}/{m}"] for job in jobs) for t, m in tasks.items()}
            for jobs in groups.values()
        ]
        marks = non_dominated(values, {t: _HIGHER[m] for t, m in tasks.items()})
        names = [" ".join(f"{key}={value}" for key, value in group) for group in groups]
        points = [Point(*about) for about in zip(names, values, marks, strict=True)]
        objectives = {t: Objective(f"{t}: {m}", _HIGHER[m]) for t, m in tasks.items()}
        for pair in list(combinations(tasks, 2))[:MOST_PAIRS] if len(points) > 1 else ():
            title = f"{split}{', mean over seeds' if SEED in results.keys else ''}"
            drawn.append(svg.add(draw_fronts(points, objectives, [pair], title), _said(points, pair, title, tasks)))
    note = "Settings are chosen by val; the test metrics show what such a choice is worth."
    return [pictures(*drawn), paragraph(note)] if drawn else []


def _metrics(results: Results, split: str) -> dict[str, str]:
    """Give the main metric of each task."""
    found: dict[str, set[str]] = {}
    for name in results.metrics:
        if name.count("/") == 2 and name.startswith(f"{split}/") and name.rpartition("/")[2] in _HIGHER:
            found.setdefault(name.split("/")[1], set()).add(name.rpartition("/")[2])
    chosen = {task: main_metric(names) for task, names in found.items()}
    return {task: metric for task, metric in chosen.items() if metric is not None}


def _said(points: Sequence[Point], pair: tuple[str, str], title: str, tasks: Mapping[str, str]) -> str:
    front = [point for point in points if point.non_dominated]
    rows = [f"{p.label} {' and '.join(f'{t} {cell(p.values[t])}' for t in pair)}" for p in front[:MOST_SAID]]
    metrics = " and ".join(f"{task} {tasks[task]}" for task in pair)
    return f"{metrics} on {title}, {len(points)} settings, {len(front)} not dominated: {'; '.join(rows)}"
