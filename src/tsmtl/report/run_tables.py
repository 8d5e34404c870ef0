"""The tables of a run's page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tsmtl.report.run_contents import RunContents
from tsmtl.report.table import Table


def cell(value: Any, digits: int = 4) -> str:
    """Write a value of ``summary.json`` or of the settings short."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def in_unit(metric: str, unit: str | None) -> str:
    """Give a metric's name, with the unit of the target where the metric is measured in it."""
    return f"{metric} ({unit})" if unit and metric.removesuffix("_capped") in ("rmse", "mae") else metric


def metrics_table(run: RunContents) -> Table:
    """Give each task's metrics on test, and on val at the best epoch."""
    rows = []
    for name, found in run.summary["test"].items():
        task = run.tasks[name]
        for metric, value in found.items():
            if isinstance(value, dict | list):
                continue
            said = in_unit(metric, task["unit"])
            val = run.summary["val"].get(f"val/{name}/{metric}")
            rows.append([name, str(task["key"]), said, "not defined" if value is None else cell(value), cell(val)])
    return Table("", ["task", "target", "metric", "test", "val"], rows)


def detail_tables(run: RunContents) -> Iterator[Table]:
    """Give what the summary says of single classes, numbers or labels: a table for each task."""
    for name, found in run.summary["test"].items():
        parts: dict[str, dict[str, Any]] = {}
        for metric, value in found.items():
            entries = (
                value.items() if isinstance(value, dict) else enumerate(value, 1) if isinstance(value, list) else ()
            )
            for key, inner in entries:
                row = parts.setdefault(str(key), {})
                row |= inner if isinstance(inner, dict) else {metric: inner}
        header = list(dict.fromkeys(metric for row in parts.values() for metric in row))
        rows = [[key, *(cell(row.get(metric)) for metric in header)] for key, row in parts.items()]
        if rows:
            yield Table(f"{name}, one by one, on test", ["", *header], rows)


def linear_probe_table(summary: Mapping[str, Any]) -> Table | None:
    """Give the test metrics of a run on vectors beside those of linear models on them; None of another run.

    Args:
        summary: What ``summary.json`` holds.
    """
    probe = summary.get("linear_probe")
    if not probe:
        return None
    logistic = summary.get("logistic_probe") or {}
    rows = []
    for name, found in probe.items():
        unit, other = summary["tasks"][name]["unit"], logistic.get(name, {})
        chosen = f"alpha {found['alpha']:g}" + (f", C {other['C']:g}" if other else "")
        for metric, value in found.items():
            if metric in ("alpha", "instances"):
                continue
            values = [summary["test"][name][metric], value]
            said = ["not defined" if v is None else cell(v) for v in values]
            if logistic:
                said.append("" if metric not in other else cell(other[metric]))
            rows.append([name, in_unit(metric, unit), *said, chosen])
    header = ["task", "metric", "run", "ridge", *(["logistic"] if logistic else []), ""]
    return Table("Beside linear models of the same vectors", header, rows)


def best_epochs_table(summary: Mapping[str, Any]) -> Table | None:
    """Give what another choice of the epoch would have brought on test, and its checkpoint; None where none was kept.

    Args:
        summary: What ``summary.json`` holds.
    """
    side = summary.get("best_per_task")
    if not side:
        return None
    main = {**summary["best"], "checkpoint": Path(summary["best_model_path"]).name, "test": summary["test"]}
    metrics = {task: side[task]["monitor"].rpartition("/")[2] for task in summary["tasks"] if task in side}
    rows = []
    for found in (main, *side.values()):
        values = [found["test"][task][metric] for task, metric in metrics.items()]
        said = ["not defined" if value is None else cell(value) for value in values]
        rows.append([found["monitor"], str(found["epoch"]), *said, found["checkpoint"]])
    named = [f"{task} {in_unit(metric, summary['tasks'][task]['unit'])}" for task, metric in metrics.items()]
    header = ["best epoch by", "epoch", *named, "checkpoint"]
    return Table("Test metrics at the best epoch of each score", header, rows)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Give nested settings by their dotted names."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + str(key)] = "null" if value is None else cell(value, 6)
    return found
