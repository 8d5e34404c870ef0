"""The last words of a sweep: its table on the terminal, its files, and a link to its best model."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tsmtl.report.sweep_table import MAIN, figure, lines_of
from tsmtl.storage.whole import whole_file
from tsmtl.sweep.results import SEED, JobResult, Results
from tsmtl.sweep.statistics import Spread
from tsmtl.sweep.tables import JOBS, OVER_SEEDS, write_tables

BEST, PICTURE = "best_model.pt", "sweep.png"


def conclude(folder: Path, results: Results) -> None:
    """Write the tables, the picture and the link into the sweep's folder, and show the table.

    Raises:
        OSError: If the disk is full or not writable.
    """
    write_tables(folder, results)
    paths = {"results": folder / JOBS}
    if results.over_seeds:
        paths["over seeds"] = folder / OVER_SEEDS
    if results.monitor is not None and [key for key in results.keys if key != SEED]:
        from tsmtl.report.sweep_picture import draw_sweep  # matplotlib is slow to import

        scored = [job for job in results.jobs if job.status == "done"]
        if len(scored) > 1:
            axes = [key for key in results.keys if key != SEED]
            points = [([job.values[key] for key in axes], job.score) for job in scored]
            draw_sweep(folder / PICTURE, axes, points, results.monitor, results.higher_is_better)
            paths["picture"] = folder / PICTURE
    if results.best is not None and _link(results.best, folder / BEST):
        paths["best model"] = folder / BEST
    width = max(map(len, paths))
    lines = ["", *_jobs(results), *_over_seeds(results), "", *(f"{n:<{width}}  {p}" for n, p in paths.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def _jobs(results: Results) -> list[str]:
    shown = [name for name in (results.jobs[0].metrics if results.jobs else ()) if _is_main(name, results)]
    rows = []
    for job in results.jobs:
        row = {"job": job.name} if not results.keys else dict(job.values)
        row |= {results.monitor or job.record.monitor: figure(job.score)}
        row |= {name: figure(job.metrics.get(name, float("nan"))) for name in shown}
        row |= {"epoch": str(job.best_epoch or ""), "seconds": "" if job.score != job.score else f"{job.seconds:.1f}"}
        rows.append(row | {"": job.status if job.status == "done" else f"{job.status}: {job.record.reason}"})
    return lines_of(rows)


def _is_main(name: str, results: Results) -> bool:
    return name.startswith("val/") and name.rpartition("/")[2] in MAIN and name != results.monitor


def _over_seeds(results: Results) -> list[str]:
    if not results.over_seeds:
        return []
    rows = [
        {**values, "seeds": str(max(s.n for s in spreads.values())), **_cells(results, spreads)}
        for values, spreads in results.over_seeds
        if spreads
    ]
    return ["", "over seeds: mean, sd, 95 % interval of the mean", *lines_of(rows)]


def _cells(results: Results, spreads: Mapping[str, Spread]) -> dict[str, str]:
    names = {"score": results.monitor or "score"} | {name: name for name in spreads if _is_main(name, results)}
    return {
        said: f"{s.mean:.4g} ± {figure(s.sd) or '-'} [{figure(s.low)}, {figure(s.high)}]"
        for name, said in names.items()
        if (s := spreads.get(name)) is not None
    }


def _link(best: JobResult, path: Path) -> bool:
    """Let ``path`` lead to the best job's model; a copy where links are not to be had."""
    summary = best.record.summary()
    model = None if summary is None else Path(summary["best_model_path"])
    if model is None or not model.is_file():
        return False
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
