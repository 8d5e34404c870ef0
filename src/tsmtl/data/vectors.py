"""Vectors in a table: a CSV or Parquet file with one row per instance."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.data_settings import KINDS, VectorsSettings
from tsmtl.config.errors import UserError
from tsmtl.config.predict_settings import ROWS
from tsmtl.config.words import did_you_mean
from tsmtl.data.array_targets import PerInstance
from tsmtl.data.files import existing_file
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.instances import FloatArray, Instances
from tsmtl.data.manifest import INSTANCE, MANIFEST, Manifest, X, check_no_other_split
from tsmtl.data.named_arrays import NamedArrays

COMMAS = "; are its cells separated by commas?"


class TableArrays(NamedArrays):
    """Columns of a table under the names that settings give them.

    Args:
        where: The file.
        columns: Names of all its columns, for messages.
        arrays: The arrays that were read.
    """

    noun = "a column"

    def __init__(self, where: str, columns: list[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        super().__init__(where, list(arrays))
        self._columns, self._arrays = columns, arrays

    def _whole(self, name: str) -> Any:
        return self._arrays[name]

    def family(self, name: str) -> list[str]:
        """Give none: the splits of a table stand in a column."""
        return []

    def lacks(self, name: str, key: str) -> UserError:
        """Give the error of a column that is not there."""
        return no_column(self.where, self._columns, name, key)


def no_column(where: str, columns: list[str], name: str, key: str) -> UserError:
    """Give the error of a column that is not there; ``key`` is the setting that names it."""
    have = ", ".join(columns[:20]) + (" ..." if len(columns) > 20 else "")
    hint = COMMAS if len(columns) == 1 else did_you_mean(name, columns)
    return UserError(f"{where}: no column '{name}' ({key}); it has {have}{hint}")


def load_vectors(settings: VectorsSettings, tasks: dict[str, str]) -> Instances:
    """Read the columns that the settings name.

    Args:
        settings: Names of the columns.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If the file, a column or a cell is not as the settings say.
    """
    path = existing_file(settings.path)
    if path.suffix.lower() not in ROWS:
        raise UserError(f"data.path: {path} is no table of vectors; it must end in {', '.join(ROWS)}")
    table = InstanceTable(path)
    said = table.metadata(MANIFEST)
    manifest = None if said is None else Manifest.of_text(said, table.where)
    if manifest is None:
        check_no_other_split(settings, table.where)
        return _read(table, settings, tasks, None)
    return _read(table, manifest.settings_for(settings), tasks, manifest)


def _read(
    table: InstanceTable, settings: VectorsSettings, tasks: dict[str, str], manifest: Manifest | None
) -> Instances:
    if settings.split == "given" and settings.split_key is None:
        raise UserError(
            f"{table.where}: data.split=given needs the column of train/val/test or fold ids (data.split_key)"
        )
    roles = _roles(table, settings, tasks)
    aside = _aside(table, settings, roles)
    wanted, notes = list(roles), []
    if manifest is None:
        features = _features(table, settings, aside)
        notes = [] if settings.features else _left_out(table, {*features, *aside})
    else:
        features = list(manifest.content["features"])
        wanted += [name for name in manifest.content["arrays"] if name != X]
        if gone := set(features).difference(table.columns):
            raise manifest.gone(min(gone), TableArrays.noun)
    columns = {name: found for name in wanted if (found := columns_of(name, table.columns))}
    x, read = table.whole(features, list(dict.fromkeys(name for found in columns.values() for name in found)))
    arrays = {name: side_by_side([read[column] for column in found], table.where) for name, found in columns.items()}
    named = TableArrays(table.where, table.columns, {**arrays, X: x})
    if manifest is not None:
        manifest.check(named)
        if settings.features is not None:
            features, x = _chosen(x, features, _matching(table.where, settings.features, features))
    rows = PerInstance(named, settings, {X: len(x)}, [])
    key = _instance_column(table, settings)
    return Instances(
        x,
        rows.targets(tasks),
        table.where,
        features,
        groups=rows.groups(),
        given=rows.given_split(),
        names=None if key is None else rows.filled(key, "data.instance_key"),
        facts={} if manifest is None else {"representation": manifest.facts},
        notes=notes,
    )


def _instance_column(table: InstanceTable, settings: VectorsSettings) -> str | None:
    return settings.instance_key or (INSTANCE if INSTANCE in table.columns else None)


def _roles(table: InstanceTable, settings: VectorsSettings, tasks: dict[str, str]) -> dict[str, str]:
    """Give the columns that are read beside the vectors, with the setting that names each."""
    roles = {key: place.setting for task in tasks for place in [settings.place_of(task)] for key in place.keys}
    keys = {"data.split_key": settings.split_key, "data.group_key": settings.group_key}
    keys["data.instance_key"] = _instance_column(table, settings)
    return roles | {name: setting for setting, name in keys.items() if name is not None}


def _aside(table: InstanceTable, settings: VectorsSettings, roles: Mapping[str, str]) -> dict[str, str]:
    """Give all columns that the settings give another part than input, with the setting."""
    own = {key: place.setting for task in KINDS for place in [settings.place_of(task)] for key in place.keys}
    return {column: said for name, said in {**own, **roles}.items() for column in columns_of(name, table.columns)}


def _features(table: InstanceTable, settings: VectorsSettings, aside: Mapping[str, str]) -> list[str]:
    """Give the columns of the vectors, in the order of the file or of the names."""
    if settings.features is not None:
        if twice := [name for name in settings.features if name in aside]:
            raise UserError(
                f"data.features: '{twice[0]}' is {aside[twice[0]]} too, and no input; leave it out of one of the two"
            )
        return _matching(table.where, settings.features, [name for name in table.columns if name not in aside])
    if settings.named:
        raise UserError(
            "data.features: task=custom needs the columns of the vectors by name or pattern: without, the target of a "
            "task that is left out would become input"
        )
    found = [name for name in table.numeric() if name not in aside]
    if not found:
        hint = COMMAS if len(table.columns) == 1 else "; name them with data.features"
        raise UserError(f"{table.where}: no column of numbers is left for the vectors{hint}")
    return found


def _matching(where: str, patterns: list[str], columns: list[str]) -> list[str]:
    """Give the columns of some names or patterns, in their order."""
    known, chosen = set(columns), dict[str, None]()
    for pattern in patterns:
        found = [pattern] if pattern in known else [name for name in columns if fnmatchcase(name, pattern)]
        if not found:
            raise no_column(where, columns, pattern, "data.features")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _chosen(x: FloatArray, features: list[str], chosen: list[str]) -> tuple[list[str], FloatArray]:
    places = {name: place for place, name in enumerate(features)}
    return chosen, np.ascontiguousarray(x[:, [places[name] for name in chosen]])


def columns_of(name: str, columns: list[str]) -> list[str]:
    """Give the columns that a name stands for: itself, or NAME_1, NAME_2, ...; none if neither is there."""
    if name in columns:
        return [name]
    found: list[str] = []
    while (one := f"{name}_{len(found) + 1}") in columns:
        found.append(one)
    return found


def side_by_side(columns: list[pl.Series], where: str) -> npt.NDArray[Any]:
    """Give a column (n,), or several (n, D)."""
    arrays = [array_of(column, where) for column in columns]
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)


def array_of(column: pl.Series, where: str) -> npt.NDArray[Any]:
    """Give a column as an array (n,): texts ("" where one is missing), numbers (NaN) or times.

    Raises:
        UserError: If it holds none of them.
    """
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return np.array(column.cast(pl.String).fill_null("").to_list(), dtype=str)
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    if column.dtype.is_decimal() or column.dtype == pl.Null:
        column = column.cast(pl.Float64)
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        raise UserError(f"{where}: column '{column.name}' holds {column.dtype}, neither texts nor numbers")
    return column.to_numpy()


def _left_out(table: InstanceTable, known: set[str]) -> list[str]:
    """Say which columns are not read."""
    left = [name for name in table.columns if name not in known and name]
    if not left:
        return []
    said = ", ".join(left[:10]) + (" ..." if len(left) > 10 else "")
    return [f"{len(left)} columns hold no numbers and are left out of the input: {said}"]
