"""The last words of a command: the one place that writes to the terminal's output."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tsmtl.report.run_tables import best_epochs_table, linear_probe_table
from tsmtl.tasks.task import Task


def show_summary(
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Mapping[str, float | None]],
    paths: Mapping[str, Path],
    split: str = "test",
    more: Sequence[str] = (),
) -> None:
    """Write a short table of the metrics on a split, more lines, and where things lie."""
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
    lines += [*more, "", *(f"{name:<{width}}  {path}" for name, path in paths.items()), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def best_epochs_lines(summary: Mapping[str, Any]) -> list[str]:
    """Say what choosing the epoch for one task costs the others: the test metrics of the best epoch by each score.

    Args:
        summary: What ``summary.json`` holds.
    """
    found = best_epochs_table(summary)
    if found is None:
        return []
    rows = [found.header, *found.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["", *("  ".join(_aligned(row, widths)).rstrip() for row in rows)]


def linear_probe_lines(summary: Mapping[str, Any]) -> list[str]:
    """Say what a linear model makes of the vectors that a run learns from, beside the run's own metrics.

    Args:
        summary: What ``summary.json`` holds.
    """
    found = linear_probe_table(summary)
    if found is None:
        return []
    task, models = max(len(row[0]) for row in found.rows), found.header[3:-1]
    lines = ["", f"beside a {' and a '.join(models)} regression on the same vectors"]
    for name, metric, own, *others, _ in found.rows:
        said = "  ".join(f"{model} {value:<8}" for model, value in zip(models, others, strict=True) if value)
        lines.append(f"{name:<{task}}  {metric:<18} {own:<8} {said}".rstrip())
    return lines


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Give names, in the first and last column, from the left, and numbers from the right."""
    last = len(row) - 1
    return [
        f"{cell:<{w}}" if i in (0, last) else f"{cell:>{w}}"
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]
