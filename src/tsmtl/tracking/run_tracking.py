"""The trackers of a run, as the run sees them."""

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from tsmtl.config.errors import Pruned
from tsmtl.storage.run_folder import pictures_of
from tsmtl.tracking.background import Background, say_that_it_failed
from tsmtl.tracking.tracker import Epoch, Status, TrackedRun, Tracker

# Seconds that a run waits at its end for a call of a tracker to return; after a signal somebody is waiting.
PATIENCE, PATIENCE_AFTER_SIGNAL = 30.0, 10.0


class RunTracking:
    """Tells trackers of a run, inside a ``with`` block, without waiting for them or failing with them.

    Args:
        trackers: Makers of the trackers, by name.
        run: The run.
        history: Rows of ``metrics.csv`` of the run so far; the training appends to it.
    """

    def __init__(
        self, trackers: Mapping[str, Callable[[], Tracker]], run: TrackedRun, history: list[dict[str, float]]
    ) -> None:
        self._makers, self._run, self._history = trackers, run, history
        self._told = 0
        self._trackers: list[tuple[Tracker, Background]] = []

    def __enter__(self) -> "RunTracking":
        for name, make in self._makers.items():
            try:
                tracker = make()
            except Exception as error:
                say_that_it_failed(name, error, "this run is not tracked there")
                continue
            self._trackers.append((tracker, Background(name)))
        self._tell("start", self._run)
        return self

    def kept(self) -> None:
        """Tell of the epochs that the run has kept on disk: no process will train them again."""
        rows = self._history[self._told :]
        if rows and self._trackers:
            self._told += len(rows)
            self._tell("epochs", _epochs(rows, time.time()))

    def results(self, epoch: int, test: Mapping[str, Mapping[str, float]], checkpoint: Path) -> None:
        """Tell of the test metrics, the pictures in the run folder and the best checkpoint."""
        metrics = {f"test/{task}/{name}": float(v) for task, values in test.items() for name, v in values.items()}
        self._tell("results", epoch, metrics, pictures_of(self._run.folder), checkpoint.absolute())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kept()
        self._tell("end", _status(error))
        patience = PATIENCE_AFTER_SIGNAL if isinstance(error, KeyboardInterrupt) else PATIENCE
        for _, background in self._trackers:
            background.finish(patience)

    def _tell(self, method: str, *given: Any) -> None:
        for tracker, background in self._trackers:
            background.call(partial(getattr(tracker, method), *given))


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Give nested settings by dotted name; null and lists become text, and so do mappings with names of their own."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value and all(str(k).isidentifier() for k in value):
            flat |= flat_settings(value, f"{prefix}{key}.")
        else:
            plain = isinstance(value, str | int | float)
            flat[prefix + key] = value if plain else json.dumps(value, ensure_ascii=False)
    return flat


def _status(error: BaseException | None) -> Status:
    if error is None:
        return Status.FINISHED
    given_up = isinstance(error, Pruned) or not isinstance(error, Exception)
    return Status.KILLED if given_up else Status.FAILED


def _epochs(rows: list[dict[str, float]], now: float) -> list[Epoch]:
    """Give rows of the history, the last one ended now, with the time that each ended."""
    ends = [now]
    for row in reversed(rows[1:]):
        ends.append(ends[-1] - row["seconds"])
    return [
        Epoch(int(row["epoch"]), end, {name: value for name, value in row.items() if name != "epoch"})
        for row, end in zip(rows, reversed(ends), strict=True)
    ]
