"""The runs of a comparison: a row for each, those of the searches too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsmtl.comparison.stages import Run, Stages

NAME = "results.csv"


def rows_of(stages: Stages) -> list[dict[str, Any]]:
    """Give a row for each run, those of the searches first; metrics on test by ``test/<task>/<metric>``."""
    names = dict.fromkeys(n for run in stages.runs if run.summary is not None for n in _metrics(run.summary))
    return [_row(run, stages, list(names)) for run in stages.runs]


def _row(run: Run, stages: Stages, names: list[str]) -> dict[str, Any]:
    metrics = {} if run.summary is None else _metrics(run.summary)
    best = {} if run.summary is None else run.summary["best"]
    return {
        "variant": run.variant,
        "stage": "search" if run.search else "repetition",
        "chosen": run.candidate == stages.chosen.get(run.variant),
        "seed": run.seed,
        "lr": run.candidate.lr,
        "num_epochs": run.candidate.num_epochs,
        "status": "failed" if run.summary is None else "done",
        "best_epoch": best.get("epoch"),
        "val/joint": best.get("score"),
        **{name: metrics.get(name) for name in names},
        "folder": _relative(run.folder, stages.folder),
    }


def described(run: Run, folder: Path) -> dict[str, Any]:
    """Give what ``comparison.json`` says of a repetition that is done.

    Args:
        run: The run.
        folder: The comparison's.
    """
    assert run.summary is not None, "it is done"
    return {
        "variant": run.variant,
        "seed": run.seed,
        "folder": _relative(run.folder, folder),
        "metrics": _metrics(run.summary),
        "lr": run.candidate.lr,
        "num_epochs": run.candidate.num_epochs,
        "best_epoch": run.summary["best"]["epoch"],
        "seconds": run.summary["seconds"]["training"],
    }


def _metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"test/{task}/{name}": value
        for task, found in summary["test"].items()
        for name, value in found.items()
        if not isinstance(value, dict | list)
    }


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
