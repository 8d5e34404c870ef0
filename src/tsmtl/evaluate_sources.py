"""What ``tsmtl-evaluate`` measures on: a split, new rows of a table, or a file; predictions beside the truth."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tsmtl.assembly import warn_of_fallback
from tsmtl.config.data_settings import NpzSettings, VectorsSettings
from tsmtl.config.errors import UserError
from tsmtl.config.evaluate_settings import EvaluateSettings, data_of_checkpoint, kinds_of_checkpoint, place_in_file
from tsmtl.data.checks import data_hash
from tsmtl.data.instances import SPLITS, Bundle, ClassTarget, Instances, IntArray, NumberTarget, blocks
from tsmtl.data.loading import load_bundle
from tsmtl.data.manifest import check_same_transform
from tsmtl.data.stream import NAMED_IN_TRAINING, Request, WantedTarget, class_ids
from tsmtl.data.streaming import open_stream
from tsmtl.data.targets import label_target
from tsmtl.data.windows import Windows
from tsmtl.predict_file import predicted
from tsmtl.predict_table import new_rows, predict_bundle
from tsmtl.predictor import Predictor
from tsmtl.tasks.task import Prediction, Task, joined
from tsmtl.training.evaluation import EVALUATION_BATCH

if TYPE_CHECKING:
    from tsmtl.transform import Transform

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What is measured, and how.

    Attributes:
        predictor: The model.
        transform: What makes the model's vectors of raw series; None where it reads the data as they are.
        tasks: Of the model, those that are measured.
        settings: Of the command.
        given: Settings of the data that were typed, by name.
        level: Of the intervals of numbers, or None.
    """

    predictor: Predictor
    transform: "Transform | None"
    tasks: dict[str, Task]
    settings: EvaluateSettings
    given: dict[str, Any]
    level: float | None

    @property
    def reader(self) -> "Transform | Predictor":
        """What reads the data."""
        return self.transform or self.predictor

    @property
    def fitted_on(self) -> dict[str, Any]:
        """The settings, of data and tasks, that the reader was fitted with."""
        return self.reader.settings

    @property
    def file(self) -> str:
        """The file of the reader, for messages."""
        return self.settings.transform or self.settings.checkpoint


@dataclass(frozen=True)
class Compared:
    """Predictions beside the truth, by task; ``split`` says of which instances of ``where``."""

    where: str
    split: str
    truth: dict[str, npt.NDArray[Any]]
    predictions: dict[str, Prediction]


def on_split(measured: Measured) -> Compared:
    """Measure on a split of the data that the model, or the transform before it, was fitted on.

    Raises:
        UserError: If the data cannot be used.
    """
    predictor, settings, given = measured.predictor, measured.settings, measured.given
    data = data_of_checkpoint(measured.fitted_on, given, measured.file, settings.targets)
    kinds = {name: task.kind for name, task in predictor.tasks.items()}
    if measured.transform is not None:
        kinds = kinds_of_checkpoint(measured.fitted_on)
    by_name = isinstance(data, VectorsSettings)
    if by_name:
        data = data.model_copy(update={"features": measured.reader.channels})  # wherever they stand in another file
    bundle = load_bundle(data, kinds)  # all targets, also of tasks that are left out: a split may be drawn by them
    if by_name and (missing := [c for c in measured.reader.channels if c not in bundle.instances.channels]):
        raise UserError(f"{bundle.instances.where}: no column '{missing[0]}', which the model was trained on")
    if (vectors := bundle.instances.facts.get("representation")) is not None:
        check_same_transform(bundle.instances.where, vectors, predictor.representation)
    trained = measured.fitted_on["data"]
    changed = [f"data.{key}" for key, value in given.items() if key not in trained or trained[key] != value]
    changed += [f"targets.{name}" for name in settings.targets]
    split = settings.split or "test"
    if changed and "data.path" not in changed and split != "all":
        log.warning(
            "%s: not as in training, so that instances of the %s split may have been trained on",
            ", ".join(changed),
            split,
        )
    made_of = (predictor.representation or {}).get("data_sha256") if measured.transform else predictor.data_hash
    if not changed and made_of not in (None, data_hash(bundle)):
        log.warning("%s: the data, or their split, have changed since the training", bundle.instances.where)
    instances = bundle.instances
    rows = np.sort(np.concatenate([bundle.splits[s] for s in (SPLITS if split == "all" else (split,))]))
    if split != "all":
        rows = bundle.splits[split]
    if isinstance(data, NpzSettings) and data.channels_key is not None:
        measured.reader.contract.check_channels(instances.channels, f"{instances.where}: '{data.channels_key}'")
    truth = _truth(instances, rows, measured.tasks)
    return Compared(instances.where, split, truth, _of_rows(measured, bundle, rows))


def on_new_rows(measured: Measured) -> Compared:
    """Measure on new rows of a table.

    Raises:
        UserError: If they cannot be used.
    """
    replaced = {key: value for key, value in measured.given.items() if key != "path"}
    kinds = {name: task.kind for name, task in measured.tasks.items()}
    bundle = new_rows(measured.reader, measured.given["path"], kinds, replaced, measured.settings.targets)
    rows = bundle.splits["test"]
    truth = _truth(bundle.instances, rows, measured.tasks)
    predictions = _of_rows(measured, bundle, rows, measured.settings.batch_size)
    return Compared(bundle.instances.where, "all", truth, predictions)


def _of_rows(
    measured: Measured, bundle: Bundle, rows: IntArray, batch_size: int = EVALUATION_BATCH
) -> dict[str, Prediction]:
    """Predict for rows of a data set."""
    warn_of_fallback(measured.settings.device, measured.predictor.device)
    if measured.transform is not None:
        from tsmtl.represent_file import vectors_of_rows

        vectors = np.concatenate(list(vectors_of_rows(measured.transform, bundle, rows)))
        return measured.predictor.predict_checked(vectors, None, batch_size, measured.level)
    if isinstance(bundle.instances.x, Windows):
        return predict_bundle(measured.predictor, bundle, rows, batch_size, measured.level)
    return _predicted(measured, bundle.instances, rows)


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


def _predicted(measured: Measured, instances: Instances, rows: IntArray) -> dict[str, Prediction]:
    """Predict for rows at once, or part by part where the input is no array."""
    predictor = measured.predictor
    size = len(rows)
    if not isinstance(instances.x, np.ndarray):
        block = next(blocks(size, instances.x))
        size = max(block.stop // EVALUATION_BATCH, 1) * EVALUATION_BATCH  # whole passes: the same numbers as at once
    parts: dict[str, list[Prediction]] = {name: [] for name in predictor.tasks}
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        lengths = None if instances.lengths is None else instances.lengths[part]
        checked = predictor.contract.check(instances.x[part], lengths, instances.where, part.tolist())
        for name, prediction in predictor.predict_checked(*checked, level=measured.level).items():
            parts[name].append(prediction)
    return {name: joined(predictions) for name, predictions in parts.items()}


def _same_classes(target: ClassTarget, rows: IntArray, task: Task, where: str) -> IntArray:
    """Give the ids of the model for those of the data: classes are known by their names."""
    names = np.array([*target.names, ""])  # the last one is that of -1, a missing class
    return class_ids(names[target.ids[rows]], task.class_names, False, where, rows.tolist())


def on_file(measured: Measured, instance_key: str, instance_key_typed: bool) -> Compared:
    """Measure on all labelled instances of a file.

    Args:
        measured: What, and how.
        instance_key: Of a CSV file, the column that names the instance of each row.
        instance_key_typed: Whether the user named it.

    Raises:
        UserError: If the file cannot be used.
    """
    predictor, settings, given, tasks = measured.predictor, measured.settings, measured.given, measured.tasks
    trained = measured.fitted_on["data"]
    ids_key = given.get("class_names_key") or trained.get("class_names_key")
    wanted = []
    for name, task in tasks.items():
        place = place_in_file(measured.fitted_on, name, given, settings.targets)
        fitted = trained.get(place.setting.removeprefix("data."))
        own = place.keys or fitted or task.key  # the model's own key names an array beside the vectors
        key, *more = (own,) if isinstance(own, str) else own
        size = 1 if task.kind == "cls" else task.size
        ids = ids_key if place.setting == "data.class_target" else None
        typed = ids is not None and ids == given.get("class_names_key")
        named = bool(place.names)
        wanted.append(WantedTarget(name, task.kind, key, place.setting, size, ids, typed, tuple(more), named))
    request = Request(
        Path(given["path"]),
        measured.reader.contract,
        settings.batch_size,
        given.get("input_key"),
        given.get("lengths_key"),
        {key: trained.get(key) for key in NAMED_IN_TRAINING},
        instance_key,
        instance_key_typed,
        wanted,
        predictor.representation,
    )
    stream = open_stream(request)
    warn_of_fallback(settings.device, predictor.device)
    truth: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in tasks}
    parts: dict[str, list[Prediction]] = {name: [] for name in tasks}
    for block, predictions in predicted(predictor, stream, settings.batch_size, measured.level, measured.transform):
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
    return Compared(
        stream.where,
        "all",
        {name: np.concatenate(values) for name, values in truth.items()},
        {name: joined(part) for name, part in parts.items()},
    )
