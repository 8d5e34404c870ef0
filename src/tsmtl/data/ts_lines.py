"""Parser of the UCR/UEA/TSER archive format (.ts): a header, then one instance a line.

The format: a header of ``@`` tags, ``@data``, then one instance a line: the channels divided by ``:``, their values by
``,``, the label last; ``?`` is a missing value (aeon-toolkit.org describes it). Labels keep their case.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray

_STAMPED = re.compile(r"\([^,()]*,([^,()]*)\)")  # (time stamp, value)
_COLON_OUTSIDE_STAMPS = re.compile(r":(?![^(]*\))")  # 12:30 has one of its own
_LARGEST = float(np.finfo(np.float32).max)
_MARKS = {"true": True, "false": False}


@dataclass
class TsHeader:
    """What stands before ``@data``.

    Attributes:
        kind: ``cls``, ``reg``, or None where the instances have no labels.
        class_names: The classes that the header declares, in its order.
        channels: C, as declared or as of the first instance.
        length: T, as declared or as of the first instance, where all are of equal length.
        equal: Whether all are of equal length.
        stamped: Whether values come with time stamps.
    """

    kind: str | None = None
    class_names: list[str] = field(default_factory=list)
    channels: int | None = None
    length: int | None = None
    equal: bool = False
    stamped: bool = False


def read_ts_lines(path: Path, header: TsHeader, labels_matter: bool = True) -> Iterator[tuple[FloatArray, str]]:
    """Give the instances of a file one by one: the series (C, T), and the text of its label.

    Args:
        path: The file.
        header: Filled on the way to the first instance.
        labels_matter: Refuse a label that is missing, was not declared, or is no number; else it is given as it
            stands, ``""`` where the line has none.

    Raises:
        UserError: With the line, for a header without ``@data``, text in a number, a label that was not declared,
            channels of different lengths or number, and a line that was cut off.
    """
    in_data = any_instance = False
    try:
        with path.open(encoding="utf-8-sig") as lines:  # splitlines would end a line at U+2028 and others too
            for number, line in enumerate(lines, 1):
                line = line.strip()
                if not line or line[0] in "#%":
                    continue
                where = f"{path}: line {number}"
                if in_data:
                    any_instance = True
                    yield _read_instance(line, where, header, labels_matter)
                else:
                    in_data = _read_tag(line, where, header)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable text file ({error})") from error
    if not in_data:
        raise UserError(f"{path}: no line @data; the header is all there is")
    if not any_instance:
        raise UserError(f"{path}: no instance behind @data")


def _read_tag(line: str, where: str, header: TsHeader) -> bool:
    """Take a line of the header; say whether the data come next."""
    if not line.startswith("@"):
        raise UserError(f"{where}: expected a header tag (@...) or @data (got {line[:40]!r})")
    tag, *values = line.split()
    match tag.lower():
        case "@data":
            return True
        case "@classlabel":
            if _mark(values, where, tag):
                header.kind, header.class_names = "cls", values[1:]
                if not header.class_names:
                    raise UserError(f"{where}: {tag} true needs the names of the classes behind it")
        case "@targetlabel":
            if _mark(values, where, tag):
                header.kind = "reg"
        case "@timestamps":
            header.stamped = _mark(values, where, tag)
        case "@equallength":
            header.equal = _mark(values, where, tag)
        case "@univariate":
            header.channels = 1 if _mark(values, where, tag) else header.channels
        case "@dimension" | "@dimensions":
            header.channels = _whole(values, where, tag)
        case "@serieslength":
            header.length = _whole(values, where, tag)
    return False


def _mark(values: list[str], where: str, tag: str) -> bool:
    if not values or values[0].lower() not in _MARKS:
        raise UserError(f"{where}: {tag} must be true or false (got {' '.join(values)!r})")
    return _MARKS[values[0].lower()]


def _whole(values: list[str], where: str, tag: str) -> int:
    if len(values) != 1 or not values[0].isdigit():
        raise UserError(f"{where}: {tag} must be a whole number (got {' '.join(values)!r})")
    return int(values[0])


def _read_instance(line: str, where: str, header: TsHeader, labels_matter: bool) -> tuple[FloatArray, str]:
    parts = _COLON_OUTSIDE_STAMPS.split(line) if header.stamped else line.split(":")
    labelled = header.kind is not None and (labels_matter or len(parts) != header.channels)
    label = parts.pop().strip() if labelled else ""
    if header.channels is None:
        header.channels = len(parts)
    if len(parts) != header.channels or not parts:
        behind = f"{header.channels} channels" + (" and a label" if header.kind else "")
        got = len(parts) + (1 if labelled else 0)
        raise UserError(f"{where}: {got} parts between colons, expected {behind}; was the line cut off?")
    series = [_read_channel(part, f"{where}, channel {i}", header.stamped) for i, part in enumerate(parts, 1)]
    steps = {len(values) for values in series}
    if len(steps) > 1:
        raise UserError(f"{where}: the channels have different lengths ({', '.join(map(str, sorted(steps)))})")
    if labels_matter and header.kind == "cls" and label != "?" and label not in header.class_names:
        declared = ", ".join(header.class_names)
        raise UserError(f"{where}: class {label!r} is not among those of the header ({declared})")
    if labels_matter and header.kind == "reg" and label != "?":
        read_ts_number(label, where)
    (length,) = steps
    if header.equal and header.length is not None and length != header.length:
        raise UserError(f"{where}: {length} time steps, but the header says that all have {header.length}")
    if header.equal:
        header.length = length
    return np.stack(series), label  # (C, T)


def _read_channel(part: str, where: str, stamped: bool) -> FloatArray:
    if stamped:
        part = _STAMPED.sub(r"\1", part)
    part = part.strip()
    expected = part.count(",") + 1 if part else 0
    try:
        values = np.fromstring(part.replace("?", "nan"), sep=",", dtype=np.float32)
    except ValueError:
        values = np.empty(0, dtype=np.float32)
    if not expected or len(values) != expected:
        bad = next((v for v in part.split(",") if not _is_number(v)), part)
        raise UserError(f"{where}: {bad.strip()[:40]!r} is not a number; a missing value is ?")
    return values


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace("?", "nan"))
    except ValueError:
        return False
    return True


def read_ts_number(text: str, where: str) -> float:
    """Read the number that a label is; ``?`` is a missing one.

    Raises:
        UserError: If it is no number, or infinite in single precision.
    """
    if text == "?":
        return float("nan")
    try:
        value = float(text)
    except ValueError as error:
        raise UserError(f"{where}: the target {text!r} is not a number") from error
    if abs(value) > _LARGEST:
        raise UserError(f"{where}: the target {text!r} is infinite in single precision; a missing number is ?")
    return value
