"""The instances of one .ts file in blocks."""

from collections.abc import Generator

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.files import existing_file
from tsmtl.data.instances import FloatArray
from tsmtl.data.stream import Block, Request, Stream
from tsmtl.data.ts_lines import TsHeader, read_ts_lines, read_ts_number

_NOUN = {"cls": "a class", "reg": "a number", None: "no label"}


def stream_ts(request: Request) -> Stream:
    """Open a .ts file; its labels are read only where a target is wanted.

    Raises:
        UserError: If the file is damaged, or its labels are not of the kind wanted.
    """
    path = existing_file(str(request.path))
    if request.contract.kind != "series":
        raise UserError(f"{path}: holds series, the model reads vectors (N, E); give them as .npz or .csv")
    return Stream(str(path), None, _blocks(request, str(path)))


def _blocks(request: Request, where: str) -> Generator[Block]:
    header = TsHeader()
    series: list[FloatArray] = []
    labels: list[str] = []
    start = 0
    for values, label in read_ts_lines(existing_file(where), header, labels_matter=False):
        if not start and not series:
            _check_labels(request, header, where)
        if len(values) != len(request.contract.channels):
            raise UserError(
                f"{where}: the model was trained with C = {len(request.contract.channels)} (got {len(values)})"
            )
        series.append(values)
        labels.append(label)
        if len(series) == request.size:
            yield _block(request, where, start, series, labels)
            start += len(series)
            series, labels = [], []
    if series:
        yield _block(request, where, start, series, labels)


def _block(request: Request, where: str, start: int, series: list[FloatArray], labels: list[str]) -> Block:
    names = range(start, start + len(series))
    targets = {}
    for target in request.targets:
        if target.kind == "cls":
            targets[target.task] = np.array(["" if label == "?" else label for label in labels])
        else:
            pairs = zip(labels, names, strict=True)
            numbers = [read_ts_number(label or "?", f"{where}: instance {name}") for label, name in pairs]
            targets[target.task] = np.array(numbers, dtype=np.float32)[:, None]
    return Block(names, series, None, targets)


def _check_labels(request: Request, header: TsHeader, where: str) -> None:
    for target in request.targets:
        if header.kind != target.kind:
            fit = [t.task for t in request.targets if t.kind == header.kind]
            mend = f"; take tasks=[{fit[0]}]" if fit else ""
            raise UserError(
                f"{where}: has {_NOUN[header.kind]} per instance, task {target.task} needs {_NOUN[target.kind]}{mend}"
            )
        if target.size > 1 and target.kind == "reg":
            raise UserError(f"{where}: has one number per instance, task {target.task} needs {target.size}")
