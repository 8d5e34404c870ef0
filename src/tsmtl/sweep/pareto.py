"""The Pareto front of a search with several objectives: the trials that no other one beats in all of them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from tsmtl.report.drawing import BLUE, DPI, GREY, ORANGE, dress, style
from tsmtl.report.sweep_table import figure, lines_of
from tsmtl.sweep.record import records_in
from tsmtl.sweep.search_space import SearchSpace
from tsmtl.sweep.tables import write_rows

TABLE, PICTURE = "pareto.csv", "pareto.png"


def conclude_front(
    folder: Path, study: optuna.Study, objectives: Mapping[str, bool], space: SearchSpace, pictures: bool
) -> None:
    """Write the front as a table and, of two objectives, a picture, and show it.

    Args:
        folder: The sweep's folder.
        study: With completed trials; without any, nothing is written.
        objectives: Their names, and whether higher is better.
        space: What was searched.
        pictures: Whether the trials draw; else no picture is there, nor one of an earlier search.

    Raises:
        OSError: If the disk is full or not writable.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not trials:
        return
    names = list(objectives)
    front = sorted(study.best_trials, key=lambda trial: trial.values[0], reverse=objectives[names[0]])
    jobs = {record.trial: record.folder.name for record in records_in(folder)}
    rows = [
        {
            "trial": str(trial.number),
            **space.typed(trial.params),
            **{name: figure(value) for name, value in zip(names, trial.values, strict=True)},
            "job": jobs.get(trial.number, ""),  # of several seeds the last, of settings that came before none
        }
        for trial in front
    ]
    write_rows(folder / TABLE, rows)
    lines = ["", f"Pareto front: {len(front)} of {len(trials)} trials that no other beats in every objective"]
    paths = [folder / TABLE]
    if pictures and len(names) == 2:
        _draw(folder / PICTURE, trials, front, names)
        paths.append(folder / PICTURE)
    else:
        (folder / PICTURE).unlink(missing_ok=True)
    sys.stdout.write("\n".join([*lines, *lines_of(rows), "", *map(str, paths), ""]))
    sys.stdout.flush()


def _draw(path: Path, trials: Sequence[FrozenTrial], front: Sequence[FrozenTrial], names: Sequence[str]) -> None:
    with style():
        picture = Figure(figsize=(5.6, 4.2), layout="constrained")
        ax = picture.subplots()
        (x, y), (best_x, best_y) = (np.array([t.values for t in some]).T for some in (trials, front))
        ax.scatter(x, y, s=22, color=BLUE, alpha=0.6, label="a trial")
        ax.plot(best_x, best_y, color=GREY, linewidth=1, zorder=1)
        ax.scatter(best_x, best_y, s=42, color=ORANGE, zorder=3, label="on the front")
        for trial in front:
            ax.annotate(str(trial.number), trial.values, xytext=(4, 4), textcoords="offset points", fontsize=8)
        dress(ax, "the trials, by number on the front", names[0], names[1])
        ax.legend(frameon=False, fontsize=8)
        picture.savefig(path, dpi=DPI)
