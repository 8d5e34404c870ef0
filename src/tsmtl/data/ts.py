"""Reader of the UCR/UEA/TSER archive format (.ts), for classes and numbers, equal and unequal lengths.

The format: a header of ``@`` tags, ``@data``, then one instance a line: the channels divided by ``:``, their values by
``,``, the label last; ``?`` is a missing value (aeon-toolkit.org describes it). Labels keep their case.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tsmtl.config.data_settings import TsSettings
from tsmtl.config.errors import UserError
from tsmtl.data.files import existing_file
from tsmtl.data.instances import ClassTarget, FloatArray, Instances, NumberTarget, Target
from tsmtl.data.padding import pad
from tsmtl.data.targets import MISSING

_STAMPED = re.compile(r"\([^,()]*,([^,()]*)\)")  # (time stamp, value)
_COLON_OUTSIDE_STAMPS = re.compile(r":(?![^(]*\))")  # 12:30 has one of its own
_LARGEST = float(np.finfo(np.float32).max)
_MARKS = {"true": True, "false": False}


@dataclass
class TsFile:
    """The content of one .ts file.

    Attributes:
        series: One (C, T) array per instance.
        labels: Text of each instance's label; empty where the file has none.
        kind: ``cls``, ``reg``, or None where the file has no labels.
        class_names: The classes that the header declares, in its order.
    """

    path: Path
    series: list[FloatArray] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    kind: str | None = None
    class_names: list[str] = field(default_factory=list)


def read_ts(path: Path) -> TsFile:
    """Read one .ts file.

    Raises:
        UserError: With the line, for a header without ``@data``, text in a number, a label that was not declared,
            channels of different lengths or number, and a line that was cut off.
    """
    content = TsFile(path)
    channels: int | None = None
    length: int | None = None
    equal = stamped = in_data = False
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines would end a line at U+2028 and others too
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable text file ({error})") from error
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line[0] in "#%":
            continue
        where = f"{path}: line {number}"
        if in_data:
            channels = _read_instance(line, where, content, channels, stamped)
            steps = content.series[-1].shape[1]
            if equal and length is not None and steps != length:
                raise UserError(f"{where}: {steps} time steps, but the header says that all have {length}")
            if equal:
                length = steps
            continue
        if not line.startswith("@"):
            raise UserError(f"{where}: expected a header tag (@...) or @data (got {line[:40]!r})")
        tag, *values = line.split()
        match tag.lower():
            case "@data":
                in_data = True
            case "@classlabel":
                if _mark(values, where, tag):
                    content.kind, content.class_names = "cls", values[1:]
                    if not content.class_names:
                        raise UserError(f"{where}: {tag} true needs the names of the classes behind it")
            case "@targetlabel":
                if _mark(values, where, tag):
                    content.kind = "reg"
            case "@timestamps":
                stamped = _mark(values, where, tag)
            case "@equallength":
                equal = _mark(values, where, tag)
            case "@univariate":
                channels = 1 if _mark(values, where, tag) else channels
            case "@dimension" | "@dimensions":
                channels = _whole(values, where, tag)
            case "@serieslength":
                length = _whole(values, where, tag)
    if not in_data:
        raise UserError(f"{path}: no line @data; the header is all there is")
    if not content.series:
        raise UserError(f"{path}: no instance behind @data")
    return content


def _mark(values: list[str], where: str, tag: str) -> bool:
    if not values or values[0].lower() not in _MARKS:
        raise UserError(f"{where}: {tag} must be true or false (got {' '.join(values)!r})")
    return _MARKS[values[0].lower()]


def _whole(values: list[str], where: str, tag: str) -> int:
    if len(values) != 1 or not values[0].isdigit():
        raise UserError(f"{where}: {tag} must be a whole number (got {' '.join(values)!r})")
    return int(values[0])


def _read_instance(line: str, where: str, content: TsFile, channels: int | None, stamped: bool) -> int:
    parts = _COLON_OUTSIDE_STAMPS.split(line) if stamped else line.split(":")
    label = parts.pop().strip() if content.kind else ""
    if channels is None:
        channels = len(parts)
    if len(parts) != channels or not parts:
        behind = f"{channels} channels" + (" and a label" if content.kind else "")
        got = len(parts) + (1 if content.kind else 0)
        raise UserError(f"{where}: {got} parts between colons, expected {behind}; was the line cut off?")
    series = [_read_channel(part, f"{where}, channel {i}", stamped) for i, part in enumerate(parts, 1)]
    steps = {len(values) for values in series}
    if len(steps) > 1:
        raise UserError(f"{where}: the channels have different lengths ({', '.join(map(str, sorted(steps)))})")
    if content.kind == "cls" and label != "?" and label not in content.class_names:
        declared = ", ".join(content.class_names)
        raise UserError(f"{where}: class {label!r} is not among those of the header ({declared})")
    if content.kind == "reg" and label != "?":
        _read_number(label, where)
    content.series.append(np.stack(series))  # (C, T)
    content.labels.append(label)
    return channels


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


def _read_number(text: str, where: str) -> float:
    if text == "?":
        return float("nan")
    try:
        value = float(text)
    except ValueError as error:
        raise UserError(f"{where}: the target {text!r} is not a number") from error
    if abs(value) > _LARGEST:
        raise UserError(f"{where}: the target {text!r} is infinite in single precision; a missing number is ?")
    return value


def ts_files(path: str) -> list[Path]:
    """Give the file, or the pair of train and test file, that a path stands for."""
    named = Path(path).expanduser()
    folder, stem = named.parent, named.name.removesuffix(".ts")
    if named.is_dir():
        folder, stem = named, named.name
    for suffix in ("_TRAIN", "_TEST"):
        stem = stem.removesuffix(suffix)
    pair = [folder / f"{stem}_TRAIN.ts", folder / f"{stem}_TEST.ts"]
    if all(file.is_file() for file in pair):
        return pair
    return [existing_file(path)]


def load_ts(settings: TsSettings, tasks: dict[str, str]) -> Instances:
    """Read a .ts file or pair.

    Raises:
        UserError: If a file is damaged, or has not the kind of label that a task needs.
    """
    files = [read_ts(path) for path in ts_files(settings.path)]
    first, where = files[0], str(files[0].path)
    for task, kind in tasks.items():
        if first.kind != kind:
            have = {"cls": "a class and no number", "reg": "a number and no class", None: "no label"}[first.kind]
            fit = f"; take task={first.kind}" if first.kind else ""
            asked = "multi" if len(tasks) > 1 else task
            raise UserError(f"{where}: has {have} per instance, task={asked} needs a {_NOUN[kind]}{fit}")
    for other in files[1:]:
        if other.kind != first.kind:
            raise UserError(f"{other.path}: its labels are of another kind than those of {where}")
        if other.series[0].shape[0] != first.series[0].shape[0]:
            raise UserError(
                f"{other.path}: {other.series[0].shape[0]} channels, {where} has {first.series[0].shape[0]}"
            )
    series = [s for file in files for s in file.series]
    x, lengths = pad(series)
    labels = [label for file in files for label in file.labels]
    targets: dict[str, Target] = {}
    for task in tasks:
        if first.kind == "cls":
            names = list(dict.fromkeys(name for file in files for name in file.class_names))
            ids = [MISSING if label == "?" else names.index(label) for label in labels]
            targets[task] = ClassTarget("class", np.array(ids, dtype=np.int64), names)
        else:
            values = np.array([_read_number(label, where) for label in labels], dtype=np.float32)
            targets[task] = NumberTarget("target", values[:, None])
    given = None
    if len(files) == 2:
        n_train = len(files[0].series)
        given = {"train": np.arange(n_train), "test": np.arange(n_train, len(series))}
    channels = [f"channel_{i + 1}" for i in range(x.shape[1])]
    return Instances(x, targets, where, channels, lengths, given=given)


_NOUN = {"cls": "class", "reg": "number"}
