"""From a bundle to splits on the device: inputs prepared, numbers scaled."""

from collections.abc import Callable
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


def prepared(
    bundle: Bundle,
    preparation: InputPreparation,
    share: Callable[[Callable[[], FloatArray]], FloatArray] | None = None,
) -> tuple[Bundle, InputPreparation | None]:
    """Prepare an array, or a recording whose windows need nothing of their own, as a whole.

    Args:
        bundle: The data.
        preparation: Fills and scales.
        share: Gives what a function makes, or what it has made in another process; None: the input is prepared in its
            place, and cannot be read raw again.

    Returns:
        The data, and what is left to be done to each batch: all, where the input stays in files.
    """
    x, lengths = bundle.instances.x, bundle.instances.lengths
    if isinstance(x, np.ndarray):
        raw = x
    elif isinstance(x, Windows) and not on_disk(x.values) and preparation.by_channel and not _any_missing(x.values):
        raw = x.values
    else:
        return bundle, preparation

    def prepare(values: FloatArray) -> FloatArray:
        if isinstance(x, Windows):
            preparation.scale_in_place(values)
        else:
            preparation.apply_in_place(values, lengths)
        return values

    if share is None:
        prepare(raw)
        return bundle, None
    values = share(lambda: prepare(raw.copy()))
    whole = x.over(values) if isinstance(x, Windows) else values
    return replace(bundle, instances=replace(bundle.instances, x=whole)), None


def make_splits(
    settings: DataSettings,
    bundle: Bundle,
    preparation: InputPreparation | None,
    tasks: dict[str, Task],
    device: torch.device,
) -> dict[str, Split]:
    """Put every split on the device, or what is too large for it in memory.

    Args:
        settings: The section ``data``.
        bundle: The data, see :func:`prepared`.
        preparation: What is left to be done to each batch when it is its turn, then read from where the input is.
        tasks: By name.
        device: Where batches come out.
    """
    block = settings.shuffle_block if isinstance(settings, NpzSettings | TableSettings) else None
    return splits_of_rows(bundle, {name: bundle.splits[name] for name in SPLITS}, preparation, tasks, device, block)


def splits_of_rows(
    bundle: Bundle,
    rows: dict[str, IntArray],
    preparation: InputPreparation | None,
    tasks: dict[str, Task],
    device: torch.device,
    shuffle_block: int | None = None,
) -> dict[str, Split]:
    """Put some instances on the device; see :func:`make_splits`."""
    x = bundle.instances.x
    if isinstance(x, Windows) and not on_disk(x.values):
        shuffle_block = None  # memory knows no neighbours
    if preparation is not None:
        return {name: _split(bundle, r, preparation, tasks, device, shuffle_block) for name, r in rows.items()}
    if isinstance(x, np.ndarray):
        return _of_array(bundle, x, rows, tasks, device)
    assert isinstance(x, Windows), "nothing else is prepared as a whole"
    if not fits(x.values.nbytes, device):
        x.values.flags.writeable = False  # scaled twice would be wrong
        return {name: _split(bundle, r, None, tasks, device, None) for name, r in rows.items()}
    scaled = {name: task.scaling_on(device) for name, task in tasks.items() if task.kind == "reg"}
    targets = {name: _of_all(bundle.instances.targets[name]).to(device) for name in tasks}
    values = torch.from_numpy(x.values).to(device)
    x.values.flags.writeable = False
    return {name: WindowSplit(values, x, r, targets, scaled) for name, r in rows.items()}


def _of_array(
    bundle: Bundle,
    x: FloatArray,
    rows: dict[str, IntArray],
    tasks: dict[str, Task],
    device: torch.device,
) -> dict[str, Split]:
    lengths = bundle.instances.lengths
    if not fits(x.nbytes, device):
        x.flags.writeable = False  # prepared twice would be wrong
        return {name: _split(bundle, own, None, tasks, device, None) for name, own in rows.items()}
    values = torch.from_numpy(x).to(device)
    x.flags.writeable = False
    targets = _targets(bundle, slice(None), tasks, device)  # of all splits, which share them as they do the input
    valid = None if lengths is None else torch.from_numpy(lengths)
    return {
        name: TensorSplit(values, targets, valid, torch.from_numpy(own).long().to(device)) for name, own in rows.items()
    }


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


def _targets(
    bundle: Bundle, rows: IntArray | slice, tasks: dict[str, Task], device: torch.device
) -> dict[str, torch.Tensor]:
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
