"""Arrays of one .npz file, or of a folder of .npy files, under any names."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import NpzSettings
from tsmtl.config.errors import UserError
from tsmtl.data.array_targets import PerInstance, joined
from tsmtl.data.instances import SPLITS, Instances, IntArray, Rows, blocks
from tsmtl.data.manifest import FEATURES, Manifest, check_no_other_split
from tsmtl.data.named_arrays import NamedArrays, full_names, open_arrays
from tsmtl.data.npy_rows import NpyFile, NpyRows
from tsmtl.data.padding import without_common_padding
from tsmtl.data.single import as_single, check_levels
from tsmtl.data.split_words import OTHER_WORDS


def load_npz(settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    """Read the arrays that the settings name.

    Args:
        settings: Names of the arrays.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If the file, an array or a shape is not as named.
    """
    with open_arrays(settings.path, settings.root) as arrays:
        manifest = Manifest.of(arrays)
        if manifest is None:
            check_no_other_split(settings, arrays.where)
            return _read_instances(arrays, settings, tasks)
        manifest.check(arrays)
        found = manifest.settings_for(settings)
        if settings.channels_key is None and FEATURES in manifest.content["arrays"]:
            found = found.model_copy(update={"channels_key": FEATURES})
        instances = _read_instances(arrays, found, tasks)
        notes = [*instances.notes, *manifest.notes]
        return replace(instances, facts={"representation": manifest.facts}, notes=notes)


def _read_instances(arrays: NamedArrays, settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    path = arrays.where
    family = arrays.family(settings.input_key)
    if family and (other := [n for s in OTHER_WORDS if (n := f"{settings.input_key}_{s}") in arrays.names]):
        raise UserError(f"{path}: the array {other[0]} would not be read; the splits are called train, val and test")
    if family and "train" not in family:
        raise UserError(f"{path}: has {settings.input_key}_{family[0]}, but no {settings.input_key}_train")
    x, sizes = _read_input(arrays, settings.input_key, family)
    of_splits = [f"{settings.input_key}_{word}" for word in (*SPLITS, *OTHER_WORDS)]
    left = [] if family else [name for name in of_splits if name in arrays.names]
    notes = [f"not read, as '{settings.input_key}' is there by itself: {', '.join(left)}"] if left else []

    beside = PerInstance(arrays, settings, sizes, family)
    targets = beside.targets(tasks, _names(arrays, settings.class_names_key, "data.class_names_key"))
    channels = _names(arrays, settings.channels_key, "data.channels_key")
    if channels is not None and len(channels) != x.shape[1]:
        raise UserError(f"{path}: '{settings.channels_key}' names {len(channels)} channels, the input has {x.shape[1]}")
    lengths = None
    if settings.lengths_key is not None:
        lengths = _lengths(beside.read(settings.lengths_key, "data.lengths_key"), x, settings.lengths_key, path)
        if isinstance(x, np.ndarray):
            x, lengths = without_common_padding(x, lengths)
        elif lengths.size and (lengths == lengths[0]).all():
            x, lengths = x.cut(int(lengths[0])), None
    letter = "channel" if x.ndim == 3 else "feature"
    return Instances(
        x,
        targets,
        path,
        channels or [f"{letter}_{i + 1}" for i in range(x.shape[1])],
        lengths,
        beside.groups(),
        _given_split(settings, beside),
        notes=notes,
    )


def _read_input(
    arrays: NamedArrays, key: str, family: list[str]
) -> tuple[npt.NDArray[np.float32] | NpyRows, dict[str, int]]:
    """Read the input, or open it where it stays in its files, and count the instances of each of its arrays."""
    parts = {full: arrays.input(full, "data.input_key") for full in full_names(key, family)}
    arrays.check_same_shape(key, parts)
    for name, part in parts.items():
        if part.dtype.kind not in "buif":
            raise UserError(f"{arrays.where}: '{name}' has type {part.dtype}, no numbers")
        if part.ndim not in (2, 3):
            raise UserError(
                f"{arrays.where}: '{name}' must be series (N, C, T) or vectors (N, E) (got shape {part.shape})"
            )
    sizes, said = {name: len(part) for name, part in parts.items()}, f"{arrays.where}: '{key}'"
    files = [part for part in parts.values() if isinstance(part, NpyFile)]
    if not files:
        return as_single(joined({n: p for n, p in parts.items() if isinstance(p, np.ndarray)}), said), sizes
    x = NpyRows(files)
    if 0 not in x.shape:
        check_levels((x.raw(rows) for rows in blocks(len(x), x)), x.dtype_on_disk, said)
    return x, sizes


def _names(arrays: NamedArrays, name: str | None, key: str) -> list[str] | None:
    return None if name is None else arrays.texts(name, key)


def _lengths(values: npt.NDArray[Any], x: Rows, name: str, where: str) -> IntArray:
    if x.ndim != 3:
        raise UserError(f"{where}: vectors (N, E) have no lengths; leave out data.lengths_key")
    if values.ndim != 1 or values.dtype.kind not in "ui":
        raise UserError(f"{where}: '{name}' must hold one whole number per instance")
    bad = np.flatnonzero((values < 1) | (values > x.shape[2]))
    if bad.size:
        raise UserError(
            f"{where}: '{name}' row {bad[0]} is {values[bad[0]]}; the series have 1 to {x.shape[2]} time steps"
        )
    return values.astype(np.int64)


def _given_split(settings: NpzSettings, beside: PerInstance) -> dict[str, IntArray] | None:
    sizes, where = beside.sizes, beside.arrays.where
    if settings.split_key is not None:
        return beside.given_split()
    if not beside.family:
        if settings.split == "given":
            raise UserError(
                f"{where}: data.split=given, but the file has no {settings.input_key}_train; name the array "
                "of train/val/test or of fold ids with data.split_key"
            )
        return None
    if settings.split in ("group", "stratified"):
        raise UserError(
            f"{where}: data.split={settings.split}, but the file gives the split itself "
            f"({', '.join(sizes)}); take data.split=given"
        )
    ends = np.cumsum(list(sizes.values()))
    rows = [np.arange(end - size, end) for size, end in zip(sizes.values(), ends, strict=True)]
    return dict(zip(beside.family, rows, strict=True))
