"""From a bundle to splits on the device: inputs prepared, numbers scaled."""

from dataclasses import replace

import numpy as np
import torch

from tsmtl.config.data_settings import DataSettings, NpzSettings
from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import TableSettings
from tsmtl.data.features import Features
from tsmtl.data.instances import BLOCK_VALUES, SPLITS, Bundle, FloatArray, IntArray, NumberTarget, Target
from tsmtl.data.preparation import InputPreparation
from tsmtl.data.row_space import on_disk
from tsmtl.data.windows import Windows
from tsmtl.tasks.task import Task
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.residence import fits
from tsmtl.training.window_split import WindowSplit


def with_features(bundle: Bundle, known: Features | None = None) -> tuple[Bundle, Features | None]:
    """Give a bundle whose recording is scaled per condition and has its derived channels, where any are asked for.

    Args:
        bundle: The data, as loaded.
        known: Features that a checkpoint was trained with; None: learnt from the train split.

    Raises:
        UserError: If the data has not what the known features need.
    """
    instances, context = bundle.instances, bundle.instances.context
    asked = context is not None and context.anything
    if known is None and not asked:
        return bundle, None
    if known is not None and (context is None or not isinstance(instances.x, Windows)):
        raise UserError(f"{instances.where}: the model was trained on channels derived from a table; this is none")
    assert context is not None
    assert isinstance(instances.x, Windows)
    if known is not None and known.channels != instances.channels:
        ours, theirs = (", ".join(names[:10]) for names in (instances.channels, known.channels))
        raise UserError(f"{instances.where}: has the channels {ours}, the model was trained on {theirs}")
    windows = instances.x
    features = known or Features.fit(windows, bundle.splits["train"], context, instances.channels)
    x = windows.over(features.apply(windows.values, context))
    return replace(bundle, instances=replace(instances, x=x, channels=features.names)), features


def make_splits(
    settings: DataSettings,
    bundle: Bundle,
    preparation: InputPreparation,
    tasks: dict[str, Task],
    device: torch.device,
) -> dict[str, Split]:
    """Put every split on the device; an array, or recording, is prepared in place, and cannot be read raw again.

    What is too large for the device stays in memory, prepared. An input that is no array stays where it is; that of a
    batch is read and prepared when it is its turn.
    """
    block = settings.shuffle_block if isinstance(settings, NpzSettings | TableSettings) else None
    return splits_of_rows(bundle, {name: bundle.splits[name] for name in SPLITS}, preparation, tasks, device, block)


def splits_of_rows(
    bundle: Bundle,
    rows: dict[str, IntArray],
    preparation: InputPreparation,
    tasks: dict[str, Task],
    device: torch.device,
    shuffle_block: int | None = None,
) -> dict[str, Split]:
    """Put some instances on the device; see :func:`make_splits`."""
    x = bundle.instances.x
    if isinstance(x, np.ndarray):
        return _of_array(bundle, x, rows, preparation, tasks, device)
    if isinstance(x, Windows) and not on_disk(x.values):
        shuffle_block = None  # memory knows no neighbours
    if not isinstance(x, Windows) or on_disk(x.values) or not preparation.by_channel or _any_missing(x.values):
        return {name: _split(bundle, r, preparation, tasks, device, shuffle_block) for name, r in rows.items()}
    scaled = {name: task.scaling_on(device) for name, task in tasks.items() if task.kind == "reg"}
    preparation.scale_in_place(x.values)
    if not fits(x.values.nbytes, device):
        x.values.flags.writeable = False  # scaled twice would be wrong
        return {name: _split(bundle, r, None, tasks, device, None) for name, r in rows.items()}
    targets = {name: _of_all(bundle.instances.targets[name]).to(device) for name in tasks}
    values = torch.from_numpy(x.values).to(device)
    x.values.flags.writeable = False
    return {name: WindowSplit(values, x, r, targets, scaled) for name, r in rows.items()}


def _of_array(
    bundle: Bundle,
    x: FloatArray,
    rows: dict[str, IntArray],
    preparation: InputPreparation,
    tasks: dict[str, Task],
    device: torch.device,
) -> dict[str, Split]:
    lengths = bundle.instances.lengths
    preparation.apply_in_place(x, lengths)
    if not fits(x.nbytes, device):
        x.flags.writeable = False  # prepared twice would be wrong
        return {name: _split(bundle, own, None, tasks, device, None) for name, own in rows.items()}
    prepared = torch.from_numpy(x).to(device)
    x.flags.writeable = False
    found: dict[str, Split] = {}
    for name, own in rows.items():
        valid = None if lengths is None else torch.from_numpy(lengths[own])
        places = torch.from_numpy(own).long().to(device)
        found[name] = TensorSplit(prepared, _targets(bundle, own, tasks, device), valid, places)
    return found


def _split(
    bundle: Bundle,
    rows: IntArray,
    preparation: InputPreparation | None,
    tasks: dict[str, Task],
    device: torch.device,
    shuffle_block: int | None,
) -> LazySplit:
    instances = bundle.instances
    lengths = None if instances.lengths is None else instances.lengths[rows]
    targets = _targets(bundle, rows, tasks, device)
    return LazySplit(instances.x, rows, lengths, preparation, targets, device, shuffle_block)


def _of_all(target: Target) -> torch.Tensor:
    return torch.from_numpy(target.array)


def _targets(bundle: Bundle, rows: IntArray, tasks: dict[str, Task], device: torch.device) -> dict[str, torch.Tensor]:
    """Give class ids, scaled numbers and labels of some instances, on the device."""
    found: dict[str, torch.Tensor] = {}
    for name, task in tasks.items():
        target = bundle.instances.targets[name]
        values = task.scaled(target.values[rows]) if isinstance(target, NumberTarget) else target.array[rows]
        target_of_rows = torch.from_numpy(values)
        found[name] = (target_of_rows if target_of_rows.is_floating_point() else target_of_rows.long()).to(device)
    return found


def _any_missing(values: FloatArray) -> bool:
    size = max(1, BLOCK_VALUES // values.shape[1])
    return any(bool(np.isnan(values[at : at + size]).any()) for at in range(0, len(values), size))
