"""Fit a representation on the train split of a data set, and write the vectors of all its splits."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.assembly import choose_device, fit_preparation
from tsmtl.config.data_settings import RecordedSettings
from tsmtl.config.errors import FailedError, UserError
from tsmtl.config.logs import set_up_logs
from tsmtl.config.represent_settings import RepresentSettings
from tsmtl.config.representation_settings import AnyRepresentation, CheckpointSettings, TrainedSettings
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash, filled
from tsmtl.data.instances import SPLITS, Bundle, ClassTarget, FloatArray, IntArray, NumberTarget, Target, blocks
from tsmtl.data.loading import load_bundle
from tsmtl.data.manifest import FEATURES, GROUP, INSTANCE, MANIFEST, SPLIT, X
from tsmtl.data.sharing import leak_lines
from tsmtl.record import versions
from tsmtl.represent_checkpoint import check_unseen, checkpoint_of, features_of
from tsmtl.represent_training import RepresentationTraining
from tsmtl.representation.checkpoint import Checkpoint
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.vector_file import vector_file
from tsmtl.splits import with_features
from tsmtl.training.threads import threads_put_back
from tsmtl.transform import KIND, Transform, build_representation
from tsmtl.vectors_beside import check_vectors_beside

log = logging.getLogger(__name__)


@threads_put_back()
def represent_data(own: RepresentSettings, method: AnyRepresentation, settings: Settings) -> None:
    """Fit on the train split, write the fitted transform, and the vectors of all splits with their targets.

    Args:
        own: Where the files go.
        method: The settings of the representation.
        settings: Of a training on the same data; its data, tasks, seed, device, threads and plugins are read.

    Raises:
        UserError: If data or method cannot be used; nothing is written.
        FailedError: If a file cannot be written.
    """
    set_up_logs(None)
    if isinstance(method, TrainedSettings):
        _warn_of_unread(method, settings.typed)
    device = choose_device(settings.run.device, "device" in settings.typed)
    if settings.trainer.threads is not None:
        torch.set_num_threads(settings.trainer.threads)
    labels: dict[str, Any] = {
        "label_share": {},
        "shuffled_labels": [],
    }  # what a training may do to labels is no property of the data
    bundle = load_bundle(settings.data.model_copy(update=labels), settings.tasks, settings.typed)
    instances, where = bundle.instances, bundle.instances.where
    if instances.x.ndim != 3:
        raise UserError(f"{where}: holds vectors (N, E) already; representations are made of series (N, C, T)")
    columns = columns_of(bundle, settings)
    digests = {"data_sha256": data_hash(bundle), "split_sha256": _sha256(columns[SPLIT], columns[INSTANCE])}
    check_vectors_beside(own, _about_fit(method, settings), digests)
    learner = RepresentationTraining(own, method, settings, digests["data_sha256"], device)
    learner.check_place()
    representation = build_representation(method, device, settings.run.plugins, learner)
    features = None
    if isinstance(representation, Checkpoint):
        assert isinstance(method, CheckpointSettings)
        content = checkpoint_of(method, settings)
        representation.load_state({"checkpoint": content})
        check_unseen(content, method.path, bundle)
        features = features_of(content)
    bundle, features = with_features(bundle, features)
    missing = settings.data.missing if isinstance(settings.data, RecordedSettings) else "error"
    for note in _notes_of(bundle, representation, missing):
        log.info("data: %s", note)
    for line in leak_lines(instances.facts):
        log.warning("data: %s; metrics will be better than on new data", line)
    sizes = ", ".join(f"{name} {len(rows)}" for name, rows in bundle.splits.items())
    log.info("data: %s, %s (%s)", where, " x ".join(map(str, bundle.instances.x.shape[1:])), sizes)
    transform = _fitted(method, settings, bundle, features, representation)
    with vector_file(own.vectors_path, transform.names) as file:
        rows = np.asarray(columns[INSTANCE])
        bar: Any = tqdm(total=len(rows), unit="instance", disable=None, dynamic_ncols=True)
        with bar, logging_redirect_tqdm():
            for vectors in _vectors(transform, bundle, rows):
                file.add(vectors)
                bar.update(len(vectors))
        try:  # only now that all series could be read: an earlier transform stays beside its vectors
            transform.save(own.transform_path)
        except OSError as error:
            raise FailedError(f"cannot write {own.transform_path} ({error.strerror})") from error
        about = {
            **about_transform(transform, settings.run.seed),
            "data": where,
            **digests,
            "units": _units(bundle, settings),
        }
        file.finish(columns, about)
    learner.finish()
    log.info("represented: %d instances by %s, E = %d", file.n, transform.method, len(transform.names))
    log.info("vectors: %s", own.vectors_path)
    log.info("transform: %s", own.transform_path)


def _warn_of_unread(method: TrainedSettings, typed: frozenset[str]) -> None:
    """Warn of settings of a training that were typed where the method has its own of that meaning."""
    for key in sorted(typed):
        own = "steps" if key == "num_epochs" else key.rpartition(".")[2]
        if own in type(method).model_fields and not key.startswith("data."):
            log.warning("%s: is a setting of trainings and not read here; representation.%s is read", key, own)


def _fitted(
    method: AnyRepresentation, settings: Settings, bundle: Bundle, features: Any, representation: Any
) -> Transform:
    instances = bundle.instances
    preparation = fit_preparation(settings, bundle)
    train = TrainSeries(
        instances.x,
        instances.lengths,
        bundle.splits["train"],
        instances.channels,
        preparation,
        representation.takes_gaps,
    )
    representation.fit(train, settings.run.seed)
    return Transform(
        representation,
        {
            **_about_fit(method, settings),
            "input": {
                "channels": instances.channels,
                "seq_len": train.longest,
                "nan_padding": instances.nan_padding,
                "features": None if features is None else features.state(),
                "preparation": preparation.state(),
            },
        },
    )


def _about_fit(method: AnyRepresentation, settings: Settings) -> dict[str, Any]:
    """Give what the file of a transform says of its fit before there is one."""
    return {KIND: method.model_dump(), "seed": settings.run.seed, "settings": settings.flat, "versions": versions()}


def _notes_of(bundle: Bundle, representation: Representation, missing: str) -> list[str]:
    """Give the notes of a data set; the loading says of gaps what a training would do with them."""
    own = representation.of_gaps
    return [note.replace(filled(missing), own) if own else note for note in bundle.notes]


def about_transform(transform: Transform, seed: int) -> dict[str, Any]:
    """Give what a manifest says of what made the vectors."""
    hyperparameters = dict(transform.content[KIND])
    return {
        "method": hyperparameters.pop("name"),
        "hyperparameters": hyperparameters,
        "seed": seed,
        "transform_sha256": transform.sha256,
        "versions": versions(),
    }


def _vectors(transform: Transform, bundle: Bundle, rows: IntArray) -> Iterator[FloatArray]:
    """Yield the vectors of rows in blocks."""
    instances = bundle.instances
    for block in blocks(len(rows), instances.x):
        part = rows[block]
        lengths = None if instances.lengths is None else instances.lengths[part]
        checked = transform.contract.check(instances.x[part], lengths, instances.where, part.tolist())
        yield transform.transform_checked(*checked)


def columns_of(bundle: Bundle, settings: Settings) -> dict[str, npt.NDArray[Any]]:
    """Give what belongs to the vectors of all splits, in the order of the data: instance, split, group and targets.

    A class is written by its name; under the names that ``data=npz`` reads by default, or with ``task=custom`` under
    those that the tasks name.

    Raises:
        UserError: If a target of ``task=custom`` has the name of another array of the file.
    """
    instances = bundle.instances
    rows = np.sort(np.concatenate([bundle.splits[name] for name in SPLITS]))
    words = np.empty(len(instances.x), dtype="U5")
    for name, own in bundle.splits.items():
        words[own] = name
    columns: dict[str, npt.NDArray[Any]] = {INSTANCE: rows, SPLIT: words[rows]}
    if instances.groups is not None:
        columns[GROUP] = np.asarray(instances.groups)[rows]
    taken = {*columns, X, FEATURES, MANIFEST, GROUP}
    for task, target in instances.targets.items():
        for key, values in _arrays_of(task, target, settings).items():
            if key in taken:
                raise UserError(
                    f"tasks: the target '{key}' of {task} has the name of an array of its own there; rename it"
                )
            columns[key] = values[rows]
    return columns


def _arrays_of(task: str, target: Target, settings: Settings) -> dict[str, npt.NDArray[Any]]:
    named = task in settings.data.named
    place = settings.data.place_of(task)
    if isinstance(target, ClassTarget):
        ids = named and place.names is not None  # the setting names the classes, of ids
        values: npt.NDArray[Any] = target.ids if ids else np.array([*target.names, ""])[target.ids]
    else:
        values = target.values
    keys = list(place.keys) if named and place.keys else [f"y_{task}"]
    if len(keys) > 1:
        return {key: values[:, i] for i, key in enumerate(keys)}
    return {keys[0]: values}


def _units(bundle: Bundle, settings: Settings) -> dict[str, str]:
    return {
        f"y_{task}": target.unit
        for task, target in bundle.instances.targets.items()
        if isinstance(target, NumberTarget) and target.unit is not None and task not in settings.data.named
    }


def _sha256(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
