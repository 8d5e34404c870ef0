"""The instances of one CSV or Parquet file in blocks: vectors one a row, series one time step a row."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.data.files import existing_file
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.instances import FloatArray
from tsmtl.data.single import to_single
from tsmtl.data.stream import Block, Request, Stream, WantedTarget
from tsmtl.data.table_cells import Place, as_float


def stream_table(request: Request) -> Stream:
    """Open a CSV or Parquet file with one column per channel (or feature), named as in training; others are left out.

    Of series the rows of one instance stand together, in the order of time. Rows of a CSV file count
    from 1, the header's.

    Raises:
        UserError: If columns are missing.
    """
    table = InstanceTable(existing_file(str(request.path)))
    _check_columns(table, request)
    named = _instance_column(table, request)
    blocks = _series if request.contract.kind == "series" else _vectors
    return Stream(table.where, None, blocks(table, request, named))


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


def _check_columns(table: InstanceTable, request: Request) -> None:
    contract, where, columns = request.contract, table.where, set(table.columns)
    if missing := [name for name in contract.channels if name not in columns]:
        noun = "channels" if contract.kind == "series" else "features"
        raise UserError(
            f"{where}: no column {_listed(missing)}; expected are the {noun} {_listed(contract.channels)}, "
            f"there are {_listed(table.columns)}"
        )
    for target in request.targets:
        for column in _columns(target):
            if column not in columns:
                raise UserError(
                    f"{where}: no column '{column}' ({target.setting}) for task {target.task}; there are "
                    f"{_listed(table.columns)}"
                )


def _columns(target: WantedTarget) -> list[str]:
    if target.kind == "cls" or target.size == len(target.keys):
        return list(target.keys)
    return [f"{target.key}_{d + 1}" for d in range(target.size)]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" ... ({len(names)} in all)" if len(names) > 10 else "")


@dataclass
class _Part:
    """Rows of a file as arrays: instance names, (n, C) values, targets by task; ``row`` is that of the first."""

    row: int
    names: list[Any] | None
    x: FloatArray
    targets: dict[str, npt.NDArray[Any]]


def _parts(table: InstanceTable, request: Request, named: str | None) -> Iterator[_Part]:
    others = [column for target in request.targets for column in _columns(target)]
    others += [] if named is None else [named]
    for part in table.parts(request.contract.channels, list(dict.fromkeys(others))):
        place = Place(table.where, part.row)
        names = None if named is None else _names(part.columns[named], place)
        targets: dict[str, npt.NDArray[Any]] = {}
        for target in request.targets:
            columns = [part.columns[name] for name in _columns(target)]
            if target.kind != "cls":
                targets[target.task] = to_single(np.stack([as_float(column, place) for column in columns], axis=1))
            elif columns[0].dtype == pl.String:
                targets[target.task] = columns[0].fill_null("").to_numpy().astype(str)
            else:
                targets[target.task] = columns[0].to_numpy()
        yield _Part(part.row, names, to_single(part.x), targets)


def _names(column: pl.Series, place: Place) -> list[Any]:
    empty = column.is_null() if column.dtype != pl.String else column.fill_null("") == ""
    if empty.any():
        at = place.row + int(empty.arg_max() or 0)
        raise UserError(f"{place.where}: row {at}: column '{column.name}' is empty; name the instance")
    return column.to_list()


def _vectors(table: InstanceTable, request: Request, named: str | None) -> Generator[Block]:
    start = 0
    for part in _parts(table, request, named):
        for first in range(0, len(part.x), request.size):
            some = slice(first, min(first + request.size, len(part.x)))
            size = some.stop - first
            names = range(start, start + size) if part.names is None else part.names[some]
            yield Block(names, part.x[some], None, {task: values[some] for task, values in part.targets.items()})
            start += size


@dataclass
class _Gathered:
    """Whole series, until a block is full."""

    names: list[Any] = field(default_factory=list)
    series: list[FloatArray] = field(default_factory=list)
    targets: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def block(self) -> Block:
        return Block(self.names, self.series, None, {task: np.stack(v) for task, v in self.targets.items()})


def _series(table: InstanceTable, request: Request, named: str | None) -> Generator[Block]:
    seen: set[Any] = set()
    full = _Gathered()
    pieces: list[_Part] = []  # of the instance that the last part may have cut
    for part in _parts(table, request, named):
        assert part.names is not None
        starts = [0, *(i for i in range(1, len(part.names)) if part.names[i] != part.names[i - 1])]
        for first, stop in pairwise([*starts, len(part.names)]):
            name = part.names[first]
            if pieces and pieces[0].names != [name]:
                _close(pieces, full, table.where)
                pieces = []
                if len(full.names) == request.size:
                    yield full.block()
                    full = _Gathered()
            if not pieces:
                if name in seen:
                    raise UserError(
                        f"{table.where}: row {part.row + first}: instance '{name}' comes again after others; the rows "
                        "of one instance must stand together"
                    )
                seen.add(name)
            targets = {task: values[first:stop] for task, values in part.targets.items()}
            pieces.append(_Part(part.row + first, [name], part.x[first:stop], targets))
    _close(pieces, full, table.where)
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
