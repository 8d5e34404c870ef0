"""Tables and JSON of a run folder."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from tsmtl.data.instances import IntArray
from tsmtl.storage.whole import whole_file

RERUN_NOTE = "# Settings of a run; runs again with: tsmtl-train experiment=<this file>\n"


class HistoryFile:
    """``metrics.csv``: one row per epoch, written as they come.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def restart(self, rows: list[dict[str, float]]) -> None:
        """Write the rows of a run that goes on, in place of what an earlier process left."""
        text = io.StringIO(newline="")
        self._columns = list(rows[0]) if rows else []
        if rows:
            writer = csv.writer(text)
            writer.writerow(self._columns)
            writer.writerows(map(self._cells, rows))
        _write_text(self.path, text.getvalue())

    def write(self, row: dict[str, float]) -> None:
        """Append a row; the first one also writes the header."""
        with self.path.open("a" if self._columns else "w", newline="") as file:
            writer = csv.writer(file)
            if not self._columns:
                self._columns = list(row)
                writer.writerow(self._columns)
            writer.writerow(self._cells(row))

    def _cells(self, row: dict[str, float]) -> list[Any]:
        return [f"{row[c]:.6g}" if isinstance(row[c], float) else row[c] for c in self._columns]


def write_config(path: Path, settings: dict[str, Any], choices: dict[str, str]) -> None:
    """Write settings as an experiment file that composes to the same settings again.

    Args:
        path: The file.
        settings: Flat settings as composed.
        choices: Chosen file of each config group.
    """
    defaults: list[Any] = [{f"override /{group}": choice} for group, choice in choices.items()]
    # What the chosen files say themselves is left to them, so that model=... beside the file chooses another model.
    said = {key: value for key, value in settings.items() if key not in choices or isinstance(value, dict)}
    content = {"defaults": [*defaults, "_self_"], **said}
    _write_text(path, RERUN_NOTE + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def write_vectors_2d(path: Path, instances: IntArray, coordinates: npt.NDArray[np.float64]) -> None:
    """Write test vectors in two dimensions, a row each, in the order of the predictions."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["instance", "first", "second"])
    rows = zip(instances.tolist(), coordinates.tolist(), strict=True)
    writer.writerows([instance, f"{first:.6g}", f"{second:.6g}"] for instance, (first, second) in rows)
    _write_text(path, text.getvalue())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, whole or not at all; a number that is not finite becomes null."""
    _write_text(path, json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
