"""The way from settings to a checked, split data set."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tsmtl.config.data_settings import DataSettings, NpzSettings, RecordedSettings, VectorsSettings
from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import CmapssSettings, TableSettings
from tsmtl.config.unread import unread_draws
from tsmtl.data.archive import load_archive
from tsmtl.data.checks import check_input, check_target
from tsmtl.data.instances import Bundle, Instances
from tsmtl.data.label_changes import with_changed_labels
from tsmtl.data.npz import load_npz
from tsmtl.data.padding import lengths_of_nan_padding
from tsmtl.data.preparation import PER_STEP
from tsmtl.data.recording_checks import check_rows
from tsmtl.data.sharing import sharing_notes, splits_measured
from tsmtl.data.splitting import split
from tsmtl.data.synthetic import load_synthetic
from tsmtl.data.ts import load_ts
from tsmtl.data.windows import Windows


def _load_table(settings: TableSettings, tasks: dict[str, str]) -> Instances:
    from tsmtl.data.table import load_table  # polars takes a while to import, and only tables need it

    return load_table(settings, tasks)


def _load_cmapss(settings: CmapssSettings, tasks: dict[str, str]) -> Instances:
    from tsmtl.data.cmapss import load_cmapss

    return load_cmapss(settings, tasks)


def _load_vectors(settings: VectorsSettings, tasks: dict[str, str]) -> Instances:
    from tsmtl.data.vectors import load_vectors

    return load_vectors(settings, tasks)


SOURCES: dict[str, Callable[[Any, dict[str, str]], Instances]] = {
    "synthetic": load_synthetic,
    "npz": load_npz,
    "vectors": _load_vectors,
    "ts": load_ts,
    "table": _load_table,
    "cmapss": _load_cmapss,
    "archive": load_archive,
}


def load_bundle(settings: DataSettings, tasks: dict[str, str], typed: frozenset[str] = frozenset()) -> Bundle:
    """Read, split and check a data set.

    Args:
        settings: The section ``data``.
        tasks: Kind (``cls``, ``reg`` or ``multilabel``) by task name; decides which targets are read.
        typed: Keys that the user gave on the command line, and that the split must read.

    Raises:
        UserError: If the data cannot be used, with file, place and mend, or a typed setting turns out not to be read.
    """
    instances = _read(settings, tasks)
    if not len(instances.x) or 0 in instances.x.shape:
        raise UserError(f"{instances.where}: no data in the input, its shape is {instances.x.shape}")
    if instances.x.ndim == 2 and settings.scale == "per_instance":
        raise UserError("data.scale: per_instance is for series; vectors (N, E) take standard or minmax")
    if instances.x.ndim == 2 and settings.scale == PER_STEP:
        raise UserError(f"data.scale: {PER_STEP} is for series; vectors (N, E) take standard or minmax")
    notes: list[str] = []
    takes_padding = isinstance(settings, NpzSettings) and settings.nan_padding
    if takes_padding and instances.lengths is None and instances.x.ndim == 3:
        instances, notes = _take_nan_padding(instances)
    if instances.lengths is not None and settings.scale == PER_STEP:
        raise UserError(
            f"data.scale: {PER_STEP} needs series of equal length; those of {instances.where} have "
            f"{instances.lengths.min()} to {instances.lengths.max()} time steps"
            + ("; if the NaN at their ends are missing values, data.nan_padding=false" if instances.nan_padding else "")
        )
    splits = split(instances, settings)
    if instances.names is not None:
        instances = replace(instances, places={"instance": instances.names[splits["test"]]})
    instances = replace(instances, targets={name: instances.targets[name] for name in tasks})
    changes = (settings.label_share, settings.shuffled_labels, settings.label_seed)
    instances, changed = with_changed_labels(instances, splits["train"], *changes)
    missing = settings.missing if isinstance(settings, RecordedSettings) else "error"
    notes += instances.notes + changed
    if isinstance(instances.x, Windows):
        notes += check_rows(instances, instances.x, splits, missing)
    else:
        notes += check_input(instances, splits, missing)
    for task, target in instances.targets.items():
        notes += check_target(instances, task, target, splits)
    facts = splits_measured(instances, splits)
    if unread := unread_draws(settings, typed, facts["rule"]):
        raise UserError(unread)
    return Bundle(replace(instances, facts=facts), splits, notes + sharing_notes(facts))


def _read(settings: DataSettings, tasks: dict[str, str]) -> Instances:
    """Read the targets of the tasks, and those that a random split is drawn by."""
    load = SOURCES[settings.source]
    try:
        return load(settings, settings.drawn_by | tasks)
    except UserError:
        if settings.split_targets is not None:
            raise
        return load(settings, tasks)  # a target that cannot be read is no other run's either


def _take_nan_padding(instances: Instances) -> tuple[Instances, list[str]]:
    lengths = lengths_of_nan_padding(instances.x)
    if lengths is None:
        return instances, []
    empty = np.flatnonzero(lengths == 0)
    if empty.size:
        raise UserError(f"{instances.where}: instance {empty[0]} has no value at all; leave it out")
    steps = instances.x.shape[2]
    shorter = int((lengths < steps).sum())
    note = f"{shorter} series end in NaN in every channel: taken as padding of {lengths.min()} to {steps} steps"
    return replace(instances, lengths=lengths, nan_padding=True), [note]
