"""Data sets in the UCR/UEA/TSER archive format (.ts), for classes and numbers, equal and unequal lengths."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tsmtl.config.data_settings import TsSettings
from tsmtl.config.errors import UserError
from tsmtl.data.files import existing_file
from tsmtl.data.instances import ClassTarget, FloatArray, Instances, NumberTarget, Target
from tsmtl.data.padding import pad
from tsmtl.data.targets import MISSING
from tsmtl.data.ts_lines import TsHeader, read_ts_lines, read_ts_number


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
        UserError: With the line, if the file is damaged.
    """
    header = TsHeader()
    series, labels = zip(*read_ts_lines(path, header), strict=True)
    return TsFile(path, list(series), list(labels), header.kind, header.class_names)


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
    return instances_of(ts_files(settings.path), tasks)


def instances_of(paths: list[Path], tasks: dict[str, str]) -> Instances:
    """Read one file, or train and test file.

    Raises:
        UserError: If a file is damaged, or has not the kind of label that a task needs.
    """
    files = [read_ts(path) for path in paths]
    first, where = files[0], str(files[0].path)
    for kind in tasks.values():
        if first.kind != kind:
            have = {"cls": "a class and no number", "reg": "a number and no class", None: "no label"}[first.kind]
            fit = f"; take task={first.kind}" if first.kind else ""
            asked = "multi" if len(tasks) > 1 else kind
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
            values = np.array([read_ts_number(label, where) for label in labels], dtype=np.float32)
            targets[task] = NumberTarget("target", values[:, None])
    given = None
    if len(files) == 2:
        n_train = len(files[0].series)
        given = {"train": np.arange(n_train), "test": np.arange(n_train, len(series))}
    channels = [f"channel_{i + 1}" for i in range(x.shape[1])]
    return Instances(x, targets, where, channels, lengths, given=given)


_NOUN = {"cls": "class", "reg": "number"}
