"""The last words of a sweep: its table on the terminal, its files, and a link to its best model."""

import math
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from tsmtl.report.sweep_table import MAIN, figure, lines_of, terminal_width
from tsmtl.storage.run_folder import BEST
from tsmtl.storage.whole import whole_file
from tsmtl.sweep.job import Outcome
from tsmtl.sweep.results import SEED, JobResult, Results
from tsmtl.sweep.statistics import Spread
from tsmtl.sweep.tables import JOBS, OVER_SEEDS, write_tables

PICTURE = "sweep.png"


def get_ready() -> None:
    """Import what :func:`conclude` will draw with, which takes a while; the sweep has time for it before its end."""
    with suppress(Exception):  # the end says it, when no job is under way
        import tsmtl.report.sweep_picture  # noqa: F401  # matplotlib is slow to import


def conclude(folder: Path, results: Results, pictures: bool) -> None:
    """Write the tables, the picture and the link into the sweep's folder, and show the table.

    Args:
        folder: The sweep's folder.
        results: Its jobs.
        pictures: Whether any job that was asked for draws; else no picture is there, nor one of an earlier sweep.

    Raises:
        OSError: If the disk is full or not writable.
    """
    write_tables(folder, results)
    paths = {"results": folder / JOBS}
    if results.over_seeds:
        paths["over seeds"] = folder / OVER_SEEDS
    if pictures and _draw(folder / PICTURE, results):
        paths["picture"] = folder / PICTURE
    else:
        (folder / PICTURE).unlink(missing_ok=True)
    if results.best is not None and _link(results.best, folder / BEST):
        paths["best model"] = folder / BEST
    elif (folder / BEST).is_symlink():  # to what was the best before
        (folder / BEST).unlink()
    width = max(map(len, paths))
    lines = ["", *_jobs(results), *_over_seeds(results), "", *(f"{n:<{width}}  {p}" for n, p in paths.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def _draw(path: Path, results: Results) -> bool:
    """Draw the scores against the settings, where there is something to compare."""
    axes = [key for key in results.keys if key != SEED]
    jobs = [job for job in results.jobs if math.isfinite(job.score)]
    if results.monitor is None or not axes or len(jobs) < 2:
        return False
    from tsmtl.report.sweep_picture import draw_sweep  # matplotlib is slow to import

    best = fmean(job.score for job in jobs if job.but_seed == jobs[0].but_seed)  # over its seeds
    draw_sweep(path, axes, [([job.values[key] for key in axes], job.score) for job in jobs], best, results.monitor)
    return True


def _jobs(results: Results) -> list[str]:
    shown = [name for name in results.metrics if _is_main(name, results)]
    rows = []
    for job in results.jobs:
        row = dict(job.values) if results.keys else {"job": job.name}
        if results.monitor is None:
            row["monitor"] = job.record.monitor
        row[results.monitor or "score"] = figure(job.score)
        row |= {name: figure(job.metrics.get(name, math.nan)) for name in shown}
        row |= {"epoch": str(job.best_epoch or ""), "seconds": "" if math.isnan(job.seconds) else f"{job.seconds:.1f}"}
        reason = "" if job.status == "done" else job.record.reason
        rows.append(row | {"": Outcome(job.status, reason).words})
    return lines_of(rows, width=terminal_width(), spare=[*shown, "epoch", "seconds"])


def _is_main(name: str, results: Results) -> bool:
    return name.startswith("val/") and name.rpartition("/")[2] in MAIN and name != results.monitor


def _over_seeds(results: Results) -> list[str]:
    if not results.over_seeds:
        return []
    rows = [
        {**values, "seeds": str(max((s.n for s in spreads.values()), default=0)), **_cells(results, spreads)}
        for values, spreads in results.over_seeds
    ]
    spare = [name for name in results.metrics if _is_main(name, results)]
    lines = lines_of(rows, width=terminal_width(), spare=spare)
    return ["", "over seeds: mean, sd, 95 % interval of the mean", *lines]


def _cells(results: Results, spreads: Mapping[str, Spread]) -> dict[str, str]:
    names = {"score": results.monitor or "score"}
    names |= {name: name for name in results.metrics if _is_main(name, results)}
    return {said: "" if name not in spreads else _said(spreads[name]) for name, said in names.items()}


def _said(s: Spread) -> str:
    return f"{s.mean:.4g}" if s.n == 1 else f"{s.mean:.4g} ± {s.sd:.2g} [{s.low:.4g}, {s.high:.4g}]"


def _link(best: JobResult, path: Path) -> bool:
    """Let ``path`` lead to the best job's model; a copy where links are not to be had."""
    summary, asked = best.record.summary(), best.record.settings["best_model_path"]
    if summary is None:
        return False
    model = best.record.folder / BEST if asked is None else Path(summary["best_model_path"])
    if not model.is_file():
        return False
    if path.exists() and not path.is_symlink() and path.samefile(model):  # best_model_path named it
        return True
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(os.path.relpath(model.resolve(), path.parent.resolve()))
    except OSError:
        with whole_file(path) as copy, model.open("rb") as source:
            shutil.copyfileobj(source, copy)
        return True
    temporary.replace(path)
    return True
