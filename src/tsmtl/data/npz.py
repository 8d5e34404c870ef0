"""Arrays of one .npz file, under any names."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import NpzSettings
from tsmtl.config.errors import UserError
from tsmtl.config.words import did_you_mean
from tsmtl.data.files import existing_file
from tsmtl.data.instances import SPLITS, FloatArray, Instances, IntArray, Target
from tsmtl.data.padding import without_common_padding
from tsmtl.data.single import as_single
from tsmtl.data.split_words import OTHER_WORDS, split_of_words
from tsmtl.data.targets import class_target, number_target

UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)  # what a damaged member raises


class Archive:
    """The arrays of a file; a name is one array, or a family with the suffixes _train, _val and _test."""

    def __init__(self, where: str, file: np.lib.npyio.NpzFile) -> None:
        self.where = where
        self.file = file
        self.names = list(file.files)

    def one(self, name: str, key: str) -> npt.NDArray[Any]:
        """Read one array; ``key`` is the setting that names it."""
        if name not in self.names:
            raise self.lacks(name, key)
        try:
            array: npt.NDArray[Any] = self.file[name]
        except UNREADABLE as error:
            if "pickle" in str(error):  # numpy's refusal to unpickle
                raise self.object_array(name) from error
            raise self.damaged(name, error) from error
        if not isinstance(array, np.ndarray):  # numpy hands out the bytes of a member that is no array
            raise UserError(f"{self.where}: '{name}' is no array; save it with numpy.savez")
        if array.dtype.kind == "S":
            try:
                return np.char.decode(array, "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{self.where}: '{name}' holds bytes that are no UTF-8 text ({error})") from error
        return array

    def lacks(self, name: str, key: str) -> UserError:
        """Give the error of an array that is not there."""
        have = ", ".join(self.names)
        return UserError(f"{self.where}: no array '{name}' ({key}); it has {have}{did_you_mean(name, self.names)}")

    def object_array(self, name: str) -> UserError:
        """Give the error of an array that is never unpickled."""
        return UserError(
            f"{self.where}: '{name}' is an object array, which could run code when read; "
            "save it with a plain type (numbers or fixed-length text)"
        )

    def damaged(self, name: str, error: object) -> UserError:
        """Give the error of an array that cannot be read."""
        return UserError(f"{self.where}: '{name}' cannot be read, the file is damaged ({error})")

    def family(self, name: str) -> list[str]:
        """Give the splits for which ``name`` stands with a suffix; none if it is there by itself."""
        return [] if name in self.names else [s for s in SPLITS if f"{name}_{s}" in self.names]

    def read(self, name: str, key: str, family: list[str]) -> dict[str, npt.NDArray[Any]]:
        """Read an array, or those of a family, by their full names."""
        full_names = [f"{name}_{split}" for split in family] or [name]
        parts = {full: self.one(full, key) for full in full_names}
        if len({part.shape[1:] for part in parts.values()}) > 1:
            said = ", ".join(f"{full} {part.shape}" for full, part in parts.items())
            raise UserError(f"{self.where}: the splits of '{name}' differ in shape: {said}")
        return parts


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a file.

    Raises:
        UserError: If it is no .npz file.
    """
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(
                path.open("rb")
            )  # numpy would leave a handle of its own to a damaged file open
            loaded = np.load(handle, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a readable .npz file ({error})") from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: a single array; tsmtl reads .npz files with named arrays (numpy.savez)")
        yield Archive(str(path), stack.enter_context(loaded))


def load_npz(settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    """Read the arrays that the settings name.

    Args:
        settings: Names of the arrays.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If the file, an array or a shape is not as named.
    """
    path = existing_file(settings.path, settings.root)
    with open_archive(path) as archive:
        return _read_instances(archive, settings, tasks)


def _read_instances(archive: Archive, settings: NpzSettings, tasks: dict[str, str]) -> Instances:
    path = archive.where
    family = archive.family(settings.input_key)
    if family and (other := [n for s in OTHER_WORDS if (n := f"{settings.input_key}_{s}") in archive.names]):
        raise UserError(f"{path}: the array {other[0]} would not be read; the splits are called train, val and test")
    if family and "train" not in family:
        raise UserError(f"{path}: has {settings.input_key}_{family[0]}, but no {settings.input_key}_train")
    x, sizes = _read_input(archive, settings.input_key, family)

    def per_instance(name: str, key: str) -> npt.NDArray[Any]:
        parts = archive.read(name, key, family)
        for (input_name, size), (full, part) in zip(sizes.items(), parts.items(), strict=True):
            if part.shape[:1] != (size,):
                raise UserError(
                    f"{path}: '{input_name}' has {size} instances, '{full}' ({key}) has shape {part.shape}; "
                    "both need one row per instance"
                )
        return _joined(parts)

    names = _texts(archive, settings.class_names_key, "data.class_names_key")
    targets: dict[str, Target] = {}
    for task, kind in tasks.items():
        if kind == "reg" and settings.regression_target is not None:
            key = settings.regression_target
            targets[task] = number_target(
                key, per_instance(key, "data.regression_target"), path, settings.regression_unit
            )
        elif kind == "cls":
            setting = "class_target_2" if task == "cls_2" else "class_target"
            key = getattr(settings, setting)
            values = per_instance(key, f"data.{setting}")
            targets[task] = class_target(key, values, path, names if task == "cls" else None)
    channels = _texts(archive, settings.channels_key, "data.channels_key")
    if channels is not None and len(channels) != x.shape[1]:
        raise UserError(f"{path}: '{settings.channels_key}' names {len(channels)} channels, the input has {x.shape[1]}")
    lengths = None
    if settings.lengths_key is not None:
        lengths = _lengths(per_instance(settings.lengths_key, "data.lengths_key"), x, settings.lengths_key, path)
        x, lengths = without_common_padding(x, lengths)
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


def _read_input(archive: Archive, key: str, family: list[str]) -> tuple[FloatArray, dict[str, int]]:
    """Read the input, and count the instances of each of its arrays."""
    parts = archive.read(key, "data.input_key", family)
    for name, part in parts.items():
        if part.dtype.kind not in "buif":
            raise UserError(f"{archive.where}: '{name}' has type {part.dtype}, no numbers")
        if part.ndim not in (2, 3):
            raise UserError(
                f"{archive.where}: '{name}' must be series (N, C, T) or vectors (N, E) (got shape {part.shape})"
            )
    return as_single(_joined(parts), f"{archive.where}: '{key}'"), {name: len(p) for name, p in parts.items()}


def _joined(parts: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    arrays = list(parts.values())
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _texts(archive: Archive, name: str | None, key: str) -> list[str] | None:
    if name is None:
        return None
    array = archive.one(name, key)
    if array.ndim != 1:
        raise UserError(f"{archive.where}: '{name}' ({key}) must be a list of names (got shape {array.shape})")
    return [str(v) for v in array]


def _lengths(values: npt.NDArray[Any], x: FloatArray, name: str, where: str) -> IntArray:
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
