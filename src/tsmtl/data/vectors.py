"""Vectors in a table: a CSV or Parquet file with one row per instance."""

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.data_settings import KINDS, VectorsSettings
from tsmtl.config.errors import UserError
from tsmtl.config.predict_settings import ROWS, input_format
from tsmtl.data.array_targets import PerInstance
from tsmtl.data.csv_rows import COMMAS
from tsmtl.data.files import existing_file
from tsmtl.data.instance_table import Columns, InstanceTable
from tsmtl.data.instances import SPLITS, FloatArray, Instances
from tsmtl.data.manifest import GROUP, INSTANCE, MANIFEST, SPLIT, Manifest, X, check_no_other_split
from tsmtl.data.split_words import OTHER_WORDS
from tsmtl.data.table_columns import TEXTS, TableArrays, array_as, array_of, columns_of, side_by_side
from tsmtl.data.table_files import no_column

_TARGETS = [f"y_{task}" for task in KINDS]
_UNSAID = ("y_cls", "y_reg")  # what the settings name by default, whether or not a file has it
# Beside the vectors of tsmtl-represent, also where a program wrote the table anew; and the row labels of pandas.
_OWN = re.compile(rf"{INSTANCE}|{SPLIT}|{GROUP}|({'|'.join(_TARGETS)})(_[0-9]+)?|__index_level_[0-9]+__")
Roles = dict[tuple[str, str], str]


def load_vectors(settings: VectorsSettings, tasks: dict[str, str]) -> Instances:
    """Read the columns that the settings name.

    Args:
        settings: Names of the columns.
        tasks: Kind by task name; decides which targets are read.

    Raises:
        UserError: If the file, a column or a cell is not as the settings say.
    """
    path = existing_file(settings.path)
    if input_format(str(path)) not in ROWS:
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
    features = _features(table, settings, aside, manifest)
    whole = features if manifest is None else list(manifest.content["features"])
    columns = {(name, key): columns_of(name, table.columns, table.where, key) for name, key in roles}
    recorded = _recorded(table, manifest)
    unread = _unread_split(table, settings, aside, manifest)
    wanted = [name for found in [*columns.values(), *recorded.values(), unread] for name in found]
    x, read = table.whole(whole, list(dict.fromkeys(wanted)))
    _check_split(table, [read[name] for name in unread])
    if manifest is not None:
        manifest.check(_stored(table, recorded, read, x))
    notes = manifest.notes if manifest is not None else []
    if manifest is None and not _named_in_full(settings, table.columns):
        notes = _input(features, x) + (_left(table, features, aside) if settings.features is None else [])
    if features != whole:
        x = _chosen(x, whole, features)
    arrays = {
        role: array_as(roles[role], [read[name] for name in found], table.start, table.is_text)
        for role, found in columns.items()
        if found
    }
    rows = PerInstance(TableArrays(table, arrays), settings, {X: len(x)}, [])
    key = _instance_column(table, settings)
    names = None if key is None else rows.filled(key, "data.instance_key")
    if names is not None and settings.group_key is None:
        notes += _repeated(str(key), names)
    return Instances(
        x,
        rows.targets(tasks),
        table.where,
        features,
        groups=rows.groups(),
        given=rows.given_split(),
        names=names,
        facts={} if manifest is None else {"representation": manifest.facts},
        notes=notes,
    )


def _recorded(table: InstanceTable, manifest: Manifest | None) -> dict[str, list[str]]:
    """Give the columns of the arrays that the manifest tells of, but the vectors."""
    names = [] if manifest is None else [name for name in manifest.content["arrays"] if name != X]
    return {name: columns_of(name, table.columns, table.where, "data.path") for name in names}


def _stored(table: InstanceTable, recorded: Mapping[str, list[str]], read: Columns, x: FloatArray) -> TableArrays:
    """Give these arrays as they are stored, and the vectors under the name that the manifest has for them."""
    there = {name: [read[column] for column in found] for name, found in recorded.items() if found}
    arrays = {(name, "data.path"): side_by_side(found, table.where) for name, found in there.items()}
    return TableArrays(table, {**arrays, (X, "data.path"): x})


def _instance_column(table: InstanceTable, settings: VectorsSettings) -> str | None:
    return settings.instance_key or (INSTANCE if INSTANCE in table.columns else None)


def _roles(table: InstanceTable, settings: VectorsSettings, tasks: dict[str, str]) -> Roles:
    """Give what is read beside the vectors, by name and the setting that names it: what it is read as."""
    places = {task: settings.place_of(task) for task in tasks}
    roles = {(name, place.setting): tasks[task] for task, place in places.items() for name in place.keys}
    keys = {"split": settings.split_key, "group": settings.group_key, "instance": _instance_column(table, settings)}
    return roles | {(name, f"data.{kind}_key"): kind for kind, name in keys.items() if name is not None}


def _aside(table: InstanceTable, settings: VectorsSettings, roles: Roles) -> dict[str, str]:
    """Give all columns that the settings give another part than input, with the setting."""
    own = [(key, place.setting) for task in KINDS for place in [settings.place_of(task)] for key in place.keys]
    named = [*own, *roles]
    return {column: key for name, key in named for column in columns_of(name, table.columns, table.where, key)}


def _features(
    table: InstanceTable, settings: VectorsSettings, aside: Mapping[str, str], manifest: Manifest | None
) -> list[str]:
    """Give the columns of the vectors, in the order of the file or of the names."""
    known = table.columns if manifest is None else list(manifest.content["features"])
    if manifest is None and not settings.named and not _named_in_full(settings, known):
        _check_targets(table, settings)
    if manifest is not None and (gone := set(known).difference(table.columns)):
        raise manifest.gone(min(gone), TableArrays.noun)
    if settings.features is not None:
        if twice := [name for name in settings.features if name in aside]:
            raise UserError(
                f"data.features: '{twice[0]}' is {aside[twice[0]]} too, and no input; leave it out of one of the two"
            )
        return _matching(table.where, settings.features, [name for name in known if name not in aside])
    if manifest is not None:
        if twice := [name for name in known if name in aside]:
            raise UserError(
                f"{aside[twice[0]]}: '{twice[0]}' is one of the vectors' features in {table.where} too, and no input; "
                "data.features=[*] takes the others"
            )
        return known
    if settings.named:
        raise UserError(
            "data.features: task=custom needs the columns of the vectors by name or pattern: without, the target of a "
            "task that is left out would become input"
        )
    found = [name for name in table.numeric() if name not in aside and not _is_own(name)]
    if not found:
        hint = f"; {COMMAS}" if len(table.columns) == 1 else "; name them with data.features"
        raise UserError(f"{table.where}: no column of numbers is left for the vectors{hint}")
    return found


def _check_targets(table: InstanceTable, settings: VectorsSettings) -> None:
    """Refuse the name of a target that is not there, of a task that is left out too: misspelt, it would be input."""
    for task in KINDS:
        place = settings.place_of(task)
        for key in place.keys:
            if key not in _UNSAID and not columns_of(key, table.columns, table.where, place.setting):
                raise no_column(table.where, table.columns, key, place.setting, f"; {COMMAS}")


def _named_in_full(settings: VectorsSettings, columns: list[str]) -> bool:
    return settings.features is not None and set(settings.features) <= set(columns)


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name) is not None


def _matching(where: str, patterns: list[str], columns: list[str]) -> list[str]:
    """Give the columns of some names or patterns, in their order; what is no input by default is found by its name."""
    known, chosen = set(columns), dict[str, None]()
    plain = [name for name in columns if not _is_own(name)]
    for pattern in patterns:
        found = [pattern] if pattern in known else [name for name in plain if fnmatchcase(name, pattern)]
        if not found:
            raise no_column(where, columns, pattern, "data.features", f"; {COMMAS}")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _chosen(x: FloatArray, features: list[str], chosen: list[str]) -> FloatArray:
    places = {name: place for place, name in enumerate(features)}
    return np.ascontiguousarray(x[:, [places[name] for name in chosen]])


def _unread_split(
    table: InstanceTable, settings: VectorsSettings, aside: Collection[str], manifest: Manifest | None
) -> list[str]:
    """Name the column that may hold the split of the vectors' fit though no setting reads it."""
    draws = manifest is None and settings.split == "auto" and settings.split_key is None
    return [SPLIT] if draws and SPLIT in table.columns and SPLIT not in aside else []


def _check_split(table: InstanceTable, columns: list[pl.Series]) -> None:
    """Refuse columns of train, val and test beside a random split: vectors may have been fitted on that train split."""
    for column in (one for one in columns if one.dtype in TEXTS):
        words = set(array_of(column, table.where).tolist()) - {""}
        if words and {word.lower() for word in words} <= {*SPLITS, *OTHER_WORDS}:
            said = ", ".join(sorted(words, key=lambda word: ([*SPLITS, word].index(word), word)))
            raise UserError(
                f"{table.where}: column '{column.name}' holds {said}, and no setting reads it; take it with "
                f"data.split_key={column.name}, or say data.split=stratified or group for another"
            )


def _input(features: list[str], x: FloatArray) -> list[str]:
    """Say which columns are input, and which of them only count the rows."""
    notes = [f"input, E = {len(features)}: {_some(features)}"]
    return notes + [
        f"column '{features[at]}' counts the rows, and is input; to leave it out name the others with data.features"
        for at in _counting(x)
    ]


def _left(table: InstanceTable, features: list[str], aside: Collection[str]) -> list[str]:
    """Say which columns are left out of the input by default."""
    notes = []
    known = {*features, *aside, ""}
    if own := [name for name in table.columns if _is_own(name) and name not in known]:
        notes.append(f"{_some(own)}: no input by default; tsmtl-represent, or pandas, calls so what is no feature")
    known |= {*own}
    if left := [name for name in table.columns if name not in known]:
        verbs = "hold no numbers and are" if len(left) > 1 else "holds no numbers and is"
        notes.append(f"{len(left)} column{'s' * (len(left) > 1)} {verbs} left out of the input: {_some(left)}")
    return notes


def _repeated(key: str, names: npt.NDArray[Any]) -> list[str]:
    """Say where rows that are called alike may stand in different splits."""
    found, times = np.unique(names, return_counts=True)
    if len(found) == len(names):
        return []
    return [
        f"column '{key}' names {int((times > 1).sum())} instances more than once, the first '{found[times > 1][0]}'; "
        f"where rows of one name belong together, data.group_key={key} keeps them in one split"
    ]


def _counting(x: FloatArray) -> list[int]:
    """Find the columns of (N, E) that number the rows from 0 or 1, in any order."""
    n = len(x)
    if n < 3:
        return []
    low = x.min(axis=0)  # NaN where one is missing
    found = np.flatnonzero(((low == 0) | (low == 1)) & (x.max(axis=0) == low + n - 1))
    return [int(at) for at in found if (np.sort(x[:, at]) == low[at] + np.arange(n)).all()]


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
