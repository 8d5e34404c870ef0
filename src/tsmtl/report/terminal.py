"""The last words of a run: the one place that writes to the terminal's output."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tsmtl.tasks.task import Task


def show_summary(
    tasks: dict[str, Task], test: Mapping[str, Mapping[str, float | None]], paths: dict[str, Path]
) -> None:
    """Write a short table of test metrics, and where things lie."""
    lines = ["", f"{'test':<24} {'metric':<18} value"]
    for name, task in tasks.items():
        for metric, value in test[name].items():
            unit = f" {task.unit}" if task.unit and metric in ("rmse", "mae") else ""
            said = "not defined" if value is None else f"{value:.4g}{unit}"
            lines.append(f"{f'{name} ({task.key})':<24} {metric:<18} {said}")
    width = max(len(name) for name in paths)
    lines += ["", *(f"{name:<{width}}  {path}" for name, path in paths.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
