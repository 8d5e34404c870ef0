"""The instances of one CSV file in blocks: vectors one a row, series one time step a row."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.data.csv_rows import CsvRows
from tsmtl.data.files import existing_file
from tsmtl.data.instances import FloatArray
from tsmtl.data.stream import Block, Request, Stream, WantedTarget


def stream_csv(request: Request) -> Stream:
    """Open a CSV file with one column per channel (or feature), named as in training; other columns are left out.

    Of series the rows of one instance stand together, in the order of time. Rows count from 1, the header's.

    Raises:
        UserError: If columns are missing.
    """
    rows = CsvRows(existing_file(str(request.path)))
    _check_columns(rows, request)
    blocks = _series if request.contract.kind == "series" else _vectors
    return Stream(rows.where, None, blocks(rows, request))


def _check_columns(rows: CsvRows, request: Request) -> None:
    contract, where = request.contract, rows.where
    missing = [name for name in contract.channels if name not in rows.columns]
    if missing:
        noun = "channels" if contract.kind == "series" else "features"
        raise UserError(
            f"{where}: no column {_listed(missing)}; expected are the {noun} {_listed(contract.channels)}, "
            f"there are {_listed(rows.columns)}"
        )
    named = request.instance_key in rows.columns
    if not named and (contract.kind == "series" or request.instance_key_typed):
        raise UserError(
            f"{where}: no column '{request.instance_key}' that names the instance of each row (data.instance_key); "
            f"there are {_listed(rows.columns)}"
        )
    for target in request.targets:
        for column in _columns(target):
            if column not in rows.columns:
                raise UserError(
                    f"{where}: no column '{column}' ({target.setting}) for task {target.task}; there are "
                    f"{_listed(rows.columns)}"
                )
    needed = [*contract.channels, *(c for target in request.targets for c in _columns(target))]
    needed += [request.instance_key] if named else []
    for column in needed:
        if rows.columns.count(column) > 1:
            raise UserError(f"{where}: has more than one column '{column}'")


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
    names: list[str] | None
    x: FloatArray
    targets: dict[str, npt.NDArray[Any]]


def _parts(rows: CsvRows, request: Request) -> Iterator[_Part]:
    named = request.instance_key in rows.columns
    places = {name: str(place) for place, name in enumerate(rows.columns)}
    needed = [*request.contract.channels, *(c for target in request.targets for c in _columns(target))]
    needed += [request.instance_key] if named else []
    for row, whole in rows.frames():
        frame = whole.select(pl.col(places[name]).str.strip_chars().alias(name) for name in dict.fromkeys(needed))
        names = None
        if named:
            column = frame[request.instance_key]
            empty = column.fill_null("") == ""
            if empty.any():
                at = row + int(empty.arg_max() or 0)
                raise UserError(f"{rows.where}: row {at}: column '{request.instance_key}' is empty; name the instance")
            names = column.to_list()
        targets: dict[str, npt.NDArray[Any]] = {}
        for target in request.targets:
            if target.kind != "cls":
                targets[target.task] = _numbers(rows.where, row, frame, _columns(target))
            else:
                targets[target.task] = frame[target.key].fill_null("").to_numpy().astype(str)
        yield _Part(row, names, _numbers(rows.where, row, frame, request.contract.channels), targets)


def _numbers(where: str, row: int, frame: pl.DataFrame, columns: list[str]) -> FloatArray:
    """Give columns as numbers (n, C), NaN where a cell is empty."""
    texts = frame.select(pl.col(columns).replace("", None))
    numbers = texts.cast(pl.Float64, strict=False)
    if numbers.null_count().sum_horizontal().item() > texts.null_count().sum_horizontal().item():
        wrong = numbers.select(pl.all().is_null()).to_numpy() & texts.select(pl.all().is_not_null()).to_numpy()
        at, column = (int(i) for i in np.argwhere(wrong)[0])
        raise UserError(
            f"{where}: row {row + at}, column '{columns[column]}': {texts[at, column][:40]!r} is not a number; "
            "a missing value is an empty cell"
        )
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused with its place
        return numbers.fill_null(float("nan")).to_numpy().astype(np.float32)


def _vectors(rows: CsvRows, request: Request) -> Generator[Block]:
    start = 0
    for part in _parts(rows, request):
        for first in range(0, len(part.x), request.size):
            some = slice(first, min(first + request.size, len(part.x)))
            size = some.stop - first
            names = range(start, start + size) if part.names is None else part.names[some]
            yield Block(names, part.x[some], None, {task: values[some] for task, values in part.targets.items()})
            start += size


@dataclass
class _Gathered:
    """Whole series, until a block is full."""

    names: list[str] = field(default_factory=list)
    series: list[FloatArray] = field(default_factory=list)
    targets: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def block(self) -> Block:
        return Block(self.names, self.series, None, {task: np.stack(v) for task, v in self.targets.items()})


def _series(rows: CsvRows, request: Request) -> Generator[Block]:
    seen: set[str] = set()
    full = _Gathered()
    pieces: list[_Part] = []  # of the instance that the last part may have cut
    for part in _parts(rows, request):
        assert part.names is not None
        starts = [0, *(i for i in range(1, len(part.names)) if part.names[i] != part.names[i - 1])]
        for first, stop in pairwise([*starts, len(part.names)]):
            name = part.names[first]
            if pieces and pieces[0].names != [name]:
                _close(pieces, full, rows.where)
                pieces = []
                if len(full.names) == request.size:
                    yield full.block()
                    full = _Gathered()
            if not pieces:
                if name in seen:
                    raise UserError(
                        f"{rows.where}: row {part.row + first}: instance '{name}' comes again after others; the rows "
                        "of one instance must stand together"
                    )
                seen.add(name)
            targets = {task: values[first:stop] for task, values in part.targets.items()}
            pieces.append(_Part(part.row + first, [name], part.x[first:stop], targets))
    _close(pieces, full, rows.where)
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
