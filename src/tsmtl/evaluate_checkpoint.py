"""Metrics of a checkpoint: on a split of the data it was trained on, or on the instances of a file."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsmtl.calibrate import intervals_said
from tsmtl.config.errors import FailedError, UserError
from tsmtl.config.evaluate_settings import (
    EvaluateDataSettings,
    EvaluateSettings,
    kinds_of_checkpoint,
    target_problems,
)
from tsmtl.config.predict_settings import ROWS, input_format, kind_problems
from tsmtl.config.words import did_you_mean
from tsmtl.evaluate_sources import Compared, Measured, on_file, on_new_rows, on_split
from tsmtl.predict_file import level_for, load_for, transform_for
from tsmtl.predict_table import trained_on_table
from tsmtl.predictor import Predictor
from tsmtl.report.files import write_json
from tsmtl.report.terminal import show_summary
from tsmtl.tasks.calibration import coverage
from tsmtl.tasks.measure import details_by_task, measure
from tsmtl.tasks.task import NumberPrediction, Task
from tsmtl.training.step_environment import freed_memory_kept
from tsmtl.training.threads import threads_put_back

if TYPE_CHECKING:
    from tsmtl.transform import Transform

log = logging.getLogger(__name__)


@threads_put_back()
@freed_memory_kept()
def evaluate_checkpoint(
    settings: EvaluateSettings, data: EvaluateDataSettings, typed: frozenset[str]
) -> dict[str, Any]:
    """Measure a model, show the metrics and write them where the settings ask for it.

    Args:
        settings: Which model, on which instances.
        data: The section ``data``; only what was typed counts.
        typed: Keys that the user gave on the command line.

    Returns:
        What the JSON file holds: metrics by task as in a run's ``summary.json``, and of what they are.

    Raises:
        UserError: If the checkpoint, the data or a target cannot be used.
    """
    output = None if settings.output is None else Path(settings.output).expanduser()
    if output is not None and not output.parent.is_dir():
        raise UserError(f"output: there is no folder {output.parent}")
    predictor = load_for(settings, typed)
    tasks = _chosen(predictor, settings)
    level = level_for(predictor, settings, typed)
    given = {key: getattr(data, key) for key in type(data).model_fields if f"data.{key}" in typed}
    transform = transform_for(predictor, settings)
    if transform is not None:
        _check_tasks(tasks, transform, settings)
    on_table = trained_on_table(transform or predictor)
    measured = Measured(predictor, transform, tasks, settings, given, level)
    if problems := target_problems(measured.fitted_on, given, settings.targets, measured.file):
        raise UserError(problems)
    ending = input_format(given.get("path", ""))
    has_columns = on_table or measured.fitted_on["data"]["source"] == "vectors"
    if settings.split is not None and not has_columns and ending in ROWS:
        raise UserError(f"split: a {ending} file has no splits; leave split out to take all of its instances")
    if "path" in given and settings.split is None:
        if problems := kind_problems(given["path"], on_table, typed):
            raise UserError(problems)
        if on_table:
            compared = on_new_rows(measured)
        else:
            compared = on_file(measured, data.instance_key, "data.instance_key" in typed)
    else:
        compared = on_split(measured)
    labelled = {}
    for name, task in tasks.items():
        truth = compared.truth[name]
        there = truth >= 0 if task.kind == "cls" else ~np.isnan(truth).all(axis=1)
        labelled[name] = int(there.sum())
        if not labelled[name]:
            raise UserError(f"{compared.where}: no instance has a target of task {name} ({compared.split})")
    metrics = {name: measure(task, compared.truth[name], compared.predictions[name]) for name, task in tasks.items()}
    details = details_by_task(tasks, compared.truth, compared.predictions)
    intervals = _intervals(tasks, compared, level)
    result = {
        "metrics": {name: metrics[name] | details[name] for name in tasks},
        "intervals": intervals,
        "split": compared.split,
        "instances": len(next(iter(compared.truth.values()))),
        "labelled": labelled,
        "data": compared.where,
        "checkpoint": settings.checkpoint,
    }
    paths = {"checkpoint": Path(settings.checkpoint), "data": Path(compared.where)}
    if output is not None:
        try:
            write_json(output, result)
        except OSError as error:
            raise FailedError(f"output: cannot write {output} ({error.strerror})") from error
        paths["metrics"] = output
    log.info("measured: %d instances", result["instances"])
    for name, found in intervals.items():
        log.info("intervals: %s (%s) %s", name, tasks[name].key, intervals_said(tasks[name], found, found["level"]))
    show_summary(tasks, metrics, paths, compared.split)
    return result


def _intervals(tasks: dict[str, Task], compared: Compared, level: float | None) -> dict[str, dict[str, Any]]:
    """Measure the intervals of the numbers, by task; none without a level."""
    return {
        name: {"level": level, **coverage(task, compared.truth[name], prediction)}
        for name, task in tasks.items()
        if isinstance(prediction := compared.predictions[name], NumberPrediction) and prediction.low is not None
    }


def _chosen(predictor: Predictor, settings: EvaluateSettings) -> dict[str, Task]:
    if settings.tasks is None:
        return predictor.tasks
    if unknown := [name for name in settings.tasks if name not in predictor.tasks]:
        have = ", ".join(predictor.tasks)
        hint = did_you_mean(unknown[0], predictor.tasks)
        raise UserError(f"tasks: {settings.checkpoint} has no task {unknown[0]}; it has {have}{hint}")
    return {name: predictor.tasks[name] for name in settings.tasks}


def _check_tasks(tasks: dict[str, Task], transform: "Transform", settings: EvaluateSettings) -> None:
    """Check that the targets of tasks have a place in the data that the transform was fitted on.

    Raises:
        UserError: If not.
    """
    known = kinds_of_checkpoint(transform.settings)
    if unknown := [name for name in tasks if name not in known]:
        raise UserError(
            f"transform: {settings.transform} was fitted beside targets of {', '.join(known)}, the model has "
            f"{unknown[0]}; measure others with tasks="
        )
