"""Arrays of one .npz file, or of a folder of .npy files, under any names."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import NpzSettings, TargetPlace
from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS, Instances, IntArray, Rows, Target, blocks
from tsmtl.data.named_arrays import NamedArrays, full_names, open_arrays
from tsmtl.data.npy_rows import NpyFile, NpyRows
from tsmtl.data.padding import without_common_padding
from tsmtl.data.single import as_single, check_levels
from tsmtl.data.split_words import OTHER_WORDS, split_of_words
from tsmtl.data.targets import check_names_have_ids, class_target, label_target, names_of_labels, number_target
from tsmtl.data.manifest import Manifest


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
            if settings.other_split:
                raise UserError(f"data.other_split: is for vectors of tsmtl-represent; {arrays.where} holds none")
            return _read_instances(arrays, settings, tasks)
        manifest.check(arrays)
        instances = _read_instances(arrays, manifest.settings_for(settings), tasks)
        return replace(instances, facts={"representation": manifest.facts})


def _read_instances(arrays: NamedArrays, settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    path = arrays.where
    family = arrays.family(settings.input_key)
    if family and (other := [n for s in OTHER_WORDS if (n := f"{settings.input_key}_{s}") in arrays.names]):
        raise UserError(f"{path}: the array {other[0]} would not be read; the splits are called train, val and test")
    if family and "train" not in family:
        raise UserError(f"{path}: has {settings.input_key}_{family[0]}, but no {settings.input_key}_train")
    x, sizes = _read_input(arrays, settings.input_key, family)

    def per_instance(name: str, key: str) -> npt.NDArray[Any]:
        parts = arrays.read(name, key, family)
        for (input_name, size), (full, part) in zip(sizes.items(), parts.items(), strict=True):
            if part.shape[:1] != (size,):
                raise UserError(
                    f"{path}: '{input_name}' has {size} instances, '{full}' ({key}) has shape {part.shape}; "
                    "both need one row per instance"
                )
        return _joined(parts)

    names = _texts(arrays, settings.class_names_key, "data.class_names_key")
    targets: dict[str, Target] = {}
    for task, kind in tasks.items():
        place = settings.place_of(task)
        if task in settings.drawn_by and settings.split_targets is None and not _is_there(arrays, place, family):
            continue  # a name by default: no run on this file learns it
        if not settings.named and task == "cls" and names is not None:
            place = replace(place, names=tuple(names))
        if settings.named and kind == "cls" and place.names is not None:
            numeric = per_instance(place.said, place.setting).dtype.kind != "U"
            check_names_have_ids(place.setting, place.said, numeric, path)
        values = _side_by_side([per_instance(key, place.setting) for key in place.keys], place, path)
        targets[task] = _target(kind, place, values, path)
    channels = _texts(arrays, settings.channels_key, "data.channels_key")
    if channels is not None and len(channels) != x.shape[1]:
        raise UserError(f"{path}: '{settings.channels_key}' names {len(channels)} channels, the input has {x.shape[1]}")
    lengths = None
    if settings.lengths_key is not None:
        lengths = _lengths(per_instance(settings.lengths_key, "data.lengths_key"), x, settings.lengths_key, path)
        if isinstance(x, np.ndarray):
            x, lengths = without_common_padding(x, lengths)
        elif lengths.size and (lengths == lengths[0]).all():
            x, lengths = x.cut(int(lengths[0])), None
    groups = per_instance(settings.group_key, "data.group_key") if settings.group_key else None
    if groups is not None and groups.ndim != 1:
        raise UserError(f"{path}: '{settings.group_key}' must have shape (N,) (got {groups.shape})")
    given = _given_split(settings, dict(zip(family, sizes.values(), strict=False)), path, per_instance)
    letter = "channel" if x.ndim == 3 else "feature"
    return Instances(
        x,
        targets,
        path,
        channels or [f"{letter}_{i + 1}" for i in range(x.shape[1])],
        lengths,
        groups,
        given,
    )


def _is_there(arrays: NamedArrays, place: TargetPlace, family: list[str]) -> bool:
    return all(name in arrays.names for key in place.keys for name in full_names(key, family))


def _side_by_side(parts: list[npt.NDArray[Any]], place: TargetPlace, where: str) -> npt.NDArray[Any]:
    """Give one array as it is, several (N,) as columns (N, D)."""
    if len(parts) == 1:
        return parts[0]
    for key, part in zip(place.keys, parts, strict=True):
        if part.ndim != 1 or part.dtype.kind not in "buif":
            raise UserError(
                f"{where}: '{key}' ({place.setting}) must hold one number per instance, beside the others "
                f"(got {part.dtype} of shape {part.shape})"
            )
    return np.stack(parts, axis=1)


def _target(kind: str, place: TargetPlace, values: npt.NDArray[Any], where: str) -> Target:
    if kind == "reg":
        return number_target(place.said, values, where, place.unit)
    if kind == "multilabel":
        names = names_of_labels(place.keys, place.names, 1 if values.ndim == 1 else values.shape[-1])
        return label_target(place.said, values, where, names)
    if place.names is None:
        return class_target(place.said, values, where)
    return class_target(place.said, values, where, list(place.names))


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
        return as_single(_joined({n: p for n, p in parts.items() if isinstance(p, np.ndarray)}), said), sizes
    x = NpyRows(files)
    if 0 not in x.shape:
        check_levels((x.raw(rows) for rows in blocks(len(x), x)), x.dtype_on_disk, said)
    return x, sizes


def _joined(parts: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    arrays = list(parts.values())
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _texts(arrays: NamedArrays, name: str | None, key: str) -> list[str] | None:
    if name is None:
        return None
    array = arrays.one(name, key)
    if array.ndim != 1:
        raise UserError(f"{arrays.where}: '{name}' ({key}) must be a list of names (got shape {array.shape})")
    return [str(v) for v in array]


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


def _given_split(
    settings: NpzSettings, sizes: dict[str, int], where: str, per_instance: Any
) -> dict[str, IntArray] | None:
    if sizes and settings.split_key is None:
        if settings.split in ("group", "stratified"):
            raise UserError(
                f"{where}: data.split={settings.split}, but the file gives the split itself "
                f"({', '.join(f'{settings.input_key}_{s}' for s in sizes)}); take data.split=given"
            )
        ends = np.cumsum(list(sizes.values()))
        return {s: np.arange(end - size, end) for (s, size), end in zip(sizes.items(), ends, strict=True)}
    if settings.split_key is None:
        if settings.split == "given":
            raise UserError(
                f"{where}: data.split=given, but the file has no {settings.input_key}_train; name the array "
                "of train/val/test or of fold ids with data.split_key"
            )
        return None
    return split_of_array(per_instance(settings.split_key, "data.split_key"), settings, where)


def split_of_array(values: npt.NDArray[Any], settings: NpzSettings, where: str) -> dict[str, IntArray]:
    """Read a split from an array of the words train, val and test, or of fold ids.

    Raises:
        UserError: If the array has neither, or the folds named are not in it.
    """
    key = settings.split_key
    if values.ndim != 1:
        raise UserError(f"{where}: '{key}' must have shape (N,) (got {values.shape})")
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        values = values.astype(np.int64)  # fold 3 may be stored as 3.0
    known = [str(v) for v in np.unique(values)]
    split_of = split_of_words(str(key), known, settings.test_fold, settings.val_fold, where)
    texts = values.astype(str)
    words = {split: [w for w, s in zip(known, split_of, strict=True) if s == split] for split in SPLITS}
    return {split: np.flatnonzero(np.isin(texts, ws)) for split, ws in words.items() if ws}
