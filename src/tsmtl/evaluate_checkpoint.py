"""Metrics of a checkpoint: on a split of the data it was trained on, or on the instances of a file."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.assembly import warn_of_fallback
from tsmtl.calibrate import intervals_said
from tsmtl.config.data_settings import NpzSettings
from tsmtl.config.errors import FailedError, UserError
from tsmtl.config.evaluate_settings import (
    EvaluateDataSettings,
    EvaluateSettings,
    data_of_checkpoint,
    place_in_file,
    target_problems,
)
from tsmtl.config.predict_settings import input_format, kind_problems
from tsmtl.config.words import did_you_mean
from tsmtl.data.checks import data_hash
from tsmtl.data.instances import SPLITS, ClassTarget, Instances, IntArray, NumberTarget, blocks
from tsmtl.data.loading import load_bundle
from tsmtl.data.stream import Request, WantedTarget, class_ids
from tsmtl.data.streaming import open_stream
from tsmtl.data.targets import label_target
from tsmtl.data.windows import Windows
from tsmtl.predict_file import level_for, load_for, predicted
from tsmtl.predict_table import new_rows, predict_bundle, trained_on_table
from tsmtl.predictor import Predictor
from tsmtl.report.files import write_json
from tsmtl.report.terminal import show_summary
from tsmtl.tasks.calibration import coverage
from tsmtl.tasks.measure import details_by_task, measure
from tsmtl.tasks.task import NumberPrediction, Prediction, Task, joined
from tsmtl.training.evaluation import EVALUATION_BATCH
from tsmtl.training.step_environment import freed_memory_kept
from tsmtl.training.threads import threads_put_back

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Compared:
    """Predictions beside the truth, by task; ``split`` says of which instances of ``where``."""

    where: str
    split: str
    truth: dict[str, npt.NDArray[Any]]
    predictions: dict[str, Prediction]


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
    on_table = trained_on_table(predictor)
    if problems := target_problems(predictor.settings, given, settings.targets, settings.checkpoint):
        raise UserError(problems)
    if "path" in given and settings.split is not None and not on_table and input_format(given["path"]) == ".csv":
        raise UserError("split: a .csv file has no splits; leave split out to take all of its instances")
    if "path" in given and settings.split is None:
        if problems := kind_problems(given["path"], on_table, typed):
            raise UserError(problems)
        if on_table:
            compared = _on_new_rows(predictor, tasks, settings, given, level)
        else:
            compared = _on_file(predictor, tasks, settings, data, given, "data.instance_key" in typed, level)
    else:
        compared = _on_split(predictor, tasks, settings, given, level)
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


def _intervals(tasks: dict[str, Task], compared: _Compared, level: float | None) -> dict[str, dict[str, Any]]:
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


def _on_split(
    predictor: Predictor,
    tasks: dict[str, Task],
    settings: EvaluateSettings,
    given: dict[str, Any],
    level: float | None,
) -> _Compared:
    data = data_of_checkpoint(predictor.settings, given, settings.checkpoint, settings.targets)
    # All targets, also of tasks that are left out: a split may be drawn by them.
    bundle = load_bundle(data, {name: task.kind for name, task in predictor.tasks.items()})
    trained = predictor.settings["data"]
    changed = [f"data.{key}" for key, value in given.items() if key not in trained or trained[key] != value]
    changed += [f"targets.{name}" for name in settings.targets]
    split = settings.split or "test"
    if changed and "data.path" not in changed and split != "all":
        log.warning(
            "%s: not as in training, so that instances of the %s split may have been trained on",
            ", ".join(changed),
            split,
        )
    if not changed and predictor.data_hash not in (None, data_hash(bundle)):
        log.warning("%s: the data, or their split, have changed since the training", bundle.instances.where)
    instances = bundle.instances
    rows = np.sort(np.concatenate([bundle.splits[s] for s in (SPLITS if split == "all" else (split,))]))
    if split != "all":
        rows = bundle.splits[split]
    if isinstance(data, NpzSettings) and data.channels_key is not None:
        predictor.contract.check_channels(instances.channels, f"{instances.where}: '{data.channels_key}'")
    truth = _truth(instances, rows, tasks)
    if isinstance(instances.x, Windows):
        warn_of_fallback(settings.device, predictor.device)
        return _Compared(instances.where, split, truth, predict_bundle(predictor, bundle, rows, level=level))
    return _Compared(instances.where, split, truth, _predicted(predictor, settings, instances, rows, level))


def _truth(instances: Instances, rows: IntArray, tasks: dict[str, Task]) -> dict[str, npt.NDArray[Any]]:
    """Give what is true of some instances in the model's classes and numbers.

    Raises:
        UserError: If they are of other classes, or of another number of numbers.
    """
    truth: dict[str, npt.NDArray[Any]] = {}
    for name, task in tasks.items():
        target = instances.targets[name]
        if isinstance(target, ClassTarget):
            truth[name] = _same_classes(target, rows, task, instances.where)
        else:
            truth[name] = target.values[rows]
            if target.size != task.size:
                noun = "numbers" if isinstance(target, NumberTarget) else "labels"
                raise UserError(
                    f"{instances.where}: '{target.key}' holds {target.size} {noun} per instance, task {name} of the "
                    f"model has {task.size}"
                )
    return truth


def _on_new_rows(
    predictor: Predictor,
    tasks: dict[str, Task],
    settings: EvaluateSettings,
    given: dict[str, Any],
    level: float | None,
) -> _Compared:
    replaced = {key: value for key, value in given.items() if key != "path"}
    kinds = {name: task.kind for name, task in tasks.items()}
    bundle = new_rows(predictor, given["path"], kinds, replaced, settings.targets)
    rows = bundle.splits["test"]
    truth = _truth(bundle.instances, rows, tasks)
    warn_of_fallback(settings.device, predictor.device)
    predictions = predict_bundle(predictor, bundle, rows, settings.batch_size, level)
    return _Compared(bundle.instances.where, "all", truth, predictions)


def _predicted(
    predictor: Predictor, settings: EvaluateSettings, instances: Instances, rows: IntArray, level: float | None
) -> dict[str, Prediction]:
    """Predict for rows of a data set: at once, or part by part where the input is no array."""
    size = len(rows)
    if not isinstance(instances.x, np.ndarray):
        block = next(blocks(size, instances.x))
        size = max(block.stop // EVALUATION_BATCH, 1) * EVALUATION_BATCH  # whole passes: the same numbers as at once
    parts: dict[str, list[Prediction]] = {name: [] for name in predictor.tasks}
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        lengths = None if instances.lengths is None else instances.lengths[part]
        checked = predictor.contract.check(instances.x[part], lengths, instances.where, part.tolist())
        if not start:
            warn_of_fallback(settings.device, predictor.device)
        for name, prediction in predictor.predict_checked(*checked, level=level).items():
            parts[name].append(prediction)
    return {name: joined(predictions) for name, predictions in parts.items()}


def _same_classes(target: ClassTarget, rows: IntArray, task: Task, where: str) -> IntArray:
    """Give the ids of the model for those of the data: classes are known by their names."""
    names = np.array([*target.names, ""])  # the last one is that of -1, a missing class
    return class_ids(names[target.ids[rows]], task.class_names, False, where, rows.tolist())


def _on_file(
    predictor: Predictor,
    tasks: dict[str, Task],
    settings: EvaluateSettings,
    data: EvaluateDataSettings,
    given: dict[str, Any],
    instance_key_typed: bool,
    level: float | None,
) -> _Compared:
    trained = predictor.settings["data"]
    ids_key = given.get("class_names_key") or trained.get("class_names_key")
    wanted = []
    for name, task in tasks.items():
        place = place_in_file(predictor.settings, name, given, settings.targets)
        key, *more = place.keys or (task.key,)
        size = 1 if task.kind == "cls" else task.size
        ids = ids_key if place.setting == "data.class_target" else None
        wanted.append(WantedTarget(name, task.kind, key, place.setting, size, ids, tuple(more), bool(place.names)))
    request = Request(
        Path(given["path"]),
        predictor.contract,
        settings.batch_size,
        given.get("input_key"),
        given.get("lengths_key"),
        {key: trained.get(key) for key in ("input_key", "lengths_key", "channels_key")},
        data.instance_key,
        instance_key_typed,
        wanted,
    )
    stream = open_stream(request)
    warn_of_fallback(settings.device, predictor.device)
    truth: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in tasks}
    parts: dict[str, list[Prediction]] = {name: [] for name in tasks}
    for block, predictions in predicted(predictor, stream, settings.batch_size, level):
        for target in wanted:
            values, task = block.targets[target.task], tasks[target.task]
            if target.kind == "cls":
                named = target.ids_key is not None or target.ids_have_names
                values = class_ids(values, task.class_names, named, stream.where, block.names)
            elif target.kind == "multilabel":
                values = label_target(target.key, values, stream.where, task.class_names).values
            elif np.isinf(values).any():
                instance = block.names[int(np.argwhere(np.isinf(values))[0][0])]
                raise UserError(f"{stream.where}: instance {instance}: '{target.key}' is infinite")
            truth[target.task].append(values)
            parts[target.task].append(predictions[target.task])
    return _Compared(
        stream.where,
        "all",
        {name: np.concatenate(values) for name, values in truth.items()},
        {name: joined(part) for name, part in parts.items()},
    )
