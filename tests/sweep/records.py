"""Folders of jobs as sweeps leave them, without any training."""

import json
from pathlib import Path
from typing import Any

from tsmtl.sweep.record import JobRecord


def write_job(
    sweep: Path,
    name: str,
    settings: dict[str, Any],
    score: float | None = None,
    test: dict[str, dict[str, Any]] | None = None,
    swept: tuple[str, ...] = (),
    **about: Any,
) -> Path:
    """Write the folder of a job, finished if it has a score.

    Args:
        sweep: The sweep's folder.
        name: The job's.
        settings: All its settings.
        score: On val, lower is better unless ``about`` says otherwise.
        test: Metrics of the test split by task.
        swept: Keys of the swept settings.
        about: Other attributes of its record.
    """
    folder = sweep / name
    flat = {"seed": 0, "best_model_path": None, **settings}
    known = {"monitor": "val/loss", "higher_is_better": False, "data": "d" * 64, "typed": [*swept]}
    known |= {"status": "done" if score is not None else "failed", **about}
    JobRecord(folder, name, {key: str(settings[key]) for key in swept}, flat, **known).write()
    if score is not None:
        summary = {
            "best": {"epoch": 3, "score": score},
            "val": {"epoch": 3, known["monitor"]: score, "val/reg/rmse": 2 * score, "seconds": 0.1},
            "test": test or {"reg": {"rmse": 3 * score, "per_output": [1, 2]}},
            "seconds": {"training": 1.5, "all": 2.5},
            "best_model_path": str(folder / "best_model.pt"),
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        (folder / "best_model.pt").write_text(name)
    return folder
