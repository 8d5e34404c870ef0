"""Arrays of one .npz file, under any names."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import NpzSettings
from tsmtl.config.errors import UserError
from tsmtl.config.rules import did_you_mean
from tsmtl.data.files import existing_file
from tsmtl.data.instances import SPLITS, Instances, IntArray, Target
from tsmtl.data.targets import class_target, number_target

SUFFIXES = ("train", "val", "test")


class _Archive:
    """The arrays of a file; a name is one array, or a family with the suffixes _train, _val and _test."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            loaded = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a readable .npz file ({error})") from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: a single array; tsmtl reads .npz files with named arrays (numpy.savez)")
        self._file = loaded
        self.names = list(loaded.files)

    def one(self, name: str, key: str) -> npt.NDArray[Any]:
        """Read one array; ``key`` is the setting that names it."""
        if name not in self.names:
            have = ", ".join(self.names)
            raise UserError(f"{self.where}: no array '{name}' ({key}); it has {have}{did_you_mean(name, self.names)}")
        try:
            array: npt.NDArray[Any] = self._file[name]
        except ValueError as error:  # numpy's refusal to unpickle
            raise UserError(
                f"{self.where}: '{name}' is an object array, which could run code when read; "
                "save it with a plain type (numbers or fixed-length text)"
            ) from error
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.where}: '{name}' cannot be read, the file is damaged ({error})") from error
        return array

    def family(self, name: str) -> list[str]:
        """Give the splits for which ``name`` stands with a suffix; none if it is there by itself."""
        return [] if name in self.names else [s for s in SUFFIXES if f"{name}_{s}" in self.names]

    def read(self, name: str, key: str, family: list[str]) -> npt.NDArray[Any]:
        """Read an array, or a family's arrays one behind the other."""
        if not family:
            return self.one(name, key)
        parts = [self.one(f"{name}_{split}", key) for split in family]
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) > 1:
            said = ", ".join(f"{name}_{s} {p.shape}" for s, p in zip(family, parts, strict=True))
            raise UserError(f"{self.where}: the splits of '{name}' differ in shape: {said}")
        return np.concatenate(parts)


def load_npz(settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    """Read the arrays that the settings name.

    Args:
        settings: Names of the arrays.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If the file, an array or a shape is not as named.
    """
    path = existing_file(settings.path, settings.root)
    archive = _Archive(path)
    family = archive.family(settings.input_key)
    if family and "train" not in family:
        raise UserError(f"{path}: has {settings.input_key}_{family[0]}, but no {settings.input_key}_train")
    x = archive.read(settings.input_key, "data.input_key", family)
    if x.dtype.kind not in "buif":
        raise UserError(f"{path}: '{settings.input_key}' has type {x.dtype}, no numbers")
    if x.ndim not in (2, 3):
        raise UserError(
            f"{path}: '{settings.input_key}' must be series (N, C, T) or vectors (N, E) (got shape {x.shape})"
        )
    n = len(x)

    def per_instance(name: str, key: str) -> npt.NDArray[Any]:
        array = archive.read(name, key, family)
        if array.ndim == 0 or len(array) != n:
            raise UserError(
                f"{path}: '{settings.input_key}' has {n} instances, '{name}' ({key}) has shape {array.shape}; "
                "both need one row per instance"
            )
        return array

    names = _texts(archive, settings.class_names_key, "data.class_names_key")
    targets: dict[str, Target] = {}
    for task, kind in tasks.items():
        if kind == "reg" and settings.regression_target is not None:
            key = settings.regression_target
            targets[task] = number_target(
                key, per_instance(key, "data.regression_target"), str(path), settings.regression_unit
            )
        elif kind == "cls":
            setting = "class_target_2" if task == "cls_2" else "class_target"
            key = getattr(settings, setting)
            values = per_instance(key, f"data.{setting}")
            targets[task] = class_target(key, values, str(path), names if task == "cls" else None)
    channels = _texts(archive, settings.channels_key, "data.channels_key")
    if channels is not None and len(channels) != x.shape[1]:
        raise UserError(f"{path}: '{settings.channels_key}' names {len(channels)} channels, the input has {x.shape[1]}")
    lengths = None
    if settings.lengths_key is not None:
        lengths = _lengths(per_instance(settings.lengths_key, "data.lengths_key"), x, settings.lengths_key, str(path))
    groups = per_instance(settings.group_key, "data.group_key") if settings.group_key else None
    if groups is not None and groups.ndim != 1:
        raise UserError(f"{path}: '{settings.group_key}' must have shape (N,) (got {groups.shape})")
    given = _given_split(settings, archive, family, n, per_instance)
    letter = "channel" if x.ndim == 3 else "feature"
    return Instances(
        np.ascontiguousarray(x, dtype=np.float32),
        targets,
        str(path),
        channels or [f"{letter}_{i + 1}" for i in range(x.shape[1])],
        lengths,
        groups,
        given,
    )


def _texts(archive: _Archive, name: str | None, key: str) -> list[str] | None:
    if name is None:
        return None
    array = archive.one(name, key)
    if array.ndim != 1:
        raise UserError(f"{archive.where}: '{name}' ({key}) must be a list of names (got shape {array.shape})")
    return [str(v) for v in array]


def _lengths(values: npt.NDArray[Any], x: npt.NDArray[Any], name: str, where: str) -> IntArray:
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
    settings: NpzSettings, archive: _Archive, family: list[str], n: int, per_instance: Any
) -> dict[str, IntArray] | None:
    if family and settings.split_key is None:
        if settings.split in ("group", "stratified"):
            raise UserError(
                f"{archive.where}: data.split={settings.split}, but the file gives the split itself "
                f"({', '.join(f'{settings.input_key}_{s}' for s in family)}); take data.split=given"
            )
        sizes = [len(archive.one(f"{settings.input_key}_{s}", "data.input_key")) for s in family]
        starts = np.cumsum([0, *sizes])
        return {s: np.arange(a, a + size) for s, a, size in zip(family, starts, sizes, strict=False)}
    if settings.split_key is None:
        if settings.split == "given":
            raise UserError(
                f"{archive.where}: data.split=given, but the file has no {settings.input_key}_train; name the array "
                "of train/val/test or of fold ids with data.split_key"
            )
        return None
    return split_of_array(per_instance(settings.split_key, "data.split_key"), settings, archive.where)


def split_of_array(values: npt.NDArray[Any], settings: NpzSettings, where: str) -> dict[str, IntArray]:
    """Read a split from an array of the words train, val and test, or of fold ids.

    Raises:
        UserError: If the array has neither, or the folds named are not in it.
    """
    known = [str(v) for v in np.unique(values)]
    texts = values.astype(str)
    key = settings.split_key
    if set(known) <= set(SPLITS):
        if settings.test_fold is not None or settings.val_fold is not None:
            raise UserError(f"{where}: '{key}' gives train/val/test itself; leave out data.test_fold and data.val_fold")
        return {split: np.flatnonzero(texts == split) for split in SPLITS if split in known}
    if settings.test_fold is None:
        raise UserError(
            f"{where}: '{key}' holds fold ids ({', '.join(known[:10])}); name the one to test on with data.test_fold"
        )
    chosen: dict[str, set[str]] = {}
    for split, folds in (("test", settings.test_fold), ("val", settings.val_fold)):
        ids = [] if folds is None else folds if isinstance(folds, list) else [folds]
        chosen[split] = {str(fold) for fold in ids}
        unknown = chosen[split] - set(known)
        if unknown:
            raise UserError(
                f"data.{split}_fold: '{key}' has no fold {', '.join(sorted(unknown))}; it has {', '.join(known[:20])}"
            )
    both = chosen["test"] & chosen["val"]
    if both:
        raise UserError(f"data.val_fold: fold {', '.join(sorted(both))} is the test fold too")
    rows = {split: np.flatnonzero(np.isin(texts, sorted(ids))) for split, ids in chosen.items() if ids}
    rows["train"] = np.flatnonzero(~np.isin(texts, sorted(chosen["test"] | chosen["val"])))
    return rows
