"""What belongs to the instances of named arrays: targets, groups and the given split, an array each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import ArraySettings, TargetPlace
from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS, IntArray, Target
from tsmtl.data.named_arrays import NamedArrays, full_names
from tsmtl.data.split_words import split_of_words
from tsmtl.data.targets import check_names_have_ids, class_target, label_target, names_of_labels, number_target


@dataclass(frozen=True)
class PerInstance:
    """The arrays beside the input.

    Attributes:
        arrays: All arrays.
        settings: Which of them are what.
        sizes: Instances of the input, by the name of each of its arrays.
        family: Splits whose arrays make up one, see :meth:`NamedArrays.family`.
    """

    arrays: NamedArrays
    settings: ArraySettings
    sizes: Mapping[str, int]
    family: list[str]

    def read(self, name: str, key: str) -> npt.NDArray[Any]:
        """Read an array, of all splits; ``key`` is the setting that names it.

        Raises:
            UserError: If it is not there, or has not one row per instance.
        """
        parts = self.arrays.read(name, key, self.family)
        for (input_name, size), (full, part) in zip(self.sizes.items(), parts.items(), strict=True):
            if part.shape[:1] != (size,):
                raise UserError(
                    f"{self.arrays.where}: '{input_name}' has {size} instances, '{full}' ({key}) has shape "
                    f"{part.shape}; both need one row per instance"
                )
        return joined(parts)

    def targets(self, tasks: dict[str, str], names: list[str] | None = None) -> dict[str, Target]:
        """Read the targets.

        Args:
            tasks: Kind by task name.
            names: Names of the class ids of task ``cls``, where the file gives them.

        Raises:
            UserError: If a target is not as named.
        """
        settings, path = self.settings, self.arrays.where
        targets: dict[str, Target] = {}
        for task, kind in tasks.items():
            place = settings.place_of(task)
            if task in settings.drawn_by and settings.split_targets is None and not self._is_there(place):
                continue  # a name by default: no run on this file learns it
            if not settings.named and task == "cls" and names is not None:
                place = replace(place, names=tuple(names))
            if kind == "cls" and place.names is not None:
                named_by = f"{place.setting.removesuffix('target')}names" if settings.named else "data.class_names_key"
                check_names_have_ids(self.read(place.said, place.setting), named_by, place.said, path)
            values = _side_by_side([self.read(key, place.setting) for key in place.keys], place, path)
            targets[task] = _target(kind, place, values, path, self.arrays.first_row)
        return targets

    def groups(self) -> npt.NDArray[Any] | None:
        """Read the group (N,) of each instance, where there are groups."""
        key = self.settings.group_key
        return None if key is None else self.filled(key, "data.group_key")

    def filled(self, name: str, key: str) -> npt.NDArray[Any]:
        """Read an array (N,) without gaps.

        Raises:
            UserError: If it is of another shape, or a value is missing.
        """
        values = self.read(name, key)
        if values.ndim != 1:
            raise UserError(f"{self.arrays.where}: '{name}' must have shape (N,) (got {values.shape})")
        empty = values == "" if values.dtype.kind == "U" else values != values  # NaN
        if empty.any():
            row = self.arrays.first_row + int(np.argmax(empty))
            raise UserError(f"{self.arrays.where}: '{name}' ({key}) is missing in row {row}")
        return values

    def given_split(self) -> dict[str, IntArray] | None:
        """Read the split that ``split_key`` names."""
        key = self.settings.split_key
        if key is None:
            return None
        return split_of_array(self.filled(key, "data.split_key"), self.settings, self.arrays.where)

    def _is_there(self, place: TargetPlace) -> bool:
        return all(name in self.arrays.names for key in place.keys for name in full_names(key, self.family))


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


def _target(kind: str, place: TargetPlace, values: npt.NDArray[Any], where: str, first_row: int) -> Target:
    if kind == "reg":
        return number_target(place.said, values, where, place.unit, first_row)
    if kind == "multilabel":
        names = names_of_labels(place.keys, place.names, 1 if values.ndim == 1 else values.shape[-1])
        return label_target(place.said, values, where, names, first_row)
    given = None if place.names is None else list(place.names)
    return class_target(place.said, values, where, given, first_row)


def joined(parts: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Give the arrays of all splits as one."""
    arrays = list(parts.values())
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def split_of_array(values: npt.NDArray[Any], settings: ArraySettings, where: str) -> dict[str, IntArray]:
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
