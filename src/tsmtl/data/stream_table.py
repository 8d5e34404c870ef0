"""The instances of one CSV or Parquet file in blocks: vectors one a row, series one time step a row."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.data.csv_rows import COMMAS
from tsmtl.data.files import existing_file
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.instances import FloatArray
from tsmtl.data.manifest import MANIFEST, Manifest
from tsmtl.data.single import to_single
from tsmtl.data.stream import Block, Request, Stream, WantedTarget
from tsmtl.data.table_cells import Place, as_float
from tsmtl.data.table_columns import array_of, columns_of, names_of, with_missing_ids
from tsmtl.data.table_files import no_column


def stream_table(request: Request) -> Stream:
    """Open a CSV or Parquet file with one column per channel (or feature), named as in training; others are left out.

    Of series the rows of one instance stand together, in the order of time. Rows of a CSV file count
    from 1, the header's.

    Raises:
        UserError: If columns are missing.
    """
    table = InstanceTable(existing_file(str(request.path)))
    _check_channels(table, request)
    if request.contract.kind != "series" and (said := table.metadata(MANIFEST)) is not None:
        Manifest.of_text(said, table.where).check_transform(request.made_by)
    columns = {target.task: _columns(target, table) for target in request.targets}
    parts = _parts(table, request, columns, _instance_column(table, request))
    series = request.contract.kind == "series"
    return Stream(table.where, None, (_series if series else _vectors)(parts, table.where, request.size))


def _instance_column(table: InstanceTable, request: Request) -> str | None:
    """Give the column that names the instances; None of vectors that have no names."""
    known = [request.instance_key] if request.instance_key_typed else [request.trained.get("instance_key")]
    known += [] if request.instance_key_typed else [request.instance_key]
    if found := [name for name in known if name in table.columns]:
        return found[0]
    if request.contract.kind != "series" and not request.instance_key_typed:
        return None
    raise UserError(
        f"{table.where}: no column '{request.instance_key}' that names the instance of each row (data.instance_key); "
        f"there are {_listed(table.columns)}"
    )


def _check_channels(table: InstanceTable, request: Request) -> None:
    contract, where, columns = request.contract, table.where, set(table.columns)
    if missing := [name for name in contract.channels if name not in columns]:
        noun = "channels" if contract.kind == "series" else "features"
        raise UserError(
            f"{where}: no column {_listed(missing)}; expected are the {noun} {_listed(contract.channels)}, "
            f"there are {_listed(table.columns)}"
        )


def _columns(target: WantedTarget, table: InstanceTable) -> list[str]:
    """Give the columns of a target, found as in training."""
    found: list[str] = []
    for key in target.keys:
        if not (there := columns_of(key, table.columns, table.where, target.setting)):
            raise no_column(table.where, table.columns, key, target.setting, f"; {COMMAS}")
        found += there
    if len(found) != target.size:
        raise UserError(
            f"{table.where}: the target of task {target.task} is in {target.size} columns in the model, and in "
            f"{len(found)} here ({_listed(found)}; {target.setting})"
        )
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" ... ({len(names)} in all)" if len(names) > 10 else "")


@dataclass
class _Part:
    """Rows of a file as arrays: instance names, (n, C) values, targets by task; ``row`` is that of the first."""

    row: int
    names: list[Any] | None
    x: FloatArray
    targets: dict[str, npt.NDArray[Any]]


def _parts(
    table: InstanceTable, request: Request, target_columns: dict[str, list[str]], named: str | None
) -> Iterator[_Part]:
    others = [column for found in target_columns.values() for column in found]
    others += [] if named is None else [named]
    for part in table.parts(request.contract.channels, list(dict.fromkeys(others))):
        place = Place(table.where, part.row)
        names = None if named is None else _names(part.columns[named], place)
        targets: dict[str, npt.NDArray[Any]] = {}
        for target in request.targets:
            columns = [part.columns[name] for name in target_columns[target.task]]
            if target.kind != "cls":
                targets[target.task] = to_single(np.stack([as_float(column, place) for column in columns], axis=1))
            else:
                targets[target.task] = array_of(with_missing_ids(columns[0]), table.where)
        yield _Part(part.row, names, to_single(part.x), targets)


def _names(column: pl.Series, place: Place) -> list[Any]:
    names: list[Any] = names_of(column, place.where).tolist()
    if "" in names:
        at = place.row + names.index("")
        raise UserError(f"{place.where}: row {at}: column '{column.name}' is empty; name the instance")
    return names


def _vectors(parts: Iterator[_Part], where: str, size: int) -> Generator[Block]:
    start = 0
    for part in parts:
        for first in range(0, len(part.x), size):
            some = slice(first, min(first + size, len(part.x)))
            names = range(start, start + some.stop - first) if part.names is None else part.names[some]
            yield Block(names, part.x[some], None, {task: values[some] for task, values in part.targets.items()})
            start += some.stop - first


@dataclass
class _Gathered:
    """Whole series, until a block is full."""

    names: list[Any] = field(default_factory=list)
    series: list[FloatArray] = field(default_factory=list)
    targets: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def block(self) -> Block:
        return Block(self.names, self.series, None, {task: np.stack(v) for task, v in self.targets.items()})


def _series(parts: Iterator[_Part], where: str, size: int) -> Generator[Block]:
    seen: set[Any] = set()
    full = _Gathered()
    pieces: list[_Part] = []  # of the instance that the last part may have cut
    for part in parts:
        assert part.names is not None
        starts = [0, *(i for i in range(1, len(part.names)) if part.names[i] != part.names[i - 1])]
        for first, stop in pairwise([*starts, len(part.names)]):
            name = part.names[first]
            if pieces and pieces[0].names != [name]:
                _close(pieces, full, where)
                pieces = []
                if len(full.names) == size:
                    yield full.block()
                    full = _Gathered()
            if not pieces:
                if name in seen:
                    raise UserError(
                        f"{where}: row {part.row + first}: instance '{name}' comes again after others; the rows "
                        "of one instance must stand together"
                    )
                seen.add(name)
            targets = {task: values[first:stop] for task, values in part.targets.items()}
            pieces.append(_Part(part.row + first, [name], part.x[first:stop], targets))
    _close(pieces, full, where)
    yield full.block()


def _close(pieces: list[_Part], full: _Gathered, where: str) -> None:
    """Join the pieces of an instance; its targets must be the same in each row."""
    (name,) = pieces[0].names or []
    full.names.append(name)
    full.series.append(np.ascontiguousarray(np.concatenate([piece.x for piece in pieces]).T))  # (C, T)
    for task in pieces[0].targets:
        values = np.concatenate([piece.targets[task] for piece in pieces])
        other = values != values[0]
        if values.dtype.kind == "f":
            other &= ~(np.isnan(values) & np.isnan(values[0]))
        if other.any():
            row = pieces[0].row + int(np.argwhere(other)[0][0])
            raise UserError(f"{where}: row {row}: the target of task {task} changes within instance '{name}'")
        full.targets.setdefault(task, []).append(values[0])
