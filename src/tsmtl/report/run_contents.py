"""What a run's folder holds, read back."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from tsmtl.config.errors import UserError
from tsmtl.storage.run_folder import SUMMARY

CONFIG, HISTORY, PREDICTIONS = "config.yaml", "metrics.csv", "predictions_test.csv"
VECTORS_2D = "vectors_2d.csv"  # the test vectors in two dimensions, where vectors were read


@dataclass(frozen=True)
class RunContents:
    """A run, as its folder tells of it.

    Attributes:
        folder: The run folder.
        summary: ``summary.json``; empty where the run is not finished.
        settings: ``config.yaml``, with the chosen files of its defaults list as settings too.
        history: A row per epoch, by column; NaN where a cell is empty.
        predictions: ``predictions_test.csv`` by column, as text.
        vectors: ``vectors_2d.csv`` likewise; empty where series were read.
    """

    folder: Path
    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    predictions: Mapping[str, Sequence[str]]
    vectors: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """The tasks by name; of a run that is not finished those that its curves name, without their targets."""
        if "tasks" in self.summary:
            return dict(self.summary["tasks"])
        columns = self.history[0] if self.history else {}
        names = [c.split("/")[1] for c in columns if c.startswith("train/") and c.count("/") == 2]
        return {name: {"name": name, "kind": "", "key": name, "size": 1, "class_names": []} for name in names}

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept; None where the run is not finished."""
        return self.summary["best"]["epoch"] if self.summary else None

    def column(self, name: str) -> npt.NDArray[np.float64] | None:
        """Give a column of numbers (N,) of the predictions, NaN where it is empty; None where there is no such."""
        if name not in self.predictions:
            return None
        return np.array([float(cell) if cell else math.nan for cell in self.predictions[name]])


def is_run(folder: Path) -> bool:
    """Say whether a folder is that of a run."""
    return (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (SUMMARY, HISTORY))


def read_run(folder: Path) -> RunContents:
    """Read a run's folder.

    Raises:
        UserError: If a file of it is damaged.
    """
    summary = read_json(folder / SUMMARY) if (folder / SUMMARY).is_file() else {}
    try:
        settings = _settings(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))
        history = [
            {name: float(cell) if cell else math.nan for name, cell in row.items()}
            for row in _rows(folder / HISTORY)
            if None not in row.values()  # the last one, while it is being written
        ]
        predictions, vectors = _columns(folder / PREDICTIONS), _columns(folder / VECTORS_2D)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: not the folder of a run, or damaged: {str(error).splitlines()[0]}") from error
    return RunContents(folder, summary, settings, history, predictions, vectors)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of JSON that holds names and values.

    Raises:
        UserError: If it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged: {str(error).splitlines()[0]}; make it anew") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged: holds no names and values; make it anew")
    return content


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of an experiment file: what is chosen by name stands in its list of defaults."""
    chosen = [entry for entry in config.pop("defaults") if isinstance(entry, dict)]
    return {key.rpartition("/")[2]: choice for entry in chosen for key, choice in entry.items()} | config


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _columns(path: Path) -> dict[str, Sequence[str]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
