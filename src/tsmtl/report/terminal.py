"""The last words of a command: the one place that writes to the terminal's output."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tsmtl.tasks.task import Task


def show_summary(
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Mapping[str, float | None]],
    paths: Mapping[str, Path],
    split: str = "test",
) -> None:
    """Write a short table of the metrics on a split, and where things lie."""
    called = {name: f"{name} ({task.key})" for name, task in tasks.items()}
    wide = max(24, *map(len, called.values()))
    lines = ["", f"{split:<{wide}} {'metric':<18} value"]
    for name, task in tasks.items():
        for metric, value in metrics[name].items():
            in_unit = metric.removesuffix("_capped") in ("rmse", "mae")
            unit = f" {task.unit}" if task.unit and in_unit else ""
            said = "not defined" if value is None else f"{value:.4g}{unit}"
            lines.append(f"{called[name]:<{wide}} {metric:<18} {said}")
    width = max(len(name) for name in paths)
    lines += ["", *(f"{name:<{width}}  {path}" for name, path in paths.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
